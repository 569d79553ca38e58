/** Upload, download and deletion of whole blocks: order, repetition, damage. */
import { cpSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { BucketLedger, createLedgerBucket, createMemoryBucket } from '@gauntlet/objstore';
import { createFaultBucket } from '@gauntlet/objstore/testing';
import { createNopLogger } from '@gauntlet/service-kit';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { deleteBlock, downloadBlock, readBucketMeta } from './download.ts';
import { markBlock } from './markers.ts';
import { testBlockId, writeLocalBlock } from './testing/tsdb-folder.ts';
import { createThanosSection, formatThanosMeta, parseThanosMeta } from './thanos-meta.ts';
import type { ThanosMeta } from './thanos-meta.ts';
import { uploadBlock } from './upload.ts';

const log = createNopLogger();
const id = testBlockId(1);
let dir: string;
let block: string;
let meta: ThanosMeta;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'gauntlet-block-'));
  const { thanos, ...base } = writeLocalBlock(dir, 1);
  void thanos;
  meta = { ...base, thanos: createThanosSection({ labels: ['replica', 'a'], source: 'test' }) };
  block = join(dir, id);
});
afterEach(() => { rmSync(dir, { recursive: true }); });

const clock = (): number => Date.parse('2026-01-02T03:04:05.600Z');
const KEYS = [`${id}/chunks/000001`, `${id}/index`, `${id}/meta.json`];

describe('upload', () => {
  test('segments, then index, then a look, then meta.json', async () => {
    const ledger = new BucketLedger();
    const bucket = createMemoryBucket();
    const uploaded = await uploadBlock({ bucket: createLedgerBucket(bucket, ledger), log, clock }, block, meta, { hashFunc: 'SHA256' });
    expect(ledger.entries().map((e) => `${e.operation} ${e.key}`)).toEqual([`iter ${id}`, ...KEYS.slice(0, 2).map((k) => `upload ${k}`), `iter ${id}`, `upload ${KEYS[2]!}`]);
    expect(uploaded.thanos.uploadTime).toBe('2026-01-02T03:04:05.6Z');
    expect(uploaded.thanos.files.map((f) => [f.relPath, f.sizeBytes, f.hash?.value.length])).toEqual([['chunks/000001', 3088, 64], ['index', 1549, 64], ['meta.json', undefined, undefined]]);
    expect(parseThanosMeta(await bucket.get(KEYS[2]!), id)).toEqual(uploaded);
    expect(Buffer.compare(await bucket.get(KEYS[1]!), readFileSync(join(block, 'index')))).toBe(0);
  });
  test('what an earlier attempt left is sent again only if it differs', async () => {
    const bucket = createMemoryBucket();
    await bucket.upload(KEYS[0]!, readFileSync(join(block, 'chunks/000001')));
    await bucket.upload(KEYS[1]!, Buffer.alloc(1549));
    const ledger = new BucketLedger();
    await uploadBlock({ bucket: createLedgerBucket(bucket, ledger), log, clock }, block, meta);
    expect(ledger.entries().filter((e) => e.operation === 'upload').map((e) => e.key)).toEqual(KEYS.slice(1));
    expect(Buffer.compare(await bucket.get(KEYS[1]!), readFileSync(join(block, 'index')))).toBe(0);
  });
  test('a store that kept less than it was given is noticed before the block exists', async () => {
    const bucket = createMemoryBucket();
    const lossy = { ...bucket, upload: async (key: string) => bucket.upload(key, Buffer.from('short')) };
    await expect(uploadBlock({ bucket: lossy, log, clock }, block, meta)).rejects.toMatchObject({ code: 'ERR_BLOCK_MISMATCH', message: `upload block ${id}: chunks/000001 has 5 bytes in bucket memory, wanted 3088` });
    expect(await bucket.exists(KEYS[2]!)).toBe(false);
  });
  test.each([true, false])('of two writers of a new block one puts meta.json there, the other is told (conditional writes: %s)', async (isConditional) => {
    const memory = createMemoryBucket();
    const bucket = isConditional ? memory : { ...memory, supportsConditionalWrites: () => Promise.resolve(false) };
    const uploaded = await uploadBlock({ bucket, log, clock }, block, meta, { isNew: true });
    await expect(uploadBlock({ bucket, log, clock: () => 0 }, block, meta, { isNew: true })).rejects.toMatchObject({ code: 'ERR_PRECONDITION_FAILED' });
    expect(parseThanosMeta(await bucket.get(KEYS[2]!), id)).toEqual(uploaded);
    await uploadBlock({ bucket, log, clock: () => 0 }, block, meta);
    expect(parseThanosMeta(await bucket.get(KEYS[2]!), id).thanos.uploadTime).toBe('1970-01-01T00:00:00Z');
  });
  test.each([
    ['no external labels', () => { meta = { ...meta, thanos: { ...meta.thanos, labels: [] } }; }, 'empty external labels are not allowed'],
    ['an index cut off', () => { truncateSync(join(block, 'index'), 1000); }, 'invalid checksum'],
    ['an empty index', () => { truncateSync(join(block, 'index'), 0); }, 'index of 0 bytes does not begin with the magic'],
    ['an empty segment', () => { truncateSync(join(block, 'chunks/000001'), 0); }, 'chunks/000001 of 0 bytes does not begin with the magic'],
    ['no chunks directory', () => { rmSync(join(block, 'chunks'), { recursive: true }); }, 'ENOENT'],
    ['a foreign file among the segments', () => { writeFileSync(join(block, 'chunks/notes'), 'hello there'); }, 'chunks/notes of 11 bytes does not begin with the magic'],
  ])('refused before anything is sent: %s', async (_name, damage, message) => {
    damage();
    const bucket = createMemoryBucket();
    await expect(uploadBlock({ bucket, log, clock }, block, meta)).rejects.toMatchObject({ code: 'ERR_BLOCK_LOCAL', message: expect.stringContaining(message) });
    expect(bucket.keys()).toEqual([]);
  });
});

describe('download', () => {
  const target = (): string => join(dir, 'target');
  test('gives the block back; a second time only meta.json is fetched', async () => {
    const bucket = createMemoryBucket();
    await uploadBlock({ bucket, log, clock }, block, meta, { hashFunc: 'SHA256' });
    const ledger = new BucketLedger();
    await downloadBlock(createLedgerBucket(bucket, ledger), id, target());
    for (const name of ['index', 'chunks/000001']) expect(Buffer.compare(readFileSync(join(target(), name)), readFileSync(join(block, name)))).toBe(0);
    expect(readdirSync(target()).sort()).toEqual(['chunks', 'index', 'meta.json']);
    ledger.reset();
    writeFileSync(join(target(), 'index'), 'damaged');
    await downloadBlock(createLedgerBucket(bucket, ledger), id, target());
    expect(ledger.entries().filter((e) => e.operation === 'get').map((e) => e.key)).toEqual([KEYS[2], KEYS[1], KEYS[2]]);
  });
  test('a block without chunks gets an empty directory', async () => {
    const bucket = createMemoryBucket();
    await bucket.upload(`${id}/index`, Buffer.from('x'));
    await bucket.upload(`${id}/meta.json`, formatThanosMeta(meta));
    await downloadBlock(bucket, id, target());
    expect(readdirSync(join(target(), 'chunks'))).toEqual([]);
  });
  test.each([
    ['a file is shorter', async (bucket: ReturnType<typeof createMemoryBucket>) => { await bucket.upload(KEYS[1]!, Buffer.from('x')); }, 'index has 1 bytes, meta.json says 1549'],
    ['a file has other bytes', async (bucket: ReturnType<typeof createMemoryBucket>) => { await bucket.upload(KEYS[1]!, Buffer.alloc(1549)); }, 'index has SHA-256'],
    ['a file is missing', async (bucket: ReturnType<typeof createMemoryBucket>) => { await bucket.delete(KEYS[1]!); }, 'index of meta.json is not in bucket memory'],
  ])('%s: an error, and no meta.json on disk', async (_name, damage, message) => {
    const bucket = createMemoryBucket();
    await uploadBlock({ bucket, log, clock }, block, meta, { hashFunc: 'SHA256' });
    await damage(bucket);
    await expect(downloadBlock(bucket, id, target())).rejects.toMatchObject({ code: 'ERR_BLOCK_MISMATCH', message: expect.stringContaining(message) });
    expect(existsSync(join(target(), 'meta.json'))).toBe(false);
  });
  test('no block is an error; the directory names the block, whatever its meta says', async () => {
    const bucket = createMemoryBucket();
    await expect(downloadBlock(bucket, id, target())).rejects.toMatchObject({ code: 'ERR_META_NOT_FOUND' });
    await bucket.upload(`${id}/meta.json`, formatThanosMeta({ ...meta, ulid: testBlockId(2) }));
    expect((await readBucketMeta(bucket, id)).ulid).toBe(id);
  });
});

describe('deletion', () => {
  test('meta.json first, the mark last, and it can be repeated after every operation', async () => {
    const full = async (): Promise<ReturnType<typeof createMemoryBucket>> => {
      const bucket = createMemoryBucket();
      await uploadBlock({ bucket, log, clock }, block, meta);
      await markBlock({ bucket, log, clock }, id, 'deletion', '');
      await bucket.upload('other/meta.json', Buffer.from('x'));
      return bucket;
    };
    const ledger = new BucketLedger();
    const bucket = await full();
    await deleteBlock({ bucket: createLedgerBucket(bucket, ledger), log }, id);
    expect(ledger.entries().filter((e) => e.operation === 'delete').map((e) => e.key)).toEqual([KEYS[2], KEYS[0], KEYS[1], `${id}/deletion-mark.json`]);
    expect(bucket.keys()).toEqual(['other/meta.json']);
    for (const mode of ['before', 'after'] as const) {
      for (let failAt = 1; failAt <= ledger.count(); failAt++) {
        const again = await full();
        await expect(deleteBlock({ bucket: createFaultBucket(again, failAt, mode), log }, id)).rejects.toMatchObject({ code: 'ERR_BUCKET_FAULT' });
        const left = again.keys().filter((k) => k.startsWith(id));
        if (left.includes(KEYS[2]!)) expect(left).toHaveLength(4);
        else if (left.length > 0) expect(left).toContain(`${id}/deletion-mark.json`);
        await deleteBlock({ bucket: again, log }, id);
        expect(again.keys()).toEqual(['other/meta.json']);
      }
    }
  });
});

test('a copied folder is not a block of another id', () => {
  cpSync(block, join(dir, testBlockId(9)), { recursive: true });
  expect(parseThanosMeta(readFileSync(join(dir, testBlockId(9), 'meta.json')), 'x').ulid).toBe(id);
});
