/** The server as clients see it: the AWS SDK does the talking, over both stores. */
import { mkdtemp, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import {
  AbortMultipartUploadCommand, CompleteMultipartUploadCommand, CopyObjectCommand, CreateBucketCommand, CreateMultipartUploadCommand, DeleteBucketCommand,
  DeleteObjectCommand, DeleteObjectsCommand, GetBucketLocationCommand, GetObjectCommand, HeadBucketCommand, HeadObjectCommand, ListBucketsCommand,
  ListMultipartUploadsCommand, ListObjectsCommand, ListObjectsV2Command, ListPartsCommand, PutObjectCommand, S3Client, UploadPartCommand, UploadPartCopyCommand,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { compareKeys } from './key-order.ts';
import { startTestS3 } from './testing/index.ts';
import type { TestS3 } from './testing/index.ts';

function clientFor(s3: TestS3, more: Record<string, unknown> = {}): S3Client {
  return new S3Client({ endpoint: s3.url, region: 'us-east-1', forcePathStyle: true, credentials: { accessKeyId: s3.accessKey, secretAccessKey: s3.secretKey }, maxAttempts: 1, ...more });
}

const text = async (body: unknown): Promise<string> => (body as { transformToString(): Promise<string> }).transformToString();
const bytes = async (body: unknown): Promise<Uint8Array> => (body as { transformToByteArray(): Promise<Uint8Array> }).transformToByteArray();

describe.each(['memory', 'folder'])('%s', (kind) => {
  let folder = '';
  let s3: TestS3;
  let client: S3Client;
  const Bucket = 'test-bucket';
  beforeAll(async () => {
    if (kind === 'folder') folder = await mkdtemp(join(tmpdir(), 'gauntlet-s3-'));
    s3 = await startTestS3({ ...(kind === 'folder' ? { folder } : {}), partBytesMin: 8 });
    client = clientFor(s3);
  });
  afterAll(async () => {
    client.destroy();
    await s3.close();
    if (folder !== '') await rm(folder, { recursive: true });
  });
  beforeEach(async () => {
    s3.server.faults.clear();
    const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket }));
    if (Contents.length > 0) await client.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects: Contents.map((c) => ({ Key: c.Key! })), Quiet: true } }));
    s3.server.ledger.reset();
  });
  const put = (Key: string, Body: string | Uint8Array = Key): Promise<unknown> => client.send(new PutObjectCommand({ Bucket, Key, Body }));
  const list = async (more: Record<string, unknown> = {}): Promise<string[]> => {
    const r = await client.send(new ListObjectsV2Command({ Bucket, ...more }));
    return [...(r.Contents ?? []).map((c) => c.Key!), ...(r.CommonPrefixes ?? []).map((p) => p.Prefix!)].sort(compareKeys);
  };

  test('put, head, get, overwrite, delete', async () => {
    const { ETag } = await client.send(new PutObjectCommand({ Bucket, Key: 'a/b', Body: 'hello', ContentType: 'text/plain', Metadata: { who: 'me' }, CacheControl: 'no-store' })) ;
    expect(ETag).toBe('"5d41402abc4b2a76b9719d911017c592"');
    const head = await client.send(new HeadObjectCommand({ Bucket, Key: 'a/b' }));
    expect(head).toMatchObject({ ContentLength: 5, ContentType: 'text/plain', ETag, Metadata: { who: 'me' }, CacheControl: 'no-store' });
    expect(Math.abs(head.LastModified!.getTime() - Date.now())).toBeLessThan(60_000);
    expect(await text((await client.send(new GetObjectCommand({ Bucket, Key: 'a/b' }))).Body)).toBe('hello');
    await put('a/b', 'other');
    expect(await text((await client.send(new GetObjectCommand({ Bucket, Key: 'a/b' }))).Body)).toBe('other');
    await client.send(new DeleteObjectCommand({ Bucket, Key: 'a/b' }));
    await client.send(new DeleteObjectCommand({ Bucket, Key: 'a/b' }));
    await expect(client.send(new GetObjectCommand({ Bucket, Key: 'a/b' }))).rejects.toMatchObject({ name: 'NoSuchKey' });
    await expect(client.send(new HeadObjectCommand({ Bucket, Key: 'a/b' }))).rejects.toMatchObject({ name: 'NotFound' });
  });

  test('empty objects, every checksum algorithm', async () => {
    await client.send(new PutObjectCommand({ Bucket, Key: 'empty', Body: Buffer.alloc(0), ContentLength: 0 }));
    expect((await bytes((await client.send(new GetObjectCommand({ Bucket, Key: 'empty' }))).Body)).length).toBe(0);
    for (const ChecksumAlgorithm of ['CRC32', 'CRC32C', 'SHA1', 'SHA256'] as const) {
      await client.send(new PutObjectCommand({ Bucket, Key: 'sum', Body: 'stream', ChecksumAlgorithm }));
      expect(await text((await client.send(new GetObjectCommand({ Bucket, Key: 'sum', ChecksumMode: 'ENABLED' }))).Body)).toBe('stream');
    }
  });

  test('object and folder of one name, odd names', async () => {
    const keys = ['a', 'a/b', 'a/b/c', 'a/', 'd//e', '..', '../x', 'p/../q', './r', '%2e', '%o', 'a%o', 'ü/ö', '\u{1F600}', '\uFFFD', 'sp ace', 'pl+us', "q'(!)*", 'x'.repeat(1000), `${'y'.repeat(300)}/z`, 'new\nline', '&<>"', '__proto__', 'con/structor'];
    for (const k of keys) await put(k);
    expect(await list()).toEqual([...keys].sort(compareKeys));
    for (const k of keys) expect(await text((await client.send(new GetObjectCommand({ Bucket, Key: k }))).Body)).toBe(k);
    for (const k of keys) {
      await client.send(new DeleteObjectCommand({ Bucket, Key: k }));
      await expect(client.send(new GetObjectCommand({ Bucket, Key: k }))).rejects.toMatchObject({ name: 'NoSuchKey' });
    }
    expect(await list()).toEqual([]);
    if (kind === 'folder') expect((await readdir(folder)).sort()).toEqual(['.gauntlet-s3', Bucket]);
    await expect(put('k'.repeat(1025))).rejects.toMatchObject({ name: 'KeyTooLongError' });
  });

  test.each([
    ['bytes=0-3', '0123', 'bytes 0-3/10'], ['bytes=4-', '456789', 'bytes 4-9/10'], ['bytes=-3', '789', 'bytes 7-9/10'], ['bytes=8-100', '89', 'bytes 8-9/10'],
    ['bytes=-100', '0123456789', 'bytes 0-9/10'], ['bytes=9-9', '9', 'bytes 9-9/10'],
  ])('range %s', async (Range, want, ContentRange) => {
    await put('r', '0123456789');
    const answer = await client.send(new GetObjectCommand({ Bucket, Key: 'r', Range }));
    expect(answer.ContentRange).toBe(ContentRange);
    expect(await text(answer.Body)).toBe(want);
  });
  test('ranges that cannot be had are 416, odd ones are ignored', async () => {
    await put('r', '0123456789');
    for (const Range of ['bytes=10-', 'bytes=10-12', 'bytes=-0']) await expect(client.send(new GetObjectCommand({ Bucket, Key: 'r', Range }))).rejects.toMatchObject({ name: 'InvalidRange', $metadata: { httpStatusCode: 416 } });
    for (const Range of ['bytes=5-2', 'lines=1-2', 'bytes=0-1,3-4']) expect(await text((await client.send(new GetObjectCommand({ Bucket, Key: 'r', Range }))).Body)).toBe('0123456789');
  });

  test('conditional writes: exactly one of many creators wins; If-Match guards the rest', async () => {
    const tries = await Promise.allSettled(Array.from({ length: 8 }, (_, i) => client.send(new PutObjectCommand({ Bucket, Key: 'lease', Body: String(i), IfNoneMatch: '*' }))));
    const winner = tries.findIndex((t) => t.status === 'fulfilled');
    expect(tries.filter((t) => t.status === 'fulfilled')).toHaveLength(1);
    for (const t of tries) if (t.status === 'rejected') expect(t.reason).toMatchObject({ name: 'PreconditionFailed' });
    const { ETag, Body } = await client.send(new GetObjectCommand({ Bucket, Key: 'lease' }));
    expect(await text(Body)).toBe(String(winner));
    await client.send(new PutObjectCommand({ Bucket, Key: 'lease', Body: 'next', IfMatch: ETag! }));
    await expect(client.send(new PutObjectCommand({ Bucket, Key: 'lease', Body: 'late', IfMatch: ETag! }))).rejects.toMatchObject({ name: 'PreconditionFailed' });
    await expect(client.send(new PutObjectCommand({ Bucket, Key: 'none', Body: 'x', IfMatch: ETag! }))).rejects.toMatchObject({ name: 'NoSuchKey' });
  });
  test('conditional reads', async () => {
    await put('c', 'x');
    const { ETag } = await client.send(new HeadObjectCommand({ Bucket, Key: 'c' }));
    await expect(client.send(new GetObjectCommand({ Bucket, Key: 'c', IfNoneMatch: ETag! }))).rejects.toMatchObject({ $metadata: { httpStatusCode: 304 } });
    await expect(client.send(new GetObjectCommand({ Bucket, Key: 'c', IfMatch: '"no"' }))).rejects.toMatchObject({ $metadata: { httpStatusCode: 412 } });
    expect(await text((await client.send(new GetObjectCommand({ Bucket, Key: 'c', IfMatch: ETag! }))).Body)).toBe('x');
  });

  test('listings: prefix, delimiter, StartAfter, byte order', async () => {
    for (const k of ['a', 'b/1', 'b/2', 'b/x/1', 'b!', 'b0', 'c/']) await put(k);
    expect(await list()).toEqual(['a', 'b!', 'b/1', 'b/2', 'b/x/1', 'b0', 'c/']);
    expect(await list({ Delimiter: '/' })).toEqual(['a', 'b!', 'b/', 'b0', 'c/']);
    expect(await list({ Delimiter: '/', Prefix: 'b/' })).toEqual(['b/1', 'b/2', 'b/x/']);
    expect(await list({ Delimiter: '/', Prefix: 'b' })).toEqual(['b!', 'b/', 'b0']);
    expect(await list({ Prefix: 'b/x' })).toEqual(['b/x/1']);
    expect(await list({ Prefix: 'zz' })).toEqual([]);
    expect(await list({ StartAfter: 'b/1' })).toEqual(['b/2', 'b/x/1', 'b0', 'c/']);
    expect(await list({ Delimiter: 'x' })).toEqual(['a', 'b!', 'b/1', 'b/2', 'b/x', 'b0', 'c/']);
    const v1 = await client.send(new ListObjectsCommand({ Bucket, Delimiter: '/', MaxKeys: 2, Marker: 'a' }));
    expect([v1.Contents!.map((c) => c.Key), v1.CommonPrefixes!.map((p) => p.Prefix), v1.IsTruncated, v1.NextMarker]).toEqual([['b!'], ['b/'], true, 'b/']);
    expect((await client.send(new ListObjectsV2Command({ Bucket, MaxKeys: 0 }))).IsTruncated).toBe(false);
    expect((await client.send(new ListObjectsV2Command({ Bucket, EncodingType: 'url', Prefix: 'b!' }))).Contents![0]!.Key).toBe('b%21');
  });

  test('pages of any size give what one page gives', async () => {
    const name = fc.array(fc.constantFrom('a', 'b', '/', '\u{1F600}', '\uFFFD', '.'), { minLength: 1, maxLength: 5 }).map((c) => c.join(''));
    await fc.assert(fc.asyncProperty(fc.uniqueArray(name, { maxLength: 12 }), fc.integer({ min: 1, max: 5 }), fc.constantFrom('', '/', 'b'), fc.constantFrom('', 'a', 'a/'), async (keys, MaxKeys, Delimiter, Prefix) => {
      const before = await list();
      if (before.length > 0) await client.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects: before.map((Key) => ({ Key })) } }));
      for (const k of keys) await put(k);
      const want = new Set<string>();
      for (const k of keys.filter((x) => x.startsWith(Prefix))) {
        const cut = Delimiter === '' ? -1 : k.indexOf(Delimiter, Prefix.length);
        want.add(cut < 0 ? k : k.slice(0, cut + Delimiter.length));
      }
      const got: string[] = [];
      let token: string | undefined;
      do {
        const r = await client.send(new ListObjectsV2Command({ Bucket, MaxKeys, Prefix, ...(Delimiter === '' ? {} : { Delimiter }), ...(token === undefined ? {} : { ContinuationToken: token }) }));
        expect(r.KeyCount).toBeLessThanOrEqual(MaxKeys);
        got.push(...[...(r.Contents ?? []).map((c) => c.Key!), ...(r.CommonPrefixes ?? []).map((p) => p.Prefix!)].sort(compareKeys));
        token = r.NextContinuationToken;
      } while (token !== undefined);
      expect(got).toEqual([...want].sort(compareKeys));
    }), { numRuns: kind === 'folder' ? 20 : 40 });
  });

  test('multipart: parts in any order, replaced parts, ETag, listing, abort', async () => {
    const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key: 'm', Metadata: { k: 'v' } }));
    const second = await client.send(new UploadPartCommand({ Bucket, Key: 'm', UploadId: UploadId!, PartNumber: 2, Body: 'tail' }));
    await client.send(new UploadPartCommand({ Bucket, Key: 'm', UploadId: UploadId!, PartNumber: 1, Body: 'replaced' }));
    const first = await client.send(new UploadPartCommand({ Bucket, Key: 'm', UploadId: UploadId!, PartNumber: 1, Body: '12345678' }));
    expect((await client.send(new ListPartsCommand({ Bucket, Key: 'm', UploadId: UploadId! }))).Parts!.map((p) => [p.PartNumber, p.Size])).toEqual([[1, 8], [2, 4]]);
    expect((await client.send(new ListMultipartUploadsCommand({ Bucket }))).Uploads!.map((u) => u.Key)).toEqual(['m']);
    const complete = (Parts: { PartNumber: number; ETag: string }[]): Promise<{ ETag?: string | undefined }> => client.send(new CompleteMultipartUploadCommand({ Bucket, Key: 'm', UploadId: UploadId!, MultipartUpload: { Parts } }));
    await expect(complete([{ PartNumber: 2, ETag: second.ETag! }, { PartNumber: 1, ETag: first.ETag! }])).rejects.toMatchObject({ name: 'InvalidPartOrder' });
    await expect(complete([{ PartNumber: 1, ETag: '"0"' }])).rejects.toMatchObject({ name: 'InvalidPart' });
    await expect(client.send(new HeadObjectCommand({ Bucket, Key: 'm' }))).rejects.toMatchObject({ name: 'NotFound' });
    expect((await complete([{ PartNumber: 1, ETag: first.ETag! }, { PartNumber: 2, ETag: second.ETag! }])).ETag).toMatch(/^"[0-9a-f]{32}-2"$/);
    const got = await client.send(new GetObjectCommand({ Bucket, Key: 'm' }));
    expect([await text(got.Body), got.Metadata]).toEqual(['12345678tail', { k: 'v' }]);
    await expect(complete([{ PartNumber: 1, ETag: first.ETag! }])).rejects.toMatchObject({ name: 'NoSuchUpload' });
    const small = await client.send(new CreateMultipartUploadCommand({ Bucket, Key: 's' }));
    const tags = await Promise.all([1, 2].map((PartNumber) => client.send(new UploadPartCommand({ Bucket, Key: 's', UploadId: small.UploadId!, PartNumber, Body: 'tiny' }))));
    await expect(client.send(new CompleteMultipartUploadCommand({ Bucket, Key: 's', UploadId: small.UploadId!, MultipartUpload: { Parts: tags.map((t, i) => ({ PartNumber: i + 1, ETag: t.ETag! })) } }))).rejects.toMatchObject({ name: 'EntityTooSmall' });
    await client.send(new AbortMultipartUploadCommand({ Bucket, Key: 's', UploadId: small.UploadId! }));
    await expect(client.send(new ListPartsCommand({ Bucket, Key: 's', UploadId: small.UploadId! }))).rejects.toMatchObject({ name: 'NoSuchUpload' });
    if (kind === 'folder') expect(await readdir(join(folder, '.gauntlet-s3/tmp'))).toEqual([]);
  });
  test('multipart through lib-storage, with 5 MiB parts', async () => {
    const body = Buffer.alloc(11 * 1024 * 1024, 'abc');
    await new Upload({ client, params: { Bucket, Key: 'big', Body: body }, partSize: 5 * 1024 * 1024 }).done();
    expect(Buffer.compare(await bytes((await client.send(new GetObjectCommand({ Bucket, Key: 'big' }))).Body), body)).toBe(0);
    const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key: 'copied' }));
    const part = await client.send(new UploadPartCopyCommand({ Bucket, Key: 'copied', UploadId: UploadId!, PartNumber: 1, CopySource: `${Bucket}/big`, CopySourceRange: 'bytes=1-9' }));
    await client.send(new CompleteMultipartUploadCommand({ Bucket, Key: 'copied', UploadId: UploadId!, MultipartUpload: { Parts: [{ PartNumber: 1, ETag: part.CopyPartResult!.ETag! }] } }));
    expect(await text((await client.send(new GetObjectCommand({ Bucket, Key: 'copied' }))).Body)).toBe('bcabcabca');
  });

  test('copy keeps or replaces metadata', async () => {
    await client.send(new PutObjectCommand({ Bucket, Key: 'from ü&+', Body: 'data', Metadata: { k: '1' } }));
    const CopySource = `${Bucket}/${encodeURIComponent('from ü&+')}`;
    await client.send(new CopyObjectCommand({ Bucket, Key: 'to', CopySource }));
    expect((await client.send(new HeadObjectCommand({ Bucket, Key: 'to' }))).Metadata).toEqual({ k: '1' });
    await client.send(new CopyObjectCommand({ Bucket, Key: 'to', CopySource, MetadataDirective: 'REPLACE', Metadata: { k: '2' } }));
    expect((await client.send(new HeadObjectCommand({ Bucket, Key: 'to' }))).Metadata).toEqual({ k: '2' });
    await expect(client.send(new CopyObjectCommand({ Bucket, Key: 'to', CopySource: `${Bucket}/none` }))).rejects.toMatchObject({ name: 'NoSuchKey' });
  });

  test('batch delete counts missing keys as deleted', async () => {
    await put('one');
    const { Deleted } = await client.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects: [{ Key: 'one' }, { Key: 'none & <more>' }] } }));
    expect(Deleted!.map((d) => d.Key)).toEqual(['one', 'none & <more>']);
  });

  test('buckets: create, list, location, delete', async () => {
    await client.send(new CreateBucketCommand({ Bucket: 'other-bucket' }));
    await expect(client.send(new CreateBucketCommand({ Bucket: 'other-bucket' }))).rejects.toMatchObject({ name: 'BucketAlreadyOwnedByYou' });
    await expect(client.send(new CreateBucketCommand({ Bucket: 'Bad_Name' }))).rejects.toMatchObject({ name: 'InvalidBucketName' });
    expect((await client.send(new ListBucketsCommand({}))).Buckets!.map((b) => b.Name)).toEqual(['other-bucket', Bucket]);
    await client.send(new HeadBucketCommand({ Bucket: 'other-bucket' }));
    await client.send(new GetBucketLocationCommand({ Bucket: 'other-bucket' }));
    await client.send(new PutObjectCommand({ Bucket: 'other-bucket', Key: 'x', Body: 'x' }));
    await expect(client.send(new DeleteBucketCommand({ Bucket: 'other-bucket' }))).rejects.toMatchObject({ name: 'BucketNotEmpty' });
    await client.send(new DeleteObjectCommand({ Bucket: 'other-bucket', Key: 'x' }));
    await client.send(new DeleteBucketCommand({ Bucket: 'other-bucket' }));
    await expect(client.send(new PutObjectCommand({ Bucket: 'other-bucket', Key: 'x', Body: 'x' }))).rejects.toMatchObject({ name: 'NoSuchBucket' });
    await expect(client.send(new HeadBucketCommand({ Bucket: 'other-bucket' }))).rejects.toMatchObject({ $metadata: { httpStatusCode: 404 } });
  });

  test('wrong keys are refused', async () => {
    const wrongSecret = clientFor(s3, { credentials: { accessKeyId: s3.accessKey, secretAccessKey: 'wrong' } });
    await expect(wrongSecret.send(new PutObjectCommand({ Bucket, Key: 'x', Body: 'x'.repeat(100_000) }))).rejects.toMatchObject({ name: 'SignatureDoesNotMatch' });
    const unknown = clientFor(s3, { credentials: { accessKeyId: 'who', secretAccessKey: 'wrong' } });
    await expect(unknown.send(new GetObjectCommand({ Bucket, Key: 'x' }))).rejects.toMatchObject({ name: 'InvalidAccessKeyId' });
    expect(await list()).toEqual([]);
    wrongSecret.destroy();
    unknown.destroy();
  });

  test('the ledger has every request with its range, status and bytes', async () => {
    await put('l', '0123456789');
    await text((await client.send(new GetObjectCommand({ Bucket, Key: 'l', Range: 'bytes=2-4' }))).Body);
    await expect(client.send(new GetObjectCommand({ Bucket, Key: 'none' }))).rejects.toBeDefined();
    expect(s3.server.ledger.entries().map((e) => [e.method, e.operation, e.key, e.range, e.status])).toEqual([
      ['PUT', 'PutObject', 'l', '', 200], ['GET', 'GetObject', 'l', 'bytes=2-4', 206], ['GET', 'GetObject', 'none', '', 404],
    ]);
    expect(s3.server.ledger.select({ operation: 'GetObject', key: 'l' })[0]!.responseBytes).toBe(3);
    expect(s3.server.ledger.entries()[0]!.requestBytes).toBeGreaterThanOrEqual(10);
  });

  describe('faults', () => {
    test('a status hits the chosen request only, so often as asked', async () => {
      await put('f', 'x');
      s3.server.faults.add({ action: { kind: 'status', status: 503 }, operation: 'GetObject', key: /^f$/, skip: 1, count: 2 });
      const get = (): Promise<string> => client.send(new GetObjectCommand({ Bucket, Key: 'f' })).then((r) => text(r.Body), (e: Error) => e.name);
      expect([await get(), await get(), await get(), await get()]).toEqual(['x', 'SlowDown', 'SlowDown', 'x']);
      expect(s3.server.faults.pending()).toEqual([]);
    });
    test('a cut body is a broken connection after so many bytes; a truncated one looks whole', async () => {
      await put('f', Buffer.alloc(300_000, 1));
      s3.server.faults.add({ action: { kind: 'cut-body', afterBytes: 100_000 } });
      const trusting = clientFor(s3, { responseChecksumValidation: 'WHEN_REQUIRED' });
      const cut = await trusting.send(new GetObjectCommand({ Bucket, Key: 'f' }));
      expect(cut.ContentLength).toBe(300_000);
      await expect(bytes(cut.Body)).rejects.toBeDefined();
      s3.server.faults.add({ action: { kind: 'truncate', toBytes: 10 } });
      expect((await bytes((await trusting.send(new GetObjectCommand({ Bucket, Key: 'f' }))).Body)).length).toBe(10);
      trusting.destroy();
    });
    test('a lost answer was applied, a reset was not', async () => {
      s3.server.faults.add({ action: { kind: 'lose-answer' }, key: 'lost' });
      s3.server.faults.add({ action: { kind: 'reset' }, key: 'reset' });
      await expect(put('lost')).rejects.toBeDefined();
      await expect(put('reset')).rejects.toBeDefined();
      expect(await list()).toEqual(['lost']);
    });
    test('a hanging answer ends with the client, a late one comes', async () => {
      s3.server.faults.add({ action: { kind: 'hang' }, key: 'h' });
      s3.server.faults.add({ action: { kind: 'latency', ms: 5 }, key: 'late' });
      await expect(client.send(new GetObjectCommand({ Bucket, Key: 'h' }), { abortSignal: AbortSignal.timeout(50) })).rejects.toMatchObject({ name: 'AbortError' });
      await put('late');
      expect(await list()).toEqual(['late']);
    });
  });

  test('a client that goes away in the middle of a body leaves nothing behind', async () => {
    await new Promise<void>((resolve) => {
      const { host, port } = new URL(s3.url);
      const request = httpRequest({ host: host.split(':')[0]!, port, method: 'PUT', path: `/${Bucket}/gone`, headers: { 'content-length': '1000' } });
      request.on('error', () => resolve());
      request.write('some', () => request.destroy(new Error('gone')));
    });
    expect(await list()).toEqual([]);
  });
});

test('a folder filled by other means is served as it is, with ETags from the bytes', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'gauntlet-s3-'));
  await mkdir(join(folder, 'ready-made/01HV/chunks'), { recursive: true });
  await writeFile(join(folder, 'ready-made/01HV/chunks/000001'), 'hello');
  const s3 = await startTestS3({ folder, buckets: ['ready-made'], isDurable: true });
  const client = clientFor(s3);
  const { Contents } = await client.send(new ListObjectsV2Command({ Bucket: 'ready-made' }));
  expect(Contents!.map((c) => [c.Key, c.ETag, c.Size])).toEqual([['01HV/chunks/000001', '"5d41402abc4b2a76b9719d911017c592"', 5]]);
  await client.send(new PutObjectCommand({ Bucket: 'ready-made', Key: '01HV/meta.json', Body: '{}', ContentType: 'application/json' }));
  await s3.close();
  const again = await startTestS3({ folder, buckets: ['ready-made'] });
  const second = clientFor(again);
  expect((await second.send(new HeadObjectCommand({ Bucket: 'ready-made', Key: '01HV/meta.json' }))).ContentType).toBe('application/json');
  client.destroy();
  second.destroy();
  await again.close();
  await rm(folder, { recursive: true });
});

test('nothing beside the buckets of a folder is a bucket', async () => {
  const parent = await mkdtemp(join(tmpdir(), 'gauntlet-s3-'));
  await writeFile(join(parent, 'secret'), 'secret');
  const s3 = await startTestS3({ folder: join(parent, 'root'), credentials: [] });
  // Node's fetch would resolve the dots away.
  const send = (method: string, path: string, headers: Record<string, string> = {}): Promise<number> =>
    new Promise((resolve, reject) => {
      httpRequest(s3.url, { method, path, headers }, (response) => {
        response.resume().once('end', () => resolve(response.statusCode!));
      })
        .once('error', reject)
        .end();
    });
  for (const bucket of ['..', '%2E%2E', '.', '.gauntlet-s3', '..%2F..', '%00', 'test-bucket%00']) {
    for (const method of ['GET', 'PUT', 'DELETE']) expect([bucket, method, await send(method, `/${bucket}/secret`)]).toEqual([bucket, method, 404]);
    expect([bucket, await send('GET', `/${bucket}?list-type=2`)]).toEqual([bucket, 404]);
    expect([bucket, await send('DELETE', `/${bucket}`)]).toEqual([bucket, 404]);
    expect([bucket, await send('PUT', `/${bucket}`)]).toEqual([bucket, bucket === '..%2F..' ? 404 : 400]);
    expect([bucket, await send('PUT', '/test-bucket/copy', { 'x-amz-copy-source': `/${bucket}/secret` })]).toEqual([bucket, 404]);
  }
  expect(await readFile(join(parent, 'secret'), 'utf8')).toBe('secret');
  await s3.close();
  await rm(parent, { recursive: true });
});

test('without credentials nothing is verified', async () => {
  const s3 = await startTestS3({ credentials: [] });
  const answer = await fetch(`${s3.url}/test-bucket/k`, { method: 'PUT', body: 'x' });
  expect([answer.status, await (await fetch(`${s3.url}/test-bucket/k`)).text()]).toEqual([200, 'x']);
  expect((await fetch(`${s3.url}/test-bucket/k?acl`)).status).toBe(501);
  expect(await (await fetch(`${s3.url}/test-bucket/none`)).text()).toMatch(/^<\?xml version="1.0" encoding="UTF-8"\?>\n<Error><Code>NoSuchKey<\/Code><Message>The specified key does not exist.<\/Message><Key>none<\/Key><Resource>\/test-bucket\/none<\/Resource><RequestId>[0-9A-F]{16}<\/RequestId><\/Error>$/);
  await s3.close();
});
