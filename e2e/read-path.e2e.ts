/**
 * The read path as whole processes, without any foreign program:
 *
 *   scripted Prometheus (last hour) ◄── sidecar ──► S3 server of this repository (the hours before) ◄── store
 *                                          └────────────── querier ────────────────────────────────────┘
 *
 * Every sample is `step number`, so what an answer must be is known. The bucket is a folder here, so that it can be damaged.
 */
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createKernels } from '@gauntlet/kernels';
import { type ChunkSeries, createMatcher } from '@gauntlet/model';
import { type TestS3, startTestS3 } from '@gauntlet/s3-server/testing';
import { createNodeFileSystem } from '@gauntlet/service-kit';
import { type FakePrometheus, startFakePrometheus } from '@gauntlet/sidecar/testing';
import { createBlockQueryable, openBlock } from '@gauntlet/tsdb';
import { buildBlock, createMemoryFileSystem } from '@gauntlet/tsdb/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { getApi, instant, instantAnswer } from './harness/api.ts';
import { type Service, startService } from './harness/gauntlet.ts';
import { temporaryDir, waitFor } from './harness/process.ts';

const STEP_MS = 15_000;
const PER_BLOCK = 480;
/** Two whole blocks before the last full two hours, and what Prometheus holds from there on. */
const START_MS = Math.floor(Date.now() / 7_200_000) * 7_200_000 - 2 * 7_200_000;
const SEAM_MS = START_MS + 2 * PER_BLOCK * STEP_MS;
const END_S = (SEAM_MS + 239 * STEP_MS) / 1000;
const SERIES = ["requests_total{job='api'}", "requests_total{job='web'}", "up{job='api'}"];
const TIMEOUT_MS = 120_000;

const notation = (from: number, count: number): string => SERIES.map((series) => `${series} ${from}+1x${count - 1}`).join('\n');

async function liveSeries(): Promise<ChunkSeries[]> {
  const fs = createMemoryFileSystem();
  const kernels = createKernels({ backend: 'js' });
  const { dir } = buildBlock(fs, '/live', notation(2 * PER_BLOCK, 240), { kernels, startMs: SEAM_MS, stepMs: STEP_MS });
  const found: ChunkSeries[] = [];
  for await (const batch of createBlockQueryable([openBlock(fs, dir)], kernels).selectChunks({ matchers: [createMatcher('=~', '__name__', '.+')], mint: SEAM_MS, maxt: END_S * 1000 })) {
    found.push(...batch.map(({ labels, chunks }) => ({ labels, chunks: chunks.map((chunk) => ({ ...chunk, data: chunk.data.slice() })) })));
  }
  return found;
}

describe('sidecar, store and querier as processes', () => {
  const data = temporaryDir('read-path');
  const bucketDir = temporaryDir('read-path-s3');
  let s3: TestS3;
  let prometheus: FakePrometheus;
  let sidecar: Service;
  let store: Service;
  let querier: Service;
  let blocks: readonly string[];

  const startSidecar = (): Promise<Service> =>
    startService('sidecar', [`--prometheus.url=${prometheus.url}`, '--prometheus.get_config_interval=200ms', `--tsdb.path=${data}`, `--objstore.config=${s3.configYaml}`]);
  const startStore = (): Promise<Service> => startService('store', [`--objstore.config=${s3.configYaml}`, `--data-dir=${temporaryDir('read-path-store')}`, '--sync-block-duration=500ms']);
  // Strict: asked even while its Info fails, so that what is missing is said.
  const startQuerier = (...services: readonly Service[]): Promise<Service> => startService('query', ['--query.replica-label=replica', ...services.map(({ grpc }) => `--endpoint-strict=${grpc}`)]);
  /** Steps of a range selector's answer per series, and whether they follow each other. */
  const steps = async (selector: string): Promise<{ readonly labels: Readonly<Record<string, string>>; readonly first: number; readonly last: number; readonly hasGap: boolean }[]> =>
    (await instant(querier.url, `${selector}[5h]`, END_S)).map(({ metric, values }) => ({
      labels: metric,
      first: Number(values![0]![1]),
      last: Number(values!.at(-1)![1]),
      hasGap: values!.some(([t, v]) => (t * 1000 - START_MS) / STEP_MS !== Number(v)) || Number(values!.at(-1)![1]) - Number(values![0]![1]) !== values!.length - 1,
    }));

  beforeAll(async () => {
    s3 = await startTestS3({ folder: bucketDir });
    const fs = createNodeFileSystem();
    const kernels = createKernels({ backend: 'js' });
    blocks = [0, 1].map((index) => {
      const startMs = START_MS + index * PER_BLOCK * STEP_MS;
      return buildBlock(fs, data, notation(index * PER_BLOCK, PER_BLOCK), { kernels, startMs, stepMs: STEP_MS, maxTime: startMs + PER_BLOCK * STEP_MS }).meta.ulid;
    });
    prometheus = await startFakePrometheus(await liveSeries(), { lowestTimestampSeconds: SEAM_MS / 1000 });
    sidecar = await startSidecar();
    await waitFor('both blocks in the bucket', async () => blocks.every((block) => s3.server.ledger.select({ operation: 'PutObject', key: `${block}/meta.json`, status: 200 }).length === 1), { process: sidecar.process });
    store = await startStore();
    querier = await startQuerier(sidecar, store);
  }, TIMEOUT_MS);

  afterAll(async () => {
    await Promise.allSettled([querier?.stop(), store?.stop(), sidecar?.stop()]);
    await Promise.allSettled([prometheus?.close(), s3?.close()]);
  }, TIMEOUT_MS);

  test('the blocks carry the external labels of Prometheus, meta.json came last', () => {
    for (const block of blocks) {
      expect(JSON.parse(readFileSync(join(bucketDir, s3.bucket, block, 'meta.json'), 'utf8'))).toMatchObject({ thanos: { labels: { cluster: 'eu', replica: 'a' }, source: 'sidecar' } });
      const puts = s3.server.ledger.select({ operation: 'PutObject' }).map(({ key }) => key).filter((key) => key.startsWith(block));
      expect(puts.at(-1)).toBe(`${block}/meta.json`);
    }
  });

  test('a range selector crosses from the bucket into Prometheus without a gap', async () => {
    expect(await steps('requests_total')).toEqual(['api', 'web'].map((job) => ({ labels: { __name__: 'requests_total', cluster: 'eu', job }, first: 0, last: 2 * PER_BLOCK + 239, hasGap: false })));
  }, TIMEOUT_MS);

  test('a range query over everything', async () => {
    const answer = await getApi<{ result: { metric: Record<string, string>; values: [number, string][] }[] }>(querier.url, 'query_range', {
      query: 'sum(rate(requests_total[5m]))', start: START_MS / 1000 + 600, end: END_S, step: 60,
    });
    expect(answer).toMatchObject({ httpStatus: 200, status: 'success' });
    expect(answer.data.result).toHaveLength(1);
    const values = answer.data.result[0]!.values;
    expect(values).toHaveLength(Math.floor((END_S - START_MS / 1000 - 600) / 60) + 1);
    for (const [, value] of values) expect(Number(value)).toBeCloseTo(2 / 15, 9);
  }, TIMEOUT_MS);

  test('labels and series come from both', async () => {
    const range = { start: START_MS / 1000, end: END_S };
    expect((await getApi<string[]>(querier.url, 'labels', range)).data).toEqual(['__name__', 'cluster', 'job', 'replica']);
    expect((await getApi<string[]>(querier.url, 'label/job/values', range)).data).toEqual(['api', 'web']);
    expect((await getApi<unknown[]>(querier.url, 'series', { ...range, 'match[]': 'up' })).data).toEqual([{ __name__: 'up', cluster: 'eu', job: 'api' }]);
    expect((await getApi<object>(querier.url, 'stores')).data).toMatchObject({ sidecar: [{ name: sidecar.grpc, lastError: null }], store: [{ name: store.grpc, lastError: null }] });
  }, TIMEOUT_MS);

  test('a sidecar that is killed and started again ships nothing twice', async () => {
    const before = s3.server.ledger.select({ operation: 'PutObject', key: /^[0-9A-Z]{26}\// }).length;
    await sidecar.stop('SIGKILL');
    const without = await instantAnswer(querier.url, 'requests_total[5h]', END_S);
    expect(without.warnings).toEqual([expect.stringContaining(sidecar.grpc)]);
    expect(without.result.map(({ values }) => Number(values!.at(-1)![1]))).toEqual([2 * PER_BLOCK - 1, 2 * PER_BLOCK - 1]);

    const listings = s3.server.ledger.select({ method: 'GET' }).length + s3.server.ledger.select({ method: 'HEAD' }).length;
    const restarted = await startSidecar();
    await waitFor('a round of the shipper', async () => readFileSync(join(data, 'thanos.shipper.json'), 'utf8').includes(blocks[1]!) && (await (await fetch(`${restarted.url}/metrics`)).text()).match(/^thanos_shipper_dir_syncs_total(?:\{[^}]*\})? [1-9]/m) !== null, { process: restarted.process });
    expect(s3.server.ledger.select({ operation: 'PutObject', key: /^[0-9A-Z]{26}\// })).toHaveLength(before);
    expect(listings).toBeGreaterThan(0);
    await querier.stop();
    sidecar = restarted;
    querier = await startQuerier(sidecar, store);
    expect((await steps('up')).map(({ first, last, hasGap }) => [first, last, hasGap])).toEqual([[0, 2 * PER_BLOCK + 239, false]]);
  }, TIMEOUT_MS);

  test('a store whose bucket fails is a warning with the reason, or an error without partial response', async () => {
    await store.stop();
    store = await startStore();
    await querier.stop();
    querier = await startQuerier(sidecar, store);
    s3.server.faults.add({ action: { kind: 'status', status: 403 }, operation: 'GetObject', key: /\/(index|chunks\/.*)$/, count: Infinity });
    const { result, warnings } = await instantAnswer(querier.url, 'requests_total[5h]', END_S);
    expect(warnings).toEqual([expect.stringContaining(store.grpc)]);
    expect(warnings[0]).toMatch(/403|AccessDenied/);
    expect(result.map(({ values }) => Number(values![0]![1]))).toEqual([2 * PER_BLOCK, 2 * PER_BLOCK]);
    const strict = await getApi(querier.url, 'query', { query: 'requests_total[5h]', time: END_S, partial_response: 'false' });
    expect(strict.status).toBe('error');
    expect(strict.error).toContain(store.grpc);
    s3.server.faults.clear();
    expect((await steps('up'))[0]).toMatchObject({ first: 0, hasGap: false });
  }, TIMEOUT_MS);

  test('a damaged chunk is an error that names block and object, never a wrong sample', async () => {
    const dir = join(bucketDir, s3.bucket, blocks[0]!, 'chunks');
    const file = join(dir, readdirSync(dir)[0]!);
    const whole = readFileSync(file);
    const damaged = Buffer.from(whole);
    // The 120th byte lies in the data of the first chunk.
    damaged[120]! ^= 0xff;
    writeFileSync(file, damaged);
    await store.stop();
    store = await startStore();
    await querier.stop();
    querier = await startQuerier(sidecar, store);
    const { result, warnings } = await instantAnswer(querier.url, "requests_total{job='api'}[5h]", END_S);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain(blocks[0]!);
    expect(warnings[0]).toContain('chunks/000001');
    for (const { values } of result) for (const [t, v] of values!) expect((t * 1000 - START_MS) / STEP_MS).toBe(Number(v));
    writeFileSync(file, whole);
  }, TIMEOUT_MS);

  test('a block with a damaged index is left out, and the log names it', async () => {
    const file = join(bucketDir, s3.bucket, blocks[0]!, 'index');
    const whole = readFileSync(file);
    const damaged = Buffer.from(whole);
    damaged.fill(0xff, damaged.length - 40);
    writeFileSync(file, damaged);
    await store.stop();
    store = await startStore();
    expect(store.process.output()).toMatch(new RegExp(`level=(warn|error) .*${blocks[0]!}`));
    await querier.stop();
    querier = await startQuerier(sidecar, store);
    const found = await instant(querier.url, 'up[5h]', END_S);
    for (const { values } of found) {
      expect(Number(values![0]![1])).toBe(PER_BLOCK);
      for (const [t, v] of values!) expect((t * 1000 - START_MS) / STEP_MS).toBe(Number(v));
    }
    writeFileSync(file, whole);
  }, TIMEOUT_MS);
});
