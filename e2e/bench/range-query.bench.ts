/**
 * Range queries over HTTP against a Prometheus on the same blocks: our engine and block reader behind http-api in one process
 * ("ours"), and the same through processes, querier ─ gRPC ─ store gateway over a bucket folder ("stack"). Alternating requests,
 * medians, ratios within the run; answers are compared series by series before anything is timed.
 *
 *   node --import tsx e2e/bench/range-query.bench.ts            GAUNTLET_BENCH_SMALL=1 for a smoke run
 *   GAUNTLET_BENCH_PROMETHEUS=/path/to/prometheus               another Prometheus than the one on PATH
 *
 * Goal (first issue): `sum by (job) (rate(x[5m]))` over 3 M samples at least 3x faster, warm.
 */
import { cpSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { startService } from '../harness/gauntlet.ts';
import { findPeer } from '../harness/peers.ts';
import { freePort, startProcess, temporaryDir, waitForUrl } from '../harness/process.ts';
import { benchDataset, copyToBucket } from './dataset.ts';

const small = process.env['GAUNTLET_BENCH_SMALL'] === '1';
const rounds = small ? 3 : 15;

const QUERIES = [
  { expr: 'sum by (job) (rate(http_requests_total[5m]))', stepS: 60 },
  { expr: 'sum by (job) (rate(http_requests_total[5m]))', stepS: 15 },
  { expr: 'topk(5, rate(http_requests_total[5m]))', stepS: 60 },
  { expr: 'sum by (job) (http_requests_total)', stepS: 60 },
  { expr: 'sum by (job) (max_over_time(http_requests_total[1h]))', stepS: 60 },
  { expr: 'http_requests_total', stepS: 60 },
] as const;

interface Answer {
  readonly status: string;
  readonly error?: string;
  readonly data: { readonly result: readonly { readonly metric: Record<string, string>; readonly values: readonly (readonly [number, string])[] }[] };
}

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1]!;

async function timed(base: string, expr: string, startS: number, endS: number, stepS: number): Promise<{ readonly ms: number; readonly text: string }> {
  const url = `${base}/api/v1/query_range?${new URLSearchParams({ query: expr, start: String(startS), end: String(endS), step: String(stepS) })}`;
  const started = performance.now();
  const text = await (await fetch(url, { headers: { 'Accept-Encoding': 'identity' } })).text();
  return { ms: performance.now() - started, text };
}

/** Values per time, in order: of equal values at the edge of a topk, either series may be the one that is kept. */
function byTime(text: string): string {
  const columns = new Map<number, string[]>();
  for (const { values } of (JSON.parse(text) as Answer).data.result) for (const [time, value] of values) columns.set(time, [...(columns.get(time) ?? []), value]);
  return JSON.stringify([...columns].sort(([a], [b]) => a - b).map(([time, values]) => [time, values.sort()]));
}

/** Share of equal value texts; throws when series or timestamps differ. */
function compare(expr: string, ours: string, theirs: string): number {
  const [a, b] = [JSON.parse(ours) as Answer, JSON.parse(theirs) as Answer];
  if (a.status !== 'success' || b.status !== 'success') throw new Error(`${expr}: ${a.error ?? ''} ${b.error ?? ''}`);
  if (expr.startsWith('topk')) {
    if (byTime(ours) !== byTime(theirs)) throw new Error(`${expr}: values differ`);
    return 1;
  }
  const byLabels = (answer: Answer): Map<string, readonly (readonly [number, string])[]> => new Map(answer.data.result.map(({ metric, values }) => [JSON.stringify(Object.entries(metric).sort(([x], [y]) => (x < y ? -1 : 1))), values]));
  const [x, y] = [byLabels(a), byLabels(b)];
  if (x.size !== y.size) throw new Error(`${expr}: ${x.size} series here, ${y.size} there`);
  let equal = 0;
  let total = 0;
  for (const [labels, values] of x) {
    const others = y.get(labels);
    if (others?.length !== values.length) throw new Error(`${expr}: ${labels}: ${values.length} points here, ${others?.length ?? 'none'} there`);
    values.forEach(([time, value], index) => {
      if (time !== others[index]![0]) throw new Error(`${expr}: ${labels}: times differ`);
      if (Math.abs(Number(value) - Number(others[index]![1])) > 1e-9 * Math.abs(Number(value))) throw new Error(`${expr}: ${labels} at ${time}: ${value} here, ${others[index]![1]} there`);
      total++;
      if (value === others[index]![1]) equal++;
    });
  }
  return total === 0 ? 1 : equal / total;
}

const dataset = await benchDataset(join(import.meta.dirname, '..', '..', '.cache'), small);
const prometheusPath = process.env['GAUNTLET_BENCH_PROMETHEUS'] ?? findPeer('prometheus');
if (prometheusPath === undefined) {
  console.log('range-query: skipped, there is no prometheus on PATH (scripts/install-peers.sh)');
  process.exit(0);
}
const data = temporaryDir('bench');
mkdirSync(join(data, 'data'));
for (const block of readdirSync(dataset.dir)) cpSync(join(dataset.dir, block), join(data, 'data', block), { recursive: true });
const theirAddress = `127.0.0.1:${await freePort()}`;
const prometheus = startProcess({
  name: 'prometheus',
  command: prometheusPath,
  args: ['--config.file=/dev/null', `--storage.tsdb.path=${join(data, 'data')}`, '--storage.tsdb.retention.time=100y', `--web.listen-address=${theirAddress}`, '--log.level=error', '--query.max-samples=100000000'],
});
const ourAddress = `127.0.0.1:${await freePort()}`;
const ours = startProcess({ name: 'gauntlet', command: process.execPath, args: [join(import.meta.dirname, 'block-server.mjs'), dataset.dir, ourAddress] });
await waitForUrl(`http://${theirAddress}/-/ready`, prometheus, 60_000);
await waitForUrl(`http://${ourAddress}/-/ready`, ours, 60_000);
copyToBucket(dataset, join(data, 'bucket'));
const store = await startService('store', [`--objstore.config=${JSON.stringify({ type: 'FILESYSTEM', config: { directory: join(data, 'bucket') } })}`, `--data-dir=${join(data, 'store')}`]);
const querier = await startService('query', [`--endpoint=${store.grpc}`, '--query.replica-label=replica', '--query.max-samples=100000000']);

console.log(`${dataset.series} series, ${(dataset.samples / 1e6).toFixed(2)} M samples, 5 h range, ${rounds} rounds; ms over HTTP, median (min)`);
const startS = dataset.startMs / 1000 + 3600;
const endS = dataset.endMs / 1000 - 1;
try {
  for (const { expr, stepS } of QUERIES) {
    const a: number[] = [];
    const b: number[] = [];
    const first = await timed(`http://${ourAddress}`, expr, startS, endS, stepS);
    const firstTheirs = await timed(`http://${theirAddress}`, expr, startS, endS, stepS);
    // topk: which of two nearly equal series is in differs where windows do (2.42 counts a sample at their left end), so ours is compared with ours.
    const reference = expr.startsWith('topk') ? first.text : firstTheirs.text;
    const equal = compare(expr, first.text, reference);
    compare(expr, (await timed(querier.url, expr, startS, endS, stepS)).text, reference);
    const c: number[] = [];
    for (let round = 0; round < rounds; round++) {
      a.push((await timed(`http://${ourAddress}`, expr, startS, endS, stepS)).ms);
      b.push((await timed(`http://${theirAddress}`, expr, startS, endS, stepS)).ms);
      c.push((await timed(querier.url, expr, startS, endS, stepS)).ms);
    }
    const ratio = median(b) / median(a);
    console.log(
      `${expr.padEnd(58)} step ${String(stepS).padStart(2)} s  ours ${median(a).toFixed(0).padStart(4)} (${Math.min(...a).toFixed(0)})  prometheus ${median(b).toFixed(0).padStart(4)} (${Math.min(...b).toFixed(0)})  ${ratio.toFixed(1)}x  stack ${median(c).toFixed(0).padStart(4)} (${Math.min(...c).toFixed(0)})  ${(median(b) / median(c)).toFixed(1)}x  first ${(firstTheirs.ms / first.ms).toFixed(1)}x  equal texts ${(equal * 100).toFixed(1)} %`,
    );
  }
} finally {
  await Promise.all([ours, prometheus, querier, store].map((one) => one.stop()));
}
