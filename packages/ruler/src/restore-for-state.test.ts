/** Restoring `for`: the arithmetic, and recorded restarts. */
import { describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type AlertingRuleState } from '@gauntlet/model';
import fc from 'fast-check';
import { restoredActiveAt } from './restore-for-state.ts';
import { parseRuleFile } from './rule-files.ts';
import { createRuleBench, element, forStateOf, type RuleBench } from './testing/rule-bench.ts';
import type { RuleSample } from './types.ts';

const testdata = join(dirname(fileURLToPath(import.meta.url)), '../testdata');

const MIN = 60_000;

test.each([
  ['fired before', { forMs: 10 * MIN, lastMs: 100 * MIN, activeAtMs: 80 * MIN, nowMs: 130 * MIN, graceMs: MIN }, 80 * MIN],
  ['just fired', { forMs: 20 * MIN, lastMs: 100 * MIN, activeAtMs: 80 * MIN, nowMs: 130 * MIN, graceMs: MIN }, 80 * MIN],
  ['would fire within the grace period: fires at its end', { forMs: 21 * MIN, lastMs: 100 * MIN, activeAtMs: 80 * MIN, nowMs: 130 * MIN, graceMs: 2 * MIN }, (130 + 2 - 21) * MIN],
  ['long to go: the time down does not count', { forMs: 60 * MIN, lastMs: 100 * MIN, activeAtMs: 80 * MIN, nowMs: 130 * MIN, graceMs: 10 * MIN }, 110 * MIN],
])('%s', (_name, { forMs, lastMs, activeAtMs, nowMs, graceMs }, wanted) => {
  expect(restoredActiveAt(forMs, lastMs, activeAtMs, nowMs, graceMs)).toBe(wanted);
});

test('what is left of `for` is what was left when the ruler ended, and at least the grace period, unless it had passed', () => {
  const time = fc.integer({ min: 0, max: 10_000 });
  fc.assert(
    fc.property(time, time, time, time, (forMs, pendingMs, downMs, graceMs) => {
      const lastMs = 1_000_000 + pendingMs;
      const nowMs = lastMs + downMs;
      const leftMs = restoredActiveAt(forMs, lastMs, 1_000_000, nowMs, graceMs) + forMs - nowMs;
      const before = forMs - pendingMs;
      expect(leftMs).toBe(before > 0 ? Math.max(before, graceMs) : before - downMs);
    }),
  );
});

const RULES = `
groups:
- name: g
  rules:
  - {alert: Long, expr: vector(1), for: 1h, labels: {severity: page, l: "{{ $labels.a }}", e: ""}}
  - {alert: Short, expr: vector(1), for: 9m}
`;

async function runUntil(bench: RuleBench, endMs: number): Promise<void> {
  bench.manager.update(parseRuleFile(RULES, 'r.yml').groups);
  bench.start();
  await bench.clock.moveTo(endMs);
}

const START = 1_700_000_000_000;
const always = (): ReturnType<typeof element>[] => [element({ a: 'b' }, 1)];

test('nothing is written about alerts before the second evaluation, when states are restored; for below the grace period is not', async () => {
  const first = createRuleBench(START, always);
  await runUntil(first, START + 30 * MIN);
  await first.end();
  const activeAt = (bench: RuleBench, name: string): number => (bench.manager.groups()[0]!.rules.find((rule) => rule.name === name) as AlertingRuleState).alerts[0]!.activeAtMs! - START;
  const began = activeAt(first, 'Long');
  const series = first.written.filter(({ labels }) => labels.includes('ALERTS_FOR_STATE') && labels.includes('Long')).map(({ labels }) => labels)[0];
  expect(series).toEqual(['__name__', 'ALERTS_FOR_STATE', 'a', 'b', 'alertname', 'Long', 'l', 'b', 'severity', 'page']);

  const restartMs = START + 40 * MIN;
  const asked: [number, number][] = [];
  const source = forStateOf(first.written);
  const second = createRuleBench(restartMs, always, {}, {
    forState: {
      lastForState(labels, sinceMs, untilMs) {
        asked.push([sinceMs, untilMs]);
        return source.lastForState(labels, sinceMs, untilMs);
      },
    },
  });
  await runUntil(second, restartMs + 10_000);
  expect(second.written).toEqual([]);
  await second.clock.pass(10_000);
  const lastMs = Math.max(...first.written.map(({ timestampMs }) => timestampMs));
  const restoredMs = asked[0]![1];
  expect(asked).toEqual([[restoredMs - 60 * MIN, restoredMs]]);
  // Written in whole seconds, moved by the time down.
  expect(activeAt(second, 'Long')).toBe(Math.floor(began / 1000) * 1000 + (restoredMs - lastMs));
  expect(activeAt(second, 'Short')).toBeGreaterThanOrEqual(restartMs - START);
  expect(second.written).toEqual([]);
  await second.clock.pass(10_000);
  expect(second.written).toHaveLength(4);
  await second.end();
});

test.each([
  ['stale marker', NaN],
  ['no sample', undefined],
])('%s: the alert begins anew', async (_name, value) => {
  const bench = createRuleBench(START, always, {}, { forState: { lastForState: async () => (value === undefined ? undefined : { timestampMs: START, value }) } });
  await runUntil(bench, START + 30_000);
  const [long] = bench.manager.groups()[0]!.rules as AlertingRuleState[];
  expect(long!.alerts[0]!.activeAtMs).toBeGreaterThanOrEqual(START);
  await bench.end();
});

test('a state that cannot be read does not hold back the alerts', async () => {
  const bench = createRuleBench(START, always, {}, { forState: { lastForState: () => Promise.reject(new Error('read segment 3: checksum')) } });
  await runUntil(bench, START + 40_000);
  expect(bench.written.length).toBeGreaterThan(0);
  await bench.end();
});

describe('recorded restarts', () => {
  const OPTIONS: Readonly<Record<string, { forGracePeriodMs?: number; forOutageToleranceMs?: number }>> = {
    'grace-0s': { forGracePeriodMs: 0 },
    'grace-10s': { forGracePeriodMs: 10_000 },
    'grace-default': {},
    killed: { forGracePeriodMs: 0 },
    'outage-tolerance': { forGracePeriodMs: 0, forOutageToleranceMs: 2000 },
  };
  const INTERVAL = 1000;
  const recorded = JSON.parse(readFileSync(join(testdata, 'recorded-restarts.json'), 'utf8')) as Readonly<
    Record<string, { stoppedMs: number; restartedMs: number; timeline: { atMs: number; alerts: Record<string, { state: string; activeAt?: string }> }[] }>
  >;
  const rules = readFileSync(join(testdata, 'recorded-restarts.yml'), 'utf8');

  test('every case is run', () => expect(Object.keys(recorded).sort()).toEqual(Object.keys(OPTIONS).sort()));

  test.each(Object.keys(OPTIONS))('%s', async (name) => {
    const { timeline, stoppedMs, restartedMs } = recorded[name]!;
    const startMs = Math.floor(timeline[0]!.atMs);
    const written: RuleSample[] = [];
    const begin = (atMs: number): RuleBench => {
      const bench = createRuleBench(atMs, () => [element({}, 1)], OPTIONS[name], {
        forState: forStateOf(written),
        appender: {
          append(samples) {
            written.push(...samples);
            return { refused: [] };
          },
        },
      });
      bench.manager.update(parseRuleFile(rules, 'rules.yml').groups);
      bench.start();
      return bench;
    };
    let bench = begin(startMs);
    let isRestarted = false;
    for (const { atMs, alerts } of timeline) {
      if (!isRestarted && atMs >= restartedMs) {
        await bench.clock.moveTo(Math.max(bench.clock.now(), stoppedMs));
        await bench.end();
        bench = begin(restartedMs);
        isRestarted = true;
      }
      // The recording names the changes; each is there within an interval before or after.
      await bench.clock.moveTo(Math.max(bench.clock.now(), atMs - INTERVAL));
      const shown: Record<string, Set<string>> = {};
      const activeAts: Record<string, number[]> = {};
      for (let ms = Math.max(bench.clock.now(), atMs - INTERVAL); ms <= atMs + INTERVAL; ms += INTERVAL / 2) {
        if (ms > bench.clock.now()) await bench.clock.moveTo(ms);
        for (const rule of bench.manager.groups()[0]!.rules as AlertingRuleState[]) {
          (shown[rule.name] ??= new Set()).add(rule.state);
          (activeAts[rule.name] ??= []).push(...rule.alerts.map(({ activeAtMs }) => activeAtMs!));
        }
      }
      for (const [alert, { state, activeAt }] of Object.entries(alerts)) {
        expect([alert, atMs - startMs, [...shown[alert]!].includes(state) ? state : [...shown[alert]!].join()]).toEqual([alert, atMs - startMs, state]);
        if (activeAt === undefined) continue;
        const nearest = Math.min(...activeAts[alert]!.map((ms) => Math.abs(ms - Date.parse(activeAt))));
        expect([alert, atMs - startMs, nearest <= INTERVAL + 1000 ? 'near' : nearest]).toEqual([alert, atMs - startMs, 'near']);
      }
    }
    expect(isRestarted).toBe(true);
    await bench.end();
  });
});
