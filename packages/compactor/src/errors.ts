/**
 * The one error of this package. Its kind says what the run loop does with it, as in Thanos:
 *
 *   halt    stop compacting and stay up: something is not as it can be, and going on could do harm
 *   retry   count it and try again with the next iteration: the bucket did not answer, say
 *   other   this piece of work cannot be done; what that means is for the caller to decide
 */

/** What a run loop does about an error; see the head of this file. */
export type CompactorErrorKind = 'halt' | 'retry' | 'other';

/** Stable codes of {@link CompactorError}. */
export type CompactorErrorCode =
  /** A flag or a combination of flags asks for something that is wrong or not there. */
  | 'ERR_COMPACTOR_CONFIG'
  /** The bucket could not be looked at, or not all of it. */
  | 'ERR_SYNC'
  /** A block could not be fetched. */
  | 'ERR_FETCH_BLOCK'
  /** A block is damaged, or its index is not what compaction can take. */
  | 'ERR_BLOCK_UNHEALTHY'
  /** Two live blocks of one plan claim the same sources. */
  | 'ERR_SOURCES_OVERLAP'
  /** There is not enough disk or memory for a plan. */
  | 'ERR_NO_SPACE'
  /** Merging blocks did not end in a block. */
  | 'ERR_COMPACTION'
  /** The merged block is not what its inputs say it must be. */
  | 'ERR_OUTPUT_MISMATCH'
  /** A block could not be uploaded. */
  | 'ERR_UPLOAD_BLOCK'
  /** A block could not be marked. */
  | 'ERR_MARK_BLOCK'
  /** Blocks could not be deleted; they are tried again. */
  | 'ERR_DELETE_BLOCK';

/** Details of a {@link CompactorError}. */
export interface CompactorErrorOptions extends ErrorOptions {
  /** Key of the group. */
  readonly group?: string;
  /** Ids of the blocks it is about. */
  readonly blocks?: readonly string[];
}

/** What went wrong in the compactor. Messages name the group and the blocks. */
export class CompactorError extends Error {
  override readonly name: string = 'CompactorError';
  readonly code: CompactorErrorCode;
  readonly kind: CompactorErrorKind;
  readonly group: string | undefined;
  readonly blocks: readonly string[];

  constructor(code: CompactorErrorCode, kind: CompactorErrorKind, message: string, options: CompactorErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.kind = kind;
    this.group = options.group;
    this.blocks = options.blocks ?? [];
  }
}

/** Kind of any error. Of several at once (AggregateError) one that halts decides; only if all can be retried, the whole can. */
export function errorKind(error: unknown): CompactorErrorKind {
  if (error instanceof AggregateError && error.errors.length > 0) {
    const kinds = error.errors.map(errorKind);
    if (kinds.includes('halt')) return 'halt';
    return kinds.every((kind) => kind === 'retry') ? 'retry' : 'other';
  }
  return error instanceof CompactorError ? error.kind : 'other';
}
