import { describe, expect, test } from '@jest/globals';
import { createThanosSection, type ThanosMeta } from '@gauntlet/block';
import { createMatcher, type Labels } from '@gauntlet/model';
import fc from 'fast-check';
import { BlockSet, type LoadedBlock, RESOLUTIONS_MS } from './block-set.ts';

const HOUR = 3_600_000;
const FIVE = 300_000;
const block = (id: string, minTime: number, maxTime: number, resolutionMs = 0, labels: Labels = ['set', 'x']): LoadedBlock => ({
  id,
  meta: { ulid: id, minTime, maxTime, version: 1, stats: { numSamples: 0, numSeries: 0, numChunks: 0 }, compaction: { level: 1, sources: [id] }, thanos: createThanosSection({ labels, resolutionMs }) } as ThanosMeta,
});
const setOf = (...blocks: LoadedBlock[]): BlockSet<LoadedBlock> => {
  const set = new BlockSet<LoadedBlock>();
  for (const each of blocks) set.add(each);
  return set;
};
const chosen = (set: BlockSet<LoadedBlock>, mint: number, maxt: number, resolution = 0): string[] => set.select(mint, maxt, resolution, [], []).map(({ id }) => id).toSorted();

describe('select', () => {
  const mixed = setOf(block('raw1', 0, 100), block('raw2', 100, 200), block('raw3', 200, 300), block('five', 0, 200, FIVE), block('hour', 0, 100, HOUR));
  test.each<{ name: string; mint: number; maxt: number; resolution: number; ids: string[] }>([
    { name: 'raw', mint: 0, maxt: 299, resolution: 0, ids: ['raw1', 'raw2', 'raw3'] },
    { name: '5m, the rest from raw', mint: 0, maxt: 299, resolution: FIVE, ids: ['five', 'raw3'] },
    { name: '1h, then 5m, then raw', mint: 0, maxt: 299, resolution: HOUR, ids: ['five', 'hour', 'raw3'] },
    { name: 'a resolution between takes the next finer one', mint: 0, maxt: 150, resolution: HOUR - 1, ids: ['five'] },
    { name: 'the end of a block is not in it', mint: 100, maxt: 100, resolution: 0, ids: ['raw2'] },
    { name: 'the last moment of a block is', mint: 99, maxt: 99, resolution: 0, ids: ['raw1'] },
    { name: 'before everything', mint: -10, maxt: -1, resolution: 0, ids: [] },
    { name: 'after everything', mint: 300, maxt: 400, resolution: 0, ids: [] },
    { name: 'reversed', mint: 200, maxt: 100, resolution: 0, ids: [] },
  ])('$name', ({ mint, maxt, resolution, ids }) => expect(chosen(mixed, mint, maxt, resolution)).toEqual(ids));

  test('overlapping blocks all answer', () => expect(chosen(setOf(block('a', 0, 100), block('b', 50, 150), block('c', 60, 70)), 65, 66)).toEqual(['a', 'b', 'c']));

  test('a long block hides no gap behind a short one that begins later', () => {
    const set = setOf(block('long', 0, 100, FIVE), block('short', 10, 20, FIVE), block('raw', 0, 100));
    expect(chosen(set, 0, 99, FIVE)).toEqual(['long', 'short']);
  });

  test('labels choose groups, block matchers choose blocks', () => {
    const set = setOf(block('a', 0, 10), block('b', 0, 10, 0, ['set', 'y']));
    expect(set.select(0, 9, 0, [createMatcher('=', 'set', 'y'), createMatcher('=', 'job', 'z')], []).map(({ id }) => id)).toEqual(['b']);
    expect(set.select(0, 9, 0, [], [createMatcher('=', '__block_id', 'a')]).map(({ id }) => id)).toEqual(['a']);
    expect(set.select(0, 9, 0, [], [createMatcher('!=', 'set', 'y')]).map(({ id }) => id)).toEqual(['a']);
  });

  test('whatever the blocks: each moment some block covers is covered, by no resolution coarser than asked for, and nothing that is covered coarsely is read finely', () => {
    const any = fc.tuple(fc.nat(30), fc.integer({ min: 1, max: 12 }), fc.constantFrom(...RESOLUTIONS_MS));
    fc.assert(fc.property(fc.array(any, { maxLength: 12 }), fc.nat(40), fc.nat(20), fc.constantFrom(...RESOLUTIONS_MS), (rows, mint, length, resolution) => {
      const blocks = rows.map(([start, duration, r], i) => block(`b${i}`, start, start + duration, r));
      const set = setOf(...blocks);
      const ids = new Set(chosen(set, mint, mint + length, resolution));
      const picked = blocks.filter(({ id }) => ids.has(id));
      expect(picked.every(({ meta }) => meta.thanos.resolutionMs <= resolution)).toBe(true);
      for (let t = mint; t <= mint + length; t++) {
        const covers = ({ meta }: LoadedBlock): boolean => meta.minTime <= t && t < meta.maxTime;
        const best = Math.max(-1, ...blocks.filter((b) => covers(b) && b.meta.thanos.resolutionMs <= resolution).map((b) => b.meta.thanos.resolutionMs));
        if (best >= 0) expect(picked.some((b) => covers(b) && b.meta.thanos.resolutionMs === best)).toBe(true);
      }
    }));
  });
});

describe('what is announced', () => {
  test('label sets in order, ranges joined where they touch, a short block inside a long one changes nothing', () => {
    const set = setOf(block('a', 0, 100), block('b', 10, 20), block('c', 100, 150), block('d', 151, 160), block('e', 5, 6, 0, ['set', 'w']));
    expect(set.labelSets()).toEqual([['set', 'w'], ['set', 'x']]);
    expect(set.tsdbInfos()).toEqual([
      { labels: ['set', 'w'], mint: 5, maxt: 6 },
      { labels: ['set', 'x'], mint: 0, maxt: 150 },
      { labels: ['set', 'x'], mint: 151, maxt: 160 },
    ]);
    expect(set.timeRange()).toEqual({ mint: 0, maxt: 160 });
  });

  test('removed blocks and empty groups are gone', () => {
    const set = setOf(block('a', 0, 100));
    set.remove('a');
    set.remove('a');
    expect([set.size, set.labelSets(), set.tsdbInfos(), set.timeRange()]).toEqual([0, [], [], undefined]);
  });

  test('a resolution nobody makes is refused by name', () => expect(() => setOf(block('a', 0, 1, 7))).toThrow('add block a: unsupported downsampling resolution 7'));
});
