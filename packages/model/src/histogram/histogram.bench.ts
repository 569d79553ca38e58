/**
 * What queries over native histograms do per sample, ns each. Run: node --import tsx packages/model/src/histogram/histogram.bench.ts [samples]
 *
 *   rate        detectReset against the sample before; one subtraction per window of 15
 *   sum         HistogramSum over series of one layout, and of layouts that differ
 *   quantile    one estimate
 */
import { addHistograms, subHistograms } from './arithmetic.ts';
import { detectReset } from './detect-reset.ts';
import { quantileOfHistogram } from './estimate.ts';
import { createHistogram, type FloatHistogram } from './float-histogram.ts';
import { HistogramMean, HistogramSum } from './histogram-sum.ts';

const count = Number(process.argv[2] ?? 2000);
const BUCKETS = 40;
let seed = 1;
const random = (n: number): number => {
  seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
  return Math.floor((seed / 2 ** 32) * n);
};

/** A counter that grows, of three spans. */
function series(schema: number, offset: number): FloatHistogram[] {
  const buckets = new Float64Array(BUCKETS);
  const spans = [{ offset, length: 10 }, { offset: 3, length: 20 }, { offset: 1, length: 10 }];
  return Array.from({ length: count }, () => {
    for (let i = 0; i < BUCKETS; i++) buckets[i]! += 1 + random(5);
    const total = buckets.reduce((sum, bucket) => sum + bucket, 0);
    // Own spans each, as samples of different chunks have them.
    return createHistogram({ schema, zeroThreshold: 2 ** -128, count: total, sum: total * 1.5, positiveSpans: spans.map((span) => ({ ...span })), positiveBuckets: buckets.slice() });
  });
}

const same = series(3, -10);
const mixed = series(3, -10).map((histogram, i) => (i % 2 === 0 ? histogram : createHistogram({ ...histogram, schema: 2, positiveSpans: [{ offset: -8, length: BUCKETS }] })));

function measure(name: string, run: () => number): void {
  let best = Infinity;
  let result = 0;
  for (let round = 0; round < 12; round++) {
    const start = process.hrtime.bigint();
    result = run();
    best = Math.min(best, Number(process.hrtime.bigint() - start) / count);
  }
  console.log(`${name.padEnd(34)} ${best.toFixed(0).padStart(7)} ns per sample   ${result}`);
}

function sumOf(histograms: readonly FloatHistogram[]): number {
  const sum = new HistogramSum(histograms[0]!);
  for (let i = 1; i < histograms.length; i++) sum.add(histograms[i]!);
  return sum.result().count;
}

console.log(`${count} samples of ${BUCKETS} buckets`);
measure('detectReset, same layout', () => same.reduce((resets, histogram, i) => resets + (i > 0 && detectReset(histogram, same[i - 1]!) ? 1 : 0), 0));
measure('subHistograms, same layout', () => same.reduce((total, histogram, i) => total + (i > 0 ? subHistograms(histogram, same[i - 1]!)!.histogram.count : 0), 0));
measure('addHistograms, two schemas', () => mixed.reduce((total, histogram, i) => total + (i > 0 ? addHistograms(histogram, mixed[i - 1]!)!.histogram.count : 0), 0));
measure('HistogramSum, same layout', () => sumOf(same));
measure('HistogramSum, two schemas', () => sumOf(mixed));
measure('HistogramMean, same layout', () => {
  const mean = new HistogramMean(same[0]!);
  for (let i = 1; i < same.length; i++) mean.add(same[i]!);
  return mean.result().count;
});
measure('quantileOfHistogram', () => same.reduce((total, histogram) => total + quantileOfHistogram(0.9, histogram).value, 0));
