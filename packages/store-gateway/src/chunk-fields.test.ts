/** Chunk fields of whole parts: the same bytes as chunk by chunk, and nothing that is not sound. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { crc32c } from '@gauntlet/bytes';
import { createKernels } from '@gauntlet/kernels';
import { SeriesFrameEncoder } from '@gauntlet/proto';
import { ChunkFields } from './chunk-fields.ts';
import { encodeChunk } from './encode-chunk.ts';

interface Chunk {
  readonly encoding: number;
  readonly data: Uint8Array;
  /** Bytes of no interest before it. */
  readonly gap: number;
}

/** Chunks as they lie in a segment, and where they begin. */
function segmentOf(chunks: readonly Chunk[]): { readonly bytes: Uint8Array; readonly offsets: Float64Array } {
  const out: number[] = [];
  const offsets = new Float64Array(chunks.length);
  chunks.forEach(({ encoding, data, gap }, i) => {
    for (let g = 0; g < gap; g++) out.push(0xee);
    offsets[i] = out.length;
    for (let rest = data.length; ; rest >>>= 7) {
      out.push(rest >= 0x80 ? (rest & 0x7f) | 0x80 : rest);
      if (rest < 0x80) break;
    }
    const sum = crc32c(Uint8Array.of(encoding, ...data));
    out.push(encoding, ...data, sum >>> 24, (sum >>> 16) & 255, (sum >>> 8) & 255, sum & 255);
  });
  return { bytes: Uint8Array.from(out), offsets };
}

const chunk = fc.record({ encoding: fc.constantFrom(1, 2, 3), data: fc.uint8Array({ minLength: 1, maxLength: 200 }), gap: fc.nat(5) });
const BASE = 3 * 2 ** 32 + 1000;
const tools = [new ChunkFields(createKernels({ backend: 'wasm' })), new ChunkFields(createKernels({ backend: 'js' }))];

describe('chunk fields', () => {
  test('are those of encodeChunk, in one part or two', () => {
    fc.assert(
      fc.property(fc.array(chunk, { minLength: 1, maxLength: 30 }), fc.nat(30), (chunks, cut) => {
        const { bytes, offsets } = segmentOf(chunks);
        const refs = offsets.map((offset) => BASE + offset);
        const mints = offsets.map((_offset, i) => i * 10 - 50);
        const maxts = offsets.map((_offset, i) => i * 10);
        const encoder = new SeriesFrameEncoder();
        encoder.beginSeries(new Uint8Array(0));
        const ends = chunks.map(({ encoding, data }, i) => {
          encodeChunk(encoder, mints[i]!, maxts[i]!, encoding, data, []);
          return encoder.seriesBytes;
        });
        const whole = encoder.endSeries()!;
        const wanted = whole.subarray(whole.length - ends.at(-1)!);
        const split = Math.min(cut, chunks.length);
        for (const fields of tools) {
          fields.begin();
          if (split > 0) expect(fields.addPart(bytes, BASE, refs, mints, maxts, 0, split)).toBe(true);
          if (split < chunks.length) expect(fields.addPart(bytes.subarray(offsets[split]!), refs[split]!, refs, mints, maxts, split, chunks.length)).toBe(true);
          expect(fields.bytes).toEqual(wanted);
          expect([...fields.ends.subarray(0, fields.count)]).toEqual(ends);
          expect(fields.fileBytes).toBe(bytes.length - chunks.reduce((sum, { gap }) => sum + gap, 0));
          chunks.forEach(({ encoding, data }, i) => {
            expect(fields.encodings[i]).toBe(encoding);
            expect(wanted.subarray(fields.dataStarts[i]!, fields.dataStarts[i]! + fields.dataBytes[i]!)).toEqual(data);
          });
        }
      }),
      { numRuns: 200 },
    );
  });

  test('gives up on any flipped or missing byte, and on chunks that are not raw', () => {
    const { bytes, offsets } = segmentOf([{ encoding: 1, data: Uint8Array.of(0, 1, 7, 7), gap: 0 }, { encoding: 1, data: Uint8Array.of(0, 2, 9), gap: 0 }]);
    const add = (fields: ChunkFields, part: Uint8Array): boolean => {
      fields.begin();
      return fields.addPart(part, 0, offsets, offsets, offsets, 0, 2);
    };
    for (const fields of tools) {
      expect(add(fields, bytes)).toBe(true);
      for (let length = 0; length < bytes.length; length++) expect(add(fields, bytes.slice(0, length))).toBe(false);
      for (let at = 0; at < bytes.length; at++) {
        const flipped = bytes.slice();
        flipped[at]! ^= 0x10;
        expect(add(fields, flipped)).toBe(false);
      }
      const aggregate = segmentOf([{ encoding: 0xff, data: Uint8Array.of(0, 0, 0, 0, 0), gap: 0 }]);
      fields.begin();
      expect(fields.addPart(aggregate.bytes, 0, aggregate.offsets, aggregate.offsets, aggregate.offsets, 0, 1)).toBe(false);
    }
  });

  test('more than its memory holds is not refused, but done chunk by chunk', () => {
    const fields = new ChunkFields(createKernels({ maxMemoryBytes: 1 << 20, initialBytes: 1 << 18 }));
    const { bytes, offsets } = segmentOf(Array.from({ length: 40 }, () => ({ encoding: 1, data: new Uint8Array(50_000), gap: 0 })));
    fields.begin();
    expect(fields.addPart(bytes, 0, offsets, offsets, offsets, 0, 40)).toBe(false);
    const small = segmentOf([{ encoding: 1, data: Uint8Array.of(1, 2, 3), gap: 0 }]);
    fields.begin();
    expect(fields.addPart(small.bytes, 0, small.offsets, small.offsets, small.offsets, 0, 1)).toBe(true);
  });
});
