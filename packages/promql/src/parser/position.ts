/** Offsets into query text and what people see of them. Offsets are UTF-16 units; shown columns and offsets count UTF-8 bytes, as Prometheus does. */
import { utf8Length } from '@gauntlet/bytes';
import { PromqlError } from '../errors.ts';
import type { PositionRange } from './ast.ts';

/**
 * `line:column` of an offset, both from 1, the column in bytes; `unknown position` for an empty text and `invalid position` outside of it.
 * @param offset UTF-16 offset into `text`
 */
export function lineColumn(text: string, offset: number): string {
  if (text === '') return 'unknown position';
  if (offset < 0 || offset > text.length) return 'invalid position';
  let line = 1;
  let lineStart = 0;
  for (let i = text.indexOf('\n'); i !== -1 && i < offset; i = text.indexOf('\n', i + 1)) {
    line++;
    lineStart = i + 1;
  }
  return `${line}:${utf8Length(text.slice(lineStart, offset)) + 1}`;
}

/** The error for a query that does not parse: `1:5: parse error: message`. */
export function parseError(text: string, pos: PositionRange, message: string): PromqlError {
  return new PromqlError('ERR_PARSE', `${lineColumn(text, pos.start)}: parse error: ${message}`, { pos });
}
