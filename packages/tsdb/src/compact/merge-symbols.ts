/**
 * One symbol table out of several: the sorted union, and for each input its ordinals in the union.
 *
 *   block 0   '' a c        union   '' a b c        maps   [0 1 3]
 *   block 1   a b                    0  1 2 3               [1 2]
 *
 * Both are in byte order, so comparing label sets of different blocks becomes comparing mapped ordinals: no strings in the merge.
 */
import { compareRanges, type SymbolBytes, SymbolBytesBuilder } from '../index-file/symbol-bytes.ts';
import type { Symbols } from '../index-file/symbols.ts';

/** The union. */
export interface MergedSymbols {
  /** In byte order, unique. */
  readonly symbols: SymbolBytes;
  /** Per input: ordinal there → ordinal in `symbols`. */
  readonly maps: readonly Uint32Array[];
}

/** Merges tables, each in byte order. */
export function mergeSymbols(tables: readonly Symbols[]): MergedSymbols {
  let countMax = 0;
  let bytes = 0;
  for (const { count, body } of tables) {
    countMax += count;
    bytes = Math.max(bytes, body.length);
  }
  const union = new SymbolBytesBuilder(countMax, bytes);
  const maps = tables.map(({ count }) => new Uint32Array(count));
  const next = new Uint32Array(tables.length);
  /** Tables whose next symbol is the smallest. */
  const equal = new Uint32Array(tables.length);
  for (;;) {
    let equals = 0;
    let smallest: Symbols | undefined;
    let from = 0;
    let to = 0;
    for (let i = 0; i < tables.length; i++) {
      const table = tables[i]!;
      const ordinal = next[i]!;
      if (ordinal >= table.count) continue;
      const [start, end] = [table.startOf(ordinal), table.endOf(ordinal)];
      const order = smallest === undefined ? -1 : compareRanges(table.body, start, end, smallest.body, from, to);
      if (order > 0) continue;
      if (order < 0) {
        [smallest, from, to] = [table, start, end];
        equals = 0;
      }
      equal[equals++] = i;
    }
    if (smallest === undefined) return { symbols: union.take(), maps };
    for (let i = 0; i < equals; i++) {
      const input = equal[i]!;
      maps[input]![next[input]!++] = union.count;
    }
    union.add(smallest.body, from, to);
  }
}
