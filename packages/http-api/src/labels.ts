/** `/api/v1/labels`: names of labels. Source: Thanos pkg/api/query/v1.go, labelNames. */
import { type ApiAnswer } from './api-answer.ts';
import type { ApiParams } from './api-params.ts';
import { answerUnion, type MetadataDeps, parseLabelCall } from './label-calls.ts';

/** Answers with all label names of the selected series. @throws HttpApiError, or what the Queryable throws */
export function answerLabels(params: ApiParams, deps: MetadataDeps): Promise<ApiAnswer> {
  return answerUnion(parseLabelCall(params, deps), deps, (queryable, query) => queryable.labelNames(query));
}
