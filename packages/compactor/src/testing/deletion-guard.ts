/** A bucket that refuses to delete what must not be deleted, whoever asks: the oracle of the tests of deletion. */
import type { Bucket, MemoryBucket } from '@gauntlet/objstore';

/** What the guard knows of the rules. */
export interface DeletionRules {
  readonly clock: () => number;
  readonly deleteDelayMs: number;
  readonly uploadThresholdMs: number;
}

/**
 * Passes everything on, and looks at each deletion first. It may go on if the directory has a deletion mark of itself that is older than
 * the delay, or has no meta.json and nothing younger than the threshold.
 * @param violations gets a sentence per deletion that breaks the rules; the deletion happens all the same
 */
export function createGuardedBucket(bucket: MemoryBucket, rules: DeletionRules, violations: string[]): Bucket {
  return {
    ...bucket,
    delete: async (key, options) => {
      const id = key.slice(0, key.indexOf('/'));
      const keys = bucket.keys().filter((k) => k.startsWith(`${id}/`));
      const markKey = `${id}/deletion-mark.json`;
      const mark = keys.includes(markKey) ? (JSON.parse(Buffer.from(await bucket.get(markKey)).toString()) as { id: string; deletion_time: number }) : undefined;
      const isDue = mark?.id === id && rules.clock() - mark.deletion_time * 1000 > rules.deleteDelayMs;
      const modified = await Promise.all(keys.map(async (k) => (await bucket.attributes(k)).lastModifiedMs));
      const isAborted = !keys.includes(`${id}/meta.json`) && modified.every((ms) => rules.clock() - ms > rules.uploadThresholdMs);
      if (keys.length > 0 && !isDue && !isAborted) violations.push(`${key} was deleted: ${mark === undefined ? 'no mark' : `mark of ${mark.deletion_time}`}, ${keys.length} objects`);
      await bucket.delete(key, options);
    },
  };
}
