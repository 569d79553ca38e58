/**
 * Tombstones: deleted time ranges of series, beside the data until the block is rewritten.
 *
 *   magic 01 30 BA 30 │ version 01 │ (uvarint series ref, varint mint, varint maxt)… │ CRC-32C of the entries
 *
 * Ranges are closed at both ends; of one series they are kept sorted, apart and not adjacent. A missing file means none.
 * Source: Prometheus tsdb/docs/format/tombstones.md.
 */
import { ByteReader, crc32c, GrowableBytes } from '@gauntlet/bytes';
import { TsdbError } from '../errors.ts';
import { be32 } from '../index-file/layout.ts';

const MAGIC = 0x0130ba30;
const VERSION = 1;
const HEADER_BYTES = 5;
const CRC_BYTES = 4;

/** Closed ranges of one series, as pairs mint, maxt, mint, maxt, … ascending. */
export type Intervals = readonly number[];

/** Deleted ranges by series reference. */
export type Tombstones = ReadonlyMap<number, Intervals>;

/** No deletions. */
export const NO_TOMBSTONES: Tombstones = new Map();

/** Adds a closed range, merging what overlaps or touches. */
export function addInterval(intervals: Intervals, mint: number, maxt: number): Intervals {
  const out: number[] = [];
  let isPlaced = false;
  for (let i = 0; i < intervals.length; i += 2) {
    const low = intervals[i]!;
    const high = intervals[i + 1]!;
    if (high + 1 < mint) out.push(low, high);
    else if (maxt + 1 < low) {
      if (!isPlaced) out.push(mint, maxt);
      isPlaced = true;
      out.push(low, high);
    } else {
      mint = Math.min(mint, low);
      maxt = Math.max(maxt, high);
    }
  }
  if (!isPlaced) out.push(mint, maxt);
  return out;
}

/** Whether [mint, maxt] lies whole inside one range. */
export function isCovered(intervals: Intervals, mint: number, maxt: number): boolean {
  for (let i = 0; i < intervals.length; i += 2) {
    if (mint >= intervals[i]! && maxt <= intervals[i + 1]!) return true;
  }
  return false;
}

/** Whether [mint, maxt] and any range share a millisecond. */
export function overlapsIntervals(intervals: Intervals, mint: number, maxt: number): boolean {
  for (let i = 0; i < intervals.length; i += 2) {
    if (mint <= intervals[i + 1]! && maxt >= intervals[i]!) return true;
  }
  return false;
}

/**
 * Reads a tombstones file.
 * @param name block id for messages
 * @throws TsdbError ERR_BLOCK_TOMBSTONES
 */
export function parseTombstones(bytes: Uint8Array, name: string): Tombstones {
  const fail = (offset: number, what: string, cause?: unknown): TsdbError =>
    new TsdbError('ERR_BLOCK_TOMBSTONES', `read tombstones of block ${name}: offset ${offset}: ${what}`, { cause, place: { block: name, file: 'tombstones', section: '', offset } });
  if (bytes.length < HEADER_BYTES + CRC_BYTES) throw fail(0, `${bytes.length} bytes, want at least ${HEADER_BYTES + CRC_BYTES}`);
  if (be32(bytes, 0) !== MAGIC) throw fail(0, `invalid magic number ${be32(bytes, 0).toString(16)}`);
  if (bytes[4] !== VERSION) throw fail(4, `unknown version ${bytes[4]}, want ${VERSION}`);
  const entries = bytes.subarray(HEADER_BYTES, bytes.length - CRC_BYTES);
  const want = be32(bytes, bytes.length - CRC_BYTES);
  const got = crc32c(entries);
  if (want !== got) throw fail(bytes.length - CRC_BYTES, `invalid checksum ${got.toString(16)}, want ${want.toString(16)}`);
  const tombstones = new Map<number, Intervals>();
  const reader = new ByteReader(entries);
  try {
    while (reader.remaining > 0) {
      const ref = reader.uvarint();
      const mint = reader.varint();
      const maxt = reader.varint();
      tombstones.set(ref, addInterval(tombstones.get(ref) ?? [], mint, maxt));
    }
  } catch (error) {
    throw fail(HEADER_BYTES, 'entry is truncated', error);
  }
  return tombstones;
}

/** Writes a tombstones file; series in ascending order. */
export function formatTombstones(tombstones: Tombstones): Uint8Array {
  const entries = new GrowableBytes();
  for (const ref of [...tombstones.keys()].sort((a, b) => a - b)) {
    const intervals = tombstones.get(ref)!;
    for (let i = 0; i < intervals.length; i += 2) {
      entries.putUvarint(ref);
      entries.putVarint(intervals[i]!);
      entries.putVarint(intervals[i + 1]!);
    }
  }
  const body = entries.bytes();
  const file = new Uint8Array(HEADER_BYTES + body.length + CRC_BYTES);
  const view = new DataView(file.buffer);
  view.setUint32(0, MAGIC);
  view.setUint8(4, VERSION);
  file.set(body, HEADER_BYTES);
  view.setUint32(HEADER_BYTES + body.length, crc32c(body));
  return file;
}
