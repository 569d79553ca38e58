/** A longer column has what the old one had, then zeros, and shares nothing with it. */
import { expect, test } from '@jest/globals';
import { type Column, grownColumn } from './grown-column.ts';

test.each<Column>([Float64Array.of(1.5, -0), Uint32Array.of(2 ** 32 - 1, 7), Int32Array.of(-1, 7), Uint16Array.of(65_535, 7), Uint8Array.of(255, 7)])('%p', (column) => {
  const twice = grownColumn(column);
  expect(twice.constructor).toBe(column.constructor);
  expect([...twice]).toEqual([...column, 0, 0]);
  expect([...grownColumn(column, 3)]).toEqual([...column, 0]);
  twice[0] = 9;
  expect(column[0]).not.toBe(9);
});

test('a shorter one is refused', () => {
  expect(() => grownColumn(new Uint8Array(3), 2)).toThrow('offset is out of bounds');
});
