/**
 * The histograms of a row on its way: mostly differences of two stored histograms times a factor, as rates are. They stay columns until somebody wants
 * an object; who adds them up never does.
 *
 *   step         0       1       2        3
 *   after        –       7       11       –          (histogram 7 − histogram 3) · factor
 *   before       –       3       7        –
 *   object       –       –       –        {…}        what is no plain difference
 */
import { createHistogram, type FloatHistogram, type HistogramRun, type HistogramSpan, RESET_HINTS } from '@gauntlet/model';
import type { HistogramList } from './histogram-list.ts';
import { samplesOfHistogram, samplesOfHistogramSizes } from './step-matrix.ts';

/** Native histograms of a row, by step; arrays of histograms are such rows too. */
export interface StepHistograms {
  readonly length: number;
  /** The histogram of a step, which may be kept; undefined where there is a float or nothing. */
  at(k: number): FloatHistogram | undefined;
}

/** Whether a step is a histogram, without making it. */
export function isHistogramAt(row: StepHistograms, k: number): boolean {
  return row instanceof DifferenceRow ? row.has(k) : row.at(k) !== undefined;
}

/** See the head of this file. Valid as long as the series is. */
export class DifferenceRow implements StepHistograms {
  readonly length: number;
  readonly list: HistogramList;
  /** Places in the list by step; −1 where the step is no difference. */
  readonly after: Int32Array;
  readonly before: Int32Array;
  readonly factors: Float64Array;
  readonly #objects: (FloatHistogram | undefined)[] = [];

  constructor(steps: number, list: HistogramList) {
    this.length = steps;
    this.list = list;
    this.after = new Int32Array(steps).fill(-1);
    this.before = new Int32Array(steps);
    this.factors = new Float64Array(steps);
  }

  /** Makes a step the difference of two histograms of one layout, of a counter, times a factor. */
  setDifference(k: number, after: number, before: number, factor: number): void {
    this.after[k] = after;
    this.before[k] = before;
    this.factors[k] = factor;
  }

  /** Makes a step an object. */
  setObject(k: number, histogram: FloatHistogram): void {
    while (this.#objects.length < k) this.#objects.push(undefined);
    this.#objects[k] = histogram;
  }

  has(k: number): boolean {
    return this.after[k]! >= 0 || this.#objects[k] !== undefined;
  }

  at(k: number): FloatHistogram | undefined {
    if (this.after[k]! < 0) return this.#objects[k];
    const { list } = this;
    const [after, before] = [this.after[k]!, this.before[k]!];
    const [run, runBefore] = [list.runs[list.runAt[after]!]!, list.runs[list.runAt[before]!]!];
    const [place, placeBefore] = [list.places[after]!, list.places[before]!];
    const factor = this.factors[k]!;
    const [at, atBefore] = [run.bucketAt[place]!, runBefore.bucketAt[placeBefore]!];
    const { positiveBuckets, negativeBuckets } = run;
    const positive = differenceOf(run.positiveSpans, positiveBuckets, run, at, runBefore, atBefore, factor);
    const negative = differenceOf(run.negativeSpans, negativeBuckets, run, at + positiveBuckets, runBefore, atBefore + positiveBuckets, factor);
    return createHistogram({
      schema: run.schema,
      zeroThreshold: run.zeroThreshold,
      zeroCount: (run.zeroCounts[place]! - runBefore.zeroCounts[placeBefore]!) * factor,
      count: (run.counts[place]! - runBefore.counts[placeBefore]!) * factor,
      sum: (run.sums[place]! - runBefore.sums[placeBefore]!) * factor,
      resetHint: RESET_HINTS.gauge,
      positiveSpans: positive.spans,
      positiveBuckets: positive.buckets,
      negativeSpans: negative.spans,
      negativeBuckets: negative.buckets,
      customValues: run.customValues,
    });
  }

  /** What the histogram of a step counts for in sample limits; 0 if there is none. */
  sizeAt(k: number): number {
    if (this.after[k]! < 0) return this.#objects[k] === undefined ? 0 : samplesOfHistogram(this.#objects[k]);
    const { list } = this;
    const [after, before] = [this.after[k]!, this.before[k]!];
    const [run, runBefore] = [list.runs[list.runAt[after]!]!, list.runs[list.runAt[before]!]!];
    const [at, atBefore] = [run.bucketAt[list.places[after]!]!, runBefore.bucketAt[list.places[before]!]!];
    const positive = shapeOf(run.positiveSpans, run, at, runBefore, atBefore);
    const positiveSpans = shape.spans;
    const negative = shapeOf(run.negativeSpans, run, at + run.positiveBuckets, runBefore, atBefore + run.positiveBuckets);
    return samplesOfHistogramSizes(positiveSpans + shape.spans, positive + negative, run.customValues.length);
  }
}

/** Spans found by `shapeOf` beside the buckets. */
const shape = { spans: 0 };

/** Counts the buckets of one sign that differ, and, in `shape`, their spans. */
function shapeOf(spans: readonly HistogramSpan[], run: HistogramRun, at: number, runBefore: HistogramRun, atBefore: number): number {
  const { buckets } = run;
  const { buckets: bucketsBefore } = runBefore;
  let [found, runs, gap, i] = [0, 0, 1, 0];
  for (let span = 0; span < spans.length; span++) {
    const { offset, length } = spans[span]!;
    gap += offset;
    for (const end = i + length; i < end; i++) {
      if (buckets[at + i]! - bucketsBefore[atBefore + i]! === 0) gap++;
      else {
        found++;
        if (gap > 0 || found === 1) runs++;
        gap = 0;
      }
    }
  }
  shape.spans = runs;
  return found;
}

/** The buckets of one sign that differ, times the factor. Those whose difference is 0 are left out before they are multiplied. */
function differenceOf(
  spans: readonly HistogramSpan[],
  size: number,
  run: HistogramRun,
  at: number,
  runBefore: HistogramRun,
  atBefore: number,
  factor: number,
): { readonly spans: readonly HistogramSpan[]; readonly buckets: Float64Array } {
  const found = shapeOf(spans, run, at, runBefore, atBefore);
  const { buckets } = run;
  const { buckets: bucketsBefore } = runBefore;
  const scaled = new Float64Array(found);
  if (found === size && shape.spans === spans.length) {
    for (let i = 0; i < size; i++) scaled[i] = (buckets[at + i]! - bucketsBefore[atBefore + i]!) * factor;
    return { spans, buckets: scaled };
  }
  const own: HistogramSpan[] = [];
  let [out, i, index, end, start, length] = [0, 0, 0, 0, 0, 0];
  for (let span = 0; span < spans.length; span++) {
    index += spans[span]!.offset;
    for (const last = i + spans[span]!.length; i < last; i++, index++) {
      const difference = buckets[at + i]! - bucketsBefore[atBefore + i]!;
      if (difference === 0) continue;
      if (out > 0 && index > end) {
        own.push({ offset: start, length });
        start = index - end;
        length = 0;
      } else if (out === 0) {
        start = index;
        length = 0;
      }
      length++;
      end = index + 1;
      scaled[out++] = difference * factor;
    }
  }
  if (out > 0) own.push({ offset: start, length });
  return { spans: own, buckets: scaled };
}
