/**
 * Sends batches of the alert queue to every Alertmanager at once; a batch counts as delivered when one of them took it. What was not
 * delivered is dropped: a firing alert comes again with the resend delay, so an Alertmanager that was away hears of it then.
 * Nothing here is waited for by evaluation. Source: Thanos pkg/alert/alert.go, Sender.
 */
import type { Labels } from '@gauntlet/model';
import { errorText, type HttpClient, type Logger, type Metrics } from '@gauntlet/service-kit';
import type { AlertQueue, QueuedAlert } from './alert-queue.ts';
import type { AlertmanagerApi } from './alertmanager-config.ts';
import { RulerError } from './errors.ts';

/** A set of Alertmanagers with their current addresses. */
export interface AlertmanagerGroup {
  readonly http: HttpClient;
  readonly timeoutMs: number;
  readonly api: AlertmanagerApi;
  /** Base URLs, without a slash at the end. */
  endpoints(): readonly string[];
}

/** What {@link createAlertSender} needs. */
export interface AlertSenderDeps {
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Unix ms. */
  readonly clock: () => number;
  readonly groups: readonly AlertmanagerGroup[];
}

/** See the head of this file. */
export interface AlertSender {
  /** Sends one batch. @returns whether an Alertmanager took it. Never throws. */
  send(alerts: readonly QueuedAlert[], signal?: AbortSignal): Promise<boolean>;
  /** Sends what comes into the queue until the signal is aborted. */
  run(queue: AlertQueue, signal: AbortSignal): Promise<void>;
}

/** Alertmanager answers with a line of JSON. */
const ANSWER_BYTES_MAX = 1 << 20;

/** Makes a sender. */
export function createAlertSender({ log, metrics, clock, groups }: AlertSenderDeps): AlertSender {
  const scope = metrics.withPrefix('thanos_alert_sender_');
  const sent = scope.counter({ name: 'alerts_sent_total', help: 'Total number of alerts sent by alertmanager.', labels: ['alertmanager'] });
  const errors = scope.counter({ name: 'errors_total', help: 'Total number of errors while sending alerts to alertmanager.', labels: ['alertmanager'] });
  const dropped = scope.counter({ name: 'alerts_dropped_total', help: 'Total number of alerts dropped in case of all sends to alertmanagers failed.' });
  const latency = scope.histogram({ name: 'latency_seconds', help: 'Latency for sending alert notifications (not including dropped notifications).', labels: ['alertmanager'] });

  async function post(group: AlertmanagerGroup, endpoint: string, body: string, count: number, signal: AbortSignal | undefined): Promise<boolean> {
    const alertmanager = new URL(endpoint).host;
    const startMs = clock();
    try {
      const answer = await group.http.request(`${endpoint}/api/${group.api}/alerts`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body,
        timeoutMs: group.timeoutMs,
        bytesMax: ANSWER_BYTES_MAX,
        ...(signal === undefined ? {} : { signal }),
      });
      if (answer.status < 200 || answer.status > 299) throw new RulerError('ERR_ALERT', `send alerts to ${alertmanager}: status ${answer.statusText}: ${answer.text.slice(0, 500)}`);
      latency.with({ alertmanager }).observe((clock() - startMs) / 1000);
      sent.with({ alertmanager }).inc(count);
      return true;
    } catch (error) {
      errors.with({ alertmanager }).inc();
      log.warn('sending alerts failed', { alertmanager, numAlerts: count, err: errorText(error) });
      return false;
    }
  }

  async function send(alerts: readonly QueuedAlert[], signal?: AbortSignal): Promise<boolean> {
    if (alerts.length === 0) return true;
    const bodies = new Map<AlertmanagerApi, string>();
    const posts: Promise<boolean>[] = [];
    for (const group of groups) {
      let body = bodies.get(group.api);
      if (body === undefined) bodies.set(group.api, (body = alertsJson(alerts, group.api)));
      for (const endpoint of group.endpoints()) posts.push(post(group, endpoint, body, alerts.length, signal));
    }
    const isDelivered = (await Promise.all(posts)).includes(true);
    if (!isDelivered) {
      dropped.inc(alerts.length);
      if (groups.length > 0) log.warn('no Alertmanager took the alerts', { numAlerts: alerts.length, alertmanagers: posts.length });
    }
    return isDelivered;
  }

  return {
    send,
    async run(queue, signal) {
      while (!signal.aborted) {
        let batch: readonly QueuedAlert[];
        try {
          batch = await queue.pop(signal);
        } catch {
          return;
        }
        await send(batch);
      }
    },
  };
}

/** Body of a request, keys in the order Thanos has them. */
export function alertsJson(alerts: readonly QueuedAlert[], api: AlertmanagerApi): string {
  return JSON.stringify(
    alerts.map(({ labels, annotations, startsAtMs, endsAtMs, generatorUrl }) => {
      const [startsAt, endsAt] = [new Date(startsAtMs).toISOString(), new Date(endsAtMs).toISOString()];
      return api === 'v2'
        ? { annotations: toMap(annotations), endsAt, startsAt, generatorURL: generatorUrl, labels: toMap(labels) }
        : { labels: toMap(labels), annotations: toMap(annotations), startsAt, endsAt, generatorURL: generatorUrl };
    }),
  );
}

function toMap(labels: Labels): Record<string, string> {
  // Without a prototype, so that a label named __proto__ is a key like others.
  const map = Object.create(null) as Record<string, string>;
  for (let i = 0; i < labels.length; i += 2) map[labels[i]!] = labels[i + 1]!;
  return map;
}
