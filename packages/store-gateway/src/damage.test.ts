/** Damaged and half-there blocks: an answer is right, or an error that names the block; never wrong, and never the end of the gateway. */
import { afterEach, describe, expect, test } from '@jest/globals';
import type { ChunkSeries } from '@gauntlet/model';
import { createMemoryBucket, type MemoryBucket } from '@gauntlet/objstore';
import { createFaultBucket } from '@gauntlet/objstore/testing';
import { createMetaFetcher, createMetaLoader } from '@gauntlet/block';
import { createGate, createLogger, createMemoryLedger, createMetrics, createNopLogger } from '@gauntlet/service-kit';
import { type Store, StoreError } from '@gauntlet/storeapi';
import { readSeries, seriesOf } from '@gauntlet/storeapi/testing';
import { BlockSet } from './block-set.ts';
import { createBucketStore } from './bucket-store.ts';
import { HeaderStore } from './header-store.ts';
import { NO_INDEX_CACHE } from './index-cache.ts';
import { createStoreMetrics } from './metrics.ts';
import { type ServedBlock, syncBlocks } from './sync-blocks.ts';
import { createInlineRunner } from './task-runner.ts';
import { putBlock, testBlockId } from './testing/blocks.ts';
import { startTestGateway, type TestGateway } from './testing/gateway.ts';

const series: ChunkSeries[] = ['a', 'b', 'c'].map((name, i) => ({
  labels: ['__name__', name, 'job', i < 2 ? 'x' : 'y'],
  chunks: [0, 1].map((c) => ({ mint: c * 1000, maxt: c * 1000 + 999, encoding: 1, data: Uint8Array.from({ length: 20 + i }, (_, b) => b * 3 + c + i) })),
}));
const all = seriesOf(['__name__=~.+'], { minTime: 0, maxTime: 2000 });
const block = testBlockId(1);

async function healthyBucket(): Promise<MemoryBucket> {
  const bucket = createMemoryBucket();
  await putBlock(bucket, { n: 1, labels: ['set', 'x'], series });
  return bucket;
}

async function copyWith(source: MemoryBucket, key: string, bytes: Uint8Array | undefined): Promise<MemoryBucket> {
  const bucket = createMemoryBucket();
  for (const other of source.keys()) if (other !== key) await bucket.upload(other, await source.get(other));
  if (bytes !== undefined) await bucket.upload(key, bytes);
  return bucket;
}

/** The store over the blocks of a bucket, looked at once. */
async function bareStore(bucket: MemoryBucket): Promise<Store> {
  const [log, metrics, clock] = [createNopLogger(), createMetrics(), Date.now];
  const runner = createInlineRunner({
    bucket,
    cache: NO_INDEX_CACHE,
    ioGate: createGate({ max: 8 }),
    ledger: createMemoryLedger({ processBytesMax: 64 << 20, accountsMax: 16, processFlag: 'chunk-pool-size', queryFlag: 'chunk-pool-size' }),
    settings: { limits: { seriesMax: 0, chunksMax: 0, bytesMax: 0 }, batchSeries: 100, lazyPostings: false, keySeriesRatioMax: 0 },
    log,
  });
  const blocks = new BlockSet<ServedBlock>();
  const headers = new HeaderStore({ runner, log, metrics, clock }, { dir: undefined, isLazy: false, idleTimeoutMs: 0, isLazyDownload: false });
  const own = createStoreMetrics(metrics);
  const fetcher = createMetaFetcher({ loader: createMetaLoader({ bucket, log, metrics }), log, metrics, clock }, []);
  await syncBlocks({ fetcher, bucket, blocks, headers, metrics: own, log, clock, concurrency: 4 }, new AbortController().signal);
  return createBucketStore({ blocks, runner, gate: createGate({ max: 1 }), metrics: own, clock }, { timeRange: () => ({ mint: 0, maxt: 1e6 }), seriesBytes: 65_536, chunkBytes: 16_000 });
}

describe('damage', () => {
  let gateway: TestGateway | undefined;
  afterEach(async () => {
    await gateway?.stop();
    gateway = undefined;
  });

  /** The answer over a bucket: right, nothing (the block is not served), or the text of the error. Without servers: there are hundreds of them. */
  async function outcome(bucket: MemoryBucket, wanted: unknown): Promise<string> {
    const store = await bareStore(bucket);
    try {
      const answer = await readSeries(store.series(all));
      if (answer.series.length === 0) return 'not served';
      expect(answer).toEqual(wanted);
      return 'right';
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      return error.message;
    }
  }

  async function rightAnswer(bucket: MemoryBucket): Promise<unknown> {
    const healthy = await startTestGateway(bucket);
    const answer = await readSeries(healthy.store.series(all));
    await healthy.stop();
    expect(answer.series.length).toBe(3);
    return answer;
  }

  test('every flipped byte of a chunk segment is an error that names block and object', async () => {
    const bucket = await healthyBucket();
    const wanted = await rightAnswer(bucket);
    const key = `${block}/chunks/000001`;
    const bytes = await bucket.get(key);
    const texts = new Set<string>();
    // The 8 bytes before the first chunk are not read.
    for (let at = 8; at < bytes.length; at++) {
      const flipped = bytes.slice();
      flipped[at]! ^= 1 << at % 8;
      const text = await outcome(await copyWith(bucket, key, flipped), wanted);
      expect(text).toMatch(new RegExp(`^receive series from ${block}: load chunks: read chunk of block ${block}: object ${key}, offset \\d+: `));
      texts.add(text.slice(text.lastIndexOf(': ') + 2).replace(/[\da-f]{3,}|\d+/g, 'N'));
    }
    expect(texts.size).toBeGreaterThan(1);
  });

  test('a chunk segment cut off at every length', async () => {
    const bucket = await healthyBucket();
    const wanted = await rightAnswer(bucket);
    const key = `${block}/chunks/000001`;
    const bytes = await bucket.get(key);
    for (let length = 0; length < bytes.length; length++) {
      const text = await outcome(await copyWith(bucket, key, bytes.slice(0, length)), wanted);
      expect(text).toMatch(new RegExp(`^receive series from ${block}: load chunks: .*${key}`));
    }
    expect(await outcome(await copyWith(bucket, key, undefined), wanted)).toMatch(new RegExp(`^receive series from ${block}: load chunks: .*${key}.*no such object`));
  });

  test('every flipped byte of an index: the block is not served, or an error names it, or the byte did not matter', async () => {
    const bucket = await healthyBucket();
    const wanted = await rightAnswer(bucket);
    const key = `${block}/index`;
    const bytes = await bucket.get(key);
    const counts = { right: 0, notServed: 0, error: 0 };
    for (let at = 0; at < bytes.length; at++) {
      const flipped = bytes.slice();
      flipped[at]! ^= 1 << at % 8;
      const text = await outcome(await copyWith(bucket, key, flipped), wanted);
      if (text === 'right') counts.right++;
      else if (text === 'not served') counts.notServed++;
      else {
        expect(text).toContain(block);
        counts.error++;
      }
    }
    expect(counts.notServed).toBeGreaterThan(50);
    expect(counts.error).toBeGreaterThan(50);
  });

  test('a damaged block is skipped with a metric and a log line naming it; others are served, and it is too once it is mended', async () => {
    const healthy = await healthyBucket();
    const index = await healthy.get(`${block}/index`);
    const bucket = await copyWith(healthy, `${block}/index`, index.slice(0, index.length - 10));
    await putBlock(bucket, { n: 2, labels: ['set', 'y'], series });
    await bucket.upload(`${testBlockId(3)}/index`, index);
    await bucket.upload(`${testBlockId(4)}/meta.json`, new TextEncoder().encode('{"ulid": "'));
    const lines: string[] = [];
    gateway = await startTestGateway(bucket, { log: createLogger({ level: 'warn', format: 'logfmt', sink: { write: (line: string) => void lines.push(line), flush: () => {} } }) });
    expect(gateway.store.info().labelSets).toEqual([['set', 'y']]);
    expect(lines.some((line) => line.includes('loading block failed') && line.includes(block))).toBe(true);
    for (const n of [3, 4]) expect(lines.some((line) => line.includes('partial') && line.includes(testBlockId(n)))).toBe(true);
    const failures = gateway.metrics.withPrefix('thanos_bucket_store_').counter({ name: 'block_load_failures_total', help: 'Total number of failed remote block loading attempts.' });
    expect(failures.value()).toBe(1);
    await bucket.upload(`${block}/index`, index);
    await gateway.gateway.sync();
    expect(gateway.store.info().labelSets).toEqual([['set', 'x'], ['set', 'y']]);
    expect((await readSeries(gateway.store.series(all))).series.length).toBe(6);
  });

  test('a bucket that fails at any operation of a query: the call fails with the reason, the next one answers', async () => {
    const healthy = await healthyBucket();
    const wanted = await rightAnswer(healthy);
    let failures = 0;
    for (let n = 1; n < 30; n++) {
      const bucket = createFaultBucket(healthy, n, 'before', true);
      let running: TestGateway;
      try {
        running = await startTestGateway(bucket);
      } catch (error) {
        expect((error as Error).message).toMatch(/^look at bucket memory for the first time: gave up after .*scripted failure/);
        failures++;
        continue;
      }
      try {
        if (running.store.info().labelSets.length === 0) {
          await running.gateway.sync();
          failures++;
        }
        try {
          expect(await readSeries(running.store.series(all))).toEqual(wanted);
          if (!bucket.hasFailed()) return;
        } catch (error) {
          if (!(error instanceof StoreError)) throw error;
          failures++;
          expect(error.message).toMatch(new RegExp(`${block}: .*scripted failure`));
        }
        expect(await readSeries(running.store.series(all))).toEqual(wanted);
      } finally {
        await running.stop();
        expect(failures).toBeGreaterThan(0);
      }
    }
    throw new Error('the bucket was asked more than 30 times');
  });
});
