// One series' samples by window of absolute time. Contract in ../src/spacing-kernels.ts; the twin with the same results is ../src/js/spacing.ts.

import { at, put } from './columns';

/** See SpacingKernels.summarizeSpacing. */
export function summarizeSpacing(t: usize, count: i32, windowMs: f64, out: usize): i32 {
  let rows: i32 = 0;
  let i: i32 = 0;
  // Regular series have as many samples in each window: the search for a window's end begins there.
  let expected: i32 = 1;
  while (i < count) {
    const id = floor<f64>(at(t, i) / windowMs);
    const next = firstFrom(t, i, count, expected, (id + 1) * windowMs);
    expected = next - i;
    put(out, 0, id);
    put(out, 1, <f64>i);
    distances(t, i == 0 ? 1 : i, next, out + 16);
    out += 32;
    rows++;
    i = next;
  }
  return rows;
}

/** First index behind `i` whose time is at least `end`; tries `i + expected` first. */
function firstFrom(t: usize, i: i32, count: i32, expected: i32, end: f64): i32 {
  let low = i + 1;
  let high = count;
  const guess = i + expected;
  if (guess < count) {
    if (at(t, guess) < end) {
      low = guess + 1;
      // A window takes one sample more or less by turns.
      if (low == count || at(t, low) >= end) return low;
      low++;
    } else {
      high = guess;
      if (high > i + 1 && at(t, high - 1) < end) return high;
    }
  }
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (at(t, middle) >= end) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Smallest and largest distance of samples `from` … `to` − 1 to their predecessors, two at a time. */
function distances(t: usize, from: i32, to: i32, out: usize): void {
  let low = f64x2.splat(Infinity);
  let high = f64x2.splat(0);
  let i = from;
  for (; i + 2 <= to; i += 2) {
    const ptr = t + ((<usize>i) << 3);
    const distance = f64x2.sub(v128.load(ptr), v128.load(ptr - 8));
    low = f64x2.pmin(low, distance);
    high = f64x2.pmax(high, distance);
  }
  let least = f64x2.extract_lane(low, 0);
  const otherLeast = f64x2.extract_lane(low, 1);
  if (otherLeast < least) least = otherLeast;
  let most = f64x2.extract_lane(high, 0);
  const otherMost = f64x2.extract_lane(high, 1);
  if (otherMost > most) most = otherMost;
  if (i < to) {
    const distance = at(t, i) - at(t, i - 1);
    if (distance < least) least = distance;
    if (distance > most) most = distance;
  }
  put(out, 0, least);
  put(out, 1, most);
}
