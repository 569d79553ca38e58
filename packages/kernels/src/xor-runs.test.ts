/** XOR chunks whose values stay the same while scrapes are on time: runs of samples of two bits, broken at every place. */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createKernels } from './create-kernels.ts';
import { type Kernels, xorChunkBytesMax } from './kernels.ts';

const wasm = createKernels({ backend: 'wasm' });
const js = createKernels({ backend: 'js' });

/** The chunk, in memory that was full of ones before, and what decodes from it. */
function roundTrip(kernels: Kernels, times: readonly number[], values: readonly number[], outMax: number = xorChunkBytesMax(times.length)): { chunk: string; times: number[]; values: number[] } {
  const { memory } = kernels;
  const bytes = 8 * times.length;
  const [timesPtr, valuesPtr, outPtr] = [memory.alloc(bytes), memory.alloc(bytes), memory.alloc(outMax + 16)];
  memory.f64(timesPtr, times.length).set(times);
  memory.f64(valuesPtr, times.length).set(values);
  memory.u8(outPtr, outMax + 16).fill(0xff);
  const used = kernels.encodeXor(timesPtr, valuesPtr, times.length, outPtr, outMax);
  const chunk = Buffer.from(memory.u8(outPtr, Math.max(used, 0))).toString('hex');
  memory.u8(outPtr + Math.max(used, 0), 16).fill(0xff);
  const decoded = used < 0 ? used : kernels.decodeXor(outPtr, used, timesPtr, valuesPtr, times.length);
  const result = { chunk: used < 0 ? String(used) : chunk, times: [...memory.f64(timesPtr, Math.max(decoded, 0))], values: [...memory.f64(valuesPtr, Math.max(decoded, 0))] };
  for (const ptr of [timesPtr, valuesPtr, outPtr]) memory.free(ptr);
  return result;
}

test('one run of every length', () => {
  for (let count = 1; count <= 300; count++) {
    const times = Array.from({ length: count }, (_none, i) => 1_772_409_600_000 + i * 15_000);
    const values = times.map(() => 42);
    const got = roundTrip(wasm, times, values);
    expect(got.chunk).toBe(roundTrip(js, times, values).chunk);
    expect([got.times, got.values]).toEqual([times, values]);
  }
});

test('runs of any lengths, between scrapes that come late and values that change', () => {
  const piece = fc.record({ run: fc.integer({ min: 0, max: 90 }), late: fc.constantFrom(0, 0, 1, -3, 9000, 70_000, 600_000), step: fc.constantFrom(0, 0, 0, 0, 1, 0.1, 1e300) });
  fc.assert(
    fc.property(fc.array(piece, { minLength: 1, maxLength: 12 }), fc.constantFrom(15_000, 1, 0), (pieces, interval) => {
      const times = [1_772_409_600_000];
      const values = [7];
      for (const { run, late, step } of pieces) {
        times.push(times.at(-1)! + interval + late);
        values.push(values.at(-1)! + step);
        for (let i = 0; i < run; i++) {
          times.push(times.at(-1)! + interval);
          values.push(values.at(-1)!);
        }
      }
      // Chunks that begin and end alike are taken to be mostly runs.
      times.push(times.at(-1)! + interval);
      values.push(7);
      const got = roundTrip(wasm, times, values);
      const twin = roundTrip(js, times, values);
      expect(got).toEqual(twin);
      expect([got.times, got.values]).toEqual([times, values]);
    }),
  );
});

test('timestamps near the limit, and too little room, end as in the twin', () => {
  const run = Array.from({ length: 100 }, () => 1);
  for (const first of [2 ** 51 - 60, 2 ** 53 - 60, -(2 ** 53) + 1, 2 ** 52 - 0.5]) {
    const times = run.map((_one, i) => first + i);
    expect(roundTrip(wasm, times, run)).toEqual(roundTrip(js, times, run));
  }
  const times = run.map((_one, i) => i);
  for (let outMax = 0; outMax < 200; outMax++) expect(roundTrip(wasm, times, run, outMax)).toEqual(roundTrip(js, times, run, outMax));
});

test('a run that the chunk has no bits for is damage', () => {
  const times = Array.from({ length: 64 }, (_none, i) => i * 1000);
  for (const kernels of [wasm, js]) {
    const { memory } = kernels;
    const { chunk } = roundTrip(kernels, times, times.map(() => 1));
    const bytes = Buffer.from(chunk, 'hex');
    const ptr = memory.alloc(bytes.length + 16);
    const out = memory.alloc(16 * 64);
    const outcomes = Array.from({ length: bytes.length + 1 }, (_none, length) => {
      memory.u8(ptr, bytes.length + 16).fill(0).set(bytes.subarray(0, length));
      return kernels.decodeXor(ptr, length, out, out + 8 * 64, 64);
    });
    expect(outcomes.at(-1)).toBe(64);
    expect(outcomes.slice(2, -1).every((outcome) => outcome === -1)).toBe(true);
    memory.free(ptr);
    memory.free(out);
  }
});
