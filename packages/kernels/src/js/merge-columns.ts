/** Twin of as/merge-columns.ts. Values are pairs of words, so that a NaN keeps its bits. */
import type { MergeKernels } from '../frame-kernels.ts';
import type { LinearMemory } from '../kernel-memory.ts';

const CONFLICT = -1;

/** Merging of columns in TypeScript. */
export function createMergeTwin(memory: LinearMemory): MergeKernels {
  return {
    mergeColumns(timestampsPtr, valuesPtr, lanesPtr, laneCount, outTimestampsPtr, outValuesPtr) {
      const { doubles, words } = memory;
      const times = timestampsPtr >>> 3;
      const values = valuesPtr >>> 2;
      const lanes = lanesPtr >>> 2;
      const outTimes = outTimestampsPtr >>> 3;
      const outValues = outValuesPtr >>> 2;
      for (let count = 0; ; count++) {
        let earliest = -1;
        let time = Number.POSITIVE_INFINITY;
        for (let lane = 0; lane < laneCount; lane++) {
          const at = words[lanes + lane * 2]!;
          if (at >= words[lanes + lane * 2 + 1]! || !(doubles[times + at]! < time)) continue;
          time = doubles[times + at]!;
          earliest = lane;
        }
        if (earliest < 0) return count;
        const from = values + words[lanes + earliest * 2]!++ * 2;
        const low = words[from]!;
        const high = words[from + 1]!;
        for (let lane = earliest + 1; lane < laneCount; lane++) {
          const at = words[lanes + lane * 2]!;
          if (at >= words[lanes + lane * 2 + 1]! || doubles[times + at] !== time) continue;
          if (words[values + at * 2] !== low || words[values + at * 2 + 1] !== high) return CONFLICT;
          words[lanes + lane * 2] = at + 1;
        }
        doubles[outTimes + count] = time;
        words[outValues + count * 2] = low;
        words[outValues + count * 2 + 1] = high;
      }
    },
  };
}
