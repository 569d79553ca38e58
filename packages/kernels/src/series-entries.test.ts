/** Series entries of an index: the module against its twin and against what was written, damage and lack of room. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { crc32c, GrowableBytes } from '@gauntlet/bytes';
import { createKernels } from './create-kernels.ts';
import type { Kernels } from './kernels.ts';

const both: readonly Kernels[] = (['wasm', 'js'] as const).map((backend) => createKernels({ backend }));

interface Chunk {
  readonly from: number;
  readonly to: number;
  readonly ref: number;
}

interface Entry {
  readonly symbols: readonly number[];
  readonly chunks: readonly Chunk[];
}

/** As the format has it, framed. */
function encodeEntry({ symbols, chunks }: Entry): Uint8Array {
  const body = new GrowableBytes();
  body.putUvarint(symbols.length / 2);
  for (const symbol of symbols) body.putUvarint(symbol);
  body.putUvarint(chunks.length);
  chunks.forEach(({ from, to, ref }, i) => {
    const before = chunks[i - 1];
    if (before === undefined) body.putVarint(from);
    else body.putUvarint(from - before.to);
    body.putUvarint(to - from);
    if (before === undefined) body.putUvarint(ref);
    else body.putVarint(ref - before.ref);
  });
  const data = body.copy();
  const out = new GrowableBytes();
  out.putUvarint(data.length);
  out.putBytes(data);
  out.putBE32(crc32c(data));
  return out.copy();
}

/** Entries, one after the other, and where they begin. */
function layOut(entries: readonly Uint8Array[]): { readonly bytes: Uint8Array; readonly offsets: readonly number[] } {
  const offsets: number[] = [];
  const all: number[] = [];
  for (const entry of entries) {
    offsets.push(all.length);
    all.push(...entry);
  }
  return { bytes: Uint8Array.from(all), offsets };
}

interface Room {
  readonly symbolMax: number;
  readonly chunkMax: number;
}

const AMPLE: Room = { symbolMax: 1000, chunkMax: 1000 };

/** What a kernel decodes before it gives up. */
function decode(kernels: Kernels, bytes: Uint8Array, offsets: readonly number[], mint: number, maxt: number, { symbolMax, chunkMax }: Room = AMPLE): Entry[] {
  const { memory } = kernels;
  const sizes = [bytes.length + 1, offsets.length * 4 + 1, symbolMax * 4 + 1, chunkMax * 24 + 1, offsets.length * 8 + 1];
  const ptrs = sizes.map((size) => memory.alloc(size));
  const [bytesPtr, offsetsPtr, symbolsPtr, chunksPtr, endsPtr] = ptrs as [number, number, number, number, number];
  try {
    memory.u8(bytesPtr, bytes.length).set(bytes);
    memory.i32(offsetsPtr, offsets.length).set(offsets);
    const count = kernels.decodeSeriesEntries(bytesPtr, bytes.length, offsetsPtr, offsets.length, mint, maxt, symbolsPtr, symbolMax, chunksPtr, chunkMax, endsPtr);
    const ends = memory.i32(endsPtr, offsets.length * 2);
    const symbols = Array.from(memory.i32(symbolsPtr, symbolMax), (word) => word >>> 0);
    const columns = memory.f64(chunksPtr, chunkMax * 3);
    return Array.from({ length: count }, (_none, i) => {
      const [symbolsFrom, chunksFrom] = i === 0 ? [0, 0] : [ends[i * 2 - 2]!, ends[i * 2 - 1]!];
      const chunks: Chunk[] = [];
      for (let j = chunksFrom; j < ends[i * 2 + 1]!; j++) chunks.push({ from: columns[j]!, to: columns[chunkMax + j]!, ref: columns[2 * chunkMax + j]! });
      return { symbols: symbols.slice(symbolsFrom, ends[i * 2]), chunks };
    });
  } finally {
    for (const ptr of ptrs) memory.free(ptr);
  }
}

const chunkList = fc.record({ start: fc.integer({ min: -1e12, max: 2e12 }), steps: fc.array(fc.tuple(fc.nat(1e9), fc.nat(1e7), fc.integer({ min: -1000, max: 1e9 })), { maxLength: 8 }) }).map(({ start, steps }) => {
  let time = start;
  let ref = 2 ** 33;
  return steps.map(([gap, span, move]): Chunk => {
    const from = time + gap;
    time = from + span;
    ref += move;
    return { from, to: time, ref };
  });
});
const anyEntry: fc.Arbitrary<Entry> = fc.record({ symbols: fc.array(fc.oneof(fc.nat(200), fc.nat(0xffffffff)), { maxLength: 20 }).map((list) => list.slice(0, list.length & ~1)), chunks: chunkList });

describe('series entries', () => {
  test('come back as written, chunks in range only', () => {
    fc.assert(
      fc.property(fc.array(anyEntry, { maxLength: 12 }), fc.integer({ min: -1e12, max: 2e12 }), fc.nat(1e12), (entries, mint, span) => {
        const { bytes, offsets } = layOut(entries.map(encodeEntry));
        const expected = entries.map(({ symbols, chunks }) => ({ symbols, chunks: chunks.filter(({ from, to }) => to >= mint && from <= mint + span) }));
        for (const kernels of both) {
          expect(decode(kernels, bytes, offsets, mint, mint + span)).toEqual(expected);
          expect(decode(kernels, bytes, offsets, -Infinity, Infinity)).toEqual(entries);
        }
      }),
    );
  });

  test('end before the first that is cut, damaged or without room', () => {
    const room = fc.record({ symbolMax: fc.nat(60), chunkMax: fc.nat(30) });
    fc.assert(
      fc.property(fc.array(anyEntry, { minLength: 1, maxLength: 8 }), fc.nat(), fc.integer({ min: 1, max: 255 }), fc.nat(), room, (entries, where, flip, cut, small) => {
        const { bytes, offsets } = layOut(entries.map(encodeEntry));
        const flipped = bytes.slice();
        flipped[where % bytes.length] = flipped[where % bytes.length]! ^ flip;
        const hit = offsets.findLastIndex((offset) => offset <= where % bytes.length);
        const short = bytes.subarray(0, cut % bytes.length);
        const answers = both.map((kernels) => [decode(kernels, flipped, offsets, -Infinity, Infinity), decode(kernels, short, offsets, -Infinity, Infinity), decode(kernels, bytes, offsets, -Infinity, Infinity, small)]);
        expect(answers[0]).toEqual(answers[1]);
        expect(answers[0]![0]).toEqual(entries.slice(0, hit));
        expect(answers[0]![1]!.length).toBe(offsets.findIndex((_offset, i) => (offsets[i + 1] ?? bytes.length) > short.length));
        for (const list of answers[0]!) expect(list).toEqual(entries.slice(0, list.length));
      }),
    );
  });

  test('both agree on any bytes with a right checksum', () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 60 }), fc.array(fc.constantFrom(0, 1, 2, 0x7f, 0x80, 0xff), { maxLength: 60 }).map((list) => Uint8Array.from(list))), (body) => {
        const out = new GrowableBytes();
        out.putUvarint(body.length);
        out.putBytes(body);
        out.putBE32(crc32c(body));
        const bytes = out.copy();
        const [a, b] = both.map((kernels) => decode(kernels, bytes, [0], -Infinity, Infinity));
        expect(a).toEqual(b);
      }),
      { numRuns: 1000 },
    );
  });
});
