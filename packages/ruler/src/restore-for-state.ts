/**
 * Restoring `for` after a restart: without it, every alert would have to be pending all over again.
 *
 *   ALERTS_FOR_STATE   ──v──────────────t─┤ down ├──now──►      v: value, when it became active; t: last sample
 *
 *   pending until t: t − v; remaining: for − (t − v)
 *     remaining ≤ 0             active since v: it fired before, and fires at the next evaluation
 *     remaining < grace period  active so that it fires one grace period from now
 *     else                      active since v + (now − t): the time down does not count as pending
 *
 * Rules with `for` below the grace period are left alone: they become firing sooner by themselves.
 * Source: Prometheus rules/group.go, flags rules.alert.for-*. Times are exact here; Prometheus cuts t to seconds.
 */
import { errorText, type Logger } from '@gauntlet/service-kit';
import type { AlertingRule } from './alerting-rule.ts';
import type { ForStateSource } from './types.ts';

/** Settings of a restoration. */
export interface RestoreOptions {
  readonly forOutageToleranceMs: number;
  readonly forGracePeriodMs: number;
}

/**
 * Restores the alerts of the rules, which have been evaluated before. A rule whose state cannot be read goes on without.
 * @param nowMs time of the restoration
 */
export async function restoreForState(rules: readonly AlertingRule[], nowMs: number, source: ForStateSource, options: RestoreOptions, log: Logger): Promise<void> {
  for (const rule of rules) {
    try {
      if (rule.config.forMs >= options.forGracePeriodMs) await restoreRule(rule, nowMs, source, options);
    } catch (error) {
      log.error("restore 'for' state of alerts", { alert: rule.config.name, err: errorText(error) });
    }
    rule.markRestored();
  }
}

async function restoreRule(rule: AlertingRule, nowMs: number, source: ForStateSource, options: RestoreOptions): Promise<void> {
  for (const { seriesLabels, restore } of rule.restorable()) {
    const last = await source.lastForState(seriesLabels, nowMs - options.forOutageToleranceMs, nowMs);
    // NaN: a stale marker, the alert was not active when the ruler ended.
    if (last === undefined || Number.isNaN(last.value)) continue;
    restore(restoredActiveAt(rule.config.forMs, last.timestampMs, last.value * 1000, nowMs, options.forGracePeriodMs));
  }
}

/**
 * When an alert counts as active after a restart; all in ms.
 * @param lastMs time of the last sample before the restart
 * @param activeAtMs what it says
 */
export function restoredActiveAt(forMs: number, lastMs: number, activeAtMs: number, nowMs: number, gracePeriodMs: number): number {
  const remainingMs = forMs - (lastMs - activeAtMs);
  if (remainingMs <= 0) return activeAtMs;
  if (remainingMs < gracePeriodMs) return nowMs + gracePeriodMs - forMs;
  return activeAtMs + (nowMs - lastMs);
}
