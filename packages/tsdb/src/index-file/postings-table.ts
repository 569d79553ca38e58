/**
 * The postings offset table: for every label pair, where its postings list lies.
 *
 *   body   u32 count │ uvarint 2 · name · value · uvarint offset │ …           sorted by name, then value; first ("", "")
 *   here   per entry: where the value's bytes are (into the body) and the offset; per name: its range of entries
 *
 * Bytes stay bytes: opening costs one pass and 16 bytes per entry, no string but the label names. Used over whole tables here
 * and, over the same bytes, by the index-header of a store gateway.
 */
import { compareBytes, utf8Decode, utf8Encode } from '@gauntlet/bytes';
import { be32, indexCorrupt } from './layout.ts';

/** A parsed table. Entries are numbered in file order. */
export interface PostingsTable {
  readonly count: number;
  /** Label names in byte order, without the empty one. */
  readonly names: readonly string[];
  /** Entries of a name as [first, end); an empty range for an unknown name. */
  range(name: string): readonly [first: number, end: number];
  /** Entries of a name whose value begins with `prefix`, as [first, end). */
  prefixRange(name: string, prefix: string): readonly [first: number, end: number];
  /** The entry of a label pair, −1 when there is none. */
  find(name: string, value: string): number;
  /** Label value of an entry. */
  valueAt(entry: number): string;
  /** UTF-8 bytes of the label value of an entry, a view. */
  valueBytesAt(entry: number): Uint8Array;
  /** Where the postings list of an entry begins in the index file. */
  offsetAt(entry: number): number;
}

/**
 * Parses the body of the table (CRC already checked).
 * @param body retained, not copied
 * @param offset of the section in its file, for messages
 * @throws TsdbError ERR_INDEX_CORRUPT
 */
export function parsePostingsTable(body: Uint8Array, offset: number, blockName: string): PostingsTable {
  const fail = (at: number, what: string): Error => indexCorrupt(blockName, 'postings table', offset + 4 + at, what);
  if (body.length < 4) throw fail(0, 'no entry count');
  const count = be32(body, 0);
  if (count > (body.length - 4) / 4) throw fail(0, `${count} entries in ${body.length} bytes`);
  const valueStarts = new Uint32Array(count);
  const valueLengths = new Uint32Array(count);
  const offsets = new Float64Array(count);
  const names: string[] = [];
  const ranges = new Map<string, [number, number]>();

  let at = 4;
  const uvarint = (entry: number): number => {
    let value = 0;
    let scale = 1;
    for (;;) {
      if (at >= body.length || scale > 2 ** 49) throw fail(at, `entry ${entry} of ${count} is truncated`);
      const byte = body[at++]!;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
  };
  let nameStart = -1;
  let nameLength = 0;
  let range: [number, number] = [0, 0];
  for (let entry = 0; entry < count; entry++) {
    const entryAt = at;
    if (uvarint(entry) !== 2) throw fail(entryAt, `entry ${entry} has not two strings`);
    const length = uvarint(entry);
    if (length > body.length - at) throw fail(at, `entry ${entry} of ${count} passes the end of the section`);
    // The name repeats from entry to entry: compare bytes before making a string.
    let isSame = nameStart >= 0 && length === nameLength;
    for (let i = 0; isSame && i < length; i++) isSame = body[nameStart + i] === body[at + i];
    if (!isSame) {
      if (nameStart >= 0 && compareBytes(body.subarray(nameStart, nameStart + nameLength), body.subarray(at, at + length)) > 0) {
        throw fail(entryAt, `entry ${entry} is out of order`);
      }
      nameStart = at;
      nameLength = length;
      const name = utf8Decode(body.subarray(at, at + length));
      range = [entry, entry];
      ranges.set(name, range);
      if (name !== '') names.push(name);
    }
    at += length;
    const valueLength = uvarint(entry);
    if (valueLength > body.length - at) throw fail(at, `entry ${entry} of ${count} passes the end of the section`);
    valueStarts[entry] = at;
    valueLengths[entry] = valueLength;
    at += valueLength;
    offsets[entry] = uvarint(entry);
    range[1] = entry + 1;
  }

  const valueBytesAt = (entry: number): Uint8Array => body.subarray(valueStarts[entry]!, valueStarts[entry]! + valueLengths[entry]!);
  const rangeOf = (name: string): readonly [number, number] => ranges.get(name) ?? [0, 0];
  /** First entry in [low, high) whose value is not below `wanted`; with `isPrefix`, not below and not beginning with it. */
  const search = (low: number, high: number, wanted: Uint8Array, isPrefix: boolean): number => {
    while (low < high) {
      const middle = (low + high) >>> 1;
      const value = valueBytesAt(middle);
      if (compareBytes(isPrefix ? value.subarray(0, wanted.length) : value, wanted) < (isPrefix ? 1 : 0)) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  return {
    count,
    names,
    range: rangeOf,
    prefixRange(name, prefix) {
      const wanted = utf8Encode(prefix);
      const [first, end] = rangeOf(name);
      const low = search(first, end, wanted, false);
      return [low, search(low, end, wanted, true)];
    },
    find(name, value) {
      const wanted = utf8Encode(value);
      const [first, end] = rangeOf(name);
      const entry = search(first, end, wanted, false);
      return entry < end && compareBytes(valueBytesAt(entry), wanted) === 0 ? entry : -1;
    },
    valueAt: (entry) => utf8Decode(valueBytesAt(entry)),
    valueBytesAt,
    offsetAt: (entry) => offsets[entry]!,
  };
}
