/** The one error class of this package. Match on `code`, never on the message. */

/** Stable codes of {@link RulerError}. */
export type RulerErrorCode =
  /** A template cannot be used, or its expansion went wrong. */
  | 'ERR_TEMPLATE'
  /** The result of a rule cannot be recorded or made into alerts. */
  | 'ERR_RULE'
  /** The database did not take samples. */
  | 'ERR_APPEND'
  /** Rule files cannot be used. */
  | 'ERR_RULE_FILES'
  /** No querier gave an answer. */
  | 'ERR_QUERY'
  /** Alerts cannot be sent. */
  | 'ERR_ALERT'
  /** The thread of the rules cannot start or has ended. */
  | 'ERR_RULES_THREAD'
  /** Flags or settings that do not go together. */
  | 'ERR_CONFIG';

/** An error of the ruler. */
export class RulerError extends Error {
  override readonly name: string = 'RulerError';
  /** What went wrong, for programs. */
  readonly code: RulerErrorCode;

  /**
   * @param code stable code
   * @param message action, ids, got versus wanted
   * @param cause the error underneath, kept
   */
  constructor(code: RulerErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}
