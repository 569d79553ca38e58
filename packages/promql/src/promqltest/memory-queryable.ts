/**
 * A Queryable over samples in plain arrays: what tests and scripts load their data into. Batches have the shape real storage gives, with a small
 * number of series each, so that consumers meet batch borders.
 */
import { compareUtf8 } from '@gauntlet/bytes';
import {
  compareLabels,
  type FloatHistogram,
  getLabel,
  type HistogramRun,
  isStaleHistogram,
  type LabelAnswer,
  type LabelQuery,
  type Labels,
  type Matcher,
  type Queryable,
  type SelectRequest,
  type SeriesBatch,
  type SeriesSet,
} from '@gauntlet/model';

/** One series. All columns ascend in time. */
export interface MemorySeries {
  readonly labels: Labels;
  readonly timestampsMs: Float64Array;
  /** Raw bits are kept: a stale marker is written as its bits. */
  readonly values: Float64Array;
  /** Beside each value the native histogram, if the sample is one; the value is 0 then, or a stale marker for STALE_HISTOGRAM. */
  readonly histograms?: readonly (FloatHistogram | undefined)[];
  /** Beside each value since when it counts, ms since 1970; 0 = not known. */
  readonly startTimestamps?: Float64Array;
}

export interface MemoryQueryableOptions {
  /** Series per batch; default 3, small on purpose. */
  readonly batchSeries?: number;
  /** Whether histograms are handed out as runs too, as storage with chunks does; default true. */
  readonly hasRuns?: boolean;
}

function isSelected(labels: Labels, matchers: readonly Matcher[]): boolean {
  return matchers.every((matcher) => matcher.matches(getLabel(labels, matcher.name)));
}

/** First index whose time is at least `limit`. */
function lowerBound(timestampsMs: Float64Array, limit: number): number {
  let low = 0;
  let high = timestampsMs.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (timestampsMs[middle]! < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Copies samples [from, to) of each series into one batch; bits of values are preserved. */
function toBatch(parts: readonly { readonly series: MemorySeries; readonly from: number; readonly to: number }[], hasRuns: boolean): SeriesBatch {
  const offsets = new Int32Array(parts.length + 1);
  parts.forEach(({ from, to }, i) => (offsets[i + 1] = offsets[i]! + to - from));
  const timestampsMs = new Float64Array(offsets[parts.length]!);
  const values = new Float64Array(offsets[parts.length]!);
  parts.forEach(({ series, from, to }, i) => {
    timestampsMs.set(series.timestampsMs.subarray(from, to), offsets[i]!);
    values.set(series.values.subarray(from, to), offsets[i]!);
  });
  let batch: SeriesBatch = { labels: parts.map(({ series }) => series.labels), offsets, timestampsMs, values };
  if (parts.some(({ series }) => series.startTimestamps !== undefined)) {
    const startTimestamps = new Float64Array(timestampsMs.length);
    parts.forEach(({ series, from, to }, i) => series.startTimestamps !== undefined && startTimestamps.set(series.startTimestamps.subarray(from, to), offsets[i]!));
    batch = { ...batch, startTimestamps };
  }
  if (parts.every(({ series }) => series.histograms === undefined)) return batch;
  const ids = new Int32Array(timestampsMs.length).fill(-1);
  const histograms: FloatHistogram[] = [];
  parts.forEach(({ series, from, to }, i) => {
    for (let at = from; at < to; at++) {
      const histogram = series.histograms?.[at];
      if (histogram !== undefined) ids[offsets[i]! + at - from] = histograms.push(histogram) - 1;
    }
  });
  const get = (id: number): FloatHistogram => histograms[id]!;
  if (!hasRuns) return { ...batch, histograms: { ids, get } };
  const firstIds = runStarts(histograms, parts, offsets, ids);
  return { ...batch, histograms: { ids, get, runOf: (id) => runFrom(histograms, firstIds.findLast((first) => first <= id)!, firstIds) } };
}

/** Where runs begin: with each series, and wherever the layout changes; a run of all that share one would hide what a change does. */
function runStarts(histograms: readonly FloatHistogram[], parts: readonly unknown[], offsets: Int32Array, ids: Int32Array): number[] {
  const starts = new Set<number>();
  for (let i = 0; i < parts.length; i++) {
    const own = ids.subarray(offsets[i], offsets[i + 1]).filter((id) => id >= 0);
    own.forEach((id, at) => {
      if (at === 0 || at % 7 === 0 || layoutOf(histograms[id]!) !== layoutOf(histograms[id - 1]!)) starts.add(id);
    });
  }
  return [...starts].sort((a, b) => a - b);
}

function layoutOf(histogram: FloatHistogram): string {
  const { schema, zeroThreshold, positiveSpans, negativeSpans, customValues } = histogram;
  // A stale marker is a part of any run; here it is one of its own.
  return isStaleHistogram(histogram) ? 'stale' : JSON.stringify([schema, zeroThreshold, positiveSpans, negativeSpans, [...customValues]]);
}

/** A column of a run, with nothing before its first id. */
function byId(firstId: number, all: readonly FloatHistogram[], field: (histogram: FloatHistogram, i: number) => number): Float64Array {
  const column = new Float64Array(firstId + all.length).fill(NaN, 0, firstId);
  all.forEach((histogram, i) => (column[firstId + i] = field(histogram, i)));
  return column;
}

/** The run that begins with an id. */
function runFrom(histograms: readonly FloatHistogram[], firstId: number, firstIds: readonly number[]): HistogramRun {
  const all = histograms.slice(firstId, firstIds.find((first) => first > firstId));
  const { schema, zeroThreshold, positiveSpans, negativeSpans, positiveBuckets, negativeBuckets, customValues } = all[0]!;
  const size = positiveBuckets.length + negativeBuckets.length;
  return {
    firstId,
    endId: firstId + all.length,
    schema,
    zeroThreshold,
    positiveSpans,
    negativeSpans,
    customValues,
    positiveBuckets: positiveBuckets.length,
    negativeBuckets: negativeBuckets.length,
    counts: byId(firstId, all, ({ count }) => count),
    zeroCounts: byId(firstId, all, ({ zeroCount }) => zeroCount),
    sums: byId(firstId, all, ({ sum }) => sum),
    hints: Uint8Array.from(byId(firstId, all, ({ resetHint }) => resetHint)),
    bucketAt: Int32Array.from(byId(firstId, all, (histogram, i) => (isStaleHistogram(histogram) ? -1 : i * size))),
    buckets: Float64Array.from(all.flatMap((histogram) => [...histogram.positiveBuckets, ...histogram.negativeBuckets])),
  };
}

/**
 * @param series in any order, each label set once
 */
export function createMemoryQueryable(series: readonly MemorySeries[], options: MemoryQueryableOptions = {}): Queryable {
  const sorted = series.toSorted((a, b) => compareLabels(a.labels, b.labels));
  const batchSeries = options.batchSeries ?? 3;
  const hasRuns = options.hasRuns ?? true;

  async function* select(request: SelectRequest): AsyncGenerator<SeriesBatch> {
    let parts: { series: MemorySeries; from: number; to: number }[] = [];
    for (const one of sorted) {
      request.signal?.throwIfAborted();
      if (!isSelected(one.labels, request.matchers)) continue;
      const from = lowerBound(one.timestampsMs, request.mint);
      const to = lowerBound(one.timestampsMs, request.maxt + 1);
      if (from === to) continue;
      parts.push({ series: one, from, to });
      if (parts.length === batchSeries) {
        yield toBatch(parts, hasRuns);
        parts = [];
      }
    }
    if (parts.length > 0) yield toBatch(parts, hasRuns);
  }

  function answer(query: LabelQuery, pick: (labels: Labels) => readonly string[]): Promise<LabelAnswer> {
    const found = new Set<string>();
    for (const { labels, timestampsMs } of sorted) {
      const inRange = lowerBound(timestampsMs, query.mint) < lowerBound(timestampsMs, query.maxt + 1);
      if (inRange && isSelected(labels, query.matchers)) for (const value of pick(labels)) found.add(value);
    }
    const values = [...found].sort(compareUtf8);
    return Promise.resolve({ values: query.limit > 0 ? values.slice(0, query.limit) : values, warnings: [] });
  }

  return {
    select(request: SelectRequest): SeriesSet {
      return { [Symbol.asyncIterator]: () => select(request), warnings: () => [] };
    },
    labelNames: (query) => answer(query, (labels) => labels.filter((_text, i) => i % 2 === 0)),
    labelValues: (name, query) => answer(query, (labels) => (getLabel(labels, name) === '' ? [] : [getLabel(labels, name)])),
  };
}
