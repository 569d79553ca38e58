/** Annotations: one text per remark, at the place where it was made last. */
import { expect, test } from '@jest/globals';
import { Annotations } from './annotations.ts';

const query = 'sum(\n  rate(a[5m]))';

test('equal remarks become one, with the last position, in line and column', () => {
  const annotations = new Annotations();
  annotations.possibleNonCounter('a', { start: 0, end: 1 });
  annotations.possibleNonCounter('a', { start: 12, end: 17 });
  annotations.addPlain('store is away');
  annotations.addPlain('store is away');
  expect(annotations.toStrings(query, 10)).toEqual({
    warnings: ['store is away'],
    infos: ['PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "a" (2:8)'],
  });
});

test('warnings and infos are limited each on their own', () => {
  const annotations = new Annotations();
  for (let i = 0; i < 4; i++) {
    annotations.possibleNonCounter(`m${i}`, { start: 0, end: 1 });
    annotations.invalidQuantile(i + 2, { start: 0, end: 1 });
  }
  const { warnings, infos } = annotations.toStrings(query, 3);
  expect(warnings.slice(2)).toEqual(['PromQL warning: quantile value should be between 0 and 1, got 4 (1:1)', '1 more warning annotations omitted']);
  expect(infos.slice(3)).toEqual(['1 more info annotations omitted']);
  expect(annotations.toStrings(query, 0).infos).toHaveLength(4);
});

test('monotonicity repairs are summed up and stay at the place of the first', () => {
  const annotations = new Annotations();
  annotations.forcedMonotonicity('h', { start: 6, end: 7 }, 60_000, 1, 2, 0.5);
  annotations.forcedMonotonicity('h', { start: 12, end: 17 }, 1_999, 0.1, 1.5, 0.123);
  annotations.forcedMonotonicity('', { start: 0, end: 1 }, 0, 1, 2, 1e-7);
  const url = 'https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile';
  expect(annotations.toStrings(query, 0).infos).toEqual([
    `PromQL info: input to histogram_quantile needed to be fixed for monotonicity (see ${url}) for metric name "h", from buckets 0.1 to 2, with a max diff of 0.5, over 2 samples from 1970-01-01T00:00:01Z to 1970-01-01T00:01:00Z (2:2)`,
    `PromQL info: input to histogram_quantile needed to be fixed for monotonicity (see ${url}), from buckets 1 to 2, with a max diff of 1e-07, over 1 samples from 1970-01-01T00:00:00Z to 1970-01-01T00:00:00Z (1:1)`,
  ]);
});

const at = { start: 0, end: 3 };
test.each<[string, (annotations: Annotations) => void, 'warning' | 'info', string]>([
  ['quantile', (a) => a.invalidQuantile(-0.5, at), 'warning', 'quantile value should be between 0 and 1, got -0.5'],
  ['quantile NaN', (a) => a.invalidQuantile(Number.NaN, at), 'warning', 'quantile value should be between 0 and 1, got NaN'],
  ['quantile infinite', (a) => a.invalidQuantile(Number.POSITIVE_INFINITY, at), 'warning', 'quantile value should be between 0 and 1, got +Inf'],
  ['quantile of many digits', (a) => a.invalidQuantile(1e21, at), 'warning', 'quantile value should be between 0 and 1, got 1e+21'],
  ['ratio', (a) => a.invalidRatio(1.5, 1, at), 'warning', 'ratio value should be between -1 and 1, got 1.5, capping to 1'],
  ['le missing', (a) => a.badBucketLabel('m', '', at), 'warning', 'bucket label "le" is missing or has a malformed value of "" for metric name "m"'],
  ['le, no name', (a) => a.badBucketLabel('', 'a"b', at), 'warning', 'bucket label "le" is missing or has a malformed value of "a\\"b"'],
  ['sort', (a) => a.sortInRangeQuery(at), 'warning', 'sort is ineffective for range queries since results are always ordered by labels'],
  ['mixed', (a) => a.mixedFloatsHistograms('m', at), 'warning', 'encountered a mix of histograms and floats for metric name "m"'],
  ['mixed without name', (a) => a.mixedFloatsHistograms('', at), 'warning', 'encountered a mix of histograms and floats for metric name ""'],
  ['mixed aggregation', (a) => a.mixedFloatsHistogramsAggregation(at), 'warning', 'encountered a mix of histograms and floats for aggregation'],
  ['classic and native', (a) => a.mixedClassicNative('m', at), 'warning', 'vector contains a mix of classic and native histograms for metric name "m"'],
  ['classic and native, no name', (a) => a.mixedClassicNative('', at), 'warning', 'vector contains a mix of classic and native histograms'],
  ['schemas', (a) => a.mixedExponentialCustom('m', at), 'warning', 'vector contains a mix of histograms with exponential and custom buckets schemas for metric name "m"'],
  ['no counter', (a) => a.histogramNotCounter('m', at), 'warning', 'this native histogram metric is not a counter: "m"'],
  ['no gauge', (a) => a.histogramNotGauge('m', at), 'warning', 'this native histogram metric is not a gauge: "m"'],
  ['layout', (a) => a.incompatibleBucketLayout('+', at), 'warning', 'incompatible bucket layout encountered for binary operator +'],
  ['resets', (a) => a.counterResetCollision('aggregation', at), 'warning', 'conflicting counter resets during histogram aggregation'],
  ['name of a counter', (a) => a.possibleNonCounter('m', at), 'info', 'metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "m"'],
  ['type of a counter', (a) => a.possibleNonCounterType('m', 'gauge', at), 'info', 'metric might not be a counter, __type__ label is not set to "counter" or "histogram", got "gauge": "m"'],
  ['types', (a) => a.incompatibleTypes('float', '+', 'histogram', at), 'info', 'incompatible sample types encountered for binary operator "+": float + histogram'],
  ['ignored', (a) => a.histogramIgnoredInAggregation('min', at), 'info', 'ignored histogram in min aggregation'],
  ['ignored in range', (a) => a.histogramIgnoredInMixedRange('m', at), 'info', 'ignored histograms in a range containing both floats and histograms for metric name "m"'],
  ['NaN result', (a) => a.quantileOfNaN('result', 'm', at), 'info', 'input to histogram_quantile has NaN observations, result is NaN for metric name "m"'],
  ['NaN skew', (a) => a.quantileOfNaN('skew', '', at), 'info', 'input to histogram_quantile has NaN observations, result is skewed higher'],
  ['NaN fraction', (a) => a.fractionOfNaN('m', at), 'info', 'input to histogram_fraction has NaN observations, which are excluded from all fractions for metric name "m"'],
  ['bounds', (a) => a.mismatchedCustomBuckets('subtraction', at), 'info', 'mismatched custom buckets were reconciled during subtraction'],
])('text: %s', (_name, remark, kind, text) => {
  const annotations = new Annotations();
  remark(annotations);
  const full = `PromQL ${kind}: ${text}`;
  const none: string[] = [];
  expect(annotations.toStrings(query, 10)).toEqual(kind === 'warning' ? { warnings: [`${full} (1:1)`], infos: none } : { warnings: none, infos: [`${full} (1:1)`] });
  expect(annotations.toBareStrings()).toEqual(kind === 'warning' ? { warnings: [full], infos: none } : { warnings: none, infos: [full] });
});

test('bare texts are not limited and lack what was summed up; ten of a kind is the default elsewhere', () => {
  const annotations = new Annotations();
  for (let i = 0; i < 11; i++) annotations.possibleNonCounter(`m${i}`, at);
  annotations.forcedMonotonicity('h', at, 0, 1, 2, 3);
  annotations.addPlain('store is away');
  const bare = annotations.toBareStrings();
  expect(bare.infos).toHaveLength(12);
  expect(bare.infos.at(-1)).toMatch(/histogram_quantile\) for metric name "h"$/);
  expect(bare.warnings).toEqual(['store is away']);
  expect(annotations.toStrings(query, 10).infos.at(-1)).toBe('2 more info annotations omitted');
});
