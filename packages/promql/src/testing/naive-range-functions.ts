/**
 * Range functions: what each makes of the samples of one series in one window. Floats and native histograms may be mixed; the table at the end of
 * this comment is the rule for mixtures.
 *
 *   rate increase delta sum avg          nothing, with a remark
 *   irate idelta                         the last two samples decide
 *   count present first last ts_of_first/last changes resets    all samples count
 *   everything else                      floats only; a remark if there were histograms beside them
 */
import { detectReset, type FloatHistogram, HistogramMean, histogramsEqual, HistogramSum } from '@gauntlet/model';
import { type Remarks } from './naive-interpolate.ts';
import { extreme, fitLine, mean, medianDeviation, quantile, sum, varianceOverTime } from './naive-math.ts';
import { anchoredPoints, changeBetween, extendedChange, extendedHistogramChange, extendedByX, extrapolated, histogramChange } from './naive-rate.ts';
import { NaiveError, type NaiveValue } from './naive-samples.ts';
import type { Point, Window } from './naive-select.ts';

/** A call of a range function at one time. */
export interface RangeCall {
  readonly func: string;
  /** Scalar arguments. */
  readonly args: readonly number[];
  /** Evaluation time, without offset and `@`. */
  readonly timeMs: number;
  readonly extended: 'no' | 'anchored' | 'smoothed';
  readonly remarks: Remarks;
}

/** The result for one window with at least one sample; undefined = none. @throws NaiveError for parameters out of range */
export function applyToWindow(call: RangeCall, window: Window): NaiveValue | undefined {
  const { func, args, remarks } = call;
  const { points } = window;
  if (func === 'double_exponential_smoothing' && !args.every((factor) => !(factor <= 0 || factor >= 1))) throw new NaiveError('factor out of range');
  switch (func) {
    case 'rate':
    case 'increase':
    case 'delta':
      return isMixed(call, points) ? undefined : rateOf(call, window);
    case 'irate':
    case 'idelta':
      return points.length < 2 ? undefined : changeBetween(points.at(-2)!, points.at(-1)!, func === 'irate', remarks);
    case 'sum_over_time':
    case 'avg_over_time':
      if (isMixed(call, points)) return undefined;
      if (typeof points[0]!.value === 'number') return (func === 'sum_over_time' ? sum : mean)(floatsOf(points));
      return added(func === 'sum_over_time', points.map(({ value }) => value as FloatHistogram), remarks);
    case 'count_over_time':
      return points.length;
    case 'present_over_time':
    case 'absent_over_time':
      return 1;
    case 'first_over_time':
      return points[0]!.value;
    case 'last_over_time':
      return points.at(-1)!.value;
    case 'ts_of_first_over_time':
      return points[0]!.timeMs / 1000;
    case 'ts_of_last_over_time':
      return points.at(-1)!.timeMs / 1000;
    case 'changes':
      return transitions(call, window, (a, b) => a !== b && !(Number.isNaN(a) && Number.isNaN(b)), (a, b) => !histogramsEqual(a, b));
    case 'resets':
      return transitions(call, window, (a, b) => b < a, (a, b) => detectReset(b, a));
    case 'xrate':
    case 'xincrease':
    case 'xdelta':
      if (points.some(({ timeMs, value }) => typeof value !== 'number' && timeMs > window.startMs)) throw new NaiveError('histograms');
      return extendedByX(func, { ...window, points: points.filter(({ value }) => typeof value === 'number') });
    default:
      return ofFloats(call, points);
  }
}

function floatsOf(points: readonly Point[]): number[] {
  return points.flatMap(({ value }) => (typeof value === 'number' ? [value] : []));
}

/** Whether both kinds of samples are there; remarked. */
function isMixed({ remarks }: RangeCall, points: readonly Point[]): boolean {
  const floats = floatsOf(points).length;
  if (floats === 0 || floats === points.length) return false;
  remarks.annotations.mixedFloatsHistograms(remarks.metricName, remarks.pos);
  return true;
}

function rateOf({ func, extended, remarks }: RangeCall, window: Window): NaiveValue | undefined {
  const isCounter = func !== 'delta';
  const isRate = func === 'rate';
  const isFloat = typeof window.points[0]!.value === 'number';
  if (extended === 'no') return extrapolated(window, isCounter, isRate, isFloat ? undefined : () => histogramChange(window.points, isCounter, remarks));
  const isSmoothed = extended === 'smoothed';
  return isFloat ? extendedChange(window, isSmoothed, isCounter, isRate) : extendedHistogramChange(window, isSmoothed, isCounter, isRate, remarks);
}

function added(isSum: boolean, histograms: readonly FloatHistogram[], { annotations, metricName, pos }: Remarks): FloatHistogram | undefined {
  const total = isSum ? new HistogramSum(histograms[0]!) : new HistogramMean(histograms[0]!);
  for (const histogram of histograms.slice(1)) {
    if (total.add(histogram)) continue;
    annotations.mixedExponentialCustom(metricName, pos);
    return undefined;
  }
  if (total.counterResetCollision) annotations.counterResetCollision('aggregation', pos);
  if (total.boundsReconciled) annotations.mismatchedCustomBuckets('aggregation', pos);
  return total.result();
}

/** Neighbours that differ; a float beside a histogram always does. */
function transitions(
  { extended }: RangeCall,
  window: Window,
  floatsDiffer: (a: number, b: number) => boolean,
  histogramsDiffer: (a: FloatHistogram, b: FloatHistogram) => boolean,
): number | undefined {
  const points = extended === 'anchored' ? anchoredPoints(window) : window.points;
  if (points.length === 0) return undefined;
  return points.filter((point, i) => {
    if (i === 0) return false;
    const [a, b] = [points[i - 1]!.value, point.value];
    if (typeof a === 'number' && typeof b === 'number') return floatsDiffer(a, b);
    return typeof a === 'number' || typeof b === 'number' || histogramsDiffer(a, b);
  }).length;
}

/** Functions that know floats only. */
function ofFloats({ func, args, timeMs, remarks }: RangeCall, all: readonly Point[]): number | undefined {
  const points = all.filter(({ value }) => typeof value === 'number');
  if (points.length === 0) return undefined;
  if (points.length < all.length) remarks.annotations.histogramIgnoredInMixedRange(remarks.metricName, remarks.pos);
  const values = floatsOf(points);
  const timeOf = (better: (a: number, b: number) => boolean): number =>
    points.reduce((best, point) => (Number.isNaN(best.value) || better(point.value as number, best.value as number) ? point : best)).timeMs / 1000;
  switch (func) {
    case 'min_over_time':
      return extreme(values, (a, b) => a < b);
    case 'max_over_time':
      return extreme(values, (a, b) => a > b);
    case 'ts_of_min_over_time':
      return timeOf((a, b) => a <= b);
    case 'ts_of_max_over_time':
      return timeOf((a, b) => a >= b);
    case 'stdvar_over_time':
      return varianceOverTime(values);
    case 'stddev_over_time':
      return Math.sqrt(varianceOverTime(values));
    case 'mad_over_time':
      return medianDeviation(values);
    case 'quantile_over_time':
      if (!(args[0]! >= 0 && args[0]! <= 1)) remarks.annotations.invalidQuantile(args[0]!, remarks.pos);
      return quantile(args[0]!, values);
    case 'deriv':
      return points.length < 2 ? undefined : fitLine(points.map((p) => (p.timeMs - points[0]!.timeMs) / 1000), values).slope;
    case 'predict_linear': {
      if (points.length < 2) return undefined;
      const { slope, intercept } = fitLine(points.map((p) => (p.timeMs - timeMs) / 1000), values);
      return slope * args[0]! + intercept;
    }
    case 'double_exponential_smoothing':
      return points.length < 2 ? undefined : smoothTwice(values, args[0]!, args[1]!);
    default:
      throw new Error(`naive evaluation of ${func}`);
  }
}

function smoothTwice(values: readonly number[], smoothing: number, trending: number): number {
  let [before, level, trend] = [0, values[0]!, values[1]! - values[0]!];
  for (let i = 1; i < values.length; i++) {
    if (i > 1) trend = trending * (level - before) + (1 - trending) * trend;
    [before, level] = [level, smoothing * values[i]! + (1 - smoothing) * (level + trend)];
  }
  return level;
}
