// Two replicas → one timeline, by the penalty rule. Contract in ../src/replica-kernels.ts; the twin, which goes sample by sample, is
// ../src/js/merge-penalty.ts.
//
// While the side in use goes on before the other could come back (its next sample is before the other's target), the other need not be looked
// at: such a run is found on the times of one side alone, two at a time, and copied as a block. The other then moves to the latest of the
// targets it had meanwhile.

import { at, put } from './columns';

const INITIAL_PENALTY: f64 = 5000;
/** Runs of fewer samples are cheaper to copy one by one than by memory.copy. */
const BLOCK_MIN: i32 = 24;

/** See ReplicaKernels.mergePenalty. */
export function mergePenalty(aTimes: usize, aValues: usize, aCount: i32, bTimes: usize, bValues: usize, bCount: i32, isCounter: i32, outTimes: usize, outValues: usize): i32 {
  // x is the side in use, y the other one. A wins where times are equal.
  let usesA = true;
  let x = aTimes;
  let xValues = aValues;
  let xCount = aCount;
  let xError: f64 = 0;
  let xi: i32 = 0;
  let y = bTimes;
  let yValues = bValues;
  let yCount = bCount;
  let yError: f64 = 0;
  let yi: i32 = 0;
  let runStart: i32 = 0;
  let last: f64 = -Infinity;
  let penalty: f64 = 0;
  let reach: f64 = -Infinity;
  let length: i32 = 0;
  while (true) {
    const next = last == -Infinity ? 0 : xi + 1;
    yi = seek(y, yi, yCount, max<f64>(reach, last + 1 + penalty));
    const xEnded = next >= xCount;
    if (yi >= yCount) {
      // The rest is x alone.
      return length + copyRun(x, xValues, runStart, xCount, xError, outTimes, outValues, length);
    }
    const yTime = at(y, yi);
    if (!xEnded) {
      const xTime = at(x, next);
      if (usesA ? xTime <= yTime : xTime < yTime) {
        penalty = last == -Infinity ? INITIAL_PENALTY : 2 * (xTime - last);
        last = xTime;
        xi = next;
        // The run: scalar steps, and pairs of samples between them.
        while (xi + 1 < xCount) {
          const time = at(x, xi + 1);
          const target = last + 1 + penalty;
          if (time >= target) break;
          if (target > reach) reach = target;
          penalty = 2 * (time - last);
          last = time;
          xi++;
          const from = xi;
          let ptr = x + ((<usize>xi) << 3);
          const stop = x + ((<usize>xCount) << 3) - 24;
          let reaches = f64x2.splat(reach);
          let before = v128.load(ptr - 8);
          // Of two samples at ptr their targets, against the samples behind them.
          while (ptr <= stop) {
            const here = v128.load(ptr);
            const behind = v128.load(ptr + 8);
            const step = f64x2.sub(here, before);
            const targets = f64x2.add(f64x2.add(here, f64x2.splat(1)), f64x2.add(step, step));
            if (!i64x2.all_true(f64x2.lt(behind, targets))) break;
            reaches = f64x2.pmax(reaches, targets);
            before = v128.load(ptr + 8);
            ptr += 16;
          }
          xi = <i32>((ptr - x) >> 3);
          if (xi != from) {
            reach = max<f64>(f64x2.extract_lane(reaches, 0), f64x2.extract_lane(reaches, 1));
            last = at(x, xi);
            penalty = 2 * (last - at(x, xi - 1));
          }
        }
        continue;
      }
    }
    // y takes over at yi; x waits at its next sample.
    const had = xi < xCount;
    const lastValue = had ? at(xValues, xi) + xError : 0;
    if (last != -Infinity) length += copyRun(x, xValues, runStart, xi + 1, xError, outTimes, outValues, length);
    if (isCounter && had) {
      if (!xEnded) {
        const value = at(xValues, next) + xError;
        if (lastValue > value) xError += lastValue - value;
      }
      const value = at(yValues, yi) + yError;
      if (lastValue > value) yError += lastValue - value;
    }
    penalty = last == -Infinity ? INITIAL_PENALTY : 2 * (yTime - last);
    last = yTime;
    reach = -Infinity;
    usesA = !usesA;
    const times = x;
    const values = xValues;
    const count = xCount;
    const error = xError;
    x = y;
    xValues = yValues;
    xCount = yCount;
    xError = yError;
    xi = yi;
    runStart = yi;
    y = times;
    yValues = values;
    yCount = count;
    yError = error;
    yi = next;
  }
  return length;
}

/** First index from `from` whose time is at least `target`, by steps that double. */
function seek(t: usize, from: i32, count: i32, target: f64): i32 {
  if (from >= count || at(t, from) >= target) return from;
  let low = from;
  let step = 1;
  // The sample at low is before the target.
  while (low + step < count && at(t, low + step) < target) {
    low += step;
    step <<= 1;
  }
  let high = min<i32>(low + step, count);
  low++;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (at(t, middle) < target) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Appends samples `from` … `to` − 1 to the `length` that are there; returns how many. */
function copyRun(times: usize, values: usize, from: i32, to: i32, error: f64, outTimes: usize, outValues: usize, length: i32): i32 {
  const count = to - from;
  if (count <= 0) return 0;
  const skipped = (<usize>from) << 3;
  const bytes = (<usize>count) << 3;
  const written = (<usize>length) << 3;
  times += skipped;
  values += skipped;
  outTimes += written;
  outValues += written;
  if (count >= BLOCK_MIN) {
    memory.copy(outTimes, times, bytes);
    if (error == 0) memory.copy(outValues, values, bytes);
  } else {
    for (let i: usize = 0; i < bytes; i += 8) store<u64>(outTimes + i, load<u64>(times + i));
    if (error == 0) for (let i: usize = 0; i < bytes; i += 8) store<u64>(outValues + i, load<u64>(values + i));
  }
  if (error != 0) for (let i: i32 = 0; i < count; i++) put(outValues, i, at(values, i) + error);
  return count;
}
