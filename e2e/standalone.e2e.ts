/**
 * The first look, as a user takes it: start, read where it runs, ask the proposed queries, stop with Ctrl-C, start again; and what
 * it says when something is in the way.
 */
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { type ApiSeries, getApi, instant, type QueryResult } from './harness/api.ts';
import { runGauntlet, startGauntlet } from './harness/gauntlet.ts';
import { type RunningProcess, temporaryDir, waitFor } from './harness/process.ts';

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
  expect((await values(base, 'up{job="gauntlet"} == 1', first, (series) => series.length === 4)).map(({ metric }) => metric['instance'])).toEqual(['querier', 'replica-a', 'replica-b', 'store']);
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

  test('of a scrape file with a wrong key, with its place', async () => {
    const dir = temporaryDir('standalone-scrape');
    const file = join(dir, 'scrape.yml');
    writeFileSync(file, 'scrape_configs:\n- job_nam: own\n');
    const { code, output } = await runGauntlet(['standalone', `--data-dir=${join(dir, 'data')}`, ...FREE_PORTS, `--scrape.config-file=${file}`]);
    expect(output).toContain(`${file}:2:3: unknown key 'job_nam'`);
    expect(code).toBe(1);
  }, TIMEOUT_MS);
});
