/** Making an S3 bucket: once, for a new place; a bucket that is ours already is left as it is. */
import { CreateBucketCommand } from '@aws-sdk/client-s3';

import { withRetries } from './retry.ts';
import { createS3Client } from './s3-client.ts';
import type { S3Settings } from './s3-config.ts';
import { isTransient, mapS3Error } from './s3-errors.ts';

/** Code of the store's answer when the bucket is the caller's own already. */
const OWN_ALREADY = 'BucketAlreadyOwnedByYou';
/** Region whose name S3 refuses as a constraint. */
const DEFAULT_REGION = 'us-east-1';

/** How it is made. */
export interface MakeS3BucketOptions {
  readonly component: string;
  /** In [0, 1). */
  readonly random: () => number;
  readonly signal?: AbortSignal;
}

/**
 * Makes the bucket the settings name.
 * @returns whether it was made or there already
 * @throws ObjstoreError, also when another account has a bucket of that name
 */
export async function makeS3Bucket(settings: S3Settings, { component, random, signal }: MakeS3BucketOptions): Promise<'made' | 'there'> {
  const client = createS3Client(settings, component);
  const constraint = settings.region === DEFAULT_REGION ? {} : { CreateBucketConfiguration: { LocationConstraint: settings.region as never } };
  try {
    await withRetries({ attemptsMax: settings.attemptsMax, baseDelayMs: 200, random }, signal, isTransient, () =>
      client.send(new CreateBucketCommand({ Bucket: settings.bucket, ...constraint }), signal === undefined ? {} : { abortSignal: signal }),
    );
    return 'made';
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof Error && error.name === OWN_ALREADY) return 'there';
    throw mapS3Error('make', '', settings.bucket, error);
  } finally {
    client.destroy();
  }
}
