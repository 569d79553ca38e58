/**
 * Random queries: the engine against the naive evaluator, on both kinds of kernels, as instant and as range queries.
 * GAUNTLET_RANDOM_QUERIES sets how many (400), GAUNTLET_SEED where to begin; a failure prints its seed.
 */
import { describe, expect, test } from '@jest/globals';
import { createKernels } from '@gauntlet/kernels';
import { compareLabels, formatLabels } from '@gauntlet/model';
import { createEngine, type Engine } from './engine.ts';
import { PromqlError } from './errors.ts';
import { parseExpr } from './parser/parse.ts';
import type { QueryResult } from './query-result.ts';
import { createMemoryQueryable } from './promqltest/memory-queryable.ts';
import { evaluateNaive, NaiveError, type Sample } from './testing/naive.ts';
import { randomFrom, randomQuery, randomSeries } from './testing/random-query.ts';

const COUNT = Number(process.env['GAUNTLET_RANDOM_QUERIES'] ?? 400);
const FIRST_SEED = Number(process.env['GAUNTLET_SEED'] ?? 1);
const LOOKBACK_MS = 300_000;

/** Series text → time → value. */
type Answer = Map<string, Map<number, number>>;

function answerOf(result: QueryResult): Answer {
  const answer: Answer = new Map();
  result.labels.forEach((labels, i) => {
    const points = new Map<number, number>();
    for (let j = result.offsets[i]!; j < result.offsets[i + 1]!; j++) points.set(result.timestampsMs[j]!, result.values[j]!);
    answer.set(formatLabels(labels), points);
  });
  return answer;
}

function naiveAnswer(expr: string, series: ReturnType<typeof randomSeries>, startMs: number, endMs: number, stepMs: number): Answer | 'error' {
  const tree = parseExpr(expr);
  const answer: Answer = new Map();
  const options = { series, lookbackMs: LOOKBACK_MS, noStepSubqueryIntervalMs: 60_000, startMs, endMs };
  try {
    for (let t = startMs; t <= endMs; t += stepMs) {
      for (const { labels, value } of evaluateNaive(tree, t, options) as Sample[]) {
        const key = formatLabels(labels);
        const known = answer.get(key) ?? new Map<number, number>();
        known.set(t, value);
        answer.set(key, known);
      }
    }
  } catch (error) {
    if (error instanceof NaiveError) return 'error';
    throw error;
  }
  return answer;
}

async function engineAnswer(run: Promise<QueryResult>): Promise<Answer | 'error'> {
  try {
    const result = await run;
    for (let i = 1; result.type === 'matrix' && i < result.labels.length; i++) {
      if (compareLabels(result.labels[i - 1]!, result.labels[i]!) >= 0) throw new Error('series are not in label order');
    }
    const answer = answerOf(result);
    result.dispose();
    return answer;
  } catch (error) {
    if (error instanceof PromqlError && error.code === 'ERR_EXECUTION') return 'error';
    throw error;
  }
}

/** Differences of summation order and of two ways to the variance; everything else is equal to the bit and passes too. */
function close(a: number, b: number): boolean {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) && Number.isNaN(b);
  return a === b || Math.abs(a - b) <= 1e-9 * Math.max(Math.abs(a), Math.abs(b)) || Math.abs(a - b) < 1e-9;
}

function difference(got: Answer | 'error', want: Answer | 'error'): string | undefined {
  if (got === 'error' || want === 'error') return got === want ? undefined : `got ${got === 'error' ? 'an error' : 'an answer'}, wanted the other`;
  for (const key of new Set([...got.keys(), ...want.keys()])) {
    const a = got.get(key) ?? new Map<number, number>();
    const b = want.get(key) ?? new Map<number, number>();
    for (const t of new Set([...a.keys(), ...b.keys()])) {
      const x = a.get(t);
      const y = b.get(t);
      if (x === undefined || y === undefined || !close(x, y)) return `${key} at ${t}: got ${x}, want ${y}`;
    }
  }
  return undefined;
}

describe('random queries give what the naive evaluator gives', () => {
  const engines: [string, Engine][] = (['wasm', 'js'] as const).map((backend) => [backend, createEngine({ kernels: createKernels({ backend }) })]);

  test(`${COUNT} queries from seed ${FIRST_SEED}`, async () => {
    const wrong: string[] = [];
    let answered = 0;
    let withSamples = 0;
    for (let seed = FIRST_SEED; seed < FIRST_SEED + COUNT && wrong.length < 5; seed++) {
      const random = randomFrom(seed);
      const series = randomSeries(random, 2_400_000);
      const queryable = createMemoryQueryable(series, { batchSeries: 1 + Math.floor(random() * 4) });
      const expr = randomQuery(random);
      const startMs = 900_000 + Math.floor(random() * 60) * 1000;
      const stepMs = [1000, 15_000, 60_000, 130_000][Math.floor(random() * 4)]!;
      const endMs = startMs + Math.floor(random() * 12) * stepMs + Math.floor(random() * 500);
      const want = naiveAnswer(expr, series, startMs, endMs, stepMs);
      const wantFirst = naiveAnswer(expr, series, startMs, startMs, 1);
      if (want !== 'error') {
        answered++;
        if (want.size > 0) withSamples++;
      }
      for (const [backend, engine] of engines) {
        // Range functions refuse series that differ in their name alone even if they never meet at one step (of the query, or of a
        // subquery), as in Prometheus; the naive evaluator sees one step at a time.
        const compare = (got: Answer | 'error', plain: Answer | 'error', hasSteps: boolean): string | undefined =>
          got === 'error' && plain !== 'error' && hasSteps && expr.includes('__name__') ? undefined : difference(got, plain);
        const range = compare(await engineAnswer(engine.range({ expr, queryable, startMs, endMs, stepMs })), want, true);
        if (range !== undefined) wrong.push(`seed ${seed}, ${backend}, range [${startMs}, ${endMs}] step ${stepMs}: ${expr}\n  ${range}`);
        const instant = compare(await engineAnswer(engine.instant({ expr, queryable, timeMs: startMs })), wantFirst, expr.includes(':'));
        if (instant !== undefined) wrong.push(`seed ${seed}, ${backend}, at ${startMs}: ${expr}\n  ${instant}`);
      }
    }
    expect(wrong).toEqual([]);
    // The generator must not degenerate into errors and empty answers.
    expect(answered).toBeGreaterThan(COUNT * 0.5);
    expect(withSamples).toBeGreaterThan(COUNT * 0.4);
  });
});
