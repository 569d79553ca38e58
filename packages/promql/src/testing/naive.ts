/**
 * The naive evaluator: PromQL as a reader would do it by hand, node by node, time by time, sample by sample, with no regard for speed. The engine is
 * compared with it on random queries.
 *
 *   naive-samples   samples, label sets, series over several times          naive-select     selectors, windows, subqueries
 *   naive-range-functions, naive-rate, naive-interpolate, naive-math        what becomes of a window
 *   naive-calls     functions            naive-buckets   quantiles of histograms       naive-info    info()
 *   naive-aggregate aggregations         naive-binary    operators
 *
 * With the engine it shares the parser, functions of one number, number formatting, texts of remarks, and the arithmetic of native histograms; which
 * samples, series, groups and pairs there are it finds out on its own. Start timestamps it does not know.
 */
import { type Labels, mulHistogram } from '@gauntlet/model';
import type { Expr } from '../parser/ast.ts';
import { valueType } from '../parser/check-types.ts';
import { aggregate } from './naive-aggregate.ts';
import { binaryScalars, binaryVectors } from './naive-binary.ts';
import { callScalars, callVectors, rangeVector } from './naive-calls.ts';
import { cleanUp, type NaiveQuery, type NaiveValue, renamed, type Scope, settle, type Vectors } from './naive-samples.ts';
import { selectInstant } from './naive-select.ts';

export { NaiveError, type NaiveQuery, type NaiveValue } from './naive-samples.ts';

/** One sample of an answer. */
export interface NaivePoint {
  readonly labels: Labels;
  readonly timeMs: number;
  readonly value: NaiveValue;
}

/** Samples of the whole answer, time by time, each time in the order of evaluation. Remarks are in `query.annotations`. @throws NaiveError */
export function evaluateNaive(expr: Expr, query: NaiveQuery): NaivePoint[] {
  const times: number[] = [];
  for (let time = query.startMs; time <= query.endMs; time += Math.max(1, query.stepMs)) times.push(time);
  const scope: Scope = { query, times, endMs: query.endMs, histograms: 'whole', vectors: vectorsOf, scalars: scalarsOf };
  let root = expr;
  while (root.type === 'paren') root = root.expr;
  if (root.type === 'matrixSelector' || root.type === 'subquery') {
    const series = rangeVector(root, scope);
    const cleaned = cleanUp([series.map(({ labels, dropName }) => ({ labels, dropName, value: 0 }))], query)[0]!;
    return series.flatMap(({ windows }, i) => windows[0]!.points.map(({ timeMs, value }) => ({ labels: cleaned[i]!.labels, timeMs, value })));
  }
  if (valueType(root) === 'scalar') return scalarsOf(root, scope).map((value, k) => ({ labels: [], timeMs: times[k]!, value }));
  return cleanUp(vectorsOf(root, scope), query).flatMap((samples, k) => samples.map(({ labels, value }) => ({ labels, timeMs: times[k]!, value })));
}

/** Functions whose value depends on the evaluation time. */
const TIME_DEPENDENT: readonly string[] = [
  'day_of_month',
  'day_of_week',
  'day_of_year',
  'days_in_month',
  'hour',
  'minute',
  'month',
  'predict_linear',
  'time',
  'timestamp',
  'year',
];

/** Whether an expression is pinned to a time by `@`: then it is evaluated at the first time, for all. A parameter of an aggregation has no say. */
function isPinned(expr: Expr): boolean {
  switch (expr.type) {
    case 'number':
    case 'string':
      return true;
    case 'vectorSelector':
    case 'subquery':
      return expr.timestampMs !== undefined || expr.startOrEnd !== undefined;
    case 'matrixSelector':
      return isPinned(expr.vector);
    case 'aggregate':
    case 'paren':
    case 'unary':
      return isPinned(expr.expr);
    case 'binary':
      return isPinned(expr.lhs) && isPinned(expr.rhs);
    case 'call': {
      const args = expr.args.map((arg) => (arg.type === 'paren' ? arg.expr : arg));
      return args.every(isPinned) && (!TIME_DEPENDENT.includes(expr.func) || (expr.func === 'timestamp' && args.every(({ type }) => type === 'vectorSelector')));
    }
    default:
      return false;
  }
}

function vectorsOf(expr: Expr, scope: Scope): Vectors {
  if (scope.times.length > 0 && scope.endMs !== scope.times[0] && isPinned(expr)) {
    const [only] = vectorsOf(expr, { ...scope, times: scope.times.slice(0, 1), endMs: scope.times[0]! });
    return scope.times.map(() => only!);
  }
  switch (expr.type) {
    case 'paren':
      return vectorsOf(expr.expr, scope);
    case 'unary':
      return expr.op === '+' ? vectorsOf(expr.expr, scope) : negated(vectorsOf(expr.expr, scope), scope);
    case 'vectorSelector':
      return selectInstant(expr, scope);
    case 'aggregate':
      return aggregate(expr, scope);
    case 'binary':
      return binaryVectors(expr, scope);
    case 'call':
      return callVectors(expr, scope);
    default:
      throw new Error(`naive evaluation of ${expr.type}`);
  }
}

function scalarsOf(expr: Expr, scope: Scope): readonly number[] {
  if (scope.times.length > 0 && scope.endMs !== scope.times[0] && isPinned(expr)) {
    const [only] = scalarsOf(expr, { ...scope, times: scope.times.slice(0, 1), endMs: scope.times[0]! });
    return scope.times.map(() => only!);
  }
  switch (expr.type) {
    case 'number':
      return scope.times.map(() => expr.value);
    case 'paren':
      return scalarsOf(expr.expr, scope);
    case 'unary':
      return scalarsOf(expr.expr, scope).map((x) => (expr.op === '+' ? x : -x));
    case 'binary':
      return binaryScalars(expr, scope);
    case 'call':
      return callScalars(expr, scope);
    default:
      throw new Error(`naive evaluation of ${expr.type}`);
  }
}

function negated(vectors: Vectors, scope: Scope): Vectors {
  const { query } = scope;
  return settle(vectors.map((samples) => samples.map((sample) => renamed(sample, typeof sample.value === 'number' ? -sample.value : mulHistogram(sample.value, -1), query))), scope);
}
