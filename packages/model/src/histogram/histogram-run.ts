/**
 * Consecutive native histograms of one series that share a layout, as columns: what a decoded chunk is. Whoever needs some counts of many histograms
 * reads them here, and makes objects only of those that become values.
 *
 *   id           … 7    8    9    10 …       firstId 7, endId 11; the columns by id are those of all runs of a batch
 *   counts       … 3    5    0    9  …       0 for a stale marker
 *   bucketAt     … 0    2    −1   4  …       rows in `buckets`: positive buckets, then negative ones
 */
import { startsBeyond } from './bucket-list.ts';
import { createHistogram, type FloatHistogram, type HistogramSpan, type ResetHint, STALE_HISTOGRAM } from './float-histogram.ts';
import { boundsMatch, spansMatch } from './layout.ts';

/** See the head of this file. Never written to by those who read it. */
export interface HistogramRun {
  readonly firstId: number;
  readonly endId: number;
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
  /** By id. */
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

/** A histogram of a run as an object that shares nothing that is large; STALE_HISTOGRAM for a stale marker. */
export function histogramOfRun(run: HistogramRun, id: number): FloatHistogram {
  const from = run.bucketAt[id]!;
  if (from < 0) return STALE_HISTOGRAM;
  const { positiveBuckets, negativeBuckets } = run;
  // A copy: whoever keeps one histogram of a run must not keep those of all others alive.
  const buckets = positiveBuckets + negativeBuckets === 0 ? NO_BUCKETS : run.buckets.slice(from, from + positiveBuckets + negativeBuckets);
  return createHistogram({
    schema: run.schema,
    zeroThreshold: run.zeroThreshold,
    zeroCount: run.zeroCounts[id]!,
    count: run.counts[id]!,
    sum: run.sums[id]!,
    resetHint: run.hints[id]! as ResetHint,
    positiveSpans: run.positiveSpans,
    positiveBuckets: negativeBuckets === 0 ? buckets : buckets.subarray(0, positiveBuckets),
    negativeSpans: run.negativeSpans,
    negativeBuckets: negativeBuckets === 0 ? NO_BUCKETS : buckets.subarray(positiveBuckets),
    customValues: run.customValues,
  });
}

/** Whether two runs have the same buckets, as far as they have them: schema, zero bucket, bounds. */
export function isSameRunScale(a: HistogramRun, b: HistogramRun): boolean {
  return a.schema === b.schema && a.zeroThreshold === b.zeroThreshold && boundsMatch(a.customValues, b.customValues);
}

/** Of runs of one scale, whether bucket i of the one is bucket i of the other. */
export function hasSameRunSpans(a: HistogramRun, b: HistogramRun): boolean {
  return spansMatch(a.positiveSpans, b.positiveSpans) && spansMatch(a.negativeSpans, b.negativeSpans);
}

/**
 * Where the buckets of a run are among those of a run before it that has fewer.
 * @returns for each bucket of `run`, in the order of a row, its place in a row of `before`, −1 for those that it lacks; undefined if `before` has any
 *   that `run` lacks
 */
export function bucketsBefore(run: HistogramRun, before: HistogramRun): Int32Array | undefined {
  const places = new Int32Array(run.positiveBuckets + run.negativeBuckets).fill(-1);
  const isWithin = (spans: readonly HistogramSpan[], beforeSpans: readonly HistogramSpan[], first: number, firstBefore: number): boolean => {
    let [span, inSpan, index, at] = [0, 0, spans[0]?.offset ?? 0, first];
    let [beforeIndex, beforeAt] = [0, firstBefore];
    for (const { offset, length } of beforeSpans) {
      beforeIndex += offset;
      for (const end = beforeIndex + length; beforeIndex < end; beforeIndex++, beforeAt++) {
        for (;;) {
          const own = spans[span];
          if (own === undefined || (index > beforeIndex && inSpan < own.length)) return false;
          if (inSpan === own.length) {
            span++;
            inSpan = 0;
            index += spans[span]?.offset ?? 0;
            continue;
          }
          if (index === beforeIndex) break;
          inSpan++;
          index++;
          at++;
        }
        places[at] = beforeAt;
        inSpan++;
        index++;
        at++;
      }
    }
    return true;
  };
  if (!isWithin(run.positiveSpans, before.positiveSpans, 0, 0) || !isWithin(run.negativeSpans, before.negativeSpans, run.positiveBuckets, before.positiveBuckets)) return undefined;
  return places;
}

/** Whether no bucket ends within the zero bucket: then histograms of this layout are added and subtracted bucket by bucket. */
export function isRunBeyondZero({ positiveSpans, negativeSpans, schema, zeroThreshold }: HistogramRun): boolean {
  return startsBeyond(positiveSpans, schema, zeroThreshold) && startsBeyond(negativeSpans, schema, zeroThreshold);
}
