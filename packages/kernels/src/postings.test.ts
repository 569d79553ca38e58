/** The module and its twin give the same postings as sets do, and read both lists equally far. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createKernels } from './create-kernels.ts';
import { POSTINGS_SLACK_BYTES } from './postings-kernels.ts';

type Operation = 'intersectPostings' | 'subtractPostings';
const OPERATIONS: readonly Operation[] = ['intersectPostings', 'subtractPostings'];
const GUARD = 0x5eed;

function byKernel(backend: 'wasm' | 'js', operation: Operation, a: readonly number[], b: readonly number[]): { refs: number[]; rest: number[] } {
  const kernels = createKernels({ backend });
  const { memory } = kernels;
  const room = 4 * (operation === 'intersectPostings' ? Math.min(a.length, b.length) : a.length) + POSTINGS_SLACK_BYTES;
  const aPtr = memory.alloc(4 * a.length);
  const bPtr = memory.alloc(4 * b.length);
  const outPtr = memory.alloc(room + 4);
  const restPtr = memory.alloc(8);
  memory.i32(aPtr, a.length).set(a);
  memory.i32(bPtr, b.length).set(b);
  memory.i32(outPtr + room, 1)[0] = GUARD;
  const count = kernels[operation](aPtr, a.length, bPtr, b.length, outPtr, restPtr);
  expect(memory.i32(outPtr + room, 1)[0]).toBe(GUARD);
  return { refs: [...memory.i32(outPtr, count)].map((ref) => ref >>> 0), rest: [...memory.i32(restPtr, 2)] };
}

/** By sets: what is not above the lower of the last references is read. */
function naively(operation: Operation, a: readonly number[], b: readonly number[]): { refs: number[]; rest: number[] } {
  const last = Math.min(a.at(-1) ?? -1, b.at(-1) ?? -1);
  const aRead = a.filter((ref) => ref <= last);
  const bRead = b.filter((ref) => ref <= last);
  const other = new Set(bRead);
  return { refs: aRead.filter((ref) => other.has(ref) === (operation === 'intersectPostings')), rest: [aRead.length, bRead.length] };
}

function ascending(refs: readonly number[]): number[] {
  return [...new Set(refs)].sort((x, y) => x - y);
}

const low = fc.integer({ min: 0, max: 120 });
const high = fc.integer({ min: 0xffffffff - 120, max: 0xffffffff });
const anyRef = fc.oneof({ weight: 6, arbitrary: low }, { weight: 2, arbitrary: high }, { weight: 1, arbitrary: fc.integer({ min: 0x7ffffff0, max: 0x80000010 }) });
const list = fc.oneof(fc.array(low, { maxLength: 90 }), fc.array(high, { maxLength: 60 }), fc.array(anyRef, { maxLength: 90 })).map(ascending);

describe.each(OPERATIONS)('%s', (operation) => {
  test('module, twin and sets agree', () => {
    fc.assert(
      fc.property(list, list, (a, b) => {
        const expected = naively(operation, a, b);
        expect(byKernel('wasm', operation, a, b)).toEqual(expected);
        expect(byKernel('js', operation, a, b)).toEqual(expected);
      }),
      { numRuns: 400 },
    );
  });

  const run = (from: number, length: number, step: number): number[] => Array.from({ length }, (_, i) => from + i * step);
  const cases = [
    { name: 'nothing with nothing', a: [], b: [] },
    { name: 'nothing with something', a: [], b: run(0, 9, 1) },
    { name: 'something with nothing', a: run(0, 9, 1), b: [] },
    { name: 'equal lists', a: run(5, 33, 3), b: run(5, 33, 3) },
    { name: 'one behind the other', a: run(0, 16, 1), b: run(16, 16, 1) },
    { name: 'by turns', a: run(0, 50, 2), b: run(1, 50, 2) },
    { name: 'four of one across many of the other', a: [0, 40, 41, 200], b: run(0, 60, 3) },
    { name: 'many of one across four of the other', a: run(0, 60, 3), b: [0, 42, 43, 201] },
    { name: 'from half of the range upwards', a: run(0x7ffffffc, 12, 1), b: run(0x7ffffffe, 12, 2) },
    { name: 'the last reference there is', a: [1, 2, 3, 0xffffffff], b: [0, 2, 4, 0xffffffff] },
  ];
  test.each(cases)('$name', ({ a, b }) => {
    const expected = naively(operation, a, b);
    expect(byKernel('wasm', operation, a, b)).toEqual(expected);
    expect(byKernel('js', operation, a, b)).toEqual(expected);
  });
});
