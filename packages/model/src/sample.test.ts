import { describe, expect, test } from '@jest/globals';
import { isStaleNaN, wordsOf, writeStaleNaN } from './sample.ts';

describe('stale markers', () => {
  test('only the marker is stale, not other NaNs', () => {
    const values = new Float64Array(5);
    const view = new DataView(values.buffer);
    view.setBigUint64(0, 0x7ff0000000000002n, true);
    view.setBigUint64(8, 0x7ff8000000000001n, true);
    view.setBigUint64(16, 0x7ff0000000000001n, true);
    values[3] = 2;
    const words = wordsOf(values);
    expect([0, 1, 2, 3, 4].map((i) => isStaleNaN(words, i))).toEqual([true, false, false, false, false]);
  });
  test('writes the bits', () => {
    const values = new Float64Array(4).subarray(1, 3);
    writeStaleNaN(wordsOf(values), 1);
    expect(new DataView(values.buffer).getBigUint64(16, true)).toBe(0x7ff0000000000002n);
    expect(isStaleNaN(wordsOf(values), 1)).toBe(true);
    expect(isStaleNaN(wordsOf(values), 0)).toBe(false);
  });
});
