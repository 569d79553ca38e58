/**
 * How the columns of a head grow: by pages of 16,384 entries. A series costs what its entries take, whatever their number; nothing is copied, and no
 * old copy waits for the collector beside the new one or leaves a hole in the heap of the C library. Only a first page doubles, from a small size,
 * because most heads of a process with many tenants are small.
 *
 *   entry 20,000 = page 1, at 3,616          pages[entry >>> PAGE_BITS]![entry & PAGE_MASK]!
 *
 * What is looked at together lies in an object of columns per page, so that an entry costs one more load than in flat columns. Views of
 * resizable buffers, which grow in place, make appending 12 to 30 % slower (Node 20); flat columns that grow by an eighth leave holes of 100
 * bytes a series.
 */
import { grownColumn } from '@gauntlet/bytes';

/** Entry number → page: shift by this. */
export const PAGE_BITS = 14;
/** Entries of a page. */
export const PAGE_ENTRIES: number = 1 << PAGE_BITS;
/** Entry number → place in its page. */
export const PAGE_MASK: number = PAGE_ENTRIES - 1;
const FIRST_PAGE_ENTRIES = 16;

/** Length for a flat column of `length` that has become too short: doubles while small, then grows by an eighth. */
export function grownLength(length: number): number {
  return length < PAGE_ENTRIES ? length * 2 : length + (length >>> 3);
}

/**
 * Makes room for an entry behind those that are there.
 * @param make a page of `length` entries that begins with what `before` holds
 */
export function reserveEntry<P extends { readonly length: number }>(pages: P[], entry: number, make: (length: number, before: P | undefined) => P): void {
  const page = entry >>> PAGE_BITS;
  const present = pages[page];
  if (present === undefined) pages[page] = make(page === 0 ? FIRST_PAGE_ENTRIES : PAGE_ENTRIES, undefined);
  else if ((entry & PAGE_MASK) >= present.length) pages[page] = make(present.length * 2, present);
}

/** For `reserveEntry`: pages of 32-bit numbers. */
export function makeInt32Page(length: number, before: Int32Array | undefined): Int32Array {
  return before === undefined ? new Int32Array(length) : grownColumn(before, length);
}
