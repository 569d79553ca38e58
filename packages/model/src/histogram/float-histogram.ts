/**
 * Native histograms as values: what PromQL computes with, and what a sample of a histogram series is.
 *
 *   schema −4 … 8    bucket i holds (2^((i−1)·2^−schema), 2^(i·2^−schema)], a negative one the mirror image; the zero bucket [−threshold, threshold]
 *   schema −53       bucket i holds (customValues[i−1], customValues[i]], the first from −Inf, the last to +Inf; no zero and no negative buckets
 *   spans            {offset 2, length 2} {offset 1, length 1} = buckets 2 3 5: the first offset is an index, later ones are gaps
 *
 * A value is never changed once made; functions give new ones, which may share spans, buckets and bounds with their arguments.
 * Source: Prometheus model/histogram; its documentation of native histograms.
 */

/** Consecutive buckets. */
export interface HistogramSpan {
  /** Index of the first bucket for the first span, which may be negative; buckets left out since the last span for others. */
  readonly offset: number;
  /** Buckets; 0 is allowed. */
  readonly length: number;
}

/** What is known of a counter reset between the sample before and this one; numbers as in Prometheus. */
export const RESET_HINTS = { unknown: 0, reset: 1, notReset: 2, gauge: 3 } as const;

/** 0 unknown, 1 reset, 2 not reset, 3 gauge: see RESET_HINTS. */
export type ResetHint = 0 | 1 | 2 | 3;

/** One histogram. Counts are absolute, not cumulative, and may be fractions or negative once computed with. */
export interface FloatHistogram {
  /** −4 … 8, or −53 for custom buckets. */
  readonly schema: number;
  /** Observations up to this absolute value are in the zero bucket. */
  readonly zeroThreshold: number;
  readonly zeroCount: number;
  /** Observations, those of NaN among them, which no bucket has. */
  readonly count: number;
  /** Of all observed values. NaN if NaN, or both infinities, were observed. */
  readonly sum: number;
  readonly resetHint: ResetHint;
  readonly positiveSpans: readonly HistogramSpan[];
  /** As many as the spans say. */
  readonly positiveBuckets: Float64Array;
  readonly negativeSpans: readonly HistogramSpan[];
  readonly negativeBuckets: Float64Array;
  /** Upper bounds of custom buckets, strictly ascending, without +Inf; empty for other schemas. */
  readonly customValues: Float64Array;
}

/** A histogram of whole counts as scraped and sent: buckets as differences to the bucket before. */
export interface IntegerHistogram extends Omit<FloatHistogram, 'positiveBuckets' | 'negativeBuckets'> {
  /** The first is a count, others differences. */
  readonly positiveDeltas: ArrayLike<number>;
  readonly negativeDeltas: ArrayLike<number>;
}

/** Schema of histograms whose bounds are in `customValues`. */
export const CUSTOM_BUCKETS_SCHEMA = -53;

/** Coarsest and finest schema of exponential buckets. */
export const SCHEMA_MIN = -4;
export const SCHEMA_MAX = 8;

const NO_SPANS: readonly HistogramSpan[] = [];
const NO_NUMBERS = new Float64Array(0);

/**
 * The stale marker of a histogram series. Storage and wire mark it by the bits of the sum, which JavaScript numbers do not keep: readers turn
 * those bits into this one object, writers turn it back, and nothing computes with it. Like the float marker it is told by identity, never by value.
 */
export const STALE_HISTOGRAM: FloatHistogram = Object.freeze(createHistogram({ sum: NaN }));

/** Whether a histogram is the stale marker. */
export function isStaleHistogram(histogram: FloatHistogram): boolean {
  return histogram === STALE_HISTOGRAM;
}

/**
 * A histogram of these fields; what is left out is 0 or empty. Fields are taken as they are, not copied or checked (`checkHistogram`).
 * All histograms are made here, so that engines see one shape.
 */
export function createHistogram(fields: Partial<FloatHistogram>): FloatHistogram {
  return {
    schema: fields.schema ?? 0,
    zeroThreshold: fields.zeroThreshold ?? 0,
    zeroCount: fields.zeroCount ?? 0,
    count: fields.count ?? 0,
    sum: fields.sum ?? 0,
    resetHint: fields.resetHint ?? RESET_HINTS.unknown,
    positiveSpans: fields.positiveSpans ?? NO_SPANS,
    positiveBuckets: fields.positiveBuckets ?? NO_NUMBERS,
    negativeSpans: fields.negativeSpans ?? NO_SPANS,
    negativeBuckets: fields.negativeBuckets ?? NO_NUMBERS,
    customValues: fields.customValues ?? NO_NUMBERS,
  };
}

/** Whole counts as absolute floats. Spans and bounds are shared; fields a schema has no use for are left out. */
export function fromIntegerHistogram(histogram: IntegerHistogram): FloatHistogram {
  const isCustom = histogram.schema === CUSTOM_BUCKETS_SCHEMA;
  return createHistogram({
    schema: histogram.schema,
    zeroThreshold: isCustom ? 0 : histogram.zeroThreshold,
    zeroCount: isCustom ? 0 : histogram.zeroCount,
    count: histogram.count,
    sum: histogram.sum,
    resetHint: histogram.resetHint,
    positiveSpans: histogram.positiveSpans,
    positiveBuckets: absoluteCounts(histogram.positiveDeltas),
    negativeSpans: isCustom ? NO_SPANS : histogram.negativeSpans,
    negativeBuckets: isCustom ? NO_NUMBERS : absoluteCounts(histogram.negativeDeltas),
    customValues: isCustom ? histogram.customValues : NO_NUMBERS,
  });
}

/** A histogram that shares nothing that can be written to; bounds stay shared, they belong to series. */
export function copyHistogram(histogram: FloatHistogram): FloatHistogram {
  return createHistogram({
    ...histogram,
    positiveBuckets: histogram.positiveBuckets.slice(),
    negativeBuckets: histogram.negativeBuckets.slice(),
  });
}

/** The histogram with another hint; itself if it has that one. */
export function withResetHint(histogram: FloatHistogram, resetHint: ResetHint): FloatHistogram {
  if (histogram.resetHint === resetHint) return histogram;
  // Fields by name: called per step, and a spread costs ten times as much.
  return createHistogram({
    schema: histogram.schema,
    zeroThreshold: histogram.zeroThreshold,
    zeroCount: histogram.zeroCount,
    count: histogram.count,
    sum: histogram.sum,
    resetHint,
    positiveSpans: histogram.positiveSpans,
    positiveBuckets: histogram.positiveBuckets,
    negativeSpans: histogram.negativeSpans,
    negativeBuckets: histogram.negativeBuckets,
    customValues: histogram.customValues,
  });
}

/** Whether the bounds are in `customValues`. */
export function usesCustomBuckets(histogram: FloatHistogram): boolean {
  return histogram.schema === CUSTOM_BUCKETS_SCHEMA;
}

function absoluteCounts(deltas: ArrayLike<number>): Float64Array {
  const counts = new Float64Array(deltas.length);
  let count = 0;
  for (let i = 0; i < deltas.length; i++) {
    count += deltas[i]!;
    counts[i] = count;
  }
  return counts;
}
