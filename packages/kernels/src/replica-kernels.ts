/**
 * Contract of the kernels that make one series out of replicas as Thanos' `penalty` does: counters become running totals, two replicas one
 * timeline. Floats only; what each rule means is told in packages/dedup (src/merge-penalty.ts, src/counter-resets.ts).
 */

/** See the head of this file. */
export interface ReplicaKernels {
  /**
   * Rewrites a counter in place as a running total: 5 7 2 4 → 5 7 9 11. Samples that are NaN or not later than the last are dropped.
   * @param timestampsPtr `count` float64 milliseconds, integers; not always ascending, since chunks one behind the other may not be
   * @returns samples left, strictly ascending
   */
  applyCounterResets(timestampsPtr: number, valuesPtr: number, count: number): number;

  /**
   * Merges two replicas: stays with one while it has samples; the other has to come back with one later than twice the last step. Values keep their
   * bits where they are not raised.
   * @param aTimestampsPtr `aCount` float64 milliseconds, integers within ±2^51, strictly ascending; likewise b
   * @param isCounter nonzero: at a switch, a side that shows less than the last value is raised to it from then on
   * @param outTimestampsPtr out, apart from both sides: room for `aCount + bCount` samples; `outValuesPtr` likewise
   * @returns samples written
   */
  mergePenalty(
    aTimestampsPtr: number,
    aValuesPtr: number,
    aCount: number,
    bTimestampsPtr: number,
    bValuesPtr: number,
    bCount: number,
    isCounter: number,
    outTimestampsPtr: number,
    outValuesPtr: number,
  ): number;
}
