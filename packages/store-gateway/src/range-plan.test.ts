import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { planRanges } from './range-plan.ts';

const plan = (items: readonly (readonly [number, number])[], gapMax?: number, partMax?: number): [number, number, number, number][] =>
  planRanges(Float64Array.from(items, (item) => item[0]), Float64Array.from(items, (item) => item[1]), items.length, gapMax, partMax).map(({ start, end, first, last }) => [start, end, first, last]);

describe('planRanges', () => {
  test.each<{ name: string; items: [number, number][]; gap?: number; part?: number; parts: [number, number, number, number][] }>([
    { name: 'nothing', items: [], parts: [] },
    { name: 'one', items: [[5, 9]], parts: [[5, 9, 0, 1]] },
    { name: 'a gap of the limit is read over', items: [[0, 10], [20, 30]], gap: 10, parts: [[0, 30, 0, 2]] },
    { name: 'one byte more is not', items: [[0, 10], [21, 30]], gap: 10, parts: [[0, 10, 0, 1], [21, 30, 1, 2]] },
    { name: 'overlaps and one inside another', items: [[0, 50], [10, 20], [40, 60]], gap: 0, parts: [[0, 60, 0, 3]] },
    { name: 'equal ones', items: [[3, 4], [3, 4]], gap: 0, parts: [[3, 4, 0, 2]] },
    { name: 'a part is not larger than its limit', items: [[0, 10], [10, 20], [20, 30]], gap: 5, part: 20, parts: [[0, 20, 0, 2], [20, 30, 2, 3]] },
    { name: 'unless one item is', items: [[0, 100], [100, 101]], gap: 5, part: 20, parts: [[0, 100, 0, 1], [100, 101, 1, 2]] },
    { name: 'the gap is 512 KiB unless told', items: [[0, 1], [524_289, 524_290], [1_048_579, 1_048_580]], parts: [[0, 524_290, 0, 2], [1_048_579, 1_048_580, 2, 3]] },
  ])('$name', ({ items, gap, part, parts }) => expect(plan(items, gap, part)).toEqual(parts));

  test('every item lies in its part, parts cover items in order, and no two neighbours could have been one', () => {
    const item = fc.tuple(fc.nat(2000), fc.integer({ min: 1, max: 100 })).map(([start, length]): [number, number] => [start, start + length]);
    fc.assert(fc.property(fc.array(item), fc.nat(200), fc.integer({ min: 1, max: 800 }), (unsorted, gap, partMax) => {
      const items = unsorted.toSorted((a, b) => a[0] - b[0]);
      const parts = plan(items, gap, partMax);
      let at = 0;
      for (const [start, end, first, last] of parts) {
        expect(first).toBe(at);
        for (; at < last; at++) expect(items[at]![0] >= start && items[at]![1] <= end).toBe(true);
        expect(last - first === 1 || end - start <= partMax).toBe(true);
      }
      expect(at).toBe(items.length);
      for (let i = 1; i < parts.length; i++) {
        const [before, after] = [parts[i - 1]!, parts[i]!];
        const wouldEnd = Math.max(before[1], items[after[2]]![1]);
        expect(after[0] - before[1] > gap || wouldEnd - before[0] > partMax).toBe(true);
      }
    }));
  });
});
