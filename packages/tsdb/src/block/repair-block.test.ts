/** Repair: each fault by itself, what becomes of the samples, what is said of it; damage is lost only when asked for, and named. */
import { describe, expect, test } from '@jest/globals';
import { createKernels } from '@gauntlet/kernels';
import type { Labels } from '@gauntlet/model';
import fc from 'fast-check';
import { createMemoryFileSystem, type MemoryFileSystem } from '../testing/memory-file-system.ts';
import { encodeRawBlock, type RawBlock } from '../testing/raw-block.ts';
import { bitsOfNumber, encodeSamples, readSampleBlock } from '../testing/sample-block.ts';
import { openBlock } from './block-reader.ts';
import { repairBlock, type RepairReport } from './repair-block.ts';
import { formatTombstones } from './tombstones.ts';
import { verifyBlock } from './verify-block.ts';

const kernels = createKernels();
const ULID = '01HV0000000000000000000000';
const OUT = '01HV0000000000000000000001';
const DIR = `data/${ULID}`;

const chunk = (...times: number[]): ReturnType<typeof encodeSamples> => encodeSamples(kernels, times.map((time) => [time, bitsOfNumber(time)]));
const series = (labels: Labels, ...chunks: ReturnType<typeof encodeSamples>[]): RawBlock['series'][number] => ({ labels, chunks });
const plain: RawBlock = { ulid: ULID, minTime: 0, maxTime: 1000, series: [] };

function written(block: Partial<RawBlock>): MemoryFileSystem {
  const fs = createMemoryFileSystem();
  for (const [file, data] of encodeRawBlock({ ...plain, ...block })) fs.seed(`${DIR}/${file}`, data);
  return fs;
}

/** Times of the chunks of each series of the new block; the block is sound, and the old one untouched. */
function repaired(fs: MemoryFileSystem, dropDamaged = false): { report: RepairReport; times: Record<string, number[][]> } {
  const before = [...fs.snapshot()];
  const report = repairBlock({ fs, kernels }, DIR, 'data', { ulid: OUT, dropDamaged });
  expect([...fs.snapshot()].filter(([path]) => path.startsWith(DIR))).toEqual(before.filter(([path]) => path.startsWith(DIR)));
  if (report.meta === undefined) return { report, times: {} };
  expect(verifyBlock(fs, `data/${OUT}`, { kernels }).findings).toEqual([]);
  const block = openBlock(fs, `data/${OUT}`);
  const times = Object.fromEntries(readSampleBlock(kernels, block).map(({ labels, chunks }) => [labels.join(','), chunks.map((samples) => samples.map(([time]) => time))]));
  block.close();
  return { report, times };
}

const kinds = ({ changes }: RepairReport): string[] => changes.map(({ kind, series: of, message }) => `${kind} ${of} ${message}`);

describe('faults that lose nothing', () => {
  const cases: { name: string; block: Partial<RawBlock>; times: Record<string, number[][]>; changes: RegExp[] }[] = [
    { name: 'no fault', block: { series: [series(['a', '1'], chunk(1, 2), chunk(3))] }, times: { 'a,1': [[1, 2], [3]] }, changes: [] },
    { name: 'series out of order', block: { series: [series(['a', '2'], chunk(1)), series(['a', '1'], chunk(2))] }, times: { 'a,1': [[2]], 'a,2': [[1]] }, changes: [/^ordered {2}series are put in the order/] },
    { name: 'labels out of order, and then a series twice', block: { series: [series(['a', '1', 'b', '1'], chunk(1)), series(['b', '1', 'a', '1'], chunk(2))] }, times: { 'a,1,b,1': [[1], [2]] }, changes: [/^ordered \{a="1", b="1"\} its labels/, /^ordered {2}series/, /^merged \{a="1", b="1"\} 2 entries/] },
    { name: 'chunks out of order', block: { series: [series(['a', '1'], chunk(5, 6), chunk(1, 2))] }, times: { 'a,1': [[1, 2], [5, 6]] }, changes: [/^ordered \{a="1"\} 2 chunks are put/] },
    { name: 'chunks that overlap', block: { series: [series(['a', '1'], chunk(1, 5), chunk(3, 7), chunk(9))] }, times: { 'a,1': [[1, 3, 5, 7], [9]] }, changes: [/^merged \{a="1"\} 3 chunks that overlap become 2/] },
    { name: 'a chunk twice', block: { series: [series(['a', '1'], chunk(1, 5), chunk(1, 5))] }, times: { 'a,1': [[1, 5]] }, changes: [/^merged/] },
    { name: 'an index that misstates a chunk', block: { series: [{ labels: ['a', '1'], chunks: [{ ...chunk(1, 5), mint: 0, maxt: 9 }] }] }, times: { 'a,1': [[1, 5]] }, changes: [/^ordered \{a="1"\} chunk from 0 to 9 has samples from 1 to 5/] },
    { name: 'lists and counters that lie', block: { series: [series(['a', '1'], chunk(1))], lists: () => [], stats: { numSeries: 9 } }, times: { 'a,1': [[1]] }, changes: [] },
    { name: 'symbols out of order', block: { series: [series(['a', '1'], chunk(1))], symbols: ['a', '1', ''] }, times: { 'a,1': [[1]] }, changes: [] },
    { name: 'bytes of nobody', block: { series: [series(['a', '1'], chunk(1), chunk(2))], gapBytes: 9 }, times: { 'a,1': [[1], [2]] }, changes: [] },
  ];
  test.each(cases)('$name', ({ block, times, changes }) => {
    const result = repaired(written(block));
    expect(result.times).toEqual(times);
    expect(kinds(result.report)).toEqual(changes.map((text) => expect.stringMatching(text)));
    expect(result.report.changeCount).toBe(changes.length);
  });
});

test.each([[['', '1', 'a']], [['1', 'a']]])('the new block has the symbols of the old one, as Thanos repairs: %j', (symbols) => {
  const fs = written({ series: [series(['a', '1'], chunk(1, 5), chunk(1, 5))], symbols });
  repaired(fs);
  const block = openBlock(fs, `data/${OUT}`);
  expect(Array.from({ length: block.index.symbols.count }, (_, i) => block.index.symbols.lookup(i))).toEqual(symbols);
  block.close();
});

describe('what no query shows is left out', () => {
  test('chunks and samples outside of the range', () => {
    const fs = written({ minTime: 100, maxTime: 200, series: [series(['a', '1'], chunk(10, 20), chunk(90, 110), chunk(150, 210), chunk(200))] });
    const { report, times } = repaired(fs);
    expect(times).toEqual({ 'a,1': [[110], [150]] });
    expect(kinds(report).map((text) => text.slice(0, 34))).toEqual(['left-out {a="1"} chunk from 10 to ', 'left-out {a="1"} samples of the ch', 'left-out {a="1"} samples of the ch', 'left-out {a="1"} chunk from 200 to']);
  });

  test.each<[string, ReturnType<typeof chunk>]>([
    ['before its begin', chunk(90, 110)],
    ['after its end', chunk(150, 210)],
    ['at its end', chunk(150, 200)],
  ])('told to keep chunks whole, it gives up where one has samples %s, and writes nothing', (_place, outside) => {
    const fs = written({ minTime: 100, maxTime: 200, series: [series(['a', '1'], chunk(10, 20), outside)] });
    expect(() => repairBlock({ fs, kernels }, DIR, 'data', { ulid: OUT, keepsChunksWhole: true })).toThrow(
      expect.objectContaining({ code: 'ERR_BLOCK_REPAIR', message: expect.stringMatching(/chunk from \d+ to \d+ of series \{a="1"\} reaches out of \[100, 200\)/) }),
    );
    expect(fs.list('data')).toEqual([ULID]);
  });

  test('deleted samples', () => {
    const fs = written({ series: [series(['a', '1'], chunk(1, 2, 3), chunk(5))] });
    const block = openBlock(fs, DIR);
    fs.seed(`${DIR}/tombstones`, formatTombstones(new Map([[block.index.allPostings()[0]!, [2, 2, 5, 9]]])));
    block.close();
    expect(repaired(fs).times).toEqual({ 'a,1': [[1, 3]] });
  });

  test('of a block with nothing else nothing is written', () => {
    const fs = written({ minTime: 100, maxTime: 200, series: [series(['a', '1'], chunk(10))] });
    expect(repaired(fs).report).toMatchObject({ meta: undefined, changeCount: 1 });
    expect(fs.list('data')).toEqual([ULID]);
  });
});

describe('damage', () => {
  const healthy = { series: [series(['a', '1'], chunk(1, 2), chunk(3, 4)), series(['a', '2'], chunk(5))] };
  const damaged = (file: string, change: (bytes: Uint8Array, fs: MemoryFileSystem) => void): MemoryFileSystem => {
    const fs = written(healthy);
    const bytes = fs.snapshot().get(`${DIR}/${file}`)!.slice();
    change(bytes, fs);
    fs.seed(`${DIR}/${file}`, bytes);
    return fs;
  };

  test('a chunk is dropped when asked for, and named', () => {
    const fs = damaged('chunks/000001', (bytes) => (bytes[14]! ^= 1));
    expect(() => repaired(fs)).toThrow(expect.objectContaining({ code: 'ERR_CHUNK_CORRUPT' }));
    expect(fs.list('data')).toEqual([ULID]);
    const { report, times } = repaired(fs, true);
    expect(times).toEqual({ 'a,1': [[3, 4]], 'a,2': [[5]] });
    expect(kinds(report)).toEqual([expect.stringMatching(/^lost \{a="1"\} samples from 1 to 2: read chunk of block .* offset 8: invalid checksum/)]);
  });

  test('a series is dropped when asked for, and named', () => {
    const fs = damaged('index', (bytes, disk) => {
      const block = openBlock(disk, DIR);
      bytes[block.index.allPostings()[0]! * 16 + 2]! ^= 1;
      block.close();
    });
    expect(() => repaired(fs)).toThrow(expect.objectContaining({ code: 'ERR_INDEX_CORRUPT' }));
    const { report, times } = repaired(fs, true);
    expect(times).toEqual({ 'a,2': [[5]] });
    expect(kinds(report)).toEqual([expect.stringMatching(/^lost {2}read index of block .* section series, offset \d+: invalid checksum/)]);
  });

  test('the list of all series is made anew from the entries', () => {
    const fs = damaged('index', (bytes, disk) => {
      const block = openBlock(disk, DIR);
      bytes[block.index.postingsTable.offsetAt(block.index.postingsTable.find('', '')) + 5]! ^= 1;
      block.close();
    });
    expect(repaired(fs)).toMatchObject({ times: { 'a,1': [[1, 2], [3, 4]], 'a,2': [[5]] }, report: { changeCount: 1 } });
  });

  test('without its symbols a block is beyond repair', () => {
    const fs = damaged('index', (bytes) => (bytes[14]! ^= 1));
    expect(() => repaired(fs, true)).toThrow(/section symbols/);
  });
});

test('meta keeps where a block comes from, and drops what is of its files', () => {
  const thanos = { labels: { a: 'b' }, files: [{ rel_path: 'index', size_bytes: 1 }], segment_files: ['000001'], index_stats: {}, extensions: { mine: 1, gauntletDigest: { ulid: ULID, meta: 'x' } } };
  const fs = written({ series: [series(['a', '1'], chunk(1))] });
  const meta = JSON.parse(new TextDecoder().decode(fs.snapshot().get(`${DIR}/meta.json`)!)) as object;
  const other = { ...thanos, extensions: { ...thanos.extensions, gauntletDigest: { ulid: OUT, meta: 'x' } } };
  fs.seed(`${DIR}/meta.json`, new TextEncoder().encode(JSON.stringify({ ...meta, thanos: other })));
  expect(repaired(fs).report.meta).toMatchObject({ ulid: OUT, minTime: 0, maxTime: 1000, compaction: { level: 1, sources: [ULID] }, thanos: { labels: { a: 'b' }, extensions: { mine: 1 } } });
});

test('any chunks of any series: what is in range comes back, each time once', () => {
  const times = fc.uniqueArray(fc.integer({ min: -50, max: 150 }), { minLength: 1, maxLength: 8 }).map((all) => all.sort((a, b) => a - b));
  const all = fc.array(fc.tuple(fc.constantFrom('1', '2', '3'), fc.array(times, { minLength: 1, maxLength: 4 })), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(all, (rows) => {
      const fs = written({ minTime: 0, maxTime: 100, series: rows.map(([value, chunks]) => series(['a', value], ...chunks.map((one) => chunk(...one)))) });
      const want = new Map<string, Set<number>>();
      for (const [value, chunks] of rows) for (const time of chunks.flat()) if (time >= 0 && time < 100) want.set(`a,${value}`, (want.get(`a,${value}`) ?? new Set()).add(time));
      const got = repaired(fs).times;
      expect(Object.fromEntries(Object.entries(got).map(([labels, chunks]) => [labels, chunks.flat()]))).toEqual(Object.fromEntries([...want].map(([labels, set]) => [labels, [...set].sort((a, b) => a - b)])));
    }),
    { numRuns: 60 },
  );
});
