/** Long overlaps in little memory: windows of any length give the same chunks, chains decode what they need and no more. */
import fc from 'fast-check';
import { describe, expect, test } from '@jest/globals';
import { createKernels } from '@gauntlet/kernels';
import type { BlockChunk } from '../block/block-writer.ts';
import { createHistogram } from '@gauntlet/model';
import { encodeHistogramChunk } from '../chunkenc/histogram-encoder.ts';
import { floatToSample } from '../chunkenc/histogram-sample.ts';
import { bitsOfNumber, encodeSamples, type SampleBits } from '../testing/sample-block.ts';
import { ChunkChain } from './chain-chunks.ts';
import { chainOrder } from './chain-samples.ts';
import { FloatMerger } from './merge-floats.ts';
import { mergeMixedChunks } from './merge-histograms.ts';

const kernels = createKernels();
const RUNS = Number(process.env['GAUNTLET_FUZZ_RUNS'] ?? 150);

/** Chunks as sorted lists of times, of several replicas. */
const replicas = fc.array(
  fc.tuple(fc.uniqueArray(fc.nat(300), { minLength: 1, maxLength: 50 }), fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 50, maxLength: 50 })).map(([times, cuts]) => {
    times.sort((a, b) => a - b);
    const chunks: number[][] = [];
    for (let i = 0, cut = 0; i < times.length; i += cuts[cut++]!) chunks.push(times.slice(i, i + cuts[cut]!));
    return chunks;
  }),
  { minLength: 1, maxLength: 4 },
);

const encode = (times: readonly number[], valueOf: (time: number) => number): BlockChunk => encodeSamples(kernels, times.map((time): SampleBits => [time, bitsOfNumber(valueOf(time))]));

describe('windows', () => {
  test('of any length: the chunks that one window gives, and those that the chain gives', () => {
    fc.assert(
      fc.property(replicas, fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 20 }), (parts, windowSamples, samplesMax) => {
        const chunks = parts.flatMap((part) => part.map((times) => encode(times, (time) => time % 7)));
        const [narrow, wide] = [new FloatMerger(kernels, samplesMax, undefined, windowSamples), new FloatMerger(kernels, samplesMax)];
        const got = narrow.merge(chunks, () => 'a');
        expect(got).toEqual(wide.merge(chunks, () => 'a'));
        expect(got!.map(({ frame: _frame, ...chunk }) => chunk)).toEqual(mergeMixedChunks(chunks, samplesMax, kernels, 'a'));
        // A frame ends with the payload and its checksum.
        for (const { data, frame } of got!) expect(frame!.subarray(-4 - data.length, -4)).toEqual(data);
        // Once more with the same memory.
        expect(narrow.merge(chunks, () => 'a')).toEqual(got);
        for (const one of [narrow, wide]) one.free();
      }),
      { numRuns: RUNS },
    );
  });

  test('different values at one time: given up, whichever window that is in', () => {
    const times = Array.from({ length: 100 }, (_, i) => i * 10);
    for (const at of [0, 490, 990]) {
      const chunks = [encode(times, () => 1), encode(times, (time) => (time === at ? 2 : 1))];
      expect(new FloatMerger(kernels, 20, undefined, 10).merge(chunks, () => 'a')).toBeUndefined();
      expect(mergeMixedChunks(chunks, 20, kernels, 'a')).toHaveLength(5);
    }
  });

  const long = (count: number): BlockChunk[] =>
    [0, 7].flatMap((offset) => Array.from({ length: count }, (_, chunk) => encode(Array.from({ length: 120 }, (_, i) => (chunk * 120 + i) * 15 + offset), (time) => time)));

  test('memory stays as it is when the overlap gets longer; every window is polled', () => {
    const peaks = [40, 120].map((count) => {
      const small = createKernels({ backend: 'js' });
      let [peak, polls] = [0, 0];
      const merger = new FloatMerger(small, 120, () => {
        polls++;
        peak = Math.max(peak, small.memory.usedBytes);
      }, 2048);
      expect(merger.merge(long(count), () => 'a')).toHaveLength(count * 2);
      expect(polls).toBeGreaterThanOrEqual((count * 240) / 4096);
      return peak;
    });
    // A chunk may be some bytes longer than any before it.
    expect(peaks[1]! / peaks[0]!).toBeLessThan(1.01);
    expect(peaks[0]).toBeLessThan(256 * 1024);
  });

  test('a poll ends a merge, of floats and of histograms', () => {
    const stop = (): never => {
      throw new Error('stopped');
    };
    expect(() => new FloatMerger(kernels, 120, stop).merge(long(1), () => 'a')).toThrow('stopped');
    expect(() => mergeMixedChunks(long(50), 120, kernels, 'a', stop)).toThrow('stopped');
  });
});

describe('chains', () => {
  test('in the order of `chainOrder`, with as many chunks open as overlap', () => {
    fc.assert(
      fc.property(replicas, fc.boolean(), (parts, isReversed) => {
        const chunks = parts.flat();
        if (isReversed) chunks.reverse();
        const starts: number[] = [];
        let samples = 0;
        for (const times of chunks) {
          starts.push(samples);
          samples += times.length;
        }
        const order = new Int32Array(samples);
        const ends = Int32Array.from(chunks, (times, i) => starts[i]! + times.length);
        const kept = chainOrder(Float64Array.from(chunks.flat()), Int32Array.from(starts), ends, order);
        let opened = 0;
        const chain = new ChunkChain(chunks.map((times) => times[0]!), (chunk) => {
          opened++;
          return { timestampsMs: Float64Array.from(chunks[chunk]!), start: starts[chunk]! };
        });
        const got: number[] = [];
        while (chain.next()) got.push(chain.columns.start + chain.sample);
        expect(got).toEqual([...order.subarray(0, kept)]);
        expect(opened).toBeLessThanOrEqual(chunks.length);
        expect([chain.next(), chain.next()]).toEqual([false, false]);
      }),
      { numRuns: RUNS },
    );
  });

  test('chunks one after the other are opened when their turn comes', () => {
    const seen: number[] = [];
    const chain = new ChunkChain([0, 100, 200], (chunk) => {
      seen.push(chunk);
      return { timestampsMs: Float64Array.of(chunk * 100, chunk * 100 + 1) };
    });
    const opened: number[] = [];
    while (chain.next()) {
      expect(chain.columns.timestampsMs[chain.sample]).toBeLessThan(202);
      opened.push(seen.length);
    }
    expect(opened).toEqual([1, 1, 2, 2, 3, 3]);
  });

  test('a chunk that is not what the index says is damage', () => {
    const sample = (timeMs: number) => floatToSample(createHistogram({ count: 1, sum: 1 }), timeMs, true);
    const histograms = [10, 20].map((time) => encodeHistogramChunk([sample(time), sample(time + 5)], sample(0).layout, 0));
    const floats = encode([12, 18], () => 1);
    for (const chunks of [[floats, { ...histograms[0]!, maxt: 16 }], [{ ...floats, mint: 11 }, histograms[0]!]]) {
      expect(() => mergeMixedChunks(chunks, 120, kernels, 'series a')).toThrow(expect.objectContaining({ code: 'ERR_CHUNK_CORRUPT', message: expect.stringMatching(/^merge series a: chunk from 1\d to 1\d has 2 samples, from 1/) }));
    }
  });
});
