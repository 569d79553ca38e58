import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { formatDuration, formatGoDuration, parseDuration, parseGoDuration, parseSignedDuration } from './duration.ts';
import { ModelError } from './errors.ts';

describe('Prometheus durations', () => {
  test.each<[string, number, string]>([
    ['0', 0, '0s'],
    ['0s', 0, '0s'],
    ['324ms', 324, '324ms'],
    ['3s', 3000, '3s'],
    ['5m', 300_000, '5m'],
    ['1h', 3_600_000, '1h'],
    ['4d', 345_600_000, '4d'],
    ['4d1h', 349_200_000, '4d1h'],
    ['14d', 1_209_600_000, '2w'],
    ['8d', 691_200_000, '8d'],
    ['3w', 1_814_400_000, '3w'],
    ['3w2d1h', 1_990_800_000, '23d1h'],
    ['10y', 315_360_000_000, '10y'],
    ['1h30m', 5_400_000, '1h30m'],
    ['007s', 7000, '7s'],
    ['292y', 9_208_512_000_000, '292y'],
    ['9223372036854ms', 9_223_372_036_854, '106751d23h47m16s854ms'],
  ])('%s', (text, ms, printed) => {
    expect(parseDuration(text)).toBe(ms);
    expect(formatDuration(ms)).toBe(printed);
  });

  test.each<[string, string]>([
    ['', 'empty duration string'],
    ['1', 'not a valid duration string: "1"'],
    ['-1w', 'not a valid duration string: "-1w"'],
    ['1.5d', 'unknown unit "." in duration "1.5d"'],
    ['d', 'not a valid duration string: "d"'],
    ['1y1m1d', 'not a valid duration string: "1y1m1d"'],
    ['1h1h', 'not a valid duration string: "1h1h"'],
    ['5 m', 'unknown unit " m" in duration "5 m"'],
    ['1M', 'unknown unit "M" in duration "1M"'],
    ['1h5', 'not a valid duration string: "1h5"'],
    ['300y', 'duration out of range'],
    ['292y365d', 'duration out of range'],
    ['18446744073709551615ms', 'duration out of range'],
    ['18446744073709551616ms', 'not a valid duration string: "18446744073709551616ms"'],
  ])('refuses %j', (text, message) => {
    expect(() => parseDuration(text)).toThrow(new ModelError('ERR_DURATION', message));
  });

  test('signs', () => {
    expect(parseSignedDuration('-5m')).toBe(-300_000);
    expect(parseSignedDuration('-0s')).toBe(0);
    expect(formatDuration(-90_000)).toBe('-1m30s');
    expect(() => parseSignedDuration('--5m')).toThrow('not a valid duration string: "-5m"');
  });

  test('what is printed reads as the same', () => {
    fc.assert(
      fc.property(fc.integer({ min: -9_223_372_036_854, max: 9_223_372_036_854 }), (ms) => {
        expect(parseSignedDuration(formatDuration(ms))).toBe(ms);
      }),
    );
  });
});

describe('Go durations', () => {
  test.each<[string, number, string]>([
    ['0', 0, '0s'],
    ['1h0m0.5s', 3_600_500, '1h0m0.5s'],
    ['1.5h', 5_400_000, '1h30m0s'],
    ['-1.5ms', -1.5, '-1.5ms'],
    ['+5s', 5000, '5s'],
    ['100us', 0.1, '100µs'],
    ['100µs', 0.1, '100µs'],
    ['7ns', 7e-6, '7ns'],
    ['.5s', 500, '500ms'],
    ['1s1h', 3_601_000, '1h0m1s'],
    ['2m0.000000001s', 120_000.000001, '2m0.000000001s'],
  ])('%s', (text, ms, printed) => {
    expect(parseGoDuration(text)).toBeCloseTo(ms, 9);
    expect(formatGoDuration(ms)).toBe(printed);
  });

  test.each<[string, string]>([
    ['', 'time: invalid duration ""'],
    ['5', 'time: missing unit in duration "5"'],
    ['1d', 'time: unknown unit "d" in duration "1d"'],
    ['.s', 'time: invalid duration ".s"'],
    ['s', 'time: invalid duration "s"'],
    ['-', 'time: invalid duration "-"'],
    ['1h5', 'time: missing unit in duration "1h5"'],
    ['3000000h', 'time: invalid duration "3000000h"'],
  ])('refuses %j', (text, message) => {
    expect(() => parseGoDuration(text)).toThrow(new ModelError('ERR_DURATION', message));
  });

  test('what is printed reads as the same, to the nanosecond', () => {
    fc.assert(
      fc.property(fc.integer({ min: -1e15, max: 1e15 }), (nanoseconds) => {
        expect(Math.round(parseGoDuration(formatGoDuration(nanoseconds / 1e6)) * 1e6)).toBe(nanoseconds);
      }),
    );
  });
});
