import { describe, expect, test } from '@jest/globals';
import { MAX_TIME_MS, MIN_TIME_MS, parseTimestamp } from './timestamp.ts';

describe('timestamps', () => {
  test.each<[string, number]>([
    ['0', 0],
    ['1543578564.705', 1_543_578_564_705],
    ['1543578564.7054', 1_543_578_564_705],
    ['-1.5', -1500],
    ['1e3', 1_000_000],
    ['.5', 500],
    ['2015-06-03T13:21:58.555Z', 1_433_337_718_555],
    ['2015-06-03T13:21:58.5559Z', 1_433_337_718_555],
    ['2015-06-03T14:21:58.555+01:00', 1_433_337_718_555],
    ['2015-06-03T12:21:58-01:00', 1_433_337_718_000],
    ['0001-01-01T00:00:00Z', -62_135_596_800_000],
    ['-292273086-05-16T16:47:06Z', MIN_TIME_MS],
    ['292277025-08-18T07:12:54.999999999Z', MAX_TIME_MS],
  ])('%s', (text, ms) => {
    expect(parseTimestamp(text)).toBe(ms);
  });

  test.each(['', 'now', '2015-06-03', '2015-02-30T00:00:00Z', '2015-13-01T00:00:00Z', '2015-06-03T25:00:00Z', '2015-06-03T13:21:58', '1h', '0x', '1_000', 'NaN', '1e999'])('refuses %j', (text) => {
    expect(() => parseTimestamp(text)).toThrow(`cannot parse ${JSON.stringify(text)} to a valid timestamp`);
  });
});
