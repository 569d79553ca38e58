/**
 * From stored samples to instant vectors and windows: matchers, lookback, staleness, offset, `@`, subqueries, `smoothed` vectors.
 *
 *   instant selector   the newest sample in (time − lookback, time], unless it is a stale marker
 *   range              all samples in (end − range, end], stale markers left out; `anchored` reaches back and `smoothed` to both sides by the lookback
 */
import { createHistogram, detectReset, type FloatHistogram, getLabel, isStaleHistogram, type Labels, type Matcher, RESET_HINTS, usesCustomBuckets, withResetHint } from '@gauntlet/model';
import type { DurationExpr, DurationOperand, MatrixSelector, SubqueryExpr, VectorSelector } from '../parser/ast.ts';
import type { MemorySeries } from '../promqltest/memory-queryable.ts';
import { floatLine, histogramLine } from './naive-interpolate.ts';
import { keyOf, NaiveError, type NaiveQuery, type NaiveValue, type Sample, type Scope, type Vectors } from './naive-samples.ts';

/** One sample of a series. */
export interface Point {
  readonly timeMs: number;
  readonly value: NaiveValue;
}

/** The samples of a series for one evaluation time. */
export interface Window {
  readonly points: readonly Point[];
  /** Time of the first float of the series in all that was read for the query. */
  readonly appearedMs: number | undefined;
  /** The range proper: (startMs, endMs]; points may lie outside for `anchored`, `smoothed` and functions that look before it. */
  readonly startMs: number;
  readonly endMs: number;
}

/** One series of a range vector, with a window per evaluation time. */
export interface WindowSeries {
  readonly labels: Labels;
  readonly dropName: boolean;
  readonly windows: readonly Window[];
}

interface StoredPoint {
  readonly timeMs: number;
  readonly value: NaiveValue | 'stale';
}

/** Value of a duration expression in seconds. */
function seconds(node: DurationOperand, query: NaiveQuery): number {
  if (node.type === 'number') return node.value;
  const [a, b] = [node.lhs, node.rhs].map((side) => (side === undefined ? 0 : seconds(side, query))) as [number, number];
  if ((node.op === '/' || node.op === '%') && b === 0) throw new NaiveError('division by zero');
  const results = { '+': a + b, '-': a - b, '*': a * b, '/': a / b, '%': a % b, '^': a ** b, min_of: Math.min(a, b), max_of: Math.max(a, b) };
  if (node.op === 'step') return query.stepMs / 1000;
  if (node.op === 'range') return (query.endMs - query.startMs) / 1000;
  return results[node.op];
}

/** Milliseconds of a duration that may be an expression. */
function duration(expr: DurationExpr | undefined, literalMs: number, query: NaiveQuery, mayBeNegative: boolean): number {
  if (expr === undefined) return literalMs;
  const value = seconds(expr, query);
  if (!Number.isFinite(value) || Math.abs(value) > 2 ** 63 / 1e9 || (value <= 0 && !mayBeNegative)) throw new NaiveError('bad duration');
  return Math.trunc(value * 1000);
}

/** Where a selector looks for an evaluation time. */
export function lookTime(node: VectorSelector | SubqueryExpr, timeMs: number, query: NaiveQuery): number {
  const pinned = node.startOrEnd === 'start' ? query.startMs : node.startOrEnd === 'end' ? query.endMs : node.timestampMs;
  return (pinned ?? timeMs) - duration(node.offsetExpr, node.originalOffsetMs, query, true);
}

/** Length of a range. */
export function rangeLength(node: MatrixSelector | SubqueryExpr, query: NaiveQuery): number {
  return duration(node.rangeExpr, node.rangeMs, query, false);
}

/** Series that all matchers match, in label order. */
export function matchingSeries(matchers: readonly Matcher[], query: NaiveQuery): MemorySeries[] {
  return query.series.filter((one) => matchers.every((m) => m.matches(getLabel(one.labels, m.name))));
}

function isStale(values: Float64Array, i: number): boolean {
  const view = new DataView(values.buffer, values.byteOffset + i * 8, 8);
  return view.getUint32(4, true) === 0x7ff00000 && view.getUint32(0, true) === 2;
}

/** Samples with fromMs ≤ time ≤ toMs; where only counts and sums are looked at, histograms come without buckets. */
export function storedPoints(series: MemorySeries, fromMs: number, toMs: number, histograms: Scope['histograms']): StoredPoint[] {
  const points: StoredPoint[] = [];
  let before: FloatHistogram | undefined;
  series.timestampsMs.forEach((timeMs, i) => {
    if (timeMs < fromMs || timeMs > toMs) return;
    const histogram = series.histograms?.[i];
    if (isStale(series.values, i) || (histogram !== undefined && isStaleHistogram(histogram))) points.push({ timeMs, value: 'stale' });
    else if (histogram === undefined) points.push({ timeMs, value: series.values[i]! });
    else {
      points.push({ timeMs, value: histograms === 'stats' ? withoutBuckets(histogram, before) : histogram });
      before = histogram;
    }
  });
  return points;
}

/** Count and sum alone, and as hint whether buckets fell since the histogram before. */
function withoutBuckets({ schema, count, sum, resetHint, ...buckets }: FloatHistogram, before: FloatHistogram | undefined): FloatHistogram {
  let hint = resetHint;
  if (hint === RESET_HINTS.unknown && before !== undefined) {
    hint = detectReset({ schema, count, sum, resetHint, ...buckets }, before) ? RESET_HINTS.reset : RESET_HINTS.notReset;
  }
  return createHistogram({ schema, count, sum, resetHint: hint });
}

/** The newest sample that counts at a time; undefined if there is none or it is a stale marker. */
export function newestPoint(points: readonly StoredPoint[], atMs: number, lookbackMs: number): Point | undefined {
  const found = points.findLast(({ timeMs }) => timeMs <= atMs && timeMs > atMs - lookbackMs);
  return found === undefined || found.value === 'stale' ? undefined : { timeMs: found.timeMs, value: found.value };
}

/**
 * An instant selector: per time the newest samples, with the times they have (for `timestamp`).
 * @param asked the times for which storage is read
 */
export function selectPoints(selector: VectorSelector, scope: Scope, looks: readonly number[], asked: readonly number[] = looks): { readonly labels: Labels; readonly point: Point }[][] {
  const { query } = scope;
  const series = matchingSeries(selector.matchers, query).map(({ labels, ...columns }) => ({
    labels,
    points: storedPoints({ labels, ...columns }, Math.min(...asked) - query.lookbackMs + 1, Math.max(...asked), scope.histograms),
  }));
  return looks.map((look) =>
    series.flatMap(({ labels, points }) => {
      const point = newestPoint(points, look, query.lookbackMs);
      return point === undefined ? [] : [{ labels, point }];
    }),
  );
}

/** A vector selector. */
export function selectInstant(selector: VectorSelector, scope: Scope): Vectors {
  const looks = scope.times.map((time) => lookTime(selector, time, scope.query));
  if (selector.smoothed) return selectSmoothed(selector, scope, looks);
  return selectPoints(selector, scope, looks).map((found) => found.map(({ labels, point }) => ({ labels, value: point.value, dropName: false })));
}

/** `x smoothed`: the line between the samples around each time, or the older one if there is no newer. */
function selectSmoothed(selector: VectorSelector, scope: Scope, looks: readonly number[]): Vectors {
  const { query } = scope;
  const { annotations, lookbackMs } = query;
  const all = matchingSeries(selector.matchers, query).map((series) => ({
    labels: series.labels,
    points: freshPoints(storedPoints(series, Math.min(...looks) - lookbackMs + 1, Math.max(...looks) + lookbackMs, scope.histograms)),
  }));
  return looks.map((look) =>
    all.flatMap(({ labels, points }): Sample[] => {
      const near = points.filter(({ timeMs }) => timeMs > look - lookbackMs && timeMs <= look + lookbackMs);
      const name = getLabel(labels, '__name__');
      if (new Set(near.map(({ value }) => typeof value)).size > 1) {
        annotations.mixedFloatsHistograms(name, selector.pos);
        return [];
      }
      const next = near.find(({ timeMs }) => timeMs >= look);
      const previous = near.findLast(({ timeMs }) => timeMs < look);
      let value: NaiveValue | undefined;
      if (next?.timeMs === look) ({ value } = next);
      else if (previous !== undefined && next === undefined) value = typeof previous.value === 'number' ? previous.value : withResetHint(previous.value, RESET_HINTS.unknown);
      else if (previous !== undefined && next !== undefined) value = between(previous, next, look, { annotations, metricName: name, pos: selector.pos });
      return value === undefined ? [] : [{ labels, value, dropName: false }];
    }),
  );
}

function between(previous: Point, next: Point, atMs: number, remarks: Parameters<typeof histogramLine>[4]): NaiveValue | undefined {
  const [a, b] = [previous.value, next.value];
  if (typeof a === 'number' || typeof b === 'number') return floatLine(previous, next, atMs, false);
  if (usesCustomBuckets(a) !== usesCustomBuckets(b)) {
    remarks.annotations.mixedExponentialCustom(remarks.metricName, remarks.pos);
    return undefined;
  }
  return histogramLine(previous, next, atMs, a.resetHint !== RESET_HINTS.gauge || b.resetHint !== RESET_HINTS.gauge, remarks);
}

function freshPoints(points: readonly StoredPoint[]): Point[] {
  return points.filter((point): point is Point => point.value !== 'stale');
}

/** A range vector. */
export function selectWindows(range: MatrixSelector | SubqueryExpr, scope: Scope, lookBehindMs = 0, keepsHints = false): WindowSeries[] {
  const { query } = scope;
  const selector = range.type === 'matrixSelector' ? range.vector : range;
  const rangeMs = rangeLength(range, query);
  const ends = scope.times.map((time) => lookTime(selector, time, query));
  let [before, after] = [range.type === 'matrixSelector' ? lookBehindMs : 0, 0];
  if (range.type === 'matrixSelector' && (range.vector.anchored || range.vector.smoothed)) before = query.lookbackMs;
  if (range.type === 'matrixSelector' && range.vector.smoothed) after = query.lookbackMs;
  const first = Math.min(...ends) - rangeMs - before + 1;
  const last = Math.max(...ends) + after;
  const series =
    range.type === 'subquery'
      ? subquerySeries(range, scope, ends, rangeMs, keepsHints)
      : matchingSeries(range.vector.matchers, query).map((one) => ({ labels: one.labels, dropName: false, points: freshPoints(storedPoints(one, first, last, scope.histograms)) }));
  return series.map(({ labels, dropName, points }) => ({
    labels,
    dropName,
    windows: ends.map((endMs) => ({
      appearedMs: points.find(({ value }) => typeof value === 'number')?.timeMs,
      points: points.filter(({ timeMs }) => timeMs > endMs - rangeMs - before && timeMs <= endMs + after),
      startMs: endMs - rangeMs,
      endMs,
    })),
  }));
}

/** A subquery as series: evaluated at multiples of its step, over all windows at once. */
export function subquerySeries(subquery: SubqueryExpr, scope: Scope, ends: readonly number[], rangeMs: number, keepsHints: boolean): { labels: Labels; dropName: boolean; points: Point[] }[] {
  const { query } = scope;
  const ownStep = duration(subquery.stepExpr, subquery.stepMs, query, false);
  const stepMs = ownStep === 0 ? query.noStepSubqueryIntervalMs : ownStep;
  const startMs = Math.min(...ends) - rangeMs;
  const times: number[] = [];
  let time = Math.trunc(startMs / stepMs) * stepMs;
  if (time <= startMs) time += stepMs;
  for (; time <= Math.max(...ends); time += stepMs) times.push(time);
  if (times.length === 0) return [];
  const vectors = scope.vectors(subquery.expr, { ...scope, times, endMs: Math.max(...ends), histograms: 'always whole' });
  const series = new Map<string, { labels: Labels; dropName: boolean; points: Point[] }>();
  vectors.forEach((samples, k) => {
    const twins = new Map<string, number>();
    for (const { labels, value, dropName } of samples) {
      // At a single time a label set may still occur twice: names are dropped later.
      const twin = twins.get(keyOf(labels)) ?? 0;
      twins.set(keyOf(labels), twin + 1);
      const key = `${keyOf(labels)}${twin}`;
      if (!series.has(key)) series.set(key, { labels, dropName, points: [] });
      // Hints tell of neighbours in storage, not of neighbouring steps.
      const isHinted = !keepsHints && typeof value !== 'number' && value.resetHint !== RESET_HINTS.gauge;
      series.get(key)!.points.push({ timeMs: times[k]!, value: isHinted ? withResetHint(value, RESET_HINTS.unknown) : value });
    }
  });
  return [...series.values()];
}
