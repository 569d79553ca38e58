/**
 * The state of rules as services show it to each other and to people: what a ruler reports, what the Rules API carries, what
 * `/api/v1/rules` and `/api/v1/alerts` print. Source: Prometheus docs/querying/api.md (Rules, Alerts); Thanos pkg/rules/rulespb.
 */
import type { Labels } from './labels.ts';

/** What a query does when a part of the data cannot be had: answer without it, with a warning, or fail. */
export type PartialResponseStrategy = 'warn' | 'abort';

/** How the last evaluation of a rule ended; `unknown` before the first. */
export type RuleHealth = 'ok' | 'err' | 'unknown';

/** `unknown` until a rule was evaluated, and from peers that do not say. */
export type AlertState = 'unknown' | 'inactive' | 'pending' | 'firing';

/** What every rule tells. */
interface RuleStatus {
  /** Name of the alert, or of the metric that is recorded. */
  readonly name: string;
  /** PromQL text. */
  readonly query: string;
  /** Labels the rule adds, unexpanded. */
  readonly labels: Labels;
  readonly health: RuleHealth;
  /** Empty when the last evaluation went well. */
  readonly lastError: string;
  readonly evaluationSeconds: number;
  /** ms since 1970; undefined before the first evaluation. */
  readonly lastEvaluationMs: number | undefined;
}

/** One active alert: an element of an alerting rule's vector. */
export interface AlertInstance {
  readonly labels: Labels;
  readonly annotations: Labels;
  readonly state: AlertState;
  /** ms since 1970; when the expression began to hold. */
  readonly activeAtMs: number | undefined;
  /** As Go prints it, exponent form: `1e+00`. */
  readonly value: string;
  readonly strategy: PartialResponseStrategy;
}

export interface AlertingRuleState extends RuleStatus {
  readonly kind: 'alerting';
  /** The most severe state of its alerts. */
  readonly state: AlertState;
  readonly forSeconds: number;
  readonly keepFiringForSeconds: number;
  /** Unexpanded. */
  readonly annotations: Labels;
  readonly alerts: readonly AlertInstance[];
}

export interface RecordingRuleState extends RuleStatus {
  readonly kind: 'recording';
}

export type RuleState = AlertingRuleState | RecordingRuleState;

/** A group of rules, evaluated one after the other. */
export interface RuleGroupState {
  readonly name: string;
  /** Path of the rule file, as the ruler was given it. */
  readonly file: string;
  readonly intervalSeconds: number;
  /** Most series or alerts of one rule; 0 has no limit. */
  readonly limit: number;
  readonly strategy: PartialResponseStrategy;
  readonly rules: readonly RuleState[];
  readonly evaluationSeconds: number;
  /** ms since 1970; undefined before the first evaluation. */
  readonly lastEvaluationMs: number | undefined;
}
