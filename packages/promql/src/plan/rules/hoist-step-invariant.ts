/**
 * The highest subtrees that have one value for all steps (because everything in them is pinned by `@`, or constant) are evaluated once. Literals and
 * range selectors are not worth a node of their own.
 *
 * Without it some queries answer otherwise: that `quantile(time(), x @ 0)` takes the time of the first step, and that `sort(x @ 0)` makes no
 * remark about a range query, is so because Prometheus hoists them. Source: promql/engine.go, `preprocessExprHelper` (3.14).
 */
import type { Expr } from '../../parser/ast.ts';
import type { Rule } from '../rule.ts';

/** See the head of this file. */
export const hoistStepInvariant: Rule = {
  name: 'hoist-step-invariant',
  says: 'what is the same at every step is evaluated once',
  apply(root) {
    const marked = mark(root);
    return marked.wrap ? wrap(marked.expr) : marked.expr;
  },
};

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

interface Marked {
  readonly expr: Expr;
  /** One value for all steps. */
  readonly invariant: boolean;
  /** Worth wrapping. */
  readonly wrap: boolean;
}

function wrap(expr: Expr): Expr {
  return { type: 'stepInvariant', expr, pos: expr.pos };
}

function mark(expr: Expr): Marked {
  switch (expr.type) {
    case 'vectorSelector': {
      const invariant = expr.timestampMs !== undefined;
      return { expr, invariant, wrap: invariant };
    }
    case 'matrixSelector':
      return { expr, invariant: expr.vector.timestampMs !== undefined, wrap: false };
    case 'subquery': {
      const inner = mark(expr.expr);
      const marked = inner.invariant && inner.wrap ? wrap(inner.expr) : inner.expr;
      return { expr: marked === expr.expr ? expr : { ...expr, expr: marked }, invariant: expr.timestampMs !== undefined, wrap: false };
    }
    case 'aggregate': {
      // Only what is aggregated decides: a parameter may vary from step to step.
      const inner = mark(expr.expr);
      const param = expr.param === undefined ? undefined : mark(expr.param).expr;
      return { expr: inner.expr === expr.expr && param === expr.param ? expr : { ...expr, expr: inner.expr, param }, invariant: inner.invariant, wrap: inner.wrap };
    }
    case 'binary': {
      const lhs = mark(expr.lhs);
      const rhs = mark(expr.rhs);
      const invariant = lhs.invariant && rhs.invariant;
      const left = !invariant && lhs.wrap ? wrap(lhs.expr) : lhs.expr;
      const right = !invariant && rhs.wrap ? wrap(rhs.expr) : rhs.expr;
      return { expr: left === expr.lhs && right === expr.rhs ? expr : { ...expr, lhs: left, rhs: right }, invariant, wrap: invariant };
    }
    case 'call': {
      const marked = expr.args.map(mark);
      // timestamp() of a pinned selector is the time of one sample; of anything else it is the evaluation time.
      const safe = expr.func === 'timestamp' ? marked.every((arg) => arg.expr.type === 'vectorSelector') : !TIME_DEPENDENT.has(expr.func);
      const invariant = safe && marked.every((arg) => arg.invariant);
      const args = marked.map((arg) => (!invariant && arg.wrap ? wrap(arg.expr) : arg.expr));
      return { expr: args.every((arg, i) => arg === expr.args[i]) ? expr : { ...expr, args }, invariant, wrap: invariant };
    }
    case 'paren':
    case 'unary': {
      const inner = mark(expr.expr);
      return { ...inner, expr: inner.expr === expr.expr ? expr : { ...expr, expr: inner.expr } };
    }
    case 'string':
    case 'number':
      return { expr, invariant: true, wrap: false };
    default:
      return { expr, invariant: false, wrap: false };
  }
}
