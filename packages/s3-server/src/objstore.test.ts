/**
 * The S3 bucket of objstore against this server: the contract, and everything that can go wrong between the two. (The test lives
 * here because this package stands above objstore.)
 */
import { setMaxListeners } from 'node:events';
import { createBucketFromConfig, makeBucketFromConfig } from '@gauntlet/objstore';
import type { Bucket } from '@gauntlet/objstore';
import { describeBucketContract } from '@gauntlet/objstore/testing';
import { createNopLogger } from '@gauntlet/service-kit';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { startTestS3 } from './testing/index.ts';
import type { TestS3 } from './testing/index.ts';

const PROBE = 'gauntlet-conditional-write-probe';

function open(s3: TestS3, more = '', s3Options: Record<string, unknown> = {}): Promise<Bucket> {
  return createBucketFromConfig(s3.configYaml + more, { component: 'test', source: 'test', log: createNopLogger(), s3: { retryBaseDelayMs: 0, ...s3Options } });
}

let suite: TestS3;
describeBucketContract('S3', async () => {
  suite = await startTestS3();
  const bucket = await open(suite);
  return { ...bind(bucket), close: async () => { await bucket.close(); await suite.close(); } };
}, { runs: 15 });
describeBucketContract('S3, listing version 1, single requests', async () => {
  suite = await startTestS3();
  const bucket = await open(suite, '  list_objects_version: v1\n  disable_multipart: true\n  send_content_md5: false\nprefix: a/b\n');
  return { ...bind(bucket), close: async () => { await bucket.close(); await suite.close(); } };
}, { runs: 5 });

/** Methods of a class instance as own properties. */
function bind(bucket: Bucket): Bucket {
  return {
    name: bucket.name, provider: bucket.provider, iter: (d, o) => bucket.iter(d, o), iterEntries: (d, o) => bucket.iterEntries(d, o), get: (k, o) => bucket.get(k, o),
    stream: (k, o) => bucket.stream(k, o), getRange: (k, a, l, o) => bucket.getRange(k, a, l, o), getRangeInto: (k, a, t, o) => bucket.getRangeInto(k, a, t, o),
    exists: (k, o) => bucket.exists(k, o), attributes: (k, o) => bucket.attributes(k, o), upload: (k, b, o) => bucket.upload(k, b, o), delete: (k, o) => bucket.delete(k, o),
    supportsConditionalWrites: (o) => bucket.supportsConditionalWrites(o), close: () => bucket.close(),
  };
}

describe('between the two', () => {
  let s3: TestS3;
  let bucket: Bucket;
  const content = Buffer.from(Array.from({ length: 200_000 }, (_, i) => i % 251));
  beforeEach(async () => {
    s3 = await startTestS3();
    bucket = await open(s3, '  part_size: 5242880\n');
    await bucket.upload('k', content);
    s3.server.ledger.reset();
  });
  afterEach(async () => {
    expect(s3.server.faults.pending()).toEqual([]);
    await bucket.close();
    await s3.close();
  });
  const requests = (): string[] => s3.server.ledger.entries().map((e) => `${e.operation} ${e.range}`.trim());

  test('each operation is one request', async () => {
    await bucket.get('k');
    await bucket.getRange('k', 10, 5);
    await bucket.getRange('k', 10, -1);
    await bucket.exists('k');
    await bucket.attributes('k');
    await bucket.upload('x', Buffer.from('x'));
    await bucket.delete('x');
    for await (const name of bucket.iter('')) expect(name).toBe('k');
    expect(requests()).toEqual(['GetObject', 'GetObject bytes=10-14', 'GetObject bytes=10-', 'HeadObject', 'HeadObject', 'PutObject', 'DeleteObject', 'ListObjectsV2']);
  });

  test('a range cut in its middle goes on where it stopped', async () => {
    s3.server.faults.add({ action: { kind: 'cut-body', afterBytes: 70_000 }, operation: 'GetObject', count: 2 });
    expect(Buffer.compare(await bucket.getRange('k', 1000, 190_000), content.subarray(1000, 191_000))).toBe(0);
    const [first, second, third] = s3.server.ledger.entries();
    expect(first!.range).toBe('bytes=1000-190999');
    const resumed = Number(/bytes=(\d+)-190999/.exec(second!.range)![1]);
    expect(resumed).toBeGreaterThan(1000);
    expect(resumed).toBeLessThanOrEqual(71_000);
    expect(Number(/bytes=(\d+)-190999/.exec(third!.range)![1])).toBeGreaterThanOrEqual(resumed);
  });
  test('a whole object and a stream do the same', async () => {
    s3.server.faults.add({ action: { kind: 'cut-body', afterBytes: 150_000 }, operation: 'GetObject' });
    expect(Buffer.compare(await bucket.get('k'), content)).toBe(0);
    s3.server.faults.add({ action: { kind: 'cut-body', afterBytes: 150_000 }, operation: 'GetObject' });
    const pieces: Uint8Array[] = [];
    for await (const piece of bucket.stream('k')) pieces.push(piece);
    expect(Buffer.compare(Buffer.concat(pieces), content)).toBe(0);
  });
  test('cuts without progress are not endless', async () => {
    s3.server.faults.add({ action: { kind: 'cut-body', afterBytes: 0 }, operation: 'GetObject', count: Infinity });
    await expect(bucket.getRange('k', 0, 10)).rejects.toMatchObject({ code: 'ERR_BUCKET_UNREACHABLE', message: expect.stringContaining('get range of k in bucket test-bucket') });
    expect(s3.server.ledger.entries()).toHaveLength(6);
  });
  test('a store that sends less than it says is asked for the rest', async () => {
    s3.server.faults.add({ action: { kind: 'truncate', toBytes: 100 }, operation: 'GetObject' });
    expect(Buffer.compare(await bucket.getRange('k', 0, 5000), content.subarray(0, 5000))).toBe(0);
    expect(requests()).toEqual(['GetObject bytes=0-4999', 'GetObject bytes=100-4999']);
  });
  test('an object replaced between two pieces is an error, never a mixture', async () => {
    const other = await open(s3);
    s3.server.faults.add({ action: { kind: 'cut-body', afterBytes: 70_000 }, operation: 'GetObject' });
    s3.server.faults.add({ action: { kind: 'status', status: 503 }, operation: 'GetObject', count: Infinity });
    const reading = bucket.getRange('k', 0, -1).catch((e: unknown) => e);
    await bucket.upload('k', Buffer.alloc(200_000, 1));
    s3.server.faults.clear();
    const got = await reading;
    if (got instanceof Uint8Array) expect(got.every((b) => b === 1) || Buffer.compare(got, content) === 0).toBe(true);
    else expect(['ERR_OBJECT_CHANGED', 'ERR_BUCKET_UNREACHABLE']).toContain((got as { code: string }).code);
    await other.close();
  });
  test('silence, before an answer or in the middle of a body, ends the attempt', async () => {
    const impatient = await open(s3, '  http_config: {response_header_timeout: 300ms}\n  max_retries: 20\n', { bodyIdleTimeoutMs: 50 });
    s3.server.faults.add({ action: { kind: 'hang' }, operation: 'GetObject' });
    s3.server.faults.add({ action: { kind: 'stall-body', afterBytes: 70_000 }, operation: 'GetObject' });
    expect(Buffer.compare(await impatient.getRange('k', 0, 100_000), content.subarray(0, 100_000))).toBe(0);
    expect(s3.server.ledger.entries().slice(0, 2).map((e) => e.fault)).toEqual(['hang', 'stall-body']);
    await impatient.close();
  });

  test('busy and broken answers are tried again, others are not', async () => {
    for (const status of [500, 502, 503, 429]) s3.server.faults.add({ action: { kind: 'status', status }, operation: 'HeadObject' });
    s3.server.faults.add({ action: { kind: 'reset' }, operation: 'HeadObject' });
    expect(await bucket.exists('k')).toBe(true);
    s3.server.faults.add({ action: { kind: 'status', status: 403 }, operation: 'HeadObject' });
    await expect(bucket.exists('k')).rejects.toMatchObject({ code: 'ERR_ACCESS_DENIED' });
    s3.server.faults.add({ action: { kind: 'status', status: 400 }, operation: 'HeadObject' });
    await expect(bucket.exists('k')).rejects.toMatchObject({ code: 'ERR_BUCKET_REFUSED' });
    s3.server.faults.add({ action: { kind: 'status', status: 503 }, count: 6 });
    await expect(bucket.attributes('k')).rejects.toMatchObject({ code: 'ERR_BUCKET_UNREACHABLE' });
  });
  test('wrong keys and a missing bucket have their own codes', async () => {
    const wrong = await createBucketFromConfig(s3.configYaml.replace(s3.secretKey, 'wrong'), { component: 'test', source: 'test', log: createNopLogger() });
    await expect(wrong.get('k')).rejects.toMatchObject({ code: 'ERR_ACCESS_DENIED' });
    expect(await wrong.get('k').catch((e: Error) => e.message)).not.toContain('wrong');
    const none = await createBucketFromConfig(s3.configYaml.replace(s3.bucket, 'no-such-bucket'), { component: 'test', source: 'test', log: createNopLogger() });
    await expect(none.get('k')).rejects.toMatchObject({ code: 'ERR_BUCKET_NOT_FOUND' });
    await wrong.close();
    await none.close();
  });
  test('nobody listening is unreachable', async () => {
    const gone = await createBucketFromConfig(s3.configYaml.replace(/endpoint: .*/, 'endpoint: 127.0.0.1:1'), { component: 'test', source: 'test', log: createNopLogger(), s3: { retryBaseDelayMs: 0 } });
    await expect(gone.get('k')).rejects.toMatchObject({ code: 'ERR_BUCKET_UNREACHABLE' });
    await gone.close();
  });
  test('waiting between attempts ends with the signal', async () => {
    const patient = await open(s3, '', { retryBaseDelayMs: 60_000, random: () => 1 });
    s3.server.faults.add({ action: { kind: 'status', status: 503 }, operation: 'GetObject' });
    const controller = new AbortController();
    const got = patient.get('k', { signal: controller.signal });
    const reason = new Error('enough');
    while (s3.server.ledger.select({ operation: 'GetObject', status: 503 }).length === 0) await new Promise((resolve) => setImmediate(resolve));
    controller.abort(reason);
    await expect(got).rejects.toBe(reason);
    await patient.close();
  });

  describe('writes', () => {
    test('the probe is two creations and one wrong replacement, once', async () => {
      await bucket.upload('lease', Buffer.from('me'), { ifNoneMatch: '*' });
      await expect(bucket.upload('lease', Buffer.from('you'), { ifNoneMatch: '*' })).rejects.toMatchObject({ code: 'ERR_PRECONDITION_FAILED' });
      expect(s3.server.ledger.entries().map((e) => [e.key, e.status])).toEqual([[PROBE, 200], [PROBE, 412], [PROBE, 412], ['lease', 200], ['lease', 412]]);
      const later = await open(s3);
      expect(await later.supportsConditionalWrites()).toBe(true);
      expect(s3.server.ledger.select({ key: PROBE })).toHaveLength(5);
      await later.close();
    });
    test('a store that takes every write, or refuses the header, is not trusted', async () => {
      s3.server.faults.add({ action: { kind: 'status', status: 501, code: 'NotImplemented' }, key: PROBE });
      await expect(bucket.upload('lease', Buffer.from('me'), { ifNoneMatch: '*' })).rejects.toMatchObject({ code: 'ERR_CONDITIONAL_WRITE_UNSUPPORTED' });
      const careless = await startTestS3({ hasConditionalWrites: false });
      const deceived = await open(careless);
      await expect(deceived.upload('lease', Buffer.from('me'), { ifNoneMatch: '*' })).rejects.toMatchObject({ code: 'ERR_CONDITIONAL_WRITE_UNSUPPORTED' });
      expect(await deceived.exists('lease')).toBe(false);
      await deceived.close();
      await careless.close();
      expect(await bucket.exists('lease')).toBe(false);
    });
    test('a conditional write whose answer was lost is recognised as ours', async () => {
      await bucket.supportsConditionalWrites();
      s3.server.faults.add({ action: { kind: 'lose-answer' }, key: 'lease' });
      const etag = await bucket.upload('lease', Buffer.from('me'), { ifNoneMatch: '*' });
      s3.server.faults.add({ action: { kind: 'lose-answer' }, method: 'PUT', key: 'lease' });
      await bucket.upload('lease', Buffer.from('me again'), { ifMatch: etag });
      expect(Buffer.from(await bucket.get('lease')).toString()).toBe('me again');
    });
    test('and as somebody else\'s when it is not', async () => {
      await bucket.supportsConditionalWrites();
      const other = await open(s3);
      await other.upload('lease', Buffer.from('you'));
      s3.server.faults.add({ action: { kind: 'reset' }, method: 'PUT', key: 'lease' });
      await expect(bucket.upload('lease', Buffer.from('me'), { ifNoneMatch: '*' })).rejects.toMatchObject({ code: 'ERR_PRECONDITION_FAILED' });
      await other.close();
    });
    test('large bodies go in parts; parts are retried, a lost completion is recognised', async () => {
      const big = Buffer.alloc(12 * 1024 * 1024, 'abc');
      s3.server.faults.add({ action: { kind: 'status', status: 503 }, operation: 'UploadPart', skip: 1 });
      s3.server.faults.add({ action: { kind: 'lose-answer' }, operation: 'CompleteMultipartUpload' });
      async function* pieces(): AsyncGenerator<Uint8Array> {
        for (let at = 0; at < big.length; at += 1_000_003) yield big.subarray(at, at + 1_000_003);
      }
      const etag = await bucket.upload('big', pieces());
      expect(etag).toMatch(/-3$/);
      expect(s3.server.ledger.select({ operation: 'UploadPart', status: 200 })).toHaveLength(3);
      expect(Buffer.compare(await bucket.get('big'), big)).toBe(0);
      s3.server.ledger.reset();
      const pieces8: number[] = [];
      for await (const piece of bucket.stream('big')) pieces8.push(piece.length);
      expect(pieces8).toEqual([8 * 1024 * 1024, 4 * 1024 * 1024]);
    });
    test('a failed upload in parts is aborted and leaves nothing', async () => {
      async function* broken(): AsyncGenerator<Uint8Array> {
        yield Buffer.alloc(11 * 1024 * 1024);
        throw new Error('source broke');
      }
      await expect(bucket.upload('big', broken())).rejects.toThrow('source broke');
      s3.server.faults.add({ action: { kind: 'status', status: 403 }, operation: 'UploadPart' });
      await expect(bucket.upload('big', Buffer.alloc(11 * 1024 * 1024))).rejects.toMatchObject({ code: 'ERR_ACCESS_DENIED' });
      expect(s3.server.ledger.select({ operation: 'AbortMultipartUpload', status: 204 })).toHaveLength(2);
      expect(await bucket.exists('big')).toBe(false);
    });
    test('parts under a condition: the loser is told at the end', async () => {
      const big = Buffer.alloc(6 * 1024 * 1024);
      await bucket.upload('big', big, { ifNoneMatch: '*' });
      await expect(bucket.upload('big', big, { ifNoneMatch: '*' })).rejects.toMatchObject({ code: 'ERR_PRECONDITION_FAILED' });
    });
    test('metadata and storage class are sent', async () => {
      const tagged = await open(s3, '  put_user_metadata: {who: me, X-Amz-Storage-Class: STANDARD_IA}\n');
      await tagged.upload('t', Buffer.from('x'));
      expect(await tagged.exists('t')).toBe(true);
      await tagged.close();
    });
  });

  test('any number of requests may share a signal without the warning of a leak', async () => {
    const { signal } = new AbortController();
    // Node 20 warns past 10, Node 24 never does.
    setMaxListeners(10, signal);
    // `getMaxListeners` of Node 20 throws where the answer is 0, no limit.
    const limit = (): unknown => Object.getOwnPropertySymbols(signal).filter(({ description }) => description === 'events.maxEventTargetListeners').map((symbol) => Reflect.get(signal, symbol));
    expect(limit()).toEqual([10]);
    await bucket.get('k', { signal });
    expect(limit()).toEqual([0]);
  });

  test('listings of several pages are in order', async () => {
    const plain = await startTestS3({ credentials: [] });
    for (let i = 0; i < 1100; i++) await fetch(`${plain.url}/test-bucket/d${String(i).padStart(4, '0')}/x`, { method: 'PUT', body: 'x' });
    const many = await createBucketFromConfig(plain.configYaml, { component: 'test', source: 'test', log: createNopLogger() });
    const names: string[] = [];
    for await (const name of many.iter('')) names.push(name);
    expect([names.length, names[0], names[1099]]).toEqual([1100, 'd0000/', 'd1099/']);
    expect(plain.server.ledger.select({ operation: 'ListObjectsV2' })).toHaveLength(2);
    await many.close();
    await plain.close();
  });
});

test('a bucket is made once, and refused with wrong keys', async () => {
  const s3 = await startTestS3();
  try {
    const text = s3.configYaml.replace(`bucket: ${s3.bucket}`, 'bucket: fresh');
    const make = (config: string) => makeBucketFromConfig(config, { component: 'test', source: 'bucket.yml', random: () => 0 });
    await expect(make(text)).resolves.toEqual({ name: 'fresh', outcome: 'made' });
    await expect(make(text)).resolves.toEqual({ name: 'fresh', outcome: 'there' });
    const bucket = await createBucketFromConfig(text, { component: 'test', source: 'bucket.yml', log: createNopLogger() });
    await bucket.upload('k', Buffer.from('x'));
    expect(await bucket.exists('k')).toBe(true);
    await bucket.close();
    await expect(make(text.replace('test-secret-key', 'wrong'))).rejects.toMatchObject({ code: 'ERR_ACCESS_DENIED', message: expect.stringMatching(/^make bucket fresh: HTTP 403 /) });
  } finally {
    await s3.close();
  }
});
