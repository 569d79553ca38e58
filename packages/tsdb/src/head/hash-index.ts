/**
 * Finds entries of a table by hash. Linear hashing (Litwin, 1980): as entries are added, some buckets are split in two, so the index grows
 * with its entries, never stops to rebuild all of itself, and makes no garbage.
 *
 *   buckets   hash → first entry
 *   records   entry → next one of its bucket │ hash │ two words of the owner      side by side, for they are read together
 *
 *   bucket of a hash = hash mod 2m, or hash mod m where that bucket is not there yet        m ≤ buckets < 2m
 *
 * 20 bytes an entry, the owner's words among them.
 */
import { makeInt32Page, PAGE_BITS, PAGE_MASK, reserveEntry } from './columns.ts';

const NONE = -1;
const FIRST_BUCKETS = 16;
const RECORD_WORDS = 4;
/** Buckets split at a time. A power of two, so that m is a multiple of it. */
const SPLITS = 1024;
const RECORD_BITS: number = PAGE_BITS - 2;
const RECORD_MASK: number = (1 << RECORD_BITS) - 1;

/**
 * Entries by hash, numbered from 0 as they are added. What equals what is the caller's decision:
 *
 *   for (let entry = index.first(hash); entry >= 0; entry = index.next(entry)) if (…) return entry;
 */
export class HashIndex {
  readonly #buckets: Int32Array[] = [new Int32Array(FIRST_BUCKETS).fill(NONE)];
  readonly #records: Int32Array[] = [];
  #bucketCount = FIRST_BUCKETS;
  /** 2m − 1. */
  #mask = FIRST_BUCKETS * 2 - 1;
  /** Keeps the compiler from leaving out the reads of `#fetch`. */
  fetched = 0;
  /** Entries. */
  count = 0;

  /** An entry with this hash, −1 when there is none. @param hash 32 bits, unsigned; its lower bits must spread */
  first(hash: number): number {
    const bucket = this.#bucketOf(hash);
    return this.#seek(this.#buckets[bucket >>> PAGE_BITS]![bucket & PAGE_MASK]!, hash | 0);
  }

  /** The next entry with the same hash, −1 after the last. */
  next(entry: number): number {
    const records = this.#records[entry >>> RECORD_BITS]!;
    const at = (entry & RECORD_MASK) * RECORD_WORDS;
    return this.#seek(records[at]!, records[at + 1]!);
  }

  #seek(entry: number, hash: number): number {
    while (entry !== NONE) {
      const records = this.#records[entry >>> RECORD_BITS]!;
      const at = (entry & RECORD_MASK) * RECORD_WORDS;
      if (records[at + 1] === hash) break;
      entry = records[at]!;
    }
    return entry;
  }

  /** Hash of an entry. */
  hash(entry: number): number {
    return this.#records[entry >>> RECORD_BITS]![(entry & RECORD_MASK) * RECORD_WORDS + 1]! >>> 0;
  }

  /** First word of the owner, signed. */
  wordA(entry: number): number {
    return this.#records[entry >>> RECORD_BITS]![(entry & RECORD_MASK) * RECORD_WORDS + 2]!;
  }

  /** Second word of the owner, signed. */
  wordB(entry: number): number {
    return this.#records[entry >>> RECORD_BITS]![(entry & RECORD_MASK) * RECORD_WORDS + 3]!;
  }

  /** Replaces the owner's words. */
  setWords(entry: number, wordA: number, wordB: number): void {
    const records = this.#records[entry >>> RECORD_BITS]!;
    const at = (entry & RECORD_MASK) * RECORD_WORDS;
    records[at + 2] = wordA;
    records[at + 3] = wordB;
  }

  /** Adds the next entry. @returns its number */
  add(hash: number, wordA: number, wordB: number): number {
    const entry = this.count;
    if (entry >= this.#bucketCount) {
      const splits = Math.min(this.#bucketCount, SPLITS);
      this.#fetch(this.#bucketCount & (this.#mask >>> 1), splits);
      for (let left = splits; left > 0; left--) this.#split();
    }
    reserveEntry(this.#records, entry * RECORD_WORDS, makeInt32Page);
    this.count++;
    this.setWords(entry, wordA, wordB);
    this.#records[entry >>> RECORD_BITS]![(entry & RECORD_MASK) * RECORD_WORDS + 1] = hash;
    this.#link(entry, this.#bucketOf(hash));
    return entry;
  }

  #bucketOf(hash: number): number {
    const bucket = hash & this.#mask;
    return bucket < this.#bucketCount ? bucket : hash & (this.#mask >>> 1);
  }

  #link(entry: number, bucket: number): void {
    const buckets = this.#buckets[bucket >>> PAGE_BITS]!;
    this.#records[entry >>> RECORD_BITS]![(entry & RECORD_MASK) * RECORD_WORDS] = buckets[bucket & PAGE_MASK]!;
    buckets[bucket & PAGE_MASK] = entry;
  }

  /**
   * Reads what splits are about to read. Where it lies is random, and a split waits for it; here nothing depends on it, so that the processor
   * fetches many at a time.
   */
  #fetch(from: number, count: number): void {
    let sum = 0;
    for (let bucket = from; bucket < from + count; bucket++) {
      const entry = Math.max(this.#buckets[bucket >>> PAGE_BITS]![bucket & PAGE_MASK]!, 0);
      sum ^= this.#records[entry >>> RECORD_BITS]![(entry & RECORD_MASK) * RECORD_WORDS]!;
    }
    this.fetched = sum;
  }

  /** Adds a bucket and gives it what belongs there from the one that stood for both. */
  #split(): void {
    const added = this.#bucketCount++;
    const from = added & (this.#mask >>> 1);
    reserveEntry(this.#buckets, added, makeInt32Page);
    this.#buckets[added >>> PAGE_BITS]![added & PAGE_MASK] = NONE;
    let entry = this.#buckets[from >>> PAGE_BITS]![from & PAGE_MASK]!;
    this.#buckets[from >>> PAGE_BITS]![from & PAGE_MASK] = NONE;
    while (entry !== NONE) {
      const records = this.#records[entry >>> RECORD_BITS]!;
      const at = (entry & RECORD_MASK) * RECORD_WORDS;
      const next = records[at]!;
      this.#link(entry, records[at + 1]! & this.#mask);
      entry = next;
    }
    if (this.#bucketCount > this.#mask) this.#mask = this.#mask * 2 + 1;
  }
}
