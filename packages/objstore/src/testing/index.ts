/** The Bucket contract and a bucket that fails on demand, for tests of this and other packages. */
export { describeBucketContract } from './bucket-cases.ts';
export { createFaultBucket } from './fault-bucket.ts';
export type { FaultBucket, FaultMode } from './fault-bucket.ts';
