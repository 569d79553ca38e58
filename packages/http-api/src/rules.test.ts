/** Rules and alerts: recorded answers read and written again, what parameters choose, what a reader refuses. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import type { AlertInstance, Labels, RuleGroupState, RuleState } from '@gauntlet/model';
import fc from 'fast-check';
import { type ApiAnswer, ApiParams, answerAlerts, answerRules, HttpApiError, readRuleGroups } from './index.ts';

interface Exchange {
  readonly name: string;
  readonly path: string;
  readonly params: readonly (readonly [string, string])[];
  readonly status: number;
  readonly text: string;
}

const golden = join(process.env['GAUNTLET_SHARED'] ?? join(import.meta.dirname, '../../../../shared'), 'golden');
const own = JSON.parse(readFileSync(join(import.meta.dirname, '../testdata/rules.json'), 'utf8')) as Exchange[];
const recorded: Exchange[] = ['http-api/live-query', 'http-api/live-rule', 'http-api/live-prometheus', 'rules'].flatMap((folder) =>
  existsSync(join(golden, folder))
    ? readdirSync(join(golden, folder))
        .filter((name) => /(rules|alerts)(-[\w-]+)?\.json$/.test(name) && !name.startsWith('series'))
        .map((name) => {
          const { request, status, text } = JSON.parse(readFileSync(join(golden, folder, name), 'utf8')) as { request: Exchange; status: number; text: string };
          return { name: `${folder}/${name}`, path: request.path, params: request.params, status, text };
        })
    : [],
);
const exchanges = [...own, ...recorded].filter(({ status }) => status === 200);
const groupsOf = (text: string): RuleGroupState[] => readRuleGroups((JSON.parse(text) as { data: unknown }).data);
const params = (pairs: readonly (readonly [string, string])[] = []): ApiParams => new ApiParams(new URLSearchParams(pairs.map(([name, value]): [string, string] => [name, value])));

async function textOf(answer: ApiAnswer): Promise<string> {
  const pieces: Uint8Array[] = [];
  for await (const piece of answer.body) pieces.push(piece);
  return Buffer.concat(pieces).toString('utf8');
}

/** Recorded times have nanoseconds, ours microseconds. */
const inMicroseconds = (text: string): string => text.replace(/(T\d\d:\d\d:\d\d)\.(\d+)Z/g, (_, time: string, digits: string) => `${time}.${digits.slice(0, 6)}`.replace(/\.?0*$/, '') + 'Z');

describe('recorded answers of queriers and rulers, read and written again, are the same bytes', () => {
  const rules = exchanges.filter(({ name, path }) => path === '/api/v1/rules' && !name.includes('prometheus'));
  test.each(rules.map((exchange) => [exchange.name, exchange] as const))('%s', async (_, { text, params: asked }) => {
    // Asked for again: what was chosen is chosen whole.
    const answer = answerRules(groupsOf(text), params(asked));
    expect(await textOf(answer)).toBe(inMicroseconds(text));
    expect(answer).toMatchObject({ status: 200, noStore: false });
  });
});

describe('parameters choose from all groups what the recorded server chose', () => {
  const all = recorded.find(({ name }) => name.endsWith('live-query/rules.json'));
  const chosen = recorded.filter(({ name }) => /live-query\/rules-/.test(name));
  const names = (text: string): unknown => groupsOf(text).map(({ name, rules }) => [name, ...rules.map((rule) => [rule.kind, rule.name, rule.labels])]);
  (all === undefined ? test.skip : test)('(skipped without the shared data folder)', async () => {
    expect(chosen.length).toBeGreaterThan(3);
    for (const { params: asked, text } of chosen) expect(names(await textOf(answerRules(groupsOf(all!.text), params(asked))))).toEqual(names(text));
  });
});

describe('recorded alerts', () => {
  const of = (suffix: string): Exchange | undefined => recorded.find(({ name }) => name.endsWith(suffix));
  const querier = of('live-query/alerts.json');
  (querier === undefined ? test.skip : test)('of a querier, from its rules (skipped without the shared data folder)', async () => {
    const text = await textOf(answerAlerts(groupsOf(of('live-query/rules.json')!.text), { replicaLabels: ['replica'] }));
    // Alerts of one rule come from a Go map, in any order.
    const shape = (json: string): unknown => (JSON.parse(json) as { data: { alerts: { labels: object; state: string; value: string }[] } }).data.alerts.map(({ labels, state, value }) => JSON.stringify([labels, state, value])).toSorted();
    expect(shape(text)).toEqual(shape(querier!.text));
    expect(Object.keys((JSON.parse(text) as { data: { alerts: object[] } }).data.alerts[0]!)).toEqual(['labels', 'annotations', 'state', 'activeAt', 'value', 'partialResponseStrategy']);
  });

  test('of Prometheus, from its rules', async () => {
    const text = await textOf(answerAlerts(groupsOf(own.find(({ name }) => name === 'prometheus-rules')!.text)));
    // Prometheus does not say how partial responses are met.
    expect(text.replaceAll(',"partialResponseStrategy":"WARN"', '')).toBe(inMicroseconds(own.find(({ name }) => name === 'prometheus-alerts')!.text));
  });

  test('none is null, under the key of the server', async () => {
    expect(await textOf(answerAlerts([], { key: 'Alerts' }))).toBe('{"status":"success","data":{"Alerts":null}}');
    expect(await textOf(answerAlerts([], { warnings: ['ruler gone'] }))).toBe('{"status":"success","data":{"alerts":null},"warnings":["ruler gone"]}');
  });
});

describe('refusals', () => {
  test.each([
    { name: 'type', asked: [['type', 'x']], code: 'ERR_BAD_DATA', message: "invalid rules parameter type='x'" },
    { name: 'selector', asked: [['match[]', '{']], code: 'ERR_INTERNAL', message: 'error retrieving rules: parser ParseMetricSelector: 1:2: parse error: unexpected end of input inside braces' },
    { name: 'dedup', asked: [['dedup', 'maybe']], code: 'ERR_BAD_DATA', message: '\'dedup\' parameter: strconv.ParseBool: parsing "maybe": invalid syntax' },
    { name: 'partial_response', asked: [['partial_response', '2']], code: 'ERR_BAD_DATA', message: '\'partial_response\' parameter: strconv.ParseBool: parsing "2": invalid syntax' },
  ] as const)('$name', ({ asked, code, message }) => {
    let thrown: unknown;
    try {
      answerRules([], params(asked));
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(HttpApiError);
    expect(thrown).toMatchObject({ code, message });
  });
});

describe('replicas', () => {
  const groups = ['a', 'b'].map((replica): RuleGroupState => {
    const rule = { kind: 'recording', name: 'r', query: 'up', labels: ['replica', replica], health: 'ok', lastError: '', evaluationSeconds: 0, lastEvaluationMs: replica === 'a' ? 2 : 1 } as const;
    return { name: 'g', file: 'f', intervalSeconds: 1, limit: 0, strategy: 'abort', rules: [rule], evaluationSeconds: 0, lastEvaluationMs: undefined };
  });
  const labels = async (asked: readonly (readonly [string, string])[]): Promise<unknown> => groupsOf(await textOf(answerRules(groups, params(asked), { replicaLabels: ['replica'] }, ['w']))).map(({ rules }) => rules.map((rule) => rule.labels));
  test.each([
    { name: 'are one by default', asked: [], wanted: [[[]]] },
    { name: 'stay with dedup=false', asked: [['dedup', 'false']], wanted: [[['replica', 'a'], ['replica', 'b']]] },
    { name: 'stay when the label is another one', asked: [['replicaLabels[]', 'other']], wanted: [[['replica', 'a'], ['replica', 'b']]] },
  ] as const)('$name', async ({ asked, wanted }) => expect(await labels(asked)).toEqual(wanted));

  test('warnings are told, and keep the answer out of caches', async () => {
    const answer = answerRules([], params(), {}, ['fetching rules from rules client x: gone']);
    expect(answer.noStore).toBe(true);
    expect(await textOf(answer)).toBe('{"status":"success","data":{"groups":[]},"warnings":["fetching rules from rules client x: gone"]}');
  });
});

test('a large answer comes in pieces of about a megabyte, characters whole', async () => {
  const names = ['\u{1f600}'.repeat(700_000), 'x' + '\u{1f600}'.repeat(700_000)];
  for (const name of names) {
    const answer = answerRules([{ name, file: 'f', intervalSeconds: 1, limit: 0, strategy: 'abort', rules: [], evaluationSeconds: 0, lastEvaluationMs: undefined }], params());
    const pieces: Uint8Array[] = [];
    for await (const piece of answer.body) pieces.push(piece);
    expect(pieces.length).toBe(2);
    expect(groupsOf(Buffer.concat(pieces).toString('utf8'))[0]!.name === name).toBe(true);
  }
});

describe('reading', () => {
  test('what Prometheus leaves out', () => {
    const [group] = groupsOf(own.find(({ name }) => name === 'prometheus-rules-exclude-alerts')!.text);
    expect(group).toMatchObject({ strategy: 'abort', limit: 0, lastEvaluationMs: expect.any(Number) });
    expect(group!.rules.map((rule) => (rule.kind === 'alerting' ? rule.alerts : rule.kind))).toEqual(['recording', [], []]);
  });

  const minimal = { name: 'r', query: 'up', type: 'recording', lastEvaluation: '2026-01-01T01:00:00.5+01:00' };
  test('a time with an offset, and annotations that are empty', () => {
    const [group] = readRuleGroups({ groups: [{ name: 'g', file: 'f', rules: [minimal, { ...minimal, type: 'alerting', state: 'FIRING', annotations: { b: '', a: 'x' } }] }] });
    expect(group!.rules[0]).toMatchObject({ lastEvaluationMs: Date.UTC(2026, 0, 1) + 500, labels: [] });
    expect(group!.rules[1]).toMatchObject({ state: 'firing', annotations: ['a', 'x', 'b', ''] });
    expect(group!.lastEvaluationMs).toBeUndefined();
  });

  test.each<{ name: string; data: unknown; message: string }>([
    { name: 'no object', data: null, message: 'read rules: data: want an object, got null' },
    { name: 'groups', data: { groups: {} }, message: 'read rules: groups: want a list, got an object' },
    { name: 'no name', data: { groups: [{}] }, message: 'read rules: groups[0].name: want text, got nothing' },
    { name: 'no type', data: { groups: [{ name: 'g', file: 'f', rules: [{ name: 'r', query: 'up' }] }] }, message: 'read rules: groups[0].rules[0].type: want text, got nothing' },
    { name: 'type', data: { groups: [{ name: 'g', file: 'f', rules: [{ ...minimal, type: 'odd' }] }] }, message: 'read rules: groups[0].rules[0].type: want alerting or recording, got "odd"' },
    { name: 'state', data: { groups: [{ name: 'g', file: 'f', rules: [{ ...minimal, type: 'alerting', state: 'odd' }] }] }, message: 'read rules: groups[0].rules[0].state: unknown alert state "odd"' },
    { name: 'time', data: { groups: [{ name: 'g', file: 'f', lastEvaluation: 'now' }] }, message: 'read rules: groups[0].lastEvaluation: want a time as RFC 3339 has it, got "now"' },
    { name: 'number', data: { groups: [{ name: 'g', file: 'f', interval: '5' }] }, message: 'read rules: groups[0].interval: want a number, got a string' },
    { name: 'label', data: { groups: [{ name: 'g', file: 'f', rules: [{ ...minimal, labels: { a: 1 } }] }] }, message: 'read rules: groups[0].rules[0].labels.a: want text, got a number' },
    { name: 'strategy', data: { groups: [{ name: 'g', file: 'f', partialResponseStrategy: 'x' }] }, message: 'read rules: groups[0].partialResponseStrategy: want WARN or ABORT, got "x"' },
  ])('refuses: $name', ({ data, message }) => expect(() => readRuleGroups(data)).toThrow(new HttpApiError('ERR_UPSTREAM', message)));

  const text = fc.string({ unit: 'grapheme', maxLength: 6 });
  const labels: fc.Arbitrary<Labels> = fc.constantFrom([], ['a', 'b'], ['__proto__', 'x', 'constructor', '<&>'], ['a', '\u{1f600}"\n']);
  const time = fc.option(fc.integer({ min: 0, max: 4e15 }).map((micros) => micros / 1000), { nil: undefined });
  const number = fc.integer({ min: 0, max: 1e6 }).map((n) => n / 1000);
  const status = { name: text, query: text, labels, health: fc.constantFrom('ok', 'err', 'unknown'), lastError: text, evaluationSeconds: number, lastEvaluationMs: time };
  const state = fc.constantFrom('unknown', 'inactive', 'pending', 'firing');
  const strategy = fc.constantFrom('warn', 'abort');
  const instance = fc.record({ labels, annotations: labels, state, activeAtMs: time, value: text, strategy }) as fc.Arbitrary<AlertInstance>;
  const rule = fc.oneof(
    fc.record({ kind: fc.constant('recording'), ...status }),
    fc.record({ kind: fc.constant('alerting'), ...status, state, forSeconds: number, keepFiringForSeconds: number, annotations: labels, alerts: fc.array(instance, { maxLength: 2 }) }),
  ) as fc.Arbitrary<RuleState>;
  test('any group that is written can be read', async () => {
    const group = fc.record({ name: text, file: text, intervalSeconds: number, limit: fc.nat(), strategy, rules: fc.array(rule, { maxLength: 1 }), evaluationSeconds: number, lastEvaluationMs: time }) as fc.Arbitrary<RuleGroupState>;
    await fc.assert(fc.asyncProperty(group, async (one) => expect(groupsOf(await textOf(answerRules([one], params())))).toEqual([one])));
  });
});
