/**
 * Native histograms from blocks of two replicas to the text of an answer: stores in this process, the proxy between, no worker. Equal to
 * what `thanos query` answered over the same blocks, where the golden data folder is.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { ApiParams, type ApiDefaults, API_DEFAULTS, parseInstantQuery, parseRangeQuery, runQuery } from '@gauntlet/http-api';
import { createKernels } from '@gauntlet/kernels';
import { labelsFromMap } from '@gauntlet/model';
import { createEngine } from '@gauntlet/promql';
import { type ProxyEndpoint, createProxyStore, createTsdbStore } from '@gauntlet/storeapi';
import { type Block, createBlockQueryable, openBlock } from '@gauntlet/tsdb';
import { createMemoryFileSystem } from '@gauntlet/tsdb/testing';
import { StoreQueryable } from './store-queryable.ts';
import type { DedupFunction } from './unite-streams.ts';

const GOLDEN = join(process.env['GAUNTLET_SHARED'] ?? resolve(import.meta.dirname, '../../../../shared'), 'golden');
const BLOCKS = resolve(import.meta.dirname, '../../tsdb/testdata/tsdb');
const kernels = createKernels();
const engine = createEngine({ kernels });
const defaults: ApiDefaults = { ...API_DEFAULTS, replicaLabels: ['replica'] };

/** Opens a recorded block. */
function open(path: string): Block {
  const fs = createMemoryFileSystem();
  for (const entry of readdirSync(path, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = join(entry.parentPath, entry.name);
    fs.seed(`block${file.slice(path.length)}`, readFileSync(file));
  }
  return openBlock(fs, 'block');
}

/** A store of each replica's blocks. */
function endpointOf(blocks: readonly Block[], labels: Readonly<Record<string, string>>): ProxyEndpoint {
  const mint = Math.min(...blocks.map(({ meta }) => meta.minTime));
  const store = createTsdbStore({ queryable: createBlockQueryable(blocks, kernels), externalLabels: () => labelsFromMap(labels), mint: () => mint, storeType: 'store' });
  return { address: labels['replica'] ?? 'one', info: store.info(), store };
}

interface Charge {
  used: number;
  peak: number;
  readonly limit: number;
}

/** What the querier answers. */
async function answer(endpoints: readonly ProxyEndpoint[], path: string, params: URLSearchParams, dedupFunction: DedupFunction = 'penalty', charge: Charge = { used: 0, peak: 0, limit: Infinity }): Promise<{ status: number; text: string }> {
  const store = createProxyStore({ endpoints: () => endpoints, responseTimeoutMs: 0, storeType: 'query' });
  const apiParams = new ApiParams(params);
  const call = path.endsWith('query') ? parseInstantQuery(apiParams, defaults, 0) : parseRangeQuery(apiParams, defaults);
  const control = {
    poll: () => undefined,
    reserve(bytes: number): void {
      if (charge.used + bytes > charge.limit) throw new RangeError(`over budget: ${bytes} more`);
      charge.used += bytes;
      charge.peak = Math.max(charge.peak, charge.used);
    },
    release(bytes: number): void {
      charge.used -= bytes;
    },
  };
  const api = await runQuery(call, {
    engine,
    kernels,
    control,
    now: () => 0,
    queryable: (read) =>
      new StoreQueryable({
        store,
        kernels,
        charge: control,
        replicaLabels: read.dedup ? read.replicaLabels : [],
        dedupFunction,
        skipChunks: read.skipChunks,
        partialResponse: read.partialResponse,
        maxResolutionMs: read.maxResolutionMs,
        timeoutMs: () => 60_000,
        storeMatchers: [],
        counters: { series: 0, chunks: 0, samples: 0 },
      }),
  });
  const pieces: Uint8Array[] = [];
  for await (const piece of api.body) pieces.push(piece.slice());
  return { status: api.status, text: Buffer.concat(pieces).toString() };
}

interface Recording {
  readonly request: { readonly path: string; readonly params: readonly (readonly [string, string | number | boolean])[] };
  readonly status: number;
  readonly text: string;
}

const isThere = existsSync(join(GOLDEN, 'http-api'));

/** Recorded queries of raw data that read histograms or go through deduplication. */
function recordings(set: string): [string, Recording][] {
  if (!isThere) return [];
  return readdirSync(join(GOLDEN, 'http-api', set))
    .filter((file) => /hist|dedup-(samples|rate|increase)|query-matrix/.test(file))
    .map((file): [string, Recording] => [file.replace('.json', ''), JSON.parse(readFileSync(join(GOLDEN, 'http-api', set, file), 'utf8')) as Recording])
    .filter(([, { request, status }]) => status === 200 && /\/query(_range)?$/.test(request.path) && !request.params.some(([name, value]) => name === 'max_source_resolution' && value !== '0s'));
}

/** Instant vectors are in no order; other answers are equal as texts. */
function comparable(text: string): unknown {
  if (!text.includes('"resultType":"vector"')) return text;
  const body = JSON.parse(text) as { data: { result: { metric: unknown }[] } };
  body.data.result.sort((a, b) => (JSON.stringify(a.metric) < JSON.stringify(b.metric) ? -1 : 1));
  return body;
}

(isThere ? describe : describe.skip)('as recorded from thanos (skipped without the golden data)', () => {
  const bucket = join(GOLDEN, 'bucket/plain');
  const replicas = new Map<string, Block[]>();
  for (const ulid of isThere ? readdirSync(bucket) : []) {
    const block = open(join(bucket, ulid));
    const thanos = block.meta.thanos as { labels: Record<string, string>; downsample: { resolution: number } };
    if (thanos.downsample.resolution === 0) replicas.set(JSON.stringify(thanos.labels), [...(replicas.get(JSON.stringify(thanos.labels)) ?? []), block]);
  }
  const endpoints = [...replicas].map(([labels, blocks]) => endpointOf(blocks, JSON.parse(labels) as Record<string, string>));

  describe.each([['query', 'penalty'], ['query-chain', 'chain']] as const)('%s', (set, dedupFunction) => {
    test('there are recordings', () => expect(recordings(set).length).toBeGreaterThan(isThere ? 10 : -1));
    test.each(recordings(set))('%s', async (_name, { request, text }) => {
      const params = new URLSearchParams(request.params.map(([name, value]) => [name, String(value)]));
      const got = await answer(endpoints, request.path, params, dedupFunction);
      expect(comparable(got.text)).toEqual(comparable(text));
    });
  });
});

describe('two replicas with the same histograms', () => {
  const folder = join(BLOCKS, 'out-of-order');
  const blocks = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map(({ name }) => open(join(folder, name)));
  const ends = blocks.map(({ meta }) => meta.maxTime);
  const one = [endpointOf(blocks, {})];
  const two = ['a', 'b'].map((replica) => endpointOf(blocks, { replica }));
  const endMs = Math.max(...ends);
  const rangeMs = endMs - Math.min(...blocks.map(({ meta }) => meta.minTime));
  const ask = (query: string, more: Readonly<Record<string, string>> = {}): URLSearchParams => new URLSearchParams({ query, time: String(endMs / 1000), ...more });
  const histograms = `late_hist[${rangeMs}ms]`;
  const everything = `{__name__=~".+"}[${rangeMs}ms]`;

  test.each([histograms, `count_over_time(${histograms})`, `sum(rate(${histograms}))`, `histogram_quantile(0.5, rate(${histograms}))`])('%s is what one of them alone answers', async (query) => {
    const want = await answer(one, '/api/v1/query', ask(query));
    expect(want.status).toBe(200);
    if (query === histograms) expect(want.text).toContain('"histograms":[[');
    for (const dedupFunction of ['penalty', 'chain'] as const) {
      const got = await answer(two, '/api/v1/query', ask(query), dedupFunction);
      expect(comparable(got.text)).toEqual(comparable(want.text));
    }
  });

  test('without deduplication there are two of each, and overlapping blocks are united', async () => {
    const series = async (endpoints: readonly ProxyEndpoint[]): Promise<{ metric: Record<string, string> }[]> => (JSON.parse((await answer(endpoints, '/api/v1/query', ask(everything, { dedup: 'false' }))).text) as { data: { result: { metric: Record<string, string> }[] } }).data.result;
    const single = await series(one);
    const got = await series(two);
    expect(got.length).toBe(2 * single.length);
    const replicaA = got.filter(({ metric }) => metric['replica'] === 'a').map(({ metric: { replica: _replica, ...metric }, ...samples }) => ({ metric, ...samples }));
    expect(replicaA).toEqual(single);
  });

  test('memory is charged and given back; a query past its budget fails alone', async () => {
    const charge = { used: 0, peak: 0, limit: Infinity };
    const query = ask(everything);
    await answer(two, '/api/v1/query', query, 'penalty', charge);
    expect(charge.used).toBe(0);
    const small = { used: 0, peak: 0, limit: charge.peak - 1 };
    const got = await answer(two, '/api/v1/query', query, 'penalty', small);
    expect(got).toMatchObject({ status: 422, text: expect.stringContaining('over budget') });
    expect(small.used).toBe(0);
    expect(kernels.memory.usedBytes).toBe(0);
  });
});
