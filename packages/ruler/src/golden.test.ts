/** A whole recorded run of a ruler, evaluated again under a manual clock: states, alerts sent, and series, to the millisecond. */
import { describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type AlertingRuleState, getLabel, labelsFromMap, labelsToObject } from '@gauntlet/model';
import { formatRuleFileProblem, parseRuleFile } from './rule-files.ts';
import { expandTemplate } from './template/expand-template.ts';
import { parseTemplate } from './template/parse-template.ts';
import { slotOffsetMs } from './rule-schedule.ts';
import { createRuleBench, element, type RuleBench, type ScriptedQuery } from './testing/rule-bench.ts';

const testdata = join(dirname(fileURLToPath(import.meta.url)), '../testdata');
const RULES = readFileSync(join(testdata, 'recorded-run.yml'), 'utf8');
/** A path that puts the group on the recorded evaluation times; the recording does not say which one it had. */
function fileOnSlot(group: string, intervalMs: number, slotMs: number): string {
  for (let n = 0; ; n++) if (slotOffsetMs(`rules-${n}.yml`, group, intervalMs) === slotMs % intervalMs) return `rules-${n}.yml`;
}
const EXTERNAL = { region: 'eu', rule_replica: '0' };

interface RecordedSeries {
  readonly metric: Record<string, string>;
  readonly values: readonly (readonly [number, string])[];
}

interface RecordedStates {
  readonly atMs: number;
  readonly states: Readonly<Record<string, { readonly state: string; readonly health: string; readonly alerts: readonly { readonly state: string; readonly activeAt: string; readonly value: string }[] }>>;
}

interface RecordedAlert {
  readonly atMs: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly startsAt: string;
  readonly endsAt: string;
}

const recorded = JSON.parse(readFileSync(join(testdata, 'recorded-run.json'), 'utf8')) as {
  readonly startedMs: number;
  readonly timeline: readonly RecordedStates[];
  readonly sent: readonly RecordedAlert[];
  readonly series: readonly RecordedSeries[];
  readonly values: Readonly<Record<string, { readonly host: string; readonly annotations: Readonly<Record<string, string>> }>>;
};

function pairs(labels: Readonly<Record<string, string>>): (readonly [string, string])[] {
  return Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
}

/** Texts of anything, sorted, for comparing as sets. */
function sortedTexts(list: readonly unknown[]): string[] {
  return list.map((each) => JSON.stringify(each)).sort((a, b) => (a < b ? -1 : 1));
}

describe('recorded run', () => {
  const { startedMs } = recorded;
  const target = { cluster: 'live', env: 'test', instance: '127.0.0.1:29000', job: 'demo' };
  /** What queriers answered, as the recording's description has it. */
  const query: ScriptedQuery = (expr, timeMs) => {
    const isOn = timeMs >= startedMs + 8000 && timeMs < startedMs + 24_000;
    switch (expr) {
      case 'vector(1)':
        return [element({}, 1)];
      case '1 + 2':
        return [element({}, 3)];
      case 'const:one + 1':
        return [element({}, 2)];
      case 'sum by (job) (up)':
        return [element({ job: 'demo' }, 1)];
      case 'sum(up)':
        return [element({}, 1)];
      case 'demo_switch > 0':
        return isOn ? [element({ __name__: 'demo_switch', ...target, unit: '1' }, 1)] : [];
      case 'demo_switch > 100':
        return [];
      case 'up':
      case 'up >= 0':
        return [element({ __name__: 'up', ...target }, 1), element({ __name__: 'up', ...target, instance: 'other' }, 1)];
      case 'up * on () group_left () demo_requests_total':
        throw new Error('expanding series: found duplicate series for the match group {} on the right hand-side of the operation');
      default:
        return [];
    }
  };

  const begin = (): RuleBench => {
    const text = RULES.replace(/- name: templates\n[^]*?(?=- name:)/, '');
    const bench = createRuleBench(startedMs, query, { defaultIntervalMs: 2000, resendDelayMs: 5000 }, { externalLabels: labelsFromMap(EXTERNAL), externalUrl: 'http://thanos.example.org/q' });
    bench.manager.update(parseRuleFile(text, fileOnSlot('states', 2000, 1795246545406)).groups);
    bench.start();
    return bench;
  };

  test('the group of templates is refused, the others are read', () => {
    const { problems } = parseRuleFile(RULES, 'rules.yml');
    expect(new Set(problems.map(({ group }) => group))).toEqual(new Set(['templates']));
    expect(problems.map(formatRuleFileProblem)[0]).toBe('rules.yml:51:28: group "templates", rule "Values": annotation "printf": template function \'printf\' is not supported yet');
    expect(parseRuleFile(RULES.replace(/- name: templates\n[^]*?(?=- name:)/, ''), 'rules.yml').problems).toEqual([]);
  });

  test('states second by second', async () => {
    const bench = begin();
    for (const { atMs, states } of recorded.timeline) {
      await bench.clock.moveTo(atMs);
      const group = bench.manager.groups().find(({ name }) => name === 'states')!;
      for (const rule of group.rules as AlertingRuleState[]) {
        const wanted = states[rule.name]!;
        // The recording shows an evaluation that began in the very second a little later.
        const alerts = rule.alerts.map(({ state, activeAtMs, value }) => ({ state, activeAt: activeAtMs, value }));
        const wantedAlerts = wanted.alerts.map((alert) => ({ ...alert, activeAt: Date.parse(alert.activeAt) }));
        expect([atMs - startedMs, rule.name, rule.state, rule.health, alerts]).toEqual([atMs - startedMs, rule.name, wanted.state, wanted.health, wantedAlerts]);
      }
    }
    await bench.end();
  });

  test('alerts sent', async () => {
    const bench = begin();
    await bench.clock.moveTo(recorded.timeline.at(-1)!.atMs);
    await bench.end();
    const wanted = recorded.sent.map(({ labels: { region: _region, ...labels }, annotations, startsAt, endsAt }) => [
      labels['alertname'],
      Date.parse(endsAt),
      Date.parse(startsAt),
      pairs(labels),
      pairs(annotations),
    ]);
    const sent = bench.sent.map(({ labels, annotations, startsAtMs, endsAtMs }) => [
      getLabel(labels, 'alertname'),
      endsAtMs,
      startsAtMs,
      pairs(labelsToObject(labels)),
      pairs(labelsToObject(annotations)),
    ]);
    expect(wanted.length).toBe(27);
    expect(sortedTexts(sent)).toEqual(sortedTexts(wanted));
  });

  test.each(['ALERTS', 'ALERTS_FOR_STATE'])('series %s', async (name) => {
    const bench = begin();
    await bench.clock.moveTo(startedMs + 48_000);
    await bench.end();
    const wanted = recorded.series.filter(({ metric }) => metric['__name__'] === name);
    expect(wanted.length).toBeGreaterThan(3);
    const lastMs = Math.max(...wanted.flatMap(({ values }) => values.map(([time]) => time * 1000)));
    const series = new Map<string, RecordedSeries & { values: [number, string][] }>();
    for (const { labels, timestampMs, value, stale } of bench.written) {
      if (stale || timestampMs > lastMs) continue;
      const metric: Record<string, string> = { ...labelsToObject(labels), ...EXTERNAL };
      if (metric['__name__'] !== name) continue;
      const key = JSON.stringify(metric);
      if (!series.has(key)) series.set(key, { metric, values: [] });
      series.get(key)!.values.push([timestampMs / 1000, String(value)]);
    }
    const flat = (list: readonly RecordedSeries[]): unknown[] => list.map(({ metric, values }) => [pairs(metric), values]);
    expect(sortedTexts(flat([...series.values()]))).toEqual(sortedTexts(flat(wanted)));
  });

  test('recorded series, limits and failures of the other groups', async () => {
    const bench = begin();
    await bench.clock.moveTo(startedMs + 30_000);
    await bench.end();
    const groups = bench.manager.groups();
    expect(groups.map(({ name, strategy, limit }) => [name, strategy, limit])).toEqual([['limited', 'abort', 1], ['recording', 'abort', 0], ['states', 'abort', 0], ['warned', 'warn', 0]]);
    const rules = new Map(groups.flatMap((group) => group.rules.map((rule) => [rule.name, rule])));
    expect(rules.get('TooMany')).toMatchObject({ health: 'err', state: 'inactive', alerts: [], lastError: 'exceeded limit of 1 with 2 alerts' });
    expect(rules.get('too:many')).toMatchObject({ health: 'err', lastError: 'exceeded limit of 1 with 2 series' });
    expect(rules.get('broken:rule')).toMatchObject({ health: 'err', lastError: 'expanding series: found duplicate series for the match group {} on the right hand-side of the operation' });
    const metrics = new Map(bench.written.map(({ labels, value }) => [getLabel(labels, '__name__'), [pairs(labelsToObject(labels)), value]]));
    expect(metrics.get('job:up:sum')).toEqual([[['__name__', 'job:up:sum'], ['cluster', 'overridden'], ['job', 'demo'], ['tier', 'x']], 1]);
    expect(metrics.get('scalar:rule')).toEqual([[['__name__', 'scalar:rule']], 3]);
    expect(metrics.get('second:level')).toEqual([[['__name__', 'second:level']], 2]);
    expect([...metrics.keys()].sort()).toEqual(['ALERTS', 'ALERTS_FOR_STATE', 'const:one', 'job:up:sum', 'scalar:rule', 'second:level', 'warned:up']);
    // The query offset of the group warned: its samples lie two seconds before its slots.
    const warned = groups.find(({ name }) => name === 'warned')!;
    const last = bench.written.findLast(({ labels }) => labels.includes('warned:up'))!;
    expect(warned.rules[0]!.lastEvaluationMs! - last.timestampMs).toBe(2000);
  });

  test('annotations of fourteen values, of which the functions that are here', () => {
    const texts = { value: '{{ $value }}', humanize: '{{ $value | humanize }}', humanize1024: '{{ humanize1024 $value }}', humanizeDuration: '{{ humanizeDuration $value }}', humanizePercentage: '{{ humanizePercentage $value }}' };
    const values: Readonly<Record<string, number>> = {
      zero: 0, one: 1, big: 1234567.891, huge: 1e21, small: 0.00001234, neg: -0.5, nan: NaN, inf: Infinity, ninf: -Infinity, ts: 1700000000.25, dur: 93784.5, milli: 0.0012, kibi: 3145728, third: 0.3333333333333333,
    };
    for (const [v, { host, annotations }] of Object.entries(recorded.values)) {
      const data = { labels: labelsFromMap({ v, host }), externalLabels: labelsFromMap(EXTERNAL), externalUrl: 'http://thanos.example.org/q', value: values[v]! };
      const all = { ...texts, label: '{{ $labels.v }}/{{ .Labels.host }}/{{ $labels.missing }}', external: '{{ $externalLabels.region }}/{{ .ExternalLabels.rule_replica }}/{{ $externalLabels }}', externalURLField: '{{ .ExternalURL }}', externalURLVar: '{{ $externalURL }}', map: '{{ $labels }}' };
      for (const [name, text] of Object.entries(all)) {
        // 1e21 s are more than Go's 64 bits hold: the recording shows what is left of them, -106751991167300d.
        if (v === 'huge' && name === 'humanizeDuration') continue;
        expect([v, name, expandTemplate(parseTemplate(text).template, data)]).toEqual([v, name, annotations[name]]);
      }
    }
    expect(Object.keys(recorded.values)).toHaveLength(14);
  });
});
