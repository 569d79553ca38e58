/** Small functions by table: Go's number formats and mathematics, natural order, dates, quantiles. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { DATE_FUNCTIONS } from './dates.ts';
import { formatF, formatFixed, formatG, formatG2, formatOpenMetrics } from './go-format.ts';
import { log10, log2, max, min, pow } from './go-math.ts';
import { quantileOf } from './quantile.ts';
import { compareNatural } from './sort.ts';

describe('Go number formats', () => {
  test.each([
    { x: 0, f: '0', g: '0' },
    { x: -0, f: '-0', g: '-0' },
    { x: 1.5, f: '1.5', g: '1.5' },
    { x: 1e21, f: '1000000000000000000000', g: '1e+21' },
    { x: 123456, f: '123456', g: '123456' },
    { x: 1234567, f: '1234567', g: '1.234567e+06' },
    { x: 0.0001, f: '0.0001', g: '0.0001' },
    { x: 0.00001234, f: '0.00001234', g: '1.234e-05' },
    { x: 5e-324, f: `0.${'0'.repeat(323)}5`, g: '5e-324' },
    { x: -2.5e100, f: `-25${'0'.repeat(99)}`, g: '-2.5e+100' },
    { x: NaN, f: 'NaN', g: 'NaN' },
    { x: Infinity, f: '+Inf', g: '+Inf' },
    { x: -Infinity, f: '-Inf', g: '-Inf' },
  ])('$x', ({ x, f, g }) => {
    expect([formatF(x), formatG(x)]).toEqual([f, g]);
  });

  test.each([
    [2, '2'],
    [99.6, '1e+02'],
    [0.012345, '0.012'],
    [12.5, '12'],
    [13.5, '14'],
    [-12.5, '-12'],
    [1e-9, '1e-09'],
  ])('%%.2g of %d', (x, want) => {
    expect(formatG2(x)).toBe(want);
  });

  test.each([
    [1, '1.0'],
    [0, '0.0'],
    [0.5, '0.5'],
    [25, '25.0'],
    [1e-7, '1e-07'],
    [Infinity, '+Inf'],
    [NaN, 'NaN'],
  ])('OpenMetrics form of %d', (x, want) => {
    expect(formatOpenMetrics(x)).toBe(want);
  });

  test('%f', () => {
    expect([formatFixed(1.5), formatFixed(-0.1234567), formatFixed(NaN)]).toEqual(['1.500000', '-0.123457', 'NaN']);
  });

  test('the f format reads back as the same number', () => {
    fc.assert(fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (x) => expect(Number(formatF(x))).toBe(x)));
  });
});

describe('Go mathematics', () => {
  test.each([
    { x: 1, y: NaN, want: 1 },
    { x: -1, y: Infinity, want: 1 },
    { x: -1, y: -Infinity, want: 1 },
    { x: NaN, y: 0, want: 1 },
    { x: 2, y: 10, want: 1024 },
    { x: -2, y: 3, want: -8 },
    { x: -8, y: 1 / 3, want: NaN },
    { x: 0, y: -1, want: Infinity },
    { x: -0, y: -1, want: -Infinity },
    { x: 2, y: 0.5, want: Math.SQRT2 },
    { x: 10, y: 308, want: 1.0000000000000006e308 },
    { x: 10, y: 400, want: Infinity },
    { x: 10, y: -400, want: 0 },
    { x: 2, y: -1074, want: 5e-324 },
    { x: Infinity, y: -1, want: 0 },
    // Results of Go 1.26 that differ from JavaScript's operator.
    { x: 3.2013377123243523e-7, y: 12, want: 1.1587183605248983e-78 },
    { x: 59, y: -2, want: 59 ** -2 },
  ])('$x ^ $y', ({ x, y, want }) => {
    expect(pow(x, y)).toBe(want);
  });

  test('whole powers are those of repeated multiplication, within rounding', () => {
    fc.assert(
      fc.property(fc.double({ min: 0.001, max: 1000, noNaN: true }), fc.integer({ min: -30, max: 30 }), (x, y) => {
        expect(Math.abs(pow(x, y) / x ** y - 1)).toBeLessThan(1e-13);
      }),
    );
  });

  test('logarithms', () => {
    expect([log2(8), log2(2 ** -1074), log2(0), log2(-1), log2(Infinity)]).toEqual([3, -1074, -Infinity, NaN, Infinity]);
    expect([log10(1000), log10(59), log10(0), log10(Infinity)]).toEqual([3, 1.7708520116421442, -Infinity, Infinity]);
  });

  test('max and min against NaN', () => {
    expect([max(Infinity, NaN), max(1, NaN), min(NaN, -Infinity), min(NaN, 1), max(-0, 0), min(0, -0)]).toEqual([Infinity, NaN, -Infinity, NaN, 0, -0]);
  });
});

describe('natural order', () => {
  test.each([
    ['node9', 'node10'],
    ['a', 'b'],
    ['a1b2', 'a1b10'],
    ['1', '02'],
    ['', 'a'],
    ['x', 'x1'],
  ])('%s before %s', (a, b) => {
    expect(compareNatural(a, b)).toBeLessThan(0);
    expect(compareNatural(b, a)).toBeGreaterThan(0);
  });

  test('is an order', () => {
    const text = fc.stringMatching(/^[ab01]{0,5}$/);
    fc.assert(
      fc.property(text, text, text, (a, b, c) => {
        expect(Math.sign(compareNatural(a, b))).toBe(-Math.sign(compareNatural(b, a)) || 0);
        if (compareNatural(a, b) <= 0 && compareNatural(b, c) <= 0) expect(compareNatural(a, c)).toBeLessThanOrEqual(0);
      }),
    );
  });
});

describe('dates', () => {
  test.each([
    { at: '2026-11-21T08:57:25Z', want: { minute: 57, hour: 8, day_of_week: 6, day_of_month: 21, day_of_year: 325, days_in_month: 30, month: 11, year: 2026 } },
    { at: '2024-02-29T23:59:59Z', want: { minute: 59, hour: 23, day_of_week: 4, day_of_month: 29, day_of_year: 60, days_in_month: 29, month: 2, year: 2024 } },
    { at: '1969-12-31T00:00:00Z', want: { minute: 0, hour: 0, day_of_week: 3, day_of_month: 31, day_of_year: 365, days_in_month: 31, month: 12, year: 1969 } },
    { at: '1900-02-01T00:00:00Z', want: { minute: 0, hour: 0, day_of_week: 4, day_of_month: 1, day_of_year: 32, days_in_month: 28, month: 2, year: 1900 } },
  ])('$at', ({ at, want }) => {
    const seconds = Date.parse(at) / 1000;
    expect(Object.fromEntries([...DATE_FUNCTIONS].map(([name, f]) => [name, f(seconds + 0.9 * Math.sign(seconds))]))).toEqual(want);
  });

  // Asked of promtool 3.14 on linux/amd64; NaN becomes the smallest 64-bit number there, which Go's calendar takes for its largest.
  test.each([
    { seconds: 9.2e18, want: { minute: 33, hour: 11, day_of_week: 5, day_of_month: 31, day_of_year: 244, month: 8, year: 291536396232 } },
    { seconds: -9.2e18, want: { minute: 26, hour: 12, day_of_week: 2, day_of_month: 3, day_of_year: 123, month: 5, year: -291536392293 } },
    { seconds: 1.234567e17, want: { minute: 46, hour: 17, day_of_week: 6, day_of_month: 19, day_of_year: 78, month: 3, year: 3912189053 } },
    { seconds: -9.22337203e18, want: { minute: 53, hour: 7, day_of_week: 0, day_of_month: 23, day_of_year: 54, month: 2, year: 292277026814 } },
    { seconds: 9e12, want: { minute: 0, hour: 16, day_of_week: 6, day_of_month: 24, day_of_year: 237, month: 8, year: 287168 } },
    { seconds: -9e12, want: { minute: 0, hour: 8, day_of_week: 1, day_of_month: 10, day_of_year: 130, month: 5, year: -283229 } },
    { seconds: NaN, want: { minute: 30, hour: 15, day_of_week: 0, day_of_month: 4, day_of_year: 339, month: 12, year: 292277026596 } },
    { seconds: Infinity, want: { minute: 30, hour: 15, day_of_week: 0, day_of_month: 4, day_of_year: 339, month: 12, year: 292277026596 } },
  ])('of times beyond any Date: $seconds', ({ seconds, want }) => {
    expect(Object.fromEntries(Object.keys(want).map((name) => [name, DATE_FUNCTIONS.get(name)!(seconds)]))).toEqual(want);
  });

  test('years a Date cannot hold', () => {
    expect(DATE_FUNCTIONS.get('year')!(1e13)).toBe(318857);
    expect(DATE_FUNCTIONS.get('month')!(1e13)).toBe(DATE_FUNCTIONS.get('month')!(1e13 - 146_097 * 86_400 * 700));
  });
});

describe('quantiles', () => {
  test.each([
    { q: 0.5, values: [3, 1, 2], want: 2 },
    { q: 0.25, values: [1, 2], want: 1.25 },
    { q: 0, values: [NaN, 5], want: NaN },
    { q: 1, values: [NaN, 5], want: 5 },
    { q: -0.1, values: [1], want: -Infinity },
    { q: 1.1, values: [1], want: Infinity },
    { q: NaN, values: [1], want: NaN },
    { q: 0.5, values: [], want: NaN },
  ])('$q of $values', ({ q, values, want }) => {
    expect(quantileOf(q, Float64Array.from(values))).toBe(want);
  });
});
