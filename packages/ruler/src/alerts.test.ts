/** Alerts from evaluation to Alertmanager: final labels, queue, batches, sending. */
import { labelsFromMap } from '@gauntlet/model';
import { createHttpClient, createMetrics, createNopLogger, DEFAULT_HTTP_CLIENT, type Metrics } from '@gauntlet/service-kit';
import { describe, expect, test } from '@jest/globals';
import { createAlertQueue, type AlertQueueOptions } from './alert-queue.ts';
import { alertsJson, createAlertSender } from './alert-sender.ts';
import { compileRelabel, parseAlertRelabel } from './alertmanager-config.ts';
import { startFakeAlertmanager } from './testing/fake-servers.ts';
import type { OutgoingAlert } from './types.ts';

const alert = (labels: Record<string, string>, more: Partial<OutgoingAlert> = {}): OutgoingAlert => ({ labels: labelsFromMap(labels), annotations: labelsFromMap({ summary: 's' }), startsAtMs: 1000, endsAtMs: 61_000, expr: 'up == 0', ...more });
const NONE: AlertQueueOptions = { externalLabels: [], dropLabels: [], relabel: [] };
const value = async (metrics: Metrics, name: string): Promise<number | undefined> => (await metrics.registry.snapshot()).find((family) => family.name === name)?.samples[0]?.value;

function queueOf(options: Partial<AlertQueueOptions> = {}, metrics = createMetrics()) {
  return createAlertQueue({ log: createNopLogger(), metrics, generatorUrl: (expr) => `http://q/${expr}` }, { ...NONE, ...options });
}

describe('labels', () => {
  const externalLabels = labelsFromMap({ region: 'eu', replica: '0' });
  interface Case {
    readonly name: string;
    readonly given: Record<string, string>;
    readonly options: Parameters<typeof queueOf>[0];
    readonly wanted: Record<string, string>;
  }
  test.each<Case>([
    { name: 'external labels are added, and win', given: { alertname: 'A', region: 'us' }, options: { externalLabels }, wanted: { alertname: 'A', region: 'eu', replica: '0' } },
    { name: 'dropped labels go from alert and external labels', given: { alertname: 'A', host: 'x' }, options: { externalLabels, dropLabels: ['replica', 'host'] }, wanted: { alertname: 'A', region: 'eu' } },
    { name: 'relabelling sees the external labels', given: { alertname: 'A' }, options: { externalLabels, relabel: compileRelabel(parseAlertRelabel('- {source_labels: [region], target_label: zone}\n- {action: labeldrop, regex: region}', 'r')) }, wanted: { alertname: 'A', replica: '0', zone: 'eu' } },
  ])('$name', async ({ given, options, wanted }) => {
    const queue = queueOf(options);
    queue.send([alert(given)]);
    expect((await queue.pop(AbortSignal.timeout(1000)))[0]!.labels).toEqual(labelsFromMap(wanted));
  });

  test('relabelling drops alerts', () => {
    const queue = queueOf({ relabel: compileRelabel(parseAlertRelabel('- {action: drop, source_labels: [severity], regex: info}', 'r')) });
    queue.send([alert({ alertname: 'A', severity: 'info' }), alert({ alertname: 'B' })]);
    expect(queue.length).toBe(1);
  });
});

describe('queue', () => {
  test('gives batches in order, the oldest alerts go when it is full', async () => {
    const metrics = createMetrics();
    const queue = queueOf({ capacity: 5, batchMax: 2 }, metrics);
    queue.send(Array.from({ length: 4 }, (_, i) => alert({ alertname: `A${i}` })));
    queue.send(Array.from({ length: 3 }, (_, i) => alert({ alertname: `B${i}` })));
    const names: (string | undefined)[][] = [];
    while (queue.length > 0) names.push((await queue.pop(AbortSignal.timeout(1000))).map(({ labels }) => labels[1]));
    expect(names).toEqual([['A2', 'A3'], ['B0', 'B1'], ['B2']]);
    expect(await value(metrics, 'thanos_alert_queue_alerts_dropped_total')).toBe(2);
    expect(await value(metrics, 'thanos_alert_queue_alerts_pushed_total')).toBe(7);
    expect(await value(metrics, 'thanos_alert_queue_alerts_popped_total')).toBe(5);
    expect(await value(metrics, 'thanos_alert_queue_capacity')).toBe(5);
  });

  test('pop waits for the next alert, or for the signal', async () => {
    const queue = queueOf();
    const waiting = queue.pop(new AbortController().signal);
    queue.send([alert({ alertname: 'A' })]);
    expect(await waiting).toHaveLength(1);
    const stop = new AbortController();
    const stopped = queue.pop(stop.signal);
    stop.abort(new Error('enough'));
    await expect(stopped).rejects.toThrow('enough');
  });
});

describe('sender', () => {
  const queued = (count: number) => Array.from({ length: count }, (_, i) => ({ labels: labelsFromMap({ alertname: `A${i}`, __proto__x: '1' }), annotations: labelsFromMap({ summary: 'text' }), startsAtMs: Date.UTC(2026, 10, 21, 7, 35, 45, 406), endsAtMs: Date.UTC(2026, 10, 21, 7, 36, 5, 406), generatorUrl: 'http://q/graph' }));
  const group = (urls: readonly string[], api: 'v1' | 'v2' = 'v2', timeoutMs = 5000) => ({ http: createHttpClient(DEFAULT_HTTP_CLIENT, { userAgent: 'Gauntlet/test', clock: Date.now }), timeoutMs, api, endpoints: () => urls });

  test('every Alertmanager gets every batch; one that takes it is enough', async () => {
    const [good, bad, old] = [await startFakeAlertmanager(), await startFakeAlertmanager(), await startFakeAlertmanager()];
    bad.status = 500;
    const metrics = createMetrics();
    const groups = [group([good.url, bad.url, 'http://127.0.0.1:1']), group([`${old.url}/prefix`], 'v1')];
    const sender = createAlertSender({ log: createNopLogger(), metrics, clock: Date.now, groups });
    try {
      expect(await sender.send(queued(2))).toBe(true);
      expect(good.posts).toMatchObject([{ path: '/api/v2/alerts', alerts: [{ labels: { alertname: 'A0' }, startsAt: '2026-11-21T07:35:45.406Z', endsAt: '2026-11-21T07:36:05.406Z', generatorURL: 'http://q/graph' }, { labels: { alertname: 'A1' } }] }]);
      expect(bad.posts).toHaveLength(1);
      expect(old.posts).toMatchObject([{ path: '/prefix/api/v1/alerts' }]);
      const families = await metrics.registry.snapshot();
      const samples = (name: string) => Object.fromEntries(families.find((family) => family.name === name)!.samples.map(({ labels, value: v }) => [labels[1], v]));
      expect(samples('thanos_alert_sender_alerts_sent_total')).toEqual({ [good.address]: 2, [old.address]: 2 });
      expect(samples('thanos_alert_sender_errors_total')).toEqual({ [bad.address]: 1, '127.0.0.1:1': 1 });
      expect(await value(metrics, 'thanos_alert_sender_alerts_dropped_total')).toBe(0);

      good.status = old.status = 503;
      expect(await sender.send(queued(3))).toBe(false);
      expect(await value(metrics, 'thanos_alert_sender_alerts_dropped_total')).toBe(3);
    } finally {
      for (const { http } of groups) http.close();
      await Promise.all([good.close(), bad.close(), old.close()]);
    }
  });

  test('the body of v2 is what Thanos sends', () => {
    // Recorded from Thanos; see golden/rules, alertmanager-posts.jsonl.
    const recorded = '[{"annotations":{"summary":"always 1"},"endsAt":"2026-11-21T07:36:05.406Z","startsAt":"2026-11-21T07:35:45.406Z","generatorURL":"http://thanos.example.org/q/graph?g0.expr=vector%281%29&g0.tab=1","labels":{"alertname":"Always","region":"eu","severity":"page","team":"core"}}]';
    const labels = labelsFromMap({ alertname: 'Always', region: 'eu', severity: 'page', team: 'core' });
    const [one] = queued(1);
    expect(alertsJson([{ ...one!, labels, annotations: labelsFromMap({ summary: 'always 1' }), generatorUrl: 'http://thanos.example.org/q/graph?g0.expr=vector%281%29&g0.tab=1' }], 'v2')).toBe(recorded);
  });

  test('a label named __proto__ arrives', () => expect(alertsJson([{ ...queued(1)[0]!, labels: ['__proto__', 'x'] }], 'v1')).toContain('"labels":{"__proto__":"x"}'));
});
