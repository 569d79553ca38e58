/**
 * Evaluates a prepared expression over a grid of steps: the dispatcher over node types. Each kind of node has its own file.
 *
 *   evaluate       any node → vector (matrix of steps) or scalar (one column)
 *   evaluateRows   the same vector, row by row into a sink; selectors and range functions stream, everything else is computed first
 */
import { PromqlError } from '../errors.ts';
import type { Expr } from '../parser/ast.ts';
import { evaluateCall } from './call.ts';
import { evaluateAggregate } from './aggregate.ts';
import { evaluateBinary } from './binary.ts';
import type { Grid, QueryContext } from './query-context.ts';
import { isRangeCall, rangeFunctionRows } from './range-function.ts';
import { MatrixSink, type RowSink, sendRows } from './rows.ts';
import { selectVectorRows } from './select-vector.ts';
import { dropNames, StepMatrix } from './step-matrix.ts';

/** What surrounds a node, for the hints given to storage. */
export interface Surroundings {
  /** Nearest function or aggregation, `''` if none or if a binary operator is nearer. */
  readonly func: string;
  /** Labels of the aggregation directly around the node. */
  readonly grouping: readonly string[];
  readonly by: boolean;
  /** Step of the nearest subquery, or of the query; 0 for an instant query. */
  readonly stepMs: number;
}

export type Value =
  | { readonly type: 'vector'; readonly matrix: StepMatrix }
  /** One number per step. */
  | { readonly type: 'scalar'; readonly values: Float64Array };

/** Evaluates a node. Range vectors and strings are no values: functions read them from the syntax tree. */
export async function evaluate(context: QueryContext, expr: Expr, grid: Grid, around: Surroundings): Promise<Value> {
  context.poll();
  switch (expr.type) {
    case 'number':
      return { type: 'scalar', values: new Float64Array(grid.steps).fill(expr.value) };
    case 'paren':
      return evaluate(context, expr.expr, grid, around);
    case 'vectorSelector': {
      const sink = new MatrixSink(context, grid.steps);
      await selectVectorRows(context, expr, grid, around, sink);
      return { type: 'vector', matrix: sink.matrix };
    }
    case 'call':
      if (isRangeCall(expr)) {
        const sink = new MatrixSink(context, grid.steps);
        await rangeFunctionRows(context, expr, grid, around, sink);
        return { type: 'vector', matrix: sink.matrix };
      }
      return evaluateCall(context, expr, grid, around);
    case 'aggregate':
      return { type: 'vector', matrix: await evaluateAggregate(context, expr, grid, around) };
    case 'binary':
      return evaluateBinary(context, expr, grid, around);
    case 'unary':
      return negate(context, expr.op, await evaluate(context, expr.expr, grid, around));
    case 'stepInvariant':
      return repeat(context, await evaluate(context, expr.expr, { startMs: grid.startMs, stepMs: grid.stepMs, steps: 1 }, around), grid.steps);
    default:
      throw new PromqlError('ERR_EXECUTION', `unhandled expression of type ${expr.type}`, { pos: expr.pos });
  }
}

/** Evaluates a vector-valued node into a sink. */
export async function evaluateRows(context: QueryContext, expr: Expr, grid: Grid, around: Surroundings, sink: RowSink): Promise<void> {
  if (expr.type === 'paren') return evaluateRows(context, expr.expr, grid, around, sink);
  if (expr.type === 'vectorSelector') return selectVectorRows(context, expr, grid, around, sink);
  if (expr.type === 'call' && isRangeCall(expr)) return rangeFunctionRows(context, expr, grid, around, sink);
  sendRows(context, await evaluateVector(context, expr, grid, around), sink);
}

/** Evaluates a node known to be an instant vector. */
export async function evaluateVector(context: QueryContext, expr: Expr, grid: Grid, around: Surroundings): Promise<StepMatrix> {
  const value = await evaluate(context, expr, grid, around);
  if (value.type !== 'vector') throw new Error(`evaluate ${expr.type}: got a scalar, wanted a vector`);
  return value.matrix;
}

/** Evaluates a node known to be a scalar. */
export async function evaluateScalar(context: QueryContext, expr: Expr, grid: Grid, around: Surroundings): Promise<Float64Array> {
  const value = await evaluate(context, expr, grid, around);
  if (value.type !== 'scalar') throw new Error(`evaluate ${expr.type}: got a vector, wanted a scalar`);
  return value.values;
}

function negate(context: QueryContext, op: '+' | '-', value: Value): Value {
  if (op === '+') return value;
  if (value.type === 'scalar') {
    for (let k = 0; k < value.values.length; k++) value.values[k] = -value.values[k]!;
    return value;
  }
  const { matrix } = value;
  const end = matrix.rows * matrix.steps;
  for (let i = 0; i < end; i++) matrix.values[i] = -matrix.values[i]!;
  return { type: 'vector', matrix: dropNames(matrix, context.settings.delayedNameRemoval) };
}

/** One step's value for all steps. */
function repeat(context: QueryContext, value: Value, steps: number): Value {
  if (steps === 1) return value;
  if (value.type === 'scalar') return { type: 'scalar', values: new Float64Array(steps).fill(value.values[0]!) };
  const one = value.matrix;
  const many = new StepMatrix(context, steps, one.rows);
  for (let row = 0; row < one.rows; row++) {
    if (one.present[row] === 0) continue;
    const at = many.addRow(one.labels[row]!, one.dropName[row]!) * steps;
    many.values.fill(one.values[row]!, at, at + steps);
    many.present.fill(1, at, at + steps);
    context.hold(steps - 1);
  }
  one.release();
  return { type: 'vector', matrix: many };
}
