/**
 * Whether a counter histogram was reset between two samples: some count fell, or the layout changed in a way that only a reset explains.
 * Source: Prometheus model/histogram/float_histogram.go, DetectReset.
 */
import { bucketsWithin, coarsenList, listBuckets, startsBeyond } from './bucket-list.ts';
import { addToSharedBounds, intersectBounds } from './custom-bounds.ts';
import { type FloatHistogram, type HistogramSpan, RESET_HINTS, usesCustomBuckets } from './float-histogram.ts';
import { boundsMatch, spansMatch } from './layout.ts';
import { widenZeroBucket } from './zero-bucket.ts';

/**
 * Whether `current` comes after a reset. Its hint decides if it says reset or not reset; gauges are looked at like counters.
 * A finer schema, a smaller zero bucket, or one that ends within a populated bucket of `previous` is a reset; a coarser schema and a wider zero
 * bucket are compared after bringing `previous` to them. The sum does not count.
 */
export function detectReset(current: FloatHistogram, previous: FloatHistogram): boolean {
  if (current.resetHint === RESET_HINTS.reset) return true;
  if (current.resetHint === RESET_HINTS.notReset) return false;
  if (current.count < previous.count) return true;
  if (usesCustomBuckets(current)) {
    if (!usesCustomBuckets(previous)) return true;
    if (!boundsMatch(current.customValues, previous.customValues)) return hasFallenOnSharedBounds(current, previous);
  }
  if (current.schema > previous.schema || current.zeroThreshold < previous.zeroThreshold) return true;
  if (zeroBucketHasFallen(current, previous)) return true;
  return (
    sideHasFallen(current, current.positiveSpans, current.positiveBuckets, previous, previous.positiveSpans, previous.positiveBuckets) ||
    sideHasFallen(current, current.negativeSpans, current.negativeBuckets, previous, previous.negativeSpans, previous.negativeBuckets)
  );
}

function zeroBucketHasFallen(current: FloatHistogram, previous: FloatHistogram): boolean {
  if (current.zeroThreshold === previous.zeroThreshold) return current.zeroCount < previous.zeroCount;
  const wide = widenZeroBucket(
    {
      schema: previous.schema,
      zeroThreshold: previous.zeroThreshold,
      zeroCount: previous.zeroCount,
      zeroLoss: 0,
      positive: listBuckets(previous.positiveSpans, previous.positiveBuckets),
      negative: listBuckets(previous.negativeSpans, previous.negativeBuckets),
    },
    current.zeroThreshold,
  );
  return wide.zeroThreshold !== current.zeroThreshold || current.zeroCount < wide.zeroCount;
}

/** Whether a bucket of one sign is smaller than before, or gone though it had observations. Buckets within the zero bucket do not count. */
function sideHasFallen(
  current: FloatHistogram,
  spans: readonly HistogramSpan[],
  buckets: Float64Array,
  previous: FloatHistogram,
  previousSpans: readonly HistogramSpan[],
  previousBuckets: Float64Array,
): boolean {
  const { schema, zeroThreshold } = current;
  if (schema === previous.schema && spansMatch(spans, previousSpans) && (usesCustomBuckets(current) || startsBeyond(spans, schema, zeroThreshold))) {
    for (let i = 0; i < buckets.length; i++) if (buckets[i]! < previousBuckets[i]!) return true;
    return false;
  }
  const now = listBuckets(spans, buckets);
  const before = coarsenList(listBuckets(previousSpans, previousBuckets), previous.schema, schema);
  const isExponential = !usesCustomBuckets(current);
  let i = isExponential ? bucketsWithin(now, schema, zeroThreshold) : 0;
  for (let j = isExponential ? bucketsWithin(before, schema, zeroThreshold) : 0; j < before.indexes.length; j++) {
    const index = before.indexes[j]!;
    while (i < now.indexes.length && now.indexes[i]! < index) i++;
    const isThere = i < now.indexes.length && now.indexes[i] === index;
    if (isThere ? now.counts[i]! < before.counts[j]! : before.counts[j] !== 0) return true;
  }
  return false;
}

function hasFallenOnSharedBounds(current: FloatHistogram, previous: FloatHistogram): boolean {
  const shared = intersectBounds(current.customValues, previous.customValues);
  const [now, before] = [current, previous].map((histogram) => {
    const counts = new Float64Array(shared.length + 1);
    addToSharedBounds(listBuckets(histogram.positiveSpans, histogram.positiveBuckets), histogram.customValues, shared, 1, counts, new Float64Array(counts.length));
    return counts;
  }) as [Float64Array, Float64Array];
  return now.some((count, i) => count < before[i]!);
}
