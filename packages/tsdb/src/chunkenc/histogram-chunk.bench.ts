/**
 * Native histogram chunks: decode into columns and encode, by the kernel and its twin, 120 samples to a chunk; integers and floats, few and many buckets.
 * `node --import tsx packages/tsdb/src/chunkenc/histogram-chunk.bench.ts`
 */
import { crc32c } from '@gauntlet/bytes';
import { createKernels } from '@gauntlet/kernels';
import { compareVariants } from '@gauntlet/kernels/testing';
import { decodeHistogramChunk, RESET_HINT } from './histogram-chunk.ts';
import { encodeHistogramChunk, encodeHistogramColumns, type HistogramLayout, type HistogramSample } from './histogram-encoder.ts';

const SAMPLES = 120;
const chunks = Number(process.env['GAUNTLET_BENCH_CHUNKS'] ?? 60);
const rounds = Number(process.env['GAUNTLET_BENCH_ROUNDS'] ?? 15);

const kernels = createKernels();

/** A fixed sequence of numbers in [0, 1). */
function randomNumbers(): () => number {
  let state = 12345;
  return () => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return state / 0x80000000;
  };
}

/** Requests that fall into buckets around the middle, as latencies do. */
function samplesOf(isFloat: boolean, buckets: number): HistogramSample[] {
  const random = randomNumbers();
  const layout: HistogramLayout = { schema: 3, zeroThreshold: 2 ** -128, positiveSpans: Int32Array.of(-buckets / 2, buckets), negativeSpans: new Int32Array(0), customBounds: new Float64Array(0) };
  const counts = new Float64Array(buckets);
  const sum = new DataView(new ArrayBuffer(8));
  let [count, total] = [0, 0];
  return Array.from({ length: SAMPLES }, (_, i) => {
    for (let requests = Math.floor(random() * 40); requests > 0; requests--) {
      const weight = isFloat ? 1 / 3 : 1;
      counts[Math.floor((random() + random() + random()) * (buckets / 3))]! += weight;
      count += weight;
      total += random();
    }
    sum.setFloat64(0, total);
    return { isFloat, isStale: false, isGauge: false, timeMs: 1772409600000 + i * 15_000, count, zeroCount: 0, sumHigh: sum.getUint32(0), sumLow: sum.getUint32(4), layout, positive: counts.slice(), negative: new Float64Array(0) };
  });
}

for (const isFloat of [false, true]) {
  for (const buckets of [12, 40, 160]) {
    const samples = samplesOf(isFloat, buckets);
    const { encoding, data } = encodeHistogramChunk(samples, samples[0]!.layout, RESET_HINT.unknown);
    const columns = decodeHistogramChunk(encoding, data, 'a');
    const places = Int32Array.from(samples.keys());
    const repeat = Math.max(1, Math.round((chunks * 12) / buckets));
    const results = compareVariants(
      [
        ...[undefined, kernels].map((used) => ({
          name: used === undefined ? 'decode: twin' : 'kernel',
          run: () => {
            let sum = 0;
            for (let i = 0; i < repeat; i++) sum += decodeHistogramChunk(encoding, data, 'a', used).buckets.at(-1)!;
            return sum;
          },
        })),
        ...[undefined, kernels].map((used) => ({
          name: used === undefined ? 'encode: twin' : 'kernel',
          run: () => {
            let hash = 0;
            for (let i = 0; i < repeat; i++) hash = crc32c(encodeHistogramChunk(samples, samples[0]!.layout, RESET_HINT.unknown, false, used).data, hash);
            return hash;
          },
        })),
        {
          name: 'kernel from columns',
          run: () => {
            let hash = 0;
            for (let i = 0; i < repeat; i++) hash = crc32c(encodeHistogramColumns(columns, places, RESET_HINT.unknown, false, kernels).data, hash);
            return hash;
          },
        },
      ],
      repeat * SAMPLES,
      rounds,
    );
    const figures = results.map(({ name, nsPerItem }) => `${name} ${nsPerItem.toFixed(0)} ns a sample, ${(nsPerItem / buckets).toFixed(1)} a bucket`);
    console.log(`${isFloat ? 'floats  ' : 'integers'} ${String(buckets).padStart(3)} buckets, ${String(data.length).padStart(5)} bytes: ${figures.join('; ')}`);
  }
}
