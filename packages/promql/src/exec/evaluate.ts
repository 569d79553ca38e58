/**
 * Evaluates a prepared expression over a grid of steps: the dispatcher over node types. Each kind of node has its own file.
 *
 *   evaluate       any node → vector (matrix of steps) or scalar (one column)
 *   evaluateRows   the same vector, row by row into a sink; selectors and range functions stream, everything else is computed first
 *
 * The files of the node types evaluate their operands through operators.ts, so that none of them needs this one.
 */
import { mulHistogram } from '@gauntlet/model';
import { PromqlError } from '../errors.ts';
import type { Expr } from '../parser/ast.ts';
import { evaluateCall } from './call.ts';
import { evaluateAggregate } from './aggregate.ts';
import { evaluateBinary } from './binary.ts';
import { evaluateVector, type Operators, type Value } from './operators.ts';
import { limitError } from './limit-errors.ts';
import type { Analysis, Grid, QueryContext } from './query-context.ts';
import { isRangeCall, rangeFunctionRows } from './range-function.ts';
import { MatrixSink, type RowSink, sendRows } from './rows.ts';
import { OperatorMeter } from './operator-meter.ts';
import { countsBytes, SampleCounts } from './sample-counts.ts';
import { selectVectorRows } from './select-vector.ts';
import { evaluateShared } from './shared-value.ts';
import { dropNames, StepMatrix } from './step-matrix.ts';

/** Evaluates a node. Range vectors and strings are no values: functions read them from the syntax tree. */
async function evaluateNode(context: QueryContext, expr: Expr, grid: Grid): Promise<Value> {
  context.poll();
  try {
    return await evaluateMeasured(context, expr, grid);
  } catch (error) {
    throw limitError(error, expr);
  }
}

async function evaluateMeasured(context: QueryContext, expr: Expr, grid: Grid): Promise<Value> {
  if (context.analysis === undefined || expr.type === 'paren') return evaluateKind(context, expr, grid);
  return measure(context, context.analysis, expr, grid, async (part, meter) => {
    const value = await evaluateKind(part, expr, grid);
    meter.series += value.type === 'scalar' ? 1 : value.matrix.rows;
    meter.samplesOut += value.type === 'scalar' ? value.values.length : value.matrix.count();
    return value;
  });
}

async function evaluateKind(context: QueryContext, expr: Expr, grid: Grid): Promise<Value> {
  switch (expr.type) {
    case 'number':
      return { type: 'scalar', values: new Float64Array(grid.steps).fill(expr.value) };
    case 'paren':
      return evaluateNode(context, expr.expr, grid);
    case 'shared':
      return { type: 'vector', matrix: await evaluateShared(context, expr, grid) };
    case 'vectorSelector': {
      const sink = new MatrixSink(context, grid.steps);
      await selectVectorRows(context, expr, grid, sink);
      return { type: 'vector', matrix: sink.matrix };
    }
    case 'call':
      if (isRangeCall(expr)) {
        const sink = new MatrixSink(context, grid.steps);
        await rangeFunctionRows(context, expr, grid, sink);
        return { type: 'vector', matrix: sink.matrix };
      }
      return evaluateCall(context, expr, grid);
    case 'aggregate':
      return { type: 'vector', matrix: await evaluateAggregate(context, expr, grid) };
    case 'binary':
      return evaluateBinary(context, expr, grid);
    case 'unary':
      return negate(context, expr.op, await evaluateNode(context, expr.expr, grid));
    case 'stepInvariant':
      return repeat(context, await evaluateOnce(context, expr.expr, grid), grid.steps);
    default:
      throw new PromqlError('ERR_EXECUTION', `unhandled expression of type ${expr.type}`, { pos: expr.pos });
  }
}

/** Evaluates a vector-valued node into a sink. */
async function evaluateNodeRows(context: QueryContext, expr: Expr, grid: Grid, sink: RowSink): Promise<void> {
  if (expr.type === 'paren') return evaluateNodeRows(context, expr.expr, grid, sink);
  const isRange = expr.type === 'call' && isRangeCall(expr);
  if (expr.type !== 'vectorSelector' && !isRange) return sendRows(context, await evaluateVector(context, expr, grid), sink);
  const rows = (inner: QueryContext, to: RowSink): Promise<void> =>
    expr.type === 'vectorSelector' ? selectVectorRows(inner, expr, grid, to) : rangeFunctionRows(inner, expr, grid, to);
  const { analysis } = context;
  try {
    if (analysis === undefined) return await rows(context, sink);
    return await measure(context, analysis, expr, grid, (part, meter) => rows(part, meter.givesTo(sink, analysis.now)));
  } catch (error) {
    throw limitError(error, expr);
  }
}

/** Evaluates a node of an analyzed query as a part of it, with a meter. */
async function measure<T>(context: QueryContext, analysis: Analysis, expr: Expr, grid: Grid, run: (part: QueryContext, meter: OperatorMeter) => Promise<T>): Promise<T> {
  const meter = new OperatorMeter(context.meter);
  analysis.meters.set(expr, meter);
  context.reserve(countsBytes(grid));
  const counts = new SampleCounts(grid);
  const part = context.part({ meter, counts });
  const from = analysis.now();
  try {
    return await run(part, meter);
  } finally {
    meter.timeMs += analysis.now() - from;
    meter.totalSamples = counts.queryable;
    context.join(part);
    context.counts?.addAll(counts);
    context.release(countsBytes(grid));
  }
}

/** The value at the first step, for all of them. */
async function evaluateOnce(context: QueryContext, expr: Expr, grid: Grid): Promise<Value> {
  const once = { ...grid, steps: 1, tailMs: 0 };
  if (context.counts === undefined) return evaluateNode(context, expr, once);
  const counts = new SampleCounts(once);
  const part = context.part({ counts });
  const value = await evaluateNode(part, expr, once);
  context.join(part);
  context.counts.addRepeated(counts);
  return value;
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
  if (matrix.histograms !== undefined) {
    for (let row = 0; row < matrix.rows; row++) {
      for (let k = 0; k < matrix.steps; k++) {
        const histogram = matrix.histogramAt(row, k);
        if (histogram !== undefined) matrix.setHistogram(row, k, mulHistogram(histogram, -1));
      }
    }
  }
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
    const added = many.addRow(one.labels[row]!, one.dropName[row]!);
    const at = added * steps;
    const histogram = one.histogramAt(row, 0);
    many.values.fill(one.values[row]!, at, at + steps);
    many.present.fill(1, at, at + steps);
    if (histogram !== undefined) many.setHistograms(added, Array.from({ length: steps }, () => histogram));
    context.hold((steps - 1) * one.countRow(row));
  }
  one.release();
  return { type: 'vector', matrix: many };
}

/** Evaluation of every kind of node. */
export const OPERATORS: Operators = { evaluate: evaluateNode, evaluateRows: evaluateNodeRows };
