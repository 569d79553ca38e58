/** The part of a bucket that building an index-header reads: ranges. */
import type { Bucket } from '@gauntlet/objstore';
import type { BlockIo } from './block-io.ts';

/** A bucket for `buildIndexHeader` with a known index size, which calls `getRange` and nothing else. */
export function headerBucket(io: BlockIo): Bucket {
  const ranges: Pick<Bucket, 'getRange'> = {
    async getRange(key, offset, length) {
      const bytes = await io.read(key, offset, length);
      io.release(bytes.length);
      return bytes;
    },
  };
  return ranges as Bucket;
}
