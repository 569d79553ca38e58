/** The life of samples, top to bottom: append, read, restart, cut, read again, delete. */
import { describe, expect, test } from '@jest/globals';
import { createKernels, type Kernels } from '@gauntlet/kernels';
import { createMatcher, type Labels, type Queryable } from '@gauntlet/model';
import { createDb, type Db, type DbOptions } from './db.ts';
import type { FileSystem } from './file-system.ts';
import { createMemoryFileSystem } from './testing/memory-file-system.ts';

const HOUR = 3_600_000;
const kernels: Kernels = createKernels();

function open(fs: FileSystem, options: DbOptions = {}): Db {
  return createDb({ fs, dir: 'data', kernels, clock: { now: () => 1_700_000_000_000 }, random: Math.random }, options);
}

type Row = [labels: string, ...samples: [number, number][]];

async function read(queryable: Queryable, mint = -1e15, maxt = 1e15, name = '.+'): Promise<Row[]> {
  const rows: Row[] = [];
  for await (const batch of queryable.select({ matchers: [createMatcher('=~', '__name__', name)], mint, maxt })) {
    for (const [i, labels] of batch.labels.entries()) {
      const row: Row = [labels.join(' ')];
      for (let s = batch.offsets[i]!; s < batch.offsets[i + 1]!; s++) row.push([batch.timestampsMs[s]!, batch.values[s]!]);
      rows.push(row);
    }
  }
  return rows;
}

const series = (name: string): Labels => ['__name__', name, 'job', 'test'];

test('story: samples through log, head, restart, block, restart', async () => {
  const fs = createMemoryFileSystem();
  let db = open(fs);
  let ref = 0;
  const expected: [number, number][] = [];
  for (let i = 0; i <= 8 * 60; i++) {
    const appender = db.appender();
    ref = appender.append(ref, series('a'), i * 60_000, i);
    appender.commit();
    expected.push([i * 60_000, i]);
  }
  expect(await read(db.queryable)).toEqual([['__name__ a job test', ...expected]]);
  db.close();

  db = open(fs);
  expect(db.replay).toMatchObject({ series: 1, samples: 481, repair: undefined });
  expect(await read(db.queryable)).toEqual([['__name__ a job test', ...expected]]);
  const cut = db.compactHead();
  expect(cut.map(({ minTime, maxTime }) => [minTime / HOUR, maxTime / HOUR])).toEqual([
    [0, 2],
    [2, 4],
    [4, 6],
  ]);
  expect(db.stats()).toMatchObject({ blocks: 3, headMinTimeMs: 6 * HOUR });
  expect(await read(db.queryable)).toEqual([['__name__ a job test', ...expected]]);
  expect(await read(db.queryable, 90 * 60_000, 150 * 60_000)).toEqual([['__name__ a job test', ...expected.slice(90, 151)]]);
  db.close();

  db = open(fs);
  expect(await read(db.queryable)).toEqual([['__name__ a job test', ...expected]]);
  expect(await db.queryable.labelValues('job', { matchers: [], mint: 0, maxt: 1e15, limit: 0 })).toEqual({ values: ['test'], warnings: [] });
  expect(await db.queryable.labelNames({ matchers: [createMatcher('=', 'job', 'test')], mint: 0, maxt: 1e15, limit: 0 })).toEqual({ values: ['__name__', 'job'], warnings: [] });
  db.close();
});

describe('refused samples', () => {
  const cases = [
    { name: 'before the last one', time: 10 * HOUR - 1, value: 1, code: 'ERR_SAMPLE_OUT_OF_ORDER' },
    { name: 'same time, another value', time: 10 * HOUR, value: 2, code: 'ERR_SAMPLE_DUPLICATE' },
    { name: 'an hour before the newest of all', time: 9 * HOUR - 1, value: 1, code: 'ERR_SAMPLE_OUT_OF_BOUNDS' },
    { name: 'no integer', time: 0.5, value: 1, code: 'ERR_SAMPLE_TIMESTAMP' },
    { name: 'beyond 2^52', time: 2 ** 53, value: 1, code: 'ERR_SAMPLE_TIMESTAMP' },
  ];
  test.each(cases)('$name', ({ time, value, code }) => {
    const db = open(createMemoryFileSystem());
    const first = db.appender();
    const ref = first.append(0, series('a'), 10 * HOUR, 1);
    first.commit();
    expect(() => db.appender().append(ref, [], time, value)).toThrow(expect.objectContaining({ code }));
    const both = db.appender();
    expect(both.append(ref, [], 10 * HOUR, 1)).toBe(ref);
    expect(both.commit()).toEqual({ samples: 0, series: 0, repeated: 1, rejected: 0 });
    db.close();
  });

  const labelCases: { name: string; labels: string[]; text: RegExp }[] = [
    { name: 'none', labels: [], text: /empty label set/ },
    { name: 'twice', labels: ['a', '1', 'a', '2'], text: /label name "a" is not unique/ },
    { name: 'not sorted', labels: ['b', '1', 'a', '2'], text: /label "a" after "b", want byte order/ },
    { name: 'empty value', labels: ['a', ''], text: /label "a" is empty/ },
    { name: 'empty name', labels: ['', 'x'], text: /empty label name/ },
  ];
  test.each(labelCases)('labels: $name', ({ labels, text }) => {
    const db = open(createMemoryFileSystem());
    expect(() => db.appender().append(0, labels, 1, 1)).toThrow(text);
    db.close();
  });
});
