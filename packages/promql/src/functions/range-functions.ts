/**
 * Range functions that are not kernels: each gets one series' samples (no stale markers among them) and fills one row of steps.
 *
 * Source of the numerics: Prometheus promql/functions.go (3.14).
 */
import type { Annotations } from '../annotations.ts';
import { PromqlError } from '../errors.ts';
import type { PositionRange } from '../parser/ast.ts';
import { formatFixed } from './go-format.ts';
import { quantileOf } from './quantile.ts';
import { X_LOOK_BEHIND_MS, xChange } from './x-functions.ts';

/** One call; the window of step k is (end − rangeMs, end] with end = firstEndMs + k · endStepMs. */
export interface RangeFunctionCall {
  readonly firstEndMs: number;
  readonly endStepMs: number;
  /** Evaluation times: without offset and `@`. */
  readonly startMs: number;
  readonly stepMs: number;
  readonly steps: number;
  readonly rangeMs: number;
  /** How far before a window samples may be, ms: what LOOK_BEHIND_MS says, 0 over a subquery. */
  readonly lookBehindMs: number;
  /** Scalar arguments, one value per step. */
  readonly args: readonly Float64Array[];
  readonly annotations: Annotations;
  /** Told the samples of every window, so that a long call can be canceled. */
  readonly worked: (samples: number) => void;
  readonly pos: PositionRange;
}

/** @returns number of present steps */
export type RangeFunction = (call: RangeFunctionCall, timestampsMs: Float64Array, values: Float64Array, out: Float64Array, present: Uint8Array) => number;

/** What a window of samples [lo, hi) gives at step k; undefined = nothing. The first may lie before the window, at most `lookBehindMs`. */
export type WindowFold = (call: RangeFunctionCall, timestampsMs: Float64Array, values: Float64Array, lo: number, hi: number, k: number) => number | undefined;

function overWindows(fold: WindowFold): RangeFunction {
  return (call, timestampsMs, values, out, present) => {
    const count = timestampsMs.length;
    let found = 0;
    let lo = 0;
    let hi = 0;
    for (let k = 0, end = call.firstEndMs; k < call.steps; k++, end += call.endStepMs) {
      const start = end - call.rangeMs;
      while (hi < count && timestampsMs[hi]! <= end) hi++;
      while (lo < hi && timestampsMs[lo]! <= start) lo++;
      const first = lo > 0 && timestampsMs[lo - 1]! > start - call.lookBehindMs ? lo - 1 : lo;
      const value = hi > first ? fold(call, timestampsMs, values, first, hi, k) : undefined;
      call.worked(hi - first);
      present[k] = value === undefined ? 0 : 1;
      if (value === undefined) continue;
      out[k] = value;
      found++;
    }
    return found;
  };
}

function quantileOverTime(call: RangeFunctionCall, _t: Float64Array, values: Float64Array, lo: number, hi: number, k: number): number {
  const q = call.args[0]![k]!;
  if (!(q >= 0 && q <= 1)) call.annotations.invalidQuantile(q, call.pos);
  return quantileOf(q, values.slice(lo, hi));
}

/** Median of the distances to the median; NaN if any sample is. */
function madOverTime(_call: RangeFunctionCall, _t: Float64Array, values: Float64Array, lo: number, hi: number): number {
  const window = values.slice(lo, hi);
  if (window.some(Number.isNaN)) return NaN;
  const median = quantileOf(0.5, window);
  for (let i = 0; i < window.length; i++) window[i] = Math.abs(window[i]! - median);
  return quantileOf(0.5, window);
}

function extremeTime(replaces: (x: number, best: number) => boolean): WindowFold {
  return (_call, timestampsMs, values, lo, hi) => {
    let best = values[lo]!;
    let at = lo;
    for (let i = lo; i < hi; i++) {
      const x = values[i]!;
      if (!replaces(x, best) && best === best) continue;
      best = x;
      at = i;
    }
    return timestampsMs[at]! / 1000;
  };
}

/** Sums of a least-squares fit, each with its compensation. */
interface Regression {
  slope: number;
  intercept: number;
}

/** Fits a line through samples [lo, hi); the intercept is the line's value at `originMs`. */
function linearRegression(timestampsMs: Float64Array, values: Float64Array, lo: number, hi: number, originMs: number): Regression {
  const first = values[lo]!;
  let constant = true;
  let n = 0;
  let sumX = 0;
  let cX = 0;
  let sumY = 0;
  let cY = 0;
  let sumXY = 0;
  let cXY = 0;
  let sumX2 = 0;
  let cX2 = 0;
  for (let i = lo; i < hi; i++) {
    const y = values[i]!;
    if (i > lo && y !== first) constant = false;
    n++;
    const x = (timestampsMs[i]! - originMs) / 1000;
    let next = sumX + x;
    cX = compensation(sumX, x, next, cX);
    sumX = next;
    next = sumY + y;
    cY = compensation(sumY, y, next, cY);
    sumY = next;
    const xy = x * y;
    next = sumXY + xy;
    cXY = compensation(sumXY, xy, next, cXY);
    sumXY = next;
    const x2 = x * x;
    next = sumX2 + x2;
    cX2 = compensation(sumX2, x2, next, cX2);
    sumX2 = next;
  }
  if (constant) return first - first === 0 || Number.isNaN(first) ? { slope: 0, intercept: first } : { slope: NaN, intercept: NaN };
  sumX += cX;
  sumY += cY;
  sumXY += cXY;
  sumX2 += cX2;
  const covXY = sumXY - (sumX * sumY) / n;
  const varX = sumX2 - (sumX * sumX) / n;
  const slope = covXY / varX;
  return { slope, intercept: sumY / n - (slope * sumX) / n };
}

/** Neumaier's compensation after `next = sum + x`. */
function compensation(sum: number, x: number, next: number, c: number): number {
  if (next === Infinity || next === -Infinity) return 0;
  return Math.abs(sum) >= Math.abs(x) ? c + (sum - next + x) : c + (x - next + sum);
}

function deriv(_call: RangeFunctionCall, timestampsMs: Float64Array, values: Float64Array, lo: number, hi: number): number | undefined {
  return hi - lo < 2 ? undefined : linearRegression(timestampsMs, values, lo, hi, timestampsMs[lo]!).slope;
}

function predictLinear(call: RangeFunctionCall, timestampsMs: Float64Array, values: Float64Array, lo: number, hi: number, k: number): number | undefined {
  if (hi - lo < 2) return undefined;
  const { slope, intercept } = linearRegression(timestampsMs, values, lo, hi, call.startMs + k * call.stepMs);
  return slope * call.args[0]![k]! + intercept;
}

/** The factors at a step. @throws PromqlError ERR_EXECUTION if they are out of range */
export function smoothingFactors(call: Pick<RangeFunctionCall, 'args' | 'pos'>, k: number): { readonly smoothing: number; readonly trendFactor: number } {
  const smoothing = call.args[0]![k]!;
  const trendFactor = call.args[1]![k]!;
  if (smoothing <= 0 || smoothing >= 1) {
    throw new PromqlError('ERR_EXECUTION', `invalid smoothing factor. Expected: 0 < sf < 1, got: ${formatFixed(smoothing)}`, { pos: call.pos });
  }
  if (trendFactor <= 0 || trendFactor >= 1) {
    throw new PromqlError('ERR_EXECUTION', `invalid trend factor. Expected: 0 < tf < 1, got: ${formatFixed(trendFactor)}`, { pos: call.pos });
  }
  return { smoothing, trendFactor };
}

function doubleExponentialSmoothing(
  call: RangeFunctionCall,
  _t: Float64Array,
  values: Float64Array,
  lo: number,
  hi: number,
  k: number,
): number | undefined {
  const { smoothing, trendFactor } = smoothingFactors(call, k);
  if (hi - lo < 2) return undefined;
  let before = 0;
  let smoothed = values[lo]!;
  let trend = values[lo + 1]! - values[lo]!;
  for (let i = lo + 1; i < hi; i++) {
    const x = smoothing * values[i]!;
    if (i > lo + 1) trend = trendFactor * (smoothed - before) + (1 - trendFactor) * trend;
    const y = (1 - smoothing) * (smoothed + trend);
    before = smoothed;
    smoothed = x + y;
  }
  return smoothed;
}

/** How far before their window some range functions look, ms; the rest see its samples only. */
export const LOOK_BEHIND_MS: ReadonlyMap<string, number> = new Map([
  ['xdelta', X_LOOK_BEHIND_MS],
  ['xincrease', X_LOOK_BEHIND_MS],
  ['xrate', X_LOOK_BEHIND_MS],
]);

/** Range functions by name; those that are kernels are listed in ../exec/window-rows.ts. */
export const RANGE_FUNCTIONS: ReadonlyMap<string, RangeFunction> = new Map([
  ['quantile_over_time', overWindows(quantileOverTime)],
  ['mad_over_time', overWindows(madOverTime)],
  ['ts_of_first_over_time', overWindows((_call, t, _v, lo) => t[lo]! / 1000)],
  ['ts_of_last_over_time', overWindows((_call, t, _v, _lo, hi) => t[hi - 1]! / 1000)],
  ['ts_of_max_over_time', overWindows(extremeTime((x, best) => x >= best))],
  ['ts_of_min_over_time', overWindows(extremeTime((x, best) => x <= best))],
  ['deriv', overWindows(deriv)],
  ['predict_linear', overWindows(predictLinear)],
  ['double_exponential_smoothing', overWindows(doubleExponentialSmoothing)],
  ['xdelta', overWindows(xChange({ isCounter: false, isRate: false }))],
  ['xincrease', overWindows(xChange({ isCounter: true, isRate: false }))],
  ['xrate', overWindows(xChange({ isCounter: true, isRate: true }))],
]);
