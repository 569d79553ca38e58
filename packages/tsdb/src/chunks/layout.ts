/**
 * Layout of chunk segment files, `chunks/000001`, `000002`, …
 *
 *   header   magic 85 BD 40 DD │ version 01 │ 00 00 00                                       8 bytes
 *   chunk    uvarint payload length │ encoding │ payload │ CRC-32C of encoding and payload
 *
 * A chunk reference is segment · 2^32 + offset of the length field, where segment 0 is the file `000001`.
 * Source: Prometheus tsdb/docs/format/chunks.md, tsdb/chunks/chunks.go.
 */
import { TsdbError } from '../errors.ts';

/** First four bytes of a segment, big-endian. */
export const CHUNKS_MAGIC = 0x85bd40dd;
/** The only format version. */
export const CHUNKS_VERSION = 1;
/** Magic, version, padding. */
export const CHUNKS_HEADER_BYTES = 8;
/** Default upper bound of a segment. */
export const CHUNK_SEGMENT_BYTES: number = 512 * 1024 * 1024;
/** Most bytes of a length field. */
export const CHUNK_LENGTH_BYTES_MAX = 5;
/** Encoding byte and CRC. */
export const CHUNK_OVERHEAD_BYTES = 5;

/** File name of a segment number (0-based). */
export function segmentFileName(segment: number): string {
  return String(segment + 1).padStart(6, '0');
}

/** Splits a chunk reference. */
export function chunkRefSegment(ref: number): number {
  return Math.floor(ref / 4294967296);
}

/** Offset part of a chunk reference. */
export function chunkRefOffset(ref: number): number {
  return ref % 4294967296;
}

/** An error that names block, segment and offset of the damage. */
export function chunkCorrupt(name: string, segment: number, offset: number, what: string, cause?: unknown): TsdbError {
  return new TsdbError('ERR_CHUNK_CORRUPT', `read chunk of block ${name}: segment ${segmentFileName(segment)}, offset ${offset}: ${what}`, {
    cause,
    place: { block: name, file: `chunks/${segmentFileName(segment)}`, section: offset < CHUNKS_HEADER_BYTES ? 'header' : 'chunk', offset },
  });
}
