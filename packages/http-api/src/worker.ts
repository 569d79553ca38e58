/**
 * What a query worker computes answers with: `@gauntlet/http-api/worker`. The index adds the routes of a server and the client, whose
 * configuration reader a worker has no use for.
 */
export { answerAlerts } from './alerts.ts';
export { type ApiAnswer, answerError } from './api-answer.ts';
export { ApiParams } from './api-params.ts';
export { HttpApiError } from './errors.ts';
export { answerExplain, type ExplainDeps, parseExplainQuery, parseExplainRangeQuery } from './explain-query.ts';
export { answerFormatQuery } from './format-query.ts';
export { answerLabelValues } from './label-values.ts';
export { answerLabels } from './labels.ts';
export { answerParseQuery } from './parse-query.ts';
export type { ReadOptions } from './query-call.ts';
export { parseRangeQuery } from './query-range.ts';
export { parseInstantQuery } from './query.ts';
export { answerRules, parseReplicaParams, parseRulesCall, type RulesDefaults } from './rules.ts';
export { readRuleGroups } from './rules-json.ts';
export { type QueryDeps, runQuery } from './run-query.ts';
export { answerSeries } from './series.ts';
