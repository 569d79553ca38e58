/**
 * Layout of the write-ahead log.
 *
 *   wal/00000000, 00000001, …     segments of at most 128 MiB, in pages of 32 KiB
 *   wal/checkpoint.00000007/      segments again: what is still needed of segments 0 to 7
 *
 *   page       fragment │ fragment │ … │ zeros
 *   fragment   type │ u16 length │ u32 CRC-32C of the data │ data             7 bytes before the data
 *   type       low 3 bits: 0 rest of page is zero, 1 full, 2 first, 3 middle, 4 last; bit 3 snappy, bit 4 zstd
 *
 * A record is one full fragment, or first, middle…, last over several pages; it never crosses into another segment. Compression is
 * of the record as a whole. Source: Prometheus tsdb/docs/format/wal.md, tsdb/wlog/wlog.go.
 */
import { TsdbError } from '../errors.ts';

/** Bytes of a page. */
export const WAL_PAGE_BYTES = 32768;
/** Bytes before the data of a fragment. */
export const WAL_FRAGMENT_HEADER_BYTES = 7;
/** Default upper bound of a segment, a multiple of the page. */
export const WAL_SEGMENT_BYTES: number = 128 * 1024 * 1024;

/** Low three bits of a fragment's type. */
export const FRAGMENT = { pageEnd: 0, full: 1, first: 2, middle: 3, last: 4 } as const;
/** Record is a snappy block. */
export const FRAGMENT_SNAPPY = 8;
/** Record is a zstd frame. */
export const FRAGMENT_ZSTD = 16;

/** From here on a type byte has bits that mean nothing yet. */
export const FRAGMENT_RESERVED = 32;

/** File name of a segment. */
export function walSegmentName(segment: number): string {
  return String(segment).padStart(8, '0');
}

/** Prefix of checkpoint folders. */
export const CHECKPOINT_PREFIX = 'checkpoint.';

/** Folder name of the checkpoint that covers all segments up to `segment`. */
export function checkpointName(segment: number): string {
  return CHECKPOINT_PREFIX + walSegmentName(segment);
}

/** Damage in a log: where it begins and whether a torn last write explains it. */
export class WalCorruptError extends TsdbError {
  /** Folder of the segment. */
  readonly dir: string;
  readonly segment: number;
  /** End of the last good record in that segment, bytes. */
  readonly goodBytes: number;
  /** The segment merely ends inside a record: what a crash during a write leaves. */
  readonly isTorn: boolean;

  constructor(dir: string, segment: number, goodBytes: number, isTorn: boolean, what: string, cause?: unknown) {
    super('ERR_WAL_CORRUPT', `read WAL segment ${dir}/${walSegmentName(segment)}: offset ${goodBytes}: ${what}`, { cause });
    this.dir = dir;
    this.segment = segment;
    this.goodBytes = goodBytes;
    this.isTorn = isTorn;
  }
}
