/** Since when samples count: kept in head, logs, chunks and blocks where the database is told to, and passed over where not. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, test } from '@jest/globals';
import { GrowableBytes } from '@gauntlet/bytes';
import { createKernels } from '@gauntlet/kernels';
import { CHUNK_ENCODING, createHistogram, createMatcher, type FloatHistogram, type IntegerHistogram, type Labels } from '@gauntlet/model';
import { createDb, type Db, type DbOptions } from '../db.ts';
import { createMemoryFileSystem, type MemoryFileSystem } from '../testing/memory-file-system.ts';
import { decodeHistogramRecord, encodeHistogramRecord, type HistogramEntry } from '../wal/histogram-record.ts';
import { decodeSamplesRecord, encodeSamplesRecord, RECORD, SampleColumns } from '../wal/record.ts';
import { listSegments, readSegment } from '../wal/wal-reader.ts';

const kernels = createKernels();
const HOUR = 3_600_000;

function open(fs: MemoryFileSystem, options: DbOptions): Db {
  return createDb({ fs, dir: 'data', kernels, clock: Date, random: Math.random }, { blockRangeMs: HOUR, ...options });
}

const labelsOf = (series: number): Labels => ['__name__', `m${series}`];

function histogramOf(value: number, isFloat: boolean): FloatHistogram | IntegerHistogram {
  const positiveSpans = [{ offset: value % 3, length: 1 }];
  if (isFloat) return createHistogram({ count: value + 0.5, sum: value, positiveSpans, positiveBuckets: Float64Array.of(value) });
  return { ...createHistogram({ count: value, sum: value, positiveSpans }), positiveDeltas: [value], negativeDeltas: [] };
}

/** Start timestamps by series and time. */
async function starts(db: Db): Promise<Map<string, number>> {
  const all = new Map<string, number>();
  for await (const { labels, offsets, timestampsMs, startTimestamps } of db.queryable.select({ matchers: [createMatcher('=~', '__name__', '.+')], mint: -1e15, maxt: 1e15 })) {
    for (const [i, one] of labels.entries()) for (let at = offsets[i]!; at < offsets[i + 1]!; at++) all.set(`${one[1]} ${timestampsMs[at]}`, startTimestamps?.[at] ?? 0);
  }
  return all;
}

function recordTypes(fs: MemoryFileSystem, dir: string): Set<number> {
  const types = new Set<number>();
  for (const segment of listSegments(fs, dir)) readSegment(fs, dir, segment, (record) => types.add(record[0]!));
  return types;
}

interface Given {
  readonly series: number;
  readonly kind: 'float' | 'integers' | 'floats';
  readonly advanceMs: number;
  readonly lateMs: number;
  readonly start: 'none' | 'same' | 'reset';
}

const given: fc.Arbitrary<Given> = fc.record({
  series: fc.nat(2),
  kind: fc.constantFrom('float' as const, 'float' as const, 'integers' as const, 'floats' as const),
  advanceMs: fc.constantFrom(1, 15_000, 15_000, 200_000),
  lateMs: fc.constantFrom(0, 0, 0, 0, 20_007),
  start: fc.constantFrom('none' as const, 'same' as const, 'same' as const, 'reset' as const),
});

test('random samples, in and out of order, of changing kinds: their starts survive restart, cut, compaction', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(given, { minLength: 1, maxLength: 300 }), fc.integer({ min: 1, max: 20 }), async (all, batch) => {
      const fs = createMemoryFileSystem();
      const options = { startTimestamps: true, outOfOrderWindowMs: HOUR };
      let db = open(fs, options);
      let nowMs = 1_700_000_000_000;
      let startMs = nowMs;
      const want = new Map<string, number>();
      let appender = db.appender();
      for (const [i, { series, kind, advanceMs, lateMs, start }] of all.entries()) {
        nowMs += advanceMs;
        if (start === 'reset') startMs = nowMs - 1;
        const [timeMs, since] = [nowMs - lateMs, start === 'none' ? 0 : startMs];
        // Beyond the window nothing is to be shown.
        if (want.has(`m${series} ${timeMs}`)) continue;
        const ref =
          kind === 'float'
            ? appender.tryAppend(0, labelsOf(series), timeMs, i, since)
            : appender.tryAppendHistogram(0, labelsOf(series), timeMs, histogramOf(i + 1, kind === 'floats'), since);
        if (ref > 0) want.set(`m${series} ${timeMs}`, since);
        if (i % batch === batch - 1) {
          appender.commit();
          appender = db.appender();
        }
      }
      appender.commit();
      // Maps are equal whatever the order of their entries.
      const check = async (): Promise<void> => expect(await starts(db)).toEqual(want);
      await check();
      db.close();
      db = open(fs, options);
      await check();
      db.compactHead({ force: true });
      await check();
      db.compactBlocks();
      await check();
      db.close();
    }),
    { numRuns: Number(process.env['GAUNTLET_FUZZ_RUNS'] ?? 30) },
  );
});

describe('where they are not stored', () => {
  const fill = (options: DbOptions, startMs: number): MemoryFileSystem => {
    const fs = createMemoryFileSystem();
    const db = open(fs, { walCompression: 'none', ...options });
    for (let i = 0; i < 300; i++) {
      const appender = db.appender();
      appender.append(0, labelsOf(0), i * 15_000, i, startMs);
      appender.appendHistogram(0, labelsOf(1), i * 15_000, histogramOf(i + 1, false), startMs);
      appender.appendHistogram(0, labelsOf(2), i * 15_000, histogramOf(i + 1, true), startMs);
      appender.commit();
    }
    db.close();
    return fs;
  };

  test('logs are byte for byte those without any', () => {
    const [without, passedOver, stored] = [fill({}, 0), fill({}, -7), fill({ startTimestamps: true }, -7)];
    expect(passedOver.snapshot()).toEqual(without.snapshot());
    expect(recordTypes(without, 'data/wal')).toEqual(new Set([RECORD.series, RECORD.samples, RECORD.histograms, RECORD.floatHistograms]));
    expect(recordTypes(stored, 'data/wal')).toEqual(new Set([RECORD.series, RECORD.samplesWithStart, RECORD.histogramsWithStart, RECORD.floatHistogramsWithStart]));
  });

  test('a log that has them replays without, and the other way round', async () => {
    const fs = fill({ startTimestamps: true }, -7);
    let db = open(fs, {});
    expect(new Set((await starts(db)).values())).toEqual(new Set([0]));
    expect((await starts(db)).size).toBe(900);
    db.close();
    db = open(fs, { startTimestamps: true });
    expect(new Set((await starts(db)).values())).toEqual(new Set([-7]));
    db.close();
    db = open(fill({}, 0), { startTimestamps: true });
    expect(new Set((await starts(db)).values())).toEqual(new Set([0]));
    db.close();
  });

  test('chunks are of the encodings that have them, cut by the same rules', async () => {
    const encodings = async (options: DbOptions): Promise<[number, number][]> => {
      const db = open(fill(options, -7), options);
      const all: [number, number][] = [];
      for await (const series of db.chunkQueryable.selectChunks({ matchers: [createMatcher('=~', '__name__', '.+')], mint: 0, maxt: 1e15 })) {
        for (const { chunks } of series) for (const { encoding, mint } of chunks) all.push([encoding, mint]);
      }
      db.close();
      return all;
    };
    const [plain, stored] = [await encodings({}), await encodings({ startTimestamps: true })];
    const as: Record<number, number> = { [CHUNK_ENCODING.xor]: CHUNK_ENCODING.xor2, [CHUNK_ENCODING.histogram]: CHUNK_ENCODING.histogramSt, [CHUNK_ENCODING.floatHistogram]: CHUNK_ENCODING.floatHistogramSt };
    // Start timestamps make histogram chunks a little longer; floats are cut by their number.
    const floats = plain.filter(([encoding]) => encoding === CHUNK_ENCODING.xor);
    expect(stored.filter(([encoding]) => encoding === CHUNK_ENCODING.xor2)).toEqual(floats.map(([encoding, mint]) => [as[encoding], mint]));
    expect(new Set(stored.map(([encoding]) => encoding))).toEqual(new Set(plain.map(([encoding]) => as[encoding])));
  });
});

test.each([0.5, 2 ** 53, Number.NaN])('start timestamp %d is refused', (startMs) => {
  const db = open(createMemoryFileSystem(), { startTimestamps: true });
  expect(() => db.appender().append(0, labelsOf(0), 1000, 1, startMs)).toThrow(expect.objectContaining({ code: 'ERR_SAMPLE_TIMESTAMP' }));
  db.close();
});

const here = dirname(fileURLToPath(import.meta.url));
const golden = join(process.env['GAUNTLET_SHARED'] ?? resolve(here, '../../../../../shared'), 'golden/wal/start-timestamps');
(existsSync(golden) ? describe : describe.skip)('golden data (skipped without the folder)', () => {
  const load = (): MemoryFileSystem => {
    const fs = createMemoryFileSystem();
    const from = join(golden, 'data');
    for (const entry of readdirSync(from, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name);
      if (entry.isFile()) fs.seed(`data${path.slice(from.length)}`, readFileSync(path));
    }
    return fs;
  };

  test('records of Prometheus, encoded again, are the same bytes', () => {
    const fs = load();
    const seen = new Set<number>();
    for (const dir of ['data/wal', 'data/wbl']) {
      for (const segment of listSegments(fs, dir)) {
        readSegment(fs, dir, segment, (record) => {
          const out = new GrowableBytes();
          const type = record[0]!;
          if (type === RECORD.samplesWithStart) {
            const columns = new SampleColumns();
            decodeSamplesRecord(record, columns);
            encodeSamplesRecord(columns, out, true);
          } else if (type === RECORD.histogramsWithStart || type === RECORD.floatHistogramsWithStart) {
            const entries: HistogramEntry[] = [];
            decodeHistogramRecord(record, (ref, sample) => void entries.push({ ref, sample }));
            // What a stale marker holds beside its sum is not kept.
            if (entries.some(({ sample }) => sample.isStale)) return;
            encodeHistogramRecord(type, entries, out, true);
          } else return;
          seen.add(type);
          expect(out.copy()).toEqual(record.slice());
        });
      }
    }
    expect(seen).toEqual(new Set([RECORD.samplesWithStart, RECORD.histogramsWithStart, RECORD.floatHistogramsWithStart]));
  });

  // The recorded samples have the records and chunks of start timestamps, and none that is known.
  test('a recorded folder replays into chunks with starts, is cut and opened again', async () => {
    const fs = load();
    const options = { startTimestamps: true, blockRangeMs: 2 * HOUR, outOfOrderWindowMs: 12 * HOUR };
    let db = open(fs, options);
    const want = await starts(db);
    expect(want.size).toBeGreaterThan(300);
    expect(new Set(want.values())).toEqual(new Set([0]));
    db.compactHead({ force: true });
    expect(await starts(db)).toEqual(want);
    db.close();
    db = open(fs, options);
    expect(await starts(db)).toEqual(want);
    db.close();
  });
});
