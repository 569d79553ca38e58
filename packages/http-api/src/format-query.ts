/** `/api/v1/format_query`: a query laid out over several lines. Source: Prometheus web/api/v1/api.go, formatQuery. */
import { type Expr, parseExpr, type ParserOptions, prettifyExpr, PromqlError } from '@gauntlet/promql';
import { type ApiAnswer, answerData } from './api-answer.ts';
import { type ApiParams, badData } from './api-params.ts';

/** Longest query these endpoints take, UTF-16 units: the text or tree made of it is many times as long. */
const QUERY_LENGTH_MAX = 128 << 10;

/** Parses `query`. @throws HttpApiError `invalid parameter "query": 1:3: parse error: …` */
export function parseQueryParam(params: ApiParams, options: ParserOptions): Expr {
  const query = params.get('query');
  if (query.length > QUERY_LENGTH_MAX) throw badData(`invalid parameter "query": ${query.length} characters, at most ${QUERY_LENGTH_MAX} are formatted`);
  try {
    return parseExpr(query, options);
  } catch (error) {
    if (error instanceof PromqlError) throw badData(`invalid parameter "query": ${error.message}`);
    throw error;
  }
}

/** @throws HttpApiError ERR_BAD_DATA */
export function answerFormatQuery(params: ApiParams, options: ParserOptions): ApiAnswer {
  return answerData(prettifyExpr(parseQueryParam(params, options)));
}
