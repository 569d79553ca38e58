/**
 * The rules of the Prometheus beside the sidecar, as messages of the Rules API: its own answer with external labels on every rule, since Prometheus
 * gives them to what rules make, not to the rules. Active alerts stay as they are. Runs in a store worker.
 * Source of behaviour: Thanos pkg/rules/prometheus.go, pkg/promclient/promclient.go (RulesInGRPC).
 */
import { type Labels, type RuleGroupState, withExternalLabels } from '@gauntlet/model';
import { RULE_TYPE, type RulesRequest } from '@gauntlet/proto';
import { encodeRuleGroups, StoreError } from '@gauntlet/storeapi';
import type { PrometheusClient } from './prometheus-client.ts';

/** What {@link prometheusRules} needs. */
export interface PrometheusRulesDeps {
  readonly client: Pick<PrometheusClient, 'get'>;
  readonly externalLabels: Labels;
  /** http-api's `readRuleGroups`. */
  readonly readRuleGroups: (data: unknown) => readonly RuleGroupState[];
}

/**
 * Asks Prometheus and yields a message per group. Only the request's type counts; groups without such rules may come or not, as Prometheus has it.
 * @throws StoreError, or the signal's reason
 */
export function prometheusRules({ client, externalLabels, readRuleGroups }: PrometheusRulesDeps, request: RulesRequest, signal?: AbortSignal): AsyncGenerator<Uint8Array, void> {
  const { type } = request;
  const query: [string, string][] = type === RULE_TYPE.alerting ? [['type', 'alert']] : type === RULE_TYPE.recording ? [['type', 'record']] : [];
  const groups = client.get('/api/v1/rules', query, signal).then((data) => withExternalLabels(readAnswer(data, readRuleGroups), externalLabels));
  return encodeRuleGroups(groups, type);
}

function readAnswer(data: unknown, readRuleGroups: PrometheusRulesDeps['readRuleGroups']): readonly RuleGroupState[] {
  try {
    return readRuleGroups(data);
  } catch (error) {
    throw new StoreError('ERR_STORE_INTERNAL', `read /api/v1/rules of Prometheus: ${(error as Error).message}`, { cause: error });
  }
}
