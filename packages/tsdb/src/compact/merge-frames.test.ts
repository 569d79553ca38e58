/** Merging in kernel memory gives what merging chunk by chunk gives, or says that it does not. */
import fc from 'fast-check';
import { describe, expect, test } from '@jest/globals';
import { createKernels, FRAME_WORDS, type Kernels } from '@gauntlet/kernels';
import { CHUNK_ENCODING, createHistogram } from '@gauntlet/model';
import { type BlockChunk, chunkSampleCount } from '../block/block-writer.ts';
import { encodeHistogramChunk } from '../chunkenc/histogram-encoder.ts';
import { floatToSample } from '../chunkenc/histogram-sample.ts';
import { ChunkFrames } from '../chunks/chunk-frames.ts';
import { createChunkWriter } from '../chunks/chunk-writer.ts';
import { createMemoryFileSystem } from '../testing/memory-file-system.ts';
import { bitsOfNumber, encodeSamples, type SampleBits } from '../testing/sample-block.ts';
import { FrameMerger } from './merge-frames.ts';
import { ChunkMerger } from './merge-chunks.ts';

const kernels = createKernels();
const RUNS = Number(process.env['GAUNTLET_FUZZ_RUNS'] ?? 200);
const noPoll = (): void => undefined;

const encode = (times: readonly number[], valueOf: (time: number) => number): BlockChunk => encodeSamples(kernels, times.map((time): SampleBits => [time, bitsOfNumber(valueOf(time))]));

/** The chunk as in a segment. */
function frameOf({ encoding, data }: BlockChunk): Uint8Array {
  const fs = createMemoryFileSystem();
  fs.mkdir('/c');
  const writer = createChunkWriter(fs, '/c');
  writer.writeChunks([{ encoding, data }], new Float64Array(1));
  writer.finish();
  const file = fs.open('/c/000001', 'read');
  const bytes = new Uint8Array(file.size() - 8);
  file.read(bytes, 8);
  return bytes;
}

/** Frames in kernel memory; to be freed by the addresses. */
function placeFrames(parts: readonly (readonly BlockChunk[])[], on: Kernels): { readonly frames: ChunkFrames[]; readonly ptrs: readonly number[] } {
  const ptrs: number[] = [];
  const frames = parts.map((chunks) => {
    const out = new ChunkFrames();
    for (const chunk of chunks) {
      const frame = frameOf(chunk);
      const ptr = on.memory.alloc(frame.length + 16);
      on.memory.u8(ptr, frame.length).set(frame);
      ptrs.push(ptr);
      const payload = ptr + frame.length - 4 - chunk.data.length;
      const words = Int32Array.of(ptr, payload, chunk.data.length, chunk.encoding);
      expect(words).toHaveLength(FRAME_WORDS);
      out.push(chunk.mint, chunk.maxt, chunkSampleCount(chunk.encoding, chunk.data), words, 0);
    }
    return out;
  });
  return { frames, ptrs };
}

/** What a chunk is, and its bytes in a segment, as text. */
const shown = (mint: number, maxt: number, frame: Uint8Array): string => `${mint} ${maxt} ${Buffer.from(frame).toString('hex')}`;

/** Both ways. @returns the chunks of the merge in kernel memory, undefined where it gave up; and those of the other */
function mergeBoth(parts: readonly (readonly BlockChunk[])[], merger: FrameMerger, on: Kernels = kernels): [string[] | undefined, string[]] {
  const { frames, ptrs } = placeFrames(parts, on);
  const out = new ChunkFrames();
  const isMerged = merger.merge(frames, out);
  const got = Array.from({ length: out.count }, (_none, i) => {
    expect(out.samples[i]).toBe((on.memory.u8(out.payloadAt[i]!, 2)[0]! << 8) | on.memory.u8(out.payloadAt[i]!, 2)[1]!);
    return shown(out.mint[i]!, out.maxt[i]!, on.memory.u8(out.at[i]!, out.endOf(i) - out.at[i]!));
  });
  for (const ptr of ptrs) on.memory.free(ptr);
  const other = new ChunkMerger(kernels);
  const want = other.merge({ labels: ['a', 'b'], blocks: parts.map((_part, i) => String(i)), chunks: parts });
  other.free();
  return [isMerged ? got : undefined, want.map((chunk) => shown(chunk.mint, chunk.maxt, frameOf(chunk)))];
}

/** Parts as chunks of times: apart, overlapping and equal ones. */
const parts = fc.array(
  fc.record({
    times: fc.uniqueArray(fc.nat(900), { minLength: 1, maxLength: 200 }),
    cuts: fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 200, maxLength: 200 }),
    /** Takes over the chunks of the part before. */
    isCopy: fc.boolean(),
  }),
  { minLength: 2, maxLength: 4 },
);

function chunksOf(list: readonly { readonly times: readonly number[]; readonly cuts: readonly number[]; readonly isCopy: boolean }[], valueOf: (part: number, time: number) => number): BlockChunk[][] {
  const all: BlockChunk[][] = [];
  for (const [part, { times, cuts, isCopy }] of list.entries()) {
    const sorted = times.toSorted((a, b) => a - b);
    const chunks: BlockChunk[] = [];
    if (isCopy && part > 0) chunks.push(...all[part - 1]!);
    else for (let i = 0, cut = 0; i < sorted.length; i += cuts[cut++]!) chunks.push(encode(sorted.slice(i, i + cuts[cut]!), (time) => valueOf(part, time)));
    all.push(chunks);
  }
  return all;
}

describe('frames of several blocks', () => {
  test('become the chunks that merging one by one gives', () => {
    const merger = new FrameMerger(kernels, 120, noPoll);
    fc.assert(
      fc.property(parts, (list) => {
        const [got, want] = mergeBoth(chunksOf(list, (_part, time) => time % 11), merger);
        expect(got).toEqual(want);
      }),
      { numRuns: RUNS },
    );
    merger.free();
  });

  test('with values that differ: the same, or given up', () => {
    const merger = new FrameMerger(kernels, 120, noPoll);
    fc.assert(
      fc.property(parts, (list) => {
        const [got, want] = mergeBoth(chunksOf(list, (part, time) => (time % 20 === 0 ? part : 0)), merger);
        if (got !== undefined) expect(got).toEqual(want);
      }),
      { numRuns: RUNS },
    );
    merger.free();
  });

  test('parts that are apart are taken as they are', () => {
    const merger = new FrameMerger(kernels, 120, noPoll);
    const before = kernels.memory.usedBytes;
    const floats = [encode([10, 20], () => 1), encode([30], () => 2)];
    const sample = (timeMs: number) => floatToSample(createHistogram({ count: 1, sum: 1 }), timeMs, true);
    const histograms = [encodeHistogramChunk([sample(40), sample(50)], sample(0).layout, 0)];
    const { frames, ptrs } = placeFrames([histograms, floats], kernels);
    const out = new ChunkFrames();
    expect(merger.merge(frames, out)).toBe(true);
    expect([...out.at.subarray(0, out.count)]).toEqual([frames[1]!.at[0], frames[1]!.at[1], frames[0]!.at[0]]);
    expect([...out.encoding.subarray(0, out.count)]).toEqual([CHUNK_ENCODING.xor, CHUNK_ENCODING.xor, histograms[0]!.encoding]);
    for (const ptr of ptrs) kernels.memory.free(ptr);
    expect(kernels.memory.usedBytes).toBe(before);
  });

  test.each([
    { name: 'a histogram among those that overlap', chunks: (): BlockChunk[][] => { const at = (timeMs: number) => floatToSample(createHistogram({ count: 1, sum: 1 }), timeMs, true); return [[encode([10, 20], () => 1)], [encodeHistogramChunk([at(15), at(25)], at(0).layout, 0)]]; } },
    { name: 'more parts than are looked at one by one', chunks: () => Array.from({ length: 9 }, (_none, i) => [encode([i, i + 10], () => 1)]) },
    { name: 'more samples in a group than a window has', chunks: () => [0, 1].map((odd) => Array.from({ length: 80 }, (_none, chunk) => encode(Array.from({ length: 120 }, (_none2, i) => (chunk * 120 + i) * 2 + odd * 121), () => 1))) },
    { name: 'a chunk whose times are not those of the index', chunks: () => [[{ ...encode([10, 20], () => 1), maxt: 19 }], [encode([15, 25], () => 1)]] },
    { name: 'different values at one time', chunks: () => [[encode([10, 20, 30], () => 1)], [encode([15, 20, 25], (time) => time)]] },
  ])('given up: $name', ({ chunks }) => {
    const merger = new FrameMerger(kernels, 120, noPoll);
    const { frames, ptrs } = placeFrames(chunks(), kernels);
    const isMerged = merger.merge(frames, new ChunkFrames());
    for (const ptr of ptrs) kernels.memory.free(ptr);
    merger.free();
    expect(isMerged).toBe(false);
  });

  test('many groups are polled in between and take little memory', () => {
    const small = createKernels({ backend: 'js' });
    let polls = 0;
    const merger = new FrameMerger(small, 120, () => polls++);
    // Groups of two chunks each, 1,200 samples.
    const pair = (groups: number): BlockChunk[][] => [0, 1].map((odd) => Array.from({ length: groups }, (_none, group) => encode(Array.from({ length: 600 }, (_none2, i) => (group * 600 + i) * 2 + odd), (time) => Math.sin(time))));
    const [got, want] = mergeBoth(pair(40), merger, small);
    expect(got).toEqual(want);
    expect(polls).toBeGreaterThanOrEqual(5);
    expect(small.memory.usedBytes).toBeLessThan(8 * 1024 * 1024);
    merger.free();
    expect(small.memory.usedBytes).toBe(0);
  });
});
