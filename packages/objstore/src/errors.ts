/** The one error of this package. Services decide by `code`; the text names operation, bucket and object. */

/** Stable codes of {@link ObjstoreError}. */
export type ObjstoreErrorCode =
  /** No object of this name. */
  | 'ERR_OBJECT_NOT_FOUND'
  /** A range begins at or past the end of the object. */
  | 'ERR_OBJECT_RANGE'
  /** The object was replaced while it was being read in pieces. */
  | 'ERR_OBJECT_CHANGED'
  /** The name cannot be an object here: empty, with `.` or `..` segments, in the way of a folder. */
  | 'ERR_OBJECT_KEY'
  /** ifNoneMatch or ifMatch did not hold; nothing was written. */
  | 'ERR_PRECONDITION_FAILED'
  /** The store ignores or refuses conditional writes. */
  | 'ERR_CONDITIONAL_WRITE_UNSUPPORTED'
  /** Credentials are missing, wrong or not enough. */
  | 'ERR_ACCESS_DENIED'
  /** The bucket or directory itself is not there. */
  | 'ERR_BUCKET_NOT_FOUND'
  /** Network errors, timeouts and 5xx answers, after retries. */
  | 'ERR_BUCKET_UNREACHABLE'
  /** The store refused the request for another reason. */
  | 'ERR_BUCKET_REFUSED'
  /** The configuration asks for something that is not supported. */
  | 'ERR_BUCKET_CONFIG'
  /** A scripted failure of the testing bucket. */
  | 'ERR_BUCKET_FAULT';

/** Why an operation on a bucket did not succeed. */
export class ObjstoreError extends Error {
  override readonly name: string = 'ObjstoreError';
  /** For programs. */
  readonly code: ObjstoreErrorCode;

  /** @param message `<operation> <key> in bucket <name>: <got versus wanted>` */
  constructor(code: ObjstoreErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

/** Whether an error says that the object is not there. */
export function isNotFound(error: unknown): boolean {
  return error instanceof ObjstoreError && error.code === 'ERR_OBJECT_NOT_FOUND';
}

/** Whether an error says that a conditional write lost. */
export function isPreconditionFailed(error: unknown): boolean {
  return error instanceof ObjstoreError && error.code === 'ERR_PRECONDITION_FAILED';
}

/** Whether an error says that credentials are missing or not enough. */
export function isAccessDenied(error: unknown): boolean {
  return error instanceof ObjstoreError && error.code === 'ERR_ACCESS_DENIED';
}
