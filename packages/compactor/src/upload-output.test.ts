/** Names of outputs, what is made of what is found under them, and uploads beside others. */
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { createThanosSection, formatMarker, readBucketMeta, type ThanosMeta } from '@gauntlet/block';
import { createMemoryBucket, type MemoryBucket } from '@gauntlet/objstore';
import { createNopLogger } from '@gauntlet/service-kit';
import { isUlid, ulidTimeMs } from '@gauntlet/tsdb';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { compactionOutputId } from './output-id.ts';
import { BLOCKS, createTestCompactor, createTestDir, putRecorded, readSamples, removeTestDirs, REPLICA_A, seeBlocks } from './testing/compactor-kit.ts';
import { inspectName, nameOutput, sourcesOf, uploadOutput, type UploadOutputDeps } from './upload-output.ts';

const HOUR_MS = 3_600_000;
const signal = new AbortController().signal;
let nowMs: number;
let bucket: MemoryBucket;
let deps: UploadOutputDeps;
let inputs: ThanosMeta[];
beforeEach(async () => {
  nowMs = Date.UTC(2027, 0, 1);
  bucket = createMemoryBucket({ clock: () => nowMs });
  deps = { bucket, log: createNopLogger(), clock: () => nowMs };
  for (const id of REPLICA_A) await putRecorded(bucket, id);
  inputs = await Promise.all(REPLICA_A.slice(0, 4).map((id) => readBucketMeta(bucket, id)));
});
afterEach(removeTestDirs);

/** A block under the name the output has, of what is recorded of another. */
async function putOutput(id: string, sources: readonly string[]): Promise<void> {
  await putRecorded(bucket, REPLICA_A[8]!, id);
  const key = `${id}/meta.json`;
  const text = Buffer.from(await bucket.get(key)).toString();
  await bucket.upload(key, Buffer.from(text.replace(/"sources": \[[^\]]*\]/, `"sources": ${JSON.stringify(sources)}`)));
}
const mark = (id: string): Promise<string> => bucket.upload(`${id}/deletion-mark.json`, formatMarker({ id, timeSeconds: Math.floor(nowMs / 1000), details: '', reason: '' }, 'deletion'));

describe('names', () => {
  const labelled = (meta: ThanosMeta, ...labels: string[]): ThanosMeta => ({ ...meta, thanos: { ...meta.thanos, labels } });
  test('are ULIDs that sort behind their inputs and depend on nothing else but what goes in', () => {
    const id = compactionOutputId(inputs, 0);
    expect(isUlid(id)).toBe(true);
    expect(ulidTimeMs(id)).toBe(ulidTimeMs(REPLICA_A[3]!) + 1);
    expect(compactionOutputId(inputs.toReversed(), 0)).toBe(id);
    expect(compactionOutputId(inputs.map((meta) => ({ ...meta, stats: { ...meta.stats, numSamples: 1 } })), 0)).toBe(id);
  });
  test('differ with inputs, labels, resolution and attempt', () => {
    const ids = [
      compactionOutputId(inputs, 0), compactionOutputId(inputs, 1), compactionOutputId(inputs.slice(1), 0),
      compactionOutputId(inputs.map((meta) => labelled(meta, 'cluster', 'us')), 0),
      compactionOutputId(inputs.map((meta) => ({ ...meta, thanos: { ...meta.thanos, resolutionMs: 300_000 } })), 0),
    ];
    expect(new Set(ids).size).toBe(ids.length);
  });
  test('stay what they were: a bucket may hold half an upload of the version before', () => {
    expect(compactionOutputId(inputs, 0)).toBe('01M7YH8MV0W40ND82JGPYEXDRH');
  });
});

describe('what is found under a name', () => {
  const id = (): string => compactionOutputId(inputs, 0);
  const state = (): Promise<string> => inspectName(deps, id(), sourcesOf(inputs), signal);
  test.each<[string, () => Promise<unknown>, string]>([
    ['nothing', () => Promise.resolve(), 'free'],
    ['parts of a moment ago', () => bucket.upload(`${id()}/index`, Buffer.from('x')), 'free'],
    ['parts of a day ago, which cleaning will take', async () => { await bucket.upload(`${id()}/index`, Buffer.from('x')); nowMs += 25 * HOUR_MS; }, 'spent'],
    ['old parts and a fresh one', async () => { await bucket.upload(`${id()}/index`, Buffer.from('x')); nowMs += 25 * HOUR_MS; await bucket.upload(`${id()}/chunks/000001`, Buffer.from('x')); }, 'free'],
    ['the block', () => putOutput(id(), sourcesOf(inputs)), 'done'],
    ['the block, marked for deletion', async () => { await putOutput(id(), sourcesOf(inputs)); await mark(id()); }, 'spent'],
    ['a mark alone: the rest of a deletion', () => mark(id()), 'spent'],
    ['a block of other sources', () => putOutput(id(), REPLICA_A.slice(0, 3)), 'spent'],
    ['an unreadable meta.json', () => bucket.upload(`${id()}/meta.json`, Buffer.from('{')), 'spent'],
  ])('%s', async (_name, put, want) => {
    await put();
    expect(await state()).toBe(want);
  });
  test('a block without one of its files is an error that says what to do', async () => {
    await putOutput(id(), sourcesOf(inputs));
    await bucket.delete(`${id()}/index`);
    await expect(state()).rejects.toMatchObject({ code: 'ERR_UPLOAD_BLOCK', kind: 'other', message: expect.stringMatching(/index has no bytes in bucket memory, its meta.json says \d+; mark the block for deletion/) });
  });
  test('spent names are passed over, a finite number of them', async () => {
    await mark(id());
    expect(await nameOutput(deps, inputs, signal)).toEqual({ id: compactionOutputId(inputs, 1), isDone: false });
    for (let attempt = 0; attempt < 64; attempt++) await mark(compactionOutputId(inputs, attempt));
    await expect(nameOutput(deps, inputs, signal)).rejects.toMatchObject({ message: expect.stringContaining('64 names are spent') });
  });
});

describe('upload', () => {
  /** A local block that pretends to be the output. */
  const local = (): { dir: string; meta: ThanosMeta } => {
    const dir = join(createTestDir(), 'block');
    cpSync(join(BLOCKS, REPLICA_A[8]!), dir, { recursive: true });
    return { dir, meta: { ...inputs[0]!, ulid: compactionOutputId(inputs, 0), compaction: { level: 2, sources: sourcesOf(inputs) }, thanos: createThanosSection({ labels: ['cluster', 'eu'], source: 'compactor' }) } };
  };
  const options = { hashFunc: '', fileConcurrency: 1 } as const;

  test('of two uploads of one block the second finds the first', async () => {
    const { dir, meta } = local();
    await uploadOutput(deps, dir, meta, options, signal);
    const first = await bucket.get(`${meta.ulid}/meta.json`);
    nowMs += HOUR_MS;
    await uploadOutput(deps, dir, meta, options, signal);
    expect(await bucket.get(`${meta.ulid}/meta.json`)).toEqual(first);
  });
  test('meta.json that another writes a moment before ours is taken for ours', async () => {
    const { dir, meta } = local();
    const late: MemoryBucket = {
      ...bucket,
      upload: async (key, body, more) => {
        if (key.endsWith('/meta.json')) await uploadOutput(deps, dir, meta, options, signal);
        return bucket.upload(key, body, more);
      },
    };
    await uploadOutput({ ...deps, bucket: late }, dir, meta, options, signal);
    expect(await inspectName(deps, meta.ulid, sourcesOf(inputs), signal)).toBe('done');
  });
  test('a block that vanishes while it is uploaded is no success: sources are not marked', async () => {
    const { dir, meta } = local();
    const cleaned: MemoryBucket = {
      ...bucket,
      upload: async (key, body, more) => {
        const etag = await bucket.upload(key, body, more);
        if (key.endsWith('/meta.json')) for (const name of bucket.keys()) if (name.startsWith(meta.ulid)) await bucket.delete(name);
        return etag;
      },
    };
    await expect(uploadOutput({ ...deps, bucket: cleaned }, dir, meta, options, signal)).rejects.toMatchObject({ code: 'ERR_UPLOAD_BLOCK', kind: 'retry', message: expect.stringContaining('no whole block') });
  });
  test('a name that was marked for deletion meanwhile is a retry', async () => {
    const { dir, meta } = local();
    await mark(meta.ulid);
    await expect(uploadOutput(deps, dir, meta, options, signal)).rejects.toMatchObject({ kind: 'retry', message: expect.stringContaining('a deletion mark') });
    expect(bucket.keys().filter((key) => key.startsWith(meta.ulid))).toEqual([`${meta.ulid}/deletion-mark.json`]);
  });
});

test('an output that somebody marks for deletion before its sources are marked is made again once it is gone; the sources stay until then', async () => {
  const clock = (): number => (nowMs += 7);
  const samples = await readSamples(bucket);
  const failing: MemoryBucket = { ...bucket, upload: (key, ...rest) => (key.endsWith('deletion-mark.json') ? Promise.reject(new Error('away')) : bucket.upload(key, ...rest)) };
  expect((await (await createTestCompactor(failing, { clock })).iterate(signal)).errors).toEqual([expect.objectContaining({ code: 'ERR_MARK_BLOCK', kind: 'retry' })]);
  const first = compactionOutputId(inputs, 0);
  await mark(first);
  const compactor = await createTestCompactor(bucket, { clock });
  for (let run = 0; run < 3; run++) {
    expect((await compactor.iterate(signal)).errors).toEqual([]);
    expect(await readSamples(bucket, { marked: false })).toEqual(samples);
    nowMs += 49 * HOUR_MS;
  }
  expect([...(await seeBlocks(bucket))].filter(([id]) => !REPLICA_A.includes(id)).map(([, { meta, marks }]) => [meta.compaction.sources, marks])).toEqual([[REPLICA_A.slice(0, 4), []]]);
});
