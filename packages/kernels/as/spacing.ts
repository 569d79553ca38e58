// One series' samples by window of absolute time. Contract in ../src/spacing-kernels.ts; the twin with the same results is ../src/js/spacing.ts.

import { at, put } from './columns';

/** See SpacingKernels.summarizeSpacing. */
export function summarizeSpacing(t: usize, count: i32, windowMs: f64, out: usize): i32 {
  let rows: i32 = 0;
  if (count == 0) return 0;
  let i: i32 = 0;
  let previous = at(t, 0);
  while (i < count) {
    const id = floor<f64>(at(t, i) / windowMs);
    const end = (id + 1) * windowMs;
    put(out, 0, id);
    put(out, 1, <f64>i);
    let low: f64 = Infinity;
    let high: f64 = 0;
    if (i == 0) i = 1;
    // min and max are single instructions and, without NaN, equal to comparisons.
    while (i < count) {
      const time = at(t, i);
      if (time >= end) break;
      const distance = time - previous;
      low = min<f64>(low, distance);
      high = max<f64>(high, distance);
      previous = time;
      i++;
    }
    put(out, 2, low);
    put(out, 3, high);
    out += 32;
    rows++;
  }
  return rows;
}
