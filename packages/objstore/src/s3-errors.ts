/**
 * What the AWS SDK throws, as ObjstoreErrors, and which of it deserves another attempt. Source: Amazon S3 API reference,
 * "Error responses"; smithy's error shapes (`name`, `$metadata.httpStatusCode`).
 */
import { errorText } from '@gauntlet/service-kit';

import { ObjstoreError } from './errors.ts';
import type { ObjstoreErrorCode } from './errors.ts';

interface SdkError {
  readonly name?: string;
  readonly code?: string;
  readonly message?: string;
  readonly $metadata?: { readonly httpStatusCode?: number };
}

/** A body that ended before its announced length: the connection broke, or the store lied. Always worth another attempt. */
export class CutBodyError extends Error {
  override readonly name: string = 'CutBodyError';
}

const THROTTLED = new Set(['SlowDown', 'Throttling', 'ThrottlingException', 'TooManyRequests', 'RequestLimitExceeded', 'RequestTimeout', 'RequestTimeTooSkewed', 'ConditionalRequestConflict', 'OperationAborted', 'InternalError', 'ServiceUnavailable']);

function isSdkError(error: unknown): error is SdkError {
  return typeof error === 'object' && error !== null;
}

/** HTTP status of an SDK error; 0 if there was no answer. */
export function sdkStatus(error: unknown): number {
  return isSdkError(error) ? (error.$metadata?.httpStatusCode ?? 0) : 0;
}

/** Whether the failure may pass: no answer, 5xx, throttling. */
export function isTransient(error: unknown): boolean {
  if (error instanceof ObjstoreError) return false;
  if (error instanceof CutBodyError) return true;
  if (!isSdkError(error)) return false;
  if (error.name === 'CredentialsProviderError' || error.name === 'AbortError') return false;
  const status = sdkStatus(error);
  return status === 0 || status >= 500 && status !== 501 || status === 429 || status === 408 || THROTTLED.has(error.name ?? '') || status === 200;
}

function codeOf(error: SdkError, status: number): ObjstoreErrorCode {
  if (error.name === 'NoSuchBucket') return 'ERR_BUCKET_NOT_FOUND';
  if (error.name === 'CredentialsProviderError') return 'ERR_ACCESS_DENIED';
  switch (status) {
    case 404: return 'ERR_OBJECT_NOT_FOUND';
    case 412: return 'ERR_PRECONDITION_FAILED';
    case 416: return 'ERR_OBJECT_RANGE';
    case 401:
    case 403: return 'ERR_ACCESS_DENIED';
    default: return isTransient(error) ? 'ERR_BUCKET_UNREACHABLE' : 'ERR_BUCKET_REFUSED';
  }
}

/** Any failure of a request as an ObjstoreError; one that is one already is kept. @param key empty when it is about the bucket itself */
export function mapS3Error(operation: string, key: string, bucket: string, error: unknown): unknown {
  if (error instanceof ObjstoreError) return error;
  const what = key === '' ? `${operation} bucket ${bucket}` : `${operation} ${key} in bucket ${bucket}`;
  if (!isSdkError(error)) return new ObjstoreError('ERR_BUCKET_REFUSED', `${what}: ${String(error)}`, error);
  const status = sdkStatus(error);
  const text = error.name !== undefined && error.name !== 'Error' ? `${error.name}: ${errorText(error)}` : errorText(error);
  return new ObjstoreError(codeOf(error, status), `${what}: ${status === 0 ? '' : `HTTP ${status} `}${text}`, error);
}
