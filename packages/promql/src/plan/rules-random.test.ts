/**
 * Random queries with and without the rules of the planner: answers are equal to the bit, and so are remarks and counted samples. Each rule is also
 * left out alone. GAUNTLET_RANDOM_QUERIES sets how many (120), GAUNTLET_SEED where to begin; a failure prints its seed.
 */
import { describe, expect, test } from '@jest/globals';
import { createKernels } from '@gauntlet/kernels';
import { formatHistogram, formatLabels, formatMatcher, type Queryable, type SelectRequest, wordsOf } from '@gauntlet/model';
import { createEngine, type Engine, type EngineOptions, type RangeQuery } from '../engine.ts';
import { PromqlError } from '../errors.ts';
import { parseExpr } from '../parser/parse.ts';
import { createMemoryQueryable } from '../promqltest/memory-queryable.ts';
import type { QueryResult } from '../query-result.ts';
import { randomFrom, randomSeries } from '../testing/random-data.ts';
import { EVERYTHING, randomQuery } from '../testing/random-query.ts';
import { planQuery, RULES } from './plan-query.ts';
import { prepare } from './prepare.ts';
import type { RuleName } from './rule.ts';

const COUNT = Number(process.env['GAUNTLET_RANDOM_QUERIES'] ?? 120);
const FIRST_SEED = Number(process.env['GAUNTLET_SEED'] ?? 1);
/** Queries asked of the same data. */
const QUERIES_PER_DATA = 10;

/** Everything a user sees, values by their bits. */
function textOf(result: QueryResult): string {
  const { type, labels, offsets, timestampsMs, values, histograms, warnings, infos, stats } = result;
  const words = wordsOf(values.slice());
  const series = labels.map((one, i) => {
    const points: string[] = [];
    for (let j = offsets[i]!; j < offsets[i + 1]!; j++) {
      const histogram = histograms?.[j];
      points.push(`${timestampsMs[j]}:${histogram === undefined ? `${words[2 * j]}/${words[2 * j + 1]}` : formatHistogram(histogram)}`);
    }
    return `${formatLabels(one)} ${points.join(' ')}`;
  });
  const counts = stats.counts!;
  return [type, ...series, ...warnings, ...infos, counts.totalQueryableSamplesPerStep.join(), counts.samplesReadPerStep.join()].join('\n');
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
  const [a, b] = [randomQuery(random, { everything: true, depthMax: 2 }), randomQuery(random, { everything: true, depthMax: 2 })];
  const forms = [`(${a}) + (${a})`, `(${a}) / on (job) group_left () sum by (job) (${a})`, `((${a}) > 1) or (${b}) or (${a})`, `sum(${a}) / count(${a})`, `(${a}) unless (${b} and (${a}))`, `histogram_count(${a}) + (${a})`];
  const form = forms[Math.floor(random() * forms.length)]!;
  try {
    parseExpr(form, EVERYTHING);
    return form;
  } catch {
    // A scalar in the place of a vector.
    return a;
  }
}

// Hoisting is part of what queries mean.
const NEUTRAL = RULES.map((rule) => rule.name).filter((name) => name !== 'hoist-step-invariant');

describe('the rules of the planner change nothing that can be seen', () => {
  const kernels = createKernels({ backend: 'js' });
  const engineOf = (rulesOff: readonly RuleName[], options: Partial<EngineOptions> = {}): Engine => createEngine({ kernels, parser: EVERYTHING, annotationsMax: 0, rulesOff, ...options });
  const variants: readonly (readonly [name: string, off: readonly RuleName[]])[] = [['all rules', []], ...NEUTRAL.map((name) => [`without ${name}`, [name]] as const)];

  test(`${COUNT} queries from seed ${FIRST_SEED}`, async () => {
    const wrong: string[] = [];
    const applied = new Map<RuleName, number>();
    let series: ReturnType<typeof randomSeries> = [];
    for (let seed = FIRST_SEED; seed < FIRST_SEED + COUNT && wrong.length < 3; seed++) {
      if (series.length === 0 || seed % QUERIES_PER_DATA === 0) series = randomSeries(randomFrom(seed - (seed % QUERIES_PER_DATA)), 2_400_000);
      const random = randomFrom(seed * 7919);
      const queryable = createMemoryQueryable(series, { batchSeries: 1 + Math.floor(random() * 4) });
      const expr = seed % 2 === 0 ? randomQuery(random, { everything: true }) : repeating(random);
      const startMs = 900_000 + Math.floor(random() * 60) * 1000;
      const stepMs = [1000, 15_000, 60_000, 130_000][Math.floor(random() * 4)]!;
      const endMs = startMs + Math.floor(random() * 12) * stepMs + Math.floor(random() * 500);
      const options = { delayedNameRemoval: random() < 0.3, useStartTimestamps: random() < 0.3 };
      const query = { expr, queryable, startMs, endMs, stepMs, counts: true };
      const plain = engineOf(NEUTRAL, options);
      const wantRange = await answerOf(plain.range(query));
      const wantInstant = await answerOf(plain.instant({ ...query, timeMs: startMs }));
      for (const [name, off] of variants) {
        const engine = engineOf(off, options);
        const range = await answerOf(engine.range(query));
        if (range !== wantRange) wrong.push(`seed ${seed}, ${name}, range [${startMs}, ${endMs}] step ${stepMs} ${JSON.stringify(options)}: ${expr}\n got ${range}\nwant ${wantRange}`);
        const instant = await answerOf(engine.instant({ ...query, timeMs: startMs }));
        if (instant !== wantInstant) wrong.push(`seed ${seed}, ${name}, at ${startMs} ${JSON.stringify(options)}: ${expr}\n got ${instant}\nwant ${wantInstant}`);
      }
      for (const rule of appliedTo(expr, query)) applied.set(rule, (applied.get(rule) ?? 0) + 1);
    }
    expect(wrong).toEqual([]);
    // Queries must be such that the rules have something to do.
    for (const name of NEUTRAL.filter((rule) => rule !== 'fold-constants' && rule !== 'merge-matchers')) expect([name, (applied.get(name) ?? 0) > COUNT / 20]).toEqual([name, true]);
  });
});

function appliedTo(expr: string, { startMs, endMs, stepMs }: RangeQuery): readonly RuleName[] {
  const times = { startMs, endMs, stepMs };
  try {
    return planQuery(prepare(expr, parseExpr(expr, EVERYTHING), times), { times, lookbackMs: 300_000, noStepSubqueryIntervalMs: 60_000 }).applied;
  } catch (error) {
    if (error instanceof PromqlError) return [];
    throw error;
  }
}

test('planning alone says what samples are for: storage hears it with the rule, and without it only from info()', async () => {
  const kernels = createKernels({ backend: 'js' });
  const memory = createMemoryQueryable([]);
  let told = 0;
  for (let seed = 1; seed <= 300; seed++) {
    const expr = randomQuery(randomFrom(seed), { everything: true });
    const readsWith = async (rulesOff: readonly RuleName[]): Promise<SelectRequest[]> => {
      const seen: SelectRequest[] = [];
      const queryable: Queryable = {
        ...memory,
        select(request: SelectRequest) {
          seen.push(request);
          return memory.select(request);
        },
      };
      await createEngine({ kernels, parser: EVERYTHING, rulesOff }).range({ expr, queryable, startMs: 600_000, endMs: 900_000, stepMs: 60_000 }).catch(() => undefined);
      return seen;
    };
    const shown = (reads: readonly SelectRequest[]): unknown[] => reads.map(({ matchers, mint, maxt }) => [matchers.map(formatMatcher).join(), mint, maxt]);
    const planned = await readsWith(NEUTRAL.filter((name) => name !== 'select-hints'));
    const unplanned = await readsWith(NEUTRAL);
    expect([seed, expr, shown(planned)]).toEqual([seed, expr, shown(unplanned)]);
    expect([seed, expr, planned.filter((read) => read.hints === undefined)]).toEqual([seed, expr, []]);
    expect([seed, expr, unplanned.filter((read) => read.hints !== undefined && read.hints.func !== 'info')]).toEqual([seed, expr, []]);
    told += planned.length;
  }
  expect(told).toBeGreaterThan(300);
});
