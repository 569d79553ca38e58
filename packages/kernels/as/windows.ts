// Window functions over the columns of one series: one value per evaluation step. Contract and pictures in ../src/window-kernels.ts;
// the twin with the same results is ../src/js/windows.ts.
//
// Windows are left-open: (end − range, end]. Cursors `lo` and `hi` only move forward, so a series costs O(samples + steps), except where
// the exact rounding of Prometheus needs each window added up anew (sum, avg, stdvar, stddev).
//
// Source of the numerics: Prometheus promql/functions.go and promql/engine.go (3.14), util/kahansum.

import { at, compensate, isInfinite, passUpTo, put } from './columns';

const RATE: i32 = 1;
const INCREASE: i32 = 2;
const DELTA: i32 = 3;
const IRATE: i32 = 4;
const IDELTA: i32 = 5;
const COUNT: i32 = 6;
const SUM: i32 = 8;
const AVG: i32 = 9;
const MIN: i32 = 10;
const MAX: i32 = 11;
const FIRST: i32 = 12;
const LAST: i32 = 13;
const STDVAR: i32 = 14;
const STDDEV: i32 = 15;
const CHANGES: i32 = 16;
const RESETS: i32 = 17;

const STALE: u64 = 0x7ff0000000000002;

// @ts-ignore: decorator
@inline
function indexAt(ptr: usize, index: i32): i32 {
  return load<i32>(ptr + ((<usize>index) << 2));
}

/** See WindowKernels.lookback. */
export function lookback(t: usize, v: usize, count: i32, firstRef: f64, step: f64, steps: i32, lookbackMs: f64, out: usize, present: usize): i32 {
  let found: i32 = 0;
  let hi: i32 = 0;
  let stride: i32 = 1;
  let ref = firstRef;
  for (let k: i32 = 0; k < steps; k++, ref += step) {
    const next = passUpTo(t, hi, count, ref, stride);
    if (next > hi) stride = next - hi;
    hi = next;
    store<u8>(present + k, 0);
    if (hi == 0 || !(at(t, hi - 1) > ref - lookbackMs)) continue;
    const bits = load<u64>(v + ((<usize>(hi - 1)) << 3));
    if (bits == STALE) continue;
    store<u64>(out + ((<usize>k) << 3), bits);
    store<u8>(present + k, 1);
    found++;
  }
  return found;
}

/** See WindowKernels.windowFunction. */
export function windowFunction(
  fn: i32,
  t: usize,
  v: usize,
  count: i32,
  firstEnd: f64,
  step: f64,
  steps: i32,
  range: f64,
  out: usize,
  present: usize,
  scratch: usize,
): i32 {
  switch (fn) {
    case RATE:
    case INCREASE:
    case DELTA:
      return extrapolated(fn, t, v, count, firstEnd, step, steps, range, out, present, scratch);
    case MIN:
    case MAX:
      return extreme(fn == MAX, t, v, count, firstEnd, step, steps, range, out, present, scratch);
    case IRATE:
    case IDELTA:
      return instantaneous(fn == IRATE, t, v, count, firstEnd, step, steps, range, out, present);
    case SUM:
    case AVG:
    case STDVAR:
    case STDDEV:
      return folded(fn, t, v, count, firstEnd, step, steps, range, out, present, scratch);
    case CHANGES:
    case RESETS:
      return transitions(fn == RESETS, t, v, count, firstEnd, step, steps, range, out, present, scratch);
    default:
      return positional(fn, t, v, count, firstEnd, step, steps, range, out, present);
  }
}

/** rate, increase, delta: difference of last and first, corrected for resets, extrapolated to the window's edges. */
function extrapolated(
  fn: i32,
  t: usize,
  v: usize,
  count: i32,
  firstEnd: f64,
  step: f64,
  steps: i32,
  range: f64,
  out: usize,
  present: usize,
  scratch: usize,
): i32 {
  const isCounter = fn != DELTA;
  const isRate = fn == RATE;
  const rangeSeconds = range / 1000.0;
  // Resets are rare: their indices are listed once, so a window costs O(1) plus the resets inside it.
  let resets: i32 = 0;
  if (isCounter) {
    let i: i32 = 1;
    for (; i + 4 <= count; i += 4) {
      const ptr = v + ((<usize>i) << 3);
      const falls = v128.or(f64x2.lt(v128.load(ptr), v128.load(ptr - 8)), f64x2.lt(v128.load(ptr, 16), v128.load(ptr, 8)));
      if (v128.any_true(falls)) resets = listFalls(v, i, i + 4, scratch, resets);
    }
    resets = listFalls(v, i, count, scratch, resets);
  }
  // Ends the list: beyond every window.
  store<i32>(scratch + ((<usize>resets) << 2), i32.MAX_VALUE);
  let found: i32 = 0;
  let lo: i32 = 0;
  let hi: i32 = 0;
  let firstReset: i32 = 0;
  let nextReset = indexAt(scratch, 0);
  let end = firstEnd;
  // A regularly scraped series has the same distances in every window: what follows from them alone is kept from step to step, which
  // leaves no division (they were most of the time of this loop).
  let beforeFirst: f64 = -1;
  let between: f64 = -1;
  let samples: i32 = 0;
  let stride: i32 = 1;
  let toStartKnown: f64 = 0;
  let toEnd: f64 = 0;
  let sampled: f64 = 0;
  let factorKnown: f64 = 0;
  for (let k: i32 = 0; k < steps; k++, end += step) {
    const start = end - range;
    const next = passUpTo(t, hi, count, end, stride);
    lo = passUpTo(t, lo, next, start, stride);
    if (next > hi) stride = next - hi;
    hi = next;
    if (hi - lo < 2) {
      store<u8>(present + k, 0);
      continue;
    }
    const first = at(v, lo);
    let result = at(v, hi - 1) - first;
    while (nextReset <= lo) nextReset = indexAt(scratch, ++firstReset);
    if (nextReset < hi) {
      for (let r = firstReset; ; r++) {
        const index = indexAt(scratch, r);
        if (index >= hi) break;
        result += at(v, index - 1);
      }
    }
    const firstT = at(t, lo);
    const before = firstT - start;
    const spread = at(t, hi - 1) - firstT;
    if (((reinterpret<i64>(before) ^ reinterpret<i64>(beforeFirst)) | (reinterpret<i64>(spread) ^ reinterpret<i64>(between)) | <i64>((hi - lo) ^ samples)) != 0) {
      beforeFirst = before;
      between = spread;
      samples = hi - lo;
      toStartKnown = before / 1000.0;
      toEnd = (end - at(t, hi - 1)) / 1000.0;
      sampled = spread / 1000.0;
      const average = sampled / <f64>(samples - 1);
      const threshold = average * 1.1;
      if (toStartKnown >= threshold) toStartKnown = average / 2.0;
      if (toEnd >= threshold) toEnd = average / 2.0;
      factorKnown = 1.0;
      if (sampled != 0.0) factorKnown = (sampled + toStartKnown + toEnd) / sampled;
      if (isRate) factorKnown /= rangeSeconds;
    }
    let factor = factorKnown;
    // sampled · first is an upper bound, but for rounding, of what the division would give times result: far from it no division is needed.
    if (isCounter && result > 0.0 && first >= 0.0 && sampled * first <= toStartKnown * result * 1.000001) {
      const toZero = sampled * (first / result);
      if (toZero < toStartKnown) {
        factor = 1.0;
        if (sampled != 0.0) factor = (sampled + toZero + toEnd) / sampled;
        if (isRate) factor /= rangeSeconds;
      }
    }
    put(out, k, result * factor);
    store<u8>(present + k, 1);
    found++;
  }
  return found;
}

/** Appends the indices of [from, to) whose value is below the one before it to a list of `length`; returns its new length. */
function listFalls(v: usize, from: i32, to: i32, list: usize, length: i32): i32 {
  for (let i = from; i < to; i++) {
    if (!(at(v, i) < at(v, i - 1))) continue;
    store<i32>(list + ((<usize>length) << 2), i);
    length++;
  }
  return length;
}

/** irate, idelta: the last two samples of the window. */
function instantaneous(isRate: bool, t: usize, v: usize, count: i32, firstEnd: f64, step: f64, steps: i32, range: f64, out: usize, present: usize): i32 {
  let found: i32 = 0;
  let lo: i32 = 0;
  let hi: i32 = 0;
  let end = firstEnd;
  for (let k: i32 = 0; k < steps; k++, end += step) {
    const start = end - range;
    while (hi < count && at(t, hi) <= end) hi++;
    while (lo < hi && at(t, lo) <= start) lo++;
    if (hi - lo < 2) {
      store<u8>(present + k, 0);
      continue;
    }
    const last = at(v, hi - 1);
    const previous = at(v, hi - 2);
    let result = last;
    if (!isRate || !(last < previous)) result = last - previous;
    if (isRate) result /= (at(t, hi - 1) - at(t, hi - 2)) / 1000.0;
    put(out, k, result);
    store<u8>(present + k, 1);
    found++;
  }
  return found;
}

/** min, max: a deque of candidates; equal values keep the older one, NaN counts only when there is nothing else. */
function extreme(
  wantMax: bool,
  t: usize,
  v: usize,
  count: i32,
  firstEnd: f64,
  step: f64,
  steps: i32,
  range: f64,
  out: usize,
  present: usize,
  scratch: usize,
): i32 {
  let found: i32 = 0;
  let lo: i32 = 0;
  let hi: i32 = 0;
  let head: i32 = 0;
  let tail: i32 = 0;
  let end = firstEnd;
  for (let k: i32 = 0; k < steps; k++, end += step) {
    const start = end - range;
    while (hi < count && at(t, hi) <= end) {
      const value = at(v, hi);
      if (value == value) {
        if (wantMax) {
          while (tail > head && at(v, indexAt(scratch, tail - 1)) < value) tail--;
        } else {
          while (tail > head && at(v, indexAt(scratch, tail - 1)) > value) tail--;
        }
        store<i32>(scratch + ((<usize>tail) << 2), hi);
        tail++;
      }
      hi++;
    }
    while (lo < hi && at(t, lo) <= start) lo++;
    while (head < tail && indexAt(scratch, head) < lo) head++;
    if (hi == lo) {
      store<u8>(present + k, 0);
      continue;
    }
    put(out, k, head < tail ? at(v, indexAt(scratch, head)) : NaN);
    store<u8>(present + k, 1);
    found++;
  }
  return found;
}

/**
 * sum, avg, stdvar, stddev: every window added up anew, in time order, because a sliding sum rounds differently. Three shortcuts give the
 * same bits: a window with the samples of the one before reuses its result; sums of integers below 2^53 are exact, so prefix sums do; and four
 * windows of equal length are added at once, one per lane.
 */
function folded(
  fn: i32,
  t: usize,
  v: usize,
  count: i32,
  firstEnd: f64,
  step: f64,
  steps: i32,
  range: f64,
  out: usize,
  present: usize,
  scratch: usize,
): i32 {
  const isSum = fn == SUM;
  const isAverage = fn == AVG;
  const exact = (isSum || isAverage) && prefixSums(v, count, scratch);
  const byFour = (isSum || isAverage) && !exact;
  let found: i32 = 0;
  let lo: i32 = 0;
  let hi: i32 = 0;
  let lastLo: i32 = -1;
  let lastHi: i32 = -1;
  let result: f64 = 0;
  let end = firstEnd;
  let k: i32 = 0;
  while (k < steps) {
    if (byFour && k + 4 <= steps) {
      let low = lo;
      let high = hi;
      let e = end;
      let equal = true;
      let n: i32 = 0;
      for (let j: i32 = 0; j < 4; j++, e += step) {
        while (high < count && at(t, high) <= e) high++;
        while (low < high && at(t, low) <= e - range) low++;
        if (j == 0) n = high - low;
        equal = equal && high - low == n;
        // Prefix sums are not in use here, so their place is free.
        store<i32>(scratch + ((<usize>j) << 2), low);
      }
      if (equal && n > 8 && addFour(isSum, v, n, out, k, scratch)) {
        for (let j: i32 = 0; j < 4; j++) store<u8>(present + k + j, 1);
        found += 4;
        k += 4;
        end = e;
        lo = low;
        hi = high;
        continue;
      }
    }
    const start = end - range;
    while (hi < count && at(t, hi) <= end) hi++;
    while (lo < hi && at(t, lo) <= start) lo++;
    if (hi == lo) {
      store<u8>(present + k, 0);
    } else {
      if (lo != lastLo || hi != lastHi) {
        if (exact) {
          result = at(scratch, hi) - at(scratch, lo);
          if (isAverage) result /= <f64>(hi - lo);
        } else if (isSum) result = sumOf(v, lo, hi);
        else if (isAverage) result = averageOf(v, lo, hi);
        else {
          result = varianceOf(v, lo, hi);
          if (fn == STDDEV) result = sqrt<f64>(result);
        }
        lastLo = lo;
        lastHi = hi;
      }
      put(out, k, result);
      store<u8>(present + k, 1);
      found++;
    }
    k++;
    end += step;
  }
  return found;
}

/**
 * Prefix sums (count + 1 doubles) of integers whose absolute values add up to at most 2^53: then no addition rounds, and no sum is −0.
 * False, with undefined sums, for any other column.
 */
function prefixSums(v: usize, count: i32, prefix: usize): bool {
  let sum: f64 = 0;
  let size: f64 = 0;
  put(prefix, 0, 0);
  for (let i: i32 = 0; i < count; i++) {
    const x = at(v, i);
    size += abs<f64>(x);
    if (!(size <= 9007199254740992.0) || trunc<f64>(x) != x) return false;
    sum += x;
    put(prefix, i + 1, sum);
  }
  return true;
}

/** Sums or averages of four windows of n samples; false, with nothing written, when a sum overflows. `starts`: four indices. */
function addFour(isSum: bool, v: usize, n: i32, out: usize, k: i32, starts: usize): bool {
  let p0 = v + ((<usize>indexAt(starts, 0)) << 3);
  let p1 = v + ((<usize>indexAt(starts, 1)) << 3);
  let p2 = v + ((<usize>indexAt(starts, 2)) << 3);
  let p3 = v + ((<usize>indexAt(starts, 3)) << 3);
  const infinite = f64x2.splat(Infinity);
  let sumA = f64x2.splat(0);
  let sumB = f64x2.splat(0);
  let cA = f64x2.splat(0);
  let cB = f64x2.splat(0);
  let overflow = i64x2.splat(0);
  let left = n;
  if (!isSum) {
    // An average begins with the first value, not with 0 plus it.
    sumA = v128.load64_lane(p1, v128.load64_splat(p0), 1);
    sumB = v128.load64_lane(p3, v128.load64_splat(p2), 1);
    p0 += 8;
    p1 += 8;
    p2 += 8;
    p3 += 8;
    left--;
  }
  for (; left > 0; left--, p0 += 8, p1 += 8, p2 += 8, p3 += 8) {
    const xA = v128.load64_lane(p1, v128.load64_splat(p0), 1);
    const xB = v128.load64_lane(p3, v128.load64_splat(p2), 1);
    const nextA = f64x2.add(sumA, xA);
    const nextB = f64x2.add(sumB, xB);
    const sumLargerA = f64x2.ge(f64x2.abs(sumA), f64x2.abs(xA));
    const sumLargerB = f64x2.ge(f64x2.abs(sumB), f64x2.abs(xB));
    const largeA = v128.bitselect(sumA, xA, sumLargerA);
    const largeB = v128.bitselect(sumB, xB, sumLargerB);
    const smallA = v128.bitselect(xA, sumA, sumLargerA);
    const smallB = v128.bitselect(xB, sumB, sumLargerB);
    cA = f64x2.add(cA, f64x2.add(f64x2.sub(largeA, nextA), smallA));
    cB = f64x2.add(cB, f64x2.add(f64x2.sub(largeB, nextB), smallB));
    overflow = v128.or(overflow, v128.or(f64x2.eq(f64x2.abs(nextA), infinite), f64x2.eq(f64x2.abs(nextB), infinite)));
    sumA = nextA;
    sumB = nextB;
  }
  if (v128.any_true(overflow)) return false;
  if (!isSum) {
    const length = f64x2.splat(<f64>n);
    sumA = f64x2.div(sumA, length);
    sumB = f64x2.div(sumB, length);
    cA = f64x2.div(cA, length);
    cB = f64x2.div(cB, length);
  }
  const target = out + ((<usize>k) << 3);
  v128.store(target, f64x2.add(sumA, cA));
  v128.store(target + 16, f64x2.add(sumB, cB));
  return true;
}

function sumOf(v: usize, from: i32, to: i32): f64 {
  let sum: f64 = 0;
  let c: f64 = 0;
  for (let i = from; i < to; i++) {
    const x = at(v, i);
    const next = sum + x;
    c = compensate(sum, x, next, c);
    sum = next;
  }
  return isInfinite(sum) ? sum : sum + c;
}

/** Direct mean; from the sample on at which the sum would overflow, the incremental mean. */
function averageOf(v: usize, from: i32, to: i32): f64 {
  let sum = at(v, from);
  let c: f64 = 0;
  let count: f64 = 1;
  let i = from + 1;
  for (; i < to; i++) {
    const x = at(v, i);
    const next = sum + x;
    if (isInfinite(next)) break;
    count += 1;
    c = compensate(sum, x, next, c);
    sum = next;
  }
  if (i == to) return sum / count + c / count;
  let mean = sum / count;
  c /= count;
  for (; i < to; i++) {
    count += 1;
    const q = (count - 1) / count;
    const x = at(v, i) / count;
    mean *= q;
    c *= q;
    const next = mean + x;
    c = compensate(mean, x, next, c);
    mean = next;
  }
  return mean + c;
}

/** Population variance: Welford's recurrence, mean and squared deviations both compensated. */
function varianceOf(v: usize, from: i32, to: i32): f64 {
  let count: f64 = 0;
  let mean: f64 = 0;
  let cMean: f64 = 0;
  let aux: f64 = 0;
  let cAux: f64 = 0;
  for (let i = from; i < to; i++) {
    const x = at(v, i);
    count += 1;
    const delta = x - (mean + cMean);
    const step = delta / count;
    const nextMean = mean + step;
    cMean = compensate(mean, step, nextMean, cMean);
    mean = nextMean;
    const square = delta * (x - (mean + cMean));
    const nextAux = aux + square;
    cAux = compensate(aux, square, nextAux, cAux);
    aux = nextAux;
  }
  return (aux + cAux) / count;
}

/** changes, resets: scratch[i] = transitions among samples 0 … i. */
function transitions(
  onlyFalls: bool,
  t: usize,
  v: usize,
  count: i32,
  firstEnd: f64,
  step: f64,
  steps: i32,
  range: f64,
  out: usize,
  present: usize,
  scratch: usize,
): i32 {
  let seen: i32 = 0;
  for (let i: i32 = 0; i < count; i++) {
    if (i > 0) {
      const x = at(v, i);
      const before = at(v, i - 1);
      if (onlyFalls) {
        if (x < before) seen++;
      } else if (x != before && (x == x || before == before)) seen++;
    }
    store<i32>(scratch + ((<usize>i) << 2), seen);
  }
  let found: i32 = 0;
  let lo: i32 = 0;
  let hi: i32 = 0;
  let end = firstEnd;
  for (let k: i32 = 0; k < steps; k++, end += step) {
    const start = end - range;
    while (hi < count && at(t, hi) <= end) hi++;
    while (lo < hi && at(t, lo) <= start) lo++;
    if (hi == lo) {
      store<u8>(present + k, 0);
      continue;
    }
    put(out, k, <f64>(indexAt(scratch, hi - 1) - indexAt(scratch, lo)));
    store<u8>(present + k, 1);
    found++;
  }
  return found;
}

/** count, present, first, last. */
function positional(fn: i32, t: usize, v: usize, count: i32, firstEnd: f64, step: f64, steps: i32, range: f64, out: usize, present: usize): i32 {
  let found: i32 = 0;
  let lo: i32 = 0;
  let hi: i32 = 0;
  let end = firstEnd;
  for (let k: i32 = 0; k < steps; k++, end += step) {
    const start = end - range;
    while (hi < count && at(t, hi) <= end) hi++;
    while (lo < hi && at(t, lo) <= start) lo++;
    if (hi == lo) {
      store<u8>(present + k, 0);
      continue;
    }
    if (fn == COUNT) put(out, k, <f64>(hi - lo));
    else if (fn == FIRST) put(out, k, at(v, lo));
    else if (fn == LAST) put(out, k, at(v, hi - 1));
    else put(out, k, 1);
    store<u8>(present + k, 1);
    found++;
  }
  return found;
}

/** See WindowKernels.countStale. Two values per compare: this runs over every sample of a range query. */
export function countStale(v: usize, count: i32): i32 {
  let stale: i32 = 0;
  const marker = i64x2.splat(STALE);
  let i: i32 = 0;
  let ptr = v;
  for (; i + 4 <= count; i += 4, ptr += 32) {
    const hit = v128.or(i64x2.eq(v128.load(ptr), marker), i64x2.eq(v128.load(ptr, 16), marker));
    if (v128.any_true(hit)) {
      for (let j: usize = 0; j < 32; j += 8) if (load<u64>(ptr + j) == STALE) stale++;
    }
  }
  for (; i < count; i++, ptr += 8) if (load<u64>(ptr) == STALE) stale++;
  return stale;
}

/** See WindowKernels.dropStale. */
export function dropStale(t: usize, v: usize, count: i32, outT: usize, outV: usize): i32 {
  let kept: i32 = 0;
  for (let i: i32 = 0; i < count; i++) {
    const bits = load<u64>(v + ((<usize>i) << 3));
    if (bits == STALE) continue;
    put(outT, kept, at(t, i));
    store<u64>(outV + ((<usize>kept) << 3), bits);
    kept++;
  }
  return kept;
}
