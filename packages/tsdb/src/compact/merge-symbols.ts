/**
 * One symbol table out of several: the sorted union, and for each input its ordinals in the union.
 *
 *   block 0   '' a c        union   '' a b c        maps   [0 1 3]
 *   block 1   a b                    0  1 2 3               [1 2]
 *
 * Both are in byte order, so comparing label sets of different blocks becomes comparing mapped ordinals: no strings in the merge.
 */
import { compareBytes, utf8Decode } from '@gauntlet/bytes';
import type { Symbols } from '../index-file/symbols.ts';

/** The union. */
export interface MergedSymbols {
  /** In byte order, unique. */
  readonly symbols: readonly string[];
  /** Per input: ordinal there → ordinal in `symbols`. */
  readonly maps: readonly Uint32Array[];
}

/** Merges tables, each in byte order. */
export function mergeSymbols(tables: readonly Symbols[]): MergedSymbols {
  const symbols: string[] = [];
  const maps = tables.map(({ count }) => new Uint32Array(count));
  const heads = tables.map((table) => (table.count > 0 ? table.bytesOf(0) : undefined));
  const next = tables.map(() => 0);
  for (;;) {
    let smallest: Uint8Array | undefined;
    for (const head of heads) if (head !== undefined && (smallest === undefined || compareBytes(head, smallest) < 0)) smallest = head;
    if (smallest === undefined) return { symbols, maps };
    for (const [i, table] of tables.entries()) {
      const head = heads[i];
      if (head === undefined || (head !== smallest && compareBytes(head, smallest) !== 0)) continue;
      maps[i]![next[i]!] = symbols.length;
      next[i]!++;
      heads[i] = next[i]! < table.count ? table.bytesOf(next[i]!) : undefined;
    }
    symbols.push(utf8Decode(smallest));
  }
}
