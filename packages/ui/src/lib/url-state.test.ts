import { describe, expect, test } from '@jest/globals';
import { DEFAULT_PANEL, decodePanels, encodePanels, formatMoment, formatRange, parseMoment, parseRange } from './url-state.ts';

describe('ranges', () => {
  test.each([
    ['1h', 3_600_000],
    ['1h30m', 5_400_000],
    ['2w', 1_209_600_000],
    ['250ms', 250],
  ])('%s', (text, ms) => expect(parseRange(text)).toBe(ms));
  test.each(['', 'h', '1', '-1h', '1 h', '0s', '1x'])('%p is no range', (text) => expect(parseRange(text)).toBeNull());
  test('format and parse agree', () => {
    for (const ms of [1, 999, 1000, 61_000, 3_600_000, 90_061_001]) expect(parseRange(formatRange(ms))).toBe(ms);
  });
});

describe('moments', () => {
  test('round trip', () => expect(parseMoment(formatMoment(1_700_000_000_000))).toBe(1_700_000_000_000));
  test('minutes are enough', () => expect(parseMoment('2026-11-21 08:00')).toBe(Date.UTC(2026, 10, 21, 8)));
  test.each(['', 'yesterday', '2026-13-41 99:99'])('%p is no moment', (text) => expect(parseMoment(text)).toBeNull());
});

describe('panels in the address bar', () => {
  test('nothing gives one empty panel', () => expect(decodePanels('')).toEqual([DEFAULT_PANEL]));
  test('round trip', () => {
    const panels = [
      { ...DEFAULT_PANEL, expr: 'sum by (job) (rate(x{a="&="}[5m]))', tab: 'table' as const, momentMs: 1_700_000_000_000, dedup: false },
      { ...DEFAULT_PANEL, expr: 'up', stacked: true, rangeMs: 7_200_000, endMs: 1_700_000_000_000, stepSeconds: 15, partialResponse: false },
    ];
    expect(decodePanels(`?${encodePanels(panels)}`)).toEqual(panels);
  });
  test('links of Thanos open: tab 0 is the graph, 1 the table', () => {
    expect(decodePanels('?g0.expr=up&g0.tab=1')[0]!.tab).toBe('table');
    expect(decodePanels('?g0.expr=up&g0.tab=0&g0.deduplicate=0')[0]).toMatchObject({ tab: 'graph', dedup: false });
  });
});
