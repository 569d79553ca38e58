/** Number text, points as JSON, and CRC-32C: the module against its twins, tables from Go's rules. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createKernels } from './create-kernels.ts';
import { formatFloat, formatTimestamp } from './js/float-text.ts';
import { FLOAT_TEXT_BYTES_MAX, type Kernels, POINT_JSON_BYTES_MAX, STEP_JSON_ROOM, STEP_TEXT_BYTES } from './kernels.ts';
import { awkwardSamples } from './testing/samples.ts';

const wasm = createKernels({ backend: 'wasm' });
const js = createKernels({ backend: 'js' });
const both: readonly Kernels[] = [wasm, js];

function textOf(kernels: Kernels, value: number): string {
  const ptr = kernels.memory.alloc(FLOAT_TEXT_BYTES_MAX);
  const length = kernels.writeFloat(value, ptr);
  const text = Buffer.from(kernels.memory.u8(ptr, length)).toString('latin1');
  kernels.memory.free(ptr);
  return text;
}

function pointsOf(kernels: Kernels, timestamps: ArrayLike<number>, values: Float64Array, outMax: number = values.length * POINT_JSON_BYTES_MAX): string | number {
  const { memory } = kernels;
  const ptrs = [memory.alloc(8 * values.length), memory.alloc(8 * values.length), memory.alloc(outMax)] as const;
  memory.f64(ptrs[0], values.length).set(timestamps);
  memory.u8(ptrs[1], 8 * values.length).set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  const length = kernels.writePointsJson(ptrs[0], ptrs[1], values.length, ptrs[2], outMax);
  const text = length < 0 ? length : Buffer.from(memory.u8(ptrs[2], length)).toString('latin1');
  ptrs.forEach((ptr) => memory.free(ptr));
  return text;
}

describe('number text', () => {
  test.each([
    [0, '0'],
    [-0, '-0'],
    [1, '1'],
    [-1.5, '-1.5'],
    [100, '100'],
    [0.1, '0.1'],
    [0.000001, '0.000001'],
    [0.00000123, '0.00000123'],
    [1e-7, '1e-07'],
    [9.5e-7, '9.5e-07'],
    [-1.25e-10, '-1.25e-10'],
    [1e20, '100000000000000000000'],
    [123456789012345680000, '123456789012345680000'],
    [999999999999999900000, '999999999999999900000'],
    [1e21, '1e+21'],
    [1.5e21, '1.5e+21'],
    [1e100, '1e+100'],
    [2 ** 53, '9007199254740992'],
    [2 ** 63, '9223372036854776000'],
    [Number.MAX_VALUE, '1.7976931348623157e+308'],
    [Number.MIN_VALUE, '5e-324'],
    [2.2250738585072014e-308, '2.2250738585072014e-308'],
    [2.225073858507201e-308, '2.225073858507201e-308'],
    [9.5367431640625e-7, '9.5367431640625e-07'],
    [1772409600.123, '1772409600.123'],
    [0.3, '0.3'],
    [0.1 + 0.2, '0.30000000000000004'],
    [5e-7, '5e-07'],
    [2e-44, '2e-44'],
    [NaN, 'NaN'],
    [Infinity, '+Inf'],
    [-Infinity, '-Inf'],
  ])('%p', (value, text) => {
    for (const kernels of both) expect(textOf(kernels, value)).toBe(text);
  });

  test('any bit pattern: the same text from both, and it reads back as the same number', () => {
    const bits = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }).map((value) => new Float64Array(BigUint64Array.of(value).buffer)[0]!);
    const decimal = fc.tuple(fc.integer({ min: -1_000_000, max: 1_000_000 }), fc.integer({ min: -12, max: 18 })).map(([m, e]) => Number(`${m}e${e}`));
    const nearPower = fc.tuple(fc.integer({ min: -1074, max: 1023 }), fc.integer({ min: -2, max: 2 })).map(([e, ulps]) => {
      const words = new BigUint64Array(Float64Array.of(2 ** e).buffer);
      words[0] = BigInt.asUintN(64, words[0]! + BigInt(ulps));
      return new Float64Array(words.buffer)[0]!;
    });
    fc.assert(
      fc.property(fc.oneof(bits, fc.double(), decimal, nearPower), (value) => {
        const text = textOf(wasm, value);
        expect(text).toBe(textOf(js, value));
        expect(text.length).toBeLessThanOrEqual(FLOAT_TEXT_BYTES_MAX);
        expect(Number(text.replace('Inf', 'Infinity'))).toBe(value);
        expect(formatFloat(value)).toBe(text);
      }),
      { numRuns: 5000 },
    );
  });

  test('decimals of a few places, and their neighbours', () => {
    const bits = new BigInt64Array(1);
    const doubles = new Float64Array(bits.buffer);
    fc.assert(
      fc.property(fc.oneof(fc.integer({ min: -2_000_000, max: 2_000_000 }), fc.maxSafeInteger()), fc.constantFrom(1, 10, 100, 1000, 10_000, 1e6), fc.bigInt({ min: -2n, max: 2n }), (digits, places, distance) => {
        doubles[0] = digits / places;
        bits[0] = bits[0]! + distance;
        if (Number.isFinite(doubles[0])) expect(textOf(wasm, doubles[0])).toBe(textOf(js, doubles[0]));
      }),
      { numRuns: 5000 },
    );
  });

  test('every power of two and of ten', () => {
    for (let e = -1074; e <= 1023; e++) expect([e, textOf(wasm, 2 ** e)]).toEqual([e, textOf(js, 2 ** e)]);
    for (let e = -323; e <= 308; e++) expect([e, textOf(wasm, Number(`1e${e}`))]).toEqual([e, textOf(js, Number(`1e${e}`))]);
  });
});

describe('points as JSON', () => {
  test('seconds have three decimals or none', () => {
    const expected = '[1700000000,"1.5"],[1700000000.250,"NaN"],[0.001,"+Inf"],[0,"-0"],[-0.500,"1e-07"],[-1700000000.012,"1e+21"]';
    const timestamps = [1700000000000, 1700000000250, 1, 0, -500, -1700000000012];
    for (const kernels of both) expect(pointsOf(kernels, timestamps, Float64Array.of(1.5, NaN, Infinity, -0, 1e-7, 1e21))).toBe(expected);
    expect(formatTimestamp(-1700000000012)).toBe('-1700000000.012');
    for (const kernels of both) expect(pointsOf(kernels, [], new Float64Array(0))).toBe('');
  });

  test('any timestamp, near multiples of a second above all', () => {
    const near = fc.tuple(fc.integer({ min: 0, max: 9_007_199_254_739 }), fc.integer({ min: -2, max: 2 })).map(([seconds, ms]) => seconds * 1000 + ms);
    fc.assert(
      fc.property(fc.oneof(near, fc.maxSafeInteger()), (timestamp) => {
        const expected = `[${formatTimestamp(timestamp)},"0"]`;
        for (const kernels of both) expect(pointsOf(kernels, [timestamp], Float64Array.of(0))).toBe(expected);
      }),
      { numRuns: 2000 },
    );
  });

  test('both write the same, for any samples and any room', () => {
    fc.assert(
      fc.property(awkwardSamples(60), fc.nat(1000), ({ timestampsMs, values }, cut) => {
        const text = pointsOf(wasm, timestampsMs, values);
        expect(pointsOf(js, timestampsMs, values)).toBe(text);
        expect(JSON.parse(`[${text}]`)).toHaveLength(values.length);
        expect(pointsOf(wasm, timestampsMs, values, cut)).toBe(pointsOf(js, timestampsMs, values, cut));
      }),
    );
  });

  test('refusals', () => {
    for (const kernels of both) {
      expect(pointsOf(kernels, [1.5], Float64Array.of(1))).toBe(-1);
      expect(pointsOf(kernels, [NaN], Float64Array.of(1))).toBe(-1);
      expect(pointsOf(kernels, [1, 2], Float64Array.of(1, 1), 70)).toBe(-2);
      expect(pointsOf(kernels, [Number.MAX_SAFE_INTEGER], Float64Array.of(-1.2345678901234568e-300))).toBe('[9007199254740.991,"-1.2345678901234568e-300"]');
    }
  });
});

/** Text of a row of steps; −2 where `room` does not suffice. */
function stepsOf(kernels: Kernels, firstMs: number, stepMs: number, values: Float64Array, present: readonly boolean[], room = values.length * POINT_JSON_BYTES_MAX + STEP_JSON_ROOM): string | number {
  const { memory } = kernels;
  const n = values.length;
  const [textPtr, valuesPtr, presentPtr, outPtr] = [n * STEP_TEXT_BYTES + 1, n * 8 + 1, n + 1, room + 1].map((bytes) => memory.alloc(bytes)) as [number, number, number, number];
  try {
    memory.f64(valuesPtr, n).set(values);
    memory.u8(presentPtr, n).set(present.map(Number));
    const steps = kernels.writeStepTexts(firstMs, stepMs, n, textPtr);
    if (steps !== n) return steps;
    const bytes = kernels.writeStepsJson(textPtr, valuesPtr, presentPtr, n, outPtr, room);
    return bytes < 0 ? bytes : Buffer.from(memory.u8(outPtr, bytes)).toString('latin1');
  } finally {
    for (const ptr of [textPtr, valuesPtr, presentPtr, outPtr]) memory.free(ptr);
  }
}

describe('rows of steps as JSON', () => {
  const rows = fc.record({
    firstMs: fc.oneof(fc.constant(1_700_000_000_000), fc.integer({ min: -1e13, max: 1e13 })),
    stepMs: fc.constantFrom(1, 999, 15_000, 60_000),
    values: awkwardSamples(60).map(({ values }) => values),
    mask: fc.array(fc.boolean(), { minLength: 60, maxLength: 60 }),
  });

  test('as points, without those that are absent', () => {
    fc.assert(
      fc.property(rows, ({ firstMs, stepMs, values, mask }) => {
        const present = mask.slice(0, values.length);
        const kept = [...values.keys()].filter((k) => present[k]);
        const expected = pointsOf(wasm, kept.map((k) => firstMs + k * stepMs), values.filter((_value, k) => present[k]));
        for (const kernels of both) expect(stepsOf(kernels, firstMs, stepMs, values, present)).toBe(expected);
      }),
    );
  });

  test('both stop at the same point when room ends', () => {
    fc.assert(
      fc.property(rows, fc.nat(1000), ({ firstMs, stepMs, values, mask }, room) => {
        const present = mask.slice(0, values.length);
        expect(stepsOf(wasm, firstMs, stepMs, values, present, room)).toBe(stepsOf(js, firstMs, stepMs, values, present, room));
      }),
    );
  });

  test('the longest text fits, a time that is none does not', () => {
    for (const kernels of both) {
      expect(stepsOf(kernels, -Number.MAX_SAFE_INTEGER, 1, Float64Array.of(-1.2345678901234568e-300), [true])).toBe('[-9007199254740.991,"-1.2345678901234568e-300"]');
      expect(stepsOf(kernels, 0.5, 1, Float64Array.of(1), [true])).toBe(-1);
      expect(stepsOf(kernels, Number.MAX_SAFE_INTEGER, 1, Float64Array.of(1, 1), [true, true])).toBe(-1);
    }
  });
});

describe('crc32c', () => {
  test('both equal, whole and in parts, at any alignment', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(300), fc.nat(15), (bytes, cut, shift) => {
        const results = both.map((kernels) => {
          const ptr = kernels.memory.alloc(bytes.length + 16);
          kernels.memory.u8(ptr + shift, bytes.length).set(bytes);
          const first = Math.min(cut, bytes.length);
          const whole = kernels.crc32c(ptr + shift, bytes.length, 0);
          const parts = kernels.crc32c(ptr + shift + first, bytes.length - first, kernels.crc32c(ptr + shift, first, 0));
          kernels.memory.free(ptr);
          return [whole, parts];
        });
        expect(results[0]).toEqual(results[1]);
        expect(results[0]![0]).toBe(results[0]![1]);
      }),
    );
  });

  test('published vector', () => {
    for (const kernels of both) {
      const ptr = kernels.memory.alloc(9);
      kernels.memory.u8(ptr, 9).set(Buffer.from('123456789'));
      expect(kernels.crc32c(ptr, 9, 0)).toBe(0xe3069283);
    }
  });
});
