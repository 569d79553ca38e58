/**
 * Binary operators: dispatch by operand types, and the forms with a scalar. Two vectors are in binary-vector.ts and set-operators.ts.
 */
import { Annotations } from '../annotations.ts';
import type { BinaryExpr, Expr } from '../parser/ast.ts';
import { valueType } from '../parser/check-types.ts';
import { applyColumns, changesQuantity, isComparison } from './binary-ops.ts';
import { matchVectors } from './binary-vector.ts';
import { evaluate, type Value } from './operators.ts';
import { applyHistogramOp } from './histogram-ops.ts';
import type { Grid, QueryContext } from './query-context.ts';
import { combineSets } from './set-operators.ts';
import { dropNames, type StepMatrix } from './step-matrix.ts';

/** Evaluates a binary expression. Both sides are evaluated at the same time: usually they wait for storage. */
export async function evaluateBinary(context: QueryContext, expr: BinaryExpr, grid: Grid): Promise<Value> {
  const [lhs, rhs] = await both(context, expr.lhs, expr.rhs, grid);
  if (lhs.type === 'scalar' && rhs.type === 'scalar') {
    applyColumns(expr.op, lhs.values, 0, rhs.values, 0, lhs.values, 0, grid.steps);
    return lhs;
  }
  if (lhs.type === 'vector' && rhs.type === 'vector') {
    const held = lhs.matrix.count() + rhs.matrix.count();
    const matrix =
      expr.op === 'and' || expr.op === 'or' || expr.op === 'unless'
        ? combineSets(context, expr, grid, lhs.matrix, rhs.matrix)
        : matchVectors(context, expr, lhs.matrix, rhs.matrix);
    context.drop(held);
    context.hold(matrix.count());
    return { type: 'vector', matrix };
  }
  if (lhs.type === 'vector' && rhs.type === 'scalar') return { type: 'vector', matrix: withScalar(context, expr, lhs.matrix, rhs.values, false) };
  if (lhs.type === 'scalar' && rhs.type === 'vector') return { type: 'vector', matrix: withScalar(context, expr, rhs.matrix, lhs.values, true) };
  throw new Error(`evaluate ${expr.op}: operands of types ${lhs.type} and ${rhs.type}`);
}

async function both(context: QueryContext, lhs: Expr, rhs: Expr, grid: Grid): Promise<[Value, Value]> {
  // Nothing to wait for on one side: no need for a pair of promises that may fail.
  if (valueType(lhs) === 'scalar' || valueType(rhs) === 'scalar') {
    return [await evaluate(context, lhs, grid), await evaluate(context, rhs, grid)];
  }
  // Which side remarks first must not depend on which storage answers first.
  const [lhsPart, rhsPart] = [context.part({ annotations: new Annotations() }), context.part({ annotations: new Annotations() })];
  const [left, right] = await Promise.allSettled([evaluate(lhsPart, lhs, grid), evaluate(rhsPart, rhs, grid)]);
  if (left.status === 'rejected') throw left.reason;
  if (right.status === 'rejected') throw right.reason;
  for (const part of [lhsPart, rhsPart]) {
    context.join(part);
    context.annotations.addAll(part.annotations, (pos) => pos);
  }
  return [left.value, right.value];
}

/** A vector and a scalar; `swapped` when the scalar is on the left. Comparisons as filters keep the vector's value on whichever side it is. */
function withScalar(context: QueryContext, expr: BinaryExpr, matrix: StepMatrix, scalar: Float64Array, swapped: boolean): StepMatrix {
  const { steps, values, present } = matrix;
  const { op } = expr;
  if (op === '</' || op === '>/') {
    // Trimming is for histograms; floats go, with a remark.
    const held = matrix.count();
    for (let i = 0; i < matrix.rows * steps; i++) {
      if (present[i] === 0 || matrix.histogramAt(Math.floor(i / steps), i % steps) !== undefined) continue;
      present[i] = 0;
      context.annotations.incompatibleTypes('float', op, 'float', expr.pos);
    }
    withHistograms(context, expr, matrix, scalar, swapped);
    matrix.keepRows((row) => matrix.hasValues(row));
    context.drop(held - matrix.count());
    return matrix;
  }
  const filters = isComparison(op) && !expr.returnBool;
  const shrinks = filters || matrix.histograms !== undefined;
  const held = shrinks ? matrix.count() : 0;
  if (isComparison(op)) withHistograms(context, expr, matrix, scalar, swapped);
  const verdict = filters ? new Float64Array(steps) : values;
  for (let row = 0; row < matrix.rows; row++) {
    const at = row * steps;
    const outAt = filters ? 0 : at;
    if (swapped) applyColumns(op, scalar, 0, values, at, verdict, outAt, steps);
    else applyColumns(op, values, at, scalar, 0, verdict, outAt, steps);
    if (filters) for (let k = 0; k < steps; k++) present[at + k] = present[at + k]! & verdict[k]!;
    context.worked(steps, 0);
  }
  if (!isComparison(op)) withHistograms(context, expr, matrix, scalar, swapped);
  if (shrinks) {
    matrix.keepRows((row) => matrix.hasValues(row));
    context.drop(held - matrix.count());
  }
  return changesQuantity(op) || expr.returnBool ? dropNames(matrix, context.settings.delayedNameRemoval) : matrix;
}

/** The histograms of a vector with a scalar. No comparison with a number holds. */
function withHistograms(context: QueryContext, expr: BinaryExpr, matrix: StepMatrix, scalar: Float64Array, swapped: boolean): void {
  if (matrix.histograms === undefined) return;
  for (let row = 0; row < matrix.rows; row++) {
    for (let k = 0; k < matrix.steps; k++) {
      const histogram = matrix.histogramAt(row, k);
      if (histogram === undefined) continue;
      const { histogram: result, remark } = swapped ? applyHistogramOp(expr, scalar[k]!, histogram) : applyHistogramOp(expr, histogram, scalar[k]!);
      remark?.(context.annotations);
      matrix.setHistogram(row, k, result);
    }
    context.worked(10 * matrix.steps, 0);
  }
}
