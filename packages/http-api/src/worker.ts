/**
 * What a query worker computes answers with, and sends them where it has sockets of its own: `@gauntlet/http-api/worker`. The index adds the
 * routes of a server and the client, whose configuration reader a worker has no use for: it takes 22 MB.
 */
export { answerAlerts } from './alerts.ts';
export { type ApiAnswer, answerError } from './api-answer.ts';
export { ApiParams } from './api-params.ts';
export { HttpApiError } from './errors.ts';
export { answerExemplars, type ExemplarsCall, parseExemplarsCall, selectorsOfQuery } from './exemplars.ts';
export { readExemplars } from './exemplars-json.ts';
export { answerExplain, type ExplainDeps, parseExplainQuery, parseExplainRangeQuery } from './explain-query.ts';
export { answerFormatQuery } from './format-query.ts';
export { answerLabelValues } from './label-values.ts';
export { answerLabels } from './labels.ts';
export { answerParseQuery } from './parse-query.ts';
export { API_DEFAULTS, type ReadOptions } from './query-call.ts';
export { parseRangeQuery } from './query-range.ts';
export { parseInstantQuery } from './query.ts';
export { answerRules, parseReplicaParams, parseRulesCall, type RulesDefaults } from './rules.ts';
export { readRuleGroups } from './rules-json.ts';
export { type QueryDeps, runQuery } from './run-query.ts';
export { sendAnswer } from './send-answer.ts';
export { answerSeries } from './series.ts';
