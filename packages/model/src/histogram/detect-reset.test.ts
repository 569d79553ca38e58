import { describe, expect, it } from '@jest/globals';
import { checkHistogram, checkIntegerHistogram } from './check-histogram.ts';
import { detectReset } from './detect-reset.ts';
import { createHistogram, type FloatHistogram, type IntegerHistogram } from './float-histogram.ts';
import { parseHistogramLiteral } from './parse-literal.ts';

const read = (text: string): FloatHistogram => parseHistogramLiteral(text).histogram;

describe('detectReset', () => {
  it.each([
    { name: 'nothing changed', before: '{{count:2 buckets:[1 1]}}', now: '{{count:2 buckets:[1 1]}}', reset: false },
    { name: 'the count fell', before: '{{count:2}}', now: '{{count:1}}', reset: true },
    { name: 'the sum fell', before: '{{count:2 sum:5}}', now: '{{count:2 sum:-5}}', reset: false },
    { name: 'a bucket fell though the count rose', before: '{{count:3 buckets:[2 1]}}', now: '{{count:9 buckets:[1 8]}}', reset: true },
    { name: 'a negative bucket fell', before: '{{count:3 n_buckets:[2 1]}}', now: '{{count:9 n_buckets:[1 8]}}', reset: true },
    { name: 'the zero bucket fell', before: '{{count:3 z_bucket:3 z_bucket_w:0.001}}', now: '{{count:9 z_bucket:2 z_bucket_w:0.001 buckets:[7]}}', reset: true },
    { name: 'buckets came', before: '{{count:1 offset:3 buckets:[1]}}', now: '{{count:4 offset:1 buckets:[1 1 1 0 1]}}', reset: false },
    { name: 'a populated bucket went, at the end', before: '{{count:2 buckets:[1 1]}}', now: '{{count:4 buckets:[4]}}', reset: true },
    { name: 'a populated bucket went, in the middle', before: '{{count:3 buckets:[1 1 1]}}', now: '{{count:9 buckets:[4 0 5]}}', reset: true },
    { name: 'all buckets went', before: '{{count:1 buckets:[1]}}', now: '{{count:1}}', reset: true },
    { name: 'an empty bucket went', before: '{{count:2 buckets:[1 0 1 0 0]}}', now: '{{count:4 buckets:[2 0 2]}}', reset: false },
    { name: 'a finer schema', before: '{{schema:0 count:1}}', now: '{{schema:1 count:1}}', reset: true },
    { name: 'a coarser schema', before: '{{schema:1 count:2 offset:1 buckets:[1 1]}}', now: '{{schema:0 count:2 offset:1 buckets:[2]}}', reset: false },
    { name: 'a coarser schema, and fewer', before: '{{schema:1 count:2 offset:1 buckets:[1 1]}}', now: '{{schema:0 count:2 offset:1 buckets:[1 1]}}', reset: true },
    { name: 'a smaller zero bucket', before: '{{z_bucket_w:0.5}}', now: '{{z_bucket_w:0.25}}', reset: true },
    { name: 'a wider zero bucket that took buckets in', before: '{{count:3 z_bucket:1 z_bucket_w:0.001 offset:-1 buckets:[1 1]}}', now: '{{count:3 z_bucket:3 z_bucket_w:1}}', reset: false },
    { name: 'a wider zero bucket with too few', before: '{{count:3 z_bucket:1 z_bucket_w:0.001 offset:-1 buckets:[1 1]}}', now: '{{count:3 z_bucket:2 z_bucket_w:1 offset:1 buckets:[1]}}', reset: true },
    { name: 'a wider zero bucket that ends within a populated bucket', before: '{{count:1 buckets:[1] z_bucket_w:0.001}}', now: '{{count:1 z_bucket:1 z_bucket_w:0.7}}', reset: true },
    { name: 'custom after exponential', before: '{{}}', now: '{{schema:-53 custom_values:[1]}}', reset: true },
    { name: 'exponential after custom', before: '{{schema:-53 custom_values:[1]}}', now: '{{}}', reset: true },
    { name: 'custom buckets grew', before: '{{schema:-53 count:2 custom_values:[1 2] buckets:[1 1]}}', now: '{{schema:-53 count:4 custom_values:[1 2] buckets:[1 1 2]}}', reset: false },
    { name: 'a custom bucket fell', before: '{{schema:-53 count:2 custom_values:[1 2] buckets:[1 1]}}', now: '{{schema:-53 count:4 custom_values:[1 2] buckets:[0 1 3]}}', reset: true },
    { name: 'other bounds, shared ones grew', before: '{{schema:-53 count:3 custom_values:[1 2] buckets:[1 1 1]}}', now: '{{schema:-53 count:3 custom_values:[2 3] buckets:[2 0 1]}}', reset: false },
    { name: 'other bounds, a shared one fell', before: '{{schema:-53 count:3 custom_values:[1 2] buckets:[1 1 1]}}', now: '{{schema:-53 count:9 custom_values:[2 3] buckets:[1 4 4]}}', reset: true },
    { name: 'the hint says reset', before: '{{count:1}}', now: '{{count:2 counter_reset_hint:reset}}', reset: true },
    { name: 'the hint says not reset', before: '{{count:2}}', now: '{{count:1 counter_reset_hint:not_reset}}', reset: false },
    { name: 'a gauge is looked at', before: '{{count:2}}', now: '{{count:1 counter_reset_hint:gauge}}', reset: true },
  ])('$name', ({ before, now, reset }) => {
    expect(detectReset(read(now), read(before))).toBe(reset);
  });
});

describe('checks', () => {
  const whole: IntegerHistogram = { ...createHistogram({ count: 4, zeroCount: 1, positiveSpans: [{ offset: 0, length: 2 }] }), positiveDeltas: [1, 1], negativeDeltas: [] };

  it.each<[string, Partial<IntegerHistogram>, string | undefined]>([
    ['sound', {}, undefined],
    ['too many in buckets', { count: 3 }, "4 observations found in buckets, but the Count field is 3: histogram's observation count should equal"],
    ['too few in buckets', { count: 5 }, '4 observations found in buckets, but the Count field is 5'],
    ['more, of NaN', { count: 5, sum: NaN }, undefined],
    ['fewer, of NaN', { count: 3, sum: NaN }, 'should be at least the number of observations'],
    ['negative bucket', { positiveDeltas: [1, -2] }, 'positive side: bucket number 2 has observation count of -1: histogram has a bucket whose observation count is negative'],
    ['spans beyond buckets', { positiveSpans: [{ offset: 0, length: 3 }] }, 'positive side: spans need 3 buckets, have 2 buckets'],
    ['a zero count beside custom buckets', { schema: -53, customValues: Float64Array.of(1) }, 'custom buckets: must have zero count of 0'],
    ['negative buckets beside custom ones', { schema: -53, zeroCount: 0, negativeDeltas: [1], customValues: Float64Array.of(1) }, 'custom buckets: must not have negative buckets'],
    ['no such schema', { schema: 9 }, 'histogram has an invalid schema, which must be between -4 and 8 for exponential buckets, or -53 for custom buckets, got schema 9'],
  ])('whole counts: %s', (_, change, message) => {
    const check = (): void => checkIntegerHistogram({ ...whole, ...change });
    if (message === undefined) check();
    else expect(check).toThrow(message);
  });

  it.each([
    ['{{schema:-53 custom_values:[1 NaN]}}', 'custom buckets: histogram custom bounds must not be NaN'],
    ['{{schema:-53 custom_values:[1 Inf]}}', 'custom buckets: last +Inf bound must not be explicitly defined'],
    ['{{schema:-53 custom_values:[2 1]}}', 'custom buckets: previous bound is 2.000000 and current is 1.000000'],
    ['{{schema:-53 count:3 custom_values:[1] buckets:[1 1 1]}}', 'custom buckets: only 1 custom bounds defined which is insufficient to cover total span length of 3'],
    ['{{schema:-53 count:1 custom_values:[1] buckets:[1] offset:-1}}', 'custom buckets: span number 1 with offset -1'],
    ['{{schema:-53 z_bucket_w:1 custom_values:[1]}}', 'custom buckets: must have zero threshold of 0'],
    ['{{schema:-53 n_buckets:[1] custom_values:[1]}}', 'custom buckets: must not have negative spans'],
    ['{{custom_values:[1]}}', 'histogram with exponential schema must not have custom bounds'],
    ['{{schema:1.0e1}}', 'got schema 10'],
    ['{{z_bucket:-1}}', 'zero bucket has observation count of -1'],
    ['{{count:-1}}', "histogram's observation count is negative"],
    ['{{n_buckets:[1 -1]}}', 'negative side: bucket number 2 has observation count of -1'],
  ])('floats: %s', (text, message) => {
    expect(() => checkHistogram(read(text))).toThrow(message);
  });

  it('a gap before another span cannot be negative, the first offset can', () => {
    const spans = [{ offset: -5, length: 1 }, { offset: -1, length: 1 }];
    expect(() => checkHistogram(createHistogram({ positiveSpans: spans, positiveBuckets: Float64Array.of(1, 1) }))).toThrow('positive side: span number 2 with offset -1');
    checkHistogram(createHistogram({ positiveSpans: [spans[0]!], positiveBuckets: Float64Array.of(1) }));
  });
});
