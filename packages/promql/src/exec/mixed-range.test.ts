/**
 * A native histogram whose only bucket holds its whole count must compute as that count does: random series of both kinds, the same queries, the same
 * numbers. And what a query that sees no histograms must not have.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createKernels } from '@gauntlet/kernels';
import { createHistogram, formatLabels, type Labels, METRIC_NAME, STALE_HISTOGRAM, withLabel, withoutLabels, wordsOf, writeStaleNaN } from '@gauntlet/model';
import { createEngine } from '../engine.ts';
import { createMemoryQueryable, type MemorySeries } from '../promqltest/memory-queryable.ts';
import type { QueryResult } from '../query-result.ts';

type Sample = { readonly gapMs: number; readonly count: number } | { readonly gapMs: number; readonly stale: true };

const SAMPLE = fc.oneof(
  { weight: 9, arbitrary: fc.record({ gapMs: fc.integer({ min: 1, max: 90_000 }), count: fc.integer({ min: 0, max: 50 }) }) },
  { weight: 1, arbitrary: fc.record({ gapMs: fc.integer({ min: 1, max: 90_000 }), stale: fc.constant(true as const) }) },
);

/** The same samples as floats (`f`) and as histograms (`h`). */
function pair(i: number, samples: readonly Sample[]): MemorySeries[] {
  const labels: Labels = ['i', String(i)];
  let timeMs = 0;
  const timestampsMs = Float64Array.from(samples, ({ gapMs }) => (timeMs += gapMs));
  const floats = Float64Array.from(samples, (sample) => ('stale' in sample ? 0 : sample.count));
  const zeros = new Float64Array(samples.length);
  samples.forEach((sample, at) => {
    if (!('stale' in sample)) return;
    writeStaleNaN(wordsOf(floats), at);
    writeStaleNaN(wordsOf(zeros), at);
  });
  const histograms = samples.map((sample) => {
    if ('stale' in sample) return STALE_HISTOGRAM;
    return createHistogram({ count: sample.count, sum: sample.count, positiveSpans: [{ offset: 0, length: 1 }], positiveBuckets: Float64Array.of(sample.count) });
  });
  return [
    { labels: withLabel(labels, METRIC_NAME, 'f'), timestampsMs, values: floats },
    { labels: withLabel(labels, METRIC_NAME, 'h'), timestampsMs, values: zeros, histograms },
  ];
}

/** Points by series without name; of histograms their count. */
function points(result: QueryResult, countOf: 'values' | 'counts'): Map<string, string[]> {
  const found = new Map<string, string[]>();
  result.labels.forEach((labels, i) => {
    const row: string[] = [];
    for (let at = result.offsets[i]!; at < result.offsets[i + 1]!; at++) {
      const value = countOf === 'values' ? result.values[at]! : result.histograms![at]!.count;
      // Scaling and differences round in another order.
      row.push(`${result.timestampsMs[at]} ${Math.abs(value) < 1e-9 ? 0 : value.toPrecision(9)}`);
    }
    found.set(formatLabels(withoutLabels(labels, new Set([METRIC_NAME]))), row);
  });
  return found;
}

const SAME_AS_FLOATS = [
  'x',
  'x @ 100 offset 10s',
  'sum(x)',
  'avg without (i) (x)',
  'x * 3',
  'x / 4',
  '-x',
  'x + ignoring (i) group_left x{i="0"}',
  'x - x',
  'x or x',
  'x and on (i) x{i="1"}',
  'limitk(1, x)',
  'rate(x[3m])',
  'increase(x[3m])',
  'delta(x[3m])',
  'irate(x[3m])',
  'idelta(x[3m])',
  'sum_over_time(x[3m])',
  'avg_over_time(x[3m])',
  'first_over_time(x[3m])',
  'last_over_time(x[3m] offset 1m)',
  'sum(rate(x[2m]))',
  'increase(x[2m] anchored)',
  'increase(x[2m] smoothed)',
  'sum_over_time(x[5m:40s])',
  'rate(sum(x)[5m:30s])',
  'x[4m]',
];
const NUMBERS = ['count(x)', 'count_over_time(x[3m])', 'resets(x[3m])', 'changes(x[3m])', 'timestamp(x)', 'absent(x)', 'present_over_time(x[3m])', 'ts_of_last_over_time(x[3m])', 'x == bool x'];

describe.each(['wasm', 'js'] as const)('on %s kernels', (backend) => {
  const engine = createEngine({ kernels: createKernels({ backend }), parser: { experimentalFunctions: true, extendedRangeSelectors: true } });
  test.each([...SAME_AS_FLOATS.map((query) => [query, 'counts'] as const), ...NUMBERS.map((query) => [query, 'values'] as const)])('%s', async (query, kind) => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(SAMPLE, { maxLength: 12 }), { minLength: 1, maxLength: 4 }), async (all) => {
        const queryable = createMemoryQueryable(all.flatMap((samples, i) => pair(i, samples)));
        const run = (name: string): Promise<QueryResult> => {
          const expr = query.replaceAll(/\bx\b/g, name);
          return query.endsWith('m]') ? engine.instant({ expr, queryable, timeMs: 300_000 }) : engine.range({ expr, queryable, startMs: 0, endMs: 600_000, stepMs: 25_000 });
        };
        const [floats, histograms] = [await run('f'), await run('h')];
        expect(floats.histograms).toBeUndefined();
        expect(points(histograms, kind)).toEqual(points(floats, 'values'));
        floats.dispose();
        histograms.dispose();
      }),
      { numRuns: Number(process.env['GAUNTLET_RANDOM_QUERIES'] ?? 240) / 20 },
    );
  });
});
