/**
 * The strings of a head, each once: names and values of labels, known by small ids.
 *
 * Kept as UTF-8 bytes in a pool with a hash index of ids, because WAL records and write requests bring bytes: a string is made
 * only when somebody reads the label.
 *
 *   id = number of an entry of the index, whose words are position in the pool and length in bytes
 */
import { utf8Decode, utf8EncodeInto } from '@gauntlet/bytes';
import { HashIndex } from './hash-index.ts';
import { RunPool } from './run-pool.ts';

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

/**
 * Strings remembered: labels that come as strings again and again are not encoded, and those that are read again and again not decoded, each
 * time. Bounded, because a string takes several times its bytes. A power of two.
 */
const RECENT_TEXTS_MAX = 65_536;

/** An empty table. */
export function createSymbolTable(): SymbolTable {
  const pool = new RunPool((length) => new Uint8Array(length));
  const index = new HashIndex();
  /** The string of an id at its place, where `textIds` names the id. */
  let texts: string[] = [];
  let textIds = new Int32Array(1024).fill(-1);
  let scratch = new Uint8Array(1024);
  const recent = new Map<string, number>();
  const remember = (text: string, id: number): number => {
    if (recent.size >= RECENT_TEXTS_MAX) recent.clear();
    recent.set(text, id);
    return id;
  };
  const keepText = (text: string, id: number): void => {
    if (id >= textIds.length && textIds.length < RECENT_TEXTS_MAX) {
      textIds = new Int32Array(textIds.length * 4).fill(-1);
      texts = [];
    }
    const place = id & (textIds.length - 1);
    textIds[place] = id;
    texts[place] = text;
  };

  const isAt = (id: number, bytes: Uint8Array, start: number, end: number): boolean => {
    if (index.wordB(id) !== end - start) return false;
    const position = index.wordA(id);
    const page = pool.page(position);
    const from = pool.offset(position) - start;
    for (let i = start; i < end; i++) if (page[from + i] !== bytes[i]) return false;
    return true;
  };
  const findBytes = (hash: number, bytes: Uint8Array, start: number, end: number): number => {
    let id = index.first(hash);
    while (id >= 0 && !isAt(id, bytes, start, end)) id = index.next(id);
    return id;
  };
  const internBytes = (bytes: Uint8Array, start: number, end: number): number => {
    const hash = hashBytes(bytes, start, end);
    const found = findBytes(hash, bytes, start, end);
    if (found >= 0) return found;
    const length = end - start;
    const position = pool.reserve(length);
    const page = pool.page(position);
    const at = pool.offset(position);
    // Mostly short: a view of the source would cost more than its bytes.
    for (let i = 0; i < length; i++) page[at + i] = bytes[start + i]!;
    return index.add(hash, position, length);
  };
  const encode = (text: string): number => {
    if (text.length * 3 > scratch.length) scratch = new Uint8Array(text.length * 6);
    return utf8EncodeInto(text, scratch, 0);
  };
  return {
    get count() {
      return index.count;
    },
    internBytes,
    intern(text) {
      const known = recent.get(text);
      if (known !== undefined) return known;
      const bytes = encode(text);
      const id = internBytes(scratch, 0, bytes);
      keepText(text, id);
      return remember(text, id);
    },
    find(text) {
      const known = recent.get(text);
      if (known !== undefined) return known;
      const bytes = encode(text);
      const id = findBytes(hashBytes(scratch, 0, bytes), scratch, 0, bytes);
      return id < 0 ? id : remember(text, id);
    },
    text(id) {
      const place = id & (textIds.length - 1);
      if (textIds[place] === id) return texts[place]!;
      const position = index.wordA(id);
      const at = pool.offset(position);
      const text = utf8Decode(pool.page(position), at, at + index.wordB(id));
      keepText(text, id);
      return text;
    },
  };
}
