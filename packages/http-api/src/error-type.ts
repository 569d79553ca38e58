/**
 * How errors look on the wire: `errorType` and HTTP status, in the manner of Thanos or of Prometheus.
 * Source: Thanos pkg/api/api.go, RespondError; pkg/api/query/v1.go; Prometheus web/api/v1/api.go, returnAPIError.
 */
import { ModelError } from '@gauntlet/model';
import { PromqlError } from '@gauntlet/promql';
import { HttpApiError, type HttpApiErrorCode } from './errors.ts';
import type { ErrorType } from './types.ts';

const TYPES: Readonly<Record<HttpApiErrorCode, ErrorType>> = {
  ERR_BAD_DATA: 'bad_data',
  ERR_EXECUTION: 'execution',
  ERR_CANCELED: 'canceled',
  ERR_TIMEOUT: 'timeout',
  ERR_INTERNAL: 'internal',
  ERR_UPSTREAM: 'execution',
  ERR_UPSTREAM_ANSWER: 'execution',
};

const STATUS: Readonly<Record<ErrorType, number>> = { bad_data: 400, execution: 422, canceled: 503, timeout: 503, internal: 500 };

/** Whose manners an answer has, where Thanos and Prometheus differ: error statuses, remarks, `limit`, headers. */
export type ApiStyle = 'thanos' | 'prometheus';

/** HTTP status of an error type. Prometheus answers what the client gave up with nginx' 499. */
export function statusOf(type: ErrorType, style: ApiStyle = 'thanos'): number {
  return style === 'prometheus' && type === 'canceled' ? 499 : STATUS[type];
}

/**
 * The error type of anything thrown while an endpoint works. What is wrong with the query is the caller's fault, cancellation and time limits have
 * their own, and everything else is an evaluation that failed; storage included, except with Prometheus.
 */
export function errorTypeOf(error: unknown, style: ApiStyle = 'thanos'): ErrorType {
  if (error instanceof HttpApiError) return TYPES[error.code];
  if (error instanceof PromqlError) {
    if (error.code === 'ERR_PARSE') return 'bad_data';
    if (error.code === 'ERR_CANCELED') return 'canceled';
    if (error.code === 'ERR_STORAGE' && style === 'prometheus') return 'internal';
    return error.code === 'ERR_TIMEOUT' ? 'timeout' : 'execution';
  }
  if (error instanceof ModelError) return 'bad_data';
  return error instanceof DOMException && error.name === 'AbortError' ? 'canceled' : 'execution';
}
