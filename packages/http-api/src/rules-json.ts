/**
 * Rules as JSON, both ways. Members stand in Thanos' order; times in UTC to the microsecond, Go's zero time for "never".
 *
 *   RuleGroupState ─► ruleGroupsJson ─► {"groups":[{"name":…,"rules":[{"state":…,"type":"alerting"},{…,"type":"recording"}]}]}
 *   answer of Prometheus or a ruler ─► readRuleGroups ─► RuleGroupState, or an error with the path of what is wrong
 *
 * Source: Prometheus docs/querying/api.md (Rules, Alerts); Thanos pkg/rules/rulespb.
 */
import { compareUtf8 } from '@gauntlet/bytes';
import { type AlertInstance, type AlertState, type Labels, labelsToObject, type PartialResponseStrategy, quoteGo, type RuleGroupState, type RuleHealth, type RuleState } from '@gauntlet/model';
import { HttpApiError } from './errors.ts';
import type { AlertJson, RuleGroupJson, RuleJson } from './types.ts';

const STATES: ReadonlySet<string> = new Set<AlertState>(['unknown', 'inactive', 'pending', 'firing']);
const ZERO_TIME = '0001-01-01T00:00:00Z';

/** Groups as `data.groups` of `/api/v1/rules` has them. */
export function ruleGroupsJson(groups: readonly RuleGroupState[]): RuleGroupJson[] {
  return groups.map(({ name, file, rules, intervalSeconds, evaluationSeconds, lastEvaluationMs, limit, strategy }) => ({
    name,
    file,
    rules: rules.map(ruleJson),
    interval: intervalSeconds,
    evaluationTime: evaluationSeconds,
    lastEvaluation: timeText(lastEvaluationMs),
    limit,
    partialResponseStrategy: strategyJson(strategy),
  }));
}

function ruleJson(rule: RuleState): RuleJson {
  const { name, query, health, lastError, evaluationSeconds: evaluationTime } = rule;
  const labels = labelsToObject(rule.labels);
  const ending = { health, ...(lastError === '' ? {} : { lastError }), evaluationTime, lastEvaluation: timeText(rule.lastEvaluationMs) };
  if (rule.kind === 'recording') return { name, query, labels, ...ending, type: 'recording' };
  const { state, forSeconds: duration, keepFiringForSeconds: keepFiringFor } = rule;
  return { state, name, query, duration, labels, annotations: labelsToObject(rule.annotations), alerts: rule.alerts.map(alertJson), ...ending, keepFiringFor, type: 'alerting' };
}

/** One active alert as `/api/v1/alerts` has it. */
export function alertJson({ labels, annotations, state, activeAtMs, value, strategy }: AlertInstance): AlertJson {
  return {
    labels: labelsToObject(labels),
    annotations: labelsToObject(annotations),
    state,
    ...(activeAtMs === undefined ? {} : { activeAt: timeText(activeAtMs) }),
    value,
    partialResponseStrategy: strategyJson(strategy),
  };
}

function strategyJson(strategy: PartialResponseStrategy): 'WARN' | 'ABORT' {
  return strategy === 'warn' ? 'WARN' : 'ABORT';
}

/** RFC 3339 in UTC, to the microsecond, without trailing zeros. */
function timeText(timeMs: number | undefined): string {
  if (timeMs === undefined) return ZERO_TIME;
  const micros = Math.round(timeMs * 1000);
  const seconds = Math.floor(micros / 1e6);
  const fraction = String(micros - seconds * 1e6).padStart(6, '0').replace(/0+$/, '');
  return `${new Date(seconds * 1000).toISOString().slice(0, 19)}${fraction === '' ? '' : `.${fraction}`}Z`;
}

/**
 * Groups from `data` of an answer of `/api/v1/rules`. Members that not all releases write may be absent; of those known, none may be of another
 * kind. What Prometheus does not say: groups have strategy `abort`, alerts `warn`, as Thanos has it.
 * @throws HttpApiError ERR_UPSTREAM `read rules: groups[0].rules[2].state: …`
 */
export function readRuleGroups(data: unknown): RuleGroupState[] {
  const root = objectAt(data, 'data');
  return listAt(root, 'groups', 'groups').map((value, i) => readGroup(value, `groups[${i}]`));
}

function readGroup(value: unknown, at: string): RuleGroupState {
  const group = objectAt(value, at);
  return {
    name: textAt(group, 'name', at),
    file: textAt(group, 'file', at),
    rules: listAt(group, 'rules', `${at}.rules`).map((rule, i) => readRule(rule, `${at}.rules[${i}]`)),
    intervalSeconds: numberAt(group, 'interval', at),
    evaluationSeconds: numberAt(group, 'evaluationTime', at),
    lastEvaluationMs: timeAt(group, 'lastEvaluation', at),
    limit: numberAt(group, 'limit', at),
    strategy: strategyAt(group, at, 'abort'),
  };
}

function readRule(value: unknown, at: string): RuleState {
  const rule = objectAt(value, at);
  const status = {
    name: textAt(rule, 'name', at),
    query: textAt(rule, 'query', at),
    labels: labelsAt(rule, 'labels', at),
    health: healthOf(textAt(rule, 'health', at, '')),
    lastError: textAt(rule, 'lastError', at, ''),
    evaluationSeconds: numberAt(rule, 'evaluationTime', at),
    lastEvaluationMs: timeAt(rule, 'lastEvaluation', at),
  };
  const type = textAt(rule, 'type', at).toLowerCase();
  if (type === 'recording') return { kind: 'recording', ...status };
  if (type !== 'alerting') throw wrong(`${at}.type`, `want alerting or recording, got ${quoteGo(type)}`);
  return {
    kind: 'alerting',
    ...status,
    state: stateAt(rule, at),
    forSeconds: numberAt(rule, 'duration', at),
    keepFiringForSeconds: numberAt(rule, 'keepFiringFor', at),
    annotations: labelsAt(rule, 'annotations', at),
    alerts: listAt(rule, 'alerts', `${at}.alerts`).map((alert, i) => readAlert(alert, `${at}.alerts[${i}]`)),
  };
}

function readAlert(value: unknown, at: string): AlertInstance {
  const alert = objectAt(value, at);
  return {
    labels: labelsAt(alert, 'labels', at),
    annotations: labelsAt(alert, 'annotations', at),
    state: stateAt(alert, at),
    activeAtMs: timeAt(alert, 'activeAt', at),
    value: textAt(alert, 'value', at),
    strategy: strategyAt(alert, at, 'warn'),
  };
}

function wrong(at: string, why: string): HttpApiError {
  return new HttpApiError('ERR_UPSTREAM', `read rules: ${at}: ${why}`);
}

function kindOf(value: unknown): string {
  return value === null ? 'null' : Array.isArray(value) ? 'a list' : `${typeof value === 'object' ? 'an' : 'a'} ${typeof value}`;
}

function objectAt(value: unknown, at: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(at, `want an object, got ${value === undefined ? 'nothing' : kindOf(value)}`);
  return value as Readonly<Record<string, unknown>>;
}

/** Go writes an empty list as null in places. */
function listAt(object: Readonly<Record<string, unknown>>, key: string, at: string): readonly unknown[] {
  const value = object[key] ?? [];
  if (!Array.isArray(value)) throw wrong(at, `want a list, got ${kindOf(value)}`);
  return value;
}

function textAt(object: Readonly<Record<string, unknown>>, key: string, at: string, absent?: string): string {
  const value = object[key] ?? absent;
  if (typeof value !== 'string') throw wrong(`${at}.${key}`, `want text, got ${value === undefined ? 'nothing' : kindOf(value)}`);
  return value;
}

function numberAt(object: Readonly<Record<string, unknown>>, key: string, at: string): number {
  const value = object[key] ?? 0;
  if (typeof value !== 'number') throw wrong(`${at}.${key}`, `want a number, got ${kindOf(value)}`);
  return value;
}

function stateAt(object: Readonly<Record<string, unknown>>, at: string): AlertState {
  const text = textAt(object, 'state', at).toLowerCase();
  if (!STATES.has(text)) throw wrong(`${at}.state`, `unknown alert state ${quoteGo(text)}`);
  return text as AlertState;
}

function strategyAt(object: Readonly<Record<string, unknown>>, at: string, absent: PartialResponseStrategy): PartialResponseStrategy {
  const text = textAt(object, 'partialResponseStrategy', at, absent).toLowerCase();
  if (text !== 'warn' && text !== 'abort') throw wrong(`${at}.partialResponseStrategy`, `want WARN or ABORT, got ${quoteGo(text)}`);
  return text;
}

function healthOf(text: string): RuleHealth {
  return text === 'ok' || text === 'err' ? text : 'unknown';
}

/** Labels and annotations, by the bytes of their names; empty values stay. */
function labelsAt(object: Readonly<Record<string, unknown>>, key: string, at: string): Labels {
  const value = object[key] ?? {};
  const pairs = Object.entries(objectAt(value, `${at}.${key}`)).sort(([a], [b]) => compareUtf8(a, b));
  for (const [name, text] of pairs) if (typeof text !== 'string') throw wrong(`${at}.${key}.${name}`, `want text, got ${kindOf(text)}`);
  return (pairs as [string, string][]).flat();
}

const TIME = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/;

function timeAt(object: Readonly<Record<string, unknown>>, key: string, at: string): number | undefined {
  const text = textAt(object, key, at, ZERO_TIME);
  const parts = TIME.exec(text);
  const seconds = parts === null ? Number.NaN : Date.parse(`${parts[1]}${parts[3]}`) / 1000;
  if (Number.isNaN(seconds)) throw wrong(`${at}.${key}`, `want a time as RFC 3339 has it, got ${quoteGo(text)}`);
  if (text.startsWith('0001-')) return undefined;
  return (seconds * 1e6 + Number((parts![2] ?? '').padEnd(6, '0').slice(0, 6))) / 1000;
}
