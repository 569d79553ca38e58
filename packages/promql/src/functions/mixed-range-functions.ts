/**
 * Range functions where there are native histograms in the window, alone or among floats. What floats alone give has been computed before by the
 * function for floats; these say what becomes of it.
 * Source: Prometheus promql/functions.go (3.14).
 */
import { detectReset, type FloatHistogram, HistogramMean, histogramsEqual, HistogramSum } from '@gauntlet/model';
import { PromqlError } from '../errors.ts';
import { extendedRateOfHistograms, type HistogramWindow, instantRateOfHistograms, rateOfHistograms, type Remarks } from './histogram-rate.ts';
import { isStartReset } from './start-timestamps.ts';

/** One window with at least one histogram. */
export interface MixedWindow extends HistogramWindow, Remarks {
  /** Floats of the same series; those in the window are [floatLo, floatHi). */
  readonly floatTimesMs: ArrayLike<number>;
  readonly floats: ArrayLike<number>;
  /** Start timestamps of the floats; undefined if no sample of the series has one. */
  readonly floatStarts: ArrayLike<number> | undefined;
  readonly floatLo: number;
  readonly floatHi: number;
  /** What the function makes of the floats alone. */
  readonly ofFloats: number | undefined;
  /** How far the window reaches beyond start and end. */
  readonly extended: 'no' | 'anchored' | 'smoothed';
}

/** What a window gives: a float, a histogram, or nothing. */
export type MixedFunction = (window: MixedWindow) => number | FloatHistogram | undefined;

function hasFloats(window: MixedWindow): boolean {
  return window.floatHi > window.floatLo;
}

/** Functions that know no histograms: they are left out, with a remark where there are floats. */
function ofFloatsOnly(window: MixedWindow): number | undefined {
  if (hasFloats(window)) window.annotations.histogramIgnoredInMixedRange(window.metricName, window.pos);
  return window.ofFloats;
}

/** Functions that are not made for histograms. */
function refused({ pos }: MixedWindow): never {
  throw new PromqlError('ERR_EXECUTION', 'native histograms are not supported in extended range functions', { pos });
}

/** Functions that want one kind of samples. */
function unmixed(ofHistograms: MixedFunction): MixedFunction {
  return (window) => {
    if (!hasFloats(window)) return ofHistograms(window);
    window.annotations.mixedFloatsHistograms(window.metricName, window.pos);
    return undefined;
  };
}

function rateLike(isCounter: boolean, isRate: boolean): MixedFunction {
  const kind = { isCounter, isRate };
  return unmixed((window) =>
    window.extended === 'no' ? rateOfHistograms(window, kind, window) : extendedRateOfHistograms(window, window.extended === 'smoothed', kind, window),
  );
}

function added(make: (first: FloatHistogram) => HistogramSum | HistogramMean): MixedFunction {
  return unmixed((window) => {
    const { histograms, lo, hi, annotations, pos } = window;
    const sum = make(histograms.at(lo));
    for (let i = lo + 1; i < hi; i++) {
      if (sum.add(histograms.at(i))) continue;
      annotations.mixedExponentialCustom(window.metricName, pos);
      return undefined;
    }
    if (sum.counterResetCollision) annotations.counterResetCollision('aggregation', pos);
    if (sum.boundsReconciled) annotations.mismatchedCustomBuckets('aggregation', pos);
    return sum.result();
  });
}

/** A sample of either kind. */
interface AnySample {
  readonly timeMs: number;
  /** Start timestamp, 0 = not known. */
  readonly start: number;
  readonly float: number;
  readonly histogram: FloatHistogram | undefined;
}

/** Samples of both kinds from given indexes on, in time order. */
function* mergedSamples(window: MixedWindow, float: number, histogram: number): Generator<AnySample, void, undefined> {
  const { floatTimesMs, floats, floatStarts, floatHi, timesMs, histograms, starts, hi } = window;
  let f = float;
  let h = histogram;
  while (f < floatHi || h < hi) {
    if (h === hi || (f < floatHi && floatTimesMs[f]! < timesMs[h]!)) {
      yield { timeMs: floatTimesMs[f]!, start: floatStarts?.[f] ?? 0, float: floats[f]!, histogram: undefined };
      f++;
    } else {
      yield { timeMs: timesMs[h]!, start: starts?.[h] ?? 0, float: 0, histogram: histograms.at(h) };
      h++;
    }
  }
}

function instantRate(isRate: boolean): MixedFunction {
  return (window) => {
    const { floatLo, floatHi, lo, hi } = window;
    const samples = [...mergedSamples(window, Math.max(floatLo, floatHi - 2), Math.max(lo, hi - 2))].slice(-2);
    const [before, after] = samples;
    if (before === undefined || after === undefined) return undefined;
    if (before.histogram === undefined && after.histogram === undefined) return window.ofFloats;
    if (before.histogram === undefined || after.histogram === undefined) {
      window.annotations.mixedFloatsHistograms(window.metricName, window.pos);
      return undefined;
    }
    const isReset = isStartReset(before.start, before.timeMs, after.start, after.timeMs);
    return instantRateOfHistograms(before.histogram, before.timeMs, after.histogram, after.timeMs, isRate, isReset, window);
  };
}

/**
 * Counts pairs of neighbours that differ; a change of kind always counts.
 * @param heedsStarts whether start timestamps alone tell a reset
 */
function transitions(heedsStarts: boolean, floatsDiffer: (a: number, b: number) => boolean, histogramsDiffer: (a: FloatHistogram, b: FloatHistogram) => boolean): MixedFunction {
  return (window) => {
    const start = anchoredStart(window);
    if (start === undefined) return undefined;
    let count = 0;
    let before: AnySample | undefined;
    for (const sample of mergedSamples(window, start.float, start.histogram)) {
      if (before !== undefined) {
        const isReset = heedsStarts && isStartReset(before.start, before.timeMs, sample.start, sample.timeMs);
        if (before.histogram === undefined && sample.histogram === undefined) count += isReset || floatsDiffer(before.float, sample.float) ? 1 : 0;
        else if (before.histogram === undefined || sample.histogram === undefined) count++;
        else count += isReset || histogramsDiffer(before.histogram, sample.histogram) ? 1 : 0;
      }
      before = sample;
    }
    return count;
  };
}

/** With `anchored` the newest sample at or before the start is the first, of whatever kind; undefined if there is none after the start. */
function anchoredStart(window: MixedWindow): { readonly float: number; readonly histogram: number } | undefined {
  const { floatTimesMs, floatLo, floatHi, timesMs, lo, hi, startMs } = window;
  if (window.extended === 'no') return { float: floatLo, histogram: lo };
  let float = floatLo;
  while (float < floatHi && floatTimesMs[float]! <= startMs) float++;
  let histogram = lo;
  while (histogram < hi && timesMs[histogram]! <= startMs) histogram++;
  if (float === floatHi && histogram === hi) return undefined;
  const floatMs = float > floatLo ? floatTimesMs[float - 1]! : -Infinity;
  const histogramMs = histogram > lo ? timesMs[histogram - 1]! : -Infinity;
  if (floatMs === -Infinity && histogramMs === -Infinity) return { float, histogram };
  return floatMs >= histogramMs ? { float: float - 1, histogram } : { float, histogram: histogram - 1 };
}

function first(window: MixedWindow): AnySample {
  return mergedSamples(window, window.floatLo, window.lo).next().value!;
}

function last(window: MixedWindow): AnySample {
  const { floatLo, floatHi, lo, hi } = window;
  return [...mergedSamples(window, Math.max(floatLo, floatHi - 1), Math.max(lo, hi - 1))].at(-1)!;
}

/** What range functions do with windows that hold histograms, by name; all others leave the histograms out. */
const MIXED_FUNCTIONS: ReadonlyMap<string, MixedFunction> = new Map<string, MixedFunction>([
  ['rate', rateLike(true, true)],
  ['increase', rateLike(true, false)],
  ['delta', rateLike(false, false)],
  ['irate', instantRate(true)],
  ['idelta', instantRate(false)],
  ['sum_over_time', added((histogram) => new HistogramSum(histogram))],
  ['avg_over_time', added((histogram) => new HistogramMean(histogram))],
  ['count_over_time', (window) => window.floatHi - window.floatLo + window.hi - window.lo],
  ['present_over_time', () => 1],
  ['absent_over_time', () => 1],
  ['first_over_time', (window) => first(window).histogram ?? first(window).float],
  ['last_over_time', (window) => last(window).histogram ?? last(window).float],
  ['ts_of_first_over_time', (window) => first(window).timeMs / 1000],
  ['ts_of_last_over_time', (window) => last(window).timeMs / 1000],
  ['changes', transitions(false, (a, b) => a !== b && !(Number.isNaN(a) && Number.isNaN(b)), (a, b) => !histogramsEqual(a, b))],
  ['resets', transitions(true, (a, b) => b < a, (a, b) => detectReset(b, a))],
  ['xdelta', refused],
  ['xincrease', refused],
  ['xrate', refused],
]);

/** What a range function does with a window that holds histograms. */
export function mixedFunction(name: string): MixedFunction {
  return MIXED_FUNCTIONS.get(name) ?? ofFloatsOnly;
}
