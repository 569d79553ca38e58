/**
 * Runs of numbers of any length, one after the other, in pages of 65,536: label ids of series, bytes of strings. Like the columns of `columns.ts`
 * they are never copied, but for the first page, which begins small.
 *
 *   position = page · 2^16 + offset in it        a run never straddles pages; one that is longer than a page has a page of its length
 */
import { grownColumn } from '@gauntlet/bytes';

const RUN_PAGE_BITS = 16;
const RUN_PAGE_LENGTH = 1 << RUN_PAGE_BITS;
const FIRST_PAGE_LENGTH = 4096;

/** A pool of runs; positions stay below 2^32. */
export class RunPool<T extends Uint8Array | Uint32Array> {
  readonly #pages: T[];
  readonly #make: (length: number) => T;
  #end = 0;

  constructor(make: (length: number) => T) {
    this.#make = make;
    this.#pages = [make(FIRST_PAGE_LENGTH)];
  }

  /** Room for a run of `length` numbers, which are undefined. @returns its position */
  reserve(length: number): number {
    const used = this.#end & (RUN_PAGE_LENGTH - 1);
    const page = this.#end >>> RUN_PAGE_BITS;
    const isFull = page === this.#pages.length || used + length > RUN_PAGE_LENGTH;
    if (isFull) {
      this.#end = this.#pages.length * RUN_PAGE_LENGTH;
      this.#pages.push(this.#make(Math.max(RUN_PAGE_LENGTH, length)));
      // The numbers of pages that a long run takes up besides its own.
      for (let more = RUN_PAGE_LENGTH; more < length; more += RUN_PAGE_LENGTH) this.#pages.push(this.#pages.at(-1)!.subarray(0, 0) as T);
      if (length > RUN_PAGE_LENGTH) {
        const at = this.#end;
        this.#end = this.#pages.length * RUN_PAGE_LENGTH;
        return at;
      }
    } else if (used + length > this.#pages[page]!.length) {
      let room = this.#pages[page]!.length;
      while (room < used + length) room *= 2;
      this.#pages[page] = grownColumn(this.#pages[page]!, room);
    }
    const at = this.#end;
    this.#end += length;
    return at;
  }

  /** The page of a run. */
  page(position: number): T {
    return this.#pages[position >>> RUN_PAGE_BITS]!;
  }

  /** Where in its page a run begins. */
  offset(position: number): number {
    return position & (RUN_PAGE_LENGTH - 1);
  }
}
