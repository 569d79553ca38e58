/** The one error class of `demo`: why a command does not run. */

/** Stable reasons; callers may switch on them. */
export type DemoErrorCode = 'ERR_COMMAND' | 'ERR_HISTORY';

/** A command that is refused. */
export class DemoError extends Error {
  override readonly name = 'DemoError';
  /** Stable reason. */
  readonly code: DemoErrorCode;

  constructor(code: DemoErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
