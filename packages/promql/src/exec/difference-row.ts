/**
 * The histograms of a row on its way: mostly differences of two stored histograms times a factor, as rates are. They stay columns until somebody wants
 * an object; who adds them up never does.
 *
 *   step         0       1       2        3
 *   after        –       7       11       –          (histogram 7 − histogram 3) · factor
 *   before       –       3       7        –
 *   object       –       –       –        {…}        what is no plain difference
 */
import { createHistogram, type FloatHistogram, type HistogramSpan, RESET_HINTS } from '@gauntlet/model';
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
  /** Buckets of the one less those of the other, in the order of rows of `after`; where those of a step begin. */
  differences: Float64Array = new Float64Array(0);
  readonly differencesAt: Int32Array;
  #used = 0;
  readonly #objects: (FloatHistogram | undefined)[] = [];

  constructor(steps: number, list: HistogramList) {
    this.length = steps;
    this.list = list;
    this.after = new Int32Array(steps).fill(-1);
    this.before = new Int32Array(steps);
    this.factors = new Float64Array(steps);
    this.differencesAt = new Int32Array(steps);
  }

  /** Makes a step the difference of two histograms, times a factor. `isPlainCounter` holds for them and those between. */
  setDifference(k: number, after: number, before: number, factor: number): void {
    const { list } = this;
    const { positiveBuckets, negativeBuckets } = list.runs[list.runAt[after]!]!;
    const end = this.#used + positiveBuckets + negativeBuckets;
    if (end > this.differences.length) {
      const larger = new Float64Array(Math.max(end * 2, (end * (this.length + 1)) / (k + 1)));
      larger.set(this.differences.subarray(0, this.#used));
      this.differences = larger;
    }
    subtractBuckets(list, after, before, this.differences, this.#used);
    this.differencesAt[k] = this.#used;
    this.#used = end;
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
    const from = this.differencesAt[k]!;
    const positive = compacted(run.positiveSpans, this.differences, from, run.positiveBuckets, factor);
    const negative = compacted(run.negativeSpans, this.differences, from + run.positiveBuckets, run.negativeBuckets, factor);
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
    const run = list.runs[list.runAt[this.after[k]!]!]!;
    const from = this.differencesAt[k]!;
    const positive = countShape(run.positiveSpans, this.differences, from);
    const positiveSpans = shape.spans;
    const negative = countShape(run.negativeSpans, this.differences, from + run.positiveBuckets);
    return samplesOfHistogramSizes(positiveSpans + shape.spans, positive + negative, run.customValues.length);
  }
}

/** No buckets of a sign. */
const NOTHING: { readonly spans: readonly HistogramSpan[]; readonly buckets: Float64Array } = { spans: [], buckets: new Float64Array(0) };

/** Writes the buckets of a histogram less those of an earlier one, in the order of its row. */
function subtractBuckets(list: HistogramList, after: number, before: number, differences: Float64Array, to: number): void {
  const [run, runBefore] = [list.runs[list.runAt[after]!]!, list.runs[list.runAt[before]!]!];
  const size = run.positiveBuckets + run.negativeBuckets;
  const [at, atBefore] = [run.bucketAt[list.places[after]!]!, runBefore.bucketAt[list.places[before]!]!];
  const { buckets } = run;
  const { buckets: bucketsBefore } = runBefore;
  const places = list.placesBefore(after, before);
  if (places === undefined) for (let i = 0; i < size; i++) differences[to + i] = buckets[at + i]! - bucketsBefore[atBefore + i]!;
  else for (let i = 0; i < size; i++) differences[to + i] = places[i]! < 0 ? buckets[at + i]! : buckets[at + i]! - bucketsBefore[atBefore + places[i]!]!;
}

/** Spans found by `countShape` beside the buckets. */
const shape = { spans: 0 };

/** Counts the buckets of one sign, from `at` on, that are not 0, and, in `shape`, their spans. */
function countShape(spans: readonly HistogramSpan[], buckets: Float64Array, at: number): number {
  let [found, runs, gap, i] = [0, 0, 1, at];
  for (let span = 0; span < spans.length; span++) {
    const { offset, length } = spans[span]!;
    gap += offset;
    for (const end = i + length; i < end; i++) {
      if (buckets[i] === 0) gap++;
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

/** Buckets of one sign that are not 0, times the factor: they are left out before they are multiplied. */
function compacted(spans: readonly HistogramSpan[], buckets: Float64Array, at: number, size: number, factor: number): { readonly spans: readonly HistogramSpan[]; readonly buckets: Float64Array } {
  const found = countShape(spans, buckets, at);
  if (found === 0) return NOTHING;
  const scaled = new Float64Array(found);
  if (found === size && shape.spans === spans.length) {
    for (let i = 0; i < size; i++) scaled[i] = buckets[at + i]! * factor;
    return { spans, buckets: scaled };
  }
  const own: HistogramSpan[] = [];
  let [out, i, index, end, start, length] = [0, at, 0, 0, 0, 0];
  for (let span = 0; span < spans.length; span++) {
    index += spans[span]!.offset;
    for (const last = i + spans[span]!.length; i < last; i++, index++) {
      if (buckets[i] === 0) continue;
      if (length > 0 && index === end) length++;
      else {
        if (length > 0) own.push({ offset: start, length });
        start = index - end;
        length = 1;
      }
      end = index + 1;
      scaled[out++] = buckets[i]! * factor;
    }
  }
  if (length > 0) own.push({ offset: start, length });
  return { spans: own, buckets: scaled };
}
