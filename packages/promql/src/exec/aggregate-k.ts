/**
 * Aggregations that choose series whatever their values are: limitk, limit_ratio. The chosen samples keep all their labels. topk and bottomk
 * are in choose-by-value.ts.
 */
import { type Labels, hashLabels } from '@gauntlet/model';
import { PromqlError } from '../errors.ts';
import { formatG } from '../functions/go-format.ts';
import type { AggregateExpr } from '../parser/ast.ts';
import { groupRows } from './aggregate-values.ts';
import type { QueryContext } from './query-context.ts';
import type { StepMatrix } from './step-matrix.ts';

const INT64 = 2 ** 63;

/** Evaluates one of the choosing aggregations; `param` has one value per step. */
export function aggregateK(context: QueryContext, expr: AggregateExpr, param: Float64Array, matrix: StepMatrix): StepMatrix {
  const held = matrix.count();
  if (!checkParameter(context, expr, param)) {
    matrix.keepRows(() => false);
    context.drop(held);
    return matrix;
  }
  const result = expr.op === 'limit_ratio' ? limitRatio(context, param, matrix) : limitK(context, expr, param, matrix);
  context.drop(held);
  context.hold(result.count());
  return result;
}

/** False when nothing can be chosen at any step. @throws PromqlError ERR_EXECUTION for a parameter that is no usable number */
export function checkParameter(context: QueryContext, expr: AggregateExpr, param: Float64Array): boolean {
  let min = Infinity;
  let max = -Infinity;
  let nan = false;
  for (const value of param) {
    if (Number.isNaN(value)) nan = true;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  const fail = (message: string): never => {
    throw new PromqlError('ERR_EXECUTION', message, { pos: expr.param!.pos });
  };
  if (expr.op === 'limit_ratio') {
    if (!nan && max === 0 && min === 0) return false;
    if (nan) fail('Ratio value is NaN');
    if (max > 1) context.annotations.invalidRatio(max, 1, expr.param!.pos);
    if (min < -1) context.annotations.invalidRatio(min, -1, expr.param!.pos);
    return true;
  }
  if (!nan && max < 1) return false;
  if (nan) fail('Parameter value is NaN');
  if (min <= -INT64) fail(`Scalar value ${formatG(min)} underflows int64`);
  if (max >= INT64) fail(`Scalar value ${formatG(max)} overflows int64`);
  return true;
}

/** Per step and series a fixed fraction, chosen by the hash of the labels. */
function limitRatio(context: QueryContext, param: Float64Array, matrix: StepMatrix): StepMatrix {
  const { steps } = matrix;
  for (let row = 0; row < matrix.rows; row++) {
    const offset = hashFraction(matrix.labels[row]!);
    for (let k = 0; k < steps; k++) {
      const ratio = Math.max(-1, Math.min(1, param[k]!));
      const taken = ratio !== 0 && ((ratio >= 0 && offset < ratio) || (ratio < 0 && offset >= 1 + ratio));
      if (!taken) matrix.present[row * steps + k] = 0;
    }
    context.worked(steps, 1);
  }
  matrix.keepRows((row) => matrix.hasValues(row));
  return matrix;
}

function hashFraction(labels: Labels): number {
  const { hi, lo } = hashLabels(labels);
  return ((hi >>> 0) * 2 ** 32 + (lo >>> 0)) / 2 ** 64;
}

/** Per step the first k series of each group. */
function limitK(context: QueryContext, expr: AggregateExpr, param: Float64Array, matrix: StepMatrix): StepMatrix {
  const { steps } = matrix;
  const { groupOf, firstRow } = groupRows(context, expr, matrix);
  const taken = new Int32Array(firstRow.length);
  for (let k = 0; k < steps; k++) {
    const limit = Math.min(Math.trunc(param[k]!), matrix.rows);
    taken.fill(0);
    for (let row = 0; row < matrix.rows; row++) {
      const i = row * steps + k;
      if (matrix.present[i] === 0) continue;
      const group = groupOf[row]!;
      if (taken[group]! < limit) taken[group] = taken[group]! + 1;
      else matrix.present[i] = 0;
    }
    context.worked(matrix.rows, 0);
  }
  matrix.keepRows((row) => matrix.hasValues(row));
  return matrix;
}
