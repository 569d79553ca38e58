/**
 * A sidecar over a real Prometheus, where one is on PATH (scripts/install-peers.sh): it scrapes itself, and what comes through the
 * StoreAPI is compared with what its own API says.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { createKernels } from '@gauntlet/kernels';
import { compareLabels, type Labels, labelsFromMap } from '@gauntlet/model';
import { createMetrics, createNopLogger, createRunGroup, openGrpcChannel, parseFlags } from '@gauntlet/service-kit';
import { GrpcStoreClient } from '@gauntlet/storeapi';
import { readSeries, seriesOf } from '@gauntlet/storeapi/testing';
import { EMPTY_LABEL_NAMES_REQUEST } from '@gauntlet/proto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createSidecar, sidecarFlags } from './index.ts';

// oxlint-disable-next-line typescript/no-explicit-any -- JSON of many shapes
type Json = any;

const binary = (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, 'prometheus')).find((path) => existsSync(path));

// Skipped where prometheus is not on PATH.
(binary === undefined ? describe.skip : describe)('over a real Prometheus', () => {
  const folder = mkdtempSync(join(tmpdir(), 'gauntlet-real-prometheus-'));
  let prometheus: ChildProcess;
  let url: string;
  let client: GrpcStoreClient;
  let stop: () => Promise<void>;

  const api = async (path: string): Promise<Json> => ((await (await fetch(url + path)).json()) as { data: unknown }).data;

  beforeAll(async () => {
    const port = await new Promise<number>((resolve) => {
      const server = createServer();
      server.listen(0, '127.0.0.1', () => {
        const { port: free } = server.address() as { port: number };
        server.close(() => resolve(free));
      });
    });
    url = `http://127.0.0.1:${port}`;
    writeFileSync(
      join(folder, 'prometheus.yml'),
      `global:\n  scrape_interval: 100ms\n  scrape_timeout: 100ms\n  external_labels: {cluster: real, replica: "0"}\nscrape_configs:\n- job_name: self\n  static_configs:\n  - targets: ['127.0.0.1:${port}']\n`,
    );
    prometheus = spawn(binary!, [`--config.file=${join(folder, 'prometheus.yml')}`, `--storage.tsdb.path=${join(folder, 'data')}`, `--web.listen-address=127.0.0.1:${port}`], { stdio: 'ignore' });

    const outcome = parseFlags({ name: 'sidecar', help: '', flags: sidecarFlags }, [
      `--prometheus.url=${url}`, '--prometheus.get_config_interval=50ms', '--http-address=127.0.0.1:0', '--grpc-address=127.0.0.1:0', '--grpc-grace-period=1s', '--http-grace-period=1s',
    ]);
    if (outcome.kind !== 'run') throw new Error(outcome.stderr);
    const sidecar = await createSidecar(outcome.values, { log: createNopLogger(), metrics: createMetrics(), clock: Date.now });
    const group = createRunGroup({ log: createNopLogger(), signals: undefined });
    for (const part of sidecar.parts) group.add(part);
    const abort = new AbortController();
    const done = group.run(abort.signal);
    await new Promise<void>((resolve, reject) => {
      sidecar.probe.onReadyChange((isReady) => isReady && resolve());
      done.catch(reject);
    });
    while (sidecar.grpc.port === 0) await new Promise((resolve) => setImmediate(resolve));
    const channel = openGrpcChannel({ address: `127.0.0.1:${sidecar.grpc.port}` });
    client = new GrpcStoreClient(channel);
    const scrapes = async (): Promise<number> => Number((await api('/api/v1/query?query=count_over_time(up[1m])')).result[0]?.value[1] ?? 0);
    while ((await scrapes()) < 10) await new Promise((resolve) => setImmediate(resolve));
    stop = async () => {
      channel.close();
      abort.abort();
      // Node's AbortError is of another realm than the test's Error.
      await done.catch((error: Error) => expect(error.name).toBe('AbortError'));
    };
  }, 30_000);

  afterAll(async () => {
    try {
      await stop?.();
    } finally {
      const ended = new Promise((resolve) => prometheus.once('exit', resolve));
      prometheus.kill();
      await ended;
      rmSync(folder, { recursive: true, force: true });
    }
  }, 30_000);

  test('series and samples are those of its own API', async () => {
    const { series } = await readSeries(client.series(seriesOf(['__name__=~prometheus_tsdb_.*'], { minTime: 0, maxTime: Date.now() + 60_000, responseBatchSize: 64 })));
    const own = (await api(`/api/v1/series?match[]=${encodeURIComponent('{__name__=~"prometheus_tsdb_.*"}')}`)) as Record<string, string>[];
    const wanted = own.map((map): Labels => labelsFromMap({ ...map, cluster: 'real', replica: '0' })).toSorted(compareLabels);
    expect(series.map((s) => s.labels)).toEqual(wanted);

    const kernels = createKernels({ backend: 'js', maxMemoryBytes: 8 << 20 });
    const target = series.find((s) => s.labels.includes('prometheus_tsdb_head_samples_appended_total'))!;
    const samples = target.chunks.flatMap((chunk) => {
      const bytes = Buffer.from(chunk[3], 'hex');
      const ptr = kernels.memory.alloc(bytes.length + 16);
      const out = kernels.memory.alloc(16 * 200);
      kernels.memory.u8(ptr, bytes.length).set(bytes);
      const count = kernels.decodeXor(ptr, bytes.length, out, out + 1600, 200);
      return Array.from({ length: count }, (_, i): [number, number] => [kernels.memory.f64(out, 200)[i]!, kernels.memory.f64(out + 1600, 200)[i]!]);
    });
    expect(samples.length).toBeGreaterThan(5);
    const [firstMs] = samples[0]!;
    const [lastMs] = samples.at(-1)!;
    const result = (await api(`/api/v1/query?query=prometheus_tsdb_head_samples_appended_total[${lastMs - firstMs + 1}ms]&time=${lastMs / 1000}`)).result[0].values as [number, string][];
    expect(samples.map(([t, v]) => [t / 1000, String(v)])).toEqual(result);
  });

  test('label calls', async () => {
    const range = { ...EMPTY_LABEL_NAMES_REQUEST, start: 0, end: Date.now() + 60_000 };
    const { names } = await client.labelNames(range);
    expect(names).toEqual([...new Set([...((await api('/api/v1/labels')) as string[]), 'cluster', 'replica'])].toSorted());
    const { values } = await client.labelValues({ ...range, label: 'job', matchers: [{ type: 0, name: 'cluster', value: 'real' }, { type: 2, name: '__name__', value: 'up' }] });
    expect(values).toEqual(['self']);
  });

  test('info', async () => {
    const message = await client.fetchInfo();
    expect(client.info().labelSets).toEqual([['cluster', 'real', 'replica', '0']]);
    expect(message.componentType).toBe('sidecar');
    expect(client.info().mint).toBeGreaterThan(Date.now() - 600_000);
  });
});
