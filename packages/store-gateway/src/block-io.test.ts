/** What the gateway asks of the bucket: numbers of requests and bytes, cold and warm, at start and restart. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { ChunkSeries } from '@gauntlet/model';
import { createMemoryBucket, type MemoryBucket } from '@gauntlet/objstore';
import { readSeries, seriesOf } from '@gauntlet/storeapi/testing';
import { putBlock, testBlockId } from './testing/blocks.ts';
import { startTestGateway, type TestGateway } from './testing/gateway.ts';

const SERIES = 500;
const CHUNK_BYTES = 2000;

/** `SERIES` series of one metric and one of another, chunks of 2,000 bytes: a megabyte. */
const series: ChunkSeries[] = ['bulk', 'single'].flatMap((name) =>
  Array.from({ length: name === 'bulk' ? SERIES : 1 }, (_, i): ChunkSeries => ({
    labels: ['__name__', name, 'pod', `p${String(i).padStart(4, '0')}`],
    chunks: [0, 1].map((c) => ({ mint: c * 1000, maxt: c * 1000 + 999, encoding: 1, data: Uint8Array.from({ length: CHUNK_BYTES / 2 }, (__, b) => (i + b + c) & 255) })),
  })),
);
const ask = (matchers: string[], override: Parameters<typeof seriesOf>[1] = {}): ReturnType<typeof seriesOf> => seriesOf(matchers, { minTime: 0, maxTime: 2000, ...override });

describe('requests to the bucket', () => {
  let bucket: MemoryBucket;
  let dataDir: string;
  let gateway: TestGateway | undefined;
  const start = async (...flags: string[]): Promise<TestGateway> => (gateway = await startTestGateway(bucket, { dataDir, flags }));
  beforeEach(async () => {
    bucket = createMemoryBucket();
    await putBlock(bucket, { n: 1, labels: ['set', 'x'], series, thanos: { index_stats: { series_max_size: 64, chunk_max_size: CHUNK_BYTES / 2 + 8 } } });
    dataDir = mkdtempSync(join(tmpdir(), 'gauntlet-io-'));
  });
  afterEach(async () => {
    await gateway?.stop();
    rmSync(dataDir, { recursive: true, force: true });
  });
  const ranges = (g: TestGateway): string[] => g.ledger.entries().filter((entry) => entry.operation === 'get_range').map((entry) => entry.key.slice(27));

  test('a cold query is one read of postings, one of series, one of chunks; a warm one reads chunks only', async () => {
    const { store, ledger } = await start();
    ledger.reset();
    const cold = await readSeries(store.series(ask(['__name__=bulk'])));
    expect(cold.series.length).toBe(SERIES);
    expect(ranges(gateway!)).toEqual(['index', 'index', 'chunks/000001']);
    // Chunks of all series but the last are read to the byte: two 1,000-byte payloads each, with length, encoding and checksum.
    const chunkBytes = ledger.entries().find((entry) => entry.key.endsWith('000001'))!.bytes;
    expect(chunkBytes).toBeLessThan(SERIES * 2 * (CHUNK_BYTES / 2 + 7) + 100);
    ledger.reset();
    expect(await readSeries(store.series(ask(['__name__=bulk'])))).toEqual(cold);
    expect(ranges(gateway!)).toEqual(['chunks/000001']);
    ledger.reset();
    await readSeries(store.series(ask(['__name__=bulk'], { skipChunks: true })));
    expect(ledger.count()).toBe(0);
  });

  test('one series costs its own bytes, not its neighbours', async () => {
    const { store, ledger } = await start();
    ledger.reset();
    expect((await readSeries(store.series(ask(['__name__=bulk', 'pod=p0100'])))).series.length).toBe(1);
    expect(ranges(gateway!).length).toBe(3);
    expect(ledger.bytes()).toBeLessThan(SERIES * 4 + 2 * CHUNK_BYTES + 500);
  });

  test('only chunks of the time range are read', async () => {
    const { store, ledger } = await start();
    await readSeries(store.series(ask(['__name__=single'], { skipChunks: true })));
    ledger.reset();
    const { series: found } = await readSeries(store.series(ask(['__name__=single'], { minTime: 0, maxTime: 999 })));
    expect(found[0]!.chunks.length).toBe(1);
    expect(ledger.bytes()).toBeLessThan(CHUNK_BYTES / 2 + 40);
  });

  test('far apart is read apart, near together: 512 KiB between', async () => {
    const { store, ledger } = await start();
    await readSeries(store.series(ask(['pod=~p0000|p0100'], { skipChunks: true })));
    ledger.reset();
    await readSeries(store.series(ask(['pod=~p0000|p0100', '__name__=bulk'])));
    expect(ranges(gateway!).filter((key) => key.startsWith('chunks'))).toEqual(['chunks/000001']);
    ledger.reset();
    await readSeries(store.series(ask(['pod=~p0000|p0400', '__name__=bulk'])));
    expect(ranges(gateway!).filter((key) => key.startsWith('chunks'))).toEqual(['chunks/000001', 'chunks/000001']);
  });

  test('label calls without matchers ask nothing; with one, postings and series', async () => {
    const { store, ledger } = await start();
    const request = { ...ask([]), start: 0, end: 2000 };
    ledger.reset();
    expect((await store.labelNames({ ...request })).names).toEqual(['__name__', 'pod', 'set']);
    expect((await store.labelValues({ ...request, label: 'pod' })).values.length).toBe(SERIES);
    expect(ledger.count()).toBe(0);
    expect((await store.labelValues({ ...request, matchers: ask(['__name__=single']).matchers, label: 'pod' })).values).toEqual(['p0000']);
    expect(ranges(gateway!)).toEqual(['index', 'index']);
  });

  test('a start reads each block\'s meta and index-header; a restart neither', async () => {
    const first = await start();
    expect(first.ledger.entries().map((entry) => `${entry.operation} ${entry.key.slice(27)}`).toSorted()).toEqual([
      'attributes index', 'exists meta.json', 'get deletion-mark.json', 'get meta.json', 'get_range index', 'iter ',
    ]);
    await first.stop();
    const second = await start();
    expect(second.ledger.count('get_range')).toBe(0);
    expect(second.ledger.entries().filter((entry) => entry.key.endsWith('meta.json') && entry.operation === 'get')).toEqual([]);
    expect((await readSeries(second.store.series(ask(['__name__=single'])))).series.length).toBe(1);
  });

  test('lazy headers are read when a query comes', async () => {
    const { store, ledger } = await start('--store.enable-index-header-lazy-reader', '--store.index-header-lazy-download-strategy=lazy');
    expect(ledger.count('get_range')).toBe(0);
    await readSeries(store.series(ask(['__name__=single'], { skipChunks: true })));
    expect(ranges(gateway!)).toEqual(['index', 'index', 'index']);
    expect(gateway!.metrics.withPrefix('thanos_bucket_store_indexheader_').counter({ name: 'lazy_load_total', help: 'Total number of index-header lazy load operations.' }).value()).toBe(1);
  });

  test('blocks of other times or labels are not asked', async () => {
    await putBlock(bucket, { n: 2, labels: ['set', 'y'], series });
    const { store, ledger } = await start();
    ledger.reset();
    await readSeries(store.series(ask(['__name__=single', 'set=x'])));
    await readSeries(store.series(ask(['__name__=single'], { minTime: 5000, maxTime: 6000 })));
    expect(ledger.entries().filter((entry) => entry.key.startsWith(testBlockId(2)))).toEqual([]);
  });

  test('a sync sees new blocks, and drops those that are gone', async () => {
    const { store, gateway: running } = await start();
    await putBlock(bucket, { n: 3, labels: ['set', 'z'], series });
    await running.sync();
    expect(store.info().labelSets).toEqual([['set', 'x'], ['set', 'z']]);
    await bucket.delete(`${testBlockId(1)}/meta.json`);
    await running.sync();
    expect(store.info().labelSets).toEqual([['set', 'z']]);
    expect((await readSeries(store.series(ask(['__name__=single'])))).series.map((s) => s.labels)).toEqual([['__name__', 'single', 'pod', 'p0000', 'set', 'z']]);
  });

  test('more bytes than the chunk pool: the call fails alone, named, and everything is given back', async () => {
    const { store } = await start('--chunk-pool-size=256KB');
    await expect(readSeries(store.series(ask(['__name__=bulk'])))).rejects.toMatchObject({ code: 'ERR_STORE_RESOURCE_EXHAUSTED', message: expect.stringMatching(/^receive series from 01M7YH8PRB5EGPCY8YH5HQ0001: load chunks: .*reserve .* \(raise with --chunk-pool-size\)$/) });
    for (let i = 0; i < 3; i++) expect((await readSeries(store.series(ask(['__name__=single'])))).series.length).toBe(1);
  });
});
