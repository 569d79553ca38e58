/**
 * Which labels of a selector the answer can depend on, from the top down: an aggregation asks for those it groups by, `absent` for none. Said to
 * storage as a hint beside the others; `select-hints` must have made those.
 *
 *   sum by (job) (rate(x[5m]))     needs job          max without (pod) (x)     needs all but pod
 *   topk(3, x)  x + y  x           need all: labels are in the answer, or in the message about a duplicate
 *
 * The name always counts as needed where it can differ from series to series: two series that differ in it alone are an error in `rate`. For the same reason a
 * selector of several names is asked for all labels, unless an aggregation takes its series as they are.
 */
import { METRIC_NAME } from '@gauntlet/model';
import type { AggregateExpr, Expr, VectorSelector } from '../../parser/ast.ts';
import { createSharedMap, mapChildren } from '../rewrite.ts';
import type { Rule } from '../rule.ts';

/** See the head of this file. */
export const projectLabels: Rule = { name: 'project-labels', says: 'storage is told which labels matter', apply };

/** Undefined: all. */
type Needed = { readonly include: boolean; readonly labels: readonly string[]; readonly isDirect?: boolean } | undefined;

/** Aggregations that answer with their groups alone. */
const GROUPING: ReadonlySet<string> = new Set(['sum', 'avg', 'min', 'max', 'count', 'group', 'stdvar', 'stddev', 'quantile', 'count_values']);
/** Functions that look at each series by itself and drop its name. */
const PER_SERIES: ReadonlySet<string> = new Set([
  'abs', 'acos', 'acosh', 'asin', 'asinh', 'atan', 'atanh', 'avg_over_time', 'ceil', 'changes', 'clamp', 'clamp_max', 'clamp_min', 'cos', 'cosh', 'count_over_time', 'deg', 'delta', 'deriv',
  'exp', 'first_over_time', 'floor', 'idelta', 'increase', 'irate', 'last_over_time', 'ln', 'log10', 'log2', 'max_over_time', 'min_over_time', 'predict_linear', 'present_over_time',
  'quantile_over_time', 'rad', 'rate', 'resets', 'round', 'sgn', 'sin', 'sinh', 'sqrt', 'stddev_over_time', 'stdvar_over_time', 'sum_over_time', 'tan', 'tanh', 'timestamp',
]);

function apply(root: Expr): Expr {
  const mapShared = createSharedMap();
  const project = (selector: VectorSelector, needed: Needed): VectorSelector => {
    const hints = selector.read?.hints;
    const hasName = selector.matchers.some((matcher) => matcher.name === METRIC_NAME && matcher.type === '=');
    if (needed === undefined || hints === undefined) return selector;
    // Without one name for all, series could become equal where the name is dropped.
    if (!hasName && needed.isDirect !== true) return selector;
    const labels = needed.include ? [...new Set([...needed.labels, METRIC_NAME])].sort() : needed.labels.filter((name) => name !== METRIC_NAME);
    return labels.length === 0 ? selector : { ...selector, read: { ...selector.read, hints: { ...hints, projection: { include: needed.include, labels } } } };
  };
  const walk = (expr: Expr, needed: Needed): Expr => {
    const children = (inner: Needed): Expr => mapChildren(expr, (child) => walk(child, inner));
    switch (expr.type) {
      case 'vectorSelector':
        return project(expr, needed);
      case 'aggregate':
        return mapChildren(expr, (child) => walk(child, child === expr.expr ? neededBy(expr) : undefined));
      case 'call':
        if (expr.func === 'info') return expr;
        if (expr.func === 'absent' || expr.func === 'absent_over_time') return children({ include: true, labels: [] });
        return children(PER_SERIES.has(expr.func) ? dropsName(needed) : undefined);
      case 'paren':
      case 'stepInvariant':
        return children(needed);
      case 'matrixSelector':
      case 'subquery':
      case 'unary':
        return children(dropsName(needed));
      case 'shared':
        return mapShared(expr, (inner) => walk(inner, undefined));
      default:
        return children(undefined);
    }
  };
  return walk(root, undefined);
}

function neededBy({ op, grouping, without }: AggregateExpr): Needed {
  return GROUPING.has(op) ? { include: !without, labels: grouping, isDirect: true } : undefined;
}

function dropsName(needed: Needed): Needed {
  return needed === undefined ? undefined : { ...needed, isDirect: false };
}
