import { describe, expect, test } from '@jest/globals';
import { autoStep, formatAxis, graphColumns, parseValue, seriesName, stackColumns } from './series.ts';

describe('series names', () => {
  test.each([
    [{}, '{}'],
    [{ __name__: 'up' }, 'up'],
    [{ __name__: 'up', job: 'a"b' }, 'up{job="a\\"b"}'],
    [{ 'a.b': 'c' }, '{"a.b"="c"}'],
  ])('%p', (metric, text) => expect(seriesName(metric as unknown as Record<string, string>)).toBe(text));
});

test('values keep infinities apart', () => {
  expect([parseValue('+Inf'), parseValue('-Inf'), parseValue('1e3')]).toEqual([Infinity, -Infinity, 1000]);
  expect(parseValue('NaN')).toBeNaN();
});

describe('graph columns', () => {
  test('missing steps stay gaps, not zeros', () => {
    const [x, y] = graphColumns([{ metric: {}, values: [[10, '1'], [30, '3']] }], 10, 40, 10);
    expect(x).toEqual([10, 20, 30, 40]);
    expect(y).toEqual([1, null, 3, null]);
  });
  test('samples that cannot be drawn are gaps', () => {
    const [, y] = graphColumns([{ metric: {}, values: [[10, 'NaN'], [20, '+Inf'], [30, '2']] }], 10, 30, 10);
    expect(y).toEqual([null, null, 2]);
  });
  test('fractional steps keep their last point', () => {
    const [x] = graphColumns([], 0, 0.3, 0.1);
    expect(x).toHaveLength(4);
  });
});

test('stacking adds over gaps and keeps them', () => {
  expect(stackColumns([[1, null, 3], [10, 20, null]])).toEqual([[1, null, 3], [11, 20, null]]);
});

test.each([
  [3_600_000, 15],
  [60_000, 1],
  [86_400_000, 600],
])('range %d ms → step %d s', (rangeMs, step) => expect(autoStep(rangeMs)).toBe(step));

test.each([
  [0, '0'],
  [1500, '1.5k'],
  [-2_500_000, '-2.5M'],
  [0.12345, '0.1235'],
])('axis %d → %s', (value, text) => expect(formatAxis(value)).toBe(text));
