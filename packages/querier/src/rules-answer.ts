/**
 * Rules and alerts of all endpoints that have them, as answers of the HTTP API; runs in a query worker.
 *
 *   parameters ─► fanOutRules (storeapi) ─► groups, warnings ─► filter, merge, JSON (http-api)
 *
 * Source of texts: Thanos pkg/api/query/v1.go, NewRulesHandler, NewAlertsHandler.
 */
import { type ApiAnswer, type ApiParams, HttpApiError, type RulesDefaults, answerAlerts, answerRules, parseReplicaParams, parseRulesCall } from '@gauntlet/http-api/worker';
import type { RuleState } from '@gauntlet/model';
import { EMPTY_RULES_REQUEST, PARTIAL_RESPONSE, RULE_TYPE, type RulesRequest } from '@gauntlet/proto';
import { type GrpcStoreClient, type RulesAnswer, type RulesEndpoint, type RulesFanOutOptions, StoreError, createRulesClient, fanOutRules } from '@gauntlet/storeapi';
import type { EndpointSnapshot } from './endpoint-set.ts';
import type { EndpointTarget } from './store-clients.ts';

/** Endpoints to ask. One that is known to be down is not called: it fails with what its last check said. */
export function rulesEndpoints(snapshots: readonly EndpointSnapshot[], clientOf: (target: EndpointTarget) => GrpcStoreClient): RulesEndpoint[] {
  return snapshots.map(({ target, unavailable }) => ({
    address: target.address,
    rules(request, options) {
      if (unavailable !== undefined) throw new StoreError('ERR_STORE_UNAVAILABLE', unavailable);
      return createRulesClient(clientOf(target)).rules(request, options);
    },
  }));
}

/** `/api/v1/rules`. @throws HttpApiError, the signal's reason, what the charge throws */
export async function answerRulesOf(endpoints: readonly RulesEndpoint[], params: ApiParams, defaults: RulesDefaults, options: RulesFanOutOptions): Promise<ApiAnswer> {
  const { type, partialResponse } = parseRulesCall(params, defaults);
  const { groups, warnings } = await collect(endpoints, type, partialResponse, options);
  return answerRules(groups, params, defaults, warnings);
}

/** `/api/v1/alerts`. @throws as {@link answerRulesOf} */
export async function answerAlertsOf(endpoints: readonly RulesEndpoint[], params: ApiParams, defaults: RulesDefaults, options: RulesFanOutOptions): Promise<ApiAnswer> {
  const { replicaLabels, partialResponse } = parseReplicaParams(params, defaults);
  const { groups, warnings } = await collect(endpoints, 'alerting', partialResponse, options);
  return answerAlerts(groups, { replicaLabels, warnings });
}

async function collect(endpoints: readonly RulesEndpoint[], type: 'all' | RuleState['kind'], partialResponse: boolean, options: RulesFanOutOptions): Promise<RulesAnswer> {
  const request: RulesRequest = { ...EMPTY_RULES_REQUEST, type: RULE_TYPE[type], partialResponseStrategy: partialResponse ? PARTIAL_RESPONSE.warn : PARTIAL_RESPONSE.abort };
  try {
    return await fanOutRules(endpoints, request, options);
  } catch (error) {
    if (error instanceof StoreError) throw new HttpApiError('ERR_INTERNAL', `error retrieving rules: proxy Rules: ${error.message}`, { cause: error });
    throw error;
  }
}
