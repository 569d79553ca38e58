/** Samples of histogram chunks written: the module against its twin on whatever columns, and read back; what both refuse. */
import fc from 'fast-check';
import { expect, test } from '@jest/globals';
import { createKernels } from './create-kernels.ts';
import { HISTOGRAM_COLUMNS, HISTOGRAM_ENCODE_REFUSAL, HISTOGRAM_INTEGER_MAX, histogramSamplesBytesMax, histogramStateBytes } from './histogram-kernels.ts';
import { CHUNK_SLACK_BYTES, type Kernels } from './kernels.ts';

const wasm = createKernels({ backend: 'wasm' });
const js = createKernels({ backend: 'js' });
const numRuns = Number(process.env['GAUNTLET_FUZZ_RUNS'] ?? 400);

/** Columns as the kernel takes them; sums and fields of floats as words, low first. */
interface Samples {
  readonly isFloat: boolean;
  readonly withStarts: boolean;
  readonly positive: number;
  readonly buckets: number;
  readonly startBit: number;
  readonly times: readonly number[];
  readonly counts: readonly number[];
  readonly zeros: readonly number[];
  readonly sums: readonly (readonly [number, number])[];
  readonly starts: readonly number[];
  /** Of samples that are no stale marker. */
  readonly rows: readonly (readonly number[])[];
}

const isStale = ([low, high]: readonly [number, number]): boolean => low === 2 && high === 0x7ff00000;

/** The chunk, or a refusal; with what reading it back gives. */
function encode(kernels: Kernels, one: Samples, outMax: number = histogramSamplesBytesMax(one.startBit, one.times.length, one.buckets)): { chunk: number | number[]; again: unknown } {
  const { memory } = kernels;
  const count = one.times.length;
  const rowCount = one.rows.length;
  const [columnsPtr, rowsPtr, statePtr, outPtr] = [memory.alloc(count * HISTOGRAM_COLUMNS * 8), memory.alloc(rowCount * one.buckets * 8 + 8), memory.alloc(histogramStateBytes(one.buckets)), memory.alloc(outMax + CHUNK_SLACK_BYTES)];
  try {
    const columns = memory.f64(columnsPtr, count * HISTOGRAM_COLUMNS);
    columns.set(one.times);
    columns.set(one.counts, count);
    columns.set(one.zeros, 2 * count);
    memory.i32(columnsPtr + 3 * count * 8, count * 2).set(one.sums.flat());
    columns.set(one.starts, 4 * count);
    memory.f64(rowsPtr, rowCount * one.buckets).set(one.rows.flat());
    const before = Array.from({ length: Math.ceil(one.startBit / 8) }, (_, i) => (0x5a + i) & 0xff);
    if (one.startBit % 8 > 0) before[before.length - 1]! &= 0xff << (8 - (one.startBit % 8));
    memory.u8(outPtr, outMax + 8).fill(0xa5);
    memory.u8(outPtr, before.length).set(before.slice(0, outMax));
    const bytes = kernels.encodeHistogramSamples(columnsPtr, rowsPtr, count, one.isFloat ? 1 : 0, one.withStarts ? 1 : 0, one.positive, one.buckets, statePtr, outPtr, one.startBit, outMax);
    // Nothing is written behind the room.
    expect([...memory.u8(outPtr + outMax, 8)]).toEqual(Array.from({ length: 8 }, () => 0xa5));
    if (bytes < 0) return { chunk: bytes, again: undefined };
    const chunk = [...memory.u8(outPtr, bytes)];
    const expected = [columns, memory.f64(rowsPtr, rowCount * one.buckets)].map((column) => [...new Int32Array(column.slice().buffer)]);
    columns.fill(0);
    memory.f64(rowsPtr, rowCount * one.buckets).fill(0);
    const rows = kernels.decodeHistogramSamples(outPtr, bytes, one.startBit, one.isFloat ? 1 : 0, one.withStarts ? chunk[2]! : 0, count, one.positive, one.buckets, statePtr, columnsPtr, rowsPtr);
    if (rows === rowCount) expect([columns, memory.f64(rowsPtr, rowCount * one.buckets)].map((column) => [...new Int32Array(column.slice().buffer)])).toEqual(expected);
    return { chunk, again: rows };
  } finally {
    for (const ptr of [columnsPtr, rowsPtr, statePtr, outPtr]) memory.free(ptr);
  }
}

/** Small steps and, now and then, any number. */
const step = fc.oneof({ weight: 8, arbitrary: fc.constantFrom(0, 0, 0, 1, 2, 3, 4, 5, 31, 32, 33, 255, 256, 257, 2048, 2049, 131072, 131073) }, { weight: 2, arbitrary: fc.nat(2 ** 25 + 1) }, { weight: 1, arbitrary: fc.maxSafeInteger().map((n) => Math.abs(n) % 2 ** 45) });
const sum = fc.oneof({ weight: 6, arbitrary: fc.tuple(fc.nat(0xffff), fc.constantFrom(0x40000000, 0x40000001, 0x3ff00000)) }, { weight: 1, arbitrary: fc.tuple(fc.nat(0xffffffff), fc.nat(0xffffffff)) });

/** Counters that grow; a stale marker at the end where one is drawn, as in chunks that are written. */
const samples = fc
  .tuple(fc.boolean(), fc.boolean(), fc.nat(6), fc.nat(6), fc.integer({ min: 24, max: 60 }), fc.integer({ min: 1, max: 8 }), fc.infiniteStream(step), fc.array(sum, { minLength: 8, maxLength: 8 }), fc.boolean(), fc.constantFrom(0, 1, 2, 3))
  .map(([isFloat, withStarts, positive, negative, startBit, count, steps, sums, endsStale, startKind]): Samples => {
    const next = (): number => steps.next().value as number;
    const buckets = positive + negative;
    const scale = isFloat ? 1 / 3 : 1;
    let time = 1_700_000_000_000;
    const times: number[] = [];
    const columns: number[][] = [];
    let state = Array.from({ length: buckets + 2 }, () => next() * scale);
    for (let i = 0; i < count; i++) {
      times.push((time += 1 + (i % 3 === 0 ? next() : 15_000)));
      columns.push(state);
      state = state.map((value) => value + next() * scale);
    }
    const isMarked = endsStale && count > 1;
    const kept = isMarked ? columns.slice(0, -1) : columns;
    return {
      isFloat,
      withStarts,
      positive,
      buckets,
      startBit,
      times,
      counts: [...kept.map((one) => one[0]!), ...(isMarked ? [0] : [])],
      zeros: [...kept.map((one) => one[1]!), ...(isMarked ? [0] : [])],
      sums: times.map((_, i) => (isMarked && i === count - 1 ? ([2, 0x7ff00000] as const) : isStale(sums[i]!) ? ([3, 0x7ff00000] as const) : sums[i]!)),
      starts: times.map((at, i) => (!withStarts || startKind === 0 ? 0 : startKind === 1 ? times[0]! - 7 : startKind === 2 ? at - 20_000 - (next() % 1000) : i < 3 ? 0 : times[1]! + 1)),
      rows: kept.map((one) => one.slice(2)),
    };
  });

test('both write the same bytes, and what they write is read back', () => {
  fc.assert(
    fc.property(samples, (one) => {
      const got = encode(wasm, one);
      expect(got.chunk).toEqual(encode(js, one).chunk);
      expect(got.again).toBe(one.rows.length);
    }),
    { numRuns },
  );
});

test('a start that never changes is named at sample 127', () => {
  const count = 140;
  const ones = Array.from({ length: count }, () => 1);
  const one: Samples = { isFloat: false, withStarts: true, positive: 0, buckets: 0, startBit: 30, times: ones.map((_, i) => i * 10), counts: ones, zeros: ones, sums: ones.map(() => [0, 0] as const), starts: ones.map(() => -5), rows: ones.map(() => []) };
  const got = encode(wasm, one);
  expect(got).toEqual(encode(js, one));
  expect((got.chunk as number[])[2]).toBe(0x80 | 127);
});

const sound: Samples = { isFloat: false, withStarts: true, positive: 1, buckets: 2, startBit: 24, times: [1000, 2000], counts: [3, 4], zeros: [0, 1], sums: [[0, 0], [0, 0x40000000]], starts: [500, 500], rows: [[1, 2], [1, 2]] };

test.each([
  { name: 'nothing', change: {}, refusal: undefined },
  { name: 'the largest integers', change: { times: [-HISTOGRAM_INTEGER_MAX, HISTOGRAM_INTEGER_MAX], counts: [HISTOGRAM_INTEGER_MAX, 0], rows: [[HISTOGRAM_INTEGER_MAX, 0], [0, HISTOGRAM_INTEGER_MAX]] }, refusal: undefined },
  { name: 'a time beyond the limit', change: { times: [1000, HISTOGRAM_INTEGER_MAX + 1] }, refusal: HISTOGRAM_ENCODE_REFUSAL.notEncodable },
  { name: 'a time that is no integer', change: { times: [1000.5, 2000] }, refusal: HISTOGRAM_ENCODE_REFUSAL.notEncodable },
  { name: 'a count below 0 at the start', change: { counts: [-1, 4] }, refusal: HISTOGRAM_ENCODE_REFUSAL.notEncodable },
  { name: 'a count that is no number', change: { counts: [3, Number.NaN] }, refusal: HISTOGRAM_ENCODE_REFUSAL.notEncodable },
  { name: 'an infinite zero count', change: { zeros: [0, Number.POSITIVE_INFINITY] }, refusal: HISTOGRAM_ENCODE_REFUSAL.notEncodable },
  { name: 'a bucket that is no integer', change: { rows: [[1, 2], [1, 2.5]] }, refusal: HISTOGRAM_ENCODE_REFUSAL.notEncodable },
  { name: 'a bucket beyond the limit', change: { rows: [[1, HISTOGRAM_INTEGER_MAX * 2], [1, 2]] }, refusal: HISTOGRAM_ENCODE_REFUSAL.notEncodable },
  { name: 'a start beyond the limit', change: { starts: [500, -HISTOGRAM_INTEGER_MAX * 2] }, refusal: HISTOGRAM_ENCODE_REFUSAL.notEncodable },
  { name: 'floats that are no integers', change: { isFloat: true, counts: [0.1, Number.NaN], rows: [[1e300, -0], [Number.NEGATIVE_INFINITY, 0.3]] }, refusal: undefined },
])('refused or not: $name', ({ change, refusal }) => {
  const one = { ...sound, ...change };
  const [a, b] = [encode(wasm, one), encode(js, one)];
  expect(a.chunk).toEqual(b.chunk);
  if (refusal === undefined) expect(Array.isArray(a.chunk)).toBe(true);
  else expect(a.chunk).toBe(refusal);
});

test('too little room is refused', () => {
  const room = histogramSamplesBytesMax(sound.startBit, 2, 2);
  for (const kernels of [wasm, js]) {
    expect(encode(kernels, sound, room - 1).chunk).toBe(HISTOGRAM_ENCODE_REFUSAL.noRoom);
    expect(Array.isArray(encode(kernels, sound, room).chunk)).toBe(true);
  }
});
