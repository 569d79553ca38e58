/**
 * Errors to gRPC statuses and back. Texts of remote errors read as peers print them (`rpc error: code = Unavailable desc = …`),
 * since they end up in warnings that users grep for. The numbers are written out: workers that serve no gRPC load this without grpc-js (12 MB).
 * Source of the numbers: grpc/doc/statuscodes.md.
 */
import { StoreError, type StoreErrorCode } from './errors.ts';

/** Code, status number, and the status' name in texts. */
const STATUSES: readonly (readonly [StoreErrorCode, number, string])[] = [
  ['ERR_STORE_CANCELED', 1, 'Canceled'],
  ['ERR_STORE_UNKNOWN', 2, 'Unknown'],
  ['ERR_STORE_INVALID_ARGUMENT', 3, 'InvalidArgument'],
  ['ERR_STORE_DEADLINE', 4, 'DeadlineExceeded'],
  ['ERR_STORE_NOT_FOUND', 5, 'NotFound'],
  ['ERR_STORE_ALREADY_EXISTS', 6, 'AlreadyExists'],
  ['ERR_STORE_PERMISSION_DENIED', 7, 'PermissionDenied'],
  ['ERR_STORE_RESOURCE_EXHAUSTED', 8, 'ResourceExhausted'],
  ['ERR_STORE_FAILED_PRECONDITION', 9, 'FailedPrecondition'],
  ['ERR_STORE_ABORTED', 10, 'Aborted'],
  ['ERR_STORE_OUT_OF_RANGE', 11, 'OutOfRange'],
  ['ERR_STORE_UNIMPLEMENTED', 12, 'Unimplemented'],
  ['ERR_STORE_INTERNAL', 13, 'Internal'],
  ['ERR_STORE_UNAVAILABLE', 14, 'Unavailable'],
  ['ERR_STORE_DATA_LOSS', 15, 'DataLoss'],
  ['ERR_STORE_UNAUTHENTICATED', 16, 'Unauthenticated'],
];

/** What a server answers with instead of data. */
export interface GrpcStatus {
  readonly code: number;
  readonly details: string;
}

const CANCELLED = 1;
const UNKNOWN = 2;

/** Marks a StoreError that came over gRPC, so that its text names the status once. */
const remoteErrors = new WeakSet<StoreError>();

/** The status for any thrown value: a StoreError's own, CANCELLED for an abort, UNKNOWN for the rest. */
export function toGrpcStatus(error: unknown): GrpcStatus {
  if (error instanceof StoreError) {
    const row = STATUSES.find((candidate) => candidate[0] === error.code)!;
    return { code: row[1], details: error.message };
  }
  if (isAbort(error)) return { code: CANCELLED, details: 'context canceled' };
  return { code: UNKNOWN, details: error instanceof Error ? error.message : String(error) };
}

/** The StoreError for an error of a gRPC client; other values are wrapped as UNKNOWN. */
export function fromServiceError(error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  const { code, details } = error as { code?: unknown; details?: unknown };
  const row = STATUSES.find((candidate) => candidate[1] === code);
  const text = typeof details === 'string' ? dialText(details) : error instanceof Error ? error.message : String(error);
  const storeError = new StoreError(row?.[0] ?? 'ERR_STORE_UNKNOWN', text, { cause: error });
  remoteErrors.add(storeError);
  return storeError;
}

/** Why a connection could not be made, as the C library says it. */
const DIAL_ERRORS: ReadonlyMap<string, string> = new Map([
  ['ECONNREFUSED', 'connect: connection refused'],
  ['ECONNRESET', 'connect: connection reset by peer'],
  ['EHOSTUNREACH', 'connect: no route to host'],
  ['ENETUNREACH', 'connect: network is unreachable'],
  ['ETIMEDOUT', 'connect: connection timed out'],
]);

/** The words of a Go peer for a connection that cannot be made: alerts and runbooks look for them. Other texts stay as they are. */
export function dialText(details: string): string {
  const found = /Last error: (?:\w*Error: )?connect (E[A-Z]+) (\S+)/.exec(details) ?? /^(?:\w*Error: )?connect (E[A-Z]+) (\S+)/.exec(details);
  const why = found === null ? undefined : DIAL_ERRORS.get(found[1]!);
  return why === undefined ? details : `connection error: desc = "transport: Error while dialing: dial tcp ${found![2]!.replace(/\.$/, '')}: ${why}"`;
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
