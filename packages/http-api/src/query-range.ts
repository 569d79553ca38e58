/** `/api/v1/query_range`: the parameters of a range query, in the order Thanos checks them. Source: Thanos pkg/api/query/v1.go, queryRange. */
import { type ApiParams, parseBoolParam, parseSteps, parseTimeout } from './api-params.ts';
import { type ApiDefaults, parseCallTail, parseMaxResolution, parsePartialResponse, parseReplicaLabels, parseStoreMatchers, type RangeQueryCall } from './query-call.ts';

/**
 * Reads a range query; the query text itself is checked where it runs.
 * @throws HttpApiError ERR_BAD_DATA
 */
export function parseRangeQuery(params: ApiParams, defaults: ApiDefaults): RangeQueryCall {
  const steps = parseSteps(params, defaults.stepMs);
  const timeoutMs = parseTimeout(params);
  const dedup = parseBoolParam(params, 'dedup', true);
  const replicaLabels = parseReplicaLabels(params, defaults);
  const storeMatchers = parseStoreMatchers(params);
  // `auto` keeps at least five samples between two steps.
  const maxResolutionMs = parseMaxResolution(params, defaults, Math.trunc(steps.stepMs / 5));
  const partialResponse = parsePartialResponse(params, defaults);
  const { shardInfo, ...tail } = parseCallTail(params, defaults);
  const read = { dedup, replicaLabels, storeMatchers, maxResolutionMs, partialResponse, skipChunks: false, shardInfo };
  return { kind: 'range', ...steps, timeoutMs, read, ...tail };
}
