/**
 * The querier under load: a query over 10 M samples in a built querier process, with the stores in another. While it runs, the main
 * thread decodes, merges and encodes nothing (its counters), and its event loop is hardly later than that of an idle process on the
 * same machine; small queries are answered beside it; a cancelled query frees its worker; one past its budget fails alone.
 *
 *   node --import tsx e2e/bench/main-thread.bench.ts            GAUNTLET_BENCH_SMALL=1: a smoke run that checks the counters
 *
 * Goal (docs/ARCHITECTURE.md, section 6): event-loop delay at most 20 ms above the control process.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type RunningProcess, freePort, startProcess, waitFor, waitForUrl } from '../harness/process.ts';
import { benchDataset } from './dataset.ts';

const small = process.env['GAUNTLET_BENCH_SMALL'] === '1';
/** 4 x 2.6 M samples in the 5 h that are asked for. */
const STORES = small ? 1 : 4;
const CANCELS = small ? 3 : 50;
const ROUNDS = small ? 1 : 5;
const root = join(import.meta.dirname, '..', '..');

/** An idle process with a probe of its event loop, as prom-client's collector in the querier has it: resolution 10 ms, reset when read. */
const CONTROL = `
  const delay = require('node:perf_hooks').monitorEventLoopDelay({ resolution: 10 });
  delay.enable();
  require('node:http').createServer((request, response) => {
    response.end(JSON.stringify({ p50: delay.percentile(50) / 1e6, p99: delay.percentile(99) / 1e6, max: delay.max / 1e6 }));
    delay.reset();
  }).listen(Number(process.argv[1]), '127.0.0.1');
`;

interface Delay {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

const quantile = (values: readonly number[], q: number): number => [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(q * values.length))]!;
const rssMb = (process: RunningProcess): number => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${process.pid}/status`, 'utf8'))![1]) / 1024;

const dataset = await benchDataset(join(root, '.cache'), small);
const startS = dataset.startMs / 1000 + 3600;
const endS = dataset.endMs / 1000 - 1;
const stores = startProcess({ name: 'stores', command: process.execPath, args: ['--import', 'tsx', join(import.meta.dirname, 'store-server.ts'), dataset.dir, String(STORES)] });
const addresses = await waitFor('the addresses of the stores', async () => /^127\.0\.0\.1:.*$/m.exec(stores.output())?.[0].split(' '), { process: stores, timeoutMs: 60_000 });
const controlAddress = `127.0.0.1:${await freePort()}`;
const control = startProcess({ name: 'control', command: process.execPath, args: ['-e', CONTROL, controlAddress.split(':')[1]!] });
const address = `127.0.0.1:${await freePort()}`;
const base = `http://${address}`;
const querier = startProcess({
  name: 'querier',
  command: process.execPath,
  args: [join(root, 'bin', 'gauntlet'), 'query', `--http-address=${address}`, '--grpc-address=127.0.0.1:0', '--log.level=warn', ...addresses.map((store) => `--endpoint=${store}`)],
});
await waitForUrl(`${base}/-/ready`, querier, 60_000);
await waitForUrl(`http://${controlAddress}/`, control);

const urlOf = (query: string, stepS: number): string => `${base}/api/v1/query_range?${new URLSearchParams({ query, start: String(startS), end: String(endS), step: String(stepS) })}`;

/** Runs a query to its end. @returns bytes of the answer, ms */
async function ask(url: string, signal?: AbortSignal): Promise<{ readonly ms: number; readonly status: number; readonly bytes: number }> {
  const started = performance.now();
  const response = await fetch(url, { headers: { 'Accept-Encoding': 'identity' }, ...(signal === undefined ? {} : { signal }) });
  const bytes = (await response.arrayBuffer()).byteLength;
  return { ms: performance.now() - started, status: response.status, bytes };
}

const metricsPage = async (): Promise<string> => (await fetch(`${base}/metrics`)).text();
function valueOf(page: string, name: string): number {
  const line = page.split('\n').find((text) => text.startsWith(`${name} `));
  if (line === undefined) throw new Error(`no metric ${name}`);
  return Number(line.slice(name.length + 1));
}

/** Reading resets both probes. */
async function delays(): Promise<{ readonly ours: Delay; readonly idle: Delay }> {
  const [page, idle] = await Promise.all([metricsPage(), fetch(`http://${controlAddress}/`).then((response) => response.json() as Promise<Delay>)]);
  const ours = (name: string): number => valueOf(page, `nodejs_eventloop_lag_${name}_seconds`) * 1000;
  return { ours: { p50: ours('p50'), p99: ours('p99'), max: ours('max') }, idle };
}

const show = ({ p50, p99, max }: Delay): string => `p50 ${p50.toFixed(1)}, p99 ${p99.toFixed(1)}, max ${max.toFixed(1)} ms`;
const COUNTERS = ['decoded_chunks', 'merged_series', 'encoded_bytes'] as const;

try {
  const big = urlOf('sum by (job) (rate(http_requests_total[5m]))', 15);
  const listing = urlOf('http_requests_total', 60);
  const tiny = urlOf('sum(rate(http_requests_total{job="job-0",instance="10.0.0.0:8080",code="200"}[5m]))', 60);
  for (const url of [big, tiny]) await ask(url);

  for (const [name, url] of [['sum by (rate)', big], ['all series as JSON', listing]] as const) {
    const beside: number[] = [];
    await delays();
    const before = await metricsPage();
    await delays();
    const times: number[] = [];
    let bytes = 0;
    let rss = 0;
    for (let round = 0; round < ROUNDS; round++) {
      let isOver = false;
      const running = ask(url).finally(() => (isOver = true));
      while (!isOver) {
        beside.push((await ask(tiny)).ms);
        rss = Math.max(rss, rssMb(querier));
      }
      const { ms, status, bytes: got } = await running;
      if (status !== 200) throw new Error(`${name}: status ${status}`);
      times.push(ms);
      bytes = got;
    }
    const { ours, idle } = await delays();
    const after = await metricsPage();
    console.log(`${name}: ${quantile(times, 0.5).toFixed(0)} ms, ${(bytes / 1e6).toFixed(1)} MB of JSON; RSS at most ${rss.toFixed(0)} MB`);
    console.log(`  main thread  ${show(ours)}\n  control      ${show(idle)}`);
    console.log(`  ${beside.length} small queries beside: p50 ${quantile(beside, 0.5).toFixed(0)} ms, p99 ${quantile(beside, 0.99).toFixed(0)} ms`);
    for (const counter of COUNTERS) {
      const count = (page: string, thread: string): number => valueOf(page, `gauntlet_query_${counter}_total{thread="${thread}"}`);
      const [main, worker] = [count(after, 'main'), count(after, 'worker') - count(before, 'worker')];
      console.log(`  ${counter.padEnd(15)} main ${main}, workers ${worker.toLocaleString('en')}`);
      if (main !== 0 || worker === 0) throw new Error(`${counter}: main ${main}, workers ${worker}`);
    }
  }
  const alone: number[] = [];
  for (let i = 0; i < 10 * ROUNDS; i++) alone.push((await ask(tiny)).ms);
  console.log(`small queries alone: p50 ${quantile(alone, 0.5).toFixed(0)} ms, p99 ${quantile(alone, 0.99).toFixed(0)} ms`);

  // What queries reserve against what the process then holds. The first pass grows memories, the second must find them again.
  const idleMb = rssMb(querier);
  for (const [name, query, stepS] of [
    ['subquery over all series', 'max(max_over_time(rate(http_requests_total[5m])[5h:15s]))', 3600],
    ['every sample as JSON', 'http_requests_total', 15],
    ['subquery again', 'max(max_over_time(rate(http_requests_total[5m])[5h:15s]))', 3600],
  ] as const) {
    let [isOver, rss, reserved] = [false, 0, 0];
    const running = ask(urlOf(query, stepS)).finally(() => (isOver = true));
    while (!isOver) {
      rss = Math.max(rss, rssMb(querier));
      reserved = Math.max(reserved, valueOf(await metricsPage(), 'gauntlet_query_memory_used_bytes') / 1e6);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const { ms, status, bytes } = await running;
    console.log(`${name}: status ${status}, ${ms.toFixed(0)} ms, ${(bytes / 1e6).toFixed(1)} MB of JSON; reserved at most ${reserved.toFixed(0)} MB, RSS ${idleMb.toFixed(0)} → ${rss.toFixed(0)} MB`);
  }
  console.log(`most ever reserved: ${(valueOf(await metricsPage(), 'gauntlet_query_memory_peak_bytes') / 1e6).toFixed(0)} MB`);

  const frees: number[] = [];
  const HISTOGRAM = 'gauntlet_query_cancel_duration_seconds';
  const single = Math.min((await ask(big)).ms, (await ask(big)).ms, (await ask(big)).ms);
  for (let round = 0; round < CANCELS; round++) {
    const before = await metricsPage();
    const client = new AbortController();
    const query = ask(big, client.signal).catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, (single * (round + 0.5)) / CANCELS));
    client.abort();
    await query;
    const [count, sum] = [valueOf(before, `${HISTOGRAM}_count`), valueOf(before, `${HISTOGRAM}_sum`)];
    const page = await waitFor('the worker to be free', async () => {
      const now = await metricsPage();
      return valueOf(now, 'gauntlet_query_tasks_running') === 0 ? now : undefined;
    });
    // A query that had ended by itself was not cancelled.
    if (valueOf(page, `${HISTOGRAM}_count`) > count) frees.push((valueOf(page, `${HISTOGRAM}_sum`) - sum) * 1000);
  }
  if (frees.length === 0) console.log('cancel to free worker: every query was over before');
  else console.log(`cancel to free worker, ${frees.length} cancels spread over the query: p50 ${quantile(frees, 0.5).toFixed(1)} ms, p99 ${quantile(frees, 0.99).toFixed(1)} ms, max ${Math.max(...frees).toFixed(1)} ms`);
  const used = valueOf(await metricsPage(), 'gauntlet_query_memory_used_bytes');
  console.log(`ledger after all: ${used} bytes; RSS ${rssMb(querier).toFixed(0)} MB`);
  if (used !== 0) throw new Error(`the ledger holds ${used} bytes with no query running`);
} finally {
  await Promise.all([querier.stop(), stores.stop(), control.stop()]);
}
