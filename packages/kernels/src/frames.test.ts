/** Chunks with their frames, and runs of samples that become one: the module against its twin and against definitions; damage, lack of room. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { crc32c, GrowableBytes } from '@gauntlet/bytes';
import { createKernels } from './create-kernels.ts';
import { FRAME_WORDS, xorFramesBytesMax } from './frame-kernels.ts';
import { type Kernels, xorChunkBytesMax } from './kernels.ts';
import { awkwardSamples, bitsOf, type SampleColumns } from './testing/samples.ts';

const both: readonly Kernels[] = (['wasm', 'js'] as const).map((backend) => createKernels({ backend }));

/** Has kernel memory for the call only; sizes in bytes. */
function withMemory<Result>({ memory }: Kernels, sizes: readonly number[], run: (...ptrs: number[]) => Result): Result {
  const ptrs = sizes.map((size) => memory.alloc(size + 16));
  try {
    return run(...ptrs);
  } finally {
    for (const ptr of ptrs) memory.free(ptr);
  }
}

function setColumns({ memory }: Kernels, timesPtr: number, valuesPtr: number, { timestampsMs, values }: SampleColumns): void {
  memory.f64(timesPtr, values.length).set(timestampsMs);
  memory.u8(valuesPtr, 8 * values.length).set(new Uint8Array(values.buffer, values.byteOffset, 8 * values.length));
}

interface Frame {
  readonly at: number;
  readonly encoding: number;
  readonly payload: Uint8Array;
}

function frameBytes(encoding: number, payload: Uint8Array): Uint8Array {
  const checked = Uint8Array.of(encoding, ...payload);
  const out = new GrowableBytes();
  out.putUvarint(payload.length);
  out.putBytes(checked);
  out.putBE32(crc32c(checked));
  return out.copy();
}

/** What the kernel says of the frames that it takes; places count from the first byte. */
function check(kernels: Kernels, bytes: Uint8Array, base: number, refs: readonly number[]): Frame[] {
  const { memory } = kernels;
  return withMemory(kernels, [bytes.length, refs.length * 8, refs.length * FRAME_WORDS * 4], (bytesPtr, refsPtr, framesPtr) => {
    memory.u8(bytesPtr!, bytes.length).set(bytes);
    memory.f64(refsPtr!, refs.length).set(refs);
    const count = kernels.checkChunkFrames(bytesPtr!, bytes.length, base, refsPtr!, refs.length, framesPtr!);
    const words = memory.i32(framesPtr!, count * FRAME_WORDS);
    return Array.from({ length: count }, (_none, i) => {
      const [at, payloadAt, payloadBytes, encoding] = words.subarray(i * FRAME_WORDS);
      return { at: at! - bytesPtr!, encoding: encoding!, payload: memory.u8(payloadAt!, payloadBytes!).slice() };
    });
  });
}

describe('frames in a segment', () => {
  const anyFrames = fc.array(fc.record({ encoding: fc.nat(255), payload: fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.uint8Array({ minLength: 120, maxLength: 300 })), gap: fc.nat(3) }), { maxLength: 8 });

  function layOut(list: readonly { readonly encoding: number; readonly payload: Uint8Array; readonly gap: number }[]): { readonly bytes: Uint8Array; readonly places: number[] } {
    const out = new GrowableBytes();
    const places = list.map(({ encoding, payload, gap }) => {
      out.putZeros(gap);
      const at = out.length;
      out.putBytes(frameBytes(encoding, payload));
      return at;
    });
    return { bytes: out.copy(), places };
  }

  test('are found, with what they hold', () => {
    fc.assert(
      fc.property(anyFrames, fc.nat(2 ** 40), (list, base) => {
        const { bytes, places } = layOut(list);
        const expected = list.map(({ encoding, payload }, i) => ({ at: places[i]!, encoding, payload }));
        for (const kernels of both) expect(check(kernels, bytes, base, places.map((at) => at + base))).toEqual(expected);
      }),
    );
  });

  test('end before the first that is cut, damaged or elsewhere', () => {
    fc.assert(
      fc.property(fc.array(fc.record({ encoding: fc.nat(255), payload: fc.uint8Array({ maxLength: 200 }), gap: fc.constant(0) }), { minLength: 1, maxLength: 6 }), fc.nat(), fc.integer({ min: 1, max: 255 }), fc.nat(), (list, where, flip, cut) => {
        const { bytes, places } = layOut(list);
        const flipped = bytes.slice();
        flipped[where % bytes.length]! ^= flip;
        const hit = places.findLastIndex((at) => at <= where % bytes.length);
        const short = bytes.subarray(0, cut % bytes.length);
        const [a, b] = both.map((kernels) => [check(kernels, flipped, 0, places), check(kernels, short, 0, places), check(kernels, bytes, 1, places), check(kernels, bytes, 0, [bytes.length, 0])]);
        expect(a).toEqual(b);
        expect(a![0]!.length).toBe(hit);
        expect(a![1]!.length).toBe(places.findIndex((_at, i) => (places[i + 1] ?? bytes.length) > short.length));
        // The first begins before the piece.
        expect(a![2]).toEqual([]);
        expect(a![3]).toEqual([]);
      }),
    );
  });

  test('a length of more than five bytes, or beyond the piece, is refused', () => {
    for (const kernels of both) {
      expect(check(kernels, Uint8Array.of(0x80, 0x80, 0x80, 0x80, 0x80, 0, 1, 0, 0, 0, 0), 0, [0])).toEqual([]);
      expect(check(kernels, Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x7f, 1, 0, 0, 0, 0), 0, [0])).toEqual([]);
      expect(check(kernels, Uint8Array.of(0x80), 0, [0])).toEqual([]);
    }
  });
});

/** The bytes of all frames and their descriptions relative to the first, or the negative code. */
function encodeFrames(kernels: Kernels, samples: SampleColumns, samplesMax: number, outMax: number = xorFramesBytesMax(samples.values.length, samplesMax)): { bytes: Buffer; frames: number[] } | number {
  const { memory } = kernels;
  const count = samples.values.length;
  const room = Math.ceil(count / samplesMax) * FRAME_WORDS;
  return withMemory(kernels, [count * 8, count * 8, outMax, room * 4], (timesPtr, valuesPtr, outPtr, framesPtr) => {
    setColumns(kernels, timesPtr!, valuesPtr!, samples);
    memory.u8(outPtr!, outMax + 16).fill(0xee);
    const made = kernels.encodeXorFrames(timesPtr!, valuesPtr!, count, samplesMax, outPtr!, outMax, framesPtr!);
    // Nothing behind the room.
    expect([...memory.u8(outPtr! + outMax, 16)]).toEqual(Array.from({ length: 16 }, () => 0xee));
    if (made < 0) return made;
    expect(made).toBe(Math.ceil(count / samplesMax));
    const frames = Array.from(memory.i32(framesPtr!, made * FRAME_WORDS), (word, i) => (i % FRAME_WORDS < 2 ? word - outPtr! : word));
    const end = made === 0 ? 0 : frames.at(-3)! + frames.at(-2)! + 4;
    return { bytes: Buffer.from(memory.u8(outPtr!, end)), frames };
  });
}

describe('columns to frames', () => {
  const cut = ({ timestampsMs, values }: SampleColumns, from: number, to: number): SampleColumns => ({ timestampsMs: timestampsMs.slice(from, to), values: values.slice(from, to) });

  test('are the chunks of encodeXor, framed, one behind the other', () => {
    fc.assert(
      fc.property(awkwardSamples(), fc.integer({ min: 1, max: 200 }), (samples, samplesMax) => {
        const count = samples.values.length;
        for (const kernels of both) {
          const expected = new GrowableBytes();
          let refused = 0;
          for (let from = 0; from < count && refused === 0; from += samplesMax) {
            const part = cut(samples, from, Math.min(from + samplesMax, count));
            const size = part.values.length;
            withMemory(kernels, [size * 8, size * 8, xorChunkBytesMax(size)], (timesPtr, valuesPtr, outPtr) => {
              setColumns(kernels, timesPtr!, valuesPtr!, part);
              const bytes = kernels.encodeXor(timesPtr!, valuesPtr!, size, outPtr!, xorChunkBytesMax(size));
              if (bytes < 0) refused = bytes;
              else expected.putBytes(frameBytes(1, kernels.memory.u8(outPtr!, bytes)));
            });
          }
          const got = encodeFrames(kernels, samples, samplesMax);
          if (refused < 0) expect(got).toBe(refused);
          else {
            const { bytes, frames } = got as { bytes: Buffer; frames: number[] };
            expect(bytes.equals(expected.bytes())).toBe(true);
            const places = frames.filter((_word, i) => i % FRAME_WORDS === 0);
            expect(check(kernels, bytes, 0, places).map(({ at }) => at)).toEqual(places);
          }
        }
      }),
    );
  });

  test('refuse what there is no room for, and then all of it', () => {
    fc.assert(
      fc.property(awkwardSamples(), fc.integer({ min: 1, max: 130 }), fc.nat(4000), (samples, samplesMax, outMax) => {
        const [a, b] = both.map((kernels) => encodeFrames(kernels, samples, samplesMax, outMax));
        expect(a).toEqual(b);
        const ample = encodeFrames(both[0]!, samples, samplesMax);
        expect([-1, -2, ample]).toContainEqual(a);
      }),
    );
  });
});

type Run = readonly (readonly [time: number, value: number])[];

function merge(kernels: Kernels, runs: readonly Run[]): { times: number[]; bits: string[] } | number {
  const { memory } = kernels;
  const all = runs.flat();
  return withMemory(kernels, [all.length * 8, all.length * 8, runs.length * 8, all.length * 8, all.length * 8], (timesPtr, valuesPtr, lanesPtr, outTimesPtr, outValuesPtr) => {
    setColumns(kernels, timesPtr!, valuesPtr!, { timestampsMs: Float64Array.from(all, ([time]) => time), values: Float64Array.from(all, ([, value]) => value) });
    let at = 0;
    memory.i32(lanesPtr!, runs.length * 2).set(runs.flatMap((run) => [at, (at += run.length)]));
    const count = kernels.mergeColumns(timesPtr!, valuesPtr!, lanesPtr!, runs.length, outTimesPtr!, outValuesPtr!);
    return count < 0 ? count : { times: [...memory.f64(outTimesPtr!, count)], bits: bitsOf(memory.u8(outValuesPtr!, count * 8)) };
  });
}

describe('runs of samples', () => {
  /** Ascending times out of few, so that runs meet; the value is that of the time, or one that may differ. */
  const runsOf = (value: (time: number) => fc.Arbitrary<number>): fc.Arbitrary<Run[]> =>
    fc.array(
      fc.uniqueArray(fc.nat(40), { maxLength: 25 }).chain((times) => fc.tuple(...times.sort((a, b) => a - b).map((time) => fc.tuple(fc.constant(time), value(time))))),
      { minLength: 1, maxLength: 5 },
    );

  test('become one with every timestamp once', () => {
    fc.assert(
      fc.property(runsOf((time) => fc.constant(time % 7 === 0 ? Number.NaN : -time / 3)), (runs) => {
        const times = [...new Set(runs.flat().map(([time]) => time))].sort((a, b) => a - b);
        const bits = bitsOf(new Uint8Array(Float64Array.from(times, (time) => (time % 7 === 0 ? Number.NaN : -time / 3)).buffer));
        for (const kernels of both) expect(merge(kernels, runs)).toEqual({ times, bits });
      }),
      { numRuns: 400 },
    );
  });

  test('with different values at a timestamp are refused', () => {
    fc.assert(
      fc.property(runsOf(() => fc.constantFrom(1, 1, 1, 1, 2)), (runs) => {
        const values = new Map<number, Set<number>>();
        for (const [time, value] of runs.flat()) values.set(time, (values.get(time) ?? new Set()).add(value));
        const isEqual = [...values.values()].every(({ size }) => size === 1);
        const [a, b] = both.map((kernels) => merge(kernels, runs));
        expect(a).toEqual(b);
        expect(a === -1).toBe(!isEqual);
      }),
      { numRuns: 400 },
    );
  });
});

describe('one run, held to those it came of', () => {
  const NAN_BITS = [0x7ff80000, 0x7ff80001, 0x80000000, 0, 0x3ff00000];
  /** Times out of few; the value by a number of the list above. */
  const run = fc.uniqueArray(fc.nat(15), { maxLength: 12 }).chain((times) => fc.tuple(...times.sort((a, b) => a - b).map((time) => fc.tuple(fc.constant(time), fc.nat(NAN_BITS.length - 1)))));
  type Words = (readonly [time: number, bits: number])[];

  function check(kernels: Kernels, runs: readonly Words[], merged: Words): number {
    const { memory } = kernels;
    const all = [...runs, merged].flat();
    return withMemory(kernels, [all.length * 8 + 8, all.length * 8 + 8, runs.length * 8], (timesPtr, valuesPtr, lanesPtr) => {
      memory.f64(timesPtr!, all.length).set(all.map(([time]) => time));
      memory.i32(valuesPtr!, all.length * 2).set(all.flatMap(([, bits]) => [bits === 1 ? 1 : 0, NAN_BITS[bits]!]));
      let at = 0;
      memory.i32(lanesPtr!, runs.length * 2).set(runs.flatMap((one) => [at, (at += one.length)]));
      return kernels.checkMerge(timesPtr!, valuesPtr!, lanesPtr!, runs.length, at, all.length);
    });
  }

  test('is what it must be, or is found not to be', () => {
    const seen = new Set<number>();
    fc.assert(
      fc.property(fc.array(run, { minLength: 1, maxLength: 4 }), fc.constantFrom('none', 'drop', 'value', 'time', 'double'), fc.nat(), fc.nat(NAN_BITS.length - 1), (runs, change, pick, bits) => {
        const times = [...new Set(runs.flat().map(([time]) => time))].sort((a, b) => a - b);
        const right: Words = times.map((time, i) => {
          const having = runs.flat().filter(([one]) => one === time);
          return having[(pick + i) % having.length]!;
        });
        const at = right.length === 0 ? 0 : pick % right.length;
        const [time, value] = right[at] ?? [3, 0];
        const instead: Words = { none: [[time, value] as const].slice(0, right.length), drop: [], value: [[time, bits] as const], time: [[time + 1, value] as const], double: [[time, value] as const, [time, value] as const] }[change];
        const merged = right.toSpliced(at, 1, ...instead);
        const isRight =
          merged.every(([one], i) => i === 0 || one > merged[i - 1]![0]) &&
          merged.every(([one, of]) => runs.some((samples) => samples.some(([other, has]) => other === one && has === of))) &&
          times.every((one) => merged.some(([other]) => other === one));
        const answer = isRight ? 1 : 0;
        seen.add(answer);
        for (const kernels of both) expect(check(kernels, runs, merged)).toBe(answer);
      }),
      { numRuns: 600 },
    );
    expect(seen.size).toBe(2);
  });
});
