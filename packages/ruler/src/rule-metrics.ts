/**
 * Metrics of evaluation, under Prometheus' and Thanos' names, with the label `strategy` that Thanos adds.
 *
 * Those with `rule_group` (file;name) live in the groups and are read from them at every scrape, so that they end with the group.
 * Source: Prometheus rules/group.go; Thanos cmd/thanos/rule.go.
 */
import type { PartialResponseStrategy } from '@gauntlet/model';
import type { Counter, Histogram, MetricFamilySnapshot, Metrics } from '@gauntlet/service-kit';

/** Counts and times of one group. */
export interface GroupCounts {
  readonly name: string;
  readonly file: string;
  readonly strategy: PartialResponseStrategy;
  readonly rules: number;
  readonly intervalSeconds: number;
  iterations: number;
  iterationsMissed: number;
  evaluations: number;
  evaluationFailures: number;
  /** Seconds since 1970; 0 before the first. */
  lastEvaluationSeconds: number;
  lastDurationSeconds: number;
  lastRuleDurationSumSeconds: number;
  lastRestoreSeconds: number;
  lastSamples: number;
}

/** What evaluation counts for all groups together. */
export interface RuleMetrics {
  /** Observes one evaluation of a rule. */
  rule(strategy: PartialResponseStrategy, seconds: number): void;
  /** Observes one evaluation of a group. */
  group(strategy: PartialResponseStrategy, seconds: number): void;
  /** Counts an evaluation that went well with warnings. */
  warned(strategy: PartialResponseStrategy): void;
}

const STRATEGIES: readonly PartialResponseStrategy[] = ['abort', 'warn'];
const BUCKETS = [0.01, 0.1, 1, 10];

/** Declares them. @param groups the groups as they are at a scrape */
export function createRuleMetrics(metrics: Metrics, groups: () => readonly GroupCounts[]): RuleMetrics {
  const ruleDuration = durations(metrics, 'prometheus_rule_evaluation_duration_histogram_seconds', 'The duration for a rule to execute.');
  const groupDuration = durations(metrics, 'prometheus_rule_group_duration_histogram_seconds', 'The duration of rule group evaluations.');
  const warned = metrics.counter({
    name: 'thanos_rule_evaluation_with_warnings_total',
    help: 'The total number of rule evaluation that were successful but had non PromQL warnings which can indicate partial error.',
    labels: ['strategy'],
  });
  const warnedBy = byStrategy<Counter>((strategy) => warned.with({ strategy }));
  for (const strategy of STRATEGIES) warnedBy[strategy].inc(0);
  metrics.registry.addSource(() => [
    ...groupFamilies(groups()),
    summary('prometheus_rule_evaluation_duration_seconds', 'The duration for a rule to execute.', ruleDuration),
    summary('prometheus_rule_group_duration_seconds', 'The duration of rule group evaluations.', groupDuration),
  ]);
  return {
    rule: (strategy, seconds) => ruleDuration[strategy].observe(seconds),
    group: (strategy, seconds) => groupDuration[strategy].observe(seconds),
    warned: (strategy) => warnedBy[strategy].inc(),
  };
}

type ByStrategy<T> = Readonly<Record<PartialResponseStrategy, T>>;

function byStrategy<T>(make: (strategy: PartialResponseStrategy) => T): ByStrategy<T> {
  return { abort: make('abort'), warn: make('warn') };
}

function durations(metrics: Metrics, name: string, help: string): ByStrategy<Histogram> {
  const histogram = metrics.histogram({ name, help, labels: ['strategy'], buckets: BUCKETS });
  return byStrategy((strategy) => histogram.with({ strategy }));
}

/** Count and sum, without quantiles. */
function summary(name: string, help: string, by: ByStrategy<Histogram>): MetricFamilySnapshot {
  const samples = STRATEGIES.flatMap((strategy) => [
    { name: `${name}_sum`, labels: ['strategy', strategy], value: by[strategy].sum() },
    { name: `${name}_count`, labels: ['strategy', strategy], value: by[strategy].count() },
  ]);
  return { name, help, type: 'summary', samples };
}

function groupFamilies(groups: readonly GroupCounts[]): MetricFamilySnapshot[] {
  const family = (type: 'counter' | 'gauge', name: string, help: string, value: (group: GroupCounts) => number): MetricFamilySnapshot => ({
    name,
    help,
    type,
    samples: groups.map((group) => ({ name, labels: ['rule_group', `${group.file};${group.name}`, 'strategy', group.strategy], value: value(group) })),
  });
  const loaded = 'thanos_rule_loaded_rules';
  return [
    family('counter', 'prometheus_rule_evaluations_total', 'The total number of rule evaluations.', (group) => group.evaluations),
    family('counter', 'prometheus_rule_evaluation_failures_total', 'The total number of rule evaluation failures.', (group) => group.evaluationFailures),
    family('counter', 'prometheus_rule_group_iterations_total', 'The total number of scheduled rule group evaluations, whether executed or missed.', (group) => group.iterations),
    family('counter', 'prometheus_rule_group_iterations_missed_total', 'The total number of rule group evaluations missed due to slow rule group evaluation.', (group) => group.iterationsMissed),
    family('gauge', 'prometheus_rule_group_interval_seconds', 'The interval of a rule group.', (group) => group.intervalSeconds),
    family('gauge', 'prometheus_rule_group_last_duration_seconds', 'The duration of the last rule group evaluation.', (group) => group.lastDurationSeconds),
    family('gauge', 'prometheus_rule_group_last_evaluation_timestamp_seconds', 'The timestamp of the last rule group evaluation in seconds.', (group) => group.lastEvaluationSeconds),
    family('gauge', 'prometheus_rule_group_last_evaluation_samples', 'The number of samples returned during the last rule group evaluation.', (group) => group.lastSamples),
    family('gauge', 'prometheus_rule_group_last_restore_duration_seconds', 'The duration of the last restoration of alerts from ALERTS_FOR_STATE series.', (group) => group.lastRestoreSeconds),
    family('gauge', 'prometheus_rule_group_last_rule_duration_sum_seconds', 'The sum of the times it took to evaluate each rule of the group, however many ran at once.', (group) => group.lastRuleDurationSumSeconds),
    family('gauge', 'prometheus_rule_group_rules', 'The number of rules.', (group) => group.rules),
    {
      name: loaded,
      help: 'Loaded rules partitioned by file and group.',
      type: 'gauge',
      samples: groups.map((group) => ({ name: loaded, labels: ['file', group.file, 'group', group.name, 'strategy', group.strategy.toUpperCase()], value: group.rules })),
    },
  ];
}
