/**
 * The symbols of an input as ordinals of the output: what lets series be compared without making strings.
 *
 *   input   '' a c d      output   '' a b d      map   [0 1 – 3]        – not there: no series of the output has the label
 *
 * Two tables side by side, byte by byte; compaction joins all tables into one (merge-symbols.ts).
 */
import { compareBytes } from '@gauntlet/bytes';
import type { Symbols } from '../index-file/symbols.ts';

/** The ordinal of a symbol that the output does not have. It is after all others. */
export const ABSENT = 0xffffffff;

/** Orders a symbol of one table and one of another: negative, 0 or positive. */
function compareSymbols(left: Symbols, l: number, right: Symbols, r: number): number {
  const a = left.body;
  const b = right.body;
  let at = left.startOf(l);
  let other = right.startOf(r);
  const end = left.endOf(l);
  const otherEnd = right.endOf(r);
  for (; at < end && other < otherEnd; at++, other++) if (a[at] !== b[other]) return a[at]! - b[other]!;
  return end - at - (otherEnd - other);
}

/** The ordinal of the first symbol that is not after the one before it, −1 when all are. */
export function firstUnsorted(table: Symbols): number {
  for (let i = 1; i < table.count; i++) if (compareSymbols(table, i - 1, table, i) >= 0) return i;
  return -1;
}

/**
 * Finds the symbols of `input` in `output`.
 * @param output in byte order, unique. Where `input` is not, symbols are said to be absent that are not
 * @returns by ordinal of `input` the ordinal of `output`, or ABSENT
 */
export function mapSymbols(input: Symbols, output: Symbols): Uint32Array {
  const map = new Uint32Array(input.count).fill(ABSENT);
  // Blocks of one place after the other mostly have the same.
  if (compareBytes(input.body, output.body) === 0) return map.map((_, i) => i);
  for (let i = 0, o = 0; i < input.count && o < output.count; ) {
    const order = compareSymbols(input, i, output, o);
    if (order === 0) map[i++] = o++;
    else if (order < 0) i++;
    else o++;
  }
  return map;
}
