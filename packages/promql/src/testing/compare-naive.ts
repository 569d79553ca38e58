/**
 * One random case: data, query and times, its answer by the engine and by the naive evaluator, and what differs between the two.
 *
 * Compared are series, their presence at each time, floats (equal, or within 1e-9 of the larger operand where the order of additions is not
 * defined), native histograms field by field, the order of series, errors by kind, and remarks without their place in the query.
 */
import type { Kernels } from '@gauntlet/kernels';
import { compactHistogram, compareLabels, type FloatHistogram, formatHistogram, formatLabels, histogramsAlmostEqual } from '@gauntlet/model';
import { Annotations } from '../annotations.ts';
import { createEngine } from '../engine.ts';
import { PromqlError } from '../errors.ts';
import { parseExpr } from '../parser/parse.ts';
import { createMemoryQueryable, type MemorySeries } from '../promqltest/memory-queryable.ts';
import type { QueryResult } from '../query-result.ts';
import { evaluateNaive, NaiveError, type NaiveValue } from './naive.ts';
import { EVERYTHING } from './random-query.ts';

/** Everything a query depends on. */
export interface RandomCase {
  readonly expr: string;
  readonly series: readonly MemorySeries[];
  readonly startMs: number;
  /** Equal to `startMs` for an instant query, whose step is 0. */
  readonly endMs: number;
  readonly stepMs: number;
  readonly lookbackMs: number;
  readonly delayedNameRemoval: boolean;
  readonly batchSeries: number;
}

/** Series text → time → value, and remarks. */
export interface Answer {
  readonly series: Map<string, Map<number, NaiveValue>>;
  readonly remarks: ReadonlySet<string>;
}

/** What the naive evaluator says; 'error' for what is refused. */
export function naiveAnswer(one: RandomCase): Answer | 'error' {
  const annotations = new Annotations();
  const query = { ...one, noStepSubqueryIntervalMs: 60_000, annotations };
  try {
    const series: Answer['series'] = new Map();
    for (const { labels, timeMs, value } of evaluateNaive(parseExpr(one.expr, EVERYTHING), query)) {
      const points = series.get(formatLabels(labels)) ?? new Map<number, NaiveValue>();
      series.set(formatLabels(labels), points.set(timeMs, value));
    }
    const { warnings, infos } = annotations.toStrings(one.expr, 0);
    return { series, remarks: new Set([...warnings, ...infos].map(withoutPlace)) };
  } catch (error) {
    if (error instanceof NaiveError) return 'error';
    throw error;
  }
}

/** What the engine says. */
export async function engineAnswer(one: RandomCase, kernels: Kernels): Promise<Answer | 'error'> {
  try {
    const result = await runEngine(one, kernels);
    const answer = answerOf(result, one);
    result.dispose();
    return answer;
  } catch (error) {
    if (error instanceof PromqlError && error.code === 'ERR_EXECUTION') return 'error';
    throw error;
  }
}

/** The engine's answer as it is. */
export async function runEngine(one: RandomCase, kernels: Kernels, queryable = createMemoryQueryable(one.series, { batchSeries: one.batchSeries })): Promise<QueryResult> {
  const { expr, startMs, endMs, stepMs } = one;
  const engine = createEngine({ kernels, delayedNameRemoval: one.delayedNameRemoval, lookbackDeltaMs: one.lookbackMs, parser: EVERYTHING, annotationsMax: 0 });
  return stepMs === 0 ? engine.instant({ expr, queryable, timeMs: startMs }) : engine.range({ expr, queryable, startMs, endMs, stepMs });
}

function answerOf(result: QueryResult, { expr, stepMs }: RandomCase): Answer {
  const series: Answer['series'] = new Map();
  let before = NaN;
  result.labels.forEach((labels, i) => {
    if (stepMs > 0 && i > 0 && compareLabels(result.labels[i - 1]!, labels) >= 0) throw new Error('series are not in label order');
    const points = new Map<number, NaiveValue>();
    for (let j = result.offsets[i]!; j < result.offsets[i + 1]!; j++) points.set(result.timestampsMs[j]!, result.histograms?.[j] ?? result.values[j]!);
    if (series.has(formatLabels(labels))) throw new Error('a series occurs twice');
    series.set(formatLabels(labels), points);
    // The order of an instant answer is promised by sort: equal values may stand in any order, NaN stands last.
    const isSorted = stepMs === 0 && /^sort(_desc)?\(/.test(expr);
    if (isSorted) {
      const [value, sign] = [result.values[i]!, expr.startsWith('sort_desc') ? -1 : 1];
      if (sign * before > sign * value || (i > 0 && Number.isNaN(before) && !Number.isNaN(value))) throw new Error('series are not in order of values');
      before = value;
    }
  });
  return { series, remarks: new Set([...result.warnings, ...result.infos].map(withoutPlace)) };
}

/** Of remarks made at several places one is kept, and which one depends on the order of evaluation; so do the figures about repaired buckets. */
function withoutPlace(text: string): string {
  return text.replace(/ \(\d+:\d+\)$/, '').replace(/, from buckets .*$/, '');
}

function close(a: number, b: number): boolean {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) && Number.isNaN(b);
  return a === b || Math.abs(a - b) <= 1e-9 * Math.max(Math.abs(a), Math.abs(b));
}

function same(a: NaiveValue, b: NaiveValue): boolean {
  if (typeof a === 'number' || typeof b === 'number') return typeof a === 'number' && typeof b === 'number' && close(a, b);
  return a.resetHint === b.resetHint && histogramsAlmostEqual(compactHistogram(a, 0), compactHistogram(b, 0), close);
}

function show(value: NaiveValue | undefined): string {
  return typeof value === 'object' ? `${formatHistogram(value)} schema ${value.schema} hint ${value.resetHint}` : String(value);
}

/** The first difference, in words. */
export function difference(got: Answer | 'error', want: Answer | 'error'): string | undefined {
  if (got === 'error' || want === 'error') return got === want ? undefined : `got ${got === 'error' ? 'an error' : 'an answer'}, wanted the other`;
  for (const key of new Set([...got.series.keys(), ...want.series.keys()])) {
    const [a, b] = [got.series.get(key), want.series.get(key)];
    for (const time of new Set([...(a?.keys() ?? []), ...(b?.keys() ?? [])])) {
      const [x, y] = [a?.get(time), b?.get(time)];
      if (x === undefined || y === undefined || !same(x, y)) return `${key} at ${time}: got ${show(x)}, want ${show(y)}`;
    }
  }
  const missing = [...want.remarks].filter((text) => !got.remarks.has(text));
  const extra = [...got.remarks].filter((text) => !want.remarks.has(text));
  return missing.length + extra.length > 0 ? `remarks missing ${JSON.stringify(missing)}, extra ${JSON.stringify(extra)}` : undefined;
}

/** Whether any sample of an answer is a native histogram. */
export function hasHistograms(answer: Answer): boolean {
  return [...answer.series.values()].some((points) => [...points.values()].some((value): value is FloatHistogram => typeof value === 'object'));
}
