/**
 * All routes of a querier's API in one table. How a query is run is left open: in this thread through `runQuery`, or by sending the call to a worker and
 * passing on the pieces that come back.
 */
import type { RuleGroupState } from '@gauntlet/model';
import type { ParserOptions } from '@gauntlet/promql';
import type { SeriesExemplars } from '@gauntlet/tsdb';
import { answerNoMetadata, answerNoTargets } from './absent-parts.ts';
import { answerAlerts } from './alerts.ts';
import type { ApiAnswer } from './api-answer.ts';
import { answerExemplars, type ExemplarsCall, parseExemplarsCall } from './exemplars.ts';
import { parseExplainQuery, parseExplainRangeQuery } from './explain-query.ts';
import { answerFormatQuery } from './format-query.ts';
import type { MetadataDeps, MetadataQueryable } from './label-calls.ts';
import { answerLabelValues } from './label-values.ts';
import { answerLabels } from './labels.ts';
import { answerParseQuery } from './parse-query.ts';
import type { ApiDefaults, QueryCall, ReadOptions } from './query-call.ts';
import { parseRangeQuery } from './query-range.ts';
import { parseInstantQuery } from './query.ts';
import { answerRules, parseReplicaParams } from './rules.ts';
import { answerSeries } from './series.ts';
import type { ApiRequest, ApiRoute } from './serve-api.ts';
import { answerBuildInfo, answerEmptyTsdbStatus, answerFlags, answerRuntimeInfo } from './status.ts';
import { answerStores, type StoreStatus } from './stores.ts';
import type { BuildInfoJson, FlagsJson, RuntimeInfoJson } from './types.ts';

export interface QuerierRoutesDeps {
  readonly defaults: ApiDefaults;
  readonly parser: ParserOptions;
  /** Time of day, ms since 1970. */
  now(): number;
  /** Runs a query to its answer; never rejects. The signal is the client's. */
  runQuery(call: QueryCall, request: ApiRequest): Promise<ApiAnswer>;
  /** Explains a query; may throw. */
  explainQuery(call: QueryCall): ApiAnswer;
  /** The data for label and series requests. */
  queryable(read: ReadOptions, request: ApiRequest): MetadataQueryable;
  /** Rule groups of all that have rules; absent: there are none. */
  ruleGroups?(request: ApiRequest): Promise<readonly RuleGroupState[]>;
  /** Exemplars of all that have some; absent: there are none. */
  exemplars?(call: ExemplarsCall, request: ApiRequest): Promise<readonly SeriesExemplars[]>;
  stores(): readonly StoreStatus[];
  readonly buildInfo: BuildInfoJson;
  runtimeInfo(): RuntimeInfoJson;
  readonly flags: FlagsJson;
}

const GET = ['GET'] as const;
const GET_POST = ['GET', 'POST'] as const;

/** The routes; handler names are those of Thanos' metrics. */
export function createQuerierRoutes(deps: QuerierRoutesDeps): readonly ApiRoute[] {
  const metadata = (request: ApiRequest): MetadataDeps => ({
    queryable: (read) => deps.queryable(read, request),
    defaults: deps.defaults,
    now: () => deps.now(),
    signal: request.signal,
  });
  const route = (path: string, methods: ApiRoute['methods'], handler: string, answer: ApiRoute['answer']): ApiRoute => ({ path, methods, handler, answer });
  return [
    route('/query', GET_POST, 'query', (request) => deps.runQuery(parseInstantQuery(request.params, deps.defaults, deps.now()), request)),
    route('/query_range', GET_POST, 'query_range', (request) => deps.runQuery(parseRangeQuery(request.params, deps.defaults), request)),
    route('/query_explain', GET_POST, 'query', (request) => deps.explainQuery(parseExplainQuery(request.params, deps.defaults, deps.now()))),
    route('/query_range_explain', GET_POST, 'query', (request) => deps.explainQuery(parseExplainRangeQuery(request.params, deps.defaults))),
    route('/series', GET_POST, 'series', (request) => answerSeries(request.params, metadata(request))),
    route('/labels', GET_POST, 'label_names', (request) => answerLabels(request.params, metadata(request))),
    route('/label/:name/values', GET, 'label_values', (request) => answerLabelValues(request.path['name']!, request.params, metadata(request))),
    route('/stores', GET, 'stores', () => answerStores(deps.stores())),
    route('/format_query', GET_POST, 'format_query', ({ params }) => answerFormatQuery(params, deps.parser)),
    route('/parse_query', GET_POST, 'parse_query', ({ params }) => answerParseQuery(params, deps.parser)),
    route('/rules', GET, 'rules', async (request) => answerRules((await deps.ruleGroups?.(request)) ?? [], request.params, deps.defaults)),
    route('/alerts', GET, 'alerts', async (request) => answerAlerts((await deps.ruleGroups?.(request)) ?? [], parseReplicaParams(request.params, deps.defaults))),
    route('/targets', GET, 'targets', ({ params }) => answerNoTargets(params)),
    route('/metadata', GET, 'metadata', ({ params }) => answerNoMetadata(params)),
    route('/query_exemplars', GET_POST, 'exemplars', async (request) => {
      const call = parseExemplarsCall(request.params, deps.parser);
      return answerExemplars((await deps.exemplars?.(call, request)) ?? [], deps.defaults.replicaLabels);
    }),
    route('/status/tsdb', GET, 'status_tsdb', ({ params }) => answerEmptyTsdbStatus(params)),
    route('/status/buildinfo', GET, 'status_build', () => answerBuildInfo(deps.buildInfo)),
    route('/status/runtimeinfo', GET, 'status_runtime', () => answerRuntimeInfo(deps.runtimeInfo())),
    route('/status/flags', GET, 'status_flags', () => answerFlags(deps.flags)),
  ];
}
