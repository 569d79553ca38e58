/**
 * The goals that are set for the speed of queries, against a Prometheus on the same blocks in one run; beside-prometheus.ts says how. Figures are in
 * packages/promql/README.md.
 *
 *   npm run bench -- query-goals                                GAUNTLET_BENCH_SMALL=1 for a smoke run with an eighth of the series
 *   GAUNTLET_BENCH_PROMETHEUS=/path/to/prometheus               another Prometheus than the one on PATH
 *   GAUNTLET_BENCH_ROWS=topk,raw                                only rows whose name holds one of these
 *
 * The run fails when a row is below its floor.
 */
import { join } from 'node:path';
import { copyForPrometheus, least, measureOnce, type Measured, measureRow, prometheusPath, type Row, showMs, type Side, startSide, stopSide, Verdicts } from './beside-prometheus.ts';
import { median, peakRssMb } from './measure.ts';
import { queryDataset } from './query-dataset.ts';

const small = process.env['GAUNTLET_BENCH_SMALL'] === '1';
const rounds = Number(process.env['GAUNTLET_BENCH_ROUNDS'] ?? (small ? 5 : 11));
const restarts = small ? 1 : 5;
const FIRST_GOAL = 2;
const RSS_GOAL = 0.6;
const RSS_FLOOR = 1;

if (prometheusPath() === undefined) {
  console.log('query-goals: skipped, there is no prometheus on PATH (scripts/install-peers.sh)');
  process.exit(0);
}
const dataset = queryDataset(join(import.meta.dirname, '..', '..', '.cache'), small ? 1 / 8 : 1);
const dirs = { ours: dataset.dir, theirs: copyForPrometheus(dataset.dir) };

const RATE = 'rate(http_requests_total[5m])';
const QUANTILE = 'histogram_quantile(0.9, sum by (job, le) (rate(http_request_duration_seconds_bucket[5m])))';
const QUERIES: readonly (Pick<Row, 'name' | 'expr' | 'goal' | 'floor'> & { readonly stepsS: readonly number[] })[] = [
  { name: 'sum rate', expr: `sum by (job) (${RATE})`, stepsS: [60, 15], goal: 5, floor: 3 },
  { name: 'histogram_quantile', expr: QUANTILE, stepsS: [60, 15], goal: 5, floor: 3 },
  { name: 'topk', expr: `topk(5, ${RATE})`, stepsS: [60, 15], goal: 4, floor: 2.5 },
  { name: 'sum gauge', expr: 'sum by (job) (memory_bytes)', stepsS: [60, 15], goal: 3, floor: 2 },
  { name: 'max_over_time', expr: 'sum by (job) (max_over_time(load[1h]))', stepsS: [15], goal: 5, floor: 3 },
  // The goal is about dense steps; this one is not.
  { name: 'max_over_time', expr: 'sum by (job) (max_over_time(load[1h]))', stepsS: [60], goal: 4, floor: 2.5 },
  { name: 'avg_over_time', expr: 'sum by (job) (avg_over_time(load[1h]))', stepsS: [15], goal: 5, floor: 3 },
  { name: 'raw matrix', expr: 'cpu_seconds_total', stepsS: [15], goal: 2, floor: 1.3 },
  { name: 'raw matrix', expr: 'http_requests_total', stepsS: [60], goal: 2, floor: 1.3 },
  { name: 'raw max_over_time', expr: 'max_over_time(load[1h])', stepsS: [15], goal: 2, floor: 1.3 },
  { name: 'instant', expr: 'sum by (job) ({__name__=~".+"})', stepsS: [0], goal: 3, floor: 2 },
];
/** Some rows take no longer at smoke size than a request does. */
const ALLOWANCE_MS = small ? 1 : 0;
const range = { startS: dataset.startMs / 1000 + 3600, endS: dataset.endMs / 1000 - 1 };
const allRows = QUERIES.flatMap(({ name, expr, stepsS, goal, floor }): Row[] =>
  stepsS.map((stepS) => (stepS === 0 ? { name, expr, ...range, goal, floor, allowanceMs: ALLOWANCE_MS } : { name: `${name} ${stepS} s`, expr, ...range, stepS, goal, floor, allowanceMs: ALLOWANCE_MS })),
);
const wanted = process.env['GAUNTLET_BENCH_ROWS']?.split(',');
const rows = allRows.filter(({ name }) => wanted === undefined || wanted.some((part) => name.includes(part)));
const verdicts = new Verdicts();

/** The first query after a start, and peak memory after some rate queries. */
async function coldStarts(): Promise<void> {
  const row = allRows[0]!;
  const first: Record<Side['which'], Measured[]> = { ours: [], theirs: [] };
  const rss: Record<Side['which'], number[]> = { ours: [], theirs: [] };
  for (let i = 0; i < restarts; i++) {
    for (const which of ['ours', 'theirs'] as const) {
      const side = await startSide(which, dirs[which]);
      first[which].push(await measureOnce(side, row));
      for (let more = 0; more < 5; more++) await measureOnce(side, row);
      rss[which].push(peakRssMb(side.process.pid));
      await stopSide(side);
    }
  }
  const of = (which: Side['which'], key: 'ms' | 'cpu'): number => least(first[which].map((one) => one[key]));
  const ratio = Math.max(of('theirs', 'ms') / of('ours', 'ms'), of('theirs', 'cpu') / of('ours', 'cpu'));
  console.log(
    `first query after a start, ${row.name}: ours ${showMs(of('ours', 'ms'))} ms (cpu ${showMs(of('ours', 'cpu'))}), prometheus ${showMs(of('theirs', 'ms'))} ms (cpu ${showMs(of('theirs', 'cpu'))}): ${ratio.toFixed(1)}x ${verdicts.judge(ratio, FIRST_GOAL, small ? 0 : 1)}`,
  );
  console.log(`peak RSS after six of them: ours ${median(rss.ours).toFixed(0)} MB, prometheus ${median(rss.theirs).toFixed(0)} MB`);
}

console.log(`${dataset.series} series, ${(dataset.samples / 1e6).toFixed(2)} M samples, 5 h range, ${rounds} rounds; ms, least (middle) of the rounds`);
if (wanted === undefined) await coldStarts();
const ours = await startSide('ours', dirs.ours);
const theirs = await startSide('theirs', dirs.theirs);
try {
  // Of equal values at the edge of a topk, either series may be the one that is kept.
  for (const row of rows) await measureRow(row, ours, theirs, rounds, verdicts, row.name.startsWith('topk') ? 'times' : 'series');
  const [rss, theirRss] = [peakRssMb(ours.process.pid), peakRssMb(theirs.process.pid)];
  // A smoke run measures what the programs take at rest.
  if (!small && rss > RSS_FLOOR * theirRss) verdicts.below++;
  console.log(`peak RSS after all rows: ours ${rss.toFixed(0)} MB, prometheus ${theirRss.toFixed(0)} MB: ${(rss / theirRss).toFixed(2)} (goal ${RSS_GOAL}, floor ${RSS_FLOOR})`);
} finally {
  await Promise.all([stopSide(ours), stopSide(theirs)]);
}
if (verdicts.below > 0) {
  console.log(`query-goals: ${verdicts.below} below their floor`);
  process.exitCode = 1;
}
