/**
 * The one error class of tsdb. Match on `code`; the message names the action, the file or block, and got versus wanted.
 *
 *   ERR_INDEX_*   index file      ERR_CHUNK_*  chunk segments, chunk payloads     ERR_BLOCK_*  meta.json, tombstones, block folders
 *   ERR_WAL_*     write-ahead log ERR_SAMPLE_*, ERR_LABELS_*  refused appends      ERR_DB_*     database as a whole
 *   ERR_COMPACT_* making one block of several, and checking it
 */

/** Stable codes of `TsdbError`. */
export type TsdbErrorCode =
  | 'ERR_INDEX_CORRUPT'
  | 'ERR_INDEX_VERSION'
  | 'ERR_INDEX_WRITE'
  | 'ERR_CHUNK_CORRUPT'
  | 'ERR_CHUNK_ENCODING'
  | 'ERR_CHUNK_WRITE'
  | 'ERR_BLOCK_META'
  | 'ERR_BLOCK_TOMBSTONES'
  | 'ERR_BLOCK_CORRUPT'
  | 'ERR_BLOCK_NOTATION'
  | 'ERR_BLOCK_REPAIR'
  | 'ERR_ULID'
  | 'ERR_WAL_CORRUPT'
  | 'ERR_WAL_RECORD'
  | 'ERR_WAL_FAILED'
  | 'ERR_SAMPLE_OUT_OF_ORDER'
  | 'ERR_SAMPLE_OUT_OF_BOUNDS'
  | 'ERR_SAMPLE_TOO_OLD'
  | 'ERR_SAMPLE_DUPLICATE'
  | 'ERR_SAMPLE_TIMESTAMP'
  | 'ERR_LABELS_INVALID'
  | 'ERR_SERIES_UNKNOWN'
  | 'ERR_SERIES_LIMIT'
  | 'ERR_EXEMPLAR'
  | 'ERR_COMPACT_INPUT'
  | 'ERR_COMPACT_BUDGET'
  | 'ERR_COMPACT_CANCELED'
  | 'ERR_COMPACT_MISMATCH'
  | 'ERR_DB_LOCKED'
  | 'ERR_DB_CLOSED'
  | 'ERR_DB_FULL';

/** Where in a block damage was found. */
export interface ErrorPlace {
  /** Name of the block. */
  readonly block: string;
  /** Below the block's folder. */
  readonly file: string;
  /** Part of the file, '' for all of it. */
  readonly section: string;
  /** Bytes from the start of the file. */
  readonly offset: number;
}

/** What tsdb throws, besides the errors of the file system and of aborted signals. */
export class TsdbError extends Error {
  readonly code: TsdbErrorCode;
  /** Of damage in a block, as the message says it. */
  readonly place: ErrorPlace | undefined;

  constructor(code: TsdbErrorCode, message: string, options?: { cause?: unknown; place?: ErrorPlace }) {
    super(message, options);
    this.name = 'TsdbError';
    this.code = code;
    this.place = options?.place;
  }
}

/** True for a `TsdbError`, of one code when given. */
export function isTsdbError(error: unknown, code?: TsdbErrorCode): error is TsdbError {
  return error instanceof TsdbError && (code === undefined || error.code === code);
}
