/** `/api/v1/alerts`: active alerts of all rules. Source: Thanos pkg/api/query/v1.go, NewAlertsHandler; pkg/api/rule/v1.go. */
import { mergeRuleGroups, type RuleGroupState } from '@gauntlet/model';
import { type ApiAnswer, answerData } from './api-answer.ts';
import { alertJson } from './rules-json.ts';

/** How a server tells its alerts. */
export interface AlertsOptions {
  /** Name of the list: a querier says `alerts`, a Thanos ruler `Alerts`. Default `alerts`. */
  readonly key?: 'alerts' | 'Alerts';
  /** Given: rules of replicas become one without these labels, and sorted. Absent: alerts in the order of the groups. */
  readonly replicaLabels?: readonly string[];
  /** Of collecting the groups. */
  readonly warnings?: readonly string[];
}

/** Answers with the active alerts, `null` if there are none, as Thanos does. A pure function of its arguments, for a worker. */
export function answerAlerts(groups: readonly RuleGroupState[], { key = 'alerts', replicaLabels, warnings = [] }: AlertsOptions = {}): ApiAnswer {
  const merged = replicaLabels === undefined ? groups : mergeRuleGroups(groups, replicaLabels);
  const alerts = merged.flatMap(({ rules }) => rules.flatMap((rule) => (rule.kind === 'alerting' ? rule.alerts.map(alertJson) : [])));
  return answerData({ [key]: alerts.length === 0 ? null : alerts }, warnings);
}
