/**
 * An instant vector over all steps: one row per series, one column per step, and a byte beside each value that says whether there is one.
 *
 *            step 0   1   2   3
 *   row 0       1.5  NaN  –   2      present 1 1 0 1     NaN is a value; absence is not
 *   row 1       –     –   7   7      present 0 0 1 1
 *
 * A value may be a native histogram: then its number is 0 and the histogram is in a side table, which matrices of floats do not have.
 * A matrix belongs to whoever asked for it: functions change values and labels in place and give the same matrix on.
 */
import { type FloatHistogram, getLabel, type Labels, METRIC_NAME } from '@gauntlet/model';
import { PromqlError } from '../errors.ts';
import { bytesOfLabels, KeyTable } from './key-table.ts';
import { dropMetadata, labelsKey } from './labels.ts';
import type { QueryContext } from './query-context.ts';

const BYTES_PER_CELL = 9;
/** Cells to begin with where the number of rows is not known. */
const FIRST_CELLS = 16_384;
/** Cells up to which a matrix grows to four times its size. */
const FAST_GROWTH_CELLS = 400_000;

/** Native histograms of one row, one entry per step; undefined where there is a float or nothing. */
export type HistogramRow = (FloatHistogram | undefined)[];

/** What a histogram counts for in sample limits, as in Prometheus: its size in units of a float sample. */
export function samplesOfHistogram(histogram: FloatHistogram): number {
  return Math.floor((bytesOfHistogram(histogram) + 8) / 16);
}

/** The same for a histogram that was not made, by what it would have. */
export function samplesOfHistogramSizes(spans: number, buckets: number, customValues: number): number {
  return Math.floor((bytesOfSizes(spans, buckets, customValues) + 8) / 16);
}

function bytesOfHistogram({ positiveSpans, negativeSpans, positiveBuckets, negativeBuckets, customValues }: FloatHistogram): number {
  return bytesOfSizes(positiveSpans.length + negativeSpans.length, positiveBuckets.length + negativeBuckets.length, customValues.length);
}

function bytesOfSizes(spans: number, buckets: number, customValues: number): number {
  return 168 + 8 * (spans + buckets + customValues);
}

export class StepMatrix {
  readonly steps: number;
  readonly #context: QueryContext;
  #capacity: number;
  /** Number of series. */
  rows = 0;
  labels: Labels[] = [];
  /** With delayed name removal: the name goes when the query ends. */
  dropName: boolean[] = [];
  /** Row-major, `steps` per row. */
  values: Float64Array;
  /** 1 = value, 0 = none; same shape. */
  present: Uint8Array;
  /** Native histograms by row; undefined if the matrix has none. */
  histograms: (HistogramRow | undefined)[] | undefined;
  #histogramBytes = 0;
  /** Charged for label sets. */
  #labelBytes = 0;

  constructor(context: QueryContext, steps: number, rowsExpected: number = Math.max(16, Math.min(1024, Math.floor(FIRST_CELLS / steps)))) {
    this.#context = context;
    this.steps = steps;
    this.#capacity = Math.max(1, rowsExpected);
    context.reserve(this.#capacity * steps * BYTES_PER_CELL);
    this.values = new Float64Array(this.#capacity * steps);
    this.present = new Uint8Array(this.#capacity * steps);
  }

  /** Adds a row without values. @returns its index */
  addRow(labels: Labels, dropName: boolean): number {
    if (this.rows === this.#capacity) this.#grow();
    const bytes = bytesOfLabels(labels);
    this.#context.reserve(bytes);
    this.#labelBytes += bytes;
    this.labels.push(labels);
    this.dropName.push(dropName);
    return this.rows++;
  }

  /** Gives a row other labels. */
  setLabels(row: number, labels: Labels): void {
    const bytes = Math.max(0, bytesOfLabels(labels) - bytesOfLabels(this.labels[row]!));
    this.#context.reserve(bytes);
    this.#labelBytes += bytes;
    this.labels[row] = labels;
    this.#context.worked(0, 1);
  }

  /** The query that pays for it. */
  get context(): QueryContext {
    return this.#context;
  }

  #grow(): void {
    // Small matrices grow faster: what is left behind stays allocated until the next collection, which it brings nearer.
    const capacity = this.#capacity * (this.#capacity * this.steps < FAST_GROWTH_CELLS ? 4 : 2);
    this.#context.reserve(capacity * this.steps * BYTES_PER_CELL);
    const values = new Float64Array(capacity * this.steps);
    const present = new Uint8Array(capacity * this.steps);
    values.set(this.values);
    present.set(this.present);
    this.#context.release(this.#capacity * this.steps * BYTES_PER_CELL);
    this.#capacity = capacity;
    this.values = values;
    this.present = present;
  }

  /** The histogram of a cell, if it is present and one. */
  histogramAt(row: number, k: number): FloatHistogram | undefined {
    return this.present[row * this.steps + k] === 0 ? undefined : this.histograms?.[row]?.[k];
  }

  /** Makes a cell a histogram, or with undefined absent. */
  setHistogram(row: number, k: number, histogram: FloatHistogram | undefined): void {
    const at = row * this.steps + k;
    if (histogram === undefined) {
      this.present[at] = 0;
      return;
    }
    this.values[at] = 0;
    this.present[at] = 1;
    this.#histogramRow(row)[k] = histogram;
    const bytes = bytesOfHistogram(histogram);
    this.#histogramBytes += bytes;
    this.#context.reserve(bytes);
  }

  /** Makes cells of a row histograms: those that `histograms` has. */
  setHistograms(row: number, histograms: { at(k: number): FloatHistogram | undefined }): void {
    for (let k = 0; k < this.steps; k++) {
      const histogram = histograms.at(k);
      if (histogram !== undefined) this.setHistogram(row, k, histogram);
    }
  }

  /** Makes a cell a float. */
  setFloat(row: number, k: number, value: number): void {
    const at = row * this.steps + k;
    this.values[at] = value;
    this.present[at] = 1;
    const histograms = this.histograms?.[row];
    if (histograms !== undefined) histograms[k] = undefined;
  }

  #histogramRow(row: number): HistogramRow {
    const rows = (this.histograms ??= []);
    while (rows.length <= row) rows.push(undefined);
    return (rows[row] ??= Array.from({ length: this.steps }, () => undefined));
  }

  /** Makes all cells that are histograms absent. */
  dropHistograms(): void {
    if (this.histograms === undefined) return;
    for (let row = 0; row < this.rows; row++) {
      for (let k = 0; k < this.steps; k++) if (this.histogramAt(row, k) !== undefined) this.present[row * this.steps + k] = 0;
    }
    this.histograms = undefined;
    this.keepRows((row) => this.hasValues(row));
  }

  /** Samples of a row, as limits count them. */
  countRow(row: number): number {
    let count = 0;
    for (let i = row * this.steps; i < (row + 1) * this.steps; i++) count += this.present[i]!;
    if (this.histograms?.[row] === undefined) return count;
    for (let k = 0; k < this.steps; k++) {
      const histogram = this.histogramAt(row, k);
      if (histogram !== undefined) count += samplesOfHistogram(histogram) - 1;
    }
    return count;
  }

  /** Samples there are, as limits count them. */
  count(): number {
    let count = 0;
    const end = this.rows * this.steps;
    if (this.histograms === undefined) for (let i = 0; i < end; i++) count += this.present[i]!;
    else for (let row = 0; row < this.rows; row++) count += this.countRow(row);
    return count;
  }

  /** Whether a row has any value. */
  hasValues(row: number): boolean {
    const end = (row + 1) * this.steps;
    for (let i = row * this.steps; i < end; i++) if (this.present[i] === 1) return true;
    return false;
  }

  /** Keeps the rows for which `keep` holds, in order. */
  keepRows(keep: (row: number) => boolean): void {
    const steps = this.steps;
    let kept = 0;
    for (let row = 0; row < this.rows; row++) {
      if (!keep(row)) continue;
      if (kept !== row) {
        this.values.copyWithin(kept * steps, row * steps, (row + 1) * steps);
        this.present.copyWithin(kept * steps, row * steps, (row + 1) * steps);
        this.labels[kept] = this.labels[row]!;
        this.dropName[kept] = this.dropName[row]!;
        if (this.histograms !== undefined) this.histograms[kept] = this.histograms[row];
      }
      kept++;
    }
    this.present.fill(0, kept * steps, this.rows * steps);
    this.rows = kept;
    this.labels.length = kept;
    this.dropName.length = kept;
    if (this.histograms !== undefined && this.histograms.length > kept) this.histograms.length = kept;
  }

  /** Gives the memory charge back; the matrix must not be used afterwards. */
  release(): void {
    this.#context.release(this.#capacity * this.steps * BYTES_PER_CELL + this.#histogramBytes + this.#labelBytes);
    this.#capacity = 0;
    this.#histogramBytes = 0;
    this.#labelBytes = 0;
  }
}

/** The error for two values with one identity at one time. */
export function duplicateLabelset(): PromqlError {
  return new PromqlError('ERR_EXECUTION', 'vector cannot contain metrics with the same labelset');
}

/**
 * Joins rows of equal labels. Rows that never have a value at the same step become one.
 * @throws PromqlError ERR_EXECUTION when two of them have
 */
export function mergeDuplicates(matrix: StepMatrix): StepMatrix {
  if (matrix.rows < 2) return matrix;
  const { steps, values, present } = matrix;
  const keys = new KeyTable(matrix.context);
  /** First row of every key. */
  const firstOf = new Int32Array(matrix.rows);
  /** 1 for rows that went into another. */
  let merged: Uint8Array | undefined;
  for (let row = 0; row < matrix.rows; row++) {
    const known = keys.size;
    const id = keys.idOf(labelsKey(matrix.labels[row]!));
    if (id === known) {
      firstOf[id] = row;
      continue;
    }
    const first = firstOf[id]!;
    for (let k = 0; k < steps; k++) {
      if (present[row * steps + k] === 0) continue;
      if (present[first * steps + k] === 1) throw duplicateLabelset();
      present[first * steps + k] = 1;
      values[first * steps + k] = values[row * steps + k]!;
      if (matrix.histograms !== undefined) {
        const histogram = matrix.histogramAt(row, k);
        if (histogram === undefined) matrix.setFloat(first, k, values[row * steps + k]!);
        else matrix.setHistogram(first, k, histogram);
      }
    }
    (merged ??= new Uint8Array(matrix.rows))[row] = 1;
  }
  keys.free();
  const dropped = merged;
  if (dropped !== undefined) matrix.keepRows((row) => dropped[row] === 0);
  return matrix;
}

/**
 * Drops the metric name of all rows, now or (delayed name removal) at the end of the query, and joins what becomes equal.
 * @param withoutName what is dropped: without argument type and unit too
 */
export function dropNames(matrix: StepMatrix, delayed: boolean, withoutName: (labels: Labels) => Labels = dropMetadata): StepMatrix {
  if (delayed) {
    matrix.dropName.fill(true);
    return matrix;
  }
  // Series that differ without their name differ with it: only different names can make duplicates.
  const collide = hasDifferentMetadata(matrix);
  for (let row = 0; row < matrix.rows; row++) matrix.labels[row] = withoutName(matrix.labels[row]!);
  return collide ? mergeDuplicates(matrix) : matrix;
}

function hasDifferentMetadata(matrix: StepMatrix): boolean {
  if (matrix.rows < 2) return false;
  const first = matrix.labels[0]!;
  const name = getLabel(first, METRIC_NAME);
  const type = getLabel(first, '__type__');
  const unit = getLabel(first, '__unit__');
  for (let row = 1; row < matrix.rows; row++) {
    const labels = matrix.labels[row]!;
    if (getLabel(labels, METRIC_NAME) !== name || getLabel(labels, '__type__') !== type || getLabel(labels, '__unit__') !== unit) return true;
  }
  return false;
}

/** The end of a query with delayed name removal: marked rows lose their name, and what becomes equal is joined. */
export function removeDelayedNames(matrix: StepMatrix): StepMatrix {
  if (!matrix.dropName.includes(true)) return mergeDuplicates(matrix);
  for (let row = 0; row < matrix.rows; row++) {
    if (matrix.dropName[row] === true) matrix.labels[row] = dropMetadata(matrix.labels[row]!);
  }
  matrix.dropName.fill(false);
  return mergeDuplicates(matrix);
}
