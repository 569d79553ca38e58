/**
 * The query rows of docs/PERFORMANCE.md, section 11, against a Prometheus on the same blocks over HTTP: engine and block reader behind
 * http-api in one process. Requests alternate within a row; answers are compared before anything is timed.
 *
 *   npm run bench -- query-goals                                GAUNTLET_BENCH_SMALL=1 for a smoke run with an eighth of the series
 *   GAUNTLET_BENCH_PROMETHEUS=/path/to/prometheus               another Prometheus than the one on PATH
 *   GAUNTLET_BENCH_ROWS=topk,raw                                only rows whose name holds one of these
 *
 * A row gives wall time over HTTP and CPU time of the whole process, least and middle of the rounds; `ratio` is Prometheus' least by ours.
 * What else runs on a machine disturbs wall time more than CPU time, so a row is below its floor only when both ratios are. The run fails then.
 */
import { cpSync, mkdirSync, readdirSync } from 'node:fs';
import { Agent } from 'node:http';
import { join } from 'node:path';
import { findPeer } from '../harness/peers.ts';
import { freePort, type RunningProcess, startProcess, temporaryDir, waitForUrl } from '../harness/process.ts';
import { compareAnswers } from './compare-answers.ts';
import { cpuMs, fetchTimed, median, peakRssMb } from './measure.ts';
import { queryDataset } from './query-dataset.ts';

const small = process.env['GAUNTLET_BENCH_SMALL'] === '1';
const rounds = Number(process.env['GAUNTLET_BENCH_ROUNDS'] ?? (small ? 5 : 11));
const restarts = small ? 1 : 5;

interface Row {
  readonly name: string;
  readonly expr: string;
  /** Undefined: an instant query at the end of the range. */
  readonly stepS?: number;
  readonly goal: number;
  readonly floor: number;
}

const RATE = 'rate(http_requests_total[5m])';
const ROWS: readonly Row[] = [
  { name: 'sum rate', expr: `sum by (job) (${RATE})`, stepS: 60, goal: 5, floor: 3 },
  { name: 'sum rate', expr: `sum by (job) (${RATE})`, stepS: 15, goal: 5, floor: 3 },
  { name: 'histogram_quantile', expr: 'histogram_quantile(0.9, sum by (job, le) (rate(http_request_duration_seconds_bucket[5m])))', stepS: 60, goal: 5, floor: 3 },
  { name: 'histogram_quantile', expr: 'histogram_quantile(0.9, sum by (job, le) (rate(http_request_duration_seconds_bucket[5m])))', stepS: 15, goal: 5, floor: 3 },
  { name: 'topk', expr: `topk(5, ${RATE})`, stepS: 60, goal: 4, floor: 2.5 },
  { name: 'topk', expr: `topk(5, ${RATE})`, stepS: 15, goal: 4, floor: 2.5 },
  { name: 'sum gauge', expr: 'sum by (job) (memory_bytes)', stepS: 60, goal: 3, floor: 2 },
  { name: 'sum gauge', expr: 'sum by (job) (memory_bytes)', stepS: 15, goal: 3, floor: 2 },
  { name: 'max_over_time', expr: 'sum by (job) (max_over_time(load[1h]))', stepS: 60, goal: 5, floor: 3 },
  { name: 'max_over_time', expr: 'sum by (job) (max_over_time(load[1h]))', stepS: 15, goal: 5, floor: 3 },
  { name: 'avg_over_time', expr: 'sum by (job) (avg_over_time(load[1h]))', stepS: 15, goal: 5, floor: 3 },
  { name: 'raw matrix', expr: 'cpu_seconds_total', stepS: 15, goal: 2, floor: 1.3 },
  { name: 'raw matrix', expr: 'http_requests_total', stepS: 60, goal: 2, floor: 1.3 },
  { name: 'raw max_over_time', expr: 'max_over_time(load[1h])', stepS: 15, goal: 2, floor: 1.3 },
  { name: 'instant', expr: 'sum by (job) ({__name__=~".+"})', goal: 3, floor: 2 },
];
const FIRST_GOAL = 2;
const RSS_GOAL = 0.6;
const RSS_FLOOR = 1;

const prometheusPath = process.env['GAUNTLET_BENCH_PROMETHEUS'] ?? findPeer('prometheus');
if (prometheusPath === undefined) {
  console.log('query-goals: skipped, there is no prometheus on PATH (scripts/install-peers.sh)');
  process.exit(0);
}
const wanted = process.env['GAUNTLET_BENCH_ROWS']?.split(',');
const rows = ROWS.filter(({ name }) => wanted === undefined || wanted.some((part) => name.includes(part)));
const dataset = queryDataset(join(import.meta.dirname, '..', '..', '.cache'), small ? 1 / 8 : 1);
const startS = dataset.startMs / 1000 + 3600;
const endS = dataset.endMs / 1000 - 1;
const data = temporaryDir('bench');
mkdirSync(join(data, 'data'));
for (const block of readdirSync(dataset.dir)) cpSync(join(dataset.dir, block), join(data, 'data', block), { recursive: true });

interface Side {
  readonly process: RunningProcess;
  readonly base: string;
  readonly agent: Agent;
}

async function start(which: 'ours' | 'theirs'): Promise<Side> {
  const address = `127.0.0.1:${await freePort()}`;
  const running =
    which === 'ours'
      ? startProcess({ name: 'gauntlet', command: process.execPath, args: [...(process.env['GAUNTLET_BENCH_NODE_FLAGS']?.split(' ') ?? []), join(import.meta.dirname, 'block-server.mjs'), dataset.dir, address] })
      : startProcess({
          name: 'prometheus',
          command: prometheusPath!,
          args: ['--config.file=/dev/null', `--storage.tsdb.path=${join(data, 'data')}`, '--storage.tsdb.retention.time=100y', `--web.listen-address=${address}`, '--log.level=error', '--query.max-samples=100000000'],
        });
  await waitForUrl(`http://${address}/-/ready`, running, 60_000);
  return { process: running, base: `http://${address}`, agent: new Agent({ keepAlive: true, maxSockets: 1 }) };
}

async function stop({ process: running, agent }: Side): Promise<void> {
  agent.destroy();
  await running.stop();
}

function urlOf({ base }: Side, { expr, stepS }: Row): string {
  if (stepS === undefined) return `${base}/api/v1/query?${new URLSearchParams({ query: expr, time: String(endS) })}`;
  return `${base}/api/v1/query_range?${new URLSearchParams({ query: expr, start: String(startS), end: String(endS), step: String(stepS) })}`;
}

interface Measured {
  readonly ms: number;
  readonly cpu: number;
  readonly bytes: number;
}

async function measure(side: Side, row: Row): Promise<Measured> {
  const before = cpuMs(side.process.pid);
  const { ms, bytes } = await fetchTimed(urlOf(side, row), side.agent);
  return { ms, bytes, cpu: cpuMs(side.process.pid) - before };
}

const least = (values: readonly number[]): number => Math.min(...values);
const show = (value: number, width = 6): string => value.toFixed(value < 100 ? 1 : 0).padStart(width);

let below = 0;
/** Prints a ratio beside its goal; a value below the floor fails the run. */
function judge(ratio: number, goal: number, floor: number): string {
  if (ratio < floor) below++;
  return `${ratio < floor ? 'BELOW THE FLOOR' : ratio < goal ? 'below the goal' : 'ok'} (goal ${goal}, floor ${floor})`;
}

/** The first query after a start, and peak memory after some rate queries. */
async function coldStarts(): Promise<void> {
  const row = ROWS[0]!;
  const first = { ours: [] as Measured[], theirs: [] as Measured[] };
  const rss = { ours: [] as number[], theirs: [] as number[] };
  for (let i = 0; i < restarts; i++) {
    for (const which of ['ours', 'theirs'] as const) {
      const side = await start(which);
      first[which].push(await measure(side, row));
      for (let more = 0; more < 5; more++) await measure(side, row);
      rss[which].push(peakRssMb(side.process.pid));
      await stop(side);
    }
  }
  const wall = least(first.theirs.map(({ ms }) => ms)) / least(first.ours.map(({ ms }) => ms));
  const [ours, theirs] = [median(rss.ours), median(rss.theirs)];
  console.log(
    `first query after a start, ${row.name} ${row.stepS} s: ours ${show(least(first.ours.map(({ ms }) => ms)))} ms (cpu ${show(least(first.ours.map(({ cpu }) => cpu)))}), prometheus ${show(least(first.theirs.map(({ ms }) => ms)))} ms (cpu ${show(least(first.theirs.map(({ cpu }) => cpu)))}): ${wall.toFixed(1)}x ${judge(wall, FIRST_GOAL, small ? 0 : 1)}`,
  );
  console.log(`peak RSS after six of them: ours ${ours.toFixed(0)} MB, prometheus ${theirs.toFixed(0)} MB: ${(ours / theirs).toFixed(2)} (goal ${RSS_GOAL})`);
}

console.log(`${dataset.series} series, ${(dataset.samples / 1e6).toFixed(2)} M samples, 5 h range, ${rounds} rounds; ms, least (middle) of the rounds`);
if (wanted === undefined) await coldStarts();
const ours = await start('ours');
const theirs = await start('theirs');
try {
  for (const row of rows) {
    const title = `${row.name} ${row.stepS === undefined ? '' : `${row.stepS} s`}`.padEnd(24);
    const [a, b] = [await fetchTimed(urlOf(ours, row), ours.agent), await fetchTimed(urlOf(theirs, row), theirs.agent)];
    const equal = compareAnswers(row.expr, a.text, b.text, row.name === 'topk' ? 'times' : 'series');
    const runs: { ours: Measured[]; theirs: Measured[] } = { ours: [], theirs: [] };
    for (let round = -2; round < rounds; round++) {
      const one = await measure(ours, row);
      const other = await measure(theirs, row);
      if (round < 0) continue;
      runs.ours.push(one);
      runs.theirs.push(other);
    }
    const column = (side: 'ours' | 'theirs', key: 'ms' | 'cpu'): number[] => runs[side].map((run) => run[key]);
    const [wall, cpu] = (['ms', 'cpu'] as const).map((key) => least(column('theirs', key)) / least(column('ours', key))) as [number, number];
    const cell = (side: 'ours' | 'theirs'): string => `${show(least(column(side, 'ms')))} (${show(median(column(side, 'ms')), 1)}) cpu ${show(least(column(side, 'cpu')))} (${show(median(column(side, 'cpu')), 1)})`;
    console.log(
      `${title} ours ${cell('ours')}   prometheus ${cell('theirs')}   ratio wall ${wall.toFixed(1)}x cpu ${cpu.toFixed(1)}x  ${judge(Math.max(wall, cpu), row.goal, row.floor)}  ${(runs.ours[0]!.bytes / 1e6).toFixed(2)} MB, equal texts ${(equal * 100).toFixed(1)} %`,
    );
  }
  const [rss, theirRss] = [peakRssMb(ours.process.pid), peakRssMb(theirs.process.pid)];
  // A smoke run measures what the programs take at rest.
  if (!small && rss > RSS_FLOOR * theirRss) below++;
  console.log(`peak RSS after all rows: ours ${rss.toFixed(0)} MB, prometheus ${theirRss.toFixed(0)} MB: ${(rss / theirRss).toFixed(2)} (goal ${RSS_GOAL}, floor ${RSS_FLOOR})`);
} finally {
  await Promise.all([stop(ours), stop(theirs)]);
}
if (below > 0) {
  console.log(`query-goals: ${below} below their floor`);
  process.exitCode = 1;
}
