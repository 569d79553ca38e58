/**
 * Brings zero buckets to one width, so that histograms can be added. Widening a zero bucket takes in the buckets below the new threshold; where
 * that cuts a populated bucket in two, the threshold moves up to the bucket's end.
 *
 *   threshold 0.001 ──┐   (0.5, 1] has 3   wanted: 0.7   →   threshold 1, zero count + 3
 *
 * Source: Prometheus model/histogram/float_histogram.go, reconcileZeroBuckets.
 */
import { exponentialBound } from './bucket-bounds.ts';
import type { BucketList, CompensatedList } from './bucket-list.ts';
import { addCompensated } from './float-math.ts';

/** A histogram as far as its zero bucket can grow. */
export interface ZeroState<List extends BucketList = BucketList> {
  readonly schema: number;
  readonly zeroThreshold: number;
  readonly zeroCount: number;
  /** What compensated summation lost on the way to the zero count. */
  readonly zeroLoss: number;
  readonly positive: List;
  readonly negative: List;
}

/**
 * The state with a zero bucket up to `threshold` at least; buckets that it takes in, and empty ones, are gone.
 * @param threshold at least that of the state
 */
export function widenZeroBucket<List extends BucketList>(state: ZeroState<List>, threshold: number): ZeroState<List> {
  if (threshold === state.zeroThreshold) return state;
  const zero = new Float64Array(1);
  const loss = new Float64Array(1);
  let reached = threshold;
  for (;;) {
    zero[0] = state.zeroCount;
    loss[0] = state.zeroLoss;
    const afterPositive = takeIn(state.positive, state.schema, reached, zero, loss);
    reached = takeIn(state.negative, state.schema, afterPositive, zero, loss);
    // A negative bucket that moved the threshold up makes the positive side wrong.
    if (reached === afterPositive) break;
  }
  return {
    schema: state.schema,
    zeroThreshold: reached,
    zeroCount: zero[0]!,
    zeroLoss: loss[0]!,
    positive: beyond(state.positive, state.schema, reached),
    negative: beyond(state.negative, state.schema, reached),
  };
}

/** Two states with the same threshold, the smallest that cuts no populated bucket of either. */
export function reconcileZeroBuckets<A extends BucketList, B extends BucketList>(a: ZeroState<A>, b: ZeroState<B>): readonly [ZeroState<A>, ZeroState<B>] {
  let wideA = a;
  let wideB = b;
  for (;;) {
    if (wideA.zeroThreshold > wideB.zeroThreshold) wideB = widenZeroBucket(wideB, wideA.zeroThreshold);
    else if (wideB.zeroThreshold > wideA.zeroThreshold) wideA = widenZeroBucket(wideA, wideB.zeroThreshold);
    // Equal; or NaN, in a broken histogram.
    else return [wideA, wideB];
  }
}

/** Adds the buckets that begin below the threshold. @returns the threshold, moved up if it cuts a populated bucket */
function takeIn(list: BucketList, schema: number, threshold: number, zero: Float64Array, loss: Float64Array): number {
  for (let i = 0; i < list.indexes.length; i++) {
    const index = list.indexes[i]!;
    if (exponentialBound(schema, index - 1) >= threshold) break;
    addCompensated(zero, loss, 0, list.counts[i]!);
    if (isCompensated(list)) addCompensated(zero, loss, 0, list.losses[i]!);
    const upper = exponentialBound(schema, index);
    if (upper > threshold) return list.counts[i] === 0 ? threshold : upper;
  }
  return threshold;
}

/** Populated buckets that begin at the threshold or above. */
function beyond<List extends BucketList>(list: List, schema: number, threshold: number): List {
  let size = 0;
  const indexes = new Int32Array(list.indexes.length);
  const counts = new Float64Array(list.indexes.length);
  const losses = isCompensated(list) ? new Float64Array(list.indexes.length) : undefined;
  for (let i = 0; i < list.indexes.length; i++) {
    const lost = isCompensated(list) ? list.losses[i]! : 0;
    if ((list.counts[i] === 0 && lost === 0) || exponentialBound(schema, list.indexes[i]! - 1) < threshold) continue;
    indexes[size] = list.indexes[i]!;
    counts[size] = list.counts[i]!;
    if (losses !== undefined) losses[size] = lost;
    size++;
  }
  const kept = { indexes: indexes.subarray(0, size), counts: counts.subarray(0, size), losses: losses?.subarray(0, size) };
  return kept as BucketList as List;
}

function isCompensated(list: BucketList): list is CompensatedList {
  return (list as Partial<CompensatedList>).losses !== undefined;
}
