/**
 * `/api/v1/rules`: groups with their rules and active alerts. Groups come from wherever they are: a ruler's own, or those of all endpoints of a
 * querier. Source: Thanos pkg/api/query/v1.go, NewRulesHandler; pkg/rules/rules.go.
 */
import { filterRuleGroups, keepRuleType, mergeRuleGroups, type RuleGroupFilter, type RuleGroupState, type RuleState } from '@gauntlet/model';
import { parseMetricSelector } from '@gauntlet/promql';
import { type ApiAnswer, answerData } from './api-answer.ts';
import { type ApiParams, badData, checkSelectors, parseBoolParam } from './api-params.ts';
import { HttpApiError } from './errors.ts';
import { ruleGroupsJson } from './rules-json.ts';

/** What a request asks for. */
export interface RulesCall {
  readonly type: 'all' | RuleState['kind'];
  readonly filter: RuleGroupFilter;
  /** Dropped from rules, so that those of replicas are one. Empty with `dedup=false`. */
  readonly replicaLabels: readonly string[];
  /** Whether an endpoint that fails is only a warning. */
  readonly partialResponse: boolean;
}

/** What a request gets that does not say. */
export interface RulesDefaults {
  /** Default none. */
  readonly replicaLabels?: readonly string[];
  /** Default true. */
  readonly partialResponse?: boolean;
}

const TYPES: ReadonlyMap<string, RulesCall['type']> = new Map<string, RulesCall['type']>([
  ['', 'all'],
  ['ALL', 'all'],
  ['ALERT', 'alerting'],
  ['RECORD', 'recording'],
]);

/**
 * Reads `type`, `rule_name[]`, `rule_group[]`, `file[]`, `match[]` as Thanos does, and `dedup`, `replicaLabels[]` and `partial_response`, which Thanos
 * has on other endpoints only.
 * @throws HttpApiError ERR_BAD_DATA; ERR_INTERNAL for selectors, which Thanos parses behind the API
 */
export function parseRulesCall(params: ApiParams, defaults: RulesDefaults = {}): RulesCall {
  const typeText = params.fromUrl('type');
  const type = TYPES.get(typeText.toUpperCase());
  if (type === undefined) throw badData(`invalid rules parameter type='${typeText}'`);
  const read = parseReplicaParams(params, defaults);
  try {
    const matcherSets = checkSelectors(params.all('match[]')).map((text) => parseMetricSelector(text));
    return { type, filter: { matcherSets, ruleNames: params.all('rule_name[]'), groupNames: params.all('rule_group[]'), files: params.all('file[]') }, ...read };
  } catch (error) {
    if (error instanceof HttpApiError) throw new HttpApiError('ERR_INTERNAL', `error retrieving rules: parser ParseMetricSelector: ${error.message}`);
    throw error;
  }
}

/** `dedup`, `replicaLabels[]` and `partial_response`. @throws HttpApiError ERR_BAD_DATA */
export function parseReplicaParams(params: ApiParams, defaults: RulesDefaults): Pick<RulesCall, 'replicaLabels' | 'partialResponse'> {
  const given = params.all('replicaLabels[]');
  const replicaLabels = parseBoolParam(params, 'dedup', true) ? (given.length > 0 ? given : (defaults.replicaLabels ?? [])) : [];
  return { replicaLabels, partialResponse: parseBoolParam(params, 'partial_response', defaults.partialResponse ?? true) };
}

/**
 * Answers with what is asked for of these groups, merged and sorted. A pure function of its arguments, for a worker.
 * @param warnings of collecting the groups
 * @throws HttpApiError as {@link parseRulesCall}
 */
export function answerRules(groups: readonly RuleGroupState[], params: ApiParams, defaults: RulesDefaults = {}, warnings: readonly string[] = []): ApiAnswer {
  const call = parseRulesCall(params, defaults);
  const wanted = filterRuleGroups(keepRuleType(groups, call.type), call.filter);
  return answerData({ groups: ruleGroupsJson(mergeRuleGroups(wanted, call.replicaLabels)) }, warnings);
}
