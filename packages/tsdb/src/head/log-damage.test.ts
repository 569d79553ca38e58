/**
 * Damaged logs: torn, cut, flipped, missing and empty segments of both logs and of checkpoints. What was logged before the damage is there, what
 * comes after it may be lost and then the report says so, nothing is there that was not given. Where Prometheus stops and asks for a hand, so
 * does this, and leaves every file as it is. Source: Prometheus tsdb/head.go, `Init`; tsdb/wlog/wlog.go, `Repair`.
 *
 * Every third byte, one bit of it; GAUNTLET_FUZZ_RUNS set: every length, every bit of every byte.
 */
import { describe, expect, test } from '@jest/globals';
import { createKernels } from '@gauntlet/kernels';
import { createHistogram, createMatcher, type Labels } from '@gauntlet/model';
import { createDb, type Db, type DbOptions } from '../db.ts';
import { createMemoryFileSystem, type MemoryFileSystem } from '../testing/memory-file-system.ts';

const kernels = createKernels();
const WINDOW_MS = 10_000;
const IS_LONG = process.env['GAUNTLET_FUZZ_RUNS'] !== undefined;
const STEP = IS_LONG ? 1 : 3;

function open(fs: MemoryFileSystem, options: DbOptions = {}): Db {
  const deps = { fs, dir: 'data', kernels, clock: { now: () => 1_700_000_000_000 }, random: Math.random };
  return createDb(deps, { outOfOrderWindowMs: WINDOW_MS, walSegmentBytes: 32768, walCompression: 'none', exemplars: 10, ...options });
}

const labelsOf = (series: number): Labels => ['__name__', 'm', 'i', String(series), 'path', '/a/'.repeat(5)];

/** Sample as text: series, time, value. */
type Found = Set<string>;

async function read(db: Db): Promise<Found> {
  const found: Found = new Set();
  let count = 0;
  for await (const batch of db.queryable.select({ matchers: [createMatcher('=', '__name__', 'm')], mint: -1e15, maxt: 1e15 })) {
    for (const [i, labels] of batch.labels.entries()) {
      for (let s = batch.offsets[i]!; s < batch.offsets[i + 1]!; s++) {
        const id = batch.histograms?.ids[s] ?? -1;
        found.add(`${labels[3]} ${batch.timestampsMs[s]} ${id < 0 ? batch.values[s] : `histogram ${batch.histograms!.get(id).sum}`}`);
        count++;
      }
    }
  }
  expect(found.size).toBe(count);
  return found;
}

/** How long both logs were when a sample had been acknowledged. */
interface Logged {
  readonly sample: string;
  readonly walBytes: number;
  readonly wblBytes: number;
}

const WAL = 'data/wal/00000000';
const WBL = 'data/wbl/00000000';

/** Eight commits of floats, histograms and late samples; the process is then killed. */
function smallLogs(options: DbOptions): { readonly fs: MemoryFileSystem; readonly logged: readonly Logged[] } {
  const fs = createMemoryFileSystem();
  const db = open(fs, options);
  const logged: Logged[] = [];
  for (let i = 0; i < 7; i++) {
    const appender = db.appender();
    const given: string[] = [];
    const timeMs = 20_000 + i * 1000;
    for (const series of [0, i % 3]) {
      if (given.length > 0 && series === 0) continue;
      appender.append(0, labelsOf(series), timeMs, i + series / 10);
      given.push(`${series} ${timeMs} ${i + series / 10}`);
    }
    const buckets = { positiveSpans: [{ offset: i % 2, length: 1 }], positiveBuckets: Float64Array.of(i) };
    appender.appendHistogram(0, labelsOf(9), timeMs, createHistogram({ count: i, sum: i, ...buckets }));
    given.push(`9 ${timeMs} histogram ${i}`);
    if (i > 3) {
      appender.append(0, labelsOf(0), timeMs - 4500, -i);
      given.push(`0 ${timeMs - 4500} ${-i}`);
    }
    appender.appendExemplar(0, labelsOf(0), { labels: ['trace', `t${i}`], value: i, timeMs });
    appender.setMetadata(0, labelsOf(0), { type: 'counter', unit: '', help: `help ${i}` });
    appender.commit();
    const files = fs.snapshot();
    for (const sample of given) logged.push({ sample, walBytes: files.get(WAL)!.length, wblBytes: files.get(WBL)!.length });
  }
  return { fs: fs.afterKill(), logged };
}

/** Opens what is there. @returns what was found, and whether the reports tell of a loss */
async function reopen(fs: MemoryFileSystem): Promise<{ readonly found: Found; readonly tells: boolean; readonly torn: boolean | undefined }> {
  const db = open(fs);
  const found = await read(db);
  const { repair, skippedRecords, unknownRefs, outOfOrder } = db.replay;
  const tells = [repair, outOfOrder?.repair].some((one) => one !== undefined) || skippedRecords.size + (outOfOrder?.skippedRecords.size ?? 0) > 0 || unknownRefs > 0 || (outOfOrder?.unknownRefs ?? 0) > 0;
  db.close();
  return { found, tells, torn: (repair ?? outOfOrder?.repair)?.isTornTail };
}

describe.each([
  { name: 'plain', options: { walCompression: 'none' as const } },
  { name: 'snappy', options: { walCompression: 'snappy' as const } },
])('small logs, $name', ({ options }) => {
  const { fs, logged } = smallLogs(options);
  const all = new Set(logged.map(({ sample }) => sample));
  const files = fs.snapshot();

  /** Opens the logs with one of them replaced. */
  const withFile = (path: string, data: Uint8Array): MemoryFileSystem => {
    const copy = createMemoryFileSystem();
    for (const [name, bytes] of files) copy.seed(name, name === path ? data : bytes);
    return copy;
  };
  const expectBefore = (path: string, at: number, found: Found, tells: boolean): void => {
    const wrong: string[] = [];
    for (const sample of found) if (!all.has(sample)) wrong.push(`${path} at ${at}: ${sample} was not given`);
    for (const { sample, walBytes, wblBytes } of logged) {
      if ((path === WAL ? walBytes : wblBytes) <= at && !found.has(sample) && (path === WAL || walBytes > 0)) wrong.push(`${path} at ${at}: ${sample} was logged before`);
    }
    if (found.size < all.size && !tells) wrong.push(`${path} at ${at}: ${all.size - found.size} samples are missing, and nobody says so`);
    expect(wrong.slice(0, 5)).toEqual([]);
  };

  test.each([WAL, WBL])('cut at any length: %s', async (path) => {
    const whole = files.get(path)!;
    const ends = new Set(logged.map((one) => (path === WAL ? one.walBytes : one.wblBytes)));
    for (let bytes = 0; bytes < whole.length; bytes += STEP) {
      const { found, tells, torn } = await reopen(withFile(path, whole.subarray(0, bytes)));
      // What was cut off between two records was never there, as far as anybody can know.
      expectBefore(path, bytes, found, tells || torn === undefined);
      if (!ends.has(bytes) && torn !== undefined) expect([path, bytes, torn]).toEqual([path, bytes, true]);
    }
  });

  test.each([WAL, WBL])('flipped at any place: %s', async (path) => {
    const whole = files.get(path)!;
    for (let at = 0; at < whole.length; at += STEP) {
      for (let bit = 0; bit < 8; bit++) {
        if (!IS_LONG && bit !== (at + (at >>> 3)) % 8) continue;
        const damaged = whole.slice();
        damaged[at]! ^= 1 << bit;
        const copy = withFile(path, damaged);
        const { found, tells } = await reopen(copy);
        expectBefore(path, at, found, tells);
        if (at % 16 > 0) continue;
        // What was repaired is in order from then on.
        const again = await reopen(copy);
        expect([path, at, [...again.found].sort()]).toEqual([path, at, [...found].sort()]);
      }
    }
  });
});

/** A log with a checkpoint and several segments after it, of one float series; times rise by 100 ms. Killed. */
function longLog(): { readonly fs: MemoryFileSystem; readonly all: Found; readonly segments: readonly string[]; readonly checkpoint: string } {
  const fs = createMemoryFileSystem();
  const options = { blockRangeMs: 1000, outOfOrderWindowMs: WINDOW_MS };
  const all: Found = new Set();
  let db = open(fs, options);
  for (let i = 0; i < 60; i++) {
    const appender = db.appender();
    appender.append(0, labelsOf(0), i * 100, i);
    all.add(`0 ${i * 100} ${i}`);
    if (i % 10 === 9) {
      appender.append(0, labelsOf(0), i * 100 - 550, -i);
      all.add(`0 ${i * 100 - 550} ${-i}`);
    }
    appender.commit();
    if (i % 20 === 15) {
      db.compactHead();
      // Each opening begins a segment.
      db.close();
      db = open(fs, options);
    }
    if (i > 55) {
      db.close();
      db = open(fs, options);
    }
  }
  const names = [...fs.snapshot().keys()];
  const checkpoint = names.findLast((name) => name.includes('/checkpoint.'))!;
  return { fs: fs.afterKill(), all, segments: names.filter((name) => /wal\/\d+$/.test(name)), checkpoint };
}

describe('segments and checkpoints', () => {
  const { fs: whole, all, segments, checkpoint } = longLog();
  const files = whole.snapshot();
  const seeded = (change: (fs: MemoryFileSystem) => void): MemoryFileSystem => {
    const fs = createMemoryFileSystem();
    for (const [path, data] of files) fs.seed(path, data);
    change(fs);
    return fs;
  };
  const flip = (fs: MemoryFileSystem, path: string, at: number): void => {
    const data = fs.snapshot().get(path)!.slice();
    data[at < 0 ? data.length + at : at]! ^= 0x10;
    fs.seed(path, data);
  };
  const options = { blockRangeMs: 1000 };

  test('the log has what the cases need', async () => {
    expect(segments.length).toBeGreaterThan(4);
    expect(checkpoint).toMatch(/checkpoint\.\d{8}\/00000000$/);
    const db = open(seeded(() => undefined), options);
    expect(await read(db)).toEqual(all);
    expect(db.replay.repair).toBeUndefined();
    db.close();
  });

  const harmless: readonly { readonly name: string; readonly change: (fs: MemoryFileSystem) => void }[] = [
    { name: 'a checkpoint that was not completed', change: (fs) => fs.seed(`data/wal/checkpoint.${'9'.padStart(8, '0')}.tmp/00000000`, Uint8Array.of(1, 2, 3)) },
    { name: 'an older checkpoint that is damaged', change: (fs) => fs.seed('data/wal/checkpoint.00000000/00000000', Uint8Array.of(1, 2, 3)) },
    { name: 'segments that the checkpoint covers, damaged', change: (fs) => fs.seed('data/wal/00000000', Uint8Array.of(1, 2, 3)) },
    { name: 'an empty segment at the end', change: (fs) => fs.seed(segments.at(-1)!, new Uint8Array(0)) },
    { name: 'zeros behind the last record', change: (fs) => fs.seed(segments.at(-1)!, Uint8Array.from([...files.get(segments.at(-1)!)!, ...new Uint8Array(5000)])) },
    { name: 'files that are no segments', change: (fs) => fs.seed('data/wal/notes.txt', Uint8Array.of(1)) },
  ];
  test.each(harmless)('$name: nothing is lost', async ({ change }) => {
    const fs = seeded(change);
    const db = open(fs, options);
    expect(await read(db)).toEqual(all);
    expect(db.replay.repair).toBeUndefined();
    expect(fs.list('data/wal').filter((name) => name.endsWith('.tmp'))).toEqual([]);
    db.close();
  });

  const first = segments.find((path) => files.get(path)!.length > 0)!;
  const cut = [
    { name: 'the last segment torn', path: segments.at(-2)!, damage: (fs: MemoryFileSystem) => fs.seed(segments.at(-2)!, files.get(segments.at(-2)!)!.subarray(0, -3)) },
    { name: 'a segment in the middle flipped', path: segments.at(-3)!, damage: (fs: MemoryFileSystem) => flip(fs, segments.at(-3)!, -1) },
    { name: 'the first segment flipped in its first record', path: first, damage: (fs: MemoryFileSystem) => flip(fs, first, 3) },
  ];
  test.each(cut)('$name: the log ends there, later segments go, the report says what it cost; killed anywhere on the way, too', async ({ path, damage }) => {
    const fs = seeded(damage);
    const db = open(fs, options);
    const found = await read(db);
    const at = segments.indexOf(path);
    const later = segments.slice(at + 1);
    const { repair } = db.replay;
    expect(repair).toMatchObject({ segment: Number(path.slice(-8)), lostSegments: later.length, reason: expect.stringContaining(path) });
    const sizeOf = (name: string): number => fs.stat(name)?.bytes ?? 0;
    expect(repair!.goodBytes).toBe(sizeOf(path));
    const damaged = seeded(damage).snapshot();
    expect(repair!.lostBytes).toBe(damaged.get(path)!.length - repair!.goodBytes + later.reduce((sum, name) => sum + damaged.get(name)!.length, 0));
    expect([...found].filter((sample) => !all.has(sample))).toEqual([]);
    expect(found.size).toBeLessThan(all.size);
    db.close();
    for (let n = 0; ; n++) {
      const hit = seeded(damage);
      hit.stopAt(n);
      let isOpen = true;
      try {
        open(hit, options);
      } catch (error) {
        expect((error as Error).message).toMatch(/^ESTOPPED/);
        isOpen = false;
      }
      const again = open(hit.afterKill(), options);
      expect(await read(again)).toEqual(found);
      again.close();
      if (isOpen) break;
      expect(n).toBeLessThan(100);
    }
  });

  const refused = [
    { name: 'a segment in the middle is missing', change: (fs: MemoryFileSystem) => fs.remove(segments.at(-2)!), message: /segment is missing, next is/ },
    { name: 'the segment behind the checkpoint is missing', change: (fs: MemoryFileSystem) => fs.remove(segments[0]!), message: /segment is missing, next is/ },
    { name: 'the checkpoint is flipped', change: (fs: MemoryFileSystem) => flip(fs, checkpoint, -1), message: /checkpoint\.\d{8}\/00000000: offset \d+: unexpected checksum/ },
    { name: 'the checkpoint is cut off', change: (fs: MemoryFileSystem) => fs.seed(checkpoint, files.get(checkpoint)!.subarray(0, -1)), message: /checkpoint\.\d{8}\/00000000: offset \d+: fragment of \d+ bytes is cut off/ },
    { name: 'the checkpoint is gone', change: (fs: MemoryFileSystem) => fs.remove(checkpoint.slice(0, -9)), message: /segment is missing, next is/ },
    { name: 'a segment of late samples is missing', change: (fs: MemoryFileSystem) => fs.seed('data/wbl/00000099', new Uint8Array(0)), message: /wbl\/.*segment is missing, next is 00000099/ },
  ];
  test.each(refused)('$name: refused by name, every file is left as it is', ({ change, message }) => {
    const fs = seeded(change);
    const before = fs.snapshot();
    for (let i = 0; i < 2; i++) {
      expect(() => open(fs, options)).toThrow(expect.objectContaining({ code: 'ERR_WAL_CORRUPT', message: expect.stringMatching(message) }));
      expect([...fs.snapshot()].map(([path, data]) => [path, data.length])).toEqual([...before].map(([path, data]) => [path, data.length]));
    }
    expect(fs.openHandles()).toBe(0);
  });

  test('the newest segments are missing: nobody can know, and what is there is right', async () => {
    const fs = seeded((one) => one.remove(segments.at(-1)!));
    fs.remove(segments.at(-2)!);
    const db = open(fs, options);
    const found = await read(db);
    expect([...found].filter((sample) => !all.has(sample))).toEqual([]);
    expect(found.size).toBeLessThan(all.size);
    db.close();
  });
});

test('late samples whose series was lost with the log do not come back under the next series', async () => {
  const fs = createMemoryFileSystem();
  const append = (db: Db, series: number, samples: readonly (readonly [number, number])[]): void => {
    for (const [timeMs, value] of samples) {
      const appender = db.appender();
      appender.append(0, labelsOf(series), timeMs, value);
      appender.commit();
    }
  };
  let db = open(fs);
  append(db, 0, [[20_000, 1]]);
  const kept = fs.snapshot().get(WAL)!.length;
  append(db, 1, [[20_000, 2], [15_000, 3]]);
  const killed = fs.afterKill();
  killed.seed(WAL, killed.snapshot().get(WAL)!.subarray(0, kept + 5));
  db = open(killed);
  expect(db.replay).toMatchObject({ repair: { isTornTail: true }, outOfOrder: { samples: 0, unknownRefs: 1 } });
  append(db, 2, [[21_000, 4]]);
  db = open(killed.afterKill());
  expect(await read(db)).toEqual(new Set(['0 20000 1', '2 21000 4']));
  db.close();
});
