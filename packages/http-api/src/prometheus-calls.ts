/**
 * Parameters as Prometheus reads them: its names, its order of checks, its error texts (`invalid parameter "step": …`). What comes out is the
 * same plain data as from Thanos' parameters, so everything behind is shared.
 * Source: Prometheus web/api/v1/api.go, query, queryRange, labelNames, labelValues, series.
 */
import { quoteGo } from '@gauntlet/model';
import { parseMetricSelector } from '@gauntlet/promql';
import {
  type ApiParams,
  badData,
  checkSelectors,
  explain,
  INTERVALS_MAX,
  INTERVALS_TEXT,
  parseApiDuration,
  parsePrometheusLimit,
  parseTime,
  STEP_TEXT,
  TIME_MAX_MS,
  TIME_MIN_MS,
} from './api-params.ts';
import { HttpApiError } from './errors.ts';
import type { LabelCall } from './label-calls.ts';
import type { InstantQueryCall, RangeQueryCall, ReadOptions } from './query-call.ts';

/** A Prometheus knows neither replicas nor stores nor resolutions. */
const READ: ReadOptions = { dedup: false, replicaLabels: [], storeMatchers: [], maxResolutionMs: 0, partialResponse: false, skipChunks: false, shardInfo: undefined };
const LABELS_READ: ReadOptions = { ...READ, skipChunks: true };

/** Names the parameter that is wrong. */
function named<T>(name: string, parse: () => T): T {
  return explain(`invalid parameter ${quoteGo(name)}`, parse);
}

/** Reads an instant query; the query text is checked where it runs. @throws HttpApiError ERR_BAD_DATA */
export function parsePrometheusInstantQuery(params: ApiParams, nowMs: number): InstantQueryCall {
  const limit = named('limit', () => parsePrometheusLimit(params));
  const timeMs = parsePrometheusTime(params, 'time', nowMs);
  return { kind: 'instant', timeMs, limit, ...parseTail(params) };
}

/** Reads a range query. @throws HttpApiError ERR_BAD_DATA */
export function parsePrometheusRangeQuery(params: ApiParams): RangeQueryCall {
  const limit = named('limit', () => parsePrometheusLimit(params));
  const startMs = named('start', () => parseTime(params.get('start')));
  const endMs = named('end', () => parseTime(params.get('end')));
  if (endMs < startMs) named('end', () => badNow('end timestamp must not be before start time'));
  const exactMs = named('step', () => parseApiDuration(params.get('step')));
  if (exactMs <= 0) named('step', () => badNow(STEP_TEXT));
  if (Math.trunc((endMs - startMs) / exactMs) > INTERVALS_MAX) throw badData(INTERVALS_TEXT);
  const stepMs = Math.trunc(exactMs);
  // Prometheus would count such steps as zero.
  if (stepMs === 0) named('step', () => badNow(STEP_TEXT));
  return { kind: 'range', startMs, endMs, stepMs, limit, ...parseTail(params) };
}

/** Reads a request for label names or values. @throws HttpApiError ERR_BAD_DATA */
export function parsePrometheusLabelCall(params: ApiParams): LabelCall {
  const range = parseLimitAndRange(params);
  return { ...range, matcherSets: parseMatcherSets(params), read: LABELS_READ };
}

/** Reads a request for series. @throws HttpApiError ERR_BAD_DATA */
export function parsePrometheusSeriesCall(params: ApiParams): LabelCall {
  if (params.all('match[]').length === 0) throw badData('no match[] parameter provided');
  const range = parseLimitAndRange(params);
  return { ...range, matcherSets: named('match[]', () => parseMatcherSets(params)), read: LABELS_READ };
}

function parseLimitAndRange(params: ApiParams): Pick<LabelCall, 'startMs' | 'endMs' | 'limit'> {
  const limit = named('limit', () => parsePrometheusLimit(params));
  return { limit, startMs: parsePrometheusTime(params, 'start', TIME_MIN_MS), endMs: parsePrometheusTime(params, 'end', TIME_MAX_MS) };
}

/** One set of matchers per `match[]`, each of which must ask for something; one empty set if there is none. */
function parseMatcherSets(params: ApiParams): LabelCall['matcherSets'] {
  const sets = checkSelectors(params.all('match[]')).map((text) => parseMetricSelector(text));
  if (sets.some((matchers) => matchers.every((matcher) => matcher.matches('')))) throw badData('match[] must contain at least one non-empty matcher');
  return sets.length === 0 ? [[]] : sets;
}

/** An optional time. @throws HttpApiError `invalid parameter "time": invalid time value for 'time': …` */
function parsePrometheusTime(params: ApiParams, name: string, defaultMs: number): number {
  const text = params.get(name);
  return text === '' ? defaultMs : named(name, () => explain(`invalid time value for '${name}'`, () => parseTime(text)));
}

/** What both kinds of query have, in the order it is checked. */
function parseTail(params: ApiParams): Omit<InstantQueryCall, 'kind' | 'timeMs' | 'limit'> {
  const timeout = params.get('timeout');
  const timeoutMs = timeout === '' ? undefined : named('timeout', () => parseApiDuration(timeout));
  const lookback = params.get('lookback_delta');
  const lookbackMs = lookback === '' ? 0 : explain('error parsing lookback delta duration', () => parseApiDuration(lookback));
  const stats = params.get('stats');
  return {
    query: params.get('query'),
    timeoutMs,
    engine: 'prometheus',
    lookbackDeltaMs: lookbackMs > 0 ? Math.trunc(lookbackMs) : undefined,
    read: READ,
    stats: stats !== '',
    analyze: false,
    warnings: ['', 'true', 'all'].includes(stats)
      ? []
      : [`value ${quoteGo(stats)} for parameter "stats" is deprecated and will be rejected in the next major release, use "true" or "all"`],
  };
}

function badNow(message: string): never {
  throw new HttpApiError('ERR_BAD_DATA', message);
}
