/**
 * The querier as its users meet it: two stores (replicas a and b of one Prometheus) behind real gRPC, the HTTP API in front, the
 * built worker in between.
 */
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { type IncomingMessage, get as httpGet } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createKernels } from '@gauntlet/kernels';
import { MIN_TIME_MS } from '@gauntlet/proto';
import { type GrpcServer, type RunPart, createGrpcServer, createMetrics, createNopLogger, parseFlags, renderMetrics } from '@gauntlet/service-kit';
import { type Store, createInfoService, createStoreService, createTsdbStore, infoToMessage } from '@gauntlet/storeapi';
import { createBlockQueryable, openBlock } from '@gauntlet/tsdb';
import { buildBlock, createMemoryFileSystem } from '@gauntlet/tsdb/testing';
import { querierFlags } from './flags.ts';
import { type Querier, createQuerier } from './querier.ts';

const WORKER = join(import.meta.dirname, '..', 'dist', 'query-worker.js');
const START_MS = Date.UTC(2026, 0, 1);
const HOUR_S = 3600;

async function startStore(text: string, replica: string, change: (store: Store) => Store = (store) => store): Promise<{ readonly address: string; stop(): Promise<void> }> {
  const kernels = createKernels();
  const fs = createMemoryFileSystem();
  const dir = `/block-${replica}`;
  const built = buildBlock(fs, dir, text, { kernels, startMs: START_MS, stepMs: 15_000 });
  const block = openBlock(fs, built.dir);
  const store = change(createTsdbStore({ queryable: createBlockQueryable([block], kernels), externalLabels: () => ['replica', replica], mint: () => MIN_TIME_MS, storeType: 'sidecar' }));
  const server: GrpcServer = createGrpcServer({ address: '127.0.0.1:0', gracePeriodMs: 0, component: 'sidecar', log: createNopLogger(), metrics: createMetrics() });
  for (const service of [createStoreService(store), createInfoService(() => infoToMessage(store.info()))]) server.addService(service.methods, service.handlers);
  await server.start();
  return { address: `127.0.0.1:${server.port}`, stop: () => server.stop() };
}

async function startQuerier(argv: readonly string[]): Promise<{ readonly url: string; readonly querier: Querier; metrics(): Promise<string>; stop(): Promise<void> }> {
  const outcome = parseFlags({ name: 'query', help: '', flags: querierFlags }, ['--http-address=127.0.0.1:0', '--grpc-address=127.0.0.1:0', '--query.replica-label=replica', '--http-grace-period=0s', ...argv]);
  if (outcome.kind !== 'run') throw new Error(outcome.stderr);
  const metrics = createMetrics();
  const querier = await createQuerier(outcome.values, { log: createNopLogger(), metrics, clock: Date.now, shownFlags: Object.fromEntries(outcome.shown), uiDir: '/nowhere', workerModule: new URL(`file://${WORKER}`) });
  const started: RunPart[] = [];
  for (const part of querier.parts) {
    await part.start?.();
    started.unshift(part);
  }
  return {
    url: `http://${querier.httpAddress()}`,
    querier,
    metrics: async () => String((await renderMetrics(metrics.registry, undefined)).body),
    async stop() {
      for (const part of started) await part.stop?.('test ends');
    },
  };
}

interface Answer {
  readonly status: string;
  readonly errorType?: string;
  readonly error?: string;
  readonly warnings?: string[];
  readonly data: { readonly resultType: string; readonly result: { readonly metric: Record<string, string>; readonly values?: [number, string][]; readonly value?: [number, string] }[]; readonly analysis?: unknown };
}

const samples = (text: string): string => `up{job='x'} ${text}\nrequests_total{job='x'} 0+15x240`;

if (!existsSync(WORKER)) throw new Error('the query worker is not built: run `npm run build`');

describe('a querier over two replicas', () => {
  let a: Awaited<ReturnType<typeof startStore>>;
  let b: Awaited<ReturnType<typeof startStore>>;
  let querier: Awaited<ReturnType<typeof startQuerier>>;
  const get = async (path: string): Promise<Answer> => (await fetch(`${querier.url}/api/v1/${path}`)).json() as Promise<Answer>;
  const end = START_MS / 1000 + HOUR_S;

  beforeAll(async () => {
    a = await startStore(samples('1x240'), 'a');
    b = await startStore(samples('1x240'), 'b');
    querier = await startQuerier([`--endpoint=${a.address}`, `--endpoint=${b.address}`]);
  });
  afterAll(async () => {
    await querier.stop();
    await Promise.allSettled([a.stop(), b.stop()]);
  });

  test('with deduplication there is one series, without there are two', async () => {
    expect((await get(`query?query=up&time=${end}`)).data.result.map(({ metric }) => metric)).toEqual([{ __name__: 'up', job: 'x' }]);
    expect((await get(`query?query=up&time=${end}&dedup=false`)).data.result.map(({ metric }) => metric)).toEqual([
      { __name__: 'up', job: 'x', replica: 'a' },
      { __name__: 'up', job: 'x', replica: 'b' },
    ]);
  });

  test('a range query counts what is there, and analysis is always present', async () => {
    const answer = await get(`query_range?query=sum(rate(requests_total[5m]))&start=${end - 600}&end=${end}&step=60`);
    expect(answer.data).toMatchObject({ resultType: 'matrix', analysis: {} });
    expect(answer.data.result[0]!.values).toHaveLength(11);
    for (const [, value] of answer.data.result[0]!.values!) expect(Number(value)).toBeCloseTo(1, 9);
  });

  test('a form in a POST body, and gzip', async () => {
    const body = new URLSearchParams({ query: 'requests_total', start: String(end - 3600), end: String(end), step: '15' });
    const response = await fetch(`${querier.url}/api/v1/query_range`, { method: 'POST', body, headers: { 'Accept-Encoding': 'gzip' } });
    expect(response.headers.get('content-encoding')).toBe('gzip');
    expect(((await response.json()) as Answer).data.result[0]!.values).toHaveLength(241);
  });

  test('series, labels, label values', async () => {
    expect((await get(`series?match[]=up`)).data).toEqual([{ __name__: 'up', job: 'x' }]);
    expect((await get('labels')).data).toEqual(['__name__', 'job', 'replica']);
    expect((await get('label/replica/values')).data).toEqual(['a', 'b']);
  });

  test('shards of a query divide its series', async () => {
    const counts: string[] = [];
    for (const shard of [0, 1, 2]) {
      const shardInfo = encodeURIComponent(JSON.stringify({ shard_index: shard, total_shards: 3, by: true, labels: ['__name__'] }));
      const answer = await get(`query?query=${encodeURIComponent('count by (__name__) ({job="x"})')}&time=${end}&shard_info=${shardInfo}`);
      counts.push(...answer.data.result.map(({ metric, value }) => `${metric['__name__']} ${value![1]}`));
    }
    // Each series is in exactly one shard; without the shard each answer would hold both.
    expect(counts.sort()).toEqual(['requests_total 1', 'up 1']);
  });

  test('a query is explained, and analyzed, in a worker', async () => {
    const name = '[matrixSelector] rate({[job="x" __name__="requests_total"]}[5m0s] 0 mod 1)';
    const expr = encodeURIComponent('sum(rate(requests_total{job="x"}[5m]))');
    const explained = (await get(`query_explain?query=${expr}&time=${end}&engine=thanos`)).data as unknown;
    expect(explained).toMatchObject({ name: '[aggregate] sum by ([])', children: [{ name }] });
    const { analysis } = (await get(`query?query=${expr}&time=${end}&engine=thanos&analyze=true`)).data as unknown as { analysis: unknown };
    expect(analysis).toMatchObject({ name: '[aggregate] sum by ([])', series: 1, children: [{ name, series: 1 }] });
  });

  test('stores are listed with what they announce', async () => {
    expect((await get('stores')).data).toMatchObject({ sidecar: expect.arrayContaining([expect.objectContaining({ name: a.address, lastError: null, labelSets: [{ replica: 'a' }] })]) });
  });

  test.each([
    ['query?query=sum(up', 400, 'bad_data', '1:7: parse error: unclosed left parenthesis'],
    ['query?query=up&dedup=maybe', 400, 'bad_data', "'dedup' parameter"],
    ['query_range?query=up&start=1&end=2&step=-1', 400, 'bad_data', 'zero or negative query resolution step widths are not accepted. Try a positive integer'],
    ['series', 400, 'bad_data', 'no match[] parameter provided'],
  ])('%s is refused', async (path, status, errorType, text) => {
    const response = await fetch(`${querier.url}/api/v1/${path}`);
    expect(response.status).toBe(status);
    expect(response.headers.get('cache-control')).toBe('no-store');
    const answer = (await response.json()) as Answer;
    expect(answer.errorType).toBe(errorType);
    expect(answer.error).toContain(text);
  });

  test('the main thread decoded, merged and encoded nothing', async () => {
    const page = await querier.metrics();
    for (const name of ['decoded_chunks', 'merged_series', 'encoded_bytes']) {
      expect(page).toContain(`gauntlet_query_${name}_total{thread="main"} 0\n`);
      expect(page).toMatch(new RegExp(`gauntlet_query_${name}_total\\{thread="worker"\\} [1-9]`));
    }
  });

  test('an unknown page file is a 404, the API under an unbuilt page still answers', async () => {
    expect((await fetch(`${querier.url}/graph`)).status).toBe(404);
    expect((await fetch(`${querier.url}/-/ready`)).status).toBe(200);
  });

  test('a replica that dies is a warning; without partial response it is an error', async () => {
    const page = await get(`query?query=up&time=${end}&dedup=false`);
    expect(page.warnings).toBeUndefined();
    await b.stop();
    const answer = await get(`query?query=up&time=${end}&dedup=false`);
    expect(answer.status).toBe('success');
    expect(answer.data.result.map(({ metric }) => metric['replica'])).toEqual(['a']);
    expect(answer.warnings).toHaveLength(1);
    expect(answer.warnings![0]).toContain(b.address);
    // The call is refused, or, when it was on its way while the connection closed, breaks off; Thanos' words for each.
    expect(answer.warnings![0]).toMatch(new RegExp(`^fetch series for \\{replica="b"\\} Addr: ${b.address} |^receive series from Addr: ${b.address} `));
    const strict = await get(`query?query=up&time=${end}&partial_response=false`);
    expect(strict.status).toBe('error');
    expect(strict.error).toContain(b.address);

    // The health check notices, too: from then on it is not asked, and what it would have had is still missing.
    await querier.querier.endpoints.update();
    const later = await get(`query?query=up&time=${end}&dedup=false`);
    expect(later.data.result.map(({ metric }) => metric['replica'])).toEqual(['a']);
    expect(later.warnings).toHaveLength(1);
    expect(later.warnings![0]).toContain(b.address);
    expect(later.warnings![0]).toContain('the endpoint is down');
    expect((await get(`query?query=up&time=${end}&partial_response=false`)).error).toContain('the endpoint is down');
    expect((await get('labels')).warnings![0]).toContain('the endpoint is down');
    // A query that it could not have answered is whole.
    expect((await get(`query?query=${encodeURIComponent('up{replica="a"}')}&time=${end}&dedup=false`)).warnings).toBeUndefined();
  });
});

describe('queries that misbehave', () => {
  test('a client that goes away frees its worker', async () => {
    let asked = (): void => {};
    let released = (): void => {};
    const isAsked = new Promise<void>((resolve) => (asked = resolve));
    const isReleased = new Promise<void>((resolve) => (released = resolve));
    // A store that never answers: only cancellation ends its call.
    const silent = await startStore(samples('1x10'), 'a', (store) => ({
      ...store,
      info: () => store.info(),
      labelNames: (request, options) => store.labelNames(request, options),
      labelValues: (request, options) => store.labelValues(request, options),
      async *series(_request, options) {
        asked();
        await new Promise<void>((resolve) => options?.signal?.addEventListener('abort', () => resolve(), { once: true }));
        released();
      },
    }));
    const querier = await startQuerier([`--endpoint=${silent.address}`]);
    try {
      const client = new AbortController();
      const query = fetch(`${querier.url}/api/v1/query?query=up`, { signal: client.signal });
      await isAsked;
      client.abort();
      await expect(query).rejects.toThrow();
      await isReleased;
      const other = (await (await fetch(`${querier.url}/api/v1/query?query=1%2B1`)).json()) as Answer;
      expect(other.status).toBe('success');
    } finally {
      await querier.stop();
      await silent.stop();
    }
  });

  test('a query past its memory budget fails alone, and names limit and flag', async () => {
    const lines = Array.from({ length: 1500 }, (_unused, index) => `load{i='${index}'} 0+1x240`).join('\n');
    const store = await startStore(lines, 'a');
    const querier = await startQuerier([`--endpoint=${store.address}`, '--query.max-memory=2MiB']);
    try {
      const end = START_MS / 1000 + HOUR_S;
      const small = (): Promise<Response> => fetch(`${querier.url}/api/v1/query?query=count(load{i=~"1."})&time=${end}`);
      const [big, ...others] = await Promise.all([fetch(`${querier.url}/api/v1/query?query=load[1h]&time=${end}`), small(), small(), small()]);
      const refused = (await big.json()) as Answer;
      expect(big.status).toBe(422);
      expect(refused.error).toMatch(/--query\.max-memory/);
      for (const response of others) expect(((await response.json()) as Answer).data.result[0]!.value![1]).toBe('10');
    } finally {
      await querier.stop();
      await store.stop();
    }
  });

  test('a query that outgrows its shared worker is answered by one of its own', async () => {
    const lines = Array.from({ length: 2500 }, (_unused, index) => `load{i='${index}'} 0+1x20`).join('\n');
    const store = await startStore(lines, 'a');
    const querier = await startQuerier([`--endpoint=${store.address}`]);
    try {
      // 2,500 series x 1,800 steps at 9 bytes: past the 32 MiB of a shared worker.
      const answer = (await (await fetch(`${querier.url}/api/v1/query?query=count(count_over_time(load[1h:2s]))&time=${START_MS / 1000 + 300}`)).json()) as Answer;
      expect(answer.data.result[0]!.value![1]).toBe('2500');
      const page = await querier.metrics();
      expect(page).toMatch(/^gauntlet_query_outgrown_total 1$/m);
      expect(page).toMatch(/^gauntlet_query_memory_used_bytes 0$/m);
    } finally {
      await querier.stop();
      await store.stop();
    }
  });

  test('a reader that takes nothing for --query.timeout ends its query; others do not notice', async () => {
    const lines = Array.from({ length: 3000 }, (_unused, index) => `load{i='${index}'} 0+1x240`).join('\n');
    const store = await startStore(lines, 'a');
    const querier = await startQuerier([`--endpoint=${store.address}`, '--query.timeout=2s', '--query.max-concurrent=1']);
    try {
      const end = START_MS / 1000 + HOUR_S;
      const { hostname, port } = new URL(querier.url);
      // 16 MB of JSON, more than the sockets hold; nothing is read but the head.
      const request = httpGet({ hostname, port, path: `/api/v1/query_range?query=load&start=${end - 3600}&end=${end}&step=15` });
      const [response] = (await once(request, 'response')) as [IncomingMessage];
      response.on('error', () => {});
      const other = (await (await fetch(`${querier.url}/api/v1/query?query=count(load)&time=${end}`)).json()) as Answer;
      expect(other.data.result[0]!.value![1]).toBe('3000');
      const memory = async (): Promise<string> => /gauntlet_query_memory_used_bytes (\d+)/.exec(await querier.metrics())![1]!;
      expect(await memory()).not.toBe('0');
      while ((await memory()) !== '0') await new Promise((resolve) => setImmediate(resolve));
      expect(response.complete).toBe(false);
      response.destroy();
    } finally {
      await querier.stop();
      await store.stop();
    }
  });
});

describe('stacked queriers', () => {
  test('a querier over a querier gives the same answers, deduplicated at the top', async () => {
    const stores = await Promise.all([startStore(samples('1x240'), 'a'), startStore(samples('1x240'), 'b')]);
    const leaf = await startQuerier(stores.map(({ address }) => `--endpoint=${address}`));
    const top = await startQuerier([`--endpoint=${leaf.querier.grpcAddress()}`]);
    try {
      const end = START_MS / 1000 + HOUR_S;
      const ask = async ({ url }: { readonly url: string }, path: string): Promise<unknown> => ((await (await fetch(`${url}/api/v1/${path}`)).json()) as Answer).data;
      for (const path of [
        `query?query=requests_total&time=${end}`,
        `query?query=requests_total&time=${end}&dedup=false`,
        `query_range?query=sum(rate(requests_total[5m]))&start=${end - 600}&end=${end}&step=60`,
        'series?match[]=up&dedup=false',
        'labels',
        'label/replica/values',
      ]) {
        expect([path, await ask(top, path)]).toEqual([path, await ask(leaf, path)]);
      }
      expect(await ask(top, 'stores')).toMatchObject({ query: [{ name: leaf.querier.grpcAddress(), lastError: null, labelSets: [{ replica: 'a' }, { replica: 'b' }] }] });
      // The leaf's main thread moved frames and looked into none.
      expect(await leaf.metrics()).toContain('gauntlet_query_encoded_bytes_total{thread="main"} 0\n');
    } finally {
      await top.stop();
      await leaf.stop();
      await Promise.allSettled(stores.map((store) => store.stop()));
    }
  });

  test('a warning of a store below reaches the top; without partial response it is an error there', async () => {
    const [a, b] = await Promise.all([startStore(samples('1x240'), 'a'), startStore(samples('1x240'), 'b')]);
    const leaf = await startQuerier([`--endpoint=${a.address}`, `--endpoint=${b.address}`]);
    const top = await startQuerier([`--endpoint=${leaf.querier.grpcAddress()}`]);
    try {
      await b.stop();
      const end = START_MS / 1000 + HOUR_S;
      const answer = (await (await fetch(`${top.url}/api/v1/query?query=up&time=${end}&dedup=false`)).json()) as Answer;
      expect(answer.data.result.map(({ metric }) => metric['replica'])).toEqual(['a']);
      expect(answer.warnings).toEqual([expect.stringContaining(b.address)]);
      const refused = (await (await fetch(`${top.url}/api/v1/query?query=up&time=${end}&partial_response=false`)).json()) as Answer;
      expect(refused.error).toContain(b.address);
    } finally {
      await top.stop();
      await leaf.stop();
      await a.stop();
    }
  });

  test('--store.limits.request-series of the leaf refuses a call from above', async () => {
    const store = await startStore('load{i="1"} 0+1x10\nload{i="2"} 0+1x10\nload{i="3"} 0+1x10'.replaceAll('"', "'"), 'a');
    const leaf = await startQuerier([`--endpoint=${store.address}`, '--store.limits.request-series=2']);
    const top = await startQuerier([`--endpoint=${leaf.querier.grpcAddress()}`]);
    try {
      const answer = (await (await fetch(`${top.url}/api/v1/query?query=load&time=${START_MS / 1000 + 60}&partial_response=false`)).json()) as Answer;
      expect(answer.error).toContain('exceeded series limit: limit 2 violated (got 3)');
    } finally {
      await top.stop();
      await leaf.stop();
      await store.stop();
    }
  });
});
