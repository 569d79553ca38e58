/**
 * Two replicas of a Prometheus, as people run them, told as one story:
 *
 *   shop, node-exporter ◄── Prometheus a ─ sidecar a ─┬─► MinIO ◄── store
 *                       ◄── Prometheus b ─ sidecar b ─┘               │
 *                                       └────── querier ──────────────┘
 *
 * Each Prometheus has 4 h of history in blocks (its own jittered scrape times) and scrapes live from there on. The sidecars ship the
 * blocks; each Prometheus then loses them, so that history is the store's and the rest the sidecar's: the seam lies inside `x[3h]`.
 * What each Prometheus answered before is the truth.
 */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createBucketFromConfig } from '@gauntlet/objstore';
import { createNopLogger } from '@gauntlet/service-kit';
import { SHOP_INSTANCES, SHOP_JOB, type SampleService, shopModel, startSampleService } from '@gauntlet/standalone/testing';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type ApiSeries, getApi, instant, instantAnswer, labelsKey } from '../harness/api.ts';
import { blocksIn, writeHistory } from '../harness/blocks.ts';
import { describeWithPeers } from '../harness/describe-peers.ts';
import { type Service, startService } from '../harness/gauntlet.ts';
import { type PeerServer, startNodeExporter, startPrometheus } from '../harness/peers.ts';
import { freePort, temporaryDir, waitFor } from '../harness/process.ts';
import { type S3, S3_PEERS, openS3 } from '../harness/s3.ts';

const REPLICAS = ['a', 'b'] as const;
const HISTORY_MS = 4 * 3_600_000;
const STEP_MS = 15_000;
interface Replica {
  readonly name: string;
  readonly dir: string;
  readonly port: number;
  readonly config: string;
  /** Blocks of its history. */
  readonly blocks: readonly string[];
  prometheus: PeerServer;
  sidecar: Service;
  /** Its own answers of before it lost its history: selector → labels → samples. */
  readonly truth: Map<string, Map<string, ApiSeries>>;
}

/** Scrape times of a replica: every 15 s from an offset of its own, each a little late. */
function scrapeTimes(startMs: number, endMs: number, replica: number): number[] {
  const times: number[] = [];
  let state = 7 + replica;
  for (let tMs = startMs + 1_300 + replica * 7_600; tMs < endMs; tMs += STEP_MS) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    times.push(tMs + (state >>> 16) % 40);
  }
  return times;
}

const scrapeConfig = (replica: string, shop: SampleService, nodeExporter: PeerServer): string => `global:
  scrape_interval: 1s
  scrape_timeout: 1s
  external_labels: {cluster: peers, replica: ${replica}}
scrape_configs:
${SHOP_INSTANCES.map(
  (instance, index) => `- job_name: ${SHOP_JOB}-${index}
  metrics_path: ${shop.paths[index]!}
  static_configs:
  - targets: ['${shop.address}']
    labels: {job: ${SHOP_JOB}, instance: ${instance}}`,
).join('\n')}
- job_name: node
  static_configs:
  - targets: ['${nodeExporter.address}']
`;

/** Range selectors compared sample by sample, at `x[3h]`. */
const SELECTORS = [`{job="${SHOP_JOB}",instance="shop-0"}`, 'up', 'node_cpu_seconds_total', '{job="shop",__name__=~"http_requests_total|shop_.*"}'];

describeWithPeers('two replicas of a Prometheus', ['prometheus', 'promtool', 'node-exporter', ...S3_PEERS], () => {
  let shop: SampleService;
  let s3: S3;
  let store: Service;
  let querier: Service;
  let objstore: string;
  let replicas: Replica[];
  /** End of the history, and the time of all queries, s. */
  let seamS: number;
  let nowS: number;

  beforeAll(async () => {
    [shop, s3] = await Promise.all([startSampleService({ host: '127.0.0.1', port: 0, clock: Date.now }), openS3()]);
    const nodeExporter = await startNodeExporter();
    objstore = await s3.createBucket(`gauntlet-blocks-${process.pid}-${Date.now()}`);
    const endMs = Date.now();
    seamS = endMs / 1000;
    const history = SHOP_INSTANCES.flatMap((instance, index) =>
      shopModel(index).flatMap(({ series }) => series.map(({ name, labels, valueAt }) => ({ name, labels: [...labels, ['instance', instance], ['job', SHOP_JOB]] as const, valueAt }))),
    );
    replicas = [];
    for (const [index, name] of REPLICAS.entries()) {
      const dir = temporaryDir(`replica-${name}`);
      const blocks = writeHistory(join(dir, 'data'), history, scrapeTimes(endMs - HISTORY_MS, endMs, index));
      const config = scrapeConfig(name, shop, nodeExporter);
      const port = await freePort();
      const prometheus = await startPrometheus({ config, dataDir: dir, port });
      const sidecar = await startService('sidecar', [
        `--prometheus.url=${prometheus.url}`, `--tsdb.path=${join(dir, 'data')}`, `--objstore.config=${objstore}`, '--prometheus.get_config_interval=1s',
      ], { name: `sidecar ${name}` });
      replicas.push({ name, dir, port, config, blocks, prometheus, sidecar, truth: new Map() });
    }
    store = await startService('store', [`--objstore.config=${objstore}`, `--data-dir=${temporaryDir('store')}`, '--sync-block-duration=1s'], { timeoutMs: 120_000 });
    // Plain endpoints: one that goes down is missed by name whether or not its health check has noticed.
    querier = await startService('query', ['--query.replica-label=replica', ...replicas.map(({ sidecar }) => `--endpoint=${sidecar.grpc}`), `--endpoint=${store.grpc}`]);
  }, 300_000);

  afterAll(async () => {
    await Promise.allSettled([querier?.stop(), store?.stop(), ...(replicas ?? []).flatMap(({ sidecar, prometheus }) => [sidecar.stop(), prometheus.stop()])]);
    await Promise.allSettled([s3?.stop(), shop?.stop()]);
  }, 60_000);

  const metaOf = async (): Promise<Map<string, { thanos: { labels: Record<string, string>; source: string } }>> => {
    const bucket = await createBucketFromConfig(objstore, { component: 'peers', source: 'peers', log: createNopLogger() });
    const metas = new Map<string, { thanos: { labels: Record<string, string>; source: string } }>();
    for await (const key of bucket.iter('', { recursive: true })) {
      if (key.endsWith('/meta.json')) metas.set(key.split('/')[0]!, JSON.parse(Buffer.from(await bucket.get(key)).toString()) as { thanos: { labels: Record<string, string>; source: string } });
    }
    await bucket.close();
    return metas;
  };

  test('the sidecars put every block into the bucket, with their labels', async () => {
    const metas = await waitFor('all blocks in the bucket', async () => {
      const found = await metaOf();
      return replicas.every(({ blocks }) => blocks.every((block) => found.has(block))) && found;
    }, { process: replicas[1]!.sidecar.process, timeoutMs: 120_000 });
    expect(metas.size).toBe(replicas[0]!.blocks.length + replicas[1]!.blocks.length);
    for (const { name, blocks } of replicas) {
      expect(blocks.length).toBeGreaterThan(1);
      for (const block of blocks) expect(metas.get(block)).toMatchObject({ thanos: { source: 'sidecar', labels: { cluster: 'peers', replica: name } } });
    }
  }, 150_000);

  test('each Prometheus scrapes on, and then loses its blocks', async () => {
    for (const replica of replicas) {
      await waitFor('live samples of all targets', async () => (await instant(replica.prometheus.url, 'min(count_over_time(up[1m])) > 20', Date.now() / 1000)).length > 0, { process: replica.prometheus.process, timeoutMs: 90_000 });
    }
    nowS = Math.floor(Date.now() / 1000) - 2;
    for (const replica of replicas) {
      for (const selector of SELECTORS) {
        const own = await instant(replica.prometheus.url, `${selector}[3h]`, nowS);
        expect(own.length).toBeGreaterThan(0);
        replica.truth.set(selector, new Map(own.map((series) => [labelsKey(series.metric), series])));
      }
      const before = replica.truth.get(SELECTORS[0]!)!;
      const requests = [...before.values()].find(({ metric }) => metric['__name__'] === 'http_requests_total')!;
      expect(requests.values!.filter(([t]) => t < seamS).length).toBeGreaterThan(600);
      expect(requests.values!.filter(([t]) => t > seamS).length).toBeGreaterThan(15);

      await replica.prometheus.stop();
      for (const block of blocksIn(join(replica.dir, 'data'))) rmSync(join(replica.dir, 'data', block), { recursive: true });
      replica.prometheus = await startPrometheus({ config: replica.config, dataDir: replica.dir, port: replica.port });
      expect(JSON.parse(readFileSync(join(replica.dir, 'data', 'thanos.shipper.json'), 'utf8'))).toMatchObject({ uploaded: expect.arrayContaining([...replica.blocks]) });
      // What is left is exactly what it has scraped itself.
      const live = (series: ApiSeries): string => `${labelsKey(series.metric)} ${JSON.stringify(series.values!.filter(([t]) => t > seamS))}`;
      const after = await instant(replica.prometheus.url, `${SELECTORS[0]!}[3h]`, nowS);
      for (const { values } of after) expect(values![0]![0]).toBeGreaterThan(seamS);
      expect(after.map(live).sort()).toEqual([...before.values()].map(live).sort());
    }
    await waitFor('both sidecars ready again', async () => (await Promise.all(replicas.map(({ sidecar }) => fetch(`${sidecar.url}/-/ready`)))).every(({ ok }) => ok), { timeoutMs: 60_000 });
    const readyMs = Date.now();
    await waitFor('a good check of every endpoint', async () => {
      const { data } = await getApi<Record<string, { lastCheck: string; lastError: string | null }[]>>(querier.url, 'stores');
      return Object.values(data).flat().every(({ lastCheck, lastError }) => lastError === null && Date.parse(lastCheck) > readyMs);
    }, { process: querier.process, timeoutMs: 60_000 });
  }, 240_000);

  test('the store announces the blocks of both', async () => {
    await waitFor('the label sets of the store', async () => {
      const { data } = await getApi<Record<string, { labelSets: Record<string, string>[]; lastError: string | null }[]>>(querier.url, 'stores');
      return data['store']?.some(({ labelSets }) => REPLICAS.every((name) => labelSets.some((set) => set['replica'] === name)));
    }, { process: querier.process, timeoutMs: 60_000 });
  }, 90_000);

  test.each(SELECTORS)('%s[3h] without deduplication is each Prometheus’ own answer, bit for bit, across the seam', async (selector) => {
    const { result, warnings } = await instantAnswer(querier.url, `${selector}[3h]`, nowS, { dedup: 'false' });
    expect(warnings).toEqual([]);
    for (const { name, truth } of replicas) {
      const own = truth.get(selector)!;
      const ours = new Map(result.filter(({ metric }) => metric['replica'] === name).map((series) => [labelsKey(series.metric, ['cluster', 'replica']), series]));
      expect([...ours.keys()].sort()).toEqual([...own.keys()].sort());
      for (const [labels, { values }] of own) {
        // Not toEqual on everything at once: a million lines of difference help nobody.
        const found = ours.get(labels)!.values!;
        const at = values!.findIndex(([t, v], i) => found[i]?.[0] !== t || found[i]?.[1] !== v);
        expect({ labels, at, count: found.length }).toEqual({ labels, at: -1, count: values!.length });
      }
    }
    expect(result.every(({ metric }) => metric['cluster'] === 'peers' && REPLICAS.some((name) => metric['replica'] === name))).toBe(true);
  }, 120_000);

  test('with deduplication there is one series of each, made of samples that were scraped, in order and without a hole', async () => {
    const selector = SELECTORS[0]!;
    const { result, warnings } = await instantAnswer(querier.url, `${selector}[3h]`, nowS, { dedup: 'true' });
    expect(warnings).toEqual([]);
    const [a, b] = replicas.map(({ truth }) => truth.get(selector)!) as [Map<string, ApiSeries>, Map<string, ApiSeries>];
    expect(result.map(({ metric }) => labelsKey(metric, ['cluster'])).sort()).toEqual([...new Set([...a.keys(), ...b.keys()])].sort());
    for (const { metric, values } of result) {
      expect(metric).not.toHaveProperty('replica');
      const key = labelsKey(metric, ['cluster']);
      const scraped = new Map([...(a.get(key)?.values ?? []), ...(b.get(key)?.values ?? [])]);
      const own = a.get(key)!.values!;
      const holeS = (samples: NonNullable<ApiSeries['values']>): number => Math.max(...samples.slice(1).map(([t], i) => t - samples[i]![0]));
      let last = -Infinity;
      for (const [t, v] of values!) {
        if (scraped.get(t) !== v || t <= last) throw new Error(`${key}: ${v} at ${t} after ${last} was scraped by none of the two`);
        last = t;
      }
      // A change of replica may cost one scrape.
      expect(holeS(values!)).toBeLessThan(holeS(own) + 2 * (STEP_MS / 1000) + 1);
      expect(values!.at(-1)![0]).toBeGreaterThan(own.at(-1)![0] - 10);
      expect(Math.abs(values![0]![0] - own[0]![0])).toBeLessThan(2 * (STEP_MS / 1000));
    }
  }, 120_000);

  test('rates over both are the rates of one, not twice as much', async () => {
    const expr = 'sum by (instance) (rate(http_requests_total[5m]))';
    for (const timeS of [nowS - 7200, nowS - 1800, nowS - 60]) {
      const rates = await instant(querier.url, expr, timeS);
      expect(rates.map(({ metric }) => metric['instance']).sort()).toEqual([...SHOP_INSTANCES]);
      for (const { metric, value } of rates) {
        const family = shopModel(SHOP_INSTANCES.indexOf(metric['instance']!)).find(({ name }) => name === 'http_requests_total')!;
        const truth = family.series.reduce((sum, { valueAt }) => sum + (valueAt(timeS * 1000) - valueAt((timeS - 300) * 1000)) / 300, 0);
        expect(Number(value![1]) / truth).toBeGreaterThan(0.9);
        expect(Number(value![1]) / truth).toBeLessThan(1.1);
      }
    }
  });

  test('a sidecar that is killed is missed by name; the answer has what the others have', async () => {
    const [a, b] = replicas as [Replica, Replica];
    await b.sidecar.stop('SIGKILL');
    const { result, warnings } = await instantAnswer(querier.url, 'http_requests_total[3h]', nowS, { dedup: 'false' });
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain(b.sidecar.grpc);
    expect(warnings[0]).toMatch(/series.*Unavailable/);
    const lastOf = (name: string): number => Math.max(...result.filter(({ metric }) => metric['replica'] === name).map(({ values }) => values!.at(-1)![0]));
    expect(lastOf(a.name)).toBeGreaterThan(seamS);
    // Its history is in the bucket all the same.
    expect(lastOf(b.name)).toBeLessThan(seamS);

    const strict = await getApi(querier.url, 'query', { query: 'http_requests_total', time: nowS, partial_response: 'false' });
    expect(strict).toMatchObject({ httpStatus: expect.any(Number), status: 'error' });
    expect(strict.error).toContain(b.sidecar.grpc);

    const whole = await instantAnswer(querier.url, 'http_requests_total[3h]', nowS, { dedup: 'true' });
    expect(whole.result).toHaveLength([...a.truth.get(SELECTORS[0]!)!.values()].filter(({ metric }) => metric['__name__'] === 'http_requests_total').length * SHOP_INSTANCES.length);
    for (const { values } of whole.result) expect(values!.at(-1)![0]).toBeGreaterThan(seamS);
  }, 60_000);
});
