/**
 * The query workloads that Prometheus measures itself with (promql/bench_test.go), as a guard against getting slower: no kind of query may take
 * longer here than in a Prometheus on the same blocks (at smoke size, much longer). beside-prometheus.ts says how it is measured.
 *
 *   range   a_hundred, b_hundred (100 series each), h_hundred (1,100 classic buckets), sparse (50 series, each there a fiftieth of the time); the same
 *           with ten and one; a sample every 10 s, value of sample s of series i: s + i / 1443
 *   join    1,000 instances with rpc_request_success_total and rpc_request_error_total, seven labels each
 *
 *   npm run bench -- query-workloads            GAUNTLET_BENCH_SMALL=1: 2,400 samples per series and 100 steps instead of 18,640 and 1,000
 *   GAUNTLET_BENCH_ROWS=topk,join               only rows whose name holds one of these
 *
 * Functions and aggregations that the Prometheus of Debian does not know are not among the rows.
 */
import { join } from 'node:path';
import { labelsFromPairs } from '@gauntlet/model';
import { copyForPrometheus, measureOnce, measureRow, prometheusPath, type Row, startSide, stopSide, Verdicts } from './beside-prometheus.ts';
import { seededRandom } from '../harness/random.ts';
import { type BenchSeries, writeBlocksOnce } from './write-blocks.ts';

const small = process.env['GAUNTLET_BENCH_SMALL'] === '1';
const rounds = small ? 9 : 5;
const SAMPLES = small ? 2400 : 18_640;
const STEPS = small ? 100 : 1000;
const WARM_ROUNDS = small ? 6 : 1;
const SAMPLE_MS = 10_000;
const START_MS = Date.UTC(2026, 9, 1);
const END_S = START_MS / 1000 + (SAMPLES - 1) * 10;
/** Off the steps, so that no sample lies on the edge of a window, which Prometheus counted in before 3.0. */
const OFFSET_MS = 1;

interface DataSet {
  readonly name: string;
  readonly series: readonly BenchSeries[];
}

const timeOf = (sample: number): number => START_MS + sample * SAMPLE_MS + OFFSET_MS;

function rangeSeries(): BenchSeries[] {
  const labels: [string, string][][] = [];
  const les = [...Array.from({ length: 10 }, (_none, le) => String(le)), '+Inf'];
  const kinds: [string, number][] = [['one', 1], ['ten', 10], ['hundred', 100]];
  for (const [kind, count] of kinds) {
    for (let l = 0; l < count; l++) {
      const own: [string, string][] = count === 1 ? [] : [['l', String(l)]];
      for (const name of ['a', 'b']) labels.push([['__name__', `${name}_${kind}`], ...own]);
      for (const le of les) labels.push([['__name__', `h_${kind}`], ...own, ['le', le]]);
    }
  }
  const plain = labels.map((pairs, i): BenchSeries => ({ labels: labelsFromPairs(pairs), openTimes: () => timeOf, openValues: () => valuesFrom(i) }));
  const sparse = Array.from({ length: 50 }, (_none, l): BenchSeries => {
    const stretch = Math.ceil(SAMPLES / 50);
    return { labels: labelsFromPairs([['__name__', 'sparse'], ['l', String(l)]]), openTimes: () => timeOf, openValues: () => valuesFrom(l), has: (sample) => Math.floor(sample / stretch) === l };
  });
  return [...plain, ...sparse];
}

function valuesFrom(series: number): () => number {
  let sample = 0;
  return () => sample++ + series / 1443;
}

function joinSeries(): BenchSeries[] {
  const random = seededRandom(7);
  const instances = Array.from({ length: small ? 200 : 1000 }, () => Array.from({ length: 4 }, () => Math.floor(random() * 2 ** 32).toString(16).padStart(8, '0')).join('-'));
  return instances.flatMap((instance, i) =>
    ['rpc_request_success_total', 'rpc_request_error_total'].map((name): BenchSeries => {
      const pairs: [string, string][] = [['__name__', name], ['instance', instance], ['job', 'rpc'], ['cluster', 'eu-1'], ['namespace', 'shop'], ['container', 'api'], ['team', 'checkout'], ['region', 'eu']];
      return { labels: labelsFromPairs(pairs), openTimes: () => timeOf, openValues: () => valuesFrom(i) };
    }),
  );
}

/** Expression, and what it is called in Prometheus 2 where that differs. */
type Query = string | readonly [expr: string, theirExpr: string];

const ONE_STEP: readonly Query[] = ['count({__name__!=""})', 'count({__name__!="",l=""})'];
/** A long window, full of samples at every step. */
const LONG = small ? '3h' : '1d';
const ACCUMULATING: readonly Query[] = [
  `rate(a_hundred[${LONG}])`,
  `changes(a_hundred[${LONG}])`,
  `absent_over_time(a_hundred[${LONG}])`,
  ['double_exponential_smoothing(a_hundred[2h], 0.3, 0.3)', 'holt_winters(a_hundred[2h], 0.3, 0.3)'],
];
const RANGE: readonly Query[] = [
  'a_hundred',
  'rate(a_hundred[1m])',
  'rate(sparse[1m])',
  '-a_hundred',
  'a_hundred - b_hundred',
  "a_hundred and b_hundred{l=~'.*[0-4]$'}",
  "a_hundred or b_hundred{l=~'.*[0-4]$'}",
  "a_hundred unless b_hundred{l=~'.*[0-4]$'}",
  "a_hundred and b_hundred{l='notfound'}",
  'abs(a_hundred)',
  "label_replace(a_hundred, 'l2', '$1', 'l', '(.*)')",
  "label_join(a_hundred, 'l2', '-', 'l', 'l')",
  'sum(a_hundred)',
  'avg(a_hundred)',
  'stddev(a_hundred)',
  'quantile(0.9, h_hundred)',
  'sum without (l) (h_hundred)',
  'sum without (le) (h_hundred)',
  'sum by (l) (h_hundred)',
  'sum by (le) (h_hundred)',
  'topk(1, a_hundred)',
  'topk(5, a_hundred)',
  'rate(a_hundred[1m]) + rate(b_hundred[1m])',
  'sum without (l) (rate(a_hundred[1m]))',
  'sum without (l) (rate(a_hundred[1m])) / sum without (l) (rate(b_hundred[1m]))',
  'histogram_quantile(0.9, rate(h_hundred[5m]))',
  'a_hundred + on(l) group_right a_one',
  'timestamp(a_hundred)',
  'max_over_time(rate(a_hundred[1m])[10m:30s])',
  'sum_over_time(a_hundred[1h])',
  'quantile_over_time(0.9, a_hundred[10m])',
];
const JOINS: readonly Query[] = [
  'rpc_request_success_total + rpc_request_error_total',
  'rpc_request_success_total + on (job, instance) group_left rpc_request_error_total',
  'rpc_request_success_total and rpc_request_error_total{instance=~"0.*"}',
  'rpc_request_success_total or rpc_request_error_total{instance=~"0.*"}',
  'rpc_request_success_total unless rpc_request_error_total{instance=~"0.*"}',
];

/** At smoke size a collection of garbage in the wrong place is half a query. */
const FLOOR = small ? 0.6 : 1;
/** Many rows compute next to nothing at smoke size. */
const ALLOWANCE_MS = small ? 2 : 0.5;

function rowsOf(queries: readonly Query[], steps: number): Row[] {
  return queries.map((query) => {
    const [expr, theirExpr] = typeof query === 'string' ? [query] : query;
    const row = { name: expr, expr, ...(theirExpr !== undefined && { theirExpr }), startS: END_S - (steps - 1) * 10, endS: END_S, goal: 1.5, floor: FLOOR, allowanceMs: ALLOWANCE_MS };
    return steps === 1 ? row : { ...row, stepS: 10 };
  });
}

if (prometheusPath() === undefined) {
  console.log('query-workloads: skipped, there is no prometheus on PATH (scripts/install-peers.sh)');
  process.exit(0);
}
const wanted = process.env['GAUNTLET_BENCH_ROWS']?.split(',');
const verdicts = new Verdicts();

async function run({ name, series }: DataSet, rows: readonly Row[]): Promise<void> {
  const chosen = rows.filter((row) => wanted === undefined || wanted.some((part) => row.name.includes(part) || part === name));
  if (chosen.length === 0) return;
  const dir = join(import.meta.dirname, '..', '..', '.cache', `query-workloads-${name}-${series.length}-${SAMPLES}`);
  // One block: as long as compaction would make it.
  writeBlocksOnce(dir, series, { startMs: START_MS, blockMs: SAMPLES * SAMPLE_MS, blocks: 1, samplesPerBlock: SAMPLES });
  console.log(`${name}: ${series.length} series of ${SAMPLES} samples, ${STEPS} steps, ${rounds} rounds; ms, least (middle) of the rounds`);
  const ours = await startSide('ours', dir);
  const theirs = await startSide('theirs', copyForPrometheus(dir));
  try {
    // What the rows share is compiled before the first of them is measured; that takes a few hundred short queries.
    for (let round = 0; round < WARM_ROUNDS; round++) for (const row of chosen) await measureOnce(ours, row);
    for (const row of chosen) await measureRow(row, ours, theirs, rounds, verdicts, row.name.startsWith('topk') ? 'times' : 'series');
  } finally {
    await Promise.all([stopSide(ours), stopSide(theirs)]);
  }
}

await run({ name: 'range', series: rangeSeries() }, [...rowsOf(ONE_STEP, 1), ...rowsOf(RANGE, STEPS), ...rowsOf(ACCUMULATING, STEPS)]);
await run({ name: 'join', series: joinSeries() }, rowsOf(JOINS, STEPS));
if (verdicts.below > 0) {
  console.log(`query-workloads: ${verdicts.below} below their floor`);
  process.exitCode = 1;
}
