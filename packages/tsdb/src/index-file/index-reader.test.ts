import { describe, expect, test } from '@jest/globals';
import { compareUtf8 } from '@gauntlet/bytes';
import { createMatcher, type Labels } from '@gauntlet/model';
import fc from 'fast-check';
import { matchPostings } from '../query/match-postings.ts';
import { createMemoryFileSystem } from '../testing/memory-file-system.ts';
import { createFileSource, createMemorySource } from './byte-source.ts';
import { type IndexReader, openIndex } from './index-reader.ts';
import { createIndexWriter } from './index-writer.ts';
import { createSeriesEntry } from './series-entry.ts';

/** An index of series with one chunk each, read from memory and by pages. */
function indexes(all: readonly Labels[], chunksPerSeries = 1): { memory: IndexReader; paged: IndexReader; reads: () => number } {
  const fs = createMemoryFileSystem();
  const writer = createIndexWriter(fs, 'index', [...new Set(['', ...all.flat()])].sort(compareUtf8));
  const chunks = { count: chunksPerSeries, mint: new Float64Array(chunksPerSeries), maxt: new Float64Array(chunksPerSeries), refs: new Float64Array(chunksPerSeries) };
  for (const [i, labels] of all.entries()) {
    for (let c = 0; c < chunksPerSeries; c++) {
      chunks.mint[c] = -(2 ** 44) + c * 2 ** 40;
      chunks.maxt[c] = chunks.mint[c]! + 2 ** 39;
      chunks.refs[c] = 2 ** 35 + i * 1e6 + c * 17;
    }
    writer.addSeries(labels, chunks);
  }
  writer.finish();
  return { memory: openIndex(createMemorySource(fs.snapshot().get('index')!), 'memory'), paged: openIndex(createFileSource(fs.open('index', 'read')), 'paged'), reads: () => fs.reads() };
}

const label = (i: number): string => String(i).padStart(6, '0');

test('an index of many pages reads the same from memory and by pages, and pages are read once', () => {
  const all = Array.from({ length: 5000 }, (_, i): Labels => ['i', label(i), 'long', 'x'.repeat(i % 50), 'name', `m${i % 7}`]);
  const { memory, paged, reads } = indexes(all.map((labels) => labels.filter((_, at) => labels[3] !== '' || (at !== 2 && at !== 3))), 3);
  const [a, b] = [createSeriesEntry(), createSeriesEntry()];
  const list = memory.allPostings();
  expect(paged.allPostings()).toEqual(list);
  expect(list).toHaveLength(5000);
  const before = reads();
  for (const [i, ref] of list.entries()) {
    memory.readSeries(ref, a);
    paged.readSeries(ref, b);
    if (i % 100 === 0) {
      expect(b).toEqual(a);
      expect(paged.labelsOf(b)).toEqual(memory.labelsOf(a));
    }
    expect([a.mint[2], a.maxt[2], a.refs[2]]).toEqual([-(2 ** 44) + 2 ** 41, -(2 ** 44) + 2 ** 41 + 2 ** 39, 2 ** 35 + i * 1e6 + 34]);
  }
  expect(reads() - before).toBeLessThanOrEqual(Math.ceil(memory.toc.postings / 65536) + 1);
  for (const matcher of [createMatcher('=~', 'i', '0001.*'), createMatcher('=', 'name', 'm3'), createMatcher('!~', 'long', 'x+')]) {
    expect(matchPostings(paged, [matcher])).toEqual(matchPostings(memory, [matcher]));
  }
  expect(paged.labelValues('name')).toEqual(['m0', 'm1', 'm2', 'm3', 'm4', 'm5', 'm6']);
});

describe('the postings table', () => {
  const value = fc.oneof(fc.stringMatching(/^[ab]{1,4}$/), fc.string({ unit: 'binary', minLength: 1, maxLength: 3 }).filter((text) => !/\p{Surrogate}/u.test(text)));
  test('finds values, and ranges of a prefix', () => {
    fc.assert(
      fc.property(fc.uniqueArray(value, { minLength: 1, maxLength: 40 }), value, (values, wanted) => {
        const sorted = values.sort(compareUtf8);
        const { memory } = indexes(sorted.map((text) => ['n', text]));
        const table = memory.postingsTable;
        expect(memory.labelValues('n')).toEqual(sorted);
        for (const text of [...sorted, wanted]) {
          const entry = table.find('n', text);
          expect(entry >= 0).toBe(sorted.includes(text));
          if (entry >= 0) expect(table.valueAt(entry)).toBe(text);
        }
        const [first, end] = table.prefixRange('n', wanted);
        const [all] = table.range('n');
        const matching = sorted.filter((text) => text.startsWith(wanted));
        expect(sorted.slice(first - all, end - all)).toEqual(matching);
        expect(table.range('none')).toEqual([0, 0]);
        for (const text of sorted) expect(memory.symbols.lookup(memory.symbols.indexOf(text))).toBe(text);
        expect(memory.symbols.indexOf('not there at all')).toBe(-1);
      }),
    );
  });
});
