/** PromQL's rate as its documentation has it, one window at a time: the yardstick of the ground-truth tests. */

/** Samples in order of time. */
export interface RateInput {
  readonly timestampsMs: ArrayLike<number>;
  readonly values: ArrayLike<number>;
  readonly length: number;
}

/**
 * rate over (at − range, at], per second: what the samples rose by, resets counted as rises from 0, extrapolated to the window's edges as far as
 * a sample may be missing there. NaN for fewer than two samples.
 */
export function rateAt({ timestampsMs, values, length }: RateInput, atMs: number, rangeMs: number): number {
  const first = firstAfter(timestampsMs, length, atMs - rangeMs);
  const end = firstAfter(timestampsMs, length, atMs);
  if (end - first < 2) return NaN;
  let rise = 0;
  for (let i = first + 1; i < end; i++) rise += values[i]! >= values[i - 1]! ? values[i]! - values[i - 1]! : values[i]!;
  const sampled = (timestampsMs[end - 1]! - timestampsMs[first]!) / 1000;
  const average = sampled / (end - first - 1);
  let toStart = (timestampsMs[first]! - (atMs - rangeMs)) / 1000;
  let toEnd = (atMs - timestampsMs[end - 1]!) / 1000;
  if (toStart >= average * 1.1) toStart = average / 2;
  if (toEnd >= average * 1.1) toEnd = average / 2;
  if (rise > 0 && values[first]! >= 0) toStart = Math.min(toStart, sampled * (values[first]! / rise));
  return (rise * ((sampled + toStart + toEnd) / sampled)) / (rangeMs / 1000);
}

function firstAfter(times: ArrayLike<number>, length: number, ms: number): number {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (times[middle]! > ms) high = middle;
    else low = middle + 1;
  }
  return low;
}
