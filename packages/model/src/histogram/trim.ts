/**
 * The operators `</` and `>/`: a histogram cut at a value. Buckets beyond are dropped, the one that holds the value keeps its share; count and sum
 * are then estimated from what is left, each bucket's observations taken to be in its middle.
 * Source: Prometheus model/histogram/float_histogram.go, TrimBuckets (3.14).
 */
import { type BucketCursor, negativeBuckets, positiveBuckets } from './bucket-cursor.ts';
import { fractionBelow } from './estimate.ts';
import { createHistogram, type FloatHistogram, usesCustomBuckets } from './float-histogram.ts';
import { compactHistogram } from './layout.ts';

/** What is left of a bucket, and where its observations are taken to be. */
interface Remainder {
  readonly count: number;
  readonly middle: number;
}

/** `h </ x`: observations up to x. The histogram itself if none is above. */
export function keepBelow(histogram: FloatHistogram, x: number): FloatHistogram {
  return trim(histogram, x, true);
}

/** `h >/ x`: observations from x on. The histogram itself if none is below. */
export function keepAbove(histogram: FloatHistogram, x: number): FloatHistogram {
  return trim(histogram, x, false);
}

function trim(histogram: FloatHistogram, x: number, isUpper: boolean): FloatHistogram {
  const isCustom = usesCustomBuckets(histogram);
  const totals = { count: 0, sum: 0, isTrimmed: false };
  const take = (was: number, left: Remainder): number => {
    totals.count += left.count;
    totals.sum += left.middle * left.count;
    totals.isTrimmed ||= was !== left.count;
    return left.count;
  };
  const trimSide = (cursor: BucketCursor, buckets: Float64Array, isPositive: boolean): { kept: Float64Array; isPopulated: boolean } => {
    const kept = buckets.slice();
    let isPopulated = false;
    while (cursor.next()) {
      if (cursor.count === 0) continue;
      isPopulated = true;
      kept[cursor.position] = take(cursor.count, trimBucket(cursor, x, isUpper, isPositive, isCustom));
    }
    return { kept, isPopulated };
  };
  const positive = trimSide(positiveBuckets(histogram), histogram.positiveBuckets, true);
  const negative = trimSide(negativeBuckets(histogram), histogram.negativeBuckets, false);
  const zeroCount = histogram.zeroCount > 0 ? take(histogram.zeroCount, trimZeroBucket(histogram, x, isUpper, negative.isPopulated, positive.isPopulated)) : histogram.zeroCount;
  if (!totals.isTrimmed) return histogram;
  const trimmed = createHistogram({ ...histogram, zeroCount, count: totals.count, sum: totals.sum, positiveBuckets: positive.kept, negativeBuckets: negative.kept });
  return compactHistogram(trimmed, 0);
}

const NOTHING: Remainder = { count: 0, middle: 0 };

function trimBucket({ lower, upper, count }: BucketCursor, x: number, isUpper: boolean, isPositive: boolean, isCustom: boolean): Remainder {
  const isKept = isUpper ? upper <= x : lower >= x;
  if (isKept) return { count, middle: middleOf(lower, upper, isPositive, isCustom) };
  const isDropped = isUpper ? lower >= x : upper <= x;
  // Nothing lies below or above NaN.
  if (isDropped || Number.isNaN(x)) return NOTHING;
  if (lower === -Infinity || upper === Infinity) return trimEndlessBucket(lower, upper, count, x, isUpper);
  const below = count * fractionBelow(x, lower, upper, isCustom);
  return isUpper ? { count: below, middle: middleOf(lower, x, isPositive, isCustom) } : { count: count - below, middle: middleOf(x, upper, isPositive, isCustom) };
}

/** A bucket without end that holds x: only where the other end lies on x's side of 0 is anything known of it. */
function trimEndlessBucket(lower: number, upper: number, count: number, x: number, isUpper: boolean): Remainder {
  if (lower > -Infinity) return isUpper ? NOTHING : { count, middle: x };
  if (upper === Infinity) return NOTHING;
  if (isUpper) {
    if (upper <= 0) return { count, middle: x };
    // Taken to begin at 0.
    return x > 0 ? { count: (count * x) / upper, middle: x / 2 } : NOTHING;
  }
  return x >= 0 ? { count: count * (1 - x / upper), middle: (x + upper) / 2 } : NOTHING;
}

/** Linear; a side without buckets is taken to have no observations. */
function trimZeroBucket({ zeroThreshold, zeroCount }: FloatHistogram, x: number, isUpper: boolean, hasNegative: boolean, hasPositive: boolean): Remainder {
  const upper = hasNegative && !hasPositive ? 0 : zeroThreshold;
  const lower = hasPositive && !hasNegative ? 0 : -zeroThreshold;
  if (x <= lower) return isUpper ? NOTHING : { count: zeroCount, middle: (lower + upper) / 2 };
  if (x >= upper) return isUpper ? { count: zeroCount, middle: (lower + upper) / 2 } : NOTHING;
  return isUpper
    ? { count: zeroCount * ((x - lower) / (upper - lower)), middle: (lower + x) / 2 }
    : { count: zeroCount * ((upper - x) / (upper - lower)), middle: (x + upper) / 2 };
}

/** Where the observations between two values are taken to be. */
function middleOf(lower: number, upper: number, isPositive: boolean, isLinear: boolean): number {
  if (lower === -Infinity) {
    if (upper === Infinity) return 0;
    return upper > 0 ? upper / 2 : upper;
  }
  if (upper === Infinity) return lower;
  if (isLinear) return (lower + upper) / 2;
  const middle = Math.sqrt(Math.abs(lower * upper));
  return isPositive ? middle : -middle;
}
