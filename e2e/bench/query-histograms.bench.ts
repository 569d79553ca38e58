/**
 * Queries over native histograms, as a guard against getting slower than a Prometheus 3 on the same blocks. beside-prometheus.ts says how it is
 * measured.
 *
 *   steady_seconds    40 series, 4 jobs: the same 40 buckets of schema 3 in every sample, as of a service under load
 *   growing_seconds   40 series: buckets come as observations first fall into them, and differ from series to series
 *
 *   GAUNTLET_BENCH_PROMETHEUS=/path/to/prometheus npm run bench -- query-histograms      GAUNTLET_BENCH_SMALL=1: 40 min instead of 6 h
 *   GAUNTLET_BENCH_ROWS=rate,sum                                                         only rows whose name holds one of these
 *
 * The Prometheus of Debian is older than the rules these queries are computed by: without one of 3.14 there is nothing to compare with.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createKernels } from '@gauntlet/kernels';
import { createHistogram, labelsFromPairs } from '@gauntlet/model';
import { createNodeFileSystem } from '@gauntlet/service-kit';
import { createDb } from '@gauntlet/tsdb';
import { seededRandom } from '../harness/random.ts';
import { copyForPrometheus, measureRow, type Row, startSide, stopSide, Verdicts } from './beside-prometheus.ts';

const small = process.env['GAUNTLET_BENCH_SMALL'] === '1';
const rounds = Number(process.env['GAUNTLET_BENCH_ROUNDS'] ?? (small ? 5 : 11));
const SERIES = 40;
const BUCKETS = 40;
const STEP_MS = 15_000;
const START_MS = Date.UTC(2026, 9, 1);
const SAMPLES = small ? 160 : 1440;

/** Writes blocks of 2 h, once. @returns their folder */
function writeHistograms(): string {
  const dir = join(import.meta.dirname, '..', '..', '.cache', `query-histograms-${SERIES}-${SAMPLES}`);
  if (existsSync(dir)) return dir;
  const draft = `${dir}.draft`;
  for (const old of [draft, `${draft}.blocks`]) rmSync(old, { recursive: true, force: true });
  mkdirSync(draft, { recursive: true });
  const random = seededRandom(11);
  const db = createDb({ fs: createNodeFileSystem(), dir: draft, kernels: createKernels({}), clock: { now: () => START_MS + SAMPLES * STEP_MS }, random }, {});
  const all = ['steady_seconds', 'growing_seconds'].flatMap((name) =>
    Array.from({ length: SERIES }, (_none, i) => ({
      labels: labelsFromPairs([['__name__', name], ['job', `job-${i % 4}`], ['instance', `10.0.0.${i}:9100`]]),
      isSteady: name === 'steady_seconds',
      counts: new Float64Array(BUCKETS).fill(name === 'steady_seconds' ? 1 : 0),
      middle: 12 + (i % 7),
      ref: 0,
      count: name === 'steady_seconds' ? BUCKETS : 0,
      sum: 0,
    })),
  );
  for (let sample = 0; sample < SAMPLES; sample++) {
    const appender = db.appender();
    for (const one of all) {
      for (let requests = Math.floor(random() * 40); requests > 0; requests--) {
        const spread = (random() + random() + random() + random() - 2) * 10;
        one.counts[Math.max(0, Math.min(BUCKETS - 1, Math.round(one.middle + spread)))]! += 1;
        one.count++;
        one.sum += random();
      }
      const used = [...one.counts.keys()].filter((index) => one.isSteady || one.counts[index]! > 0);
      const spans: { offset: number; length: number }[] = [];
      let end = 0;
      for (const index of used) {
        const last = spans.at(-1);
        if (last !== undefined && index === end) spans[spans.length - 1] = { ...last, length: last.length + 1 };
        else spans.push({ offset: index - (last === undefined ? 20 : end), length: 1 });
        end = index + 1;
      }
      const absolute = used.map((index) => one.counts[index]!);
      const histogram = {
        ...createHistogram({ schema: 3, zeroThreshold: 2 ** -128, count: one.count, sum: one.sum, positiveSpans: spans }),
        positiveDeltas: absolute.map((count, i) => count - (absolute[i - 1] ?? 0)),
        negativeDeltas: [],
      };
      one.ref = appender.appendHistogram(one.ref, one.labels, START_MS + sample * STEP_MS + 1, histogram);
    }
    appender.commit();
  }
  db.compactHead({ force: true });
  db.close();
  mkdirSync(`${draft}.blocks`);
  for (const name of readdirSync(draft)) if (existsSync(join(draft, name, 'meta.json'))) renameSync(join(draft, name), join(`${draft}.blocks`, name));
  renameSync(`${draft}.blocks`, dir);
  rmSync(draft, { recursive: true });
  return dir;
}

if (process.env['GAUNTLET_BENCH_PROMETHEUS'] === undefined) {
  console.log('query-histograms: skipped, GAUNTLET_BENCH_PROMETHEUS names no prometheus 3');
  process.exit(0);
}
const endS = START_MS / 1000 + SAMPLES * 15;
const startS = endS - (small ? 1200 : 18_000);
const wanted = process.env['GAUNTLET_BENCH_ROWS']?.split(',');
const EXPRESSIONS: readonly string[] = [
  'histogram_quantile(0.9, sum by (job) (rate(steady_seconds[5m])))',
  'histogram_quantile(0.9, sum by (job) (rate(growing_seconds[5m])))',
  'histogram_quantile(0.9, rate(growing_seconds[5m]))',
  'histogram_fraction(0, 0.2, sum(rate(growing_seconds[5m])))',
  'histogram_avg(rate(growing_seconds[5m]))',
  'histogram_count(sum by (job) (growing_seconds))',
  'histogram_quantile(0.5, avg(increase(growing_seconds[1h])))',
  'histogram_quantile(0.5, sum_over_time(growing_seconds[5m]))',
  'count(growing_seconds)',
];
const rows: Row[] = EXPRESSIONS.map((expr) => ({ name: expr, expr, startS, endS, stepS: 60, goal: 2, floor: small ? 0.3 : 0.5, allowanceMs: small ? 2 : 0 }));
const dir = writeHistograms();
const ours = await startSide('ours', dir);
const theirs = await startSide('theirs', copyForPrometheus(dir));
const verdicts = new Verdicts();
console.log(`${2 * SERIES} series of ${SAMPLES} samples, ${(endS - startS) / 60} steps, ${rounds} rounds; ms, least (middle) of the rounds`);
try {
  for (const row of rows) if (wanted === undefined || wanted.some((part) => row.name.includes(part))) await measureRow(row, ours, theirs, rounds, verdicts);
} finally {
  await Promise.all([stopSide(ours), stopSide(theirs)]);
}
if (verdicts.below > 0) {
  console.log(`query-histograms: ${verdicts.below} below their floor`);
  process.exitCode = 1;
}
