/**
 * From the text of `--objstore.config` to a bucket:
 *
 *   type: S3            S3 or FILESYSTEM, in any case
 *   config: {…}         strict, by type
 *   prefix: some/dir    optional
 *
 * Providers are loaded when they are asked for: the AWS SDK costs 90 ms of start-up.
 */
import { mkdir } from 'node:fs/promises';

import { decodeYaml, schema } from '@gauntlet/service-kit';
import type { Logger, Metrics } from '@gauntlet/service-kit';

import type { Bucket } from './bucket.ts';
import { ObjstoreError } from './errors.ts';
import { createFilesystemBucket } from './filesystem-bucket.ts';
import { createInstrumentedBucket } from './instrumented-bucket.ts';
import { createPrefixedBucket } from './prefixed-bucket.ts';
import { s3ConfigSchema } from './s3-config.ts';
import type { S3BucketOptions } from './s3-bucket.ts';

/** Types Thanos knows; the rest of them is refused by name. */
export const BUCKET_TYPES = ['S3', 'FILESYSTEM', 'GCS', 'AZURE', 'SWIFT', 'COS', 'ALIYUNOSS', 'BOS', 'OCI', 'OBS'] as const;

/** What a bucket is created with besides its configuration. */
export interface BucketDeps {
  /** Name of the asking component, for the store's logs. */
  readonly component: string;
  /** File or flag the text came from, for error messages. */
  readonly source: string;
  readonly log: Logger;
  /** Present: the bucket is instrumented. */
  readonly metrics?: Metrics;
  /** For tests. */
  readonly s3?: S3BucketOptions;
}

/** What {@link makeBucketFromConfig} needs. */
export interface MakeBucketDeps extends Pick<BucketDeps, 'component' | 'source'> {
  /** In [0, 1), for waits between attempts. */
  readonly random: () => number;
  readonly signal?: AbortSignal;
}

const top = schema.object({
  type: schema.oneOf(BUCKET_TYPES, { ignoreCase: true }),
  config: schema.deferred(),
  prefix: schema.withDefault(schema.string(), ''),
});
const filesystemConfig = schema.object({ directory: schema.string() });

/**
 * Creates the bucket a configuration describes.
 * @throws ConfigError with file:line:column for everything wrong in the text; ObjstoreError ERR_BUCKET_CONFIG for a type that is not supported
 */
export async function createBucketFromConfig(text: string, deps: BucketDeps): Promise<Bucket> {
  const config = decodeYaml(text, top, deps.source);
  let bucket: Bucket;
  if (config.type === 'S3') {
    const settings = config.config.decode(s3ConfigSchema);
    silenceVersionWarning();
    const { createS3Bucket } = await import('./s3-bucket.ts');
    bucket = createS3Bucket(settings, { component: deps.component, ...deps.s3 });
  } else if (config.type === 'FILESYSTEM') {
    bucket = await createFilesystemBucket({ directory: config.config.decode(filesystemConfig).directory });
  } else {
    throw unsupported(deps.source, config.type);
  }
  bucket = createPrefixedBucket(bucket, config.prefix);
  deps.log.info('loading bucket configuration', { provider: bucket.provider, bucket: bucket.name, prefix: config.prefix });
  return deps.metrics === undefined ? bucket : createInstrumentedBucket(bucket, deps.metrics);
}

/**
 * Makes the bucket itself where it is not there yet: for first starts and demonstrations. Existing ones are left as they are.
 * @returns its name, and whether it was made or there already
 * @throws as {@link createBucketFromConfig}; ObjstoreError when the store refuses
 */
export async function makeBucketFromConfig(text: string, { component, source, random, signal }: MakeBucketDeps): Promise<{ readonly name: string; readonly outcome: 'made' | 'there' }> {
  const config = decodeYaml(text, top, source);
  if (config.type === 'S3') {
    const settings = config.config.decode(s3ConfigSchema);
    silenceVersionWarning();
    const { makeS3Bucket } = await import('./s3-make-bucket.ts');
    return { name: settings.bucket, outcome: await makeS3Bucket(settings, { component, random, ...(signal === undefined ? {} : { signal }) }) };
  }
  if (config.type === 'FILESYSTEM') {
    const { directory } = config.config.decode(filesystemConfig);
    return { name: directory, outcome: (await mkdir(directory, { recursive: true })) === undefined ? 'there' : 'made' };
  }
  throw unsupported(source, config.type);
}

/** Node 20 is supported here by pinning the SDK; its warning on every start would only worry people. */
function silenceVersionWarning(): void {
  process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true';
}

function unsupported(source: string, type: string): ObjstoreError {
  return new ObjstoreError('ERR_BUCKET_CONFIG', `${source}: object store type ${type} is not supported yet, supported are S3 and FILESYSTEM`);
}
