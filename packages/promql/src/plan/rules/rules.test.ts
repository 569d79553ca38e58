/** Before and after, rule by rule; the notation is that of showPlan. */
import { describe, expect, test } from '@jest/globals';
import { parseExpr } from '../../parser/parse.ts';
import { showPlan } from '../../testing/show-plan.ts';
import { planQuery, RULES } from '../plan-query.ts';
import { prepare } from '../prepare.ts';
import type { RuleName } from '../rule.ts';

const times = { startMs: 600_000, endMs: 1_200_000, stepMs: 60_000 };
const context = { times, lookbackMs: 300_000, noStepSubqueryIntervalMs: 60_000 };
const OPTIONS = { experimentalFunctions: true, binopFillModifiers: true };

/** The plan with these rules alone. */
function plan(text: string, rules: readonly RuleName[], withHints: boolean): { readonly text: string; readonly applied: readonly RuleName[] } {
  const off = RULES.map((rule) => rule.name).filter((name) => !rules.includes(name));
  const { expr, applied } = planQuery(prepare(text, parseExpr(text, OPTIONS), times), context, off);
  return { text: showPlan(expr, withHints), applied };
}

function table(name: RuleName, before: readonly RuleName[], cases: readonly (readonly [query: string, want: string])[]): void {
  describe(name, () => {
    test.each(cases)('%s', (text, want) => {
      const withHints = name === 'select-hints' || name === 'project-labels';
      const { text: got, applied } = plan(text, [...before, name], withHints);
      expect(got).toBe(want);
      // A rule that does nothing gives back what it got.
      expect(applied.includes(name)).toBe(got !== plan(text, before, withHints).text);
    });
  });
}

table('fold-constants', [], [
  ['x > 1024 * 1024', 'x > 1048576'],
  ['x * -(2)', 'x * -2'],
  ['-(2 ^ 3) + 1', '-7'],
  ['1 / 0', '+Inf'],
  ['1 < bool 2', '1'],
  ['x + pi()', 'x + 3.141592653589793'],
  ['x > 60 * time()', 'x > 60 * time()'],
  ['quantile(1 - 0.1, x)', 'quantile(0.9, x)'],
  ['vector(1 + 1)', 'vector(2)'],
  ['sum(x)', 'sum(x)'],
]);

table('merge-matchers', [], [
  ['x{a="1",a="1"}', 'x{a="1"}'],
  ['x{a=~".*",b="2"}', 'x{b="2"}'],
  ['rate(x{a!="1",a!="1"}[5m])', 'rate(x{a!="1"}[5m])'],
  ['x{a!="2",a="1"}', 'x{a!="2",a="1"}'],
  ['x{a!~".*"}', 'x{a!~".*"}'],
  // A label named twice is not in the answer of absent.
  ['absent(x{a="1",a="1"})', 'absent(x{a="1",a="1"})'],
  ['absent_over_time(x{a="1",a="1"}[5m])', 'absent_over_time(x{a="1",a="1"}[5m])'],
  ['absent(sum(x{a="1",a="1"}))', 'absent(sum(x{a="1"}))'],
]);

table('aggregate-into-scan', [], [
  ['sum(x)', 'sum↓(x)'],
  ['avg by (a) (rate(x[5m]))', 'avg↓(rate(x[5m]))'],
  ['max(max_over_time(rate(x[1m])[1h:]))', 'max↓(max_over_time(rate(x[1m])[3600s:0s]))'],
  ['sum(max by (a) (x))', 'sum(max↓(x))'],
  ['sum(abs(x))', 'sum(abs(x))'],
  ['topk(3, x)', 'topk(3, x)'],
  ['quantile(0.5, x)', 'quantile(0.5, x)'],
]);

table('share-subexpressions', ['aggregate-into-scan', 'hoist-step-invariant'], [
  ['sum(x) + sum(x)', '#1{sum↓(x)} + #1{sum↓(x)}'],
  ['rate(x[5m]) > 2 * rate(x[5m])', '#1{rate(x[5m])} > 2 * #1{rate(x[5m])}'],
  ['(a + b) / sum(a + b)', '(#1{a + b}) / sum(#1{a + b})'],
  ['a + b + (a+b)', '#1{a + b} + (#1{a + b})'],
  // The larger ones are shared whole; what is left over within them still is.
  ['sum(a + b) + sum(a + b) + (a + b)', '#2{sum(#1{a + b})} + #2{sum(#1{a + b})} + (#1{a + b})'],
  // Bare selectors and scans of aggregations share reads, not vectors.
  ['x / x', 'x / x'],
  ['sum(rate(x[5m])) / count(rate(x[5m]))', 'sum↓(rate(x[5m])) / count↓(rate(x[5m]))'],
  // Other times.
  ['sum(x) + sum(x offset 5m)', 'sum↓(x) + sum↓(x offset 5m)'],
  ['sum(x) + max_over_time(sum(x)[5m:1m])', 'sum↓(x) + max_over_time(sum↓(x)[300s:60s])'],
  ['max_over_time(sum(x)[5m:1m]) + min_over_time(sum(x)[5m:1m])', 'max_over_time(#1{sum↓(x)}[300s:60s]) + min_over_time(#1{sum↓(x)}[300s:60s])'],
  ['sum(x @ 1) + y + sum(x @ 1)', '«#1{sum↓(x @ 1.000)}» + y + «#1{sum↓(x @ 1.000)}»'],
  // Other values.
  ['topk(1, x) + topk(2, x)', 'topk(1, x) + topk(2, x)'],
  ['sum by (a) (x) + sum by (b) (x)', 'sum↓(x) + sum↓(x)'],
  ['histogram_count(rate(x[5m])) / histogram_quantile(0.5, rate(x[5m]))', 'histogram_count(rate(x[5m])) / histogram_quantile(0.5, rate(x[5m]))'],
  ['(a + on (l) b) + (a + b)', '(a + b) + (a + b)'],
  ['(a + fill_left (1) b) + (a + fill_left (2) b)', '(a + b) + (a + b)'],
  // Not worth it.
  ['time() * 2 + time() * 2', 'time() * 2 + time() * 2'],
  ['x * scalar(y) + scalar(y)', 'x * scalar(y) + scalar(y)'],
]);

table('select-hints', [], [
  ['x', 'x⟨plain 0s step 60s⟩'],
  ['rate(x[5m])', 'rate(x[5m]⟨rate 300s step 60s⟩)'],
  ['sum by (a) (x)', 'sum(x⟨sum 0s step 60s; by a⟩)'],
  ['sum without (a, b) (x)', 'sum(x⟨sum 0s step 60s; without a b⟩)'],
  ['sum by (a) (rate(x[5m]))', 'sum(rate(x[5m]⟨rate 300s step 60s⟩))'],
  ['sum by (a) (x + 1)', 'sum(x⟨plain 0s step 60s⟩ + 1)'],
  ['sum by (a) (-x)', 'sum(-x⟨sum 0s step 60s; by a⟩)'],
  ['max_over_time(rate(x[1m])[1h:5m])', 'max_over_time(rate(x[1m]⟨rate 60s step 300s⟩)[3600s:300s])'],
  ['max_over_time(x[1h:])', 'max_over_time(x⟨max_over_time 0s step 60s⟩[3600s:0s])'],
  ['1 + 1', '1 + 1'],
  // A function that is between counts, parentheses and signs do not; a binary operator hides all.
  ['sum by (a) (abs(x))', 'sum(abs(x⟨abs 0s step 60s⟩))'],
  ['sum by (a) ((x))', 'sum(x⟨sum 0s step 60s; by a⟩)'],
  ['abs(sum by (a) (x) + sum(rate(y[5m])))', 'abs(sum(x⟨sum 0s step 60s; by a⟩) + sum(rate(y[5m]⟨rate 300s step 60s⟩)))'],
  ['quantile by (a) (scalar(y), x)', 'quantile(scalar(y⟨scalar 0s step 60s⟩), x⟨quantile 0s step 60s; by a⟩)'],
  ['histogram_quantile(0.9, sum by (le) (rate(x[5m])))', 'histogram_quantile(0.9, sum(rate(x[5m]⟨rate 300s step 60s⟩)))'],
  // The subquery's step, and through it the function around.
  ['sum(max_over_time(abs(x)[1h:5m]))', 'sum(max_over_time(abs(x⟨abs 0s step 300s⟩)[3600s:300s]))'],
  // Info series are read by the function itself.
  ['info(rate(x[5m]), {data="1"})', 'info(rate(x[5m]⟨rate 300s step 60s⟩), {data="1"})'],
]);

table('project-labels', ['select-hints'], [
  ['sum by (job) (rate(x[5m]))', 'sum(rate(x[5m]⟨rate 300s step 60s; only __name__ job⟩))'],
  ['sum(abs(x))', 'sum(abs(x⟨abs 0s step 60s; only __name__⟩))'],
  ['sum without (pod) (x)', 'sum(x⟨sum 0s step 60s; without pod; all but pod⟩)'],
  ['absent(x)', 'absent(x⟨absent 0s step 60s; only __name__⟩)'],
  ['count_values by (a) ("v", x)', 'count_values("v", x⟨count_values 0s step 60s; by a; only __name__ a⟩)'],
  ['x', 'x⟨plain 0s step 60s⟩'],
  ['topk by (a) (1, x)', 'topk(1, x⟨topk 0s step 60s; by a⟩)'],
  ['sum by (a) (x + y)', 'sum(x⟨plain 0s step 60s⟩ + y⟨plain 0s step 60s⟩)'],
  ['sum by (a) (label_replace(x, "a", "$1", "b", "(.*)"))', 'sum(label_replace(x⟨label_replace 0s step 60s⟩, "a", "$1", "b", "(.*)"))'],
  // Names may differ: nothing in between drops them, or something does.
  ['sum by (a) ({__name__=~"x|y"})', 'sum({__name__=~"x|y"}⟨sum 0s step 60s; by a; only __name__ a⟩)'],
  ['sum by (a) (({__name__=~"x|y"} @ 5))', 'sum({__name__=~"x|y"} @ 5.000⟨sum 0s step 60s; by a; only __name__ a⟩)'],
  ['sum by (a) (-{__name__=~"x|y"})', 'sum(-{__name__=~"x|y"}⟨sum 0s step 60s; by a⟩)'],
  ['sum by (a) (rate({__name__=~"x|y"}[5m]))', 'sum(rate({__name__=~"x|y"}[5m]⟨rate 300s step 60s⟩))'],
  ['sum by (a) (abs({__name__=~"x|y"}))', 'sum(abs({__name__=~"x|y"}⟨abs 0s step 60s⟩))'],
]);

const READS: readonly RuleName[] = ['fold-constants', 'merge-matchers', 'hoist-step-invariant', 'aggregate-into-scan', 'share-subexpressions', 'select-hints', 'project-labels'];
table('share-reads', READS, [
  ['x / x', 'x⟨read 1⟩ / x⟨read 1⟩'],
  ['sum(rate(x{a="1"}[5m])) / sum(rate(x[5m]))', 'sum↓(rate(x{a="1"}[5m]⟨read 1 of {__name__="x"}⟩)) / sum↓(rate(x[5m]⟨read 1⟩))'],
  ['sum(x) / count(x)', 'sum↓(x) / count↓(x)'],
  ['sum(x) / avg(x)', 'sum↓(x⟨read 1⟩) / avg↓(x⟨read 1⟩)'],
  ['rate(x[5m]) / increase(x[5m])', 'rate(x[5m]⟨read 1⟩) / increase(x[5m]⟨read 1⟩)'],
  ['x{a="1"} + x{b="2"}', 'x{a="1"} + x{b="2"}'],
  ['x{a="1"} + x{a="2"} + x', 'x{a="1"}⟨read 1 of {__name__="x"}⟩ + x{a="2"}⟨read 1 of {__name__="x"}⟩ + x⟨read 1⟩'],
  ['x + y + x + y', 'x⟨read 1⟩ + y⟨read 2⟩ + x⟨read 1⟩ + y⟨read 2⟩'],
  // Other times, or another use.
  ['x - x offset 5m', 'x - x offset 5m'],
  ['rate(x[5m]) / rate(x[1h])', 'rate(x[5m]) / rate(x[1h])'],
  ['max_over_time(x[5m]) - min_over_time(x[5m])', 'max_over_time(x[5m]) - min_over_time(x[5m])'],
  // One after the other: the second would come too late.
  ['clamp_max(x, scalar(x))', 'clamp_max(x, scalar(x))'],
  ['topk(scalar(x), x)', 'topk(scalar(x), x)'],
  ['timestamp(x) - x', 'timestamp(x) - x'],
  ['max_over_time(x[5m:1m]) + max_over_time(x[5m:1m])', '#1{max_over_time(x[300s:60s])} + #1{max_over_time(x[300s:60s])}'],
  // What is computed once reads once.
  ['sum(x) + sum(x) + avg(x)', '#1{sum↓(x⟨read 1⟩)} + #1{sum↓(x⟨read 1⟩)} + avg↓(x⟨read 1⟩)'],
]);
