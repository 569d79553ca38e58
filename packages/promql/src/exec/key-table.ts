/**
 * Tables of label sets. What grows with the number of series lies in the JavaScript heap, where no allocator says no: a query that holds millions of
 * groups would end the process. So every entry is charged to the query's budget before it is made, by an estimate of what V8 needs for it.
 */
import type { Labels } from '@gauntlet/model';
import type { QueryContext } from './query-context.ts';

/** An entry of a Map (three words and its share of the buckets, twice while it grows), the head of its key, and what hangs on it. */
const ENTRY_BYTES = 160;
/** An array's object and the head of its elements. */
const ARRAY_BYTES = 64;
/** A slot of an array, and the head of a string. */
const SLOT_BYTES = 8;
const STRING_BYTES = 16;

/** Heap bytes of one label set: array, slots, values. Names are shared. */
export function bytesOfLabels(labels: Labels): number {
  let bytes = ARRAY_BYTES;
  for (let i = 1; i < labels.length; i += 2) bytes += 2 * SLOT_BYTES + STRING_BYTES + labels[i]!.length;
  return bytes;
}

/** Numbers keys in the order they are seen first. */
export class KeyTable {
  readonly #context: QueryContext;
  readonly #ids = new Map<string, number>();
  #bytes = 0;

  constructor(context: QueryContext) {
    this.#context = context;
  }

  /** Number of keys, and the number the next one will get. */
  get size(): number {
    return this.#ids.size;
  }

  /** The number of a key; `size` grows when it is a new one. @throws what the budget throws */
  idOf(key: string): number {
    this.#context.worked(0, 1);
    const known = this.#ids.get(key);
    if (known !== undefined) return known;
    // Keys are two bytes a character: they hold a separator that is no Latin letter.
    const bytes = ENTRY_BYTES + 2 * key.length;
    this.#context.reserve(bytes);
    this.#bytes += bytes;
    const id = this.#ids.size;
    this.#ids.set(key, id);
    return id;
  }

  /** Gives the memory charge back; the table is empty then. */
  free(): void {
    this.#ids.clear();
    this.#context.release(this.#bytes);
    this.#bytes = 0;
  }
}
