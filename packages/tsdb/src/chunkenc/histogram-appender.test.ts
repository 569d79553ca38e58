/** What is appended comes back, whatever the layouts; chunks end where they must. That they end where Prometheus ends them: compact-golden.test.ts. */
import fc from 'fast-check';
import { describe, expect, test } from '@jest/globals';
import { createKernels } from '@gauntlet/kernels';
import { HistogramAppender } from './histogram-appender.ts';
import { decodeHistogramChunk, RESET_HINT } from './histogram-chunk.ts';
import { EMPTY_LAYOUT, encodeHistogramChunk, histogramSampleAt, type HistogramSample } from './histogram-encoder.ts';
import { bucketIndexes } from './spans.ts';

const NONE = new Float64Array(0);

/** A histogram with counts at bucket indexes. */
function histogram(timeMs: number, buckets: Readonly<Record<number, number>>, more: Partial<HistogramSample> = {}): HistogramSample {
  const indexes = Object.keys(buckets).map(Number).sort((a, b) => a - b);
  const spans: number[] = [];
  let next = 0;
  for (const index of indexes) {
    spans.push(index - next, 1);
    next = index + 1;
  }
  const positive = Float64Array.from(indexes, (index) => buckets[index]!);
  const layout = { schema: 1, zeroThreshold: 0.001, positiveSpans: Int32Array.from(spans), negativeSpans: new Int32Array(0), customBounds: NONE };
  return { isFloat: false, isStale: false, isGauge: false, timeMs, count: positive.reduce((sum, count) => sum + count, 0), zeroCount: 0, sumHigh: 0x40000000, sumLow: timeMs, layout, positive, negative: NONE, ...more };
}

function stale(timeMs: number): HistogramSample {
  return { isFloat: false, isStale: true, isGauge: false, timeMs, count: 0, zeroCount: 0, sumHigh: 0x7ff00000, sumLow: 2, layout: EMPTY_LAYOUT, positive: NONE, negative: NONE };
}

/** What a sample means. */
function meaning(sample: HistogramSample): unknown {
  const buckets = bucketIndexes(sample.layout.positiveSpans).map((index, i) => [index, sample.positive[i]!]).filter(([, count]) => count !== 0);
  const { isFloat, isStale, isGauge, timeMs, count, zeroCount, sumHigh, sumLow, layout } = sample;
  return { isFloat, isStale, isGauge, timeMs, count, zeroCount, sumHigh, sumLow, schema: layout.schema, buckets };
}

const kernels = createKernels();

function append(samples: readonly HistogramSample[], samplesMax = 120) {
  const appender = new HistogramAppender(samplesMax);
  for (const sample of samples) appender.append(sample);
  return appender.finish().map((chunk) => ({ ...chunk, columns: decodeHistogramChunk(chunk.encoding, chunk.data, 'a') }));
}

describe('where chunks end', () => {
  const { unknown, reset, notReset, gauge } = RESET_HINT;
  const isGauge = { isGauge: true };
  test.each([
    { name: 'growing', samples: [histogram(1, { 0: 1 }), histogram(2, { 0: 1, 3: 2 })], chunks: [[2, unknown]], spans: [0, 1, 2, 1] },
    { name: 'an empty bucket goes', samples: [histogram(1, { 0: 1, 1: 0 }), histogram(2, { 0: 2 })], chunks: [[2, unknown]], spans: [0, 1, 0, 1] },
    { name: 'one goes, one comes', samples: [histogram(1, { 0: 1, 1: 0 }), histogram(2, { 0: 1, 2: 2 })], chunks: [[2, unknown]], spans: [0, 3] },
    { name: 'a bucket goes', samples: [histogram(1, { 0: 1, 1: 1 }), histogram(2, { 0: 3 })], chunks: [[1, unknown], [1, reset]] },
    { name: 'the count goes down', samples: [histogram(1, { 0: 3 }), histogram(2, { 0: 2 })], chunks: [[1, unknown], [1, reset]] },
    { name: 'zeros go down', samples: [histogram(1, { 0: 1 }, { zeroCount: 2, count: 3 }), histogram(2, { 0: 3 }, { zeroCount: 1, count: 4 })], chunks: [[1, unknown], [1, reset]] },
    { name: 'another scale', samples: [histogram(1, { 0: 1 }), { ...histogram(2, { 0: 1 }), layout: { ...histogram(2, { 0: 1 }).layout, schema: 2 } }], chunks: [[1, unknown], [1, unknown]] },
    { name: 'stale and back', samples: [histogram(1, { 0: 1 }), stale(2), stale(3), histogram(4, { 0: 2 })], chunks: [[3, unknown], [1, unknown]] },
    { name: 'a gauge may fall', samples: [histogram(1, { 0: 5, 4: 1 }, isGauge), histogram(2, { 0: 1, 2: 1 }, isGauge)], chunks: [[2, gauge]], spans: [0, 1, 1, 1, 1, 1] },
    { name: 'a gauge, stale', samples: [histogram(1, { 0: 5 }, isGauge), stale(2)], chunks: [[1, gauge], [1, notReset]] },
    { name: 'counter, then gauge', samples: [histogram(1, { 0: 5 }), histogram(2, { 0: 6 }, isGauge)], chunks: [[1, unknown], [1, gauge]] },
    { name: 'integers, then floats', samples: [histogram(1, { 0: 5 }), histogram(2, { 0: 6.5 }, { isFloat: true })], chunks: [[1, unknown], [1, unknown]] },
  ])('$name', ({ samples, chunks, spans }) => {
    const got = append(samples);
    expect(got.map(({ columns }) => [columns.count, columns.header])).toEqual(chunks);
    if (spans !== undefined) expect([...got[0]!.columns.positiveSpans]).toEqual(spans);
  });

  test('after so many samples', () => {
    const samples = Array.from({ length: 7 }, (_, i) => histogram(i, { 0: i }));
    expect(append(samples, 3).map(({ mint, maxt }) => [mint, maxt])).toEqual([[0, 2], [3, 5], [6, 6]]);
  });
});

test('any samples come back, in chunks that are in order', () => {
  const buckets = fc.dictionary(fc.integer({ min: -5, max: 9 }).map(String), fc.oneof(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 2 ** 40 })), { maxKeys: 6 });
  const sample = fc.record({ buckets, kind: fc.constantFrom('counter', 'counter', 'counter', 'gauge', 'float', 'stale'), zeros: fc.integer({ min: 0, max: 3 }), gap: fc.integer({ min: 1, max: 100_000 }) });
  fc.assert(
    fc.property(fc.array(sample, { minLength: 1, maxLength: 30 }), fc.integer({ min: 1, max: 12 }), (specs, samplesMax) => {
      let time = -5000;
      const samples = specs.map((spec) => {
        time += spec.gap;
        if (spec.kind === 'stale') return stale(time);
        const one = histogram(time, spec.buckets as Record<number, number>, { isGauge: spec.kind === 'gauge', isFloat: spec.kind === 'float', zeroCount: spec.zeros, sumHigh: 0x40000000 + spec.gap, sumLow: spec.gap });
        return { ...one, count: one.count + spec.zeros };
      });
      const chunks = append(samples, samplesMax);
      const byKernel = new HistogramAppender(samplesMax, kernels);
      for (const one of samples) byKernel.append(one);
      expect(byKernel.finish()).toEqual(chunks.map(({ mint, maxt, encoding, data }) => ({ mint, maxt, encoding, data })));
      const back = chunks.flatMap(({ columns }) => Array.from({ length: columns.count }, (_, i) => histogramSampleAt(columns, i)));
      // A marker takes the kind of the chunk it is in.
      const comparable = (all: readonly HistogramSample[]) => all.map((one) => (one.isStale ? { timeMs: one.timeMs, isStale: true } : meaning(one)));
      expect(comparable(back)).toEqual(comparable(samples));
      for (const { columns, mint, maxt } of chunks) {
        expect(columns.count).toBeLessThanOrEqual(samplesMax);
        expect([columns.timestampsMs[0], columns.timestampsMs.at(-1)]).toEqual([mint, maxt]);
      }
    }),
    { numRuns: 200 },
  );
});

test('numbers beyond what the kernel takes are written all the same', () => {
  const samples = [histogram(1, { 0: 2 ** 52 }), histogram(2, { 0: 2 ** 52 + 1 })];
  const layout = samples[0]!.layout;
  const byKernel = encodeHistogramChunk(samples, layout, RESET_HINT.unknown, false, kernels);
  expect(byKernel).toEqual(encodeHistogramChunk(samples, layout, RESET_HINT.unknown));
  expect([...decodeHistogramChunk(byKernel.encoding, byKernel.data, 'a').buckets]).toEqual([2 ** 52, 2 ** 52 + 1]);
});
