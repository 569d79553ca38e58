/** The one error class of this package. Its `code` says what kind of answer a caller gives: a bad query, a limit, a cancellation, broken storage. */
import type { PositionRange } from './parser/ast.ts';

export type PromqlErrorCode =
  /** The query text is wrong: syntax, types, disabled features. The message begins with `line:column: parse error: `. */
  | 'ERR_PARSE'
  /** Evaluation went wrong for a reason in query or data (duplicate label sets, many-to-many matching …). */
  | 'ERR_EXECUTION'
  /** The sample limit was reached. */
  | 'ERR_TOO_MANY_SAMPLES'
  /** More series than the query may read. */
  | 'ERR_TOO_MANY_SERIES'
  /** More memory would be needed than the query may have, or than there is. The message has the limit and the place in the query. */
  | 'ERR_MEMORY'
  | 'ERR_TIMEOUT'
  | 'ERR_CANCELED'
  /** The Queryable threw; its error is the `cause`. */
  | 'ERR_STORAGE'
  /** Valid PromQL this engine does not evaluate. */
  | 'ERR_NOT_SUPPORTED'
  /** A promqltest script that cannot be read, or whose expectation was not met. */
  | 'ERR_SCRIPT';

/** Error of parsing or evaluation; `message` is meant for the author of the query. */
export class PromqlError extends Error {
  readonly code: PromqlErrorCode;
  /** Place in the query text, if it has one. */
  readonly pos: PositionRange | undefined;
  /** Of a limit: line, column and text of the part of the query that reached it. */
  readonly place: string | undefined;

  constructor(code: PromqlErrorCode, message: string, options: { readonly pos?: PositionRange; readonly place?: string; readonly cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'PromqlError';
    this.code = code;
    this.pos = options.pos;
    this.place = options.place;
  }
}
