/** XOR chunks cut to a range while they are decoded: against decoding all and leaving out, the module against its twin, and damage. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createKernels } from './create-kernels.ts';
import { BATCH_NO_ROOM, type Kernels, xorChunkBytesMax } from './kernels.ts';
import { awkwardSamples, bitsOf, type SampleColumns } from './testing/samples.ts';

const both: readonly Kernels[] = (['wasm', 'js'] as const).map((backend) => createKernels({ backend }));
const [wasm, js] = both as [Kernels, Kernels];
/** Behind what may be written. */
const CANARY = 4242;

interface Kept {
  readonly counts: readonly number[];
  readonly timestamps: readonly number[];
  readonly bits: readonly string[];
}

function encode({ timestampsMs, values }: SampleColumns): Buffer {
  const { memory } = js;
  const count = timestampsMs.length;
  const outMax = xorChunkBytesMax(count);
  const ptr = memory.alloc(16 * count + outMax);
  memory.f64(ptr, count).set(timestampsMs);
  memory.u8(ptr + 8 * count, 8 * count).set(new Uint8Array(values.buffer, values.byteOffset, 8 * count));
  const bytes = js.encodeXor(ptr, ptr + 8 * count, count, ptr + 16 * count, outMax);
  const chunk = Buffer.from(memory.u8(ptr + 16 * count, bytes));
  memory.free(ptr);
  return chunk;
}

type Decode = (kernels: Kernels, chunks: readonly Uint8Array[], mint: number, maxt: number, sampleMax: number) => Kept | number;

const decodeWithin: Decode = (kernels, chunks, mint, maxt, sampleMax) => decode(kernels, chunks, sampleMax, (...at) => kernels.decodeXorChunksWithin(at[0], chunks.length, mint, maxt, at[1], at[2], at[3], sampleMax));
const decodeNewest = (kernels: Kernels, chunks: readonly Uint8Array[], mint: number, maxt: number): Kept | number =>
  decode(kernels, chunks, chunks.length, (...at) => kernels.decodeXorChunksNewest(at[0], chunks.length, mint, maxt, at[1], at[2], at[3]));

/** What is left of the chunks, or the negative code. What lies behind each chunk is 0xff, so that an overrun shows. */
function decode(kernels: Kernels, chunks: readonly Uint8Array[], sampleMax: number, kernel: (descriptorPtr: number, timestampsPtr: number, valuesPtr: number, countsPtr: number) => number): Kept | number {
  const { memory } = kernels;
  const ptrs = chunks.map((chunk) => memory.alloc(chunk.length + 16));
  const descriptorPtr = memory.alloc(8 * chunks.length);
  const countsPtr = memory.alloc(4 * chunks.length);
  const timestampsPtr = memory.alloc(8 * sampleMax + 8);
  const valuesPtr = memory.alloc(8 * sampleMax + 8);
  chunks.forEach((chunk, i) => {
    memory.u8(ptrs[i]!, chunk.length + 16).fill(0xff).set(chunk);
    memory.i32(descriptorPtr + 8 * i, 2).set([ptrs[i]!, chunk.length]);
  });
  for (const ptr of [timestampsPtr, valuesPtr]) memory.f64(ptr + 8 * sampleMax, 1).fill(CANARY);
  const total = kernel(descriptorPtr, timestampsPtr, valuesPtr, countsPtr);
  for (const ptr of [timestampsPtr, valuesPtr]) expect(memory.f64(ptr + 8 * sampleMax, 1)[0]).toBe(CANARY);
  const result = total < 0 ? total : { counts: [...memory.i32(countsPtr, chunks.length)], timestamps: [...memory.f64(timestampsPtr, total)], bits: bitsOf(memory.u8(valuesPtr, 8 * total)) };
  for (const ptr of [...ptrs, descriptorPtr, countsPtr, timestampsPtr, valuesPtr]) memory.free(ptr);
  return result;
}

function expected(parts: readonly SampleColumns[], mint: number, maxt: number): Kept {
  const kept = parts.map(({ timestampsMs, values }) => {
    const bits = bitsOf(values);
    return [...timestampsMs].map((time, i) => ({ time, bits: bits[i]! })).filter(({ time }) => time >= mint && time <= maxt);
  });
  return { counts: kept.map((one) => one.length), timestamps: kept.flat().map(({ time }) => time), bits: kept.flat().map((one) => one.bits) };
}

/** As `awkwardSamples`, in order of time. */
const ascending: fc.Arbitrary<SampleColumns> = awkwardSamples().map(({ timestampsMs, values }) => {
  let at = timestampsMs[0] ?? 0;
  return { timestampsMs: timestampsMs.map((time, i) => (i === 0 ? at : (at += Math.abs(time - timestampsMs[i - 1]!)))), values };
});

const STALE = new Float64Array(Uint32Array.of(2, 0x7ff00000).buffer);

/**
 * Series as they are scraped: a fixed interval with some late samples, and long stretches of one kind: unchanged, growing by integers (few bits,
 * many in a window), by reals (many bits), with stale markers between.
 */
const scraped: fc.Arbitrary<SampleColumns> = fc.array(fc.record({ kind: fc.constantFrom('same', 'small', 'large', 'real', 'stale', 'late'), length: fc.integer({ min: 1, max: 40 }), seed: fc.nat(1000) }), { minLength: 1, maxLength: 8 }).map((parts) => {
  const timestamps: number[] = [];
  const values: number[] = [];
  let value = 1000;
  const staleAt: number[] = [];
  for (const { kind, length, seed } of parts) {
    for (let i = 0; i < length; i++) {
      const n = (seed * 7919 + i * 104_729) % 1009;
      if (kind === 'small') value += n % 4;
      else if (kind === 'large') value += n * 5000;
      else if (kind === 'real') value += n / 7;
      if (kind === 'stale' && i === 0) staleAt.push(values.length);
      timestamps.push(1_700_000_000_123 + timestamps.length * 15_000 + (kind === 'late' ? n % 12 : 0));
      values.push(value);
    }
  }
  const column = Float64Array.from(values);
  const words = new Uint32Array(column.buffer);
  for (const at of staleAt) words.set(new Uint32Array(STALE.buffer), at * 2);
  return { timestampsMs: Float64Array.from(timestamps), values: column };
});

/** Two times of the series, or beside them. */
function rangeOf({ timestampsMs }: SampleColumns, [from, length, before, after]: readonly [number, number, number, number]): [number, number] {
  const count = timestampsMs.length;
  if (count === 0) return [0, 1];
  const first = from % count;
  const mint = timestampsMs[first]! + before;
  return [mint, Math.max(mint, timestampsMs[Math.min(count - 1, first + (length % count))]! + after)];
}

const pick = fc.tuple(fc.nat(400), fc.nat(400), fc.constantFrom(-1, 0, 1), fc.constantFrom(-1, 0, 1));

const noise = fc.tuple(fc.uint8Array({ maxLength: 120 }), fc.nat(60)).map(([bytes, count]) => Buffer.concat([Buffer.of(0, count), bytes]));
const flipped = fc.tuple(fc.oneof(scraped, awkwardSamples()), fc.nat(), fc.integer({ min: 0, max: 255 })).map(([samples, at, flip]) => {
  const chunk = encode(samples);
  chunk[at % chunk.length]! ^= flip;
  return chunk;
});

describe('XOR chunks within a range', () => {
  test.each([
    ['scraped', scraped],
    ['awkward', ascending],
  ])('%s samples: as decoded whole and left out', (_name, samples) => {
    fc.assert(
      fc.property(samples, pick, (columns, at) => {
        const [mint, maxt] = rangeOf(columns, at);
        const chunk = encode(columns);
        for (const kernels of both) expect(decodeWithin(kernels, [chunk], mint, maxt, columns.timestampsMs.length)).toEqual(expected([columns], mint, maxt));
      }),
      { numRuns: 500 },
    );
  });

  test('a batch: each chunk is cut for itself, and counted', () => {
    fc.assert(
      fc.property(fc.array(scraped, { minLength: 1, maxLength: 5 }), pick, (parts, at) => {
        const [mint, maxt] = rangeOf(parts[0]!, at);
        const room = parts.reduce((sum, { timestampsMs }) => sum + timestampsMs.length, 0);
        for (const kernels of both) expect(decodeWithin(kernels, parts.map(encode), mint, maxt, room)).toEqual(expected(parts, mint, maxt));
      }),
      { numRuns: 100 },
    );
  });

  test.each([
    ['everything', -Infinity, Infinity, [1, 2, 3, 4]],
    ['nothing before', -Infinity, 0, []],
    ['nothing after', 5, Infinity, []],
    ['one', 2, 2, [2]],
    ['the last', 4, Number.MAX_SAFE_INTEGER, [4]],
    ['the first', Number.MIN_SAFE_INTEGER, 1, [1]],
  ])('%s', (_name, mint, maxt, timestamps) => {
    const chunk = encode({ timestampsMs: Float64Array.of(1, 2, 3, 4), values: Float64Array.of(1, 1, 5, 5) });
    for (const kernels of both) expect(decodeWithin(kernels, [chunk], mint, maxt, 4)).toMatchObject({ counts: [timestamps.length], timestamps });
  });

  test('room is asked for all that a chunk holds; an empty chunk is none; the damaged one is named', () => {
    const chunk = encode({ timestampsMs: Float64Array.of(1, 2, 3, 4), values: Float64Array.of(1, 1, 5, 5) });
    for (const kernels of both) {
      expect(decodeWithin(kernels, [chunk], 4, 4, 3)).toBe(BATCH_NO_ROOM);
      expect(decodeWithin(kernels, [Buffer.of(0, 0), chunk, Buffer.of(0, 0)], 3, 4, 4)).toMatchObject({ counts: [0, 2, 0], timestamps: [3, 4] });
      for (let end = 0; end < chunk.length; end++) expect(decodeWithin(kernels, [chunk, chunk.subarray(0, end)], 4, 4, 8)).toBe(-2);
    }
  });

  test('chunks out of order, damaged or of noise: both refuse, or both give the same', () => {
    fc.assert(
      fc.property(fc.oneof(noise, flipped), fc.constantFrom(-Infinity, 0, 1, 1_700_000_000_123, 1_700_000_300_123, 2 ** 50), fc.constantFrom(0, 15_000, 1e12, Infinity), (chunk, mint, length) => {
        const maxt = mint === -Infinity ? length : mint + length;
        expect(decodeWithin(wasm, [chunk], mint, maxt, 65535)).toEqual(decodeWithin(js, [chunk], mint, maxt, 65535));
      }),
      { numRuns: 1500 },
    );
  });
});

/** Of what is left in the range the last sample of each chunk. */
function expectedNewest(parts: readonly SampleColumns[], mint: number, maxt: number): Kept {
  const newest = parts.map((columns) => {
    const { timestamps, bits } = expected([columns], mint, maxt);
    return { timestamps: timestamps.slice(-1), bits: bits.slice(-1) };
  });
  return { counts: newest.map(({ timestamps }) => timestamps.length), timestamps: newest.flatMap(({ timestamps }) => timestamps), bits: newest.flatMap(({ bits }) => bits) };
}

describe('the newest sample of XOR chunks', () => {
  test('scraped samples: the last one of those in the range', () => {
    fc.assert(
      fc.property(fc.array(scraped, { minLength: 1, maxLength: 4 }), pick, (parts, at) => {
        const [mint, maxt] = rangeOf(parts[0]!, at);
        for (const kernels of both) expect(decodeNewest(kernels, parts.map(encode), mint, maxt)).toEqual(expectedNewest(parts, mint, maxt));
      }),
      { numRuns: 500 },
    );
  });

  test('awkward samples: the same, or refused', () => {
    let decoded = 0;
    fc.assert(
      fc.property(ascending, pick, (columns, at) => {
        const [mint, maxt] = rangeOf(columns, at);
        const found = both.map((kernels) => decodeNewest(kernels, [encode(columns)], mint, maxt));
        expect(found[0]).toEqual(found[1]);
        if (found[0] === -1) return;
        decoded++;
        expect(found[0]).toEqual(expectedNewest([columns], mint, maxt));
      }),
      { numRuns: 500 },
    );
    expect(decoded).toBeGreaterThan(50);
  });

  test.each([
    ['everything', -Infinity, Infinity, [4]],
    ['nothing before', -Infinity, 0, []],
    ['nothing after', 5, Infinity, []],
    ['one', 2, 2, [2]],
    ['between samples', 2.5, 3.5, [3]],
    ['before the epoch', -Infinity, -0.5, []],
    ['no range', 3, 1, []],
  ])('%s', (_name, mint, maxt, timestamps) => {
    const chunk = encode({ timestampsMs: Float64Array.of(1, 2, 3, 4), values: Float64Array.of(1, 1, 5, 5) });
    for (const kernels of both) expect(decodeNewest(kernels, [Buffer.of(0, 0), chunk], mint, maxt)).toMatchObject({ counts: [0, timestamps.length], timestamps });
  });

  test('a gap that takes 64 bits is read, times that are too far apart and a chunk that is too long are refused', () => {
    const gap = { timestampsMs: Float64Array.of(1000, 16_000, 31_000, 86_400_000, 86_415_000), values: Float64Array.of(1, 2, 3, 4, 5) };
    const far = { timestampsMs: Float64Array.of(1, 2, 2 ** 50, 2 ** 50 + 1), values: Float64Array.of(1, 2, 3, 4) };
    const long = { timestampsMs: Float64Array.from({ length: 600 }, (_, i) => i), values: Float64Array.from({ length: 600 }, (_, i) => Math.sqrt(i)) };
    for (const kernels of both) {
      for (const maxt of [999, 1000, 31_000, 86_399_999, 86_400_000, Infinity]) expect(decodeNewest(kernels, [encode(gap)], 0, maxt)).toEqual(expectedNewest([gap], 0, maxt));
      expect(decodeNewest(kernels, [encode(gap), encode(far)], 0, Infinity)).toBe(-2);
      expect(encode(long).length).toBeGreaterThan(4096);
      expect(decodeNewest(kernels, [encode(long)], 0, Infinity)).toBe(-1);
    }
  });

  test('what is cut off is refused, unless the range ends before it', () => {
    const columns = { timestampsMs: Float64Array.of(1, 2, 3, 4), values: Float64Array.of(1.1, 1.2, 5.3, 5.4) };
    const chunk = encode(columns);
    for (const kernels of both) {
      for (let end = 0; end < chunk.length; end++) expect(decodeNewest(kernels, [chunk, chunk.subarray(0, end)], 0, 4)).toBe(-2);
      for (let end = chunk.length - 2; end < chunk.length; end++) expect(decodeNewest(kernels, [chunk.subarray(0, end)], 0, 3)).toEqual(expectedNewest([columns], 0, 3));
    }
  });

  test('damaged or of noise: both refuse, or both give the same', () => {
    fc.assert(
      fc.property(fc.oneof(noise, flipped), fc.constantFrom(-Infinity, 0, 1, 1_700_000_000_123, 1_700_000_300_123, 2 ** 50), fc.constantFrom(0, 15_000, 1e12, Infinity), (chunk, mint, length) => {
        const maxt = mint === -Infinity ? length : mint + length;
        expect(decodeNewest(wasm, [chunk], mint, maxt)).toEqual(decodeNewest(js, [chunk], mint, maxt));
      }),
      { numRuns: 3000 },
    );
  });
});
