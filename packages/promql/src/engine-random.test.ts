/**
 * Random queries with everything the language has: the engine against the naive evaluator, on both kinds of kernels, as instant and range queries.
 * GAUNTLET_RANDOM_QUERIES sets how many (600), GAUNTLET_SEED where to begin. A failure prints its seed and a small case with its data.
 */
import { describe, expect, test } from '@jest/globals';
import { createKernels } from '@gauntlet/kernels';
import { FUNCTION_SIGNATURES } from './functions/signatures.ts';
import { difference, engineAnswer, hasHistograms, naiveAnswer, type RandomCase } from './testing/compare-naive.ts';
import { randomFrom, randomSeries } from './testing/random-data.ts';
import { randomQuery, randomRangeVector } from './testing/random-query.ts';
import { printCase, shrinkCase } from './testing/shrink-case.ts';

const COUNT = Number(process.env['GAUNTLET_RANDOM_QUERIES'] ?? 600);
const FIRST_SEED = Number(process.env['GAUNTLET_SEED'] ?? 1);
/** Queries asked of the same data. */
const QUERIES_PER_DATA = 10;
const FAILURES_MAX = Number(process.env['GAUNTLET_FAILURES'] ?? 5);
const AGGREGATIONS = ['sum', 'avg', 'min', 'max', 'count', 'group', 'stddev', 'stdvar', 'quantile', 'topk', 'bottomk', 'count_values', 'limitk', 'limit_ratio'];

const backends = (['wasm', 'js'] as const).map((backend) => ({ backend, kernels: createKernels({ backend }) }));

function caseOf(random: () => number, series: RandomCase['series'], expr: string): RandomCase {
  const startMs = 900_000 + Math.floor(random() * 60) * 1000;
  const stepMs = [1000, 15_000, 60_000, 130_000][Math.floor(random() * 4)]!;
  const isInstant = random() < 0.3;
  return {
    expr,
    series,
    startMs,
    endMs: isInstant ? startMs : startMs + Math.floor(random() * 12) * stepMs + Math.floor(random() * 500),
    stepMs: isInstant ? 0 : stepMs,
    lookbackMs: [300_000, 300_000, 60_000, 17_000][Math.floor(random() * 4)]!,
    delayedNameRemoval: random() < 0.5,
    batchSeries: 1 + Math.floor(random() * 4),
  };
}

test('queries with every function and aggregation are made', () => {
  const used = new Set<string>();
  for (let seed = 1; seed <= 3000; seed++) randomQuery(randomFrom(seed), { everything: true, onUse: (name) => used.add(name) });
  expect([...FUNCTION_SIGNATURES.keys(), ...AGGREGATIONS, 'anchored', 'smoothed', '</', '>/', 'group_left', 'group_right', 'and', 'or', 'unless'].filter((name) => !used.has(name))).toEqual([]);
});

describe('random queries give what the naive evaluator gives', () => {
  test(`${COUNT} queries from seed ${FIRST_SEED}`, async () => {
    const wrong: string[] = [];
    const counts = { answered: 0, withSamples: 0, withHistograms: 0, withRemarks: 0 };
    let series: RandomCase['series'] = [];
    for (let seed = FIRST_SEED; seed < FIRST_SEED + COUNT && wrong.length < FAILURES_MAX; seed++) {
      if (series.length === 0 || seed % QUERIES_PER_DATA === 0) series = randomSeries(randomFrom(seed - (seed % QUERIES_PER_DATA)), 2_400_000);
      const random = randomFrom(seed * 7919);
      const asked = caseOf(random, series, randomQuery(random, { everything: true }));
      const one = asked.stepMs === 0 && random() < 0.1 ? { ...asked, expr: randomRangeVector(random, { everything: true }) } : asked;
      const want = naiveAnswer(one);
      if (want !== 'error') {
        counts.answered++;
        if (want.series.size > 0) counts.withSamples++;
        if (want.remarks.size > 0) counts.withRemarks++;
        if (hasHistograms(want)) counts.withHistograms++;
      }
      for (const { backend, kernels } of backends) {
        const found = difference(await engineAnswer(one, kernels), want);
        if (found === undefined) continue;
        const small = await shrinkCase(one, async (smaller) => difference(await engineAnswer(smaller, kernels), naiveAnswer(smaller)) !== undefined);
        wrong.push(`seed ${seed}, ${backend}: ${one.expr}\n  ${found}\n  ${difference(await engineAnswer(small, kernels), naiveAnswer(small))}\n${printCase(small)}`);
        break;
      }
    }
    expect(wrong.join('\n')).toBe('');
    // The generator must not degenerate into errors and empty answers.
    expect(counts.answered).toBeGreaterThan(COUNT * 0.7);
    expect(counts.withSamples).toBeGreaterThan(COUNT * 0.4);
    expect(counts.withHistograms).toBeGreaterThan(COUNT * 0.05);
    expect(counts.withRemarks).toBeGreaterThan(COUNT * 0.05);
  });
});
