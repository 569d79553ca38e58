/** `tools tsdb verify`: whole blocks and logs pass, damage anywhere is named. */
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from '@jest/globals';
import { failureOf, runTsdb } from './testing/tsdb-run.ts';

const here = import.meta.dirname;
const recorded = join(here, '../../tsdb/testdata/tsdb/out-of-order');
const BLOCK = '01M7YE52R52J657BX634MGZV5Q';
const root = mkdtempSync(join(tmpdir(), 'gauntlet-tsdb-verify-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let database: string;
beforeEach(() => {
  database = mkdtempSync(join(root, 'case-'));
});
const copy = (): void => cpSync(recorded, database, { recursive: true, filter: (path) => !path.endsWith('.jsonl') });
const verify = (...argv: string[]): ReturnType<typeof runTsdb> => runTsdb(['verify', ...argv], { tmpDir: root });

test('whole blocks, and time they share', async () => {
  copy();
  const { code, out } = await verify(database);
  expect(code).toBe(0);
  expect(out).toBe(
    [
      '01M7YE52MFGPV23G9EMV9RTNEY: sound; 1 series, 1 chunks, 60 samples; 0 damaged, 0 faults, 0 notes',
      '01M7YE52QVBTTX0664A4061EX1: sound; 2 series, 2 chunks, 156 samples; 0 damaged, 0 faults, 0 notes',
      '01M7YE52P9XJYVPFBPJAT2HXJ8: sound; 2 series, 2 chunks, 84 samples; 0 damaged, 0 faults, 0 notes',
      '01M7YE52R52J657BX634MGZV5Q: sound; 3 series, 3 chunks, 147 samples; 0 damaged, 0 faults, 0 notes',
      'note: 01M7YE52R52J657BX634MGZV5Q and 01M7YE52P9XJYVPFBPJAT2HXJ8 share 2h0m0s',
      '4 blocks verified; nothing is wrong',
      '',
    ].join('\n'),
  );
});

test('a log, whole, torn and damaged', async () => {
  cpSync(join(here, '../../tsdb/testdata/wal/snappy/storage/wal'), join(database, 'wal'), { recursive: true });
  expect((await verify(database)).out).toMatch(/^write-ahead log: sound; \d+ series, \d+ chunks\n0 blocks verified; nothing is wrong\n$/);
  const segments = readdirSync(join(database, 'wal')).filter((name) => /^\d{8}$/.test(name)).sort();
  const last = join(database, 'wal', segments.at(-1)!);
  const bytes = readFileSync(last);
  writeFileSync(last, bytes.subarray(0, Math.floor(bytes.length / 2)));
  const torn = await verify(database);
  expect(torn.code).toBe(0);
  expect(torn.out).toMatch(/sound; .*\n {2}note segment \d+, offset \d+: .*a write that was cut off/);
  const flipped = Buffer.from(bytes);
  flipped[100]! ^= 1;
  writeFileSync(last, flipped);
  const damaged = await verify(database);
  expect(damaged.code).toBe(1);
  expect(damaged.out).toMatch(/write-ahead log: damaged; .*\n {2}damage segment \d+, offset \d+: .*not what was written, \d+ bytes/);
});

test('a log whose series are named nowhere, and a second log that is damaged', async () => {
  const log = join(here, '../../tsdb/testdata/wal/snappy/storage');
  for (const dir of ['wal', 'wbl']) cpSync(join(log, dir), join(database, dir), { recursive: true });
  const late = readdirSync(join(database, 'wbl')).map((name) => join(database, 'wbl', name)).find((path) => readFileSync(path).length > 0)!;
  const bytes = readFileSync(late);
  bytes[9]! ^= 1;
  writeFileSync(late, bytes);
  const damaged = await verify(database);
  expect(damaged.code).toBe(1);
  expect(damaged.out).toMatch(/write-ahead log: damaged; .*\n {2}damage samples out of order, segment \d+, offset 0: .*unexpected checksum.*not what was written, \d+ bytes/);
  writeFileSync(join(database, 'wal', '00000000'), '');
  const nameless = await verify(database);
  expect(nameless.out).toMatch(/\n {2}note \d+ samples and other entries are left out, because no record names their series\n/);
});

test.each([['an empty folder', []], ['a folder of something else', ['storage']]])('%s: neither blocks nor a log', async (_name, dirs) => {
  for (const dir of dirs) mkdirSync(join(database, dir));
  const run = await verify(database);
  expect([run.code, failureOf(run)]).toEqual([1, `verify ${database}: there are no blocks and no write-ahead log in it`]);
});

describe('damage', () => {
  test.each<{ name: string; file: string; change: (bytes: Buffer) => Buffer; finding: RegExp }>([
    { name: 'a chunk', file: 'chunks/000001', change: (bytes) => flip(bytes, 20), finding: /damage CHUNK_UNREADABLE chunks\/000001, .*offset 8, \{__name__=".*"\}: .*invalid checksum/ },
    { name: 'the head of a segment', file: 'chunks/000001', change: (bytes) => flip(bytes, 0), finding: /damage CHUNK_UNREADABLE chunks\/000001, .*offset 0: .*magic/ },
    { name: 'a segment that is cut off', file: 'chunks/000001', change: (bytes) => bytes.subarray(0, bytes.length - 3), finding: /damage CHUNK_UNREADABLE chunks\/000001/ },
    { name: 'a series entry', file: 'index', change: (bytes) => flip(bytes, Math.ceil(tocOf(bytes).series / 16) * 16 + 2), finding: /damage SERIES_UNREADABLE index, series, offset 64: .*invalid checksum/ },
    { name: 'the TOC', file: 'index', change: (bytes) => flip(bytes, bytes.length - 1), finding: /damage INDEX_UNREADABLE index, TOC/ },
    { name: 'tombstones', file: 'tombstones', change: (bytes) => flip(bytes, bytes.length - 1), finding: /damage TOMBSTONES_UNREADABLE tombstones/ },
    { name: 'counts', file: 'meta.json', change: (bytes) => Buffer.from(bytes.toString().replace('"numSamples": 147', '"numSamples": 148')), finding: /fault META_STATS meta\.json/ },
    { name: 'the range', file: 'meta.json', change: (bytes) => Buffer.from(bytes.toString().replace('"minTime": 1772424000000', '"minTime": 1772424900000')), finding: /fault CHUNKS_OUTSIDE index/ },
    { name: 'meta.json', file: 'meta.json', change: () => Buffer.from('{'), finding: /damage META_UNREADABLE meta\.json/ },
  ])('$name', async ({ file, change, finding }) => {
    copy();
    const path = join(database, BLOCK, file);
    const bytes = readFileSync(path);
    const changed = change(Buffer.from(bytes));
    expect(changed.equals(bytes)).toBe(false);
    writeFileSync(path, changed);
    const run = await verify(database);
    expect(failureOf(run)).toBe(`verify ${database}: wrong: 1 of 4 blocks; see the report`);
    const report = run.out.slice(run.out.indexOf(`${BLOCK}: `));
    expect(report.split(/\n(?! )/)[0]).toMatch(finding);
    expect(run.out).toContain('4 blocks verified; wrong: 1 of 4 blocks\n');
  });

  test('every byte of a block: told, or in what no checksum covers', async () => {
    copy();
    const dir = join(database, BLOCK);
    for (const file of ['index', 'chunks/000001', 'tombstones']) {
      const bytes = readFileSync(join(dir, file));
      const unnoticed: number[] = [];
      for (let at = 0; at < bytes.length; at += 3) {
        writeFileSync(join(dir, file), flip(Buffer.from(bytes), at));
        if ((await verify(dir)).code === 0) unnoticed.push(at);
      }
      writeFileSync(join(dir, file), bytes);
      // Padding of segment heads, and of series entries to 16 bytes.
      const allowed = file === 'index' ? paddingOf(bytes) : file === 'chunks/000001' ? [5, 6, 7] : [];
      expect(unnoticed.filter((at) => !allowed.includes(at))).toEqual([]);
    }
  });
});

test('one block by its id, or by its folder', async () => {
  copy();
  expect((await verify(database, BLOCK)).out).toBe(`${BLOCK}: sound; 3 series, 3 chunks, 147 samples; 0 damaged, 0 faults, 0 notes\n1 block verified; nothing is wrong\n`);
  expect((await verify(join(database, BLOCK))).out).toContain('1 block verified; nothing is wrong');
  expect(failureOf(await verify(database, 'X'))).toBe(`look for block X in ${database}: it is not there`);
});

function flip(bytes: Buffer, at: number): Buffer {
  bytes[at]! ^= 0x10;
  return bytes;
}

/** Where the series begin and end, from the table of contents. */
function tocOf(index: Buffer): { readonly series: number; readonly end: number } {
  return { series: Number(index.readBigUInt64BE(index.length - 44)), end: Number(index.readBigUInt64BE(index.length - 36)) };
}

/** Offsets of what fills up series entries: zeros, at least two in a row. */
function paddingOf(index: Buffer): number[] {
  const { series, end } = tocOf(index);
  const padding: number[] = [];
  for (let at = series; at < end; at++) if (index[at] === 0 && (index[at - 1] === 0 || index[at + 1] === 0)) padding.push(at);
  return padding;
}
