/** The hand-over against a bucket and a clock that the test sets: when a block is handed over, what is asked, what failures do. */
import { BucketLedger, createLedgerBucket, createMemoryBucket, type MemoryBucket } from '@gauntlet/objstore';
import { createFaultBucket } from '@gauntlet/objstore/testing';
import { createNopLogger } from '@gauntlet/service-kit';
import { beforeEach, expect, test } from '@jest/globals';

import { createHandOver, type HandOver } from './hand-over.ts';
import { testBlockId } from './testing/tsdb-folder.ts';

const KEEP_MS = 1000;
const [A, B] = [testBlockId(1), testBlockId(2)];
let nowMs: number;
let bucket: MemoryBucket;
let ledger: BucketLedger;
let handOver: HandOver;

const create = (of = createLedgerBucket(bucket, ledger)): HandOver => createHandOver({ bucket: of, log: createNopLogger(), clock: () => nowMs }, KEEP_MS);
const uploadAt = async (timeMs: number, ulid: string): Promise<void> => {
  nowMs = timeMs;
  await bucket.upload(`${ulid}/meta.json`, new Uint8Array(1));
};
const at = async (timeMs: number, ...uploaded: string[]): Promise<string[]> => {
  nowMs = timeMs;
  return [...(await handOver(uploaded))];
};

beforeEach(() => {
  bucket = createMemoryBucket({ clock: () => nowMs });
  ledger = new BucketLedger();
  handOver = create();
});

test('a block is handed over when it has been in the bucket for the time, each by its own upload', async () => {
  await uploadAt(10_000, A);
  await uploadAt(10_400, B);
  expect(await at(10_400, A, B)).toEqual([]);
  expect(await at(10_999, A, B)).toEqual([]);
  expect(await at(11_000, A, B)).toEqual([A]);
  expect(await at(11_400, A, B)).toEqual([A, B]);
  expect(ledger.count()).toBe(2);
});

test('a restart does not begin the wait anew', async () => {
  await uploadAt(10_000, A);
  expect(await at(10_900, A)).toEqual([]);
  handOver = create();
  expect(await at(11_000, A)).toEqual([A]);
});

test('what is in the state file and not in the bucket was compacted: handed over at once', async () => {
  expect(await at(10_000, A)).toEqual([A]);
});

test('a bucket whose clock is ahead does not hold blocks longer', async () => {
  await uploadAt(50_000, A);
  expect(await at(10_000, A)).toEqual([]);
  expect(await at(11_000, A)).toEqual([A]);
});

test('a bucket that does not answer holds blocks, is asked once a round, and delays only what it was not asked yet', async () => {
  await uploadAt(10_000, A);
  await uploadAt(10_000, B);
  const faulty = createFaultBucket(bucket, 2, 'before', true);
  handOver = create(faulty);
  expect(await at(12_000, A)).toEqual([A]);
  expect(await at(12_000, A, B, testBlockId(3))).toEqual([A]);
  expect(faulty.operations()).toBe(2);
  expect(await at(12_001, A, B)).toEqual([A, B]);
});

test('an end of the round is an end, not a failure of the bucket', async () => {
  await uploadAt(10_000, A);
  await expect(handOver([A], AbortSignal.abort(new Error('stopped')))).rejects.toThrow('stopped');
});
