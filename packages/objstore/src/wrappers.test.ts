/** Prefix, metrics, ledger and planned faults around a bucket. */
import { createMetrics, renderMetrics } from '@gauntlet/service-kit';
import { describe, expect, test } from '@jest/globals';

import { isNotFound } from './errors.ts';
import { createInstrumentedBucket } from './instrumented-bucket.ts';
import { BucketLedger, createLedgerBucket } from './ledger-bucket.ts';
import { createMemoryBucket } from './memory-bucket.ts';
import { createPrefixedBucket } from './prefixed-bucket.ts';
import { createFaultBucket, describeBucketContract } from './testing/index.ts';

describeBucketContract('instrumented', () => Promise.resolve(createInstrumentedBucket(createMemoryBucket(), createMetrics())), { runs: 10 });

describe('prefix', () => {
  test('everything is below it', async () => {
    const inner = createMemoryBucket();
    const bucket = createPrefixedBucket(inner, 'tenant-a/');
    await inner.upload('other/x', Buffer.from('x'));
    await bucket.upload('b/meta.json', Buffer.from('{}'));
    expect(inner.keys()).toEqual(['other/x', 'tenant-a/b/meta.json']);
    await bucket.delete('b/meta.json');
    expect(inner.keys()).toEqual(['other/x']);
  });
  test('an empty one is none, one that climbs is refused', () => {
    const inner = createMemoryBucket();
    expect(createPrefixedBucket(inner, '/')).toBe(inner);
    expect(() => createPrefixedBucket(inner, '../up')).toThrow(expect.objectContaining({ code: 'ERR_BUCKET_CONFIG' }));
  });
});

describe('metrics', () => {
  test('operations, failures, bytes and durations have the names of Thanos', async () => {
    const metrics = createMetrics();
    let now = 1_000_000;
    const bucket = createInstrumentedBucket(createMemoryBucket({ name: 'blocks' }), metrics, () => (now += 250));
    await bucket.upload('k', Buffer.alloc(3000));
    await bucket.getRange('k', 0, 1500);
    await bucket.get('none').catch(() => undefined);
    await bucket.get('none', { isExpected: isNotFound }).catch(() => undefined);
    await bucket.get('k', { signal: AbortSignal.abort() }).catch(() => undefined);
    for await (const name of bucket.iter('')) expect(name).toBe('k');
    const { body } = await renderMetrics(metrics.registry, undefined);
    const page = body;
    for (const line of [
      'thanos_objstore_bucket_operations_total{bucket="blocks",operation="get"} 3',
      'thanos_objstore_bucket_operations_total{bucket="blocks",operation="iter"} 1',
      'thanos_objstore_bucket_operations_total{bucket="blocks",operation="delete"} 0',
      'thanos_objstore_bucket_operation_failures_total{bucket="blocks",operation="get"} 1',
      'thanos_objstore_bucket_operation_failures_total{bucket="blocks",operation="upload"} 0',
      'thanos_objstore_bucket_operation_fetched_bytes_total{bucket="blocks",operation="get_range"} 1500',
      'thanos_objstore_bucket_operation_transferred_bytes_bucket{bucket="blocks",operation="upload",le="2048"} 0',
      'thanos_objstore_bucket_operation_transferred_bytes_bucket{bucket="blocks",operation="upload",le="4096"} 1',
      'thanos_objstore_bucket_operation_duration_seconds_sum{bucket="blocks",operation="upload"} 0.25',
      'thanos_objstore_bucket_last_successful_upload_time{bucket="blocks"} 1000.75',
    ]) expect(page).toContain(`${line}\n`);
  });
});

test('the ledger notes what was asked and what it gave', async () => {
  const ledger = new BucketLedger();
  const bucket = createLedgerBucket(createMemoryBucket(), ledger);
  await bucket.upload('k', Buffer.from('0123456789'));
  await bucket.getRange('k', 2, 3);
  await bucket.getRangeInto('k', 8, new Uint8Array(5));
  await bucket.exists('none');
  await bucket.get('none').catch(() => undefined);
  expect(ledger.entries().map((e) => [e.operation, e.key, e.offset, e.length, e.bytes, e.isDone])).toEqual([
    ['upload', 'k', 0, -1, 10, true], ['get_range', 'k', 2, 3, 3, true], ['get_range', 'k', 8, 5, 2, true], ['exists', 'none', 0, -1, 0, true], ['get', 'none', 0, -1, 0, true],
  ]);
  expect(isNotFound(ledger.entries()[4]!.error)).toBe(true);
  expect([ledger.count(), ledger.count('get_range'), ledger.bytes()]).toEqual([5, 2, 15]);
  ledger.reset();
  expect(ledger.count()).toBe(0);
});

test('a planned fault happens before or after its operation', async () => {
  for (const mode of ['before', 'after'] as const) {
    const inner = createMemoryBucket();
    const bucket = createFaultBucket(inner, 2, mode, true);
    await bucket.upload('1', Buffer.from('x'));
    await expect(bucket.upload('2', Buffer.from('x'))).rejects.toMatchObject({ code: 'ERR_BUCKET_FAULT' });
    await bucket.upload('3', Buffer.from('x'));
    expect(inner.keys()).toEqual(mode === 'after' ? ['1', '2', '3'] : ['1', '3']);
  }
});
