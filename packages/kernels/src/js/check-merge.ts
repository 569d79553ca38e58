/** Twin of as/check-merge.ts. Values are pairs of words, so that a NaN keeps its bits. */
import type { MergeCheckKernels } from '../frame-kernels.ts';
import type { LinearMemory } from '../kernel-memory.ts';

/** Proving merges in TypeScript. */
export function createMergeCheckTwin(memory: LinearMemory): MergeCheckKernels {
  return {
    checkMerge(timestampsPtr, valuesPtr, lanesPtr, laneCount, first, end) {
      const { doubles, words } = memory;
      const times = timestampsPtr >>> 3;
      const values = valuesPtr >>> 2;
      const lanesFrom = lanesPtr >>> 2;
      const lanesEnd = lanesFrom + laneCount * 2;
      let previous = Number.NEGATIVE_INFINITY;
      for (let out = first; out < end; out++) {
        const time = doubles[times + out]!;
        if (!(time > previous)) return 0;
        previous = time;
        let isFound = false;
        for (let lane = lanesFrom; lane < lanesEnd; lane += 2) {
          const at = words[lane]!;
          if (at === words[lane + 1] || doubles[times + at] !== time) continue;
          words[lane] = at + 1;
          if (words[values + at * 2] === words[values + out * 2] && words[values + at * 2 + 1] === words[values + out * 2 + 1]) isFound = true;
        }
        if (!isFound) return 0;
      }
      // A sample that the run lacks is never passed.
      for (let lane = lanesFrom; lane < lanesEnd; lane += 2) if (words[lane] !== words[lane + 1]) return 0;
      return 1;
    },
  };
}
