/**
 * Targets and metadata of a querier that has nothing behind it to ask for them: the empty answers Thanos gives then, after the
 * same checks. Source: Thanos pkg/api/query/v1.go, NewTargetsHandler and its neighbours.
 */
import { type ApiAnswer, answerData } from './api-answer.ts';
import { type ApiParams, badData } from './api-params.ts';

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
