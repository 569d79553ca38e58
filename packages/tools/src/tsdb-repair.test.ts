/** `tools tsdb repair`: a faulty block becomes a sound one beside it; what cannot be repaired is refused, and nothing is written then. */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createNodeFileSystem } from '@gauntlet/service-kit';
import { failureOf, runTsdb } from './testing/tsdb-run.ts';

const recorded = join(import.meta.dirname, '../../tsdb/testdata/tsdb/out-of-order');
const BLOCK = '01M7YE52R52J657BX634MGZV5Q';
const NEW_ID = /[0-9A-HJKMNP-TV-Z]{26}/;
const root = mkdtempSync(join(tmpdir(), 'gauntlet-tsdb-repair-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let database: string;
let block: string;
beforeEach(() => {
  database = mkdtempSync(join(root, 'case-'));
  block = join(database, BLOCK);
  cpSync(join(recorded, BLOCK), block, { recursive: true });
});
const repair = (...argv: string[]): ReturnType<typeof runTsdb> => runTsdb(['repair', ...argv], { tmpDir: root });
const verify = (path: string): ReturnType<typeof runTsdb> => runTsdb(['verify', path], { tmpDir: root });
const change = (file: string, edit: (bytes: Buffer) => Buffer): void => writeFileSync(join(block, file), edit(readFileSync(join(block, file))));
const flip = (at: number) => (bytes: Buffer): Buffer => {
  bytes[at < 0 ? bytes.length + at : at]! ^= 0x10;
  return bytes;
};
/** Contents by path. */
const filesOf = (dir: string): ReadonlyMap<string, string> =>
  new Map(readdirSync(dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => [join(entry.parentPath, entry.name), readFileSync(join(entry.parentPath, entry.name)).toString('hex')]));

/** Wrong counts in meta.json: a fault, nothing is damaged. */
const miscount = (): void => change('meta.json', (bytes) => Buffer.from(bytes.toString().replace('"numSamples": 147', '"numSamples": 148')));
/** A damaged chunk. */
const damageChunk = (): void => change('chunks/000001', flip(20));

test('a sound block is left alone', async () => {
  const before = filesOf(database);
  const { code, out } = await repair(block);
  expect([code, out]).toEqual([0, `${BLOCK}: sound; 3 series, 3 chunks, 147 samples; 0 damaged, 0 faults, 0 notes\nnothing to repair\n`]);
  expect(filesOf(database)).toEqual(before);
});

test('a faulty block: a new one beside it, sound, with all its samples; the old one as it was', async () => {
  miscount();
  const before = filesOf(block);
  const { code, out } = await repair(`${block}/`);
  expect(code).toBe(0);
  expect(out).toMatch(new RegExp(`^${BLOCK}: faulty; .*\\n {2}fault META_STATS meta\\.json, stats: .*\\nrepaired into ${database}/${NEW_ID.source}: 3 series, 3 chunks, 147 samples; 0 changes\\n$`));
  const made = readdirSync(database).find((name) => name !== BLOCK)!;
  expect((await verify(join(database, made))).out).toBe(`${made}: sound; 3 series, 3 chunks, 147 samples; 0 damaged, 0 faults, 0 notes\n1 block verified; nothing is wrong\n`);
  const dump = async (path: string): Promise<string> => (await runTsdb(['dump', path], { tmpDir: root })).out;
  const wanted = mkdtempSync(join(root, 'whole-'));
  cpSync(join(recorded, BLOCK), join(wanted, BLOCK), { recursive: true });
  const repaired = mkdtempSync(join(root, 'repaired-'));
  cpSync(join(database, made), join(repaired, made), { recursive: true });
  for (const dir of [wanted, repaired]) mkdirSync(join(dir, 'wal'));
  expect(await dump(repaired)).toBe(await dump(wanted));
  expect(filesOf(block)).toEqual(before);
});

test('damaged chunks are left out only when told, and named', async () => {
  damageChunk();
  const before = filesOf(database);
  const refused = await repair(block);
  expect(refused.code).toBe(1);
  expect(failureOf(refused)).toMatch(new RegExp(`^repair block ${BLOCK}: .*invalid checksum.*; --drop-damaged leaves out what cannot be read$`));
  expect(filesOf(database)).toEqual(before);
  const { code, out } = await repair('--drop-damaged', block);
  expect(code).toBe(0);
  expect(out).toMatch(/\nrepaired into .*: 2 series, 2 chunks, \d+ samples; \d+ changes?\n {2}lost \{__name__=".*"\}: /);
  const made = readdirSync(database).find((name) => name !== BLOCK)!;
  expect((await verify(join(database, made))).code).toBe(0);
});

test('a dry run says the same, and writes nothing', async () => {
  damageChunk();
  const before = filesOf(database);
  const { code, out } = await repair('--dry-run', '--drop-damaged', block);
  expect(code).toBe(0);
  expect(out).toMatch(/\nwould be repaired, nothing is written: 2 series, 2 chunks, \d+ samples; \d+ changes?\n {2}lost /);
  expect(filesOf(database)).toEqual(before);
  expect(readdirSync(root).filter((name) => name.includes('sandbox'))).toEqual([]);
  expect((await repair('--dry-run', block)).code).toBe(1);
});

test('another folder for the new block', async () => {
  miscount();
  const outDir = mkdtempSync(join(root, 'out-'));
  expect((await repair('--output-dir', outDir, block)).out).toContain(`repaired into ${outDir}/`);
  expect(readdirSync(outDir)).toEqual([expect.stringMatching(NEW_ID)]);
  expect(readdirSync(database)).toEqual([BLOCK]);
});

test('the old block goes when told, unless somebody has the database', async () => {
  miscount();
  const lock = createNodeFileSystem().lock(join(database, 'lock'))!;
  const held = await repair('--remove-original', block);
  expect([held.code, failureOf(held)]).toEqual([1, `repair block ${BLOCK}: it cannot be removed: another process has the database (${database}/lock)`]);
  expect(readdirSync(database).filter((name) => name !== 'lock')).toEqual([BLOCK]);
  lock.release();
  const { code, out } = await repair('--remove-original', block);
  expect([code, out.endsWith(`\n${BLOCK} is removed\n`)]).toEqual([0, true]);
  expect(existsSync(block)).toBe(false);
  expect(readdirSync(database).filter((name) => NEW_ID.test(name))).toHaveLength(1);
});

describe('refused, with nothing written', () => {
  test.each<[string, () => string[], RegExp]>([
    ['no such folder', () => [join(database, 'gone')], /^look for a block in .*\/gone: there is no such folder$/],
    ['a file', () => [join(block, 'index')], /^look for a block in .*\/index: it is no folder$/],
    ['a database', () => [database], /^look for a block in .*: there is no meta\.json in it$/],
    ['no such folder for the new block', () => ['--output-dir', join(database, 'gone'), block], /^write the repaired block to .*\/gone: there is no such folder$/],
    ['flags that contradict', () => ['--dry-run', '--remove-original', block], /^--dry-run and --remove-original do not go together$/],
    [
      'meta.json that cannot be read',
      () => {
        change('meta.json', () => Buffer.from('{'));
        return ['--drop-damaged', block];
      },
      /^repair block .*meta\.json/,
    ],
    [
      'a table of contents that cannot be read',
      () => {
        change('index', flip(-1));
        return ['--drop-damaged', block];
      },
      /^repair block .*TOC/,
    ],
    [
      'a downsampled block',
      () => {
        miscount();
        change('meta.json', (bytes) => Buffer.from(bytes.toString().replace(/\}\s*$/, ',"thanos":{"labels":{},"downsample":{"resolution":300000},"source":"compactor"}}')));
        return [block];
      },
      /^repair block .*: downsampled blocks cannot be repaired$/,
    ],
    [
      'a block of which nothing is left',
      () => {
        change('chunks/000001', (bytes) => bytes.map((byte, at) => (at % 20 === 12 ? byte ^ 1 : byte)) as Buffer);
        return ['--drop-damaged', block];
      },
      /^repair block .*: nothing would be left of it$/,
    ],
    [
      'the head of a segment',
      () => {
        change('chunks/000001', flip(0));
        return [block];
      },
      /^repair block .*: segment 000001, offset 0: invalid magic number 95bd40dd$/,
    ],
  ])('%s', async (_name, prepare, message) => {
    const argv = prepare();
    const before = filesOf(database);
    const run = await repair(...argv);
    expect(run.code).toBe(1);
    expect(failureOf(run)).toMatch(message);
    expect(filesOf(database)).toEqual(before);
  });

  test('no path', async () => {
    const run = await repair();
    expect(run.code).not.toBe(0);
    expect(readdirSync(database)).toEqual([BLOCK]);
  });
});
