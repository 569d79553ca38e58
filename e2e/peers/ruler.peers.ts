/**
 * A ruler between real programs, told as one story:
 *
 *   gauges ◄── Prometheus ── sidecar ──┐                    ┌──► Alertmanager ──► webhook
 *                                      ├── querier ◄── ruler
 *                MinIO ◄── store ──────┤               │ │
 *                  ▲                   └───────────────┘ │
 *                  └──────────── blocks of 10 s ─────────┘
 *
 * The test opens doors (a gauge becomes 1), and what people would notice follows.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createBucketFromConfig } from '@gauntlet/objstore';
import { createNopLogger } from '@gauntlet/service-kit';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type ApiSeries, getApi, instant, instantAnswer, labelsKey } from '../harness/api.ts';
import { describeWithPeers } from '../harness/describe-peers.ts';
import { type Service, startService } from '../harness/gauntlet.ts';
import { type PeerServer, startAlertmanager, startPrometheus } from '../harness/peers.ts';
import { freePort, temporaryDir, waitFor } from '../harness/process.ts';
import { type ApiAlert, type GaugeTarget, groupsOf, ruleOf, startGaugeTarget } from '../harness/rules.ts';
import { type S3, S3_PEERS, openS3 } from '../harness/s3.ts';
import { type NotifiedAlert, type Webhook, startWebhook } from '../harness/webhook.ts';

const DOORS = `groups:
- name: doors
  interval: 1s
  rules:
  - alert: DoorOpen
    expr: door == 1
    for: 3s
    labels: {severity: page, team: '{{ $labels.name }}-wing'}
    annotations: {summary: 'door {{ $labels.name }} in {{ $externalLabels.region }} is {{ $value | humanize }}'}
`;
// With an offset, everything an evaluation asks for has been scraped: Prometheus itself says later what it had to find.
const waves = (expr = 'sum by (instance) (wave)'): string => `groups:
- name: waves
  interval: 1s
  query_offset: 3s
  rules:
  - record: instance:wave:sum
    expr: ${expr}
    labels: {kind: recorded}
- name: now
  interval: 1s
  rules:
  - {record: 'now:wave:max', expr: max(wave)}
`;
const NORTH = 'door{name="north"}';
const SOUTH = 'door{name="south"}';
const SEND_TIMEOUT_S = 5;

describeWithPeers('a ruler between Prometheus, MinIO and Alertmanager', ['prometheus', 'alertmanager', ...S3_PEERS], () => {
  const rulesDir = temporaryDir('rule-files');
  const queryTargets = join(temporaryDir('targets'), 'query.json');
  const storeTargets = join(temporaryDir('targets'), 'stores.json');
  let alertmanagerPort: number;
  let target: GaugeTarget;
  let webhook: Webhook;
  let s3: S3;
  let prometheus: PeerServer;
  let alertmanager: PeerServer;
  let sidecar: Service;
  let store: Service;
  let ruler: Service;
  let querier: Service;
  let twin: Service | undefined;
  let objstore: string;

  const writeTargets = (file: string, targets: readonly string[]): void => writeFileSync(file, JSON.stringify([{ targets }]));
  const startRuler = (name: string): Promise<Service> =>
    startService('rule', [
      `--query.sd-files=${queryTargets}`, `--alertmanagers.url=http://127.0.0.1:${alertmanagerPort}`, `--rule-file=${rulesDir}/*.yml`, `--data-dir=${temporaryDir(name)}`, `--objstore.config=${objstore}`,
      '--label=region="eu"', '--label=replica="r0"', '--alert.label-drop=replica', '--alert.query-url=http://query.example', '--resend-delay=1s', `--alertmanagers.send-timeout=${SEND_TIMEOUT_S}s`,
      '--tsdb.block-duration=10s', '--tsdb.retention=10s', '--shipper.interval=1s', '--shipper.keep-uploaded=10s',
    ], { name });
  const startOwnAlertmanager = (): Promise<PeerServer> => startAlertmanager({ webhookUrl: webhook.url, port: alertmanagerPort });
  const metric = async (service: Service, pattern: string): Promise<string[]> => [...(await (await fetch(`${service.url}/metrics`)).text()).matchAll(new RegExp(`^${pattern} (\\S+)$`, 'gm'))].map((found) => found[1]!);
  const reload = async (): Promise<{ readonly status: number; readonly text: string }> => {
    const response = await fetch(`${ruler.url}/-/reload`, { method: 'POST' });
    return { status: response.status, text: await response.text() };
  };
  const lastEvaluationMs = async (name: string): Promise<number> => Date.parse((await ruleOf(ruler.url, name)).lastEvaluation);
  const alertsOf = async (url: string, name: string): Promise<readonly ApiAlert[]> => (await ruleOf(url, 'DoorOpen')).alerts!.filter(({ labels }) => labels['name'] === name);
  const told = (name: string, status: NotifiedAlert['status']): NotifiedAlert | undefined => webhook.alerts.find((alert) => alert.labels['name'] === name && alert.status === status);

  beforeAll(async () => {
    target = await startGaugeTarget(new Map<string, number | (() => number)>([
      [NORTH, 0],
      [SOUTH, 0],
      ['wave{phase="0"}', () => Math.sin(Date.now() / 3000)],
      ['wave{phase="1"}', () => Math.cos(Date.now() / 7000) * 1e-9],
    ]));
    webhook = await startWebhook();
    s3 = await openS3();
    objstore = await s3.createBucket(`gauntlet-ruler-${process.pid}-${Date.now()}`);
    alertmanagerPort = await freePort();
    [alertmanager, prometheus] = await Promise.all([
      startOwnAlertmanager(),
      startPrometheus({ config: `global: {scrape_interval: 1s, scrape_timeout: 1s, external_labels: {cluster: peers, replica: a}}\nscrape_configs:\n- {job_name: house, static_configs: [{targets: ['${target.address}'], labels: {instance: house-1}}]}\n` }),
    ]);
    writeFileSync(join(rulesDir, 'doors.yml'), DOORS);
    writeFileSync(join(rulesDir, 'waves.yml'), waves());
    writeTargets(queryTargets, []);
    writeTargets(storeTargets, []);
    sidecar = await startService('sidecar', [`--prometheus.url=${prometheus.url}`, '--prometheus.get_config_interval=1s']);
    store = await startService('store', [`--objstore.config=${objstore}`, `--data-dir=${temporaryDir('store')}`, '--sync-block-duration=1s']);
    ruler = await startRuler('ruler');
    querier = await startService('query', ['--query.replica-label=replica', ...[sidecar, store, ruler].map(({ grpc }) => `--endpoint=${grpc}`), `--store.sd-files=${storeTargets}`]);
    // The ruler is told where its querier is while it runs.
    writeTargets(queryTargets, [querier.url.replace('http://', '')]);
    await waitFor('evaluations that find something', async () => (await instant(querier.url, 'instance:wave:sum', Date.now() / 1000)).length > 0, { process: ruler.process, timeoutMs: 60_000 });
  }, 180_000);

  afterAll(async () => {
    await Promise.allSettled([twin?.stop(), ruler?.stop(), querier?.stop(), store?.stop(), sidecar?.stop(), prometheus?.stop()]);
    await Promise.allSettled([alertmanager?.stop('SIGKILL'), s3?.stop(), target?.stop(), webhook?.stop()]);
  }, 60_000);

  test('an open door: pending, firing, told of, and told of when it is closed', async () => {
    expect(await alertsOf(ruler.url, 'north')).toEqual([]);
    target.gauges.set(NORTH, 1);
    const [pending] = await waitFor('a pending alert', async () => {
      const alerts = await alertsOf(ruler.url, 'north');
      return alerts[0]?.state === 'pending' && alerts;
    }, { process: ruler.process, timeoutMs: 60_000 });
    const own = { alertname: 'DoorOpen', cluster: 'peers', instance: 'house-1', job: 'house', name: 'north', severity: 'page', team: 'north-wing' };
    const annotations = { summary: 'door north in eu is 1' };
    // As with Thanos, rules show external labels, their alerts do not; they are on the alerts that are sent, less the replica's.
    expect(pending).toMatchObject({ annotations, value: '1e+00' });
    expect(pending!.labels).toEqual(own);
    expect((await ruleOf(ruler.url, 'DoorOpen')).labels).toMatchObject({ severity: 'page', region: 'eu', replica: 'r0' });
    expect(webhook.alerts).toEqual([]);

    const firing = await waitFor('a firing alert', async () => {
      const [alert] = await alertsOf(ruler.url, 'north');
      return alert?.state === 'firing' && alert;
    }, { process: ruler.process, timeoutMs: 60_000 });
    expect(firing.activeAt).toBe(pending!.activeAt);
    const notified = await waitFor('the webhook', async () => told('north', 'firing'), { process: ruler.process, timeoutMs: 60_000 });
    expect(notified).toMatchObject({ labels: { ...own, region: 'eu' }, annotations, generatorURL: 'http://query.example/graph?g0.expr=door+%3D%3D+1&g0.tab=1' });
    expect(notified.labels).not.toHaveProperty('replica');
    expect(Date.parse(notified.startsAt) - Date.parse(firing.activeAt)).toBeGreaterThanOrEqual(3000);

    const held = (await (await fetch(`${alertmanager.url}/api/v2/alerts`)).json()) as readonly (NotifiedAlert & { readonly receivers: readonly unknown[] })[];
    expect(held).toMatchObject([{ labels: notified.labels, annotations, generatorURL: notified.generatorURL, receivers: [{ name: 'webhook' }] }]);
    expect(Object.keys(held[0]!.labels).sort()).toEqual([...Object.keys(own), 'region'].sort());

    // The querier shows the same rule and alert, and the alert as series.
    const atQuerier = await ruleOf(querier.url, 'DoorOpen');
    expect(atQuerier).toMatchObject({ query: 'door == 1', type: 'alerting', state: 'firing', labels: { severity: 'page', region: 'eu' } });
    expect(atQuerier.labels).not.toHaveProperty('replica');
    expect(atQuerier.alerts).toMatchObject([{ state: 'firing', labels: own, annotations, activeAt: firing.activeAt }]);
    const series = await instant(querier.url, 'ALERTS{alertname="DoorOpen",name="north"}', Date.now() / 1000);
    expect(series.map(({ metric, value }) => [metric, value![1]])).toEqual([[{ __name__: 'ALERTS', alertstate: 'firing', ...own, region: 'eu' }, '1']]);
    const [since] = await instant(querier.url, 'ALERTS_FOR_STATE{name="north"}', Date.now() / 1000);
    expect(Number(since!.value![1])).toBe(Math.floor(Date.parse(firing.activeAt) / 1000));

    target.gauges.set(NORTH, 0);
    const resolved = await waitFor('the resolved alert at the webhook', async () => told('north', 'resolved'), { process: ruler.process, timeoutMs: 60_000 });
    expect(resolved.labels).toEqual(notified.labels);
    expect(Date.parse(resolved.endsAt)).toBeGreaterThan(Date.parse(resolved.startsAt));
    await waitFor('an inactive rule at the querier', async () => (await ruleOf(querier.url, 'DoorOpen')).state === 'inactive', { process: querier.process });
    await waitFor('the end of the series', async () => (await instant(querier.url, 'ALERTS{name="north"}', Date.now() / 1000)).length === 0, { process: querier.process });
  }, 240_000);

  test('what was evaluated last is there at once', async () => {
    for (let i = 0; i < 5; i++) {
      const evaluatedMs = await lastEvaluationMs('now:wave:max');
      // The slot of an evaluation is at most an interval before it.
      const [series] = await instant(querier.url, 'now:wave:max[1s]', evaluatedMs / 1000);
      expect(series).toMatchObject({ metric: { __name__: 'now:wave:max', region: 'eu' }, values: [[expect.any(Number), expect.any(String)]] });
      await waitFor('the next evaluation', async () => (await lastEvaluationMs('now:wave:max')) > evaluatedMs, { process: ruler.process });
    }
  }, 60_000);

  test('recorded samples are what Prometheus finds, and the same to the bit once only the bucket has them', async () => {
    const atS = (await lastEvaluationMs('instance:wave:sum')) / 1000 - 4;
    const read = async (): Promise<{ readonly result: readonly ApiSeries[]; readonly warnings: readonly string[] }> => instantAnswer(querier.url, 'instance:wave:sum[8s]', atS, { dedup: 'false', partial_response: 'false' });
    const before = await read();
    expect(before.warnings).toEqual([]);
    expect(before.result.map(({ metric }) => metric)).toEqual([{ __name__: 'instance:wave:sum', instance: 'house-1', kind: 'recorded', region: 'eu', replica: 'r0' }]);
    const { values } = before.result[0]!;
    expect(values!.length).toBeGreaterThan(4);
    for (const [t, v] of values!) {
      // A scrape has the time of its beginning: one that was still under way when the rule was evaluated is found only later.
      const now = await instant(prometheus.url, 'sum by (instance) (wave)', t);
      const scrapeBefore = await instant(prometheus.url, 'sum by (instance) (wave)', t - 1);
      expect([now, scrapeBefore].map(([found]) => found!.value![1])).toContain(v);
      expect(now.map(({ metric }) => metric)).toEqual([{ instance: 'house-1' }]);
    }

    await waitFor('the samples in the bucket and no more in the ruler', async () => {
      const { data } = await getApi<Record<string, readonly { readonly minTime: number; readonly maxTime: number }[]>>(querier.url, 'stores');
      return data['store']![0]!.maxTime > atS * 1000 && data['rule']![0]!.minTime > atS * 1000;
    }, { process: ruler.process, timeoutMs: 120_000 });
    expect(await read()).toEqual(before);

    const bucket = await createBucketFromConfig(objstore, { component: 'peers', source: 'peers', log: createNopLogger() });
    const metas: { thanos: { labels: Record<string, string>; source: string }; minTime: number; maxTime: number }[] = [];
    for await (const key of bucket.iter('', { recursive: true })) if (key.endsWith('/meta.json')) metas.push(JSON.parse(Buffer.from(await bucket.get(key)).toString()) as (typeof metas)[number]);
    await bucket.close();
    expect(metas.length).toBeGreaterThan(0);
    for (const { thanos, minTime, maxTime } of metas) {
      expect(thanos).toMatchObject({ source: 'ruler', labels: { region: 'eu', replica: 'r0' } });
      expect(maxTime - minTime).toBeLessThanOrEqual(10_000);
    }
  }, 180_000);

  test('a broken rule file leaves the others alone; the answer says where it is broken', async () => {
    const broken = join(rulesDir, 'broken.yml');
    const names = async (): Promise<readonly string[]> => (await groupsOf(ruler.url)).map(({ name }) => name).sort();
    writeFileSync(broken, 'groups:\n- name: broken\n  rules:\n  - record: a:b\n    expr: sum(wave\n  - alert: Shouts\n    expr: wave > 0\n    annotations:\n      summary: \'{{ $labels.phase | toUpper }}\'\n');
    const first = await reload();
    expect(first.status).toBe(500);
    expect(first.text).toMatch(new RegExp(`^${broken}:5:\\d+: .*expr`, 'm'));
    expect(first.text).toMatch(new RegExp(`^${broken}:9:\\d+: .*toUpper`, 'm'));
    expect(await names()).toEqual(['doors', 'now', 'waves']);

    // A file that was good: its groups stay as they were, and run.
    writeFileSync(join(rulesDir, 'waves.yml'), waves('sum by (instance (wave)'));
    const second = await reload();
    expect(second.status).toBe(500);
    expect(second.text).toMatch(new RegExp(`^${join(rulesDir, 'waves.yml')}:7:\\d+: `, 'm'));
    expect(await names()).toEqual(['doors', 'now', 'waves']);
    expect(await metric(ruler, 'thanos_rule_config_last_reload_successful')).toEqual(['0']);
    const sinceMs = Date.now();
    for (const name of ['instance:wave:sum', 'now:wave:max', 'DoorOpen']) await waitFor(`evaluations of ${name}`, async () => (await lastEvaluationMs(name)) > sinceMs + 2000, { process: ruler.process });
    expect(await ruleOf(ruler.url, 'instance:wave:sum')).toMatchObject({ query: 'sum by (instance) (wave)', health: 'ok' });

    writeFileSync(join(rulesDir, 'waves.yml'), waves('sum by (instance, job) (wave)'));
    writeFileSync(broken, 'groups: []\n');
    expect(await reload()).toEqual({ status: 200, text: '' });
    expect(await metric(ruler, 'thanos_rule_config_last_reload_successful')).toEqual(['1']);
    await waitFor('the new rule in the querier', async () => {
      const now = await instant(querier.url, 'instance:wave:sum', Date.now() / 1000);
      return now.some(({ metric: labels }) => labelsKey(labels) === labelsKey({ __name__: 'instance:wave:sum', instance: 'house-1', job: 'house', kind: 'recorded', region: 'eu' }));
    }, { process: ruler.process });
  }, 120_000);

  test('an Alertmanager that hangs and then is gone holds nothing up; it hears of the alert when it is back', async () => {
    process.kill(alertmanager.process.pid, 'SIGSTOP');
    const hungMs = Date.now();
    target.gauges.set(SOUTH, 1);
    await waitFor('a firing alert', async () => (await alertsOf(ruler.url, 'south'))[0]?.state === 'firing', { process: ruler.process, timeoutMs: 60_000 });
    await waitFor('a sending that timed out', async () => Number((await metric(ruler, 'thanos_alert_sender_errors_total\\{[^}]*\\}'))[0] ?? 0) > 0, { process: ruler.process, timeoutMs: 60_000 });
    await alertmanager.stop('SIGKILL');
    const goneMs = Date.now();
    await waitFor('evaluations without an Alertmanager', async () => (await lastEvaluationMs('DoorOpen')) > goneMs + 3000, { process: ruler.process });
    expect(told('south', 'firing')).toBeUndefined();
    expect(Number((await metric(ruler, 'thanos_alert_sender_alerts_dropped_total'))[0])).toBeGreaterThan(0);
    // No evaluation waited for the time-out of a sending.
    const evaluatedMs = await lastEvaluationMs('DoorOpen');
    const [series] = await instant(querier.url, `ALERTS_FOR_STATE{name="south"}[${evaluatedMs - hungMs}ms]`, evaluatedMs / 1000);
    const times = series!.values!.map(([t]) => t);
    expect(times.length).toBeGreaterThan(SEND_TIMEOUT_S);
    expect(Math.max(...times.slice(1).map((t, i) => t - times[i]!))).toBeLessThan(SEND_TIMEOUT_S - 1);

    alertmanager = await startOwnAlertmanager();
    const notified = await waitFor('the webhook', async () => told('south', 'firing'), { process: ruler.process, timeoutMs: 60_000 });
    expect(notified.annotations).toEqual({ summary: 'door south in eu is 1' });
    target.gauges.set(SOUTH, 0);
    const resolved = await waitFor('the resolved alert', async () => told('south', 'resolved'), { process: ruler.process, timeoutMs: 60_000 });
    expect(resolved.startsAt).toBe(notified.startsAt);
  }, 240_000);

  test('a second ruler with the same labels is named by both', async () => {
    expect(await metric(ruler, 'gauntlet_rule_duplicate_label_sets')).toEqual(['0']);
    twin = await startRuler('twin');
    writeTargets(storeTargets, [twin.grpc]);
    const both = [ruler.grpc, twin.grpc].sort().join(', ');
    for (const one of [twin, ruler]) {
      await waitFor('the warning', async () => (await metric(one, 'gauntlet_rule_duplicate_label_sets'))[0] === '1', { process: one.process, timeoutMs: 120_000 });
      const line = await waitFor('the line in the log', async () => one.process.output().split('\n').find((text) => text.includes('several rulers announce the external labels')), { process: one.process });
      expect(line).toContain('level=warn');
      expect(line).toContain(both);
      expect(line).toContain('region');
    }
  }, 240_000);
});
