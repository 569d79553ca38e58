/** Errors of this package: one class, whose `code` names the gRPC status it has on the wire. */

/** Stable codes of {@link StoreError}; grpc-status.ts maps them to status numbers. */
export type StoreErrorCode =
  | 'ERR_STORE_CANCELED'
  | 'ERR_STORE_UNKNOWN'
  | 'ERR_STORE_INVALID_ARGUMENT'
  | 'ERR_STORE_DEADLINE'
  | 'ERR_STORE_NOT_FOUND'
  | 'ERR_STORE_ALREADY_EXISTS'
  | 'ERR_STORE_PERMISSION_DENIED'
  | 'ERR_STORE_RESOURCE_EXHAUSTED'
  | 'ERR_STORE_FAILED_PRECONDITION'
  | 'ERR_STORE_ABORTED'
  | 'ERR_STORE_OUT_OF_RANGE'
  | 'ERR_STORE_UNIMPLEMENTED'
  | 'ERR_STORE_INTERNAL'
  | 'ERR_STORE_UNAVAILABLE'
  | 'ERR_STORE_DATA_LOSS'
  | 'ERR_STORE_UNAUTHENTICATED';

/** What stores throw; a server sends `code` as the status and `message` as its text. */
export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly code: StoreErrorCode;

  constructor(code: StoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
