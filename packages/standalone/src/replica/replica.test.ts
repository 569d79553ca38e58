import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleepFor } from 'node:timers/promises';
import { startSampleService } from '@gauntlet/demo';
import { createMatcher, getLabel, type Labels, labelsFromMap } from '@gauntlet/model';
import { encodeMetricFamilies } from '@gauntlet/scrape/testing';
import { createMetrics, createNopLogger } from '@gauntlet/service-kit';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { ReplicaSettings } from './replica-protocol.ts';
import { type Replica, replicaLabels, startReplica } from './replica.ts';
import type { StorageSettings } from './storage-options.ts';

let dir = '';
beforeAll(() => void (dir = mkdtempSync(join(tmpdir(), 'gauntlet-replica-'))));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const STORAGE: StorageSettings = { blockRangeMs: 7_200_000, retentionMs: 0, retentionBytes: 0, seriesMax: 0, walCompression: 'snappy', features: [] };
const settings = (storage: Partial<StorageSettings> = {}): ReplicaSettings => ({
  name: 'a', dir: join(dir, 'replica-a'), bucketDir: join(dir, 'bucket'), scrapeIntervalMs: 100, scrapeFile: undefined, storage: { ...STORAGE, ...storage }, keepUploadedMs: 0,
  shipIntervalMs: 60_000, historyOffsetMs: 0, ackLogPath: join(dir, 'ack.log'), logLevel: 'error', logFormat: 'logfmt',
});
const deps = () => ({ log: createNopLogger(), metrics: createMetrics(), clock: Date.now, random: Math.random });

async function samples({ db }: Replica, name: string): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for await (const batch of db.queryable.select({ matchers: [createMatcher('=', '__name__', name)], mint: 0, maxt: Date.now() + 60_000 })) {
    for (let i = 0; i < batch.labels.length; i++) counts.set(getLabel(batch.labels[i]!, 'instance'), batch.offsets[i + 1]! - batch.offsets[i]!);
  }
  return counts;
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 400; i++) {
    if (await condition()) return;
    await sleepFor(25);
  }
  throw new Error('nothing after 10 s');
}

test('a replica scrapes what it is told, keeps it over a restart and serves its own metrics', async () => {
  const shop = await startSampleService({ host: '127.0.0.1', port: 0, clock: Date.now });
  const jobs = [{ jobName: 'shop', targets: shop.paths.map((metricsPath, i) => ({ address: shop.address, metricsPath, instance: `shop-${i}` })) }];
  try {
    const first = await startReplica(settings(), deps());
    first.setTargets(jobs);
    await until(async () => ((await samples(first, 'up')).get('shop-2') ?? 0) >= 2);
    expect(await (await fetch(`http://${first.metricsAddress}/metrics`)).text()).toMatch(/^prometheus_tsdb_head_series [1-9]\d\d/m);
    expect((await fetch(`http://${first.metricsAddress}/`)).status).toBe(404);
    await first.stop();

    // What was acknowledged before the stop is what the database opens with.
    const acknowledged = readFileSync(join(dir, 'ack.log'), 'utf8').trim().split('\n').flatMap((line) => JSON.parse(line) as [string[], number, string][]);
    const ups = acknowledged.filter(([labels]) => getLabel(labels, '__name__') === 'up' && getLabel(labels, 'instance') === 'shop-2');
    const second = await startReplica(settings(), deps());
    expect((await samples(second, 'up')).get('shop-2')).toBe(ups.length);
    await second.stop();
  } finally {
    await shop.stop();
  }
}, 20_000);

test('blocks that are in the bucket and old leave the replica, others stay', async () => {
  const shop = await startSampleService({ host: '127.0.0.1', port: 0, clock: Date.now });
  const bucketDir = join(dir, 'bucket-old');
  const isBlock = (name: string): boolean => existsSync(join(bucketDir, name, 'meta.json'));
  const replica = await startReplica(
    { ...settings({ blockRangeMs: 400, retentionMs: 1 }), dir: join(dir, 'replica-old'), bucketDir, ackLogPath: undefined, scrapeIntervalMs: 50, shipIntervalMs: 50 },
    deps(),
  );
  try {
    replica.setTargets([{ jobName: 'shop', targets: [{ address: shop.address, metricsPath: shop.paths[0]!, instance: 'shop-0' }] }]);
    await until(async () => readdirSync(bucketDir).filter(isBlock).length >= 4 && replica.db.blocks().length <= 2);
    // What is left here but the newest has yet to be uploaded; what went is in the bucket.
    const shipped = new Set(readdirSync(bucketDir).filter(isBlock));
    expect(replica.db.blocks().slice(0, -1).filter(({ meta }) => shipped.has(meta.ulid)).length).toBeLessThanOrEqual(1);
    expect(replica.db.damagedBlocks()).toEqual([]);
  } finally {
    await replica.stop();
    await shop.stop();
  }
}, 20_000);

test('a block that was uploaded and is not in the bucket any more, since it was compacted, is neither kept nor uploaded again', async () => {
  const shop = await startSampleService({ host: '127.0.0.1', port: 0, clock: Date.now });
  const bucketDir = join(dir, 'bucket-compacted');
  const storage = { blockRangeMs: 400, retentionMs: 86_400_000 };
  const own = { ...settings(storage), dir: join(dir, 'replica-compacted'), bucketDir, ackLogPath: undefined, scrapeIntervalMs: 50, shipIntervalMs: 50 };
  const inBucket = (): string[] => readdirSync(bucketDir).filter((name) => existsSync(join(bucketDir, name, 'meta.json')));
  try {
    const first = await startReplica(own, deps());
    first.setTargets([{ jobName: 'shop', targets: [{ address: shop.address, metricsPath: shop.paths[0]!, instance: 'shop-0' }] }]);
    await until(async () => inBucket().length >= 3);
    await first.stop();
    const compacted = inBucket();
    for (const name of compacted) rmSync(join(bucketDir, name), { recursive: true });
    // Still with the long retention: a round passes, and nothing comes back.
    const second = await startReplica(own, deps());
    second.setTargets([{ jobName: 'shop', targets: [{ address: shop.address, metricsPath: shop.paths[0]!, instance: 'shop-0' }] }]);
    await until(async () => inBucket().length >= 1);
    expect(inBucket().filter((name) => compacted.includes(name))).toEqual([]);
    const kept = second.db.blocks().map(({ meta }) => meta.ulid);
    expect(kept).toEqual(expect.arrayContaining(compacted));
    await second.stop();
    const third = await startReplica({ ...own, storage: { ...own.storage, retentionMs: 1 } }, deps());
    await until(async () => !third.db.blocks().some(({ meta }) => compacted.includes(meta.ulid)));
    expect(inBucket().filter((name) => compacted.includes(name))).toEqual([]);
    await third.stop();
  } finally {
    await shop.stop();
  }
}, 20_000);

describe('a target that speaks protobuf', () => {
  let server: Server;
  let body = new Uint8Array(0);
  let asked = '';
  beforeAll(async () => {
    server = createServer((request, response) => {
      asked = request.headers.accept ?? '';
      response.writeHead(200, { 'content-type': 'application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited' }).end(body);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  afterAll(() => {
    server.close();
    server.closeAllConnections();
  });
  const running: Replica[] = [];
  const start = async (own: ReplicaSettings): Promise<Replica> => {
    const replica = await startReplica(own, deps());
    running.push(replica);
    return replica;
  };
  afterEach(async () => {
    for (const replica of running.splice(0)) await replica.stop();
  });
  const scrapeFile = (storage = ''): ReplicaSettings['scrapeFile'] => ({
    source: 'own.yml',
    text: `
global: {scrape_interval: 100ms}
scrape_configs:
- {job_name: own, scrape_native_histograms: true, static_configs: [{targets: ['127.0.0.1:${(server.address() as AddressInfo).port}']}]}
${storage}`,
  });
  const exposition = (count: number, timeMs: number): Uint8Array<ArrayBuffer> =>
    new Uint8Array(
      encodeMetricFamilies([
        {
          name: 'latency',
          help: 'Time taken.',
          unit: 'seconds',
          type: 'histogram',
          metrics: [{ histogram: { count, sum: count, schema: 0, positive: { spans: [[0, 2]], deltas: [count - 1, 2 - count] }, exemplars: [{ labels: { trace_id: 'x' }, value: 1, timeMs }] } }],
        },
        { name: 'made_total', type: 'counter', metrics: [{ value: count, startMs: timeMs - 1000 }] },
        ...['p', 'q'].map((name) => ({ name, type: 'gauge' as const, metrics: [{ value: 1 }] })),
      ]),
    );
  async function lastOf({ db }: Replica, name: string): Promise<{ count: number; sum: number | undefined; startMs: number | undefined }> {
    for await (const batch of db.queryable.select({ matchers: [createMatcher('=', '__name__', name)], mint: 0, maxt: Date.now() + 60_000 })) {
      const last = batch.offsets[1]! - 1;
      return { count: last + 1, sum: batch.histograms?.get(batch.histograms.ids[last]!)?.sum, startMs: batch.startTimestamps?.[last] };
    }
    return { count: 0, sum: undefined, startMs: undefined };
  }

  test('native histograms, exemplars, metadata and start timestamps are stored, and there after a restart', async () => {
    const timeMs = Date.now() - 5000;
    body = exposition(5, timeMs);
    const own = {
      ...settings({ features: ['exemplar-storage', 'metadata-wal-records', 'st-storage'] }),
      dir: join(dir, 'replica-proto'),
      scrapeFile: scrapeFile('storage: {exemplars: {max_exemplars: 10}}'),
      ackLogPath: join(dir, 'ack-proto.log'),
    };
    const latency = (replica: Replica): Labels => replica.db.exemplars([[createMatcher('=', '__name__', 'latency')]], 0, Date.now())[0]?.labels ?? [];
    const first = await start(own);
    await until(async () => (await lastOf(first, 'latency')).count >= 2);
    expect(asked).toMatch(/^application\/vnd\.google\.protobuf;proto=io\.prometheus\.client\.MetricFamily;encoding=delimited;q=0\.6,application\/openmetrics-text/);
    await running.pop()!.stop();
    expect(readFileSync(own.ackLogPath, 'utf8')).toContain('{count:5, sum:5, (0.5,1]:4, (1,2]:1}');

    const second = await start({ ...own, scrapeFile: undefined });
    expect(await lastOf(second, 'latency')).toMatchObject({ sum: 5 });
    expect((await lastOf(second, 'made_total')).startMs).toBe(timeMs - 1000);
    const exemplars = second.db.exemplars([[createMatcher('=', '__name__', 'latency')]], 0, Date.now());
    expect(exemplars.flatMap((series) => series.exemplars)).toEqual([{ labels: ['trace_id', 'x'], value: 1, timeMs }]);
    expect(second.db.metadata(latency(second))).toEqual({ type: 'histogram', unit: 'seconds', help: 'Time taken.' });
  });

  test('without the features there is none of that, and a head that is full takes no further series', async () => {
    body = exposition(5, Date.now());
    const replica = await start({ ...settings({ seriesMax: 7 }), dir: join(dir, 'replica-full'), scrapeFile: scrapeFile(), ackLogPath: undefined });
    await until(async () => (await lastOf(replica, 'up')).count >= 2);
    // Four of the target; of the reports, three.
    expect([(await lastOf(replica, 'latency')).sum, (await lastOf(replica, 'made_total')).startMs, replica.db.stats().headSeries]).toEqual([5, undefined, 7]);
    expect(replica.db.exemplars([[createMatcher('=', '__name__', 'latency')]], 0, Date.now())).toEqual([]);
  });

  test('samples that come late are taken within the window of the scrape file', async () => {
    const family = (timestampMs: number): Uint8Array<ArrayBuffer> => new Uint8Array(encodeMetricFamilies([{ name: 'late', type: 'gauge', metrics: [{ value: 1, timestampMs }] }]));
    const startMs = Date.now();
    body = family(startMs);
    const replica = await start({ ...settings(), dir: join(dir, 'replica-late'), scrapeFile: scrapeFile('storage: {tsdb: {out_of_order_time_window: 10m}}'), ackLogPath: undefined });
    await until(async () => (await lastOf(replica, 'late')).count === 1);
    body = family(startMs - 300_000);
    await until(async () => (await lastOf(replica, 'late')).count === 2);
    expect(replica.db.stats().headOutOfOrderSeries).toBe(1);
  });
});

test('a scrape file with a mistake is refused with its place', async () => {
  await expect(startReplica({ ...settings(), scrapeFile: { text: 'scrape_configs:\n- job_nam: x\n', source: 'own.yml' } }, deps())).rejects.toThrow('own.yml:2:3');
});

test('labels of the scrape file join the external labels, the replica label stays ours', () => {
  expect(replicaLabels('b', labelsFromMap({ cluster: 'berlin', replica: 'x', team: 't' }))).toEqual(labelsFromMap({ cluster: 'berlin', replica: 'b', team: 't' }));
});
