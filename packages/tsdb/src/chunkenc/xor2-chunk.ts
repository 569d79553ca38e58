/**
 * Decodes XOR2 chunks, floats with or without start timestamps, into columns.
 *
 *   payload      u16 sample count │ start header │ sample 0 │ sample 1 │ …                      most significant bit first
 *   header       1 bit: sample 0 has a start │ 7 bits: first sample whose start differs, 0 = none (start-timestamps.ts)
 *   sample 0     varint t │ 64 bits of the value │ varint t − start, if the header says so
 *   sample 1     uvarint Δt │ value code │ start
 *   sample n     0 = same Δt, same value │ 10 + short value code = same Δt │ 11111 = same Δt, stale marker
 *                110 +13 bits, 1110 +20, 11110 +64 = change of Δt, two's complement, then value code │ start
 *   value code   0 = same │ 10 + bits within the last window │ 110 + 5 bits leading zeros + 6 bits length (0 = 64) + bits │ 111 = stale marker
 *   short code   0 + bits within the last window │ 1 + window + bits
 *
 * Values are differences to the last one that is no stale marker. Source: Prometheus tsdb/chunkenc/xor2.go.
 */
import { STALE_NAN_HI, STALE_NAN_LO } from '@gauntlet/model';
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
  /** Starts, 0 for none; left alone, and not needed, when the chunk has none. */
  readonly startTimestamps: Float64Array | undefined;
}

/** Bytes of count and start header. */
export const XOR2_HEADER_BYTES = 3;

/** One sample takes at most 5 + 64 bits of time, 14 + 64 of value and 8 + 64 of start: what is read behind the end before the end is checked. */
const SLACK_BYTES = 32;
const TWO_32 = 4294967296;
const TRUNCATED = -1;
const BAD_WINDOW = -2;
const UNSAFE_TIME = -3;

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
  // A copy with zeros behind, so that the loop looks for the end once per sample.
  const bytes = new Uint8Array(data.length + SLACK_BYTES);
  bytes.set(data);
  const view = new DataView(bytes.buffer);
  const { timestampsMs, valueWords, startTimestamps } = target;
  const result = decodeSamples(bytes, view, data.length, count, timestampsMs, valueWords, at, hasStartTimestamps(data) ? startTimestamps : undefined);
  if (result === count) return count;
  if (result === TRUNCATED) throw corrupt(name, `${count} samples, ${data.length} bytes end before the last one`);
  if (result === BAD_WINDOW) throw corrupt(name, 'a value has a bad window');
  throw corrupt(name, 'a time is beyond ±(2^53 − 1)');
}

function corrupt(name: string, what: string): TsdbError {
  return new TsdbError('ERR_CHUNK_CORRUPT', `decode XOR2 chunk of ${name}: ${what}`);
}

/** 32 bits from a bit position, as a signed number. */
function read32(bytes: Uint8Array, view: DataView, bit: number): number {
  const at = bit >>> 3;
  const shift = bit & 7;
  return (view.getInt32(at) << shift) | (bytes[at + 4]! >>> (8 - shift));
}

/** Signed 64 bits from a bit position; beyond 2^53 the nearest double, which callers refuse. */
function read64(bytes: Uint8Array, view: DataView, bit: number): number {
  return read32(bytes, view, bit) * TWO_32 + (read32(bytes, view, bit + 32) >>> 0);
}

/** @returns offset after a varint of at most 64 bits; 0 when there is none */
function varintEnd(bytes: Uint8Array, at: number): number {
  for (let i = 0; i < 10; i++, at++) {
    const byte = bytes[at]!;
    if (byte < 0x80) return i === 9 && byte > 1 ? 0 : at + 1;
  }
  return 0;
}

/** A zig-zag varint. */
function readVarint(bytes: Uint8Array, at: number, end: number): number {
  let value = 0;
  for (let i = end - 1; i > at; i--) value = value * 128 + (bytes[i]! & 0x7f);
  value = value * 64 + ((bytes[at]! & 0x7f) >>> 1);
  return (bytes[at]! & 1) === 1 ? -value - 1 : value;
}

/** A varint of 64 bits as two's complement. */
function readUvarintAsSigned(bytes: Uint8Array, at: number, end: number): number {
  let hi = 0;
  let lo = 0;
  for (let i = end - 1; i >= at; i--) {
    hi = (hi << 7) | (lo >>> 25);
    lo = (lo << 7) | (bytes[i]! & 0x7f);
  }
  return hi * TWO_32 + (lo >>> 0);
}

/** Called per chunk; the loop runs per sample. @returns `count`, or what is wrong */
function decodeSamples(
  bytes: Uint8Array,
  view: DataView,
  length: number,
  count: number,
  times: Float64Array,
  words: Uint32Array,
  to: number,
  starts: Float64Array | undefined,
): number {
  const header = bytes[2]!;
  let at = XOR2_HEADER_BYTES;
  let after = varintEnd(bytes, at);
  if (after === 0 || after + 8 > length) return TRUNCATED;
  let time = readVarint(bytes, at, after);
  let high = view.getInt32(after);
  let low = view.getInt32(after + 4);
  at = after + 8;
  let start = 0;
  if (header >= 0x80) {
    after = varintEnd(bytes, at);
    if (after === 0 || after > length) return TRUNCATED;
    start = time - readVarint(bytes, at, after);
    at = after;
  }
  if (!Number.isSafeInteger(time) || !Number.isSafeInteger(start)) return UNSAFE_TIME;
  times[to] = time;
  words[2 * to] = low;
  words[2 * to + 1] = high;
  if (starts !== undefined) starts[to] = start;
  if (high === STALE_NAN_HI && low === STALE_NAN_LO) {
    high = 0;
    low = 0;
  }
  if (count === 1) return 1;

  after = varintEnd(bytes, at);
  if (after === 0 || after > length) return TRUNCATED;
  let delta = readUvarintAsSigned(bytes, at, after);
  const endBit = length * 8;
  let bit = after * 8;
  // From this sample on a start follows.
  const changeAt = (header & 0x7f) === 0 ? count : header & 0x7f;
  let startDelta = 0;
  // Meaningful bits of the window that fall into the high and the low word, and how far each is shifted left.
  let highBits = 32;
  let lowBits = 32;
  let highShift = 0;
  let lowShift = 0;
  for (let i = 1; i < count; i++) {
    const previous = time;
    // The value code that follows, in the words of the long one: 0 same, 1 last window, 2 new window, 3 stale marker.
    let code: number;
    let control: number;
    if (i > 1) {
      control = read32(bytes, view, bit);
      if (control >= 0) {
        bit += 1;
        code = 0;
      } else if ((control & 0x40000000) === 0) {
        code = (control & 0x20000000) === 0 ? 1 : 2;
        bit += 3;
      } else if (control >>> 27 === 31) {
        bit += 5;
        code = 3;
      } else {
        if ((control & 0x20000000) === 0) {
          delta += (control << 3) >> 19;
          bit += 16;
        } else if ((control & 0x10000000) === 0) {
          delta += (control << 4) >> 12;
          bit += 24;
        } else {
          const change = read64(bytes, view, bit + 5);
          bit += 69;
          if (!Number.isSafeInteger(change)) return bit > endBit ? TRUNCATED : UNSAFE_TIME;
          delta += change;
        }
        code = -1;
      }
    } else code = -1;
    time += delta;
    if (code < 0) {
      control = read32(bytes, view, bit);
      if (control >= 0) {
        bit += 1;
        code = 0;
      } else if ((control & 0x40000000) === 0) {
        bit += 2;
        code = 1;
      } else {
        code = (control & 0x20000000) === 0 ? 2 : 3;
        bit += 3;
      }
    }
    const o = 2 * (to + i);
    if (code === 3) {
      words[o] = STALE_NAN_LO;
      words[o + 1] = STALE_NAN_HI;
    } else {
      if (code !== 0) {
        if (code === 2) {
          control = read32(bytes, view, bit);
          const leading = control >>> 27;
          const width = (control >>> 21) & 63 || 64;
          if (leading + width > 64) return BAD_WINDOW;
          const trailing = 64 - leading - width;
          highBits = Math.min(32 - leading, width);
          lowBits = width - highBits;
          highShift = trailing >= 32 ? trailing - 32 : 0;
          lowShift = trailing >= 32 ? 0 : trailing;
          bit += 11;
        }
        if (highBits > 0) {
          high ^= (read32(bytes, view, bit) >>> (32 - highBits)) << highShift;
          bit += highBits;
        }
        if (lowBits > 0) {
          low ^= (read32(bytes, view, bit) >>> (32 - lowBits)) << lowShift;
          bit += lowBits;
        }
      }
      words[o] = low;
      words[o + 1] = high;
    }
    times[to + i] = time;
    if (i >= changeAt) {
      // A varbit number (varbit.ts), read from the same words: its prefix is at most eight ones.
      control = read32(bytes, view, bit);
      const ones = control >>> 24 === 255 ? 8 : Math.clz32(~control);
      let value: number;
      if (ones < 7) {
        const width = ones < 5 ? 3 * ones : 7 * ones - 17;
        value = 0;
        bit += ones + 1;
        if (width > 0) {
          value = read32(bytes, view, bit) >>> (32 - width);
          if (value > 2 ** (width - 1)) value -= 2 ** width;
        }
        bit += width;
      } else {
        bit += 8;
        value = ones === 7 ? read56(bytes, view, bit) : read64(bytes, view, bit);
        bit += ones === 7 ? 56 : 64;
      }
      startDelta = i === changeAt ? value : startDelta + value;
      start = previous - startDelta;
      if (!Number.isSafeInteger(value) || !Number.isSafeInteger(startDelta) || !Number.isSafeInteger(start)) return bit > endBit ? TRUNCATED : UNSAFE_TIME;
    }
    if (starts !== undefined) starts[to + i] = start;
    if (bit > endBit) return TRUNCATED;
    // An unsafe difference shows in the time it makes.
    if (!(time <= Number.MAX_SAFE_INTEGER && time >= Number.MIN_SAFE_INTEGER && delta <= Number.MAX_SAFE_INTEGER && delta >= Number.MIN_SAFE_INTEGER)) return UNSAFE_TIME;
  }
  return count;
}

/** Signed 56 bits; the one pattern that stands for +2^55 instead is beyond 2^53 either way. */
function read56(bytes: Uint8Array, view: DataView, bit: number): number {
  return (read32(bytes, view, bit) >> 8) * TWO_32 + (read32(bytes, view, bit + 24) >>> 0);
}
