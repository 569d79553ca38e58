/**
 * The Bucket contract against a real S3: MinIO on this machine, or whatever S3_ENDPOINT names (with S3_BUCKET, AWS_ACCESS_KEY_ID,
 * AWS_SECRET_ACCESS_KEY, and S3_INSECURE=1 for plain HTTP). The bucket must be empty but for what the contract itself leaves.
 */
import { createBucketFromConfig } from '@gauntlet/objstore';
import type { Bucket } from '@gauntlet/objstore';
import { describeBucketContract } from '@gauntlet/objstore/testing';
import { createNopLogger } from '@gauntlet/service-kit';
import { test } from '@jest/globals';

import { missingPeers, startMinio } from '../harness/peers.ts';

const BUCKET = process.env['S3_BUCKET'] ?? 'gauntlet-contract';

async function open(endpoint: string, accessKey: string, secretKey: string, isInsecure: boolean): Promise<Bucket> {
  const text = `type: S3
config:
  bucket: ${BUCKET}
  endpoint: ${endpoint}
  insecure: ${isInsecure}
  access_key: ${accessKey}
  secret_key: ${secretKey}
prefix: contract-${process.pid}
`;
  return createBucketFromConfig(text, { component: 'peers', source: 'peers', log: createNopLogger() });
}

const endpoint = process.env['S3_ENDPOINT'];
if (endpoint !== undefined) {
  describeBucketContract(`S3 at ${endpoint}`, () => open(endpoint, process.env['AWS_ACCESS_KEY_ID'] ?? '', process.env['AWS_SECRET_ACCESS_KEY'] ?? '', process.env['S3_INSECURE'] === '1'));
} else if (missingPeers(['minio']).length > 0) {
  test.skip('bucket contract: MinIO (skipped: no minio on PATH and no S3_ENDPOINT)', () => undefined);
} else {
  describeBucketContract('MinIO', async () => {
    const minio = await startMinio();
    await minio.createBucket(BUCKET);
    const bucket = await open(minio.address, minio.accessKey, minio.secretKey, true);
    return new Proxy(bucket, {
      get: (target, name) => {
        if (name === 'close') return () => bucket.close().then(() => minio.stop());
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  });
}
