/**
 * Kills and company: whatever operation on the bucket a run dies at, and whoever else works on the bucket, the bucket ends as it would
 * have after one undisturbed run, no block is there twice, and at every moment a reader finds every sample.
 *
 * The run: an overlap is merged, what comes of it is compacted with its neighbour, and, the delete delay being 0, all inputs are deleted.
 */
import { formatThanosMeta } from '@gauntlet/block';
import { type Bucket, createMemoryBucket, type MemoryBucket } from '@gauntlet/objstore';
import { createFaultBucket, type FaultMode } from '@gauntlet/objstore/testing';
import { afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { Compactor } from './compactor.ts';
import { createTestCompactor, createTestDir, putRecorded, readSamples, removeTestDirs, REPLICA_A, seeBlocks } from './testing/compactor-kit.ts';

const COPY = '01ARZ3NDEKTSV4RRFFQ69G5FAV';
const FLAGS = ['--delete-delay=0s', '--downsampling.disable', '--block-discovery-strategy=recursive'];
/** Of the operations that only read, which leave the bucket as it was, one in so many; GAUNTLET_KILL_ALL=1 takes each. */
const READ_STRIDE = process.env['GAUNTLET_KILL_ALL'] === '1' ? 1 : 5;
const signal = new AbortController().signal;

afterEach(removeTestDirs);

async function fill(clock: () => number): Promise<MemoryBucket> {
  const bucket = createMemoryBucket({ clock });
  for (const i of [1, 2, 4, 5]) await putRecorded(bucket, REPLICA_A[i]!);
  await putRecorded(bucket, REPLICA_A[1]!, COPY);
  return bucket;
}

/** Time that passes with every look at it: no mark is due in the millisecond it was set. */
function createClock(): () => number {
  let nowMs = Date.UTC(2027, 0, 1);
  return () => (nowMs += 7);
}

/** Everything there is, apart from when it was uploaded. */
async function stateOf(bucket: MemoryBucket): Promise<unknown> {
  const blocks = [...(await seeBlocks(bucket))].map(([id, { meta, marks }]) => [id, marks, Buffer.from(formatThanosMeta({ ...meta, thanos: { ...meta.thanos, uploadTime: '' } })).toString()]);
  return { blocks, keys: bucket.keys().filter((key) => !key.startsWith('gauntlet-')) };
}

/** Runs until nothing changes any more: what one run marks the next one deletes. */
async function settle(compactor: Compactor, bucket: MemoryBucket): Promise<void> {
  for (let round = 0; ; round++) {
    const before = bucket.keys().join();
    const { errors } = await compactor.iterate(signal);
    if (errors.length === 0 && bucket.keys().join() === before) return;
    if (round === 8) throw new Error('it does not settle', { cause: errors[0] });
  }
}

let wanted: unknown;
let samples: Set<string>;
let operations = 0;
let mutations: readonly number[] = [];

beforeAll(async () => {
  const clock = createClock();
  const bucket = await fill(clock);
  samples = await readSamples(bucket);
  const counting = createFaultBucket(bucket, Infinity, 'before');
  const found: number[] = [];
  // At every single operation of an undisturbed run, all samples are there.
  const note = async (): Promise<void> => {
    found.push(counting.operations());
    expect(await readSamples(bucket)).toEqual(samples);
  };
  const watched: Bucket = {
    ...counting,
    upload: async (...args) => {
      const etag = await counting.upload(...args);
      await note();
      return etag;
    },
    delete: async (...args) => {
      await counting.delete(...args);
      await note();
    },
  };
  const compactor = await createTestCompactor(watched, { flags: FLAGS, clock });
  expect(await compactor.iterate(signal)).toEqual({ compacted: 2, errors: [] });
  operations = counting.operations();
  mutations = found;
  // Marks of the last pass are due with the next run.
  await settle(compactor, bucket);
  wanted = await stateOf(bucket);
  expect((await seeBlocks(bucket)).size).toBe(3);
  removeTestDirs();
});

describe('a run that dies', () => {
  const dies = async (failAt: number, mode: FaultMode, isOnce: boolean): Promise<void> => {
    const clock = createClock();
    const bucket = await fill(clock);
    const dataDir = createTestDir();
    const faulty = createFaultBucket(bucket, failAt, mode, isOnce);
    const first = await createTestCompactor(faulty, { flags: FLAGS, clock, dataDir });
    await first.iterate(signal);
    expect(faulty.hasFailed()).toBe(true);
    const name = `operation ${failAt} ${mode}${isOnce ? ' once' : ''}`;
    expect([name, await readSamples(bucket)]).toEqual([name, samples]);
    // Killed: another process over the same local files. Failed once: the same process goes on.
    await settle(isOnce ? first : await createTestCompactor(bucket, { flags: FLAGS, clock, dataDir }), bucket);
    expect([name, await stateOf(bucket)]).toEqual([name, wanted]);
    removeTestDirs();
  };

  test('after any operation, is made good by the next', async () => {
    expect(operations).toBeGreaterThan(100);
    const isChange = new Set(mutations);
    for (let failAt = 1; failAt <= operations; failAt++) {
      if (isChange.has(failAt) || failAt % READ_STRIDE === 0) await dies(failAt, 'after', false);
    }
  });
  test('before any operation that changes something', async () => {
    expect(mutations.length).toBeGreaterThan(20);
    for (const failAt of mutations) await dies(failAt, 'before', false);
  });
  test('an operation that changes something fails once, or its answer is lost: the process goes on', async () => {
    for (const failAt of mutations) {
      await dies(failAt, 'before', true);
      await dies(failAt, 'after', true);
    }
  });
});

/** A small generator: the order of steps must be the same every time. */
function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** A bucket whose answers come late, by a few turns of the event loop. */
function slow(bucket: Bucket, random: () => number): Bucket {
  const wait = async (): Promise<void> => {
    for (let turns = Math.floor(random() * 6); turns > 0; turns--) await new Promise(setImmediate);
  };
  const late = <A extends readonly unknown[], T>(work: (...args: A) => Promise<T>) => async (...args: A): Promise<T> => {
    await wait();
    const result = await work(...args);
    await wait();
    return result;
  };
  return { ...bucket, get: late(bucket.get), upload: late(bucket.upload), delete: late(bucket.delete), exists: late(bucket.exists), attributes: late(bucket.attributes) };
}

describe('two compactors on one bucket', () => {
  test('end as one does, whatever the order of their steps, and no sample is ever missing', async () => {
    for (let seed = 1; seed <= 12; seed++) {
      const clock = createClock();
      const bucket = await fill(clock);
      const watched: Bucket = {
        ...bucket,
        delete: async (...args) => {
          await bucket.delete(...args);
          expect([seed, await readableSources(bucket)]).toEqual([seed, [COPY, ...[1, 2, 4, 5].map((i) => REPLICA_A[i]!)]]);
        },
      };
      const random = createRandom(seed);
      const pair = await Promise.all([1, 2].map(() => createTestCompactor(slow(watched, random), { flags: FLAGS, clock })));
      await Promise.all(pair.map(async (compactor) => {
        for (let round = 0; round < 3; round++) await compactor.iterate(signal);
      }));
      for (const compactor of pair) await settle(compactor, bucket);
      expect([seed, await readSamples(bucket)]).toEqual([seed, samples]);
      expect([seed, await stateOf(bucket)]).toEqual([seed, wanted]);
      removeTestDirs();
    }
  });
});

/** Sources of blocks that are whole, sorted. */
async function readableSources(bucket: MemoryBucket): Promise<string[]> {
  const keys = new Set(bucket.keys());
  const whole = [...(await seeBlocks(bucket)).values()].filter(({ meta }) => ['index', 'chunks/000001'].every((file) => keys.has(`${meta.ulid}/${file}`)));
  return [...new Set(whole.flatMap(({ meta }) => meta.compaction.sources))].sort();
}
