/** Replicas merged and counters summed: the module and its twin agree on random timelines bit for bit; the rules by tables. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createKernels } from './create-kernels.ts';
import { bitsOf } from './testing/index.ts';

type Sample = readonly [ms: number, value: number | bigint];

const STALE = 0x7ff0000000000002n;
const SPECIAL = [STALE, 0x7ff8000000000001n, 0xfff800000000abcdn, 0x7ff0000000000000n, 0xfff0000000000000n, 0x8000000000000000n, 0n];

const all = { wasm: createKernels({ backend: 'wasm' }), js: createKernels({ backend: 'js' }) };
const BACKENDS = ['wasm', 'js'] as const;
type Backend = (typeof BACKENDS)[number];

/** Values by their bits, so that no NaN passes through a JavaScript number. */
function columnsOf(samples: readonly Sample[]): { times: Float64Array; values: Float64Array } {
  const values = new Float64Array(samples.length);
  const bits = new BigUint64Array(values.buffer);
  samples.forEach(([, value], i) => (typeof value === 'bigint' ? (bits[i] = value) : (values[i] = value)));
  return { times: Float64Array.from(samples, ([ms]) => ms), values };
}

interface Result {
  readonly times: readonly number[];
  readonly values: readonly number[];
  readonly bits: readonly string[];
}

function resultOf(backend: Backend, timesPtr: number, valuesPtr: number, count: number): Result {
  const { memory } = all[backend];
  const values = memory.f64(valuesPtr, count).slice();
  return { times: [...memory.f64(timesPtr, count)], values: [...values], bits: bitsOf(values) };
}

function merge(backend: Backend, a: readonly Sample[], b: readonly Sample[], isCounter: boolean): Result {
  const kernels = all[backend];
  const { memory } = kernels;
  const room = Math.max(1, a.length + b.length);
  const sizes = [a.length, a.length, b.length, b.length, room, room];
  const [at, av, bt, bv, ot, ov] = sizes.map((samples) => memory.alloc(8 * samples)) as [number, number, number, number, number, number];
  try {
    for (const [samples, times, values] of [[a, at, av], [b, bt, bv]] as const) {
      const columns = columnsOf(samples);
      memory.f64(times, samples.length).set(columns.times);
      memory.u8(values, 8 * samples.length).set(new Uint8Array(columns.values.buffer));
    }
    const count = kernels.mergePenalty(at, av, a.length, bt, bv, b.length, isCounter ? 1 : 0, ot, ov);
    return resultOf(backend, ot, ov, count);
  } finally {
    for (const ptr of [at, av, bt, bv, ot, ov]) memory.free(ptr);
  }
}

function sum(backend: Backend, samples: readonly Sample[]): Result {
  const kernels = all[backend];
  const { memory } = kernels;
  const [t, v] = [memory.alloc(8 * samples.length), memory.alloc(8 * samples.length)];
  try {
    const columns = columnsOf(samples);
    memory.f64(t, samples.length).set(columns.times);
    memory.u8(v, 8 * samples.length).set(new Uint8Array(columns.values.buffer));
    return resultOf(backend, t, v, kernels.applyCounterResets(t, v, samples.length));
  } finally {
    memory.free(t);
    memory.free(v);
  }
}

/** A NaN that was computed has no bits of its own: which of two payloads survives a sum is the machine's choice. */
const unlessComputed = ({ times, values, bits }: Result): unknown => ({ times, bits: bits.map((text, i) => (Number.isNaN(values[i]) ? 'NaN' : text)) });

const value = (special: number): fc.Arbitrary<number | bigint> =>
  fc.oneof(
    { weight: 12, arbitrary: fc.nat(1000) },
    { weight: 4, arbitrary: fc.double({ noNaN: true }) },
    { weight: 2, arbitrary: fc.integer({ min: -3, max: 3 }) },
    { weight: special, arbitrary: fc.constantFrom(...SPECIAL) },
  );
/** Distances as scrapes have them: mostly steady, with jitter, holes, and bursts. */
const gap = fc.oneof({ weight: 20, arbitrary: fc.constant(15_000) }, { weight: 6, arbitrary: fc.integer({ min: 14_900, max: 15_100 }) }, { weight: 2, arbitrary: fc.integer({ min: 1, max: 40 }) }, { weight: 1, arbitrary: fc.integer({ min: 30_000, max: 200_000 }) });
const timeline = (special: number): fc.Arbitrary<Sample[]> =>
  fc
    .record({ first: fc.oneof(fc.nat(20_000), fc.integer({ min: -200_000, max: 200_000 })), steps: fc.array(fc.tuple(gap, value(special)), { maxLength: 90 }), runs: fc.nat(3) })
    .map(({ first, steps, runs }) => {
      const samples: Sample[] = [];
      let ms = first;
      let growing = 0;
      for (const [distance, own] of steps) {
        // Now and then a steady stretch, longer than what is copied one by one.
        for (let k = 0; k < (samples.length % 30 === 29 ? 20 * runs : 1); k++) {
          samples.push([ms, k === 0 ? own : (growing += 7)]);
          ms += distance;
        }
      }
      return samples;
    });

describe('mergePenalty', () => {
  test('module and twin agree on values of any bits', () => {
    fc.assert(
      fc.property(timeline(2), timeline(2), (a, b) => {
        expect(merge('wasm', a, b, false)).toEqual(merge('js', a, b, false));
      }),
      { numRuns: 1500 },
    );
  });

  test('module and twin agree where counters are raised', () => {
    fc.assert(
      fc.property(fc.constantFrom(0, 1).chain((special) => fc.tuple(timeline(special), timeline(special))), ([a, b]) => {
        expect(unlessComputed(merge('wasm', a, b, true))).toEqual(unlessComputed(merge('js', a, b, true)));
      }),
      { numRuns: 1500 },
    );
  });

  test('the same timeline twice, shifted by little or nothing, with holes at chosen places', () => {
    const holes = fc.uniqueArray(fc.nat(199), { maxLength: 120 });
    fc.assert(
      fc.property(fc.constantFrom(0, 1, 2, 7_500, 14_999), fc.constantFrom(1, 2, 1000, 15_000), holes, holes, fc.boolean(), (shift, step, lostByA, lostByB, isCounter) => {
        const [a, b] = [lostByA, lostByB].map((lost, r) => Array.from({ length: 200 }, (_, i): Sample => [i * step + r * shift, i * 10 - r]).filter((_sample, i) => !lost.includes(i))) as [Sample[], Sample[]];
        expect(merge('wasm', a, b, isCounter)).toEqual(merge('js', a, b, isCounter));
      }),
      { numRuns: 500 },
    );
  });

  describe.each(BACKENDS)('%s', (backend) => {
    const steady = (first: number, count: number): Sample[] => Array.from({ length: count }, (_, i) => [first + 10_000 * i, i]);
    const timesOf = (a: readonly Sample[], b: readonly Sample[]): readonly number[] => merge(backend, a, b, false).times;

    test('stays with the first to come; a tie is the first side', () => {
      expect(timesOf(steady(0, 50), steady(5_000, 50))).toEqual(steady(0, 50).map(([ms]) => ms));
      expect(timesOf(steady(5_000, 50), steady(0, 50))).toEqual(steady(0, 50).map(([ms]) => ms));
      expect(merge(backend, [[0, 1], [10, 2]], [[0, 3], [10, 4]], false).values).toEqual([1, 2]);
    });

    test('a hole is filled by the other side, behind a penalty of two steps', () => {
      expect(timesOf([[0, 0], [10_000, 0], [20_000, 0], [200_000, 0]], steady(5_000, 12))).toEqual([0, 10_000, 20_000, 45_000, 55_000, 65_000, 75_000, 85_000, 95_000, 105_000, 115_000, 200_000]);
    });

    test('empty sides', () => {
      expect(timesOf([], [])).toEqual([]);
      expect(timesOf(steady(0, 30), [])).toEqual(steady(0, 30).map(([ms]) => ms));
      expect(timesOf([], steady(0, 30))).toEqual(steady(0, 30).map(([ms]) => ms));
      expect(timesOf([[1, 1]], [])).toEqual([1]);
    });

    test('a counter is raised at switches, long runs too; else values keep their bits', () => {
      const a: Sample[] = [[0, 100], [10_000, 110], [20_000, 120]];
      const b = steady(5_000, 40);
      const { values } = merge(backend, a, b, true);
      expect(values.slice(0, 3)).toEqual([100, 110, 120]);
      expect(values.slice(3)).toEqual(Array.from({ length: 36 }, (_, i) => 120 + i));
      expect(merge(backend, [[0, STALE], [10, 0xfff800000000abcdn]], [[400_000, STALE]], false).bits).toEqual(['7ff0000000000002', 'fff800000000abcd', '7ff0000000000002']);
    });
  });
});

describe('applyCounterResets', () => {
  /** Chunks one behind the other: now and then a time that is not later. */
  const counter = fc
    .array(fc.tuple(fc.oneof({ weight: 12, arbitrary: fc.constant(15_000) }, { weight: 1, arbitrary: fc.constantFrom(0, -15_000, 1) }), fc.oneof({ weight: 10, arbitrary: fc.nat(9) }, { weight: 1, arbitrary: value(3) }), fc.boolean()), { maxLength: 120 })
    .map((steps) => {
      let ms = 0;
      let total = 0;
      return steps.map(([distance, add, isOwn]): Sample => {
        ms += distance;
        if (typeof add === 'bigint') return [ms, add];
        total = isOwn && add < 1 ? add : total + add;
        return [ms, total];
      });
    });

  test('module and twin agree', () => {
    fc.assert(
      fc.property(counter, (samples) => {
        expect(unlessComputed(sum('wasm', samples))).toEqual(unlessComputed(sum('js', samples)));
      }),
      { numRuns: 2000 },
    );
  });

  test.each(BACKENDS)('%s: resets, repeated times, NaN, zeros, numbers beyond 2^53', (backend) => {
    expect(sum(backend, [5, 7, 2, 4].map((v, i) => [i, v])).values).toEqual([5, 7, 9, 11]);
    expect(sum(backend, [])).toEqual({ times: [], values: [], bits: [] });
    expect(sum(backend, [[1, 3], [2, STALE], [2, 4], [2, 1], [3, 2], [1, 9], [4, 5]])).toMatchObject({ times: [1, 2, 3, 4], values: [3, 4, 5, 8] });
    expect(sum(backend, [[1, -0], [2, 0], [3, -0]]).bits).toEqual(['8000000000000000', '0000000000000000', '0000000000000000']);
    const rising = Array.from({ length: 60 }, (_, i): Sample => [i, 1 + i]);
    expect(sum(backend, [...rising, [60, 0.5], [61, 1.5]]).values.slice(-3)).toEqual([60, 60.5, 61.5]);
    expect(sum(backend, [[1, 1], [2, 3], [3, 2 ** 53], [4, 2 ** 53 + 4], [5, 2 ** 53 + 6]]).values).toEqual([1, 3, 2 ** 53, 2 ** 53 + 4, 2 ** 53 + 6]);
  });
});
