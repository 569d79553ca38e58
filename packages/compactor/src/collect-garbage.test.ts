/** Garbage collection marks only what another block has, whole and unmarked. */
import type { ThanosMeta } from '@gauntlet/block';
import { createMetrics } from '@gauntlet/service-kit';
import { beforeEach, describe, expect, test } from '@jest/globals';

import { markDuplicates } from './collect-garbage.ts';
import { createCompactorMetrics } from './compactor-metrics.ts';
import { coversSources } from './coverage.ts';
import { BucketWorld, HOUR_MS, blockId, blockMeta, putBlock } from './testing/bucket-world.ts';

let world: BucketWorld;
const output = (n: number, sources: readonly number[], section: Partial<ThanosMeta['thanos']> = {}): ThanosMeta =>
  blockMeta(n, { minTime: 0, maxTime: 8 * HOUR_MS, compaction: { level: 2, sources: sources.map(blockId) } }, section);
beforeEach(async () => {
  world = new BucketWorld();
  for (const n of [0, 1, 2]) await putBlock(world.bucket, blockMeta(n));
});
const collect = async (): Promise<number[]> => (await markDuplicates(world.careDeps(), await world.view(), world.signal)).map((id) => Number(id.slice(-4)));

describe('garbage', () => {
  test('is what an output has too; once marked it is left alone', async () => {
    await putBlock(world.bucket, output(9, [0, 1]));
    const metrics = createMetrics();
    expect(await markDuplicates(world.careDeps(world.bucket, metrics), await world.view(), world.signal)).toEqual([blockId(0), blockId(1)]);
    const own = createCompactorMetrics(metrics);
    expect([own.garbageCollectedBlocks.value(), own.garbageCollections.value(), own.garbageCollectionFailures.value(), own.marked('deletion', '').value()]).toEqual([2, 1, 0, 2]);
    expect(JSON.parse(Buffer.from(await world.bucket.get(`${blockId(0)}/deletion-mark.json`)).toString())).toMatchObject({ id: blockId(0), details: 'outdated block' });
    expect(await collect()).toEqual([]);
  });
  test.each([
    ['other labels', output(9, [0, 1], { labels: ['cluster', 'us'] })],
    ['another resolution', output(9, [0, 1], { resolutionMs: 300_000 })],
    ['only some sources', { ...output(9, [0, 7]), ulid: blockId(9) }],
  ])('not: %s', async (_name, meta) => {
    await putBlock(world.bucket, meta);
    const marked = await collect();
    expect(marked).toEqual(_name === 'only some sources' ? [0] : []);
  });
  test('not: the covering block lost a file, or one is cut off', async () => {
    await putBlock(world.bucket, output(9, [0, 1]));
    await world.bucket.upload(`${blockId(9)}/chunks/000001`, Buffer.from(''));
    expect(await collect()).toEqual([]);
    await world.bucket.delete(`${blockId(9)}/chunks/000001`);
    expect(await collect()).toEqual([]);
    expect(world.warnings.at(-1)).toBe(`duplicate block stays: no intact, unmarked block that covers it (${blockId(1)})`);
    await world.bucket.upload(`${blockId(9)}/chunks/000001`, Buffer.from('c'));
    await world.bucket.delete(`${blockId(9)}/index`);
    expect(await collect()).toEqual([]);
    await world.bucket.upload(`${blockId(9)}/index`, Buffer.from('i'));
    expect(await collect()).toEqual([0, 1]);
  });
  test('not: the covering block was marked or deleted after the look at the bucket', async () => {
    await putBlock(world.bucket, output(9, [0, 1]));
    const view = await world.view();
    await world.mark(blockId(9));
    const metrics = createMetrics();
    expect(await markDuplicates(world.careDeps(world.bucket, metrics), view, world.signal)).toEqual([]);
    expect(createCompactorMetrics(metrics).garbageKeptBlocks.value()).toBe(2);
    for (const key of world.bucket.keys()) if (key.startsWith(blockId(9))) await world.bucket.delete(key);
    expect(await markDuplicates(world.careDeps(), view, world.signal)).toEqual([]);
  });
  test('a second covering block will do', async () => {
    await putBlock(world.bucket, output(8, [0, 1, 2]));
    await putBlock(world.bucket, output(9, [0, 1, 7]));
    await world.bucket.delete(`${blockId(8)}/index`);
    expect(await collect()).toEqual([0, 1]);
  });
  test('a block without sources is nobody’s duplicate', async () => {
    await putBlock(world.bucket, { ...blockMeta(4), compaction: { level: 1, sources: [] } });
    await putBlock(world.bucket, output(9, [0, 1]));
    expect(await collect()).toEqual([0, 1]);
    expect(coversSources(output(9, [0, 1]), { ...blockMeta(4), compaction: { level: 1, sources: [] } })).toBe(false);
  });
  test('a bucket that fails is an error that can be tried again', async () => {
    await putBlock(world.bucket, output(9, [0, 1]));
    const metrics = createMetrics();
    const view = await world.view();
    const broken = { ...world.bucket, upload: () => Promise.reject(new Error('read-only')) };
    await expect(markDuplicates(world.careDeps(broken, metrics), view, world.signal)).rejects.toMatchObject({
      code: 'ERR_MARK_BLOCK', kind: 'retry', blocks: [blockId(0)], message: `mark outdated block ${blockId(0)} for deletion: read-only`,
    });
    expect(createCompactorMetrics(metrics).garbageCollectionFailures.value()).toBe(1);
  });
});
