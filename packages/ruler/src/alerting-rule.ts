/**
 * Alerting rules: each element of the result is an alert with a state of its own.
 *
 *             element there                 for passed
 *   (none) ─────────────────► pending ─────────────────► firing ──┐ element gone, keep_firing_for not passed
 *                               │ ▲                       │  ▲ ▲──┘
 *                  element gone │ └── `for` became longer ┘  │
 *                               ▼                            │ element there again: a new alert, pending first
 *                             (none) ◄── 15 min ── inactive ◄┘ element gone: resolved
 *
 * An alert with no `for` fires in the evaluation that finds it. Active alerts are written as ALERTS and ALERTS_FOR_STATE.
 * Source: Prometheus docs/configuration/alerting_rules.md, rules/alerting.go.
 */
import { type AlertInstance, type AlertState, type Labels, labelsFromPairs, LabelsBuilder, METRIC_NAME, type PartialResponseStrategy } from '@gauntlet/model';
import { errorText } from '@gauntlet/service-kit';
import { RulerError } from './errors.ts';
import { labelsKey } from './recording-rule.ts';
import { expandTemplate } from './template/expand-template.ts';
import { formatExponent } from './template/format-number.ts';
import { parseTemplate, type Template } from './template/parse-template.ts';
import type { AlertingRuleConfig, LabelTexts, OutgoingAlert, RuleSample, VectorSample } from './types.ts';

/** How long a resolved alert is kept, and sent again, so that an Alertmanager that was away hears of it. */
export const RESOLVED_RETENTION_MS: number = 15 * 60_000;

/** Names of the series that alerts are written as. */
export const ALERTS_METRIC = 'ALERTS';
export const ALERTS_FOR_STATE_METRIC = 'ALERTS_FOR_STATE';

/** What templates see besides the element. */
export interface AlertContext {
  readonly externalLabels: Labels;
  readonly externalUrl: string;
  /** Told about templates that cannot be filled in. */
  readonly warn: (message: string) => void;
}

/** One alert. Times are ms since 1970. */
interface Alert {
  readonly labels: Labels;
  annotations: Labels;
  state: 'pending' | 'firing' | 'inactive';
  value: number;
  /** When the expression began to hold. */
  activeAtMs: number;
  firedAtMs: number | undefined;
  resolvedAtMs: number | undefined;
  lastSentAtMs: number;
  keepFiringSinceMs: number | undefined;
}

/** Settings of one sending. */
export interface SendTimes {
  readonly resendDelayMs: number;
  readonly intervalMs: number;
}

/** An alerting rule with its alerts. */
export class AlertingRule {
  readonly config: AlertingRuleConfig;
  readonly #labels: readonly (readonly [string, Template])[];
  readonly #annotations: readonly (readonly [string, Template])[];
  readonly #context: AlertContext;
  #alerts = new Map<string, Alert>();
  #isRestored: boolean;

  /** @param isRestored false withholds the series until {@link markRestored}, so that they do not overwrite the state to be restored */
  constructor(config: AlertingRuleConfig, context: AlertContext, isRestored: boolean) {
    this.config = config;
    this.#labels = compile(config.labels);
    this.#annotations = compile(config.annotations);
    this.#context = context;
    this.#isRestored = isRestored;
  }

  /**
   * Takes one result: moves all alerts on.
   * @param atMs time of the evaluation, from which `for` counts
   * @param timestampMs of the series, query offset taken off
   * @param limit most active alerts; 0 and less have none
   * @returns the series of the active alerts
   * @throws RulerError ERR_RULE when two elements become the same alert (nothing has changed then), or when there are too many (all are forgotten then)
   */
  evaluate(result: readonly VectorSample[], atMs: number, timestampMs: number, limit: number): RuleSample[] {
    const found = this.#alertsOf(result, atMs);
    for (const [key, alert] of found) {
      const known = this.#alerts.get(key);
      if (known !== undefined && known.state !== 'inactive') {
        known.value = alert.value;
        known.annotations = alert.annotations;
      } else {
        this.#alerts.set(key, alert);
      }
    }
    const samples: RuleSample[] = [];
    let active = 0;
    for (const [key, alert] of this.#alerts) {
      if (found.has(key)) alert.keepFiringSinceMs = undefined;
      else if (!this.#keepWithoutElement(key, alert, atMs)) continue;
      active++;
      if (alert.state === 'pending' && atMs - alert.activeAtMs >= this.config.forMs) {
        alert.state = 'firing';
        alert.firedAtMs = atMs;
      }
      if (alert.state === 'firing' && atMs - alert.activeAtMs < this.config.forMs) {
        alert.state = 'pending';
        alert.firedAtMs = undefined;
        alert.lastSentAtMs = -Infinity;
        alert.keepFiringSinceMs = undefined;
      }
      if (this.#isRestored) samples.push(...seriesOf(alert, timestampMs));
    }
    if (limit > 0 && active > limit) {
      this.#alerts = new Map();
      throw new RulerError('ERR_RULE', `exceeded limit of ${limit} with ${active} alerts`);
    }
    return samples;
  }

  /** Alerts that have to be sent at the time of an evaluation: new ones, resolved ones, and those last sent longer than the resend delay ago. */
  takeOutgoing(atMs: number, { resendDelayMs, intervalMs }: SendTimes): OutgoingAlert[] {
    const outgoing: OutgoingAlert[] = [];
    for (const alert of this.#alerts.values()) {
      if (alert.state === 'pending' || alert.firedAtMs === undefined) continue;
      const isNews = alert.resolvedAtMs !== undefined && alert.resolvedAtMs > alert.lastSentAtMs;
      if (!isNews && alert.lastSentAtMs + resendDelayMs >= atMs) continue;
      alert.lastSentAtMs = atMs;
      // Two evaluations or sendings may fail before an Alertmanager takes the alert for resolved.
      const endsAtMs = alert.resolvedAtMs ?? atMs + 4 * Math.max(resendDelayMs, intervalMs);
      outgoing.push({ labels: alert.labels, annotations: alert.annotations, startsAtMs: alert.firedAtMs, endsAtMs, expr: this.config.expr });
    }
    return outgoing;
  }

  /** The most severe state of the alerts. */
  state(): AlertState {
    let state: AlertState = 'inactive';
    for (const alert of this.#alerts.values()) {
      if (alert.state === 'firing') return 'firing';
      if (alert.state === 'pending') state = 'pending';
    }
    return state;
  }

  /** Pending and firing alerts, oldest first. */
  activeAlerts(strategy: PartialResponseStrategy): AlertInstance[] {
    const active: AlertInstance[] = [];
    for (const alert of this.#alerts.values()) {
      if (alert.state === 'inactive') continue;
      active.push({ labels: alert.labels, annotations: alert.annotations, state: alert.state, activeAtMs: alert.activeAtMs, value: formatExponent(alert.value), strategy });
    }
    return active;
  }

  /** Alerts whose time of becoming active can be set from outside, with the labels of their ALERTS_FOR_STATE series. */
  restorable(): { readonly seriesLabels: Labels; readonly restore: (activeAtMs: number) => void }[] {
    return [...this.#alerts.values()]
      .filter(({ state }) => state !== 'inactive')
      .map((alert) => ({
        seriesLabels: forStateLabels(alert.labels),
        restore: (activeAtMs) => {
          alert.activeAtMs = activeAtMs;
        },
      }));
  }

  /** From now on the series are written. */
  markRestored(): void {
    this.#isRestored = true;
  }

  /** Whether the series are written. */
  isRestored(): boolean {
    return this.#isRestored;
  }

  /** Takes over the alerts of the rule this one follows on. */
  takeAlerts(from: AlertingRule): void {
    this.#alerts = new Map(from.#alerts);
    this.#isRestored = from.#isRestored;
  }

  /** One new alert per element. */
  #alertsOf(result: readonly VectorSample[], atMs: number): Map<string, Alert> {
    const alerts = new Map<string, Alert>();
    for (const { labels: elementLabels, value } of result) {
      const data = { labels: elementLabels, externalLabels: this.#context.externalLabels, externalUrl: this.#context.externalUrl, value };
      const builder = new LabelsBuilder(elementLabels).delete(METRIC_NAME);
      for (const [name, template] of this.#labels) builder.set(name, this.#expand(template, data));
      const labels = builder.set('alertname', this.config.name).labels();
      const annotations = labelsFromPairs(this.#annotations.map(([name, template]) => [name, this.#expand(template, data)]));
      const key = labelsKey(labels);
      if (alerts.has(key)) throw new RulerError('ERR_RULE', 'vector contains metrics with the same labelset after applying alert labels');
      alerts.set(key, { labels, annotations, state: 'pending', value, activeAtMs: atMs, firedAtMs: undefined, resolvedAtMs: undefined, lastSentAtMs: -Infinity, keepFiringSinceMs: undefined });
    }
    return alerts;
  }

  /** An alert about which something goes wrong is still an alert: the text says what went wrong. */
  #expand(template: Template, data: Parameters<typeof expandTemplate>[1]): string {
    try {
      return expandTemplate(template, data);
    } catch (error) {
      const reason = errorText(error);
      this.#context.warn(reason);
      return `<error expanding template: ${reason}>`;
    }
  }

  /** Moves an alert on whose element is gone. @returns whether it is still active */
  #keepWithoutElement(key: string, alert: Alert, atMs: number): boolean {
    if (alert.state === 'firing' && this.config.keepFiringForMs > 0) {
      alert.keepFiringSinceMs ??= atMs;
      if (atMs - alert.keepFiringSinceMs < this.config.keepFiringForMs) return true;
    }
    if (alert.state === 'pending' || (alert.resolvedAtMs !== undefined && atMs - alert.resolvedAtMs > RESOLVED_RETENTION_MS)) {
      this.#alerts.delete(key);
    } else if (alert.state === 'firing') {
      alert.state = 'inactive';
      alert.resolvedAtMs = atMs;
    }
    return false;
  }
}

function compile(texts: LabelTexts): readonly (readonly [string, Template])[] {
  return texts.map(([name, text]) => {
    const { template, problems } = parseTemplate(text);
    if (problems.length > 0) throw new RulerError('ERR_TEMPLATE', `read template of ${name}: ${problems[0]!.message}`);
    return [name, template];
  });
}

function seriesOf(alert: Alert, timestampMs: number): RuleSample[] {
  const alertsLabels = new LabelsBuilder(alert.labels).set(METRIC_NAME, ALERTS_METRIC).set('alertstate', alert.state).labels();
  return [
    { labels: alertsLabels, timestampMs, value: 1, stale: false },
    { labels: forStateLabels(alert.labels), timestampMs, value: Math.floor(alert.activeAtMs / 1000), stale: false },
  ];
}

function forStateLabels(alertLabels: Labels): Labels {
  return new LabelsBuilder(alertLabels).set(METRIC_NAME, ALERTS_FOR_STATE_METRIC).labels();
}
