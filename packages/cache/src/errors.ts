/** The one error of this package; only configuration can fail. */

/** Stable codes of {@link CacheError}. */
export type CacheErrorCode = 'ERR_CACHE_CONFIG';

/** A cache that cannot be made. */
export class CacheError extends Error {
  override readonly name: string = 'CacheError';
  /** For programs. */
  readonly code: CacheErrorCode;

  constructor(code: CacheErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
