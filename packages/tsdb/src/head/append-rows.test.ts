/** Samples by columns, series by the bytes of their labels: what comes out is what one append at a time gives, in the log too. */
import fc from 'fast-check';
import { describe, expect, test } from '@jest/globals';
import { GrowableBytes } from '@gauntlet/bytes';
import { createKernels, type Kernels, WRITE_ROW_BYTES } from '@gauntlet/kernels';
import { createHistogram, type Labels, STALE_NAN_HI, STALE_NAN_LO } from '@gauntlet/model';
import { createDb, type Db, type DbOptions } from '../db.ts';
import { createMemoryFileSystem, type MemoryFileSystem } from '../testing/memory-file-system.ts';
import { dumpAll } from '../testing/recorded-samples.ts';
import { listSegments, readSegment } from '../wal/wal-reader.ts';
import { appendRows } from './append-rows.ts';
import type { Appender } from './head-append.ts';
import { SeriesRefs } from './series-refs.ts';

const both: readonly Kernels[] = (['wasm', 'js'] as const).map((backend) => createKernels({ backend }));
const HOUR = 3_600_000;

interface Row {
  readonly labels: Labels;
  readonly samples: readonly { readonly timeMs: number; readonly high: number; readonly low: number }[];
}

/** Lays rows out in kernel memory as a request has them, with labels as text of their own, and appends them. @returns what was refused */
function append(kernels: Kernels, appender: Appender, refs: SeriesRefs, rows: readonly Row[], fromRow = 0): number[][] {
  const { memory } = kernels;
  const bytes = new GrowableBytes();
  const ranges = rows.map(({ labels }) => {
    const start = bytes.length;
    for (const text of labels) bytes.putUvarintString(text);
    return [start, bytes.length] as const;
  });
  const samples = rows.flatMap((row) => row.samples);
  const sizes = [bytes.length + 16, rows.length * WRITE_ROW_BYTES + 4, samples.length * 8 + 8, samples.length * 8 + 8];
  const [bytesPtr, rowsPtr, timesPtr, valuesPtr] = sizes.map((size) => memory.alloc(size)) as [number, number, number, number];
  const refused: number[][] = [];
  try {
    memory.u8(bytesPtr, bytes.length).set(bytes.bytes());
    let end = 0;
    for (const [i, [start, stop]] of ranges.entries()) memory.i32(rowsPtr + i * WRITE_ROW_BYTES, 3).set([start, stop, (end += rows[i]!.samples.length)]);
    memory.f64(timesPtr, samples.length).set(samples.map(({ timeMs }) => timeMs));
    memory.i32(valuesPtr, samples.length * 2).set(samples.flatMap(({ high, low }) => [low, high]));
    appendRows(kernels, appender, refs, { bytesPtr, rowsPtr, timesPtr, valuesPtr, labels: (row) => rows[row]!.labels }, fromRow, rows.length, (...one) => refused.push(one));
  } finally {
    for (const ptr of [bytesPtr, rowsPtr, timesPtr, valuesPtr]) memory.free(ptr);
  }
  return refused;
}

/** The same, one sample at a time. */
function appendSingly(appender: Appender, rows: readonly Row[]): number[][] {
  const refused: number[][] = [];
  let sample = 0;
  for (const [row, { labels, samples }] of rows.entries()) {
    for (const { timeMs, high, low } of samples) {
      const ref = appender.tryAppendBits(0, labels, timeMs, high, low);
      if (ref <= 0) refused.push([row, sample, ref]);
      sample++;
    }
  }
  return refused;
}

function open(kernels: Kernels, options: DbOptions = {}): { readonly fs: MemoryFileSystem; readonly db: Db } {
  const fs = createMemoryFileSystem();
  // Every block gets a later name.
  let now = 0;
  return { fs, db: createDb({ fs, dir: 'data', kernels, clock: { now: () => ++now }, random: () => 0.5 }, { blockRangeMs: HOUR, ...options }) };
}

function records(fs: MemoryFileSystem, dir: string): string[] {
  const all: string[] = [];
  if (fs.stat(dir) !== undefined) for (const segment of listSegments(fs, dir)) readSegment(fs, dir, segment, (record) => all.push(Buffer.from(record).toString('hex')));
  return all;
}

interface Given {
  readonly series: number;
  readonly kind: 'float' | 'end' | 'histogram';
  readonly advanceMs: number;
  readonly value: number;
  readonly count: number;
}

const given: fc.Arbitrary<Given> = fc.record({
  series: fc.nat(4),
  kind: fc.constantFrom('float' as const, 'float' as const, 'float' as const, 'float' as const, 'float' as const, 'end' as const, 'histogram' as const),
  advanceMs: fc.constantFrom(1, 15_000, 15_000, 15_000, 0, -1, -20_000, -HOUR, 0.5, Number.NaN, 2 ** 52),
  value: fc.nat(3),
  count: fc.integer({ min: 0, max: 3 }),
});
const step = fc.oneof(
  { weight: 8, arbitrary: fc.record({ rows: fc.array(given, { maxLength: 8 }), isRolledBack: fc.constantFrom(false, false, false, true) }) },
  { weight: 1, arbitrary: fc.constant('cut' as const) },
);

const labelsOf = (series: number): Labels => ['__name__', 'm', 'series', String(series)];

describe('append by rows', () => {
  test('takes, refuses and logs what one append at a time does', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), fc.boolean(), fc.boolean(), async (steps, isLateTaken, withStarts) => {
        for (const kernels of both) {
          const options = { outOfOrderWindowMs: isLateTaken ? HOUR / 2 : 0, startTimestamps: withStarts };
          const [rowwise, singly] = [open(kernels, options), open(kernels, options)];
          const refs = new SeriesRefs(kernels, { random: () => 0.5 });
          let nowMs = 1_700_000_000_000;
          for (const one of steps) {
            if (one === 'cut') {
              nowMs += 2 * HOUR;
              expect(rowwise.db.compactHead({ force: true }).map(({ stats }) => stats)).toEqual(singly.db.compactHead({ force: true }).map(({ stats }) => stats));
              continue;
            }
            const [a, b] = [rowwise.db.appender(), singly.db.appender()];
            let rows: Row[] = [];
            const appends = [() => append(kernels, a, refs, rows), () => appendSingly(b, rows)];
            const flush = (): void => {
              const [refusedA, refusedB] = appends.map((work) => {
                try {
                  return work();
                } catch (error) {
                  return (error as Error).message;
                }
              });
              expect(refusedA).toEqual(refusedB);
              rows = [];
            };
            for (const { series, kind, advanceMs, value, count } of one.rows) {
              const base = nowMs;
              if (advanceMs > 0 && advanceMs <= 15_000) nowMs += Math.ceil(advanceMs) * Math.max(1, count);
              if (kind === 'histogram') {
                flush();
                const histogram = { ...createHistogram({ count: value + 1, sum: value, positiveSpans: [{ offset: 0, length: 1 }] }), positiveDeltas: [value + 1], negativeDeltas: [] };
                expect(a.tryAppendHistogram(0, labelsOf(series), nowMs, histogram)).toBe(b.tryAppendHistogram(0, labelsOf(series), nowMs, histogram));
                continue;
              }
              const [high, low] = kind === 'end' ? [STALE_NAN_HI, STALE_NAN_LO] : [0x40000000 + value, 0];
              rows.push({ labels: labelsOf(series), samples: Array.from({ length: count }, (_none, i) => ({ timeMs: base + advanceMs * (i + 1), high, low })) });
            }
            flush();
            if (one.isRolledBack) {
              a.rollback();
              b.rollback();
            } else expect(a.commit()).toEqual(b.commit());
          }
          for (const dir of ['data/wal', 'data/wbl']) expect(records(rowwise.fs, dir)).toEqual(records(singly.fs, dir));
          expect(await dumpAll(rowwise.db.queryable)).toEqual(await dumpAll(singly.db.queryable));
          refs.clear();
          for (const { db } of [rowwise, singly]) db.close();
        }
      }),
      { numRuns: Number(process.env['GAUNTLET_FUZZ_RUNS'] ?? 60) },
    );
  });

  const float = (timeMs: number, value = 1): Row['samples'][number] => ({ timeMs, high: 0x40000000 + value, low: 0 });

  test('a series is looked up by its labels once, as long as it is in the head', () => {
    for (const kernels of both) {
      const { db } = open(kernels);
      const refs = new SeriesRefs(kernels, { random: () => 0.25 });
      let reads = 0;
      const rowOf = (i: number, timeMs: number): Row => ({
        get labels() {
          reads++;
          return labelsOf(i);
        },
        samples: [float(timeMs), float(timeMs + 1)],
      });
      // Laying a row out reads its labels once.
      const write = (timeMs: number, count: number): number => {
        reads = -count;
        const appender = db.appender();
        expect(append(kernels, appender, refs, Array.from({ length: count }, (_none, i) => rowOf(i, timeMs)))).toEqual([]);
        expect(appender.commit().samples).toBe(2 * count);
        return reads;
      };
      const T = 1_700_000_000_000;
      expect(write(T, 3000)).toBe(3000);
      expect(refs.count).toBe(3000);
      expect(write(T + 15_000, 3000)).toBe(0);
      // One series goes on; the others leave the head with a cut, and come back under other references.
      expect(write(T + 3 * HOUR, 1)).toBe(0);
      db.compactHead();
      expect(db.stats().headSeries).toBe(1);
      expect(write(T + 3 * HOUR + 15_000, 3000)).toBe(2999);
      expect(refs.count).toBe(3000);
      expect(write(T + 3 * HOUR + 30_000, 3000)).toBe(0);
      db.close();
      refs.clear();
    }
  });

  test('a batch that is open while slots are numbered anew goes to its series', async () => {
    const kernels = both[0]!;
    const { db } = open(kernels);
    const refs = new SeriesRefs(kernels, { random: () => 0.25 });
    const T = 1_700_000_000_000;
    const first = db.appender();
    append(kernels, first, refs, Array.from({ length: 3000 }, (_none, i) => ({ labels: labelsOf(i), samples: [float(T + (i === 2999 ? 3 * HOUR : 0))] })));
    first.commit();
    const across = db.appender();
    append(kernels, across, refs, [{ labels: labelsOf(2999), samples: [float(T + 3 * HOUR + 1, 5)] }]);
    db.compactHead();
    expect(db.stats().headSeries).toBe(1);
    expect(append(kernels, across, refs, [{ labels: labelsOf(2999), samples: [float(T + 3 * HOUR + 2, 6)] }])).toEqual([]);
    expect(across.commit()).toMatchObject({ samples: 2, rejected: 0 });
    const dump = await dumpAll(db.queryable);
    expect(JSON.stringify([...dump]).includes(String(T + 3 * HOUR + 2))).toBe(true);
    // Nothing is held any more: the series can leave the head.
    const later = db.appender();
    later.append(0, labelsOf(1), T + 9 * HOUR, 1);
    later.commit();
    db.compactHead();
    expect(db.stats().headSeries).toBe(1);
    db.close();
    refs.clear();
  });

  test('begins at a row, and with no rows there is nothing to do', () => {
    for (const kernels of both) {
      const { db } = open(kernels);
      const refs = new SeriesRefs(kernels, { random: () => 0.25 });
      const rows = [1, 2, 3].map((i) => ({ labels: labelsOf(i), samples: [float(i), float(i + 1)] }));
      const appender = db.appender();
      expect(append(kernels, appender, refs, rows, 1)).toEqual([]);
      expect(append(kernels, appender, refs, rows, 3)).toEqual([]);
      expect(append(kernels, appender, refs, [rows[1]!], 0)).toEqual([[0, 0, -1]]);
      expect(appender.commit()).toMatchObject({ samples: 4, series: 2 });
      db.close();
      refs.clear();
    }
  });

  test.each([
    ['out of order', ['b', '1', 'a', '1'], 'byte order'],
    ['twice the same name', ['a', '1', 'a', '2'], 'not unique'],
    ['no name', ['', '1'], 'empty label name'],
    ['no value', ['a', ''], 'is empty'],
  ])('labels are judged when a series is new: %s', (_name, labels, message) => {
    const kernels = both[0]!;
    const { db } = open(kernels);
    const refs = new SeriesRefs(kernels, { random: () => 0.25 });
    for (let round = 0; round < 2; round++) {
      const appender = db.appender();
      expect(() => append(kernels, appender, refs, [{ labels, samples: [float(1)] }])).toThrow(message);
      appender.rollback();
    }
    expect(refs.count).toBe(0);
    db.close();
  });
});

describe('references by bytes', () => {
  test('what is full begins anew, and finds whatever it still has', () => {
    for (const kernels of both) {
      const { memory } = kernels;
      const used = memory.usedBytes;
      const refs = new SeriesRefs(kernels, { random: () => 0.75, bytesMax: 3 << 20 });
      const KEY = 4000;
      const KEYS = 1500;
      const [keyPtr, rowPtr, refPtr] = [memory.alloc(KEY + 16), memory.alloc(WRITE_ROW_BYTES), memory.alloc(8)];
      memory.u8(keyPtr, KEY).fill(0);
      const find = (i: number): number => {
        memory.i32(keyPtr, 1)[0] = i;
        memory.i32(rowPtr, 3).set([0, KEY, 1]);
        refs.find(keyPtr, rowPtr, 1, 0, refPtr);
        return memory.f64(refPtr, 1)[0]!;
      };
      let most = 0;
      let wrong = 0;
      for (let i = 1; i <= KEYS; i++) {
        if (find(i) !== 0) wrong++;
        refs.put(keyPtr, KEY, i);
        if (find(i) !== i || refs.bytes > 3 << 20) wrong++;
        most = Math.max(most, refs.count);
      }
      expect(wrong).toBe(0);
      expect(most).toBeGreaterThan(500);
      expect(refs.count).toBeLessThan(KEYS);
      for (let i = KEYS + 1 - refs.count; i <= KEYS; i++) expect(find(i)).toBe(i);
      refs.put(keyPtr, KEY, 77);
      expect(find(KEYS)).toBe(77);
      for (const ptr of [keyPtr, rowPtr, refPtr]) memory.free(ptr);
      refs.clear();
      expect(memory.usedBytes).toBe(used);
    }
  });

  test('without memory nothing is remembered, and long keys never are', () => {
    const kernels = createKernels({ maxMemoryBytes: 512 << 10 });
    const { memory } = kernels;
    const refs = new SeriesRefs(kernels, { random: () => 0.75 });
    const keyPtr = memory.alloc(20_016);
    refs.put(keyPtr, 20_000, 1);
    refs.put(keyPtr, 100, 1);
    expect([refs.count, refs.bytes]).toEqual([0, 0]);
  });
});
