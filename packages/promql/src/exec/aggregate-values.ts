/** Aggregations over the values of a group at one step: `quantile` and `count_values`. */
import { formatHistogram, isValidLabelName, withLabel } from '@gauntlet/model';
import { PromqlError } from '../errors.ts';
import { formatF } from '../functions/go-format.ts';
import { quantileOf } from '../functions/quantile.ts';
import type { AggregateExpr } from '../parser/ast.ts';
import { quoteString } from '../parser/quote.ts';
import { noteIgnored } from './aggregate-histograms.ts';
import { KeyTable } from './key-table.ts';
import { groupingKey, groupLabels, labelsKey } from './labels.ts';
import type { QueryContext } from './query-context.ts';
import { StepMatrix } from './step-matrix.ts';

/** Rows of each group, in first-seen order. */
export interface Grouping {
  /** Group of every row. */
  readonly groupOf: Int32Array;
  /** First row of every group. */
  readonly firstRow: number[];
}

/** Groups rows by the labels an aggregation names. */
export function groupRows(context: QueryContext, expr: AggregateExpr, matrix: StepMatrix): Grouping {
  const keyOf = groupingKey(expr.without ? [...expr.grouping, '__name__'] : expr.grouping, expr.without);
  const groupOf = new Int32Array(matrix.rows);
  const firstRow: number[] = [];
  const keys = new KeyTable(context);
  for (let row = 0; row < matrix.rows; row++) {
    const group = keys.idOf(keyOf(matrix.labels[row]!));
    if (group === firstRow.length) firstRow.push(row);
    groupOf[row] = group;
  }
  keys.free();
  return { groupOf, firstRow };
}

/** Steps looked at together. */
const STEP_BLOCK = 32;

/** `quantile(q, …)`. */
export function aggregateQuantile(context: QueryContext, expr: AggregateExpr, q: Float64Array, matrix: StepMatrix): StepMatrix {
  warnOutside(context, expr, q);
  const { steps } = matrix;
  const held = matrix.count();
  noteIgnored(context, expr, expr.expr.pos, matrix, () => true);
  matrix.dropHistograms();
  const { groupOf, firstRow } = groupRows(context, expr, matrix);
  // A list per group, and what the largest needs to turn its values.
  const bytes = 64 * firstRow.length + (8 + 8 * Math.min(steps, STEP_BLOCK)) * matrix.rows;
  context.reserve(bytes);
  const rowsOf: number[][] = firstRow.map(() => []);
  for (let row = 0; row < matrix.rows; row++) rowsOf[groupOf[row]!]!.push(row);
  const out = new StepMatrix(context, steps, firstRow.length);
  rowsOf.forEach((rows, group) => {
    const at = out.addRow(groupLabels(matrix.labels[firstRow[group]!]!, expr.grouping, expr.without), rows.some((row) => matrix.dropName[row]!)) * steps;
    // Values of a block of steps, turned from [row][step] to [step][row] so that memory is read in runs.
    const block = Math.min(steps, STEP_BLOCK);
    const turned = new Float64Array(block * rows.length);
    const counts = new Int32Array(block);
    for (let from = 0; from < steps; from += block) {
      const to = Math.min(steps, from + block);
      counts.fill(0);
      for (const row of rows) {
        for (let k = from; k < to; k++) {
          if (matrix.present[row * steps + k] === 0) continue;
          const n = counts[k - from]!;
          turned[(k - from) * rows.length + n] = matrix.values[row * steps + k]!;
          counts[k - from] = n + 1;
        }
      }
      for (let k = from; k < to; k++) {
        const n = counts[k - from]!;
        if (n === 0) continue;
        const start = (k - from) * rows.length;
        out.values[at + k] = quantileOf(q[k]!, turned.subarray(start, start + n));
        out.present[at + k] = 1;
      }
      context.worked((to - from) * rows.length, 0);
    }
  });
  context.release(bytes);
  matrix.release();
  context.drop(held);
  context.hold(out.count());
  return out;
}

function warnOutside(context: QueryContext, expr: AggregateExpr, q: Float64Array): void {
  const { pos } = expr.param!;
  // As in Prometheus, extremes of numbers with NaN among them are NaN, and NaN is no more than 1 and no less than 0.
  if (q.some(Number.isNaN)) return context.annotations.invalidQuantile(NaN, pos);
  const max = q.reduce((a, b) => Math.max(a, b), -Infinity);
  const min = q.reduce((a, b) => Math.min(a, b), Infinity);
  if (max > 1) context.annotations.invalidQuantile(max, pos);
  if (min < 0) context.annotations.invalidQuantile(min, pos);
}

/** `count_values("label", …)`: one series per group and value. */
export function countValues(context: QueryContext, expr: AggregateExpr, matrix: StepMatrix): StepMatrix {
  const param = expr.param!;
  const label = param.type === 'string' ? param.value : '';
  if (!isValidLabelName(label)) throw new PromqlError('ERR_EXECUTION', `invalid label name ${quoteString(label)}`, { pos: param.pos });
  const { steps } = matrix;
  const held = matrix.count();
  const grouping = expr.without ? expr.grouping : [...expr.grouping, label];
  const out = new StepMatrix(context, steps);
  const keys = new KeyTable(context);
  for (let row = 0; row < matrix.rows; row++) {
    // Value by value: rows of one group share the result series of equal values.
    let lastText = '';
    let lastRow = -1;
    for (let k = 0; k < steps; k++) {
      const i = row * steps + k;
      if (matrix.present[i] === 0) continue;
      const histogram = matrix.histogramAt(row, k);
      const text = histogram === undefined ? formatF(matrix.values[i]!) : formatHistogram(histogram);
      if (lastRow === -1 || text !== lastText) {
        const labels = groupLabels(withLabel(matrix.labels[row]!, label, text), grouping, expr.without);
        lastText = text;
        lastRow = keys.idOf(labelsKey(labels));
        if (lastRow === out.rows) out.addRow(labels, false);
      }
      const at = lastRow * steps + k;
      out.values[at] = out.present[at] === 1 ? out.values[at]! + 1 : 1;
      out.present[at] = 1;
    }
    context.worked(steps, 1);
  }
  keys.free();
  matrix.release();
  context.drop(held);
  context.hold(out.count());
  return out;
}
