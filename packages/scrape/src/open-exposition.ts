/** Which reader for which format. */
import type { ExpositionFormat, ExpositionReader, ReadOptions } from './exposition.ts';
import { ExpositionParser } from './parse-exposition.ts';
import { ProtobufParser } from './parse-protobuf.ts';

/** Opens a reader; `body` is read, not changed, and kept until the reader is dropped. */
export function openExposition(body: Uint8Array, format: ExpositionFormat, options: ReadOptions = {}): ExpositionReader {
  return format === 'protobuf' ? new ProtobufParser(body, options) : new ExpositionParser(body, format, options);
}
