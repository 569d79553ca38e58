/**
 * Limits that a query reached: what is thrown by a budget, by the allocators of kernels and V8, or by the sample limit becomes one error that says which
 * part of the query it was. Whoever evaluates a node puts the node's place in; the engine, which has the text of the query, writes it out.
 */
import { KernelError } from '@gauntlet/kernels';
import { PromqlError } from '../errors.ts';
import type { Expr } from '../parser/ast.ts';
import { lineColumn } from '../parser/position.ts';

/** What V8 says when a column or table is larger than it can be. */
const TOO_LARGE = /^(Invalid (typed )?array (buffer )?length|Array buffer allocation failed|(Map|Set) maximum size exceeded|Invalid string length)/;
const LIMITS: ReadonlySet<string> = new Set(['ERR_TOO_MANY_SAMPLES', 'ERR_TOO_MANY_SERIES', 'ERR_MEMORY']);
/** Longest piece of a query in a message, UTF-16 units. */
const EXCERPT_MAX = 100;

/** Thrown by a budget: the message is the budget's, with its limit and flag. */
export function memoryError(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof PromqlError) return error;
  return new PromqlError('ERR_MEMORY', error.message, { cause: error });
}

/** An error on its way out of a node: limits get the place of the innermost node they come from, others stay as they are. */
export function limitError(error: unknown, expr: Expr): unknown {
  if (error instanceof PromqlError) {
    return LIMITS.has(error.code) && error.pos === undefined ? new PromqlError(error.code, error.message, { pos: expr.pos, cause: error.cause }) : error;
  }
  const isKernel = error instanceof KernelError && error.code === 'ERR_KERNEL_MEMORY';
  if (!isKernel && !(error instanceof RangeError && TOO_LARGE.test(error.message))) return error;
  return new PromqlError('ERR_MEMORY', `evaluate query: ${error.message}`, { pos: expr.pos, cause: error });
}

/** The same error with line, column and text of the part of the query it came from. */
export function placedLimitError(error: unknown, query: string): unknown {
  if (!(error instanceof PromqlError) || error.pos === undefined || !LIMITS.has(error.code)) return error;
  const { start, end } = error.pos;
  const text = query.slice(start, end).replace(/\s+/g, ' ');
  const place = `${lineColumn(query, start)}: ${text.length > EXCERPT_MAX ? `${text.slice(0, EXCERPT_MAX)}…` : text}`;
  return new PromqlError(error.code, `${error.message}, at ${place}`, { pos: error.pos, place, cause: error.cause });
}
