/** What runs in the thread of the rules, without the thread. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { labelsFromMap } from '@gauntlet/model';
import { createMetrics, createNopLogger, DEFAULT_HTTP_CLIENT, type Logger } from '@gauntlet/service-kit';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createAckLog } from './ack-log.ts';
import { createForStateSource, createRuleAppender } from './rule-database.ts';
import { type RulesEngine, startRulesEngine } from './rules-engine.ts';
import type { RulesSettings } from './rules-protocol.ts';
import { type FakeQuerier, startFakeQuerier } from './testing/fake-servers.ts';

const NOW_MS = Date.UTC(2026, 10, 21, 12);
const EXTERNAL = labelsFromMap({ region: 'eu' });
let dir = '';
let querier: FakeQuerier;
let timers: { readonly delayMs: number; readonly run: () => void; isCancelled: boolean }[];
let engine: RulesEngine;
let lines: string[];

function settings(more: Partial<RulesSettings> = {}): RulesSettings {
  return {
    dataDir: join(dir, 'data'),
    externalLabels: EXTERNAL,
    database: { blockRangeMs: 7_200_000, retentionMs: 0, walCompression: 'snappy', hasLock: true, keepsUntilHandedOver: false },
    ackLogPath: undefined,
    ruleFiles: [join(dir, '*.yml')],
    parser: {},
    manager: { defaultIntervalMs: 60_000, queryOffsetMs: 0, resendDelayMs: 60_000, forOutageToleranceMs: 3_600_000, forGracePeriodMs: 600_000, concurrency: 1 },
    query: { clients: [DEFAULT_HTTP_CLIENT], method: 'POST', onlyPrometheusParams: false },
    alerts: { alertmanagers: [], queryUrl: 'http://q', queryTemplate: '/{{.Expr}}', dropLabels: [], relabel: [] },
    limits: { seriesMax: 0, samplesMax: 0 },
    log: { level: 'error', format: 'logfmt', name: '' },
    ...more,
  };
}

function startEngine(more: Partial<RulesSettings> = {}): RulesEngine {
  const log: Logger = { ...createNopLogger(), warn: (message, fields) => void lines.push(`${message} ${JSON.stringify(fields)}`), child: () => log };
  return startRulesEngine(settings(more), {
    log,
    metrics: createMetrics(),
    clock: () => NOW_MS,
    random: () => 0.5,
    setTimer: (delayMs, run) => {
      const timer = { delayMs, run, isCancelled: false };
      timers.push(timer);
      return () => void (timer.isCancelled = true);
    },
  });
}

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'gauntlet-engine-'));
  querier = await startFakeQuerier();
  timers = [];
  lines = [];
  engine = startEngine();
});
afterEach(async () => {
  await engine.stop();
  await querier.close();
  rmSync(dir, { recursive: true, force: true });
});

/** Pieces and answer of a call. */
async function call(request: Parameters<RulesEngine['call']>[0]): Promise<{ readonly pieces: unknown[]; readonly value: unknown }> {
  const pieces: unknown[] = [];
  const { value } = await engine.call(request, { signal: new AbortController().signal, throwIfCancelled: () => {}, send: async (piece) => void pieces.push(piece) });
  return { pieces, value };
}
const text = (pieces: unknown[]): string => Buffer.concat(pieces.slice(1) as Uint8Array[]).toString();

describe('answers', () => {
  beforeEach(async () => {
    writeFileSync(join(dir, 'r.yml'), 'groups:\n- name: "<b>g</b>"\n  rules:\n  - {alert: A, expr: up == 0, labels: {region: us, x: y}}\n  - {record: r, expr: up}\n');
    expect(await engine.request({ kind: 'reload' })).toEqual({ files: 1, problems: [] });
  });

  test('rules carry external labels, which win', async () => {
    const { pieces } = await call({ kind: 'api', route: 'rules', url: 'type=alert', form: undefined });
    expect(pieces[0]).toEqual({ status: 200, noStore: false });
    expect(JSON.parse(text(pieces))).toMatchObject({ data: { groups: [{ file: join(dir, 'r.yml'), rules: [{ name: 'A', labels: { region: 'eu', x: 'y' }, health: 'unknown' }] }] } });
  });

  test('a bad parameter is a bad request', async () => {
    const { pieces } = await call({ kind: 'api', route: 'rules', url: 'type=x', form: undefined });
    expect(pieces[0]).toEqual({ status: 400, noStore: true });
    expect(text(pieces)).toContain("invalid rules parameter type='x'");
  });

  test('pages escape what rule files say', async () => {
    for (const page of ['rules', 'alerts'] as const) {
      const { value } = await call({ kind: 'page', page, prefix: '/"><script>', url: 'q=%3Cscript%3E&state=' });
      expect(value).not.toMatch(/<script>|<b>g/);
      expect((await call({ kind: 'page', page, prefix: '/p', url: '' })).value).toContain('href="/p/rules"');
    }
    expect((await call({ kind: 'page', page: 'rules', prefix: '', url: '' })).value).toContain('http://q/graph?g0.expr=up+%3D%3D+0');
  });

  test('an empty page says how to get rules', async () => {
    rmSync(join(dir, 'r.yml'));
    await engine.request({ kind: 'reload' });
    expect((await call({ kind: 'page', page: 'rules', prefix: '', url: '' })).value).toContain('--rule-file');
  });
});

test('looks for a ruler with its labels, and warns', async () => {
  engine.setQueryEndpoints([[querier.url]]);
  querier.stores = { rule: ['one:1', 'two:1'].map((name) => ({ name, lastError: null, labelSets: [{ region: 'eu' }] })) };
  await engine.request({ kind: 'run' });
  const look = timers.find(({ delayMs }) => delayMs === 15_000)!;
  look.run();
  for (let i = 0; i < 1000 && timers.length < 2; i++) await new Promise((resolve) => setTimeout(resolve, 2));
  expect(lines.filter((line) => line.includes('one:1, two:1'))).toHaveLength(1);
  expect(timers.some(({ delayMs }) => delayMs === 30_000)).toBe(true);
  await engine.stop();
  expect(timers.at(-1)!.isCancelled).toBe(true);
});

test('a second engine on the same folder is refused, unless locks are off', async () => {
  expect(() => startEngine()).toThrow('another process has it');
  const other = startEngine({ database: { ...settings().database, hasLock: false } });
  await other.stop();
});

describe('the database', () => {
  const sample = (name: string, timestampMs: number, value: number, stale = false) => ({ labels: labelsFromMap({ __name__: name, a: 'b' }), timestampMs, value, stale });

  test('what one series refuses does not hold back others; only what was taken is acknowledged', async () => {
    const path = join(dir, 'ack.log');
    const ackLog = createAckLog(path);
    const appender = createRuleAppender(engine.db, ackLog);
    expect(await appender.append([sample('x', NOW_MS, 1)])).toEqual({ refused: [] });
    const answer = await appender.append([sample('x', NOW_MS - 1000, 2), sample('x', NOW_MS, 3), sample('y', NOW_MS, Number.NaN), sample('x', NOW_MS - 1, 0, true), sample('z', NOW_MS, 0, true), sample('y', NOW_MS - 3_600_001, 1)]);
    expect(answer.refused.map(({ reason }) => reason)).toEqual(['out of order sample', 'duplicate sample for timestamp', 'out of order sample', 'out of bounds']);
    ackLog.close();
    expect(readFileSync(path, 'utf8').trim().split('\n').map((line) => (JSON.parse(line) as [string[], number, string][]).map(([labels, , value]) => `${labels[1]} ${value}`))).toEqual([['x 1'], ['y NaN', 'z stale']]);
  });

  test('the last for state of exactly these labels in the range', async () => {
    const appender = createRuleAppender(engine.db);
    const labels = labelsFromMap({ __name__: 'ALERTS_FOR_STATE', alertname: 'A' });
    void appender.append([
      { labels, timestampMs: NOW_MS - 2000, value: 5, stale: false },
      { labels, timestampMs: NOW_MS - 1000, value: 6, stale: false },
      { labels: labelsFromMap({ __name__: 'ALERTS_FOR_STATE', alertname: 'A', more: 'x' }), timestampMs: NOW_MS - 500, value: 7, stale: false },
    ]);
    const source = createForStateSource(engine.db);
    expect(await source.lastForState(labels, NOW_MS - 3000, NOW_MS)).toEqual({ timestampMs: NOW_MS - 1000, value: 6 });
    expect(await source.lastForState(labels, NOW_MS - 3000, NOW_MS - 1001)).toEqual({ timestampMs: NOW_MS - 2000, value: 5 });
    expect(await source.lastForState(labels, NOW_MS - 999, NOW_MS)).toBeUndefined();
    expect(await source.lastForState(labelsFromMap({ __name__: 'ALERTS_FOR_STATE', alertname: 'B' }), 0, NOW_MS)).toBeUndefined();
  });
});
