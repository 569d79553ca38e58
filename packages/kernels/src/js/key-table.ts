/** Twin of as/key-table.ts, with a hash of its own: a table that one of them filled is no table for the other. */
import { KEY_ENTRY_BYTES, KEY_HEADER_BYTES, KEY_PROBES_MAX, keyRecordBytes, type KeyTableKernels } from '../ingest-kernels.ts';
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
  const search = (key: number, length: number, tablePtr: number, entries: number, hash: number): boolean => {
    const { words } = memory;
    let place = hash & (entries - 1);
    for (let probe = 0; probe < KEY_PROBES_MAX; probe++) {
      found = tablePtr + place * KEY_ENTRY_BYTES;
      const record = words[found >>> 2]! >>> 0;
      if (record === 0) return false;
      if (words[(found >>> 2) + 1] === hash && words[(record >>> 2) + 2] === length && isSame(record + KEY_HEADER_BYTES, key, length)) return true;
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
      let next = 0;
      for (let i = 0; i < count; i++) {
        const row = (rowsPtr >>> 2) + i * 3;
        const key = bytesPtr + words[row]!;
        const length = words[row + 1]! - words[row]!;
        let record = next;
        if (next === 0 || length === 0 || words[(next >>> 2) + 2] !== length || !isSame(next + KEY_HEADER_BYTES, key, length)) {
          record = search(key, length, tablePtr, entries, hashOf(key, length, seed)) ? words[found >>> 2]! >>> 0 : 0;
        }
        if (record === 0) unknown++;
        else next = record + keyRecordBytes(length);
        const ref = record === 0 ? 0 : doubles[record >>> 3]!;
        for (const end = words[row + 2]!; sample < end; sample++) doubles[(refsPtr >>> 3) + sample - sampleFrom] = ref;
      }
      return unknown;
    },
    putKey(recordPtr, tablePtr, entries, seed) {
      const { doubles, words } = memory;
      const key = recordPtr + KEY_HEADER_BYTES;
      const length = words[(recordPtr >>> 2) + 2]!;
      const hash = hashOf(key, length, seed);
      if (search(key, length, tablePtr, entries, hash)) {
        doubles[words[found >>> 2]! >>> 3] = doubles[recordPtr >>> 3]!;
        return 0;
      }
      if (found === 0) return -1;
      words[found >>> 2] = recordPtr;
      words[(found >>> 2) + 1] = hash;
      return 1;
    },
  };
}
