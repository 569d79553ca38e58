/**
 * Window functions over the columns of one series: the TypeScript twin of as/windows.ts, with the same results to the last bit.
 * See ../window-kernels.ts for windows, presence bytes and arguments.
 *
 * Source of the numerics: Prometheus promql/functions.go and promql/engine.go (3.14), util/kahansum.
 */
import type { LinearMemory } from '../kernel-memory.ts';
import { WINDOW, type WindowKernels } from '../window-kernels.ts';

/** High and low word of the stale marker, 0x7ff0000000000002. */
const STALE_HIGH = 0x7ff00000;
const STALE_LOW = 2;

/** Window kernels over `memory` in plain TypeScript. */
export function createWindowTwin(memory: LinearMemory): WindowKernels {
  return {
    lookback(timestampsPtr, valuesPtr, count, firstRefMs, stepMs, steps, lookbackMs, outPtr, presentPtr) {
      const { doubles: f64, words: i32, bytes: u8 } = memory;
      return lookback(f64, i32, u8, timestampsPtr >>> 3, valuesPtr >>> 3, count, firstRefMs, stepMs, steps, lookbackMs, outPtr >>> 3, presentPtr);
    },
    windowFunction(fn, timestampsPtr, valuesPtr, count, firstEndMs, stepMs, steps, rangeMs, outPtr, presentPtr, scratchPtr) {
      const { doubles: f64, words: i32, bytes: u8 } = memory;
      const t = timestampsPtr >>> 3;
      const v = valuesPtr >>> 3;
      const out = outPtr >>> 3;
      const scratch = scratchPtr >>> 2;
      switch (fn) {
        case WINDOW.rate:
        case WINDOW.increase:
        case WINDOW.delta:
          return extrapolated(f64, i32, u8, fn, t, v, count, firstEndMs, stepMs, steps, rangeMs, out, presentPtr, scratch);
        case WINDOW.min:
        case WINDOW.max:
          return extreme(f64, i32, u8, fn === WINDOW.max, t, v, count, firstEndMs, stepMs, steps, rangeMs, out, presentPtr, scratch);
        case WINDOW.irate:
        case WINDOW.idelta:
          return instantaneous(f64, u8, fn === WINDOW.irate, t, v, count, firstEndMs, stepMs, steps, rangeMs, out, presentPtr);
        case WINDOW.sum:
        case WINDOW.avg:
        case WINDOW.stdvar:
        case WINDOW.stddev:
          return folded(f64, u8, fn, t, v, count, firstEndMs, stepMs, steps, rangeMs, out, presentPtr);
        case WINDOW.changes:
        case WINDOW.resets:
          return transitions(f64, i32, u8, fn === WINDOW.resets, t, v, count, firstEndMs, stepMs, steps, rangeMs, out, presentPtr, scratch);
        default:
          return positional(f64, u8, fn, t, v, count, firstEndMs, stepMs, steps, rangeMs, out, presentPtr);
      }
    },
    countStale(valuesPtr, count) {
      const i32 = memory.words;
      let stale = 0;
      const word = valuesPtr >>> 2;
      for (let i = 0; i < count; i++) {
        if (i32[word + 2 * i] === STALE_LOW && i32[word + 2 * i + 1] === STALE_HIGH) stale++;
      }
      return stale;
    },
    dropStale(timestampsPtr, valuesPtr, count, outTimestampsPtr, outValuesPtr) {
      const { doubles: f64, words: i32 } = memory;
      const t = timestampsPtr >>> 3;
      const word = valuesPtr >>> 2;
      const outT = outTimestampsPtr >>> 3;
      const outWord = outValuesPtr >>> 2;
      let kept = 0;
      for (let i = 0; i < count; i++) {
        const low = i32[word + 2 * i]!;
        const high = i32[word + 2 * i + 1]!;
        if (low === STALE_LOW && high === STALE_HIGH) continue;
        f64[outT + kept] = f64[t + i]!;
        i32[outWord + 2 * kept] = low;
        i32[outWord + 2 * kept + 1] = high;
        kept++;
      }
      return kept;
    },
  };
}

function lookback(
  f64: Float64Array,
  i32: Int32Array,
  u8: Uint8Array,
  t: number,
  v: number,
  count: number,
  firstRefMs: number,
  stepMs: number,
  steps: number,
  lookbackMs: number,
  out: number,
  present: number,
): number {
  let found = 0;
  let hi = 0;
  for (let k = 0, ref = firstRefMs; k < steps; k++, ref += stepMs) {
    while (hi < count && f64[t + hi]! <= ref) hi++;
    u8[present + k] = 0;
    if (hi === 0 || !(f64[t + hi - 1]! > ref - lookbackMs)) continue;
    const word = (v + hi - 1) * 2;
    if (i32[word] === STALE_LOW && i32[word + 1] === STALE_HIGH) continue;
    f64[out + k] = f64[v + hi - 1]!;
    u8[present + k] = 1;
    found++;
  }
  return found;
}

/** rate, increase, delta: difference of last and first, corrected for resets, extrapolated to the window's edges. */
function extrapolated(
  f64: Float64Array,
  i32: Int32Array,
  u8: Uint8Array,
  fn: number,
  t: number,
  v: number,
  count: number,
  firstEndMs: number,
  stepMs: number,
  steps: number,
  rangeMs: number,
  out: number,
  present: number,
  scratch: number,
): number {
  const isCounter = fn !== WINDOW.delta;
  const rangeSeconds = rangeMs / 1000;
  // Resets are rare: their indices are listed once, so a window costs O(1) plus the resets inside it.
  let resets = 0;
  if (isCounter) {
    for (let i = 1; i < count; i++) if (f64[v + i]! < f64[v + i - 1]!) i32[scratch + resets++] = i;
  }
  let found = 0;
  let lo = 0;
  let hi = 0;
  let firstReset = 0;
  for (let k = 0, end = firstEndMs; k < steps; k++, end += stepMs) {
    const start = end - rangeMs;
    while (hi < count && f64[t + hi]! <= end) hi++;
    while (lo < hi && f64[t + lo]! <= start) lo++;
    if (hi - lo < 2) {
      u8[present + k] = 0;
      continue;
    }
    const first = f64[v + lo]!;
    let result = f64[v + hi - 1]! - first;
    while (firstReset < resets && i32[scratch + firstReset]! <= lo) firstReset++;
    for (let r = firstReset; r < resets && i32[scratch + r]! < hi; r++) result += f64[v + i32[scratch + r]! - 1]!;

    const firstT = f64[t + lo]!;
    const lastT = f64[t + hi - 1]!;
    let toStart = (firstT - start) / 1000;
    let toEnd = (end - lastT) / 1000;
    const sampled = (lastT - firstT) / 1000;
    const average = sampled / (hi - lo - 1);
    const threshold = average * 1.1;
    if (toStart >= threshold) toStart = average / 2;
    if (isCounter && result > 0 && first >= 0) {
      const toZero = sampled * (first / result);
      if (toZero < toStart) toStart = toZero;
    }
    if (toEnd >= threshold) toEnd = average / 2;
    let factor = 1;
    if (sampled !== 0) factor = (sampled + toStart + toEnd) / sampled;
    if (fn === WINDOW.rate) factor /= rangeSeconds;
    f64[out + k] = result * factor;
    u8[present + k] = 1;
    found++;
  }
  return found;
}

/** irate, idelta: the last two samples of the window. */
function instantaneous(
  f64: Float64Array,
  u8: Uint8Array,
  isRate: boolean,
  t: number,
  v: number,
  count: number,
  firstEndMs: number,
  stepMs: number,
  steps: number,
  rangeMs: number,
  out: number,
  present: number,
): number {
  let found = 0;
  let lo = 0;
  let hi = 0;
  for (let k = 0, end = firstEndMs; k < steps; k++, end += stepMs) {
    const start = end - rangeMs;
    while (hi < count && f64[t + hi]! <= end) hi++;
    while (lo < hi && f64[t + lo]! <= start) lo++;
    if (hi - lo < 2) {
      u8[present + k] = 0;
      continue;
    }
    const last = f64[v + hi - 1]!;
    const previous = f64[v + hi - 2]!;
    let result = last;
    if (!isRate || !(last < previous)) result = last - previous;
    if (isRate) result /= (f64[t + hi - 1]! - f64[t + hi - 2]!) / 1000;
    f64[out + k] = result;
    u8[present + k] = 1;
    found++;
  }
  return found;
}

/** min, max: a deque of candidates; equal values keep the older one, NaN counts only when there is nothing else. */
function extreme(
  f64: Float64Array,
  i32: Int32Array,
  u8: Uint8Array,
  wantMax: boolean,
  t: number,
  v: number,
  count: number,
  firstEndMs: number,
  stepMs: number,
  steps: number,
  rangeMs: number,
  out: number,
  present: number,
  scratch: number,
): number {
  let found = 0;
  let lo = 0;
  let hi = 0;
  let head = 0;
  let tail = 0;
  for (let k = 0, end = firstEndMs; k < steps; k++, end += stepMs) {
    const start = end - rangeMs;
    while (hi < count && f64[t + hi]! <= end) {
      const value = f64[v + hi]!;
      if (value === value) {
        if (wantMax) while (tail > head && f64[v + i32[scratch + tail - 1]!]! < value) tail--;
        else while (tail > head && f64[v + i32[scratch + tail - 1]!]! > value) tail--;
        i32[scratch + tail++] = hi;
      }
      hi++;
    }
    while (lo < hi && f64[t + lo]! <= start) lo++;
    while (head < tail && i32[scratch + head]! < lo) head++;
    if (hi === lo) {
      u8[present + k] = 0;
      continue;
    }
    f64[out + k] = head < tail ? f64[v + i32[scratch + head]!]! : NaN;
    u8[present + k] = 1;
    found++;
  }
  return found;
}

/**
 * sum, avg, stdvar, stddev: every window is added up anew, in time order, because a sliding sum would round differently. Windows that hold
 * the same samples as the one before reuse its result.
 */
function folded(
  f64: Float64Array,
  u8: Uint8Array,
  fn: number,
  t: number,
  v: number,
  count: number,
  firstEndMs: number,
  stepMs: number,
  steps: number,
  rangeMs: number,
  out: number,
  present: number,
): number {
  let found = 0;
  let lo = 0;
  let hi = 0;
  let lastLo = -1;
  let lastHi = -1;
  let result = 0;
  for (let k = 0, end = firstEndMs; k < steps; k++, end += stepMs) {
    const start = end - rangeMs;
    while (hi < count && f64[t + hi]! <= end) hi++;
    while (lo < hi && f64[t + lo]! <= start) lo++;
    if (hi === lo) {
      u8[present + k] = 0;
      continue;
    }
    if (lo !== lastLo || hi !== lastHi) {
      if (fn === WINDOW.sum) result = sumOf(f64, v + lo, v + hi);
      else if (fn === WINDOW.avg) result = averageOf(f64, v + lo, v + hi);
      else {
        result = varianceOf(f64, v + lo, v + hi);
        if (fn === WINDOW.stddev) result = Math.sqrt(result);
      }
      lastLo = lo;
      lastHi = hi;
    }
    f64[out + k] = result;
    u8[present + k] = 1;
    found++;
  }
  return found;
}

function sumOf(f64: Float64Array, from: number, to: number): number {
  let sum = 0;
  let c = 0;
  for (let i = from; i < to; i++) {
    const x = f64[i]!;
    const next = sum + x;
    if (next === Infinity || next === -Infinity) c = 0;
    else if (Math.abs(sum) >= Math.abs(x)) c += sum - next + x;
    else c += x - next + sum;
    sum = next;
  }
  return sum === Infinity || sum === -Infinity ? sum : sum + c;
}

/** Direct mean; from the sample on at which the sum would overflow, the incremental mean. */
function averageOf(f64: Float64Array, from: number, to: number): number {
  let sum = f64[from]!;
  let c = 0;
  let count = 1;
  let i = from + 1;
  for (; i < to; i++) {
    const x = f64[i]!;
    const next = sum + x;
    if (next === Infinity || next === -Infinity) break;
    count++;
    if (Math.abs(sum) >= Math.abs(x)) c += sum - next + x;
    else c += x - next + sum;
    sum = next;
  }
  if (i === to) return sum / count + c / count;
  let mean = sum / count;
  c /= count;
  for (; i < to; i++) {
    count++;
    const q = (count - 1) / count;
    const x = f64[i]! / count;
    mean *= q;
    c *= q;
    const next = mean + x;
    if (next === Infinity || next === -Infinity) c = 0;
    else if (Math.abs(mean) >= Math.abs(x)) c += mean - next + x;
    else c += x - next + mean;
    mean = next;
  }
  return mean + c;
}

/** Population variance: Welford's recurrence, mean and squared deviations both compensated. */
function varianceOf(f64: Float64Array, from: number, to: number): number {
  let count = 0;
  let mean = 0;
  let cMean = 0;
  let aux = 0;
  let cAux = 0;
  for (let i = from; i < to; i++) {
    const x = f64[i]!;
    count++;
    const delta = x - (mean + cMean);
    let inc = delta / count;
    let next = mean + inc;
    if (next === Infinity || next === -Infinity) cMean = 0;
    else if (Math.abs(mean) >= Math.abs(inc)) cMean += mean - next + inc;
    else cMean += inc - next + mean;
    mean = next;
    inc = delta * (x - (mean + cMean));
    next = aux + inc;
    if (next === Infinity || next === -Infinity) cAux = 0;
    else if (Math.abs(aux) >= Math.abs(inc)) cAux += aux - next + inc;
    else cAux += inc - next + aux;
    aux = next;
  }
  return (aux + cAux) / count;
}

/** changes, resets: transitions between neighbours, counted by their indices. */
function transitions(
  f64: Float64Array,
  i32: Int32Array,
  u8: Uint8Array,
  onlyFalls: boolean,
  t: number,
  v: number,
  count: number,
  firstEndMs: number,
  stepMs: number,
  steps: number,
  rangeMs: number,
  out: number,
  present: number,
  scratch: number,
): number {
  // scratch[i] = transitions among samples 0 … i.
  let seen = 0;
  for (let i = 0; i < count; i++) {
    if (i > 0) {
      const x = f64[v + i]!;
      const before = f64[v + i - 1]!;
      if (onlyFalls) {
        if (x < before) seen++;
      } else if (x !== before && (x === x || before === before)) seen++;
    }
    i32[scratch + i] = seen;
  }
  let found = 0;
  let lo = 0;
  let hi = 0;
  for (let k = 0, end = firstEndMs; k < steps; k++, end += stepMs) {
    const start = end - rangeMs;
    while (hi < count && f64[t + hi]! <= end) hi++;
    while (lo < hi && f64[t + lo]! <= start) lo++;
    if (hi === lo) {
      u8[present + k] = 0;
      continue;
    }
    f64[out + k] = i32[scratch + hi - 1]! - i32[scratch + lo]!;
    u8[present + k] = 1;
    found++;
  }
  return found;
}

/** count, present, first, last. */
function positional(
  f64: Float64Array,
  u8: Uint8Array,
  fn: number,
  t: number,
  v: number,
  count: number,
  firstEndMs: number,
  stepMs: number,
  steps: number,
  rangeMs: number,
  out: number,
  present: number,
): number {
  let found = 0;
  let lo = 0;
  let hi = 0;
  for (let k = 0, end = firstEndMs; k < steps; k++, end += stepMs) {
    const start = end - rangeMs;
    while (hi < count && f64[t + hi]! <= end) hi++;
    while (lo < hi && f64[t + lo]! <= start) lo++;
    if (hi === lo) {
      u8[present + k] = 0;
      continue;
    }
    if (fn === WINDOW.count) f64[out + k] = hi - lo;
    else if (fn === WINDOW.first) f64[out + k] = f64[v + lo]!;
    else if (fn === WINDOW.last) f64[out + k] = f64[v + hi - 1]!;
    else f64[out + k] = 1;
    u8[present + k] = 1;
    found++;
  }
  return found;
}
