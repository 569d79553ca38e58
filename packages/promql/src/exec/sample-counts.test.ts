/** Samples as `stats` counts them: by hand for single queries, and for random ones what a range query counts at a step is what an instant query counts there. */
import { describe, expect, test } from '@jest/globals';
import { createKernels } from '@gauntlet/kernels';
import { createEngine } from '../engine.ts';
import { PromqlError } from '../errors.ts';
import { loadSeries } from '../promqltest/load-data.ts';
import { createMemoryQueryable } from '../promqltest/memory-queryable.ts';
import { parseScript } from '../promqltest/parse-script.ts';
import type { QueryResult } from '../query-result.ts';
import { randomSeries } from '../testing/random-data.ts';
import { randomFrom, randomQuery } from '../testing/random-query.ts';

// A sample each 20 s; the histogram counts for 13 (168 bytes, 3 spans or buckets and more, over 16).
const DATA = `load 20s
  one 0+1x60
  two{i="a"} 0+1x60
  two{i="b"} 0+1x60
  native {{schema:0 count:4 sum:9 buckets:[1 2 1]}}x60
`;
const loads = parseScript(DATA).filter((statement) => statement.kind === 'load');
const queryable = createMemoryQueryable(loadSeries(loads));
const engine = createEngine({ kernels: createKernels({ backend: 'js' }), parser: { experimentalFunctions: true } });

function countsOf({ stats }: QueryResult): { total: number; read: number; steps: number[]; readSteps: number[] } {
  const { totalQueryableSamples, samplesRead, totalQueryableSamplesPerStep, samplesReadPerStep } = stats.counts!;
  return { total: totalQueryableSamples, read: samplesRead, steps: [...totalQueryableSamplesPerStep], readSteps: [...samplesReadPerStep] };
}

describe('an instant query at 310 s', () => {
  test.each([
    ['1', 0, 0, 0],
    ['one', 1, 1, 1],
    ['two', 2, 2, 2],
    ['one + two{i="a"}', 2, 2, undefined],
    // (250 s, 310 s] has 260, 280 and 300.
    ['two[1m]', 6, 6, 6],
    // A window and, beside it, what has come out.
    ['sum_over_time(one[1m])', 3, 3, 4],
    ['sum_over_time(two[1m])', 6, 6, 5],
    ['sum(sum_over_time(two[1m] @ 45))', 6, 6, 5],
    // 260, 270 … 310: the subquery's points count where they are looked at, the samples behind them where they are read.
    ['sum_over_time(one[1m:10s])', 6, 6, 13],
    // (190 s, 310 s] by minutes is 240 and 300, with three samples each; where the windows of a subquery touch, nothing is read twice.
    ['sum_over_time(sum_over_time(one[1m])[2m:1m])', 2, 6, undefined],
    ['one[1m:10s]', 6, 6, 6],
    ['timestamp(two)', 2, 2, undefined],
  ])('%s', async (expr, total, read, peak) => {
    const result = await engine.instant({ expr, queryable, timeMs: 310_000, counts: true });
    expect(countsOf(result)).toEqual({ total, read, steps: [total], readSteps: [read] });
    if (peak !== undefined) expect(result.stats.peakSamples).toBe(peak);
  });

  test('a histogram counts by its size', async () => {
    const one = countsOf(await engine.instant({ expr: 'native', queryable, timeMs: 310_000, counts: true })).total;
    expect(one).toBeGreaterThan(10);
    expect(countsOf(await engine.instant({ expr: 'histogram_sum(rate(native[1m]))', queryable, timeMs: 310_000, counts: true })).total).toBeGreaterThan(30);
    expect(countsOf(await engine.instant({ expr: 'native[1m]', queryable, timeMs: 310_000, counts: true })).total).toBe(3 * one);
  });

  test('nothing is counted unless asked for', async () => {
    expect((await engine.instant({ expr: 'one', queryable, timeMs: 310_000 })).stats).toEqual({ samples: 1, peakSamples: 1, series: 1 });
  });
});

describe('a range query from 300 s to 360 s by 30 s', () => {
  test.each([
    ['one', [1, 1, 1], [1, 1, 1]],
    // (240, 300], (270, 330], (300, 360]; what is new ends at 300, 330, 360.
    ['sum_over_time(one[1m])', [3, 3, 3], [3, 1, 2]],
    // No window overlaps another: 290 … 300, 320 … 330, 350 … 360.
    ['sum_over_time(one[10s])', [1, 0, 1], [1, 0, 1]],
    ['sum_over_time(one[1m] @ 300)', [3, 3, 3], [3, 0, 0]],
    ['one @ 300', [1, 1, 1], [1, 0, 0]],
    ['sum_over_time(one[1m:30s])', [2, 2, 2], [2, 1, 1]],
    ['sum(one) + sum(one)', [2, 2, 2], [2, 2, 2]],
  ])('%s', async (expr, steps, readSteps) => {
    const counts = countsOf(await engine.range({ expr, queryable, startMs: 300_000, endMs: 360_000, stepMs: 30_000, counts: true }));
    expect(counts.steps).toEqual(steps);
    expect(counts.readSteps).toEqual(readSteps);
    expect(counts.total).toBe(steps.reduce((sum, n) => sum + n, 0));
    expect(counts.read).toBe(readSteps.reduce((sum, n) => sum + n, 0));
  });
});

test('a step of a random range query counts what an instant query counts', async () => {
  let compared = 0;
  for (let seed = 1; seed <= 120; seed++) {
    const random = randomFrom(seed);
    const data = createMemoryQueryable(randomSeries(random, 1_200_000));
    const expr = randomQuery(random);
    // `start()` and `end()` are other times in an instant query.
    if (/@ (start|end)/.test(expr)) continue;
    const [startMs, stepMs, steps] = [600_000, 30_000, 4];
    try {
      const { stats } = await engine.range({ expr, queryable: data, startMs, endMs: startMs + (steps - 1) * stepMs, stepMs, counts: true });
      for (let k = 0; k < steps; k++) {
        const at = await engine.instant({ expr, queryable: data, timeMs: startMs + k * stepMs, counts: true });
        expect([seed, expr, k, stats.counts!.totalQueryableSamplesPerStep[k]]).toEqual([seed, expr, k, at.stats.counts!.totalQueryableSamples]);
      }
      compared++;
    } catch (error) {
      if (!(error instanceof PromqlError)) throw error;
    }
  }
  expect(compared).toBeGreaterThan(50);
});
