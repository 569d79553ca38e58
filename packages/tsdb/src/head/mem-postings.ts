/**
 * The inverted index of a head: label pair → slots of the series that have it, ascending, because slots are given out in order.
 *
 *   name id → hash index of its value ids, whose word is   ≥ 0   the one slot
 *                                                          < 0   ~place in a list of lists
 *
 * Most values of a high-cardinality label have one series: a lone slot is stored as the number itself, and becomes a list with the
 * second series. A value takes 20 bytes; in a Map it would take 28 to 56.
 */
import { compareUtf8, grownColumn } from '@gauntlet/bytes';
import type { LabelIndex } from '../index-file/index-reader.ts';
import { EMPTY_POSTINGS, type Postings, unionPostings } from '../index-file/postings.ts';
import { grownLength } from './columns.ts';
import { HashIndex } from './hash-index.ts';
import type { SymbolTable } from './symbol-table.ts';

interface SlotList {
  slots: Uint32Array;
  length: number;
}

/** A growing inverted index. Lists that were handed out do not change. */
export interface MemPostings extends LabelIndex {
  /** Adds a series. @param ids of names and values, one after the other, in [0, idCount) */
  add(slot: number, ids: Uint32Array, idCount: number): void;
  /** Drops series. @param isDead by slot */
  remove(isDead: (slot: number) => boolean): void;
}

function pushSlot(list: SlotList, slot: number): void {
  if (list.length === list.slots.length) list.slots = grownColumn(list.slots, grownLength(list.length));
  list.slots[list.length++] = slot;
}

function keepLiving(list: SlotList, isDead: (slot: number) => boolean): SlotList {
  const slots = new Uint32Array(Math.max(list.length, 4));
  let length = 0;
  for (let i = 0; i < list.length; i++) {
    if (!isDead(list.slots[i]!)) slots[length++] = list.slots[i]!;
  }
  return { slots, length };
}

/** The values of one label name. */
class ValueTable {
  /** Value ids are their own hashes: they are counted up, so their lower bits differ. */
  readonly #values = new HashIndex();
  readonly #lists: SlotList[] = [];

  /** Values. */
  get count(): number {
    return this.#values.count;
  }

  /** Value id of a row. */
  value(row: number): number {
    return this.#values.hash(row);
  }

  add(value: number, slot: number): void {
    const row = this.#values.first(value);
    if (row < 0) {
      this.#values.add(value, slot, 0);
      return;
    }
    const entry = this.#values.wordA(row);
    if (entry < 0) pushSlot(this.#lists[~entry]!, slot);
    else this.#values.setWords(row, ~(this.#lists.push({ slots: Uint32Array.of(entry, slot, 0, 0), length: 2 }) - 1), 0);
  }

  /** Postings of a value. */
  of(value: number): Postings {
    const row = value < 0 ? -1 : this.#values.first(value);
    if (row < 0) return EMPTY_POSTINGS;
    const entry = this.#values.wordA(row);
    return entry >= 0 ? Uint32Array.of(entry) : this.#listAt(entry);
  }

  /** Postings of all values that `accept` takes together. */
  union(accept: (value: number) => boolean): Postings {
    const lists: Postings[] = [];
    // Lone slots make one list: an array for each would take a hundred bytes.
    const lone: SlotList = { slots: new Uint32Array(64), length: 0 };
    for (let row = 0; row < this.count; row++) {
      if (!accept(this.value(row))) continue;
      const entry = this.#values.wordA(row);
      if (entry >= 0) pushSlot(lone, entry);
      else lists.push(this.#listAt(entry));
    }
    lists.push(lone.slots.subarray(0, lone.length).sort());
    return unionPostings(lists);
  }

  #listAt(entry: number): Postings {
    const list = this.#lists[~entry]!;
    return list.slots.subarray(0, list.length);
  }

  /** The same values without those of which no series is left. */
  living(isDead: (slot: number) => boolean): ValueTable {
    const kept = new ValueTable();
    for (let row = 0; row < this.count; row++) {
      const entry = this.#values.wordA(row);
      if (entry >= 0) {
        if (!isDead(entry)) kept.#values.add(this.value(row), entry, 0);
        continue;
      }
      const list = keepLiving(this.#lists[~entry]!, isDead);
      if (list.length > 0) kept.#values.add(this.value(row), list.length === 1 ? list.slots[0]! : ~(kept.#lists.push(list) - 1), 0);
    }
    return kept;
  }
}

/** An empty index over the strings of `symbols`. */
export function createMemPostings(symbols: SymbolTable): MemPostings {
  const byName = new Map<number, ValueTable>();
  /** Name and table by place among the labels, of the series that was added last: the next one mostly has the same names. */
  let lastNames: number[] = [];
  let lastTables: ValueTable[] = [];
  let all: SlotList = { slots: new Uint32Array(1024), length: 0 };

  const tableOf = (name: string): ValueTable | undefined => byName.get(symbols.find(name));
  return {
    add(slot, ids, idCount) {
      pushSlot(all, slot);
      for (let i = 0; i < idCount; i += 2) {
        const place = i >>> 1;
        const name = ids[i]!;
        if (lastNames[place] !== name) {
          let table = byName.get(name);
          if (table === undefined) {
            table = new ValueTable();
            byName.set(name, table);
          }
          lastNames[place] = name;
          lastTables[place] = table;
        }
        lastTables[place]!.add(ids[i + 1]!, slot);
      }
    },
    remove(isDead) {
      all = keepLiving(all, isDead);
      lastNames = [];
      lastTables = [];
      for (const [name, table] of byName) {
        const living = table.living(isDead);
        if (living.count === 0) byName.delete(name);
        else byName.set(name, living);
      }
    },
    allPostings: () => all.slots.subarray(0, all.length),
    postings: (name, value) => tableOf(name)?.of(symbols.find(value)) ?? EMPTY_POSTINGS,
    postingsWhere: (name, accept, prefix = '') =>
      tableOf(name)?.union((value) => {
        const text = symbols.text(value);
        return text.startsWith(prefix) && accept(text);
      }) ?? EMPTY_POSTINGS,
    postingsOfName: (name) => tableOf(name)?.union(() => true) ?? EMPTY_POSTINGS,
    labelNames: () => [...byName.keys()].map((id) => symbols.text(id)).sort(compareUtf8),
    labelValues(name) {
      const table = tableOf(name);
      return Array.from({ length: table?.count ?? 0 }, (_none, row) => symbols.text(table!.value(row))).sort(compareUtf8);
    },
  };
}
