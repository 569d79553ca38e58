/** `/api/v1/query`: the parameters of an instant query, in the order Thanos checks them. Source: Thanos pkg/api/query/v1.go, query. */
import { type ApiParams, parseBoolParam, parseTimeParam, parseTimeout } from './api-params.ts';
import { type ApiDefaults, type InstantQueryCall, parseCallTail, parseMaxResolution, parsePartialResponse, parseReplicaLabels, parseStoreMatchers } from './query-call.ts';

/**
 * Reads an instant query; the query text itself is checked where it runs.
 * @param nowMs evaluation time if none is given
 * @throws HttpApiError ERR_BAD_DATA
 */
export function parseInstantQuery(params: ApiParams, defaults: ApiDefaults, nowMs: number): InstantQueryCall {
  const timeMs = parseTimeParam(params, 'time', nowMs);
  const timeoutMs = parseTimeout(params);
  const dedup = parseBoolParam(params, 'dedup', true);
  const replicaLabels = parseReplicaLabels(params, defaults);
  const storeMatchers = parseStoreMatchers(params);
  const partialResponse = parsePartialResponse(params, defaults);
  const maxResolutionMs = parseMaxResolution(params, defaults, defaults.instantMaxResolutionMs);
  const { shardInfo, ...tail } = parseCallTail(params, defaults);
  const read = { dedup, replicaLabels, storeMatchers, maxResolutionMs, partialResponse, skipChunks: false, shardInfo };
  return { kind: 'instant', timeMs, timeoutMs, read, ...tail };
}
