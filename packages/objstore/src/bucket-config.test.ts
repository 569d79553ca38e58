/** Configuration texts: what is taken, and what is refused with which words. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { createMetrics, createNopLogger, decodeYaml } from '@gauntlet/service-kit';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { createBucketFromConfig, makeBucketFromConfig } from './bucket-config.ts';
import { DEFAULT_PART_BYTES, s3ConfigSchema } from './s3-config.ts';

let folder: string;
beforeAll(async () => { folder = await mkdtemp(join(tmpdir(), 'gauntlet-config-')); });
afterAll(async () => { await rm(folder, { recursive: true }); });

const deps = { component: 'test', source: 'bucket.yml', log: createNopLogger() };
const open = (text: string): Promise<unknown> => createBucketFromConfig(text, deps);
const s3 = (text: string): ReturnType<typeof settings> => settings(`bucket: b\nendpoint: s3.example.org\n${text}`);
const settings = (text: string) => decodeYaml(text, s3ConfigSchema, 'bucket.yml');

test('FILESYSTEM in any case, with a prefix', async () => {
  const bucket = await createBucketFromConfig(`type: filesystem\nconfig:\n  directory: ${folder}/b\nprefix: p/q\n`, { ...deps, metrics: createMetrics() });
  await bucket.upload('k', Buffer.from('x'));
  expect([bucket.provider, await bucket.exists('k')]).toEqual(['FILESYSTEM', true]);
  const whole = await createBucketFromConfig(`{"type": "FILESYSTEM", "config": {"directory": "${folder}/b"}}`, deps);
  expect(await whole.exists('p/q/k')).toBe(true);
});

test('S3 opens without a request', async () => {
  const bucket = await createBucketFromConfig('type: S3\nconfig:\n  bucket: b\n  endpoint: localhost:1\n', deps);
  expect([bucket.provider, bucket.name]).toEqual(['S3', 'b']);
  await bucket.close();
});

test('a folder is made once; other types than those known are refused', async () => {
  const make = (text: string) => makeBucketFromConfig(text, { component: 'test', source: 'bucket.yml', random: () => 0 });
  const text = `type: FILESYSTEM\nconfig:\n  directory: ${folder}/made/deep\n`;
  await expect(make(text)).resolves.toEqual({ name: `${folder}/made/deep`, outcome: 'made' });
  await expect(make(text)).resolves.toMatchObject({ outcome: 'there' });
  await expect(make('type: GCS\nconfig: {bucket: b}')).rejects.toMatchObject({ code: 'ERR_BUCKET_CONFIG' });
});

describe('refused', () => {
  test.each([
    ['an empty text', '', 'bucket.yml:1:1: document is empty: wanted map'],
    ['no type', 'config: {}', "missing 'type'"],
    ['an unknown type', 'type: S4', "bucket.yml:1:7: type: wanted one of"],
    ['a type of later', 'type: GCS\nconfig: {bucket: b}', 'bucket.yml: object store type GCS is not supported yet, supported are S3 and FILESYSTEM'],
    ['an unknown key at the top', 'type: S3\nconfigs: {}', "bucket.yml:2:1: unknown key 'configs', did you mean 'config'?"],
    ['no config', 'type: FILESYSTEM', "missing 'config'"],
    ['no directory', 'type: FILESYSTEM\nconfig: {}', "missing 'config.directory'"],
    ['an unknown key of S3', 'type: S3\nconfig:\n  bucket: b\n  endpoint: e\n  acess_key: x\n', "bucket.yml:5:3: unknown key 'acess_key' in config, did you mean 'access_key'?"],
    ['a wrong type', 'type: S3\nconfig:\n  bucket: b\n  endpoint: e\n  insecure: 3\n', "bucket.yml:5:13: config.insecure: wanted bool, got '3'"],
    ['an unknown key below', 'type: S3\nconfig:\n  bucket: b\n  endpoint: e\n  http_config:\n    idle_timeout: 1s\n', "bucket.yml:6:5: unknown key 'idle_timeout' in config.http_config"],
    ['a prefix that climbs', 'type: FILESYSTEM\nconfig: {directory: /tmp}\nprefix: a/../b', 'prefix "a/../b": not an object name'],
  ])('%s', async (_name, text, message) => {
    await expect(open(text)).rejects.toThrow(message);
  });

  test.each([
    ['no endpoint', 'bucket: b\nendpoint: ""', "endpoint: wanted host or host:port without scheme and path, got ''"],
    ['an endpoint with a scheme', 'bucket: b\nendpoint: https://x', 'endpoint: wanted host or host:port without scheme and path'],
    ['only one key', 'bucket: b\nendpoint: e\naccess_key: a', 'secret_key: is missing while access_key is set'],
    ['only the other key', 'bucket: b\nendpoint: e\nsecret_key: s', 'access_key: is missing while secret_key is set'],
    ['SDK authentication with keys', 'bucket: b\nendpoint: e\naccess_key: a\nsecret_key: s\naws_sdk_auth: true', 'aws_sdk_auth: cannot be combined'],
    ['version 2 signatures', 'bucket: b\nendpoint: e\nsignature_version2: true', 'signature_version2: is not supported'],
    ['an STS endpoint', 'bucket: b\nendpoint: e\nsts_endpoint: https://sts', 'sts_endpoint: is not supported, set AWS_ENDPOINT_URL_STS'],
    ['tracing of requests', 'bucket: b\nendpoint: e\ntrace: {enable: true}', 'trace.enable: is not supported'],
    ['tiny parts', 'bucket: b\nendpoint: e\npart_size: 1000', 'part_size: wanted at least 5242880 bytes, got 1000'],
    ['SSE-KMS without a key', 'bucket: b\nendpoint: e\nsse_config: {type: SSE-KMS}', 'sse_config.kms_key_id: SSE-KMS needs a key id'],
    ['SSE-C without a file', 'bucket: b\nendpoint: e\nsse_config: {type: SSE-C, encryption_key: /no/such}', 'sse_config.encryption_key: read /no/such'],
    ['an unknown SSE type', 'bucket: b\nendpoint: e\nsse_config: {type: SSE}', "sse_config.type: wanted one of"],
    ['a missing CA file', 'bucket: b\nendpoint: e\nhttp_config: {tls_config: {ca_file: /no/such}}', 'http_config.tls_config.ca_file: read /no/such'],
    ['half a client certificate', 'bucket: b\nendpoint: e\nhttp_config: {tls_config: {cert_file: /x}}', 'cert_file and key_file go together'],
  ])('S3: %s', (_name, text, message) => {
    expect(() => settings(text)).toThrow(message);
  });

  test('secrets are not in what is printed', () => {
    const got = s3('access_key: AK\nsecret_key: hush\nsession_token: quiet');
    expect(JSON.stringify(got)).not.toMatch(/hush|quiet/);
    expect(got.credentials?.secretKey.reveal()).toBe('hush');
    expect(() => s3('access_key: AK\nsecret_key: hush\nregoin: x')).toThrow(expect.not.stringContaining('hush'));
  });
});

describe('S3 settings', () => {
  test('defaults', () => {
    expect(s3('')).toMatchObject({
      endpoint: 'https://s3.example.org', region: 'us-east-1', isPathStyle: true, credentials: undefined, hasContentMd5: true, partBytes: DEFAULT_PART_BYTES,
      listVersion: 'v2', attemptsMax: 6, connectTimeoutMs: 10_000, responseHeaderTimeoutMs: 120_000, tls: { isVerified: true },
    });
  });
  test('addressing and region follow the endpoint', () => {
    expect(settings('bucket: b\nendpoint: s3.eu-west-1.amazonaws.com')).toMatchObject({ region: 'eu-west-1', isPathStyle: false });
    expect(settings('bucket: b.c\nendpoint: s3.eu-west-1.amazonaws.com')).toMatchObject({ isPathStyle: true });
    expect(settings('bucket: b\nendpoint: s3.eu-west-1.amazonaws.com\nbucket_lookup_type: path\nregion: x')).toMatchObject({ region: 'x', isPathStyle: true });
  });
  test('storage class, retries, timeouts, encryption', async () => {
    await writeFile(join(folder, 'key'), 'k'.repeat(32));
    await writeFile(join(folder, 'short'), 'k');
    const got = s3(`put_user_metadata: {X-Amz-Storage-Class: STANDARD_IA, who: me}\nmax_retries: 3\nhttp_config: {response_header_timeout: 5s, insecure_skip_verify: true}\nsse_config: {type: SSE-C, encryption_key: ${folder}/key}\npart_size: 8MiB\ninsecure: true`);
    expect(got).toMatchObject({ storageClass: 'STANDARD_IA', attemptsMax: 3, responseHeaderTimeoutMs: 5000, tls: { isVerified: false }, encryption: { type: 'SSE-C' }, partBytes: 8 * 1024 * 1024, endpoint: 'http://s3.example.org' });
    expect([...got.userMetadata]).toEqual([['who', 'me']]);
    expect(() => s3(`sse_config: {type: SSE-C, encryption_key: ${folder}/short}`)).toThrow('holds 1 bytes, wanted 32');
  });
});
