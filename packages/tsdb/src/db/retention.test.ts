/** Retention by time and size; files beside the logs that Prometheus leaves. */
import { describe, expect, test } from '@jest/globals';
import { createKernels } from '@gauntlet/kernels';
import type { BlockMeta } from '../block/block-meta.ts';
import { createDb, type Db, type DbHooks, type DbOptions } from '../db.ts';
import { createMemoryFileSystem, type MemoryFileSystem } from '../testing/memory-file-system.ts';
import type { DeletionReason } from './block-set.ts';
import { beyondRetention, type SizedBlock } from './retention.ts';

const HOUR = 3_600_000;
const kernels = createKernels();

/** Blocks of two hours each, `bytes` long, named by their number; '+' in front of a number is one of samples out of order. */
function blocksOf(notation: string, bytes = 100): SizedBlock[] {
  return notation.split(' ').map((name) => {
    const end = Number(name) * 2;
    const meta: BlockMeta = {
      ulid: name,
      minTime: (end - 2) * HOUR,
      maxTime: end * HOUR,
      stats: { numSamples: 1, numSeries: 1, numChunks: 1 },
      compaction: { level: 1, sources: [], ...(name.startsWith('+') && { hints: ['from-out-of-order'] }) },
      version: 1,
    };
    return { meta, bytes };
  });
}

describe('what is past retention', () => {
  const cases: { name: string; blocks: string; headBytes?: number; retentionMs?: number; retentionBytes?: number; want: Record<string, string> }[] = [
    { name: 'no limits', blocks: '1 2 3', want: {} },
    { name: 'no blocks end so long before the newest', blocks: '1 2 3', retentionMs: 4 * HOUR + 1, want: {} },
    { name: 'exactly as old', blocks: '1 2 3', retentionMs: 4 * HOUR, want: { 1: 'time' } },
    { name: 'a single block is never too old', blocks: '1', retentionMs: 1, want: {} },
    { name: 'exactly as large', blocks: '1 2 3', retentionBytes: 300, want: {} },
    { name: 'a byte too large', blocks: '1 2 3', retentionBytes: 299, want: { 1: 'size' } },
    { name: 'the head counts first', blocks: '1 2 3', headBytes: 150, retentionBytes: 350, want: { 1: 'size' } },
    { name: 'the newest in order stays', blocks: '1 2 3', headBytes: 1000, retentionBytes: 350, want: { 1: 'size', 2: 'size' } },
    { name: 'a newer one of late samples does not count as that', blocks: '1 2 +3', retentionBytes: 50, want: { 1: 'size', '+3': 'size' } },
    { name: 'time is named where both apply', blocks: '1 2 3', retentionMs: 4 * HOUR, retentionBytes: 150, want: { 1: 'time', 2: 'size' } },
  ];
  test.each(cases)('$name', ({ blocks, headBytes = 0, retentionMs = 0, retentionBytes = 0, want }) => {
    expect(Object.fromEntries(beyondRetention(blocksOf(blocks), headBytes, { retentionMs, retentionBytes }))).toEqual(want);
  });
});

function open(fs: MemoryFileSystem, options: DbOptions, hooks: DbHooks = {}): Db {
  return createDb({ fs, dir: 'data', kernels, clock: Date, random: Math.random, hooks }, options);
}

function fill(db: Db, fromMs: number, toMs: number): void {
  for (let time = fromMs; time < toMs; time += 60_000) {
    const appender = db.appender();
    for (const name of ['a', 'b', 'c']) appender.append(0, ['__name__', name], time, Math.random());
    appender.commit();
  }
}

test('size: oldest blocks go until blocks and logs fit, unless they are held back; the reason is told', () => {
  const fs = createMemoryFileSystem();
  let db = open(fs, {});
  fill(db, 0, 12 * HOUR);
  db.compactHead({ force: true });
  const { headDiskBytes, blockBytes } = db.stats();
  expect(db.blocks()).toHaveLength(6);
  expect(headDiskBytes).toBe([...fs.snapshot()].filter(([path]) => path.includes('/wal/')).reduce((sum, [, data]) => sum + data.length, 0));
  db.close();

  const reasons: [number, DeletionReason][] = [];
  const held = new Set([2 * HOUR]);
  const hooks: DbHooks = { canDeleteBlock: ({ minTime }) => !held.has(minTime), onBlockDeleted: ({ minTime }, reason) => reasons.push([minTime / HOUR, reason]) };
  db = open(fs, { retentionBytes: headDiskBytes + blockBytes * 0.6 }, hooks);
  db.reloadBlocks();
  expect(reasons).toEqual([[0, 'size'], [4, 'size']]);
  expect(db.stats().blocksDeleted).toEqual({ time: 0, size: 2, replaced: 0, deletable: 0 });
  held.clear();
  db.reloadBlocks();
  expect(reasons.slice(2)).toEqual([[2, 'size']]);
  expect(db.blocks().map(({ meta }) => meta.minTime / HOUR)).toEqual([6, 8, 10]);
  db.close();
});

test('a block marked deletable goes when blocks are loaded, and so does one whose child is here', () => {
  const fs = createMemoryFileSystem();
  let db = open(fs, {});
  fill(db, 0, 8 * HOUR);
  db.compactHead({ force: true });
  const [first, second, third] = db.blocks().map(({ meta }) => meta);
  db.close();
  const edit = (ulid: string, change: (compaction: Record<string, unknown>) => void): void => {
    const json = JSON.parse(new TextDecoder().decode(fs.snapshot().get(`data/${ulid}/meta.json`))) as { compaction: Record<string, unknown> };
    change(json.compaction);
    fs.seed(`data/${ulid}/meta.json`, new TextEncoder().encode(JSON.stringify(json)));
  };
  edit(first!.ulid, (compaction) => (compaction['deletable'] = true));
  edit(third!.ulid, (compaction) => (compaction['parents'] = [{ ulid: second!.ulid, minTime: second!.minTime, maxTime: second!.maxTime }]));
  // The parent cannot be read any more: what replaces it is whole.
  fs.seed(`data/${second!.ulid}/index`, new Uint8Array(10));
  const reasons: [string, DeletionReason][] = [];
  db = open(fs, {}, { onBlockDeleted: ({ ulid }, reason) => reasons.push([ulid, reason]) });
  expect(reasons).toEqual([[first!.ulid, 'deletable']]);
  expect(db.damagedBlocks()).toEqual([]);
  expect(db.blocks().map(({ meta }) => meta.minTime / HOUR)).toEqual([4, 6]);
  expect(fs.list('data')).not.toContain(second!.ulid);
  db.close();
});

describe("Prometheus' copies of the log", () => {
  const copies = ['chunk_snapshot.000000.0000001234/00000000', 'chunks_head/000001'];
  const left = (fs: MemoryFileSystem): string[] => fs.list('data').filter((name) => name.startsWith('chunk'));
  const withCopies = (hours: number): MemoryFileSystem => {
    const fs = createMemoryFileSystem();
    const db = open(fs, {});
    fill(db, 0, hours * HOUR);
    db.close();
    for (const path of copies) fs.seed(`data/${path}`, new Uint8Array(100));
    return fs;
  };

  test('are passed over: the log has everything; they go when a block is cut', () => {
    const fs = withCopies(4);
    const db = open(fs, {});
    expect(db.replay).toMatchObject({ samples: 3 * 240, repair: undefined });
    expect(left(fs)).toEqual(['chunk_snapshot.000000.0000001234', 'chunks_head']);
    db.compactHead({ force: true });
    expect(left(fs)).toEqual([]);
    db.close();
  });

  test('a snapshot goes when the log was repaired: its place in the log is no longer that', () => {
    const fs = withCopies(1);
    const path = 'data/wal/00000000';
    const log = fs.snapshot().get(path)!;
    fs.seed(path, log.subarray(0, log.length - 3));
    const db = open(fs, {});
    expect(db.replay.repair).toMatchObject({ isTornTail: true });
    expect(left(fs)).toEqual(['chunks_head']);
    db.close();
  });
});
