/**
 * Errors to gRPC statuses and back. Texts of remote errors read as peers print them (`rpc error: code = Unavailable desc = …`),
 * since they end up in warnings that users grep for.
 */
import { status } from '@grpc/grpc-js';
import { StoreError, type StoreErrorCode } from './errors.ts';

/** Code, status number, and the status' name in texts. */
const STATUSES: readonly (readonly [StoreErrorCode, number, string])[] = [
  ['ERR_STORE_CANCELED', status.CANCELLED, 'Canceled'],
  ['ERR_STORE_UNKNOWN', status.UNKNOWN, 'Unknown'],
  ['ERR_STORE_INVALID_ARGUMENT', status.INVALID_ARGUMENT, 'InvalidArgument'],
  ['ERR_STORE_DEADLINE', status.DEADLINE_EXCEEDED, 'DeadlineExceeded'],
  ['ERR_STORE_NOT_FOUND', status.NOT_FOUND, 'NotFound'],
  ['ERR_STORE_ALREADY_EXISTS', status.ALREADY_EXISTS, 'AlreadyExists'],
  ['ERR_STORE_PERMISSION_DENIED', status.PERMISSION_DENIED, 'PermissionDenied'],
  ['ERR_STORE_RESOURCE_EXHAUSTED', status.RESOURCE_EXHAUSTED, 'ResourceExhausted'],
  ['ERR_STORE_FAILED_PRECONDITION', status.FAILED_PRECONDITION, 'FailedPrecondition'],
  ['ERR_STORE_ABORTED', status.ABORTED, 'Aborted'],
  ['ERR_STORE_OUT_OF_RANGE', status.OUT_OF_RANGE, 'OutOfRange'],
  ['ERR_STORE_UNIMPLEMENTED', status.UNIMPLEMENTED, 'Unimplemented'],
  ['ERR_STORE_INTERNAL', status.INTERNAL, 'Internal'],
  ['ERR_STORE_UNAVAILABLE', status.UNAVAILABLE, 'Unavailable'],
  ['ERR_STORE_DATA_LOSS', status.DATA_LOSS, 'DataLoss'],
  ['ERR_STORE_UNAUTHENTICATED', status.UNAUTHENTICATED, 'Unauthenticated'],
];

/** What a server answers with instead of data. */
export interface GrpcStatus {
  readonly code: number;
  readonly details: string;
}

/** Marks a StoreError that came over gRPC, so that its text names the status once. */
const remoteErrors = new WeakSet<StoreError>();

/** The status for any thrown value: a StoreError's own, CANCELLED for an abort, UNKNOWN for the rest. */
export function toGrpcStatus(error: unknown): GrpcStatus {
  if (error instanceof StoreError) {
    const row = STATUSES.find((candidate) => candidate[0] === error.code)!;
    return { code: row[1], details: error.message };
  }
  if (isAbort(error)) return { code: status.CANCELLED, details: 'context canceled' };
  return { code: status.UNKNOWN, details: error instanceof Error ? error.message : String(error) };
}

/** The StoreError for an error of a gRPC client; other values are wrapped as UNKNOWN. */
export function fromServiceError(error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  const { code, details } = error as { code?: unknown; details?: unknown };
  const row = STATUSES.find((candidate) => candidate[1] === code);
  const text = typeof details === 'string' ? details : error instanceof Error ? error.message : String(error);
  const storeError = new StoreError(row?.[0] ?? 'ERR_STORE_UNKNOWN', text, { cause: error });
  remoteErrors.add(storeError);
  return storeError;
}

/** Text of an error as it stands in warnings: a remote one with its status, as Go prints it. */
export function errorText(error: unknown): string {
  if (error instanceof StoreError && remoteErrors.has(error)) {
    const row = STATUSES.find((candidate) => candidate[0] === error.code)!;
    return `rpc error: code = ${row[2]} desc = ${error.message}`;
  }
  if (isAbort(error)) return 'context canceled';
  return error instanceof Error ? error.message : String(error);
}

/** Code of an error, UNKNOWN if it is no StoreError. */
export function errorCode(error: unknown): StoreErrorCode {
  if (error instanceof StoreError) return error.code;
  return isAbort(error) ? 'ERR_STORE_CANCELED' : 'ERR_STORE_UNKNOWN';
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError';
}
