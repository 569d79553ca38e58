/**
 * Appends samples to XOR chunks one by one, as a head does; the bits are those of Prometheus 3.14's appender.
 *
 *   payload      u16 sample count │ sample 0 │ sample 1 │ …                                    most significant bit first
 *   sample 0     varint t                 │ 64 bits of the value
 *   sample 1     uvarint Δt               │ value code
 *   sample n     code of Δt − previous Δt │ value code
 *   time code    0 │ 10 +14 bits │ 110 +17 │ 1110 +20 │ 1111 +64     k bits hold −(2^(k−1)−1) … 2^(k−1)
 *   value code   0 = same │ 10 + bits within the last window │ 11 + 5 bits leading zeros + 6 bits length (0 = 64) + bits
 *
 * The state of many open chunks lies in columns, one row per series, and the payloads in shared pages: per sample nothing is
 * allocated. 64-bit values are two words. Whole columns are encoded by the `encodeXor` kernel instead.
 * Source: Prometheus tsdb/chunkenc/xor.go; "Gorilla: A Fast, Scalable, In-Memory Time Series Database".
 */
import { writeUvarint, writeVarint } from '@gauntlet/bytes';

/** Most bytes one sample can take: 4+64 bits of time, 2+5+6+64 of value, rounded up. */
export const XOR_SAMPLE_BYTES_MAX = 19;
/** A chunk this long or longer gets no further sample, so that it ends within 1024 bytes. */
export const XOR_CHUNK_BYTES_BEFORE_APPEND_MAX: number = 1024 - XOR_SAMPLE_BYTES_MAX;
/** Bytes of the sample count. */
export const XOR_HEADER_BYTES = 2;

/** `leading` before the first window was written. */
const NO_WINDOW = 0xff;

/** State of open chunks, a row each. */
export interface XorAppendState {
  /** Samples in the chunk. */
  count: Uint16Array;
  /** Payload bits in use, the count included. */
  bits: Uint16Array;
  /** Timestamp of the last sample, ms, and its distance from the one before. */
  timeMs: Float64Array;
  delta: Float64Array;
  /** Bits of the last value. */
  high: Uint32Array;
  low: Uint32Array;
  /** Present window of meaningful value bits. */
  leading: Uint8Array;
  trailing: Uint8Array;
}

/** Columns for `rows` open chunks. */
export function createXorAppendState(rows: number): XorAppendState {
  return {
    count: new Uint16Array(rows),
    bits: new Uint16Array(rows),
    timeMs: new Float64Array(rows),
    delta: new Float64Array(rows),
    high: new Uint32Array(rows),
    low: new Uint32Array(rows),
    leading: new Uint8Array(rows),
    trailing: new Uint8Array(rows),
  };
}

/** Writes `width` ≤ 25 bits, with nothing above them, at bit `at`; the bytes behind must be zero. Returns the bit after. */
function putShort(page: Uint8Array, at: number, bits: number, width: number): number {
  const byte = at >>> 3;
  const used = (at & 7) + width;
  const word = bits << (32 - used);
  page[byte]! |= word >>> 24;
  if (used > 8) {
    page[byte + 1] = word >>> 16;
    if (used > 16) {
      page[byte + 2] = word >>> 8;
      if (used > 24) page[byte + 3] = word;
    }
  }
  return at + width;
}

/** As `putShort`, 32 bits. */
function putWord(page: Uint8Array, at: number, bits: number): number {
  return putShort(page, putShort(page, at, bits >>> 16, 16), bits & 0xffff, 16);
}

/** Writes whole bytes at a bit position. */
function putByteRun(page: Uint8Array, at: number, bytes: Uint8Array, count: number): number {
  for (let i = 0; i < count; i++) at = putShort(page, at, bytes[i]!, 8);
  return at;
}

const TWO_32 = 4294967296;

/** Time code of a difference of differences that is neither 0 nor fits into 14 bits. */
function putLongTimeCode(page: Uint8Array, at: number, dod: number): number {
  if (dod >= -65535 && dod <= 65536) return putShort(page, at, (0b110 << 17) | (dod & 0x1ffff), 20);
  if (dod >= -524287 && dod <= 524288) return putShort(page, at, (0b1110 << 20) | (dod & 0xfffff), 24);
  at = putShort(page, at, 0b1111, 4);
  at = putWord(page, at, Math.floor(dod / TWO_32) >>> 0);
  return putWord(page, at, dod >>> 0);
}

function countTrailing(word: number): number {
  return 31 - Math.clz32(word & -word);
}

/**
 * Writes a value code behind `count` ≤ 16 bits that are still to be written, those of `before`.
 * Returns the bit after. The one loop over meaningful bits takes 16 at a time, so that with what is left of a byte they fit a word.
 */
function putValueCode(page: Uint8Array, at: number, before: number, count: number, state: XorAppendState, row: number, high: number, low: number): number {
  const deltaHigh = high ^ state.high[row]!;
  const deltaLow = low ^ state.low[row]!;
  if ((deltaHigh | deltaLow) === 0) return putShort(page, at, before << 1, count + 1);
  let leading = deltaHigh !== 0 ? Math.clz32(deltaHigh) : 32;
  let trailing = deltaLow !== 0 ? countTrailing(deltaLow) : 32 + countTrailing(deltaHigh);
  // Five bits hold at most 31.
  if (leading > 31) leading = 31;
  const oldLeading = state.leading[row]!;
  if (oldLeading !== NO_WINDOW && leading >= oldLeading && trailing >= state.trailing[row]!) {
    at = putShort(page, at, (before << 2) | 0b10, count + 2);
    leading = oldLeading;
    trailing = state.trailing[row]!;
  } else {
    state.leading[row] = leading;
    state.trailing[row] = trailing;
    const header = (0b11 << 11) | (leading << 6) | ((64 - leading - trailing) & 63);
    if (count <= 12) at = putShort(page, at, (before << 13) | header, count + 13);
    else at = putShort(page, putShort(page, at, before, count), header, 13);
  }
  // The meaningful bits, shifted down by `trailing`.
  const width = 64 - leading - trailing;
  let top = 0;
  let bottom = 0;
  if (trailing >= 32) bottom = deltaHigh >>> (trailing - 32);
  else if (trailing === 0) {
    top = deltaHigh;
    bottom = deltaLow;
  } else {
    top = deltaHigh >>> trailing;
    bottom = (deltaLow >>> trailing) | (deltaHigh << (32 - trailing));
  }
  let byte = at >>> 3;
  let left = at & 7;
  let word = page[byte]! >>> (8 - left);
  for (let rest = width; rest > 0; ) {
    const part = ((rest - 1) & 15) + 1;
    rest -= part;
    const bits = rest >= 32 ? top >>> (rest - 32) : bottom >>> rest;
    word = (word << part) | (bits & ((1 << part) - 1));
    left += part;
    if (left >= 16) {
      left -= 16;
      page[byte] = word >>> (left + 8);
      page[byte + 1] = word >>> left;
      byte += 2;
    } else if (left >= 8) {
      left -= 8;
      page[byte++] = word >>> left;
    }
  }
  if (left > 0) page[byte] = word << (8 - left);
  return at + width;
}

/** Makes the function that appends; it owns a few scratch bytes. */
export function createXorAppend(): (page: Uint8Array, chunkAt: number, state: XorAppendState, row: number, timeMs: number, high: number, low: number) => void {
  const scratch = new Uint8Array(10);
  return (page, chunkAt, state, row, timeMs, high, low) => {
    const count = state.count[row]!;
    const base = chunkAt * 8;
    let at: number;
    let delta = 0;
    if (count > 1) {
      at = base + state.bits[row]!;
      delta = timeMs - state.timeMs[row]!;
      const dod = delta - state.delta[row]!;
      if (dod === 0) at = putValueCode(page, at, 0, 1, state, row, high, low);
      else if (dod >= -8191 && dod <= 8192) at = putValueCode(page, at, (0b10 << 14) | (dod & 0x3fff), 16, state, row, high, low);
      else at = putValueCode(page, putLongTimeCode(page, at, dod), 0, 0, state, row, high, low);
    } else if (count === 1) {
      at = base + state.bits[row]!;
      delta = timeMs - state.timeMs[row]!;
      at = putByteRun(page, at, scratch, writeUvarint(scratch, 0, delta));
      at = putValueCode(page, at, 0, 0, state, row, high, low);
    } else {
      at = base + XOR_HEADER_BYTES * 8;
      at = putByteRun(page, at, scratch, writeVarint(scratch, 0, timeMs));
      at = putWord(page, at, high);
      at = putWord(page, at, low);
      state.leading[row] = NO_WINDOW;
      state.trailing[row] = 0;
    }
    state.bits[row] = at - base;
    state.timeMs[row] = timeMs;
    state.delta[row] = delta;
    state.high[row] = high;
    state.low[row] = low;
    state.count[row] = count + 1;
    page[chunkAt] = (count + 1) >>> 8;
    page[chunkAt + 1] = (count + 1) & 0xff;
  };
}
