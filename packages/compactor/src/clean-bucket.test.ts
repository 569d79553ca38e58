/** What is deleted, and above all what is not. */
import { createMetrics } from '@gauntlet/service-kit';
import { beforeEach, describe, expect, test } from '@jest/globals';

import { PARTIAL_UPLOAD_THRESHOLD_MS, deleteMarkedBlocks, deletePartialUploads } from './clean-bucket.ts';
import { createCompactorMetrics } from './compactor-metrics.ts';
import { BucketWorld, HOUR_MS, blockId, blockMeta, putBlock, putParts } from './testing/bucket-world.ts';

const DELAY_MS = 48 * HOUR_MS;
let world: BucketWorld;
beforeEach(() => { world = new BucketWorld(); });
const left = (): number[] => world.directories().map((id) => Number(id.slice(-4)));
const clean = async (view = world.view()): Promise<readonly string[]> => deleteMarkedBlocks(world.careDeps(), await view, { deleteDelayMs: DELAY_MS }, world.signal);
const cleanPartial = async (view = world.view()): Promise<readonly string[]> => deletePartialUploads(world.careDeps(), await view, {}, world.signal);

describe('marked blocks', () => {
  beforeEach(async () => { for (const n of [1, 2, 3]) await putBlock(world.bucket, blockMeta(n)); });

  test('go when their mark is older than the delay, and only then', async () => {
    await world.mark(blockId(1));
    world.nowMs += DELAY_MS;
    expect(await clean()).toEqual([]);
    await world.mark(blockId(2));
    world.nowMs += 1;
    const metrics = createMetrics();
    expect(await deleteMarkedBlocks(world.careDeps(world.bucket, metrics), await world.view(), { deleteDelayMs: DELAY_MS }, world.signal)).toEqual([blockId(1)]);
    expect([left(), createCompactorMetrics(metrics).blocksCleaned.value()]).toEqual([[2, 3], 1]);
  });
  test('a mark that was removed since the look at the bucket saves the block', async () => {
    await world.mark(blockId(1));
    world.nowMs += DELAY_MS + 1;
    const view = world.view();
    await view;
    await world.bucket.delete(`${blockId(1)}/deletion-mark.json`);
    expect([await clean(view), left()]).toEqual([[], [1, 2, 3]]);
  });
  test('a mark that was renewed since then counts from its new time', async () => {
    await world.mark(blockId(1));
    world.nowMs += DELAY_MS + 1;
    const view = world.view();
    await view;
    await world.bucket.delete(`${blockId(1)}/deletion-mark.json`);
    await world.mark(blockId(1));
    expect([await clean(view), left()]).toEqual([[], [1, 2, 3]]);
  });
  test.each([
    ['is cut off', '{"id":"01M7', 'its deletion mark cannot be read'],
    ['names another block', JSON.stringify({ id: blockId(2), version: 1, deletion_time: 1 }), 'its deletion mark names another block'],
  ])('a mark that %s deletes nothing', async (_name, text, why) => {
    await world.mark(blockId(1));
    world.nowMs += DELAY_MS + 1;
    const view = world.view();
    await view;
    await world.bucket.upload(`${blockId(1)}/deletion-mark.json`, Buffer.from(text));
    expect([await clean(view), left()]).toEqual([[], [1, 2, 3]]);
    expect(world.warnings.at(-1)).toBe(`block stays: ${why} (${blockId(1)})`);
  });
  test('with a delay of nothing they go at the next look', async () => {
    await world.mark(blockId(1));
    world.nowMs += 1;
    expect(await deleteMarkedBlocks(world.careDeps(), await world.view({ deleteDelayMs: 0 }), { deleteDelayMs: 0 }, world.signal)).toEqual([blockId(1)]);
  });
  test('one that cannot be deleted does not keep the others', async () => {
    for (const n of [1, 2, 3]) await world.mark(blockId(n));
    world.nowMs += DELAY_MS + 1;
    const metrics = createMetrics();
    const broken = { ...world.bucket, delete: (key: string) => (key.startsWith(blockId(2)) ? Promise.reject(new Error('denied')) : world.bucket.delete(key)) };
    await expect(deleteMarkedBlocks(world.careDeps(broken, metrics), await world.view(), { deleteDelayMs: DELAY_MS, concurrency: 1 }, world.signal)).rejects.toMatchObject({
      code: 'ERR_DELETE_BLOCK', kind: 'retry', blocks: [blockId(2)], message: `delete block ${blockId(2)}: denied`,
    });
    const own = createCompactorMetrics(metrics);
    expect([left(), own.blocksCleaned.value(), own.blockCleanupFailures.value()]).toEqual([[2], 2, 1]);
    expect([await clean(), left()]).toEqual([[blockId(2)], []]);
  });
  test('blocks of another compactor are not touched', async () => {
    await putBlock(world.bucket, blockMeta(4, {}, { labels: ['cluster', 'us'] }));
    for (const n of [1, 4]) await world.mark(blockId(n));
    world.nowMs += DELAY_MS + 1;
    expect(await clean(world.view({ maxTime: { at: () => 3 * HOUR_MS } }))).toEqual([blockId(1)]);
    expect(left()).toEqual([2, 3, 4]);
  });
  test('an abort ends it', async () => {
    await world.mark(blockId(1));
    world.nowMs += DELAY_MS + 1;
    const abort = new AbortController();
    abort.abort(new Error('stop'));
    await expect(deleteMarkedBlocks(world.careDeps(), await world.view(), { deleteDelayMs: DELAY_MS }, abort.signal)).rejects.toThrow('stop');
    expect(left()).toEqual([1, 2, 3]);
  });
});

describe('rests of a deletion', () => {
  beforeEach(async () => {
    await putBlock(world.bucket, blockMeta(1));
    await world.mark(blockId(1));
    world.nowMs += DELAY_MS + 1000;
  });
  test('are deleted by the next run, without waiting for the threshold of uploads', async () => {
    await world.bucket.delete(`${blockId(1)}/meta.json`);
    await world.bucket.delete(`${blockId(1)}/chunks/000001`);
    expect([await cleanPartial(), await clean(), left()]).toEqual([[], [blockId(1)], []]);
  });
  test('are left alone if somebody uploads the block again', async () => {
    await world.bucket.delete(`${blockId(1)}/meta.json`);
    await putParts(world.bucket, blockId(1));
    const view = world.view();
    await view;
    expect([await clean(view), await cleanPartial(view), left()]).toEqual([[], [], [1]]);
  });
  test('are a whole block again if meta.json came back since the look at the bucket', async () => {
    await world.bucket.delete(`${blockId(1)}/meta.json`);
    const view = world.view();
    await view;
    await putBlock(world.bucket, blockMeta(1));
    expect([await clean(view), left()]).toEqual([[], [1]]);
  });
  test('a marked block whose meta.json cannot be read goes too, unless it was repaired since', async () => {
    world.nowMs -= 2000 + DELAY_MS;
    await world.bucket.upload(`${blockId(1)}/meta.json`, Buffer.from('{'));
    world.nowMs += 2000 + DELAY_MS;
    const view = world.view();
    await view;
    const repaired = Buffer.from(await world.bucket.get(`${blockId(1)}/meta.json`));
    world.nowMs -= 2000 + DELAY_MS;
    await putBlock(world.bucket, blockMeta(1));
    world.nowMs += 2000 + DELAY_MS;
    expect([await clean(view), left()]).toEqual([[], [1]]);
    world.nowMs -= 2000 + DELAY_MS;
    await world.bucket.upload(`${blockId(1)}/meta.json`, repaired);
    world.nowMs += 2000 + DELAY_MS;
    expect([await clean(view), left()]).toEqual([[blockId(1)], []]);
  });
});

describe('aborted uploads', () => {
  test('go when their youngest object is older than 48 h, and only then', async () => {
    await putParts(world.bucket, blockId(1));
    world.nowMs += PARTIAL_UPLOAD_THRESHOLD_MS;
    await world.bucket.upload(`${blockId(2)}/chunks/000001`, Buffer.from('c'));
    expect(await cleanPartial()).toEqual([]);
    world.nowMs += 1;
    const metrics = createMetrics();
    expect(await deletePartialUploads(world.careDeps(world.bucket, metrics), await world.view(), {}, world.signal)).toEqual([blockId(1)]);
    const own = createCompactorMetrics(metrics);
    expect([left(), own.blocksCleaned.value(), own.partialDeletionAttempts.value()]).toEqual([[2], 1, 1]);
  });
  test('one object written a moment ago saves them all', async () => {
    await putParts(world.bucket, blockId(1));
    world.nowMs += 10 * PARTIAL_UPLOAD_THRESHOLD_MS;
    const view = world.view();
    await view;
    await world.bucket.upload(`${blockId(1)}/chunks/000002`, Buffer.from('c'));
    expect([await cleanPartial(view), left()]).toEqual([[], [1]]);
  });
  test('one that was finished since the look at the bucket stays', async () => {
    await putParts(world.bucket, blockId(1));
    const view = world.view();
    await view;
    await putBlock(world.bucket, blockMeta(1));
    world.nowMs += 10 * PARTIAL_UPLOAD_THRESHOLD_MS;
    expect([await cleanPartial(view), left()]).toEqual([[], [1]]);
  });
  test('a store whose listings tell no times is asked for each object', async () => {
    await putParts(world.bucket, blockId(1));
    world.nowMs += PARTIAL_UPLOAD_THRESHOLD_MS;
    await world.bucket.upload(`${blockId(1)}/index`, Buffer.from('i'));
    const bucket = {
      ...world.bucket,
      async *iterEntries(dir: string, o?: Parameters<typeof world.bucket.iterEntries>[1]) { for await (const { name } of world.bucket.iterEntries(dir, o)) yield { name }; },
    };
    const run = async (): Promise<readonly string[]> => deletePartialUploads(world.careDeps(bucket), await world.view(), {}, world.signal);
    world.nowMs += 1;
    expect(await run()).toEqual([]);
    world.nowMs += PARTIAL_UPLOAD_THRESHOLD_MS;
    expect(await run()).toEqual([blockId(1)]);
  });
  test('a directory that was marked is left to the deletion of marked blocks, unless written to later', async () => {
    await putParts(world.bucket, blockId(1));
    await world.mark(blockId(1));
    await putParts(world.bucket, blockId(2));
    await world.mark(blockId(2));
    world.nowMs += 1000;
    await world.bucket.upload(`${blockId(2)}/chunks/000002`, Buffer.from('c'));
    world.nowMs += 2 * PARTIAL_UPLOAD_THRESHOLD_MS;
    expect([await cleanPartial(), left()]).toEqual([[blockId(2)], [1]]);
    expect([await clean(), left()]).toEqual([[blockId(1)], []]);
  });
  test('a block with an unreadable meta.json is never deleted unless marked', async () => {
    await putParts(world.bucket, blockId(1));
    await world.bucket.upload(`${blockId(1)}/meta.json`, Buffer.from('{"ulid":'));
    world.nowMs += 100 * PARTIAL_UPLOAD_THRESHOLD_MS;
    const metrics = createMetrics();
    expect(await deletePartialUploads(world.careDeps(world.bucket, metrics), await world.view(), {}, world.signal)).toEqual([]);
    expect([left(), createCompactorMetrics(metrics).corruptBlocks.value()]).toEqual([[1], 1]);
    expect(world.warnings.at(-1)).toContain('unreadable meta.json stays');
    await world.mark(blockId(1));
    world.nowMs += DELAY_MS + 1;
    expect([await clean(), left()]).toEqual([[blockId(1)], []]);
  });
});
