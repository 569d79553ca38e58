/**
 * Prepares a parsed expression for evaluation over given times:
 *
 *   1. `start()`, `end()`, `range()`, `step()` become numbers; durations that are expressions become milliseconds
 *   2. parentheses around arguments go; `@ start()` and `@ end()` become timestamps
 *   3. the highest subtrees that have one value for all steps are wrapped in `stepInvariant` and later evaluated once
 *
 * Source: Prometheus promql/engine.go, `PreprocessExpr` (3.14).
 */
import type { Expr, NumberLiteral, PositionRange, StartOrEnd } from '../parser/ast.ts';
import { resolveDurations } from '../parser/resolve-durations.ts';

/** Times of the whole query; an instant query has `startMs === endMs` and `stepMs` 0. */
export interface QueryTimes {
  readonly startMs: number;
  readonly endMs: number;
  readonly stepMs: number;
}

/** Functions whose result depends on the evaluation time even when all arguments are pinned by `@`. */
const TIME_DEPENDENT: ReadonlySet<string> = new Set([
  'days_in_month',
  'day_of_month',
  'day_of_week',
  'day_of_year',
  'hour',
  'minute',
  'month',
  'year',
  'predict_linear',
  'time',
  'timestamp',
]);

/**
 * The expression to evaluate.
 * @param text the query, for positions in messages
 * @throws PromqlError ERR_EXECUTION when a duration expression has no usable value
 */
export function prepare(text: string, expr: Expr, times: QueryTimes): Expr {
  const folded = resolveDurations(foldQueryFunctions(expr, times), { text, stepMs: times.stepMs, rangeMs: times.endMs - times.startMs });
  const marked = mark(folded, times);
  return marked.wrap ? wrap(marked.expr) : marked.expr;
}

function foldQueryFunctions(expr: Expr, times: QueryTimes): Expr {
  const fold = (child: Expr): Expr => foldQueryFunctions(child, times);
  switch (expr.type) {
    case 'call':
      switch (expr.func) {
        case 'start':
          return literal(times.startMs / 1000, expr.pos);
        case 'end':
          return literal(times.endMs / 1000, expr.pos);
        case 'range':
          return literal((times.endMs - times.startMs) / 1000, expr.pos);
        case 'step':
          return literal(times.startMs === times.endMs ? 0 : times.stepMs / 1000, expr.pos);
        default:
          return { ...expr, args: expr.args.map(fold) };
      }
    case 'binary':
      return { ...expr, lhs: fold(expr.lhs), rhs: fold(expr.rhs) };
    case 'aggregate':
      return { ...expr, expr: fold(expr.expr), param: expr.param === undefined ? undefined : fold(expr.param) };
    case 'unary':
    case 'paren':
    case 'subquery':
      return { ...expr, expr: fold(expr.expr) };
    default:
      return expr;
  }
}

function literal(value: number, pos: PositionRange): NumberLiteral {
  return { type: 'number', value, duration: false, pos };
}

interface Marked {
  readonly expr: Expr;
  /** One value for all steps. */
  readonly invariant: boolean;
  /** Worth wrapping: literals and range selectors are not. */
  readonly wrap: boolean;
}

function wrap(expr: Expr): Expr {
  return { type: 'stepInvariant', expr, pos: expr.pos };
}

function unwrapParens(expr: Expr): Expr {
  let inner = expr;
  while (inner.type === 'paren') inner = inner.expr;
  return inner;
}

function pinned(at: StartOrEnd, timestampMs: number | undefined, times: QueryTimes): number | undefined {
  if (at === 'start') return times.startMs;
  if (at === 'end') return times.endMs;
  return timestampMs;
}

function mark(expr: Expr, times: QueryTimes): Marked {
  switch (expr.type) {
    case 'vectorSelector': {
      const timestampMs = pinned(expr.startOrEnd, expr.timestampMs, times);
      const invariant = timestampMs !== undefined;
      return { expr: { ...expr, timestampMs, startOrEnd: undefined }, invariant, wrap: invariant };
    }
    case 'matrixSelector': {
      const timestampMs = pinned(expr.vector.startOrEnd, expr.vector.timestampMs, times);
      const vector = { ...expr.vector, timestampMs, startOrEnd: undefined };
      return { expr: { ...expr, vector }, invariant: timestampMs !== undefined, wrap: false };
    }
    case 'subquery': {
      const inner = mark(expr.expr, times);
      const timestampMs = pinned(expr.startOrEnd, expr.timestampMs, times);
      const marked = { ...expr, expr: inner.invariant && inner.wrap ? wrap(inner.expr) : inner.expr, timestampMs, startOrEnd: undefined };
      return { expr: marked, invariant: timestampMs !== undefined, wrap: false };
    }
    case 'aggregate': {
      // Only what is aggregated decides: a parameter may vary from step to step.
      const inner = mark(unwrapParens(expr.expr), times);
      const param = expr.param === undefined ? undefined : mark(unwrapParens(expr.param), times).expr;
      return { expr: { ...expr, expr: inner.expr, param }, invariant: inner.invariant, wrap: inner.wrap };
    }
    case 'binary': {
      const lhs = mark(expr.lhs, times);
      const rhs = mark(expr.rhs, times);
      if (lhs.invariant && rhs.invariant) return { expr: { ...expr, lhs: lhs.expr, rhs: rhs.expr }, invariant: true, wrap: true };
      const marked = { ...expr, lhs: lhs.wrap ? wrap(lhs.expr) : lhs.expr, rhs: rhs.wrap ? wrap(rhs.expr) : rhs.expr };
      return { expr: marked, invariant: false, wrap: false };
    }
    case 'call': {
      const args = expr.args.map((arg) => mark(unwrapParens(arg), times));
      const allInvariant = args.every((arg) => arg.invariant);
      // timestamp() of a pinned selector is the time of one sample; of anything else it is the evaluation time.
      const safe = expr.func === 'timestamp' ? args.every((arg) => arg.expr.type === 'vectorSelector') : !TIME_DEPENDENT.has(expr.func);
      if (allInvariant && safe) return { expr: { ...expr, args: args.map((arg) => arg.expr) }, invariant: true, wrap: true };
      return { expr: { ...expr, args: args.map((arg) => (arg.wrap ? wrap(arg.expr) : arg.expr)) }, invariant: false, wrap: false };
    }
    case 'paren':
    case 'unary': {
      const inner = mark(expr.expr, times);
      return { ...inner, expr: { ...expr, expr: inner.expr } };
    }
    case 'string':
    case 'number':
      return { expr, invariant: true, wrap: false };
    default:
      return { expr, invariant: false, wrap: false };
  }
}
