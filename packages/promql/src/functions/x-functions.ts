/**
 * `xrate`, `xincrease` and `xdelta` of Thanos' engine: changes over a window that begin at the last sample before it, so that nothing between two
 * windows is lost and nothing is extrapolated.
 *
 *      ·   (  ·    ·    · ]        from the sample before the window to its last: xincrease
 *      '---·--'----'----'          scaled to the length of the window: xrate, xdelta
 *
 * Source: thanos-io/promql-engine ringbuffer/functions.go `extendedRate`. Unlike there a range that is no whole number of seconds is not cut to one.
 */
import type { WindowFold } from './range-functions.ts';

/** How old the sample before a window may be. */
export const X_LOOK_BEHIND_MS: number = 3_600_000;

export interface XChangeKind {
  /** Falls are resets, and count from 0. */
  readonly isCounter: boolean;
  /** Per second. */
  readonly isRate: boolean;
}

/** The change of one kind; a window without samples still has one, 0, while the sample before it is not too old. */
export function xChange(kind: XChangeKind): WindowFold {
  return (call, timestampsMs, values, lo, hi, k) => changeOf(kind, call.rangeMs, timestampsMs, values, lo, hi, call.firstEndMs + k * call.endStepMs);
}

/** Change over samples [lo, hi), of which the first may lie before the window that ends at `endMs`. */
function changeOf({ isCounter, isRate }: XChangeKind, rangeMs: number, t: Float64Array, values: Float64Array, lo: number, hi: number, endMs: number): number {
  const last = hi - 1;
  const startMs = endMs - rangeMs;
  const isIncrease = isCounter && !isRate;
  // A counter that has just appeared has come up from 0.
  if (isIncrease && endMs <= t[0]! + rangeMs && isConstant(values, lo, hi)) return values[lo]!;

  let first = lo;
  let spacingMs = (t[last]! - t[lo]!) / (last - lo);
  if (!isIncrease && startMs - t[lo]! > spacingMs) {
    // The sample before the window is further away than samples are from each other.
    if (hi - lo < 3) return 0;
    first = lo + 1;
    spacingMs = (t[last]! - t[first]!) / (last - first);
  }
  let change = values[last]! - values[first]!;
  if (isCounter) change += fallen(values, first, hi);
  if (!isIncrease && t[first]! <= startMs && endMs - t[last]! < spacingMs) change *= rangeMs / (t[last]! - t[first]!);
  return isRate ? change / (rangeMs / 1000) : change;
}

/** What resets took away. */
function fallen(values: Float64Array, lo: number, hi: number): number {
  let sum = 0;
  let before = 0;
  for (let i = lo; i < hi; i++) {
    if (values[i]! < before) sum += before;
    before = values[i]!;
  }
  return sum;
}

function isConstant(values: Float64Array, lo: number, hi: number): boolean {
  for (let i = lo + 1; i < hi; i++) if (values[i] !== values[lo]) return false;
  return true;
}
