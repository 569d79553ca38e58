/**
 * Twin of as/xor2-decode.ts, on 32-bit words: the same results to the bit and the same refusals. Also for chunks outside of the memory of
 * kernels: `decodeXor2Columns` takes any bytes with slack behind them.
 *
 *   payload      u16 sample count │ start header │ sample 0 │ sample 1 │ …                      most significant bit first
 *   header       1 bit: sample 0 has a start │ 7 bits: first sample whose start differs, 0 = none
 *   sample 0     varint t │ 64 bits of the value │ varint t − start, if the header says so
 *   sample 1     uvarint Δt │ value code │ start
 *   sample n     0 = same Δt, same value │ 10 + short value code = same Δt │ 11111 = same Δt, stale marker
 *                110 +13 bits, 1110 +20, 11110 +64 = change of Δt, two's complement, then value code │ start
 *   value code   0 = same │ 10 + bits within the last window │ 110 + 5 bits leading zeros + 6 bits length (0 = 64) + bits │ 111 = stale marker
 *   short code   0 + bits within the last window │ 1 + window + bits
 *   start        from the sample of the header on: varbit previous t − start, later its change
 *
 * Values are differences to the last one that is no stale marker. Source: Prometheus tsdb/chunkenc/xor2.go.
 */
import type { LinearMemory } from '../kernel-memory.ts';
import type { Xor2Kernels } from '../xor2-kernels.ts';
import { beyondSafe, read32, readUvarintAsSigned, readVarint, varintEnd } from './chunk-bits.ts';

/** Why a chunk is refused: `decodeXor2Columns`. */
export const XOR2_REFUSAL = { truncated: -1, noRoom: -2, badWindow: -3, unsafeTime: -4 } as const;

const { truncated: TRUNCATED, noRoom: NO_ROOM, badWindow: BAD_WINDOW, unsafeTime: UNSAFE_TIME } = XOR2_REFUSAL;
const HEADER_BYTES = 3;
const TWO_32 = 4294967296;
/** Bits of the stale marker. */
const STALE_HI = 0x7ff00000;
const STALE_LO = 2;

/** XOR2 kernel in TypeScript. */
export function createXor2Twin(memory: LinearMemory): Xor2Kernels {
  return {
    decodeXor2(chunkPtr, chunkBytes, timestampsPtr, valuesPtr, startsPtr, sampleMax) {
      const { bytes, data, doubles, words } = memory;
      const count = decodeXor2Columns(bytes, data, chunkPtr, chunkBytes, doubles, timestampsPtr >>> 3, words, valuesPtr >>> 3, startsPtr === 0 ? undefined : doubles, startsPtr >>> 3, sampleMax);
      return count >= 0 || count === NO_ROOM ? count : TRUNCATED;
    },
  };
}

/**
 * Decodes one chunk.
 * @param bytes what `data` views too; 16 bytes behind the chunk may be read
 * @param timesAt index in `times` of the first sample; `valuesAt` and `startsAt` likewise
 * @param words values, low word first; index of a value is half that of its words
 * @param starts undefined when they are not wanted
 * @returns samples written, or an XOR2_REFUSAL
 */
export function decodeXor2Columns(
  bytes: Uint8Array,
  data: DataView,
  chunkPtr: number,
  chunkBytes: number,
  times: Float64Array,
  timesAt: number,
  words: Int32Array,
  valuesAt: number,
  starts: Float64Array | undefined,
  startsAt: number,
  sampleMax: number,
): number {
  if (chunkBytes < HEADER_BYTES) return TRUNCATED;
  const count = data.getUint16(chunkPtr);
  if (count > sampleMax) return NO_ROOM;
  if (count === 0) return 0;
  const header = bytes[chunkPtr + 2]!;
  const end = chunkPtr + chunkBytes;
  let at = chunkPtr + HEADER_BYTES;
  let after = varintEnd(bytes, at, end);
  if (after === 0 || end - after < 8) return TRUNCATED;
  let time = readVarint(bytes, at, after);
  if (beyondSafe(time)) return UNSAFE_TIME;
  let high = data.getInt32(after);
  let low = data.getInt32(after + 4);
  at = after + 8;
  let start = 0;
  if (header >= 0x80) {
    after = varintEnd(bytes, at, end);
    if (after === 0) return TRUNCATED;
    const distance = readVarint(bytes, at, after);
    start = time - distance;
    if (beyondSafe(distance) || beyondSafe(start)) return UNSAFE_TIME;
    at = after;
  }
  times[timesAt] = time;
  words[2 * valuesAt] = low;
  words[2 * valuesAt + 1] = high;
  if (starts !== undefined) starts[startsAt] = start;
  if (high === STALE_HI && low === STALE_LO) {
    high = 0;
    low = 0;
  }
  if (count === 1) return 1;

  after = varintEnd(bytes, at, end);
  if (after === 0) return TRUNCATED;
  let delta = readUvarintAsSigned(bytes, at, after);
  if (beyondSafe(delta)) return UNSAFE_TIME;
  const endBit = chunkBytes * 8;
  const changeAt = (header & 0x7f) === 0 ? count : header & 0x7f;
  let bit = (after - chunkPtr) * 8;
  let startDistance = 0;
  // Meaningful bits of the window that fall into the high and the low word, and how far each is shifted left.
  let highBits = 32;
  let lowBits = 32;
  let highShift = 0;
  let lowShift = 0;
  for (let i = 1; i < count; i++) {
    const previous = time;
    let control = read32(bytes, data, chunkPtr, bit);
    // The value code: 0 same, 1 last window, 2 new window, 3 stale marker; −1 = it comes behind the time.
    let code = -1;
    if (i > 1) {
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
          const change = read64(bytes, data, chunkPtr, bit + 5);
          bit += 69;
          if (bit > endBit) return TRUNCATED;
          if (beyondSafe(change)) return UNSAFE_TIME;
          delta += change;
        }
        if (beyondSafe(delta)) return bit > endBit ? TRUNCATED : UNSAFE_TIME;
        control = read32(bytes, data, chunkPtr, bit);
      }
    }
    time += delta;
    if (code < 0) {
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
    const out = 2 * (valuesAt + i);
    if (code === 3) {
      words[out] = STALE_LO;
      words[out + 1] = STALE_HI;
    } else {
      if (code !== 0) {
        if (code === 2) {
          control = read32(bytes, data, chunkPtr, bit);
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
          high ^= (read32(bytes, data, chunkPtr, bit) >>> (32 - highBits)) << highShift;
          bit += highBits;
        }
        if (lowBits > 0) {
          low ^= (read32(bytes, data, chunkPtr, bit) >>> (32 - lowBits)) << lowShift;
          bit += lowBits;
        }
      }
      words[out] = low;
      words[out + 1] = high;
    }
    times[timesAt + i] = time;
    if (bit > endBit) return TRUNCATED;
    if (beyondSafe(time)) return UNSAFE_TIME;

    if (i >= changeAt) {
      // A varbit number: its prefix is at most eight ones.
      control = read32(bytes, data, chunkPtr, bit);
      let change = 0;
      if (control >= 0) bit += 1;
      else {
        const ones = control >>> 24 === 255 ? 8 : Math.clz32(~control);
        if (ones < 7) {
          const width = ones < 5 ? 3 * ones : 7 * ones - 17;
          bit += ones + 1;
          change = read32(bytes, data, chunkPtr, bit) >>> (32 - width);
          // k bits hold −(2^(k−1) − 1) … 2^(k−1).
          if (change > 1 << (width - 1)) change -= 1 << width;
          bit += width;
        } else {
          bit += 8;
          change = ones === 7 ? read56(bytes, data, chunkPtr, bit) : read64(bytes, data, chunkPtr, bit);
          bit += ones === 7 ? 56 : 64;
        }
        if (bit > endBit) return TRUNCATED;
        if (beyondSafe(change)) return UNSAFE_TIME;
      }
      startDistance = i === changeAt ? change : startDistance + change;
      start = previous - startDistance;
      if (bit > endBit) return TRUNCATED;
      if (beyondSafe(startDistance) || beyondSafe(start)) return UNSAFE_TIME;
    }
    if (starts !== undefined) starts[startsAt + i] = start;
  }
  return count;
}

/** Signed 64 bits; beyond 2^53 the nearest double, which is refused. */
function read64(bytes: Uint8Array, data: DataView, chunkPtr: number, bit: number): number {
  return read32(bytes, data, chunkPtr, bit) * TWO_32 + (read32(bytes, data, chunkPtr, bit + 32) >>> 0);
}

/** Signed 56 bits; the one pattern that stands for +2^55 instead is refused either way. */
function read56(bytes: Uint8Array, data: DataView, chunkPtr: number, bit: number): number {
  return (read32(bytes, data, chunkPtr, bit) >> 8) * TWO_32 + (read32(bytes, data, chunkPtr, bit + 24) >>> 0);
}
