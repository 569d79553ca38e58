/**
 * Extended range selectors: `anchored` looks back for a sample at or before the window, `smoothed` interpolates at its edges.
 *
 *   anchored   ·  (·    ·   ]        first value: newest sample at or before the open start, no extrapolation
 *   smoothed   ·  (x·   · x ] ·      both edges on the line between their neighbours
 *
 * Source: Prometheus promql/functions.go `extendedRate`, promql/engine.go `smoothSeries` (3.14).
 */
import { type FloatHistogram, getLabel, METRIC_NAME, RESET_HINTS, usesCustomBuckets, withResetHint } from '@gauntlet/model';
import { PromqlError } from '../errors.ts';
import { interpolateHistograms, type Remarks } from '../functions/histogram-rate.ts';
import type { RangeFunction, RangeFunctionCall } from '../functions/range-functions.ts';
import type { Call, VectorSelector } from '../parser/ast.ts';
import { withoutBuckets } from './histogram-stats.ts';
import type { HistogramList } from './histogram-list.ts';
import { type SplitSeries, splitSeries } from './mixed-range.ts';
import type { Grid, QueryContext } from './query-context.ts';
import { readSeries } from './read-series.ts';
import { type RowSink, Scratch } from './rows.ts';
import { type LookTimes, lookTimes } from './look-times.ts';
import { type HistogramRow, samplesOfHistogram } from './step-matrix.ts';

const ANCHORED_FUNCTIONS = ['changes', 'delta', 'increase', 'rate', 'resets'] as const;
const SMOOTHED_FUNCTIONS = ['delta', 'increase', 'rate'] as const;

/** The function to run for a call over an extended selector. @throws PromqlError ERR_EXECUTION when it may not be extended */
export function extendedFunction(context: QueryContext, call: Call, selector: VectorSelector): RangeFunction {
  const { lookbackMs } = context.settings;
  const allowed: readonly string[] = selector.anchored ? ANCHORED_FUNCTIONS : SMOOTHED_FUNCTIONS;
  if (!allowed.includes(call.func)) {
    const modifier = selector.anchored ? 'anchored' : 'smoothed';
    throw new PromqlError('ERR_EXECUTION', `${modifier} modifier can only be used with: ${allowed.join(', ')} - not with ${call.func}`, { pos: call.pos });
  }
  if (call.func === 'changes' || call.func === 'resets') return extendedWindows(lookbackMs, false, anchoredTransitions(call.func === 'resets'));
  const isCounter = call.func !== 'delta';
  const isRate = call.func === 'rate';
  return extendedWindows(lookbackMs, selector.smoothed, (w) => extendedDelta(w, isCounter, isRate));
}

/** One extended window: samples [lo, hi) reach beyond (startMs, endMs]. */
interface ExtendedWindow {
  readonly timestampsMs: Float64Array;
  readonly values: Float64Array;
  lo: number;
  hi: number;
  startMs: number;
  endMs: number;
  readonly smoothed: boolean;
}

function extendedWindows(lookbackMs: number, smoothed: boolean, fold: (window: ExtendedWindow) => number | undefined): RangeFunction {
  return (call: RangeFunctionCall, timestampsMs, values, out, present) => {
    const window: ExtendedWindow = { timestampsMs, values, lo: 0, hi: 0, startMs: 0, endMs: 0, smoothed };
    const count = timestampsMs.length;
    let found = 0;
    for (let k = 0, end = call.firstEndMs; k < call.steps; k++, end += call.endStepMs) {
      window.startMs = end - call.rangeMs;
      window.endMs = end;
      const last = smoothed ? end + lookbackMs : end;
      while (window.hi < count && timestampsMs[window.hi]! <= last) window.hi++;
      while (window.lo < window.hi && timestampsMs[window.lo]! <= window.startMs - lookbackMs) window.lo++;
      const value = window.hi > window.lo ? fold(window) : undefined;
      call.worked(window.hi - window.lo);
      present[k] = value === undefined ? 0 : 1;
      if (value === undefined) continue;
      out[k] = value;
      found++;
    }
    return found;
  };
}

/** Line between samples i and i + 1 at a time; a counter that fell starts again from 0. */
function interpolate(w: ExtendedWindow, i: number, timeMs: number, isCounter: boolean): number {
  let y1 = w.values[i]!;
  const y2 = w.values[i + 1]!;
  if (isCounter && y2 < y1) y1 = 0;
  const t1 = w.timestampsMs[i]!;
  return y1 + ((y2 - y1) * (timeMs - t1)) / (w.timestampsMs[i + 1]! - t1);
}

/** Difference of the values at both edges, with resets in between added back for counters. */
function extendedDelta(w: ExtendedWindow, isCounter: boolean, isRate: boolean): number | undefined {
  const { timestampsMs: t, values: v } = w;
  let last = w.hi - 1;
  let first = firstAfter(t, w.lo, last, w.startMs) - 1;
  if (first < w.lo) first = w.lo;
  if (w.smoothed) last = firstNotBefore(t, w.lo, last, w.endMs);
  if (t[last]! <= w.startMs) return undefined;
  if (w.smoothed && t[first]! > w.endMs) return undefined;
  const left = w.smoothed && t[first]! < w.startMs ? interpolate(w, first, w.startMs, isCounter) : v[first]!;
  const right = w.smoothed && last > w.lo && t[last]! > w.endMs ? interpolate(w, last - 1, w.endMs, isCounter) : v[last]!;
  let result = right - left;
  if (isCounter) {
    if (t[first]! <= w.startMs) first++;
    if (t[last]! >= w.endMs) last--;
    let correction = 0;
    let previous = left;
    for (let i = first; i <= last; i++) {
      if (v[i]! < previous) correction += previous;
      previous = v[i]!;
    }
    if (right < previous) correction += previous;
    result += correction;
  }
  return isRate ? result / ((w.endMs - w.startMs) / 1000) : result;
}

/** Index of the first sample in [from, to) after a time, or `to`. */
function firstAfter(t: Float64Array, from: number, to: number, timeMs: number): number {
  let i = from;
  while (i < to && t[i]! <= timeMs) i++;
  return i;
}

function firstNotBefore(t: Float64Array, from: number, to: number, timeMs: number): number {
  let i = from;
  while (i < to && t[i]! < timeMs) i++;
  return i;
}

/** changes and resets from the anchor (the newest sample at or before the start) on. */
function anchoredTransitions(onlyFalls: boolean): (w: ExtendedWindow) => number | undefined {
  return (w) => {
    const after = firstAfter(w.timestampsMs, w.lo, w.hi, w.startMs);
    if (after === w.hi) return undefined;
    let count = 0;
    for (let i = Math.max(after - 1, w.lo) + 1; i < w.hi; i++) {
      const x = w.values[i]!;
      const before = w.values[i - 1]!;
      if (onlyFalls ? x < before : x !== before && !(Number.isNaN(x) && Number.isNaN(before))) count++;
    }
    return count;
  };
}

/** Samples of a bare extended range selector: the values at both edges with the samples between them. */
export function extendSamples(
  selector: VectorSelector,
  timestampsMs: Float64Array,
  values: Float64Array,
  startMs: number,
  endMs: number,
): { timestampsMs: number[]; values: number[] } {
  const w: ExtendedWindow = { timestampsMs, values, lo: 0, hi: timestampsMs.length, startMs, endMs, smoothed: selector.smoothed };
  let last = w.hi - 1;
  let first = Math.max(0, firstAfter(timestampsMs, 0, last, startMs) - 1);
  if (w.smoothed) last = firstNotBefore(timestampsMs, 0, last, endMs);
  if (last < 0 || timestampsMs[last]! <= startMs) return { timestampsMs: [], values: [] };
  const left = w.smoothed && timestampsMs[first]! < startMs ? interpolate(w, first, startMs, false) : values[first]!;
  const right = w.smoothed && last > 0 && timestampsMs[last]! > endMs ? interpolate(w, last - 1, endMs, false) : values[last]!;
  if (timestampsMs[first]! <= startMs) first++;
  if (timestampsMs[last]! >= endMs) last--;
  return {
    timestampsMs: [startMs, ...timestampsMs.subarray(first, Math.max(first, last + 1)), endMs],
    values: [left, ...values.subarray(first, Math.max(first, last + 1)), right],
  };
}

/** `x smoothed` as an instant vector: the value on the line between the neighbours, the older one where there is no newer. */
export async function smoothedVectorRows(context: QueryContext, selector: VectorSelector, grid: Grid, sink: RowSink): Promise<void> {
  const { kernels } = context;
  const { lookbackMs } = context.settings;
  const look = lookTimes(selector, grid);
  const row = new Scratch(context);
  const fresh = new Scratch(context);
  try {
    const request = { matchers: selector.matchers, read: selector.read, mint: look.askFromMs - lookbackMs + 1, maxt: look.lastMs + lookbackMs };
    await readSeries(context, request, (labels, timestampsPtr, valuesPtr, count, stored) => {
      const outPtr = row.ensure(grid.steps * 9);
      const presentPtr = outPtr + grid.steps * 8;
      if (stored !== undefined) {
        const { memory } = kernels;
        const histograms = context.statsSelectors.has(selector) ? withoutBuckets(stored, count) : stored;
        const series = splitSeries(memory.f64(timestampsPtr, count), memory.f64(valuesPtr, count), histograms);
        const remarks = { annotations: context.annotations, metricName: getLabel(labels, METRIC_NAME), pos: selector.pos };
        const present = memory.u8(presentPtr, grid.steps);
        const found = smoothedMixedSteps(series, look, lookbackMs, remarks, memory.f64(outPtr, grid.steps), present);
        const samples = present.reduce((sum, one, k) => sum + (one === 0 ? 0 : found[k] === undefined ? 1 : samplesOfHistogram(found[k])), 0);
        context.samples += samples;
        context.counts?.addSteps(present, found);
        if (samples === 0) return;
        context.hold(samples);
        sink.add(labels, false, outPtr, presentPtr, samples, found);
        return;
      }
      const freshPtr = fresh.ensure(Math.max(1, count) * 16);
      const n = kernels.dropStale(timestampsPtr, valuesPtr, count, freshPtr, freshPtr + count * 8);
      const { memory } = kernels;
      const w: ExtendedWindow = {
        timestampsMs: memory.f64(freshPtr, n),
        values: memory.f64(freshPtr + count * 8, n),
        lo: 0,
        hi: 0,
        startMs: 0,
        endMs: 0,
        smoothed: true,
      };
      const found = smoothedSteps(w, look.firstMs, look.stepMs, lookbackMs, memory.f64(outPtr, grid.steps), memory.u8(presentPtr, grid.steps));
      context.samples += found;
      context.counts?.addSteps(memory.u8(presentPtr, grid.steps), undefined);
      if (found === 0) return;
      context.hold(found);
      sink.add(labels, false, outPtr, presentPtr, found);
    });
  } finally {
    row.free();
    fresh.free();
  }
}

function smoothedSteps(w: ExtendedWindow, firstMs: number, stepMs: number, lookbackMs: number, out: Float64Array, present: Uint8Array): number {
  const { timestampsMs: t, values: v } = w;
  let found = 0;
  let next = 0;
  for (let k = 0, at = firstMs; k < out.length; k++, at += stepMs) {
    while (next < t.length && t[next]! < at) next++;
    const hasNext = next < t.length && t[next]! <= at + lookbackMs;
    const hasPrevious = next > 0 && t[next - 1]! > at - lookbackMs;
    present[k] = 1;
    found++;
    if (hasNext && t[next]! === at) out[k] = v[next]!;
    else if (hasNext && hasPrevious) out[k] = interpolate(w, next - 1, at, false);
    else if (hasPrevious) out[k] = v[next - 1]!;
    else {
      present[k] = 0;
      found--;
    }
  }
  return found;
}

/** The same for a series with native histograms; where floats and histograms are near, there is nothing but a remark. */
function smoothedMixedSteps(series: SplitSeries, look: LookTimes, lookbackMs: number, remarks: Remarks, out: Float64Array, present: Uint8Array): HistogramRow {
  const { floatTimesMs, floats, timesMs, histograms } = series;
  const line = { timestampsMs: floatTimesMs, values: floats, lo: 0, hi: 0, startMs: 0, endMs: 0, smoothed: true };
  smoothedSteps(line, look.firstMs, look.stepMs, lookbackMs, out, present);
  const isNear = (times: Float64Array, at: number): boolean => times.some((timeMs) => timeMs > at - lookbackMs && timeMs <= at + lookbackMs);
  return Array.from({ length: out.length }, (_none, k) => {
    const at = look.firstMs + k * look.stepMs;
    if (!isNear(timesMs, at)) return undefined;
    present[k] = 0;
    out[k] = 0;
    if (isNear(floatTimesMs, at)) {
      remarks.annotations.mixedFloatsHistograms(remarks.metricName, remarks.pos);
      return undefined;
    }
    const histogram = smoothedHistogram(timesMs, histograms, at, lookbackMs, remarks);
    if (histogram !== undefined) present[k] = 1;
    return histogram;
  });
}

function smoothedHistogram(timesMs: Float64Array, histograms: HistogramList, at: number, lookbackMs: number, remarks: Remarks): FloatHistogram | undefined {
  const next = firstNotBefore(timesMs, 0, timesMs.length, at);
  const after = next < timesMs.length && timesMs[next]! <= at + lookbackMs ? histograms.at(next) : undefined;
  if (after !== undefined && timesMs[next] === at) return after;
  const before = next > 0 && timesMs[next - 1]! > at - lookbackMs ? histograms.at(next - 1) : undefined;
  if (before === undefined) return undefined;
  // The hint is about the sample before, not about this one's value.
  if (after === undefined) return withResetHint(before, RESET_HINTS.unknown);
  if (usesCustomBuckets(before) !== usesCustomBuckets(after)) {
    remarks.annotations.mixedExponentialCustom(remarks.metricName, remarks.pos);
    return undefined;
  }
  const isCounter = before.resetHint !== RESET_HINTS.gauge || after.resetHint !== RESET_HINTS.gauge;
  return interpolateHistograms(before, timesMs[next - 1]!, after, timesMs[next]!, at, isCounter, remarks);
}
