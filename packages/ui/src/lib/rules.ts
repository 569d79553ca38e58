/** Rules and alerts as the pages show them: what a filter keeps, how many there are of each state, times relative to now. */
import type { AlertingRuleJson, AlertJson, LabelsJson, RuleGroupJson, RuleJson } from '@gauntlet/http-api/types';
import { formatRange } from './url-state.ts';

export type AlertState = AlertJson['state'];

/** From bad to harmless: the order in which alerts are shown. */
export const ALERT_STATES: readonly AlertState[] = ['firing', 'pending', 'inactive', 'unknown'];

/** An alerting rule and where it stands. */
export interface PlacedAlertingRule {
  readonly group: RuleGroupJson;
  readonly rule: AlertingRuleJson;
}

/** What the page of rules asks for. */
export interface RuleFilter {
  /** Words that all must be in a rule's name, expression, labels, annotations or error, or in the name or file of its group. Case does not count. */
  readonly text: string;
  readonly kind: 'all' | 'alerting' | 'recording';
  readonly onlyFailing: boolean;
}

/** The groups with rules that the filter keeps; without a filter also empty ones. */
export function filterGroups(groups: readonly RuleGroupJson[], filter: RuleFilter): readonly RuleGroupJson[] {
  const words = wordsOf(filter.text);
  if (words.length === 0 && filter.kind === 'all' && !filter.onlyFailing) return groups;
  const kept: RuleGroupJson[] = [];
  for (const group of groups) {
    const rules = group.rules.filter((rule) => {
      if (filter.kind !== 'all' && rule.type !== filter.kind) return false;
      if (filter.onlyFailing && rule.health !== 'err') return false;
      return hasWords(words, group, rule);
    });
    if (rules.length > 0) kept.push({ ...group, rules });
  }
  return kept;
}

/** Alerting rules of these states with these words, worst state first, then by name. */
export function filterAlertingRules(groups: readonly RuleGroupJson[], states: ReadonlySet<AlertState>, text: string): readonly PlacedAlertingRule[] {
  const words = wordsOf(text);
  const kept = alertingRules(groups).filter(({ group, rule }) => states.has(rule.state) && hasWords(words, group, rule));
  return kept.toSorted((a, b) => ALERT_STATES.indexOf(a.rule.state) - ALERT_STATES.indexOf(b.rule.state) || a.rule.name.localeCompare(b.rule.name));
}

/** Alerting rules by state. */
export function countStates(groups: readonly RuleGroupJson[]): Readonly<Record<AlertState, number>> {
  const counts = { firing: 0, pending: 0, inactive: 0, unknown: 0 };
  for (const { rule } of alertingRules(groups)) counts[rule.state]++;
  return counts;
}

function alertingRules(groups: readonly RuleGroupJson[]): PlacedAlertingRule[] {
  return groups.flatMap((group) => group.rules.flatMap((rule) => (rule.type === 'alerting' ? [{ group, rule }] : [])));
}

function wordsOf(text: string): readonly string[] {
  return text.toLowerCase().split(/\s+/).filter((word) => word !== '');
}

function hasWords(words: readonly string[], group: RuleGroupJson, rule: RuleJson): boolean {
  if (words.length === 0) return true;
  const parts = [group.name, group.file, rule.name, rule.query, rule.lastError ?? '', pairsText(rule.labels)];
  if (rule.type === 'alerting') {
    parts.push(pairsText(rule.annotations));
    for (const alert of rule.alerts) parts.push(pairsText(alert.labels), pairsText(alert.annotations));
  }
  const text = parts.join('\n').toLowerCase();
  return words.every((word) => text.includes(word));
}

function pairsText(labels: LabelsJson): string {
  return Object.entries(labels).map(([name, value]) => `${name}="${value}"`).join(' ');
}

/** `5m ago`, `just now` below a second, `never` for Go's zero time. @param time RFC 3339 */
export function agoText(time: string, nowMs: number): string {
  if (time.startsWith('0001-')) return 'never';
  const ms = nowMs - Date.parse(time);
  return ms < 1000 ? 'just now' : `${coarse(ms)} ago`;
}

/** A duration in seconds with its two largest units: `1h30m`; below a second with three digits: `1.23ms`, `42.2µs`. */
export function secondsText(seconds: number): string {
  if (seconds === 0) return '0s';
  if (seconds >= 1) return coarse(seconds * 1000);
  const ms = seconds * 1000;
  return ms >= 1 ? `${Number(ms.toPrecision(3))}ms` : `${Number((ms * 1000).toPrecision(3))}µs`;
}

function coarse(ms: number): string {
  return formatRange(Math.floor(ms / 1000) * 1000).match(/\d+[a-z]+/g)!.slice(0, 2).join('');
}

/** A sample value as Go prints it (`1.5e+00`), as people read it. */
export function valueText(value: string): string {
  const number = Number(value.replace('Inf', 'Infinity'));
  return Number.isNaN(number) ? value : String(number).replace('Infinity', 'Inf');
}

/** Labels to show: not the alert's name, which stands above them. */
export function withoutName(labels: LabelsJson): readonly (readonly [string, string])[] {
  return Object.entries(labels).filter(([name]) => name !== 'alertname');
}
