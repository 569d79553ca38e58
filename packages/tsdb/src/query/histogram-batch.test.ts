/** Any histogram chunks, in memory of kernels or elsewhere, kept or decoded again: the histograms that the decoder gives, one by one and as runs. */
import fc from 'fast-check';
import { expect, test } from '@jest/globals';
import { CHUNK_SLACK_BYTES, createKernels } from '@gauntlet/kernels';
import { histogramOfRun, isStaleHistogram } from '@gauntlet/model';
import { decodeHistogramChunk, isHistogramEncoding } from '../chunkenc/histogram-chunk.ts';
import { anySamples, encodeAnySamples } from '../testing/any-samples.ts';
import { HistogramBatch } from './histogram-batch.ts';

const kernels = createKernels({ initialBytes: 1 << 17 });

test('what comes out of chunks is what they hold', () => {
  let histograms = 0;
  fc.assert(
    fc.property(fc.array(anySamples(fc.integer({ min: -1000, max: 100_000 }), 30), { minLength: 1, maxLength: 3 }), fc.integer({ min: 1, max: 9 }), fc.constantFrom(0, 300, 1 << 20), fc.boolean(), fc.boolean(), (series, samplesMax, keptBytesMax, isKernel, isPlaced) => {
      const chunks = series.flatMap((samples) => encodeAnySamples(samples, samplesMax, kernels)).filter(({ encoding }) => isHistogramEncoding(encoding));
      const ptrs = chunks.map(({ data }) => kernels.memory.alloc(data.length + CHUNK_SLACK_BYTES));
      chunks.forEach(({ data }, i) => kernels.memory.u8(ptrs[i]!, data.length).set(data));
      const batch = new HistogramBatch(undefined, isKernel ? kernels : undefined, keptBytesMax);
      const expected: { bits: string; hint: number; bucketsAndSpans: unknown }[] = [];
      const integers: boolean[] = [];
      for (const [i, { encoding, data }] of chunks.entries()) {
        const columns = decodeHistogramChunk(encoding, data, 'a');
        const added = batch.add({ encoding, data: () => (isPlaced ? kernels.memory.u8(ptrs[i]!, data.length) : data), name: () => 'a' });
        expect([...added.timestampsMs]).toEqual([...columns.timestampsMs]);
        expect(added.startTimestamps && [...added.startTimestamps]).toEqual(columns.startTimestamps && [...columns.startTimestamps]);
        const words = new Uint32Array(columns.sums.slice().buffer);
        for (let sample = 0; sample < columns.count; sample++) {
          const at = columns.bucketAt[sample]!;
          const row = columns.buckets.subarray(at, at + columns.positiveBuckets + columns.negativeBuckets);
          integers.push(!columns.isFloat);
          const { schema, positiveSpans, negativeSpans, customBounds } = columns;
          const isCustom = schema === -53;
          expected.push({
            bits: at < 0 ? 'stale' : `${words[sample * 2]} ${words[sample * 2 + 1]} ${columns.counts[sample]} ${isCustom ? 0 : columns.zeroCounts[sample]}`,
            hint: columns.hints[sample]!,
            bucketsAndSpans: at < 0 ? [] : [schema, isCustom ? 0 : columns.zeroThreshold, [...positiveSpans], isCustom ? [] : [...negativeSpans], [...customBounds], [...row]],
          });
        }
      }
      expect(batch.count).toBe(expected.length);
      const shown = (id: number, histogram: ReturnType<typeof batch.get>): (typeof expected)[number] => {
        const words = new Uint32Array(Float64Array.of(histogram.sum).buffer);
        const pairs = (spans: typeof histogram.positiveSpans): number[] => spans.flatMap(({ offset, length }) => [offset, length]);
        const isStale = isStaleHistogram(histogram);
        return {
          // A NaN may change its bits on the way through a number.
          bits: isStale ? 'stale' : Number.isNaN(histogram.sum) ? expected[id]!.bits : `${words[0]} ${words[1]} ${histogram.count} ${histogram.zeroCount}`,
          hint: isStale ? expected[id]!.hint : histogram.resetHint,
          bucketsAndSpans: isStale ? [] : [histogram.schema, histogram.zeroThreshold, pairs(histogram.positiveSpans), pairs(histogram.negativeSpans), [...histogram.customValues], [...histogram.positiveBuckets, ...histogram.negativeBuckets]],
        };
      };
      const { buffer } = kernels.memory;
      for (const order of [expected.keys(), [...expected.keys()].reverse()]) {
        for (const id of order) {
          expect(shown(id, batch.get(id))).toEqual(expected[id]);
          const run = batch.runOf(id);
          expect(id >= run.firstId && id < run.endId).toBe(true);
          expect(shown(id, histogramOfRun(run, id))).toEqual(expected[id]);
          expect([batch.isInteger(id), batch.isStale(id)]).toEqual([integers[id], expected[id]!.bits === 'stale']);
        }
      }
      // Views of consumers stay what they are.
      expect(kernels.memory.buffer).toBe(buffer);
      if (expected.length > 0) {
        batch.forgetHint(expected.length - 1);
        expect(batch.get(expected.length - 1).resetHint).toBe(expected.at(-1)!.bits === 'stale' || expected.at(-1)!.hint !== 3 ? 0 : 3);
      }
      batch.clear();
      for (const ptr of ptrs) kernels.memory.free(ptr);
      histograms += expected.length;
    }),
    { numRuns: Number(process.env['GAUNTLET_FUZZ_RUNS'] ?? 120) },
  );
  expect(histograms).toBeGreaterThan(100);
});
