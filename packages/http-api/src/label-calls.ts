/** What the endpoints for labels and series share: their parameters, and reading several selectors as one. */
import type { ChunkQueryable, LabelAnswer, LabelQuery, Matcher, Queryable } from '@gauntlet/model';
import { parseMetricSelector } from '@gauntlet/promql';
import { compareUtf8 } from '@gauntlet/bytes';
import { type ApiAnswer, answerData, TRUNCATED_WARNING } from './api-answer.ts';
import { type ApiParams, checkSelectors, parseLimit, parseMetadataRange } from './api-params.ts';
import { type ApiDefaults, parsePartialResponse, parseStoreMatchers, type ReadOptions } from './query-call.ts';

/** Data that can be asked for labels; where `selectChunks` is offered, series are listed through it, and no chunk is read. */
export type MetadataQueryable = Queryable & Partial<Pick<ChunkQueryable, 'selectChunks'>>;

/** What these endpoints need. */
export interface MetadataDeps {
  queryable(read: ReadOptions): MetadataQueryable;
  readonly defaults: ApiDefaults;
  /** Time of day, ms since 1970. */
  now(): number;
  readonly signal?: AbortSignal;
}

/** A request for label names or values after its parameters have been read. */
export interface LabelCall {
  readonly startMs: number;
  readonly endMs: number;
  readonly limit: number;
  /** One set of matchers per `match[]`; one empty set if there is none. */
  readonly matcherSets: readonly (readonly Matcher[])[];
  readonly read: ReadOptions;
}

/** Reads the parameters in Thanos' order. @throws HttpApiError ERR_BAD_DATA */
export function parseLabelCall(params: ApiParams, deps: MetadataDeps): LabelCall {
  const { defaults } = deps;
  const range = parseMetadataRange(params, deps.now(), defaults.metadataRangeMs);
  const partialResponse = parsePartialResponse(params, defaults);
  const storeMatchers = parseStoreMatchers(params);
  const limit = parseLimit(params);
  const texts = checkSelectors(params.all('match[]'));
  const matcherSets = texts.length === 0 ? [[]] : texts.map(parseMetricSelector);
  const read = { dedup: true, replicaLabels: [], storeMatchers, maxResolutionMs: 0, partialResponse, skipChunks: true, shardInfo: undefined };
  return { ...range, limit, matcherSets, read };
}

/** Asks for each set of matchers and answers with the union in byte order. One more than the limit is asked for, to know that something is missing. */
export async function answerUnion(call: LabelCall, deps: Pick<MetadataDeps, 'queryable' | 'signal'>, ask: (queryable: Queryable, query: LabelQuery) => Promise<LabelAnswer>): Promise<ApiAnswer> {
  const queryable = deps.queryable(call.read);
  const signal = deps.signal === undefined ? {} : { signal: deps.signal };
  const limit = call.limit === 0 ? 0 : call.limit + 1;
  const answers = await Promise.all(
    call.matcherSets.map((matchers) => ask(queryable, { matchers, mint: call.startMs, maxt: call.endMs, limit, ...signal })),
  );
  const warnings = [...new Set(answers.flatMap((answer) => answer.warnings))];
  const values = answers.length === 1 ? answers[0]!.values : [...new Set(answers.flatMap((answer) => answer.values))].sort(compareUtf8);
  if (call.limit === 0 || values.length <= call.limit) return answerData(values, warnings);
  return answerData(values.slice(0, call.limit), [...warnings, TRUNCATED_WARNING]);
}
