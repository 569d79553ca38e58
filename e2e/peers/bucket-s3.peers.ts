/** The Bucket contract against an S3 that is not ours: MinIO of this machine, or what S3_ENDPOINT names. */
import { createBucketFromConfig } from '@gauntlet/objstore';
import { describeBucketContract } from '@gauntlet/objstore/testing';
import { createNopLogger } from '@gauntlet/service-kit';
import { describeWithPeers } from '../harness/describe-peers.ts';
import { S3_PEERS, openS3 } from '../harness/s3.ts';

describeWithPeers('a real S3', S3_PEERS, () => {
  describeBucketContract(process.env['S3_ENDPOINT'] ?? 'MinIO', async () => {
    const s3 = await openS3();
    // A prefix of its own: the contract begins with an empty bucket.
    const text = `${await s3.createBucket(process.env['S3_BUCKET'] ?? 'gauntlet-contract')}prefix: contract-${process.pid}-${Date.now()}\n`;
    const bucket = await createBucketFromConfig(text, { component: 'peers', source: 'peers', log: createNopLogger() });
    return new Proxy(bucket, {
      get: (target, name) => {
        if (name === 'close') return () => bucket.close().then(() => s3.stop());
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  });
});
