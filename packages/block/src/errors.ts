/** The one error of this package. Messages name the block, and what was got and wanted. */

/** Stable codes of {@link BlockError}. */
export type BlockErrorCode =
  /** meta.json is not what it should be: cut off, not JSON, fields of the wrong type. */
  | 'ERR_META_CORRUPT'
  /** meta.json has a version this program does not know. */
  | 'ERR_META_VERSION'
  /** There is no meta.json: an upload under way, or what is left of one. */
  | 'ERR_META_NOT_FOUND'
  /** A marker is not JSON. */
  | 'ERR_MARKER_CORRUPT'
  /** A marker has a version this program does not know. */
  | 'ERR_MARKER_VERSION'
  /** Index or index-header bytes are damaged. */
  | 'ERR_INDEX_HEADER_CORRUPT'
  /** A local block directory is not fit for upload. */
  | 'ERR_BLOCK_LOCAL'
  /** What is in the bucket after an upload, or on disk after a download, is not what was sent. */
  | 'ERR_BLOCK_MISMATCH'
  /** A compacted block overlaps blocks in the bucket. */
  | 'ERR_BLOCK_OVERLAP'
  /** Some blocks could not be shipped; the others were. */
  | 'ERR_SHIP_INCOMPLETE'
  /** Relabelling of the selector is malformed or uses an action that cannot select. */
  | 'ERR_SELECTOR'
  /** An index is readable and makes no sense: series or symbols out of order, series without labels or chunks. */
  | 'ERR_INDEX_SERIES'
  /** Chunks reach out of the block's range. */
  | 'ERR_INDEX_OUTSIDE_CHUNKS'
  /** Chunks of a series overlap. */
  | 'ERR_INDEX_OUT_OF_ORDER_CHUNKS'
  /** Chunks begin where the block ends. */
  | 'ERR_INDEX_ISSUE_347'
  /** Labels of a series are out of order. */
  | 'ERR_INDEX_OUT_OF_ORDER_LABELS';

/** What went wrong with a block. */
export class BlockError extends Error {
  override readonly name: string = 'BlockError';
  /** For programs. */
  readonly code: BlockErrorCode;

  constructor(code: BlockErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}
