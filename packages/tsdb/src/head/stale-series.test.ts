/** Series that have ended leave the head early; and how many there may be. */
import { describe, expect, test } from '@jest/globals';
import { createKernels } from '@gauntlet/kernels';
import { createHistogram, createMatcher, STALE_HISTOGRAM, STALE_NAN_HI, STALE_NAN_LO } from '@gauntlet/model';
import { createDb, type Db, type DbOptions } from '../db.ts';
import { createMemoryFileSystem, type MemoryFileSystem } from '../testing/memory-file-system.ts';
import { REFUSED } from './head-append.ts';

const HOUR = 3_600_000;
const kernels = createKernels();

function open(fs: MemoryFileSystem, options: DbOptions = {}): Db {
  return createDb({ fs, dir: 'data', kernels, clock: Date, random: Math.random }, options);
}

function put(db: Db, name: string, ...times: number[]): void {
  const appender = db.appender();
  for (const time of times) appender.append(0, ['__name__', name], time, time);
  appender.commit();
}

function end(db: Db, name: string, time: number): void {
  const appender = db.appender();
  appender.appendBits(0, ['__name__', name], time, STALE_NAN_HI, STALE_NAN_LO);
  appender.commit();
}

async function times(db: Db, name: string): Promise<number[]> {
  const all: number[] = [];
  for await (const batch of db.queryable.select({ matchers: [createMatcher('=', '__name__', name)], mint: -1e15, maxt: 1e15 })) all.push(...batch.timestampsMs);
  return all;
}

const hours = (...all: number[]): number[] => all.map((hour) => hour * HOUR);

test('story: ended series go into blocks of their own and out of memory; a restart, and their return, find everything', async () => {
  const fs = createMemoryFileSystem();
  let db = open(fs);
  put(db, 'lives', ...hours(1));
  put(db, 'gone', ...hours(1));
  put(db, 'lives', ...hours(2.5));
  end(db, 'gone', 2.5 * HOUR);
  expect(db.stats()).toMatchObject({ headSeries: 2, headStaleSeries: 1 });
  const cut = db.compactStaleSeries();
  expect(cut.map(({ minTime, maxTime, compaction }) => [minTime / HOUR, maxTime / HOUR, compaction.hints])).toEqual([
    [1, 2, ['from-stale-series']],
    [2, 4, ['from-stale-series']],
  ]);
  expect(db.stats()).toMatchObject({ headSeries: 1, headStaleSeries: 0, headMinTimeMs: HOUR });
  expect(await times(db, 'gone')).toEqual(hours(1, 2.5));
  expect(db.compactStaleSeries()).toEqual([]);

  // It comes back under a new reference.
  put(db, 'gone', ...hours(3));
  expect(await times(db, 'gone')).toEqual(hours(1, 2.5, 3));
  db.close();
  db = open(fs);
  expect(db.replay).toMatchObject({ series: 2, repair: undefined });
  expect(await times(db, 'gone')).toEqual(hours(1, 2.5, 3));
  expect(await times(db, 'lives')).toEqual(hours(1, 2.5));
  // Blocks of the other series do not collide with those.
  put(db, 'lives', ...hours(3.2, 3.9, 4.5, 5.1));
  db.compactHead();
  expect(await times(db, 'gone')).toEqual(hours(1, 2.5, 3));
  expect(await times(db, 'lives')).toEqual(hours(1, 2.5, 3.2, 3.9, 4.5, 5.1));
  db.close();
  db = open(fs);
  expect(await times(db, 'gone')).toEqual(hours(1, 2.5, 3));
  db.close();
});

test('the end of a histogram series counts; late samples keep a series', () => {
  const db = open(createMemoryFileSystem(), { outOfOrderWindowMs: HOUR });
  const appender = db.appender();
  const ref = appender.appendHistogram(0, ['__name__', 'h'], 1000, createHistogram({ count: 1, sum: 1 }));
  appender.appendHistogram(ref, [], 2000, STALE_HISTOGRAM);
  appender.commit();
  put(db, 'late', 2000);
  put(db, 'late', 1000);
  end(db, 'late', 3000);
  expect(db.stats().headStaleSeries).toBe(2);
  expect(db.compactStaleSeries().map(({ stats }) => stats.numSeries)).toEqual([1]);
  expect(db.stats()).toMatchObject({ headSeries: 1, headStaleSeries: 1 });
  db.close();
});

test('a cut takes them along from a certain part on', () => {
  const db = open(createMemoryFileSystem(), { staleSeriesPart: 0.5 });
  for (const name of ['a', 'b', 'c', 'd']) put(db, name, HOUR);
  end(db, 'a', 1.5 * HOUR);
  expect(db.compactHead()).toEqual([]);
  end(db, 'b', 1.5 * HOUR);
  expect(db.compactHead()).toHaveLength(1);
  expect(db.stats().headSeries).toBe(2);
  db.close();
});

describe('while somebody reads the head', () => {
  const reading = async (db: Db): Promise<AsyncIterator<{ readonly values: Float64Array }>> => {
    const iterator = db.queryable.select({ matchers: [createMatcher('=~', '__name__', 'm.+')], mint: 0, maxt: 1e15 })[Symbol.asyncIterator]();
    await iterator.next();
    return iterator;
  };
  const prepare = (): Db => {
    const db = open(createMemoryFileSystem());
    for (let i = 0; i < 300; i++) {
      put(db, `m${1000 + i}`, HOUR);
      end(db, `m${1000 + i}`, 1.5 * HOUR);
    }
    return db;
  };

  test('they stay for that, and are not written again', async () => {
    const db = prepare();
    const iterator = await reading(db);
    expect(db.compactStaleSeries()).toHaveLength(1);
    expect(db.stats().headSeries).toBe(300);
    expect(db.compactStaleSeries()).toEqual([]);
    let samples = 128 * 2;
    for (let step = await iterator.next(); step.done !== true; step = await iterator.next()) samples += step.value.values.length;
    expect(samples).toBe(600);
    db.compactHead();
    expect(db.stats().headSeries).toBe(0);
    expect(await times(db, 'm1007')).toEqual(hours(1, 1.5));
    db.close();
  });

  test('one that gets a sample meanwhile stays after that too', async () => {
    const db = prepare();
    const iterator = await reading(db);
    db.compactStaleSeries();
    put(db, 'm1007', 1.6 * HOUR);
    await iterator.return!();
    db.compactHead();
    expect(db.stats().headSeries).toBe(1);
    expect(await times(db, 'm1007')).toEqual(hours(1, 1.5, 1.6));
    db.close();
  });
});

test('a log that cannot be written keeps them', async () => {
  const fs = createMemoryFileSystem();
  const db = open(fs);
  put(db, 'a', HOUR);
  end(db, 'a', 1.5 * HOUR);
  fs.fullFrom(fs.operations());
  expect(() => db.compactStaleSeries()).toThrow(/ENOSPC/);
  fs.makeRoom();
  expect(db.stats().headSeries).toBe(1);
  expect(await times(db, 'a')).toEqual(hours(1, 1.5));
  expect(db.compactStaleSeries()).toHaveLength(1);
  expect(db.stats().headSeries).toBe(0);
  db.close();
});

test('series beyond the limit are refused, samples of those that are there are not', () => {
  const db = open(createMemoryFileSystem(), { seriesMax: 2 });
  put(db, 'a', 1000);
  put(db, 'b', 1000);
  const appender = db.appender();
  expect(appender.tryAppend(0, ['__name__', 'c'], 2000, 1)).toBe(REFUSED.seriesLimit);
  expect(() => appender.append(0, ['__name__', 'c'], 2000, 1)).toThrow(expect.objectContaining({ code: 'ERR_SERIES_LIMIT', message: 'append to series ["__name__","c"]: the head has 2 series, at most 2' }));
  expect(() => appender.appendHistogram(0, ['__name__', 'c'], 2000, createHistogram({ count: 1, sum: 1 }))).toThrow(expect.objectContaining({ code: 'ERR_SERIES_LIMIT' }));
  expect(appender.append(0, ['__name__', 'b'], 2000, 1)).toBeGreaterThan(0);
  expect(appender.commit()).toMatchObject({ samples: 1, series: 0 });
  expect(db.stats().headSeries).toBe(2);
  db.close();
});
