// A counter → its running total. Contract in ../src/replica-kernels.ts; the twin is ../src/js/counter-resets.ts.

import { at, put } from './columns';

/** Below, sums and differences of whole numbers are exact, so that a counter without resets is its own total. */
const EXACT: f64 = 9007199254740992;

/** See ReplicaKernels.applyCounterResets. */
export function applyCounterResets(t: usize, v: usize, count: i32): i32 {
  let length: i32 = 0;
  let lastTime: f64 = 0;
  let lastValue: f64 = 0;
  let total: f64 = 0;
  for (let i: i32 = 0; i < count; i++) {
    const time = at(t, i);
    const value = at(v, i);
    if (value != value) continue;
    if (length == 0) {
      total = value;
    } else if (time > lastTime) {
      total += value >= lastValue ? value - lastValue : value;
    } else {
      if (time == lastTime) lastValue = value;
      continue;
    }
    lastTime = time;
    lastValue = value;
    put(t, length, time);
    put(v, length, total);
    length++;
    if (length != i + 1 || total != value || value <= 0 || value >= EXACT || floor<f64>(value) != value) continue;
    i = passExact(t, v, i, count);
    length = i + 1;
    lastTime = at(t, i);
    lastValue = at(v, i);
    total = lastValue;
  }
  return length;
}

/** Last index from `from` up to which times rise and values are whole, exact and do not fall; two at a time. */
function passExact(t: usize, v: usize, from: i32, count: i32): i32 {
  const exact = f64x2.splat(EXACT);
  let i = from;
  for (; i + 2 < count; i += 2) {
    const offset = (<usize>i) << 3;
    const value = v128.load(v + offset + 8);
    const rises = v128.and(f64x2.gt(v128.load(t + offset + 8), v128.load(t + offset)), f64x2.ge(value, v128.load(v + offset)));
    const isExact = v128.and(f64x2.eq(f64x2.floor(value), value), f64x2.lt(value, exact));
    if (!i64x2.all_true(v128.and(rises, isExact))) break;
  }
  return i;
}
