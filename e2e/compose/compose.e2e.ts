/**
 * The stack of docker-compose.yml as a user gets it: builds the image, comes up, answers over live and old data of both replicas,
 * evaluates rules, brings an alert to its receiver, compacts the bucket, and goes without leaving anything behind.
 */
import { join } from 'node:path';
import { SHOP_INSTANCES, shopModel } from '@gauntlet/standalone/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { getApi, instant, instantAnswer } from '../harness/api.ts';
import { waitFor } from '../harness/process.ts';
import { ROOT, run, Stack } from './stack.ts';

const ONCE = ['bucket', 'history'];
const OURS = ['bucket', 'compact', 'history', 'query', 'rule', 'shop', 'sidecar-a', 'sidecar-b', 'store', 'webhook'];
const OTHERS = ['alertmanager', 'minio', 'node-exporter', 'prometheus-a', 'prometheus-b'];
const STEP_S = 15;
const HOUR_S = 3600;

interface RuleGroups {
  readonly groups: readonly { readonly name: string; readonly rules: readonly { readonly name: string; readonly type: string; readonly health: string; readonly lastError?: string }[] }[];
}
interface WebhookAlert {
  readonly path: string;
  readonly receiver: string;
  readonly status: string;
  readonly labels: Readonly<Record<string, string>>;
}

describe('docker compose', () => {
  const stack = new Stack(`gauntlet-e2e-${process.pid}`);
  let isUp = false;
  let query = '';
  let rule = '';

  beforeAll(async () => {
    await stack.compose('build', 'shop');
    await stack.compose('up', '-d');
    await stack.healthy(300_000);
    query = await stack.url('query', 10902);
    rule = await stack.url('rule', 10902);
    isUp = true;
  }, 1_500_000);

  afterAll(async () => {
    if (!isUp) for (const service of OURS) process.stderr.write(`--- ${service}\n${await stack.logs(service).catch(() => '')}\n`);
    await stack.compose('down', '-v', '--remove-orphans');
    await run('docker', ['rmi', stack.image]);
  }, 300_000);

  test('the image runs without root, without a shell entry point, under both names', async () => {
    const { stdout } = await run('docker', ['inspect', stack.image]);
    const [{ Config: config }] = JSON.parse(stdout) as [{ Config: { User: string; Entrypoint: string[]; Healthcheck: { Test: string[] }; Labels: Record<string, string>; Env: string[] } }];
    expect(config).toMatchObject({ User: '65534:65534', Entrypoint: ['/bin/gauntlet'], Healthcheck: { Test: ['CMD', '/bin/gauntlet', 'healthcheck'] } });
    expect(config.Labels).toMatchObject({ 'org.opencontainers.image.title': 'gauntlet', 'org.opencontainers.image.licenses': 'Apache-2.0' });
    expect(config.Env.filter((line) => /secret|token|password|key_id/i.test(line))).toEqual([]);
    const hardened = ['run', '--rm', '--read-only', '--cap-drop=ALL', '--security-opt=no-new-privileges', '--network=none'];
    const thanos = await run('docker', [...hardened, '--entrypoint=/bin/thanos', stack.image, 'sidecar', '--help']);
    expect({ code: thanos.code, first: thanos.stdout.split('\n')[0] }).toEqual({ code: 0, first: 'usage: gauntlet sidecar [<flags>]' });
    const unwell = await run('docker', [...hardened, stack.image, 'healthcheck']);
    expect({ code: unwell.code, output: unwell.output }).toEqual({ code: 1, output: expect.stringContaining('http://127.0.0.1:10902/-/healthy: ') });
  });

  test('every service runs hardened and is well, on loopback alone', async () => {
    const containers = await stack.containers();
    expect([...containers.keys()].sort()).toEqual([...OURS, ...OTHERS].sort());
    for (const [service, { Config, HostConfig, State, RestartCount }] of containers) {
      const facts = {
        service,
        user: Config.User,
        isReadOnly: HostConfig.ReadonlyRootfs,
        capDrop: HostConfig.CapDrop,
        capAdd: HostConfig.CapAdd ?? [],
        isPrivileged: HostConfig.Privileged,
        noNewPrivileges: HostConfig.SecurityOpt?.some((option) => option.startsWith('no-new-privileges')),
        hasMemoryLimit: HostConfig.Memory > 0,
        hosts: [...new Set(Object.values(HostConfig.PortBindings ?? {}).flatMap((bindings) => (bindings ?? []).map(({ HostIp }) => HostIp)))].filter((host) => host !== '127.0.0.1'),
        state: ONCE.includes(service) ? `${State.Status} ${State.ExitCode}` : State.Status,
        oomKilled: State.OOMKilled,
        restarts: RestartCount,
      };
      expect(facts).toEqual({
        service,
        user: service === 'minio' ? Config.User : '65534:65534',
        isReadOnly: true,
        capDrop: ['ALL'],
        capAdd: [],
        isPrivileged: false,
        noNewPrivileges: true,
        hasMemoryLimit: true,
        hosts: [],
        state: ONCE.includes(service) ? 'exited 0' : 'running',
        oomKilled: false,
        restarts: 0,
      });
    }
  });

  test('Prometheus and Alertmanager take the files, and the rules pass their unit tests', async () => {
    expect(await stack.exec('prometheus-a', 'promtool', 'check', 'config', '/etc/prometheus/prometheus.yml')).toContain('SUCCESS');
    const promtool = await run('docker', ['run', '--rm', '--network=none', `--volume=${join(ROOT, 'deploy', 'compose')}:/rules:ro`, '--entrypoint=promtool', (await stack.containers()).get('prometheus-a')!.Config.Image, 'test', 'rules', '/rules/rules-test/rules.test.yml']);
    expect({ code: promtool.code, output: promtool.output }).toEqual({ code: 0, output: expect.stringContaining('SUCCESS') });
    expect(await stack.exec('alertmanager', 'amtool', 'check-config', '/etc/alertmanager/alertmanager.yml')).toContain('SUCCESS');
  });

  test('what both Prometheis scrape is one series of each, and two without deduplication', async () => {
    await waitFor('live samples of all targets in the querier', async () => (await instant(query, 'count(up == 1) == 13', Date.now() / 1000)).length > 0, { timeoutMs: 120_000 });
    const nowS = Date.now() / 1000;
    // Not the generated history: its last samples are as young as the stack.
    const live = 'up{job="shop",origin=""}';
    const both = await instant(query, live, nowS, { dedup: 'false' });
    expect(both.map(({ metric }) => `${metric['instance']} ${metric['replica']}`).sort()).toEqual(SHOP_INSTANCES.flatMap((instance) => [`${instance} a`, `${instance} b`]));
    const { result, warnings } = await instantAnswer(query, 'up{job="shop"}', nowS);
    expect(warnings).toEqual([]);
    expect(result.map(({ metric }) => metric).sort((a, b) => (a['instance']! < b['instance']! ? -1 : 1))).toEqual(
      SHOP_INSTANCES.map((instance) => ({ __name__: 'up', cluster: 'demo', environment: 'demo', instance, job: 'shop', service: 'shop' })),
    );
    expect(await instant(query, 'count(up == 0)', nowS)).toEqual([]);
  }, 150_000);

  test('old blocks come from the bucket through the store, value for value', async () => {
    const { data } = await getApi<Record<string, { labelSets: Record<string, string>[]; lastError: string | null }[]>>(query, 'stores');
    expect(Object.keys(data).sort()).toEqual(['rule', 'sidecar', 'store']);
    expect(data['store']![0]!.labelSets).toEqual(expect.arrayContaining([{ cluster: 'demo', origin: 'generated', replica: 'a' }, { cluster: 'demo', origin: 'generated', replica: 'b' }]));
    const atS = Math.floor(Date.now() / 1000) - 24 * HOUR_S;
    for (const [index, instance] of SHOP_INSTANCES.entries()) {
      const result = await instant(query, `http_requests_total{instance="${instance}",job="shop"}[1h]`, atS);
      const series = shopModel(index).find(({ name }) => name === 'http_requests_total')!.series;
      expect(result).toHaveLength(series.length);
      for (const { metric, values } of result) {
        const model = series.find(({ labels }) => labels.every(([name, value]) => metric[name] === value))!;
        expect(values!.length).toBeGreaterThanOrEqual(HOUR_S / STEP_S - 1);
        const wrong = values!.find(([tS, text]) => model.valueAt(Math.round(tS * 1000)) !== Number(text));
        expect(wrong).toBeUndefined();
      }
    }
  });

  test('history and live data are one curve', async () => {
    const nowS = Date.now() / 1000;
    const [resets] = await instant(query, 'sum(resets(http_requests_total{job="shop",status="200"}[1h]))', nowS);
    // Counters of the shop begin anew on Mondays at midnight alone.
    const sinceMondayS = (((nowS - 4 * 24 * HOUR_S) % (7 * 24 * HOUR_S)) + 7 * 24 * HOUR_S) % (7 * 24 * HOUR_S);
    expect(Number(resets!.value![1])).toBe(sinceMondayS < 2 * HOUR_S ? Number(resets!.value![1]) : 0);
  });

  test('all rules are well, on the ruler’s page and in the querier', async () => {
    const ruleNames = await waitFor('every rule evaluated', async () => {
      const { data } = await getApi<RuleGroups>(rule, 'rules');
      const rules = data.groups.flatMap((group) => group.rules);
      const bad = rules.filter(({ health }) => health !== 'ok').map(({ name, lastError }) => `${name}: ${lastError ?? ''}`);
      if (bad.length > 0) throw new Error(bad.join('; '));
      return rules.length > 0 && rules.map(({ name }) => name).sort();
    }, { timeoutMs: 90_000 });
    expect(ruleNames).toEqual(expect.arrayContaining(['Watchdog', 'HighErrorRate', 'job:http_requests:rate5m', 'node:cpu_usage:percentage']));
    const { data } = await getApi<RuleGroups>(query, 'rules');
    expect(data.groups.flatMap((group) => group.rules.map(({ name }) => name)).sort()).toEqual(ruleNames);
  }, 120_000);

  test('what a rule records can be queried, without the label of the ruler', async () => {
    const [recorded] = await waitFor('job:http_requests:rate5m of the shop', async () => {
      const found = await instant(query, 'job:http_requests:rate5m{job="shop"}', Date.now() / 1000);
      return found.length > 0 && found;
    }, { timeoutMs: 90_000 });
    expect(recorded!.metric).toEqual({ __name__: 'job:http_requests:rate5m', cluster: 'demo', job: 'shop', service: 'shop' });
    expect(Number(recorded!.value![1])).toBeGreaterThan(10);
  }, 120_000);

  test('an alert reaches its receiver, without the label of the ruler', async () => {
    const webhook = await stack.url('webhook', 10902);
    const watchdog = await waitFor('the Watchdog at the webhook', async () => ((await (await fetch(`${webhook}/alerts`)).json()) as WebhookAlert[]).find(({ labels }) => labels['alertname'] === 'Watchdog'), { timeoutMs: 120_000 });
    expect(watchdog).toMatchObject({ path: '/watchdog', receiver: 'watchdog', status: 'firing', labels: { alertname: 'Watchdog', cluster: 'demo', service: 'gauntlet', severity: 'none' } });
    expect(watchdog.labels).not.toHaveProperty('ruler');
  }, 150_000);

  test('the compactor compacts the history, and the answers stay as they were', async () => {
    const compact = await stack.url('compact', 10902);
    const value = async (name: string): Promise<number> => {
      const text = await (await fetch(`${compact}/metrics`)).text();
      return [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'gm'))].reduce((sum, [, number]) => sum + Number(number), 0);
    };
    await waitFor('a compaction', async () => (await value('thanos_compact_group_compactions_total')) > 0 && (await value('thanos_compact_iterations_total')) > 0, { timeoutMs: 180_000 });
    expect([await value('thanos_compact_halted'), await value('thanos_compact_group_compactions_failures_total')]).toEqual([0, 0]);
    const atS = Math.floor(Date.now() / 1000) - 30 * HOUR_S;
    const [{ value: counted } = { value: undefined }] = await instant(query, 'count_over_time(up{job="shop",instance="shop-0"}[2h])', atS);
    expect(Math.abs(Number(counted?.[1]) - (2 * HOUR_S) / STEP_S)).toBeLessThanOrEqual(1);
  }, 240_000);

  test('a replica that goes away is missed by name and leaves no hole', async () => {
    await stack.compose('stop', 'prometheus-b', 'sidecar-b');
    await waitFor('the querier to notice', async () => {
      const { data } = await getApi<Record<string, { name: string; lastError: string | null }[]>>(query, 'stores');
      return data['sidecar']?.some(({ name, lastError }) => name.startsWith('sidecar-b') && lastError !== null);
    }, { timeoutMs: 60_000 });
    const { result, warnings } = await instantAnswer(query, 'count(up{job="shop"} == 1)', Date.now() / 1000);
    expect(result[0]?.value?.[1]).toBe('3');
    expect(warnings.join()).toContain('sidecar-b:10901');
  });

  test('asked to stop, every service ends well within its grace period', async () => {
    await stack.compose('stop');
    const ends = [...(await stack.containers())].map(([service, { State }]) => `${service} ${State.Status} ${State.ExitCode}`);
    // node-exporter knows no other end than by the signal.
    expect(ends.filter((end) => !end.endsWith(' exited 0') && !end.startsWith('node-exporter ')).sort()).toEqual([]);
  }, 180_000);

  test('down -v leaves nothing', async () => {
    await stack.compose('down', '-v');
    expect(await stack.leftovers()).toEqual([]);
  }, 180_000);
});
