/** Makes a failing random case small, and prints it as a test script: data, query, and what the naive evaluator expects. */
import { formatHistogramLiteral, formatLabels, isStaleHistogram, isStaleNaN, wordsOf } from '@gauntlet/model';
import type { Expr } from '../parser/ast.ts';
import { valueType } from '../parser/check-types.ts';
import { childrenOf } from '../parser/children.ts';
import { parseExpr } from '../parser/parse.ts';
import { printExpr } from '../parser/print.ts';
import type { MemorySeries } from '../promqltest/memory-queryable.ts';
import { formatF } from '../functions/go-format.ts';
import { naiveAnswer, type RandomCase } from './compare-naive.ts';
import { DATA_STEP_MS } from './random-data.ts';
import { EVERYTHING } from './random-query.ts';

/** Smaller and smaller cases that still fail; at most `triesMax` are tried. */
export async function shrinkCase(failing: RandomCase, fails: (one: RandomCase) => Promise<boolean>, triesMax = 600): Promise<RandomCase> {
  let best = failing;
  let tries = 0;
  for (let found = true; found; ) {
    found = false;
    for (const candidate of smaller(best)) {
      if (++tries > triesMax) return best;
      if (!(await fails(candidate))) continue;
      best = candidate;
      found = true;
      break;
    }
  }
  return best;
}

/** Cases one step smaller: the most promising first. */
function* smaller(one: RandomCase): Generator<RandomCase, void, undefined> {
  if (one.endMs > one.startMs) {
    const steps = Math.floor((one.endMs - one.startMs) / one.stepMs);
    for (const endMs of [one.startMs, one.startMs + Math.floor(steps / 2) * one.stepMs, one.endMs - one.stepMs]) {
      if (endMs >= one.startMs && endMs < one.endMs) yield { ...one, endMs };
    }
    yield { ...one, startMs: one.startMs + one.stepMs };
  }
  for (const expr of smallerQueries(one.expr)) yield { ...one, expr };
  for (let size = one.series.length >> 1; size >= 1; size >>= 1) {
    for (let from = 0; from < one.series.length; from += size) yield { ...one, series: [...one.series.slice(0, from), ...one.series.slice(from + size)] };
  }
  for (const [i, series] of one.series.entries()) {
    const count = series.values.length;
    for (let size = count >> 1; size >= 1; size >>= 1) {
      for (let from = 0; from < count; from += size) yield { ...one, series: one.series.with(i, without(series, from, Math.min(count, from + size))) };
    }
  }
}

function without(series: MemorySeries, from: number, to: number): MemorySeries {
  const keep = (_value: unknown, i: number): boolean => i < from || i >= to;
  const columns = { labels: series.labels, timestampsMs: series.timestampsMs.filter(keep), values: new Float64Array(series.values.length - (to - from)) };
  columns.values.set(series.values.subarray(0, from));
  columns.values.set(series.values.subarray(to), from);
  return series.histograms === undefined ? columns : { ...columns, histograms: series.histograms.filter(keep) };
}

/** The query with a subtree replaced by a part of it of the same type. */
function* smallerQueries(text: string): Generator<string, void, undefined> {
  const root = parseExpr(text, EVERYTHING);
  const at = (expr: Expr): string => text.slice(expr.pos.start, expr.pos.end);
  const descendants = (expr: Expr): Expr[] => childrenOf(expr).flatMap((child) => [child, ...descendants(child)]);
  const seen = new Set<string>([text]);
  for (const expr of [root, ...descendants(root)]) {
    if (expr.type === 'string' || expr.type === 'number') continue;
    const parts = descendants(expr).filter((part) => valueType(part) === valueType(expr)).map(at);
    if (valueType(expr) === 'scalar') parts.push('1');
    if (expr.type === 'aggregate' && expr.grouping.length > 0) parts.push(printExpr({ ...expr, grouping: [], without: false }));
    for (const part of parts) {
      const candidate = `${text.slice(0, expr.pos.start)}${part}${text.slice(expr.pos.end)}`;
      if (seen.has(candidate) || candidate.length >= text.length) continue;
      seen.add(candidate);
      if (parses(candidate)) yield candidate;
    }
  }
}

function parses(text: string): boolean {
  try {
    parseExpr(text, EVERYTHING);
    return true;
  } catch {
    return false;
  }
}

/** The case as a script in the syntax of Prometheus' own tests. */
export function printCase(one: RandomCase): string {
  const { startMs, endMs, stepMs, expr } = one;
  const lines = [`# lookback ${one.lookbackMs} ms, delayed name removal ${one.delayedNameRemoval ? 'on' : 'off'}`, `load ${DATA_STEP_MS}ms`];
  for (const series of one.series) lines.push(`  ${formatSeries(formatLabels(series.labels))} ${formatSamples(series)}`);
  lines.push('', stepMs === 0 ? `eval instant at ${startMs}ms ${expr}` : `eval range from ${startMs}ms to ${endMs}ms step ${stepMs}ms ${expr}`);
  const answer = naiveAnswer(one);
  if (answer === 'error') return [...lines, '  expect fail', ''].join('\n');
  for (const remark of answer.remarks) lines.push(`  # ${remark}`);
  for (const [labels, points] of answer.series) {
    const texts: string[] = [];
    for (let time = startMs; time <= endMs; time += Math.max(1, stepMs)) {
      const value = points.get(time);
      texts.push(value === undefined ? '_' : typeof value === 'number' ? formatF(value) : formatHistogramLiteral(value));
    }
    lines.push(`  ${formatSeries(labels)} ${texts.join(' ')}`);
  }
  return [...lines, ''].join('\n');
}

/** Label text with the name in front, as scripts have it. */
function formatSeries(labels: string): string {
  const name = /__name__="([^"]*)"/.exec(labels)?.[1];
  return name === undefined ? labels : `${name}${labels.replace(/__name__="[^"]*"(, )?/, '')}`;
}

function formatSamples(series: MemorySeries): string {
  const words = wordsOf(series.values);
  let next = 0;
  const texts: string[] = [];
  series.timestampsMs.forEach((timeMs, i) => {
    const place = timeMs / DATA_STEP_MS;
    if (place > next) texts.push(`_x${place - next}`);
    next = place + 1;
    const histogram = series.histograms?.[i];
    if (isStaleNaN(words, i) || (histogram !== undefined && isStaleHistogram(histogram))) texts.push('stale');
    else texts.push(histogram === undefined ? formatF(series.values[i]!) : formatHistogramLiteral(histogram));
  });
  return texts.join(' ');
}

