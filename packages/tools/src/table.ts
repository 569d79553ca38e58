/**
 * Tables as text: CSV and TSV as Go's encoding/csv writes them, and bordered columns as Thanos prints them:
 *
 *   | ULID |   FROM   |       header in the middle, cells left
 *   |------|----------|
 *   | 01H… | 2026-…   |
 */
import { stripVTControlCharacters } from 'node:util';

/** A table: cells by row. */
export interface Table {
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** Output formats. */
export const TABLE_FORMATS = ['table', 'tsv', 'csv'] as const;
/** One of {@link TABLE_FORMATS}. */
export type TableFormat = (typeof TABLE_FORMATS)[number];

/** Writes a table in a format, with a newline behind every row. */
export function formatTable(table: Table, format: TableFormat): string {
  return format === 'table' ? formatColumns(table) : formatSeparated(table, format === 'csv' ? ',' : '\t');
}

function formatSeparated({ header, rows }: Table, separator: string): string {
  const quote = (cell: string): string => {
    const isQuoted = cell === '\\.' || cell.includes(separator) || /["\r\n]/.test(cell) || /^\s/u.test(cell);
    return isQuoted ? `"${cell.replaceAll('"', '""')}"` : cell;
  };
  return [header, ...rows].map((row) => `${row.map(quote).join(separator)}\n`).join('');
}

/** Columns a text takes on a terminal: wide characters two, combining ones none. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const character of stripVTControlCharacters(text)) {
    const point = character.codePointAt(0)!;
    if (point < 0x20 || (point >= 0x7f && point < 0xa0) || /\p{M}|\u200B|\u200D/u.test(character)) continue;
    const isWide =
      (point >= 0x1100 && point <= 0x115f) || (point >= 0x2e80 && point <= 0xa4cf && point !== 0x303f) || (point >= 0xac00 && point <= 0xd7a3) || (point >= 0xf900 && point <= 0xfaff) ||
      (point >= 0xfe30 && point <= 0xfe6f) || (point >= 0xff00 && point <= 0xff60) || (point >= 0xffe0 && point <= 0xffe6) || (point >= 0x1f300 && point <= 0x1f64f) ||
      (point >= 0x1f900 && point <= 0x1f9ff) || (point >= 0x20000 && point <= 0x3fffd);
    width += isWide ? 2 : 1;
  }
  return width;
}

function formatColumns({ header, rows }: Table): string {
  const lines = rows.map((row) => row.map((cell) => cell.split('\n')));
  const widths = header.map((name, column) => Math.max(displayWidth(name), ...lines.map((row) => Math.max(...row[column]!.map(displayWidth)))));
  const pad = (text: string, width: number, left: number): string => ' '.repeat(left) + text + ' '.repeat(width - displayWidth(text) - left);
  const join = (cells: readonly string[]): string => `| ${cells.join(' | ')} |\n`;
  let text = join(header.map((name, column) => pad(name, widths[column]!, Math.floor((widths[column]! - displayWidth(name)) / 2))));
  text += `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|\n`;
  for (const row of lines) {
    const height = Math.max(...row.map((cell) => cell.length));
    for (let line = 0; line < height; line++) text += join(row.map((cell, column) => pad(cell[line] ?? '', widths[column]!, 0)));
  }
  return text;
}
