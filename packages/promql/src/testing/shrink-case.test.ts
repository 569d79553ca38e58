/** Cases printed as scripts mean what they meant, and failing ones become small. */
import { expect, test } from '@jest/globals';
import { createKernels } from '@gauntlet/kernels';
import { createEngine } from '../engine.ts';
import { runScript } from '../promqltest/run-script.ts';
import { naiveAnswer, type RandomCase } from './compare-naive.ts';
import { randomFrom, randomSeries } from './random-data.ts';
import { EVERYTHING, randomQuery } from './random-query.ts';
import { printCase, shrinkCase } from './shrink-case.ts';

const engine = createEngine({ kernels: createKernels(), delayedNameRemoval: true, parser: EVERYTHING, annotationsMax: 0 });

function caseOf(seed: number, expr?: string): RandomCase {
  const random = randomFrom(seed);
  const series = randomSeries(random, 1_000_000);
  const times = { startMs: 900_000, endMs: 960_000, stepMs: 30_000 };
  return { expr: expr ?? randomQuery(random, { everything: true, depthMax: 2 }), series, ...times, lookbackMs: 300_000, delayedNameRemoval: true, batchSeries: 3 };
}

test('a printed case passes as a script', async () => {
  const problems: string[] = [];
  let passed = 0;
  for (let seed = 1; seed <= 25; seed++) {
    const outcomes = await runScript(printCase(caseOf(seed)), {
      instant: (queryable, expr, timeMs) => engine.instant({ expr, queryable, timeMs }),
      range: (queryable, expr, startMs, endMs, stepMs) => engine.range({ expr, queryable, startMs, endMs, stepMs }),
    });
    for (const { problem } of outcomes) {
      if (problem === undefined) passed++;
      else problems.push(`seed ${seed}: ${problem}`);
    }
  }
  expect(problems).toEqual([]);
  expect(passed).toBe(25);
});

test('a failing case becomes small: one function, one series, one sample', async () => {
  const failing = caseOf(7, 'sum by (job) (abs(rate(a_total[5m])) + on (job, instance) group_left () sqrt(b)) or (max_over_time(c[5m]) * 2)');
  // Stands for a mistake in max_over_time of series x.
  const fails = (one: RandomCase): Promise<boolean> => {
    const answer = one.expr.includes('max_over_time') ? naiveAnswer(one) : 'error';
    return Promise.resolve(answer !== 'error' && [...answer.series.keys()].some((labels) => labels.includes('job="x"')));
  };
  expect(await fails(failing)).toBe(true);
  const small = await shrinkCase(failing, fails);
  expect(small.expr).toBe('max_over_time(c[5m])');
  expect(small.endMs).toBe(small.startMs);
  expect(small.series.map(({ values }) => values.length)).toEqual([1]);
});
