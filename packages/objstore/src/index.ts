/** Object storage behind one interface. See README.md. */
export type { Bucket, BucketEntry, BucketOptions, IterOptions, ObjectAttributes, UploadBody, UploadOptions } from './bucket.ts';
export { BUCKET_TYPES, createBucketFromConfig, makeBucketFromConfig } from './bucket-config.ts';
export type { BucketDeps, MakeBucketDeps } from './bucket-config.ts';
export { ObjstoreError, isAccessDenied, isNotFound, isPreconditionFailed } from './errors.ts';
export type { ObjstoreErrorCode } from './errors.ts';
export { createFilesystemBucket } from './filesystem-bucket.ts';
export type { FilesystemBucketOptions } from './filesystem-bucket.ts';
export { createInstrumentedBucket } from './instrumented-bucket.ts';
export { BucketLedger, createLedgerBucket } from './ledger-bucket.ts';
export type { BucketRequest } from './ledger-bucket.ts';
export { createMemoryBucket } from './memory-bucket.ts';
export type { MemoryBucket } from './memory-bucket.ts';
export { createPrefixedBucket } from './prefixed-bucket.ts';
export type { S3BucketOptions } from './s3-bucket.ts';
export type { BucketOperation } from './wrap-bucket.ts';
