/**
 * Histograms of the same content in another layout: empty buckets cut out, coarser buckets. And when two have the same content.
 * Source: Prometheus model/histogram/{generic,float_histogram}.go.
 */
import { ModelError } from '../errors.ts';
import { type BucketList, coarsenList, listBuckets, spansOf } from './bucket-list.ts';
import { createHistogram, type FloatHistogram, type HistogramSpan, isStaleHistogram, usesCustomBuckets } from './float-histogram.ts';

/**
 * Without empty buckets at the ends of spans, and in between only runs of at most `maxEmptyBuckets`; gaps up to that length become empty
 * buckets. The histogram itself if nothing changes.
 * @param maxEmptyBuckets 0 for no empty buckets at all, Infinity for a single span per sign
 */
export function compactHistogram(histogram: FloatHistogram, maxEmptyBuckets: number): FloatHistogram {
  const positive = compactSide(histogram.positiveSpans, histogram.positiveBuckets, maxEmptyBuckets);
  const negative = compactSide(histogram.negativeSpans, histogram.negativeBuckets, maxEmptyBuckets);
  if (positive === undefined && negative === undefined) return histogram;
  return createHistogram({
    ...histogram,
    positiveSpans: positive === undefined ? histogram.positiveSpans : spansOf(positive.indexes),
    positiveBuckets: positive?.counts ?? histogram.positiveBuckets,
    negativeSpans: negative === undefined ? histogram.negativeSpans : spansOf(negative.indexes),
    negativeBuckets: negative?.counts ?? histogram.negativeBuckets,
  });
}

/** @returns undefined if the side is compact */
function compactSide(spans: readonly HistogramSpan[], buckets: Float64Array, maxEmptyBuckets: number): BucketList | undefined {
  if (isCompact(spans, buckets, maxEmptyBuckets)) return undefined;
  const { indexes, counts } = listBuckets(spans, buckets);
  const kept: number[] = [];
  for (let i = 0; i < counts.length; i++) if (counts[i] !== 0) kept.push(i);
  let size = kept.length;
  for (let k = 1; k < kept.length; k++) {
    const gap = indexes[kept[k]!]! - indexes[kept[k - 1]!]! - 1;
    if (gap <= maxEmptyBuckets) size += gap;
  }
  const out = { indexes: new Int32Array(size), counts: new Float64Array(size) };
  let at = 0;
  for (let k = 0; k < kept.length; k++) {
    const index = indexes[kept[k]!]!;
    const gap = k === 0 ? 0 : index - indexes[kept[k - 1]!]! - 1;
    if (gap <= maxEmptyBuckets) for (let empty = index - gap; empty < index; empty++) out.indexes[at++] = empty;
    out.indexes[at] = index;
    out.counts[at++] = counts[kept[k]!]!;
  }
  return out;
}

/** Whether there is nothing to cut out, join or split. */
function isCompact(spans: readonly HistogramSpan[], buckets: Float64Array, maxEmptyBuckets: number): boolean {
  for (let i = 0; i < buckets.length; i++) if (buckets[i] === 0) return false;
  for (let i = 0; i < spans.length; i++) if (spans[i]!.length === 0 || (i > 0 && spans[i]!.offset <= maxEmptyBuckets)) return false;
  return true;
}

/**
 * The histogram at a coarser schema; itself if it has that one.
 * @throws ModelError ERR_HISTOGRAM for a finer one, and for custom buckets
 */
export function reduceResolution(histogram: FloatHistogram, schema: number): FloatHistogram {
  if (histogram.schema === schema) return histogram;
  if (usesCustomBuckets(histogram)) throw new ModelError('ERR_HISTOGRAM', 'cannot reduce resolution when there are custom buckets');
  if (schema > histogram.schema || schema < -9) throw new ModelError('ERR_HISTOGRAM', `cannot reduce resolution from schema ${histogram.schema} to ${schema}`);
  const positive = coarsenList(listBuckets(histogram.positiveSpans, histogram.positiveBuckets), histogram.schema, schema);
  const negative = coarsenList(listBuckets(histogram.negativeSpans, histogram.negativeBuckets), histogram.schema, schema);
  return createHistogram({
    ...histogram,
    schema,
    positiveSpans: spansOf(positive.indexes),
    positiveBuckets: positive.counts,
    negativeSpans: spansOf(negative.indexes),
    negativeBuckets: negative.counts,
  });
}

/** Whether bounds are the same, one by one. */
export function boundsMatch(a: Float64Array, b: Float64Array): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Whether spans name the same buckets in the same runs; spans of length 0 do not count. */
export function spansMatch(a: readonly HistogramSpan[], b: readonly HistogramSpan[]): boolean {
  if (a === b) return true;
  for (let i = 0, j = 0; ; i++, j++) {
    let offsetA = 0;
    let offsetB = 0;
    while (i < a.length && a[i]!.length === 0) offsetA += a[i++]!.offset;
    while (j < b.length && b[j]!.length === 0) offsetB += b[j++]!.offset;
    if (i === a.length || j === b.length) return i === a.length && j === b.length;
    if (a[i]!.offset + offsetA !== b[j]!.offset + offsetB || a[i]!.length !== b[j]!.length) return false;
  }
}

/**
 * Whether two histograms are the same data: same layout, empty buckets too, and counts and sum of the same bits; any NaN is like any other, and
 * 0 is not −0. Reset hints do not count. A stale marker equals only itself.
 */
export function histogramsEqual(a: FloatHistogram, b: FloatHistogram): boolean {
  return compareHistograms(a, b, Object.is);
}

/** Like `histogramsEqual`, with counts and sums compared by `isClose`. Promqltest compacts both before. */
export function histogramsAlmostEqual(a: FloatHistogram, b: FloatHistogram, isClose: (a: number, b: number) => boolean): boolean {
  return compareHistograms(a, b, isClose);
}

function compareHistograms(a: FloatHistogram, b: FloatHistogram, isSame: (a: number, b: number) => boolean): boolean {
  if (isStaleHistogram(a) || isStaleHistogram(b)) return a === b;
  if (a.schema !== b.schema || a.zeroThreshold !== b.zeroThreshold) return false;
  if (!isSame(a.count, b.count) || !isSame(a.sum, b.sum) || !isSame(a.zeroCount, b.zeroCount)) return false;
  if (usesCustomBuckets(a) && !boundsMatch(a.customValues, b.customValues)) return false;
  return (
    spansMatch(a.negativeSpans, b.negativeSpans) &&
    bucketsMatch(a.negativeBuckets, b.negativeBuckets, isSame) &&
    spansMatch(a.positiveSpans, b.positiveSpans) &&
    bucketsMatch(a.positiveBuckets, b.positiveBuckets, isSame)
  );
}

function bucketsMatch(a: Float64Array, b: Float64Array, isSame: (a: number, b: number) => boolean): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (!isSame(a[i]!, b[i]!)) return false;
  return true;
}
