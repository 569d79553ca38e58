import { expect, test } from '@jest/globals';
import { createKernels, xorChunkBytesMax } from '@gauntlet/kernels';
import fc from 'fast-check';
import { createXorAppend, createXorAppendState, XOR_SAMPLE_BYTES_MAX } from './xor-appender.ts';

const kernels = createKernels({ backend: 'js' });
const append = createXorAppend();

/** Distances at and around the borders of the timestamp codes. */
const border = fc.constantFrom(1, 2, 15_000, 8191, 8192, 8193, 65535, 65536, 65537, 524287, 524288, 524289, 2 ** 31, 2 ** 32 + 1, 2 ** 40);
const distance = fc.oneof({ weight: 4, arbitrary: fc.integer({ min: 14_990, max: 15_010 }) }, { weight: 2, arbitrary: border }, { weight: 1, arbitrary: fc.integer({ min: 1, max: 2 ** 31 - 1 }) });
const special = fc.constantFrom<[number, number]>([0, 0], [0x80000000, 0], [0x7ff00000, 2], [0x7ff80000, 1], [0xfff00000, 0], [0, 1], [0x3ff00000, 0], [0xffffffff, 0xffffffff]);
const word = fc.nat(0xffffffff);
const value = fc.oneof(special, fc.tuple(word, word), fc.integer({ min: -1000, max: 1000 }).map((n): [number, number] => {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, n);
  return [view.getUint32(0), view.getUint32(4)];
}));
const samples = fc.tuple(fc.integer({ min: -(2 ** 45), max: 2 ** 45 }), fc.array(fc.tuple(distance, value), { minLength: 1, maxLength: 200 }));

test('samples appended one by one give the bits that the column encoder gives', () => {
  fc.assert(
    fc.property(samples, fc.nat(40), ([start, rest], row) => {
      const count = rest.length;
      const timesPtr = kernels.memory.alloc(count * 8);
      const valuesPtr = kernels.memory.alloc(count * 8);
      const outPtr = kernels.memory.alloc(xorChunkBytesMax(count));
      const times = kernels.memory.f64(timesPtr, count);
      const words = new Uint32Array(kernels.memory.buffer, valuesPtr, count * 2);
      const state = createXorAppendState(41);
      state.bits[row] = 16;
      const page = new Uint8Array(count * XOR_SAMPLE_BYTES_MAX + 64);
      const chunkAt = 7;
      let time = start;
      for (const [i, [step, [high, low]]] of rest.entries()) {
        time += step;
        times[i] = time;
        words[i * 2] = low;
        words[i * 2 + 1] = high;
        append(page, chunkAt, state, row, time, high, low);
      }
      const bytes = kernels.encodeXor(timesPtr, valuesPtr, count, outPtr, xorChunkBytesMax(count));
      const want = Buffer.from(kernels.memory.u8(outPtr, bytes)).toString('hex');
      for (const ptr of [timesPtr, valuesPtr, outPtr]) kernels.memory.free(ptr);
      expect(Buffer.from(page.subarray(chunkAt, chunkAt + Math.ceil(state.bits[row]! / 8))).toString('hex')).toBe(want);
      expect(page.subarray(chunkAt + Math.ceil(state.bits[row]! / 8)).every((byte) => byte === 0)).toBe(true);
    }),
    { numRuns: 300 },
  );
});
