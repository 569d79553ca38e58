/** `/api/v1/series`: the label sets of the selected series. Source: Thanos pkg/api/query/v1.go, series. */
import { compareLabels, type Labels, type SelectRequest } from '@gauntlet/model';
import { parseMetricSelector } from '@gauntlet/promql';
import { type ApiAnswer, answerDataText, TRUNCATED_WARNING } from './api-answer.ts';
import { type ApiParams, badData, checkSelectors, parseBoolParam, parseLimit, parseMetadataRange } from './api-params.ts';
import { labelsText } from './json-text.ts';
import type { LabelCall, MetadataDeps, MetadataQueryable } from './label-calls.ts';
import { parsePartialResponse, parseReplicaLabels, parseStoreMatchers } from './query-call.ts';

/** Any resolution will do: only labels are read. */
const MAX_RESOLUTION_MS = Number.MAX_SAFE_INTEGER;

/** A request for series after its parameters have been read. */
export type SeriesCall = LabelCall;

/** Answers with label sets in order, each once. @throws HttpApiError, or what the Queryable throws */
export async function answerSeries(params: ApiParams, deps: MetadataDeps): Promise<ApiAnswer> {
  return answerSeriesCall(parseSeriesCall(params, deps), deps);
}

/** Reads the parameters in Thanos' order. @throws HttpApiError ERR_BAD_DATA */
function parseSeriesCall(params: ApiParams, deps: MetadataDeps): SeriesCall {
  const { defaults } = deps;
  const texts = params.all('match[]');
  if (texts.length === 0) throw badData('no match[] parameter provided');
  const { startMs, endMs } = parseMetadataRange(params, deps.now(), defaults.metadataRangeMs);
  const matcherSets = checkSelectors(texts).map(parseMetricSelector);
  const dedup = parseBoolParam(params, 'dedup', true);
  const replicaLabels = parseReplicaLabels(params, defaults);
  const storeMatchers = parseStoreMatchers(params);
  const limit = parseLimit(params);
  const partialResponse = parsePartialResponse(params, defaults);
  const read = { dedup, replicaLabels, storeMatchers, maxResolutionMs: MAX_RESOLUTION_MS, partialResponse, skipChunks: true, shardInfo: undefined };
  return { startMs, endMs, limit, matcherSets, read };
}

/** The same after its parameters have been read. @throws what the Queryable throws */
export async function answerSeriesCall(call: SeriesCall, deps: Pick<MetadataDeps, 'queryable' | 'signal'>): Promise<ApiAnswer> {
  const { startMs, endMs, limit, matcherSets } = call;
  const queryable = deps.queryable(call.read);
  const most = limit === 0 ? Number.POSITIVE_INFINITY : limit + 1;
  const found = await Promise.all(
    matcherSets.map((matchers) => collect(queryable, { matchers, mint: startMs, maxt: endMs, ...(deps.signal === undefined ? {} : { signal: deps.signal }) }, most)),
  );
  const sorted = found.length === 1 ? found[0]!.labels : union(found.map(({ labels }) => labels));
  const warnings = [...new Set(found.flatMap((one) => one.warnings))];
  if (limit > 0 && sorted.length > limit) warnings.push(TRUNCATED_WARNING);
  const shown = limit > 0 ? sorted.slice(0, limit) : sorted;
  return answerDataText(`[${shown.map(labelsText).join(',')}]`, warnings);
}

/** The first label sets of one selector, at most `most`. */
async function collect(queryable: MetadataQueryable, request: SelectRequest, most: number): Promise<{ readonly labels: Labels[]; readonly warnings: readonly string[] }> {
  const labels: Labels[] = [];
  if (queryable.selectChunks !== undefined) {
    for await (const batch of queryable.selectChunks({ ...request, skipChunks: true })) {
      for (const one of batch) labels.push(one.labels);
      if (labels.length >= most) break;
    }
    return { labels, warnings: [] };
  }
  const set = queryable.select(request);
  for await (const batch of set) {
    for (const one of batch.labels) labels.push(one);
    if (labels.length >= most) break;
  }
  return { labels, warnings: set.warnings() };
}

function union(lists: readonly (readonly Labels[])[]): Labels[] {
  const sorted = lists.flat().sort(compareLabels);
  return sorted.filter((labels, i) => i === 0 || compareLabels(sorted[i - 1]!, labels) !== 0);
}
