/**
 * Rule groups of many rulers as one list: chosen, merged, each rule once.
 *
 *   groups ─► keepRuleType ─► filterRuleGroups ─► mergeRuleGroups: by file and name; replica labels off; rules sorted, of equal ones the most severe and newest
 *
 * Source of behaviour: Thanos pkg/rules/rules.go, pkg/rules/rulespb/custom.go. Rules come out sorted (alerts first, then by name), not in the order of their file.
 */
import { compareUtf8 } from '@gauntlet/bytes';
import { compareLabels, extendLabels, getLabel, type Labels, labelsFromPairs, withoutLabels } from './labels.ts';
import type { Matcher } from './matcher.ts';
import { matchesAll } from './matcher.ts';
import type { AlertingRuleState, AlertState, RuleGroupState, RuleState } from './rule-groups.ts';

/** What is asked for. An empty list asks for all. */
export interface RuleGroupFilter {
  readonly ruleNames: readonly string[];
  readonly groupNames: readonly string[];
  readonly files: readonly string[];
  /** A rule is kept if its labels satisfy one of the sets. A label whose value is a template counts as absent: nobody knows it yet. */
  readonly matcherSets: readonly (readonly Matcher[])[];
}

/** From harmless to bad. */
const SEVERITY: Readonly<Record<AlertState, number>> = { unknown: 0, inactive: 1, pending: 2, firing: 3 };

/** Only alerting or only recording rules; groups stay, also those that have none. */
export function keepRuleType(groups: readonly RuleGroupState[], type: 'all' | RuleState['kind']): readonly RuleGroupState[] {
  return type === 'all' ? groups : groups.map((group) => ({ ...group, rules: group.rules.filter((rule) => rule.kind === type) }));
}

/** The groups and rules asked for; with any condition, groups without rules go. */
export function filterRuleGroups(groups: readonly RuleGroupState[], filter: RuleGroupFilter): readonly RuleGroupState[] {
  const ruleNames = new Set(filter.ruleNames);
  const groupNames = new Set(filter.groupNames);
  const files = new Set(filter.files);
  const { matcherSets } = filter;
  if (ruleNames.size + groupNames.size + files.size + matcherSets.length === 0) return groups;
  const isWanted = (rule: RuleState): boolean => {
    if (ruleNames.size > 0 && !ruleNames.has(rule.name)) return false;
    if (matcherSets.length === 0) return true;
    const valueOf = (name: string): string => knownValue(getLabel(rule.labels, name));
    return matcherSets.some((matchers) => matchesAll(matchers, valueOf));
  };
  const kept: RuleGroupState[] = [];
  for (const group of groups) {
    if (groupNames.size > 0 && !groupNames.has(group.name)) continue;
    if (files.size > 0 && !files.has(group.file)) continue;
    const rules = group.rules.filter(isWanted);
    if (rules.length > 0) kept.push({ ...group, rules });
  }
  return kept;
}

function knownValue(value: string): string {
  return value.includes('{{') ? '' : value;
}

/**
 * One group per file and name, in the byte order of `file;name`; its times are those of the part that was evaluated last. One rule of
 * those that differ only in replica labels, state and time.
 */
export function mergeRuleGroups(groups: readonly RuleGroupState[], replicaLabels: readonly string[]): readonly RuleGroupState[] {
  const dropped = new Set(replicaLabels);
  const byKey = new Map<string, { newest: RuleGroupState; rules: RuleState[] }>();
  for (const group of groups) {
    const key = `${group.file};${group.name}`;
    const known = byKey.get(key);
    const rules = group.rules.map((rule) => ({ ...rule, labels: plainLabels(withoutLabels(rule.labels, dropped)) }));
    if (known === undefined) {
      byKey.set(key, { newest: group, rules });
      continue;
    }
    if (isNewer(group.lastEvaluationMs, known.newest.lastEvaluationMs)) known.newest = group;
    for (const rule of rules) known.rules.push(rule);
  }
  return [...byKey].sort(([a], [b]) => compareUtf8(a, b)).map(([, { newest, rules }]) => ({ ...newest, rules: uniqueRules(rules) }));
}

/** Sorted, and of equal rules the one to show. */
function uniqueRules(rules: readonly RuleState[]): readonly RuleState[] {
  const kept: RuleState[] = [];
  for (const rule of rules.toSorted(compareRules)) {
    const last = kept.at(-1);
    if (last === undefined || compareRules(last, rule) !== 0) kept.push(rule);
    else if (isPreferred(rule, last)) kept[kept.length - 1] = rule;
  }
  return kept;
}

/** Order of rules in a group, 0 for the same rule of two replicas: alerts first, then name, labels, query, `for`. */
function compareRules(a: RuleState, b: RuleState): number {
  if (a.kind !== b.kind) return a.kind === 'alerting' ? -1 : 1;
  const order = compareUtf8(a.name, b.name) || compareLabels(a.labels, b.labels) || compareUtf8(a.query, b.query);
  return order !== 0 || a.kind !== 'alerting' ? order : a.forSeconds - (b as AlertingRuleState).forSeconds;
}

function isPreferred(rule: RuleState, other: RuleState): boolean {
  if (rule.kind === 'alerting' && other.kind === 'alerting' && rule.state !== other.state) return SEVERITY[rule.state] > SEVERITY[other.state];
  return isNewer(rule.lastEvaluationMs, other.lastEvaluationMs);
}

function isNewer(timeMs: number | undefined, otherMs: number | undefined): boolean {
  return (timeMs ?? Number.NEGATIVE_INFINITY) > (otherMs ?? Number.NEGATIVE_INFINITY);
}

/** External labels on every rule, where they win; active alerts keep theirs: they got them when they were sent. */
export function withExternalLabels(groups: readonly RuleGroupState[], externalLabels: Labels): readonly RuleGroupState[] {
  return groups.map((group) => ({ ...group, rules: group.rules.map((rule) => ({ ...rule, labels: plainLabels(extendLabels(rule.labels, externalLabels)) })) }));
}

/** Without labels that have no value: in a rule they say "remove this label". */
function plainLabels(labels: Labels): Labels {
  if (!labels.includes('')) return labels;
  const pairs: [string, string][] = [];
  for (let i = 0; i < labels.length; i += 2) pairs.push([labels[i]!, labels[i + 1]!]);
  return labelsFromPairs(pairs);
}
