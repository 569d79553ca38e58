/** `/api/v1/parse_query`: a query as a tree. Source: Prometheus web/api/v1/api.go, parseQuery; translate_ast.go. */
import { exprToJson, type ParserOptions } from '@gauntlet/promql';
import { type ApiAnswer, answerData } from './api-answer.ts';
import type { ApiParams } from './api-params.ts';
import { parseQueryParam } from './format-query.ts';

/** @throws HttpApiError ERR_BAD_DATA */
export function answerParseQuery(params: ApiParams, options: ParserOptions): ApiAnswer {
  return answerData(exprToJson(parseQueryParam(params, options)));
}
