/**
 * Sums, differences, multiples of histograms. Where layouts differ the coarser one wins: the smaller schema, the wider zero bucket, the bounds
 * that both have. Source: Prometheus model/histogram/float_histogram.go, Add, Sub, Mul, Div.
 */
import { type BucketList, bucketsWithin, coarsenList, listBuckets, mergeLists, spansOf, startsBeyond } from './bucket-list.ts';
import { addToSharedBounds, intersectBounds, populatedBuckets } from './custom-bounds.ts';
import { createHistogram, type FloatHistogram, RESET_HINTS, type ResetHint, usesCustomBuckets } from './float-histogram.ts';
import { boundsMatch, spansMatch } from './layout.ts';
import { reconcileZeroBuckets, type ZeroState } from './zero-bucket.ts';

/** A sum or difference, and what a query says about it. */
export interface HistogramArithmetic {
  /** Not compacted: empty buckets of the arguments remain. */
  readonly histogram: FloatHistogram;
  /** One side says reset, the other not reset; the hint of the result is unknown then. */
  readonly counterResetCollision: boolean;
  /** Custom bounds differed. */
  readonly boundsReconciled: boolean;
}

/** a + b; undefined if one has custom buckets and the other has not. */
export function addHistograms(a: FloatHistogram, b: FloatHistogram): HistogramArithmetic | undefined {
  return combine(a, b, 1);
}

/**
 * a − b; undefined as in `addHistograms`. The hint is made as in a sum: the operator `-` of PromQL calls its result a gauge, which is up to the
 * caller (`withResetHint`).
 */
export function subHistograms(a: FloatHistogram, b: FloatHistogram): HistogramArithmetic | undefined {
  return combine(a, b, -1);
}

/** Counts and sum times `factor`; a gauge if that is negative. Fields by name: called per step, and a spread costs ten times as much. */
export function mulHistogram(histogram: FloatHistogram, factor: number): FloatHistogram {
  return createHistogram({
    schema: histogram.schema,
    zeroThreshold: histogram.zeroThreshold,
    zeroCount: histogram.zeroCount * factor,
    count: histogram.count * factor,
    sum: histogram.sum * factor,
    resetHint: factor < 0 ? RESET_HINTS.gauge : histogram.resetHint,
    positiveSpans: histogram.positiveSpans,
    positiveBuckets: timesFactor(histogram.positiveBuckets, factor),
    negativeSpans: histogram.negativeSpans,
    negativeBuckets: timesFactor(histogram.negativeBuckets, factor),
    customValues: histogram.customValues,
  });
}

function timesFactor(buckets: Float64Array, factor: number): Float64Array {
  const scaled = new Float64Array(buckets.length);
  for (let i = 0; i < buckets.length; i++) scaled[i] = buckets[i]! * factor;
  return scaled;
}

/** Counts and sum divided by `divisor`; a gauge if that is negative. Division by 0 leaves no buckets. */
export function divHistogram(histogram: FloatHistogram, divisor: number): FloatHistogram {
  const isZero = divisor === 0;
  return createHistogram({
    ...histogram,
    zeroCount: histogram.zeroCount / divisor,
    count: histogram.count / divisor,
    sum: histogram.sum / divisor,
    positiveSpans: isZero ? [] : histogram.positiveSpans,
    positiveBuckets: isZero ? new Float64Array(0) : histogram.positiveBuckets.map((count) => count / divisor),
    negativeSpans: isZero ? [] : histogram.negativeSpans,
    negativeBuckets: isZero ? new Float64Array(0) : histogram.negativeBuckets.map((count) => count / divisor),
    resetHint: divisor < 0 ? RESET_HINTS.gauge : histogram.resetHint,
  });
}

/** Hint of a sum: a gauge makes it a gauge, then unknown wins; reset and not reset collide to unknown. */
export function combineHints(a: ResetHint, b: ResetHint): ResetHint {
  if (a === b) return a;
  return a === RESET_HINTS.gauge || b === RESET_HINTS.gauge ? RESET_HINTS.gauge : RESET_HINTS.unknown;
}

/** Whether one hint says reset and the other not reset. */
export function hintsCollide(a: ResetHint, b: ResetHint): boolean {
  return (a === RESET_HINTS.reset && b === RESET_HINTS.notReset) || (a === RESET_HINTS.notReset && b === RESET_HINTS.reset);
}

function combine(a: FloatHistogram, b: FloatHistogram, sign: 1 | -1): HistogramArithmetic | undefined {
  if (usesCustomBuckets(a) !== usesCustomBuckets(b)) return undefined;
  const boundsReconciled = usesCustomBuckets(a) && !boundsMatch(a.customValues, b.customValues);
  return {
    histogram: boundsReconciled ? combineOnSharedBounds(a, b, sign) : isSameLayout(a, b) ? combineSameLayout(a, b, sign) : combineLayouts(a, b, sign),
    counterResetCollision: hintsCollide(a.resetHint, b.resetHint),
    boundsReconciled,
  };
}

/** Whether bucket i of one is bucket i of the other, and none lies within the zero bucket. Custom bounds are taken to match. */
function isSameLayout(a: FloatHistogram, b: FloatHistogram): boolean {
  return (
    a.schema === b.schema &&
    a.zeroThreshold === b.zeroThreshold &&
    spansMatch(a.positiveSpans, b.positiveSpans) &&
    spansMatch(a.negativeSpans, b.negativeSpans) &&
    startsBeyond(b.positiveSpans, b.schema, b.zeroThreshold) &&
    startsBeyond(b.negativeSpans, b.schema, b.zeroThreshold)
  );
}

/** The common case, once per step of a rate: no more than the result is allocated. */
function combineSameLayout(a: FloatHistogram, b: FloatHistogram, sign: 1 | -1): FloatHistogram {
  return createHistogram({
    schema: a.schema,
    zeroThreshold: a.zeroThreshold,
    zeroCount: a.zeroCount + sign * b.zeroCount,
    count: a.count + sign * b.count,
    sum: a.sum + sign * b.sum,
    resetHint: combineHints(a.resetHint, b.resetHint),
    positiveSpans: a.positiveSpans,
    positiveBuckets: combineBuckets(a.positiveBuckets, b.positiveBuckets, sign),
    negativeSpans: a.negativeSpans,
    negativeBuckets: a.negativeBuckets.length === 0 ? a.negativeBuckets : combineBuckets(a.negativeBuckets, b.negativeBuckets, sign),
    customValues: a.customValues,
  });
}

function combineBuckets(a: Float64Array, b: Float64Array, sign: 1 | -1): Float64Array {
  const sums = new Float64Array(a.length);
  for (let i = 0; i < sums.length; i++) sums[i] = a[i]! + sign * b[i]!;
  return sums;
}

function combineLayouts(a: FloatHistogram, b: FloatHistogram, sign: 1 | -1): FloatHistogram {
  const totals = combineTotals(a, b, sign);
  if (usesCustomBuckets(a)) return createHistogram({ ...totals, ...positiveOf(mergeLists(positiveList(a), positiveList(b), sign, 0)) });
  const [wideA, wideB] = reconcileZeroBuckets(zeroStateOf(a), zeroStateOf(b));
  const schema = Math.min(a.schema, b.schema);
  const threshold = wideA.zeroThreshold;
  const merge = (listA: BucketList, listB: BucketList): BucketList => {
    const coarseB = coarsenList(listB, b.schema, schema);
    return mergeLists(coarsenList(listA, a.schema, schema), coarseB, sign, bucketsWithin(coarseB, schema, threshold));
  };
  const negative = merge(wideA.negative, wideB.negative);
  return createHistogram({
    ...totals,
    schema,
    zeroThreshold: threshold,
    zeroCount: wideA.zeroCount + sign * wideB.zeroCount,
    ...positiveOf(merge(wideA.positive, wideB.positive)),
    negativeSpans: spansOf(negative.indexes),
    negativeBuckets: negative.counts,
  });
}

function combineOnSharedBounds(a: FloatHistogram, b: FloatHistogram, sign: 1 | -1): FloatHistogram {
  const customValues = intersectBounds(a.customValues, b.customValues);
  const counts = new Float64Array(customValues.length + 1);
  const losses = new Float64Array(counts.length);
  addToSharedBounds(positiveList(a), a.customValues, customValues, 1, counts, losses);
  addToSharedBounds(positiveList(b), b.customValues, customValues, sign, counts, losses);
  return createHistogram({ ...combineTotals(a, b, sign), customValues, ...positiveOf(populatedBuckets(counts, losses)) });
}

/** a with the count, sum and hint of the result; its buckets remain to be combined. */
function combineTotals(a: FloatHistogram, b: FloatHistogram, sign: 1 | -1): FloatHistogram {
  return { ...a, count: a.count + sign * b.count, sum: a.sum + sign * b.sum, resetHint: combineHints(a.resetHint, b.resetHint) };
}

function positiveOf(list: BucketList): Pick<FloatHistogram, 'positiveSpans' | 'positiveBuckets'> {
  return { positiveSpans: spansOf(list.indexes), positiveBuckets: list.counts };
}

function positiveList(histogram: FloatHistogram): BucketList {
  return listBuckets(histogram.positiveSpans, histogram.positiveBuckets);
}

function negativeList(histogram: FloatHistogram): BucketList {
  return listBuckets(histogram.negativeSpans, histogram.negativeBuckets);
}

function zeroStateOf(histogram: FloatHistogram): ZeroState {
  return {
    schema: histogram.schema,
    zeroThreshold: histogram.zeroThreshold,
    zeroCount: histogram.zeroCount,
    zeroLoss: 0,
    positive: positiveList(histogram),
    negative: negativeList(histogram),
  };
}
