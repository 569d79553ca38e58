/** Twin of as/key-table.ts, with a hash of its own: a table that one of them filled is no table for the other. */
import { KEY_ENTRY_BYTES, KEY_PROBES_MAX, type KeyTableKernels } from '../ingest-kernels.ts';
import type { LinearMemory } from '../kernel-memory.ts';

/** Key table kernels in TypeScript. */
export function createKeyTableTwin(memory: LinearMemory): KeyTableKernels {
  /** Where a search ended: an entry with the key, a free one, or 0. */
  let found = 0;
  const seedWords = new Int32Array(2);
  const seedValue = new Float64Array(seedWords.buffer);

  const hashOf = (ptr: number, length: number, seed: number): number => {
    const { bytes } = memory;
    seedValue[0] = seed;
    let hash = seedWords[0]! ^ Math.imul(seedWords[1]!, 0x9e3779b1) ^ length;
    for (let i = ptr; i < ptr + length; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
    return (hash ^ (hash >>> 15)) | 0;
  };
  const isSame = (a: number, b: number, length: number): boolean => {
    const { bytes } = memory;
    for (let i = 0; i < length; i++) if (bytes[a + i] !== bytes[b + i]) return false;
    return true;
  };
  const search = (ptr: number, length: number, tablePtr: number, entries: number, hash: number): boolean => {
    const { words } = memory;
    let place = hash & (entries - 1);
    for (let probe = 0; probe < KEY_PROBES_MAX; probe++) {
      const at = (tablePtr + place * KEY_ENTRY_BYTES) >>> 2;
      const key = words[at]! >>> 0;
      found = (at << 2) >>> 0;
      if (key === 0) return false;
      if (words[at + 2] === hash && words[at + 1] === length && isSame(key, ptr, length)) return true;
      place = (place + 1) & (entries - 1);
    }
    found = 0;
    return false;
  };

  return {
    findKeys(bytesPtr, rowsPtr, count, sampleFrom, tablePtr, entries, seed, refsPtr) {
      const { doubles, words } = memory;
      let unknown = 0;
      let sample = sampleFrom;
      for (let i = 0; i < count; i++) {
        const row = (rowsPtr >>> 2) + i * 3;
        const start = words[row]!;
        const length = words[row + 1]! - start;
        const isKnown = search(bytesPtr + start, length, tablePtr, entries, hashOf(bytesPtr + start, length, seed));
        const ref = isKnown ? doubles[(found + 16) >>> 3]! : 0;
        if (!isKnown) unknown++;
        for (const end = words[row + 2]!; sample < end; sample++) doubles[(refsPtr >>> 3) + sample - sampleFrom] = ref;
      }
      return unknown;
    },
    putKey(keyPtr, keyBytes, tablePtr, entries, seed, ref) {
      const hash = hashOf(keyPtr, keyBytes, seed);
      const isThere = search(keyPtr, keyBytes, tablePtr, entries, hash);
      if (found === 0) return -1;
      const { doubles, words } = memory;
      doubles[(found + 16) >>> 3] = ref;
      if (isThere) return 0;
      words[found >>> 2] = keyPtr;
      words[(found >>> 2) + 1] = keyBytes;
      words[(found >>> 2) + 2] = hash;
      return 1;
    },
  };
}
