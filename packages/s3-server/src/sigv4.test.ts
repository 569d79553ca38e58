/** The verifier against the examples Amazon publishes (S3 API reference, "Examples: signature calculations"). */
import { describe, expect, test } from '@jest/globals';

import { deriveSigningKey, parseQuery, verifySignature } from './sigv4.ts';

const credentials = [{ accessKey: 'AKIAIOSFODNN7EXAMPLE', secretKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY' }];
const nowMs = Date.parse('2013-05-24T00:00:00Z');
const EMPTY = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
const host = 'examplebucket.s3.amazonaws.com';
const scope = 'AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request';

const EXAMPLES = [
  {
    name: 'GET object with a range',
    request: {
      method: 'GET', rawPath: '/test.txt', rawQuery: '', headers: {
        host, range: 'bytes=0-9', 'x-amz-content-sha256': EMPTY, 'x-amz-date': '20130524T000000Z',
        authorization: `AWS4-HMAC-SHA256 Credential=${scope},SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41`,
      },
    },
  },
  {
    name: 'PUT object with $ in its key',
    request: {
      method: 'PUT', rawPath: '/test%24file.text', rawQuery: '', headers: {
        host, date: 'Fri, 24 May 2013 00:00:00 GMT', 'x-amz-date': '20130524T000000Z', 'x-amz-storage-class': 'REDUCED_REDUNDANCY',
        'x-amz-content-sha256': '44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072',
        authorization: `AWS4-HMAC-SHA256 Credential=${scope},SignedHeaders=date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class,Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd`,
      },
    },
  },
  {
    name: 'GET bucket lifecycle: a query name without a value',
    request: {
      method: 'GET', rawPath: '/', rawQuery: 'lifecycle', headers: {
        host, 'x-amz-date': '20130524T000000Z', 'x-amz-content-sha256': EMPTY,
        authorization: `AWS4-HMAC-SHA256 Credential=${scope},SignedHeaders=host;x-amz-content-sha256;x-amz-date,Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543`,
      },
    },
  },
  {
    name: 'GET bucket: query parameters are sorted',
    request: {
      method: 'GET', rawPath: '/', rawQuery: 'max-keys=2&prefix=J', headers: {
        host, 'x-amz-date': '20130524T000000Z', 'x-amz-content-sha256': EMPTY,
        authorization: `AWS4-HMAC-SHA256 Credential=${scope},SignedHeaders=host;x-amz-content-sha256;x-amz-date,Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7`,
      },
    },
  },
  {
    name: 'presigned GET',
    request: {
      method: 'GET', rawPath: '/test.txt',
      rawQuery: 'X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404',
      headers: { host },
    },
  },
];

describe('published signatures', () => {
  for (const { name, request } of EXAMPLES) {
    test(`${name} is accepted`, () => {
      expect(verifySignature(request, credentials, nowMs).accessKey).toBe('AKIAIOSFODNN7EXAMPLE');
    });
    test(`${name} with another method, path, query or key is refused`, () => {
      expect(() => verifySignature({ ...request, method: 'DELETE' }, credentials, nowMs)).toThrow(expect.objectContaining({ code: 'SignatureDoesNotMatch' }));
      expect(() => verifySignature({ ...request, rawPath: `${request.rawPath}x` }, credentials, nowMs)).toThrow(expect.objectContaining({ code: 'SignatureDoesNotMatch' }));
      expect(() => verifySignature({ ...request, rawQuery: `${request.rawQuery}&a=b` }, credentials, nowMs)).toThrow(expect.objectContaining({ code: 'SignatureDoesNotMatch' }));
      expect(() => verifySignature(request, [{ ...credentials[0]!, secretKey: 'wrong' }], nowMs)).toThrow(expect.objectContaining({ code: 'SignatureDoesNotMatch' }));
    });
  }
});

describe('refusals', () => {
  const get = EXAMPLES[0]!.request;
  test.each([
    ['no signature', { ...get, headers: { host } }, nowMs, 'AccessDenied'],
    ['a clock 16 minutes off', get, nowMs + 16 * 60_000, 'RequestTimeTooSkewed'],
    ['an expired presigned URL', EXAMPLES[4]!.request, nowMs + 86_401_000, 'AccessDenied'],
    ['version 2 signatures', { ...get, headers: { ...get.headers, authorization: 'AWS AKIA:xyz' } }, nowMs, 'InvalidRequest'],
    ['a credential scope of another service', { ...get, headers: { ...get.headers, authorization: get.headers.authorization!.replace('/s3/', '/ec2/') } }, nowMs, 'AuthorizationHeaderMalformed'],
    ['a header that is signed but missing', { ...get, headers: { ...get.headers, range: undefined } }, nowMs, 'AccessDenied'],
  ])('%s', (_name, request, now, code) => {
    expect(() => verifySignature(request, credentials, now)).toThrow(expect.objectContaining({ code }));
  });
  test('an unknown access key', () => {
    expect(() => verifySignature(get, [{ accessKey: 'other', secretKey: 'x' }], nowMs)).toThrow(expect.objectContaining({ code: 'InvalidAccessKeyId' }));
  });
});

test('signing keys as published', () => {
  expect(deriveSigningKey('wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY', '20120215', 'us-east-1', 'iam').toString('hex')).toBe('f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d');
});

test('a plus in a query stays a plus', () => {
  expect(parseQuery('a=1+2&b=%2B&c')).toEqual([['a', '1+2'], ['b', '+'], ['c', '']]);
});
