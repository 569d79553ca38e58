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
