/** Twin of as/merge-penalty.ts, sample by sample: both sides move to their targets, the earlier is chosen. Values are pairs of words, so that a NaN keeps its bits. */
import type { LinearMemory } from '../kernel-memory.ts';
import type { ReplicaKernels } from '../replica-kernels.ts';
import { sumCounterColumns } from './counter-resets.ts';

const INITIAL_PENALTY_MS = 5000;

/** Replicas' timelines in TypeScript. */
export function createReplicaTwin(memory: LinearMemory): ReplicaKernels {
  return {
    applyCounterResets(timestampsPtr, valuesPtr, count) {
      return sumCounterColumns(memory.f64(timestampsPtr, count), memory.f64(valuesPtr, count), count);
    },

    mergePenalty(aTimestampsPtr, aValuesPtr, aCount, bTimestampsPtr, bValuesPtr, bCount, isCounter, outTimestampsPtr, outValuesPtr) {
      const { doubles, words } = memory;
      const aTimes = aTimestampsPtr >>> 3;
      const bTimes = bTimestampsPtr >>> 3;
      const aValues = aValuesPtr >>> 3;
      const bValues = bValuesPtr >>> 3;
      const outTimes = outTimestampsPtr >>> 3;
      const outValues = outValuesPtr >>> 3;
      let ai = 0;
      let bi = 0;
      let aPenalty = 0;
      let bPenalty = 0;
      let aError = 0;
      let bError = 0;
      let last = -Infinity;
      let usesA = true;
      for (let length = 0; ; length++) {
        const usedA: boolean = usesA;
        const hadLast = usedA ? ai < aCount : bi < bCount;
        const lastValue = !hadLast ? 0 : usedA ? doubles[aValues + ai]! + aError : doubles[bValues + bi]! + bError;
        while (ai < aCount && doubles[aTimes + ai]! < last + 1 + aPenalty) ai++;
        while (bi < bCount && doubles[bTimes + bi]! < last + 1 + bPenalty) bi++;
        const hasA = ai < aCount;
        const hasB = bi < bCount;
        if (!hasA && !hasB) return length;
        usesA = hasA && !(hasB && doubles[bTimes + bi]! < doubles[aTimes + ai]!);
        const time = usesA ? doubles[aTimes + ai]! : doubles[bTimes + bi]!;
        const penalty = last === -Infinity ? INITIAL_PENALTY_MS : 2 * (time - last);
        aPenalty = usesA ? 0 : penalty;
        bPenalty = usesA ? penalty : 0;
        last = time;
        if (isCounter !== 0 && usesA !== usedA && hadLast) {
          if (hasA && lastValue > doubles[aValues + ai]! + aError) aError += lastValue - (doubles[aValues + ai]! + aError);
          if (hasB && lastValue > doubles[bValues + bi]! + bError) bError += lastValue - (doubles[bValues + bi]! + bError);
        }
        const from = usesA ? aValues + ai : bValues + bi;
        const error = usesA ? aError : bError;
        const to = outValues + length;
        doubles[outTimes + length] = time;
        words[2 * to] = words[2 * from]!;
        words[2 * to + 1] = words[2 * from + 1]!;
        if (error !== 0) doubles[to] = doubles[from]! + error;
      }
    },
  };
}
