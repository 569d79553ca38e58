// Window functions over the columns of one series: one value per evaluation step. Contract and pictures in ../src/window-kernels.ts;
// the twin with the same results is ../src/js/windows.ts.
//
// Windows are left-open: (end − range, end]. Cursors `lo` and `hi` only move forward, so a series costs O(samples + steps), except where
// the exact rounding of Prometheus needs each window added up anew (sum, avg, stdvar, stddev).
//
// Source of the numerics: Prometheus promql/functions.go and promql/engine.go (3.14), util/kahansum.

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
function at(ptr: usize, index: i32): f64 {
  return load<f64>(ptr + ((<usize>index) << 3));
}

// @ts-ignore: decorator
@inline
function put(ptr: usize, index: i32, value: f64): void {
  store<f64>(ptr + ((<usize>index) << 3), value);
}

// @ts-ignore: decorator
@inline
function indexAt(ptr: usize, index: i32): i32 {
  return load<i32>(ptr + ((<usize>index) << 2));
}

// @ts-ignore: decorator
@inline
function isInfinite(x: f64): bool {
  return abs<f64>(x) == Infinity;
}

/** Neumaier's compensation after next = sum + x. */
// @ts-ignore: decorator
@inline
function compensate(sum: f64, x: f64, next: f64, c: f64): f64 {
  if (isInfinite(next)) return 0;
  return abs<f64>(sum) >= abs<f64>(x) ? c + (sum - next + x) : c + (x - next + sum);
}

/** See WindowKernels.lookback. */
export function lookback(t: usize, v: usize, count: i32, firstRef: f64, step: f64, steps: i32, lookbackMs: f64, out: usize, present: usize): i32 {
  let found: i32 = 0;
  let hi: i32 = 0;
  let ref = firstRef;
  for (let k: i32 = 0; k < steps; k++, ref += step) {
    while (hi < count && at(t, hi) <= ref) hi++;
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
      return folded(fn, t, v, count, firstEnd, step, steps, range, out, present);
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
  if (isCounter && count > 1) {
    let previous = at(v, 0);
    for (let i: i32 = 1; i < count; i++) {
      const value = at(v, i);
      if (value < previous) {
        store<i32>(scratch + ((<usize>resets) << 2), i);
        resets++;
      }
      previous = value;
    }
  }
  let found: i32 = 0;
  let lo: i32 = 0;
  let hi: i32 = 0;
  let firstReset: i32 = 0;
  let end = firstEnd;
  for (let k: i32 = 0; k < steps; k++, end += step) {
    const start = end - range;
    while (hi < count && at(t, hi) <= end) hi++;
    while (lo < hi && at(t, lo) <= start) lo++;
    if (hi - lo < 2) {
      store<u8>(present + k, 0);
      continue;
    }
    const first = at(v, lo);
    let result = at(v, hi - 1) - first;
    if (resets != 0) {
      while (firstReset < resets && indexAt(scratch, firstReset) <= lo) firstReset++;
      for (let r = firstReset; r < resets; r++) {
        const index = indexAt(scratch, r);
        if (index >= hi) break;
        result += at(v, index - 1);
      }
    }
    const firstT = at(t, lo);
    const lastT = at(t, hi - 1);
    let toStart = (firstT - start) / 1000.0;
    let toEnd = (end - lastT) / 1000.0;
    const sampled = (lastT - firstT) / 1000.0;
    const average = sampled / <f64>(hi - lo - 1);
    const threshold = average * 1.1;
    if (toStart >= threshold) toStart = average / 2.0;
    if (isCounter && result > 0.0 && first >= 0.0) {
      const toZero = sampled * (first / result);
      if (toZero < toStart) toStart = toZero;
    }
    if (toEnd >= threshold) toEnd = average / 2.0;
    let factor = 1.0;
    if (sampled != 0.0) factor = (sampled + toStart + toEnd) / sampled;
    if (isRate) factor /= rangeSeconds;
    put(out, k, result * factor);
    store<u8>(present + k, 1);
    found++;
  }
  return found;
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

/** sum, avg, stdvar, stddev: every window added up anew, in time order; a window with the samples of the one before reuses its result. */
function folded(fn: i32, t: usize, v: usize, count: i32, firstEnd: f64, step: f64, steps: i32, range: f64, out: usize, present: usize): i32 {
  let found: i32 = 0;
  let lo: i32 = 0;
  let hi: i32 = 0;
  let lastLo: i32 = -1;
  let lastHi: i32 = -1;
  let result: f64 = 0;
  let end = firstEnd;
  for (let k: i32 = 0; k < steps; k++, end += step) {
    const start = end - range;
    while (hi < count && at(t, hi) <= end) hi++;
    while (lo < hi && at(t, lo) <= start) lo++;
    if (hi == lo) {
      store<u8>(present + k, 0);
      continue;
    }
    if (lo != lastLo || hi != lastHi) {
      if (fn == SUM) result = sumOf(v, lo, hi);
      else if (fn == AVG) result = averageOf(v, lo, hi);
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
  return found;
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
