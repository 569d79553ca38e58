/**
 * Twin of as/xor-decode.ts and as/xor-encode.ts, on 32-bit words. Same results to the bit and the same refusals; the layout of
 * a chunk is described there. Timestamps are doubles, which is exact within the range both accept.
 */
import { writeUvarintWords, writeVarint } from '@gauntlet/bytes';
import type { LinearMemory } from '../kernel-memory.ts';
import { BATCH_NO_ROOM, type XorKernels } from '../kernels.ts';
import { beyondSafe, read32, readUvarintAsSigned, readVarint, varintEnd } from './chunk-bits.ts';

const DAMAGED = -1;
const NOT_ENCODABLE = -1;
const NO_ROOM = -2;
const TWO_32 = 4294967296;
const SAMPLE_ROOM = 32;

/** XOR kernels in TypeScript. */
export function createXorTwin(memory: LinearMemory): XorKernels {
  return {
    decodeXor: (chunkPtr, chunkBytes, timestampsPtr, valuesPtr, sampleMax) =>
      decodeXor(memory.bytes, memory.data, memory.doubles, memory.words, chunkPtr, chunkBytes, timestampsPtr >>> 3, valuesPtr >>> 3, sampleMax),
    decodeXorChunks(descriptorPtr, chunkCount, timestampsPtr, valuesPtr, sampleMax) {
      const { bytes, data, doubles, words } = memory;
      let total = 0;
      for (let i = 0; i < chunkCount; i++) {
        const at = (descriptorPtr >>> 2) + 2 * i;
        const count = decodeXor(
          bytes,
          data,
          doubles,
          words,
          words[at]! >>> 0,
          words[at + 1]! >>> 0,
          (timestampsPtr >>> 3) + total,
          (valuesPtr >>> 3) + total,
          sampleMax - total,
        );
        if (count < 0) return count === NO_ROOM ? BATCH_NO_ROOM : -1 - i;
        total += count;
      }
      return total;
    },
    decodeXorChunksWithin(descriptorPtr, chunkCount, mint, maxt, timestampsPtr, valuesPtr, countsPtr, sampleMax) {
      const { bytes, data, doubles, words } = memory;
      let total = 0;
      for (let i = 0; i < chunkCount; i++) {
        const at = (descriptorPtr >>> 2) + 2 * i;
        const [timestampsAt, valuesAt] = [(timestampsPtr >>> 3) + total, (valuesPtr >>> 3) + total];
        const count = decodeXor(bytes, data, doubles, words, words[at]! >>> 0, words[at + 1]! >>> 0, timestampsAt, valuesAt, sampleMax - total);
        if (count < 0) return count === NO_ROOM ? BATCH_NO_ROOM : -1 - i;
        const end = timestampsAt + count;
        const low = firstAtOrAfter(doubles, timestampsAt, end, mint);
        const high = low < end && doubles[end - 1]! > maxt ? firstAtOrAfter(doubles, low, end, maxt + 1) : end;
        doubles.copyWithin(timestampsAt, low, high);
        words.copyWithin(valuesAt * 2, (valuesAt + low - timestampsAt) * 2, (valuesAt + high - timestampsAt) * 2);
        words[(countsPtr >>> 2) + i] = high - low;
        total += high - low;
      }
      return total;
    },
    countXorSamples(descriptorPtr, chunkCount) {
      const { data, words } = memory;
      let total = 0;
      for (let i = 0; i < chunkCount; i++) {
        const at = (descriptorPtr >>> 2) + 2 * i;
        if (words[at + 1]! >>> 0 >= 2) total += data.getUint16(words[at]! >>> 0);
      }
      return total;
    },
    encodeXor: (timestampsPtr, valuesPtr, count, outPtr, outMax) =>
      encodeXor(memory.bytes, memory.data, memory.doubles, memory.words, timestampsPtr >>> 3, valuesPtr >>> 3, count, outPtr, outMax),
  };
}

/** First index in [low, high) whose timestamp is at or after `time`, else `high`. */
function firstAtOrAfter(doubles: Float64Array, low: number, high: number, time: number): number {
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (doubles[middle]! < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** `timestampsAt` and `valuesAt` are indexes of doubles; values are written as words, low word first, so NaN payloads survive. */
function decodeXor(
  bytes: Uint8Array,
  data: DataView,
  doubles: Float64Array,
  words: Int32Array,
  chunkPtr: number,
  chunkBytes: number,
  timestampsAt: number,
  valuesAt: number,
  sampleMax: number,
): number {
  if (chunkBytes < 2) return DAMAGED;
  const count = data.getUint16(chunkPtr);
  if (count > sampleMax) return NO_ROOM;
  if (count === 0) return 0;
  const end = chunkPtr + chunkBytes;
  let at = chunkPtr + 2;
  let after = varintEnd(bytes, at, end);
  if (after === 0) return DAMAGED;
  let timestamp = readVarint(bytes, at, after);
  if (beyondSafe(timestamp)) return DAMAGED;
  at = after;
  if (end - at < 8) return DAMAGED;
  let hi = data.getInt32(at);
  let lo = data.getInt32(at + 4);
  at += 8;
  doubles[timestampsAt] = timestamp;
  words[2 * valuesAt] = lo;
  words[2 * valuesAt + 1] = hi;
  if (count === 1) return 1;

  after = varintEnd(bytes, at, end);
  if (after === 0) return DAMAGED;
  let delta = readUvarintAsSigned(bytes, at, after);
  if (beyondSafe(delta)) return DAMAGED;
  timestamp += delta;

  const endBit = chunkBytes * 8;
  let bit = (after - chunkPtr) * 8;
  // Significant bits of the XOR window that fall into the high and the low word, and how far each is shifted left.
  let highBits = 32;
  let lowBits = 32;
  let highShift = 0;
  let lowShift = 0;
  for (let i = 1; ; i++) {
    const control = read32(bytes, data, chunkPtr, bit);
    if (control >= 0) {
      bit += 1;
    } else {
      if ((control & 0x40000000) !== 0) {
        const leading = (control >>> 25) & 31;
        const width = (control >>> 19) & 63 || 64;
        if (leading + width > 64) return DAMAGED;
        const trailing = 64 - leading - width;
        highBits = Math.min(32 - leading, width);
        lowBits = width - highBits;
        highShift = trailing >= 32 ? trailing - 32 : 0;
        lowShift = trailing >= 32 ? 0 : trailing;
        bit += 13;
      } else {
        bit += 2;
      }
      if (highBits > 0) {
        hi ^= (read32(bytes, data, chunkPtr, bit) >>> (32 - highBits)) << highShift;
        bit += highBits;
      }
      if (lowBits > 0) {
        lo ^= (read32(bytes, data, chunkPtr, bit) >>> (32 - lowBits)) << lowShift;
        bit += lowBits;
      }
    }
    doubles[timestampsAt + i] = timestamp;
    words[2 * (valuesAt + i)] = lo;
    words[2 * (valuesAt + i) + 1] = hi;
    if (bit > endBit) return DAMAGED;
    if (i + 1 >= count) break;

    const window = read32(bytes, data, chunkPtr, bit);
    if (window >= 0) {
      bit += 1;
    } else if (window >>> 30 === 2) {
      delta += fromStored((window << 2) >> 18, -8192);
      bit += 16;
    } else if (window >>> 29 === 6) {
      delta += fromStored((window << 3) >> 15, -65536);
      bit += 20;
    } else if (window >>> 28 === 14) {
      delta += fromStored((window << 4) >> 12, -524288);
      bit += 24;
    } else {
      const change = read32(bytes, data, chunkPtr, bit + 4) * TWO_32 + (read32(bytes, data, chunkPtr, bit + 36) >>> 0);
      bit += 68;
      if (bit > endBit || beyondSafe(change)) return DAMAGED;
      delta += change;
      if (beyondSafe(delta)) return DAMAGED;
    }
    timestamp += delta;
  }
  return timestampsAreSafe(doubles, timestampsAt, count) ? count : DAMAGED;
}

function encodeXor(
  bytes: Uint8Array,
  data: DataView,
  doubles: Float64Array,
  words: Int32Array,
  timestampsAt: number,
  valuesAt: number,
  count: number,
  outPtr: number,
  outMax: number,
): number {
  if (count > 65535 || count < 0) return NOT_ENCODABLE;
  if (outMax < 2) return NO_ROOM;
  data.setUint16(outPtr, count);
  if (count === 0) return 2;
  const outEnd = outPtr + outMax;
  let previous = doubles[timestampsAt]!;
  if (!Number.isSafeInteger(previous)) return NOT_ENCODABLE;
  if (outPtr + 2 + SAMPLE_ROOM > outEnd) return NO_ROOM;
  const out = new BitSink(bytes, writeVarint(bytes, outPtr + 2, previous));
  let lo = words[2 * valuesAt]!;
  let hi = words[2 * valuesAt + 1]!;
  out.put(hi, 32);
  out.put(lo, 32);
  let leading = -1;
  let trailing = 0;
  let delta = 0;
  for (let i = 1; i < count; i++) {
    if (out.at + SAMPLE_ROOM > outEnd) return NO_ROOM;
    const timestamp = doubles[timestampsAt + i]!;
    const nextDelta = timestamp - previous;
    const change = nextDelta - delta;
    if (!Number.isSafeInteger(timestamp) || !Number.isSafeInteger(nextDelta)) return NOT_ENCODABLE;
    previous = timestamp;
    delta = nextDelta;
    if (i === 1) {
      // A negative first delta is written as its two's complement, which takes ten bytes.
      out.at = writeUvarintWords(bytes, out.at, Math.floor(nextDelta / TWO_32), nextDelta);
    } else if (change === 0) {
      out.put(0, 1);
    } else if (change >= -8191 && change <= 8192) {
      out.put(0x8000 | (change & 0x3fff), 16);
    } else if (change >= -65535 && change <= 65536) {
      out.put(0xc0000 | (change & 0x1ffff), 20);
    } else if (change >= -524287 && change <= 524288) {
      out.put(0xe00000 | (change & 0xfffff), 24);
    } else {
      if (!Number.isSafeInteger(change)) return NOT_ENCODABLE;
      out.put(0xf, 4);
      out.put(Math.floor(change / TWO_32) | 0, 32);
      out.put(change | 0, 32);
    }

    const nextLo = words[2 * (valuesAt + i)]!;
    const nextHi = words[2 * (valuesAt + i) + 1]!;
    const xorLo = nextLo ^ lo;
    const xorHi = nextHi ^ hi;
    lo = nextLo;
    hi = nextHi;
    if ((xorLo | xorHi) === 0) {
      out.put(0, 1);
      continue;
    }
    const nextLeading = xorHi === 0 ? 31 : Math.min(31, Math.clz32(xorHi));
    const nextTrailing = xorLo === 0 ? 63 - Math.clz32(xorHi & -xorHi) : 31 - Math.clz32(xorLo & -xorLo);
    if (leading >= 0 && nextLeading >= leading && nextTrailing >= trailing) {
      out.put(2, 2);
    } else {
      leading = nextLeading;
      trailing = nextTrailing;
      out.put(0x1800 | (leading << 6) | ((64 - leading - trailing) & 63), 13);
    }
    const width = 64 - leading - trailing;
    const high = Math.min(32 - leading, width);
    const low = width - high;
    if (high > 0) out.put(trailing >= 32 ? xorHi >>> (trailing - 32) : xorHi, high);
    if (low > 0) out.put(xorLo >>> Math.min(trailing, 31), low);
  }
  return out.finish() - outPtr;
}

/** Collects bits, most significant first; lives only inside one call. */
class BitSink {
  /** Next byte to write. */
  at: number;
  #pending = 0;
  #used = 0;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.at = at;
  }

  /** Appends the `width` (1 to 32) low bits of `value`. */
  put(value: number, width: number): void {
    const left = value << (32 - width);
    let word = this.#pending | (left >>> this.#used);
    let total = this.#used + width;
    let at = this.at;
    while (total >= 8) {
      this.#bytes[at++] = word >>> 24;
      word <<= 8;
      total -= 8;
    }
    // Up to seven bits of a 32-bit value did not fit beside the pending ones.
    if (this.#used + width > 32) word = (left << (32 - this.#used)) | 0;
    this.at = at;
    this.#pending = word;
    this.#used = total;
  }

  /** Writes the last, partly filled byte, if there is one; returns the end. */
  finish(): number {
    if (this.#used > 0) this.#bytes[this.at++] = this.#pending >>> 24;
    return this.at;
  }
}

function fromStored(value: number, lowest: number): number {
  return value === lowest ? -lowest : value;
}

function timestampsAreSafe(doubles: Float64Array, at: number, count: number): boolean {
  let previous = doubles[at]!;
  for (let i = at; i < at + count; i++) {
    const timestamp = doubles[i]!;
    if (beyondSafe(timestamp) || beyondSafe(timestamp - previous)) return false;
    previous = timestamp;
  }
  return true;
}
