/**
 * Whether one block has all the data of another, and whether that can be relied on. A block's `sources` are the level-1 blocks in it;
 * a block of the same labels and resolution with all of them (and perhaps more) makes it superfluous. What a block that is to take
 * over must be, in the bucket, at the moment of asking:
 *
 *   meta.json and index are there · no deletion mark · every file that meta.json lists is there with its size
 */
import { INDEX_FILE, META_FILE, groupKey, markerKey } from '@gauntlet/block';
import type { ThanosMeta } from '@gauntlet/block';
import type { Bucket } from '@gauntlet/objstore';

/** Blocks with the same text are one stream. */
export function streamOf(meta: ThanosMeta): string {
  return groupKey(meta);
}

/** Whether `cover` has all sources of `meta`. Blocks without sources are covered by none. */
export function coversSources(cover: ThanosMeta, meta: ThanosMeta): boolean {
  const { sources } = meta.compaction;
  if (sources.length === 0 || sources.length > cover.compaction.sources.length) return false;
  const had = new Set(cover.compaction.sources);
  return sources.every((source) => had.has(source));
}

/**
 * Whether a block is whole in the bucket and nobody asked to delete it. One listing.
 * @throws ObjstoreError
 */
export async function isIntact(bucket: Bucket, meta: ThanosMeta, signal: AbortSignal): Promise<boolean> {
  const sizes = new Map<string, number | undefined>();
  for await (const entry of bucket.iterEntries(meta.ulid, { recursive: true, signal })) sizes.set(entry.name, entry.size);
  if (!sizes.has(`${meta.ulid}/${META_FILE}`) || !sizes.has(`${meta.ulid}/${INDEX_FILE}`) || sizes.has(markerKey(meta.ulid, 'deletion'))) return false;
  return meta.thanos.files.every(({ relPath, sizeBytes }) => {
    const key = `${meta.ulid}/${relPath}`;
    if (!sizes.has(key)) return false;
    const size = sizes.get(key);
    return sizeBytes === undefined || size === undefined || size === sizeBytes;
  });
}

/** {@link isIntact}, asked once per block. Good for one run: answers are not renewed. */
export function createIntactCheck(bucket: Bucket, signal: AbortSignal): (meta: ThanosMeta) => Promise<boolean> {
  const asked = new Map<string, Promise<boolean>>();
  return (meta) => {
    let answer = asked.get(meta.ulid);
    if (answer === undefined) {
      answer = isIntact(bucket, meta, signal);
      asked.set(meta.ulid, answer);
    }
    return answer;
  };
}
