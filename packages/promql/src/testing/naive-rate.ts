/**
 * Changes over a window: `rate`, `increase`, `delta` with extrapolation, `irate` and `idelta`, and the forms over `anchored` and `smoothed` ranges,
 * which know the values at both ends of the range instead. For floats and for native histograms.
 * Source: Prometheus promql/functions.go (3.14).
 */
import { compactHistogram, createHistogram, detectReset, divHistogram, type FloatHistogram, mulHistogram, reduceResolution, RESET_HINTS, usesCustomBuckets, withResetHint } from '@gauntlet/model';
import { floatLine, histogramLine, minus, plus, type Remarks } from './naive-interpolate.ts';
import type { NaiveValue } from './naive-samples.ts';
import type { Point, Window } from './naive-select.ts';

function asGauge(histogram: FloatHistogram): FloatHistogram {
  return compactHistogram(withResetHint(histogram, RESET_HINTS.gauge), 0);
}

function isGauge(value: NaiveValue): boolean {
  return typeof value !== 'number' && value.resetHint === RESET_HINTS.gauge;
}

/**
 * The change over a window, extrapolated to its ends where samples come near enough.
 * @param changeOfHistograms for windows of histograms
 */
export function extrapolated({ points, startMs, endMs }: Window, isCounter: boolean, isRate: boolean, changeOfHistograms?: () => FloatHistogram | undefined): NaiveValue | undefined {
  if (points.length < 2) return undefined;
  const first = points[0]!;
  const last = points.at(-1)!;
  const change = changeOfHistograms === undefined ? changeOfFloats(points.map(({ value }) => value as number), isCounter) : changeOfHistograms();
  if (change === undefined) return undefined;
  const [size, firstSize] = typeof change === 'number' ? [change, first.value as number] : [change.count, (first.value as FloatHistogram).count];

  const sampled = (last.timeMs - first.timeMs) / 1000;
  const average = sampled / (points.length - 1);
  let toStart = (first.timeMs - startMs) / 1000;
  let toEnd = (endMs - last.timeMs) / 1000;
  if (toStart >= average * 1.1) toStart = average / 2;
  // A counter was never negative.
  if (isCounter && size > 0 && firstSize >= 0) toStart = Math.min(toStart, sampled * (firstSize / size));
  if (toEnd >= average * 1.1) toEnd = average / 2;
  let factor = (sampled + toStart + toEnd) / sampled;
  if (isRate) factor /= (endMs - startMs) / 1000;
  return typeof change === 'number' ? change * factor : mulHistogram(change, factor);
}

/** Last minus first; what a counter had before each fall is added back. */
function changeOfFloats(values: readonly number[], isCounter: boolean): number {
  let change = values.at(-1)! - values[0]!;
  if (isCounter) for (let i = 1; i < values.length; i++) if (values[i]! < values[i - 1]!) change += values[i - 1]!;
  return change;
}

/** The same for histograms; undefined, with a remark, if exponential and custom buckets meet. */
export function histogramChange(points: readonly Point[], isCounter: boolean, remarks: Remarks): FloatHistogram | undefined {
  const { annotations, metricName, pos } = remarks;
  const all = points.map(({ value }) => value as FloatHistogram);
  const last = all.at(-1)!;
  if (all.length < 2) return undefined;
  // A first sample that a reset follows at once counts as empty, whatever its layout.
  const isResetAtOnce = isCounter && detectReset(all[1]!, all[0]!);
  const first = isResetAtOnce ? createHistogram({ schema: all[1]!.schema, customValues: all[1]!.customValues }) : all[0]!;
  const isGaugeAtEnds = isCounter && (isGauge(all[0]!) || isGauge(last));
  const between = isCounter ? all.slice(1, -1) : [];
  const isOdd = (one: FloatHistogram): boolean => usesCustomBuckets(one) !== usesCustomBuckets(first);
  if (isOdd(last) || between.some(isOdd)) {
    // A kind of buckets that differs in between drops the remark about gauges, one at the end does not.
    if (isOdd(last) && isGaugeAtEnds) annotations.histogramNotCounter(metricName, pos);
    annotations.mixedExponentialCustom(metricName, pos);
    return undefined;
  }
  if (isGaugeAtEnds || between.some(isGauge)) annotations.histogramNotCounter(metricName, pos);
  const schema = Math.min(first.schema, last.schema, ...between.map((one) => one.schema));
  let change = minus(usesCustomBuckets(last) ? last : reduceResolution(last, schema), first, remarks);
  let before = first;
  for (const current of isCounter ? all.slice(1) : []) {
    if (change !== undefined && detectReset(current, before)) change = plus(change, before, remarks);
    before = current;
  }
  if (!isCounter && !(isGauge(all[0]!) && isGauge(last))) annotations.histogramNotGauge(metricName, pos);
  return change === undefined ? undefined : asGauge(change);
}

/** irate or idelta of two neighbours. */
export function changeBetween(before: Point, after: Point, isRate: boolean, remarks: Remarks): NaiveValue | undefined {
  const { annotations, metricName, pos } = remarks;
  const seconds = isRate ? (after.timeMs - before.timeMs) / 1000 : 1;
  const [a, b] = [before.value, after.value];
  if (typeof a === 'number' && typeof b === 'number') return (isRate && b < a ? b : b - a) / seconds;
  if (typeof a === 'number' || typeof b === 'number') {
    annotations.mixedFloatsHistograms(metricName, pos);
    return undefined;
  }
  if (isRate && (isGauge(a) || isGauge(b))) annotations.histogramNotCounter(metricName, pos);
  if (!isRate && !(isGauge(a) && isGauge(b))) annotations.histogramNotGauge(metricName, pos);
  const change = isRate && detectReset(b, a) ? b : minus(b, a, remarks);
  if (change === undefined) return undefined;
  return isRate ? divHistogram(asGauge(change), seconds) : asGauge(change);
}

/** From the newest sample at or before the start on; nothing if no sample follows the start. */
export function anchoredPoints({ points, startMs }: Window): readonly Point[] {
  const inside = points.filter(({ timeMs }) => timeMs > startMs);
  const anchor = points.findLast(({ timeMs }) => timeMs <= startMs);
  return inside.length === 0 || anchor === undefined ? inside : [anchor, ...inside];
}

/** The samples from the one at or before the start to the one at or after the end (`smoothed`) or the last (`anchored`). */
function around({ points, startMs, endMs }: Window, isSmoothed: boolean): readonly Point[] {
  const firstInside = points.findIndex(({ timeMs }) => timeMs > startMs);
  if (firstInside === -1) return [];
  const after = isSmoothed ? points.findIndex(({ timeMs }) => timeMs >= endMs) : -1;
  const found = points.slice(Math.max(0, firstInside - 1), after === -1 ? undefined : after + 1);
  return isSmoothed && found[0]!.timeMs > endMs ? [] : found;
}

/** Difference of the values at both ends of the range, with what resets took away. */
export function extendedChange(window: Window, isSmoothed: boolean, isCounter: boolean, isRate: boolean): number | undefined {
  const { startMs, endMs } = window;
  const points = around(window, isSmoothed);
  if (points.length === 0) return undefined;
  const last = points.at(-1)!;
  const left = isSmoothed && points[0]!.timeMs < startMs ? floatLine(points[0]!, points[1]!, startMs, isCounter) : (points[0]!.value as number);
  const beforeLast = window.points[window.points.indexOf(last) - 1];
  const right = isSmoothed && last.timeMs > endMs && beforeLast !== undefined ? floatLine(beforeLast, last, endMs, isCounter) : (last.value as number);
  const inside = points.filter(({ timeMs }) => timeMs > startMs && timeMs < endMs).map(({ value }) => value as number);
  const path = [left, ...inside, right];
  let change = right - left;
  if (isCounter) {
    let lost = 0;
    for (let i = 1; i < path.length; i++) if (path[i]! < path[i - 1]!) lost += path[i - 1]!;
    change += lost;
  }
  return isRate ? change / ((endMs - startMs) / 1000) : change;
}

/** The same for histograms. */
export function extendedHistogramChange(window: Window, isSmoothed: boolean, isCounter: boolean, isRate: boolean, remarks: Remarks): FloatHistogram | undefined {
  const { annotations, metricName, pos } = remarks;
  const { startMs, endMs } = window;
  const points = around(window, isSmoothed);
  if (points.length === 0) return undefined;
  const all = points.map(({ value }) => value as FloatHistogram);
  const firstOdd = all.findIndex((one) => usesCustomBuckets(one) !== usesCustomBuckets(all[0]!));
  // Gauges before the place where kinds of buckets meet are remarked, those after it are not looked at.
  if (isCounter && all.slice(0, firstOdd === -1 ? undefined : firstOdd).some(isGauge)) annotations.histogramNotCounter(metricName, pos);
  if (firstOdd !== -1) {
    annotations.mixedExponentialCustom(metricName, pos);
    return undefined;
  }
  const last = points.at(-1)!;
  const beforeLast = window.points[window.points.indexOf(last) - 1];
  const isLeftMade = isSmoothed && points[0]!.timeMs < startMs;
  const left = isLeftMade ? histogramLine(points[0]!, points[1]!, startMs, isCounter, remarks) : all[0]!;
  if (left === undefined) return undefined;
  const right = isSmoothed && last.timeMs > endMs && beforeLast !== undefined ? histogramLine(beforeLast, last, endMs, isCounter, remarks) : all.at(-1)!;
  if (right === undefined) return undefined;
  if (!isCounter && !(isGauge(left) && isGauge(right))) annotations.histogramNotGauge(metricName, pos);
  let change = minus(right, left, remarks);
  if (change === undefined) return undefined;
  if (isCounter && all.length > 1) {
    // A reset between the two samples around the start is in the left value already.
    const isSeen = isLeftMade && detectReset(all[1]!, all[0]!);
    const path = [isSeen ? all[1]! : left, ...all.slice(isSeen ? 2 : 1, -1), ...(isSeen && all.length === 2 ? [] : [right])];
    let lost: FloatHistogram | undefined;
    for (const [i, current] of path.slice(1).entries()) {
      if (!detectReset(current, path[i]!)) continue;
      lost = lost === undefined ? path[i]! : plus(lost, path[i]!, remarks);
      if (lost === undefined) return undefined;
    }
    if (lost !== undefined) change = plus(change, lost, remarks);
    if (change === undefined) return undefined;
  }
  return asGauge(isRate ? divHistogram(change, (endMs - startMs) / 1000) : change);
}

/** `xrate`, `xincrease`, `xdelta`: from the last sample before the window to the last in it. */
export function extendedByX(func: string, { points, startMs, endMs, appearedMs }: Window): number | undefined {
  const values = (some: readonly Point[]): number[] => some.map(({ value }) => value as number);
  const before = points.findLast(({ timeMs }) => timeMs <= startMs);
  let used = [...(before === undefined ? [] : [before]), ...points.filter(({ timeMs }) => timeMs > startMs)];
  if (used.length === 0) return undefined;
  const rangeMs = endMs - startMs;
  const spacingOf = (some: readonly Point[]): number => (some.at(-1)!.timeMs - some[0]!.timeMs) / (some.length - 1);
  const isIncrease = func === 'xincrease';
  if (isIncrease && endMs <= appearedMs! + rangeMs && values(used).every((value, i, all) => i === 0 || value === all[i - 1])) return values(used)[0]!;
  if (!isIncrease && startMs - used[0]!.timeMs > spacingOf(used)) {
    if (used.length < 3) return 0;
    used = used.slice(1);
  }
  let change = values(used).at(-1)! - values(used)[0]!;
  if (func !== 'xdelta') {
    let lost = 0;
    [0, ...values(used)].forEach((value, i, all) => (lost += i > 0 && value < all[i - 1]! ? all[i - 1]! : 0));
    change += lost;
  }
  const [first, last] = [used[0]!.timeMs, used.at(-1)!.timeMs];
  if (!isIncrease && first <= startMs && endMs - last < spacingOf(used)) change *= rangeMs / (last - first);
  return func === 'xrate' ? change / (rangeMs / 1000) : change;
}
