import { describe, expect, it } from '@jest/globals';
import { addHistograms, divHistogram, mulHistogram, subHistograms } from './arithmetic.ts';
import { copyHistogram, createHistogram, type FloatHistogram, fromIntegerHistogram, isStaleHistogram, RESET_HINTS, type ResetHint, STALE_HISTOGRAM, withResetHint } from './float-histogram.ts';
import { formatHistogramLiteral } from './format-histogram.ts';
import { HistogramMean, HistogramSum } from './histogram-sum.ts';
import { compactHistogram, histogramsEqual, reduceResolution } from './layout.ts';
import { parseHistogramLiteral } from './parse-literal.ts';

const read = (text: string): FloatHistogram => parseHistogramLiteral(text).histogram;
const show = (histogram: FloatHistogram | undefined): string => (histogram === undefined ? 'incompatible' : formatHistogramLiteral(compactHistogram(histogram, 0)));

describe('sum and difference', () => {
  it.each([
    { name: 'same buckets', a: '{{count:3 sum:4 buckets:[1 2]}}', b: '{{count:2 sum:1 buckets:[1 1]}}', sum: '{{count:5 sum:5 buckets:[2 3]}}', difference: '{{count:1 sum:3 offset:1 buckets:[1]}}' },
    { name: 'other buckets, on both sides', a: '{{count:2 buckets:[2] n_offset:3 n_buckets:[1]}}', b: '{{count:1 offset:-2 buckets:[1]}}', sum: '{{count:3 offset:-2 buckets:[1 0 2] n_offset:3 n_buckets:[1]}}', difference: '{{count:1 offset:-2 buckets:[-1 0 2] n_offset:3 n_buckets:[1]}}' },
    { name: 'the coarser schema wins', a: '{{schema:1 count:4 buckets:[1 1 1 1]}}', b: '{{count:1 buckets:[1]}}', sum: '{{count:5 buckets:[2 2 1]}}', difference: '{{count:3 offset:1 buckets:[2 1]}}' },
    { name: 'the wider zero bucket takes buckets in', a: '{{count:6 z_bucket:1 z_bucket_w:1 offset:1 buckets:[5]}}', b: '{{count:4 z_bucket:1 z_bucket_w:0.001 offset:-1 buckets:[1 1 1]}}', sum: '{{count:10 z_bucket:4 z_bucket_w:1 offset:1 buckets:[6]}}', difference: '{{count:2 z_bucket:-2 z_bucket_w:1 offset:1 buckets:[4]}}' },
    { name: 'a threshold within a populated bucket moves up', a: '{{count:1 z_bucket:1 z_bucket_w:0.7}}', b: '{{count:3 z_bucket_w:0.1 buckets:[3]}}', sum: '{{count:4 z_bucket:4 z_bucket_w:1}}', difference: '{{count:-2 z_bucket:-2 z_bucket_w:1}}' },
    { name: 'a negative bucket moves the threshold for the positive side', a: '{{count:1 z_bucket:1 z_bucket_w:0.7}}', b: '{{count:9 buckets:[0 2] n_buckets:[3 4] offset:0}}', sum: '{{count:10 z_bucket:4 z_bucket_w:1 offset:1 buckets:[2] n_offset:1 n_buckets:[4]}}', difference: '{{count:-8 z_bucket:-2 z_bucket_w:1 offset:1 buckets:[-2] n_offset:1 n_buckets:[-4]}}' },
    { name: 'same custom bounds', a: '{{schema:-53 count:3 custom_values:[1 2] buckets:[1 2]}}', b: '{{schema:-53 count:3 custom_values:[1 2] buckets:[0 1 2]}}', sum: '{{schema:-53 count:6 custom_values:[1 2] buckets:[1 3 2]}}', difference: '{{schema:-53 custom_values:[1 2] buckets:[1 1 -2]}}' },
    { name: 'bounds that both have', a: '{{schema:-53 count:10 custom_values:[1 2 5] buckets:[1 2 3 4]}}', b: '{{schema:-53 count:10 custom_values:[2 4 5] buckets:[4 3 2 1]}}', sum: '{{schema:-53 count:20 custom_values:[2 5] buckets:[7 8 5]}}', difference: '{{schema:-53 custom_values:[2 5] buckets:[-1 -2 3]}}' },
    { name: 'no bound in common', a: '{{schema:-53 count:3 custom_values:[1] buckets:[1 2]}}', b: '{{schema:-53 count:3 custom_values:[2] buckets:[2 1]}}', sum: '{{schema:-53 count:6 custom_values:[] buckets:[6]}}', difference: '{{schema:-53 custom_values:[]}}' },
    { name: 'custom and exponential', a: '{{schema:-53 custom_values:[1]}}', b: '{{}}', sum: 'incompatible', difference: 'incompatible' },
    { name: 'exponential and custom', a: '{{}}', b: '{{schema:-53 custom_values:[1]}}', sum: 'incompatible', difference: 'incompatible' },
  ])('$name', ({ a, b, sum, difference }) => {
    expect(show(addHistograms(read(a), read(b))?.histogram)).toBe(sum);
    expect(show(subHistograms(read(a), read(b))?.histogram)).toBe(difference);
    const total = new HistogramSum(read(a));
    expect(total.add(read(b)) ? show(total.result()) : 'incompatible').toBe(sum);
  });

  it('counts an observation once where the zero bucket ends within an empty coarser bucket', () => {
    const coarse = read('{{schema:0 z_bucket_w:0.7071067811865475}}');
    const fine = read('{{schema:1 count:5 offset:-1 buckets:[2 3]}}');
    expect(show(addHistograms(coarse, fine)?.histogram)).toBe('{{count:5 z_bucket:2 z_bucket_w:0.7071067811865475 buckets:[3]}}');
  });

  it.each<[ResetHint, ResetHint, ResetHint, boolean]>([
    [0, 0, 0, false],
    [0, 1, 0, false],
    [0, 2, 0, false],
    [0, 3, 3, false],
    [1, 1, 1, false],
    [1, 2, 0, true],
    [1, 3, 3, false],
    [2, 2, 2, false],
    [2, 3, 3, false],
    [3, 3, 3, false],
  ])('hints %d and %d give %d, collision %s', (a, b, hint, collides) => {
    for (const [left, right] of [[a, b], [b, a]] as const) {
      const result = addHistograms(createHistogram({ resetHint: left }), createHistogram({ resetHint: right }))!;
      expect([result.histogram.resetHint, result.counterResetCollision]).toEqual([hint, collides]);
      const sum = new HistogramSum(createHistogram({ resetHint: left }));
      sum.add(createHistogram({ resetHint: right }));
      expect([sum.result().resetHint, sum.counterResetCollision]).toEqual([hint, collides]);
    }
  });
});

describe('multiples', () => {
  const h = read('{{count:6 sum:3 z_bucket:2 z_bucket_w:0.5 buckets:[4] n_offset:1 n_buckets:[0 2] counter_reset_hint:reset}}');

  it.each([
    ['times 2', mulHistogram(h, 2), '{{count:12 sum:6 z_bucket:4 z_bucket_w:0.5 counter_reset_hint:reset buckets:[8] n_offset:2 n_buckets:[4]}}'],
    ['times −1', mulHistogram(h, -1), '{{count:-6 sum:-3 z_bucket:-2 z_bucket_w:0.5 counter_reset_hint:gauge buckets:[-4] n_offset:2 n_buckets:[-2]}}'],
    ['by 2', divHistogram(h, 2), '{{count:3 sum:1.5 z_bucket:1 z_bucket_w:0.5 counter_reset_hint:reset buckets:[2] n_offset:2 n_buckets:[1]}}'],
    ['by −2', divHistogram(h, -2), '{{count:-3 sum:-1.5 z_bucket:-1 z_bucket_w:0.5 counter_reset_hint:gauge buckets:[-2] n_offset:2 n_buckets:[-1]}}'],
    ['by 0', divHistogram(h, 0), '{{count:+Inf sum:+Inf z_bucket:+Inf z_bucket_w:0.5 counter_reset_hint:reset}}'],
  ])('%s', (_, got, want) => {
    expect(show(got)).toBe(want);
  });
});

describe('sums of many', () => {
  it('does not lose small counts beside a large one', () => {
    const sum = new HistogramSum(createHistogram({ count: 1e17, sum: 1e17 }));
    for (let i = 0; i < 100; i++) sum.add(createHistogram({ count: 1, sum: 1 }));
    sum.add(createHistogram({ count: -1e17, sum: -1e17 }));
    expect(sum.result()).toMatchObject({ count: 100, sum: 100 });
  });

  it('averages beyond the largest number', () => {
    const large = createHistogram({ count: 1e308, sum: 1.5e308, positiveSpans: [{ offset: 0, length: 1 }], positiveBuckets: Float64Array.of(1e308) });
    const mean = new HistogramMean(large);
    for (let i = 0; i < 9; i++) mean.add(large);
    const result = mean.result();
    expect(result.sum / 1.5e308).toBeCloseTo(1, 12);
    expect(result.positiveBuckets[0]! / 1e308).toBeCloseTo(1, 12);
  });

  it('gives results while it goes on', () => {
    const mean = new HistogramMean(createHistogram({ count: 1 }));
    expect(mean.result().count).toBe(1);
    mean.add(createHistogram({ count: 3 }));
    expect(mean.result().count).toBe(2);
    expect(mean.result().count).toBe(2);
    expect(mean.size).toBe(2);
  });

  it('says that bounds differed, and leaves a sum as it was when it refuses', () => {
    const sum = new HistogramSum(read('{{schema:-53 count:1 custom_values:[1 2] buckets:[1]}}'));
    expect(sum.boundsReconciled).toBe(false);
    sum.add(read('{{schema:-53 count:1 custom_values:[2 3] buckets:[1]}}'));
    expect(sum.boundsReconciled).toBe(true);
    expect(sum.add(read('{{count:7}}'))).toBe(false);
    expect(show(sum.result())).toBe('{{schema:-53 count:2 custom_values:[2] buckets:[2]}}');
  });
});

describe('values', () => {
  const whole = {
    schema: 1,
    zeroThreshold: 0.001,
    zeroCount: 1,
    count: 9,
    sum: 5,
    resetHint: RESET_HINTS.notReset,
    positiveSpans: [{ offset: 0, length: 3 }],
    positiveDeltas: [2, -1, 1],
    negativeSpans: [{ offset: 1, length: 1 }],
    negativeDeltas: [3],
    customValues: new Float64Array(0),
  } as const;

  it('whole counts become absolute', () => {
    expect(show(fromIntegerHistogram(whole))).toBe('{{schema:1 count:9 sum:5 z_bucket:1 z_bucket_w:0.001 counter_reset_hint:not_reset buckets:[2 1 2] n_offset:1 n_buckets:[3]}}');
  });

  it('custom buckets have no zero and no negative buckets', () => {
    const custom = fromIntegerHistogram({ ...whole, schema: -53, customValues: Float64Array.of(1, 2) });
    expect(custom).toMatchObject({ zeroThreshold: 0, zeroCount: 0, negativeSpans: [], negativeBuckets: new Float64Array(0) });
  });

  it('copies share no counts', () => {
    const original = fromIntegerHistogram(whole);
    const copy = copyHistogram(original);
    copy.positiveBuckets[0] = 100;
    expect(original.positiveBuckets[0]).toBe(2);
  });

  it('the stale marker is one object', () => {
    expect(isStaleHistogram(STALE_HISTOGRAM)).toBe(true);
    expect(isStaleHistogram(createHistogram({ sum: NaN }))).toBe(false);
    expect(histogramsEqual(STALE_HISTOGRAM, STALE_HISTOGRAM)).toBe(true);
    expect(histogramsEqual(STALE_HISTOGRAM, createHistogram({ sum: NaN }))).toBe(false);
    expect(histogramsEqual(createHistogram({ sum: NaN }), STALE_HISTOGRAM)).toBe(false);
  });

  it('a hint can be set; the same one costs nothing', () => {
    const original = fromIntegerHistogram(whole);
    expect(withResetHint(original, 3)).toEqual({ ...original, resetHint: 3 });
    expect(withResetHint(original, 2)).toBe(original);
  });

  it.each([
    ['the same', '{{count:1 buckets:[1 0]}}', '{{count:1 buckets:[1 0]}}', true],
    ['other hints', '{{counter_reset_hint:gauge}}', '{{counter_reset_hint:reset}}', true],
    ['NaN and NaN', '{{sum:NaN}}', '{{sum:NaN}}', true],
    ['0 and −0', '{{sum:0}}', '{{sum:-0}}', false],
    ['an empty bucket more', '{{count:1 buckets:[1 0]}}', '{{count:1 buckets:[1]}}', false],
    ['other thresholds', '{{z_bucket_w:1}}', '{{z_bucket_w:2}}', false],
    ['other bounds', '{{schema:-53 custom_values:[1]}}', '{{schema:-53 custom_values:[2]}}', false],
    ['other negative buckets', '{{n_buckets:[1]}}', '{{n_buckets:[2]}}', false],
  ])('equality: %s', (_, a, b, equal) => {
    expect(histogramsEqual(read(a), read(b))).toBe(equal);
  });

  it('spans of length 0 do not matter to equality', () => {
    const buckets = Float64Array.of(1, 2);
    const a = createHistogram({ positiveSpans: [{ offset: 1, length: 1 }, { offset: 2, length: 0 }, { offset: 1, length: 1 }, { offset: 9, length: 0 }], positiveBuckets: buckets });
    const b = createHistogram({ positiveSpans: [{ offset: 0, length: 0 }, { offset: 1, length: 1 }, { offset: 3, length: 1 }], positiveBuckets: buckets });
    expect(histogramsEqual(a, b)).toBe(true);
    expect(histogramsEqual(a, createHistogram({ positiveSpans: [{ offset: 1, length: 1 }, { offset: 2, length: 1 }], positiveBuckets: buckets }))).toBe(false);
  });

  it.each([
    ['finer', '{{schema:1}}', 2, 'cannot reduce resolution from schema 1 to 2'],
    ['custom buckets', '{{schema:-53 custom_values:[1]}}', 0, 'cannot reduce resolution when there are custom buckets'],
    ['to custom buckets', '{{schema:1}}', -53, 'cannot reduce resolution from schema 1 to -53'],
  ])('no resolution for: %s', (_, text, schema, message) => {
    expect(() => reduceResolution(read(text), schema)).toThrow(message);
  });
});
