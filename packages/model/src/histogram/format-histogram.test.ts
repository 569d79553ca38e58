import { describe, expect, it } from '@jest/globals';
import { createHistogram } from './float-histogram.ts';
import { formatGoFloat, formatHistogram, formatHistogramLiteral } from './format-histogram.ts';
import { parseHistogramLiteral } from './parse-literal.ts';

const read = (text: string): ReturnType<typeof createHistogram> => parseHistogramLiteral(text).histogram;

describe('histograms as text', () => {
  it.each([
    ['{{}}', '{count:0, sum:0}'],
    ['{{count:3 sum:4.5 z_bucket:1 z_bucket_w:0.001 buckets:[2] offset:1}}', '{count:3, sum:4.5, [-0.001,0.001]:1, (1,2]:2}'],
    ['{{schema:1 count:4 sum:-1 buckets:[1 0 1] n_buckets:[1 0 0 1]}}', '{count:4, sum:-1, [-2.82842712474619,-2):1, [-1,-0.7071067811865475):1, (0.7071067811865475,1]:1, (1.414213562373095,2]:1}'],
    ['{{schema:-53 count:4 sum:10 custom_values:[1 5] buckets:[1 2 1]}}', '{count:4, sum:10, [-Inf,1]:1, (1,5]:2, (5,+Inf]:1}'],
    ['{{count:1 sum:Inf buckets:[1 1] offset:1024}}', '{count:1, sum:+Inf, (8.98846567431158e+307,1.7976931348623157e+308]:1, (1.7976931348623157e+308,+Inf]:1}'],
  ])('%s is shown as %s', (literal, shown) => {
    expect(formatHistogram(read(literal))).toBe(shown);
  });

  it('writes what it read, keys in its own order', () => {
    const text = '{{schema:3 count:11 sum:-4.5 z_bucket:1 z_bucket_w:0.001 counter_reset_hint:gauge offset:-1 buckets:[1 0 1.5] n_offset:2 n_buckets:[3]}}';
    expect(formatHistogramLiteral(read(text))).toBe(text);
  });

  it('joins spans to one, with 0 for what is between them', () => {
    const spans = [{ offset: -2, length: 1 }, { offset: 2, length: 2 }];
    expect(formatHistogramLiteral(createHistogram({ positiveSpans: spans, positiveBuckets: Float64Array.of(1, 2, 3) }))).toBe('{{offset:-2 buckets:[1 0 0 2 3]}}');
  });

  it.each([
    [1e5, '100000'],
    [123456, '123456'],
    [1e6, '1e+06'],
    [12345678.5, '1.23456785e+07'],
    [0.0001, '0.0001'],
    [0.000012345, '1.2345e-05'],
    [-1e-300, '-1e-300'],
    [-0, '-0'],
    [NaN, 'NaN'],
    [-Infinity, '-Inf'],
  ])('prints %d as %s', (x, text) => {
    expect(formatGoFloat(x)).toBe(text);
  });
});

describe('literals', () => {
  it('tells whether the reset hint is named', () => {
    expect(parseHistogramLiteral('{{counter_reset_hint:unknown}}').hasResetHint).toBe(true);
    expect(parseHistogramLiteral('{{}}').hasResetHint).toBe(false);
  });

  it('reads lists with blanks, signs, Inf and NaN', () => {
    const { histogram } = parseHistogramLiteral('{{ sum:-inf count:NaN buckets:[ 1  -2 0x10 ] custom_values:[] }}');
    expect(histogram).toMatchObject({ sum: -Infinity, count: NaN, positiveBuckets: Float64Array.of(1, -2, 16), positiveSpans: [{ offset: 0, length: 3 }] });
  });

  it.each([
    ['{{sum:1 sum:2}}', 'duplicate key "sum"'],
    ['{{nope:1}}', 'key "nope" is not known'],
    ['{{schema:1.5}}', 'schema is "1.5", wanted a whole number'],
    ['{{offset:x}}', 'offset is "x", wanted a number'],
    ['{{buckets:1}}', 'buckets is "1", wanted a list'],
    ['{{sum:[1]}}', 'sum is "[1]", wanted a number'],
    ['{{counter_reset_hint:maybe}}', 'counter_reset_hint is "maybe"'],
    ['{{sum}}', 'no key and value at "sum"'],
    ['{{buckets:[1 2}}', 'no key and value at'],
    ['{sum:1}', 'not within {{ and }}'],
  ])('refuses %s', (text, message) => {
    expect(() => parseHistogramLiteral(text)).toThrow(message);
  });
});
