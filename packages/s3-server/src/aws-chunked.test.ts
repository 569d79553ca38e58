/** Bodies: every framing the SDKs send, the published example of signed chunks, and what must be refused. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { readBody } from './aws-chunked.ts';
import type { BodyDigest } from './aws-chunked.ts';
import { deriveSigningKey } from './sigv4.ts';
import type { VerifiedSignature } from './sigv4.ts';
import { chunkBody } from './testing/sign-request.ts';

const secretKey = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY';
const base = {
  accessKey: 'AKIAIOSFODNN7EXAMPLE', signature: '4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9',
  signingKey: deriveSigningKey(secretKey, '20130524', 'us-east-1', 's3'), amzDate: '20130524T000000Z', scope: '20130524/us-east-1/s3/aws4_request',
};
const signed = (payloadHash: string): VerifiedSignature => ({ ...base, payloadHash });
const SIGNED = 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD';
const SIGNED_TRAILER = 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER';
const UNSIGNED_TRAILER = 'STREAMING-UNSIGNED-PAYLOAD-TRAILER';

async function* pieces(body: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < body.length; at += size) yield body.subarray(at, at + size);
}

async function read(body: Uint8Array, headers: Record<string, string>, payloadHash: string, size = 7): Promise<{ bytes: Buffer; digest: BodyDigest }> {
  const digest: BodyDigest = { size: 0, md5Hex: '', checksums: {} };
  const out: Uint8Array[] = [];
  for await (const piece of readBody(pieces(body, size), headers, signed(payloadHash), digest)) out.push(Uint8Array.from(piece));
  return { bytes: Buffer.concat(out), digest };
}

test('the published example of three signed chunks', async () => {
  const content = Buffer.alloc(66560, 'a');
  const body = Buffer.concat([
    Buffer.from('10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n'), content.subarray(0, 65536), Buffer.from('\r\n'),
    Buffer.from('400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n'), content.subarray(65536), Buffer.from('\r\n'),
    Buffer.from('0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n\r\n'),
  ]);
  const { bytes, digest } = await read(body, { 'x-amz-decoded-content-length': '66560' }, SIGNED, 4096);
  expect(bytes.equals(content)).toBe(true);
  expect(digest.size).toBe(66560);
});

test('any body, chunk size and piece size comes back, in each framing', async () => {
  await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), fc.integer({ min: 1, max: 64 }), fc.integer({ min: 1, max: 64 }), fc.constantFrom(SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER), async (content, chunkBytes, size, kind) => {
    const isSigned = kind !== UNSIGNED_TRAILER;
    const body = chunkBody(content, { chunkBytes, ...(isSigned ? { signed: { secretKey, ...base } } : {}), ...(kind === SIGNED ? {} : { trailers: { 'x-amz-meta-t': 'v' } }) });
    const { bytes } = await read(body, {}, kind, size);
    expect(bytes.equals(content)).toBe(true);
  }));
});

describe('checksums in trailers', () => {
  const content = Buffer.from('123456789');
  const values = { crc32: 'y/Q5Jg==', crc32c: '4waSgw==', sha1: '98O8HYCOBHMq32eZZczDTKeuNEE=', sha256: 'FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=' };
  for (const [algorithm, value] of Object.entries(values)) {
    const name = `x-amz-checksum-${algorithm}`;
    test(`${algorithm} is verified and kept`, async () => {
      const body = chunkBody(content, { chunkBytes: 4, trailers: { [name]: value } });
      expect((await read(body, { 'x-amz-trailer': name }, UNSIGNED_TRAILER)).digest.checksums).toEqual({ [name]: value });
    });
    test(`${algorithm} that does not match is BadDigest`, async () => {
      const body = chunkBody(Buffer.from('123456780'), { chunkBytes: 4, trailers: { [name]: value } });
      await expect(read(body, { 'x-amz-trailer': name }, UNSIGNED_TRAILER)).rejects.toMatchObject({ code: 'BadDigest' });
    });
  }
  test('announced and missing is BadDigest', async () => {
    await expect(read(chunkBody(content, { chunkBytes: 4 }), { 'x-amz-trailer': 'x-amz-checksum-crc32' }, UNSIGNED_TRAILER)).rejects.toMatchObject({ code: 'BadDigest' });
  });
  test('an algorithm this server lacks is NotImplemented', async () => {
    await expect(read(chunkBody(content, { chunkBytes: 4 }), { 'x-amz-trailer': 'x-amz-checksum-crc64nvme' }, UNSIGNED_TRAILER)).rejects.toMatchObject({ code: 'NotImplemented' });
  });
});

describe('damage', () => {
  const content = Buffer.from('some bytes to protect');
  const body = chunkBody(content, { chunkBytes: 8, signed: { secretKey, ...base }, trailers: { 'x-amz-meta-t': 'v' } });
  test('cut at every length: an error, never a complete body', async () => {
    for (let end = 0; end < body.length - 2; end++) {
      await expect(read(body.subarray(0, end), { 'x-amz-trailer': 'x-amz-meta-t' }, SIGNED_TRAILER).then((r) => (r.bytes.equals(content) && end > body.length - 110 ? Promise.reject(new Error('complete')) : r))).rejects.toBeDefined();
    }
  });
  test('any flipped byte is noticed or changes nothing', async () => {
    for (let at = 0; at < body.length; at++) {
      const flipped = Buffer.from(body);
      flipped[at]! ^= 0x01;
      const result = await read(flipped, { 'x-amz-decoded-content-length': String(content.length) }, SIGNED_TRAILER).catch((error: unknown) => error as Error);
      if (!(result instanceof Error)) expect(result.bytes.equals(content)).toBe(true);
    }
  });
  test.each([
    ['a header that is no header', 'zz\r\n', 'InvalidRequest'],
    ['a chunk of 4 GiB', 'ffffffff\r\n', 'InvalidChunkSizeError'],
    ['an endless header line', 'a'.repeat(20_000), 'InvalidRequest'],
    ['a chunk without its CRLF', '1\r\nabc\r\n', 'InvalidRequest'],
  ])('%s', async (_name, text, code) => {
    await expect(read(Buffer.from(text), {}, UNSIGNED_TRAILER, 1000)).rejects.toMatchObject({ code });
  });
});

describe('plain bodies', () => {
  const content = Buffer.from('hello');
  test.each([
    ['a wrong SHA-256', {}, 'a'.repeat(64), 'XAmzContentSHA256Mismatch'],
    ['a wrong MD5', { 'content-md5': 'AAAAAAAAAAAAAAAAAAAAAA==' }, 'UNSIGNED-PAYLOAD', 'BadDigest'],
    ['fewer bytes than announced', { 'content-length': '6' }, 'UNSIGNED-PAYLOAD', 'IncompleteBody'],
    ['an unknown payload keyword', {}, 'whatever', 'InvalidArgument'],
  ])('%s', async (_name, headers, payloadHash, code) => {
    await expect(read(content, headers as Record<string, string>, payloadHash)).rejects.toMatchObject({ code });
  });
});
