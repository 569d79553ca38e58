/**
 * Writing results as JSON: the kernel path against JSON.stringify over objects, in points per second. `node --import tsx` runs it; sizes grow with
 * GAUNTLET_BENCH_POINTS.
 */
import { createHash } from 'node:crypto';
import { createKernels, formatFloat } from '@gauntlet/kernels';
import { encodeQueryResult, type ResultColumns } from './encode-query-result.ts';

const POINTS = Number(process.env['GAUNTLET_BENCH_POINTS'] ?? 200_000);
const SERIES = 100;

function makeResult(): ResultColumns {
  const perSeries = Math.floor(POINTS / SERIES);
  let seed = 1;
  const random = (): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 32;
  };
  return {
    type: 'matrix',
    labels: Array.from({ length: SERIES }, (_none, i) => ['__name__', 'metric', 'instance', `host-${i}:9100`]),
    offsets: Int32Array.from({ length: SERIES + 1 }, (_none, i) => i * perSeries),
    timestampsMs: Float64Array.from({ length: perSeries * SERIES }, (_none, i) => 1_700_000_000_000 + (i % perSeries) * 15_000),
    values: Float64Array.from({ length: perSeries * SERIES }, () => random() * 1000),
    string: undefined,
  };
}

function viaObjects(result: ResultColumns): string {
  const series = result.labels.map((labels, i) => ({
    metric: Object.fromEntries(labels.flatMap((name, j) => (j % 2 === 0 ? [[name, labels[j + 1]!]] : []))),
    values: Array.from({ length: result.offsets[i + 1]! - result.offsets[i]! }, (_none, j) => {
      const at = result.offsets[i]! + j;
      return [result.timestampsMs[at]! / 1000, formatFloat(result.values[at]!)];
    }),
  }));
  return JSON.stringify({ status: 'success', data: { resultType: 'matrix', result: series, analysis: {} } });
}

function measure(name: string, run: () => string): void {
  run();
  let best = Number.POSITIVE_INFINITY;
  let hash = '';
  for (let i = 0; i < 5; i++) {
    const start = performance.now();
    const text = run();
    best = Math.min(best, performance.now() - start);
    hash = createHash('sha1').update(text).digest('hex').slice(0, 8);
  }
  console.log(`${name.padEnd(24)} ${best.toFixed(1).padStart(8)} ms  ${(POINTS / best / 1000).toFixed(1).padStart(6)} M points/s  ${hash}`);
}

const result = makeResult();
measure('objects, JSON.stringify', () => viaObjects(result));
for (const backend of ['js', 'wasm'] as const) {
  const kernels = createKernels({ backend });
  measure(`columns, ${backend} kernels`, () => {
    let bytes = 0;
    const hash = createHash('sha1');
    for (const piece of encodeQueryResult(result, { kernels, timeMs: 0, warnings: [], analysis: {} })) {
      bytes += piece.length;
      if (bytes < 2 << 20) hash.update(piece.subarray(0, 64));
    }
    return `${bytes} ${hash.digest('hex')}`;
  });
}
