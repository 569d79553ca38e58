/**
 * Range queries in process: 2,400 series, 6 hours, a sample every 15 s, already decoded in kernel memory, so that only the engine is measured.
 * Module and twins in turns, results compared. GAUNTLET_BENCH_SMALL=1 runs a small size.
 *
 *   npm run build && node --import tsx packages/promql/src/range-query.bench.ts
 */
import { createKernels } from '@gauntlet/kernels';
import { labelsFromPairs, type Queryable, type SeriesBatch } from '@gauntlet/model';
import { createEngine, type Engine } from './engine.ts';
import type { EngineKernels } from './exec/query-context.ts';

const small = process.env['GAUNTLET_BENCH_SMALL'] === '1';
const SERIES = small ? 60 : 2400;
const SAMPLES = small ? 200 : 1440;
const ROUNDS = small ? 2 : 9;
const SCRAPE_MS = 15_000;
const START_MS = 1_700_000_000_000;
const BATCH = 128;

/** Series in kernel memory, handed out in batches as storage does. */
function residentSeries(kernels: EngineKernels): Queryable {
  const { memory } = kernels;
  const batches: { labels: SeriesBatch['labels']; offsets: Int32Array; t: number; v: number; n: number }[] = [];
  for (let from = 0; from < SERIES; from += BATCH) {
    const count = Math.min(BATCH, SERIES - from);
    const n = count * SAMPLES;
    const t = memory.alloc(n * 8);
    const v = memory.alloc(n * 8);
    const times = memory.f64(t, n);
    const values = memory.f64(v, n);
    const offsets = new Int32Array(count + 1);
    const labels = [];
    for (let i = 0; i < count; i++) {
      const id = from + i;
      const pairs: [string, string][] = [
        ['__name__', 'http_requests_total'],
        ['code', ['200', '404', '500'][id % 3]!],
        ['instance', `10.0.${Math.floor(id / 30) % 100}.${Math.floor(id / 3) % 10}:9090`],
        ['job', `job-${Math.floor(id / 240)}`],
        ['path', `/api/v1/${id}`],
      ];
      labels.push(labelsFromPairs(pairs));
      offsets[i + 1] = (i + 1) * SAMPLES;
      let counter = (id * 7919) % 1000;
      for (let k = 0; k < SAMPLES; k++) {
        times[i * SAMPLES + k] = START_MS + k * SCRAPE_MS + (id % 97) * 100;
        counter = (k + id) % 977 === 976 ? 0 : counter + ((id * 31 + k * 17) % 23);
        values[i * SAMPLES + k] = counter;
      }
    }
    batches.push({ labels, offsets, t, v, n });
  }
  return {
    select: () => ({
      async *[Symbol.asyncIterator]() {
        for (const { labels, offsets, t, v, n } of batches) yield { labels, offsets, timestampsMs: memory.f64(t, n), values: memory.f64(v, n) };
      },
      warnings: () => [],
    }),
    labelNames: () => Promise.resolve({ values: [], warnings: [] }),
    labelValues: () => Promise.resolve({ values: [], warnings: [] }),
  };
}

interface Variant {
  readonly name: string;
  readonly engine: Engine;
  readonly queryable: Queryable;
}

const variants: Variant[] = (['wasm', 'js'] as const).map((backend) => {
  const kernels = createKernels({ backend, maxMemoryBytes: 1024 * 1024 * 1024 });
  return { name: backend, engine: createEngine({ kernels, parser: { experimentalFunctions: true } }), queryable: residentSeries(kernels) };
});

const QUERIES = [
  'sum by (job) (rate(http_requests_total[5m]))',
  'sum(http_requests_total)',
  'topk(5, rate(http_requests_total[5m]))',
  'sum by (job) (max_over_time(http_requests_total[1h]))',
  'sum by (job) (avg_over_time(http_requests_total[1h]))',
  'quantile by (job) (0.9, http_requests_total)',
  'http_requests_total * 2 > 500',
  'sum by (code) (rate(http_requests_total[5m])) / ignoring (code) group_left sum(rate(http_requests_total[5m]))',
  'http_requests_total - http_requests_total',
];

const endMs = START_MS + SAMPLES * SCRAPE_MS;
const startMs = START_MS + Math.min(3_600_000, (SAMPLES * SCRAPE_MS) / 4);
console.log(`${SERIES} series, ${((SERIES * SAMPLES) / 1e6).toFixed(2)} M samples; median ms (min) of ${ROUNDS}`);
for (const stepMs of [60_000, 15_000]) {
  for (const expr of QUERIES) {
    const times: number[][] = variants.map(() => []);
    const hashes: number[] = [];
    for (let round = -2; round < ROUNDS; round++) {
      for (const [i, { engine, queryable }] of variants.entries()) {
        const start = performance.now();
        const result = await engine.range({ expr, queryable, startMs, endMs, stepMs });
        const elapsed = performance.now() - start;
        let hash = result.values.length;
        for (const value of result.values) hash = (hash * 31 + value) % 1e9;
        result.dispose();
        hashes[i] = hash;
        if (round >= 0) times[i]!.push(elapsed);
      }
    }
    if (hashes[0] !== hashes[1] && !Number.isNaN(hashes[0])) throw new Error(`${expr}: ${hashes.join(' and ')} differ`);
    const texts = variants.map(({ name }, i) => {
      const sorted = times[i]!.toSorted((a, b) => a - b);
      return `${name} ${sorted[sorted.length >>> 1]!.toFixed(1)} (${sorted[0]!.toFixed(1)})`;
    });
    console.log(`step ${stepMs / 1000}s  ${expr.padEnd(60)} ${texts.join('   ')}`);
  }
}
