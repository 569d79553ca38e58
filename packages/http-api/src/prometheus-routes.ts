/**
 * The query API of a Prometheus 3.14 over any Queryable: what its own clients expect where they differ from Thanos' (parameters, remarks in
 * `warnings` and `infos` with their places, `limit`, error types). Serve it with `style: 'prometheus'`.
 */
import type { ParserOptions } from '@gauntlet/promql';
import { isValidLabelName, quoteGo } from '@gauntlet/model';
import type { ApiAnswer } from './api-answer.ts';
import { badData, unescapeLabelName } from './api-params.ts';
import { answerFormatQuery } from './format-query.ts';
import { answerUnion, type MetadataQueryable } from './label-calls.ts';
import { answerParseQuery } from './parse-query.ts';
import { parsePrometheusInstantQuery, parsePrometheusLabelCall, parsePrometheusRangeQuery, parsePrometheusSeriesCall } from './prometheus-calls.ts';
import type { QueryCall, ReadOptions } from './query-call.ts';
import type { ApiRequest, ApiRoute } from './serve-api.ts';
import { answerSeriesCall } from './series.ts';

export interface PrometheusRoutesDeps {
  /** Feature switches for `format_query` and `parse_query`. */
  readonly parser: ParserOptions;
  /** Time of day, ms since 1970. */
  now(): number;
  /** Runs a query to its answer, normally `runQuery` with `style: 'prometheus'`; never rejects. */
  runQuery(call: QueryCall, request: ApiRequest): Promise<ApiAnswer>;
  /** The data for label and series requests. */
  queryable(read: ReadOptions, request: ApiRequest): MetadataQueryable;
}

const GET = ['GET'] as const;
const GET_POST = ['GET', 'POST'] as const;

/** The routes. */
export function createPrometheusRoutes(deps: PrometheusRoutesDeps): readonly ApiRoute[] {
  const metadata = (request: ApiRequest): { queryable(read: ReadOptions): MetadataQueryable; readonly signal: AbortSignal } => ({
    queryable: (read) => deps.queryable(read, request),
    signal: request.signal,
  });
  const route = (path: string, methods: ApiRoute['methods'], answer: ApiRoute['answer']): ApiRoute => ({ path, methods, handler: path, answer });
  return [
    route('/query', GET_POST, (request) => deps.runQuery(parsePrometheusInstantQuery(request.params, deps.now()), request)),
    route('/query_range', GET_POST, (request) => deps.runQuery(parsePrometheusRangeQuery(request.params), request)),
    route('/series', GET_POST, (request) => answerSeriesCall(parsePrometheusSeriesCall(request.params), metadata(request))),
    route('/labels', GET_POST, (request) => answerUnion(parsePrometheusLabelCall(request.params), metadata(request), (queryable, query) => queryable.labelNames(query))),
    route('/label/:name/values', GET, (request) => {
      const name = unescapeLabelName(request.path['name']!);
      if (!isValidLabelName(name, 'utf8')) throw badData(`invalid label name: ${quoteGo(name)}`);
      return answerUnion(parsePrometheusLabelCall(request.params), metadata(request), (queryable, query) => queryable.labelValues(name, query));
    }),
    route('/format_query', GET_POST, ({ params }) => answerFormatQuery(params, deps.parser)),
    route('/parse_query', GET_POST, ({ params }) => answerParseQuery(params, deps.parser)),
  ];
}
