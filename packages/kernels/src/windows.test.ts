/** The window and aggregate kernels against their twins, to the bit, and both against the plainest way to say the same. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createKernels } from './create-kernels.ts';
import type { Kernels } from './kernels.ts';
import { accumulatorBytes, AGGREGATE, WINDOW } from './window-kernels.ts';

const STALE_BITS = 0x7ff0000000000002n;

interface Series {
  readonly timestampsMs: number[];
  readonly bits: BigUint64Array;
}

function bitsOf(value: number): bigint {
  return new BigUint64Array(new Float64Array([value]).buffer)[0]!;
}

const awkward = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 20 }) },
  { weight: 3, arbitrary: fc.double({ noNaN: true }) },
  { weight: 1, arbitrary: fc.constantFrom(NaN, Infinity, -Infinity, 0, -0, 1e308, -1e308, 5e-324, 1e100, 1) },
);

function series(stale: boolean): fc.Arbitrary<Series> {
  return fc
    .array(fc.tuple(fc.integer({ min: 1, max: 40 }), awkward, fc.nat({ max: 9 })), { maxLength: 40 })
    .map((rows) => {
      let t = 1_700_000_000_000;
      const timestampsMs = rows.map(([gap]) => (t += gap * 1000));
      const bits = BigUint64Array.from(rows, ([, value, dice]) => (stale && dice === 0 ? STALE_BITS : bitsOf(value)));
      return { timestampsMs, bits };
    });
}

/** Long and regular, as scraped series are: windows of equal length and equal distances. */
const regular: fc.Arbitrary<Series> = fc
  .record({ values: fc.array(fc.oneof({ weight: 9, arbitrary: fc.double({ min: 0, max: 1000, noNaN: true }) }, { weight: 1, arbitrary: awkward }), { minLength: 30, maxLength: 120 }), isWhole: fc.boolean() })
  .map(({ values, isWhole }) => ({
    timestampsMs: values.map((_v, i) => 1_700_000_000_000 + i * 15_000),
    bits: BigUint64Array.from(values, (v) => bitsOf(isWhole ? Math.trunc(v) : v)),
  }));

const grid = fc.record({
  startMs: fc.integer({ min: -100, max: 900 }).map((s) => 1_700_000_000_000 + s * 1000),
  stepMs: fc.constantFrom(0, 1000, 7000, 15_000, 60_000),
  steps: fc.integer({ min: 1, max: 30 }),
  rangeMs: fc.constantFrom(1000, 10_000, 45_000, 300_000),
});

/** Puts columns into a kernel memory and runs something over them. */
function withColumns<T>(kernels: Kernels, input: Series, steps: number, run: (p: { t: number; v: number; n: number; out: number; present: number; scratch: number }) => T): T {
  const n = input.timestampsMs.length;
  const ptr = kernels.memory.alloc((2 * n + steps + 4) * 8 + steps + 8 * (n + 2) + 64);
  try {
    const t = ptr;
    const v = t + n * 8;
    const out = v + n * 8;
    const scratch = out + steps * 8;
    const present = scratch + 8 * (n + 2);
    kernels.memory.f64(t, n).set(input.timestampsMs);
    new BigUint64Array(kernels.memory.buffer, v, n).set(input.bits);
    new BigUint64Array(kernels.memory.buffer, out, steps).fill(0n);
    return run({ t, v, n, out, present, scratch });
  } finally {
    kernels.memory.free(ptr);
  }
}

/** Bits of the present steps; every NaN counts as one. */
function readRow(kernels: Kernels, out: number, present: number, steps: number): string[] {
  const bits = new BigUint64Array(kernels.memory.buffer, out, steps);
  const floats = new Float64Array(kernels.memory.buffer, out, steps);
  return Array.from(kernels.memory.u8(present, steps), (p, k) => (p === 0 ? '-' : Number.isNaN(floats[k]) && bits[k] !== STALE_BITS ? 'NaN' : bits[k]!.toString(16)));
}

const wasm = createKernels({ backend: 'wasm' });
const js = createKernels({ backend: 'js' });

describe('window functions', () => {
  for (const [name, fn] of Object.entries(WINDOW)) {
    test(`${name}: the module and its twin agree to the bit`, () => {
      fc.assert(
        fc.property(fc.oneof(series(false), regular), grid, (input, g) => {
          const [a, b] = [wasm, js].map((kernels) =>
            withColumns(kernels, input, g.steps, (p) => {
              const found = kernels.windowFunction(fn, p.t, p.v, p.n, g.startMs, g.stepMs, g.steps, g.rangeMs, p.out, p.present, p.scratch);
              return [found, ...readRow(kernels, p.out, p.present, g.steps)];
            }),
          );
          expect(a).toEqual(b);
        }),
        { numRuns: 200 },
      );
    });
  }

  test('lookback: the module and its twin agree, stale markers hide what is older', () => {
    fc.assert(
      fc.property(series(true), grid, (input, g) => {
        const rows = [wasm, js].map((kernels) =>
          withColumns(kernels, input, g.steps, (p) => {
            const found = kernels.lookback(p.t, p.v, p.n, g.startMs, g.stepMs, g.steps, g.rangeMs, p.out, p.present);
            return [found, ...readRow(kernels, p.out, p.present, g.steps)];
          }),
        );
        const plain = Array.from({ length: g.steps }, (_unused, k) => {
          const ref = g.startMs + k * g.stepMs;
          const i = input.timestampsMs.findLastIndex((t) => t <= ref);
          if (i < 0 || input.timestampsMs[i]! <= ref - g.rangeMs || input.bits[i] === STALE_BITS) return '-';
          return Number.isNaN(new Float64Array(input.bits.buffer)[i]) ? 'NaN' : input.bits[i]!.toString(16);
        });
        expect(rows[0]).toEqual(rows[1]);
        expect(rows[0]!.slice(1)).toEqual(plain);
      }),
    );
  });

  test('stale markers are counted and dropped by their bits', () => {
    fc.assert(
      fc.property(series(true), (input) => {
        for (const kernels of [wasm, js]) {
          withColumns(kernels, input, 1, (p) => {
            const stale = input.bits.filter((bits) => bits === STALE_BITS).length;
            expect(kernels.countStale(p.v, p.n)).toBe(stale);
            const kept = kernels.dropStale(p.t, p.v, p.n, p.t, p.v);
            expect(kept).toBe(p.n - stale);
            expect([...new BigUint64Array(kernels.memory.buffer, p.v, kept)]).toEqual([...input.bits].filter((bits) => bits !== STALE_BITS));
            const times = input.timestampsMs.filter((_t, i) => input.bits[i] !== STALE_BITS);
            expect([...kernels.memory.f64(p.t, kept)]).toEqual(times);
          });
        }
      }),
    );
  });

  test.each([
    { name: 'increase over a reset, back to where the counter was 0', fn: WINDOW.increase, values: [1, 3, 2, 5], want: 7 * ((30 + 30 / 7) / 30) },
    { name: 'delta, extrapolated to the open start', fn: WINDOW.delta, values: [1, 3, 2, 5], want: 4 * (40 / 30) },
    { name: 'sum with cancellation', fn: WINDOW.sum, values: [1, 1e100, 1, -1e100], want: 2 },
    { name: 'avg past the largest double', fn: WINDOW.avg, values: [1.5e308, 1.5e308], want: 1.5e308 },
    { name: 'max ignores NaN', fn: WINDOW.max, values: [NaN, 2, NaN, 1], want: 2 },
    { name: 'min of NaN alone', fn: WINDOW.min, values: [NaN, NaN], want: NaN },
    { name: 'changes: NaN equals NaN', fn: WINDOW.changes, values: [1, NaN, NaN, 2], want: 2 },
    { name: 'resets', fn: WINDOW.resets, values: [1, 0, 5, 4], want: 2 },
    { name: 'stdvar', fn: WINDOW.stdvar, values: [1, 2, 3, 4], want: 1.25 },
    { name: 'irate of a reset takes the last value', fn: WINDOW.irate, values: [100, 30], want: 3 },
  ])('$name', ({ fn, values, want }) => {
    // Samples every 10 s: a window of n · 10 s holds n of them and begins 10 s before the first.
    const input = { timestampsMs: values.map((_v, i) => 10_000 * (i + 1)), bits: new BigUint64Array(new Float64Array(values).buffer) };
    for (const kernels of [wasm, js]) {
      withColumns(kernels, input, 1, (p) => {
        const rangeMs = values.length * 10_000;
        expect(kernels.windowFunction(fn, p.t, p.v, p.n, rangeMs, 0, 1, rangeMs, p.out, p.present, p.scratch)).toBe(1);
        const got = kernels.memory.f64(p.out, 1)[0]!;
        if (fn === WINDOW.increase || fn === WINDOW.delta) expect(got).toBeCloseTo(want, 12);
        else expect(got).toEqual(want);
      });
    }
  });
});

describe('accumulators', () => {
  const row = (steps: number): fc.Arbitrary<{ values: number[]; present: number[] }> =>
    fc.record({ values: fc.array(awkward, { minLength: steps, maxLength: steps }), present: fc.array(fc.constantFrom(0, 1), { minLength: steps, maxLength: steps }) });

  for (const [name, op] of Object.entries(AGGREGATE)) {
    test(`${name}: the module and its twin agree to the bit`, () => {
      fc.assert(
        fc.property(fc.array(row(5), { minLength: 1, maxLength: 8 }), (rows) => {
          const results = [wasm, js].map((kernels) => {
            const bytes = accumulatorBytes(op, 5);
            const ptr = kernels.memory.alloc(64 + bytes);
            try {
              kernels.memory.u8(ptr, 64 + bytes).fill(0);
              for (const { values, present } of rows) {
                kernels.memory.f64(ptr, 5).set(values);
                kernels.memory.u8(ptr + 40, 5).set(present);
                kernels.accumulate(op, ptr, ptr + 40, 5, ptr + 64);
              }
              const found = kernels.finishAggregate(op, ptr + 64, 5, ptr, ptr + 40);
              return [found, ...readRow(kernels, ptr, ptr + 40, 5)];
            } finally {
              kernels.memory.free(ptr);
            }
          });
          expect(results[0]).toEqual(results[1]);
          const seen = [0, 1, 2, 3, 4].filter((k) => rows.some((r) => r.present[k] === 1)).length;
          expect(results[0]![0]).toBe(seen);
        }),
        { numRuns: 200 },
      );
    });
  }

  test.each([
    { name: 'sum', op: AGGREGATE.sum, values: [1, 1e100, 1, -1e100], want: 2 },
    { name: 'avg that overflows', op: AGGREGATE.avg, values: [1.5e308, 1.5e308], want: 1.5e308 },
    { name: 'count', op: AGGREGATE.count, values: [NaN, 1, 2], want: 3 },
    { name: 'max', op: AGGREGATE.max, values: [NaN, 1, 2], want: 2 },
    { name: 'group', op: AGGREGATE.group, values: [7, 8], want: 1 },
    { name: 'stddev', op: AGGREGATE.stddev, values: [2, 4, 4, 4, 5, 5, 7, 9], want: 2 },
    { name: 'stdvar of an infinite first value', op: AGGREGATE.stdvar, values: [Infinity, 1], want: NaN },
  ])('$name', ({ op, values, want }) => {
    for (const kernels of [wasm, js]) {
      const ptr = kernels.memory.alloc(128);
      kernels.memory.u8(ptr, 128).fill(0);
      for (const value of values) {
        kernels.memory.f64(ptr, 1)[0] = value;
        kernels.memory.u8(ptr + 8, 1)[0] = 1;
        kernels.accumulate(op, ptr, ptr + 8, 1, ptr + 16);
      }
      kernels.finishAggregate(op, ptr + 16, 1, ptr, ptr + 8);
      expect(kernels.memory.f64(ptr, 1)[0]).toEqual(want);
      kernels.memory.free(ptr);
    }
  });
});
