/**
 * What the parts of the ruler pass to each other: configured groups, the answers of queries, what evaluation writes and sends.
 *
 *   rule file ── rule-files ──► RuleGroupConfig ── RuleManager ──► RuleQuery      asks queriers
 *                                                             ├──► RuleAppender   writes recorded series, ALERTS, stale markers
 *                                                             ├──► AlertSink      sends alerts
 *                                                             └──► RuleGroupState shows it all
 *
 * Configurations and answers are plain data, so they can cross threads. Times are ms since 1970.
 */
import type { Labels, PartialResponseStrategy, RuleGroupState } from '@gauntlet/model';
import type { Logger, Metrics } from '@gauntlet/service-kit';

/** One element of an instant vector; its time is the evaluation's. */
export interface VectorSample {
  readonly labels: Labels;
  readonly value: number;
}

/** Answer of a rule's query. */
export interface RuleQueryAnswer {
  readonly samples: readonly VectorSample[];
  readonly warnings: readonly string[];
}

/**
 * Asks for an expression at one time. A scalar comes as one sample without labels.
 * @throws an Error whose message is the reason a person should see
 */
export interface RuleQuery {
  (expr: string, timeMs: number, options: { readonly strategy: PartialResponseStrategy; readonly signal: AbortSignal }): Promise<RuleQueryAnswer>;
}

/** One sample to be written. */
export interface RuleSample {
  readonly labels: Labels;
  readonly timestampMs: number;
  /** The value; a NaN when `stale`. */
  readonly value: number;
  /** True for a stale marker. The marker's bits do not reliably survive in a number, so writers go by this flag. */
  readonly stale: boolean;
}

/** A sample the database did not take. */
export interface RefusedSample {
  readonly sample: RuleSample;
  readonly reason: string;
}

/** What became of an append. */
export interface RuleAppendAnswer {
  readonly refused: readonly RefusedSample[];
}

/** Writes samples. */
export interface RuleAppender {
  /**
   * Appends the samples of one rule; comes back after the write-ahead log has them.
   * @throws when nothing could be written
   */
  append(samples: readonly RuleSample[]): RuleAppendAnswer | Promise<RuleAppendAnswer>;
}

/** An alert as evaluation gives it to sending; external labels are not in yet. */
export interface OutgoingAlert {
  readonly labels: Labels;
  readonly annotations: Labels;
  /** When it began to fire. */
  readonly startsAtMs: number;
  /** When it was resolved, else until when it counts as firing without further news. */
  readonly endsAtMs: number;
  /** Expression of the rule, for the generator URL. */
  readonly expr: string;
}

/** Takes alerts for sending; does not wait. */
export interface AlertSink {
  send(alerts: readonly OutgoingAlert[]): void;
}

/** Where the time an alert became active is found again after a restart. */
export interface ForStateSource {
  /**
   * The last sample of one ALERTS_FOR_STATE series.
   * @param alertLabels all labels of the series, `__name__` too, without external labels
   * @param sinceMs, untilMs both inclusive
   * @returns undefined if there is none; the value of a stale marker may come as any NaN
   */
  lastForState(alertLabels: Labels, sinceMs: number, untilMs: number): Promise<{ readonly timestampMs: number; readonly value: number } | undefined>;
}

/** Names and texts in the order of names; texts may be empty, which removes a label. */
export type LabelTexts = readonly (readonly [name: string, text: string])[];

/** A rule that records the result of its expression as a series. */
export interface RecordingRuleConfig {
  readonly kind: 'recording';
  /** Name of the recorded metric. */
  readonly name: string;
  /** PromQL as printed. */
  readonly expr: string;
  /** Of group and rule together. */
  readonly labels: LabelTexts;
}

/** A rule whose result are alerts. */
export interface AlertingRuleConfig {
  readonly kind: 'alerting';
  readonly name: string;
  /** PromQL as printed. */
  readonly expr: string;
  /** Of group and rule together; templates. */
  readonly labels: LabelTexts;
  /** Templates. */
  readonly annotations: LabelTexts;
  /** How long the expression must hold before the alert fires. */
  readonly forMs: number;
  /** How long the alert keeps firing after the expression ceased to hold. */
  readonly keepFiringForMs: number;
}

/** Either kind of rule. */
export type RuleConfig = AlertingRuleConfig | RecordingRuleConfig;

/** A group as configured. File and name together identify it. */
export interface RuleGroupConfig {
  readonly name: string;
  /** Path as given to the reader. */
  readonly file: string;
  /** Undefined: the ruler's default. */
  readonly intervalMs: number | undefined;
  /** Undefined: the ruler's default. */
  readonly queryOffsetMs: number | undefined;
  /** Most series or alerts of one rule; 0 and less have no limit. */
  readonly limit: number;
  readonly strategy: PartialResponseStrategy;
  readonly rules: readonly RuleConfig[];
}

/** What the rule manager works with. */
export interface RuleManagerDeps {
  readonly query: RuleQuery;
  readonly appender: RuleAppender;
  readonly alerts: AlertSink;
  readonly forState: ForStateSource;
  /** Current time, ms since 1970. */
  readonly clock: () => number;
  /** Runs a function once, later. @returns a function that cancels it */
  readonly setTimer: (delayMs: number, run: () => void) => () => void;
  readonly log: Logger;
  /** Gets a source of families; see rule-metrics.ts. */
  readonly metrics: Metrics;
  /** For templates: `$externalLabels`. */
  readonly externalLabels: Labels;
  /** For templates: `$externalURL`. */
  readonly externalUrl: string;
}

/** Settings of the rule manager. */
export interface RuleManagerOptions {
  /** Of groups without an interval of their own; `--eval-interval`, 1m. */
  readonly defaultIntervalMs: number;
  /** Of groups without one of their own; `--rule-query-offset`, 0s. */
  readonly queryOffsetMs: number;
  /** Least time between two sendings of an alert; `--resend-delay`, 1m. */
  readonly resendDelayMs: number;
  /** Longest outage over which `for` is restored; `--for-outage-tolerance`, 1h. */
  readonly forOutageToleranceMs: number;
  /** Least time between a restart and the firing of a restored alert; `--for-grace-period`, 10m. */
  readonly forGracePeriodMs: number;
  /** Rules evaluated at the same time; 1 evaluates each group in file order. `--rule-concurrent-evaluation`, 1. */
  readonly concurrency: number;
}

/** Evaluates rule groups on their intervals. */
export interface RuleManager {
  /** Takes over a new set of groups. Unchanged groups go on, changed ones keep the state of rules that stayed, the series of removed ones get stale markers. */
  update(groups: readonly RuleGroupConfig[]): void;
  /** Evaluates until the signal is aborted and the evaluations under way have ended. Never throws. */
  run(signal: AbortSignal): Promise<void>;
  /** The groups as they stand, ordered by file, then name. Labels are without external labels. */
  groups(): readonly RuleGroupState[];
}
