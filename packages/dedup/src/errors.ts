/** The one error class of dedup. */

/** What can go wrong. */
export type DedupErrorCode = 'ERR_DEDUP_FUNCTION';

/** An error of the world, not of our own. */
export class DedupError extends Error {
  override readonly name = 'DedupError';
  readonly code: DedupErrorCode;

  constructor(code: DedupErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
