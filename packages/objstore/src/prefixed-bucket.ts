/** A bucket below a prefix (`prefix:` of the configuration): names go in and come out without it. */
import type { Bucket, BucketEntry, IterOptions } from './bucket.ts';
import { ObjstoreError } from './errors.ts';
import { directoryPrefix } from './object-key.ts';

/**
 * Wraps a bucket so that every name is below `prefix`; slashes around it do not matter, an empty one gives the bucket itself.
 * @throws ObjstoreError ERR_BUCKET_CONFIG if the prefix is no object name
 */
export function createPrefixedBucket(bucket: Bucket, prefix: string): Bucket {
  const bare = prefix.replace(/^\/+|\/+$/g, '');
  if (bare === '') return bucket;
  let base: string;
  try {
    base = directoryPrefix(bare, bucket.name);
  } catch (error) {
    throw new ObjstoreError('ERR_BUCKET_CONFIG', `prefix ${JSON.stringify(prefix)}: not an object name`, error);
  }
  async function* iterEntries(dir: string, options?: IterOptions): AsyncGenerator<BucketEntry> {
    for await (const entry of bucket.iterEntries(base + directoryPrefix(dir, bucket.name), options)) yield { ...entry, name: entry.name.slice(base.length) };
  }
  // An empty key must not become the prefix itself.
  const full = (key: string): string => (key === '' ? '' : base + key);
  return {
    name: bucket.name,
    provider: bucket.provider,
    iterEntries,
    async *iter(dir, options) { for await (const entry of iterEntries(dir, options)) yield entry.name; },
    get: (key, o) => bucket.get(full(key), o),
    stream: (key, o) => bucket.stream(full(key), o),
    getRange: (key, offset, length, o) => bucket.getRange(full(key), offset, length, o),
    getRangeInto: (key, offset, target, o) => bucket.getRangeInto(full(key), offset, target, o),
    exists: (key, o) => bucket.exists(full(key), o),
    attributes: (key, o) => bucket.attributes(full(key), o),
    upload: (key, body, o) => bucket.upload(full(key), body, o),
    delete: (key, o) => bucket.delete(full(key), o),
    supportsConditionalWrites: (o) => bucket.supportsConditionalWrites(o),
    close: () => bucket.close(),
  };
}
