/** Chunks one by one and as frames in kernel memory: the same segments, cut at the same places. */
import fc from 'fast-check';
import { expect, test } from '@jest/globals';
import { crc32c, GrowableBytes } from '@gauntlet/bytes';
import { createMemoryFileSystem } from '../testing/memory-file-system.ts';
import { ChunkFrames } from './chunk-frames.ts';
import { type ChunkPayload, createChunkWriter } from './chunk-writer.ts';

const chunk = fc.record({ encoding: fc.constantFrom(1, 2, 255), data: fc.oneof(fc.uint8Array({ minLength: 2, maxLength: 20 }), fc.uint8Array({ minLength: 120, maxLength: 200 })), gap: fc.constantFrom(0, 0, 0, 3) });

/** Lays frames out, with gaps where asked. @returns the bytes and the frames in them */
function placeFrames(chunks: readonly { readonly encoding: number; readonly data: Uint8Array; readonly gap: number }[]): { readonly bytes: Uint8Array; readonly frames: ChunkFrames } {
  const out = new GrowableBytes();
  // No frame lies at address 0.
  out.putZeros(16);
  const frames = new ChunkFrames();
  for (const { encoding, data, gap } of chunks) {
    out.putZeros(gap);
    const at = out.length;
    const checked = Uint8Array.of(encoding, ...data);
    out.putUvarint(data.length);
    out.putBytes(checked);
    const payloadAt = out.length - data.length;
    out.putBE32(crc32c(checked));
    frames.push(0, 1, 1, Int32Array.of(at, payloadAt, data.length, encoding), 0);
    expect(frames.endOf(frames.count - 1)).toBe(out.length);
  }
  return { bytes: out.copy(), frames };
}

test('the same files and references, whatever the length of a segment', () => {
  fc.assert(
    fc.property(fc.array(fc.array(chunk, { minLength: 1, maxLength: 20 }), { minLength: 1, maxLength: 5 }), fc.integer({ min: 20, max: 1500 }), (series, segmentBytesMax) => {
      const fs = createMemoryFileSystem();
      const [one, other] = ['a', 'b'].map((dir) => {
        fs.mkdir(dir);
        return createChunkWriter(fs, dir, segmentBytesMax);
      });
      for (const chunks of series) {
        const refs = new Float64Array(chunks.length);
        one!.writeChunks(chunks.map(({ encoding, data }): ChunkPayload => ({ encoding, data })), refs);
        const { bytes, frames } = placeFrames(chunks);
        other!.writeFrames(frames, bytes);
        expect(frames.refs.subarray(0, frames.count)).toEqual(refs);
      }
      for (const writer of [one!, other!]) writer.finish();
      const files = fs.snapshot();
      const of = (dir: string): [string, Uint8Array][] => [...files].filter(([path]) => path.startsWith(`${dir}/`)).map(([path, data]) => [path.slice(2), data]);
      expect(of('b')).toEqual(of('a'));
      expect(of('a').length).toBeGreaterThan(0);
    }),
    { numRuns: 150 },
  );
});

test('frames make room for more', () => {
  const { bytes, frames } = placeFrames(Array.from({ length: 100 }, (_none, i) => ({ encoding: 1, data: Uint8Array.of(0, i), gap: 0 })));
  const copy = new ChunkFrames();
  for (let i = 99; i >= 0; i--) copy.pushFrom(frames, i);
  expect(copy.count).toBe(100);
  for (let i = 0; i < 100; i++) expect(bytes[copy.payloadAt[i]! + 1]).toBe(99 - i);
});
