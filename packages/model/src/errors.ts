/** The one error of this package; match on `code`, show `message`. */

export type ModelErrorCode = 'ERR_MODEL_LABELS' | 'ERR_MATCHER_REGEX' | 'ERR_MODEL_DURATION' | 'ERR_MODEL_TIME' | 'ERR_MODEL_RELABEL';

export class ModelError extends Error {
  readonly code: ModelErrorCode;
  constructor(code: ModelErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ModelError';
    this.code = code;
  }
}
