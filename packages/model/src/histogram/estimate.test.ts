import { describe, expect, it } from '@jest/globals';
import { boundOf, coarserIndex, exponentialBound } from './bucket-bounds.ts';
import { averageOfHistogram, fractionOfHistogram, quantileOfHistogram, varianceOfHistogram } from './estimate.ts';
import type { FloatHistogram } from './float-histogram.ts';
import { addCompensated, exp2, ldexp, log2 } from './float-math.ts';
import { formatHistogramLiteral } from './format-histogram.ts';
import { parseHistogramLiteral } from './parse-literal.ts';
import { keepAbove, keepBelow } from './trim.ts';

const read = (text: string): FloatHistogram => parseHistogramLiteral(text).histogram;

// These three, and their quantiles below, are those of Prometheus' native_histograms.test.
const POSITIVE = read('{{schema:0 count:12 sum:100 z_bucket:2 z_bucket_w:0.001 buckets:[2 3 0 1 4]}}');
const NEGATIVE = read('{{schema:0 count:12 sum:-100 z_bucket:2 z_bucket_w:0.001 n_buckets:[2 3 0 1 4]}}');
const BOTH = read('{{schema:0 count:24 sum:0 z_bucket:4 z_bucket_w:0.001 buckets:[2 3 0 1 4] n_buckets:[2 3 0 1 4]}}');

describe('quantiles', () => {
  it.each([
    ['q below 0', POSITIVE, -0.5, -Infinity],
    ['q above 1', POSITIVE, 1.001, Infinity],
    ['q NaN', POSITIVE, NaN, NaN],
    ['no observations', read('{{}}'), 0.5, NaN],
    ['highest', POSITIVE, 1, 16],
    ['exponential', POSITIVE, 0.99, 15.67072476139083],
    ['in the middle', POSITIVE, 0.5, 1.5874010519681994],
    ['zero bucket, only positive', POSITIVE, 0.1, 0.0006],
    ['lowest', POSITIVE, 0, 0],
    ['negative, lowest', NEGATIVE, 0, -16],
    ['negative', NEGATIVE, 0.1, -12.996038341699768],
    ['zero bucket, only negative', NEGATIVE, 0.9, -0.0006],
    ['zero bucket, both', BOTH, 0.5, 0],
    ['both', BOTH, 0.9, 10.556063286183155],
    ['custom', read('{{schema:-53 count:4 sum:5 custom_values:[5 10] buckets:[1 3]}}'), 0.5, 5 + 5 / 3],
    ['custom, first bucket begins at 0', read('{{schema:-53 count:4 custom_values:[5 10] buckets:[4]}}'), 0.5, 2.5],
    ['custom, first bucket below 0', read('{{schema:-53 count:4 custom_values:[-5 10] buckets:[4]}}'), 0.5, -5],
    ['custom, last bucket', read('{{schema:-53 count:4 custom_values:[5 10] buckets:[0 0 4]}}'), 0.5, 10],
  ])('%s', (_, histogram, q, value) => {
    const got = quantileOfHistogram(q, histogram);
    if (Number.isFinite(value)) expect(got.value).toBeCloseTo(value, 10);
    else expect(got.value).toBe(value);
    expect(got.nanObservations).toBe('none');
  });

  it('observations of NaN are above everything: quantiles are too high, or NaN', () => {
    const histogram = read('{{count:15 sum:NaN buckets:[8 4]}}');
    expect(quantileOfHistogram(0.4, histogram)).toEqual({ value: expect.closeTo(2 ** -0.25, 12), nanObservations: 'skew' });
    expect(quantileOfHistogram(0.8, histogram)).toEqual({ value: 2, nanObservations: 'skew' });
    expect(quantileOfHistogram(0.81, histogram)).toEqual({ value: NaN, nanObservations: 'result' });
    // Both infinities make a sum NaN without any.
    expect(quantileOfHistogram(0.5, { ...histogram, count: 12 }).nanObservations).toBe('none');
  });
});

describe('fractions', () => {
  it.each([
    ['all', -Infinity, Infinity, POSITIVE, 1],
    ['none, in order', 3, 3, POSITIVE, 0],
    ['a whole bucket', 1, 2, POSITIVE, 3 / 12],
    ['above a value in a bucket', 1.5, Infinity, POSITIVE, (5 + 3 * (1 - Math.log2(1.5))) / 12],
    ['in the zero bucket', 0, 0.0005, POSITIVE, 1 / 12],
    ['below 0', -Infinity, 0, NEGATIVE, 1],
    ['around 0', -0.001, 0.001, BOTH, 4 / 24],
    ['custom', 0, 2.5, read('{{schema:-53 count:4 custom_values:[5 10] buckets:[2 2]}}'), 1 / 4],
    ['custom, last bucket', 20, Infinity, read('{{schema:-53 count:4 custom_values:[5 10] buckets:[2 0 2]}}'), 2 / 4],
  ])('%s', (_, lower, upper, histogram, value) => {
    expect(fractionOfHistogram(lower, upper, histogram)).toEqual({ value: expect.closeTo(value, 10), nanObservations: 'none' });
  });

  it('leaves observations of NaN out, and says so', () => {
    expect(fractionOfHistogram(-Infinity, Infinity, read('{{count:15 sum:NaN buckets:[12]}}'))).toEqual({ value: 0.8, nanObservations: 'skew' });
    expect(fractionOfHistogram(NaN, 1, POSITIVE).value).toBeNaN();
    expect(fractionOfHistogram(0, 1, read('{{}}')).value).toBeNaN();
  });
});

describe('average and variance', () => {
  it.each([
    ['{{schema:2 count:4 sum:10 buckets:[1 0 0 0 1 0 0 1 1]}}', 2.5, 1.163807968526718],
    ['{{schema:-53 count:2 sum:15 custom_values:[5 10] buckets:[0 1 1]}}', 7.5, Infinity],
    ['{{count:2 sum:0 z_bucket:2 z_bucket_w:0.001}}', 0, 0],
    ['{{count:3 sum:-6 n_offset:1 n_buckets:[3]}}', -2, (2 - Math.SQRT2) ** 2],
    ['{{}}', NaN, NaN],
  ])('%s', (text, average, variance) => {
    expect(averageOfHistogram(read(text))).toBe(average);
    const got = varianceOfHistogram(read(text));
    if (Number.isFinite(variance)) expect(got).toBeCloseTo(variance, 9);
    else expect(got).toBe(variance);
  });
});

describe('trims', () => {
  const h = read('{{schema:0 sum:14 count:10 buckets:[2 3 1 4]}}');

  it.each([
    ['at a bucket end', keepBelow(h, 2), '{{count:5 sum:5.656854249492381 buckets:[2 3]}}'],
    ['above, at a bucket end', keepAbove(h, 2), '{{count:5 sum:25.455844122715714 offset:2 buckets:[1 4]}}'],
    ['nothing beyond', keepBelow(h, 8), '{{count:10 sum:14 buckets:[2 3 1 4]}}'],
    ['everything beyond', keepBelow(h, 0.25), '{{}}'],
    ['custom, in a bucket', keepBelow(read('{{schema:-53 count:4 sum:9 custom_values:[5 10] buckets:[2 2]}}'), 7.5), '{{schema:-53 count:3 sum:11.25 custom_values:[5 10] buckets:[2 1]}}'],
    ['custom, last bucket goes', keepBelow(read('{{schema:-53 count:4 sum:9 custom_values:[5] buckets:[2 2]}}'), 7.5), '{{schema:-53 count:2 sum:5 custom_values:[5] buckets:[2]}}'],
    ['custom, last bucket stays', keepAbove(read('{{schema:-53 count:4 sum:9 custom_values:[5] buckets:[2 2]}}'), 7.5), '{{schema:-53 count:2 sum:15 custom_values:[5] offset:1 buckets:[2]}}'],
    ['half a zero bucket', keepAbove(read('{{count:4 sum:0 z_bucket:4 z_bucket_w:1}}'), 0), '{{count:2 sum:1 z_bucket:2 z_bucket_w:1}}'],
    ['a zero bucket without negative side', keepAbove(read('{{count:5 sum:2 z_bucket:4 z_bucket_w:1 offset:1 buckets:[1]}}'), 0.5), `{{count:3 sum:${2 * 0.75 + Math.SQRT2} z_bucket:2 z_bucket_w:1 offset:1 buckets:[1]}}`],
  ])('%s', (_, got, want) => {
    expect(formatHistogramLiteral(got)).toBe(want);
  });
});

describe('bounds', () => {
  it.each([
    [0, 0, 1],
    [0, 1, 2],
    [0, 1024, Number.MAX_VALUE],
    [0, 1025, Infinity],
    [0, -1074, Number.MIN_VALUE],
    [0, -1076, 0],
    [1, 1, 1.414213562373095],
    [8, 1, 1.0027112750502025],
    [-4, 1, 65536],
    [-4, -1, 2 ** -16],
    [-4, 64, Number.MAX_VALUE],
    [-1, -512, 2 ** -1024],
  ])('schema %d, bucket %d ends at %d', (schema, index, bound) => {
    expect(exponentialBound(schema, index)).toBe(bound);
  });

  it('custom bounds end at the infinities', () => {
    const bounds = Float64Array.of(1, 5);
    expect([-1, 0, 1, 2].map((index) => boundOf(-53, index, bounds))).toEqual([-Infinity, 1, 5, Infinity]);
    expect(() => boundOf(-53, 3, bounds)).toThrow('bound of custom bucket 3: the histogram has 2 bounds');
  });

  it('a bucket at a coarser schema holds the finer one', () => {
    for (let index = -40; index <= 40; index++) {
      const coarse = coarserIndex(index, 2, -1);
      expect(exponentialBound(-1, coarse)).toBeGreaterThanOrEqual(exponentialBound(2, index));
      expect(exponentialBound(-1, coarse - 1)).toBeLessThanOrEqual(exponentialBound(2, index - 1));
    }
    expect([coarserIndex(1, 52, -4), coarserIndex(2 ** 30, 52, -4), coarserIndex(-(2 ** 30), 52, -4)]).toEqual([1, 1, 0]);
  });
});

describe('arithmetic of doubles', () => {
  it.each([1, 0.5, 3, 1e300, 1e-300, 5e-324, 2 ** -1022, 1.7e308])('exp2 undoes log2 of %d', (x) => {
    expect(exp2(log2(x)) / x).toBeCloseTo(1, 9);
  });

  it('powers of two are exact, ends are handled', () => {
    for (let i = -1074; i < 1024; i++) {
      const power = 2 ** i;
      expect(log2(power)).toBe(i);
      expect(exp2(i)).toBe(power);
      expect(ldexp(1, i)).toBe(power);
    }
    expect([log2(0), log2(Infinity), log2(-1), log2(NaN)]).toEqual([-Infinity, Infinity, NaN, NaN]);
    expect([exp2(1024), exp2(-1080), exp2(Infinity), exp2(-Infinity), exp2(NaN)]).toEqual([Infinity, 0, Infinity, 0, NaN]);
    expect([ldexp(0.75, 2000), ldexp(0.75, -2000), ldexp(0.75, 1025)]).toEqual([Infinity, 0, Infinity]);
  });

  it('infinite sums have no loss', () => {
    const [sums, losses] = [Float64Array.of(1e308), Float64Array.of(5)];
    addCompensated(sums, losses, 0, 1e308);
    expect([sums[0], losses[0]]).toEqual([Infinity, 0]);
  });
});
