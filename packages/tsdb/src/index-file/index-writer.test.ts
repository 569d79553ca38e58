/** What an index cannot hold is refused with the split to use; an index whose pairs do not fit in memory is the same, byte for byte. */
import { describe, expect, test } from '@jest/globals';
import { compareUtf8 } from '@gauntlet/bytes';
import { compareLabels, type Labels } from '@gauntlet/model';
import fc from 'fast-check';
import { createMemoryFileSystem } from '../testing/memory-file-system.ts';
import { createMemorySource } from './byte-source.ts';
import { openIndex } from './index-reader.ts';
import { createIndexWriter, type IndexWriteLimits } from './index-writer.ts';

const chunks = { count: 1, mint: Float64Array.of(0), maxt: Float64Array.of(1), refs: Float64Array.of(8) };

function symbolsOf(all: readonly Labels[]): string[] {
  return [...new Set(['', ...all.flat()])].sort(compareUtf8);
}

function writeIndex(all: readonly Labels[], limits: IndexWriteLimits = {}, symbols: readonly string[] = symbolsOf(all)): Uint8Array {
  const fs = createMemoryFileSystem();
  const writer = createIndexWriter(fs, 'index', symbols, limits);
  for (const labels of all) writer.addSeries(labels, chunks);
  writer.finish();
  return fs.snapshot().get('index')!;
}

/** `count` series of a label with values of ten bytes. */
const rows = (count: number): Labels[] => Array.from({ length: count }, (_, i) => ['pod', String(i).padStart(10, '0')]);

describe('refused with the split to use', () => {
  // Symbols of 100 series: 4 + 1 + 4 + 100 · 11 bytes.
  test.each([
    { name: 'symbols that fit to the byte', series: 100, limits: { sectionBytesMax: 1109 }, error: /^write index index: postings offsets of 101 label pairs take \d+ bytes, an index holds at most 1109: split the series by hash into at least 2 blocks$/ },
    { name: 'symbols that do not', series: 100, limits: { sectionBytesMax: 1108 }, error: 'write index index: 102 symbols take 1109 bytes, an index holds at most 1108: split the series by hash into at least 2 blocks' },
    { name: 'symbols that are far too many', series: 100, limits: { sectionBytesMax: 100 }, error: /102 symbols take 1109 bytes.* at least 12 blocks/ },
    { name: 'postings offsets that are twice too many', series: 1000, limits: { sectionBytesMax: 11_100 }, error: /postings offsets of 1001 label pairs take 19010 bytes, an index holds at most 11100: .* at least 2 blocks/ },
    { name: 'a series behind the last reference', series: 100, limits: { referenceMax: 80 }, error: /series take more than 1296 bytes, an index holds no more: split the series by hash into at least 2 blocks/ },
  ])('$name', ({ series, limits, error }) => {
    expect(() => writeIndex(rows(series), limits)).toThrow(expect.objectContaining({ code: 'ERR_INDEX_WRITE', message: typeof error === 'string' ? error : expect.stringMatching(error) }));
  });

  test('what fits is written', () => {
    const whole = writeIndex(rows(100));
    expect(writeIndex(rows(100), { sectionBytesMax: 2000, referenceMax: whole.length })).toEqual(whole);
  });

  test('the size of the table is told to the byte', () => {
    const whole = writeIndex(rows(100));
    const { toc } = openIndex(createMemorySource(whole), 'b');
    const bytes = whole.length - 52 - toc.postingsTable - 8;
    expect(writeIndex(rows(100), { sectionBytesMax: bytes })).toEqual(whole);
    expect(() => writeIndex(rows(100), { sectionBytesMax: bytes - 1 })).toThrow(`postings offsets of 101 label pairs take ${bytes} bytes`);
  });
});

test('pairs that do not fit in memory: the same index, byte for byte', () => {
  const name = fc.constantFrom('a', 'b', 'job', 'é');
  const labels = fc
    .array(fc.tuple(name, fc.constantFrom('1', '2', 'x', 'a long value '.repeat(60))), { minLength: 1, maxLength: 4 })
    .map((pairs): Labels => [...new Map(pairs)].sort(([a], [b]) => compareUtf8(a, b)).flat());
  fc.assert(
    fc.property(fc.array(labels, { minLength: 1, maxLength: 30 }), fc.nat(20), (all, pairsMax) => {
      const unique = [...new Map(all.map((one) => [one.join('\0'), one])).values()].sort(compareLabels);
      expect(writeIndex(unique, { pairsMax })).toEqual(writeIndex(unique));
    }),
    { numRuns: 150 },
  );
});

test('symbols of many buffers', () => {
  const all = Array.from({ length: 60 }, (_, i): Labels => ['n', `${String(i).padStart(3, '0')}${'v'.repeat(50_000)}`]);
  const index = openIndex(createMemorySource(writeIndex(all)), 'b');
  expect(index.symbols.count).toBe(62);
  expect(index.labelValues('n')).toEqual(all.map(([, value]) => value));
});

test('an index without series and symbols has a checksum too', () => {
  const index = openIndex(createMemorySource(writeIndex([], {}, [])), 'b');
  expect([index.symbols.count, index.allPostings().length]).toEqual([0, 0]);
});

test('values far apart and close together: every series in the list of its value', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 40 }), fc.constantFrom(1, 50, 700), fc.integer({ min: 1, max: 5 }), (series, apart, values) => {
      // Symbols that no series has lie between the values.
      const symbols = ['', 'n', 's', ...Array.from({ length: values * apart }, (_, i) => `v${String(i).padStart(6, '0')}`), ...Array.from({ length: series }, (_, i) => `w${String(i).padStart(3, '0')}`)].sort(compareUtf8);
      const all = Array.from({ length: series }, (_, i): Labels => ['n', `v${String(((i * 7) % values) * apart).padStart(6, '0')}`, 's', `w${String(i).padStart(3, '0')}`]).sort(compareLabels);
      const index = openIndex(createMemorySource(writeIndex(all, {}, symbols)), 'b');
      const refs = [...index.allPostings()];
      expect(refs).toHaveLength(series);
      for (const value of index.labelValues('n')) expect([...index.postings('n', value)]).toEqual(refs.filter((_ref, i) => all[i]![1] === value));
      expect(index.labelValues('n')).toEqual([...new Set(all.map(([, value]) => value!))].sort(compareUtf8));
    }),
    { numRuns: 60 },
  );
});

test('chunks that are no safe integers, or not numbers, are refused', () => {
  for (const [mint, maxt] of [[0.5, 1], [NaN, 1], [0, NaN], [0, 2 ** 53], [-Infinity, 0]] as const) {
    const writer = createIndexWriter(createMemoryFileSystem(), 'index', ['', 'a', 'b']);
    expect(() => writer.addSeries(['a', 'b'], { count: 1, mint: Float64Array.of(mint), maxt: Float64Array.of(maxt), refs: Float64Array.of(8) })).toThrow(expect.objectContaining({ code: 'ERR_INDEX_WRITE' }));
    writer.abandon();
  }
});
