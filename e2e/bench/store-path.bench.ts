/**
 * The way querier ─ gRPC ─ store gateway ─ bucket folder, warm: CPU of both processes together, beside a Prometheus with the same blocks of its own
 * and, where there is one, beside `thanos query` (Thanos engine) over `thanos store` on the same bucket. The chains take turns within each round.
 *
 *   npm run bench -- store-path                                 GAUNTLET_BENCH_SMALL=1 for a smoke run with an eighth of the series
 *   GAUNTLET_BENCH_THANOS=/path/to/thanos                       also measures Thanos
 *   GAUNTLET_BENCH_PROMETHEUS=/path/to/prometheus               another Prometheus than the one on PATH
 *   GAUNTLET_BENCH_ROWS=topk,raw                                only rows whose name holds one of these
 *   GAUNTLET_BENCH_NO_FLOOR=1                                   measures only; GAUNTLET_BENCH_ROUNDS, GAUNTLET_BENCH_WARM: rounds that count, and before
 *
 * First the blocks of one replica, then those of two that scraped at different times, with deduplication; Prometheus has one replica in both. The
 * run fails when a row's ratio of CPU is below its floor.
 */
import { cpSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { Agent } from 'node:http';
import { join } from 'node:path';
import { startService } from '../harness/gauntlet.ts';
import { freePort, type RunningProcess, startProcess, temporaryDir, waitFor, waitForUrl } from '../harness/process.ts';
import { copyForPrometheus, least, prometheusPath, showMs, startSide } from './beside-prometheus.ts';
import { compareAnswers } from './compare-answers.ts';
import { cpuMs, fetchTimed, median, peakRssMb, readBytes } from './measure.ts';
import { type QueryDataset, queryDataset } from './query-dataset.ts';

const small = process.env['GAUNTLET_BENCH_SMALL'] === '1';
const rounds = Number(process.env['GAUNTLET_BENCH_ROUNDS'] ?? (small ? 3 : 9));
const thanosPath = process.env['GAUNTLET_BENCH_THANOS'];
const wanted = process.env['GAUNTLET_BENCH_ROWS']?.split(',');
/** At smoke size a request costs as much as its computing. */
const FLOOR_SHARE = process.env['GAUNTLET_BENCH_NO_FLOOR'] === '1' ? 0 : small ? 0.3 : 1;
/** Rounds before those that count, so that code is compiled and caches are full. */
const WARM_ROUNDS = Number(process.env['GAUNTLET_BENCH_WARM'] ?? (small ? 1 : 12));

/** Rates of the Thanos engine differ from those of Prometheus, by some ten-thousandths here. */
const THANOS_TOLERANCE = 1e-2;

const RATE = 'rate(http_requests_total[5m])';
const QUANTILE = 'histogram_quantile(0.9, sum by (job, le) (rate(http_request_duration_seconds_bucket[5m])))';

/** A request to measure. */
interface Row {
  readonly name: string;
  readonly path: string;
  readonly params: Readonly<Record<string, string>>;
  /** How much less CPU than the others it is to take. */
  readonly goal: number;
  /** Against Prometheus; below this the run fails. */
  readonly floor: number;
  /** The same with two replicas. */
  readonly pairGoal: number;
  readonly pairFloor: number;
  readonly compares: 'series' | 'times' | 'text' | 'nothing';
}

/** Processes that answer together. */
interface Chain {
  readonly name: string;
  readonly url: string;
  readonly processes: readonly RunningProcess[];
  readonly agent: Agent;
}

/** One request. */
interface Cost {
  readonly ms: number;
  readonly cpu: number;
  /** What processes took from files, bytes; of the bucket, above all. */
  readonly read: number;
  readonly split: readonly number[];
}

if (prometheusPath() === undefined) {
  console.log('store-path: skipped, there is no prometheus on PATH (scripts/install-peers.sh)');
  process.exit(0);
}
const cacheDir = join(import.meta.dirname, '..', '..', '.cache');
const replicas = [queryDataset(cacheDir, small ? 1 / 8 : 1), queryDataset(cacheDir, small ? 1 / 8 : 1, 1)];
const dataset = replicas[0]!;
const startS = dataset.startMs / 1000 + 3600;
const endS = dataset.endMs / 1000 - 1;

function rangeRow(name: string, query: string, stepS: number, limits: Pick<Row, 'goal' | 'floor' | 'pairGoal' | 'pairFloor'>): Row {
  return { name: `${name} ${stepS} s`, path: '/api/v1/query_range', params: { query, start: String(startS), end: String(endS), step: String(stepS) }, compares: name === 'topk' ? 'times' : 'series', ...limits };
}

const ROWS: readonly Row[] = [
  rangeRow('sum rate', `sum by (job) (${RATE})`, 60, { goal: 3, floor: 1.2, pairGoal: 4, pairFloor: 0.45 }),
  rangeRow('sum rate', `sum by (job) (${RATE})`, 15, { goal: 3, floor: 2, pairGoal: 4, pairFloor: 0.8 }),
  rangeRow('histogram_quantile', QUANTILE, 60, { goal: 3, floor: 1.5, pairGoal: 4, pairFloor: 0.45 }),
  rangeRow('topk', `topk(5, ${RATE})`, 60, { goal: 3, floor: 1.1, pairGoal: 4, pairFloor: 0.45 }),
  rangeRow('sum gauge', 'sum by (job) (memory_bytes)', 60, { goal: 2, floor: 0.6, pairGoal: 2, pairFloor: 0.3 }),
  rangeRow('raw matrix', 'http_requests_total', 60, { goal: 2, floor: 0.7, pairGoal: 2, pairFloor: 0.3 }),
  { name: 'instant', path: '/api/v1/query', params: { query: 'sum by (job) ({__name__=~".+"})', time: String(endS) }, compares: 'series', goal: 3, floor: 0.3, pairGoal: 3, pairFloor: 0.1 },
  { name: 'series', path: '/api/v1/series', params: { 'match[]': 'http_requests_total', start: String(startS), end: String(endS) }, compares: 'nothing', goal: 1, floor: 0.25, pairGoal: 1, pairFloor: 0.1 },
  { name: 'label values', path: '/api/v1/label/instance/values', params: { start: String(startS), end: String(endS) }, compares: 'text', goal: 1, floor: 0, pairGoal: 1, pairFloor: 0 },
];
/** A smoke run is to be short. */
const SMOKE_ROWS = ['sum rate 60 s', 'raw matrix 60 s', 'instant', 'series'];
const rows = ROWS.filter(({ name }) => (wanted === undefined ? !small || SMOKE_ROWS.includes(name) : wanted.some((part) => name.includes(part))));

/** Copies the blocks to a bucket folder, as a sidecar of `{replica}` would have shipped them; every replica's blocks get ids of their own. */
function copyToBucket({ dir }: QueryDataset, bucketDir: string, replica: number): void {
  for (const block of readdirSync(dir)) {
    const ulid = `01M${3 + replica}${block.slice(4)}`;
    cpSync(join(dir, block), join(bucketDir, ulid), { recursive: true });
    const file = join(bucketDir, ulid, 'meta.json');
    const meta = JSON.parse(readFileSync(file, 'utf8')) as { readonly compaction: object };
    const thanos = { version: 1, labels: { replica: `r${replica}` }, downsample: { resolution: 0 }, source: 'sidecar' };
    writeFileSync(`${file}.draft`, JSON.stringify({ ...meta, ulid, compaction: { ...meta.compaction, sources: [ulid] }, thanos }));
    renameSync(`${file}.draft`, file);
  }
}

const agent = (): Agent => new Agent({ keepAlive: true, maxSockets: 1 });

async function startOurs(bucket: string): Promise<Chain> {
  const store = await startService('store', [`--objstore.config=${bucket}`, `--data-dir=${temporaryDir('bench-store')}`]);
  const querier = await startService('query', [`--endpoint=${store.grpc}`, '--query.replica-label=replica', '--query.max-samples=100000000']);
  return { name: 'ours', url: querier.url, processes: [querier.process, store.process], agent: agent() };
}

async function startThanos(bucket: string): Promise<Chain> {
  const [storeHttp, storeGrpc, http, grpc] = await Promise.all(Array.from({ length: 4 }, async () => `127.0.0.1:${await freePort()}`)) as [string, string, string, string];
  const store = startProcess({ name: 'thanos store', command: thanosPath!, args: ['store', `--objstore.config=${bucket}`, `--data-dir=${temporaryDir('bench-store')}`, `--http-address=${storeHttp}`, `--grpc-address=${storeGrpc}`, '--log.level=error'] });
  await waitForUrl(`http://${storeHttp}/-/ready`, store, 60_000);
  const querier = startProcess({ name: 'thanos query', command: thanosPath!, args: ['query', `--endpoint=${storeGrpc}`, '--query.replica-label=replica', '--query.promql-engine=thanos', `--http-address=${http}`, `--grpc-address=${grpc}`, '--log.level=error'] });
  await waitForUrl(`http://${http}/-/ready`, querier, 60_000);
  return { name: 'thanos', url: `http://${http}`, processes: [querier, store], agent: agent() };
}

const urlOf = (chain: Chain, row: Row): string => `${chain.url}${row.path}?${new URLSearchParams(row.params)}`;

async function measure(chain: Chain, row: Row): Promise<Cost> {
  const usage = (): { readonly split: number[]; readonly read: number } => ({ split: chain.processes.map(({ pid }) => cpuMs(pid)), read: chain.processes.reduce((sum, { pid }) => sum + readBytes(pid), 0) });
  const before = usage();
  const { ms } = await fetchTimed(urlOf(chain, row), chain.agent);
  const after = usage();
  const split = after.split.map((cpu, i) => cpu - before.split[i]!);
  return { ms, split, cpu: split.reduce((sum, cpu) => sum + cpu, 0), read: after.read - before.read };
}

async function textOf(chain: Chain, row: Row): Promise<string> {
  return (await fetchTimed(urlOf(chain, row), chain.agent)).text;
}

function checkAnswer(row: Row, ours: string, theirs: string, peer: string): void {
  if (row.compares === 'nothing') {
    const [a, b] = [ours, theirs].map((text) => (JSON.parse(text) as { data: unknown[] }).data.length);
    if (a !== b) throw new Error(`${row.name}: ${a} entries here, ${b} of ${peer}`);
  } else if (row.compares === 'text') {
    if (JSON.stringify((JSON.parse(ours) as { data: unknown }).data) !== JSON.stringify((JSON.parse(theirs) as { data: unknown }).data)) throw new Error(`${row.name}: not what ${peer} says`);
  } else compareAnswers(`${row.name} beside ${peer}`, ours, theirs, row.compares, peer === 'thanos' ? THANOS_TOLERANCE : undefined);
}

let below = 0;

async function measureRow(row: Row, chains: readonly Chain[], isPair: boolean): Promise<void> {
  const [ours, ...peers] = chains as [Chain, ...Chain[]];
  const answer = await textOf(ours, row);
  // Prometheus has one replica: with two, only Thanos knows the answer.
  for (const peer of peers) if (!isPair || peer.name === 'thanos') checkAnswer(row, answer, await textOf(peer, row), peer.name);
  const costs = new Map<Chain, Cost[]>(chains.map((chain) => [chain, []]));
  for (let round = -WARM_ROUNDS; round < rounds; round++) {
    for (const chain of chains) {
      const cost = await measure(chain, row);
      if (round >= 0) costs.get(chain)!.push(cost);
    }
  }
  const cpu = (chain: Chain): number[] => costs.get(chain)!.map((cost) => cost.cpu);
  const cells = chains.map((chain) => {
    const own = costs.get(chain)!;
    const split = chain.processes.length === 1 ? '' : ` = ${chain.processes.map((_process, i) => median(own.map((cost) => cost.split[i]!)).toFixed(0)).join(' + ')}`;
    return `${chain.name} cpu ${showMs(median(cpu(chain)))} (${showMs(least(cpu(chain)), 1)})${split} wall ${showMs(least(own.map((cost) => cost.ms)), 1)}`;
  });
  // A neighbour on the machine disturbs a round; the better of middle and least is what is certain.
  const ratios = peers.map((peer) => Math.max(median(cpu(peer)) / median(cpu(ours)), least(cpu(peer)) / least(cpu(ours))));
  const [goal, fullFloor] = isPair ? [row.pairGoal, row.pairFloor] : [row.goal, row.floor];
  const floor = fullFloor * FLOOR_SHARE;
  if (ratios[0]! < floor) below++;
  const verdict = ratios[0]! < floor ? 'BELOW THE FLOOR' : Math.min(...ratios) < goal ? 'below the goal' : 'ok';
  const read = median(costs.get(ours)!.map((cost) => cost.read));
  console.log(`${row.name.padEnd(24)} ${cells.join('   ')}   ratios ${ratios.map((ratio, i) => `${peers[i]!.name} ${ratio.toFixed(1)}x`).join(' ')}  ${verdict} (goal ${goal}, floor ${floor})  read ${(read / 1e6).toFixed(2)} MB`);
}

async function measureChains(count: number): Promise<void> {
  const bucketDir = join(temporaryDir('bench-bucket'), 'bucket');
  mkdirSync(bucketDir);
  for (let replica = 0; replica < count; replica++) copyToBucket(replicas[replica]!, bucketDir, replica);
  const bucket = JSON.stringify({ type: 'FILESYSTEM', config: { directory: bucketDir } });
  const side = await startSide('theirs', copyForPrometheus(dataset.dir));
  const chains: Chain[] = [await startOurs(bucket), { name: 'prometheus', url: side.base, processes: [side.process], agent: side.agent }];
  if (thanosPath !== undefined) chains.push(await startThanos(bucket));
  try {
    for (const chain of chains) {
      // Endpoints of a querier are known after its first round of Info.
      await waitFor(`series of ${chain.name}`, async () => (JSON.parse(await textOf(chain, ROWS.find(({ name }) => name === 'instant')!)) as { data: { result: unknown[] } }).data.result.length > 0, { timeoutMs: 60_000 });
    }
    console.log(`${count} ${count === 1 ? 'replica' : 'replicas, deduplicated'}: ${dataset.series} series, ${(dataset.samples / 1e6).toFixed(2)} M samples each, 5 h range, ${rounds} rounds; CPU ms, middle (least) of the rounds, querier + gateway`);
    for (const row of rows) await measureRow(row, chains, count > 1);
    console.log(`peak RSS: ${chains.map(({ name, processes }) => `${name} ${processes.map(({ pid }) => peakRssMb(pid).toFixed(0)).join(' + ')} MB`).join(', ')}`);
  } finally {
    for (const chain of chains) chain.agent.destroy();
    await Promise.all(chains.flatMap(({ processes }) => processes).map((running) => running.stop()));
  }
}

await measureChains(1);
await measureChains(2);
if (below > 0) {
  console.log(`store-path: ${below} below their floor`);
  process.exitCode = 1;
}
