/** Entries that no writer of ours makes: chunks out of order, whose differences wrap around as unsigned 64-bit numbers. */
import { expect, test } from '@jest/globals';
import { createSeriesEntry, decodeSeriesEntry } from './series-entry.ts';

/** 2^64 − n as a varint. */
function wrapped(n: bigint): number[] {
  const bytes: number[] = [];
  for (let rest = 2n ** 64n - n; ; rest >>= 7n) {
    if (rest < 0x80n) return [...bytes, Number(rest)];
    bytes.push(Number(rest & 0x7fn) | 0x80);
  }
}

test.each([1n, 2n, 127n, 128n, 300n, 2n ** 31n, 2n ** 52n])('a chunk that begins %d ms before the one in front of it ends', (back) => {
  // One label, two chunks: [100, 110] and [110 − back, 115 − back].
  const bytes = Uint8Array.from([1, 0, 1, 2, 0xc8, 0x01, 10, 8, ...wrapped(back), 5, 16]);
  const entry = createSeriesEntry();
  expect(decodeSeriesEntry(bytes, 0, bytes.length, entry)).toBe('');
  expect([...entry.mint.subarray(0, 2)]).toEqual([100, Number(110n - back)]);
  expect([...entry.maxt.subarray(0, 2)]).toEqual([110, Number(115n - back)]);
  expect([...entry.refs.subarray(0, 2)]).toEqual([8, 16]);
});

test('a wrapped difference that is cut off', () => {
  const bytes = Uint8Array.from([1, 0, 1, 2, 0xc8, 0x01, 10, 8, ...wrapped(5n), 5, 16]);
  for (let end = 9; end < bytes.length; end++) expect(decodeSeriesEntry(bytes, 0, end, createSeriesEntry())).not.toBe('');
});
