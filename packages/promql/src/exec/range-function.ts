/**
 * Calls of functions over range vectors (`rate(x[5m])`, `max_over_time(rate(x[1m])[1h:])`): what they read, series by series. The range vector is a
 * matrix selector, read from storage, or a subquery, evaluated first over its own grid; `window-rows.ts` evaluates each series.
 */
import { PromqlError } from '../errors.ts';
import { absentLabels } from '../functions/absent.ts';
import type { Call, Expr, MatrixSelector, SubqueryExpr } from '../parser/ast.ts';
import { stepHistograms } from './mixed-range.ts';
import { evaluateScalar } from './operators.ts';
import type { Grid, QueryContext } from './query-context.ts';
import { readSeries } from './read-series.ts';
import { type RowSink, Scratch } from './rows.ts';
import { evaluateSubquery, subqueryGrid } from './subquery.ts';
import { isRangeFunction, WindowRows } from './window-rows.ts';

/** Whether a call takes a range vector. */
export function isRangeCall(call: Call): boolean {
  return isRangeFunction(call.func);
}

/** Evaluates a call of a range function into a sink. */
export async function rangeFunctionRows(context: QueryContext, call: Call, grid: Grid, sink: RowSink): Promise<void> {
  if (call.func === 'absent_over_time') return absentOverTimeRows(context, call, grid, sink);
  return windowRows(context, call, grid, sink);
}

async function windowRows(context: QueryContext, call: Call, grid: Grid, sink: RowSink): Promise<void> {
  const range = rangeArgument(call);
  const args: Float64Array[] = [];
  for (const arg of call.args) if (arg !== range) args.push(await evaluateScalar(context, arg, grid));
  const rows = new WindowRows(context, { call, range, args, grid, pos: remarkPos(call, range), sink });
  try {
    if (range.type === 'subquery') return await subqueryRows(context, range, grid, rows);
    const { look, beforeMs, afterMs, withStarts } = rows;
    const request = {
      matchers: range.vector.matchers,
      read: range.vector.read,
      mint: look.askFromMs - range.rangeMs - beforeMs + 1,
      maxt: look.lastMs + afterMs,
      withStarts,
    };
    await readSeries(context, request, (labels, t, v, n, histograms, starts) => rows.visit(labels, false, t, v, n, histograms, withStarts ? starts : undefined));
  } finally {
    rows.free();
  }
}

function withoutParens(expr: Expr): Expr {
  let inner = expr;
  while (inner.type === 'paren' || inner.type === 'stepInvariant') inner = inner.expr;
  return inner;
}

function rangeArgument(call: Call): MatrixSelector | SubqueryExpr {
  for (const arg of call.args) {
    const inner = withoutParens(arg);
    if (inner.type === 'matrixSelector' || inner.type === 'subquery') return inner;
  }
  throw new PromqlError('ERR_EXECUTION', `call ${call.func}: no range vector among its arguments`, { pos: call.pos });
}

/** Where remarks about a call point to: its first argument. As in Prometheus a subquery there has no place, so they point to the begin of the query. */
function remarkPos(call: Call, range: MatrixSelector | SubqueryExpr): Expr['pos'] {
  return range.type === 'subquery' && withoutParens(call.args[0]!) === range ? { start: 0, end: 0 } : call.args[0]!.pos;
}

/** Evaluates a subquery and hands its rows on as columns: the steps that have a value. */
async function subqueryRows(
  context: QueryContext,
  subquery: SubqueryExpr,
  grid: Grid,
  rows: WindowRows,
): Promise<void> {
  const inner = subqueryGrid(context, subquery, grid);
  if (inner.steps === 0) return;
  const matrix = await evaluateSubquery(context, subquery, inner);
  const held = matrix.count();
  const scratch = new Scratch(context);
  try {
    const timestampsPtr = scratch.ensure(inner.steps * 16);
    const valuesPtr = timestampsPtr + inner.steps * 8;
    for (let row = 0; row < matrix.rows; row++) {
      const timestamps = context.kernels.memory.f64(timestampsPtr, inner.steps);
      const values = context.kernels.memory.f64(valuesPtr, inner.steps);
      const at = row * inner.steps;
      let count = 0;
      for (let k = 0; k < inner.steps; k++) {
        if (matrix.present[at + k] === 0) continue;
        timestamps[count] = inner.startMs + k * inner.stepMs;
        values[count++] = matrix.values[at + k]!;
      }
      if (count > 0) rows.visit(matrix.labels[row]!, matrix.dropName[row]!, timestampsPtr, valuesPtr, count, stepHistograms(matrix, row), undefined);
      context.worked(count, 1);
    }
  } finally {
    scratch.free();
    matrix.release();
    context.drop(held);
  }
}

/** absent_over_time: 1 where no series has a sample in the window. */
async function absentOverTimeRows(context: QueryContext, call: Call, grid: Grid, sink: RowSink): Promise<void> {
  const { steps } = grid;
  const { memory } = context.kernels;
  const some = new Uint8Array(steps);
  await windowRows(context, call, grid, {
    add(_labels, _dropName, _valuesPtr, presentPtr, found) {
      const present = memory.u8(presentPtr, steps);
      for (let k = 0; k < steps; k++) some[k] = some[k]! | present[k]!;
      context.drop(found);
    },
  });
  const row = new Scratch(context);
  try {
    const valuesPtr = row.ensure(steps * 9);
    const presentPtr = valuesPtr + steps * 8;
    const present = memory.u8(presentPtr, steps);
    let found = 0;
    for (let k = 0; k < steps; k++) {
      present[k] = 1 - some[k]!;
      found += present[k]!;
    }
    memory.f64(valuesPtr, steps).fill(1);
    if (found === 0) return;
    context.hold(found);
    sink.add(absentLabels(call.args[0]!), true, valuesPtr, presentPtr, found);
  } finally {
    row.free();
  }
}
