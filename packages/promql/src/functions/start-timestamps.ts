/**
 * Range functions over floats that carry start timestamps: since when each sample counts. A start tells a reset even where the value did not go
 * down, as in deltas, and that the counter was 0 then.
 *
 *   time    ──────s1────t1────────t2──s3──t3──►        t3 counts from s3, after t2: a reset between t2 and t3, whatever the values
 *
 * A series without starts never gets here. Source: Prometheus promql/functions.go (3.14), extrapolatedRate, instantValue, funcResets,
 * isStartTimestampReset, checkStartTimeOverlap.
 */
import type { RangeFunctionCall } from './range-functions.ts';

/** What the functions know besides. */
export interface StartCall extends RangeFunctionCall {
  /** Whom remarks are about. */
  readonly metricName: string;
  /** How far an `anchored` range looks back; undefined for plain ranges. */
  readonly anchoredMs: number | undefined;
  /** Times of histograms in the same series: windows that hold any are decided elsewhere, and remarked upon there. */
  readonly histogramTimesMs: Float64Array;
}

/** Samples of one series, without stale markers. */
export interface StartSamples {
  readonly timestampsMs: Float64Array;
  readonly values: Float64Array;
  /** ms since 1970, 0 = not known. */
  readonly starts: Float64Array;
}

/** Fills a row of steps. @returns number of present steps */
export type StartFunction = (call: StartCall, samples: StartSamples, out: Float64Array, present: Uint8Array) => number;

/** Whether the starts of two neighbours say that counting began anew in between. 0, and a start at or after its own sample, say nothing. */
export function isStartReset(previousStart: number, previousMs: number, start: number, timeMs: number): boolean {
  if (start === 0 || start >= timeMs || start < previousMs) return false;
  if (start > previousMs) return true;
  // A start at the sample before is a delta, unless that one's own start is not known: then it is a counter whose begin nobody saw.
  return previousStart !== 0 && previousStart < previousMs;
}

/** Whether a sample says that it counts from within the time of the one before, which both then counted. */
export function isStartOverlap(previousStart: number, previousMs: number, start: number): boolean {
  return start !== 0 && start < previousMs && start !== previousStart;
}

/** Whether the first sample of a window tells when, within the window, it was 0. */
export function startsInside(start: number, firstMs: number, windowStartMs: number): boolean {
  return start !== 0 && start > windowStartMs && start < firstMs;
}

/** Indexes ≥ 1 of samples before which the counter was reset. */
function resetsOf({ timestampsMs: t, values, starts }: StartSamples): Int32Array {
  const found: number[] = [];
  for (let i = 1; i < t.length; i++) {
    if (values[i]! < values[i - 1]! || isStartReset(starts[i - 1]!, t[i - 1]!, starts[i]!, t[i]!)) found.push(i);
  }
  return Int32Array.from(found);
}

function overlapsOf({ timestampsMs: t, starts }: StartSamples): Int32Array {
  const found: number[] = [];
  for (let i = 1; i < t.length; i++) if (isStartOverlap(starts[i - 1]!, t[i - 1]!, starts[i]!)) found.push(i);
  return Int32Array.from(found);
}

/** First place in `indexes` from `at` on that holds more than `limit`. */
function placeAfter(indexes: Int32Array, at: number, limit: number): number {
  while (at < indexes.length && indexes[at]! <= limit) at++;
  return at;
}

function rateLike(isRate: boolean): StartFunction {
  return (call, samples, out, present) => {
    const { timestampsMs: t, values, starts } = samples;
    const resets = resetsOf(samples);
    const overlaps = overlapsOf(samples);
    let [lo, hi, reset, overlap, found] = [0, 0, 0, 0, 0];
    for (let k = 0, end = call.firstEndMs; k < call.steps; k++, end += call.endStepMs) {
      const start = end - call.rangeMs;
      while (hi < t.length && t[hi]! <= end) hi++;
      while (lo < hi && t[lo]! <= start) lo++;
      present[k] = 0;
      if (lo === hi) continue;
      call.worked(hi - lo);
      reset = placeAfter(resets, reset, lo);
      overlap = placeAfter(overlaps, overlap, lo);
      if (overlap < overlaps.length && overlaps[overlap]! < hi && !call.histogramTimesMs.some((time) => time > start && time <= end)) call.annotations.startTimeOverlap(call.metricName, call.pos);
      let change = values[hi - 1]! - values[lo]!;
      for (let r = reset; r < resets.length && resets[r]! < hi; r++) change += values[resets[r]! - 1]!;

      const firstMs = t[lo]!;
      const lastMs = t[hi - 1]!;
      let toStart = (firstMs - start) / 1000;
      let toEnd = (end - lastMs) / 1000;
      let sampled = (lastMs - firstMs) / 1000;
      const average = hi - lo > 1 ? sampled / (hi - lo - 1) : 0;
      const threshold = average * 1.1;
      if (startsInside(starts[lo]!, firstMs, start)) {
        // The counter was 0 at its start: nothing is left to extrapolate on that side.
        toStart = 0;
        sampled = (lastMs - starts[lo]!) / 1000;
        change += values[lo]!;
      } else if (hi - lo === 1) continue;
      else {
        if (toStart >= threshold) toStart = average / 2;
        if (change > 0 && values[lo]! >= 0) {
          // A counter was not below zero: it is not extrapolated beyond the time at which it would have been zero.
          const toZero = sampled * (values[lo]! / change);
          if (toZero < toStart) toStart = toZero;
        }
      }
      if (toEnd >= threshold) toEnd = average / 2;
      let factor = sampled === 0 ? 1 : (sampled + toStart + toEnd) / sampled;
      if (isRate) factor /= call.rangeMs / 1000;
      out[k] = change * factor;
      present[k] = 1;
      found++;
    }
    return found;
  };
}

function irate(call: StartCall, samples: StartSamples, out: Float64Array, present: Uint8Array): number {
  const { timestampsMs: t, values, starts } = samples;
  let hi = 0;
  let found = 0;
  for (let k = 0, end = call.firstEndMs; k < call.steps; k++, end += call.endStepMs) {
    while (hi < t.length && t[hi]! <= end) hi++;
    present[k] = hi >= 2 && t[hi - 2]! > end - call.rangeMs ? 1 : 0;
    if (present[k] === 0) continue;
    const [before, after] = [hi - 2, hi - 1];
    const isReset = values[after]! < values[before]! || isStartReset(starts[before]!, t[before]!, starts[after]!, t[after]!);
    out[k] = (isReset ? values[after]! : values[after]! - values[before]!) / ((t[after]! - t[before]!) / 1000);
    found++;
  }
  return found;
}

/** With `anchored` the newest sample at or before the start of the range is the first; nothing if there is none after the start. */
function resets(call: StartCall, samples: StartSamples, out: Float64Array, present: Uint8Array): number {
  const { timestampsMs: t } = samples;
  const indexes = resetsOf(samples);
  const isAnchored = call.anchoredMs !== undefined;
  const before = call.anchoredMs ?? 0;
  let [lo, hi, first, from, to, found] = [0, 0, 0, 0, 0, 0];
  for (let k = 0, end = call.firstEndMs; k < call.steps; k++, end += call.endStepMs) {
    const start = end - call.rangeMs;
    while (hi < t.length && t[hi]! <= end) hi++;
    while (lo < hi && t[lo]! <= start - before) lo++;
    while (first < hi && t[first]! <= start) first++;
    present[k] = first < hi ? 1 : 0;
    if (first === hi) continue;
    from = placeAfter(indexes, from, isAnchored && first > lo ? first - 1 : first);
    to = placeAfter(indexes, Math.max(from, to), hi - 1);
    out[k] = to - from;
    found++;
  }
  return found;
}

/** Functions for which starts matter, by name. */
export const START_FUNCTIONS: ReadonlyMap<string, StartFunction> = new Map<string, StartFunction>([
  ['rate', rateLike(true)],
  ['increase', rateLike(false)],
  ['irate', irate],
  ['resets', resets],
]);
