/** Twin of as/xor-newest.ts: the newest sample of each XOR chunk within a range, with the same refusals. The stream is described in as/xor-decode.ts. */
import type { LinearMemory } from '../kernel-memory.ts';
import type { XorNewestKernels } from '../kernels.ts';
import { beyondSafe, read32, readUvarintAsSigned, readVarint, varintEnd } from './chunk-bits.ts';

const REFUSED = -1;
const CHUNK_BYTES_MAX = 4096;
const SMALL_DELTA = 2 ** 35;
const SMALL_START = 2 ** 52;
const TWO_32 = 4294967296;

/** The kernel in TypeScript. */
export function createXorNewestTwin(memory: LinearMemory): XorNewestKernels {
  return {
    decodeXorChunksNewest(descriptorPtr, chunkCount, mint, maxt, timestampsPtr, valuesPtr, countsPtr) {
      const { doubles, words } = memory;
      let total = 0;
      for (let i = 0; i < chunkCount; i++) {
        const at = (descriptorPtr >>> 2) + 2 * i;
        const found = newest(memory, words[at]! >>> 0, words[at + 1]! >>> 0, mint, maxt, (timestampsPtr >>> 3) + total, (valuesPtr >>> 3) + total, doubles, words);
        if (found === REFUSED) return -1 - i;
        words[(countsPtr >>> 2) + i] = found;
        total += found;
      }
      return total;
    },
  };
}

/** `timestampAt` and `valueAt` are indexes of doubles; a value is written as words, so NaN payloads survive. */
function newest({ bytes, data }: LinearMemory, chunkPtr: number, chunkBytes: number, mint: number, maxt: number, timestampAt: number, valueAt: number, doubles: Float64Array, words: Int32Array): number {
  if (chunkBytes < 2 || chunkBytes > CHUNK_BYTES_MAX) return REFUSED;
  const count = data.getUint16(chunkPtr);
  if (count === 0) return 0;
  const end = chunkPtr + chunkBytes;
  let after = varintEnd(bytes, chunkPtr + 2, end);
  if (after === 0) return REFUSED;
  let timestamp = readVarint(bytes, chunkPtr + 2, after);
  if (Math.abs(timestamp) > SMALL_START || end - after < 8) return REFUSED;
  if (timestamp > maxt) return 0;
  let hi = data.getInt32(after);
  let lo = data.getInt32(after + 4);
  if (count > 1) {
    const from = after + 8;
    after = varintEnd(bytes, from, end);
    if (after === 0) return REFUSED;
    let delta = readUvarintAsSigned(bytes, from, after);
    if (Math.abs(delta) > SMALL_DELTA) return REFUSED;
    const endBit = chunkBytes * 8;
    let bit = (after - chunkPtr) * 8;
    let width = 64;
    let trailing = 0;
    for (let i = 1; ; i++) {
      if (timestamp + delta > maxt) break;
      timestamp += delta;
      const control = read32(bytes, data, chunkPtr, bit);
      if (control >= 0) {
        bit += 1;
      } else {
        if ((control & 0x40000000) !== 0) {
          const leading = (control >>> 25) & 31;
          width = (control >>> 19) & 63 || 64;
          if (leading + width > 64) return REFUSED;
          trailing = 64 - leading - width;
          bit += 13;
        } else {
          bit += 2;
        }
        // The value bits as two words, right-aligned, then moved to where they belong.
        const high = width > 32 ? read32(bytes, data, chunkPtr, bit) >>> (64 - width) : 0;
        const low = width >= 32 ? read32(bytes, data, chunkPtr, bit + width - 32) : read32(bytes, data, chunkPtr, bit) >>> (32 - width);
        if (trailing >= 32) hi ^= low << (trailing - 32);
        else {
          hi ^= trailing === 0 ? high : (high << trailing) | (low >>> (32 - trailing));
          lo ^= low << trailing;
        }
        bit += width;
      }
      if (i + 1 === count) {
        if (bit > endBit) return REFUSED;
        break;
      }
      if (bit >= endBit) return REFUSED;

      const window = read32(bytes, data, chunkPtr, bit);
      if (window >= 0) {
        bit += 1;
        continue;
      }
      if (window >>> 30 === 2) {
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
        if (beyondSafe(change)) return REFUSED;
        delta += change;
        if (Math.abs(delta) > SMALL_DELTA) return REFUSED;
      }
      if (bit > endBit) return REFUSED;
    }
  }
  if (timestamp < mint) return 0;
  doubles[timestampAt] = timestamp;
  words[2 * valueAt] = lo;
  words[2 * valueAt + 1] = hi;
  return 1;
}

function fromStored(value: number, lowest: number): number {
  return value === lowest ? -lowest : value;
}
