/**
 * Contract of the window kernels: one series' columns in, one value per evaluation step out.
 *
 *   samples   · · ·   · · · ·  ·  ·        ascending timestamps, ms
 *   steps         |     |     |     |      firstEndMs + k · stepMs
 *   window k   (end − rangeMs, end]        left-open, right-closed, as Prometheus 3
 *
 * Series are evaluated one at a time, all steps at once, so two cursors move over the samples instead of a search per step.
 * Numerics (Neumaier-compensated sums, order of operations) are those of Prometheus 3.14, so results agree to the last bit.
 */

/** Functions of `windowFunction`. */
export const WINDOW = {
  rate: 1,
  increase: 2,
  delta: 3,
  irate: 4,
  idelta: 5,
  count: 6,
  present: 7,
  sum: 8,
  avg: 9,
  min: 10,
  max: 11,
  first: 12,
  last: 13,
  stdvar: 14,
  stddev: 15,
  changes: 16,
  resets: 17,
} as const;

/** One of the values of `WINDOW`. */
export type WindowFunction = (typeof WINDOW)[keyof typeof WINDOW];

export interface WindowKernels {
  /**
   * Newest sample in (ref − lookbackMs, ref] for every step, ref = firstRefMs + k · stepMs. A stale marker there means no value.
   * @param outPtr Float64 column of `steps` entries; entries of absent steps are left as they were
   * @param presentPtr `steps` bytes, 1 = value, 0 = absent
   * @returns number of present steps
   */
  lookback(
    timestampsPtr: number,
    valuesPtr: number,
    count: number,
    firstRefMs: number,
    stepMs: number,
    steps: number,
    lookbackMs: number,
    outPtr: number,
    presentPtr: number,
  ): number;

  /**
   * Applies a function of `WINDOW` to the window of every step. The columns must not contain stale markers (see `dropStale`).
   * @param scratchPtr at least 8 · (count + 2) bytes, 8-byte aligned
   * @returns number of present steps
   */
  windowFunction(
    fn: number,
    timestampsPtr: number,
    valuesPtr: number,
    count: number,
    firstEndMs: number,
    stepMs: number,
    steps: number,
    rangeMs: number,
    outPtr: number,
    presentPtr: number,
    scratchPtr: number,
  ): number;

  /** Number of stale markers in a column, recognised by their bits. */
  countStale(valuesPtr: number, count: number): number;

  /** Copies the columns without stale markers; source and target may be the same. @returns samples kept */
  dropStale(timestampsPtr: number, valuesPtr: number, count: number, outTimestampsPtr: number, outValuesPtr: number): number;
}

/** Operations of `accumulate`. */
export const AGGREGATE = { sum: 1, avg: 2, min: 3, max: 4, count: 5, group: 6, stdvar: 7, stddev: 8 } as const;

/** One of the values of `AGGREGATE`. */
export type AggregateFunction = (typeof AGGREGATE)[keyof typeof AGGREGATE];

/** Float64 columns an accumulator of the operation has; one byte per step comes after them. */
export const AGGREGATE_COLUMNS: Readonly<Record<AggregateFunction, number>> = { 1: 2, 2: 3, 3: 1, 4: 1, 5: 1, 6: 0, 7: 3, 8: 3 };

/** Bytes of one group's accumulator for `steps` steps. */
export function accumulatorBytes(op: AggregateFunction, steps: number): number {
  return (AGGREGATE_COLUMNS[op] * 8 + 1) * steps;
}

/**
 * Aggregation of rows of steps into one accumulator per group:
 *
 *   state   [column 0: steps × f64][column 1 …][seen: steps × u8]     zero-filled by the caller before the first row
 *
 *   sum     sum, compensation        min, max   value          group   –
 *   avg     sum or mean, compensation, count    count   count  stdvar, stddev   mean, M2, count
 *
 * Rows must arrive in label order where the order of additions matters. `seen` is 2 once `avg` has fallen back to the incremental mean.
 */
export interface AggregateKernels {
  /** Adds one row (values + present bytes) to the accumulator at `statePtr`. */
  accumulate(op: number, valuesPtr: number, presentPtr: number, steps: number, statePtr: number): void;
  /** Writes the result of an accumulator. @returns number of present steps */
  finishAggregate(op: number, statePtr: number, steps: number, outPtr: number, presentPtr: number): number;
}
