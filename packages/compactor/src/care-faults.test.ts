/**
 * A round of looking, cleaning, garbage collection, retention and cleaning of uploads is killed, or loses an answer, at every single
 * operation on the bucket. After a restart the end is the same, and at no moment anything was deleted that must not be.
 */
import { createFaultBucket } from '@gauntlet/objstore/testing';
import type { FaultMode } from '@gauntlet/objstore/testing';
import type { Bucket } from '@gauntlet/objstore';
import { expect, test } from '@jest/globals';

import { deleteMarkedBlocks, deletePartialUploads } from './clean-bucket.ts';
import { markDuplicates } from './collect-garbage.ts';
import { applyRetention } from './retention.ts';
import { BucketWorld, HOUR_MS, START_MS, blockId, blockMeta, putBlock, putParts } from './testing/bucket-world.ts';
import { createGuardedBucket } from './testing/deletion-guard.ts';

const DELAY_MS = 48 * HOUR_MS;
const DAY_MS = 24 * HOUR_MS;
const POLICY = { rawMs: 30 * DAY_MS, fiveMinMs: 0, oneHourMs: 0, isDownsamplingOff: false };
const recent = (n: number): { minTime: number; maxTime: number } => ({ minTime: START_MS + n * 2 * HOUR_MS, maxTime: START_MS + (n + 1) * 2 * HOUR_MS });

/** A bucket with one of everything. */
async function build(): Promise<BucketWorld> {
  const world = new BucketWorld();
  // 0, 1: marked long ago. 2: a deletion that was begun. 3: an aborted upload. 4: one under way.
  for (const n of [0, 1, 2]) {
    await putBlock(world.bucket, blockMeta(n, recent(n)));
    await world.mark(blockId(n));
  }
  await world.bucket.delete(`${blockId(2)}/meta.json`);
  await putParts(world.bucket, blockId(3));
  world.nowMs += DELAY_MS + 1000;
  await putParts(world.bucket, blockId(4));
  // 10, 11: in 12, but not marked. 13: marked a moment ago. 14: nothing is wrong with it.
  for (const n of [10, 11, 13, 14]) await putBlock(world.bucket, blockMeta(n, recent(n)));
  await putBlock(world.bucket, blockMeta(12, { ...recent(10), maxTime: recent(11).maxTime, compaction: { level: 2, sources: [blockId(10), blockId(11)] } }));
  await world.mark(blockId(13));
  // 20: past its retention and downsampled (21). 22: past its retention and the last copy.
  await putBlock(world.bucket, blockMeta(20));
  await putBlock(world.bucket, blockMeta(21, { ...blockMeta(20), ulid: blockId(21) }, { resolutionMs: 300_000 }));
  await putBlock(world.bucket, blockMeta(22));
  return world;
}

async function round(world: BucketWorld, bucket: Bucket): Promise<void> {
  const deps = world.careDeps(bucket);
  const view = await world.view({}, bucket);
  await deleteMarkedBlocks(deps, view, { deleteDelayMs: DELAY_MS, concurrency: 2 }, world.signal);
  await markDuplicates(deps, view, world.signal);
  await applyRetention(deps, view, POLICY, world.signal);
  await deletePartialUploads(deps, view, {}, world.signal);
}

test('a round without faults does what it should', async () => {
  const world = await build();
  await round(world, world.bucket);
  const marked = world.directories().filter((id) => world.isMarked(id));
  expect(world.directories()).toEqual([4, 10, 11, 12, 13, 14, 20, 21, 22].map(blockId));
  expect(marked).toEqual([10, 11, 13, 20].map(blockId));
});

test.each<[string, FaultMode, boolean]>([
  ['killed before', 'before', false], ['killed after', 'after', false], ['failing once', 'before', true], ['losing one answer', 'after', true],
])('%s every operation, a restart ends the same', async (_name, mode, isOnce) => {
  const expected = await build();
  await round(expected, expected.bucket);
  await round(expected, expected.bucket);
  let errors = 0;
  for (let n = 1; ; n++) {
    const world = await build();
    const violations: string[] = [];
    const guarded = createGuardedBucket(world.bucket, { clock: world.clock, deleteDelayMs: DELAY_MS, uploadThresholdMs: DELAY_MS }, violations);
    const faulty = createFaultBucket(guarded, n, mode, isOnce);
    const outcome = await round(world, faulty).then(() => undefined, (error: unknown) => error);
    if (!faulty.hasFailed()) break;
    // An object that is not there is no lost answer: the round may end well.
    if (outcome !== undefined) expect(outcome).toMatchObject({ name: 'CompactorError', kind: 'retry' });
    if (outcome !== undefined) errors++;
    await round(world, guarded);
    await round(world, guarded);
    expect(violations).toEqual([]);
    expect({ n, keys: world.bucket.keys() }).toEqual({ n, keys: expected.bucket.keys() });
  }
  expect(errors).toBeGreaterThan(40);
});
