/**
 * A rule group at work: evaluated slot by slot, its rules in order, each writing before the next one asks.
 *
 *   slot ─► for each rule: query at slot − query offset ─► samples, or alerts ─► append, with stale markers for series that are gone
 *                                  └ error: health err, nothing is written, series of the last good evaluation are remembered
 *   after the second slot: `for` states are restored, if the ruler has just started
 *
 * A group ends when it is stopped (the rule under way finishes) or aborted (the query under way is given up).
 * Source: Prometheus rules/group.go.
 */
import type { AlertingRuleState, Labels, RecordingRuleState, RuleGroupState, RuleHealth, RuleState } from '@gauntlet/model';
import { labelsFromPairs } from '@gauntlet/model';
import { errorText, type Logger } from '@gauntlet/service-kit';
import { AlertingRule } from './alerting-rule.ts';
import { RulerError } from './errors.ts';
import { labelsKey, recordSamples } from './recording-rule.ts';
import { restoreForState } from './restore-for-state.ts';
import { ruleBatches } from './rule-dependencies.ts';
import type { GroupCounts, RuleMetrics } from './rule-metrics.ts';
import { nextSlot, slotBefore, slotOffsetMs } from './rule-schedule.ts';
import type { RecordingRuleConfig, RuleConfig, RuleGroupConfig, RuleManagerDeps, RuleManagerOptions, RuleSample } from './types.ts';

/** Longest delay of one timer; Node's own limit is a little more than twice this. */
const TIMER_MAX_MS = 1_000_000_000;

/** What groups share. */
export interface RuleGroupDeps extends Omit<RuleManagerDeps, 'metrics'> {
  readonly metrics: RuleMetrics;
  /** Takes a place for a rule evaluated beside others; false when all are taken. */
  readonly tryEnter: () => boolean;
  /** Gives the place back. */
  readonly leave: () => void;
}

/** A rule with what is known of its evaluations. */
interface GroupRule {
  readonly config: RuleConfig;
  readonly alerting: AlertingRule | undefined;
  health: RuleHealth;
  lastError: string;
  evaluationSeconds: number;
  lastEvaluationMs: number | undefined;
  /** Series written by the last evaluation that went well, by labels. */
  written: Map<string, Labels>;
}

/** See the head of this file. */
export class RuleGroup {
  readonly config: RuleGroupConfig;
  readonly counts: GroupCounts;
  readonly #intervalMs: number;
  readonly #queryOffsetMs: number;
  readonly #deps: RuleGroupDeps;
  readonly #options: RuleManagerOptions;
  readonly #log: Logger;
  readonly #rules: readonly GroupRule[];
  readonly #batches: readonly (readonly number[])[];
  /** Aborted when no further rule may begin. */
  readonly #stopped = new AbortController();
  #shouldRestore: boolean;
  /** Series of rules that are configured no more, owed a stale marker. */
  #orphans: Labels[] = [];
  #lastEvaluationMs: number | undefined;
  #evaluationSeconds = 0;

  /** @param shouldRestore whether `for` states are looked up after the second evaluation */
  constructor(config: RuleGroupConfig, deps: RuleGroupDeps, options: RuleManagerOptions, shouldRestore: boolean) {
    this.config = config;
    this.#deps = deps;
    this.#options = options;
    this.#intervalMs = config.intervalMs ?? options.defaultIntervalMs;
    this.#queryOffsetMs = config.queryOffsetMs ?? options.queryOffsetMs;
    this.#shouldRestore = shouldRestore;
    this.#log = deps.log.child({ group: config.name, file: config.file });
    this.#rules = config.rules.map((rule) => this.#newRule(rule, shouldRestore));
    this.#batches = options.concurrency > 1 ? ruleBatches(config.rules) : config.rules.map((_rule, i) => [i]);
    this.counts = {
      name: config.name,
      file: config.file,
      strategy: config.strategy,
      rules: config.rules.length,
      intervalSeconds: this.#intervalMs / 1000,
      iterations: 0,
      iterationsMissed: 0,
      evaluations: 0,
      evaluationFailures: 0,
      lastEvaluationSeconds: 0,
      lastDurationSeconds: 0,
      lastRuleDurationSumSeconds: 0,
      lastRestoreSeconds: 0,
      lastSamples: 0,
    };
  }

  /** Evaluates from the next slot on, until stopped or aborted. Does not throw. */
  async run(abort: AbortSignal): Promise<void> {
    const stop = (): void => this.stop();
    if (abort.aborted) stop();
    abort.addEventListener('abort', stop);
    try {
      await this.#evaluateSlots(abort, this.#stopped.signal);
    } finally {
      abort.removeEventListener('abort', stop);
    }
  }

  /** No further rule begins; the one under way finishes. */
  stop(): void {
    this.#stopped.abort();
  }

  /** Whether `for` states are still to be restored. */
  shouldRestore(): boolean {
    return this.#shouldRestore;
  }

  /**
   * Takes over from the group of the same name and file, which has ended. Rules with the same name and labels go on with their alerts and
   * series, the first with the first and so on; series of the others are owed stale markers.
   */
  takeOver(from: RuleGroup): void {
    const { name, file, strategy, rules, intervalSeconds } = this.counts;
    Object.assign(this.counts, from.counts, { name, file, strategy, rules, intervalSeconds });
    this.#evaluationSeconds = from.#evaluationSeconds;
    this.#lastEvaluationMs = from.#lastEvaluationMs;
    const left = new Map<string, GroupRule[]>();
    for (const rule of from.#rules) {
      const key = identityOf(rule.config);
      left.set(key, [...(left.get(key) ?? []), rule]);
    }
    for (const rule of this.#rules) {
      const old = left.get(identityOf(rule.config))?.shift();
      if (old === undefined) continue;
      rule.written = old.written;
      if (rule.alerting !== undefined && old.alerting !== undefined) rule.alerting.takeAlerts(old.alerting);
      // What is known of the very same rule stays known; a changed one has not been evaluated.
      if (JSON.stringify(rule.config) !== JSON.stringify(old.config)) continue;
      rule.health = old.health;
      rule.lastError = old.lastError;
      rule.evaluationSeconds = old.evaluationSeconds;
      rule.lastEvaluationMs = old.lastEvaluationMs;
    }
    this.#orphans = [...from.#orphans, ...[...left.values()].flat().flatMap(({ written }) => [...written.values()])];
  }

  /**
   * Stale markers for everything the group wrote, two intervals after it was removed: by then rules that were only renamed or moved have
   * written their series again, and the markers, which are older, are refused.
   */
  async markRemoved(abort: AbortSignal): Promise<void> {
    const removedMs = this.#deps.clock();
    for (const { written } of this.#rules) this.#orphans.push(...written.values());
    if (this.#orphans.length > 0 && (await this.#sleepUntil(removedMs + 2 * this.#intervalMs, abort))) await this.#markOrphans(removedMs - this.#queryOffsetMs);
  }

  /** The group as services show it. */
  state(): RuleGroupState {
    return {
      name: this.config.name,
      file: this.config.file,
      intervalSeconds: this.#intervalMs / 1000,
      limit: this.config.limit,
      strategy: this.config.strategy,
      rules: this.#rules.map((rule) => this.#ruleState(rule)),
      evaluationSeconds: this.#evaluationSeconds,
      lastEvaluationMs: this.#lastEvaluationMs,
    };
  }

  #newRule(config: RuleConfig, shouldRestore: boolean): GroupRule {
    const { externalLabels, externalUrl } = this.#deps;
    const warn = (message: string): void => this.#log.warn('expand template of alert', { alert: config.name, err: message });
    const alerting = config.kind === 'alerting' ? new AlertingRule(config, { externalLabels, externalUrl, warn }, !shouldRestore) : undefined;
    return { config, alerting, health: 'unknown', lastError: '', evaluationSeconds: 0, lastEvaluationMs: undefined, written: new Map() };
  }

  async #evaluateSlots(abort: AbortSignal, signal: AbortSignal): Promise<void> {
    let slotMs = slotBefore(this.#deps.clock(), this.#intervalMs, slotOffsetMs(this.config.file, this.config.name, this.#intervalMs)) + this.#intervalMs;
    for (let round = 1; await this.#sleepUntil(slotMs, signal); round++) {
      await this.#iterate(slotMs, abort, signal);
      if (round === 2 && this.#shouldRestore && !signal.aborted) await this.#restore();
      if (this.#deps.clock() < slotMs + this.#intervalMs && !(await this.#sleepUntil(slotMs + this.#intervalMs, signal))) return;
      const next = nextSlot(slotMs, this.#deps.clock(), this.#intervalMs);
      slotMs = next.slotMs;
      this.counts.iterationsMissed += next.missed;
      this.counts.iterations += next.missed;
    }
  }

  async #iterate(slotMs: number, abort: AbortSignal, signal: AbortSignal): Promise<void> {
    const startMs = this.#deps.clock();
    this.counts.iterations++;
    let samples = 0;
    for (const batch of this.#batches) {
      const beside: Promise<void>[] = [];
      for (const index of batch) {
        if (signal.aborted) break;
        const evaluation = async (): Promise<void> => {
          samples += await this.#evaluate(this.#rules[index]!, slotMs, abort);
        };
        if (batch.length > 1 && this.#deps.tryEnter()) beside.push(evaluation().finally(this.#deps.leave));
        else await evaluation();
      }
      await Promise.all(beside);
    }
    if (signal.aborted) return;
    await this.#markOrphans(slotMs - this.#queryOffsetMs);
    const seconds = (this.#deps.clock() - startMs) / 1000;
    this.#evaluationSeconds = seconds;
    this.#lastEvaluationMs = startMs;
    this.#deps.metrics.group(this.config.strategy, seconds);
    this.counts.lastSamples = samples;
    this.counts.lastDurationSeconds = seconds;
    this.counts.lastEvaluationSeconds = startMs / 1000;
    this.counts.lastRuleDurationSumSeconds = this.#rules.reduce((sum, rule) => sum + rule.evaluationSeconds, 0);
  }

  /** Evaluates one rule. @returns samples its result had */
  async #evaluate(rule: GroupRule, slotMs: number, abort: AbortSignal): Promise<number> {
    const startMs = this.#deps.clock();
    const { strategy } = this.config;
    this.counts.evaluations++;
    let samples: readonly RuleSample[] = [];
    try {
      const answer = await this.#deps.query(rule.config.expr, slotMs - this.#queryOffsetMs, { strategy, signal: abort });
      this.#noteWarnings(rule, answer.warnings);
      const timestampMs = slotMs - this.#queryOffsetMs;
      if (rule.alerting === undefined) {
        samples = recordSamples(rule.config as RecordingRuleConfig, answer.samples, timestampMs, this.config.limit);
      } else {
        samples = rule.alerting.evaluate(answer.samples, slotMs, timestampMs, this.config.limit);
        const outgoing = rule.alerting.takeOutgoing(slotMs, { resendDelayMs: this.#options.resendDelayMs, intervalMs: this.#intervalMs });
        if (outgoing.length > 0) this.#deps.alerts.send(outgoing);
      }
      await this.#write(rule, samples, timestampMs);
      rule.health = 'ok';
      rule.lastError = '';
    } catch (error) {
      // What was given up because the ruler ends says nothing about the rule.
      if (abort.aborted) return 0;
      rule.health = 'err';
      rule.lastError = errorText(error);
      this.counts.evaluationFailures++;
      this.#log.warn('evaluate rule', { rule: rule.config.name, kind: rule.config.kind, err: rule.lastError });
    }
    rule.evaluationSeconds = (this.#deps.clock() - startMs) / 1000;
    rule.lastEvaluationMs = startMs;
    this.#deps.metrics.rule(strategy, rule.evaluationSeconds);
    return samples.length;
  }

  /** Writes a result, and stale markers for what the last one had and this one has not. @throws RulerError ERR_APPEND when samples are refused */
  async #write(rule: GroupRule, samples: readonly RuleSample[], timestampMs: number): Promise<void> {
    const written = new Map(samples.map(({ labels }) => [labelsKey(labels), labels]));
    const gone = [...rule.written].filter(([key]) => !written.has(key)).map(([, labels]) => staleMarker(labels, timestampMs));
    if (samples.length === 0 && gone.length === 0) return;
    const { refused } = await this.#deps.appender.append([...samples, ...gone]);
    const refusedSamples = refused.filter(({ sample }) => !sample.stale);
    for (const { sample } of refusedSamples) {
      const key = labelsKey(sample.labels);
      // It was written before, so it is owed a marker later.
      if (!rule.written.has(key)) written.delete(key);
    }
    rule.written = written;
    const first = refusedSamples[0];
    if (first !== undefined) throw new RulerError('ERR_APPEND', `append result: ${refusedSamples.length} of ${samples.length} samples refused: ${first.reason}`);
  }

  /** Markers of series no rule writes any more; that some are refused is normal, another rule may write them now. */
  async #markOrphans(timestampMs: number): Promise<void> {
    if (this.#orphans.length === 0) return;
    try {
      await this.#deps.appender.append(this.#orphans.map((labels) => staleMarker(labels, timestampMs)));
      this.#orphans = [];
    } catch (error) {
      this.#log.warn('append stale markers of removed rules', { err: errorText(error) });
    }
  }

  async #restore(): Promise<void> {
    const startMs = this.#deps.clock();
    const rules = this.#rules.flatMap(({ alerting }) => (alerting === undefined ? [] : [alerting]));
    await restoreForState(rules, startMs, this.#deps.forState, this.#options, this.#log);
    this.#shouldRestore = false;
    this.counts.lastRestoreSeconds = (this.#deps.clock() - startMs) / 1000;
  }

  /** Warnings about data that could not be had; those about the query itself are of no use here. */
  #noteWarnings(rule: GroupRule, warnings: readonly string[]): void {
    const missing = warnings.filter((warning) => !/^PromQL (info|warning)/.test(warning));
    if (missing.length === 0) return;
    this.#deps.metrics.warned(this.config.strategy);
    this.#log.warn('rule evaluated with warnings', { rule: rule.config.name, warnings: missing.join('; ') });
  }

  #ruleState(rule: GroupRule): RuleState {
    const { config, alerting, health, lastError, evaluationSeconds, lastEvaluationMs } = rule;
    const common = { name: config.name, query: config.expr, labels: labelsFromPairs(config.labels), health, lastError, evaluationSeconds, lastEvaluationMs };
    if (config.kind === 'recording' || alerting === undefined) return { kind: 'recording', ...common } satisfies RecordingRuleState;
    return {
      kind: 'alerting',
      ...common,
      state: lastEvaluationMs === undefined ? 'unknown' : alerting.state(),
      forSeconds: config.forMs / 1000,
      keepFiringForSeconds: config.keepFiringForMs / 1000,
      annotations: labelsFromPairs(config.annotations),
      alerts: alerting.activeAlerts(this.config.strategy),
    } satisfies AlertingRuleState;
  }

  /** Waits; false when the signal is aborted first. */
  async #sleepUntil(timeMs: number, signal: AbortSignal): Promise<boolean> {
    let leftMs = Math.max(0, timeMs - this.#deps.clock());
    while (leftMs > TIMER_MAX_MS && (await this.#sleep(TIMER_MAX_MS, signal))) leftMs -= TIMER_MAX_MS;
    return this.#sleep(leftMs, signal);
  }

  #sleep(delayMs: number, signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return Promise.resolve(false);
    return new Promise((resolve) => {
      const end = (slept: boolean): void => {
        cancel();
        signal.removeEventListener('abort', abort);
        resolve(slept);
      };
      const abort = (): void => end(false);
      const cancel = this.#deps.setTimer(delayMs, () => end(true));
      signal.addEventListener('abort', abort);
    });
  }
}

/** Rules with the same name and labels are the same to a reload. */
function identityOf(rule: RuleConfig): string {
  return JSON.stringify([rule.kind, rule.name, rule.labels]);
}

function staleMarker(labels: Labels, timestampMs: number): RuleSample {
  return { labels, timestampMs, value: NaN, stale: true };
}
