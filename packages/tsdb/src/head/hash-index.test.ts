import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { HashIndex } from './hash-index.ts';

/** One to one, and spreads neighbours. */
function spread(i: number): number {
  const hash = Math.imul(i, 0x9e3779b1);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** Entries with a hash, ascending. */
function entriesOf(index: HashIndex, hash: number): number[] {
  const found: number[] = [];
  for (let entry = index.first(hash); entry >= 0; entry = index.next(entry)) found.push(entry);
  return found.sort((a, b) => a - b);
}

describe('HashIndex', () => {
  test('finds all entries of a hash and no other, whatever was added between', () => {
    const hashes = fc.array(fc.oneof(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: 0xffffffff }), fc.constant(0xffffffff)), { maxLength: 300 });
    fc.assert(
      fc.property(hashes, (added) => {
        const index = new HashIndex();
        for (const [i, hash] of added.entries()) expect(index.add(hash, i * 3, -i)).toBe(i);
        expect(index.count).toBe(added.length);
        for (const [i, hash] of added.entries()) {
          expect([index.hash(i), index.wordA(i), index.wordB(i)]).toEqual([hash, i * 3, 0 - i]);
          expect(entriesOf(index, hash)).toEqual([...added.keys()].filter((other) => added[other] === hash));
        }
        expect(entriesOf(index, 41)).toEqual([...added.keys()].filter((other) => added[other] === 41));
      }),
    );
  });

  test('a million entries, each found where it was added and nothing else, in chains of a few', () => {
    const index = new HashIndex();
    for (let i = 0; i < 1_000_000; i++) index.add(spread(i), i, 0);
    let wrong = 0;
    for (let i = 0; i < 1_000_000; i++) if (index.first(spread(i)) !== i || index.next(i) !== -1) wrong++;
    for (let i = 1_000_000; i < 1_100_000; i++) if (index.first(spread(i)) !== -1) wrong++;
    expect(wrong).toBe(0);
  });

  test('words are replaced where they are', () => {
    const index = new HashIndex();
    for (let i = 0; i < 100; i++) index.add(i, 0, 0);
    index.setWords(70, -2147483648, 2147483647);
    expect([index.wordA(70), index.wordB(70), index.wordA(69), index.wordB(71), index.first(70)]).toEqual([-2147483648, 2147483647, 0, 0, 70]);
  });
});
