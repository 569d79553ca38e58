/**
 * The first look, as a user takes it: start, read where it runs, ask the proposed queries, stop with Ctrl-C, start again; and what
 * it says when something is in the way.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { encodeMetricFamilies } from '@gauntlet/scrape/testing';
import { type ApiSeries, getApi, instant, type QueryResult } from './harness/api.ts';
import { runGauntlet, startGauntlet } from './harness/gauntlet.ts';
import { type RunningProcess, temporaryDir, waitFor } from './harness/process.ts';
import { groupsOf, ruleOf } from './harness/rules.ts';

const TIMEOUT_MS = 90_000;
const FREE_PORTS = ['--http-address=127.0.0.1:0', '--grpc-address=127.0.0.1:0'];

const running: RunningProcess[] = [];
afterEach(async () => {
  for (const process of running.splice(0)) await process.stop('SIGKILL');
});

function start(dataDir: string, ...argv: readonly string[]): RunningProcess {
  const process = startGauntlet(['standalone', `--data-dir=${dataDir}`, ...FREE_PORTS, ...argv]);
  running.push(process);
  return process;
}

function address(process: RunningProcess): Promise<string> {
  return waitFor('the address', async () => /Gauntlet runs at {2}(http:\S+)/.exec(process.output())?.[1], { process, timeoutMs: 60_000 });
}

/** Values of an instant query, now, once there are any. */
function values(base: string, query: string, process: RunningProcess, isEnough: (series: readonly ApiSeries[]) => boolean = (series) => series.length > 0): Promise<readonly ApiSeries[]> {
  return waitFor(query, async () => {
    const series = await instant(base, query, Date.now() / 1000);
    return isEnough(series) && series;
  }, { process });
}

test('started for the first time it shows two days of history and live data as one; Ctrl-C and a new start lose nothing', async () => {
  const dataDir = temporaryDir('standalone');
  const first = start(dataDir, '--scrape.interval=250ms');
  const base = await address(first);
  expect(first.output()).toContain('generating two days of history for the sample shop (generated, not measured)');
  expect(first.output()).toContain('is GENERATED, not measured');

  // The queries it proposes all have answers, over history and now.
  const proposed = /Try:\n((?: {2}.+\n)+)/.exec(first.output())![1]!.trim().split('\n').map((line) => line.trim());
  expect(proposed.length).toBe(3);
  const nowS = Date.now() / 1000;
  for (const query of proposed) {
    const answer = await getApi<QueryResult>(base, 'query_range', { query, start: nowS - 47 * 3600, end: nowS - 3600, step: 3600 });
    expect([query, answer.error, answer.warnings]).toEqual([query, undefined, undefined]);
    expect(answer.data.result.length).toBeGreaterThan(0);
    for (const series of answer.data.result) expect(series.values!.length).toBe(47);
    expect((await values(base, query, first)).length).toBe(answer.data.result.length);
  }
  // Live data go on where the history ends: with both replicas and the history united, no counter ever falls.
  await values(base, 'count_over_time(up{job="shop",origin="",replica="a"}[5m]) >= 3', first, (series) => series.length === 3);
  for (const { value } of await values(base, 'resets(http_requests_total{job="shop",status="200"}[1h])', first)) expect(value![1]).toBe('0');
  const stores = await getApi<Record<string, readonly { readonly labelSets: readonly Record<string, string>[] }[]>>(base, 'stores');
  expect(stores.data['sidecar']!.flatMap(({ labelSets }) => labelSets.map(({ replica }) => replica)).sort()).toEqual(['a', 'b']);
  expect(stores.data['store']!.flatMap(({ labelSets }) => labelSets)).toEqual(['a', 'b'].map((replica) => ({ cluster: 'local', origin: 'generated', replica })));
  // It scrapes itself as well.
  expect((await values(base, 'up{job="gauntlet"} == 1', first, (series) => series.length === 6)).map(({ metric }) => metric['instance'])).toEqual(['compactor', 'querier', 'replica-a', 'replica-b', 'ruler', 'store']);
  expect(first.output()).toContain(`Rules: ${base}/rules    Alerts: ${base}/alerts`);
  expect(await (await fetch(`${base}/graph`)).text()).toContain('<html');

  // Another one on the same folder is refused.
  const second = await runGauntlet(['standalone', `--data-dir=${dataDir}`, ...FREE_PORTS]);
  expect(second).toMatchObject({ code: 1, output: `gauntlet: error: claim data directory ${dataDir}: another process uses it; stop that one, or give this one a folder of its own with --data-dir\n` });

  const untilS = Date.now() / 1000;
  const counted = 'count_over_time(up{job="shop",origin="",replica="b"}[10m])';
  await first.stop('SIGINT');
  expect((await first.exited).code).toBe(0);
  expect(first.output()).toContain('gauntlet: stopped, everything is kept\n');

  const again = start(dataDir, '--scrape.interval=250ms');
  const newBase = await address(again);
  expect(again.output()).not.toContain('generating');
  const kept = await instant(newBase, counted, untilS, { dedup: 'false' });
  expect(kept.length).toBe(3);
  for (const { value } of kept) expect(Number(value![1])).toBeGreaterThanOrEqual(3);
  expect((await instant(newBase, 'count_over_time(up{origin="generated",replica="a"}[49h])', untilS, { dedup: 'false' })).map(({ value }) => value![1])).toEqual(['11520', '11520', '11520']);
  await again.stop('SIGTERM');
  expect((await again.exited).code).toBe(0);
}, TIMEOUT_MS);

test('asked to end while it generates history it ends, and the next start completes it', async () => {
  const dataDir = temporaryDir('standalone-ended');
  const first = start(dataDir);
  await waitFor('progress', async () => /\d+ of 50 blocks/.test(first.output()), { process: first });
  await first.stop('SIGINT');
  expect((await first.exited).code).toBe(0);
  const second = start(dataDir);
  const base = await address(second);
  const counts = await instant(base, 'count_over_time(up{origin="generated"}[49h])', Date.now() / 1000, { dedup: 'false' });
  expect(counts.map(({ value }) => value![1])).toEqual(Array.from({ length: 6 }, () => '11520'));
}, TIMEOUT_MS);

test('native histograms and exemplars of an own target are scraped over protobuf, queried and shown', async () => {
  const dir = temporaryDir('standalone-native');
  const startMs = Date.now();
  let count = 10;
  const target = createServer((_request, response) => {
    count += 5;
    const histogram = { count, sum: count * 0.75, schema: 0, positive: { spans: [[0, 1]] as const, deltas: [count] }, exemplars: [{ labels: { trace_id: 'abc' }, value: 0.75, timeMs: startMs }] };
    response.writeHead(200, { 'content-type': 'application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited' });
    response.end(encodeMetricFamilies([{ name: 'latency', type: 'histogram', metrics: [{ labels: { route: '/' }, histogram }] }]));
  });
  await new Promise<void>((resolve) => target.listen(0, '127.0.0.1', resolve));
  try {
    const own = `127.0.0.1:${(target.address() as { port: number }).port}`;
    writeFileSync(join(dir, 'scrape.yml'), `global: {scrape_interval: 250ms}\nscrape_configs: [{job_name: own, scrape_native_histograms: true, static_configs: [{targets: ['${own}']}]}]\n`);
    const flags = ['--no-backfill', '--no-sample-service', `--scrape.config-file=${join(dir, 'scrape.yml')}`, '--enable-feature=exemplar-storage'];
    const process = start(join(dir, 'data'), ...flags);
    const base = await address(process);
    // All observations are in (0.5, 1].
    const [quantile] = await values(base, 'histogram_quantile(1, sum(rate(latency[10s])))', process);
    expect(Number(quantile!.value![1])).toBe(1);
    const [average] = await values(base, 'histogram_avg(rate(latency{route="/"}[10s]))', process);
    expect(Number(average!.value![1])).toBeCloseTo(0.75, 9);
    const exemplars = await getApi<readonly { readonly seriesLabels: object; readonly exemplars: readonly object[] }[]>(base, 'query_exemplars', { query: 'rate(latency[5m])', start: startMs / 1000 - 60, end: startMs / 1000 + 60 });
    // Both replicas have it; it is shown once.
    expect(exemplars.data).toEqual([
      {
        seriesLabels: { __name__: 'latency', cluster: 'local', instance: own, job: 'own', route: '/' },
        exemplars: [{ labels: { trace_id: 'abc' }, timestamp: startMs / 1000, value: '0.75' }],
      },
    ]);
    expect((await getApi<readonly object[]>(base, 'query_exemplars', { query: 'latency{replica="none"}' })).data).toEqual([]);
  } finally {
    target.close();
    target.closeAllConnections();
  }
}, TIMEOUT_MS);

test('rules are evaluated over everything, seen through the querier, and kept over a restart', async () => {
  const dir = temporaryDir('standalone-rules');
  const file = join(dir, 'own.yml');
  writeFileSync(file, 'groups:\n- name: own\n  rules:\n  - {record: own:up:count, expr: count by (job) (up)}\n  - {alert: Always, expr: own:up:count > 2, for: 2s, labels: {severity: info}}\n');
  const flags = ['--no-backfill', '--scrape.interval=250ms', '--eval-interval=500ms', `--rule-file=${file}`];
  const first = start(join(dir, 'data'), ...flags);
  const base = await address(first);
  const always = await waitFor('the alert', async () => {
    const rule = (await groupsOf(base)).flatMap(({ rules }) => rules).find(({ name }) => name === 'Always');
    return rule?.alerts?.some(({ state, labels }) => state === 'firing' && labels['job'] === 'shop') === true && rule;
  }, { process: first });
  // The replica label of the ruler is off: nothing tells that it is one of several parts.
  expect(always.alerts!.find(({ labels }) => labels['job'] === 'shop')!.labels).not.toHaveProperty('ruler');
  const groups = await groupsOf(base);
  expect(groups.map(({ name }) => name).sort()).toEqual(['own', 'shop-alerts', 'shop-recording', 'targets']);
  await waitFor('health of all rules', async () => (await groupsOf(base)).every(({ rules }) => rules.every(({ health }) => health === 'ok')), { process: first });
  expect((await ruleOf(base, 'job:http_request_duration:p95')).type).toBe('recording');
  // Recorded series read like scraped ones; shop rules have values as soon as rates have.
  expect((await values(base, 'own:up:count{job="shop"}', first)).map(({ metric, value }) => [metric, value![1]])).toEqual([[{ __name__: 'own:up:count', cluster: 'local', job: 'shop' }, '3']]);
  for (const name of ['job:http_requests:rate5m', 'job:http_errors:rate5m', 'job:http_errors:ratio_rate5m', 'job:http_request_duration:p95']) expect((await values(base, name, first)).map(({ metric }) => metric)).toEqual([{ __name__: name, cluster: 'local', job: 'shop' }]);
  expect((await values(base, 'ALERTS{alertname="Always",job="shop",alertstate="firing"}', first)).length).toBe(1);
  expect((await fetch(`${base}/rules`)).status).toBe(200);

  const count = 'count_over_time(own:up:count{job="shop"}[10m])';
  const untilS = Date.now() / 1000;
  const before = Number((await instant(base, count, untilS))[0]!.value![1]);
  await first.stop('SIGINT');
  expect((await first.exited).code).toBe(0);
  const again = start(join(dir, 'data'), ...flags);
  const newBase = await address(again);
  await values(newBase, 'own:up:count{job="shop"}', again);
  expect(Number((await instant(newBase, count, untilS))[0]!.value![1])).toBeGreaterThanOrEqual(before);
  await again.stop('SIGTERM');
  expect((await again.exited).code).toBe(0);
}, TIMEOUT_MS);

/** What the bucket has of generated history, by level; marked blocks are left out. */
function generatedLevels(dataDir: string): Map<number, number> {
  const levels = new Map<number, number>();
  const bucket = join(dataDir, 'bucket');
  for (const name of readdirSync(bucket)) {
    const path = join(bucket, name, 'meta.json');
    if (!existsSync(path) || existsSync(join(bucket, name, 'deletion-mark.json'))) continue;
    const meta = JSON.parse(readFileSync(path, 'utf8')) as { readonly compaction: { readonly level: number }; readonly thanos: { readonly labels: Record<string, string> } };
    if (meta.thanos.labels['origin'] === 'generated') levels.set(meta.compaction.level, (levels.get(meta.compaction.level) ?? 0) + 1);
  }
  return levels;
}

test('the history is compacted under the eyes of whoever asks for it, and not made again', async () => {
  const dataDir = temporaryDir('standalone-compaction');
  const flags = ['--compact.wait-interval=1s', '--delete-delay=12s'];
  const first = start(dataDir, ...flags);
  const base = await address(first);
  const names = (): string[] => readdirSync(join(dataDir, 'bucket')).filter((name) => name.startsWith('0'));
  const generated = new Set(names());
  expect(generated.size).toBe(50);
  const whole = Array.from({ length: 6 }, () => '11520');
  const counts = async (at: string): Promise<readonly string[]> => {
    const answer = await getApi<QueryResult>(at, 'query', { query: 'count_over_time(up{origin="generated"}[49h])', time: Date.now() / 1000, dedup: 'false', partial_response: 'false' });
    expect([answer.error, answer.warnings]).toEqual([undefined, undefined]);
    return answer.data.result.map(({ value }) => value![1]);
  };
  // While blocks are compacted, marked and deleted every answer is whole.
  await waitFor('the deletion of what was compacted', async () => {
    expect(await counts(base)).toEqual(whole);
    return names().filter((name) => generated.has(name)).length <= 16;
  }, { process: first, timeoutMs: 80_000 });
  expect(Math.max(...generatedLevels(dataDir).keys())).toBeGreaterThanOrEqual(2);
  expect(await counts(base)).toEqual(whole);
  await first.stop('SIGINT');
  expect((await first.exited).code).toBe(0);

  const left = new Set(names().filter((name) => generated.has(name)));
  const second = start(dataDir, ...flags);
  const again = await address(second);
  expect(second.output()).not.toContain('generating');
  expect(names().filter((name) => generated.has(name) && !left.has(name))).toEqual([]);
  expect(await counts(again)).toEqual(whole);
}, 2 * TIMEOUT_MS);

test('own targets are scraped by both replicas, relabelled as their configuration says', async () => {
  const service = createServer((_request, response) => response.setHeader('Content-Type', 'application/openmetrics-text; version=1.0.0').end('# TYPE jobs counter\njobs_total{queue="mail"} 42\n# EOF\n'));
  await new Promise<void>((resolve) => service.listen(0, '127.0.0.1', resolve));
  const { port } = service.address() as { port: number };
  try {
    const dir = temporaryDir('standalone-own');
    const file = join(dir, 'scrape.yml');
    writeFileSync(
      file,
      `global: {scrape_interval: 250ms, external_labels: {site: berlin}}
scrape_configs:
- job_name: own
  static_configs: [{targets: ['127.0.0.1:${port}']}]
  metric_relabel_configs: [{source_labels: [queue], target_label: kind}]
`,
    );
    const process = start(join(dir, 'data'), '--no-sample-service', `--scrape.config-file=${file}`);
    const base = await address(process);
    expect(process.output()).not.toContain('GENERATED');
    const [series] = await values(base, 'jobs_total', process);
    expect([series!.metric, series!.value![1]]).toEqual([{ __name__: 'jobs_total', cluster: 'local', instance: `127.0.0.1:${port}`, job: 'own', kind: 'mail', queue: 'mail', site: 'berlin' }, '42']);
    // Gone: `up` falls, and the series ends with a stale marker, without waiting for the lookback.
    service.closeAllConnections();
    await new Promise((resolve) => service.close(resolve));
    await values(base, 'up{job="own"} == 0', process);
    await values(base, 'jobs_total', process, (left) => left.length === 0);
  } finally {
    service.closeAllConnections();
    service.close();
  }
}, TIMEOUT_MS);

describe('refusals', () => {
  test('of a port in use, with the flag to change', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    try {
      const { code, output } = await runGauntlet(['standalone', `--data-dir=${temporaryDir('standalone-port')}`, `--http-address=127.0.0.1:${port}`, '--grpc-address=127.0.0.1:0']);
      expect(output).toBe(`gauntlet: error: listen on 127.0.0.1:${port}: port in use by another process; choose another with --http-address=127.0.0.1:19090\n`);
      expect(code).toBe(1);
    } finally {
      server.close();
    }
  }, TIMEOUT_MS);

  test('of a rule file with a mistake, before anything starts', async () => {
    const dir = temporaryDir('standalone-bad-rules');
    const file = join(dir, 'bad.yml');
    writeFileSync(file, 'groups:\n- name: g\n  rules:\n  - {alert: A, expr: sum(}\n');
    const { code, output } = await runGauntlet(['standalone', `--data-dir=${join(dir, 'data')}`, ...FREE_PORTS, `--rule-file=${join(dir, '*.yml')}`]);
    expect(output).toContain(`gauntlet: error: load rule files: ${file}:4:`);
    expect(output).not.toContain('generating');
    expect(code).toBe(1);
  }, TIMEOUT_MS);

  test('of a scrape file with a wrong key, with its place', async () => {
    const dir = temporaryDir('standalone-scrape');
    const file = join(dir, 'scrape.yml');
    writeFileSync(file, 'scrape_configs:\n- job_nam: own\n');
    const { code, output } = await runGauntlet(['standalone', `--data-dir=${join(dir, 'data')}`, ...FREE_PORTS, `--scrape.config-file=${file}`]);
    expect(output).toContain(`${file}:2:3: unknown key 'job_nam'`);
    expect(code).toBe(1);
  }, TIMEOUT_MS);
});
