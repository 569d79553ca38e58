/** What is planned, over blocks written as `[minTime, maxTime)`; levels 20, 60, 180. */
import { describe, expect, test } from '@jest/globals';
import type { BlockMeta } from '../block/block-meta.ts';
import { compactMetas } from './compact-meta.ts';
import { planLevels, selectOverlapping, splitByRange } from './plan-levels.ts';

interface Given {
  readonly range: readonly [number, number];
  readonly failed?: boolean;
  readonly tombstones?: number;
  readonly hints?: readonly string[];
}

function meta({ range, failed, tombstones, hints }: Given, i: number): BlockMeta {
  return {
    ulid: `01${String(i).padStart(24, '0')}`,
    minTime: range[0],
    maxTime: range[1],
    stats: { numSamples: 10, numSeries: 10, numChunks: 10, ...(tombstones !== undefined && { numTombstones: tombstones }) },
    compaction: { level: 1, sources: [`01${String(i).padStart(24, '0')}`], ...(failed && { failed }), ...(hints && { hints }) },
    version: 1,
  };
}

const stale = ['from-stale-series'];
const cases: { name: string; blocks: Given[]; plan: readonly (readonly [number, number])[] }[] = [
  { name: 'nothing', blocks: [], plan: [] },
  { name: 'one block', blocks: [{ range: [0, 20] }], plan: [] },
  { name: 'a full window, but the newest block waits', blocks: [{ range: [0, 20] }, { range: [20, 40] }, { range: [40, 60] }], plan: [] },
  { name: 'a full window with a newer block', blocks: [{ range: [0, 20] }, { range: [20, 40] }, { range: [40, 60] }, { range: [60, 80] }], plan: [[0, 20], [20, 40], [40, 60]] },
  { name: 'a window that newer blocks have passed, with a gap', blocks: [{ range: [0, 20] }, { range: [40, 60] }, { range: [60, 80] }, { range: [80, 100] }], plan: [[0, 20], [40, 60]] },
  { name: 'a window that may still fill', blocks: [{ range: [0, 20] }, { range: [20, 40] }, { range: [60, 80] }], plan: [] },
  { name: 'alone in its window', blocks: [{ range: [0, 20] }, { range: [60, 80] }, { range: [120, 140] }, { range: [180, 200] }], plan: [] },
  { name: 'alone in its window, and in the larger one with others', blocks: [{ range: [0, 20] }, { range: [60, 80] }, { range: [120, 140] }, { range: [180, 200] }, { range: [200, 220] }], plan: [[0, 20], [60, 80], [120, 140]] },
  { name: 'the smaller level first', blocks: [{ range: [0, 60] }, { range: [60, 120] }, { range: [120, 180] }, { range: [180, 200] }, { range: [200, 220] }, { range: [220, 240] }, { range: [240, 260] }], plan: [[180, 200], [200, 220], [220, 240]] },
  { name: 'the larger level', blocks: [{ range: [0, 60] }, { range: [60, 120] }, { range: [120, 180] }, { range: [180, 200] }], plan: [[0, 60], [60, 120], [120, 180]] },
  { name: 'a window with a block that failed', blocks: [{ range: [0, 20] }, { range: [20, 40], failed: true }, { range: [40, 60] }, { range: [60, 80] }], plan: [] },
  { name: 'overlapping first, the newest too', blocks: [{ range: [0, 20] }, { range: [20, 40] }, { range: [40, 60] }, { range: [60, 80] }, { range: [70, 90] }], plan: [[60, 80], [70, 90]] },
  { name: 'overlapping through others, until the first gap', blocks: [{ range: [0, 50] }, { range: [10, 20] }, { range: [30, 70] }, { range: [70, 80] }, { range: [75, 90] }], plan: [[0, 50], [10, 20], [30, 70]] },
  { name: 'in any order', blocks: [{ range: [60, 80] }, { range: [40, 60] }, { range: [0, 20] }, { range: [20, 40] }], plan: [[0, 20], [20, 40], [40, 60]] },
  { name: 'many deletions in a large block', blocks: [{ range: [0, 60], tombstones: 1 }, { range: [60, 120] }], plan: [[0, 60]] },
  { name: 'few deletions in a large block', blocks: [{ range: [0, 60], tombstones: 0 }, { range: [60, 120] }], plan: [] },
  { name: 'many deletions in a small block', blocks: [{ range: [0, 20], tombstones: 9 }, { range: [60, 80] }], plan: [] },
  { name: 'a small block deleted whole', blocks: [{ range: [0, 20], tombstones: 10 }, { range: [60, 80] }], plan: [[0, 20]] },
  { name: 'parts of the head keep to themselves', blocks: [{ range: [0, 20] }, { range: [0, 20], hints: stale }, { range: [5, 15], hints: stale }], plan: [[0, 20], [5, 15]] },
  { name: 'ordinary blocks before parts of the head', blocks: [{ range: [0, 20] }, { range: [10, 20] }, { range: [30, 40], hints: stale }, { range: [35, 40], hints: stale }], plan: [[0, 20], [10, 20]] },
  { name: 'before 1970', blocks: [{ range: [-60, -40] }, { range: [-40, -20] }, { range: [-20, 0] }, { range: [0, 20] }], plan: [[-60, -40], [-40, -20], [-20, 0]] },
];

test.each(cases)('plan: $name', ({ blocks, plan }) => {
  expect(planLevels(blocks.map(meta), [20, 60, 180]).map(({ minTime, maxTime }) => [minTime, maxTime])).toEqual(plan);
});

test.each([
  { name: 'aligned', ranges: [[0, 10], [10, 20], [50, 60], [90, 100]], groups: [[[0, 10], [10, 20]], [[50, 60]], [[90, 100]]] },
  { name: 'over an edge', ranges: [[0, 10], [20, 40], [40, 50]], groups: [[[0, 10]], [[40, 50]]] },
  { name: 'before 1970', ranges: [[-35, -31], [-30, -1], [0, 5]], groups: [[[-35, -31]], [[-30, -1]], [[0, 5]]] },
])('windows of 30: $name', ({ ranges, groups }) => {
  const blocks = ranges.map(([minTime, maxTime]) => ({ minTime: minTime!, maxTime: maxTime! }));
  expect(splitByRange(blocks, 30).map((group) => group.map(({ minTime, maxTime }) => [minTime, maxTime]))).toEqual(groups);
});

test('blocks that touch do not overlap', () => {
  expect(selectOverlapping([{ minTime: 0, maxTime: 10 }, { minTime: 10, maxTime: 20 }])).toEqual([]);
});

describe('meta of a compacted block', () => {
  test('range, level, sources, parents', () => {
    const first: BlockMeta = { ...meta({ range: [0, 20] }, 2), compaction: { level: 3, sources: ['C', 'A'] } };
    const second: BlockMeta = { ...meta({ range: [10, 60] }, 1), compaction: { level: 2, sources: ['B', 'A'] } };
    expect(compactMetas([first, second])).toEqual({
      minTime: 0,
      maxTime: 60,
      compaction: { level: 4, sources: ['A', 'B', 'C'], parents: [{ ulid: first.ulid, minTime: 0, maxTime: 20 }, { ulid: second.ulid, minTime: 10, maxTime: 60 }] },
    });
  });

  const outOfOrder = ['from-out-of-order'];
  test.each([
    { of: [undefined, outOfOrder], hints: undefined },
    { of: [outOfOrder, outOfOrder], hints: outOfOrder },
    { of: [stale, undefined], hints: stale },
    { of: [[...outOfOrder, ...stale], outOfOrder], hints: ['from-out-of-order', 'from-stale-series'] },
  ])('hints of $of: $hints', ({ of, hints }) => {
    expect(compactMetas(of.map((one, i) => meta({ range: [0, 20], ...(one && { hints: one }) }, i))).compaction.hints).toEqual(hints);
  });
});
