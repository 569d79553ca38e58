/** What a query sees of a database that is written while it runs: what was there when it began, all of it and nothing else. */
import { describe, expect, test } from '@jest/globals';
import { createKernels } from '@gauntlet/kernels';
import { createHistogram, createMatcher, getLabel, type Labels } from '@gauntlet/model';
import { createDb, type Db } from '../db.ts';
import { createMemoryFileSystem } from '../testing/memory-file-system.ts';

const kernels = createKernels();
const SERIES = 520;
const START = 1_699_992_000_000;
const STEP = 120_000;
const labelsOf = (i: number): Labels => ['__name__', i % 2 === 0 ? 'floats' : 'histograms', 'i', String(i).padStart(4, '0')];
const EVERYTHING = { matchers: [createMatcher('=~', '__name__', 'floats|histograms|new')], mint: 0, maxt: 1e15 };

class Writer {
  readonly db: Db = createDb({ fs: createMemoryFileSystem(), dir: 'data', kernels, clock: { now: () => START }, random: Math.random }, { outOfOrderWindowMs: 6 * 3_600_000 });
  timeMs = START;

  /** One sample of each series. */
  commit(): void {
    const appender = this.db.appender();
    this.timeMs += STEP;
    for (let i = 0; i < SERIES; i++) {
      if (i % 2 === 0) appender.append(0, labelsOf(i), this.timeMs, i);
      else appender.appendHistogram(0, labelsOf(i), this.timeMs, createHistogram({ schema: 0, count: 1, sum: 1, positiveSpans: [{ offset: 0, length: 1 }], positiveBuckets: Float64Array.of(1) }));
    }
    appender.commit();
  }

  begin(label: string): void {
    const appender = this.db.appender();
    appender.append(0, ['__name__', 'new', 'i', label], this.timeMs, 1);
    appender.commit();
  }
}

/** Per series how many samples there are and when the last is, with something happening after each batch. */
async function readFloats(db: Db, meanwhile: (batch: number) => void): Promise<Map<string, string>> {
  const views = new Map<string, string>();
  let batch = 0;
  for await (const { labels, offsets, timestampsMs } of db.queryable.select(EVERYTHING)) {
    for (const [i, one] of labels.entries()) views.set(getLabel(one, 'i'), `${offsets[i + 1]! - offsets[i]!} up to ${timestampsMs[offsets[i + 1]! - 1]}`);
    meanwhile(batch++);
  }
  expect(batch).toBeGreaterThan(3);
  return views;
}

async function readChunks(db: Db, meanwhile: (batch: number) => void): Promise<Map<string, string>> {
  const views = new Map<string, string>();
  let batch = 0;
  for await (const series of db.chunkQueryable.selectChunks(EVERYTHING)) {
    for (const { labels, chunks } of series) views.set(getLabel(labels, 'i'), `${chunks.reduce((sum, { data }) => sum + data[0]! * 256 + data[1]!, 0)} up to ${chunks.at(-1)!.maxt}`);
    meanwhile(batch++);
  }
  expect(batch).toBeGreaterThan(3);
  return views;
}

describe.each([['samples', readFloats], ['chunks', readChunks]])('%s', (_what, read) => {
  const cases: { name: string; commits: number; meanwhile: (writer: Writer, batch: number) => void }[] = [
    { name: 'commits', commits: 30, meanwhile: (writer) => writer.commit() },
    { name: 'commits that begin new chunks', commits: 118, meanwhile: (writer) => writer.commit() },
    {
      name: 'new series',
      commits: 30,
      meanwhile: (writer, batch) => {
        writer.begin(`a${batch}`);
        writer.commit();
      },
    },
    {
      name: 'a cut head',
      commits: 110,
      meanwhile: (writer, batch) => {
        writer.commit();
        if (batch === 1) writer.db.compactHead();
      },
    },
  ];
  test.each(cases)('$name', async ({ commits, meanwhile }) => {
    const writer = new Writer();
    for (let i = 0; i < commits; i++) writer.commit();
    const until = writer.timeMs;
    const views = await read(writer.db, (batch) => meanwhile(writer, batch));
    expect([...new Set(views.values())]).toEqual([`${commits} up to ${until}`]);
    expect(views.size).toBe(SERIES);
    expect(writer.timeMs).toBeGreaterThan(until);
    writer.db.close();
  });

  test('series that a cut has left without samples in the head', async () => {
    const writer = new Writer();
    for (let i = 0; i < 10; i++) writer.commit();
    const quiet = writer.timeMs;
    const appender = writer.db.appender();
    appender.append(0, ['__name__', 'new', 'i', 'late'], START + 12 * 3_600_000, 1);
    appender.commit();
    writer.db.compactHead();
    writer.timeMs = START + 12 * 3_600_000;
    const views = await read(writer.db, () => writer.commit());
    expect(views.get('late')).toBe(`1 up to ${START + 12 * 3_600_000}`);
    views.delete('late');
    expect([...new Set(views.values())]).toEqual([`10 up to ${quiet}`]);
    writer.db.close();
  });
});

test('the newest sample alone is that of the beginning, too', async () => {
  const writer = new Writer();
  for (let i = 0; i < 118; i++) writer.commit();
  const until = writer.timeMs;
  const seen = new Set<number>();
  let series = 0;
  for await (const { labels, offsets, timestampsMs } of writer.db.queryable.select({ ...EVERYTHING, hints: { stepMs: 0, func: '', rangeMs: 0, grouping: [], by: false, newestOnly: true } })) {
    for (let i = 0; i < labels.length; i++) seen.add(timestampsMs[offsets[i + 1]! - 1]!);
    series += labels.length;
    writer.commit();
  }
  expect([...seen]).toEqual([until]);
  expect(series).toBe(SERIES);
  expect(writer.timeMs).toBeGreaterThan(until);
  writer.db.close();
});
