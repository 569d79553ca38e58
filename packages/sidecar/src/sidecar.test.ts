/** Whole sidecars over a fake Prometheus: start-up, readiness, label changes, failures, uploads, refusals. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createMetrics, createNopLogger, createRunGroup, openGrpcChannel, parseFlags, renderMetrics } from '@gauntlet/service-kit';
import { GrpcStoreClient, infoFromMessage } from '@gauntlet/storeapi';
import { FIXTURE_SERIES, readSeries, seriesOf, storeCases } from '@gauntlet/storeapi/testing';
import { afterEach, describe, expect, test } from '@jest/globals';
import {
  createPrometheusTransport,
  createSidecar,
  parseExternalLabels,
  PrometheusClient,
  PrometheusMeta,
  type Sidecar,
  type SidecarConfig,
  sidecarFlags,
} from './index.ts';
import { type FakePrometheus, type FakeState, startFakePrometheus } from './testing/index.ts';

const closers: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

function configOf(...argv: string[]): SidecarConfig {
  const outcome = parseFlags({ name: 'sidecar', help: '', flags: sidecarFlags }, ['--http-address=127.0.0.1:0', '--grpc-address=127.0.0.1:0', '--http-grace-period=1s', '--grpc-grace-period=1s', ...argv]);
  if (outcome.kind !== 'run') throw new Error(outcome.stderr);
  return outcome.values;
}

async function fakeWith(state: Partial<FakeState> = {}): Promise<FakePrometheus> {
  const fake = await startFakePrometheus(FIXTURE_SERIES, state);
  closers.push(() => fake.close());
  return fake;
}

interface Running {
  readonly sidecar: Sidecar;
  /** Settles when the sidecar has ended. */
  readonly done: Promise<void>;
  metric(name: string): Promise<string | undefined>;
}

async function start(...argv: string[]): Promise<Running> {
  const metrics = createMetrics();
  const sidecar = await createSidecar(configOf(...argv), { log: createNopLogger(), metrics, clock: Date.now });
  const group = createRunGroup({ log: createNopLogger(), signals: undefined });
  for (const part of sidecar.parts) group.add(part);
  const abort = new AbortController();
  const done = group.run(abort.signal);
  done.catch(() => {});
  closers.push(async () => {
    abort.abort();
    await done.catch(() => {});
  });
  return {
    sidecar,
    done,
    metric: async (name) => {
      const { body } = await renderMetrics(metrics.registry, undefined);
      return new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'm').exec(Buffer.from(body as string | Uint8Array).toString())?.[1];
    },
  };
}

/** Resolves at the next change of readiness to `wanted`. */
function readiness({ sidecar }: Running, wanted: boolean): Promise<void> {
  return new Promise((resolve) => {
    const stop = sidecar.probe.onReadyChange((isReady) => {
      if (isReady === wanted) setImmediate(() => resolve(stop()));
    });
  });
}

async function grpcClient(running: Running): Promise<GrpcStoreClient> {
  await readiness(running, true);
  while (running.sidecar.grpc.port === 0) await new Promise((resolve) => setImmediate(resolve));
  const channel = openGrpcChannel({ address: `127.0.0.1:${running.sidecar.grpc.port}` });
  closers.push(() => channel.close());
  const client = new GrpcStoreClient(channel);
  await client.fetchInfo();
  return client;
}

describe('a sidecar', () => {
  for (const { name, run } of storeCases()) {
    test(`keeps the Store contract over gRPC: ${name}`, async () => {
      const fake = await fakeWith();
      await run(await grpcClient(await start(`--prometheus.url=${fake.url.href}`)));
    });
  }

  test('announces what it knows of Prometheus', async () => {
    const fake = await fakeWith({ lowestTimestampSeconds: 1234 });
    const running = await start(`--prometheus.url=${fake.url.href}`);
    const client = await grpcClient(running);
    const message = await client.fetchInfo();
    expect(infoFromMessage(message)).toEqual({
      labelSets: [['cluster', 'eu', 'replica', 'a']],
      mint: 1_234_000,
      maxt: Number.MAX_SAFE_INTEGER,
      storeType: 'sidecar',
      supportsSharding: true,
      supportsWithoutReplicaLabels: true,
      tsdbInfos: [{ labels: ['cluster', 'eu', 'replica', 'a'], mint: 1_234_000, maxt: Number.MAX_SAFE_INTEGER }],
    });
    expect([message.rules, message.targets, message.exemplars, message.query]).toEqual([{}, undefined, { minTime: 1_234_000, maxTime: Number.MAX_SAFE_INTEGER }, undefined]);
    expect(await running.metric('thanos_sidecar_prometheus_up')).toBe('1');
    const { port } = running.sidecar.http.address();
    expect((await fetch(`http://127.0.0.1:${port}/-/ready`)).status).toBe(200);
    expect(await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()).toContain('thanos_sidecar_prometheus_up 1');
  });

  test('min-time cuts the range', async () => {
    const fake = await fakeWith({ lowestTimestampSeconds: 1234 });
    const client = await grpcClient(await start(`--prometheus.url=${fake.url.href}`, '--min-time=2020-01-01T00:00:00Z'));
    expect(client.info().mint).toBe(Date.UTC(2020, 0, 1));
  });

  test('a Prometheus without samples yet is asked all the same', async () => {
    const fake = await fakeWith({ lowestTimestampSeconds: 9.223372036854776e15 });
    const client = await grpcClient(await start(`--prometheus.url=${fake.url.href}`));
    expect(client.info().mint).toBe(Date.parse('0000-01-01T00:00:00Z'));
  });

  test('refuses a Prometheus without external labels', async () => {
    const fake = await fakeWith({ externalLabels: {} });
    const running = await start(`--prometheus.url=${fake.url.href}`);
    await expect(running.done).rejects.toMatchObject({ code: 'ERR_SIDECAR_EXTERNAL_LABELS', message: expect.stringMatching(/^no external labels configured on Prometheus server/) });
  });

  test('waits for Prometheus, loses it, finds it again with other labels', async () => {
    const fake = await fakeWith({ failWith: 503 });
    const running = await start(`--prometheus.url=${fake.url.href}`, '--prometheus.get_config_interval=5ms');
    expect(running.sidecar.probe.isReady).toBe(false);
    fake.state.failWith = 0;
    const client = await grpcClient(running);

    fake.state.failWith = 500;
    await readiness(running, false);
    expect(await running.metric('thanos_sidecar_prometheus_up')).toBe('0');
    await expect(client.fetchInfo()).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE', message: 'not ready' });

    fake.state.externalLabels = { cluster: 'us', replica: 'b' };
    fake.state.failWith = 0;
    await readiness(running, true);
    expect((await client.fetchInfo()).labelSets).toEqual([{ labels: [{ name: 'cluster', value: 'us' }, { name: 'replica', value: 'b' }] }]);
    const { series } = await readSeries(client.series(seriesOf(['__name__=up', 'instance=a'])));
    expect(series[0]!.labels).toEqual(['__name__', 'up', 'cluster', 'us', 'instance', 'a', 'job', 'api', 'replica', 'b']);
  });

  test('a path prefix and credentials in the URL', async () => {
    const fake = await fakeWith();
    const headers: (string | undefined)[] = [];
    fake.intercept = (request) => {
      headers.push(request.headers.authorization);
      if (request.url!.startsWith('/prom/')) request.url = request.url!.slice('/prom'.length);
      else request.url = '/wrong';
      return false;
    };
    const url = new URL(fake.url);
    url.username = 'me';
    url.password = 'p@ss';
    url.pathname = '/prom/';
    await grpcClient(await start(`--prometheus.url=${url.href}`));
    expect(new Set(headers)).toEqual(new Set([`Basic ${Buffer.from('me:p@ss').toString('base64')}`]));
  });

  test('series are converted in worker threads, none in the main thread', async () => {
    const fake = await fakeWith();
    const running = await start(`--prometheus.url=${fake.url.href}`);
    const { series } = await readSeries((await grpcClient(running)).series(seriesOf(['__name__=up'])));
    const converted = (thread: string): Promise<string | undefined> => running.metric(`gauntlet_sidecar_converted_chunks_total\\{thread="${thread}"\\}`);
    const chunks = String(series.flatMap((s) => s.chunks).length);
    while ((await converted('worker')) !== chunks) await new Promise((resolve) => setImmediate(resolve));
    expect(await converted('main')).toBe('0');
    expect(await running.metric('gauntlet_sidecar_store_workers')).toBe('1');
  });

  test('limits per request', async () => {
    const fake = await fakeWith();
    const client = await grpcClient(await start(`--prometheus.url=${fake.url.href}`, '--store.limits.request-series=2'));
    await expect(readSeries(client.series(seriesOf(['__name__=up'])))).rejects.toMatchObject({ code: 'ERR_STORE_RESOURCE_EXHAUSTED', message: 'exceeded series limit: limit 2 violated (got 3)' });
  });

  test.each([
    [['--reloader.method=signal'], 'ERR_SIDECAR_CONFIG', /signal is not supported yet/],
    [['--prometheus.http-client=proxy_url: http://x'], 'ERR_CONFIG', /--prometheus.http-client:1:1: proxy_url is not supported yet/],
    [['--prometheus.http-client=bearer: x'], undefined, /--prometheus\.http-client:1:1: .*bearer/],
    [['--prometheus.http-client={bearer_token: x, basic_auth: {username: y}}'], 'ERR_CONFIG', /at most one of/],
    [['--objstore.config=type: NOPE'], undefined, /--objstore\.config:1:/],
  ])('refuses %j', async (argv, code, message) => {
    const error = (await createSidecar(configOf(...argv), { log: createNopLogger(), metrics: createMetrics(), clock: Date.now }).catch((e: unknown) => e)) as { code?: string; message: string };
    if (code !== undefined) expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
  });
});

describe('uploads', () => {
  const bucketFlags = (): string[] => {
    const folder = mkdtempSync(join(tmpdir(), 'gauntlet-sidecar-test-'));
    const data = join(folder, 'data');
    return [`--objstore.config={type: FILESYSTEM, config: {directory: ${JSON.stringify(join(folder, 'bucket'))}}}`, `--tsdb.path=${data}`, '--prometheus.get_config_interval=5ms'];
  };

  test('wait until Prometheus leaves its blocks alone', async () => {
    const fake = await fakeWith({ flags: { 'storage.tsdb.min-block-duration': '2h', 'storage.tsdb.max-block-duration': '1d' } });
    const running = await start(`--prometheus.url=${fake.url.href}`, ...bucketFlags());
    while (fake.requests.filter((r) => r.includes('/flags')).length < 3) await new Promise((resolve) => setImmediate(resolve));
    expect(running.sidecar.probe.isReady).toBe(false);
    fake.state.flags = { ...fake.state.flags, 'storage.tsdb.max-block-duration': '2h' };
    await readiness(running, true);
  });

  test('the hidden flag lets a compacting Prometheus through', async () => {
    const fake = await fakeWith({ flags: { 'storage.tsdb.min-block-duration': '2h', 'storage.tsdb.max-block-duration': '1d' } });
    await readiness(await start(`--prometheus.url=${fake.url.href}`, ...bucketFlags(), '--shipper.ignore-unequal-block-size'), true);
  });
});

describe('the heartbeat', () => {
  const metaOver = (fake: FakePrometheus, delayFile: string, sleeps: string[]): PrometheusMeta => {
    fake.state.flags = { 'storage.tsdb.delay-compact-file.path': delayFile, 'storage.tsdb.min-block-duration': '2h', 'storage.tsdb.max-block-duration': '1d' };
    const client = new PrometheusClient(fake.url, createPrometheusTransport('', 'test'));
    closers.push(() => client.close());
    return new PrometheusMeta(
      {
        client,
        log: createNopLogger(),
        clock: Date.now,
        up: createMetrics().gauge({ name: 'up', help: 'x' }),
        onUp: () => sleeps.push('up'),
        onDown: () => sleeps.push('down'),
        sleep: async () => {
          sleeps.push('sleep');
          throw new Error('enough');
        },
      },
      { intervalMs: 1, timeoutMs: 5_000, minTime: { text: '0', at: () => 0 }, uploads: { metaFilePath: '/data/thanos.shipper.json', ignoreUnequalBlockSize: false } },
    );
  };

  test('a Prometheus that waits for our state file may compact', async () => {
    const steps: string[] = [];
    await expect(metaOver(await fakeWith(), '/data//thanos.shipper.json', steps).run(new AbortController().signal)).rejects.toThrow('enough');
    expect(steps).toEqual(['up', 'sleep']);
  });

  test('one that waits for another file is retried', async () => {
    const steps: string[] = [];
    await expect(metaOver(await fakeWith(), '/other/file', steps).run(new AbortController().signal)).rejects.toThrow('enough');
    expect(steps).toEqual(['sleep']);
  });
});

describe('external labels', () => {
  test.each([
    ['global:\n  external_labels:\n    b: x\n    a: "1"\n', ['a', '1', 'b', 'x']],
    ['global: {}\n', []],
    ['{}', []],
    ['global:\n  external_labels:\n    __proto__: x\n    n: 5\n', ['__proto__', 'x', 'n', '5']],
  ])('%j', (yaml, labels) => {
    expect(parseExternalLabels(yaml)).toEqual(labels);
  });
  test.each(['global: {external_labels: [a]}', 'a: ['])('%j is refused', (yaml) => {
    expect(() => parseExternalLabels(yaml)).toThrow(/^read configuration of Prometheus: /);
  });
});

test('the reloader writes the file with variables replaced and reloads once per change', async () => {
  const fake = await fakeWith();
  const folder = mkdtempSync(join(tmpdir(), 'gauntlet-sidecar-test-'));
  writeFileSync(join(folder, 'in.yml'), 'a: $(GAUNTLET_TEST_VALUE)\n');
  process.env['GAUNTLET_TEST_VALUE'] = 'one';
  closers.push(() => void delete process.env['GAUNTLET_TEST_VALUE']);
  const reloads = (): number => fake.requests.filter((r) => r === 'POST /-/reload').length;
  await start(`--prometheus.url=${fake.url.href}`, `--reloader.config-file=${join(folder, 'in.yml')}`, `--reloader.config-envsubst-file=${join(folder, 'out.yml')}`, '--reloader.watch-interval=10ms', '--reloader.retry-interval=5ms');
  while (reloads() < 1) await new Promise((resolve) => setImmediate(resolve));
  const { readFileSync } = await import('node:fs');
  expect(readFileSync(join(folder, 'out.yml'), 'utf8')).toBe('a: one\n');
  writeFileSync(join(folder, 'in.yml'), 'a: two\n');
  while (reloads() < 2) await new Promise((resolve) => setImmediate(resolve));
  expect(readFileSync(join(folder, 'out.yml'), 'utf8')).toBe('a: two\n');
});
