/** The one error class of this package; error-type.ts says how each code looks on the wire. */

export type HttpApiErrorCode =
  /** The request is wrong: parameters, query text. */
  | 'ERR_BAD_DATA'
  /** The query could not be evaluated. */
  | 'ERR_EXECUTION'
  | 'ERR_CANCELED'
  | 'ERR_TIMEOUT'
  | 'ERR_INTERNAL'
  /** The client: the other side cannot be reached, or its answer is none of this API. */
  | 'ERR_UPSTREAM'
  /** The client: the other side answered with an error; its text is in the message. */
  | 'ERR_UPSTREAM_ANSWER';

export class HttpApiError extends Error {
  readonly code: HttpApiErrorCode;
  /** The client: HTTP status of the answer, 0 if there was none. */
  readonly status: number;

  constructor(code: HttpApiErrorCode, message: string, options: { readonly cause?: unknown; readonly status?: number } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'HttpApiError';
    this.code = code;
    this.status = options.status ?? 0;
  }
}
