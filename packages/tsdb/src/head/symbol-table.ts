/**
 * The strings of a head, each once: names and values of labels, known by small ids.
 *
 * Kept as UTF-8 bytes in one pool with a hash table of ids, because WAL records and write requests bring bytes: a string is made
 * only when somebody reads the label.
 */
import { utf8Decode, utf8EncodeInto } from '@gauntlet/bytes';

/** Interned strings; ids count from 0 in order of arrival. */
export interface SymbolTable {
  readonly count: number;
  /** Id of the UTF-8 bytes in [start, end), added when absent. */
  internBytes(bytes: Uint8Array, start: number, end: number): number;
  /** Id of a string, added when absent. */
  intern(text: string): number;
  /** Id of a string, −1 when absent. */
  find(text: string): number;
  text(id: number): string;
}

function hashBytes(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
  return (hash ^ (hash >>> 15)) >>> 0;
}

/** Strings remembered with their id, so that labels that come as strings again and again are not encoded each time. */
const RECENT_TEXTS_MAX = 65_536;

/** An empty table. */
export function createSymbolTable(): SymbolTable {
  let pool = new Uint8Array(64 * 1024);
  let poolBytes = 0;
  let starts = new Uint32Array(1024);
  let hashes = new Uint32Array(1024);
  let slots = new Int32Array(2048).fill(-1);
  let count = 0;
  const texts: (string | undefined)[] = [];
  let scratch = new Uint8Array(1024);
  const recent = new Map<string, number>();
  const remember = (text: string, id: number): number => {
    if (recent.size >= RECENT_TEXTS_MAX) recent.clear();
    recent.set(text, id);
    return id;
  };

  const endOf = (id: number): number => (id + 1 < count ? starts[id + 1]! : poolBytes);
  const isAt = (id: number, bytes: Uint8Array, start: number, end: number): boolean => {
    const at = starts[id]!;
    if (endOf(id) - at !== end - start) return false;
    for (let i = 0; i < end - start; i++) if (pool[at + i] !== bytes[start + i]) return false;
    return true;
  };
  /** Slot of the bytes: holds their id, or −1 where they would go. */
  const slotOf = (hash: number, bytes: Uint8Array, start: number, end: number): number => {
    const mask = slots.length - 1;
    let slot = hash & mask;
    for (;;) {
      const id = slots[slot]!;
      if (id < 0 || (hashes[id] === hash && isAt(id, bytes, start, end))) return slot;
      slot = (slot + 1) & mask;
    }
  };
  const grow = (bytes: number): void => {
    if (poolBytes + bytes > pool.length) {
      const grown = new Uint8Array(Math.max(pool.length * 2, poolBytes + bytes));
      grown.set(pool);
      pool = grown;
    }
    if (count < starts.length) return;
    const grownStarts = new Uint32Array(count * 2);
    grownStarts.set(starts);
    starts = grownStarts;
    const grownHashes = new Uint32Array(count * 2);
    grownHashes.set(hashes);
    hashes = grownHashes;
    slots = new Int32Array(count * 4).fill(-1);
    const mask = slots.length - 1;
    for (let id = 0; id < count; id++) {
      let slot = hashes[id]! & mask;
      while (slots[slot]! >= 0) slot = (slot + 1) & mask;
      slots[slot] = id;
    }
  };
  const internBytes = (bytes: Uint8Array, start: number, end: number): number => {
    const hash = hashBytes(bytes, start, end);
    const found = slots[slotOf(hash, bytes, start, end)]!;
    if (found >= 0) return found;
    grow(end - start);
    const id = count;
    starts[id] = poolBytes;
    hashes[id] = hash;
    pool.set(bytes.subarray(start, end), poolBytes);
    poolBytes += end - start;
    count++;
    slots[slotOf(hash, bytes, start, end)] = id;
    return id;
  };
  const encode = (text: string): number => {
    if (text.length * 3 > scratch.length) scratch = new Uint8Array(text.length * 6);
    return utf8EncodeInto(text, scratch, 0);
  };
  return {
    get count() {
      return count;
    },
    internBytes,
    intern(text) {
      const known = recent.get(text);
      if (known !== undefined) return known;
      const bytes = encode(text);
      const id = internBytes(scratch, 0, bytes);
      texts[id] ??= text;
      return remember(text, id);
    },
    find(text) {
      const known = recent.get(text);
      if (known !== undefined) return known;
      const bytes = encode(text);
      const id = slots[slotOf(hashBytes(scratch, 0, bytes), scratch, 0, bytes)]!;
      return id < 0 ? id : remember(text, id);
    },
    text(id) {
      let text = texts[id];
      if (text === undefined) {
        text = utf8Decode(pool, starts[id]!, endOf(id));
        texts[id] = text;
      }
      return text;
    },
  };
}
