/** What may be evaluated at the same time. */
import { expect, test } from '@jest/globals';
import { ruleBatches } from './rule-dependencies.ts';
import type { RuleConfig } from './types.ts';

const record = (name: string, expr: string): RuleConfig => ({ kind: 'recording', name, expr, labels: [] });
const alert = (name: string, expr: string): RuleConfig => ({ kind: 'alerting', name, expr, labels: [], annotations: [], forMs: 0, keepFiringForMs: 0 });

test.each<[name: string, rules: readonly RuleConfig[], wanted: readonly (readonly number[])[]]>([
  ['none', [], []],
  ['independent rules', [record('a', 'x'), record('b', 'x + y'), alert('C', 'vector(1)')], [[0, 1, 2]]],
  ['a chain', [record('a', 'x'), record('b', 'rate(a[5m])'), record('c', 'sum(b)')], [[0], [1], [2]]],
  ['a fan', [record('a', 'x'), alert('B', 'a > 1'), alert('C', 'a > 2'), record('d', 'y')], [[0, 3], [1, 2]]],
  ['two in the middle', [record('a', 'x'), record('b', 'a'), record('c', 'a'), record('d', 'b + c')], [[0], [1], [2], [3]]],
  ['a later rule is no dependency', [record('a', 'b'), record('b', 'x')], [[0, 1]]],
  ['names in braces and patterns', [record('job:up', 'x'), record('b', '{__name__="job:up"}'), record('c', '{__name__=~"job:.*"}'), record('d', '{__name__!~"job:.*|b|c",a="b"}')], [[0, 3], [1, 2]]],
  ['a selector of all names but one reads the others', [record('a', 'x'), record('b', 'y'), record('c', '{__name__!="a",x="y"}')], [[0, 1], [2]]],
  ['a selector without a name', [record('a', 'x'), record('b', 'y'), record('c', '{job="a"}')], [[0], [1], [2]]],
  ['alerts through ALERTS', [alert('A', 'x'), alert('B', 'y'), record('c', 'count(ALERTS{alertname="A"})'), record('d', 'ALERTS_FOR_STATE')], [[0, 1], [2, 3]]],
  ['ALERTS of another alert', [alert('A', 'x'), record('c', 'ALERTS{alertname!="A"}')], [[0, 1]]],
  ['the alert name as a metric is no dependency', [alert('A', 'x'), record('c', 'A')], [[0, 1]]],
])('%s', (_name, rules, wanted) => {
  expect(ruleBatches(rules)).toEqual(wanted);
});
