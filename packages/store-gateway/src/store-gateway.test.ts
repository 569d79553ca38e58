/** The gateway as a process has it: worker threads, gRPC, HTTP, metrics. Needs the build. */
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createMetrics, createNopLogger, openGrpcChannel } from '@gauntlet/service-kit';
import { GrpcStoreClient } from '@gauntlet/storeapi';
import { readSeries, seriesOf } from '@gauntlet/storeapi/testing';
import { startStoreGateway, type RunningStoreGateway } from './main.ts';
import { configOf, goldenFolder, startTestGateway, WORKER_MODULE } from './testing/gateway.ts';

const golden = goldenFolder();
const isBuilt = existsSync(fileURLToPath(WORKER_MODULE));

if (golden === undefined || !isBuilt) test.skip('needs recorded blocks (GAUNTLET_SHARED) and the build', () => {});
else {
  describe('a running gateway', () => {
    let gateway: RunningStoreGateway;
    let client: GrpcStoreClient;
    let dataDir: string;
    const metrics = createMetrics();
    beforeAll(async () => {
      dataDir = mkdtempSync(join(tmpdir(), 'gauntlet-store-'));
      const config = configOf([
        `--data-dir=${dataDir}`,
        `--objstore.config={type: FILESYSTEM, config: {directory: ${join(golden, 'bucket/plain')}}}`,
        '--http-address=127.0.0.1:0',
        '--grpc-address=127.0.0.1:0',
      ]);
      gateway = await startStoreGateway(config, { log: createNopLogger(), metrics, clock: Date.now, workerModule: WORKER_MODULE });
      client = new GrpcStoreClient(openGrpcChannel({ address: gateway.grpcAddress }));
      await client.fetchInfo();
    });
    afterAll(async () => {
      client.channel.close();
      await gateway.stop();
      rmSync(dataDir, { recursive: true, force: true });
    });
    const all = seriesOf(['__name__=~.+'], { minTime: 1775908801234, maxTime: 1776931200000 });

    test('answers over gRPC what it answers in one thread, and the main thread computes none of it', async () => {
      const inline = await startTestGateway(join(golden, 'bucket/plain'));
      const wanted = await readSeries(inline.store.series(all));
      await inline.stop();
      expect(wanted.series.length).toBe(36);
      expect(await readSeries(client.series(all))).toEqual(wanted);
      const { text } = await page();
      expect(text).toContain('gauntlet_store_series_merged_total{thread="main"} 0\n');
      expect(text).toContain('gauntlet_store_series_merged_total{thread="worker"} 36\n');
    });

    test('many calls at once, left and aborted ones among them', async () => {
      const one = await readSeries(client.series(all));
      const left = async (): Promise<void> => {
        for await (const _ of client.series(all)) break;
      };
      const aborted = async (): Promise<void> => {
        const abort = new AbortController();
        const reading = readSeries(client.series(all, { signal: abort.signal }));
        abort.abort();
        await expect(reading).rejects.toThrow();
      };
      const answers = await Promise.all(Array.from({ length: 24 }, async (_, i) => (i % 3 === 0 ? left() : i % 3 === 1 ? aborted() : expect(await readSeries(client.series(all))).toEqual(one))));
      expect(answers.length).toBe(24);
      // Everything that was charged has been given back once all calls have ended.
      await expect(client.labelNames({ ...all, start: all.minTime, end: all.maxTime })).resolves.toMatchObject({ names: expect.arrayContaining(['__name__']) });
    });

    test('label calls and errors cross the threads with their status', async () => {
      const request = { partialResponseDisabled: false, partialResponseStrategy: 0, start: 0, end: 2e12, hints: undefined, matchers: [{ type: 0, name: '__name__', value: 'up' }], withoutReplicaLabels: [], limit: 0 };
      expect((await client.labelValues({ ...request, label: 'replica' })).values).toEqual(['a', 'b']);
      await expect(client.labelNames({ ...request, matchers: [{ type: 2, name: 'a', value: '(' }] })).rejects.toMatchObject({ code: 'ERR_STORE_INVALID_ARGUMENT' });
    });

    test('HTTP: loaded blocks, readiness, flags', async () => {
      const get = async (path: string): Promise<{ status: number; body: { status: string; data: { label: string; blocks: { ulid: string; thanos: unknown }[]; err: unknown } } }> => {
        const response = await fetch(`http://${gateway.httpAddress}${path}`);
        return { status: response.status, body: (await response.json()) as never };
      };
      const { status, body } = await get('/api/v1/blocks?view=loaded');
      expect(status).toBe(200);
      expect(body.status).toBe('success');
      expect(body.data.err).toBeNull();
      expect(body.data.blocks.map((block) => block.ulid).toSorted()).toEqual(readdirSync(join(golden, 'bucket/plain')).toSorted());
      expect((await fetch(`http://${gateway.httpAddress}/-/ready`)).status).toBe(200);
      const refused = await fetch(`http://${gateway.httpAddress}/api/v1/blocks/mark`, { method: 'POST', body: new URLSearchParams({ id: 'x', action: 'DELETION' }) });
      expect([refused.status, await refused.json()]).toEqual([400, { status: 'error', errorType: 'bad_data', error: 'ULID "x" is not valid' }]);
    });

    const page = async (): Promise<{ text: string }> => ({ text: await (await fetch(`http://${gateway.httpAddress}/metrics`)).text() });

    test('metrics have the names dashboards ask for', async () => {
      const { text } = await page();
      for (const name of [
        'thanos_bucket_store_block_loads_total 14', 'thanos_bucket_store_blocks_loaded 14', 'thanos_bucket_store_block_load_failures_total 0',
        'thanos_bucket_store_series_blocks_queried_sum', 'thanos_bucket_store_series_data_fetched_bucket', 'thanos_bucket_store_series_data_touched_count',
        'thanos_bucket_store_series_get_all_duration_seconds_bucket', 'thanos_bucket_store_series_merge_duration_seconds_bucket', 'thanos_bucket_store_series_result_series_sum',
        'thanos_bucket_store_sent_chunk_size_bytes_bucket', 'thanos_bucket_store_series_gate_duration_seconds_bucket', 'thanos_bucket_store_series_gate_queries_duration_seconds_bucket',
        'thanos_bucket_store_series_gate_queries_max 20', 'thanos_store_index_cache_requests_total{item_type="Postings"}', 'thanos_store_index_cache_hits_total{item_type="ExpandedPostings"}',
        'thanos_objstore_bucket_operations_total{', 'thanos_blocks_meta_synced{state="loaded"} 14', 'thanos_bucket_store_indexheader_lazy_load_total 0', 'thanos_status{',
      ]) expect(text).toContain(name);
    });
  });
}
