/**
 * Plans. Notation: `0-20 20-40! 40-60?` are blocks by time, `!` not to be compacted, `?` failed to compact before, `#n` with n deleted
 * series of ten, `*n` with an index of n bytes. Cases follow Prometheus tsdb/compact_test.go and Thanos pkg/compact/planner_test.go.
 */
import type { ThanosMeta } from '@gauntlet/block';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { compareByMinTime, groupBlocks } from './group-blocks.ts';
import { COMPACTION_RANGES_MS, findOverlap, mergeMetas, planGroup, progressOfGroups } from './plan-group.ts';
import type { PlanOptions } from './plan-group.ts';
import { HOUR_MS, blockMeta } from './testing/bucket-world.ts';

const RANGES = [20, 60, 180, 540, 1620];

interface Drawn {
  readonly metas: ThanosMeta[];
  readonly options: PlanOptions;
}

function draw(text: string, resolutionMs = 0): Drawn {
  const noCompact = new Set<string>();
  const metas = text.split(' ').filter((word) => word !== '').map((word, n) => {
    const [, minTime, maxTime, flags] = /^(-?\d+)-(-?\d+)(.*)$/.exec(word)!;
    const index = /\*(\d+)/.exec(flags!);
    const meta = blockMeta(n, { minTime: Number(minTime), maxTime: Number(maxTime) }, { resolutionMs, files: index === null ? [] : [{ relPath: 'index', sizeBytes: Number(index[1]) }] });
    const tombstones = /#(\d+)/.exec(flags!);
    if (flags!.includes('!')) noCompact.add(meta.ulid);
    return {
      ...meta,
      stats: { ...meta.stats, numSeries: 10, ...(tombstones === null ? {} : { numTombstones: Number(tombstones[1]) }) },
      compaction: { ...meta.compaction, ...(flags!.includes('?') ? { failed: true } : {}) },
    };
  });
  return { metas: metas.sort(compareByMinTime), options: { noCompact, ranges: RANGES, maxIndexBytes: 1e12 } };
}

const print = (metas: readonly ThanosMeta[]): string => metas.map((m) => `${m.minTime}-${m.maxTime}`).join(' ');
function planned(text: string, resolutionMs = 0): string {
  const { metas, options } = draw(text, resolutionMs);
  const plan = planGroup({ metas }, options);
  return plan === undefined ? '' : `${plan.reason} ${print(plan.metas)}`;
}

describe('levels', () => {
  test.each([
    ['no block', '', ''],
    ['one block', '0-20', ''],
    ['two short blocks wait for the rest of their window', '0-20 20-40', ''],
    ['a full window whose last block is the newest waits for the next block', '0-20 20-40 40-60', ''],
    ['a full window with a block behind it', '0-20 20-40 40-60 60-80', 'levels 0-20 20-40 40-60'],
    ['the second range', '0-60 60-120 120-180 180-200 200-220', 'levels 0-60 60-120 120-180'],
    ['a gap at the end of a window: something could still come', '0-20 20-40 60-80', ''],
    ['a gap at the end of a window with two blocks behind it', '0-20 20-40 60-80 80-100', 'levels 0-20 20-40'],
    ['smaller windows first', '0-20 20-40 40-60 60-120 120-180', 'levels 0-20 20-40 40-60'],
    ['a gap within the second range', '0-60 120-180 180-200 200-220', 'levels 0-60 120-180'],
    ['blocks of different lengths', '20-40 60-120 960-980 120-180 720-960', 'levels 20-40 60-120 120-180'],
    ['the oldest window first', '0-20 20-40 60-80 80-100 100-120 120-140', 'levels 0-20 20-40'],
    ['a block that reaches over the window is in none', '0-20 20-70 70-80 80-100 120-140 140-160', 'levels 70-80 80-100'],
    ['windows before 1970', '-60--40 -40--20 -20-0 0-20', 'levels -60--40 -40--20 -20-0'],
    ['a window with a block that failed', '0-20 20-40? 40-60 60-80', ''],
    ['a window with a block that failed, gap', '0-20 20-40? 60-80 80-100', ''],
    ['a window with a block that failed does not hold up larger ranges without it', '0-20 20-40? 40-60 60-120 120-180 180-200', ''],
    ['a window behind one with a block that failed', '0-20 20-40? 60-80 80-100 120-140 140-160', 'levels 60-80 80-100'],
  ])('%s', (_name, blocks, plan) => {
    expect(planned(blocks)).toBe(plan);
  });
});

describe('blocks that may not be compacted', () => {
  test.each([
    ['the first of a window', '0-20! 20-40 40-60 60-80', 'levels 20-40 40-60'],
    ['one in the middle: no plan reaches over it', '0-20 20-40! 40-60 60-80', ''],
    ['one in the middle with two on a side', '0-20 20-40! 40-60 60-120 120-180 180-200', 'levels 40-60 60-120 120-180'],
    ['the newest', '0-20 20-40 40-60 60-80!', 'levels 0-20 20-40 40-60'],
    ['the first and the newest', '0-20! 20-40 40-60 60-80!', 'levels 20-40 40-60'],
    ['all', '0-20! 20-40! 40-60! 60-80!', ''],
    ['the second, before a gap', '0-20 20-40! 60-80 80-100', ''],
    ['the last of the second range', '20-40 60-120 960-980 120-180! 720-960', 'levels 20-40 60-120'],
    ['the middle of the second range', '20-40 60-120! 960-980 120-180 720-960', ''],
    ['one with deleted series', '0-540#3! 540-560', ''],
    ['one that overlaps', '0-20! 19-40 40-60', ''],
    ['one that overlaps two others', '0-20 19-40! 30-50 45-60', 'overlap 30-50 45-60'],
  ])('%s', (_name, blocks, plan) => {
    expect(planned(blocks)).toBe(plan);
  });
});

describe('overlaps', () => {
  test.each([
    ['ends that touch are none', '0-20 20-40', ''],
    ['two', '0-20 19-40 40-60', 'overlap 0-20 19-40'],
    ['two, the newest among them', '0-20 20-40 30-50', 'overlap 20-40 30-50'],
    ['a block and its copy', '0-20 20-40 20-40 40-60', 'overlap 20-40 20-40'],
    ['one within another', '0-360 340-560 360-420 420-540', 'overlap 0-360 340-560 360-420 420-540'],
    ['a chain', '0-10 9-20 19-30', 'overlap 0-10 9-20 19-30'],
    ['the first of two runs', '0-10 9-20 30-40 39-50', 'overlap 0-10 9-20'],
    ['before levels', '0-20 20-40 40-60 60-80 70-90', 'overlap 60-80 70-90'],
    ['a failed block is no reason to wait', '0-20? 10-30', 'overlap 0-20 10-30'],
  ])('%s', (_name, blocks, plan) => {
    expect(planned(blocks)).toBe(plan);
  });
  test('findOverlap against all pairs', () => {
    const block = fc.tuple(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 1, max: 15 })).map(([minTime, length]) => ({ minTime, maxTime: minTime + length }));
    fc.assert(fc.property(fc.array(block, { maxLength: 8 }), (blocks) => {
      blocks.sort((a, b) => a.minTime - b.minTime);
      const run = findOverlap(blocks);
      const hasPair = blocks.some((a, i) => blocks.some((b, j) => i < j && b.minTime < a.maxTime));
      expect(run.length > 0).toBe(hasPair);
      expect(run.length).not.toBe(1);
      const outside = blocks.filter((b) => !run.includes(b));
      for (const a of outside) for (const b of run) expect(a.maxTime <= b.minTime || a.minTime >= b.maxTime).toBe(true);
    }));
  });
});

describe('deleted series', () => {
  test.each([
    ['a long block with many is rewritten', '0-540#3 540-560', 'tombstones 0-540'],
    ['a short one is not', '0-60#3 60-80', ''],
    ['few do not matter', '0-540 540-560', ''],
    ['the newest block is left alone', '0-540 540-1080#5', ''],
    ['the newer of two first', '0-540#3 540-1080#4 1080-1100', 'tombstones 540-1080'],
    ['behind a short block nothing is looked at', '0-540#3 540-560 560-580', ''],
    ['levels first', '0-540#3 540-560 560-580 580-600 600-620', 'levels 540-560 560-580 580-600'],
  ])('%s', (_name, blocks, plan) => {
    expect(planned(blocks)).toBe(plan);
  });
});

describe('marks that a plan wants first', () => {
  const wishes = (text: string, more: Partial<PlanOptions> = {}, resolutionMs = 0): unknown => {
    const { metas, options } = draw(text, resolutionMs);
    const plan = planGroup({ metas }, { ...options, maxIndexBytes: 100, ...more });
    const byId = new Map(metas.map((m) => [m.ulid, `${m.minTime}-${m.maxTime}`]));
    return plan === undefined ? undefined : [print(plan.metas), ...(plan.mark ?? []).map((m) => `${byId.get(m.id)!} ${m.reason}`)];
  };
  test.each([
    ['small indexes', '0-20*10 20-40*10 40-60*10 60-80*10', ['0-20 20-40 40-60']],
    ['a large index at the start', '0-20*41 20-40*30 40-60*30 60-80*30', ['20-40 40-60', '0-20 index-size-exceeding']],
    ['a large index in the middle', '0-20*30 20-40*41 40-60*30 60-80*30', ['', '20-40 index-size-exceeding']],
    ['a large index at the end', '0-20*30 20-40*30 40-60*41 60-80*30', ['0-20 20-40', '40-60 index-size-exceeding']],
    ['all together just at the limit', '0-20*42 20-40*43 60-80*1 80-100*1', ['', '20-40 index-size-exceeding']],
    ['all together just below the limit', '0-20*42 20-40*42 60-80*1 80-100*1', ['0-20 20-40']],
    ['several marks', '0-20*90 20-40*90 40-60*90 60-80*1', ['', '0-20 index-size-exceeding', '20-40 index-size-exceeding']],
    ['an overlap whose indexes are too large', '0-20*50 10-30*40 30-50*1', ['', '0-20 index-size-exceeding']],
    ['nothing to do needs no marks', '0-20*90 20-40*90', undefined],
  ])('%s', (_name, blocks, expected) => {
    expect(wishes(blocks)).toEqual(expected);
  });
  test('sizes that the meta does not tell are asked for', () => {
    expect(wishes('0-20 20-40 40-60 60-80', { indexBytes: (meta) => (meta.minTime === 0 ? 90 : undefined) })).toEqual(['20-40 40-60', '0-20 index-size-exceeding']);
  });
  test('overlapping downsampled blocks are not merged; what is left of the group is planned', () => {
    expect(wishes('0-20 10-30 60-80 80-100 120-140 140-160', {}, 300_000)).toEqual(['60-80 80-100', '0-20 downsample-vertical-compaction', '10-30 downsample-vertical-compaction']);
  });
});

describe('the ranges of Thanos', () => {
  const hours = (text: string): string => text.replace(/\d+/g, (n) => String(Number(n) * HOUR_MS));
  const plan = (text: string): string | undefined => {
    const { metas } = draw(hours(text));
    const found = planGroup({ metas }, { noCompact: new Set(), maxIndexBytes: 64 * 2 ** 30 });
    return found === undefined ? undefined : print(found.metas);
  };
  test('two-hour blocks become one of eight hours, then two days, then fourteen', () => {
    expect(COMPACTION_RANGES_MS).toEqual([3_600_000, 7_200_000, 28_800_000, 172_800_000, 1_209_600_000]);
    expect(plan('0-2 2-4 4-6 6-8 8-10')).toBe(hours('0-2 2-4 4-6 6-8'));
    expect(plan('0-8 8-16 16-24 24-32 32-40 40-48 48-50')).toBe(hours('0-8 8-16 16-24 24-32 32-40 40-48'));
    expect(plan('0-48 48-96 96-144 144-192 192-240 240-288 288-336 336-338')).toBe(hours('0-48 48-96 96-144 144-192 192-240 240-288 288-336'));
    expect(plan('0-336 336-672 672-674')).toBeUndefined();
  });
});

describe('any group', () => {
  const layout = fc.array(fc.record({
    minTime: fc.oneof(fc.integer({ min: -40, max: 300 }), fc.integer({ min: -2000, max: 6000 })), length: fc.constantFrom(5, 10, 20, 20, 20, 60, 180), isExcluded: fc.boolean(), hasFailed: fc.boolean(), isAligned: fc.boolean(),
  }), { maxLength: 14 }).map((blocks) => blocks.map((b, n) => {
    const minTime = b.isAligned ? Math.floor(b.minTime / b.length) * b.length : b.minTime;
    const meta = blockMeta(n, { minTime, maxTime: minTime + b.length });
    return { meta: { ...meta, compaction: { ...meta.compaction, ...(b.hasFailed ? { failed: true } : {}) } }, isExcluded: b.isExcluded };
  }));
  test('a plan has two or more free blocks, in order, and none lies among them that is not in it', () => {
    fc.assert(fc.property(layout, (blocks) => {
      const metas = blocks.map((b) => b.meta).sort(compareByMinTime);
      const noCompact = new Set(blocks.filter((b) => b.isExcluded).map((b) => b.meta.ulid));
      const plan = planGroup({ metas }, { noCompact, ranges: RANGES, maxIndexBytes: 1e12 });
      if (plan === undefined) return;
      expect(plan.metas.length).toBeGreaterThan(1);
      expect(plan.mark).toBeUndefined();
      for (const meta of plan.metas) expect(noCompact.has(meta.ulid)).toBe(false);
      const considered = plan.reason === 'levels' ? metas : metas.filter((m) => !noCompact.has(m.ulid));
      const first = considered.indexOf(plan.metas[0]!);
      expect(plan.metas).toEqual(considered.slice(first, first + plan.metas.length));
      if (plan.reason === 'levels') {
        expect(plan.metas).not.toContain(metas.at(-1));
        expect(plan.metas.at(-1)!.maxTime - plan.metas[0]!.minTime).toBeLessThanOrEqual(RANGES.at(-1)!);
      }
    }), { numRuns: 500 });
  });
  test('compacting comes to an end, loses no source and is what the progress says', () => {
    fc.assert(fc.property(layout, (blocks) => {
      const noCompact = new Set(blocks.filter((b) => b.isExcluded).map((b) => b.meta.ulid));
      const options = { noCompact, ranges: RANGES, maxIndexBytes: 1e12 };
      let metas = blocks.map((b) => b.meta).sort(compareByMinTime);
      const sources = metas.flatMap((m) => m.compaction.sources).sort();
      const progress = progressOfGroups(groupBlocks(metas), options);
      let compactions = 0;
      let taken = 0;
      for (let plan = planGroup({ metas }, options); plan !== undefined; plan = planGroup({ metas }, options)) {
        compactions++;
        taken += plan.metas.length;
        expect(compactions).toBeLessThan(20);
        const gone = new Set(plan.metas);
        metas = [...metas.filter((m) => !gone.has(m)), mergeMetas(plan.metas, `merged-${compactions}`)].sort(compareByMinTime);
      }
      expect(progress).toEqual({ compactions, blocks: taken });
      expect([...new Set(metas.flatMap((m) => m.compaction.sources))].sort()).toEqual(sources);
      expect(findOverlap(metas.filter((m) => !noCompact.has(m.ulid)))).toEqual([]);
    }), { numRuns: 300 });
  });
});

test('progress counts a block as often as it is compacted, and reckons with indexes that grow', () => {
  const two = draw('0-20*10 20-40*10 40-60*10 60-120*10 120-180*10 180-200*10');
  expect(progressOfGroups(groupBlocks(two.metas), two.options)).toEqual({ compactions: 2, blocks: 6 });
  expect(progressOfGroups(groupBlocks(two.metas), { ...two.options, maxIndexBytes: 50 })).toEqual({ compactions: 2, blocks: 5 });
  expect(progressOfGroups([], two.options)).toEqual({ compactions: 0, blocks: 0 });
});
