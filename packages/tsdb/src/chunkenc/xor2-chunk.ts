/**
 * Decodes XOR2 chunks, floats with or without start timestamps, into columns. This is for chunks anywhere; of one in the memory of kernels
 * their `decodeXor2` makes columns there. The layout is described beside it (kernels, src/js/xor2.ts).
 */
import { CHUNK_SLACK_BYTES, decodeXor2Columns, XOR2_REFUSAL } from '@gauntlet/kernels';
import { TsdbError } from '../errors.ts';

/** The samples of one chunk. */
export interface Xor2Columns {
  readonly count: number;
  readonly timestampsMs: Float64Array;
  /** Raw bits kept: a stale marker is recognised by them. */
  readonly values: Float64Array;
  /** When counting began, ms since 1970, 0 where it is not known; absent when no sample has one. */
  readonly startTimestamps?: Float64Array;
}

/** Where samples go: columns that are long enough, all of one length. */
export interface Xor2Target {
  readonly timestampsMs: Float64Array;
  /** Values as words, low one first. */
  readonly valueWords: Uint32Array;
  /** Starts, 0 for none; not needed when the chunk has none. */
  readonly startTimestamps: Float64Array | undefined;
}

/** Bytes of count and start header. */
const XOR2_HEADER_BYTES = 3;

/** Whether a payload has start timestamps. Cheap: one byte tells. */
export function hasStartTimestamps(data: Uint8Array): boolean {
  return data.length >= XOR2_HEADER_BYTES && data[2] !== 0;
}

/**
 * Decodes a payload of encoding 4.
 * @param name of series and block, for messages
 * @throws TsdbError ERR_CHUNK_CORRUPT
 */
export function decodeXor2Chunk(data: Uint8Array, name: string): Xor2Columns {
  const count = xor2SampleCount(data, name);
  const timestampsMs = new Float64Array(count);
  const values = new Float64Array(count);
  const startTimestamps = hasStartTimestamps(data) ? new Float64Array(count) : undefined;
  decodeXor2Into(data, { timestampsMs, valueWords: new Uint32Array(values.buffer), startTimestamps }, 0, name);
  return startTimestamps === undefined ? { count, timestampsMs, values } : { count, timestampsMs, values, startTimestamps };
}

/**
 * Samples that a payload says it holds, checked against its length, so that the number may be allocated.
 * @throws TsdbError ERR_CHUNK_CORRUPT
 */
export function xor2SampleCount(data: Uint8Array, name: string): number {
  if (data.length < XOR2_HEADER_BYTES) throw corrupt(name, `${data.length} bytes, want at least ${XOR2_HEADER_BYTES}`);
  const count = (data[0]! << 8) | data[1]!;
  // Every sample takes a bit at least.
  if (count > (data.length - XOR2_HEADER_BYTES) * 8) throw corrupt(name, `${count} samples in ${data.length} bytes`);
  return count;
}

/**
 * Decodes a payload into columns that exist, from index `at` on.
 * @returns samples written
 * @throws TsdbError ERR_CHUNK_CORRUPT; the columns then hold undefined samples
 */
export function decodeXor2Into(data: Uint8Array, target: Xor2Target, at: number, name: string): number {
  const count = xor2SampleCount(data, name);
  if (count === 0) return 0;
  // The decoder may look at bytes behind the end: a copy has them.
  const bytes = new Uint8Array(data.length + CHUNK_SLACK_BYTES);
  bytes.set(data);
  const { timestampsMs, valueWords, startTimestamps } = target;
  const words = new Int32Array(valueWords.buffer, valueWords.byteOffset, valueWords.length);
  const result = decodeXor2Columns(bytes, new DataView(bytes.buffer), 0, data.length, timestampsMs, at, words, at, startTimestamps, at, count);
  if (result === count) return count;
  if (result === XOR2_REFUSAL.truncated) throw corrupt(name, `${count} samples, ${data.length} bytes end before the last one`);
  if (result === XOR2_REFUSAL.badWindow) throw corrupt(name, 'a value has a bad window');
  throw corrupt(name, 'a time is beyond ±(2^53 − 1)');
}

function corrupt(name: string, what: string): TsdbError {
  return new TsdbError('ERR_CHUNK_CORRUPT', `decode XOR2 chunk of ${name}: ${what}`);
}
