/**
 * Layout of the index file, version 2.
 *
 *   ┌ magic BA AA D7 00 · version ─────────────────────────── 5 bytes ┐
 *   │ symbols            u32 length │ u32 count │ strings │ CRC       │
 *   │ series             16-byte aligned entries, each with its CRC   │
 *   │ label indices      written up to Prometheus 2, ignored          │
 *   │ postings           4-byte aligned lists, each with its CRC      │
 *   │ label index table  ignored                                      │
 *   │ postings table     (name, value) → offset of the list           │
 *   └ TOC                six u64 offsets · CRC ───────────── 52 bytes ┘
 *
 * A series reference is the offset of its entry / 16, and so fits in 32 bits up to a file of 64 GiB.
 * Source: Prometheus tsdb/docs/format/index.md, tsdb/index/index.go.
 */
import { crc32c } from '@gauntlet/bytes';
import { TsdbError } from '../errors.ts';

/** First four bytes, big-endian. */
export const INDEX_MAGIC = 0xbaaad700;
/** The version that is read and written. */
export const INDEX_VERSION = 2;
/** Magic and version byte. */
export const INDEX_HEADER_BYTES = 5;
/** Six offsets and a CRC. */
export const INDEX_TOC_BYTES = 52;
/** Alignment of series entries; the unit of series references. */
export const SERIES_ALIGN = 16;
/** Bytes of a CRC-32C. */
export const CRC_BYTES = 4;

/** Offsets of the sections in the file; 0 = absent. */
export interface IndexToc {
  readonly symbols: number;
  readonly series: number;
  readonly labelIndices: number;
  readonly labelIndicesTable: number;
  readonly postings: number;
  readonly postingsTable: number;
}

/** An error that names block, section and offset of the damage. */
export function indexCorrupt(name: string, section: string, offset: number, what: string, cause?: unknown): TsdbError {
  return new TsdbError('ERR_INDEX_CORRUPT', `read index of block ${name}: section ${section}, offset ${offset}: ${what}`, { cause, place: { block: name, file: 'index', section, offset } });
}

/** Reads a big-endian u32. The caller knows it is inside. */
export function be32(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}

/** Reads a big-endian u64 as a number; `NaN` past 2^53. */
export function be64(bytes: Uint8Array, at: number): number {
  const high = be32(bytes, at);
  return high > 0x1fffff ? Number.NaN : high * 4294967296 + be32(bytes, at + 4);
}

/**
 * Checks magic and version.
 * @param head the first bytes of the file
 * @throws TsdbError ERR_INDEX_CORRUPT, ERR_INDEX_VERSION (v1 among others)
 */
export function checkIndexHeader(head: Uint8Array, name: string): void {
  if (head.length < INDEX_HEADER_BYTES) throw indexCorrupt(name, 'header', 0, `${head.length} bytes, want ${INDEX_HEADER_BYTES}`);
  const magic = be32(head, 0);
  if (magic !== INDEX_MAGIC) throw indexCorrupt(name, 'header', 0, `invalid magic number ${magic.toString(16)}`);
  const version = head[4]!;
  const place = { block: name, file: 'index', section: 'header', offset: 4 };
  if (version === 1) throw new TsdbError('ERR_INDEX_VERSION', `read index of block ${name}: index format v1 (Prometheus before 2.3) is not supported, want v2`, { place });
  if (version !== INDEX_VERSION) throw new TsdbError('ERR_INDEX_VERSION', `read index of block ${name}: section header, offset 4: unknown index file version ${version}, want ${INDEX_VERSION}`, { place });
}

/**
 * Reads the table of contents.
 * @param tail the last INDEX_TOC_BYTES of the file
 * @param fileBytes length of the file; sections must lie inside, in order
 * @throws TsdbError ERR_INDEX_CORRUPT
 */
export function parseIndexToc(tail: Uint8Array, fileBytes: number, name: string): IndexToc {
  const at = fileBytes - INDEX_TOC_BYTES;
  if (tail.length !== INDEX_TOC_BYTES || at < INDEX_HEADER_BYTES) throw indexCorrupt(name, 'TOC', Math.max(at, 0), `file of ${fileBytes} bytes is too short`);
  const want = be32(tail, INDEX_TOC_BYTES - CRC_BYTES);
  const got = crc32c(tail.subarray(0, INDEX_TOC_BYTES - CRC_BYTES));
  if (want !== got) throw indexCorrupt(name, 'TOC', at, `invalid checksum ${got.toString(16)}, want ${want.toString(16)}`);
  const toc: IndexToc = {
    symbols: be64(tail, 0),
    series: be64(tail, 8),
    labelIndices: be64(tail, 16),
    labelIndicesTable: be64(tail, 24),
    postings: be64(tail, 32),
    postingsTable: be64(tail, 40),
  };
  for (const [section, offset] of Object.entries(toc) as [string, number][]) {
    if (!(offset === 0 || (offset >= INDEX_HEADER_BYTES && offset <= at))) throw indexCorrupt(name, 'TOC', at, `section ${section} at ${offset} is outside the file of ${fileBytes} bytes`);
  }
  if (toc.symbols === 0 || toc.postingsTable === 0) throw indexCorrupt(name, 'TOC', at, 'no symbols or no postings table');
  return toc;
}

/**
 * Takes a section framed as `u32 length · body · CRC`, checking both.
 * @param bytes from the length field on; may be longer than the section
 * @param offset of `bytes` in the file, for messages
 * @returns the body, a view
 * @throws TsdbError ERR_INDEX_CORRUPT
 */
export function sectionBody(bytes: Uint8Array, section: string, offset: number, name: string): Uint8Array {
  if (bytes.length < 4) throw indexCorrupt(name, section, offset, `length field truncated to ${bytes.length} bytes`);
  const length = be32(bytes, 0);
  if (length + 4 + CRC_BYTES > bytes.length) throw indexCorrupt(name, section, offset, `length ${length} passes the end of the file`);
  const body = bytes.subarray(4, 4 + length);
  const want = be32(bytes, 4 + length);
  const got = crc32c(body);
  if (want !== got) throw indexCorrupt(name, section, offset, `invalid checksum ${got.toString(16)}, want ${want.toString(16)}`);
  return body;
}
