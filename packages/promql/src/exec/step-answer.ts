/**
 * The answer of a range query: series in label order with the steps that have a value. Columns are made when somebody asks for them; whoever
 * writes the answer out whole takes the rows of steps as they are.
 */
import { compareLabels, type FloatHistogram } from '@gauntlet/model';
import type { QueryResult, StepRows } from '../query-result.ts';
import type { Grid, QueryContext } from './query-context.ts';
import type { StepMatrix } from './step-matrix.ts';

/** What an answer consists of, remarks aside. */
export type Answer = Pick<QueryResult, 'type' | 'labels' | 'offsets' | 'timestampsMs' | 'values' | 'histograms' | 'steps' | 'string'>;

/** Heap bytes of a row while an answer is put in order. */
const ROW_BYTES = 32;
/** Bytes of one sample in an answer's columns. */
export const SAMPLE_BYTES = 16;

/** Samples of an answer, series after series. */
interface Columns {
  readonly offsets: Int32Array;
  readonly timestampsMs: Float64Array;
  readonly values: Float64Array;
}

/** An answer over a matrix, which is used up. */
export function stepAnswer(context: QueryContext, matrix: StepMatrix, grid: Grid): Answer {
  const rows = rowsInOrder(context, matrix);
  const labels = Array.from(rows, (row) => matrix.labels[row]!);
  const steps: StepRows = { startMs: grid.startMs, stepMs: grid.stepMs, steps: grid.steps, rows, values: matrix.values, present: matrix.present };
  let columns: Columns | undefined;
  const made = (): Columns => (columns ??= makeColumns(context, steps));
  const hasHistograms = matrix.histograms !== undefined;
  return {
    type: 'matrix',
    labels,
    histograms: hasHistograms ? histogramsOf(context, matrix, steps) : undefined,
    steps: hasHistograms ? undefined : steps,
    string: undefined,
    get offsets() {
      return made().offsets;
    },
    get timestampsMs() {
      return made().timestampsMs;
    },
    get values() {
      return made().values;
    },
  };
}

/** Rows that have a value, by labels. */
function rowsInOrder(context: QueryContext, matrix: StepMatrix): Int32Array {
  // Three lists of numbers at a time.
  context.reserve(matrix.rows * ROW_BYTES);
  const rows: number[] = [];
  for (let row = 0; row < matrix.rows; row++) if (matrix.hasValues(row)) rows.push(row);
  const isBefore = (a: number, b: number): number => {
    context.worked(1, 0);
    return compareLabels(matrix.labels[a]!, matrix.labels[b]!);
  };
  // What selectors give is in order already.
  let isSorted = true;
  for (let i = 1; i < rows.length && isSorted; i++) isSorted = isBefore(rows[i - 1]!, rows[i]!) <= 0;
  return Int32Array.from(isSorted ? rows : rows.sort(isBefore));
}

function makeColumns(context: QueryContext, { startMs, stepMs, steps, rows, values, present }: StepRows): Columns {
  const offsets = new Int32Array(rows.length + 1);
  rows.forEach((row, i) => {
    let count = 0;
    for (let at = row * steps; at < (row + 1) * steps; at++) count += present[at]!;
    offsets[i + 1] = offsets[i]! + count;
  });
  const count = offsets[rows.length]!;
  context.reserve(count * SAMPLE_BYTES);
  const timestampsMs = new Float64Array(count);
  const kept = new Float64Array(count);
  let to = 0;
  for (const row of rows) {
    const from = row * steps;
    for (let k = 0; k < steps; k++) {
      if (present[from + k] === 0) continue;
      timestampsMs[to] = startMs + k * stepMs;
      kept[to++] = values[from + k]!;
    }
    context.worked(steps, 1);
  }
  return { offsets, timestampsMs, values: kept };
}

/** The histogram beside each sample of the columns. */
function histogramsOf(context: QueryContext, matrix: StepMatrix, { rows, steps, present }: StepRows): (FloatHistogram | undefined)[] {
  context.reserve((matrix.count() - countPresent(matrix)) * SAMPLE_BYTES);
  const histograms: (FloatHistogram | undefined)[] = [];
  for (const row of rows) {
    for (let k = 0; k < steps; k++) if (present[row * steps + k] === 1) histograms.push(matrix.histogramAt(row, k));
    context.worked(steps, 1);
  }
  return histograms;
}

function countPresent({ rows, steps, present }: StepMatrix): number {
  let count = 0;
  for (let i = 0; i < rows * steps; i++) count += present[i]!;
  return count;
}
