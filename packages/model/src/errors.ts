/** The one error class of `model`: texts and values from outside that do not mean what was asked for. */

/** Stable reasons; callers may switch on them. */
export type ModelErrorCode =
  | 'ERR_LABELS_INVALID'
  | 'ERR_MATCHER_REGEX'
  | 'ERR_REGEX_SYNTAX'
  | 'ERR_DURATION'
  | 'ERR_TIMESTAMP'
  | 'ERR_RELABEL_CONFIG'
  | 'ERR_HISTOGRAM';

/** Input that cannot be read as asked. Where Prometheus has a text for the case, the message is that text. */
export class ModelError extends Error {
  override readonly name = 'ModelError';
  /** Stable reason. */
  readonly code: ModelErrorCode;

  constructor(code: ModelErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
