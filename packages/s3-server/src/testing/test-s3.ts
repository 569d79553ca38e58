/** A running server on an ephemeral port with one bucket and one key pair, and the Thanos configuration that leads to it. */
import { createS3Server } from '../s3-server.ts';
import type { S3Server, S3ServerOptions } from '../s3-server.ts';

/** A server under test. */
export interface TestS3 {
  readonly server: S3Server;
  /** `127.0.0.1:port` */
  readonly endpoint: string;
  readonly url: string;
  readonly bucket: string;
  readonly accessKey: string;
  readonly secretKey: string;
  /** `type: S3` configuration text. */
  readonly configYaml: string;
  close(): Promise<void>;
}

/** Starts a server. Everything of `options` can be set; bucket and credentials have defaults. */
export async function startTestS3(options: S3ServerOptions = {}): Promise<TestS3> {
  const bucket = options.buckets?.[0] ?? 'test-bucket';
  const { accessKey, secretKey } = options.credentials?.[0] ?? { accessKey: 'test-access', secretKey: 'test-secret-key' };
  const server = createS3Server({ isDurable: false, ...options, buckets: options.buckets ?? [bucket], credentials: options.credentials ?? [{ accessKey, secretKey }] });
  const { host, port, url } = await server.listen();
  const configYaml = `type: S3
config:
  bucket: ${bucket}
  endpoint: ${host}:${port}
  insecure: true
  access_key: ${accessKey}
  secret_key: ${secretKey}
`;
  return { server, endpoint: `${host}:${port}`, url, bucket, accessKey, secretKey, configYaml, close: () => server.close() };
}
