/**
 * The shipper as a story, then rule by rule, then killed after every single operation on the bucket, in both ways a request can
 * fail. The oracle: every local block ends up in the bucket exactly once, whole, and at no moment is there a meta.json without the rest.
 */
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Labels } from '@gauntlet/model';
import { BucketLedger, createLedgerBucket, createMemoryBucket } from '@gauntlet/objstore';
import type { Bucket, MemoryBucket } from '@gauntlet/objstore';
import { createFaultBucket } from '@gauntlet/objstore/testing';
import { createMetrics, createNopLogger, renderMetrics } from '@gauntlet/service-kit';
import type { Metrics } from '@gauntlet/service-kit';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { createShipper } from './shipper.ts';
import type { Shipper, ShipperOptions } from './shipper.ts';
import { testBlockId, writeLocalBlock } from './testing/tsdb-folder.ts';
import { createThanosSection, formatThanosMeta, parseThanosMeta } from './thanos-meta.ts';

let dir: string;
let metrics: Metrics;
let labels: Labels;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'gauntlet-shipper-'));
  metrics = createMetrics();
  labels = ['cluster', 'eu', 'replica', 'a'];
});
afterEach(() => { rmSync(dir, { recursive: true }); });

function shipper(bucket: Bucket, more: Partial<ShipperOptions> = {}): Shipper {
  return createShipper({ bucket, log: createNopLogger(), metrics, clock: () => Date.parse('2026-01-02T03:04:05.678Z'), labels: () => labels }, { dir, source: 'sidecar', ...more });
}

const keysOf = (n: number): string[] => ['chunks/000001', 'index', 'meta.json'].map((name) => `${testBlockId(n)}/${name}`);
const state = (): unknown => JSON.parse(readFileSync(join(dir, 'thanos.shipper.json'), 'utf8'));

async function expectWhole(bucket: MemoryBucket, n: number): Promise<void> {
  for (const name of ['chunks/000001', 'index']) expect(Buffer.compare(await bucket.get(`${testBlockId(n)}/${name}`), readFileSync(join(dir, testBlockId(n), name)))).toBe(0);
  expect(parseThanosMeta(await bucket.get(`${testBlockId(n)}/meta.json`), 'x')).toMatchObject({ ulid: testBlockId(n), thanos: { labels, source: 'sidecar', segmentFiles: ['000001'] } });
}

test('the story: blocks appear, are shipped oldest first, and are not looked at again', async () => {
  const ledger = new BucketLedger();
  const bucket = createMemoryBucket();
  const ship = shipper(createLedgerBucket(bucket, ledger));
  expect(await ship.sync()).toBe(0);
  expect(readFileSync(join(dir, 'thanos.shipper.json'), 'utf8')).toBe('{\n\t"version": 1,\n\t"uploaded": null\n}\n');

  writeLocalBlock(dir, 2);
  writeLocalBlock(dir, 1);
  mkdirSync(join(dir, 'wal'));
  mkdirSync(join(dir, `${testBlockId(3)}.tmp-for-creation`));
  expect(await ship.areAllBlocksUploaded()).toBe(false);
  expect(await ship.sync()).toBe(2);
  expect(bucket.keys()).toEqual([...keysOf(1), ...keysOf(2)]);
  expect(ledger.entries().filter((e) => e.operation === 'upload').map((e) => e.key)).toEqual([...keysOf(1), ...keysOf(2)]);
  await expectWhole(bucket, 1);
  expect(Buffer.from(await bucket.get(keysOf(1)[2]!)).toString()).toContain('"upload_time": "2026-01-02T03:04:05.678Z"');
  expect(readFileSync(join(dir, 'thanos.shipper.json'), 'utf8')).toBe(`{\n\t"version": 1,\n\t"uploaded": [\n\t\t"${testBlockId(1)}",\n\t\t"${testBlockId(2)}"\n\t]\n}\n`);
  expect(await ship.areAllBlocksUploaded()).toBe(true);

  ledger.reset();
  expect(await ship.sync()).toBe(0);
  expect(ledger.count()).toBe(0);

  // Compaction took the first away from the bucket: it does not come back. Retention took it away here: it is forgotten.
  for (const key of keysOf(1)) await bucket.delete(key);
  expect(await ship.sync()).toBe(0);
  rmSync(join(dir, testBlockId(1)), { recursive: true });
  await ship.sync();
  expect([...(await ship.uploadedBlocks())]).toEqual([testBlockId(2)]);
  // The local meta.json was not touched.
  expect(readFileSync(join(dir, testBlockId(2), 'meta.json'), 'utf8')).not.toContain('thanos');

  const { body } = await renderMetrics(metrics.registry, undefined);
  for (const line of ['dir_syncs_total 5', 'dir_sync_failures_total 0', 'uploads_total 2', 'upload_failures_total 0', 'corrupted_blocks_total 0', 'upload_compacted_done 0']) expect(body).toContain(`thanos_shipper_${line}\n`);
});

describe('rules', () => {
  test('a lost state file costs one look per block and uploads nothing twice', async () => {
    const bucket = createMemoryBucket();
    writeLocalBlock(dir, 1);
    await shipper(bucket).sync();
    for (const damage of ['', '{"version":2}', '{"version":1,"uploaded":[1]}']) {
      writeFileSync(join(dir, 'thanos.shipper.json'), damage);
      const ledger = new BucketLedger();
      expect(await shipper(createLedgerBucket(bucket, ledger)).sync()).toBe(0);
      expect(ledger.entries().map((e) => e.operation)).toEqual(['exists']);
      expect(state()).toEqual({ version: 1, uploaded: [testBlockId(1)] });
    }
  });
  test('empty blocks are left out, and not noted', async () => {
    writeLocalBlock(dir, 1, { stats: { numSamples: 0, numSeries: 0, numChunks: 0 } });
    const bucket = createMemoryBucket();
    expect(await shipper(bucket).sync()).toBe(0);
    expect([bucket.keys(), state()]).toEqual([[], { version: 1, uploaded: null }]);
  });
  test('compacted blocks only when asked for', async () => {
    writeLocalBlock(dir, 1, { compaction: { level: 2, sources: [testBlockId(1)] } });
    const bucket = createMemoryBucket();
    expect(await shipper(bucket).sync()).toBe(0);
    expect(await shipper(bucket, { uploadCompacted: true }).sync()).toBe(1);
    expect((await renderMetrics(metrics.registry, undefined)).body).toContain('thanos_shipper_upload_compacted_done 1\n');
  });
  test('a compacted block that overlaps one of the same labels is refused by name; half-uploaded and foreign blocks do not count', async () => {
    const bucket = createMemoryBucket();
    const { thanos, ...base } = writeLocalBlock(join(dir, 'elsewhere'), 7);
    void thanos;
    const put = (n: number, set: Labels): Promise<string> => bucket.upload(`${testBlockId(n)}/meta.json`, formatThanosMeta({ ...base, ulid: testBlockId(n), minTime: 0, maxTime: 10_000_000, thanos: createThanosSection({ labels: set }) }));
    await put(8, ['cluster', 'us']);
    await bucket.upload(`${testBlockId(9)}/index`, Buffer.from('x'));
    writeLocalBlock(dir, 1, { compaction: { level: 2, sources: [testBlockId(1)] } });
    expect(await shipper(bucket, { uploadCompacted: true }).sync()).toBe(1);
    await put(7, labels);
    writeLocalBlock(dir, 0, { compaction: { level: 2, sources: [testBlockId(0)] } });
    await expect(shipper(bucket, { uploadCompacted: true }).sync()).rejects.toMatchObject({ code: 'ERR_BLOCK_OVERLAP', message: expect.stringContaining(`${testBlockId(7)} [0, 10000000)`) });
    expect(await shipper(bucket, { uploadCompacted: true, allowOutOfOrderUploads: true }).sync()).toBe(1);
  });
  test('without external labels nothing is uploaded; labels that change take effect', async () => {
    labels = [];
    writeLocalBlock(dir, 1);
    const bucket = createMemoryBucket();
    const ship = shipper(bucket);
    expect(await ship.sync()).toBe(0);
    expect(bucket.keys()).toEqual([]);
    labels = ['replica', 'b'];
    expect(await ship.sync()).toBe(1);
    await expectWhole(bucket, 1);
  });
  test('a damaged block holds up newer ones, unless out-of-order uploads are allowed', async () => {
    writeLocalBlock(dir, 1);
    writeLocalBlock(dir, 2);
    writeFileSync(join(dir, testBlockId(1), 'index'), 'not an index');
    const bucket = createMemoryBucket();
    await expect(shipper(bucket).sync()).rejects.toMatchObject({ code: 'ERR_BLOCK_LOCAL' });
    expect(bucket.keys()).toEqual([]);
    await expect(shipper(bucket, { allowOutOfOrderUploads: true }).sync()).rejects.toMatchObject({ code: 'ERR_SHIP_INCOMPLETE', message: expect.stringContaining('1 could not be uploaded, 0 could not be read, 1 were uploaded') });
    expect(bucket.keys()).toEqual(keysOf(2));
    const { body } = await renderMetrics(metrics.registry, undefined);
    expect(body).toContain('thanos_shipper_upload_failures_total 1\n');
    expect(body).toContain('thanos_shipper_dir_sync_failures_total 1\n');
  });
  test('an unreadable meta.json stops the round, or is skipped and counted', async () => {
    writeLocalBlock(dir, 1);
    writeLocalBlock(dir, 2);
    writeFileSync(join(dir, testBlockId(1), 'meta.json'), '{');
    mkdirSync(join(dir, testBlockId(3)));
    const bucket = createMemoryBucket();
    await expect(shipper(bucket).sync()).rejects.toMatchObject({ code: expect.stringMatching(/ERR_META_CORRUPT|ERR_BLOCK_LOCAL/) });
    await expect(shipper(bucket, { skipCorruptedBlocks: true }).sync()).rejects.toMatchObject({ code: 'ERR_SHIP_INCOMPLETE' });
    expect(bucket.keys()).toEqual(keysOf(2));
    expect((await renderMetrics(metrics.registry, undefined)).body).toContain('thanos_shipper_corrupted_blocks_total 2\n');
  });
  test('two rounds at once do not run into each other', async () => {
    writeLocalBlock(dir, 1);
    const ledger = new BucketLedger();
    const ship = shipper(createLedgerBucket(createMemoryBucket(), ledger));
    expect(await Promise.all([ship.sync(), ship.sync()])).toEqual([1, 0]);
    expect(ledger.count('upload')).toBe(3);
  });
  test('an aborted round throws the reason and keeps what is done', async () => {
    writeLocalBlock(dir, 1);
    writeLocalBlock(dir, 2);
    const inner = createMemoryBucket();
    const controller = new AbortController();
    const reason = new Error('stop');
    const bucket: Bucket = { ...inner, upload: async (key, body, o) => {
      const etag = await inner.upload(key, body, o);
      if (key === keysOf(1)[2]) controller.abort(reason);
      return etag;
    } };
    await expect(shipper(bucket).sync(controller.signal)).rejects.toBe(reason);
    expect(inner.keys()).toEqual(keysOf(1));
    expect(state()).toEqual({ version: 1, uploaded: [testBlockId(1)] });
  });
  test('the state file may have another name', async () => {
    writeLocalBlock(dir, 1);
    await shipper(createMemoryBucket(), { metaFileName: 'other.json' }).sync();
    expect(readdirSync(dir).sort()).toEqual([testBlockId(1), 'other.json']);
  });
});

describe.each(['before', 'after'] as const)('killed %s operation n of the bucket', (mode) => {
  test('every n: nothing half is visible, the next round completes, nothing is there twice', async () => {
    writeLocalBlock(dir, 1);
    writeLocalBlock(dir, 2);
    const dry = createFaultBucket(createMemoryBucket(), Infinity, mode);
    await shipper(dry).sync();
    const total = dry.operations();
    expect(total).toBe(2 * 6);
    for (let failAt = 1; failAt <= total; failAt++) {
      rmSync(join(dir, 'thanos.shipper.json'));
      const bucket = createMemoryBucket();
      const failing = createFaultBucket(bucket, failAt, mode);
      await expect(shipper(failing).sync()).rejects.toMatchObject({ code: 'ERR_BUCKET_FAULT' });
      for (const n of [1, 2]) if (bucket.keys().includes(keysOf(n)[2]!)) await expectWhole(bucket, n);
      const before = bucket.keys().filter((k) => k.endsWith('meta.json')).length;
      expect(await shipper(bucket).sync()).toBe(2 - before);
      expect(bucket.keys()).toEqual([...keysOf(1), ...keysOf(2)]);
      await expectWhole(bucket, 1);
      await expectWhole(bucket, 2);
      expect(state()).toEqual({ version: 1, uploaded: [testBlockId(1), testBlockId(2)] });
    }
  });
});
