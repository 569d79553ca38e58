/**
 * Sums of differences of stored histograms, for all steps of one group: columns, as long as all have one schema and one zero bucket.
 *
 *   totals     step 0: zero, loss, count, loss, sum, loss │ step 1 …
 *   positive   step 0: bucket first, loss, bucket first + 1, loss, … │ step 1 …         every bucket between the lowest and the highest
 *
 * The same additions in the same order as `HistogramSum`, so the same bits. What does not fit goes on there, step by step: `take`.
 */
import { createHistogram, type FloatHistogram, type HistogramRun, type HistogramSpan, HistogramSum, isRunBeyondZero, RESET_HINTS } from '@gauntlet/model';
import type { DifferenceRow } from './difference-row.ts';
import type { QueryContext } from './query-context.ts';

/** Buckets between the lowest and the highest of a side, beyond those that a histogram has four times over. */
const SPARE_BUCKETS = 64;
const TOTALS = 6;

/** Buckets of one sign at all steps. */
interface Side {
  /** Index of the lowest; buckets from there on. */
  first: number;
  width: number;
  cells: Float64Array;
}

/** See the head of this file. The memory is charged to the query until `release`. */
export class HistogramSums {
  readonly #context: QueryContext;
  readonly #steps: number;
  readonly #layout: HistogramRun;
  /** 1 at the steps that have a sum. */
  readonly #present: Uint8Array;
  readonly #totals: Float64Array;
  readonly #positive: Side = { first: 0, width: 0, cells: new Float64Array(0) };
  readonly #negative: Side = { first: 0, width: 0, cells: new Float64Array(0) };
  #bytes: number;
  /** A run that goes with these sums: so do all that share its layout. */
  #fitting: HistogramRun | undefined;

  /** @param layout says schema and zero bucket */
  constructor(context: QueryContext, steps: number, layout: HistogramRun) {
    this.#bytes = steps * (TOTALS * 8 + 1);
    context.reserve(this.#bytes);
    this.#context = context;
    this.#steps = steps;
    this.#layout = layout;
    this.#present = new Uint8Array(steps);
    this.#totals = new Float64Array(steps * TOTALS);
  }

  /** Whether a step has a sum here. */
  has(k: number): boolean {
    return this.#present[k] === 1;
  }

  /** Adds the difference at a step of a row; false, and nothing is added, if it does not fit. */
  add(row: DifferenceRow, k: number): boolean {
    const { list } = row;
    const [after, before] = [row.after[k]!, row.before[k]!];
    const run = list.runs[list.runAt[after]!]!;
    const fitting = this.#fitting;
    const isFitting = fitting !== undefined && run.positiveSpans === fitting.positiveSpans && run.negativeSpans === fitting.negativeSpans && run.customValues === fitting.customValues && run.zeroThreshold === fitting.zeroThreshold && run.schema === fitting.schema;
    if (!isFitting && !this.#makeFit(run)) return false;
    const runBefore = list.runs[list.runAt[before]!]!;
    const [place, placeBefore] = [list.places[after]!, list.places[before]!];
    const factor = row.factors[k]!;
    const totals = this.#totals;
    const at = k * TOTALS;
    addCompensatedPair(totals, at, (run.zeroCounts[place]! - runBefore.zeroCounts[placeBefore]!) * factor);
    addCompensatedPair(totals, at + 2, (run.counts[place]! - runBefore.counts[placeBefore]!) * factor);
    addCompensatedPair(totals, at + 4, (run.sums[place]! - runBefore.sums[placeBefore]!) * factor);
    const from = row.differencesAt[k]!;
    addSide(this.#positive, k, run.positiveSpans, row.differences, from, factor);
    if (run.negativeBuckets > 0) addSide(this.#negative, k, run.negativeSpans, row.differences, from + run.positiveBuckets, factor);
    this.#present[k] = 1;
    return true;
  }

  /** The sum at a step, compact; only where there is one. */
  result(k: number): FloatHistogram {
    return this.#histogramOf(k, (cells, cell) => cells[cell]! + cells[cell + 1]!);
  }

  /** Takes the sum of a step away, as something that takes any histogram. */
  take(k: number): HistogramSum {
    this.#present[k] = 0;
    const [counts, losses] = [this.#histogramOf(k, (cells, cell) => cells[cell]!, true), this.#histogramOf(k, (cells, cell) => cells[cell + 1]!, true)];
    return new HistogramSum(counts, losses);
  }

  /** Gives the memory charge back. */
  release(): void {
    this.#context.release(this.#bytes);
    this.#bytes = 0;
  }

  #histogramOf(k: number, value: (cells: Float64Array, cell: number) => number, withEmpty: boolean = false): FloatHistogram {
    const totals = this.#totals;
    const at = k * TOTALS;
    const positive = bucketsOf(this.#positive, k, value, withEmpty);
    const negative = bucketsOf(this.#negative, k, value, withEmpty);
    return createHistogram({
      schema: this.#layout.schema,
      zeroThreshold: this.#layout.zeroThreshold,
      zeroCount: value(totals, at),
      count: value(totals, at + 2),
      sum: value(totals, at + 4),
      resetHint: RESET_HINTS.gauge,
      positiveSpans: positive.spans,
      positiveBuckets: positive.buckets,
      negativeSpans: negative.spans,
      negativeBuckets: negative.buckets,
      customValues: this.#layout.customValues,
    });
  }

  /** Whether differences of a run can be added; makes room for its buckets. */
  #makeFit(run: HistogramRun): boolean {
    const layout = this.#layout;
    if (run.schema !== layout.schema || run.zeroThreshold !== layout.zeroThreshold || !isSameBounds(run.customValues, layout.customValues) || !isRunBeyondZero(run)) return false;
    if (!this.#makeRoom(this.#positive, run.positiveSpans, run.positiveBuckets) || !this.#makeRoom(this.#negative, run.negativeSpans, run.negativeBuckets)) return false;
    this.#fitting = run;
    return true;
  }

  #makeRoom(side: Side, spans: readonly HistogramSpan[], buckets: number): boolean {
    if (buckets === 0) return true;
    let low = Number.POSITIVE_INFINITY;
    let end = 0;
    for (const { offset, length } of spans) {
      end += offset;
      if (length > 0 && end < low) low = end;
      end += length;
    }
    if (side.width > 0 && low >= side.first && end <= side.first + side.width) return true;
    const first = side.width === 0 ? low : Math.min(low, side.first);
    const width = (side.width === 0 ? end : Math.max(end, side.first + side.width)) - first;
    if (width > 4 * Math.max(buckets, side.width) + SPARE_BUCKETS) return false;
    const bytes = this.#steps * (width - side.width) * 16;
    this.#context.reserve(bytes);
    this.#bytes += bytes;
    const cells = new Float64Array(this.#steps * width * 2);
    if (side.width > 0) for (let k = 0; k < this.#steps; k++) cells.set(side.cells.subarray(k * side.width * 2, (k + 1) * side.width * 2), (k * width + side.first - first) * 2);
    side.first = first;
    side.width = width;
    side.cells = cells;
    return true;
  }
}

function isSameBounds(a: Float64Array, b: Float64Array): boolean {
  if (a === b) return true;
  return a.length === b.length && a.every((bound, i) => bound === b[i]);
}

/** Adds to a cell with compensation; what rounding loses is in the next one. As `addCompensated` of model. */
export function addCompensatedPair(cells: Float64Array, at: number, x: number): void {
  const sum = cells[at]!;
  const total = sum + x;
  if (total === Infinity || total === -Infinity) cells[at + 1] = 0;
  else if (Math.abs(sum) >= Math.abs(x)) cells[at + 1]! += sum - total + x;
  else cells[at + 1]! += x - total + sum;
  cells[at] = total;
}

/** Adds the buckets of one sign, times a factor; `differences` has them from `at` on. */
function addSide(side: Side, k: number, spans: readonly HistogramSpan[], differences: Float64Array, at: number, factor: number): void {
  const { cells } = side;
  let cell = (k * side.width - side.first) * 2;
  let i = at;
  for (let span = 0; span < spans.length; span++) {
    const { offset, length } = spans[span]!;
    cell += offset * 2;
    for (const end = i + length; i < end; i++, cell += 2) {
      // Adding 0 changes nothing, and most buckets do not change within a window.
      if (differences[i] !== 0) addCompensatedPair(cells, cell, differences[i]! * factor);
    }
  }
}

/** The buckets of a step. @param withEmpty all that have a count or a loss, whatever the value is; else those whose value is not 0 */
function bucketsOf({ first, width, cells }: Side, k: number, value: (cells: Float64Array, cell: number) => number, withEmpty: boolean): { readonly spans: HistogramSpan[]; readonly buckets: Float64Array } {
  const buckets = new Float64Array(width);
  const spans: HistogramSpan[] = [];
  let found = 0;
  let end = 0;
  let offset = 0;
  let length = 0;
  for (let i = 0, cell = k * width * 2; i < width; i++, cell += 2) {
    const count = value(cells, cell);
    if (withEmpty ? cells[cell] === 0 && cells[cell + 1] === 0 : count === 0) continue;
    const index = first + i;
    if (length > 0 && index === end) length++;
    else {
      if (length > 0) spans.push({ offset, length });
      offset = index - end;
      length = 1;
    }
    end = index + 1;
    buckets[found++] = count;
  }
  if (length > 0) spans.push({ offset, length });
  return { spans, buckets: found === width ? buckets : buckets.slice(0, found) };
}
