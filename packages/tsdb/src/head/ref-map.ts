/**
 * Series references (numbers up to 2^53) → slots, as a hash index in typed arrays: one entry per active series must
 * not be a Map entry, which costs several times as much and ends at 2^24.
 *
 * A reference hashes to its lower 32 bits: those of series that were made one after the other lie side by side.
 */
import { HashIndex } from './hash-index.ts';

/** A map from reference to slot. */
export interface RefMap {
  readonly count: number;
  /** Slot of a reference, −1 when unknown. */
  get(ref: number): number;
  set(ref: number, slot: number): void;
  /** Drops every entry for which `keep` says no. */
  retain(keep: (ref: number, slot: number) => boolean): void;
  forEach(visit: (ref: number, slot: number) => void): void;
}

const TWO_32 = 4294967296;

function highOf(ref: number): number {
  return ref < TWO_32 ? 0 : Math.floor(ref / TWO_32);
}

/** An empty map. */
export function createRefMap(): RefMap {
  /** Words of an entry: upper half of the reference, slot. */
  let index = new HashIndex();
  const find = (ref: number): number => {
    const high = highOf(ref);
    let entry = index.first(ref >>> 0);
    while (entry >= 0 && index.wordA(entry) !== high) entry = index.next(entry);
    return entry;
  };
  const refOf = (entry: number): number => index.wordA(entry) * TWO_32 + index.hash(entry);
  return {
    get count() {
      return index.count;
    },
    get(ref) {
      const entry = find(ref);
      return entry < 0 ? -1 : index.wordB(entry);
    },
    set(ref, slot) {
      const entry = find(ref);
      if (entry < 0) index.add(ref >>> 0, highOf(ref), slot);
      else index.setWords(entry, highOf(ref), slot);
    },
    retain(keep) {
      const kept = new HashIndex();
      for (let entry = 0; entry < index.count; entry++) {
        if (keep(refOf(entry), index.wordB(entry))) kept.add(index.hash(entry), index.wordA(entry), index.wordB(entry));
      }
      index = kept;
    },
    forEach(visit) {
      for (let entry = 0; entry < index.count; entry++) visit(refOf(entry), index.wordB(entry));
    },
  };
}
