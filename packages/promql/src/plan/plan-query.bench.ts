/**
 * What planning costs and saves: queries with and without the rules in turns, answers compared; and what analyzing and counting cost.
 * GAUNTLET_BENCH_SMALL=1 runs a small size.
 *
 *   npm run build && node --import tsx packages/promql/src/plan/plan-query.bench.ts
 */
import { createKernels } from '@gauntlet/kernels';
import { labelsFromPairs } from '@gauntlet/model';
import { createEngine, type RangeQuery } from '../engine.ts';
import { createMemoryQueryable } from '../promqltest/memory-queryable.ts';
import { RULES } from './plan-query.ts';

const small = process.env['GAUNTLET_BENCH_SMALL'] === '1';
const SERIES = small ? 40 : 2000;
const SAMPLES = small ? 200 : 1440;
const ROUNDS = small ? 2 : 7;
const STEP_MS = 15_000;

const timestampsMs = Float64Array.from({ length: SAMPLES }, (_none, i) => i * STEP_MS);
const series = Array.from({ length: SERIES }, (_none, id) => ({
  labels: labelsFromPairs([['__name__', 'requests_total'], ['code', ['200', '404', '500'][id % 3]!], ['instance', String(id)]]),
  timestampsMs,
  values: timestampsMs.map((_t, k) => k * (1 + (id % 7))),
}));
const queryable = createMemoryQueryable(series, { batchSeries: 128 });
const kernels = createKernels();
const planned = createEngine({ kernels });
const plain = createEngine({ kernels, rulesOff: RULES.map((rule) => rule.name) });

const times = { startMs: 600_000, endMs: SAMPLES * STEP_MS, stepMs: 60_000 };
type Run = (query: Pick<RangeQuery, 'expr'>) => Promise<number>;

async function hashOf(engine: typeof planned, expr: string, more: Partial<RangeQuery>): Promise<number> {
  const result = await engine.range({ expr, queryable, ...times, ...more });
  let hash = 0;
  for (const value of result.values) hash = (hash * 31 + value) % 1e9;
  result.dispose();
  return hash;
}

/** Best of some rounds, in turns. */
async function compare(name: string, expr: string, runs: readonly (readonly [string, Run])[]): Promise<void> {
  const best = runs.map(() => Infinity);
  const hashes = new Set<number>();
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, [, run]] of runs.entries()) {
      const from = performance.now();
      hashes.add(await run({ expr }));
      best[i] = Math.min(best[i]!, performance.now() - from);
    }
  }
  if (hashes.size !== 1) throw new Error(`${name}: answers differ`);
  console.log(`${name.padEnd(28)} ${runs.map(([label], i) => `${label} ${best[i]!.toFixed(1)} ms`).join('   ')}`);
}

const pair = [
  ['without rules', ({ expr }: Pick<RangeQuery, 'expr'>) => hashOf(plain, expr, {})],
  ['with', ({ expr }: Pick<RangeQuery, 'expr'>) => hashOf(planned, expr, {})],
] as const;
await compare('shared read, filtered', 'sum(rate(requests_total{code="500"}[5m])) / sum(rate(requests_total[5m]))', pair);
await compare('shared subexpression', 'max(rate(requests_total[5m]) / 2) - min(rate(requests_total[5m]) / 2)', pair);
await compare('aggregation into the scan', 'sum by (code) (rate(requests_total[5m]))', pair);
await compare('hoisted', 'requests_total > scalar(avg(requests_total @ end()))', [pair[0]!, pair[1]!]);

const now = (): number => performance.now();
await compare('analyze, counts', 'sum by (code) (rate(requests_total[5m]))', [
  ['off', ({ expr }) => hashOf(planned, expr, {})],
  ['analyze', ({ expr }) => hashOf(planned, expr, { analyze: true, now })],
  ['counts', ({ expr }) => hashOf(planned, expr, { counts: true, now })],
]);

const plans = small ? 100 : 5000;
const from = performance.now();
for (let i = 0; i < plans; i++) planned.explain({ expr: 'sum by (code) (rate(requests_total{code!="200"}[5m])) / on (code) sum by (code) (rate(requests_total[5m])) > 0.1', ...times });
console.log(`parse, plan and explain      ${(((performance.now() - from) / plans) * 1000).toFixed(1)} µs`);
