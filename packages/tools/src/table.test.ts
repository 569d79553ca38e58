/** Tables as text, and cells in order. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { compareCells } from './bucket-inspect.ts';
import { formatGoTime, formatSeconds, groupThousands } from './go-text.ts';
import { displayWidth, formatTable } from './table.ts';

describe('formats', () => {
  const table = { header: ['A', 'LONGER', 'C'], rows: [['1', 'x', 'a,b'], ['wide wide', '', 'q"q\tz']] };
  test('columns: header in the middle, cells left', () => {
    expect(formatTable(table, 'table')).toBe(
      // A tab takes no column, as upstream counts.
      ['|     A     | LONGER |  C   |', '|-----------|--------|------|', '| 1         | x      | a,b  |', '| wide wide |        | q"q\tz |', ''].join('\n'),
    );
  });
  test('csv', () => expect(formatTable(table, 'csv')).toBe('A,LONGER,C\n1,x,"a,b"\nwide wide,,"q""q\tz"\n'));
  test('tsv', () => expect(formatTable(table, 'tsv')).toBe('A\tLONGER\tC\n1\tx\ta,b\nwide wide\t\t"q""q\tz"\n'));
  test('no rows', () => expect(formatTable({ header: ['A', 'BB'], rows: [] }, 'table')).toBe('| A | BB |\n|---|----|\n'));
  test('cells of several lines, and wide characters', () => {
    expect(formatTable({ header: ['A', 'B'], rows: [['日本', 'x\ny']] }, 'table')).toBe('|  A   | B |\n|------|---|\n| 日本 | x |\n|      | y |\n');
  });
  test.each([['\\.', '"\\."'], [' a', '" a"'], ['a\r', '"a\r"'], ['\u00a0a', '"\u00a0a"'], ['', '']])('csv cell %j', (cell, text) => {
    expect(formatTable({ header: [], rows: [[cell, 'z']] }, 'csv')).toBe(`\n${text},z\n`);
  });
  test.each([['abc', 3], ['é', 1], ['e\u0301', 1], ['한글', 4], ['😀', 2], ['', 0]])('width of %j', (text, width) => expect(displayWidth(text)).toBe(width));
});

describe('cells', () => {
  test.each<{ name: string; cells: string[] }>([
    { name: 'times', cells: ['1969-12-31T23:59:59Z', '2026-04-13T04:00:01Z', '2026-04-13T06:00:01Z'] },
    { name: 'durations', cells: ['-235h59m58.766s', '-35h', '0s', '5m0s', '1h0m0s', '275h59m28.382s'] },
    { name: 'numbers', cells: ['0', '13', '962', '1,082', '136,147'] },
    { name: 'texts by bytes', cells: ['', 'compactor', 'sidecar', 'é', '\u{fb01}', '😀'] },
    { name: 'what is not a duration among durations', cells: ['-', '38h0m1.234s'] },
  ])('$name', ({ cells }) => {
    for (let i = 0; i < cells.length; i++) for (let j = 0; j < cells.length; j++) expect([cells[i], cells[j], Math.sign(compareCells(cells[i]!, cells[j]!))]).toEqual([cells[i], cells[j], Math.sign(i - j)]);
  });
});

describe('numbers and times as Go prints them', () => {
  test.each([[0, '0'], [999, '999'], [1000, '1,000'], [1234567, '1,234,567']])('%d', (value, text) => expect(groupThousands(value)).toBe(text));
  test('property: thousands apart are the number', () => {
    fc.assert(fc.property(fc.maxSafeNat(), (n) => Number(groupThousands(n).replaceAll(',', '')) === n && /^\d{1,3}(,\d{3})*$/.test(groupThousands(n))));
  });
  test.each([
    [1_776_052_801_234, '2026-04-13T04:00:01Z'],
    [-1, '1970-01-01T00:00:00Z'],
    [-1001, '1969-12-31T23:59:59Z'],
    [-62_167_219_200_000, '0000-01-01T00:00:00Z'],
    [253_402_300_800_000, '10000-01-01T00:00:00Z'],
    [9e15, '9000000000000000ms'],
  ])('%d ms', (ms, text) => expect(formatSeconds(ms)).toBe(text));
  test.each([
    ['2026-11-21T07:49:04.100Z', '2026-11-21 07:49:04.1 +0000 UTC'],
    ['2026-11-21T07:49:04+02:00', '2026-11-21 07:49:04 +0200 +0200'],
    ['0001-01-01T00:00:00Z', '0001-01-01 00:00:00 +0000 UTC'],
    ['never', 'never'],
  ])('%s', (time, text) => expect(formatGoTime(time)).toBe(text));
});
