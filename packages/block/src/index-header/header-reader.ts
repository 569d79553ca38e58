/**
 * Reads an index-header that lies in memory as bytes; nothing becomes a string before it is asked for.
 *
 *   symbols   samples[i] = where symbol 32·i begins                       lookup by ordinal: one jump, at most 31 steps
 *   postings  per label name: first entry, count, samples[i] = where the entry of its value 32·i begins
 *                                                                         lookup by value: binary search over samples, at most 31 steps
 *
 * An entry of the table is  uvarint 2 · name · value · uvarint offset of the postings list in the index.  The list ends where the next
 * entry's begins. The samples cost 8 bytes per 32 symbols or values: 0.25 MB for a million of each.
 */
import { compareBytes, crc32c, utf8Decode, utf8Encode } from '@gauntlet/bytes';
import { CRC_BYTES, be32, be64 } from '@gauntlet/tsdb';

import { BlockError } from '../errors.ts';
import { HEADER_BYTES, HEADER_MAGIC, HEADER_TOC_BYTES, HEADER_VERSION } from './header-layout.ts';

const SAMPLING = 32;
const SYMBOL_CACHE_SLOTS = 4096;

/** Where a postings list lies in the index: framed as `u32 length · body · CRC`. */
export interface PostingsRange {
  /** Offset of the length field. */
  readonly start: number;
  /** Offset after the CRC. For the last list of the index it may be larger, up to the next section. */
  readonly end: number;
}

/** An open index-header. */
export interface IndexHeader {
  /** Block id. */
  readonly block: string;
  /** Bytes held: the file and the samples. */
  readonly heldBytes: number;
  readonly symbolCount: number;
  /** Entries of the postings offset table: distinct label pairs, plus one for all series. */
  readonly pairCount: number;
  /** The string of a symbol. @throws BlockError ERR_INDEX_HEADER_CORRUPT if the ordinal is out of range */
  symbol(ordinal: number): string;
  /** UTF-8 bytes of a symbol, a view. */
  symbolBytes(ordinal: number): Uint8Array;
  /** Ordinal of a string, -1 if it is no symbol. */
  symbolOrdinal(text: string): number;
  /** Label names in byte order. */
  labelNames(): readonly string[];
  /** Number of values of a label; 0 for one that is not there. */
  valueCount(name: string): number;
  /** Values of a label in byte order. */
  labelValues(name: string): string[];
  /** Postings of one label pair; `('', '')` for all series. Undefined if no series has it. */
  postings(name: string, value: string): PostingsRange | undefined;
  /** Postings of several values of one label, in the order given; values in byte order are found fastest. */
  postingsOf(name: string, values: readonly string[]): (PostingsRange | undefined)[];
  /** All values of a label with their postings, in byte order. */
  forEachValue(name: string, visit: (value: Uint8Array, start: number, end: number) => void): void;
}

/** Entries of one label name. */
interface NameEntries {
  readonly count: number;
  /** Bytes of `uvarint 2 · name` at the head of each entry. */
  readonly headBytes: number;
  /** Offsets in the file of every 32nd entry, from the first. */
  readonly samples: Uint32Array;
}

/** Where reading stands; one object per lookup instead of a result per varint. */
class Cursor {
  at: number = 0;
}

function fail(block: string, offset: number, what: string): BlockError {
  return new BlockError('ERR_INDEX_HEADER_CORRUPT', `read index-header of block ${block}: offset ${offset}: ${what}`);
}

/** Reads a uvarint below 2^53; the caller checks `cursor.at` against the end of its section afterwards. */
function uvarint(bytes: Uint8Array, cursor: Cursor): number {
  let at = cursor.at;
  let byte = bytes[at++]!;
  let value = byte & 0x7f;
  for (let scale = 128; byte >= 0x80 && scale <= 2 ** 49; scale *= 128) {
    byte = bytes[at++]!;
    value += (byte & 0x7f) * scale;
  }
  cursor.at = at;
  return value;
}

/** Compares the bytes [at, at + length) with `wanted`, in place: a view per step would cost more than the step. */
function compareAt(bytes: Uint8Array, at: number, length: number, wanted: Uint8Array): number {
  const common = length < wanted.length ? length : wanted.length;
  for (let i = 0; i < common; i++) {
    const order = bytes[at + i]! - wanted[i]!;
    if (order !== 0) return order;
  }
  return length - wanted.length;
}

/** The body of a section, its CRC checked. */
function section(bytes: Uint8Array, start: number, end: number, name: string, block: string): { readonly start: number; readonly end: number } {
  if (start < HEADER_BYTES || start + 8 > end) throw fail(block, start, `${name} does not fit`);
  const length = be32(bytes, start);
  const bodyEnd = start + 4 + length;
  if (bodyEnd + CRC_BYTES > end) throw fail(block, start, `${name} of ${length} bytes passes its end`);
  const wanted = be32(bytes, bodyEnd);
  const got = crc32c(bytes.subarray(start + 4, bodyEnd));
  if (got !== wanted) throw fail(block, start, `${name} has checksum ${got.toString(16)}, wanted ${wanted.toString(16)}`);
  if (length < 4) throw fail(block, start, `${name} has no count`);
  return { start: start + 4, end: bodyEnd };
}

/** Scans the symbols once. @returns offset of every 32nd */
function sampleSymbols(bytes: Uint8Array, start: number, end: number, count: number, block: string): Uint32Array {
  const samples = new Uint32Array(Math.ceil(count / SAMPLING));
  const cursor = new Cursor();
  cursor.at = start;
  for (let i = 0; i < count; i++) {
    if (i % SAMPLING === 0) samples[i / SAMPLING] = cursor.at;
    const length = uvarint(bytes, cursor);
    cursor.at += length;
    if (!(cursor.at <= end)) throw fail(block, cursor.at, `symbol ${i} of ${count} passes the end of the symbols`);
  }
  return samples;
}

/** Scans the postings offset table once: entries per name. Names come in order, each in one run. */
function sampleTable(bytes: Uint8Array, start: number, end: number, count: number, block: string): Map<string, NameEntries> {
  const names = new Map<string, NameEntries>();
  const cursor = new Cursor();
  let samples: number[] = [];
  let runCount = 0;
  let nameStart = -1;
  let nameLength = 0;
  let headBytes = 0;
  const close = (): void => {
    if (nameStart >= 0) names.set(text(bytes.subarray(nameStart, nameStart + nameLength)), { count: runCount, headBytes, samples: Uint32Array.from(samples) });
  };
  cursor.at = start;
  for (let i = 0; i < count; i++) {
    const entry = cursor.at;
    const strings = uvarint(bytes, cursor);
    const length = uvarint(bytes, cursor);
    const name = cursor.at;
    if (strings !== 2 || !(name + length <= end)) throw fail(block, entry, `entry ${i} of ${count} of the postings offset table is damaged`);
    let isSame = nameStart >= 0 && length === nameLength;
    for (let k = 0; isSame && k < length; k++) isSame = bytes[nameStart + k] === bytes[name + k];
    if (!isSame) {
      close();
      if (nameStart >= 0 && compareBytes(bytes.subarray(nameStart, nameStart + nameLength), bytes.subarray(name, name + length)) >= 0) throw fail(block, entry, `entry ${i} of ${count} of the postings offset table is out of order`);
      samples = [];
      runCount = 0;
      nameStart = name;
      nameLength = length;
      headBytes = name + length - entry;
    }
    if (runCount % SAMPLING === 0) samples.push(entry);
    runCount++;
    cursor.at = name + length;
    const valueLength = uvarint(bytes, cursor);
    cursor.at += valueLength;
    uvarint(bytes, cursor);
    if (!(cursor.at <= end)) throw fail(block, entry, `entry ${i} of ${count} passes the end of the postings offset table`);
  }
  close();
  return names;
}

/** Text of a view. Bytes shared between threads must be copied first: the decoder does not take them. */
function text(bytes: Uint8Array): string {
  return utf8Decode(bytes.buffer instanceof ArrayBuffer ? bytes : bytes.slice());
}

/**
 * Opens an index-header; one pass over it, with all checksums.
 * @param bytes the whole file, in an ArrayBuffer or a SharedArrayBuffer; read and retained
 * @param block id, for messages
 * @throws BlockError ERR_INDEX_HEADER_CORRUPT
 */
export function openIndexHeader(bytes: Uint8Array, block: string): IndexHeader {
  if (bytes.length < HEADER_BYTES + HEADER_TOC_BYTES) throw fail(block, 0, `file of ${bytes.length} bytes is too short`);
  if (be32(bytes, 0) !== HEADER_MAGIC) throw fail(block, 0, `invalid magic number ${be32(bytes, 0).toString(16)}`);
  if (bytes[4] !== HEADER_VERSION) throw fail(block, 4, `unknown index-header file version ${bytes[4]!}, wanted ${HEADER_VERSION}`);
  if (bytes[5] !== 2) throw fail(block, 5, `index format v${bytes[5]!} is not supported, wanted v2`);
  if (bytes.length >= 2 ** 32) throw fail(block, 0, `file of ${bytes.length} bytes, at most 4 GiB are supported`);
  const tocAt = bytes.length - HEADER_TOC_BYTES;
  const tocCrc = crc32c(bytes.subarray(tocAt, tocAt + 16));
  if (tocCrc !== be32(bytes, tocAt + 16)) throw fail(block, tocAt, `table of contents has checksum ${tocCrc.toString(16)}, wanted ${be32(bytes, tocAt + 16).toString(16)}`);
  const tableAt = be64(bytes, tocAt + 8);
  const symbolsBody = section(bytes, be64(bytes, tocAt), Math.min(tableAt, tocAt), 'symbols', block);
  const tableBody = section(bytes, tableAt, tocAt, 'postings offset table', block);
  const symbolCount = be32(bytes, symbolsBody.start);
  const pairCount = be32(bytes, tableBody.start);
  if (symbolCount > symbolsBody.end - symbolsBody.start || pairCount > tableBody.end - tableBody.start) throw fail(block, HEADER_BYTES, `${symbolCount} symbols and ${pairCount} label pairs do not fit`);
  return new MemoryIndexHeader(bytes, block, {
    postingsEnd: be64(bytes, 6), symbolCount, pairCount,
    symbolSamples: sampleSymbols(bytes, symbolsBody.start + 4, symbolsBody.end, symbolCount, block),
    names: sampleTable(bytes, tableBody.start + 4, tableBody.end, pairCount, block),
    tableEnd: tableBody.end,
  });
}

interface Parts {
  readonly postingsEnd: number;
  readonly symbolCount: number;
  readonly pairCount: number;
  readonly symbolSamples: Uint32Array;
  readonly names: ReadonlyMap<string, NameEntries>;
  /** Offset after the last entry of the table. */
  readonly tableEnd: number;
}

class MemoryIndexHeader implements IndexHeader {
  readonly block: string;
  readonly heldBytes: number;
  readonly symbolCount: number;
  readonly pairCount: number;
  readonly #bytes: Uint8Array;
  readonly #parts: Parts;
  readonly #labelNames: readonly string[];
  readonly #cursor: Cursor = new Cursor();
  readonly #cachedOrdinals: Int32Array = new Int32Array(SYMBOL_CACHE_SLOTS).fill(-1);
  readonly #cachedTexts: string[] = Array.from({ length: SYMBOL_CACHE_SLOTS }, () => '');

  constructor(bytes: Uint8Array, block: string, parts: Parts) {
    this.#bytes = bytes;
    this.#parts = parts;
    this.block = block;
    this.symbolCount = parts.symbolCount;
    this.pairCount = parts.pairCount;
    this.#labelNames = [...parts.names.keys()].filter((name) => name !== '');
    let held = bytes.length + parts.symbolSamples.byteLength;
    for (const entries of parts.names.values()) held += entries.samples.byteLength + 64;
    this.heldBytes = held;
  }

  symbolBytes(ordinal: number): Uint8Array {
    if (!(ordinal >= 0 && ordinal < this.symbolCount)) throw fail(this.block, HEADER_BYTES, `symbol ${ordinal} of ${this.symbolCount} asked for`);
    const cursor = this.#cursor;
    cursor.at = this.#parts.symbolSamples[Math.floor(ordinal / SAMPLING)]!;
    let length = uvarint(this.#bytes, cursor);
    for (let left = ordinal % SAMPLING; left > 0; left--) {
      cursor.at += length;
      length = uvarint(this.#bytes, cursor);
    }
    return this.#bytes.subarray(cursor.at, cursor.at + length);
  }

  symbol(ordinal: number): string {
    const slot = ordinal % SYMBOL_CACHE_SLOTS;
    if (this.#cachedOrdinals[slot] === ordinal) return this.#cachedTexts[slot]!;
    const found = text(this.symbolBytes(ordinal));
    this.#cachedOrdinals[slot] = ordinal;
    this.#cachedTexts[slot] = found;
    return found;
  }

  symbolOrdinal(wantedText: string): number {
    const wanted = utf8Encode(wantedText);
    let low = 0;
    let high = this.#parts.symbolSamples.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareBytes(this.symbolBytes(middle * SAMPLING), wanted) <= 0) low = middle + 1;
      else high = middle;
    }
    for (let ordinal = Math.max(0, low - 1) * SAMPLING; ordinal < Math.min(this.symbolCount, low * SAMPLING); ordinal++) {
      const order = compareBytes(this.symbolBytes(ordinal), wanted);
      if (order === 0) return ordinal;
      if (order > 0) break;
    }
    return -1;
  }

  labelNames(): readonly string[] {
    return this.#labelNames;
  }

  valueCount(name: string): number {
    return this.#parts.names.get(name)?.count ?? 0;
  }

  labelValues(name: string): string[] {
    const values: string[] = [];
    this.#walk(name, (value) => { values.push(text(value)); });
    return values;
  }

  forEachValue(name: string, visit: (value: Uint8Array, start: number, end: number) => void): void {
    this.#walk(name, visit);
  }

  #walk(name: string, visit: (value: Uint8Array, start: number, end: number) => void): void {
    const entries = this.#parts.names.get(name);
    if (entries === undefined) return;
    // An own cursor: the visitor may look things up.
    const cursor = new Cursor();
    let entry = entries.samples[0]!;
    for (let i = 0; i < entries.count; i++) {
      cursor.at = entry + entries.headBytes;
      const length = uvarint(this.#bytes, cursor);
      const value = this.#bytes.subarray(cursor.at, cursor.at + length);
      cursor.at += length;
      const start = uvarint(this.#bytes, cursor);
      entry = cursor.at;
      visit(value, start, this.#offsetAfter(entry, cursor));
    }
  }

  /** Where the postings list before the entry at `entry` ends: where that entry's list begins. */
  #offsetAfter(entry: number, cursor: Cursor): number {
    if (entry >= this.#parts.tableEnd) return this.#parts.postingsEnd;
    cursor.at = entry;
    uvarint(this.#bytes, cursor);
    const nameLength = uvarint(this.#bytes, cursor);
    cursor.at += nameLength;
    const valueLength = uvarint(this.#bytes, cursor);
    cursor.at += valueLength;
    return uvarint(this.#bytes, cursor);
  }

  /** Compares the value of the entry at `entry` with `wanted`; the cursor ends after the value. */
  #compareValue(entry: number, headBytes: number, wanted: Uint8Array): number {
    const cursor = this.#cursor;
    cursor.at = entry + headBytes;
    const length = uvarint(this.#bytes, cursor);
    const at = cursor.at;
    cursor.at = at + length;
    return compareAt(this.#bytes, at, length, wanted);
  }

  postings(name: string, value: string): PostingsRange | undefined {
    const entries = this.#parts.names.get(name);
    return entries === undefined ? undefined : this.#find(entries, utf8Encode(value), 0).range;
  }

  postingsOf(name: string, values: readonly string[]): (PostingsRange | undefined)[] {
    const entries = this.#parts.names.get(name);
    if (entries === undefined) return values.map(() => undefined);
    let from = 0;
    return values.map((value) => {
      const found = this.#find(entries, utf8Encode(value), from);
      from = found.sample;
      return found.range;
    });
  }

  /** @param from sample to try first: values in order are mostly near the last one */
  #find(entries: NameEntries, wanted: Uint8Array, from: number): { readonly range: PostingsRange | undefined; readonly sample: number } {
    const { samples, headBytes, count } = entries;
    let low = 0;
    let high = samples.length;
    if (from > 0) {
      if (this.#compareValue(samples[from]!, headBytes, wanted) <= 0) {
        low = from;
        if (from + 1 < samples.length && this.#compareValue(samples[from + 1]!, headBytes, wanted) > 0) high = from + 1;
      } else high = from;
    }
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#compareValue(samples[middle]!, headBytes, wanted) <= 0) low = middle + 1;
      else high = middle;
    }
    const sample = low - 1;
    if (sample < 0) return { range: undefined, sample: 0 };
    let entry = samples[sample]!;
    for (let i = sample * SAMPLING; i < Math.min(count, low * SAMPLING); i++) {
      const order = this.#compareValue(entry, headBytes, wanted);
      if (order > 0) break;
      const start = uvarint(this.#bytes, this.#cursor);
      entry = this.#cursor.at;
      if (order === 0) return { range: { start, end: this.#offsetAfter(entry, this.#cursor) }, sample };
    }
    return { range: undefined, sample };
  }
}
