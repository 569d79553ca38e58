import { describe, expect, test } from '@jest/globals';
import type { AlertingRuleJson, RuleGroupJson, RuleJson } from '@gauntlet/http-api/types';
import { type AlertState, agoText, countStates, filterAlertingRules, filterGroups, secondsText, valueText, withoutName } from './rules.ts';

const status = { query: 'up == 0', labels: { severity: 'page' }, health: 'ok', evaluationTime: 0, lastEvaluation: '2026-01-01T00:00:00Z' } as const;
const alerting = (name: string, state: AlertState, more: Partial<AlertingRuleJson> = {}): AlertingRuleJson => ({ ...status, type: 'alerting', name, state, duration: 0, keepFiringFor: 0, annotations: {}, alerts: [], ...more });
const recording = (name: string, more: Partial<RuleJson> = {}): RuleJson => ({ ...status, type: 'recording', name, ...more }) as RuleJson;
const group = (name: string, ...rules: RuleJson[]): RuleGroupJson => ({ name, file: `/rules/${name}.yml`, rules, interval: 60, evaluationTime: 0, lastEvaluation: status.lastEvaluation, limit: 0 });

const instance = { labels: { instance: 'db-7' }, annotations: {}, state: 'firing', value: '1e+00' } as const;
const groups = [
  group('shop', recording('job:up:sum'), alerting('Down', 'firing', { alerts: [instance], annotations: { summary: 'Host is gone' } })),
  group('disks', alerting('Full', 'inactive', { health: 'err', lastError: 'no such metric' }), alerting('Slow', 'pending'), alerting('Angry', 'pending')),
  group('empty'),
];
const ANY = { text: '', kind: 'all', onlyFailing: false } as const;
const names = (kept: readonly RuleGroupJson[]): unknown => kept.map(({ name, rules }) => [name, ...rules.map((rule) => rule.name)]);

describe('rules', () => {
  test.each([
    { name: 'nothing asked: all, empty groups too', filter: {}, wanted: [['shop', 'job:up:sum', 'Down'], ['disks', 'Full', 'Slow', 'Angry'], ['empty']] },
    { name: 'a name', filter: { text: 'UP:sum' }, wanted: [['shop', 'job:up:sum']] },
    { name: 'a group', filter: { text: 'disks' }, wanted: [['disks', 'Full', 'Slow', 'Angry']] },
    { name: 'words of an annotation and a label', filter: { text: 'gone  severity="page"' }, wanted: [['shop', 'Down']] },
    { name: 'a label of an alert', filter: { text: 'db-7' }, wanted: [['shop', 'Down']] },
    { name: 'an error', filter: { text: 'no such' }, wanted: [['disks', 'Full']] },
    { name: 'failing ones', filter: { onlyFailing: true }, wanted: [['disks', 'Full']] },
    { name: 'a kind', filter: { kind: 'recording' as const }, wanted: [['shop', 'job:up:sum']] },
    { name: 'nothing fits', filter: { text: 'db-8' }, wanted: [] },
  ])('$name', ({ filter, wanted }) => expect(names(filterGroups(groups, { ...ANY, ...filter }))).toEqual(wanted));
});

describe('alerts', () => {
  const all = new Set<AlertState>(['firing', 'pending', 'inactive', 'unknown']);
  test('worst first, then by name', () => expect(filterAlertingRules(groups, all, '').map(({ group: { name }, rule }) => [name, rule.name])).toEqual([['shop', 'Down'], ['disks', 'Angry'], ['disks', 'Slow'], ['disks', 'Full']]));
  test('by state and text', () => expect(filterAlertingRules(groups, new Set(['pending']), 'slow').map(({ rule }) => rule.name)).toEqual(['Slow']));
  test('counted', () => expect(countStates(groups)).toEqual({ firing: 1, pending: 2, inactive: 1, unknown: 0 }));
});

describe('texts', () => {
  const now = Date.UTC(2026, 0, 2, 3, 4, 5);
  test.each([
    ['0001-01-01T00:00:00Z', 'never'],
    ['2026-01-02T03:04:04.5Z', 'just now'],
    ['2026-01-02T03:04:06Z', 'just now'],
    ['2026-01-02T03:03:58.1Z', '6s ago'],
    ['2026-01-01T00:00:00Z', '1d3h ago'],
  ])('%s', (time, text) => expect(agoText(time, now)).toBe(text));
  test.each([
    [0, '0s'],
    [0.000_000_5, '0.5µs'],
    [0.000_042_24, '42.2µs'],
    [0.001_234_5, '1.23ms'],
    [0.5, '500ms'],
    [5400, '1h30m'],
    [93_784, '1d2h'],
  ])('%p s', (seconds, text) => expect(secondsText(seconds)).toBe(text));
  test.each([
    ['1e+00', '1'],
    ['1.5e+03', '1500'],
    ['+Inf', 'Inf'],
    ['-Inf', '-Inf'],
    ['NaN', 'NaN'],
  ])('%s', (value, text) => expect(valueText(value)).toBe(text));
  test('labels without the name', () => expect(withoutName({ alertname: 'A', job: 'x' })).toEqual([['job', 'x']]));
});
