/**
 * Accumulators of aggregations over rows of steps: the TypeScript twin of as/aggregate.ts. State layout in ../window-kernels.ts.
 *
 * Source of the numerics: Prometheus promql/engine.go, `aggregation` (3.14).
 */
import type { LinearMemory } from '../kernel-memory.ts';
import { AGGREGATE, type AggregateKernels } from '../window-kernels.ts';

/** Aggregate kernels over `memory` in plain TypeScript. */
export function createAggregateTwin(memory: LinearMemory): AggregateKernels {
  return {
    accumulate(op, valuesPtr, presentPtr, steps, statePtr) {
      const { doubles: f64, bytes: u8 } = memory;
      const v = valuesPtr >>> 3;
      const s = statePtr >>> 3;
      switch (op) {
        case AGGREGATE.sum:
          return addSum(f64, u8, v, presentPtr, steps, s, statePtr + 16 * steps);
        case AGGREGATE.avg:
          return addAverage(f64, u8, v, presentPtr, steps, s, statePtr + 24 * steps);
        case AGGREGATE.min:
        case AGGREGATE.max:
          return addExtreme(f64, u8, op === AGGREGATE.max, v, presentPtr, steps, s, statePtr + 8 * steps);
        case AGGREGATE.count:
          return addCount(f64, u8, presentPtr, steps, s, statePtr + 8 * steps);
        case AGGREGATE.group:
          return addGroup(u8, presentPtr, steps, statePtr);
        default:
          return addVariance(f64, u8, v, presentPtr, steps, s, statePtr + 24 * steps);
      }
    },

    finishAggregate(op, statePtr, steps, outPtr, presentPtr) {
      const { doubles: f64, bytes: u8 } = memory;
      const out = outPtr >>> 3;
      const a = statePtr >>> 3;
      const b = a + steps;
      const c = b + steps;
      const columns = op === AGGREGATE.group ? 0 : op === AGGREGATE.sum ? 2 : op === AGGREGATE.min || op === AGGREGATE.max || op === AGGREGATE.count ? 1 : 3;
      const seen = statePtr + columns * 8 * steps;
      let found = 0;
      for (let k = 0; k < steps; k++) {
        if (u8[seen + k] === 0) {
          u8[presentPtr + k] = 0;
          continue;
        }
        let value: number;
        switch (op) {
          case AGGREGATE.sum:
            value = f64[a + k]! + f64[b + k]!;
            break;
          case AGGREGATE.avg:
            value = u8[seen + k] === 2 ? f64[a + k]! + f64[b + k]! : f64[a + k]! / f64[c + k]! + f64[b + k]! / f64[c + k]!;
            break;
          case AGGREGATE.group:
            value = 1;
            break;
          case AGGREGATE.stdvar:
            value = f64[b + k]! / f64[c + k]!;
            break;
          case AGGREGATE.stddev:
            value = Math.sqrt(f64[b + k]! / f64[c + k]!);
            break;
          default:
            value = f64[a + k]!;
        }
        f64[out + k] = value;
        u8[presentPtr + k] = 1;
        found++;
      }
      return found;
    },
  };
}

/** Columns: sum, compensation. */
function addSum(f64: Float64Array, u8: Uint8Array, v: number, present: number, steps: number, s: number, seen: number): void {
  for (let k = 0; k < steps; k++) {
    if (u8[present + k] === 0) continue;
    const x = f64[v + k]!;
    if (u8[seen + k] === 0) {
      u8[seen + k] = 1;
      f64[s + k] = x;
      f64[s + steps + k] = 0;
      continue;
    }
    const sum = f64[s + k]!;
    const next = sum + x;
    if (next === Infinity || next === -Infinity) f64[s + steps + k] = 0;
    else if (Math.abs(sum) >= Math.abs(x)) f64[s + steps + k] = f64[s + steps + k]! + (sum - next + x);
    else f64[s + steps + k] = f64[s + steps + k]! + (x - next + sum);
    f64[s + k] = next;
  }
}

/** Columns: sum or mean, compensation, count. `seen` 2 = mean. */
function addAverage(f64: Float64Array, u8: Uint8Array, v: number, present: number, steps: number, s: number, seen: number): void {
  const comp = s + steps;
  const counts = comp + steps;
  for (let k = 0; k < steps; k++) {
    if (u8[present + k] === 0) continue;
    let x = f64[v + k]!;
    const state = u8[seen + k]!;
    if (state === 0) {
      u8[seen + k] = 1;
      f64[s + k] = x;
      f64[comp + k] = 0;
      f64[counts + k] = 1;
      continue;
    }
    const count = f64[counts + k]! + 1;
    f64[counts + k] = count;
    let sum = f64[s + k]!;
    let c = f64[comp + k]!;
    if (state === 1) {
      const next = sum + x;
      if (next !== Infinity && next !== -Infinity) {
        if (Math.abs(sum) >= Math.abs(x)) c += sum - next + x;
        else c += x - next + sum;
        f64[s + k] = next;
        f64[comp + k] = c;
        continue;
      }
      u8[seen + k] = 2;
      sum /= count - 1;
      c /= count - 1;
    }
    const q = (count - 1) / count;
    x /= count;
    sum *= q;
    c *= q;
    const next = sum + x;
    if (next === Infinity || next === -Infinity) c = 0;
    else if (Math.abs(sum) >= Math.abs(x)) c += sum - next + x;
    else c += x - next + sum;
    f64[s + k] = next;
    f64[comp + k] = c;
  }
}

/** Column: the extreme so far. NaN stays only while nothing else has come. */
function addExtreme(f64: Float64Array, u8: Uint8Array, wantMax: boolean, v: number, present: number, steps: number, s: number, seen: number): void {
  for (let k = 0; k < steps; k++) {
    if (u8[present + k] === 0) continue;
    const x = f64[v + k]!;
    const best = f64[s + k]!;
    if (u8[seen + k] === 0 || best !== best || (wantMax ? best < x : best > x)) {
      u8[seen + k] = 1;
      f64[s + k] = x;
    }
  }
}

/** Column: count. */
function addCount(f64: Float64Array, u8: Uint8Array, present: number, steps: number, s: number, seen: number): void {
  for (let k = 0; k < steps; k++) {
    if (u8[present + k] === 0) continue;
    f64[s + k] = u8[seen + k] === 0 ? 1 : f64[s + k]! + 1;
    u8[seen + k] = 1;
  }
}

function addGroup(u8: Uint8Array, present: number, steps: number, seen: number): void {
  for (let k = 0; k < steps; k++) u8[seen + k] = u8[seen + k]! | u8[present + k]!;
}

/** Columns: mean, M2, count. Welford without compensation; a first value that is NaN or infinite makes the group NaN. */
function addVariance(f64: Float64Array, u8: Uint8Array, v: number, present: number, steps: number, s: number, seen: number): void {
  const m2 = s + steps;
  const counts = m2 + steps;
  for (let k = 0; k < steps; k++) {
    if (u8[present + k] === 0) continue;
    const x = f64[v + k]!;
    if (u8[seen + k] === 0) {
      u8[seen + k] = 1;
      f64[s + k] = x;
      f64[m2 + k] = x - x === 0 ? 0 : NaN;
      f64[counts + k] = 1;
      continue;
    }
    const count = f64[counts + k]! + 1;
    f64[counts + k] = count;
    const delta = x - f64[s + k]!;
    f64[s + k] = f64[s + k]! + delta / count;
    f64[m2 + k] = f64[m2 + k]! + delta * (x - f64[s + k]!);
  }
}
