/** A whole recorded run of a ruler, evaluated again under a manual clock: states, alerts sent, and series, to the millisecond. */
import { describe, expect, test } from '@jest/globals';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type AlertingRuleState, labelsFromMap, labelsToObject } from '@gauntlet/model';
import { parseRuleFile } from './rule-files.ts';
import { slotOffsetMs } from './rule-schedule.ts';
import { createRuleBench, element, type RuleBench, type ScriptedQuery } from './testing/rule-bench.ts';

const shared = join(process.env['GAUNTLET_SHARED'] ?? join(dirname(fileURLToPath(import.meta.url)), '../../../../shared'), 'golden');
/** A path that puts the group on the recorded evaluation times; the recording does not say which one it had. */
function fileOnSlot(group: string, intervalMs: number, slotMs: number): string {
  for (let n = 0; ; n++) if (slotOffsetMs(`rules-${n}.yml`, group, intervalMs) === slotMs % intervalMs) return `rules-${n}.yml`;
}
const EXTERNAL = { region: 'eu', rule_replica: '0' };

interface RecordedSeries {
  readonly metric: Record<string, string>;
  readonly values: readonly (readonly [number, string])[];
}

const json = (name: string): any => JSON.parse(readFileSync(join(shared, name), 'utf8'));
const lines = (name: string): any[] => readFileSync(join(shared, name), 'utf8').trim().split('\n').map((line) => JSON.parse(line));

if (!existsSync(join(shared, 'rules'))) test.skip('recordings are not on this machine (GAUNTLET_SHARED)', () => {});
else describe('recorded run', () => {
  const startedMs: number = json('rules/index.json').started;
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
    const text = readFileSync(join(shared, 'rules/rules.yml'), 'utf8').replace(/- name: templates\n[^]*?(?=- name:)/, '');
    const bench = createRuleBench(startedMs, query, { defaultIntervalMs: 2000, resendDelayMs: 5000 }, { externalLabels: labelsFromMap(EXTERNAL), externalUrl: 'http://thanos.example.org/q' });
    bench.manager.update(parseRuleFile(text, fileOnSlot('states', 2000, 1795246545406)).groups);
    bench.start();
    return bench;
  };

  test('states second by second', async () => {
    const bench = begin();
    for (const { atMs, states } of lines('rules/timeline.jsonl')) {
      await bench.clock.moveTo(atMs);
      const group = bench.manager.groups().find(({ name }) => name === 'states')!;
      for (const rule of group.rules as AlertingRuleState[]) {
        const wanted = states[rule.name];
        // The recording shows an evaluation that began in the very second a little later.
        const alerts = rule.alerts.map(({ state, activeAtMs, value }) => ({ state, activeAt: activeAtMs, value }));
        const wantedAlerts = wanted.alerts.map((alert: any) => ({ ...alert, activeAt: Date.parse(alert.activeAt) }));
        expect([atMs - startedMs, rule.name, rule.state, rule.health, alerts]).toEqual([atMs - startedMs, rule.name, wanted.state, wanted.health, wantedAlerts]);
      }
    }
    await bench.end();
  });

  test('alerts sent', async () => {
    const bench = begin();
    const last = lines('rules/timeline.jsonl').at(-1).atMs;
    await bench.clock.moveTo(last);
    await bench.end();
    const wanted = lines('rules/alertmanager-posts.jsonl')
      .filter(({ atMs }) => atMs <= last)
      .flatMap(({ body }) => body)
      .filter(({ labels }) => !/^(Values|Functions)$/.test(labels.alertname))
      .map(({ labels: { region: _region, ...labels }, annotations = {}, startsAt, endsAt }) => ({ labels, annotations, startsAt, endsAt }));
    const sent = bench.sent.map(({ labels, annotations, startsAtMs, endsAtMs }) => ({
      labels: { ...labelsToObject(labels) },
      annotations: { ...labelsToObject(annotations) },
      startsAt: new Date(startsAtMs).toISOString(),
      endsAt: new Date(endsAtMs).toISOString(),
    }));
    const byAlert = (alerts: readonly any[]): Map<string, any[]> => {
      const found = new Map<string, any[]>();
      for (const alert of alerts) found.set(alert.labels.alertname, [...(found.get(alert.labels.alertname) ?? []), alert]);
      return found;
    };
    expect(byAlert(sent)).toEqual(byAlert(wanted));
  });

  test.each(['series-alerts', 'series-alerts-for-state'])('%s', async (name) => {
    const bench = begin();
    await bench.clock.moveTo(startedMs + 48_000);
    await bench.end();
    const recorded: RecordedSeries[] = JSON.parse(json(`rules/${name}.json`).text).data.result;
    const wanted = recorded.filter(({ metric }) => metric['rule_replica'] === '0' && !/^(Values|Functions)$/.test(metric['alertname']!));
    const lastMs = Math.max(...wanted.flatMap(({ values }) => values.map(([time]) => time * 1000)));
    const series = new Map<string, RecordedSeries & { values: [number, string][] }>();
    for (const { labels, timestampMs, value, stale } of bench.written) {
      if (stale || timestampMs > lastMs) continue;
      const metric = { ...labelsToObject(labels), ...EXTERNAL };
      if (metric['__name__'] !== wanted[0]!.metric['__name__']) continue;
      const key = JSON.stringify(metric);
      if (!series.has(key)) series.set(key, { metric, values: [] });
      series.get(key)!.values.push([timestampMs / 1000, String(value)]);
    }
    const sorted = (list: readonly RecordedSeries[]): unknown[] => list.map(({ metric, values }) => [JSON.stringify(Object.entries(metric).sort()), values]).sort();
    expect(sorted([...series.values()])).toEqual(sorted(wanted));
  });
});
