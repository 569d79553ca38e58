/**
 * Consecutive native histograms of one series that share a layout, as columns: what a decoded chunk is. Whoever needs some counts of many histograms
 * reads them here, and makes objects only of those that become values.
 *
 *   id           7    8    9    10           firstId 7
 *   counts       3    5    0    9            0 for a stale marker
 *   bucketAt     0    2    −1   4            rows in `buckets`: positive buckets, then negative ones
 */
import { startsBeyond } from './bucket-list.ts';
import { createHistogram, type FloatHistogram, type HistogramSpan, type ResetHint, STALE_HISTOGRAM } from './float-histogram.ts';
import { boundsMatch, spansMatch } from './layout.ts';

/** See the head of this file. Never written to by those who read it. */
export interface HistogramRun {
  readonly firstId: number;
  /** −4 … 8, or −53 for custom buckets, which have no zero and no negative buckets. */
  readonly schema: number;
  readonly zeroThreshold: number;
  /** The same object as in the run before where they are the same. */
  readonly positiveSpans: readonly HistogramSpan[];
  readonly negativeSpans: readonly HistogramSpan[];
  /** Upper bounds of custom buckets. */
  readonly customValues: Float64Array;
  /** Buckets of a histogram. */
  readonly positiveBuckets: number;
  readonly negativeBuckets: number;
  /** One entry per histogram. */
  readonly counts: Float64Array;
  readonly zeroCounts: Float64Array;
  readonly sums: Float64Array;
  /** RESET_HINTS. */
  readonly hints: Uint8Array;
  /** Where the row of a histogram begins in `buckets`; −1 for a stale marker. */
  readonly bucketAt: Int32Array;
  /** Absolute counts. */
  readonly buckets: Float64Array;
}

const NO_BUCKETS = new Float64Array(0);

/** A histogram of a run, by its place in it, as an object that shares nothing that is large; STALE_HISTOGRAM for a stale marker. */
export function histogramOfRun(run: HistogramRun, place: number): FloatHistogram {
  const from = run.bucketAt[place]!;
  if (from < 0) return STALE_HISTOGRAM;
  const { positiveBuckets, negativeBuckets } = run;
  // A copy: whoever keeps one histogram of a run must not keep those of all others alive.
  const buckets = positiveBuckets + negativeBuckets === 0 ? NO_BUCKETS : run.buckets.slice(from, from + positiveBuckets + negativeBuckets);
  return createHistogram({
    schema: run.schema,
    zeroThreshold: run.zeroThreshold,
    zeroCount: run.zeroCounts[place]!,
    count: run.counts[place]!,
    sum: run.sums[place]!,
    resetHint: run.hints[place]! as ResetHint,
    positiveSpans: run.positiveSpans,
    positiveBuckets: negativeBuckets === 0 ? buckets : buckets.subarray(0, positiveBuckets),
    negativeSpans: run.negativeSpans,
    negativeBuckets: negativeBuckets === 0 ? NO_BUCKETS : buckets.subarray(positiveBuckets),
    customValues: run.customValues,
  });
}

/** Whether bucket i of the one is bucket i of the other, and zero buckets are as wide. */
export function isSameRunLayout(a: HistogramRun, b: HistogramRun): boolean {
  return (
    a.schema === b.schema &&
    a.zeroThreshold === b.zeroThreshold &&
    spansMatch(a.positiveSpans, b.positiveSpans) &&
    spansMatch(a.negativeSpans, b.negativeSpans) &&
    boundsMatch(a.customValues, b.customValues)
  );
}

/** Whether no bucket ends within the zero bucket: then histograms of this layout are added and subtracted bucket by bucket. */
export function isRunBeyondZero({ positiveSpans, negativeSpans, schema, zeroThreshold }: HistogramRun): boolean {
  return startsBeyond(positiveSpans, schema, zeroThreshold) && startsBeyond(negativeSpans, schema, zeroThreshold);
}
