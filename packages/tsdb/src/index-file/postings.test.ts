import { describe, expect, test } from '@jest/globals';
import { createKernels } from '@gauntlet/kernels';
import fc from 'fast-check';
import { decodePostings, intersectPostings, seekPostings, unionPostings, withoutPostings } from './postings.ts';

/** `"1 4 9"` as postings. */
function postings(notation: string): Uint32Array {
  return Uint32Array.from(notation.split(' ').filter((word) => word !== '').map(Number));
}

const list = fc
  .tuple(fc.uniqueArray(fc.nat(4000), { maxLength: 300 }), fc.constantFrom(0, 1, 4_000_000_000))
  .map(([refs, base]) => Uint32Array.from(refs.map((ref) => ref + base).sort((a, b) => a - b)));
const shortList = fc.uniqueArray(fc.nat(4000), { maxLength: 6 }).map((refs) => Uint32Array.from(refs.sort((a, b) => a - b)));
const lists = fc.array(fc.oneof(list, shortList), { minLength: 1, maxLength: 7 });

describe('tables', () => {
  const cases = [
    { name: 'disjoint', a: '1 3 5', b: '2 4 6', and: '', or: '1 2 3 4 5 6', minus: '1 3 5' },
    { name: 'equal', a: '1 2', b: '1 2', and: '1 2', or: '1 2', minus: '' },
    { name: 'one inside the other', a: '1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18', b: '9', and: '9', or: '1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18', minus: '1 2 3 4 5 6 7 8 10 11 12 13 14 15 16 17 18' },
    { name: 'empty left', a: '', b: '1', and: '', or: '1', minus: '' },
    { name: 'last reference there is', a: '1 4294967295', b: '4294967295', and: '4294967295', or: '1 4294967295', minus: '1' },
  ];
  test.each(cases)('$name', ({ a, b, and, or, minus }) => {
    expect(intersectPostings([postings(a), postings(b)])).toEqual(postings(and));
    expect(unionPostings([postings(a), postings(b)])).toEqual(postings(or));
    expect(unionPostings([postings(a), postings(b), postings(a)])).toEqual(postings(or));
    expect(withoutPostings(postings(a), postings(b))).toEqual(postings(minus));
  });

  test('no lists give nothing', () => {
    expect(intersectPostings([])).toHaveLength(0);
    expect(unionPostings([])).toHaveLength(0);
  });
});

describe('against sets', () => {
  test('intersection, union, difference', () => {
    fc.assert(
      fc.property(lists, (inputs) => {
        const sets = inputs.map((input) => new Set(input));
        const all = [...new Set(inputs.flatMap((input) => [...input]))].sort((a, b) => a - b);
        expect([...unionPostings(inputs)]).toEqual(all);
        expect([...intersectPostings(inputs)]).toEqual(all.filter((ref) => sets.every((set) => set.has(ref))));
        expect([...withoutPostings(inputs[0]!, inputs.at(-1)!)]).toEqual([...inputs[0]!].filter((ref) => !sets.at(-1)!.has(ref)));
      }),
    );
  });

  test('seek finds the first not below', () => {
    fc.assert(
      fc.property(list, fc.nat(4100), fc.nat(300), (input, target, from) => {
        const naive = [...input].findIndex((ref, i) => i >= from && ref >= target);
        const got = seekPostings(input, from, target);
        expect(naive === -1 ? Math.max(from, input.length) : naive).toBe(got);
      }),
    );
  });
});

test('decodes big-endian references', () => {
  expect(decodePostings(Uint8Array.from([0, 0, 0, 3, 255, 255, 255, 255]))).toEqual(postings('3 4294967295'));
});

describe('by kernel', () => {
  const kernels = createKernels();
  /** Lists long enough for the kernel and for several pieces: how far apart the references are changes along the list. */
  const longList = fc
    .tuple(fc.nat(50_000), fc.array(fc.tuple(fc.integer({ min: 1, max: 12_000 }), fc.integer({ min: 1, max: 9 })), { minLength: 1, maxLength: 4 }), fc.constantFrom(0, 0x7fff_0000, 0xfff0_0000), fc.integer({ min: 1, max: 1 << 30 }))
    .map(([start, stretches, base, seed]) => {
      const refs: number[] = [];
      let ref = start;
      let state = seed;
      for (const [length, spread] of stretches) {
        for (let i = 0; i < length; i++) {
          state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
          ref += 1 + ((state >>> 16) % spread);
          refs.push(base + ref);
        }
      }
      return Uint32Array.from(refs);
    });

  test('the same as without, and the memory is given back', () => {
    const before = kernels.memory.usedBytes;
    fc.assert(
      fc.property(longList, longList, (a, b) => {
        expect(intersectPostings([a, b], kernels)).toEqual(intersectPostings([a, b]));
        expect(withoutPostings(a, b, kernels)).toEqual(withoutPostings(a, b));
        expect(kernels.memory.usedBytes).toBe(before);
      }),
      { numRuns: 60 },
    );
  });

  test('several pieces of equal lists, and of lists one behind the other', () => {
    const a = Uint32Array.from({ length: 50_000 }, (_, i) => 2 * i);
    const behind = a.map((ref) => ref + 100_000);
    expect(intersectPostings([a, a.slice()], kernels)).toEqual(a);
    expect(withoutPostings(a, a.slice(), kernels)).toHaveLength(0);
    expect(intersectPostings([a, behind], kernels)).toHaveLength(0);
    expect(withoutPostings(a, behind, kernels)).toEqual(a);
    expect(withoutPostings(behind, a, kernels)).toEqual(behind);
  });
});
