/** Rule groups of replicas become one list: which rule stays, in what order, with which labels. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  type AlertingRuleState,
  createMatcher,
  filterRuleGroups,
  keepRuleType,
  labelsFromMap,
  mergeRuleGroups,
  type RecordingRuleState,
  type RuleGroupState,
  type RuleState,
  withExternalLabels,
} from './index.ts';

const NO_FILTER = { ruleNames: [], groupNames: [], files: [], matcherSets: [] };

function alerting(name: string, labels: Record<string, string>, more: Partial<AlertingRuleState> = {}): AlertingRuleState {
  const status = { name, query: 'up', labels: labelsFromMap(labels), health: 'ok', lastError: '', evaluationSeconds: 0.1, lastEvaluationMs: 1000 } as const;
  return { ...status, kind: 'alerting', state: 'inactive', forSeconds: 0, keepFiringForSeconds: 0, annotations: [], alerts: [], ...more };
}

function recording(name: string, labels: Record<string, string>, more: Partial<RecordingRuleState> = {}): RecordingRuleState {
  return { kind: 'recording', name, query: 'sum(up)', labels: labelsFromMap(labels), health: 'ok', lastError: '', evaluationSeconds: 0.1, lastEvaluationMs: 1000, ...more };
}

function group(name: string, rules: readonly RuleState[], more: Partial<RuleGroupState> = {}): RuleGroupState {
  return { name, file: 'f.yml', intervalSeconds: 60, limit: 0, strategy: 'abort', rules, evaluationSeconds: 1, lastEvaluationMs: 1000, ...more };
}

const names = (groups: readonly RuleGroupState[]): unknown => groups.map(({ file, name, rules }) => [`${file};${name}`, ...rules.map((rule) => `${rule.kind[0]} ${rule.name}{${rule.labels.join(',')}}`)]);

describe('merge', () => {
  test('sorts groups by file and name, rules by kind, name, labels', () => {
    const groups = [
      group('b', [recording('z', {}), alerting('B', { a: '2' }), alerting('B', { a: '1' }), recording('y', {}), alerting('A', {})]),
      group('a', [recording('x', {})], { file: 'g.yml' }),
      group('a', [], {}),
    ];
    expect(names(mergeRuleGroups(groups, []))).toEqual([['f.yml;a'], ['f.yml;b', 'a A{}', 'a B{a,1}', 'a B{a,2}', 'r y{}', 'r z{}'], ['g.yml;a', 'r x{}']]);
  });

  test.each([
    { name: 'the firing one of two replicas, though older', a: { state: 'firing', lastEvaluationMs: 1 }, b: { state: 'pending', lastEvaluationMs: 9 }, wanted: { state: 'firing', lastEvaluationMs: 1 } },
    { name: 'pending before inactive', a: { state: 'inactive' }, b: { state: 'pending' }, wanted: { state: 'pending' } },
    { name: 'inactive before unknown', a: { state: 'unknown' }, b: { state: 'inactive' }, wanted: { state: 'inactive' } },
    { name: 'the newer one of the same state', a: { lastEvaluationMs: 5 }, b: { lastEvaluationMs: 6 }, wanted: { lastEvaluationMs: 6 } },
    { name: 'an evaluated one before one that was not', a: { lastEvaluationMs: undefined }, b: { lastEvaluationMs: 6 }, wanted: { lastEvaluationMs: 6 } },
  ] as const)('keeps $name', ({ a, b, wanted }) => {
    const replicas = [alerting('A', { replica: 'a' }, a), alerting('A', { replica: 'b' }, b)];
    for (const rules of [replicas, replicas.toReversed()]) {
      const [merged] = mergeRuleGroups(rules.map((rule) => group('g', [rule])), ['replica']);
      expect(merged!.rules).toHaveLength(1);
      expect(merged!.rules[0]).toMatchObject({ ...wanted, labels: [] });
    }
  });

  test('rules that differ in query, duration or another label stay both; without replica labels all do', () => {
    const rules = [alerting('A', { r: '1' }), alerting('A', { r: '2' }, { forSeconds: 5 }), alerting('A', { r: '1' }, { query: 'down' }), alerting('A', { r: '1', x: 'y' })];
    expect(mergeRuleGroups([group('g', rules)], ['r'])[0]!.rules).toHaveLength(4);
    expect(mergeRuleGroups([group('g', [alerting('A', { r: '1' }), alerting('A', { r: '2' })])], [])[0]!.rules).toHaveLength(2);
  });

  test('a merged group has the times of its newest part', () => {
    const parts = [group('g', [], { lastEvaluationMs: 5, evaluationSeconds: 1 }), group('g', [], { lastEvaluationMs: 7, evaluationSeconds: 2 }), group('g', [], { lastEvaluationMs: undefined })];
    expect(mergeRuleGroups(parts, [])).toEqual([{ ...parts[1], rules: [] }]);
  });

  test('order of characters past U+FFFF is that of their bytes', () => {
    const merged = mergeRuleGroups([group('g', [recording('\u{1f600}', {}), recording('\uffee', {})])], []);
    expect(merged[0]!.rules.map(({ name }) => name)).toEqual(['\uffee', '\u{1f600}']);
  });

  test('does not depend on the order of its input, and merging again changes nothing', () => {
    const rule = fc.record({ name: fc.constantFrom('A', 'B'), replica: fc.constantFrom('1', '2'), state: fc.constantFrom('inactive', 'pending', 'firing'), at: fc.integer({ min: 0, max: 1e6 }), isAlert: fc.boolean() });
    const some = fc.uniqueArray(rule, { selector: ({ at }) => at, maxLength: 12 });
    fc.assert(
      fc.property(some, fc.integer(), (rules, seed) => {
        const groups = rules.map(({ name, replica, state, at, isAlert }) => group('g', [isAlert ? alerting(name, { replica }, { state, lastEvaluationMs: at } as Partial<AlertingRuleState>) : recording(name, { replica }, { lastEvaluationMs: at })], { lastEvaluationMs: at }));
        const shuffled = groups.toSorted((a, b) => ((a.lastEvaluationMs! * 7919 + seed) % 1009) - ((b.lastEvaluationMs! * 7919 + seed) % 1009));
        const merged = mergeRuleGroups(groups, ['replica']);
        expect(mergeRuleGroups(shuffled, ['replica'])).toEqual(merged);
        expect(mergeRuleGroups(merged, ['replica'])).toEqual(merged);
        // Every rule is there once, in the worst state any replica saw.
        for (const { name, isAlert, state } of rules) {
          const kept = merged[0]!.rules.filter((one) => one.name === name && (one.kind === 'alerting') === isAlert);
          expect(kept).toHaveLength(1);
          if (state === 'firing' && isAlert) expect(kept[0]).toMatchObject({ state });
        }
      }),
    );
  });
});

describe('choice', () => {
  const groups = [group('one', [alerting('A', { severity: 'page', team: '{{ $labels.team }}' }), recording('r', { severity: 'page' })]), group('two', [recording('r', { team: 'core' })], { file: 'g.yml' })];
  const matchers = (...sets: [name: string, value: string][][]): { readonly matcherSets: ReturnType<typeof createMatcher>[][] } => ({ matcherSets: sets.map((set) => set.map(([name, value]) => createMatcher('=', name, value))) });

  test.each([
    { name: 'nothing asked: everything', filter: {}, wanted: [['f.yml;one', 'A', 'r'], ['g.yml;two', 'r']] },
    { name: 'rule name', filter: { ruleNames: ['A'] }, wanted: [['f.yml;one', 'A']] },
    { name: 'group name', filter: { groupNames: ['two', 'three'] }, wanted: [['g.yml;two', 'r']] },
    { name: 'file', filter: { files: ['f.yml'] }, wanted: [['f.yml;one', 'A', 'r']] },
    { name: 'all conditions hold', filter: { ruleNames: ['r'], files: ['f.yml'] }, wanted: [['f.yml;one', 'r']] },
    { name: 'matchers of one set all hold', filter: matchers([['severity', 'page'], ['team', '']]), wanted: [['f.yml;one', 'A', 'r']] },
    { name: 'one of several sets holds', filter: matchers([['severity', 'page']], [['team', 'core']]), wanted: [['f.yml;one', 'A', 'r'], ['g.yml;two', 'r']] },
    { name: 'a template is no value', filter: matchers([['team', '{{ $labels.team }}']]), wanted: [] },
    { name: 'nothing fits', filter: { files: ['h.yml'] }, wanted: [] },
  ])('$name', ({ filter, wanted }) => {
    expect(filterRuleGroups(groups, { ...NO_FILTER, ...filter }).map(({ file, name, rules }) => [`${file};${name}`, ...rules.map((rule) => rule.name)])).toEqual(wanted);
  });

  test('a type keeps groups without such rules', () => {
    expect(keepRuleType(groups, 'alerting').map(({ rules }) => rules.map(({ name }) => name))).toEqual([['A'], []]);
    expect(keepRuleType(groups, 'recording').map(({ rules }) => rules.map(({ name }) => name))).toEqual([['r'], ['r']]);
    expect(keepRuleType(groups, 'all')).toBe(groups);
  });
});

test('external labels win over those of rules, and removed labels vanish', () => {
  const [one] = withExternalLabels([group('g', [alerting('A', { replica: 'x', a: 'b' }), { ...recording('r', {}), labels: ['gone', ''] }])], labelsFromMap({ cluster: 'eu', replica: '0' }));
  expect(one!.rules.map(({ labels }) => labels)).toEqual([
    ['a', 'b', 'cluster', 'eu', 'replica', '0'],
    ['cluster', 'eu', 'replica', '0'],
  ]);
});
