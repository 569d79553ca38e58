/**
 * The inverted index of a head: label pair → slots of the series that have it, ascending, because slots are given out in order.
 *
 * Most values of a high-cardinality label have one series: a lone slot is stored as the number itself, and becomes a list with the
 * second series.
 */
import { compareUtf8 } from '@gauntlet/bytes';
import type { LabelIndex } from '../index-file/index-reader.ts';
import { EMPTY_POSTINGS, type Postings, unionPostings } from '../index-file/postings.ts';
import type { SymbolTable } from './symbol-table.ts';

interface SlotList {
  slots: Uint32Array;
  length: number;
}

/** A growing inverted index. Lists that were handed out do not change. */
export interface MemPostings extends LabelIndex {
  /** Adds a series. @param symbols name and value ids in [at, at + 2·labelCount) */
  add(slot: number, symbols: Uint32Array, at: number, labelCount: number): void;
  /** Drops series. @param isDead by slot */
  remove(isDead: (slot: number) => boolean): void;
}

function pushSlot(list: SlotList, slot: number): void {
  if (list.length === list.slots.length) {
    const grown = new Uint32Array(list.length * 2);
    grown.set(list.slots);
    list.slots = grown;
  }
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

/** An empty index over the strings of `symbols`. */
export function createMemPostings(symbols: SymbolTable): MemPostings {
  /** Name id → value id → slot or list. */
  const byName = new Map<number, Map<number, number | SlotList>>();
  let all: SlotList = { slots: new Uint32Array(1024), length: 0 };

  const asPostings = (entry: number | SlotList | undefined): Postings =>
    entry === undefined ? EMPTY_POSTINGS : typeof entry === 'number' ? Uint32Array.of(entry) : entry.slots.subarray(0, entry.length);
  const valuesOf = (name: string): Map<number, number | SlotList> | undefined => byName.get(symbols.find(name));
  return {
    add(slot, ids, at, labelCount) {
      pushSlot(all, slot);
      for (let i = at; i < at + labelCount * 2; i += 2) {
        let values = byName.get(ids[i]!);
        if (values === undefined) {
          values = new Map();
          byName.set(ids[i]!, values);
        }
        const entry = values.get(ids[i + 1]!);
        if (entry === undefined) values.set(ids[i + 1]!, slot);
        else if (typeof entry === 'number') values.set(ids[i + 1]!, { slots: Uint32Array.of(entry, slot, 0, 0), length: 2 });
        else pushSlot(entry, slot);
      }
    },
    remove(isDead) {
      all = keepLiving(all, isDead);
      for (const [name, values] of byName) {
        for (const [value, entry] of values) {
          if (typeof entry === 'number') {
            if (isDead(entry)) values.delete(value);
            continue;
          }
          const kept = keepLiving(entry, isDead);
          if (kept.length === 0) values.delete(value);
          else values.set(value, kept.length === 1 ? kept.slots[0]! : kept);
        }
        if (values.size === 0) byName.delete(name);
      }
    },
    allPostings: () => asPostings(all),
    postings: (name, value) => asPostings(valuesOf(name)?.get(symbols.find(value))),
    postingsWhere(name, accept, prefix = '') {
      const lists: Postings[] = [];
      for (const [value, entry] of valuesOf(name) ?? []) {
        const text = symbols.text(value);
        if (text.startsWith(prefix) && accept(text)) lists.push(asPostings(entry));
      }
      return unionPostings(lists);
    },
    postingsOfName: (name) => unionPostings([...(valuesOf(name)?.values() ?? [])].map(asPostings)),
    labelNames: () => [...byName.keys()].map((id) => symbols.text(id)).sort(compareUtf8),
    labelValues: (name) => [...(valuesOf(name)?.keys() ?? [])].map((id) => symbols.text(id)).sort(compareUtf8),
  };
}
