/** Deletion by selector: in head, late samples and blocks, at once and for good. */
import { describe, expect, test } from '@jest/globals';
import { createKernels } from '@gauntlet/kernels';
import { createMatcher, type Matcher } from '@gauntlet/model';
import { parseTombstones } from '../block/tombstones.ts';
import { createDb, type Db, type DbOptions } from '../db.ts';
import { GrowableBytes } from '@gauntlet/bytes';
import { decodeTombstonesRecord, putTombstone, RECORD } from '../wal/record.ts';
import { createWalWriter } from '../wal/wal-writer.ts';
import { listSegments } from '../wal/wal-reader.ts';
import { createMemoryFileSystem, type MemoryFileSystem } from '../testing/memory-file-system.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const kernels = createKernels();

function open(fs: MemoryFileSystem, options: DbOptions = {}, held: ReadonlySet<number> = new Set()): Db {
  return createDb({ fs, dir: 'data', kernels, clock: Date, random: Math.random, hooks: { canDeleteBlock: ({ minTime }) => !held.has(minTime) } }, options);
}

function put(db: Db, name: string, times: readonly number[]): void {
  const appender = db.appender();
  for (const time of times) appender.append(0, ['__name__', name], time, time);
  appender.commit();
}

const is = (name: string): Matcher[] => [createMatcher('=', '__name__', name)];

async function times(db: Db, name: string): Promise<number[]> {
  const all: number[] = [];
  for await (const batch of db.queryable.select({ matchers: is(name), mint: -1e15, maxt: 1e15 })) all.push(...batch.timestampsMs);
  return all;
}

/** Every ten minutes in [from, to) hours. */
const every = (from: number, to: number): number[] => Array.from({ length: Math.ceil((to - from) * 6) }, (_, i) => from * HOUR + i * 10 * MINUTE);

test('story: gone from head and blocks at once, after a kill, after a cut, and from the disk when cleaned', async () => {
  const fs = createMemoryFileSystem();
  let db = open(fs);
  const all = every(0, 9);
  for (const time of all) for (const name of ['a', 'b']) put(db, name, [time]);
  db.compactHead();
  expect(db.stats()).toMatchObject({ blocks: 3, headMinTimeMs: 6 * HOUR });

  // Half of the last block, and the first half hour of the head.
  const gone = (time: number): boolean => time >= 5 * HOUR && time <= 6 * HOUR + 30 * MINUTE;
  expect(db.delete(is('a'), 5 * HOUR, 6 * HOUR + 30 * MINUTE)).toBe(2);
  expect(await times(db, 'a')).toEqual(all.filter((time) => !gone(time)));
  expect(await times(db, 'b')).toEqual(all);
  expect(db.delete(is('a'), 5 * HOUR, 5 * HOUR + 1)).toBe(0);
  expect(db.delete(is('nothing'), 0, 1e12)).toBe(0);

  const killed = open(fs.afterKill());
  expect(await times(killed, 'a')).toEqual(all.filter((time) => !gone(time)));
  killed.close();

  const held = db.blocks()[2]!;
  expect(held.meta.stats).toMatchObject({ numSamples: 24, numTombstones: 1 });
  expect([...parseTombstones(fs.snapshot().get(`data/${held.meta.ulid}/tombstones`)!, 'x').values()]).toEqual([[5 * HOUR, 5 * HOUR + 50 * MINUTE]]);
  db.compactHead({ force: true });
  const [cleaned] = db.cleanTombstones();
  expect(cleaned).toMatchObject({ minTime: 4 * HOUR, maxTime: 6 * HOUR, compaction: { level: 1, sources: held.meta.compaction.sources, parents: [{ ulid: held.meta.ulid }] } });
  expect(cleaned!.stats).toMatchObject({ numSamples: 18 });
  expect(db.cleanTombstones()).toEqual([]);
  expect(db.stats().blocksDeleted).toMatchObject({ replaced: 1 });
  expect(await times(db, 'a')).toEqual(all.filter((time) => !gone(time)));
  db.close();
  db = open(fs);
  expect(db.blocks().map(({ meta }) => meta.stats.numSamples)).toEqual([24, 24, 18, 20, 12]);
  expect(await times(db, 'a')).toEqual(all.filter((time) => !gone(time)));
  db.close();
});

test('what comes after a deletion is there, whatever range was asked for', async () => {
  const db = open(createMemoryFileSystem());
  put(db, 'a', [1000]);
  db.delete(is('a'), 0, 1e15);
  expect(await times(db, 'a')).toEqual([]);
  put(db, 'a', [2000]);
  put(db, 'new', [2000]);
  expect(await times(db, 'a')).toEqual([2000]);
  expect(await times(db, 'new')).toEqual([2000]);
  db.close();
});

test('samples out of order are deleted too, also before all others, and stay so when the log is shortened', async () => {
  const fs = createMemoryFileSystem();
  let db = open(fs, { outOfOrderWindowMs: 10 * HOUR, walSegmentBytes: 32768 });
  put(db, 'a', [10 * HOUR]);
  put(db, 'a', [2 * HOUR, 3 * HOUR, 5 * HOUR]);
  expect(db.delete(is('a'), 0, 3 * HOUR)).toBe(1);
  expect(await times(db, 'a')).toEqual([5 * HOUR, 10 * HOUR]);
  db.close();
  db = open(fs, { outOfOrderWindowMs: 10 * HOUR });
  expect(await times(db, 'a')).toEqual([5 * HOUR, 10 * HOUR]);
  for (const time of every(10.5, 15)) put(db, 'a', [time]);
  expect(db.compactHead().length).toBeGreaterThan(0);
  expect((await times(db, 'a')).slice(0, 2)).toEqual([5 * HOUR, 10 * HOUR]);
  db.close();
});

test('a late sample from before the newest block stays deleted after a restart', async () => {
  const fs = createMemoryFileSystem();
  let db = open(fs, { outOfOrderWindowMs: HOUR });
  put(db, 'a', [10 * HOUR]);
  db.compactHead({ force: true });
  put(db, 'late', [10 * HOUR]);
  db.delete(is('late'), 0, 1e15);
  db.close();
  db = open(fs, { outOfOrderWindowMs: HOUR });
  expect(await times(db, 'late')).toEqual([]);
  db.close();
});

test('a query that has begun sees what was there then', async () => {
  const fs = createMemoryFileSystem();
  const db = open(fs);
  const names = Array.from({ length: 300 }, (_, i) => `m${1000 + i}`);
  for (const name of names) put(db, name, [1000]);
  db.compactHead({ force: true });
  const iterator = db.queryable.select({ matchers: [createMatcher('=~', '__name__', 'm.+')], mint: 0, maxt: 1e15 })[Symbol.asyncIterator]();
  let samples = (await iterator.next()).value!.values.length;
  db.delete([createMatcher('=~', '__name__', 'm.+')], 0, 1e15);
  db.cleanTombstones();
  for (let step = await iterator.next(); step.done !== true; step = await iterator.next()) samples += step.value.values.length;
  expect(samples).toBe(300);
  expect(await times(db, 'm1000')).toEqual([]);
  db.close();
});

describe('a block in which nothing is left', () => {
  const prepare = (fs: MemoryFileSystem): Db => {
    const db = open(fs);
    for (const time of every(0, 4)) put(db, 'a', [time]);
    db.compactHead({ force: true });
    db.delete(is('a'), 0, 1e15);
    return db;
  };

  test('goes, but for the newest: without that the log would bring its samples back', async () => {
    const fs = createMemoryFileSystem();
    let db = prepare(fs);
    db.cleanTombstones();
    expect(db.blocks().map(({ meta }) => meta.minTime / HOUR)).toEqual([2]);
    expect(db.cleanTombstones()).toEqual([]);
    expect(db.compactBlocks()).toEqual([]);
    db.close();
    db = open(fs);
    expect(await times(db, 'a')).toEqual([]);
    db.close();
  });

  test('stays as long as it is held back', () => {
    const fs = createMemoryFileSystem();
    prepare(fs).close();
    const db = open(fs, {}, new Set([0]));
    db.cleanTombstones();
    expect(db.blocks().map(({ meta }) => meta.minTime / HOUR)).toEqual([0, 2]);
    db.close();
  });
});

test('when the log cannot be written nothing is deleted', async () => {
  const fs = createMemoryFileSystem();
  const db = open(fs);
  put(db, 'a', [1000]);
  fs.failAt(fs.operations(), 'ENOSPC');
  expect(() => db.delete(is('a'), 0, 1e15)).toThrow(/ENOSPC/);
  expect(await times(db, 'a')).toEqual([1000]);
  db.close();
});

describe('records of the log', () => {
  test('bounds of 64 bits come back as infinite', () => {
    const ranges: [number, number, number][] = [
      [1, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY],
      [2 ** 40, -(2 ** 52), 2 ** 52],
      [3, -1, Number.POSITIVE_INFINITY],
    ];
    const record = new GrowableBytes();
    record.putU8(RECORD.tombstones);
    for (const range of ranges) putTombstone(record, ...range);
    const got: [number, number, number][] = [];
    decodeTombstonesRecord(record.bytes(), (...range) => void got.push(range));
    expect(got).toEqual(ranges);
    // As binary.PutVarint(math.MinInt64) and (math.MaxInt64) write them.
    expect([...record.bytes().subarray(9, 29)]).toEqual([...Array<number>(9).fill(255), 1, 254, ...Array<number>(8).fill(255), 1]);
  });

  test('a series that the log says was removed is gone, and its labels may begin anew', async () => {
    const fs = createMemoryFileSystem();
    let db = open(fs);
    put(db, 'a', [1000]);
    put(db, 'b', [1000]);
    db.close();
    const segments = listSegments(fs, 'data/wal');
    const log = createWalWriter(fs, 'data/wal', segments.at(-1)! + 1, { compression: 'none' });
    const record = new GrowableBytes();
    record.putU8(RECORD.tombstones);
    putTombstone(record, 1, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY);
    putTombstone(record, 77, 0, 1);
    log.log([record.bytes()]);
    log.close();
    db = open(fs);
    expect(db.replay).toMatchObject({ series: 1, unknownRefs: 1, repair: undefined });
    expect(await times(db, 'a')).toEqual([]);
    const appender = db.appender();
    // A reference that the log knows is not given out again.
    expect(appender.append(0, ['__name__', 'a'], 500, 1)).toBe(78);
    appender.commit();
    db.close();
    db = open(fs);
    expect(await times(db, 'a')).toEqual([500]);
    expect(await times(db, 'b')).toEqual([1000]);
    db.close();
  });
});
