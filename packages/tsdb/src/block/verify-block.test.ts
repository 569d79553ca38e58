/** Verification: recorded blocks are sound; blocks that break one rule each get the finding for it, at its place. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { createKernels } from '@gauntlet/kernels';
import { createMatcher, type Labels } from '@gauntlet/model';
import { openIndex } from '../index-file/index-reader.ts';
import { createMemorySource } from '../index-file/byte-source.ts';
import { matchPostings } from '../query/match-postings.ts';
import { writeEveryEncoding } from '../testing/every-encoding.ts';
import { createMemoryFileSystem, type MemoryFileSystem } from '../testing/memory-file-system.ts';
import { encodeRawBlock, type RawBlock } from '../testing/raw-block.ts';
import { bitsOfNumber, encodeSamples } from '../testing/sample-block.ts';
import { openBlock } from './block-reader.ts';
import { formatTombstones } from './tombstones.ts';
import { formatBlockReport, verifyBlock } from './verify-block.ts';

const kernels = createKernels();
const here = dirname(fileURLToPath(import.meta.url));
const shared = join(process.env['GAUNTLET_SHARED'] ?? resolve(here, '../../../../../shared'), 'golden');
const ULID = '01HV0000000000000000000000';
const DIR = `data/${ULID}`;

function load(from: string): { fs: MemoryFileSystem; dir: string } {
  const fs = createMemoryFileSystem();
  const dir = `data/${from.split('/').at(-1)}`;
  for (const entry of readdirSync(from, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) fs.seed(dir + join(entry.parentPath, entry.name).slice(from.length), readFileSync(join(entry.parentPath, entry.name)));
  }
  return { fs, dir };
}

function blockFolders(root: string): string[] {
  return readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => entry.name === 'meta.json').map((entry) => entry.parentPath);
}

describe.each([
  { name: 'testdata', root: join(here, '../../testdata') },
  { name: 'golden data (skipped without the folder)', root: shared },
])('$name', ({ root }) => {
  const folders = existsSync(root) ? blockFolders(root) : [];
  // One of them is there to have a meta.json that is cut off.
  const sound = folders.filter((folder) => !folder.includes('/marked/'));
  (folders.length === 0 ? test.skip : test)('recorded blocks are sound', () => {
    for (const folder of sound) {
      const { fs, dir } = load(folder);
      const report = verifyBlock(fs, dir, { kernels });
      expect([folder, formatBlockReport(report).slice(1), report.isSound]).toEqual([folder, [], true]);
      expect([report.numSeries, report.numChunks, report.numSamples]).toEqual([report.meta!.stats.numSeries, report.meta!.stats.numChunks, report.meta!.stats.numSamples]);
      openBlock(fs, dir).close();
    }
  });
});

test('a block with every encoding is sound, and its figures are right', () => {
  const fs = createMemoryFileSystem();
  const { dir } = writeEveryEncoding(fs, 'data', kernels, ULID);
  expect(verifyBlock(fs, dir, { kernels })).toMatchObject({ block: ULID, isSound: true, findings: [], numSeries: 6, numChunks: 12, numSamples: 36, numFloatSamples: 12, numHistogramSamples: 24, unusedSymbols: 0 });
});

const chunk = (...times: number[]): ReturnType<typeof encodeSamples> => encodeSamples(kernels, times.map((time) => [time, bitsOfNumber(time)]));
const one = (labels: Labels, ...chunks: ReturnType<typeof encodeSamples>[]): RawBlock['series'][number] => ({ labels, chunks });
const plain: RawBlock = { ulid: ULID, minTime: 0, maxTime: 1000, series: [one(['a', '1'], chunk(10, 20), chunk(30)), one(['a', '2', 'b', 'x'], chunk(10, 999))] };

function written(block: RawBlock): MemoryFileSystem {
  const fs = createMemoryFileSystem();
  for (const [file, data] of encodeRawBlock(block)) fs.seed(`${DIR}/${file}`, data);
  return fs;
}

describe('one rule broken', () => {
  const [first, second] = [plain.series[0]!, plain.series[1]!];
  interface Broken {
    readonly name: string;
    readonly block: Partial<RawBlock>;
    /** Code, file, section, and a part of the message. */
    readonly found: readonly (readonly [code: string, file: string, section: string, message: RegExp])[];
  }
  const cases: Broken[] = [
    { name: 'nothing', block: {}, found: [] },
    { name: 'series out of order', block: { series: [second, first] }, found: [['SERIES_ORDER', 'index', 'series', /does not follow \{a="2", b="x"\}/]] },
    { name: 'a series twice', block: { series: [first, first] }, found: [['SERIES_ORDER', 'index', 'series', /does not follow/]] },
    { name: 'labels out of order', block: { series: [first, one(['b', 'x', 'a', '2'], chunk(10, 999))] }, found: [['LABELS_ORDER', 'index', 'series', /label a does not follow b/]] },
    { name: 'an empty label value', block: { series: [first, one(['a', '2', 'b', ''], chunk(10, 999))] }, found: [['LABELS_EMPTY', 'index', 'series', /label 1 has an empty value/]] },
    { name: 'a series without labels', block: { series: [one([], chunk(1)), ...plain.series] }, found: [['LABELS_EMPTY', 'index', 'series', /has no labels/]] },
    { name: 'a series without chunks', block: { series: [first, one(['a', '2'])] }, found: [['CHUNKS_NONE', 'index', 'series', /no chunks/]] },
    { name: 'chunks that overlap', block: { series: [one(['a', '1'], chunk(10, 20), chunk(15, 25))] }, found: [['CHUNKS_OVERLAP', 'index', 'series', /chunk 1 from 15 to 25 begins before 20/]] },
    { name: 'a chunk behind a younger one', block: { series: [one(['a', '1'], chunk(30, 40), chunk(10, 20))] }, found: [['CHUNKS_OVERLAP', 'index', 'series', /chunk 1 from 10 to 20 begins before 40/]] },
    { name: 'a chunk twice', block: { series: [one(['a', '1'], chunk(10, 20), chunk(10, 20))] }, found: [['CHUNKS_DUPLICATE', 'index', 'series', /has the range of the chunk before it/]] },
    { name: 'a chunk that ends where the block ends', block: { maxTime: 999 }, found: [['CHUNKS_OUTSIDE', 'index', 'series', /from 10 to 999 is not within the block's \[0, 999\)/]] },
    { name: 'an index entry that promises other times', block: { series: [{ labels: ['a', '1'], chunks: [{ ...chunk(10, 20), maxt: 25 }] }] }, found: [['CHUNK_SAMPLES', 'chunks/000001', 'chunk', /samples from 10 to 20, the index says 10 to 25/]] },
    { name: 'samples out of order', block: { series: [{ labels: ['a', '1'], chunks: [{ ...chunk(10, 5), mint: 5, maxt: 10 }] }] }, found: [['CHUNK_SAMPLES', 'chunks/000001', 'chunk', /sample 1 at 5 does not follow 10/]] },
    { name: 'a chunk without samples', block: { series: [{ labels: ['a', '1'], chunks: [{ mint: 1, maxt: 1, encoding: 1, data: Uint8Array.of(0, 0) }] }] }, found: [['CHUNK_SAMPLES', 'chunks/000001', 'chunk', /no sample/]] },
    { name: 'damage below a right checksum', block: { series: [{ labels: ['a', '1'], chunks: [{ mint: 1, maxt: 1, encoding: 2, data: Uint8Array.of(0, 9, 0) }] }], stats: { numSamples: 9, numHistogramSamples: 9, numFloatSamples: 0 } }, found: [['CHUNK_SAMPLES', 'chunks/000001', 'chunk', /decode histogram chunk/]] },
    { name: 'an unknown encoding', block: { series: [{ labels: ['a', '1'], chunks: [{ mint: 1, maxt: 1, encoding: 77, data: Uint8Array.of(0, 1, 9) }] }], stats: { numSamples: 1 } }, found: [['CHUNK_ENCODING', 'chunks/000001', 'chunk', /invalid chunk encoding "77"/]] },
    { name: 'a series that no list has', block: { hidden: [1] }, found: [['META_STATS', 'meta.json', 'stats', /numSeries 2, the block has 1/], ['SERIES_GAP', 'index', 'series', /bytes after the last series/]] },
    { name: 'a list without one of its series', block: { lists: (pairs) => pairs.map((pair) => (pair.value === 'x' ? { ...pair, refs: [] } : pair)) }, found: [['POSTINGS_TABLE', 'index', 'postings table', /the list of b="x" is empty/], ['POSTINGS_WRONG', 'index', 'postings', /the list of b="x" lacks series/]] },
    { name: 'a list with a series too many', block: { lists: (pairs) => pairs.map((pair) => (pair.value === '2' ? { ...pair, refs: [...pairs[0]!.refs, ...pair.refs] } : pair)) }, found: [['POSTINGS_WRONG', 'index', 'postings', /the list of a="2" has series \d+, which has not that label/]] },
    { name: 'a list at its end with a series too many', block: { lists: (pairs) => pairs.map((pair) => (pair.value === '1' ? { ...pair, refs: [...pair.refs, ...pairs[1]!.refs] } : pair)) }, found: [['POSTINGS_WRONG', 'index', 'postings', /the list of a="1" has series \d+ and 0 more/]] },
    { name: 'a label pair without a list', block: { lists: (pairs) => pairs.filter(({ value }) => value !== 'x') }, found: [['POSTINGS_WRONG', 'index', 'postings', /no list for b="x"/]] },
    { name: 'values out of order', block: { lists: (pairs) => [pairs[1]!, pairs[0]!, pairs[2]!] }, found: [['POSTINGS_TABLE', 'index', 'postings table', /value "1" of a does not follow "2"/], ['POSTINGS_WRONG', 'index', 'postings', /./]] },
    { name: 'symbols out of order', block: { symbols: ['', 'x', 'b', 'a', '2', '1'] }, found: [['SYMBOLS_ORDER', 'index', 'symbols', /symbol 2 "b" does not follow "x"/]] },
    { name: 'bytes between chunks', block: { gapBytes: 3 }, found: [['CHUNK_GAP', 'chunks/000001', 'chunk', /3 bytes before the chunk belong to none/]] },
    { name: 'wrong counters', block: { stats: { numSamples: 6, numSeries: 3, numChunks: 2 } }, found: [['META_STATS', 'meta.json', 'stats', /numSeries 3, the block has 2/], ['META_STATS', 'meta.json', 'stats', /numChunks 2, the block has 3/], ['META_STATS', 'meta.json', 'stats', /numSamples 6, the block has 5/]] },
  ];
  /** What else is found of a fault. */
  const FOLLOWS: Readonly<Record<string, readonly string[]>> = {
    'a series that no list has': ['CHUNK_GAP'],
    'symbols out of order': ['SERIES_ORDER', 'POSTINGS_TABLE', 'POSTINGS_WRONG', 'LABELS_ORDER'],
    'labels out of order': ['SERIES_ORDER'],
    'a series without labels': ['SERIES_ORDER'],
  };
  test.each(cases)('$name', ({ name, block, found }) => {
    const report = verifyBlock(written({ ...plain, ...block }), DIR, { kernels });
    for (const [code, file, section, message] of found) {
      expect(report.findings).toContainEqual(expect.objectContaining({ code, file, section, message: expect.stringMatching(message) }));
    }
    // Nothing else is reported, but what follows from the same fault.
    const also: readonly string[] = found.length === 0 ? [] : (FOLLOWS[name] ?? []);
    expect(report.findings.map(({ code }) => code).filter((code) => !also.includes(code) && !found.some(([wanted]) => wanted === code))).toEqual([]);
    expect(report.isSound).toBe(report.findings.every(({ severity }) => severity === 'note'));
    expect(formatBlockReport(report)[0]).toMatch(found.length === 0 ? /sound/ : /sound|faulty|damaged/);
  });
});

test('without an index every chunk is read by its own length', () => {
  const fs = written(plain);
  const file = `${DIR}/index`;
  const index = fs.snapshot().get(file)!;
  fs.seed(file, index.subarray(0, 20));
  const report = verifyBlock(fs, DIR, { kernels });
  expect(report).toMatchObject({ numSeries: 0, numChunks: 3, numSamples: 5, isSound: false });
  expect(report.findings.map(({ code }) => code)).toEqual(['INDEX_UNREADABLE']);
});

test('damage in one chunk does not hide what else is wrong', () => {
  const fs = written({ ...plain, series: [plain.series[0]!, { labels: ['a', '2'], chunks: [{ ...chunk(50, 60), maxt: 70 }] }] });
  const file = `${DIR}/chunks/000001`;
  const data = fs.snapshot().get(file)!.slice();
  data[12]! ^= 1;
  fs.seed(file, data);
  const { findings } = verifyBlock(fs, DIR, { kernels });
  expect(findings.map(({ code, offset, series }) => [code, offset, series])).toEqual([['CHUNK_UNREADABLE', 8, '{a="1"}'], ['CHUNK_SAMPLES', expect.any(Number), '{a="2"}']]);
});

test('deleted ranges of no series; sizes that thanos.files has; files of nobody', () => {
  const fs = written({ ...plain, thanos: { files: [{ rel_path: 'index', size_bytes: 5 }, { rel_path: 'chunks/000002', size_bytes: 1 }, { rel_path: 'meta.json' }], segment_files: ['000001'] } });
  fs.seed(`${DIR}/tombstones`, formatTombstones(new Map([[99, [1, 2]]])));
  fs.seed(`${DIR}/core`, Uint8Array.of(1));
  const { findings } = verifyBlock(fs, DIR, { kernels });
  expect(findings.map(({ severity, code, file }) => `${severity} ${code} ${file}`)).toEqual(['note FILE_UNKNOWN core', 'damage FILE_SIZE index', 'damage FILE_MISSING chunks/000002', 'note TOMBSTONES_SERIES tombstones']);
});

test('findings beyond the limit are counted', () => {
  const series = Array.from({ length: 30 }, (_, i) => one(['a', String(100 + i)], chunk(10), chunk(5)));
  const report = verifyBlock(written({ ...plain, series }), DIR, { kernels, findingsMax: 2 });
  expect(report).toMatchObject({ counts: { damage: 0, fault: 30, note: 0 }, findings: { length: 2 } });
  expect(formatBlockReport(report)).toHaveLength(4);
  expect(formatBlockReport(report).at(-1)).toBe('  … and 28 more');
});

test('progress and an early end', () => {
  const series = Array.from({ length: 2500 }, (_, i) => one(['a', String(10_000 + i)], chunk(10)));
  const fs = written({ ...plain, series });
  const seen: number[] = [];
  verifyBlock(fs, DIR, { kernels, onProgress: (done, total) => seen.push(done, total) });
  expect(seen).toEqual([1000, 2500, 2000, 2500, 2500, 2500]);
  expect(() => verifyBlock(fs, DIR, { kernels, shouldStop: () => true })).toThrow(expect.objectContaining({ code: 'ERR_COMPACT_CANCELED' }));
});

describe('label indices, as Prometheus 2 wrote them', () => {
  const fs = written({ ...plain, labelIndices: true });
  const path = `${DIR}/index`;
  const whole = fs.snapshot().get(path)!;

  test('are tolerated', () => {
    expect(verifyBlock(fs, DIR, { kernels }).findings).toEqual([]);
    const block = openBlock(fs, DIR);
    expect(matchPostings(block.index, [createMatcher('=', 'b', 'x')])).toHaveLength(1);
    expect(block.index.allPostings()).toHaveLength(2);
  });

  test('damage in them is reported and read over', () => {
    const { toc } = openIndex(createMemorySource(whole), 'b');
    const damaged = whole.slice();
    damaged[toc.labelIndices + 5]! ^= 1;
    const other = written({ ...plain, labelIndices: true });
    other.seed(path, damaged);
    expect(verifyBlock(other, DIR, { kernels }).findings).toEqual([expect.objectContaining({ severity: 'damage', code: 'LABEL_INDICES', section: 'label index', offset: toc.labelIndices })]);
    expect(openBlock(other, DIR).index.allPostings()).toHaveLength(2);
  });
});
