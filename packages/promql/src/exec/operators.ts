/**
 * What evaluation of a node is, apart from how: values, and the calls with which an operator evaluates its operands. They go
 * through the query's context, which got the dispatcher from the engine.
 */
import type { Expr } from '../parser/ast.ts';
import type { Grid, QueryContext } from './query-context.ts';
import type { RowSink } from './rows.ts';
import type { StepMatrix } from './step-matrix.ts';

export type Value =
  | { readonly type: 'vector'; readonly matrix: StepMatrix }
  /** One number per step. */
  | { readonly type: 'scalar'; readonly values: Float64Array };

/** The dispatcher over node types. */
export interface Operators {
  /** Any node but range vectors and strings, which functions read from the syntax tree. */
  evaluate(context: QueryContext, expr: Expr, grid: Grid): Promise<Value>;
  /** A vector, row by row. */
  evaluateRows(context: QueryContext, expr: Expr, grid: Grid, sink: RowSink): Promise<void>;
}

/** Evaluates a node. */
export function evaluate(context: QueryContext, expr: Expr, grid: Grid): Promise<Value> {
  return context.operators.evaluate(context, expr, grid);
}

/** Evaluates a vector-valued node into a sink. */
export function evaluateRows(context: QueryContext, expr: Expr, grid: Grid, sink: RowSink): Promise<void> {
  return context.operators.evaluateRows(context, expr, grid, sink);
}

/** Evaluates a node known to be an instant vector. */
export async function evaluateVector(context: QueryContext, expr: Expr, grid: Grid): Promise<StepMatrix> {
  const value = await evaluate(context, expr, grid);
  if (value.type !== 'vector') throw new Error(`evaluate ${expr.type}: got a scalar, wanted a vector`);
  return value.matrix;
}

/** Evaluates a node known to be a scalar. */
export async function evaluateScalar(context: QueryContext, expr: Expr, grid: Grid): Promise<Float64Array> {
  const value = await evaluate(context, expr, grid);
  if (value.type !== 'scalar') throw new Error(`evaluate ${expr.type}: got a vector, wanted a scalar`);
  return value.values;
}
