/**
 * Hostile queries against a querier process: a store in this test streams series without end, made as they are asked for. Each query that wants more than its
 * budget fails alone, with limit, flag and place in its message, while eight clients beside it ask small queries and get every answer right; resident memory
 * stays within what the budget and a fixed slack allow, and cancelled queries leave their workers.
 */
import { readFileSync } from 'node:fs';
import { createKernels } from '@gauntlet/kernels';
import { createMatcher, type Labels } from '@gauntlet/model';
import { encodeLabelFields, MAX_TIME_MS, MIN_TIME_MS, SeriesFrameEncoder } from '@gauntlet/proto';
import { createGrpcServer, createMetrics, createNopLogger, type GrpcServer } from '@gauntlet/service-kit';
import { createInfoService, createStoreService, infoToMessage, type Store } from '@gauntlet/storeapi';
import { createBlockQueryable, openBlock } from '@gauntlet/tsdb';
import { buildBlock, createMemoryFileSystem } from '@gauntlet/tsdb/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { getApi } from './harness/api.ts';
import { type Service, startService } from './harness/gauntlet.ts';
import { waitFor } from './harness/process.ts';

const TIMEOUT_MS = 180_000;
const MIB = 1 << 20;
const BUDGET_MIB = 64;
/** Resident memory beside what a query is charged: garbage of the two or three workers it went through, their code, buffers of gRPC on their way. */
const SLACK_MIB = 512;
const SERIES = 5_000_000;
const START_MS = Date.UTC(2026, 0, 1);
const END_S = START_MS / 1000 + 60;
const SMALL_CLIENTS = 8;

const digits = (i: number): string => String(i).padStart(8, '0');

/** What there is by metric name: how many series, and their labels in order. */
const METRICS: ReadonlyMap<string, readonly [count: number, labelsOf: (i: number) => Labels]> = new Map([
  ['m', [SERIES, (i) => ['__name__', 'm', 'id', digits(i), 'job', 'x']]],
  ['b', [SERIES, (i) => ['__name__', 'b', 'le', digits(i)]]],
  ['few', [100, (i) => ['__name__', 'few', 'id', digits(i)]]],
]);

/** One chunk for all series: a sample each 15 s for two minutes, values 0, 1, 2, …. */
async function chunkData(): Promise<{ readonly mint: number; readonly maxt: number; readonly data: Uint8Array }> {
  const kernels = createKernels({ backend: 'js' });
  const fs = createMemoryFileSystem();
  const { dir } = buildBlock(fs, '/block', "m{id='0'} 0+1x8", { kernels, startMs: START_MS, stepMs: 15_000 });
  for await (const batch of createBlockQueryable([openBlock(fs, dir)], kernels).selectChunks({ matchers: [createMatcher('=', '__name__', 'm')], mint: START_MS, maxt: START_MS + 120_000 })) {
    for (const { chunks } of batch) return { mint: chunks[0]!.mint, maxt: chunks[0]!.maxt, data: chunks[0]!.data.slice() };
  }
  throw new Error('the block has no chunk');
}

async function startEndlessStore(): Promise<GrpcServer> {
  const { mint, maxt, data } = await chunkData();
  const store: Store = {
    async *series(request, options) {
      const name = request.matchers.find((matcher) => matcher.name === '__name__')?.value ?? '';
      const [count, labelsOf] = METRICS.get(name) ?? [0, (): Labels => []];
      const encoder = new SeriesFrameEncoder({ batchSize: Math.max(1, request.responseBatchSize) });
      for (let i = 0; i < count; i++) {
        encoder.beginSeries(encodeLabelFields(labelsOf(i)));
        encoder.addChunk(mint, maxt, 1, data);
        const frame = encoder.endSeries();
        if (frame === undefined) continue;
        yield frame;
        if (options?.signal?.aborted === true) return;
        // The event loop of this process also serves others.
        if (i % 4096 < 64) await new Promise((resolve) => setImmediate(resolve));
      }
      const rest = encoder.flush();
      if (rest !== undefined) yield rest;
    },
    labelNames: () => Promise.resolve({ names: [], warnings: [], hints: undefined }),
    labelValues: () => Promise.resolve({ values: [], warnings: [], hints: undefined }),
    info: () => ({ labelSets: [['cluster', 'eu']], mint: MIN_TIME_MS, maxt: MAX_TIME_MS, storeType: 'store', supportsSharding: true, supportsWithoutReplicaLabels: true, tsdbInfos: [] }),
  };
  const server = createGrpcServer({ address: '127.0.0.1:0', gracePeriodMs: 0, component: 'store', log: createNopLogger(), metrics: createMetrics() });
  for (const service of [createStoreService(store), createInfoService(() => infoToMessage(store.info()))]) server.addService(service.methods, service.handlers);
  await server.start();
  return server;
}

/** Queries that want more than there is, and the place their message names. */
const HOSTILE: readonly (readonly [name: string, query: string, at: RegExp])[] = [
  ['five million groups', 'count by (id) (m)', /, at 1:/],
  ['count_values over millions', 'count_values("v", label_replace(m, "v", "$1", "id", "(.*)")) by (id)', /, at 1:/],
  ['an answer of millions', 'm', /, at 1:1: m$/],
  ['raw samples of millions', 'm[5m]', /, at 1:1: m\[5m\]$/],
  ['a huge subquery', 'max_over_time(m[1y:1ms])', /, at 1:1: max_over_time/],
  ['a subquery of a number', 'max_over_time(vector(1)[3y:1s])', /, at 1:1: max_over_time/],
  ['millions on both sides', 'm + on (id) m', /, at 1:/],
  ['topk of all', 'topk(1e9, m)', /, at 1:11: m$/],
  ['one histogram of millions of buckets', 'histogram_quantile(0.9, b)', /, at 1:25: b$/],
];

const residentBytes = (pid: number, field: 'VmRSS' | 'VmHWM'): number => Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * 1024;

describe('hostile queries', () => {
  let store: GrpcServer;
  let querier: Service;

  beforeAll(async () => {
    store = await startEndlessStore();
    querier = await startService('query', [`--endpoint=127.0.0.1:${store.port}`, `--query.max-memory=${BUDGET_MIB}MiB`, '--query.timeout=60s']);
    await waitFor('the store', async () => (await getApi<{ result: unknown[] }>(querier.url, 'query', { query: 'few', time: END_S })).data.result.length === 100, { process: querier.process });
  }, TIMEOUT_MS);

  afterAll(async () => {
    await querier?.stop();
    await store?.stop();
  }, TIMEOUT_MS);

  const metric = async (name: string): Promise<number> => Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'm').exec(await (await fetch(`${querier.url}/metrics`)).text())?.[1] ?? Number.NaN);
  const isIdle = async (): Promise<boolean> => (await metric('gauntlet_query_tasks_running')) === 0 && (await metric('gauntlet_query_memory_used_bytes')) === 0;

  test('each fails alone, beside eight clients with small queries; memory stays within budget and slack', async () => {
    const before = residentBytes(querier.process.pid, 'VmRSS');
    let isOver = false;
    let answered = 0;
    const small = async (client: number): Promise<void> => {
      for (let turn = client; !isOver; turn++) {
        const [query, want] = ([
          ['count(few)', '100'],
          ['sum(few)', '400'],
          ['max(max_over_time(few[1m]))', '4'],
        ] as const)[turn % 3]!;
        const answer = await getApi<{ result: { value: [number, string] }[] }>(querier.url, 'query', { query, time: END_S });
        expect([query, answer.httpStatus, answer.data.result[0]?.value[1]]).toEqual([query, 200, want]);
        answered++;
        // A pace that leaves the processor to the queries in question.
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    };
    const beside = Promise.all(Array.from({ length: SMALL_CLIENTS }, (_none, client) => small(client)));
    let most = 0;
    try {
      for (const [name, query, at] of HOSTILE) {
        const from = answered;
        const answer = await getApi<unknown>(querier.url, 'query', { query, time: END_S });
        expect([name, answer.httpStatus, answer.errorType]).toEqual([name, 422, 'execution']);
        expect(answer.error).toMatch(/of 64\.0 MiB.*\(raise with --query\.max-memory\)|more than the 64\.0 MiB of memory one query may use \(raise with --query\.max-memory\)/);
        expect(answer.error).toMatch(at);
        most = Math.max(most, residentBytes(querier.process.pid, 'VmRSS'));
        await waitFor('small answers after it', async () => answered >= from + SMALL_CLIENTS, { process: querier.process });
      }
    } finally {
      isOver = true;
      await beside;
    }
    const peak = residentBytes(querier.process.pid, 'VmHWM');
    process.stdout.write(
      `hostile queries: ${HOSTILE.length} refused, ${answered} small answers beside; resident ${(before / MIB).toFixed(0)} MiB before, ${(most / MIB).toFixed(0)} at their ends, ${(peak / MIB).toFixed(0)} at most\n`,
    );
    expect(answered).toBeGreaterThan(SMALL_CLIENTS * HOSTILE.length);
    expect(peak - before).toBeLessThan((BUDGET_MIB + SLACK_MIB) * MIB);
    await waitFor('all workers free', isIdle, { process: querier.process });
  }, TIMEOUT_MS);

  test('cancelled in the middle, they leave their workers', async () => {
    const count = async (): Promise<number> => metric('gauntlet_query_cancel_duration_seconds_count');
    const already = await count();
    const queries = ['sum(m)', 'max by (job) (rate(m[5m]))', 'topk(3, m)'];
    for (const query of queries) {
      const client = new AbortController();
      const answer = fetch(`${querier.url}/api/v1/query?query=${encodeURIComponent(query)}&time=${END_S}`, { signal: client.signal });
      await waitFor('the query to run', async () => (await metric('gauntlet_query_tasks_running')) > 0, { process: querier.process });
      client.abort();
      await expect(answer).rejects.toThrow();
      await waitFor('all workers free', isIdle, { process: querier.process });
    }
    expect(await count()).toBe(already + queries.length);
  }, TIMEOUT_MS);
});
