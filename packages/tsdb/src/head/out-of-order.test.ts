/** Samples out of order: which are taken, how they get through log, queries and blocks, and that a kill anywhere loses none. */
import { describe, expect, test } from '@jest/globals';
import { createKernels } from '@gauntlet/kernels';
import { createHistogram, createMatcher, type FloatHistogram, type Labels } from '@gauntlet/model';
import { createDb, type Db, type DbOptions } from '../db.ts';
import { REFUSED } from './head-append.ts';
import { createMemoryFileSystem, type MemoryFileSystem } from '../testing/memory-file-system.ts';
import { dumpAll } from '../testing/recorded-samples.ts';

const HOUR = 3_600_000;
const kernels = createKernels();
const a: Labels = ['__name__', 'a'];

function open(fs: MemoryFileSystem, options: DbOptions = {}): Db {
  return createDb({ fs, dir: 'data', kernels, clock: { now: () => 1_700_000_000_000 }, random: Math.random }, { outOfOrderWindowMs: 3 * HOUR, ...options });
}

function append(db: Db, samples: readonly (readonly [number, number | FloatHistogram])[], labels: Labels = a): void {
  const appender = db.appender();
  for (const [timeMs, value] of samples) {
    if (typeof value === 'number') appender.append(0, labels, timeMs, value);
    else appender.appendHistogram(0, labels, timeMs, value);
  }
  appender.commit();
}

const histogram = (count: number): FloatHistogram => createHistogram({ count, sum: count, positiveSpans: [{ offset: 0, length: 1 }], positiveBuckets: Float64Array.of(count) });

/** Times and sums of a series. */
async function read(db: Db, name = 'a', mint = 0, maxt = 1e15): Promise<[number, number][]> {
  const found: [number, number][] = [];
  for await (const batch of db.queryable.select({ matchers: [createMatcher('=', '__name__', name)], mint, maxt })) {
    for (let s = 0; s < batch.offsets[1]!; s++) {
      const id = batch.histograms?.ids[s] ?? -1;
      found.push([batch.timestampsMs[s]!, id < 0 ? batch.values[s]! : batch.histograms!.get(id).sum]);
    }
  }
  return found;
}

test('an end that comes late is no sample: whoever went on with the series has it', async () => {
  const db = open(createMemoryFileSystem());
  append(db, [[10 * HOUR, 1], [11 * HOUR, 2]]);
  const end = (timeMs: number, labels = a): number => {
    const appender = db.appender();
    const answer = appender.tryAppendStale(0, labels, timeMs);
    appender.commit();
    return answer;
  };
  expect([end(10.5 * HOUR), end(11 * HOUR), end(2 * HOUR)]).toEqual([REFUSED.outOfOrder, REFUSED.duplicate, REFUSED.outOfBounds]);
  expect(await read(db)).toEqual([[10 * HOUR, 1], [11 * HOUR, 2]]);
  const ref = end(12 * HOUR);
  expect([ref > 0, end(12 * HOUR), db.stats().headStaleSeries]).toEqual([true, REFUSED.duplicate, 1]);
  // In the batch that has the sample already, and for a histogram in its kind.
  const appender = db.appender();
  appender.appendHistogram(0, ['__name__', 'h'], 12 * HOUR, histogram(3));
  expect(appender.tryAppendStale(0, ['__name__', 'h'], 11.9 * HOUR)).toBe(REFUSED.outOfOrder);
  appender.commit();
  expect(end(13 * HOUR, ['__name__', 'h'])).toBeGreaterThan(0);
  expect(db.stats()).toMatchObject({ headStaleSeries: 2, headOutOfOrderSeries: 0 });
  db.close();
});

describe('what is taken, an hour after ten, window three hours', () => {
  const cases = [
    { name: 'before the last one of the series', time: 10 * HOUR - 1, answer: 'taken' },
    { name: 'where the window begins', time: 8 * HOUR, answer: 'taken' },
    { name: 'before the window', time: 8 * HOUR - 1, answer: 'ERR_SAMPLE_TOO_OLD' },
    { name: 'at the last one, another value', time: 10 * HOUR, answer: 'ERR_SAMPLE_DUPLICATE' },
    { name: 'before the last one, without a window', time: 10 * HOUR - 1, options: { outOfOrderWindowMs: 0 }, answer: 'ERR_SAMPLE_OUT_OF_BOUNDS' },
    { name: 'long ago, without a window', time: 8 * HOUR, options: { outOfOrderWindowMs: 0 }, answer: 'ERR_SAMPLE_OUT_OF_BOUNDS' },
  ];
  test.each(cases)('$name: $answer', async ({ time, answer, options }) => {
    const db = open(createMemoryFileSystem(), options);
    append(db, [[10 * HOUR, 1]]);
    append(db, [[11 * HOUR, 1]], ['__name__', 'other']);
    for (const value of [7, histogram(7)]) {
      if (answer === 'taken') append(db, [[time - (value === 7 ? 0 : -1), value]].filter(([at]) => at !== 10 * HOUR) as [number, number][]);
      else expect(() => append(db, [[time, value]])).toThrow(expect.objectContaining({ code: answer }));
    }
    const want: [number, number][] = answer === 'taken' ? [[time, 7], ...(time + 1 === 10 * HOUR ? [] : [[time + 1, 7] as [number, number]])] : [];
    expect(await read(db)).toEqual([...want, [10 * HOUR, 1]]);
    expect((await read(db, 'a', 0, 10 * HOUR - 1)).length).toBe(want.length);
    db.close();
  });

  test('a series that has nothing in order', async () => {
    const fs = createMemoryFileSystem();
    let db = open(fs);
    append(db, [[11 * HOUR, 1]], ['__name__', 'other']);
    append(db, [[9 * HOUR + 2, 2], [9 * HOUR + 1, 1], [9 * HOUR + 2, 5]]);
    const want = [[9 * HOUR + 1, 1], [9 * HOUR + 2, 2]];
    expect(await read(db)).toEqual(want);
    db.close();
    db = open(fs);
    expect(db.replay.outOfOrder).toMatchObject({ samples: 2, unknownRefs: 0, repair: undefined });
    expect(await read(db)).toEqual(want);
    db.close();
  });

  test('a batch that another one has overtaken goes among those out of order', async () => {
    const fs = createMemoryFileSystem();
    let db = open(fs);
    append(db, [[10 * HOUR, 1]]);
    const first = db.appender();
    first.append(0, a, 10 * HOUR + 5, 5);
    first.appendHistogram(0, a, 10 * HOUR + 6, histogram(6));
    append(db, [[10 * HOUR + 9, 9]]);
    expect(first.commit()).toEqual({ samples: 2, series: 0, repeated: 0, rejected: 0 });
    const want = [[10 * HOUR, 1], [10 * HOUR + 5, 5], [10 * HOUR + 6, 6], [10 * HOUR + 9, 9]];
    expect(await read(db)).toEqual(want);
    db.close();
    db = open(fs);
    expect(await read(db)).toEqual(want);
    db.close();
  });
});

test('story: late samples of all kinds through chunks, restart, blocks beside those in order, restart', async () => {
  const fs = createMemoryFileSystem();
  let db = open(fs, { outOfOrderWindowMs: 24 * HOUR });
  const want = new Map<number, number>();
  for (let i = 0; i < 8 * 60; i += 2) {
    append(db, [[i * 60_000, i]]);
    want.set(i * 60_000, i);
  }
  // Backwards, so that every chunk is filled from its end; runs of floats and of histograms whose counters go down and up.
  for (let i = 8 * 60 - 1; i > 0; i -= 2) {
    append(db, [[i * 60_000, i % 50 < 25 ? i : histogram(i % 7)]]);
    want.set(i * 60_000, i % 50 < 25 ? i : i % 7);
  }
  const sorted = [...want].sort((x, y) => x[0] - y[0]);
  expect(await read(db)).toEqual(sorted);
  db.close();
  db = open(fs, { outOfOrderWindowMs: 24 * HOUR });
  expect(await read(db)).toEqual(sorted);
  const cut = db.compactHead();
  expect(cut.map(({ minTime, maxTime, compaction }) => [minTime / HOUR, maxTime / HOUR, compaction.hints ?? []])).toEqual([
    ...[0, 2, 4].map((hour) => [hour, hour + 2, []]),
    ...[0, 2, 4, 6].map((hour) => [hour, hour + 2, ['from-out-of-order']]),
  ]);
  expect(fs.list('data/wbl').map((name) => fs.stat(`data/wbl/${name}`)!.bytes)).toEqual([0]);
  expect(db.stats().headOutOfOrderSeries).toBe(0);
  expect(await read(db)).toEqual(sorted);
  db.close();
  // Without a window what was taken with one is still there.
  db = open(fs, { outOfOrderWindowMs: 0 });
  expect(await read(db)).toEqual(sorted);
  db.close();
});

test('a reader that waits sees what it selected, whatever comes meanwhile', async () => {
  const db = open(createMemoryFileSystem());
  const series = Array.from({ length: 300 }, (_, i): Labels => ['__name__', 'a', 'i', String(i).padStart(3, '0')]);
  for (const labels of series) append(db, [[10 * HOUR, 1], [10 * HOUR + 2, 2], [10 * HOUR + 1, 3]], labels);
  const seen: number[] = [];
  for await (const batch of db.queryable.select({ matchers: [createMatcher('=', '__name__', 'a')], mint: 0, maxt: 10 * HOUR + 2 })) {
    for (const [i] of batch.labels.entries()) seen.push(batch.offsets[i + 1]! - batch.offsets[i]!);
    for (const labels of series) append(db, [[9 * HOUR + seen.length, 4]], labels);
    await read(db);
    db.compactHead({ force: true });
  }
  expect(seen.length).toBe(300);
  expect(seen.every((samples) => samples >= 3)).toBe(true);
  expect((await dumpAll(db.queryable)).every(({ floats }) => floats.length === 3 + 3)).toBe(true);
  db.close();
});

describe('a kill at any file operation', () => {
  /** Appends in and out of order with cuts and restarts; what was acknowledged, and what was in flight at the end. */
  const live = (fs: MemoryFileSystem): { acknowledged: Map<number, number>; inFlight: Map<number, number>; isDone: boolean } => {
    const acknowledged = new Map<number, number>();
    let inFlight = new Map<number, number>();
    const options = { blockRangeMs: 1000, walSegmentBytes: 32768, outOfOrderWindowMs: 4000 };
    try {
      let db = open(fs, options);
      for (let i = 0; i < 40; i++) {
        inFlight = new Map([[i * 200, i], ...(i > 3 ? ([[i * 200 - 450, -i]] as [number, number][]) : [])]);
        append(db, [...inFlight]);
        for (const [time, value] of inFlight) acknowledged.set(time, value);
        inFlight = new Map();
        if (i % 13 === 12) {
          db.close();
          db = open(fs, options);
        }
        if (i % 7 === 6) db.compactHead({ force: i === 20 });
      }
      db.close();
      return { acknowledged, inFlight, isDone: true };
    } catch (error) {
      expect((error as Error).message).toMatch(/^(ESTOPPED|write WAL)/);
      return { acknowledged, inFlight, isDone: false };
    }
  };

  test('an operation fails and the process goes on: nothing acknowledged is lost, then or after a restart', async () => {
    const options = { blockRangeMs: 1000, walSegmentBytes: 32768, outOfOrderWindowMs: 4000 };
    const play = (fs: MemoryFileSystem): { db: Db; acknowledged: Map<number, number>; attempted: Map<number, number> } => {
      const [acknowledged, attempted] = [new Map<number, number>(), new Map<number, number>()];
      const db = open(fs, options);
      fs.failAt(failing, 'ENOSPC');
      for (let i = 0; i < 40; i++) {
        const batch: [number, number][] = [[i * 200, i], ...(i > 3 ? ([[i * 200 - 450, -i]] as [number, number][]) : [])];
        for (const [time, value] of batch) attempted.set(time, value);
        try {
          append(db, batch);
          for (const [time, value] of batch) acknowledged.set(time, value);
          if (i % 7 === 6) db.compactHead({ force: i === 20 });
        } catch (error) {
          expect((error as Error).message).toMatch(/ENOSPC/);
        }
      }
      return { db, acknowledged, attempted };
    };
    const expectKept = async (db: Db, acknowledged: Map<number, number>, attempted: Map<number, number>): Promise<void> => {
      const found = new Map(await read(db));
      for (const [time, value] of acknowledged) expect([failing, time, found.get(time)]).toEqual([failing, time, value]);
      for (const [time, value] of found) expect([failing, time, value]).toEqual([failing, time, attempted.get(time)]);
    };
    let failing = Number.MAX_SAFE_INTEGER;
    const whole = createMemoryFileSystem();
    const first = whole.operations();
    play(whole).db.close();
    const operations = whole.operations();
    for (failing = first; failing < operations; failing += process.env['GAUNTLET_FUZZ_RUNS'] === undefined ? 11 : 1) {
      const fs = createMemoryFileSystem();
      let life;
      try {
        life = play(fs);
      } catch (error) {
        // Opening itself failed.
        expect((error as Error).message).toMatch(/ENOSPC/);
        continue;
      }
      await expectKept(life.db, life.acknowledged, life.attempted);
      const again = open(fs.afterKill(), options);
      await expectKept(again, life.acknowledged, life.attempted);
      again.close();
    }
  });

  test('loses nothing that was acknowledged', async () => {
    const whole = createMemoryFileSystem();
    expect(live(whole).isDone).toBe(true);
    const operations = whole.operations();
    expect(operations).toBeGreaterThan(150);
    // Every eleventh by default; GAUNTLET_FUZZ_RUNS set: every one.
    for (let n = 0; n < operations; n += process.env['GAUNTLET_FUZZ_RUNS'] === undefined ? 11 : 1) {
      const fs = createMemoryFileSystem();
      fs.stopAt(n);
      const { acknowledged, inFlight } = live(fs);
      const db = open(fs.afterKill(), { blockRangeMs: 1000, outOfOrderWindowMs: 4000 });
      const found = new Map(await read(db));
      for (const [time, value] of acknowledged) expect([n, time, found.get(time)]).toEqual([n, time, value]);
      for (const [time, value] of found) expect([n, time, value]).toEqual([n, time, acknowledged.get(time) ?? inFlight.get(time)]);
      db.close();
    }
  });
});
