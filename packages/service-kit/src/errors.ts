/**
 * The one error class of this package, and the way other errors are turned into text. Match on `code`, never on the message.
 */

/** Stable codes of {@link ServiceKitError}. */
export type ServiceKitErrorCode =
  | 'ERR_FLAG'
  | 'ERR_CONFIG'
  | 'ERR_LISTEN'
  | 'ERR_TLS'
  | 'ERR_DNS'
  | 'ERR_HTTP'
  | 'ERR_FILE_READ'
  | 'ERR_PROTO'
  | 'ERR_TRACING'
  | 'ERR_GATE_CLOSED'
  | 'ERR_MEMORY_LIMIT'
  | 'ERR_WORKER_EXIT'
  | 'ERR_WORKER_TASK'
  | 'ERR_CANCELLED'
  | 'ERR_POOL_CLOSED'
  | 'ERR_UNSUPPORTED';

/** An error of the world around a service: flags, files, sockets, limits. */
export class ServiceKitError extends Error {
  override readonly name: string = 'ServiceKitError';
  /** What went wrong, for programs. */
  readonly code: ServiceKitErrorCode;

  /**
   * @param code stable code
   * @param message action, ids, got versus wanted
   * @param cause the error underneath, kept
   */
  constructor(code: ServiceKitErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

/** Any thrown value as one line: the message, then the messages of its causes that it does not already contain. */
export function errorText(thrown: unknown): string {
  if (!isErrorLike(thrown)) return valueText(thrown);
  let text = thrown.message === '' ? (thrown.name ?? 'Error') : thrown.message;
  let cause: unknown = thrown.cause;
  for (let depth = 0; depth < 8 && cause !== undefined && cause !== null; depth++) {
    const causeText = isErrorLike(cause) ? cause.message : valueText(cause);
    if (causeText !== '' && !text.includes(causeText)) text += `: ${causeText}`;
    cause = isErrorLike(cause) ? cause.cause : undefined;
  }
  return text;
}

/** Any value as text: texts as they are, objects as JSON. */
export function valueText(value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value !== 'object' || value === null) return String(value as number | boolean | bigint | symbol | undefined | null);
  try {
    return JSON.stringify(value) ?? 'undefined';
  } catch {
    return '[circular]';
  }
}

/** The `code` of a Node system error (`ENOENT`, `EADDRINUSE` …), or undefined. */
export function systemErrorCode(thrown: unknown): string | undefined {
  if (typeof thrown !== 'object' || thrown === null || !('code' in thrown)) return undefined;
  return typeof thrown.code === 'string' ? thrown.code : undefined;
}

function isErrorLike(value: unknown): value is { message: string; name?: string; cause?: unknown } {
  return typeof value === 'object' && value !== null && 'message' in value && typeof value.message === 'string';
}
