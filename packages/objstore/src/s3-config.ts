/**
 * The `config` of `type: S3`, with the keys and defaults of Thanos. What cannot be done here is refused by name instead of
 * being ignored. Source: Thanos docs/storage.md, "S3"; objstore providers/s3.
 */
import { readFileSync } from 'node:fs';

import { Secret, errorText, schema } from '@gauntlet/service-kit';
import type { Schema } from '@gauntlet/service-kit';

const { bool, bytes, duration, int, map, mapped, object, oneOf, orEmpty, secret, string, withDefault } = schema;

/** Server-side encryption. */
export type S3Encryption =
  | { readonly type: 'SSE-S3' }
  | { readonly type: 'SSE-KMS'; readonly keyId: string; readonly context: ReadonlyMap<string, string> }
  | { readonly type: 'SSE-C'; readonly key: Secret };

/** Everything an S3 bucket is built from. Durations in milliseconds. */
export interface S3Settings {
  readonly bucket: string;
  /** Base URL. */
  readonly endpoint: string;
  readonly region: string;
  readonly isPathStyle: boolean;
  /** Undefined: the SDK's credential chain (environment, shared files, web identity, instance metadata). */
  readonly credentials: { readonly accessKey: Secret; readonly secretKey: Secret; readonly sessionToken: Secret } | undefined;
  readonly userMetadata: ReadonlyMap<string, string>;
  readonly storageClass: string | undefined;
  readonly listVersion: 'v1' | 'v2';
  readonly hasContentMd5: boolean;
  readonly isMultipartDisabled: boolean;
  /** Objects of at least this size are uploaded in parts of this size. */
  readonly partBytes: number;
  readonly encryption: S3Encryption | undefined;
  readonly attemptsMax: number;
  readonly connectTimeoutMs: number;
  readonly responseHeaderTimeoutMs: number;
  readonly idleConnectionTimeoutMs: number;
  readonly connectionsMax: number;
  readonly idleConnectionsMax: number;
  readonly tls: { readonly ca: string | undefined; readonly cert: string | undefined; readonly key: string | undefined; readonly serverName: string | undefined; readonly isVerified: boolean };
}

/** Part size unless configured: a quarter of Thanos' 64 MiB, because several parts are held in memory at once. */
export const DEFAULT_PART_BYTES: number = 16 * 1024 * 1024;
const PART_BYTES_MIN = 5 * 1024 * 1024;

const text = withDefault(string(), '');
const flag = withDefault(bool(), false);
const noSecret = new Secret('');

const tlsConfig = { ca_file: text, cert_file: text, key_file: text, server_name: text, insecure_skip_verify: flag };
const httpConfig = {
  idle_conn_timeout: withDefault(duration(), 90_000),
  response_header_timeout: withDefault(duration(), 120_000),
  insecure_skip_verify: flag,
  tls_handshake_timeout: withDefault(duration(), 10_000),
  expect_continue_timeout: withDefault(duration(), 1_000),
  max_idle_conns: withDefault(int({ min: 0 }), 100),
  max_idle_conns_per_host: withDefault(int({ min: 0 }), 100),
  max_conns_per_host: withDefault(int({ min: 0 }), 0),
  tls_config: orEmpty(tlsConfig),
  disable_compression: flag,
};
const fields = {
  bucket: string(),
  endpoint: string(),
  region: text,
  disable_dualstack: flag,
  aws_sdk_auth: flag,
  access_key: text,
  insecure: flag,
  signature_version2: flag,
  secret_key: withDefault(secret(), noSecret),
  session_token: withDefault(secret(), noSecret),
  put_user_metadata: withDefault(map(string()), new Map<string, string>()),
  http_config: orEmpty(httpConfig),
  trace: orEmpty({ enable: flag }),
  list_objects_version: withDefault(oneOf(['', 'v1', 'v2']), ''),
  bucket_lookup_type: withDefault(oneOf(['auto', 'virtual-hosted', 'path']), 'auto'),
  send_content_md5: withDefault(bool(), true),
  disable_multipart: flag,
  part_size: withDefault(bytes(), DEFAULT_PART_BYTES),
  sse_config: orEmpty({
    type: withDefault(oneOf(['', 'SSE-S3', 'SSE-KMS', 'SSE-C']), ''),
    kms_key_id: text,
    kms_encryption_context: withDefault(map(string()), new Map<string, string>()),
    encryption_key: text,
  }),
  sts_endpoint: text,
  max_retries: withDefault(int({ min: 0 }), 0),
};
type RawConfig = schema.ObjectValue<typeof fields>;

function readConfigFile(key: string, path: string): string | undefined {
  if (path === '') return undefined;
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new Error(`${key}: read ${path}: ${errorText(error)}`);
  }
}

function encryptionOf(raw: RawConfig['sse_config']): S3Encryption | undefined {
  switch (raw.type) {
    case '': return undefined;
    case 'SSE-S3': return { type: 'SSE-S3' };
    case 'SSE-KMS':
      if (raw.kms_key_id === '') throw new Error('sse_config.kms_key_id: SSE-KMS needs a key id');
      return { type: 'SSE-KMS', keyId: raw.kms_key_id, context: raw.kms_encryption_context };
    case 'SSE-C': {
      const key = readConfigFile('sse_config.encryption_key', raw.encryption_key);
      if (key === undefined) throw new Error('sse_config.encryption_key: SSE-C needs the path of a key file');
      if (Buffer.byteLength(key) !== 32) throw new Error(`sse_config.encryption_key: ${raw.encryption_key} holds ${Buffer.byteLength(key)} bytes, wanted 32`);
      return { type: 'SSE-C', key: new Secret(key) };
    }
  }
}

function regionOf(raw: RawConfig): string {
  if (raw.region !== '') return raw.region;
  return /^s3[.-](?:dualstack\.)?([a-z0-9-]+)\.amazonaws\.com/.exec(raw.endpoint)?.[1] ?? 'us-east-1';
}

function isPathStyle(raw: RawConfig): boolean {
  if (raw.bucket_lookup_type !== 'auto') return raw.bucket_lookup_type === 'path';
  return !/(^|\.)(amazonaws\.com|amazonaws\.com\.cn|storage\.googleapis\.com)(:\d+)?$/.test(raw.endpoint) || raw.bucket.includes('.');
}

function settingsOf(raw: RawConfig): S3Settings {
  if (raw.bucket === '') throw new Error('bucket: no bucket name given');
  if (raw.endpoint === '' || /[/?#@\s]/.test(raw.endpoint)) throw new Error(`endpoint: wanted host or host:port without scheme and path, got '${raw.endpoint}'`);
  if (raw.signature_version2) throw new Error('signature_version2: is not supported, only version 4 signatures are sent');
  if (raw.sts_endpoint !== '') throw new Error('sts_endpoint: is not supported, set AWS_ENDPOINT_URL_STS in the environment');
  if (raw.trace.enable) throw new Error('trace.enable: is not supported, request counts and durations are in the metrics');
  const hasKey = raw.access_key !== '';
  if (hasKey === raw.secret_key.isEmpty) throw new Error(hasKey ? 'secret_key: is missing while access_key is set' : 'access_key: is missing while secret_key is set');
  if (raw.aws_sdk_auth && hasKey) throw new Error('aws_sdk_auth: cannot be combined with access_key and secret_key');
  if (!raw.session_token.isEmpty && !hasKey) throw new Error('session_token: needs access_key and secret_key');
  if (raw.part_size < PART_BYTES_MIN && !raw.disable_multipart) throw new Error(`part_size: wanted at least ${PART_BYTES_MIN} bytes, got ${raw.part_size}`);
  const { tls_config: tls } = raw.http_config;
  if ((tls.cert_file === '') !== (tls.key_file === '')) throw new Error('http_config.tls_config: cert_file and key_file go together');
  const userMetadata = new Map(raw.put_user_metadata);
  const classKey = [...userMetadata.keys()].find((k) => k.toLowerCase() === 'x-amz-storage-class');
  const storageClass = classKey === undefined ? undefined : userMetadata.get(classKey);
  if (classKey !== undefined) userMetadata.delete(classKey);
  return {
    bucket: raw.bucket,
    endpoint: `${raw.insecure ? 'http' : 'https'}://${raw.endpoint}`,
    region: regionOf(raw),
    isPathStyle: isPathStyle(raw),
    credentials: hasKey ? { accessKey: new Secret(raw.access_key), secretKey: raw.secret_key, sessionToken: raw.session_token } : undefined,
    userMetadata,
    storageClass,
    listVersion: raw.list_objects_version === 'v1' ? 'v1' : 'v2',
    hasContentMd5: raw.send_content_md5,
    isMultipartDisabled: raw.disable_multipart,
    partBytes: raw.part_size,
    encryption: encryptionOf(raw.sse_config),
    attemptsMax: raw.max_retries > 0 ? raw.max_retries : 6,
    connectTimeoutMs: raw.http_config.tls_handshake_timeout,
    responseHeaderTimeoutMs: raw.http_config.response_header_timeout,
    idleConnectionTimeoutMs: raw.http_config.idle_conn_timeout,
    connectionsMax: raw.http_config.max_conns_per_host > 0 ? raw.http_config.max_conns_per_host : 256,
    idleConnectionsMax: Math.max(1, Math.min(raw.http_config.max_idle_conns || Infinity, raw.http_config.max_idle_conns_per_host || Infinity, 256)),
    tls: {
      ca: readConfigFile('http_config.tls_config.ca_file', tls.ca_file),
      cert: readConfigFile('http_config.tls_config.cert_file', tls.cert_file),
      key: readConfigFile('http_config.tls_config.key_file', tls.key_file),
      serverName: tls.server_name === '' ? undefined : tls.server_name,
      isVerified: !(tls.insecure_skip_verify || raw.http_config.insecure_skip_verify),
    },
  };
}

/** Schema of the `config` section. */
export const s3ConfigSchema: Schema<S3Settings> = mapped(object(fields), settingsOf);
