/** Any series → chunks → the same series, in every encoding; any series in overlapping pieces → merged → the same series. GAUNTLET_FUZZ_RUNS=10000 for a long run. */
import fc from 'fast-check';
import { expect, test } from '@jest/globals';
import { createKernels, type Kernels } from '@gauntlet/kernels';
import type { BlockChunk } from '../block/block-writer.ts';
import { mergeMixedChunks } from '../compact/merge-histograms.ts';
import { type AnySample, anySamples, decodeAnyChunk, encodeAnySamples, meaningOf } from '../testing/any-samples.ts';

const wasm = createKernels();
const twins = createKernels({ backend: 'js' });
const numRuns = Number(process.env['GAUNTLET_FUZZ_RUNS'] ?? 120);
const times = fc.oneof({ weight: 3, arbitrary: fc.integer({ min: 0, max: 2000 }) }, { weight: 1, arbitrary: fc.integer({ min: -(2 ** 41), max: 2 ** 41 }) });

function expectChunks(chunks: readonly BlockChunk[], samples: readonly AnySample[], samplesMax: number, kernels: Kernels): void {
  const back = chunks.map((chunk) => decodeAnyChunk(chunk, kernels));
  expect(back.flat().map(meaningOf)).toEqual(samples.map(meaningOf));
  for (const [i, { mint, maxt }] of chunks.entries()) {
    expect([back[i]![0]!.timeMs, back[i]!.at(-1)!.timeMs]).toEqual([mint, maxt]);
    expect(back[i]!.length).toBeLessThanOrEqual(samplesMax);
  }
}

test('any series comes back from its chunks, and both kernels make the same ones', () => {
  const seen = new Set<number>();
  fc.assert(
    fc.property(anySamples(times, 40), fc.integer({ min: 1, max: 15 }), (samples, samplesMax) => {
      const chunks = encodeAnySamples(samples, samplesMax, wasm);
      expectChunks(chunks, samples, samplesMax, twins);
      expect(encodeAnySamples(samples, samplesMax, twins)).toEqual(chunks);
      for (const { encoding } of chunks) seen.add(encoding);
    }),
    { numRuns },
  );
  expect([...seen].sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6]);
});

test('any series in pieces that overlap, with samples that several have, is merged to itself', () => {
  const pieces = fc.array(fc.tuple(fc.integer({ min: 1, max: 7 }), fc.integer({ min: 1, max: 9 })), { minLength: 40, maxLength: 40 });
  fc.assert(
    fc.property(anySamples(times, 40), pieces, fc.integer({ min: 1, max: 15 }), (samples, dealt, samplesMax) => {
      // Each sample goes to the parts whose bit is set.
      const chunks = [1, 2, 4].flatMap((part) => encodeAnySamples(samples.filter((_, i) => (dealt[i]![0] & part) !== 0), dealt[part]![1], wasm));
      chunks.sort((a, b) => a.mint - b.mint || a.maxt - b.maxt);
      expectChunks(mergeMixedChunks(chunks, samplesMax, wasm, 'a'), samples, samplesMax, wasm);
    }),
    { numRuns },
  );
});
