/**
 * The ruler as its users meet it: a querier that answers from a table, an Alertmanager that keeps what it is sent, rules in the built thread, real
 * gRPC and HTTP in front.
 */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleepFor } from 'node:timers/promises';
import { getLabel, labelsFromMap } from '@gauntlet/model';
import { createMemoryBucket } from '@gauntlet/objstore';
import { EMPTY_RULES_REQUEST, rulesResponse } from '@gauntlet/proto';
import { createMetrics, createNopLogger, createRunGroup, type Logger, openGrpcChannel, parseFlags, renderMetrics } from '@gauntlet/service-kit';
import { createRulesClient, GrpcStoreClient } from '@gauntlet/storeapi';
import { readSeries, seriesOf } from '@gauntlet/storeapi/testing';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createRuler, type Ruler, type RulerConfig, type RulerDeps, rulerFlags } from './index.ts';
import { type FakeAlertmanager, type FakeQuerier, startFakeAlertmanager, startFakeQuerier } from './testing/fake-servers.ts';

const WORKER = join(import.meta.dirname, '..', 'dist', 'rules-worker.js');
const closers: (() => Promise<void> | void)[] = [];
let dir = '';
let querier: FakeQuerier;
let alertmanager: FakeAlertmanager;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'gauntlet-ruler-'));
  closers.push(() => rmSync(dir, { recursive: true, force: true }));
  querier = await startFakeQuerier();
  closers.push(() => querier.close());
  alertmanager = await startFakeAlertmanager();
  closers.push(() => alertmanager.close());
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

function configOf(...argv: string[]): RulerConfig {
  const outcome = parseFlags({ name: 'rule', help: '', flags: rulerFlags }, ['--http-address=127.0.0.1:0', '--grpc-address=127.0.0.1:0', '--http-grace-period=1s', '--grpc-grace-period=1s', '--log.level=error', ...(argv.some((arg) => arg.startsWith('--data-dir')) ? [] : [`--data-dir=${dir}/data`]), `--rule-file=${dir}/*.yml`, ...argv]);
  if (outcome.kind !== 'run') throw new Error(outcome.stderr);
  return outcome.values;
}

const BASE = (): string[] => [`--query=${querier.url}`, `--alertmanagers.url=${alertmanager.url}`, '--label=region="eu"', '--label=replica="0"', '--alert.label-drop=replica', '--alert.query-url=http://q.example', '--resend-delay=100ms'];

interface Running {
  readonly ruler: Ruler;
  readonly url: string;
  readonly client: GrpcStoreClient;
  readonly done: Promise<void>;
  get(path: string): Promise<{ readonly status: number; readonly text: string; readonly json: { readonly data: never } }>;
  metric(pattern: string): Promise<string | undefined>;
  stop(): Promise<void>;
}

async function start(argv: readonly string[] = BASE(), deps: Partial<RulerDeps> = {}): Promise<Running> {
  const metrics = createMetrics();
  const ruler = await createRuler(configOf(...argv), { log: createNopLogger(), metrics, clock: Date.now, shownFlags: { 'data-dir': 'x' }, ...deps });
  const group = createRunGroup({ log: createNopLogger(), signals: undefined });
  for (const part of ruler.parts) group.add(part);
  const abort = new AbortController();
  let failure: unknown;
  const isUp = new Promise<void>((resolve) => group.add({ name: 'up', start: () => resolve() }));
  const done = group.run(abort.signal).catch((error: unknown) => {
    failure = error;
    throw error;
  });
  done.catch(() => undefined);
  const stop = async (): Promise<void> => {
    abort.abort();
    await done.catch(() => undefined);
  };
  closers.push(stop);
  await Promise.race([isUp, done]);
  if (failure !== undefined) throw failure as Error;
  const channel = openGrpcChannel({ address: ruler.grpcAddress() });
  closers.push(() => channel.close());
  const url = `http://${ruler.httpAddress()}`;
  return {
    ruler,
    url,
    client: new GrpcStoreClient(channel),
    done,
    stop,
    get: async (path) => {
      const response = await fetch(url + path, { redirect: 'manual' });
      const text = await response.text();
      return { status: response.status, text, json: (text.startsWith('{') ? JSON.parse(text) : undefined) as { data: never } };
    },
    metric: async (pattern) => new RegExp(`^${pattern} (\\S+)$`, 'm').exec(Buffer.from((await renderMetrics(metrics.registry, undefined)).body as string | Uint8Array).toString())?.[1],
  };
}

async function until<T>(look: () => Promise<T | undefined | false> | T | undefined | false, what: string): Promise<T> {
  for (let i = 0; i < 600; i++) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    await sleepFor(20);
  }
  throw new Error(`not within 12 s: ${what}`);
}

const rulesFile = (text: string, name = 'rules.yml'): void => writeFileSync(join(dir, name), text);
const alertsOf = async (running: Running): Promise<readonly { readonly state: string; readonly activeAt: string; readonly labels: Record<string, string> }[]> => ((await running.get('/api/v1/alerts')).json.data as { Alerts: never })['Alerts'] ?? [];

(existsSync(WORKER) ? describe : describe.skip)('a ruler (needs a build of this package)', () => {
  test('an alert is pending, fires, is resolved, and Alertmanager hears of it', async () => {
    rulesFile('groups:\n- name: g\n  interval: 100ms\n  rules:\n  - alert: Down\n    expr: up == 0\n    for: 300ms\n    labels: {severity: page}\n    annotations: {summary: "{{ $labels.job }} is {{ $value }}"}\n');
    querier.answers.set('up == 0', [{ metric: { __name__: 'up', job: 'node' }, value: 0 }]);
    const running = await start();
    await until(async () => (await alertsOf(running))[0]?.state === 'pending', 'pending');
    expect(alertmanager.posts).toEqual([]);
    await until(async () => (await alertsOf(running))[0]?.state === 'firing', 'firing');
    const [first] = (await until(() => alertmanager.posts[0], 'a post')).alerts;
    expect(first).toMatchObject({ labels: { alertname: 'Down', job: 'node', region: 'eu', severity: 'page' }, annotations: { summary: 'node is 0' }, generatorURL: 'http://q.example/graph?g0.expr=up+%3D%3D+0&g0.tab=1' });
    expect(Date.parse(first!.endsAt)).toBeGreaterThan(Date.now() - 1000);
    expect(await alertsOf(running)).toMatchObject([{ labels: { alertname: 'Down', job: 'node', severity: 'page' } }]);
    const page = await running.get('/alerts');
    expect(page.text).toContain('node is 0');
    querier.answers.delete('up == 0');
    const resolved = await until(() => alertmanager.posts.flatMap(({ alerts, atMs }) => alerts.filter(({ endsAt }) => Date.parse(endsAt) <= atMs))[0], 'the alert is resolved');
    expect(resolved.labels).toEqual(first!.labels);
    expect(await running.get('/api/v1/alerts')).toMatchObject({ status: 200, text: '{"status":"success","data":{"Alerts":null}}' });
    expect(await running.metric('thanos_alert_queue_capacity')).toBe('10000');
    expect(Number(await running.metric(`thanos_alert_sender_alerts_sent_total\\{alertmanager="${alertmanager.address}"\\}`))).toBeGreaterThan(0);
    expect(await running.metric('thanos_status\\{check="ready",component="rule"\\}')).toBe('1');
  }, 30_000);

  test('recorded series are in the StoreAPI at once, rules in the Rules API, both with external labels', async () => {
    rulesFile('groups:\n- name: g\n  interval: 100ms\n  rules:\n  - record: job:up:sum\n    expr: sum by (job) (up)\n    labels: {kind: rec}\n  - record: bad:rule\n    expr: bad\n');
    querier.answers.set('sum by (job) (up)', [{ metric: { job: 'a' }, value: 1 }, { metric: { job: 'b' }, value: 2 }]);
    querier.answers.set('bad', new Error('something is wrong with it'));
    const running = await start();
    const { series } = await until(async () => {
      const answer = await readSeries(running.client.series(seriesOf(['__name__=job:up:sum', 'region=eu'], { minTime: 0, maxTime: Date.now() + 60_000 })));
      return answer.series.length === 2 && answer;
    }, 'two series');
    expect(series.map(({ labels }) => labels)).toEqual([
      labelsFromMap({ __name__: 'job:up:sum', job: 'a', kind: 'rec', region: 'eu', replica: '0' }),
      labelsFromMap({ __name__: 'job:up:sum', job: 'b', kind: 'rec', region: 'eu', replica: '0' }),
    ]);
    expect((await running.client.labelValues({ ...seriesOf([]), label: 'job', start: 0, end: Date.now() + 60_000, limit: 0 } as never)).values).toEqual(['a', 'b']);
    const info = await running.client.fetchInfo();
    expect(info).toMatchObject({ componentType: 'rule', rules: {}, labelSets: [{ labels: [{ name: 'region', value: 'eu' }, { name: 'replica', value: '0' }] }] });
    const groups = [];
    for await (const frame of createRulesClient(running.client).rules(EMPTY_RULES_REQUEST)) groups.push(rulesResponse.decode(frame).group!);
    expect(groups).toMatchObject([{ name: 'g', rules: [{ name: 'job:up:sum', labels: labelsFromMap({ kind: 'rec', region: 'eu', replica: '0' }) }, { name: 'bad:rule' }] }]);
    const rules = await until(async () => {
      const { groups: all } = (await running.get('/api/v1/rules')).json.data as { groups: { rules: { name: string; health: string; lastError?: string; labels: Record<string, string> }[] }[] };
      return all[0]!.rules.some(({ health }) => health === 'err') && all[0]!.rules;
    }, 'a rule that failed');
    expect(rules).toMatchObject([{ name: 'bad:rule', health: 'err', lastError: 'execution: something is wrong with it' }, { name: 'job:up:sum', health: 'ok', labels: { kind: 'rec', region: 'eu', replica: '0' } }]);
    expect(await running.get('/rules')).toMatchObject({ status: 200, text: expect.stringContaining('something is wrong with it') });
    expect(await running.metric('prometheus_tsdb_head_series')).toBe('2');
    expect(await running.metric(`thanos_rule_loaded_rules\\{file="${dir}/rules.yml",group="g",strategy="ABORT"\\}`)).toBe('2');
  }, 30_000);

  test('a restart keeps what was acknowledged, and since when an alert is pending', async () => {
    rulesFile('groups:\n- name: g\n  interval: 100ms\n  rules:\n  - alert: Slow\n    expr: slow\n    for: 1h\n  - record: r\n    expr: r_in\n');
    querier.answers.set('slow', [{ metric: { job: 'x' }, value: 1 }]);
    querier.answers.set('r_in', [{ metric: {}, value: 7 }]);
    const argv = [...BASE(), '--debug.ack-log', '--for-grace-period=1m'];
    const first = await start(argv);
    const activeAt = (await until(async () => (await alertsOf(first))[0], 'pending')).activeAt;
    await until(async () => Number(await first.metric('prometheus_tsdb_head_series')) >= 3, 'series are written');
    await first.stop();
    const acknowledged = readFileSync(join(dir, 'data', 'ack.log'), 'utf8').trim().split('\n').flatMap((line) => JSON.parse(line) as [string[], number, string][]);
    const recorded = acknowledged.filter(([labels, , value]) => getLabel(labels, '__name__') === 'r' && value !== 'stale');
    expect(recorded.length).toBeGreaterThan(0);

    const second = await start(argv);
    const restored = await until(async () => {
      const [alert] = await alertsOf(second);
      // Restored at the second evaluation; before it the alert has just begun.
      return alert !== undefined && Date.parse(alert.activeAt) < Date.parse(activeAt) + 3000 && Date.now() - Date.parse(activeAt) > 0 && alert;
    }, 'restored');
    expect(restored.state).toBe('pending');
    const { series } = await readSeries(second.client.series(seriesOf(['__name__=r'], { minTime: 0, maxTime: recorded.at(-1)![1] })));
    const samples = series[0]!.chunks.reduce((sum, [, , , data]) => sum + Number.parseInt(data.slice(0, 4), 16), 0);
    expect(samples).toBeGreaterThanOrEqual(recorded.length);
  }, 40_000);

  test('reload: a broken file is named with its place and leaves the rest running', async () => {
    rulesFile('groups:\n- name: a\n  rules:\n  - record: a\n    expr: up\n', 'a.yml');
    rulesFile('groups:\n- name: b\n  rules:\n  - record: b\n    expr: up\n', 'b.yml');
    const running = await start();
    const names = async (): Promise<string[]> => ((await running.get('/api/v1/rules')).json.data as { groups: { name: string }[] }).groups.map(({ name }) => name);
    expect(await names()).toEqual(['a', 'b']);
    rulesFile('groups:\n- name: a2\n  rules:\n  - record: a\n    expr: sum(\n', 'a.yml');
    rulesFile('groups:\n- name: b2\n  rules:\n  - record: b\n    expr: up\n', 'b.yml');
    const refused = await fetch(`${running.url}/-/reload`, { method: 'POST' });
    expect(refused.status).toBe(500);
    expect(await refused.text()).toContain(`${dir}/a.yml:5:`);
    expect(await names()).toEqual(['a', 'b2']);
    expect(await running.metric('thanos_rule_config_last_reload_successful')).toBe('0');
    rulesFile('groups: []', 'a.yml');
    const good = await fetch(`${running.url}/-/reload`, { method: 'POST' });
    expect([good.status, await good.text()]).toEqual([200, '']);
    expect(await names()).toEqual(['b2']);
    expect(await running.metric('thanos_rule_config_last_reload_successful')).toBe('1');
    expect(await running.get('/-/reload')).toMatchObject({ status: 405 });
    expect(await running.get('/')).toMatchObject({ status: 302 });
    expect(await running.get('/api/v1/status/flags')).toMatchObject({ status: 200, text: '{"status":"success","data":{"data-dir":"x"}}' });
    expect((await running.get('/-/ready')).status).toBe(200);
  }, 30_000);

  test('blocks go to the bucket, and only then leave the disk', async () => {
    rulesFile('groups:\n- name: g\n  interval: 50ms\n  rules:\n  - record: r\n    expr: r_in\n');
    querier.answers.set('r_in', [{ metric: {}, value: 7 }]);
    const bucket = createMemoryBucket();
    await start([...BASE(), '--tsdb.block-duration=400ms', '--tsdb.retention=1ms', '--shipper.interval=50ms', '--shipper.keep-uploaded=0s'], { bucket });
    const metas = (): string[] => bucket.keys().filter((key) => key.endsWith('/meta.json') && !key.startsWith('debug'));
    await until(() => metas().length >= 4, 'four blocks in the bucket');
    const data = join(dir, 'data');
    const local = (): string[] => readdirSync(data).filter((name) => existsSync(join(data, name, 'meta.json')));
    await until(() => local().length <= 2, 'uploaded blocks are gone');
    expect(JSON.parse(Buffer.from(await bucket.get(metas()[0]!)).toString())).toMatchObject({ compaction: { level: 1 }, thanos: { source: 'ruler', labels: { region: 'eu', replica: '0' } } });
  }, 30_000);

  test('a block that was uploaded stays, whatever the retention, until readers of the bucket have found it', async () => {
    rulesFile('groups:\n- name: g\n  interval: 50ms\n  rules:\n  - record: r\n    expr: r_in\n');
    querier.answers.set('r_in', [{ metric: {}, value: 7 }]);
    let agoMs = 0;
    const bucket = createMemoryBucket({ clock: () => Date.now() - agoMs });
    const argv = [...BASE(), '--tsdb.block-duration=400ms', '--tsdb.retention=1ms', '--shipper.interval=50ms'];
    const uploaded = (): string[] => bucket.keys().filter((key) => key.endsWith('/meta.json')).map((key) => key.split('/')[0]!);
    const local = (): string[] => readdirSync(join(dir, 'data'));
    const first = await start(argv, { bucket });
    await until(() => uploaded().length >= 4, 'four blocks in the bucket');
    const fresh = uploaded();
    expect(local()).toEqual(expect.arrayContaining(fresh));
    await first.stop();
    // Those of the next run are in the bucket for an hour as soon as they are there.
    agoMs = 3_600_000;
    const second = await start(argv, { bucket });
    const left = await until(() => uploaded().filter((ulid) => !fresh.includes(ulid) && !local().includes(ulid))[0], 'a block that has left');
    expect(left).toBeDefined();
    expect(local()).toEqual(expect.arrayContaining(fresh));
    await second.stop();
  }, 30_000);

  test('a retention in which the state of "for" may go before it is restored is warned of', async () => {
    const warnings: string[] = [];
    const log: Logger = { ...createNopLogger(), warn: (message) => void warnings.push(message) };
    const warned = async (...argv: string[]): Promise<string[]> => {
      warnings.length = 0;
      await createRuler(configOf(...BASE(), ...argv), { log, metrics: createMetrics(), clock: Date.now, shownFlags: {} });
      return warnings.filter((message) => message.includes('retention'));
    };
    expect(await warned('--tsdb.retention=30m')).toEqual(['--tsdb.retention is shorter than --for-outage-tolerance: the state of "for" may be deleted before it is restored']);
    expect(await warned('--tsdb.retention=3h', '--for-outage-tolerance=4h')).toHaveLength(1);
    expect(await warned('--tsdb.retention=1h')).toEqual([]);
    // Keeps everything.
    expect(await warned('--tsdb.retention=0s')).toEqual([]);
    expect(await warned()).toEqual([]);
  });

  test('an Alertmanager that was away hears of a firing alert when it is back; evaluation does not wait', async () => {
    rulesFile('groups:\n- name: g\n  interval: 100ms\n  rules:\n  - alert: Always\n    expr: vector(1)\n');
    querier.answers.set('vector(1)', [{ metric: {}, value: 1 }]);
    const port = Number(alertmanager.address.split(':')[1]);
    await alertmanager.close();
    const running = await start();
    await until(async () => Number(await running.metric('thanos_alert_sender_alerts_dropped_total')) > 1, 'sendings failed');
    expect((await alertsOf(running))[0]?.state).toBe('firing');
    const back = await startFakeAlertmanager(port);
    closers.push(() => back.close());
    expect((await until(() => back.posts[0], 'a post')).alerts[0]!.labels).toMatchObject({ alertname: 'Always' });
  }, 30_000);

  test('behind a prefix', async () => {
    rulesFile('groups: []');
    const running = await start([...BASE(), '--web.route-prefix=/rules-of/', '--web.prefix-header=X-Forwarded-Prefix']);
    const location = async (path: string, headers: Record<string, string> = {}): Promise<string | null> => (await fetch(running.url + path, { redirect: 'manual', headers })).headers.get('location');
    expect(await location('/')).toBe('/rules-of');
    expect(await location('/rules-of')).toBe('/rules-of/alerts');
    expect(await location('/rules-of/')).toBe('/rules-of/alerts');
    expect((await running.get('/rules-of/api/v1/rules')).text).toBe('{"status":"success","data":{"groups":[]}}');
    expect((await running.get('/api/v1/rules')).status).toBe(404);
    expect((await running.get('/rules-of/rules')).text).toContain('href="/rules-of/alerts"');
    expect((await running.get('/-/healthy')).status).toBe(200);
  }, 30_000);

  test('a database that is in use, and a broken rule file, end the start with their reason', async () => {
    rulesFile('groups: []');
    await start();
    await expect(start()).rejects.toThrow(/open database .*: another process has it/);
    rulesFile('groups:\n- name: x\n  rulez: []\n');
    await expect(start([...BASE(), `--data-dir=${dir}/other`])).rejects.toThrow(`${dir}/rules.yml:3:3: `);
  }, 30_000);
});

describe('flags', () => {
  const refused = async (...argv: string[]): Promise<string> => createRuler(configOf(...argv), { log: createNopLogger(), metrics: createMetrics(), clock: Date.now, shownFlags: {} }).then(() => 'it was taken', (error: Error) => error.message);
  const query = '--query=127.0.0.1:1';
  const objstore = (): string => `--objstore.config={type: FILESYSTEM, config: {directory: ${dir}/bucket}}`;

  test.each([
    [[], 'no query configuration parameter was given'],
    [[query, query], 'Address 127.0.0.1:1 is duplicated for --query flag.'],
    [[query, '--query.config=- static_configs: [a]'], '--query/--query.sd-files and --query.config* parameters cannot be defined at the same time'],
    [[query, '--grpc-query-endpoint=a:1'], '--grpc-query-endpoint: evaluation over the gRPC query API is not there yet'],
    [[query, '--remote-write.config=remote_write: []'], '--remote-write.config: stateless mode is not there yet'],
    [[query, '--alertmanagers.url=http://a', '--alertmanagers.config=alertmanagers: []'], '--alertmanagers.url and --alertmanagers.config* parameters cannot be defined at the same time'],
    [[query, '--alert.query-template=/{{.Foo}}'], 'invalid alert source template'],
    [[query, '--label=a="1"', '--label=a="2"'], '--label: a is given twice'],
    [[query, '--alert.relabel-config=- action: fly'], '--alert.relabel-config:1:3: '],
  ])('%j', async (argv, message) => expect(await refused(...argv)).toContain(message));

  test('a bucket without external labels', async () => {
    mkdirSync(join(dir, 'bucket'));
    expect(await refused(query, objstore())).toContain('no external labels configured');
  });
});
