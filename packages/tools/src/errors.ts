/** The one error of this package: why a tool ended without having done what it was asked. */

/** Stable codes of {@link ToolsError}. */
export type ToolsErrorCode =
  /** Flags that do not go together, or a value that makes no sense. */
  | 'ERR_TOOL_FLAGS'
  /** An output template that is malformed or uses what is not there. */
  | 'ERR_TOOL_TEMPLATE'
  /** Some metas could not be read: nothing can be said about the bucket. */
  | 'ERR_INCOMPLETE_VIEW'
  /** There is no such block. */
  | 'ERR_NO_BLOCK'
  /** A block cannot be repaired, or is not repaired because its backup cannot be made. */
  | 'ERR_REPAIR'
  /** Issues were found and `--fail-on-issues` was given. */
  | 'ERR_ISSUES_FOUND'
  /** Rule files with problems. */
  | 'ERR_RULES'
  /** An expression that is no PromQL. */
  | 'ERR_PROMQL'
  /** A query that cannot be answered from the blocks there are: none, damaged, or series that are there twice. */
  | 'ERR_QUERY_BLOCKS'
  /** A query would pass `--max-memory` or `--max-download`. */
  | 'ERR_QUERY_LIMIT'
  /** A query over blocks failed; the message says why. */
  | 'ERR_QUERY_FAILED'
  /** A tool took longer than it was given. */
  | 'ERR_TOOL_TIMEOUT'
  /** Evaluations of a script with another outcome than expected. */
  | 'ERR_PROMQL_TESTS'
  /** A folder that is no database and no block, or blocks in it that cannot be read. */
  | 'ERR_TSDB_FOLDER'
  /** Text that cannot become blocks. */
  | 'ERR_TSDB_IMPORT'
  /** Verification found damage. */
  | 'ERR_TSDB_DAMAGED'
  /** Work on a database failed in its thread; the message says why. */
  | 'ERR_TSDB_JOB';

/** Why a tool ended. */
export class ToolsError extends Error {
  override readonly name: string = 'ToolsError';
  /** For programs. */
  readonly code: ToolsErrorCode;

  constructor(code: ToolsErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}
