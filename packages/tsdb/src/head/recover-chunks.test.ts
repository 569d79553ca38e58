/**
 * Damaged logs beside `chunks_head`: what the log lost and the files still have is there again, in the log too; killed anywhere on the way
 * nothing of it is lost; references of series that no record names go to no other series. Prometheus 3.14 shows the same samples of the recorded
 * folder, but for late ones, which it reads at its next start.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { createKernels } from '@gauntlet/kernels';
import { CHUNK_ENCODING, createHistogram, createMatcher, type Labels, STALE_NAN_HI, STALE_NAN_LO } from '@gauntlet/model';
import { encodeFloatColumns } from '../chunkenc/float-chunks.ts';
import { RESET_HINT } from '../chunkenc/histogram-chunk.ts';
import { encodeHistogramChunk, type HistogramSample } from '../chunkenc/histogram-encoder.ts';
import { floatToSample } from '../chunkenc/histogram-sample.ts';
import type { HeadChunk } from '../chunks/head-chunks.ts';
import { createDb, type Db, type DbOptions } from '../db.ts';
import { describeReplay } from '../db/replay-notes.ts';
import { headChunksFile } from '../testing/head-chunk-files.ts';
import { createMemoryFileSystem, type MemoryFileSystem } from '../testing/memory-file-system.ts';
import { dumpAll, sorted } from '../testing/recorded-samples.ts';

const kernels = createKernels();
const WINDOW_MS = 3_600_000;
const SECOND = 1000;
const CHUNKS_HEAD = 'data/chunks_head/000001';
const WAL = 'data/wal/00000000';
const WBL = 'data/wbl/00000000';

function open(fs: MemoryFileSystem, options: DbOptions = {}): Db {
  return createDb({ fs, dir: 'data', kernels, clock: { now: () => 1_700_000_000_000 }, random: Math.random }, { outOfOrderWindowMs: WINDOW_MS, walCompression: 'none', ...options });
}

const labelsOf = (series: number | string): Labels => ['__name__', 'm', 'i', String(series)];

/** Samples as text: series, time, value, since when it counts. */
async function read(db: Db): Promise<string[]> {
  const found: string[] = [];
  for await (const batch of db.queryable.select({ matchers: [createMatcher('=', '__name__', 'm')], mint: -1e15, maxt: 1e15 })) {
    for (const [i, labels] of batch.labels.entries()) {
      for (let s = batch.offsets[i]!; s < batch.offsets[i + 1]!; s++) {
        const id = batch.histograms?.ids[s] ?? -1;
        const start = batch.startTimestamps?.[s] ?? 0;
        found.push(`${labels[3]} ${batch.timestampsMs[s]! / SECOND} ${id < 0 ? batch.values[s] : `histogram ${batch.histograms!.get(id).sum}`}${start === 0 ? '' : ` since ${start}`}`);
      }
    }
  }
  expect(new Set(found).size).toBe(found.length);
  return found.sort();
}

const histogram = (i: number, timeMs: number, isReset = false): HistogramSample => ({ ...floatToSample(createHistogram({ count: i, sum: i, positiveSpans: [{ offset: 0, length: 1 }], positiveBuckets: Float64Array.of(i) }), timeMs, true), isReset });

/** A chunk of floats i at the seconds i. */
function floats(ref: number, from: number, to: number, rest: Partial<HeadChunk> = {}): HeadChunk {
  const timestampsMs = Float64Array.from({ length: to - from }, (_, i) => (from + i) * SECOND);
  const values = Float64Array.from({ length: to - from }, (_, i) => from + i);
  const { data, encoding, mint, maxt } = encodeFloatColumns({ timestampsMs, values }, 0, to - from, kernels);
  return { ref, mint, maxt, encoding, data, isOutOfOrder: false, ...rest };
}

function histograms(ref: number, from: number, to: number, header: number = RESET_HINT.unknown): HeadChunk {
  const samples = Array.from({ length: to - from }, (_, i) => histogram(from + i, (from + i) * SECOND));
  const { data, encoding, mint, maxt } = encodeHistogramChunk(samples, samples[0]!.layout, header);
  return { ref, mint, maxt, encoding, data, isOutOfOrder: false };
}

/**
 * Series 1 (floats) and 2 (histograms) of 100 s each, series 3 from the middle on, late samples of series 1; killed. Its references are 1, 2 and 3.
 * Behind the 50th second the log can be damaged.
 */
function recordLog(): { readonly fs: MemoryFileSystem; readonly walBytes: number; readonly wblBytes: number; readonly all: readonly string[] } {
  const fs = createMemoryFileSystem();
  const db = open(fs);
  const all: string[] = [];
  let [walBytes, wblBytes] = [0, 0];
  for (let i = 0; i < 100; i++) {
    const appender = db.appender();
    appender.append(0, labelsOf(1), i * SECOND, i);
    appender.appendHistogram(0, labelsOf(2), i * SECOND, createHistogram({ count: i, sum: i, positiveSpans: [{ offset: 0, length: 1 }], positiveBuckets: Float64Array.of(i) }));
    all.push(`1 ${i} ${i}`, `2 ${i} histogram ${i}`);
    if (i >= 60) {
      appender.append(0, labelsOf(3), i * SECOND, i);
      all.push(`3 ${i} ${i}`);
    }
    if (i >= 20) {
      appender.append(0, labelsOf(1), (i - 20) * SECOND + 500, -i);
      all.push(`1 ${i - 19.5} ${-i}`);
    }
    appender.commit();
    if (i === 49) [walBytes, wblBytes] = [fs.stat(WAL)!.bytes, fs.stat(WBL)!.bytes];
  }
  return { fs: fs.afterKill(), walBytes, wblBytes, all: all.sort() };
}

const log = recordLog();

/** The recorded log with the record behind the 50th second damaged, and head chunks. */
function damaged(which: 'wal' | 'wbl' | 'both' | 'none', chunks: readonly HeadChunk[]): MemoryFileSystem {
  const fs = createMemoryFileSystem();
  for (const [path, data] of log.fs.snapshot()) {
    const copy = data.slice();
    if (path === WAL && (which === 'wal' || which === 'both')) copy[log.walBytes + 9]! ^= 4;
    if (path === WBL && (which === 'wbl' || which === 'both')) copy[log.wblBytes + 9]! ^= 4;
    fs.seed(path, copy);
  }
  if (chunks.length > 0) fs.seed(CHUNKS_HEAD, headChunksFile(chunks));
  return fs;
}

const timeOf = (sample: string): number => Number(sample.split(' ')[1]);
const isLate = (sample: string): boolean => !Number.isInteger(timeOf(sample));
const survives = (sample: string): boolean => isLate(sample) || timeOf(sample) < 50;
const recoveredNotes = (db: Db): string[] => describeReplay(db.replay).map(({ text }) => text).filter((text) => text.includes('chunks_head'));

test('a sound log: the folder is not even read', async () => {
  const [plain, withFolder] = [damaged('none', []), damaged('none', [floats(1, 0, 90), floats(99, 0, 10)])];
  for (const fs of [plain, withFolder]) {
    const db = open(fs);
    expect(await read(db)).toEqual(log.all);
    expect(db.replay.recovered).toBeUndefined();
    db.close();
  }
  expect(withFolder.reads()).toBe(plain.reads());
});

test('samples that the log lost come back: of what the head has already not one; into the log, so that the next start has them without the folder', async () => {
  const chunks = [floats(1, 0, 30), histograms(2, 0, 70), floats(1, 30, 80), histograms(2, 70, 75, RESET_HINT.reset)];
  const fs = damaged('wal', chunks);
  const want = log.all.filter((sample) => survives(sample) || (sample.startsWith('1 ') && timeOf(sample) < 80) || (sample.startsWith('2 ') && timeOf(sample) < 75));
  const db = open(fs);
  expect(await read(db)).toEqual(want);
  expect(db.replay).toMatchObject({ repair: { segment: 0 }, recovered: { samples: 55, mint: 50 * SECOND, maxt: 79 * SECOND, unknownSamples: 0, damage: [] } });
  expect(recoveredNotes(db)).toEqual(['55 samples of what was lost are back from chunks_head, and logged again']);
  expect(db.stats().headMaxTimeMs).toBe(79 * SECOND);
  for (const killed of [fs.afterKill(), fs.afterPowerLoss()]) {
    killed.remove('data/chunks_head');
    const again = open(killed);
    expect(again.replay).toMatchObject({ repair: undefined, recovered: undefined });
    expect(await read(again)).toEqual(want);
    again.compactHead({ force: true });
    expect(await read(again)).toEqual(want);
    again.close();
  }
  db.compactHead({ force: true });
  expect(fs.stat('data/chunks_head')).toBeUndefined();
  expect(await read(db)).toEqual(want);
  db.close();
});

test('late samples come back into their log, each once', async () => {
  const late = (from: number, to: number): HeadChunk => {
    const timestampsMs = Float64Array.from({ length: to - from }, (_, i) => (from + i - 20) * SECOND + 500);
    const values = Float64Array.from({ length: to - from }, (_, i) => -from - i);
    return { ref: 1, ...encodeFloatColumns({ timestampsMs, values }, 0, to - from, kernels), isOutOfOrder: true };
  };
  const other: HeadChunk = { ...histograms(1, 200, 203), isOutOfOrder: true };
  const fs = damaged('wbl', [late(20, 52), floats(1, 0, 90), late(52, 84), { ...late(20, 30), ref: 77 }, other]);
  const want = [...log.all.filter((sample) => !isLate(sample) || timeOf(sample) < 84 - 20), '1 200 histogram 200', '1 201 histogram 201', '1 202 histogram 202'].sort();
  const db = open(fs);
  expect(await read(db)).toEqual(want);
  expect(db.replay).toMatchObject({ repair: undefined, recovered: undefined, outOfOrder: { samples: 30, recovered: { samples: 37, unknownSamples: 10, damage: [] } } });
  const killed = fs.afterKill();
  killed.remove('data/chunks_head');
  const again = open(killed);
  expect(again.replay.outOfOrder).toMatchObject({ repair: undefined, samples: 67 });
  expect(await read(again)).toEqual(want);
  again.close();
  db.close();
});

test('both logs damaged, killed or failing at any operation of the repair: the next start ends at the same', async () => {
  const timestampsMs = Float64Array.of(70.5 * SECOND, 71.5 * SECOND);
  const late: HeadChunk = { ref: 1, ...encodeFloatColumns({ timestampsMs, values: Float64Array.of(5, 6) }, 0, 2, kernels), isOutOfOrder: true };
  const chunks = [floats(1, 0, 80), histograms(2, 40, 60), late, floats(1000, 0, 5)];
  const whole = damaged('both', chunks);
  const first = open(whole);
  const want = await read(first);
  expect(want).toEqual([...log.all.filter((sample) => (isLate(sample) ? timeOf(sample) < 30 : timeOf(sample) < 50 || (sample.startsWith('1 ') && timeOf(sample) < 80) || (sample.startsWith('2 ') && timeOf(sample) < 60))), '1 70.5 5', '1 71.5 6'].sort());
  first.close();
  let hits = 0;
  for (const moment of ['stop', 'before', 'after'] as const) {
    for (let n = 0; ; n++) {
      const fs = damaged('both', chunks);
      if (moment === 'stop') fs.stopAt(n);
      else fs.failAt(n, 'EIO', moment);
      let isOpen = true;
      try {
        open(fs).close();
      } catch {
        isOpen = false;
        hits++;
      }
      for (const next of [fs.afterKill(), fs.afterPowerLoss()]) {
        const db = open(next);
        expect([moment, n, await read(db)]).toEqual([moment, n, want]);
        const appender = db.appender();
        expect(appender.append(0, labelsOf('new'), 90 * SECOND, 1)).toBeGreaterThan(1000);
        appender.commit();
        db.close();
      }
      // A failure that something else makes good, as that of a second close, ends nothing.
      if (isOpen && n > fs.operations()) break;
    }
  }
  expect(hits).toBeGreaterThan(20);
});

describe('series that no record names', () => {
  const chunks = [floats(3, 60, 80), floats(500, 10, 20), { ...floats(900, 1, 2), isOutOfOrder: true }, { ...floats(4000, -20, -10), data: Uint8Array.of(0, 10) }];

  test('are counted and told; their references are nobody else’s, in any later life', async () => {
    const fs = damaged('wal', chunks);
    let db = open(fs);
    expect(db.replay.recovered).toMatchObject({ samples: 0, unknownSamples: 40 });
    expect(recoveredNotes(db)).toEqual(['40 samples in chunks_head are left out, because no record names their series']);
    const want = log.all.filter(survives);
    expect(await read(db)).toEqual(want);
    for (let life = 1; life <= 3; life++) {
      const killed = fs.afterKill();
      db.close();
      db = open(killed);
      expect(db.replay).toMatchObject({ repair: undefined, unknownRefs: 0, recovered: undefined });
      const appender = db.appender();
      expect(appender.append(0, labelsOf(`new ${life}`), 100 * SECOND, 1)).toBeGreaterThan(4000);
      appender.rollback();
    }
    db.close();
  });

  test('nothing is reserved where the log knows greater ones', () => {
    const fs = damaged('wal', [floats(1, 0, 10)]);
    const segments = (): string[] => fs.list('data/wal');
    open(fs).close();
    // The segment of the repair would be 1, that of the open database is.
    expect(segments()).toEqual(['00000000', '00000001']);
    expect(fs.stat('data/wal/00000001')!.bytes).toBe(0);
  });
});

test('what is in blocks already does not come back', async () => {
  const fs = createMemoryFileSystem();
  let db = open(fs, { blockRangeMs: 100 * SECOND });
  for (let i = 0; i < 300; i++) {
    const appender = db.appender();
    appender.append(0, labelsOf(1), i * SECOND, i);
    appender.commit();
  }
  db.compactHead();
  const { walSegment } = db.stats();
  db.close();
  const path = `data/wal/${String(walSegment).padStart(8, '0')}`;
  fs.seed(path, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9));
  fs.seed(CHUNKS_HEAD, headChunksFile([floats(1, 0, 90), floats(1, 90, 400), floats(50, 0, 90)]));
  db = open(fs, { blockRangeMs: 100 * SECOND });
  expect(db.replay.recovered).toMatchObject({ samples: 100, unknownSamples: 0, mint: 300 * SECOND });
  expect(await read(db)).toEqual(Array.from({ length: 400 }, (_, i) => `1 ${i} ${i}`).sort());
  db.close();
});

test('chunks and files that cannot be read are told, the rest comes back', async () => {
  const bad: HeadChunk = { ...floats(1, 60, 70), data: Uint8Array.of(0, 10, 1, 2, 3) };
  const unknown: HeadChunk = { ...floats(1, 70, 80), encoding: 99 };
  const fs = damaged('wal', [floats(1, 0, 60), bad, unknown, floats(1, 80, 90)]);
  fs.seed('data/chunks_head/000002', Uint8Array.from([...headChunksFile([histograms(2, 0, 60)], 0), 1, 2, 3]));
  const db = open(fs);
  expect(db.replay.recovered).toMatchObject({ samples: 10 + 10 + 10 });
  expect(recoveredNotes(db)).toEqual([
    '30 samples of what was lost are back from chunks_head, and logged again',
    expect.stringMatching(/^not all of chunks_head can be read: decode XOR chunk of the head's series 1, from 60000 to 69000: /),
    "not all of chunks_head can be read: decode chunk of the head's series 1, from 70000 to 79000: unknown encoding 99",
    expect.stringMatching(/^not all of chunks_head can be read: data\/chunks_head\/000002: offset \d+: a chunk is cut off after 3 bytes$/),
  ]);
  db.close();
});

test('stale markers, bits of NaNs, resets and start timestamps come back as they were', async () => {
  const values = new Float64Array(4);
  const words = new Uint32Array(values.buffer);
  words.set([0, 0, 1, 0x7ff00000, 2, 0x7ff80000, STALE_NAN_LO, STALE_NAN_HI]);
  const timestampsMs = Float64Array.from([60, 61, 62, 63], (s) => s * SECOND);
  const startTimestamps = Float64Array.of(0, 1000, 1000, 2000);
  const plain: HeadChunk = { ref: 1, isOutOfOrder: false, ...encodeFloatColumns({ timestampsMs, values, startTimestamps }, 0, 4, kernels) };
  expect(plain.encoding).toBe(CHUNK_ENCODING.xor2);
  const bitsOf = async (db: Db): Promise<unknown[]> => {
    const bits: unknown[] = [];
    for await (const batch of db.queryable.select({ matchers: [createMatcher('=', 'i', '1')], mint: 60 * SECOND, maxt: 64 * SECOND })) {
      const view = new DataView(batch.values.slice().buffer);
      for (let i = 0; i < batch.offsets[1]!; i++) if (Number.isInteger(batch.timestampsMs[i]! / SECOND)) bits.push([batch.timestampsMs[i]! / SECOND, view.getBigUint64(i * 8, true).toString(16), batch.startTimestamps?.[i] ?? 0]);
    }
    return bits;
  };
  const want = [
    [60, '0', 0],
    [61, '7ff0000000000001', 1000],
    [62, '7ff8000000000002', 1000],
    [63, '7ff0000000000002', 2000],
  ];
  for (const startTimestampsOn of [true, false]) {
    const fs = damaged('wal', [plain]);
    let db = open(fs, { startTimestamps: startTimestampsOn });
    expect(await bitsOf(db)).toEqual(startTimestampsOn ? want : want.map(([time, bits]) => [time, bits, 0]));
    const killed = fs.afterKill();
    db.close();
    db = open(killed, { startTimestamps: true });
    expect(await bitsOf(db)).toEqual(want);
    db.close();
  }
});

describe('a folder recorded from Prometheus 3.14', () => {
  const storage = join(dirname(fileURLToPath(import.meta.url)), '../../testdata/wal/snappy/storage');
  /** One byte changed in the first segment. */
  const load = (at: number): MemoryFileSystem => {
    const fs = createMemoryFileSystem();
    for (const entry of readdirSync(storage, { recursive: true, withFileTypes: true })) {
      if (entry.isFile()) fs.seed(`data${join(entry.parentPath, entry.name).slice(storage.length)}`, readFileSync(join(entry.parentPath, entry.name)));
    }
    const segment = fs.snapshot().get(WAL)!.slice();
    if (at >= 0) segment[at]! ^= 0x10;
    fs.seed(WAL, segment);
    return fs;
  };

  // Beside each what Prometheus 3.14.0 has after the same damage, stale markers apart, and 81 late samples more, which it has at its next start.
  test.each([
    [600, 759, 749],
    [3000, 639, 759],
    [6000, 499, 769],
    [11_000, 259, 789],
    [20_000, 0, 955],
  ])('damaged at %i: %i samples come back', async (at, recovered, seenByPrometheus) => {
    const whole = sorted(await dumpAll(open(load(-1)).queryable));
    const fs = load(at);
    const db = open(fs);
    expect(db.replay.recovered).toMatchObject({ samples: recovered, unknownSamples: 0, damage: [] });
    const dump = sorted(await dumpAll(db.queryable));
    const count = dump.reduce((sum, { floats: f, histograms: h }) => sum + f.filter(([, bits]) => bits !== '7ff0000000000002').length + h.filter(([, one]) => one !== 'stale').length, 0);
    expect(count).toBe(seenByPrometheus + 81);
    for (const series of dump) {
      const original = whole.find(({ labels }) => JSON.stringify(labels) === JSON.stringify(series.labels))!;
      // Deletions that were lost leave samples that the whole log has not; all others are those of the whole log.
      // Of histograms count and sum: empty buckets depend on where chunks were cut.
      const seen = (value: unknown): string => (typeof value === 'object' ? `${(value as { count: string }).count} ${(value as { sum: string }).sum}` : (value as string));
      const byTime = (one: typeof series): Map<number, string> => new Map([...one.floats, ...one.histograms].map(([time, value]) => [time, seen(value)]));
      const want = byTime(original);
      const got = [...byTime(series)].filter(([time]) => want.has(time));
      expect(got.length).toBeGreaterThan(0);
      expect(got.flatMap(([time, value]) => (want.get(time) === value ? [] : [[time, value, want.get(time)]]))).toEqual([]);
    }
    const again = open(fs.afterKill());
    expect(again.replay.repair).toBeUndefined();
    expect(sorted(await dumpAll(again.queryable))).toEqual(dump);
    again.close();
    db.close();
  });
});
