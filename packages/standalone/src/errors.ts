/** The one error class of `standalone`: why it does not start or cannot go on. */

/** Stable reasons; callers may switch on them. */
export type StandaloneErrorCode = 'ERR_DATA_DIR' | 'ERR_DATA_DIR_LOCKED' | 'ERR_ADDRESS' | 'ERR_BACKFILL' | 'ERR_REPLICA';

/** A start that is refused, or a part that ended. */
export class StandaloneError extends Error {
  override readonly name = 'StandaloneError';
  /** Stable reason. */
  readonly code: StandaloneErrorCode;

  constructor(code: StandaloneErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
