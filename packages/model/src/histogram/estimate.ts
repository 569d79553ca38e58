/**
 * What a histogram tells of its observations: quantiles, fractions, average, variance. Within a bucket observations are taken to be spread evenly:
 * on a logarithmic scale in exponential buckets, linearly in custom buckets and the zero bucket.
 *
 *   rank   │←─ buckets below ─→│←─ fraction of this bucket ─→•      │
 *
 * Observations of NaN are in the count but in no bucket; what that does to an estimate is said beside it.
 * Source: Prometheus promql/quantile.go and functions.go (3.14).
 */
import { allBuckets, allBucketsDescending, type BucketCursor } from './bucket-cursor.ts';
import { type FloatHistogram, usesCustomBuckets } from './float-histogram.ts';
import { addCompensated, exp2, log2 } from './float-math.ts';

/** An estimate, and whether observations of NaN are behind it. */
export interface HistogramEstimate {
  readonly value: number;
  /**
   * `skew`: a quantile is too high, since they are counted above everything; a fraction leaves them out. `result`: the quantile lies among them, so
   * it is NaN itself.
   */
  readonly nanObservations: 'none' | 'skew' | 'result';
}

const plain = (value: number): HistogramEstimate => ({ value, nanObservations: 'none' });

/** The value below which the fraction q of observations lies: −Inf for q < 0, +Inf for q > 1, NaN without observations. */
export function quantileOfHistogram(q: number, histogram: FloatHistogram): HistogramEstimate {
  if (q < 0) return plain(-Infinity);
  if (q > 1) return plain(Infinity);
  if (histogram.count === 0 || Number.isNaN(q)) return plain(NaN);
  const mayHaveNaN = Number.isNaN(histogram.sum);
  // The walk is the shorter one; from below if NaN may be counted, since these are above all buckets.
  const isAscending = mayHaveNaN || q < 0.5;
  const cursor = isAscending ? allBuckets(histogram) : allBucketsDescending(histogram);
  let rank = (isAscending ? q : 1 - q) * histogram.count;
  let count = 0;
  while (cursor.next()) {
    if (cursor.count === 0) continue;
    count += cursor.count;
    if (count >= rank) break;
  }
  let { lower, upper } = cursor;
  const inBucket = cursor.count;
  const isCustom = usesCustomBuckets(histogram);
  if (isCustom && lower === -Infinity) {
    if (upper <= 0) return plain(upper);
    lower = 0;
  } else if (isCustom && upper === Infinity) return plain(lower);
  else if (!isCustom && lower < 0 && upper > 0) ({ lower, upper } = clipZeroBucket(histogram, lower, upper));
  // Rounding may have brought the buckets above the count.
  count = Math.min(count, histogram.count);
  if (count < rank) return mayHaveNaN ? { value: NaN, nanObservations: 'result' } : plain(upper);
  rank = isAscending ? rank - (count - inBucket) : count - rank;
  const nanObservations = mayHaveNaN && countOn(cursor, count) < histogram.count ? 'skew' : 'none';
  return { value: interpolate(lower, upper, rank / inBucket, isCustom), nanObservations };
}

/** The fraction of observations between two values; NaN without observations, or if a value is NaN; 0 if `lower` ≥ `upper`. */
export function fractionOfHistogram(lower: number, upper: number, histogram: FloatHistogram): HistogramEstimate {
  if (histogram.count === 0 || Number.isNaN(lower) || Number.isNaN(upper)) return plain(NaN);
  if (lower >= upper) return plain(0);
  const cursor = allBuckets(histogram);
  const isCustom = usesCustomBuckets(histogram);
  let lowerRank: number | undefined;
  let upperRank: number | undefined;
  let rank = 0;
  let count = 0;
  while ((lowerRank === undefined || upperRank === undefined) && cursor.next()) {
    count += cursor.count;
    let bucket = { lower: cursor.lower, upper: cursor.upper };
    const isLinear = isCustom || (bucket.lower <= 0 && bucket.upper >= 0);
    if (bucket.lower <= 0 && bucket.upper >= 0) bucket = clipZeroBucket(histogram, bucket.lower, bucket.upper);
    lowerRank ??= rankWithin(lower, bucket.lower, bucket.upper, rank, cursor.count, isLinear);
    upperRank ??= rankWithin(upper, bucket.lower, bucket.upper, rank, cursor.count, isLinear);
    rank += cursor.count;
  }
  let nanObservations: HistogramEstimate['nanObservations'] = 'none';
  if (Number.isNaN(histogram.sum)) {
    count = countOn(cursor, count);
    if (count < histogram.count) nanObservations = 'skew';
  } else count = histogram.count;
  const from = lowerRank === undefined || lowerRank > count ? count : lowerRank;
  const to = upperRank === undefined || upperRank > count ? count : upperRank;
  return { value: (to - from) / histogram.count, nanObservations };
}

/** Average of the observations; NaN without any. */
export function averageOfHistogram(histogram: FloatHistogram): number {
  return histogram.sum / histogram.count;
}

/** Variance of the observations around their average, each taken to be in the middle of its bucket: the geometric middle of exponential buckets. */
export function varianceOfHistogram(histogram: FloatHistogram): number {
  const mean = averageOfHistogram(histogram);
  const variance = new Float64Array(1);
  const loss = new Float64Array(1);
  const cursor = allBuckets(histogram);
  while (cursor.next()) {
    if (cursor.count === 0) continue;
    const delta = middleOf(cursor, usesCustomBuckets(histogram)) - mean;
    addCompensated(variance, loss, 0, cursor.count * delta * delta);
  }
  return (variance[0]! + loss[0]!) / histogram.count;
}

/** Fraction of a bucket's width that lies below `x`, which is inside it. @param isLinear else on a logarithmic scale */
export function fractionBelow(x: number, lower: number, upper: number, isLinear: boolean): number {
  if (isLinear) return (x - lower) / (upper - lower);
  const logLower = log2(Math.abs(lower));
  const logUpper = log2(Math.abs(upper));
  const logX = log2(Math.abs(x));
  return x > 0 ? (logX - logLower) / (logUpper - logLower) : 1 - (logX - logUpper) / (logLower - logUpper);
}

/** The zero bucket ends at 0 where the histogram has no buckets of that sign. */
function clipZeroBucket(histogram: FloatHistogram, lower: number, upper: number): { lower: number; upper: number } {
  const hasNegative = histogram.negativeBuckets.length > 0;
  const hasPositive = histogram.positiveBuckets.length > 0;
  return { lower: hasPositive && !hasNegative ? 0 : lower, upper: hasNegative && !hasPositive ? 0 : upper };
}

function interpolate(lower: number, upper: number, fraction: number, isCustom: boolean): number {
  if (isCustom || (lower <= 0 && upper >= 0)) return lower + (upper - lower) * fraction;
  const logLower = log2(Math.abs(lower));
  const logUpper = log2(Math.abs(upper));
  return lower > 0 ? exp2(logLower + (logUpper - logLower) * fraction) : -exp2(logUpper + (logLower - logUpper) * (1 - fraction));
}

/** Observations up to `x`, if that is at the lower end of the bucket or inside; undefined if it is above. */
function rankWithin(x: number, lower: number, upper: number, rank: number, count: number, isLinear: boolean): number | undefined {
  if (lower >= x) return rank;
  if (upper <= x) return undefined;
  // Of a bucket without lower end nothing is known: all of it is taken to be below.
  return lower === -Infinity ? count : rank + count * fractionBelow(x, lower, upper, isLinear);
}

/** The count so far and that of all buckets that remain. */
function countOn(cursor: BucketCursor, count: number): number {
  let total = count;
  while (cursor.next()) total += cursor.count;
  return total;
}

function middleOf({ lower, upper }: BucketCursor, isCustom: boolean): number {
  if (isCustom) return (upper + lower) / 2;
  if (lower <= 0 && upper >= 0) return 0;
  return upper < 0 ? -Math.sqrt(upper * lower) : Math.sqrt(upper * lower);
}
