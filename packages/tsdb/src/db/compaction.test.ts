/** A database compacts its own blocks: by levels, overlapping ones first, here or in another thread, and killed at any moment. */
import { describe, expect, test } from '@jest/globals';
import { createKernels } from '@gauntlet/kernels';
import { createMatcher } from '@gauntlet/model';
import { createDb, type Db, type DbHooks, type DbOptions } from '../db.ts';
import { createMemoryFileSystem, type MemoryFileSystem } from '../testing/memory-file-system.ts';
import { type CompactionOutcome, levelRanges, runCompaction } from './compaction.ts';

const HOUR = 3_600_000;
const kernels = createKernels();

function open(fs: MemoryFileSystem, options: DbOptions = {}, hooks: DbHooks = {}): Db {
  return createDb({ fs, dir: 'data', kernels, clock: Date, random: Math.random, hooks }, options);
}

/** A sample of two series every half hour, [from, to) hours. */
function fill(db: Db, from: number, to: number): void {
  for (let time = from * HOUR; time < to * HOUR; time += HOUR / 2) {
    const appender = db.appender();
    for (const name of ['a', 'b']) appender.append(0, ['__name__', name], time, time);
    appender.commit();
  }
}

async function dump(db: Db): Promise<Record<string, number[]>> {
  const all: Record<string, number[]> = {};
  for await (const batch of db.queryable.select({ matchers: [createMatcher('=~', '__name__', '.+')], mint: -1e15, maxt: 1e15 })) {
    for (const [i, labels] of batch.labels.entries()) all[labels[1]!] = [...batch.timestampsMs.subarray(batch.offsets[i]!, batch.offsets[i + 1]!)];
  }
  return all;
}

const ranges = (db: Db): string[] => db.blocks().map(({ meta }) => `${meta.minTime / HOUR}-${meta.maxTime / HOUR} L${meta.compaction.level}`);

test('levels are three times as long each, up to the limit', () => {
  expect(levelRanges(2, 100)).toEqual([2, 6, 18, 54]);
  expect(levelRanges(2, 2)).toEqual([2]);
  expect(levelRanges(1, 1e9)).toHaveLength(10);
});

test('story: by levels, up to the longest range, the newest block waits; parents are gone, samples are not', async () => {
  const fs = createMemoryFileSystem();
  let db = open(fs, { blockRangeMaxMs: 18 * HOUR });
  fill(db, 0, 24);
  db.compactHead();
  const before = await dump(db);
  expect(db.blocks()).toHaveLength(11);
  const made = db.compactBlocks();
  expect(made.map(({ compaction }) => compaction.parents!.length)).toEqual([3, 3, 3, 3]);
  expect(ranges(db)).toEqual(['0-18 L3', '18-20 L1', '20-22 L1']);
  expect(db.stats().blocksDeleted).toEqual({ time: 0, size: 0, replaced: 12, deletable: 0 });
  expect(db.compactBlocks()).toEqual([]);
  expect(await dump(db)).toEqual(before);
  db.close();
  db = open(fs);
  expect(ranges(db)).toHaveLength(3);
  expect(await dump(db)).toEqual(before);
  db.close();
});

test('blocks of late samples are merged with those they overlap, also where levels end with the shortest', async () => {
  const db = open(createMemoryFileSystem(), { blockRangeMaxMs: 2 * HOUR, outOfOrderWindowMs: 8 * HOUR });
  fill(db, 0, 6);
  const late = db.appender();
  late.append(0, ['__name__', 'a'], HOUR + 1, 7);
  late.commit();
  db.compactHead();
  expect(ranges(db)).toEqual(['0-2 L1', '0-2 L1', '2-4 L1']);
  const before = await dump(db);
  expect(db.compactBlocks()).toHaveLength(1);
  expect(ranges(db)).toEqual(['0-2 L2', '2-4 L1']);
  expect(await dump(db)).toEqual(before);
  expect(before['a']).toContain(HOUR + 1);
  db.close();
});

test('a block of late samples that reaches beyond those in order waits: what the log alone has must not be taken for cut', async () => {
  const fs = createMemoryFileSystem();
  const options: DbOptions = { outOfOrderWindowMs: 8 * HOUR };
  let db = open(fs, options);
  fill(db, 0, 3.5);
  const late = db.appender();
  late.append(0, ['__name__', 'a'], 2.25 * HOUR, 7);
  late.commit();
  db.compactHead({ force: true });
  expect(db.blocks().map(({ meta }) => [meta.minTime, meta.maxTime])).toEqual([
    [0, 2 * HOUR],
    [2 * HOUR, 3 * HOUR + 1],
    [2 * HOUR, 4 * HOUR],
  ]);
  fill(db, 3.5, 4);
  const before = await dump(db);
  expect(db.compactBlocks()).toEqual([]);
  db.close();
  db = open(fs, options);
  expect(await dump(db)).toEqual(before);
  fill(db, 4, 6);
  db.compactHead({ force: true });
  expect(db.compactBlocks()).toHaveLength(1);
  db.close();
});

test('a block that is held back keeps the others waiting', () => {
  const held = new Set([2 * HOUR]);
  const db = open(createMemoryFileSystem(), { blockRangeMaxMs: 6 * HOUR }, { canDeleteBlock: ({ minTime }) => !held.has(minTime) });
  fill(db, 0, 12);
  db.compactHead();
  expect(db.compactBlocks()).toEqual([]);
  expect(db.planCompaction()).toBeUndefined();
  held.clear();
  expect(db.compactBlocks()).toHaveLength(1);
  expect(ranges(db)).toEqual(['0-6 L2', '6-8 L1', '8-10 L1']);
  db.close();
});

test('it waits while the head has a block to cut, and stops when asked, between blocks and within one', () => {
  const db = open(createMemoryFileSystem(), { blockRangeMaxMs: 6 * HOUR });
  fill(db, 0, 12);
  db.compactHead();
  fill(db, 12, 15);
  expect(db.compactBlocks()).toEqual([]);
  db.compactHead();
  expect(db.compactBlocks({ shouldStop: () => true })).toEqual([]);
  let polls = 0;
  expect(() => db.compactBlocks({ shouldStop: () => ++polls > 1 })).toThrow(expect.objectContaining({ code: 'ERR_COMPACT_CANCELED' }));
  expect(db.blocks()).toHaveLength(6);
  expect(db.compactBlocks().length).toBeGreaterThan(0);
  db.close();
});

test.each(['memoryBytesMax', 'diskBytesMax'] as const)('past its %s it ends with nothing left behind and its inputs as they were; with more it goes on', async (budget) => {
  const fs = createMemoryFileSystem();
  const db = open(fs, { blockRangeMaxMs: 6 * HOUR });
  fill(db, 0, 12);
  db.compactHead();
  const before = await dump(db);
  const plan = db.planCompaction()!;
  const outcome = runCompaction({ fs, kernels }, plan, { [budget]: 500 });
  expect(() => db.finishCompaction(plan, outcome)).toThrow(expect.objectContaining({ code: 'ERR_COMPACT_BUDGET', message: expect.stringContaining(budget) }));
  expect(fs.list('data').filter((name) => name.includes('.tmp'))).toEqual([]);
  expect(db.blocks().some(({ meta }) => meta.compaction.failed === true)).toBe(false);
  expect(await dump(db)).toEqual(before);
  const seen: number[] = [];
  expect(db.compactBlocks({ [budget]: 64 << 20, onProgress: ({ seriesDone, seriesTotal }) => seen.push(seriesDone / seriesTotal) }).length).toBeGreaterThan(0);
  expect(seen.at(-1)).toBe(1);
  expect(await dump(db)).toEqual(before);
  db.close();
});

describe('in another thread', () => {
  const prepare = (fs: MemoryFileSystem): Db => {
    const db = open(fs, { blockRangeMaxMs: 6 * HOUR });
    fill(db, 0, 12);
    db.compactHead();
    return db;
  };

  test('the plan is plain data; appends and queries go on; one at a time', async () => {
    const fs = createMemoryFileSystem();
    const db = prepare(fs);
    const plan = structuredClone(db.planCompaction()!);
    expect(db.planCompaction()).toBeUndefined();
    expect(db.cleanTombstones()).toEqual([]);
    const before = await dump(db);
    const outcome = structuredClone(runCompaction({ fs, kernels }, plan));
    expect(await dump(db)).toEqual(before);
    fill(db, 12, 12.5);
    expect(db.finishCompaction(plan, outcome)).toBe(true);
    expect(db.finishCompaction(plan, outcome)).toBe(false);
    expect(ranges(db)).toEqual(['0-6 L2', '6-8 L1', '8-10 L1']);
    expect(fs.list('data').filter((name) => name.includes('.tmp'))).toEqual([]);
    db.close();
  });

  test('what was deleted meanwhile is not brought back: the result is thrown away', async () => {
    const fs = createMemoryFileSystem();
    const db = prepare(fs);
    const plan = db.planCompaction()!;
    const outcome = runCompaction({ fs, kernels }, plan);
    db.delete([createMatcher('=', '__name__', 'a')], 0, 2 * HOUR);
    const before = await dump(db);
    expect(db.finishCompaction(plan, outcome)).toBe(false);
    expect(fs.list('data').filter((name) => name.includes('.tmp'))).toEqual([]);
    expect(await dump(db)).toEqual(before);
    expect(db.compactBlocks()).toHaveLength(1);
    expect(await dump(db)).toEqual(before);
    expect(before['a']![0]).toBe(2.5 * HOUR);
    db.close();
  });

  test.each([
    ['here', (outcome: CompactionOutcome) => outcome],
    ['between threads', (outcome: CompactionOutcome) => structuredClone(outcome)],
  ])('an error %s is reported with its code, and damaged blocks are not tried again', (_name, pass) => {
    const fs = createMemoryFileSystem();
    const db = prepare(fs);
    const { ulid } = db.blocks()[1]!.meta;
    const path = `data/${ulid}/chunks/000001`;
    const bytes = fs.snapshot().get(path)!.slice();
    bytes[20]! ^= 1;
    const plan = db.planCompaction()!;
    fs.seed(path, bytes);
    const outcome = pass(runCompaction({ fs, kernels }, plan));
    expect(() => db.finishCompaction(plan, outcome)).toThrow(expect.objectContaining({ name: 'TsdbError', code: 'ERR_CHUNK_CORRUPT', place: expect.objectContaining({ block: ulid }) }));
    expect(db.blocks().map(({ meta }) => meta.compaction.failed === true)).toEqual([true, true, true, false, false]);
    expect(db.compactBlocks()).toEqual([]);
    db.close();
  });
});

test('killed after any operation, the samples are there once, and nothing is left behind', async () => {
  const prepared = createMemoryFileSystem();
  const first = open(prepared, { blockRangeMaxMs: 6 * HOUR });
  fill(first, 0, 12);
  first.compactHead();
  const want = await dump(first);
  first.close();
  let isDone = false;
  for (let kill = 0; !isDone; kill++) {
    const fs = prepared.afterKill();
    const db = open(fs, { blockRangeMaxMs: 6 * HOUR });
    fs.stopAt(fs.operations() + kill);
    try {
      db.compactBlocks();
      isDone = true;
    } catch {
      // The process dies here.
    }
    const next = fs.afterKill();
    const after = open(next, { blockRangeMaxMs: 6 * HOUR });
    expect(await dump(after)).toEqual(want);
    after.compactBlocks();
    expect(ranges(after)).toEqual(['0-6 L2', '6-8 L1', '8-10 L1']);
    expect(next.list('data').filter((name) => name.includes('.tmp'))).toEqual([]);
    expect(await dump(after)).toEqual(want);
    after.close();
  }
});
