/**
 * Which rules of a group may be evaluated at the same time.
 *
 *   batch 1   rules that read no earlier rule of the group                                  together
 *   then      rules that read an earlier one and are read by a later one, each alone        in file order
 *   last      rules that read an earlier one and are read by none                           together
 *
 * A rule reads another if a selector's metric name can be its name, or ALERTS and ALERTS_FOR_STATE with its alert name. A selector without
 * a metric name can read anything: such a group is evaluated in file order. Source: Prometheus rules/group.go (dependency map).
 */
import { METRIC_NAME } from '@gauntlet/model';
import { parseExpr, type ParserOptions, type VectorSelector, walkExpr } from '@gauntlet/promql';
import { ALERTS_FOR_STATE_METRIC, ALERTS_METRIC } from './alerting-rule.ts';
import type { RuleConfig } from './types.ts';

/** Everything on: the expressions were checked when their file was read. */
const ALL_FEATURES: ParserOptions = { experimentalFunctions: true, xFunctions: true, durationExpressions: true, extendedRangeSelectors: true, binopFillModifiers: true };

/** Indices of rules, batch by batch; each batch waits for the one before. */
export function ruleBatches(rules: readonly RuleConfig[]): readonly (readonly number[])[] {
  const inOrder = rules.map((_rule, i) => [i]);
  const reads: number[][] = [];
  for (const rule of rules) {
    const selectors = selectorsOf(rule.expr);
    if (selectors.some((selector) => nameMatcher(selector) === undefined)) return inOrder;
    reads.push(rules.slice(0, reads.length).flatMap((other, i) => (selectors.some((selector) => readsRule(selector, other)) ? [i] : [])));
  }
  const isRead = new Set(reads.flat());
  const all = rules.map((_rule, i) => i);
  const first = all.filter((i) => reads[i]!.length === 0);
  const middle = all.filter((i) => reads[i]!.length > 0 && isRead.has(i));
  const last = all.filter((i) => reads[i]!.length > 0 && !isRead.has(i));
  return [first, ...middle.map((i) => [i]), last].filter((batch) => batch.length > 0);
}

function selectorsOf(expr: string): VectorSelector[] {
  const selectors: VectorSelector[] = [];
  walkExpr(parseExpr(expr, ALL_FEATURES), (node) => {
    if (node.type === 'vectorSelector') selectors.push(node);
  });
  return selectors;
}

function nameMatcher(selector: VectorSelector): VectorSelector['matchers'][number] | undefined {
  return selector.matchers.find(({ name }) => name === METRIC_NAME);
}

function readsRule(selector: VectorSelector, rule: RuleConfig): boolean {
  const name = nameMatcher(selector)!;
  if (rule.kind === 'recording') return name.matches(rule.name);
  if (!name.matches(ALERTS_METRIC) && !name.matches(ALERTS_FOR_STATE_METRIC)) return false;
  return selector.matchers.every((matcher) => matcher.name !== 'alertname' || matcher.matches(rule.name));
}
