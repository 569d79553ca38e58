/**
 * `penalty` over replicas that lie in kernel memory, without a copy on the way in: the kernel merges two, then the result with the third, …
 *
 *   room   [even merges: times │ values]  [odd merges: times │ values]        the second half only for more than two replicas
 *
 * For floats alone. Where each sample came from is not told; `mergePenalty` does both, and counters of more than two replicas.
 */
import type { Kernels } from '@gauntlet/kernels';
import type { PenaltyOptions } from './merge-penalty.ts';

/** Samples in kernel memory: float64 columns, timestamps in whole milliseconds, strictly ascending. */
export interface MemoryColumns {
  readonly timestampsPtr: number;
  readonly valuesPtr: number;
  readonly count: number;
}

/** Room that `mergePenaltyInMemory` takes, bytes. @param samples of all replicas together */
export function penaltyRoomBytes(samples: number, replicas: number): number {
  return 16 * samples * (replicas > 2 ? 2 : 1);
}

/**
 * Merges replicas of one series as `mergePenalty` does.
 * @param replicas at least one, in order of their replica labels; only read
 * @param roomPtr `penaltyRoomBytes` of kernel memory apart from the replicas; the result lies there, or is the only replica
 * @returns undefined for counters of more than two replicas: a switch raises values further left, which takes `mergePenalty`
 */
export function mergePenaltyInMemory(kernels: Pick<Kernels, 'mergePenalty'>, replicas: readonly MemoryColumns[], { isCounter }: PenaltyOptions, roomPtr: number): MemoryColumns | undefined {
  if (replicas.length === 0) throw new RangeError('merge replicas: none given');
  if (isCounter && replicas.length > 2) return undefined;
  let samples = 0;
  for (const { count } of replicas) samples += count;
  let merged = replicas[0]!;
  for (let r = 1; r < replicas.length; r++) {
    const next = replicas[r]!;
    const timestampsPtr = roomPtr + (r % 2 === 0 ? 16 * samples : 0);
    const valuesPtr = timestampsPtr + 8 * samples;
    const count = kernels.mergePenalty(merged.timestampsPtr, merged.valuesPtr, merged.count, next.timestampsPtr, next.valuesPtr, next.count, isCounter ? 1 : 0, timestampsPtr, valuesPtr);
    merged = { timestampsPtr, valuesPtr, count };
  }
  return merged;
}
