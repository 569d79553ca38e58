// Float64 columns in linear memory, and the compensation of sums over them (Prometheus util/kahansum).

/** Element of a column. */
// @ts-ignore: decorator
@inline
export function at(ptr: usize, index: i32): f64 {
  return load<f64>(ptr + ((<usize>index) << 3));
}

/** Writes an element of a column. */
// @ts-ignore: decorator
@inline
export function put(ptr: usize, index: i32, value: f64): void {
  store<f64>(ptr + ((<usize>index) << 3), value);
}

/** Either infinity, not NaN. */
// @ts-ignore: decorator
@inline
export function isInfinite(x: f64): bool {
  return abs<f64>(x) == Infinity;
}

/** Neumaier's compensation after next = sum + x. */
// @ts-ignore: decorator
@inline
export function compensate(sum: f64, x: f64, next: f64, c: f64): f64 {
  if (isInfinite(next)) return 0;
  return abs<f64>(sum) >= abs<f64>(x) ? c + (sum - next + x) : c + (x - next + sum);
}

/**
 * First index from `from` up to `limit` whose timestamp is beyond `bound`. A step mostly passes as many samples as the one before, `stride`:
 * then two comparisons do.
 */
// @ts-ignore: decorator
@inline
export function passUpTo(t: usize, from: i32, limit: i32, bound: f64, stride: i32): i32 {
  const guess = from + stride;
  if (guess < limit && at(t, guess - 1) <= bound && at(t, guess) > bound) return guess;
  let index = from;
  while (index < limit && at(t, index) <= bound) index++;
  return index;
}
