// Accumulators of aggregations over rows of steps. State layout in ../src/window-kernels.ts; the twin with the same results is
// ../src/js/aggregate.ts.
//
// Source of the numerics: Prometheus promql/engine.go, `aggregation` (3.14).

import { at, compensate, put } from './columns';

const SUM: i32 = 1;
const AVG: i32 = 2;
const MIN: i32 = 3;
const MAX: i32 = 4;
const COUNT: i32 = 5;
const GROUP: i32 = 6;
const STDVAR: i32 = 7;
const STDDEV: i32 = 8;

/** Float64 columns of an operation's state. */
function columnsOf(op: i32): i32 {
  if (op == SUM) return 2;
  if (op == GROUP) return 0;
  return op == MIN || op == MAX || op == COUNT ? 1 : 3;
}

/** See AggregateKernels.accumulate. */
export function accumulate(op: i32, v: usize, present: usize, steps: i32, state: usize): void {
  const column = (<usize>steps) << 3;
  const seen = state + <usize>columnsOf(op) * column;
  switch (op) {
    case SUM:
      addSum(v, present, steps, state, state + column, seen);
      return;
    case AVG:
      addAverage(v, present, steps, state, state + column, state + 2 * column, seen);
      return;
    case MIN:
      addMin(v, present, steps, state, seen);
      return;
    case MAX:
      addMax(v, present, steps, state, seen);
      return;
    case COUNT:
      for (let k: i32 = 0; k < steps; k++) {
        if (load<u8>(present + k) == 0) continue;
        put(state, k, load<u8>(seen + k) == 0 ? 1 : at(state, k) + 1);
        store<u8>(seen + k, 1);
      }
      return;
    case GROUP:
      for (let k: i32 = 0; k < steps; k++) store<u8>(seen + k, load<u8>(seen + k) | load<u8>(present + k));
      return;
    default:
      addVariance(v, present, steps, state, state + column, state + 2 * column, seen);
  }
}

function addSum(v: usize, present: usize, steps: i32, sums: usize, comps: usize, seen: usize): void {
  for (let k: i32 = 0; k < steps; k++) {
    if (load<u8>(present + k) == 0) continue;
    const x = at(v, k);
    if (load<u8>(seen + k) == 0) {
      store<u8>(seen + k, 1);
      put(sums, k, x);
      put(comps, k, 0);
      continue;
    }
    const sum = at(sums, k);
    const next = sum + x;
    put(comps, k, compensate(sum, x, next, at(comps, k)));
    put(sums, k, next);
  }
}

/** `seen` 2 = the column holds the incremental mean, because the sum would have overflowed. */
function addAverage(v: usize, present: usize, steps: i32, sums: usize, comps: usize, counts: usize, seen: usize): void {
  for (let k: i32 = 0; k < steps; k++) {
    if (load<u8>(present + k) == 0) continue;
    let x = at(v, k);
    const state = load<u8>(seen + k);
    if (state == 0) {
      store<u8>(seen + k, 1);
      put(sums, k, x);
      put(comps, k, 0);
      put(counts, k, 1);
      continue;
    }
    const count = at(counts, k) + 1;
    put(counts, k, count);
    let sum = at(sums, k);
    let c = at(comps, k);
    if (state == 1) {
      const next = sum + x;
      if (abs<f64>(next) != Infinity) {
        put(sums, k, next);
        put(comps, k, compensate(sum, x, next, c));
        continue;
      }
      store<u8>(seen + k, 2);
      sum /= count - 1;
      c /= count - 1;
    }
    const q = (count - 1) / count;
    x /= count;
    sum *= q;
    c *= q;
    const next = sum + x;
    put(comps, k, compensate(sum, x, next, c));
    put(sums, k, next);
  }
}

/** NaN stays only while nothing else has come. */
function addMin(v: usize, present: usize, steps: i32, best: usize, seen: usize): void {
  for (let k: i32 = 0; k < steps; k++) {
    if (load<u8>(present + k) == 0) continue;
    const x = at(v, k);
    const known = at(best, k);
    if (load<u8>(seen + k) == 0 || known != known || known > x) {
      store<u8>(seen + k, 1);
      put(best, k, x);
    }
  }
}

function addMax(v: usize, present: usize, steps: i32, best: usize, seen: usize): void {
  for (let k: i32 = 0; k < steps; k++) {
    if (load<u8>(present + k) == 0) continue;
    const x = at(v, k);
    const known = at(best, k);
    if (load<u8>(seen + k) == 0 || known != known || known < x) {
      store<u8>(seen + k, 1);
      put(best, k, x);
    }
  }
}

/** Welford without compensation; a first value that is NaN or infinite makes the group NaN. */
function addVariance(v: usize, present: usize, steps: i32, means: usize, m2s: usize, counts: usize, seen: usize): void {
  for (let k: i32 = 0; k < steps; k++) {
    if (load<u8>(present + k) == 0) continue;
    const x = at(v, k);
    if (load<u8>(seen + k) == 0) {
      store<u8>(seen + k, 1);
      put(means, k, x);
      put(m2s, k, x - x == 0 ? 0 : NaN);
      put(counts, k, 1);
      continue;
    }
    const count = at(counts, k) + 1;
    put(counts, k, count);
    const delta = x - at(means, k);
    const mean = at(means, k) + delta / count;
    put(means, k, mean);
    put(m2s, k, at(m2s, k) + delta * (x - mean));
  }
}

/** See AggregateKernels.finishAggregate. */
export function finishAggregate(op: i32, state: usize, steps: i32, out: usize, present: usize): i32 {
  const column = (<usize>steps) << 3;
  const a = state;
  const b = state + column;
  const c = b + column;
  const seen = state + <usize>columnsOf(op) * column;
  let found: i32 = 0;
  for (let k: i32 = 0; k < steps; k++) {
    const kind = load<u8>(seen + k);
    if (kind == 0) {
      store<u8>(present + k, 0);
      continue;
    }
    let value: f64;
    if (op == SUM) value = at(a, k) + at(b, k);
    else if (op == AVG) value = kind == 2 ? at(a, k) + at(b, k) : at(a, k) / at(c, k) + at(b, k) / at(c, k);
    else if (op == GROUP) value = 1;
    else if (op == STDVAR) value = at(b, k) / at(c, k);
    else if (op == STDDEV) value = sqrt<f64>(at(b, k) / at(c, k));
    else value = at(a, k);
    put(out, k, value);
    store<u8>(present + k, 1);
    found++;
  }
  return found;
}
