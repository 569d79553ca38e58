/** Slots of groups. */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { nextSlot, slotBefore, slotOffsetMs } from './rule-schedule.ts';

const interval = fc.integer({ min: 1, max: 100_000_000 });
const time = fc.integer({ min: 0, max: 4e12 });

test('the slot before a time is on the grid, not after the time, and less than an interval before', () => {
  fc.assert(
    fc.property(time, interval, fc.integer({ min: 0, max: 100_000_000 }), (timeMs, intervalMs, offset) => {
      const offsetMs = offset % intervalMs;
      const slotMs = slotBefore(timeMs, intervalMs, offsetMs);
      expect((((slotMs - offsetMs) % intervalMs) + intervalMs) % intervalMs).toBe(0);
      expect(timeMs - slotMs).toBeGreaterThanOrEqual(0);
      expect(timeMs - slotMs).toBeLessThan(intervalMs);
    }),
  );
});

test('offsets are within the interval, stay the same, and differ between groups and files', () => {
  const offsets = new Set<number>();
  for (let i = 0; i < 100; i++) {
    const offset = slotOffsetMs('rules.yml', `group-${i}`, 60_000);
    expect(offset).toBe(slotOffsetMs('rules.yml', `group-${i}`, 60_000));
    expect(offset >= 0 && offset < 60_000 && Number.isInteger(offset)).toBe(true);
    offsets.add(offset);
  }
  expect(offsets.size).toBeGreaterThan(95);
  expect(slotOffsetMs('a', 'b', 60_000)).not.toBe(slotOffsetMs('b', 'a', 60_000));
});

test.each([
  ['on time', 1000, 2000, { slotMs: 2000, missed: 0 }],
  ['a timer that is a little early', 1000, 1999, { slotMs: 2000, missed: 0 }],
  ['a little late', 1000, 2999, { slotMs: 2000, missed: 0 }],
  ['an evaluation of two and a half intervals', 1000, 3500, { slotMs: 3000, missed: 1 }],
  ['asleep for an hour', 1000, 3_601_500, { slotMs: 3_601_000, missed: 3599 }],
  ['clock set back', 100_000, 50_500, { slotMs: 50_000, missed: 0 }],
])('%s', (_name, lastMs, nowMs, wanted) => {
  expect(nextSlot(lastMs, nowMs, 1000)).toEqual(wanted);
});
