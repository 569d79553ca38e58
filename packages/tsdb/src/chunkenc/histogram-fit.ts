/**
 * Whether a native histogram can go into the chunk of those before it, and how the next chunk begins where it cannot.
 *
 *   counter   buckets may come; a bucket may go when it was 0     gauge   buckets come and go
 *   the layout grows:  chunk {0 1 3}  +  sample {0 2 3}, bucket 1 was 0   →   {0 1 2 3}
 *
 * Source: Prometheus tsdb/chunkenc/{histogram,float_histogram}.go, `appendable`, `appendableGauge`.
 */
import { RESET_HINT } from './histogram-chunk.ts';
import { CUSTOM_BUCKETS_SCHEMA } from './histogram-layout.ts';
import type { HistogramLayout, HistogramSample } from './histogram-encoder.ts';
import { bucketIndexes, isSameSpans, unionSpans } from './spans.ts';

/** Says that a sample cannot go into the chunk. */
export interface Refusal {
  /** How the next chunk begins, a RESET_HINT. */
  readonly nextHeader: number;
}

/**
 * The layout of a chunk with one more sample, or why it cannot have it.
 * @param header how the chunk began
 * @param layout buckets of the chunk
 * @param last its last sample
 * @param sample of the same kind
 */
export function fitHistogram(header: number, layout: HistogramLayout, last: HistogramSample, sample: HistogramSample): HistogramLayout | Refusal {
  return sample.isGauge ? fitGauge(header, layout, last, sample) : fitCounter(header, layout, last, sample);
}

function fitCounter(header: number, layout: HistogramLayout, last: HistogramSample, sample: HistogramSample): HistogramLayout | Refusal {
  if (header === RESET_HINT.gauge) return { nextHeader: sample.isFloat ? RESET_HINT.unknown : RESET_HINT.notReset };
  if (sample.isReset === true) return { nextHeader: RESET_HINT.reset };
  if (sample.isStale) return layout;
  if (last.isStale) return { nextHeader: RESET_HINT.unknown };
  if (sample.count < last.count) return { nextHeader: RESET_HINT.reset };
  if (!isSameScale(sample.layout, layout)) return { nextHeader: RESET_HINT.unknown };
  if (!isSameBounds(sample.layout, layout) || sample.zeroCount < last.zeroCount) return { nextHeader: RESET_HINT.reset };
  const positive = compareCounts(layout.positiveSpans, last.layout.positiveSpans, last.positive, sample.layout.positiveSpans, sample.positive);
  const negative = compareCounts(layout.negativeSpans, last.layout.negativeSpans, last.negative, sample.layout.negativeSpans, sample.negative);
  if (positive === undefined || negative === undefined) return { nextHeader: RESET_HINT.reset };
  if (!positive.isMore && !negative.isMore) return layout;
  return {
    ...layout,
    positiveSpans: positive.isLess ? unionSpans(layout.positiveSpans, sample.layout.positiveSpans) : sample.layout.positiveSpans,
    negativeSpans: negative.isLess ? unionSpans(layout.negativeSpans, sample.layout.negativeSpans) : sample.layout.negativeSpans,
  };
}

function fitGauge(header: number, layout: HistogramLayout, last: HistogramSample, sample: HistogramSample): HistogramLayout | Refusal {
  const refused = { nextHeader: RESET_HINT.gauge };
  if (header !== RESET_HINT.gauge) return refused;
  if (last.isStale || !isSameScale(sample.layout, layout) || !isSameBounds(sample.layout, layout)) return refused;
  const positive = compareIndexes(layout.positiveSpans, sample.layout.positiveSpans);
  const negative = compareIndexes(layout.negativeSpans, sample.layout.negativeSpans);
  if (!positive.isMore && !negative.isMore) return layout;
  if (!positive.isLess && !negative.isLess) return { ...layout, positiveSpans: sample.layout.positiveSpans, negativeSpans: sample.layout.negativeSpans };
  return { ...layout, positiveSpans: unionSpans(layout.positiveSpans, sample.layout.positiveSpans), negativeSpans: unionSpans(layout.negativeSpans, sample.layout.negativeSpans) };
}

function isSameScale(a: HistogramLayout, b: HistogramLayout): boolean {
  return a.schema === b.schema && a.zeroThreshold === b.zeroThreshold;
}

/** Whether custom bounds, where there are any, are the same. */
export function isSameBounds(a: HistogramLayout, b: HistogramLayout): boolean {
  if (a.schema !== CUSTOM_BUCKETS_SCHEMA) return true;
  return a.customBounds.length === b.customBounds.length && a.customBounds.every((bound, i) => bound === b.customBounds[i]);
}

/** What the second has that the first has not, and the other way round. */
interface Difference {
  readonly isMore: boolean;
  readonly isLess: boolean;
}

const UNCHANGED: Difference = { isMore: false, isLess: false };

function compareIndexes(a: Int32Array, b: Int32Array): Difference {
  if (isSameSpans(a, b)) return UNCHANGED;
  const inA = new Set(bucketIndexes(a));
  const inB = new Set(bucketIndexes(b));
  return { isMore: [...inB].some((index) => !inA.has(index)), isLess: [...inA].some((index) => !inB.has(index)) };
}

/**
 * Compares a sample's counts with the last one's.
 * @param layout buckets of the chunk; those that the last sample lacks count 0
 * @returns undefined when a bucket went down or away
 */
function compareCounts(layout: Int32Array, lastSpans: Int32Array, lastCounts: Float64Array, spans: Int32Array, counts: Float64Array): Difference | undefined {
  if (isSameSpans(layout, spans) && isSameSpans(layout, lastSpans)) {
    for (let i = 0; i < counts.length; i++) if (counts[i]! < lastCounts[i]!) return undefined;
    return UNCHANGED;
  }
  const last = new Map(bucketIndexes(lastSpans).map((index, i) => [index, lastCounts[i]!]));
  const present = new Map(bucketIndexes(spans).map((index, i) => [index, counts[i]!]));
  for (const [index, count] of last) {
    const now = present.get(index);
    if (now === undefined ? count !== 0 : count > now) return undefined;
  }
  const all = bucketIndexes(layout);
  for (const index of all) if (!last.has(index) && (present.get(index) ?? 0) < 0) return undefined;
  const inLayout = new Set(all);
  return { isMore: [...present.keys()].some((index) => !inLayout.has(index)), isLess: all.some((index) => !present.has(index)) };
}
