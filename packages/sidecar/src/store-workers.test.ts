/** StoreAPI calls in the built worker, over a fake Prometheus: contract, what goes along with a call, cancellation, slow readers, counts. */
import { existsSync, mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EMPTY_LABEL_NAMES_REQUEST } from '@gauntlet/proto';
import { createMetrics, createNopLogger, type Metrics, renderMetrics } from '@gauntlet/service-kit';
import type { Store } from '@gauntlet/storeapi';
import { FIXTURE_EXTERNAL_LABELS, FIXTURE_MAXT, FIXTURE_MINT, FIXTURE_SERIES, readSeries, seriesOf, storeCases } from '@gauntlet/storeapi/testing';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createStoreWorkers, type PrometheusFacts, readTransportSettings, type StoreWorkers, type WorkerSettings } from './index.ts';
import { createSidecarMetrics } from './metrics.ts';
import { type FakePrometheus, startFakePrometheus } from './testing/index.ts';

const MODULE = join(import.meta.dirname, '..', 'dist', 'store-worker.js');
if (!existsSync(MODULE)) throw new Error('the store worker is not built: run `npm run build`');

const FACTS: PrometheusFacts = { externalLabels: FIXTURE_EXTERNAL_LABELS, timeRange: { mint: 0, maxt: Number.MAX_SAFE_INTEGER }, version: '3.14.0' };
const ALL = seriesOf(['__name__!=none']);

interface Running extends StoreWorkers {
  readonly metrics: Metrics;
  /** Changes what calls are told from now on. */
  tell(facts: Partial<PrometheusFacts>): void;
  /** Resolves when /metrics has this line: counts of workers come on their own way. */
  shows(line: string): Promise<void>;
}

const text = async (metrics: Metrics): Promise<string> => String((await renderMetrics(metrics.registry, undefined)).body);

function startWorkers(fake: FakePrometheus, override: Partial<WorkerSettings> = {}): Running {
  const metrics = createMetrics();
  let facts = FACTS;
  const workers = createStoreWorkers(
    { log: createNopLogger(), metrics: createSidecarMetrics(metrics), module: new URL(`file://${MODULE}`), facts: () => facts, info: () => ({ labelSets: [facts.externalLabels], ...facts.timeRange, storeType: 'sidecar', supportsSharding: true, supportsWithoutReplicaLabels: true, tsdbInfos: [{ labels: facts.externalLabels, ...facts.timeRange }] }) },
    { prometheusUrl: fake.url.href, transport: readTransportSettings('', 'test'), limits: { seriesMax: 0, samplesMax: 0 }, spool: { folder: tmpdir(), stallMs: 60_000 }, ...override },
  );
  return {
    ...workers,
    metrics,
    tell: (change) => {
      facts = { ...facts, ...change };
    },
    async shows(line) {
      while (!(await text(metrics)).split('\n').includes(line)) await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

/** Arrays that come from another thread are not of the realm a test runs in, where deepStrictEqual looks for them. */
function ofThisRealm(store: Store): Store {
  return {
    ...store,
    labelNames: async (request) => ({ names: [...(await store.labelNames(request)).names], warnings: [], hints: undefined }),
    labelValues: async (request) => ({ values: [...(await store.labelValues(request)).values], warnings: [], hints: undefined }),
  };
}

describe('one set of workers', () => {
  let fake: FakePrometheus;
  let workers: Running;
  beforeAll(async () => {
    fake = await startFakePrometheus(FIXTURE_SERIES);
    workers = startWorkers(fake);
  });
  beforeEach(() => {
    fake.intercept = undefined;
    fake.state.failWith = 0;
    fake.state.samples = undefined;
    workers.tell(FACTS);
  });
  afterAll(async () => {
    await workers.close();
    await fake.close();
  });

  test('starts with the first call', async () => {
    expect(workers.stats()).toMatchObject({ workers: 0, started: 0 });
    await readSeries(workers.store.series(ALL));
    expect(workers.stats()).toMatchObject({ workers: 1, running: 0 });
  });

  for (const { name, run } of storeCases()) test(`keeps the Store contract: ${name}`, () => run(ofThisRealm(workers.store)));

  test('the main thread converts nothing', async () => {
    const { series } = await readSeries(workers.store.series(ALL));
    expect(series.length).toBeGreaterThan(0);
    await expect(text(workers.metrics)).resolves.toMatch(/^gauntlet_sidecar_converted_chunks_total\{thread="main"\} 0$/m);
    await expect(text(workers.metrics)).resolves.toMatch(/^gauntlet_sidecar_decoded_frames_total\{thread="main"\} 0$/m);
  });

  test('a call goes with the labels and range of its moment', async () => {
    workers.tell({ externalLabels: ['cluster', 'us'], timeRange: { mint: FIXTURE_MINT + 5, maxt: Number.MAX_SAFE_INTEGER } });
    fake.requests.length = 0;
    const { series } = await readSeries(workers.store.series(seriesOf(['__name__=up', 'instance=a'], { minTime: 0, skipChunks: true })));
    expect(series.map((s) => s.labels)).toEqual([['__name__', 'up', 'cluster', 'us', 'instance', 'a', 'job', 'api']]);
    expect(fake.requests).toEqual([`GET /api/v1/series?end=${FIXTURE_MAXT / 1000}&match[]={__name__="up", instance="a"}&start=${(FIXTURE_MINT + 5) / 1000}`]);
  });

  test('samples of an old server', async () => {
    fake.state.samples = FIXTURE_SERIES.map((_, s) => Array.from({ length: 250 }, (__, i) => [1_000_000 + i * 1000, s + i / 4] as const));
    const { series } = await readSeries(workers.store.series(seriesOf(['__name__=up', 'instance=a'])));
    expect(series[0]!.chunks.map((chunk) => chunk.slice(0, 3))).toEqual([
      [1_000_000, 1_119_000, 1],
      [1_120_000, 1_239_000, 1],
      [1_240_000, 1_249_000, 1],
    ]);
  });

  test('errors keep code and text', async () => {
    fake.state.failWith = 422;
    await expect(readSeries(workers.store.series(ALL))).rejects.toMatchObject({ name: 'StoreError', code: 'ERR_STORE_UNKNOWN', message: 'query Prometheus: request failed with code 422 Unprocessable Entity; msg broken on purpose' });
    const values = { ...EMPTY_LABEL_NAMES_REQUEST, label: 'job', start: FIXTURE_MINT, end: FIXTURE_MAXT };
    await expect(workers.store.labelValues(values)).rejects.toMatchObject({ code: 'ERR_STORE_INTERNAL', message: 'expected 2xx response, got 422. Body: broken on purpose' });
    await expect(workers.store.labelValues({ ...values, label: '' })).rejects.toMatchObject({ code: 'ERR_STORE_INVALID_ARGUMENT' });
  });

  describe('a call that is given up', () => {
    /** Answers remote reads with a head and nothing more. @returns when it was asked, and when the asker went away */
    function silentPrometheus(): { readonly asked: Promise<void>; readonly left: Promise<void> } {
      let onAsked = (): void => {};
      let onLeft = (): void => {};
      const asked = new Promise<void>((resolve) => (onAsked = resolve));
      const left = new Promise<void>((resolve) => (onLeft = resolve));
      fake.intercept = (_, response) => {
        response.writeHead(200, { 'content-type': 'application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse' });
        response.flushHeaders();
        response.on('close', onLeft);
        onAsked();
        return true;
      };
      return { asked, left };
    }

    test('by its signal: leaves Prometheus, and the worker works on', async () => {
      const { asked, left } = silentPrometheus();
      const { terminated } = workers.stats();
      const abort = new AbortController();
      const call = readSeries(workers.store.series(ALL, { signal: abort.signal }));
      await Promise.all([
        expect(call).rejects.toMatchObject({ name: 'AbortError' }),
        asked.then(() => abort.abort()),
      ]);
      await left;
      fake.intercept = undefined;
      expect((await readSeries(workers.store.series(ALL))).series.length).toBeGreaterThan(0);
      expect(workers.stats().terminated).toBe(terminated);
    });

    test('by its reader: ends the job', async () => {
      for await (const _ of workers.store.series(seriesOf(['__name__!=none'], { responseBatchSize: 1 }))) break;
      while (workers.stats().running > 0) await new Promise((resolve) => setImmediate(resolve));
      expect((await readSeries(workers.store.series(ALL))).series.length).toBeGreaterThan(0);
    });
  });
});

describe('workers of their own', () => {
  const closers: (() => Promise<void>)[] = [];
  let fake: FakePrometheus;
  const own = (override: Partial<WorkerSettings> = {}): Running => {
    const workers = startWorkers(fake, override);
    closers.push(() => workers.close());
    return workers;
  };
  beforeEach(async () => {
    fake = await startFakePrometheus(FIXTURE_SERIES);
    closers.push(() => fake.close());
  });
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
  });

  test('count what they did, also for a call that fails', async () => {
    const workers = own({ limits: { seriesMax: 2, samplesMax: 0 } });
    await readSeries(workers.store.series(seriesOf(['__name__=up', 'instance=a'])));
    const chunks = FIXTURE_SERIES.find((s) => s.labels.includes('up') && s.labels.includes('a'))!.chunks.length;
    await workers.shows(`gauntlet_sidecar_converted_chunks_total{thread="worker"} ${chunks}`);
    await workers.shows(`prometheus_store_received_frames_sum ${Math.ceil(chunks / 2)}`);
    await expect(readSeries(workers.store.series(ALL))).rejects.toMatchObject({ code: 'ERR_STORE_RESOURCE_EXHAUSTED', message: expect.stringMatching(/^exceeded series limit: limit 2 violated/) });
    await workers.shows('prometheus_store_received_frames_count 2');
    await expect(text(workers.metrics)).resolves.toMatch(/^gauntlet_sidecar_converted_chunks_total\{thread="main"\} 0$/m);
  });

  test('a slow reader sends the rest to disk, is counted, and still gets everything', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'gauntlet-spool-test-'));
    // Enough that the worker has to wait for the reader: three pieces of 256 KiB.
    await fake.close();
    const series = Array.from({ length: 12 }, (_, i) => ({ labels: ['__name__', `m${String(i).padStart(2, '0')}`], chunks: [{ mint: FIXTURE_MINT, maxt: FIXTURE_MINT + 1, encoding: 1, data: new Uint8Array(100_000).fill(i) }] }));
    fake = await startFakePrometheus(series);
    closers.push(() => fake.close());
    const workers = own({ spool: { folder, stallMs: 1 } });
    const frames: Uint8Array[] = [];
    for await (const frame of workers.store.series(ALL)) {
      frames.push(frame);
      if (frames.length === 1) await workers.shows('gauntlet_sidecar_spooled_answers_total 1');
    }
    async function* replay(): AsyncGenerator<Uint8Array> {
      yield* frames;
    }
    const read = await readSeries(replay());
    expect(read.series.map((s) => [s.labels[1], s.chunks[0]![3]])).toEqual(series.map((s) => [s.labels[1], Buffer.from(s.chunks[0]!.data).toString('hex')]));
    expect(readdirSync(folder)).toEqual([]);
  });

  test('credentials of the configuration file go along', async () => {
    const seen: (string | undefined)[] = [];
    fake.intercept = (request) => {
      seen.push(request.headers.authorization);
      return false;
    };
    await readSeries(own({ transport: readTransportSettings('basic_auth: {username: me, password: "p@ss"}', 'test') }).store.series(ALL));
    await readSeries(own({ transport: readTransportSettings('bearer_token: abc', 'test') }).store.series(ALL));
    expect(seen).toEqual([`Basic ${Buffer.from('me:p@ss').toString('base64')}`, 'Bearer abc']);
  });
});
