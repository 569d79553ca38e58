/** The compactor's view of a bucket. */
import { parseSelector } from '@gauntlet/block';
import type { ThanosMeta } from '@gauntlet/block';
import { createFaultBucket } from '@gauntlet/objstore/testing';
import { createMetrics, renderMetrics } from '@gauntlet/service-kit';
import { beforeEach, describe, expect, test } from '@jest/globals';

import { groupBlocks } from './group-blocks.ts';
import { planGroup } from './plan-group.ts';
import type { SyncView } from './sync-blocks.ts';
import { BucketWorld, HOUR_MS, blockId, blockMeta, putBlock, putParts } from './testing/bucket-world.ts';

let world: BucketWorld;
beforeEach(() => { world = new BucketWorld(); });
const numbers = (metas: readonly ThanosMeta[]): number[] => metas.map((m) => Number(m.ulid.slice(-4))).sort((a, b) => a - b);
const put = async (...metas: ThanosMeta[]): Promise<void> => { for (const meta of metas) await putBlock(world.bucket, meta); };
const plan = (view: SyncView): number[] | undefined => {
  const found = planGroup(groupBlocks(view.metas)[0]!, { noCompact: view.noCompact, maxIndexBytes: 1e12 });
  return found === undefined ? undefined : numbers(found.metas);
};

describe('what is in the view', () => {
  test('blocks, partial blocks and marks', async () => {
    await put(blockMeta(1), blockMeta(2), blockMeta(3));
    await putParts(world.bucket, blockId(4));
    await world.bucket.upload(`${blockId(5)}/meta.json`, Buffer.from('{"ulid":'));
    await world.mark(blockId(1), 'no-compact');
    await world.mark(blockId(2), 'no-downsample');
    await world.mark(blockId(3));
    const view = await world.view();
    expect(numbers(view.metas)).toEqual([1, 2, 3]);
    expect([...view.partial].map(([id, error]) => [Number(id.slice(-4)), (error as { code: string }).code])).toEqual([[4, 'ERR_META_NOT_FOUND'], [5, 'ERR_META_CORRUPT']]);
    expect([...view.deletionMarks.keys()]).toEqual([blockId(3)]);
    expect([...view.noCompact].sort()).toEqual([blockId(1), blockId(3)]);
    expect([...view.noDownsample].sort()).toEqual([blockId(2), blockId(3)]);
    expect(view.duplicates).toEqual([]);
  });
  test('time, labels and age choose; what a compactor wrote has no age', async () => {
    world.nowMs += HOUR_MS;
    const uploadTime = new Date(world.nowMs).toISOString();
    await put(blockMeta(1), blockMeta(2, {}, { labels: ['cluster', 'us'] }), blockMeta(3, {}, { uploadTime }), blockMeta(4, {}, { uploadTime, source: 'compactor' }), blockMeta(40));
    const view = await world.view({
      consistencyDelayMs: HOUR_MS / 2, maxTime: { at: () => 20 * HOUR_MS },
      relabel: parseSelector('[{action: keep, source_labels: [cluster], regex: eu}]', 'test'),
    });
    expect(numbers(view.metas)).toEqual([1, 4]);
  });
  test('replica labels are taken off, and the selector does not see them', async () => {
    await put(blockMeta(1, {}, { labels: ['cluster', 'eu', 'replica', 'a'] }), blockMeta(2, {}, { labels: ['cluster', 'eu', 'replica', 'b'] }));
    const relabel = parseSelector('[{action: drop, source_labels: [replica], regex: b}]', 'test');
    const view = await world.view({ replicaLabels: ['replica'], relabel });
    expect(view.metas.map((m) => m.thanos.labels)).toEqual([['cluster', 'eu'], ['cluster', 'eu']]);
    expect(groupBlocks(view.metas)).toHaveLength(1);
    expect(numbers((await world.view({ relabel })).metas)).toEqual([1]);
  });
  test('a sync sees what changed since the last one', async () => {
    const sync = world.createSync();
    await put(blockMeta(1), blockMeta(2));
    expect(numbers((await sync.sync(world.signal)).metas)).toEqual([1, 2]);
    await put(blockMeta(3, { compaction: { level: 2, sources: [blockId(1), blockId(2)] } }));
    expect((await sync.sync(world.signal)).duplicates).toHaveLength(2);
    await world.mark(blockId(3));
    const view = await sync.sync(world.signal);
    expect([numbers(view.metas), view.duplicates]).toEqual([[1, 2], []]);
  });
});

describe('blocks marked for deletion', () => {
  const merged = (): ThanosMeta => blockMeta(9, { minTime: 0, maxTime: 8 * HOUR_MS, compaction: { level: 2, sources: [0, 1, 2, 3].map(blockId) } });

  test('sources with an output are gone from the view', async () => {
    await put(blockMeta(0), blockMeta(1), blockMeta(2), blockMeta(3), merged());
    for (const n of [0, 1, 2, 3]) await world.mark(blockId(n));
    const view = await world.view();
    expect([numbers(view.metas), view.duplicates, view.deletionMarks.size]).toEqual([[9], [], 4]);
  });
  test('unmarked sources are the duplicates', async () => {
    await put(blockMeta(0), blockMeta(1), blockMeta(2), blockMeta(3), merged());
    await world.mark(blockId(2));
    const view = await world.view();
    expect([numbers(view.metas), numbers(view.duplicateMetas)]).toEqual([[9], [0, 1, 3]]);
    expect(view.duplicateMetas.map((m) => m.ulid)).toEqual(view.duplicates);
  });
  test('a marked output does not make its sources superfluous: they are there again', async () => {
    await put(blockMeta(0), blockMeta(1), blockMeta(2), blockMeta(3), blockMeta(4), merged());
    await world.mark(blockId(9));
    const view = await world.view();
    expect([numbers(view.metas), view.duplicates]).toEqual([[0, 1, 2, 3, 4], []]);
    expect(plan(view)).toEqual([0, 1, 2, 3]);
  });
  test('of two equal blocks the unmarked one stays', async () => {
    await put(blockMeta(1), blockMeta(2, { minTime: blockMeta(1).minTime, maxTime: blockMeta(1).maxTime, compaction: { level: 1, sources: [blockId(1)] } }));
    expect((await world.view()).duplicates).toEqual([blockId(2)]);
    await world.mark(blockId(1));
    const view = await world.view();
    expect([numbers(view.metas), view.duplicates]).toEqual([[2], []]);
  });
  test('one without replacement is not compacted, and nothing is compacted over its place until half the delay has passed', async () => {
    await put(blockMeta(0), blockMeta(1), blockMeta(2), blockMeta(3), blockMeta(4));
    await world.mark(blockId(1));
    const fresh = await world.view();
    expect([numbers(fresh.metas), plan(fresh)]).toEqual([[0, 1, 2, 3, 4], [2, 3]]);
    world.nowMs += 24 * HOUR_MS + 1000;
    const later = await world.view();
    expect([numbers(later.metas), plan(later), later.deletionMarks.size]).toEqual([[0, 2, 3, 4], [0, 2, 3], 1]);
  });
});

describe('a bucket that cannot be seen whole', () => {
  const failing = { code: 'ERR_SYNC', kind: 'retry' };
  test('a failed listing, meta or mark ends the sync, to be tried again', async () => {
    await put(blockMeta(1), blockMeta(2));
    await world.mark(blockId(1));
    const counting = createFaultBucket(world.bucket, Infinity, 'before');
    await world.view({}, counting);
    expect(counting.operations()).toBeGreaterThan(6);
    for (let n = 1; n <= counting.operations(); n++) {
      await expect(world.view({}, createFaultBucket(world.bucket, n, 'before', true))).rejects.toMatchObject(failing);
    }
  });
  test('a meta of an unknown version too: what it covers is not known', async () => {
    await put(blockMeta(1));
    await world.bucket.upload(`${blockId(2)}/meta.json`, Buffer.from('{"version":3}'));
    await expect(world.view()).rejects.toThrow(/1 meta\.json could not be read, first: .*unexpected meta file version 3/);
  });
  test('an abort is an abort', async () => {
    const abort = new AbortController();
    abort.abort(new Error('stop'));
    await expect(world.createSync().sync(abort.signal)).rejects.toThrow('stop');
  });
});

test('states of blocks are counted', async () => {
  const metrics = createMetrics();
  await put(blockMeta(0), blockMeta(1), blockMeta(2), blockMeta(9, { minTime: 0, compaction: { level: 2, sources: [blockId(0), blockId(1)] } }));
  await world.mark(blockId(1));
  await world.mark(blockId(2), 'no-compact');
  await world.createSync({}, world.bucket, metrics).sync(world.signal);
  const body = String((await renderMetrics(metrics.registry, undefined)).body);
  for (const [state, count] of [['loaded', 2], ['duplicate', 1], ['marked-for-deletion', 1], ['marked-for-no-compact', 1]]) expect(body).toContain(`thanos_blocks_meta_synced{state="${state}"} ${count}\n`);
});
