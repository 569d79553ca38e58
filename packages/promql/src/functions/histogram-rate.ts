/**
 * rate, increase, delta, irate and idelta of native histograms: what floats do, bucket by bucket. A counter reset in any bucket resets all of them.
 * The results are gauges. Source: Prometheus promql/functions.go, histogramRate, extendedHistogramRate, instantValue (3.14).
 */
import {
  addHistograms,
  compactHistogram,
  createHistogram,
  detectReset,
  divHistogram,
  type FloatHistogram,
  mulHistogram,
  reduceResolution,
  RESET_HINTS,
  subHistograms,
  usesCustomBuckets,
  withResetHint,
} from '@gauntlet/model';
import type { Annotations } from '../annotations.ts';
import type { PositionRange } from '../parser/ast.ts';
import type { HistogramList } from '../exec/histogram-list.ts';
import { isStartOverlap, isStartReset, startsInside } from './start-timestamps.ts';

/** Histograms [lo, hi) of a series that lie in one window. */
export interface HistogramWindow {
  readonly timesMs: ArrayLike<number>;
  readonly histograms: HistogramList;
  /** Start timestamps of the histograms, 0 = not known; undefined if no sample of the series has one. */
  readonly starts: ArrayLike<number> | undefined;
  readonly lo: number;
  readonly hi: number;
  readonly startMs: number;
  readonly endMs: number;
}

/** Where remarks go, and what they name. */
export interface Remarks {
  readonly annotations: Annotations;
  readonly metricName: string;
  readonly pos: PositionRange;
}

/** `left + right` (or `left − right`) with remarks; undefined if they do not go together. */
function combined(remarks: Remarks, left: FloatHistogram, right: FloatHistogram, operation: 'addition' | 'subtraction'): FloatHistogram | undefined {
  const result = operation === 'addition' ? addHistograms(left, right) : subHistograms(left, right);
  // Conflicting reset hints are no matter here: resets are looked at one by one.
  if (result === undefined) remarks.annotations.mixedExponentialCustom(remarks.metricName, remarks.pos);
  else if (result.boundsReconciled) remarks.annotations.mismatchedCustomBuckets(operation, remarks.pos);
  return result?.histogram;
}

/** What rates are about: what may be assumed of the series, and whether the result is per second. */
export interface RateKind {
  readonly isCounter: boolean;
  readonly isRate: boolean;
}

/** rate, increase or delta of a window, extrapolated to its ends. */
export function rateOfHistograms(window: HistogramWindow, { isCounter, isRate }: RateKind, remarks: Remarks): FloatHistogram | undefined {
  const { timesMs, histograms, starts, lo, hi, startMs, endMs } = window;
  const firstMs = timesMs[lo]!;
  const lastMs = timesMs[hi - 1]!;
  const knowsStart = isCounter && starts !== undefined && startsInside(starts[lo]!, firstMs, startMs);
  if (hi - lo < 2 && !knowsStart) return undefined;
  const change = hi - lo < 2 ? undefined : changeOver(window, isCounter, remarks);
  if (hi - lo >= 2 && change === undefined) return undefined;
  const averageSeconds = hi - lo < 2 ? 0 : (lastMs - firstMs) / 1000 / (hi - lo - 1);
  if (knowsStart) {
    // The counter was empty at its start: nothing is left to extrapolate on that side.
    const all = change === undefined ? histograms.at(lo) : combined(remarks, change, histograms.at(lo), 'addition');
    if (all === undefined) return undefined;
    const sampledSeconds = (lastMs - starts[lo]!) / 1000;
    const left = (endMs - lastMs) / 1000;
    const toEnd = left >= averageSeconds * 1.1 ? averageSeconds / 2 : left;
    const factor = (sampledSeconds + toEnd) / sampledSeconds;
    return mulHistogram(all, isRate ? factor / ((endMs - startMs) / 1000) : factor);
  }
  return extrapolated(window, change!, { isCounter, isRate });
}

/** The change over at least two samples, stretched towards both ends of the window. */
function extrapolated({ timesMs, histograms, lo, hi, startMs, endMs }: HistogramWindow, change: FloatHistogram, kind: RateKind): FloatHistogram {
  return mulHistogram(change, rateFactor(timesMs, lo, hi, startMs, endMs, histograms.countAt(lo), change.count, kind));
}

/**
 * What a change over the samples [lo, hi), at least two, is multiplied with to become that of the window.
 * @param firstCount observations of the first sample; `change` how many came
 */
export function rateFactor(timesMs: ArrayLike<number>, lo: number, hi: number, startMs: number, endMs: number, firstCount: number, change: number, { isCounter, isRate }: RateKind): number {
  const firstMs = timesMs[lo]!;
  const lastMs = timesMs[hi - 1]!;
  const sampledSeconds = (lastMs - firstMs) / 1000;
  const averageSeconds = sampledSeconds / (hi - lo - 1);
  const threshold = averageSeconds * 1.1;
  let toStart = (firstMs - startMs) / 1000;
  let toEnd = (endMs - lastMs) / 1000;
  if (toStart >= threshold) toStart = averageSeconds / 2;
  if (isCounter && change > 0 && firstCount >= 0) {
    // A counter was not below zero: it is not extrapolated beyond the time at which it would have been zero.
    const toZero = sampledSeconds * (firstCount / change);
    if (toZero < toStart) toStart = toZero;
  }
  if (toEnd >= threshold) toEnd = averageSeconds / 2;
  const factor = (sampledSeconds + toStart + toEnd) / sampledSeconds;
  return isRate ? factor / ((endMs - startMs) / 1000) : factor;
}

/** Last minus first, with what was lost in resets added back for counters. */
function changeOver({ timesMs, histograms, starts, lo, hi }: HistogramWindow, isCounter: boolean, remarks: Remarks): FloatHistogram | undefined {
  const { annotations, metricName, pos } = remarks;
  const restarts = (i: number): boolean => starts !== undefined && isStartReset(starts[i - 1]!, timesMs[i - 1]!, starts[i]!, timesMs[i]!);
  const first = histograms.at(lo);
  const last = histograms.at(hi - 1);
  let before = first;
  if (isCounter) {
    const second = histograms.at(lo + 1);
    // After a reset the layout of the first sample is of no interest.
    if (restarts(lo + 1) || histograms.isReset(lo + 1)) before = createHistogram({ schema: second.schema, customValues: second.customValues });
  }
  const isCustom = usesCustomBuckets(before);
  let schema = Math.min(last.schema, before.schema);
  let isGauge = first.resetHint === RESET_HINTS.gauge || last.resetHint === RESET_HINTS.gauge;
  let isMixed = usesCustomBuckets(last) !== isCustom;
  // Prometheus keeps this remark beside the other where the last sample is the odd one, and drops it where one in between is.
  if (isCounter && isGauge && isMixed) annotations.histogramNotCounter(metricName, pos);
  for (let i = lo + 1; isCounter && i < hi - 1; i++) {
    const histogram = histograms.at(i);
    schema = Math.min(schema, histogram.schema);
    isGauge ||= histogram.resetHint === RESET_HINTS.gauge;
    isMixed ||= usesCustomBuckets(histogram) !== isCustom;
  }
  if (isMixed) {
    annotations.mixedExponentialCustom(metricName, pos);
    return undefined;
  }
  if (isCounter && isGauge) annotations.histogramNotCounter(metricName, pos);
  let change = combined(remarks, isCustom ? last : reduceResolution(last, schema), before, 'subtraction');
  if (isCounter) {
    let isOverlapping = false;
    for (let i = lo + 1; i < hi && change !== undefined; i++) {
      if (starts !== undefined && !isOverlapping && isStartOverlap(starts[i - 1]!, timesMs[i - 1]!, starts[i]!)) {
        annotations.startTimeOverlap(metricName, pos);
        isOverlapping = true;
      }
      if (restarts(i) || (before === histograms.at(i - 1) ? histograms.isReset(i) : detectReset(histograms.at(i), before))) change = combined(remarks, change, before, 'addition');
      before = histograms.at(i);
    }
  } else if (first.resetHint !== RESET_HINTS.gauge || last.resetHint !== RESET_HINTS.gauge) annotations.histogramNotGauge(metricName, pos);
  return change === undefined ? undefined : compactHistogram(withResetHint(change, RESET_HINTS.gauge), 0);
}

/** irate (`isRate`) or idelta of two histograms; `isRestart`: start timestamps tell a reset between them. */
export function instantRateOfHistograms(
  before: FloatHistogram,
  beforeMs: number,
  after: FloatHistogram,
  afterMs: number,
  isRate: boolean,
  isRestart: boolean,
  remarks: Remarks,
): FloatHistogram | undefined {
  const { annotations, metricName, pos } = remarks;
  const [a, b] = [before.resetHint === RESET_HINTS.gauge, after.resetHint === RESET_HINTS.gauge];
  if (isRate && (a || b)) annotations.histogramNotCounter(metricName, pos);
  if (!isRate && (!a || !b)) annotations.histogramNotGauge(metricName, pos);
  let change: FloatHistogram | undefined = after;
  if (!isRate || (!isRestart && !detectReset(after, before))) change = combined(remarks, after, before, 'subtraction');
  if (change === undefined) return undefined;
  const gauge = compactHistogram(withResetHint(change, RESET_HINTS.gauge), 0);
  return isRate ? divHistogram(gauge, (afterMs - beforeMs) / 1000) : gauge;
}

/** The histogram on the line between two at a time between them; a counter that was reset starts again from nothing. */
export function interpolateHistograms(
  before: FloatHistogram,
  beforeMs: number,
  after: FloatHistogram,
  afterMs: number,
  timeMs: number,
  isCounter: boolean,
  remarks: Remarks,
): FloatHistogram | undefined {
  if (timeMs === beforeMs) return before;
  if (timeMs === afterMs) return after;
  const fraction = (timeMs - beforeMs) / (afterMs - beforeMs);
  if (isCounter && detectReset(after, before)) return mulHistogram(after, fraction);
  const change = combined(remarks, after, before, 'subtraction');
  return change === undefined ? undefined : combined(remarks, mulHistogram(change, fraction), before, 'addition');
}

/**
 * rate, increase or delta of an `anchored` or `smoothed` range: from the value at the start to that at the end, without extrapolation. The window
 * reaches beyond both.
 */
export function extendedRateOfHistograms(window: HistogramWindow, smoothed: boolean, { isCounter, isRate }: RateKind, remarks: Remarks): FloatHistogram | undefined {
  const { timesMs: t, histograms: h, lo, hi, startMs, endMs } = window;
  let last = hi - 1;
  let first = lo;
  while (first < last && t[first]! <= startMs) first++;
  first = Math.max(lo, first - 1);
  if (smoothed) {
    let i = lo;
    while (i < last && t[i]! < endMs) i++;
    last = i;
  }
  if (t[last]! <= startMs || (smoothed && t[first]! > endMs)) return undefined;
  const isCustom = usesCustomBuckets(h.at(first));
  for (let i = first; i <= last; i++) {
    if (usesCustomBuckets(h.at(i)) !== isCustom) {
      remarks.annotations.mixedExponentialCustom(remarks.metricName, remarks.pos);
      return undefined;
    }
    if (isCounter && h.at(i).resetHint === RESET_HINTS.gauge) remarks.annotations.histogramNotCounter(remarks.metricName, remarks.pos);
  }
  const left = smoothed && t[first]! < startMs ? interpolateHistograms(h.at(first), t[first]!, h.at(first + 1), t[first + 1]!, startMs, isCounter, remarks) : h.at(first);
  const right = smoothed && last > lo && t[last]! > endMs ? interpolateHistograms(h.at(last - 1), t[last - 1]!, h.at(last), t[last]!, endMs, isCounter, remarks) : h.at(last);
  if (left === undefined || right === undefined) return undefined;
  if (!isCounter && (left.resetHint !== RESET_HINTS.gauge || right.resetHint !== RESET_HINTS.gauge)) {
    remarks.annotations.histogramNotGauge(remarks.metricName, remarks.pos);
  }
  let change = combined(remarks, right, left, 'subtraction');
  if (isCounter && change !== undefined) {
    const lost = lostInResets(window, first, last, left, right, smoothed, remarks);
    if (lost === 'mixed') return undefined;
    if (lost !== undefined) change = combined(remarks, change, lost, 'addition');
  }
  if (change === undefined) return undefined;
  if (isRate) change = divHistogram(change, (endMs - startMs) / 1000);
  return compactHistogram(withResetHint(change, RESET_HINTS.gauge), 0);
}

/** What a counter had before each reset between its values at both ends, added up; undefined if there was none. */
function lostInResets(
  { timesMs: t, histograms: h, startMs }: HistogramWindow,
  first: number,
  last: number,
  left: FloatHistogram,
  right: FloatHistogram,
  smoothed: boolean,
  remarks: Remarks,
): FloatHistogram | 'mixed' | undefined {
  let before = left;
  let from = first + 1;
  if (smoothed && t[first]! < startMs && detectReset(h.at(first + 1), h.at(first))) {
    // The interpolation at the start has seen this reset already.
    before = h.at(first + 1);
    from++;
  }
  if (from > last) return undefined;
  let lost: FloatHistogram | undefined;
  for (let i = from; i <= last; i++) {
    const current = i === last ? right : h.at(i);
    if (detectReset(current, before)) {
      lost = lost === undefined ? before : combined(remarks, lost, before, 'addition');
      if (lost === undefined) return 'mixed';
    }
    before = current;
  }
  return lost;
}
