/** Retention, locks, damage, readers that outlive what they read, labels, raw chunks. */
import { describe, expect, test } from '@jest/globals';
import { createKernels } from '@gauntlet/kernels';
import { createMatcher, getLabel, type Labels, type Queryable } from '@gauntlet/model';
import { createDb, type Db, type DbHooks, type DbOptions } from './db.ts';
import { joinPath } from './file-system.ts';
import { createMemoryFileSystem, type MemoryFileSystem } from './testing/memory-file-system.ts';
import { buildBlock } from './testing/block-builder.ts';

const HOUR = 3_600_000;
const kernels = createKernels();

function open(fs: MemoryFileSystem, options: DbOptions = {}, hooks: DbHooks = {}): Db {
  return createDb({ fs, dir: 'data', kernels, clock: Date, random: Math.random, hooks }, options);
}

const labels = (name: string, ...more: string[]): Labels => ['__name__', name, ...more];

/** Appends one sample a minute to each series, [fromMs, toMs). */
function appendMinutes(db: Db, all: readonly Labels[], fromMs: number, toMs: number): void {
  for (let time = fromMs; time < toMs; time += 60_000) {
    const appender = db.appender();
    for (const one of all) appender.append(0, one, time, time / 60_000);
    appender.commit();
  }
}

async function times(queryable: Queryable, name: string, mint = -1e15, maxt = 1e15): Promise<number[]> {
  const all: number[] = [];
  for await (const batch of queryable.select({ matchers: [createMatcher('=', '__name__', name)], mint, maxt })) all.push(...batch.timestampsMs);
  return all;
}

test('a second opener is refused, a later one is not', () => {
  const fs = createMemoryFileSystem();
  const db = open(fs);
  expect(() => open(fs)).toThrow(expect.objectContaining({ code: 'ERR_DB_LOCKED' }));
  db.close();
  db.close();
  open(fs).close();
});

test('a closed database refuses everything by name', async () => {
  const db = open(createMemoryFileSystem());
  const appender = db.appender();
  db.close();
  expect(() => appender.append(0, labels('a'), 0, 1)).toThrow(expect.objectContaining({ code: 'ERR_DB_CLOSED' }));
  expect(() => appender.commit()).toThrow(expect.objectContaining({ code: 'ERR_DB_CLOSED' }));
  expect(() => db.appender()).toThrow(expect.objectContaining({ code: 'ERR_DB_CLOSED' }));
  expect(() => db.compactHead()).toThrow(expect.objectContaining({ code: 'ERR_DB_CLOSED' }));
  await expect(times(db.queryable, 'a')).rejects.toThrow(expect.objectContaining({ code: 'ERR_DB_CLOSED' }));
});

test('an appender is used once', () => {
  const db = open(createMemoryFileSystem());
  const appender = db.appender();
  appender.append(0, labels('a'), 0, 1);
  appender.rollback();
  expect(() => appender.append(0, labels('a'), 0, 1)).toThrow(/committed or rolled back/);
  expect(() => appender.commit()).toThrow(/committed or rolled back/);
  db.close();
});

test('rolled back samples are gone, their series is logged by the next commit', async () => {
  const fs = createMemoryFileSystem();
  let db = open(fs);
  const first = db.appender();
  const ref = first.append(0, labels('a'), 1000, 1);
  first.rollback();
  const second = db.appender();
  second.append(ref, [], 2000, 2);
  expect(second.commit()).toEqual({ samples: 1, series: 1, repeated: 0, rejected: 0 });
  expect(await times(db.queryable, 'a')).toEqual([2000]);
  db.close();
  db = open(fs);
  expect(await times(db.queryable, 'a')).toEqual([2000]);
  db.close();
});

test('two appenders: who commits second loses the timestamp', () => {
  const db = open(createMemoryFileSystem());
  const [a, b] = [db.appender(), db.appender()];
  const ref = a.append(0, labels('a'), 1000, 1);
  b.append(ref, [], 1000, 2);
  expect(a.commit()).toMatchObject({ samples: 1, rejected: 0 });
  expect(b.commit()).toMatchObject({ samples: 0, rejected: 1 });
  db.close();
});

describe('retention', () => {
  test('deletes by age from the newest block, unless a hook holds a block back', async () => {
    const fs = createMemoryFileSystem();
    const held = new Set<number>([2 * HOUR]);
    const deleted: number[] = [];
    const db = open(fs, { retentionMs: 4 * HOUR }, { canDeleteBlock: (meta) => !held.has(meta.minTime), onBlockDeleted: (meta) => deleted.push(meta.minTime) });
    appendMinutes(db, [labels('a')], 0, 14 * HOUR);
    const cut = db.compactHead().map((meta) => meta.minTime / HOUR);
    expect(cut).toEqual([0, 2, 4, 6, 8, 10]);
    expect(db.blocks().map((block) => block.meta.minTime / HOUR)).toEqual([2, 8, 10]);
    expect(deleted).toEqual([0, 4 * HOUR, 6 * HOUR]);
    held.clear();
    db.reloadBlocks();
    expect(db.blocks().map((block) => block.meta.minTime / HOUR)).toEqual([8, 10]);
    expect((await times(db.queryable, 'a'))[0]).toBe(8 * HOUR);
    expect(fs.list('data').filter((name) => name.startsWith('0'))).toHaveLength(2);
    db.close();
  });

  test('a query that began before goes on reading what retention deleted', async () => {
    const fs = createMemoryFileSystem();
    const db = open(fs, { retentionMs: 1 });
    // More series than a batch has, so that the query is half-way when the blocks go.
    const many = Array.from({ length: 300 }, (_, i) => labels('m', 'i', String(1000 + i)));
    appendMinutes(db, many, 0, 100 * 60_000);
    db.compactHead({ force: true });
    const iterator = db.queryable.select({ matchers: [createMatcher('=', '__name__', 'm')], mint: 0, maxt: 1e12 })[Symbol.asyncIterator]();
    let samples = (await iterator.next()).value!.values.length;
    appendMinutes(db, [labels('other')], 10 * HOUR, 10 * HOUR + 60_000);
    db.compactHead({ force: true });
    expect(db.blocks()).toHaveLength(1);
    for (let step = await iterator.next(); step.done !== true; step = await iterator.next()) samples += step.value.values.length;
    expect(samples).toBe(300 * 100);
    db.close();
  });
});

test('a query that began before the cut still finds what the head then dropped', async () => {
  const db = open(createMemoryFileSystem());
  const many = Array.from({ length: 300 }, (_, i) => labels('m', 'i', String(1000 + i)));
  appendMinutes(db, many, 0, 4 * HOUR);
  const before = db.stats().headChunks;
  const iterator = db.queryable.select({ matchers: [createMatcher('=', '__name__', 'm')], mint: 0, maxt: 1e12 })[Symbol.asyncIterator]();
  let samples = (await iterator.next()).value!.values.length;
  db.compactHead();
  expect(db.stats().headChunks).toBe(before);
  for (let step = await iterator.next(); step.done !== true; step = await iterator.next()) samples += step.value.values.length;
  expect(samples).toBe(300 * 240);
  // The reader is gone, the chunks are too.
  expect(db.stats().headChunks).toBeLessThan(before);
  expect(await times(db.queryable, 'm', 0, 60_000)).toHaveLength(600);
  db.close();
});

test('series without samples leave the head, and their slots are used again in the end', async () => {
  const fs = createMemoryFileSystem();
  let db = open(fs);
  for (let round = 0; round < 6; round++) {
    const appender = db.appender();
    for (let i = 0; i < 1500; i++) appender.append(0, labels('churn', 'i', `${round}-${i}`), round * 2 * HOUR, round);
    appender.append(0, labels('steady'), round * 2 * HOUR, round);
    appender.commit();
    db.compactHead();
  }
  expect(db.stats().headSeries).toBeLessThanOrEqual(3 * 1501);
  expect(await times(db.queryable, 'steady')).toEqual([0, 2, 4, 6, 8, 10].map((hour) => hour * HOUR));
  expect(await times(db.queryable, 'churn')).toHaveLength(9000);
  db.close();
  db = open(fs);
  expect(await times(db.queryable, 'steady')).toEqual([0, 2, 4, 6, 8, 10].map((hour) => hour * HOUR));
  expect(await times(db.queryable, 'churn')).toHaveLength(9000);
  db.close();
});

test('series that come after others have left have chunks of their own', async () => {
  const fs = createMemoryFileSystem();
  let db = open(fs);
  const expected = new Map<string, [number, number][]>();
  const append = (time: number, names: readonly string[]): void => {
    const appender = db.appender();
    for (const [i, name] of names.entries()) {
      const value = i * 1000 + time / 60_000;
      appender.append(0, labels('m', 'i', name), time, value);
      if (!expected.has(name)) expected.set(name, []);
      expected.get(name)!.push([time, value]);
    }
    appender.commit();
  };
  const there = async (): Promise<Map<string, [number, number][]>> => {
    const found = new Map<string, [number, number][]>();
    for await (const batch of db.queryable.select({ matchers: [createMatcher('=', '__name__', 'm')], mint: -1e15, maxt: 1e15 })) {
      for (const [i, one] of batch.labels.entries()) {
        found.set(getLabel(one, 'i'), Array.from(batch.timestampsMs.subarray(batch.offsets[i], batch.offsets[i + 1]), (time, at) => [time, batch.values[batch.offsets[i]! + at]!]));
      }
    }
    return found;
  };
  const gone = Array.from({ length: 2500 }, (_, i) => `gone-${i}`);
  const steady = Array.from({ length: 40 }, (_, i) => `steady-${i}`);
  // The steady ones lie among and behind those that go, so that they move when the table is rebuilt.
  append(0, [...gone.slice(0, 10), ...steady, ...gone.slice(10)]);
  for (let time = 60_000; time < 4 * HOUR; time += 60_000) append(time, steady);
  db.compactHead();
  expect(db.stats().headSeries).toBe(40);
  const fresh = Array.from({ length: 60 }, (_, i) => `fresh-${i}`);
  for (let time = 4 * HOUR; time < 7 * HOUR; time += 60_000) append(time, [...fresh, ...steady]);
  expect(await there()).toEqual(new Map([...expected].sort(([a], [b]) => (a < b ? -1 : 1))));
  db.compactHead();
  expect(await there()).toEqual(new Map([...expected].sort(([a], [b]) => (a < b ? -1 : 1))));
  db.close();
  db = open(fs);
  expect(await there()).toEqual(new Map([...expected].sort(([a], [b]) => (a < b ? -1 : 1))));
  db.close();
});

test('a damaged block is left out, and queries that it could have answered say so', async () => {
  const fs = createMemoryFileSystem();
  let db = open(fs);
  appendMinutes(db, [labels('a')], 0, 8 * HOUR);
  db.compactHead();
  const { ulid } = db.blocks()[1]!.meta;
  db.close();
  const path = joinPath('data', ulid, 'index');
  fs.seed(path, fs.snapshot().get(path)!.slice(0, -1));
  db = open(fs);
  expect(db.damagedBlocks()).toMatchObject([{ ulid, meta: { minTime: 2 * HOUR } }]);
  const set = db.queryable.select({ matchers: [createMatcher('=', '__name__', 'a')], mint: 0, maxt: 1e12 });
  let count = 0;
  for await (const batch of set) count += batch.values.length;
  expect(count).toBe(6 * 60);
  expect(set.warnings()).toEqual([expect.stringMatching(`^block ${ulid} is not read: read index of block ${ulid}: section TOC`)]);
  const fine = db.queryable.select({ matchers: [createMatcher('=', '__name__', 'a')], mint: 4 * HOUR, maxt: 1e12 });
  for await (const batch of fine) expect(batch.labels).toHaveLength(1);
  expect(fine.warnings()).toEqual([]);
  db.close();
});

test('forced cuts, also of an empty head, leave room for the next millisecond', async () => {
  const db = open(createMemoryFileSystem());
  for (let time = 0; time < 5; time++) {
    const appender = db.appender();
    appender.append(0, labels('a'), time, time);
    appender.commit();
    expect(db.compactHead({ force: true })).toMatchObject([{ minTime: time, maxTime: time + 1 }]);
    expect(db.compactHead({ force: true })).toEqual([]);
  }
  expect(await times(db.queryable, 'a')).toEqual([0, 1, 2, 3, 4]);
  db.close();
});

test('half-written and half-deleted blocks are swept at the start', () => {
  const fs = createMemoryFileSystem();
  open(fs).close();
  for (const suffix of ['.tmp-for-creation', '.tmp-for-deletion', '.tmp']) fs.seed(`data/01M7YDXPPRGYAC9KJFFSZP7AVG${suffix}/index`, new Uint8Array(1));
  fs.seed('data/unrelated.tmp', new Uint8Array(1));
  open(fs).close();
  expect(fs.list('data').filter((name) => name.includes('tmp'))).toEqual(['unrelated.tmp']);
});

test('damage in the middle of the log is reported with what it cost', async () => {
  const fs = createMemoryFileSystem();
  let db = open(fs, { walCompression: 'none', walSegmentBytes: 32768 });
  for (let i = 0; i < 3000; i++) {
    const appender = db.appender();
    appender.append(0, labels('a'), i * 1000, i);
    appender.commit();
  }
  expect(db.stats().walSegment).toBeGreaterThan(1);
  db.close();
  const path = 'data/wal/00000000';
  const damaged = fs.snapshot().get(path)!.slice();
  damaged[20_000]! ^= 1;
  fs.seed(path, damaged);
  db = open(fs);
  const found = await times(db.queryable, 'a');
  expect(found).toEqual(Array.from({ length: found.length }, (_, i) => i * 1000));
  expect(db.replay.samples).toBe(found.length);
  expect(db.replay.repair).toMatchObject({ segment: 0, isTornTail: false, lostSegments: expect.any(Number), reason: expect.stringMatching(/unexpected checksum/) });
  expect(db.replay.repair!.lostSegments).toBeGreaterThan(0);
  expect(db.replay.repair!.goodBytes).toBeLessThanOrEqual(20_000);
  db.close();
  open(fs).close();
});

test('a missing segment is an error, not a shorter history', () => {
  const fs = createMemoryFileSystem();
  for (let i = 0; i < 3; i++) {
    const db = open(fs);
    const appender = db.appender();
    appender.append(0, labels('a'), i, i);
    appender.commit();
    db.close();
  }
  fs.remove('data/wal/00000001');
  expect(() => open(fs)).toThrow(/segment is missing, next is 00000002/);
});

describe('labels', () => {
  const fs = createMemoryFileSystem();
  buildBlock(fs, 'data', "up{job='a',zone='x'} 1x10\nup{job='b'} 1x10\ndown{job='c',zone='y'} 1x10", { kernels, ulid: '01M7YDXPPRGYAC9KJFFSZP7AVG', maxTime: 2 * HOUR });
  const db = open(fs);
  const appender = db.appender();
  appender.append(0, labels('up', 'job', 'd', 'é', '1'), 3 * HOUR, 1);
  appender.commit();
  const all = { mint: 0, maxt: 1e15, limit: 0 };
  const cases = [
    { name: 'all values', label: 'job', query: { ...all, matchers: [] }, values: ['a', 'b', 'c', 'd'] },
    { name: 'values with a matcher', label: 'job', query: { ...all, matchers: [createMatcher('=', '__name__', 'up')] }, values: ['a', 'b', 'd'] },
    { name: 'values in a range', label: 'job', query: { ...all, mint: 2.5 * HOUR, matchers: [] }, values: ['d'] },
    { name: 'limited', label: 'job', query: { ...all, limit: 2, matchers: [] }, values: ['a', 'b'] },
    { name: 'series without the label', label: 'zone', query: { ...all, matchers: [createMatcher('=', 'zone', '')] }, values: [] },
    { name: 'no such label', label: 'none', query: { ...all, matchers: [] }, values: [] },
  ];
  test.each(cases)('$name', async ({ label, query, values }) => {
    expect(await db.queryable.labelValues(label, query)).toEqual({ values, warnings: [] });
    expect(await db.chunkQueryable.labelValues(label, query)).toEqual({ values, warnings: [] });
  });

  test('names, in byte order', async () => {
    expect((await db.queryable.labelNames({ ...all, matchers: [] })).values).toEqual(['__name__', 'job', 'zone', 'é']);
    expect((await db.queryable.labelNames({ ...all, matchers: [createMatcher('=', 'job', 'b')] })).values).toEqual(['__name__', 'job']);
  });

  test('an aborted signal ends everything', async () => {
    const signal = AbortSignal.abort(new Error('enough'));
    const query = { ...all, matchers: [createMatcher('=', '__name__', 'up')], signal };
    await expect(db.queryable.labelNames(query)).rejects.toThrow('enough');
    await expect(db.queryable.select(query)[Symbol.asyncIterator]().next()).rejects.toThrow('enough');
    await expect(db.chunkQueryable.selectChunks(query)[Symbol.asyncIterator]().next()).rejects.toThrow('enough');
  });
});

test('raw chunks of block and head in order, and labels alone when asked', async () => {
  const db = open(createMemoryFileSystem());
  appendMinutes(db, [labels('a'), labels('b')], 0, 4 * HOUR);
  db.compactHead();
  const request = { matchers: [createMatcher('=~', '__name__', 'a|b')], mint: HOUR, maxt: 1e15 };
  const series = [];
  for await (const batch of db.chunkQueryable.selectChunks(request)) series.push(...batch);
  expect(series.map((one) => one.labels)).toEqual([labels('a'), labels('b')]);
  for (const { chunks } of series) {
    const samples = chunks.map(({ data }) => (data[0]! << 8) | data[1]!);
    expect(samples.reduce((sum, count) => sum + count, 0)).toBeGreaterThanOrEqual(180);
    for (let i = 1; i < chunks.length; i++) expect(chunks[i]!.mint).toBeGreaterThan(chunks[i - 1]!.maxt);
    expect(chunks[0]!.maxt).toBeGreaterThanOrEqual(HOUR);
  }
  const named = [];
  for await (const batch of db.chunkQueryable.selectChunks({ ...request, skipChunks: true })) named.push(...batch);
  expect(named).toEqual([{ labels: labels('a'), chunks: [] }, { labels: labels('b'), chunks: [] }]);
  db.close();
});

test('kernel memory is given back when a query ends, also early', async () => {
  const db = open(createMemoryFileSystem());
  appendMinutes(db, Array.from({ length: 300 }, (_, i) => labels('m', 'i', String(i))), 0, 60_000);
  const before = kernels.memory.usedBytes;
  for await (const batch of db.queryable.select({ matchers: [createMatcher('=', '__name__', 'm')], mint: 0, maxt: 1 })) {
    expect(kernels.memory.usedBytes).toBeGreaterThan(before);
    expect(batch.labels).toHaveLength(128);
    break;
  }
  expect(kernels.memory.usedBytes).toBe(before);
  db.close();
});
