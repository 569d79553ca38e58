/** Labels of `absent` and `absent_over_time`: what the selector says the missing series would have had. */
import { type Labels, METRIC_NAME, withLabel } from '@gauntlet/model';
import type { Expr } from '../parser/ast.ts';

/**
 * Labels named by exactly one matcher, if that is an equality; the metric name is not among them. Empty unless the argument is directly a selector.
 */
export function absentLabels(arg: Expr): Labels {
  let expr = arg;
  while (expr.type === 'stepInvariant') expr = expr.expr;
  const matchers = expr.type === 'vectorSelector' ? expr.matchers : expr.type === 'matrixSelector' ? expr.vector.matchers : [];
  let labels: Labels = [];
  const named = new Set<string>();
  for (const matcher of matchers) {
    if (matcher.name === METRIC_NAME) continue;
    if (matcher.type === '=' && !named.has(matcher.name)) {
      labels = withLabel(labels, matcher.name, matcher.value);
      named.add(matcher.name);
    } else {
      labels = withLabel(labels, matcher.name, '');
    }
  }
  return labels;
}
