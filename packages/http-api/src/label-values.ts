/** `/api/v1/label/<name>/values`. Source: Thanos pkg/api/query/v1.go, labelValues; Prometheus docs/querying/api.md for `U__` names. */
import { isValidLabelName, quoteGo } from '@gauntlet/model';
import type { ApiAnswer } from './api-answer.ts';
import { type ApiParams, badData, unescapeLabelName } from './api-params.ts';
import { answerUnion, type MetadataDeps, parseLabelCall } from './label-calls.ts';

/**
 * Answers with all values of a label.
 * @param escapedName as in the path, percent-decoded; `U__…` stands for names that are no identifiers
 * @throws HttpApiError, or what the Queryable throws
 */
export function answerLabelValues(escapedName: string, params: ApiParams, deps: MetadataDeps): Promise<ApiAnswer> {
  const name = unescapeLabelName(escapedName);
  if (!isValidLabelName(name, 'utf8')) throw badData(`invalid label name: ${quoteGo(name)}`);
  return answerUnion(parseLabelCall(params, deps), deps, (queryable, query) => queryable.labelValues(name, query));
}
