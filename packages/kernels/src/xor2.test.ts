/** XOR2 chunks: the module against its twin on chunks built by the definition, on cut and flipped ones, and on noise. */
import fc from 'fast-check';
import { describe, expect, test } from '@jest/globals';
import { BitWriter, writeUvarintWords, writeVarint } from '@gauntlet/bytes';
import { createKernels } from './create-kernels.ts';
import type { Kernels } from './kernels.ts';
import { bitsOf } from './testing/samples.ts';

const wasm = createKernels({ backend: 'wasm' });
const js = createKernels({ backend: 'js' });
const both: readonly Kernels[] = [wasm, js];
const STALE = 0x7ff0000000000002n;

interface Sample {
  readonly time: bigint;
  readonly bits: bigint;
  readonly start: bigint;
}

/** The format's definition in BigInt, without any of the tricks. */
function encodeByDefinition(samples: readonly Sample[]): Buffer {
  const out = new BitWriter();
  const scratch = new Uint8Array(10);
  const put = (value: bigint, width: number): void => {
    const cut = BigInt.asUintN(width, value);
    out.writeBits64(Number(cut >> 32n), Number(cut & 0xffffffffn), width);
  };
  const putText = (text: string): void => text.split('').forEach((bit) => out.writeBit(Number(bit)));
  const putVarbit = (value: bigint): void => {
    const widths = [0n, 3n, 6n, 9n, 12n, 18n, 25n, 56n];
    const ones = value === 0n ? 0 : widths.findIndex((k) => k > 0n && value > -(1n << (k - 1n)) && value <= 1n << (k - 1n));
    if (ones < 0) {
      putText('11111111');
      put(value, 64);
    } else {
      putText(`${'1'.repeat(ones)}0`);
      put(value, Number(widths[ones]));
    }
  };
  let changeAt = samples.findIndex(({ start }, i) => i > 0 && i <= 127 && start !== samples[i - 1]!.start);
  if (changeAt < 0) changeAt = samples.length > 127 ? 127 : 0;
  out.writeBits(samples.length, 16);
  out.writeByte((samples.length > 0 && samples[0]!.start !== 0n ? 0x80 : 0) | changeAt);
  let delta = 0n;
  let base = 0n;
  let window: { leading: number; trailing: number } | undefined;
  const putValue = (bits: bigint, codes: { same: string; reuse: string; fresh: string; stale: string }): void => {
    if (bits === STALE) return putText(codes.stale);
    const xor = bits ^ base;
    base = bits;
    if (xor === 0n) return putText(codes.same);
    const text = xor.toString(2).padStart(64, '0');
    const leading = Math.min(31, text.indexOf('1'));
    const trailing = 63 - text.lastIndexOf('1');
    if (window !== undefined && leading >= window.leading && trailing >= window.trailing) putText(codes.reuse);
    else {
      window = { leading, trailing };
      putText(codes.fresh);
      out.writeBits(leading, 5);
      out.writeBits(64 - leading - trailing, 6);
    }
    put(xor >> BigInt(window.trailing), 64 - window.leading - window.trailing);
  };
  const long = { same: '0', reuse: '10', fresh: '110', stale: '111' };
  const short = { same: '0', reuse: '100', fresh: '101', stale: '11111' };
  samples.forEach(({ time, bits, start }, i) => {
    if (i === 0) {
      out.writeBytes(scratch.subarray(0, writeVarint(scratch, 0, Number(time))));
      put(bits, 64);
      if (bits !== STALE) base = bits;
      if (start !== 0n) out.writeBytes(scratch.subarray(0, writeVarint(scratch, 0, Number(time - start))));
      return;
    }
    const { time: previous, start: previousStart } = samples[i - 1]!;
    const change = time - previous - delta;
    delta = time - previous;
    if (i === 1) {
      const raw = BigInt.asUintN(64, delta);
      out.writeBytes(scratch.subarray(0, writeUvarintWords(scratch, 0, Number(raw >> 32n), Number(raw & 0xffffffffn))));
      putValue(bits, long);
    } else if (change === 0n) putValue(bits, short);
    else {
      const width = [13, 20, 64].find((k) => change >= -(1n << BigInt(k - 1)) && change < 1n << BigInt(k - 1))!;
      putText({ 13: '110', 20: '1110', 64: '11110' }[width]!);
      put(change, width);
      putValue(bits, long);
    }
    if (changeAt > 0 && i === changeAt) putVarbit(previous - start);
    else if (changeAt > 0 && i > changeAt) putVarbit(previous - start - (samples[i - 2]!.time - previousStart));
  });
  return Buffer.from(out.bytes());
}

/** Columns of the chunk, or the negative code; what lies behind the chunk is 0xff, so that an overrun shows. */
function decode(kernels: Kernels, chunk: Uint8Array, withStarts = true, sampleMax = 400): { times: number[]; bits: string[]; starts: number[] } | number {
  const { memory } = kernels;
  const chunkPtr = memory.alloc(chunk.length + 16);
  const [timesPtr, valuesPtr, startsPtr] = [memory.alloc(8 * sampleMax + 8), memory.alloc(8 * sampleMax + 8), memory.alloc(8 * sampleMax + 8)];
  memory.u8(chunkPtr, chunk.length + 16).fill(0xff).set(chunk);
  memory.f64(startsPtr, sampleMax).fill(-7);
  const count = kernels.decodeXor2(chunkPtr, chunk.length, timesPtr, valuesPtr, withStarts ? startsPtr : 0, sampleMax);
  const result = count < 0 ? count : { times: [...memory.f64(timesPtr, count)], bits: bitsOf(memory.u8(valuesPtr, 8 * count)), starts: withStarts ? [...memory.f64(startsPtr, count)] : [] };
  for (const ptr of [chunkPtr, timesPtr, valuesPtr, startsPtr]) memory.free(ptr);
  return result;
}

const edges = [0, 1, -1, 3, 4, -3, 5, 32, 33, -31, -32, 256, 257, 2048, 2049, 4095, 4096, -4096, -4097, 131072, 131073, 524287, 524288, -524288, -524289, 2 ** 24, 2 ** 24 + 1, 2 ** 40, -(2 ** 40)];
const samples: fc.Arbitrary<Sample[]> = fc
  .tuple(
    fc.constantFrom(0n, 1772409600000n, -(2n ** 40n)),
    fc.array(
      fc.record({
        change: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.constantFrom(...edges), fc.integer({ min: -50, max: 50 })),
        bits: fc.oneof({ weight: 2, arbitrary: fc.constant(undefined) }, fc.constantFrom(STALE, 0n, 1n, 1n << 63n, 2n ** 64n - 1n, 0x3ff0000000000000n), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })),
        start: fc.oneof({ weight: 3, arbitrary: fc.constant('same') }, fc.constantFrom('none', 'previous'), fc.constantFrom(...edges)),
      }),
      { maxLength: 150 },
    ),
  )
  .map(([first, steps]) => {
    const made: Sample[] = [];
    let delta = 15_000n;
    for (const { change, bits, start } of steps) {
      const last = made.at(-1) ?? { time: first - 15_000n, bits: 0x4000000000000000n, start: 0n };
      delta += BigInt(made.length > 1 ? change : 0);
      const own = start === 'same' ? last.start : start === 'none' ? 0n : start === 'previous' ? last.time : last.time + BigInt(start);
      made.push({ time: last.time + delta, bits: bits ?? last.bits, start: own });
    }
    return made;
  });

describe('XOR2 chunks', () => {
  test('both decoders give the samples back, with starts and without', () => {
    fc.assert(
      fc.property(samples, (made) => {
        const chunk = encodeByDefinition(made);
        const columns = { times: made.map(({ time }) => Number(time)), bits: made.map(({ bits }) => bits.toString(16).padStart(16, '0')) };
        for (const kernels of both) {
          expect(decode(kernels, chunk)).toEqual({ ...columns, starts: made.map(({ start }) => Number(start)) });
          expect(decode(kernels, chunk, false)).toEqual({ ...columns, starts: [] });
        }
      }),
      { numRuns: 300 },
    );
  });

  test('every cut is refused by both', () => {
    fc.assert(
      fc.property(samples.map((made) => made.slice(0, 24)), (made) => {
        const chunk = encodeByDefinition(made);
        for (let end = 0; end < chunk.length; end++) for (const kernels of both) expect(decode(kernels, chunk.subarray(0, end))).toBe(-1);
      }),
      { numRuns: 60 },
    );
  });

  test('a flipped byte: both refuse, or both give the same', () => {
    fc.assert(
      fc.property(samples, fc.nat(), fc.integer({ min: 1, max: 255 }), (made, at, flip) => {
        const chunk = encodeByDefinition(made);
        chunk[at % chunk.length]! ^= flip;
        expect(decode(wasm, chunk)).toEqual(decode(js, chunk));
      }),
      { numRuns: 1500 },
    );
  });

  test('any bytes: both refuse, or both give the same', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), fc.nat(40), fc.nat(255), (noise, count, header) => {
        const chunk = Buffer.concat([Buffer.of(0, count, header), noise]);
        expect(decode(wasm, chunk)).toEqual(decode(js, chunk));
      }),
      { numRuns: 3000 },
    );
  });

  test('a claimed 65,535 samples in a few bytes ends at the bytes, wherever the chunk lies', () => {
    for (const backend of ['wasm', 'js'] as const) {
      const kernels = createKernels({ backend, initialBytes: 131072, maxMemoryBytes: 131072 });
      for (const noise of [0xff, 0x00, 0xc0, 0xe0, 0xf0, 0xa0, 0xd8, 0xfe]) {
        const length = 48;
        const chunkPtr = kernels.memory.buffer.byteLength - length - 16;
        kernels.memory.u8(chunkPtr, length + 16).fill(noise).set([0xff, 0xff, 0x81, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x01]);
        for (let end = 0; end <= length; end++) expect(kernels.decodeXor2(chunkPtr, end, 65536, 65536, 65536, 65535)).toBe(-1);
      }
    }
  });

  test('too little room is said', () => {
    const chunk = encodeByDefinition([0n, 1n, 2n].map((time) => ({ time, bits: time, start: 0n })));
    for (const kernels of both) expect([decode(kernels, chunk, true, 2), decode(kernels, Buffer.of(0, 0, 0), true, 0)]).toEqual([-2, { times: [], bits: [], starts: [] }]);
  });
});
