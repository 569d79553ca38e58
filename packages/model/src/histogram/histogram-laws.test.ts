/** What holds for any histogram. Counts are whole, so sums are exact in any order. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { addHistograms, mulHistogram, subHistograms } from './arithmetic.ts';
import { allBuckets, allBucketsDescending } from './bucket-cursor.ts';
import { checkHistogram } from './check-histogram.ts';
import { detectReset } from './detect-reset.ts';
import { fractionOfHistogram, quantileOfHistogram } from './estimate.ts';
import { createHistogram, type FloatHistogram, type HistogramSpan, withResetHint } from './float-histogram.ts';
import { formatHistogramLiteral } from './format-histogram.ts';
import { HistogramSum } from './histogram-sum.ts';
import { compactHistogram, histogramsEqual, reduceResolution } from './layout.ts';
import { parseHistogramLiteral } from './parse-literal.ts';
import { keepAbove, keepBelow } from './trim.ts';

interface Side {
  readonly spans: HistogramSpan[];
  readonly buckets: Float64Array;
}

const side = fc
  .tuple(fc.integer({ min: -20, max: 20 }), fc.array(fc.tuple(fc.nat({ max: 3 }), fc.array(fc.nat({ max: 50 }), { maxLength: 5 })), { maxLength: 4 }))
  .map(
    ([start, runs]): Side => ({
      spans: runs.map(([gap, counts], i) => ({ offset: i === 0 ? start : gap, length: counts.length })),
      buckets: Float64Array.from(runs.flatMap(([, counts]) => counts)),
    }),
  );

function add(a: FloatHistogram, b: FloatHistogram): FloatHistogram {
  return addHistograms(a, b)!.histogram;
}

function total(...columns: Float64Array[]): number {
  return columns.reduce((sum, column) => column.reduce((a, b) => a + b, sum), 0);
}

/** Thresholds are powers of 2^16: no bucket of schema −4 and finer is cut by one. What lies below is brought into the zero bucket. */
const exponential = fc.tuple(fc.integer({ min: -4, max: 8 }), fc.constantFrom(0, 2 ** -64, 2 ** -16, 1), fc.nat({ max: 9 }), side, side, fc.integer({ min: -1000, max: 1000 })).map(
  ([schema, zeroThreshold, zeroCount, positive, negative, sum]) =>
    add(
      createHistogram({
        schema,
        zeroCount,
        count: zeroCount + total(positive.buckets, negative.buckets),
        sum,
        positiveSpans: positive.spans,
        positiveBuckets: positive.buckets,
        negativeSpans: negative.spans,
        negativeBuckets: negative.buckets,
      }),
      createHistogram({ schema, zeroThreshold }),
    ),
);

const custom = fc.uniqueArray(fc.integer({ min: -5, max: 12 }), { maxLength: 6 }).chain((bounds) =>
  fc.array(fc.nat({ max: 50 }), { maxLength: bounds.length + 1 }).map((counts) =>
    createHistogram({
      schema: -53,
      count: total(Float64Array.from(counts)),
      sum: bounds.length,
      positiveSpans: [{ offset: 0, length: counts.length }],
      positiveBuckets: Float64Array.from(counts),
      customValues: Float64Array.from(bounds.toSorted((a, b) => a - b)),
    }),
  ),
);

const histogram = fc.oneof(exponential, custom);
const pair = fc.oneof(fc.tuple(exponential, exponential), fc.tuple(custom, custom));
const several = fc.oneof(fc.array(exponential, { minLength: 2, maxLength: 6 }), fc.array(custom, { minLength: 2, maxLength: 6 }));

const compact = (h: FloatHistogram): FloatHistogram => compactHistogram(h, 0);
const inBuckets = (h: FloatHistogram): number => h.zeroCount + total(h.positiveBuckets, h.negativeBuckets);

function same(a: FloatHistogram, b: FloatHistogram): void {
  expect(formatHistogramLiteral(a)).toBe(formatHistogramLiteral(b));
  expect(histogramsEqual(compact(a), compact(b))).toBe(true);
}

function law<T>(name: string, property: fc.IProperty<T>): void {
  it(name, () => {
    fc.assert(property, { numRuns: 200 });
  });
}

describe('laws', () => {
  law('sums do not depend on the order', fc.property(pair, ([a, b]) => same(add(a, b), add(b, a))));

  law(
    'a sum of many is that of its pairs, in any order',
    fc.property(several, (histograms) => {
      const [first, ...others] = histograms as [FloatHistogram, ...FloatHistogram[]];
      const sum = new HistogramSum(first);
      for (const other of others) expect(sum.add(other)).toBe(true);
      same(sum.result(), others.reduce(add, first));
      same(sum.result(), histograms.toReversed().reduce(add));
    }),
  );

  law(
    'sums lose no observation, and are sound',
    fc.property(pair, ([a, b]) => {
      const sum = add(a, b);
      checkHistogram(sum);
      expect(inBuckets(sum)).toBe(inBuckets(a) + inBuckets(b));
    }),
  );

  law('what is added can be subtracted', fc.property(pair, ([a, b]) => same(subHistograms(add(a, b), b)!.histogram, add(a, mulHistogram(withResetHint(b, 0), 0)))));

  law(
    'arguments stay as they are',
    fc.property(pair, ([a, b]) => {
      const before = JSON.stringify([a, b]);
      const sum = new HistogramSum(a);
      sum.add(b);
      const results = [add(a, b), sum.result(), compact(a), keepBelow(a, 1), mulHistogram(a, 2), detectReset(a, b)];
      expect(results).toHaveLength(6);
      expect(JSON.stringify([a, b])).toBe(before);
    }),
  );

  law(
    'coarser schemas keep every observation, and go in steps or at once',
    fc.property(exponential, fc.nat({ max: 12 }), fc.nat({ max: 12 }), (h, one, two) => {
      const middle = Math.max(h.schema - one, -4);
      const low = Math.max(middle - two, -4);
      expect(inBuckets(reduceResolution(h, low))).toBe(inBuckets(h));
      same(reduceResolution(reduceResolution(h, middle), low), reduceResolution(h, low));
    }),
  );

  law(
    'compacting keeps what there is, and again changes nothing',
    fc.property(histogram, fc.constantFrom(0, 1, 3, Infinity), (h, maxEmptyBuckets) => {
      const small = compactHistogram(h, maxEmptyBuckets);
      checkHistogram(small);
      same(small, h);
      expect(compactHistogram(small, maxEmptyBuckets)).toEqual(small);
    }),
  );

  law(
    'counters that grow are not reset; backwards they are, if a bucket grew',
    fc.property(pair, ([a, b]) => {
      const later = add(a, b);
      // Bounds and zero buckets that get coarser are no reset either.
      expect(detectReset(later, a)).toBe(false);
      expect(detectReset(a, later)).toBe(inBuckets(b) > 0 || later.zeroThreshold !== a.zeroThreshold || later.schema !== a.schema);
      expect(detectReset(withResetHint(later, 1), a)).toBe(true);
      expect(detectReset(withResetHint(a, 2), later)).toBe(false);
    }),
  );

  law(
    'literals are read as they were written',
    fc.property(histogram, (h) => {
      same(parseHistogramLiteral(formatHistogramLiteral(h)).histogram, h);
    }),
  );

  law(
    'cursors see every bucket, one after the other, both ways',
    fc.property(histogram, (h) => {
      const up: number[][] = [];
      for (const cursor = allBuckets(h); cursor.next(); ) up.push([cursor.lower, cursor.upper, cursor.count]);
      const down: number[][] = [];
      for (const cursor = allBucketsDescending(h); cursor.next(); ) down.push([cursor.lower, cursor.upper, cursor.count]);
      expect(down.toReversed()).toEqual(up);
      expect(up.reduce((sum, [, , count]) => sum + count!, 0)).toBe(inBuckets(h));
      if (h.zeroThreshold === 0) for (let i = 1; i < up.length; i++) expect(up[i]![0]).toBeGreaterThanOrEqual(up[i - 1]![1]!);
    }),
  );

  law(
    'the fraction below a quantile is its q',
    fc.property(exponential, fc.double({ min: 0.01, max: 0.99, noNaN: true }), (h, q) => {
      // A zero bucket of no width holds its observations at one point.
      fc.pre(h.count > 0 && h.zeroThreshold < 1 && (h.zeroCount === 0 || h.zeroThreshold > 0));
      const { value } = quantileOfHistogram(q, h);
      expect(fractionOfHistogram(-Infinity, value, h).value).toBeCloseTo(q, 6);
    }),
  );

  law(
    'quantiles rise with q',
    fc.property(histogram, fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true }), (h, a, b) => {
      // Of a single bucket from −Inf to +Inf nothing is known.
      fc.pre(h.count > 0 && h.zeroThreshold < 1 && (h.schema !== -53 || h.customValues.length > 0));
      const [low, high] = [quantileOfHistogram(Math.min(a, b), h).value, quantileOfHistogram(Math.max(a, b), h).value];
      expect(low).toBeLessThanOrEqual(high + 1e-9 * Math.abs(high));
    }),
  );

  law(
    'cut in two, the halves have all observations',
    fc.property(exponential, fc.double({ min: -100, max: 100, noNaN: true }), (h, x) => {
      fc.pre(h.zeroThreshold < 1);
      expect(keepBelow(h, x).count + keepAbove(h, x).count).toBeCloseTo(h.count, 6);
    }),
  );
});
