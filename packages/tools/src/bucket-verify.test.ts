/** `tools bucket verify`: each issue in a bucket that has it, repairs with their backups, and the recorded buckets, which have none. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from '@jest/globals';
import { type Bucket, createFilesystemBucket } from '@gauntlet/objstore';
import { createFaultBucket } from '@gauntlet/objstore/testing';
import { goldenFolder, testBlockId } from '@gauntlet/block/testing';
import { parseThanosMeta, type ThanosMeta } from '@gauntlet/block';
import { createNodeFileSystem } from '@gauntlet/service-kit';
import { createSeriesEntry, openBlock } from '@gauntlet/tsdb';
import { bucketVerify, chooseIssues, ISSUES } from './bucket-verify.ts';
import { type RawBlockSeries, writeRawBlock } from './testing/raw-block.ts';
import { runWith, type ToolRun } from './testing/tool-run.ts';

const root = mkdtempSync(join(tmpdir(), 'gauntlet-verify-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let dir: string;
let backupDir: string;
let tmp: string;
let bucket: Bucket;
let backup: Bucket;
beforeEach(async () => {
  const base = mkdtempSync(join(root, 'case-'));
  [dir, backupDir, tmp] = ['bucket', 'backup', 'tmp'].map((name) => join(base, name)) as [string, string, string];
  createNodeFileSystem().mkdir(tmp);
  bucket = await createFilesystemBucket({ directory: dir });
  backup = await createFilesystemBucket({ directory: backupDir });
});

const id = testBlockId;
const NOW_MS = Date.UTC(2026, 10, 21);
const verify = (...argv: string[]): Promise<ToolRun> => runWith([bucket], ['bucket', 'verify', ...argv], { tmpDir: tmp });
const repair = (...argv: string[]): Promise<ToolRun> => runWith([bucket, backup], ['bucket', 'verify', '-r', ...argv], { tmpDir: tmp, clock: () => NOW_MS, random: () => 0.25 });
const blocksIn = (path: string): string[] => {
  try {
    return readdirSync(path).filter((name) => /^[0-9A-Z]{26}$/.test(name)).sort();
  } catch {
    return [];
  }
};
const found = (run: ToolRun): unknown[] => run.log.filter(({ level, msg }) => level === 'warn' && (msg === 'detected issue' || msg === 'found overlapped blocks' || msg === 'found duplicated blocks')).map(({ id: block, err, overlap, kill }) => [block, err, overlap, kill].filter((part) => typeof part === 'string').join(' '));

const GOOD: RawBlockSeries = { labels: ['a', '1'], chunks: [[1000, 1400, 1], [1500, 1600, 2]] };
const REPAIRABLE: RawBlockSeries[] = [{ labels: ['a', '1'], chunks: [[2000, 2100, 1], [100, 200, 1]] }];
const meta2 = (n: number, more: Partial<ThanosMeta> = {}): ThanosMeta => writeRawBlock(dir, id(n), 6000, 7000, [{ labels: ['a', '2'], chunks: [[6000, 6400, 1]] }], { compaction: { level: 2, sources: [id(6)] }, ...more });

/** All samples' chunks of a block: labels, range, first bytes. */
function contents(path: string): unknown[] {
  const block = openBlock(createNodeFileSystem(), path, { outsideChunks: 'allow' });
  const entry = createSeriesEntry();
  const rows: unknown[] = [];
  for (const ref of block.index.allPostings()) {
    block.index.readSeries(ref, entry);
    rows.push([block.index.labelsOf(entry).join(), ...Array.from({ length: entry.chunkCount }, (_, i) => `${entry.mint[i]}-${entry.maxt[i]}:${Buffer.from(block.chunks.readChunk(entry.refs[i]!).data).toString('hex').slice(-8)}`)]);
  }
  block.close();
  return rows;
}

describe('looking', () => {
  test('a bucket without issues', async () => {
    writeRawBlock(dir, id(1), 1000, 2000, [GOOD]);
    const run = await verify('-i', 'index_known_issues', '-i', 'overlapped_blocks', '-i', 'duplicated_compaction', '-i', 'chunk_data', '--fail-on-issues');
    expect([run.code, found(run)]).toEqual([0, []]);
    expect(run.log).toContainEqual(expect.objectContaining({ msg: 'verify task completed', issues: 0 }));
    expect(readdirSync(tmp)).toEqual([]);
  });

  test('indexes with known issues: exit code 0 as upstream, 1 when told so', async () => {
    writeRawBlock(dir, id(1), 1000, 2000, [GOOD]);
    writeRawBlock(dir, id(2), 2000, 3000, [{ labels: ['a', '1'], chunks: [[2000, 3001, 1]] }]);
    writeRawBlock(dir, id(3), 3000, 4000, [{ labels: ['b', '1', 'a', '1'], chunks: [[3000, 3400, 1]] }]);
    writeRawBlock(dir, id(4), 4000, 5000, [{ labels: ['a', '2'], chunks: [[4000, 4100, 1]] }, { labels: ['a', '1'], chunks: [[4000, 4100, 1]] }]);
    writeRawBlock(dir, id(5), 5000, 6000, [GOOD]);
    writeFileSync(join(dir, id(5), 'index'), 'not an index');
    const run = await verify('-i', 'index_known_issues');
    expect([run.code, ...found(run)]).toEqual([
      0,
      `${id(2)} index of block ${id(2)}: found 1 chunks non-completely outside the block time range`,
      `${id(3)} index of block ${id(3)}: index contains 1 postings with out of order labels`,
      `${id(4)} check index of block ${id(4)}: series {a="1"} out of order; previous {a="2"}`,
      expect.stringContaining(`${id(5)} read index of block ${id(5)}: `),
    ]);
    expect(readdirSync(tmp)).toEqual([]);
    const failing = await verify('-i', 'index_known_issues', '--fail-on-issues');
    expect([failing.code, failing.log.at(-1)]).toEqual([1, expect.objectContaining({ err: 'verify: 4 issues found' })]);
    const one = await verify(`--id=${id(3)}`, '--fail-on-issues');
    expect([one.code, found(one).length]).toEqual([1, 1]);
  });

  test('an index that is missing is an issue; a bucket that does not answer is a failure', async () => {
    writeRawBlock(dir, id(1), 1000, 2000, [GOOD]);
    rmSync(join(dir, id(1), 'index'));
    expect(found(await verify('-i', 'index_known_issues'))).toEqual([expect.stringContaining(id(1))]);
    writeRawBlock(dir, id(2), 2000, 3000, [GOOD]);
    const broken: Bucket = Object.assign(Object.create(bucket) as Bucket, {
      async *stream(): AsyncGenerator<Uint8Array> {
        yield new Uint8Array(1);
        throw new Error('connection reset');
      },
    });
    const run = await runWith([broken], ['bucket', 'verify', '-i', 'index_known_issues', `--id=${id(2)}`], { tmpDir: tmp });
    expect([run.code, found(run)]).toEqual([1, []]);
    expect(readdirSync(tmp)).toEqual([]);
  });

  test('overlapping blocks, by stream', async () => {
    writeRawBlock(dir, id(1), 0, 100, [GOOD]);
    writeRawBlock(dir, id(2), 50, 150, [GOOD]);
    writeRawBlock(dir, id(3), 60, 70, [GOOD]);
    writeRawBlock(dir, id(4), 120, 200, [GOOD]);
    const other = writeRawBlock(dir, id(5), 0, 100, [GOOD]);
    writeRawBlock(dir, id(5), 0, 100, [GOOD], { thanos: { ...other.thanos, labels: ['cluster', 'us'] } });
    writeRawBlock(dir, id(6), 200, 300, [GOOD]);
    const block = (n: number, mint: number, maxt: number): string => `<ulid: ${id(n)}, mint: ${mint}, maxt: ${maxt}, range: 0s>`;
    expect(found(await verify('-i', 'overlapped_blocks'))).toEqual([
      `[mint: 60, maxt: 70, range: 0s, blocks: 3]: ${block(1, 0, 100)}, ${block(2, 50, 150)}, ${block(3, 60, 70)}`,
      `[mint: 120, maxt: 150, range: 0s, blocks: 2]: ${block(2, 50, 150)}, ${block(4, 120, 200)}`,
    ]);
  });

  test('the same compaction twice; overlaps that are something else', async () => {
    meta2(6);
    meta2(7);
    meta2(8, { compaction: { level: 3, sources: [id(6)] } });
    const run = await verify('-i', 'duplicated_compaction');
    expect(found(run)).toEqual([`blocks: 1, [<ulid: ${id(7)}, mint: 6000, maxt: 7000, range: 1s>]`]);
    rmSync(join(dir, id(7)), { recursive: true });
    const unique = await verify('-i', 'duplicated_compaction', '--fail-on-issues');
    expect([unique.code, found(unique)]).toEqual([0, []]);
    expect(unique.log).toContainEqual(expect.objectContaining({ msg: 'found overlapped blocks that are all unique; this is another issue, nothing is done about it' }));
  });

  test('damaged chunks, and files that are not as long as meta.json says', async () => {
    writeRawBlock(dir, id(1), 1000, 2000, [GOOD]);
    writeRawBlock(dir, id(2), 2000, 3000, [GOOD]);
    const segment = join(dir, id(2), 'chunks/000001');
    const bytes = readFileSync(segment);
    bytes[14]! ^= 1;
    writeFileSync(segment, bytes);
    const { thanos } = writeRawBlock(dir, id(3), 3000, 4000, [GOOD]);
    writeRawBlock(dir, id(3), 3000, 4000, [GOOD], { thanos: { ...thanos, files: [{ relPath: 'index', sizeBytes: 1 }] } });
    writeRawBlock(dir, id(4), 4000, 5000, [GOOD], { stats: { numSamples: 7, numSeries: 1, numChunks: 2 } });
    const run = await verify('-i', 'chunk_data');
    expect(found(run)).toEqual([
      expect.stringMatching(`${id(2)} chunk 0 of series {a="1"} \\(segment 1, offset 8\\): .*invalid checksum`),
      expect.stringMatching(`${id(3)} download block ${id(3)}: index has \\d+ bytes, meta.json says 1`),
      `${id(4)} meta.json says 7 samples, the chunks have 6`,
    ]);
    expect(readdirSync(tmp)).toEqual([]);
  });

  test('blocks marked for deletion are not looked at; half-uploaded ones are named', async () => {
    writeRawBlock(dir, id(2), 2000, 3000, [{ labels: ['a', '1'], chunks: [[2000, 3001, 1]] }]);
    writeFileSync(join(dir, id(2), 'deletion-mark.json'), JSON.stringify({ id: id(2), version: 1, deletion_time: 1 }));
    writeRawBlock(dir, id(3), 3000, 4000, [GOOD]);
    rmSync(join(dir, id(3), 'meta.json'));
    const run = await verify('--fail-on-issues');
    expect([run.code, found(run)]).toEqual([0, []]);
    expect(run.log).toContainEqual(expect.objectContaining({ level: 'warn', id: id(3), err: `load block ${id(3)}: has no meta file` }));
  });
});

describe('repairing', () => {
  test('drops chunks that nobody reads, puts labels and series in order, keeps a backup', async () => {
    writeRawBlock(dir, id(1), 1000, 2000, [GOOD]);
    const broken = writeRawBlock(dir, id(2), 2000, 3000, [
      { labels: ['a', '1'], chunks: [[2000, 2400, 1], [2000, 2400, 1], [2500, 2600, 2], [3000, 3100, 3]] },
      { labels: ['a', '2'], chunks: [[100, 200, 1], [2100, 2200, 2], [2050, 2060, 5]] },
      { labels: ['c', '1', 'b', '1'], chunks: [[2700, 2800, 7]] },
      { labels: ['d', '1', 'b', '0'], chunks: [[2700, 2800, 8]] },
    ]);
    const before = contents(join(dir, id(2)));
    const run = await repair();
    expect(run.code).toBe(0);
    const repaired = blocksIn(dir).find((block) => block !== id(1))!;
    expect(blocksIn(dir).sort()).toEqual([id(1), repaired].sort());
    const meta = parseThanosMeta(readFileSync(join(dir, repaired, 'meta.json')), repaired);
    expect(meta).toMatchObject({ minTime: 2000, maxTime: 3000, stats: { numSeries: 4, numChunks: 6, numSamples: 18 }, compaction: broken.compaction, thanos: { source: 'bucket.repair', labels: broken.thanos.labels, segmentFiles: ['000001'] } });
    const rows = contents(join(dir, repaired)) as string[][];
    expect(rows.map(([labels, ...chunks]) => [labels, ...chunks.map((chunk) => chunk.split(':')[0])])).toEqual([
      ['a,1', '2000-2400', '2500-2600'],
      ['a,2', '2050-2060', '2100-2200'],
      ['b,0,d,1', '2700-2800'],
      ['b,1,c,1', '2700-2800'],
    ]);
    expect(blocksIn(backupDir)).toEqual([id(2)]);
    expect(contents(join(backupDir, id(2)))).toEqual(before);
    expect(readdirSync(tmp)).toEqual([]);
    expect(found(await verify('-i', 'index_known_issues', '-i', 'chunk_data'))).toEqual([]);
  });

  test('series that are one when their labels are in order become one', async () => {
    writeRawBlock(dir, id(2), 2000, 3000, [{ labels: ['a', '1', 'b', '1'], chunks: [[2000, 2100, 1]] }, { labels: ['b', '1', 'a', '1'], chunks: [[2000, 2100, 1], [2200, 2300, 1]] }]);
    expect((await repair()).code).toBe(0);
    expect((contents(join(dir, blocksIn(dir)[0]!)) as string[][]).map(([labels, ...chunks]) => [labels, chunks.length])).toEqual([['a,1,b,1', 2]]);
  });

  test.each<{ name: string; chunks: RawBlockSeries['chunks']; times: string[] }>([
    { name: 'overlaps that are not duplicates', chunks: [[2000, 2400, 1], [2300, 2500, 1]], times: ['2000-2500'] },
    { name: 'chunks of one range with different data', chunks: [[2000, 2400, 1], [2300, 2301, 1], [2000, 2400, 9]], times: ['2000-2400'] },
  ])('merges $name, and says so', async ({ chunks, times }) => {
    writeRawBlock(dir, id(2), 2000, 3000, [{ labels: ['a', '1'], chunks }]);
    const run = await repair();
    expect(run.code).toBe(0);
    const [[labels, ...ranges]] = contents(join(dir, blocksIn(dir)[0]!)) as [string[]];
    expect([labels, ranges.map((range) => range.split(':')[0])]).toEqual(['a,1', times]);
    expect(run.log).toContainEqual(expect.objectContaining({ msg: 'change of repair', id: id(2), kind: 'merged', series: '{a="1"}', change: expect.stringContaining('chunks that overlap become 1') }));
    expect(blocksIn(backupDir)).toEqual([id(2)]);
  });

  test.each<{ name: string; series: RawBlockSeries[]; err: RegExp }>([
    { name: 'chunks that reach over the end of the block', series: [{ labels: ['a', '1'], chunks: [[2000, 3400, 1]] }], err: /chunk from 2000 to 3400 of series \{a="1"\} reaches out of \[2000, 3000\)/ },
    { name: 'chunks that reach over its begin', series: [{ labels: ['a', '1'], chunks: [[1999, 2400, 1]] }], err: /chunk from 1999 to 2400 of series \{a="1"\} reaches out of \[2000, 3000\)/ },
    { name: 'nothing but chunks that nobody reads', series: [{ labels: ['a', '1'], chunks: [[100, 200, 1]] }], err: /nothing would be left of it/ },
  ])('leaves alone: $name', async ({ series, err }) => {
    writeRawBlock(dir, id(2), 2000, 3000, series);
    const run = await repair();
    expect(run.log).toContainEqual(expect.objectContaining({ level: 'error', msg: 'could not repair index', id: id(2), err: expect.stringMatching(err) }));
    expect([run.code, blocksIn(dir), blocksIn(backupDir), readdirSync(tmp)]).toEqual([0, [id(2)], [], []]);
  });

  test('a downsampled block is refused', async () => {
    const { thanos } = writeRawBlock(dir, id(2), 2000, 3000, [GOOD]);
    writeRawBlock(dir, id(2), 2000, 3000, [GOOD], { thanos: { ...thanos, resolutionMs: 300_000 } });
    const run = await repair();
    expect(run.log).toContainEqual(expect.objectContaining({ msg: 'could not repair index', err: `repair block ${id(2)}: downsampled blocks cannot be repaired` }));
    expect([blocksIn(dir), blocksIn(backupDir)]).toEqual([[id(2)], []]);
  });

  test('a block that is in the backup already is not touched', async () => {
    for (const path of [dir, backupDir]) writeRawBlock(path, id(2), 2000, 3000, REPAIRABLE);
    const run = await repair();
    expect(run.log).toContainEqual(expect.objectContaining({ msg: 'could not repair index', err: expect.stringContaining(`back up block ${id(2)}: it seems to be in backup bucket`) }));
    expect(blocksIn(dir)).toEqual([id(2)]);
  });

  test('with a delete delay the block is marked instead of deleted', async () => {
    writeRawBlock(dir, id(2), 2000, 3000, REPAIRABLE);
    expect((await repair('--delete-delay=48h')).code).toBe(0);
    expect(JSON.parse(readFileSync(join(dir, id(2), 'deletion-mark.json'), 'utf8'))).toEqual({ id: id(2), version: 1, details: 'manual verify-repair', deletion_time: NOW_MS / 1000 });
    expect([blocksIn(dir).length, blocksIn(backupDir)]).toEqual([2, [id(2)]]);
  });

  test('all but one of equal compactions go, to the backup', async () => {
    for (const n of [6, 7, 8]) meta2(n);
    const run = await repair('-i', 'duplicated_compaction');
    expect([run.code, blocksIn(dir), blocksIn(backupDir)]).toEqual([0, [id(6)], [id(7), id(8)]]);
    expect(contents(join(backupDir, id(7)))).toEqual(contents(join(dir, id(6))));
  });

  test.each(['before', 'after'] as const)('killed %s any operation on the bucket: the block is there, or its backup and the repaired one', async (mode) => {
    for (let n = 1; ; n++) {
      for (const path of [dir, backupDir]) rmSync(path, { recursive: true, force: true });
      writeRawBlock(dir, id(2), 2000, 3000, REPAIRABLE);
      const before = contents(join(dir, id(2)));
      const fault = createFaultBucket(bucket, n, mode);
      await runWith([fault, backup], ['bucket', 'verify', '-r'], { tmpDir: tmp, clock: () => NOW_MS, random: () => 0.25 });
      const isWhole = (block: string): boolean => readdirSync(join(dir, block)).includes('meta.json');
      const isOriginal = blocksIn(dir).includes(id(2)) && isWhole(id(2));
      const isReplaced = blocksIn(dir).some((block) => block !== id(2) && isWhole(block)) && blocksIn(backupDir).includes(id(2));
      expect([n, isOriginal || isReplaced]).toEqual([n, true]);
      expect(contents(join(isOriginal ? dir : backupDir, id(2)))).toEqual(before);
      expect(readdirSync(tmp)).toEqual([]);
      if (!fault.hasFailed()) {
        expect(n).toBeGreaterThan(15);
        break;
      }
    }
  });
});

describe('command lines', () => {
  test('default issues that cannot be used are left out, named ones are refused', async () => {
    const defaults = chooseIssuesOf([]);
    expect(defaults(false, false)).toEqual(['overlapped_blocks', 'index_known_issues']);
    expect(defaults(true, false)).toEqual(['index_known_issues']);
    expect(defaults(false, true)).toEqual(['index_known_issues']);
    for (const [names, isRepair, hasIds, text] of [
      [['overlapped_blocks'], true, false, '--issues=overlapped_blocks: cannot be repaired'],
      [['chunk_data'], true, false, '--issues=chunk_data: cannot be repaired'],
      [['duplicated_compaction'], false, true, '--issues=duplicated_compaction: is about several blocks, so --id cannot be used'],
    ] as const) {
      expect(() => chooseIssues(names, isRepair, hasIds)).toThrow(expect.objectContaining({ code: 'ERR_TOOL_FLAGS', message: text }));
    }
  });

  test.each<{ argv: string[]; err: string }>([
    { argv: ['-r'], err: 'repair is specified, so backup client is required: set --objstore-backup.config-file' },
    { argv: ['--id=x'], err: '--id: not a valid ULID: "x"' },
    { argv: [`--id=${testBlockId(9)}`], err: `or marked for deletion: ${testBlockId(9)}` },
  ])('$argv is refused', async ({ argv, err }) => {
    const run = await verify(...argv);
    expect([run.code, run.log.at(-1)]).toEqual([1, expect.objectContaining({ level: 'error', err: expect.stringContaining(err) })]);
  });

  test('issues are named once and known to the flag', () => expect(new Set(ISSUES.map((issue) => issue.id)).size).toBe(4));
});

/** Issues by what the flag gives when it is not used. */
function chooseIssuesOf(argv: readonly string[]): (isRepair: boolean, hasIds: boolean) => string[] {
  const flag = Object.values(bucketVerify.flags).find(({ name }) => name === 'issues')!;
  const names = flag.read(argv, []) as Parameters<typeof chooseIssues>[0];
  return (isRepair, hasIds) => chooseIssues(names, isRepair, hasIds).map((issue) => issue.id);
}

const golden = goldenFolder();
describe('recorded buckets (skipped without the recorded set)', () => {
  (golden === undefined ? test.skip : test).each(['plain', 'vertical', 'penalty', 'marked'])('%s has no issue, as upstream found', async (name) => {
    const recorded = await createFilesystemBucket({ directory: join(golden!, 'bucket', name) });
    const run = await runWith([recorded], ['bucket', 'verify', '-i', 'index_known_issues', '-i', 'overlapped_blocks', '-i', 'duplicated_compaction', '-i', 'chunk_data', '--fail-on-issues'], { tmpDir: tmp });
    expect([run.code, found(run)]).toEqual([0, []]);
  });
});
