import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { formatDurationText, parseDurationText, parseSizeText } from './duration-text.ts';

describe('durations', () => {
  test.each([
    ['0', 0],
    ['0s', 0],
    ['30s', 30_000],
    ['2h45m', 9_900_000],
    ['1d', 86_400_000],
    ['1w2d', 777_600_000],
    ['1y', 31_536_000_000],
    ['1.5h', 5_400_000],
    ['1h0m0.5s', 3_600_500],
    ['-1d', -86_400_000],
    ['250ms', 250],
    ['500us', 0.5],
    ['.5s', 500],
  ])('%s', (text, durationMs) => {
    expect(parseDurationText(text)).toBe(durationMs);
  });

  test.each(['', '1', 's', '1 s', '1x', '1s ', '--1s', '1e3s', '1d2', '99999999999y'])('refuses %j', (text) => {
    expect(() => parseDurationText(text)).toThrow('not a valid duration');
  });

  test('what is printed reads back the same', () => {
    fc.assert(fc.property(fc.integer({ min: -1e12, max: 1e12 }), (durationMs) => parseDurationText(formatDurationText(durationMs)) === durationMs));
    expect(formatDurationText(90_000)).toBe('1m30s');
    expect(formatDurationText(86_400_000 * 8)).toBe('8d');
  });
});

describe('sizes', () => {
  test.each([
    ['0', 0],
    ['1B', 1],
    ['512KB', 524_288],
    ['512KiB', 524_288],
    ['1.5GB', 1_610_612_736],
    ['1GB512MB', 1_610_612_736],
    ['64mib', 67_108_864],
  ])('%s', (text, size) => {
    expect(parseSizeText(text)).toBe(size);
  });

  test.each(['', '12', '12 MB', 'MB', '1XB', '1GB5', '-1KB', '9999999EB'])('refuses %j', (text) => {
    expect(() => parseSizeText(text)).toThrow('not a valid size');
  });

  test('a bare number is bytes where that is allowed', () => {
    expect(parseSizeText('12', true)).toBe(12);
  });
});
