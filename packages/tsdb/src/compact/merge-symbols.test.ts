/** Symbol tables against sets of strings, and their way into an index and back. */
import fc from 'fast-check';
import { expect, test } from '@jest/globals';
import { compareUtf8 } from '@gauntlet/bytes';
import { createMemorySource } from '../index-file/byte-source.ts';
import { openIndex } from '../index-file/index-reader.ts';
import { createIndexWriter } from '../index-file/index-writer.ts';
import { encodeSymbols, type SymbolBytes, symbolText } from '../index-file/symbol-bytes.ts';
import type { Symbols } from '../index-file/symbols.ts';
import { createMemoryFileSystem } from '../testing/memory-file-system.ts';
import { mergeSymbols } from './merge-symbols.ts';

const textsOf = (symbols: SymbolBytes): string[] => Array.from({ length: symbols.count }, (_none, i) => symbolText(symbols, i));

/** Through a file. */
function readBack(symbols: readonly string[] | SymbolBytes): Symbols {
  const fs = createMemoryFileSystem();
  createIndexWriter(fs, 'index', symbols).finish();
  return openIndex(createMemorySource(fs.snapshot().get('index')!), 'b').symbols;
}

const table = fc.uniqueArray(fc.oneof(fc.constantFrom('', 'a', 'ab', 'b', '\u{1f600}', '\uffff', 'é'), fc.string({ maxLength: 80, unit: 'binary' })), { maxLength: 30 }).map((all) => all.sort(compareUtf8));

test('the union, and each ordinal in it', () => {
  fc.assert(
    fc.property(fc.array(table, { minLength: 1, maxLength: 4 }), (tables) => {
      const { symbols, maps } = mergeSymbols(tables.map(readBack));
      const union = textsOf(symbols);
      expect(union).toEqual([...new Set(tables.flat())].sort(compareUtf8));
      expect(maps.map((map) => [...map].map((ordinal) => union[ordinal]))).toEqual(tables);
      // Bytes and strings are the same to an index.
      const again = readBack(symbols);
      expect(Array.from({ length: again.count }, (_none, i) => again.lookup(i))).toEqual(union);
    }),
  );
});

test('strings as bytes', () => {
  const symbols = encodeSymbols(['', 'é', '\u{1f600}']);
  expect([...symbols.bytes]).toEqual([0xc3, 0xa9, 0xf0, 0x9f, 0x98, 0x80]);
  expect([...symbols.starts]).toEqual([0, 0, 2, 6]);
});
