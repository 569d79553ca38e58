/** Samples of histogram chunks: the module against its twin on streams built from the format's codes, on cut and flipped ones, and on noise. */
import fc from 'fast-check';
import { expect, test } from '@jest/globals';
import { BitWriter, writeVarint } from '@gauntlet/bytes';
import { createKernels } from './create-kernels.ts';
import { HISTOGRAM_COLUMNS, HISTOGRAM_REFUSAL, histogramStateBytes } from './histogram-kernels.ts';
import { CHUNK_SLACK_BYTES, type Kernels } from './kernels.ts';

const wasm = createKernels({ backend: 'wasm' });
const js = createKernels({ backend: 'js' });
const numRuns = Number(process.env['GAUNTLET_FUZZ_RUNS'] ?? 400);

/** What is asked of both. */
interface Shape {
  readonly isFloat: boolean;
  readonly startHeader: number;
  readonly count: number;
  readonly positive: number;
  readonly buckets: number;
  /** Where the stream begins: any bit of a byte. */
  readonly bit: number;
}

/** Result, and the columns and rows that are defined by it; NaN bits and −0 apart. */
function decode(kernels: Kernels, data: Uint8Array, { isFloat, startHeader, count, positive, buckets, bit }: Shape): unknown {
  const { memory } = kernels;
  const room = Math.min(count * buckets, data.length * 8);
  const [rowsPtr, columnsPtr, statePtr, chunkPtr] = [memory.alloc(room * 8 + 8), memory.alloc(count * HISTOGRAM_COLUMNS * 8 + 8), memory.alloc(histogramStateBytes(buckets)), memory.alloc(data.length + CHUNK_SLACK_BYTES)];
  try {
    memory.u8(chunkPtr, data.length + CHUNK_SLACK_BYTES).fill(0xa5);
    memory.u8(chunkPtr, data.length).set(data);
    memory.i32(rowsPtr + room * 8, 2).fill(77);
    const result = kernels.decodeHistogramSamples(chunkPtr, data.length, bit, isFloat ? 1 : 0, startHeader, count, positive, buckets, statePtr, columnsPtr, rowsPtr);
    // Nothing is written behind the room.
    expect([...memory.i32(rowsPtr + room * 8, 2)]).toEqual([77, 77]);
    if (result < 0) return result;
    const columns = memory.i32(columnsPtr, count * (startHeader === 0 ? HISTOGRAM_COLUMNS - 1 : HISTOGRAM_COLUMNS) * 2);
    return [result, ...columns, ...memory.i32(rowsPtr, result * buckets * 2)];
  } finally {
    for (const ptr of [rowsPtr, columnsPtr, statePtr, chunkPtr]) memory.free(ptr);
  }
}

const widths = [0, 3, 6, 9, 12, 18, 25, 56, 64];

/** A number in a code that need not be the shortest. */
function putVarbit(out: BitWriter, ones: number, high: number, low: number): void {
  if (ones === 8) out.writeBits(0xff, 8);
  else out.writeBits((1 << (ones + 1)) - 2, ones + 1);
  out.writeBits64(high, low, widths[ones]!);
}

/** Mostly short codes; the long ones with numbers that sums do not carry away. */
const varbit = fc.tuple(fc.constantFrom(0, 0, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8), fc.constantFrom(0, 0, 0, 1, 0xffff, 0x1fffff, 0xffffff, 0xffffffff), fc.nat(0xffffffff));
const field = fc.record({ control: fc.constantFrom(0, 0, 0, 1, 2), leading: fc.nat(31), width: fc.integer({ min: 1, max: 64 }), high: fc.nat(0xffffffff), low: fc.nat(0xffffffff), isStale: fc.nat(15).map((n) => n === 0) });

const shape = fc.tuple(fc.boolean(), fc.constantFrom(0, 0, 0x80, 0x81, 0x03, 0xff), fc.integer({ min: 1, max: 7 }), fc.nat(5), fc.nat(5), fc.nat(7)).map(([isFloat, startHeader, count, positive, negative, bit]): Shape => ({ isFloat, startHeader, count, positive, buckets: positive + negative, bit }));

/** A stream of the shape; what it says is whatever the numbers drawn say. */
function streamOf({ isFloat, startHeader, count, buckets, bit }: Shape, numbers: readonly (readonly [number, number, number])[], fields: readonly { control: number; leading: number; width: number; high: number; low: number; isStale: boolean }[], ago: number): Uint8Array {
  const out = new BitWriter();
  let [n, f] = [0, 0];
  const varbitNext = (): void => putVarbit(out, ...numbers[n++ % numbers.length]!);
  const words: { hi: number; lo: number }[] = [];
  const windows: { leading: number; width: number }[] = [];
  const fieldNext = (at: number, isFirst: boolean): { hi: number; lo: number } => {
    const one = fields[f++ % fields.length]!;
    if (isFirst) {
      words[at] = one.isStale && (at === 2 || !isFloat) ? { hi: 0x7ff00000, lo: 2 } : { hi: one.high, lo: one.low };
      windows[at] = { leading: 0, width: 64 };
      out.writeBits64(words[at].hi, words[at].lo, 64);
      return words[at];
    }
    const { hi, lo } = words[at]!;
    if (one.control === 0) {
      out.writeBit(0);
      return words[at]!;
    }
    out.writeBits(one.control === 1 ? 0b10 : 0b11, 2);
    let window = windows[at]!;
    if (one.control === 2) {
      window = { leading: one.leading, width: one.width };
      out.writeBits(window.leading, 5);
      out.writeBits(window.width & 63, 6);
      windows[at] = window;
    }
    // A difference that makes a stale marker, where the window is all 64 bits.
    const isMarker = one.isStale && window.width === 64;
    const [dh, dl] = isMarker ? [(hi ^ 0x7ff00000) >>> 0, (lo ^ 2) >>> 0] : [one.high, one.low];
    out.writeBits64(window.width > 32 ? dh : 0, dl, window.width);
    const shift = BigInt(Math.max(0, 64 - window.leading - window.width));
    const difference = BigInt.asUintN(64, BigInt.asUintN(window.width, (BigInt(dh) << 32n) | BigInt(dl)) << shift);
    const next = ((BigInt(hi) << 32n) | BigInt(lo)) ^ difference;
    words[at] = { hi: Number(next >> 32n), lo: Number(next & 0xffffffffn) };
    return words[at];
  };
  out.writeBits(0, bit);
  for (let sample = 0; sample < count; sample++) {
    const isFirst = sample === 0;
    varbitNext();
    let sum: { hi: number; lo: number };
    if (isFloat) {
      fieldNext(0, isFirst);
      fieldNext(1, isFirst);
      sum = fieldNext(2, isFirst);
    } else {
      varbitNext();
      varbitNext();
      sum = fieldNext(0, isFirst);
    }
    if (isFirst || sum.hi !== 0x7ff00000 || sum.lo !== 2) {
      for (let i = 0; i < buckets; i++) {
        if (isFloat) fieldNext(3 + i, isFirst);
        else varbitNext();
      }
    }
    if (startHeader === 0) continue;
    if (isFirst && startHeader >= 0x80) {
      const scratch = new Uint8Array(10);
      out.writeBytes(scratch.subarray(0, writeVarint(scratch, 0, ago)));
    } else if (!isFirst && sample >= ((startHeader & 0x7f) || count)) varbitNext();
  }
  return out.bytes().slice();
}

const stream = fc.tuple(shape, fc.array(varbit, { minLength: 40, maxLength: 60 }), fc.array(field, { minLength: 40, maxLength: 60 }), fc.maxSafeInteger());

test('both decode the same and refuse the same, whole, cut anywhere and with a bit flipped', () => {
  const reasons = new Set<number>();
  let decoded = 0;
  fc.assert(
    fc.property(stream, fc.nat(), ([one, numbers, fields, ago], flip) => {
      const data = streamOf(one, numbers, fields, ago);
      const flipped = data.slice();
      flipped[(flip >> 3) % data.length]! ^= 0x80 >> (flip & 7);
      for (const bytes of [data, data.subarray(0, Math.floor(data.length / 2)), data.subarray(0, data.length - 1), flipped]) {
        const got = decode(wasm, bytes, one);
        expect(got).toEqual(decode(js, bytes, one));
        if (typeof got === 'number') reasons.add((-1 - got) % 8);
        else decoded++;
      }
    }),
    { numRuns },
  );
  expect(decoded).toBeGreaterThan(numRuns / 20);
  expect([...reasons]).toEqual(expect.arrayContaining([HISTOGRAM_REFUSAL.truncated, HISTOGRAM_REFUSAL.unsafeNumber, HISTOGRAM_REFUSAL.badCount]));
});

test('both say the same of noise', () => {
  fc.assert(
    fc.property(shape, fc.uint8Array({ minLength: 1, maxLength: 120 }), (one, bytes) => {
      expect(decode(wasm, bytes, one)).toEqual(decode(js, bytes, one));
    }),
    { numRuns },
  );
});

test.each([
  // Time 0, count 0, zero count 0, sum 0: three bits and 64; then the start.
  { name: 'a varint of more than ten bytes', tail: Array.from({ length: 12 }, () => 0xff), reason: HISTOGRAM_REFUSAL.longVarint },
  { name: 'a varint of more than 64 bits', tail: [...Array.from({ length: 9 }, () => 0x80), 0x02], reason: HISTOGRAM_REFUSAL.unsafeStart },
  { name: 'a start beyond 2^53', tail: [...Array.from({ length: 7 }, () => 0x80), 0x40], reason: HISTOGRAM_REFUSAL.unsafeStart },
])('refused: $name', ({ tail, reason }) => {
  const out = new BitWriter();
  out.writeBits(0, 3);
  out.writeBits64(0, 0, 64);
  out.writeBytes(Uint8Array.from(tail));
  for (const kernels of [wasm, js]) expect(decode(kernels, out.bytes().slice(), { isFloat: false, startHeader: 0x80, count: 1, positive: 0, buckets: 0, bit: 0 })).toBe(-1 - reason);
});

test('refused: a window that does not fit', () => {
  const out = new BitWriter();
  out.writeBits(0, 3);
  out.writeBits64(0, 0, 64);
  // Time, count, zero count unchanged; sum: a window of 31 leading zeros and 40 bits.
  out.writeBits(0, 3);
  out.writeBits((0b11 << 11) | (31 << 6) | 40, 13);
  out.writeBits64(0, 0, 60);
  for (const kernels of [wasm, js]) expect(decode(kernels, out.bytes().slice(), { isFloat: false, startHeader: 0, count: 2, positive: 0, buckets: 0, bit: 0 })).toBe(-1 - (8 + HISTOGRAM_REFUSAL.badWindow));
});
