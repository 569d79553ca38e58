/** Rules messages: recorded ones become the state that was recorded beside them; any state survives the wire; damaged bytes are refused. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import type { AlertInstance, Labels, RuleGroupState, RuleState } from '@gauntlet/model';
import fc from 'fast-check';
import { EMPTY_RULES_REQUEST, ProtoError, rulesRequest, rulesResponse } from './index.ts';

// oxlint-disable-next-line typescript/no-explicit-any -- JSON of many shapes
type Json = any;

const here = dirname(fileURLToPath(import.meta.url));
const golden = join(process.env['GAUNTLET_SHARED'] ?? join(here, '../../../../shared'), 'golden');
const recordings = [join(here, '../testdata/storeapi'), join(golden, 'storeapi')].flatMap((root) =>
  existsSync(root)
    ? readdirSync(root, { recursive: true, encoding: 'utf8' })
        .filter((name) => /live-\w+\/rules-[\w-]+\.json$/.test(name))
        .map((name): [string, string] => [name, join(root, name)])
    : [],
);

const flat = (set: Json): Labels => (set?.labels ?? []).flatMap((l: Json) => [l.name ?? '', l.value ?? '']);
const timeMs = (time: Json): number | undefined => {
  const seconds = Number(time?.seconds ?? 0);
  return time === undefined || seconds < -6e10 ? undefined : seconds * 1000 + Math.floor((time.nanos ?? 0) / 1000) / 1000;
};
const strategy = (name: Json): 'warn' | 'abort' => (name === 'ABORT' ? 'abort' : 'warn');

function recordedGroup(g: Json): unknown {
  return {
    name: g.name,
    file: g.file,
    intervalSeconds: g.interval,
    limit: Number(g.limit ?? 0),
    strategy: strategy(g.PartialResponseStrategy),
    evaluationSeconds: g.evaluation_duration_seconds ?? 0,
    lastEvaluationMs: timeMs(g.last_evaluation),
    rules: (g.rules ?? []).map((rule: Json) => {
      const r = rule.alert ?? rule.recording;
      const status = { name: r.name, query: r.query, labels: flat(r.labels), health: r.health, lastError: r.last_error ?? '', evaluationSeconds: r.evaluation_duration_seconds ?? 0, lastEvaluationMs: timeMs(r.last_evaluation) };
      if (rule.recording !== undefined) return { kind: 'recording', ...status };
      const alerts = (r.alerts ?? []).map((a: Json) => ({ labels: flat(a.labels), annotations: flat(a.annotations), state: a.state.toLowerCase(), activeAtMs: timeMs(a.active_at), value: a.value, strategy: strategy(a.PartialResponseStrategy) }));
      return { kind: 'alerting', ...status, state: (r.state ?? 'UNKNOWN').toLowerCase(), forSeconds: r.duration_seconds ?? 0, keepFiringForSeconds: r.keep_firing_for_seconds ?? 0, annotations: flat(r.annotations), alerts };
    }),
  };
}

/** Times are recorded to the nanosecond and kept to the microsecond: sums of the two differ in the last bits of a double. */
function rounded(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (key, v: unknown) => (key.endsWith('Ms') && typeof v === 'number' ? Math.round(v * 1000) : v)));
}

test.each(recordings)('%s', (_, path) => {
  const call = JSON.parse(readFileSync(path, 'utf8')) as Json;
  const request = rulesRequest.decode(new Uint8Array(Buffer.from(call.requestBase64, 'base64')));
  const { matcher_string: matcherString = [], rule_name: ruleName = [], rule_group: ruleGroup = [], file = [] } = call.request;
  const type = ['ALL', 'ALERT', 'RECORD'].indexOf(call.request.type ?? 'ALL');
  expect(request).toEqual({ type, partialResponseStrategy: call.request.partial_response_strategy === 'ABORT' ? 1 : 0, matcherString, ruleName, ruleGroup, file });
  expect(Buffer.from(rulesRequest.encode(request)).toString('base64')).toBe(call.requestBase64);
  for (const [i, frame] of (call.frames as string[]).entries()) {
    const decoded = rulesResponse.decode(new Uint8Array(Buffer.from(frame, 'base64')));
    expect(rounded(decoded)).toEqual(rounded({ group: recordedGroup(call.decoded[i].group), warning: '' }));
    expect(rulesResponse.decode(rulesResponse.encode(decoded))).toEqual(decoded);
  }
  expect(call.frames.length).toBeGreaterThan(0);
});

const text = fc.string({ unit: 'grapheme', maxLength: 8 });
const labels: fc.Arbitrary<Labels> = fc.array(fc.tuple(text, text), { maxLength: 3 }).map((pairs) => pairs.flat());
const seconds = fc.double({ min: 0, max: 1e6, noNaN: true });
const time = fc.option(fc.integer({ min: 0, max: 4e15 }).map((micros) => micros / 1000), { nil: undefined });
const state = fc.constantFrom('unknown', 'inactive', 'pending', 'firing');
const strategies = fc.constantFrom('warn', 'abort');
const status = { name: text, query: text, labels, health: fc.constantFrom('ok', 'err', 'unknown'), lastError: text, evaluationSeconds: seconds, lastEvaluationMs: time };
const instance = fc.record({ labels, annotations: labels, state, activeAtMs: time, value: text, strategy: strategies }) as fc.Arbitrary<AlertInstance>;
const rule = fc.oneof(
  fc.record({ kind: fc.constant('recording'), ...status }),
  fc.record({ kind: fc.constant('alerting'), ...status, state, forSeconds: seconds, keepFiringForSeconds: seconds, annotations: labels, alerts: fc.array(instance, { maxLength: 2 }) }),
) as fc.Arbitrary<RuleState>;
const anyGroup = fc.record({
  name: text,
  file: text,
  intervalSeconds: seconds,
  limit: fc.integer({ min: 0, max: 1e9 }),
  strategy: strategies,
  rules: fc.array(rule, { maxLength: 3 }),
  evaluationSeconds: seconds,
  lastEvaluationMs: time,
}) as fc.Arbitrary<RuleGroupState>;

test('any group survives the wire', () => {
  fc.assert(fc.property(anyGroup, (group) => expect(rulesResponse.decode(rulesResponse.encode({ group, warning: '' }))).toEqual({ group, warning: '' })));
});

test('a warning survives the wire, and a request', () => {
  expect(rulesResponse.decode(rulesResponse.encode({ group: undefined, warning: 'ruler gone' }))).toEqual({ group: undefined, warning: 'ruler gone' });
  const request = { ...EMPTY_RULES_REQUEST, type: 2, partialResponseStrategy: 1, matcherString: ['{a="b"}', 'up'], ruleName: ['r'], ruleGroup: ['g'], file: ['f'] };
  expect(rulesRequest.decode(rulesRequest.encode(request))).toEqual(request);
});

test('unknown states, health and kinds of rules', () => {
  const hex = (bytes: string): Uint8Array => new Uint8Array(Buffer.from(bytes, 'hex'));
  // group { rules { alert { state: 9, health: "odd" } }, rules { }, rules { 5: "" } }
  const { group } = rulesResponse.decode(hex(`0a111a09120708094203${Buffer.from('odd').toString('hex')}1a001a022a00`));
  expect(group!.rules).toEqual([expect.objectContaining({ kind: 'alerting', state: 'unknown', health: 'unknown', lastEvaluationMs: undefined })]);
});

test('every truncation is refused', () => {
  const call = JSON.parse(readFileSync(join(here, '../testdata/storeapi/live-sidecar/rules-all.json'), 'utf8')) as Json;
  const bytes = new Uint8Array(Buffer.from(call.frames[0], 'base64'));
  for (let end = 1; end < bytes.length; end++) expect(() => rulesResponse.decode(bytes.slice(0, end))).toThrow(ProtoError);
});
