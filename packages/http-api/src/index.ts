/** The seam of http-api. README.md has the reading order. */
export { answerNoMetadata, answerNoTargets } from './absent-parts.ts';
export { type AlertsOptions, answerAlerts } from './alerts.ts';
export { type ApiAnswer, answerData, answerDataText, answerError, isPromqlRemark, TRUNCATED_WARNING } from './api-answer.ts';
export { ApiParams, type ShardInfo, TIME_MAX_MS, TIME_MIN_MS } from './api-params.ts';
export {
  type ClientAnswer,
  type ClientQuery,
  type ClientScope,
  createPrometheusClient,
  formatSelector,
  type PrometheusClient,
  type PrometheusClientOptions,
} from './client.ts';
export { encodeQueryResult, type EncodeOptions, type ResultColumns } from './encode-query-result.ts';
export { type ApiStyle, errorTypeOf, statusOf } from './error-type.ts';
export { HttpApiError, type HttpApiErrorCode } from './errors.ts';
export { answerExemplars, type ExemplarsCall, parseExemplarsCall, selectorsOfQuery } from './exemplars.ts';
export { readExemplars } from './exemplars-json.ts';
export { answerExplain, type ExplainDeps, parseExplainQuery, parseExplainRangeQuery } from './explain-query.ts';
export { answerFormatQuery } from './format-query.ts';
export { JsonBuffer, PIECE_BYTES, type PointKernels } from './json-buffer.ts';
export type { MetadataDeps, MetadataQueryable } from './label-calls.ts';
export { answerLabelValues } from './label-values.ts';
export { answerLabels } from './labels.ts';
export { answerParseQuery } from './parse-query.ts';
export { API_DEFAULTS, type ApiDefaults, type EngineName, type InstantQueryCall, type QueryCall, type RangeQueryCall, type ReadOptions } from './query-call.ts';
export { createPrometheusRoutes, type PrometheusRoutesDeps } from './prometheus-routes.ts';
export { createQuerierRoutes, type QuerierRoutesDeps } from './querier-routes.ts';
export { parseRangeQuery } from './query-range.ts';
export { parseInstantQuery } from './query.ts';
export { answerRules, parseReplicaParams, parseRulesCall, type RulesCall, type RulesDefaults } from './rules.ts';
export { alertJson, readRuleGroups, ruleGroupsJson } from './rules-json.ts';
export { type QueryDeps, runQuery } from './run-query.ts';
export { acceptsGzip, sendAnswer, sendText, setCors, setCorsForOrigin } from './send-answer.ts';
export { answerSeries } from './series.ts';
export { type ApiEndpoint, type ApiRequest, type ApiRoute, serveApi, type ServeApiOptions } from './serve-api.ts';
export { answerBuildInfo, answerConfig, answerEmptyTsdbStatus, answerFlags, answerRuntimeInfo } from './status.ts';
export { answerStores, formatRfc3339, type StoreStatus } from './stores.ts';
export type {
  AlertingRuleJson,
  AlertJson,
  AlertsJson,
  ApiEnvelope,
  BuildInfoJson,
  ErrorType,
  FlagsJson,
  HistogramJson,
  LabelsJson,
  MatrixSeriesJson,
  PointJson,
  QueryAnalysisJson,
  QueryDataJson,
  QueryExplanationJson,
  QueryStatsJson,
  RecordingRuleJson,
  RuleGroupJson,
  RuleJson,
  RulesJson,
  RuntimeInfoJson,
  StoreJson,
  StoresJson,
  VectorSampleJson,
} from './types.ts';
