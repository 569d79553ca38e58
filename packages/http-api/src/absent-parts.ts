/**
 * Targets, metadata and exemplars of a querier that has nothing behind it to ask for them: the empty answers Thanos gives then, after the
 * same checks. Source: Thanos pkg/api/query/v1.go, NewTargetsHandler and its neighbours.
 */
import { parseExpr, type ParserOptions, PromqlError } from '@gauntlet/promql';
import { type ApiAnswer, answerData } from './api-answer.ts';
import { type ApiParams, badData, parseTimeParam, TIME_MAX_MS, TIME_MIN_MS } from './api-params.ts';
import { HttpApiError } from './errors.ts';

/** `/api/v1/targets`. @throws HttpApiError */
export function answerNoTargets(params: ApiParams): ApiAnswer {
  const state = params.fromUrl('state').toUpperCase();
  if (!['', 'ANY', 'ACTIVE', 'DROPPED'].includes(state)) throw badData(`invalid targets parameter state='${params.fromUrl('state')}'`);
  return answerData({ activeTargets: [], droppedTargets: [] });
}

/** `/api/v1/metadata`. @throws HttpApiError */
export function answerNoMetadata(params: ApiParams): ApiAnswer {
  const limit = params.fromUrl('limit');
  // Thanos prints the number it could not read, which is 0.
  if (limit !== '' && !(/^[+-]?\d+$/.test(limit) && Math.abs(Number(limit)) < 2 ** 31)) throw badData("invalid metric metadata limit='0'");
  return answerData({});
}

/** `/api/v1/query_exemplars`. @throws HttpApiError */
export function answerNoExemplars(params: ApiParams, options: ParserOptions): ApiAnswer {
  parseTimeParam(params, 'start', TIME_MIN_MS);
  parseTimeParam(params, 'end', TIME_MAX_MS);
  try {
    parseExpr(params.get('query'), options);
  } catch (error) {
    if (error instanceof PromqlError) throw new HttpApiError('ERR_INTERNAL', `retrieving exemplars: proxy Exemplars: ${error.message}`);
    throw error;
  }
  return answerData([]);
}
