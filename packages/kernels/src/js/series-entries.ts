/** Twin of as/series-entries.ts. Sums beyond 2^53 occur, rounded, only in entries that are then refused. */
import { crc32c } from '@gauntlet/bytes';
import type { LinearMemory } from '../kernel-memory.ts';
import type { SeriesEntryKernels } from '../kernels.ts';

const SAFE_MAX = Number.MAX_SAFE_INTEGER;

/** Series entry kernels in TypeScript. */
export function createSeriesEntryTwin(memory: LinearMemory): SeriesEntryKernels {
  /** Where the next varint begins. */
  let at = 0;

  /** A varint of at most eight bytes and SAFE_MAX that ends before `limit`; −1 for any other. */
  const uvarint = (bytes: Uint8Array, limit: number): number => {
    let value = 0;
    for (let scale = 1; scale < 2 ** 56; scale *= 128) {
      if (at >= limit) return -1;
      const byte = bytes[at++]!;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value > SAFE_MAX ? -1 : value;
    }
    return -1;
  };

  return {
    decodeSeriesEntries(bytesPtr, length, offsetsPtr, count, mint, maxt, symbolsPtr, symbolMax, chunksPtr, chunkMax, endsPtr) {
      const { bytes, data, doubles, words } = memory;
      const end = bytesPtr + length;
      const column = chunksPtr >>> 3;
      let symbols = 0;
      let chunks = 0;
      for (let i = 0; i < count; i++) {
        at = bytesPtr + data.getUint32(offsetsPtr + i * 4, true);
        const bodyBytes = uvarint(bytes, end);
        if (bodyBytes < 0 || bodyBytes + 4 > end - at) return i;
        const bodyEnd = at + bodyBytes;
        if (crc32c(bytes.subarray(at, bodyEnd)) !== data.getUint32(bodyEnd)) return i;

        const labelCount = uvarint(bytes, bodyEnd);
        if (labelCount < 0 || labelCount * 2 > bodyEnd - at || labelCount * 2 > symbolMax - symbols) return i;
        for (let j = 0; j < labelCount * 2; j++) {
          const ordinal = uvarint(bytes, bodyEnd);
          if (ordinal < 0 || ordinal > 0xffffffff) return i;
          data.setUint32(symbolsPtr + (symbols + j) * 4, ordinal, true);
        }

        const chunkCount = uvarint(bytes, bodyEnd);
        if (chunkCount < 0 || chunkCount * 3 > bodyEnd - at) return i;
        let from = 0;
        let to = 0;
        let ref = 0;
        let kept = chunks;
        for (let j = 0; j < chunkCount; j++) {
          const a = uvarint(bytes, bodyEnd);
          const b = uvarint(bytes, bodyEnd);
          const c = uvarint(bytes, bodyEnd);
          if (a < 0 || b < 0 || c < 0) return i;
          from = j === 0 ? zigzag(a) : to + a;
          to = from + b;
          ref = j === 0 ? c : ref + zigzag(c);
          if (from < -SAFE_MAX || to > SAFE_MAX || ref < 0 || ref > SAFE_MAX) return i;
          if (to < mint || from > maxt) continue;
          if (kept === chunkMax) return i;
          doubles[column + kept] = from;
          doubles[column + chunkMax + kept] = to;
          doubles[column + 2 * chunkMax + kept] = ref;
          kept++;
        }
        symbols += labelCount * 2;
        chunks = kept;
        words[(endsPtr >>> 2) + i * 2] = symbols;
        words[(endsPtr >>> 2) + i * 2 + 1] = chunks;
      }
      return count;
    },
  };
}

/** The signed number behind an unsigned one: 0, −1, 1, −2, … */
function zigzag(value: number): number {
  const half = Math.floor(value / 2);
  return value % 2 === 0 ? half : -half - 1;
}
