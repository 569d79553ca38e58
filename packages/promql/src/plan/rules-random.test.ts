/**
 * Random queries with and without the rules of the planner: answers are equal to the bit, and so are remarks and counted samples. Each rule is also left out alone.
 * GAUNTLET_RANDOM_QUERIES sets how many (100), GAUNTLET_SEED where to begin; a failure prints its seed.
 */
import { describe, expect, test } from '@jest/globals';
import { createKernels } from '@gauntlet/kernels';
import { formatLabels, wordsOf } from '@gauntlet/model';
import { createEngine, type Engine } from '../engine.ts';
import { PromqlError } from '../errors.ts';
import { createMemoryQueryable } from '../promqltest/memory-queryable.ts';
import type { QueryResult } from '../query-result.ts';
import { randomSeries } from '../testing/random-data.ts';
import { randomFrom, randomQuery } from '../testing/random-query.ts';
import { RULES } from './plan-query.ts';

const COUNT = Number(process.env['GAUNTLET_RANDOM_QUERIES'] ?? 100);
const FIRST_SEED = Number(process.env['GAUNTLET_SEED'] ?? 1);

/** Everything a user sees, values by their bits. */
function textOf(result: QueryResult): string {
  const { type, labels, offsets, timestampsMs, values, warnings, infos, stats } = result;
  const words = wordsOf(values.slice());
  const series = labels.map((one, i) => {
    const points: string[] = [];
    for (let j = offsets[i]!; j < offsets[i + 1]!; j++) points.push(`${timestampsMs[j]}:${words[2 * j]}/${words[2 * j + 1]}`);
    return `${formatLabels(one)} ${points.join(' ')}`;
  });
  return [type, ...series, ...warnings, ...infos, stats.counts!.totalQueryableSamplesPerStep.join(), stats.counts!.samplesReadPerStep.join()].join('\n');
}

async function answerOf(run: Promise<QueryResult>): Promise<string> {
  try {
    const result = await run;
    const text = textOf(result);
    result.dispose();
    return text;
  } catch (error) {
    if (error instanceof PromqlError) return `${error.code} ${error.message}`;
    throw error;
  }
}

/** Queries in which something stands more than once, which random ones seldom have. */
function repeating(random: () => number): string {
  const [a, b] = [randomQuery(random), randomQuery(random)];
  const forms = [`(${a}) + (${a})`, `(${a}) / on (job) group_left () sum by (job) (${a})`, `((${a}) > 1) or (${b}) or (${a})`, `sum(${a}) / count(${a})`, `(${a}) unless (${b} and (${a}))`];
  return forms[Math.floor(random() * forms.length)]!;
}

describe('the rules of the planner change nothing that can be seen', () => {
  const kernels = createKernels({ backend: 'js' });
  // Hoisting is part of what queries mean.
  const names = RULES.map((rule) => rule.name).filter((name) => name !== 'hoist-step-invariant');
  const plain = createEngine({ kernels, rulesOff: names });
  const planned: [string, Engine][] = [['all rules', createEngine({ kernels })], ...names.map((name): [string, Engine] => [`without ${name}`, createEngine({ kernels, rulesOff: [name] })])];

  test(`${COUNT} queries from seed ${FIRST_SEED}`, async () => {
    const wrong: string[] = [];
    for (let seed = FIRST_SEED; seed < FIRST_SEED + COUNT && wrong.length < 3; seed++) {
      const random = randomFrom(seed);
      const series = randomSeries(random, 2_400_000);
      const queryable = createMemoryQueryable(series, { batchSeries: 1 + Math.floor(random() * 4) });
      const expr = seed % 2 === 0 ? randomQuery(random) : repeating(random);
      const startMs = 900_000 + Math.floor(random() * 60) * 1000;
      const stepMs = [1000, 15_000, 60_000, 130_000][Math.floor(random() * 4)]!;
      const endMs = startMs + Math.floor(random() * 12) * stepMs + Math.floor(random() * 500);
      const wantRange = await answerOf(plain.range({ expr, queryable, counts: true, startMs, endMs, stepMs }));
      const wantInstant = await answerOf(plain.instant({ expr, queryable, counts: true, timeMs: startMs }));
      for (const [name, engine] of planned) {
        const range = await answerOf(engine.range({ expr, queryable, counts: true, startMs, endMs, stepMs }));
        if (range !== wantRange) wrong.push(`seed ${seed}, ${name}, range [${startMs}, ${endMs}] step ${stepMs}: ${expr}\n got ${range}\nwant ${wantRange}`);
        const instant = await answerOf(engine.instant({ expr, queryable, counts: true, timeMs: startMs }));
        if (instant !== wantInstant) wrong.push(`seed ${seed}, ${name}, at ${startMs}: ${expr}\n got ${instant}\nwant ${wantInstant}`);
      }
    }
    expect(wrong).toEqual([]);
  });
});
