/** The HTTP API of the querier, as the page uses it. One function per endpoint; errors carry the server's type and text. */
import type { RulesJson } from '@gauntlet/http-api/types';
import type { MatrixItem, Sample, VectorItem } from '../lib/series.ts';

/** Path prefix the page is served under: everything before the last path segment, no trailing slash. */
export const pathPrefix: string = globalThis.location === undefined ? '' : location.pathname.replace(/\/[^/]*$/, '');

export type QueryData =
  | { readonly resultType: 'vector'; readonly result: readonly VectorItem[] }
  | { readonly resultType: 'matrix'; readonly result: readonly MatrixItem[] }
  | { readonly resultType: 'scalar' | 'string'; readonly result: Sample };

export interface Answer<T> {
  readonly data: T;
  readonly warnings: readonly string[];
  readonly infos: readonly string[];
  /** From sending the request to the parsed answer, ms. */
  readonly loadMs: number;
}

/** An answer with `status: "error"`, or none at all. */
export class ApiError extends Error {
  readonly errorType: string;
  constructor(errorType: string, message: string) {
    super(message);
    this.name = 'ApiError';
    this.errorType = errorType;
  }
}

async function get<T>(path: string, params: Readonly<Record<string, string>>, signal: AbortSignal): Promise<Answer<T>> {
  const started = performance.now();
  const url = `${pathPrefix}/api/v1/${path}`;
  let response: Response;
  try {
    response = await fetch(url, {
      method: Object.keys(params).length === 0 ? 'GET' : 'POST',
      headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
      body: Object.keys(params).length === 0 ? null : new URLSearchParams(params),
      signal,
    });
  } catch (error) {
    if (signal.aborted) throw error;
    throw new ApiError('unreachable', `the querier does not answer: ${(error as Error).message}`);
  }
  const text = await response.text();
  let body: { status?: string; data?: T; errorType?: string; error?: string; warnings?: string[]; infos?: string[] };
  try {
    body = JSON.parse(text) as typeof body;
  } catch {
    throw new ApiError('bad_response', `${url} answered ${response.status} without JSON: ${text.slice(0, 200)}`);
  }
  if (body.status !== 'success') throw new ApiError(body.errorType ?? String(response.status), body.error ?? text.slice(0, 200));
  return { data: body.data as T, warnings: body.warnings ?? [], infos: body.infos ?? [], loadMs: performance.now() - started };
}

export interface QueryOptions {
  readonly dedup: boolean;
  readonly partialResponse: boolean;
  readonly maxSourceResolution: string;
}

const optionParams = (options: QueryOptions): Record<string, string> => ({
  dedup: String(options.dedup),
  partial_response: String(options.partialResponse),
  max_source_resolution: options.maxSourceResolution,
});

/** Evaluates at one time (ms since 1970). */
export function queryInstant(expr: string, timeMs: number, options: QueryOptions, signal: AbortSignal): Promise<Answer<QueryData>> {
  return get('query', { query: expr, time: String(timeMs / 1000), ...optionParams(options) }, signal);
}

/** Evaluates at every step in [startS, endS]; seconds. */
export function queryRange(expr: string, startS: number, endS: number, stepS: number, options: QueryOptions, signal: AbortSignal): Promise<Answer<QueryData>> {
  return get('query_range', { query: expr, start: String(startS), end: String(endS), step: String(stepS), ...optionParams(options) }, signal);
}

export interface Endpoint {
  readonly name: string;
  readonly lastCheck: string;
  readonly lastError: string | null;
  readonly labelSets: readonly Readonly<Record<string, string>>[];
  /** ms since 1970; ±2^63 mean "no limit". */
  readonly minTime: number;
  readonly maxTime: number;
}

/** Endpoints by component, as the querier knows them. */
export function listStores(signal: AbortSignal): Promise<Answer<Readonly<Record<string, readonly Endpoint[]>>>> {
  return get('stores', {}, signal);
}

/** Time between two requests of the same thing: a server that takes long to answer is asked less often. @param loadMs of the last answer */
export function refetchMs(wantedMs: number, loadMs = 0): number {
  return Math.max(wantedMs, 10 * loadMs);
}

/** Rule groups with their rules and active alerts. @param type which rules; groups without such come too */
export function listRules(type: 'all' | 'alert', signal: AbortSignal): Promise<Answer<RulesJson>> {
  return get(`rules?type=${type}`, {}, signal);
}

/** A flat status table: `buildinfo`, `runtimeinfo` or `flags`. */
export function status(name: 'buildinfo' | 'runtimeinfo' | 'flags', signal: AbortSignal): Promise<Answer<Readonly<Record<string, unknown>>>> {
  return get(`status/${name}`, {}, signal);
}
