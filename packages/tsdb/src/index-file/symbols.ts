/**
 * The symbol table: every label name and value of a block once, in byte order; a symbol's ordinal stands for it everywhere else.
 *
 *   body   u32 count │ uvarint length · UTF-8 bytes │ uvarint length · UTF-8 bytes │ …
 *   here             ↑ starts[0]     end = starts[0]+lengths[0]
 *
 * The bytes stay as they are; one pass finds where each string begins. Strings are made when asked for and kept in a small
 * direct-mapped cache, because the few names and common values of a query are asked for thousands of times.
 */
import { compareBytes, utf8Decode, utf8Encode } from '@gauntlet/bytes';
import { be32, indexCorrupt } from './layout.ts';

/** A parsed symbol table. */
export interface Symbols {
  readonly count: number;
  /** The string of an ordinal. @throws TsdbError ERR_INDEX_CORRUPT when out of range */
  lookup(ordinal: number): string;
  /** The UTF-8 bytes of an ordinal, a view. */
  bytesOf(ordinal: number): Uint8Array;
  /** The bytes of all symbols, their lengths among them, and where in these an ordinal's begin and end. */
  readonly body: Uint8Array;
  startOf(ordinal: number): number;
  endOf(ordinal: number): number;
  /** The ordinal of a string, −1 when it is not there. */
  indexOf(symbol: string): number;
}

const CACHE_SLOTS = 8192;

/**
 * Parses the body of the symbols section (CRC already checked).
 * @param body retained, not copied
 * @param offset of the section in its file, for messages
 * @throws TsdbError ERR_INDEX_CORRUPT
 */
export function parseSymbols(body: Uint8Array, offset: number, name: string): Symbols {
  const fail = (at: number, what: string): Error => indexCorrupt(name, 'symbols', offset + 4 + at, what);
  if (body.length < 4) throw fail(0, 'no symbol count');
  const count = be32(body, 0);
  if (count > body.length - 4) throw fail(0, `${count} symbols in ${body.length} bytes`);
  const starts = new Uint32Array(count);
  const lengths = new Uint32Array(count);
  let at = 4;
  for (let i = 0; i < count; i++) {
    let length = 0;
    let shift = 0;
    let byte: number;
    do {
      if (at >= body.length || shift > 28) throw fail(at, `symbol ${i} of ${count} has a bad length`);
      byte = body[at++]!;
      length |= (byte & 0x7f) << shift;
      shift += 7;
    } while (byte >= 0x80);
    if (length < 0 || length > body.length - at) throw fail(at, `symbol ${i} of ${count} passes the end of the section`);
    starts[i] = at;
    lengths[i] = length;
    at += length;
  }

  const cachedOrdinal = new Int32Array(Math.min(CACHE_SLOTS, 1 << (32 - Math.clz32(count)))).fill(-1);
  const cachedString: string[] = Array.from(cachedOrdinal, () => '');
  const mask = cachedOrdinal.length - 1;
  const bytesOf = (ordinal: number): Uint8Array => body.subarray(starts[ordinal]!, starts[ordinal]! + lengths[ordinal]!);
  return {
    count,
    bytesOf,
    body,
    startOf: (ordinal) => starts[ordinal]!,
    endOf: (ordinal) => starts[ordinal]! + lengths[ordinal]!,
    lookup(ordinal) {
      if (ordinal >= count) throw fail(0, `symbol ${ordinal} of ${count} asked for`);
      const slot = ordinal & mask;
      if (cachedOrdinal[slot] === ordinal) return cachedString[slot]!;
      const text = utf8Decode(bytesOf(ordinal));
      cachedOrdinal[slot] = ordinal;
      cachedString[slot] = text;
      return text;
    },
    indexOf(symbol) {
      const wanted = utf8Encode(symbol);
      let low = 0;
      let high = count;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if (compareBytes(bytesOf(middle), wanted) < 0) low = middle + 1;
        else high = middle;
      }
      return low < count && compareBytes(bytesOf(low), wanted) === 0 ? low : -1;
    },
  };
}
