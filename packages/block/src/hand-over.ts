/**
 * Which uploaded blocks may leave the disk they were cut on: those that whoever reads the bucket has had the time to find.
 *
 *   cut ──► uploaded ──── keepMs ────► handed over: store gateways have it, queriers know that they do ──► may be deleted locally
 *
 * Without the wait a block is in neither of the two for a while: deleted here, and not there before the next look at the bucket. When it was
 * uploaded is asked of the bucket, once (meta.json, which goes last), so that a restart does not begin the wait anew.
 */
import { type Bucket, isNotFound } from '@gauntlet/objstore';
import { errorText, type Logger } from '@gauntlet/service-kit';

import { META_FILE } from './block-id.ts';

/** What a hand-over works with. */
export interface HandOverDeps {
  readonly bucket: Bucket;
  readonly log: Logger;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
}

/**
 * Of uploaded blocks, those that were uploaded `keepMs` ago or earlier. A block that is not in the bucket any more was handed over long ago: a compaction
 * left it there for the deletion delay. What the bucket cannot tell now is asked again by the next call.
 * @throws the signal's reason
 */
export type HandOver = (uploaded: Iterable<string>, signal?: AbortSignal) => Promise<ReadonlySet<string>>;

/** @param keepMs shortest stay after the upload, ms; longer than readers take to find a block */
export function createHandOver({ bucket, log, clock }: HandOverDeps, keepMs: number): HandOver {
  let uploadedMs: ReadonlyMap<string, number> = new Map();

  /** ms since 1970; undefined: not known now. */
  async function askBucket(ulid: string, signal: AbortSignal | undefined): Promise<number | undefined> {
    try {
      const { lastModifiedMs } = await bucket.attributes(`${ulid}/${META_FILE}`, { isExpected: isNotFound, ...(signal === undefined ? {} : { signal }) });
      // A bucket whose clock is ahead prolongs nothing.
      return Math.min(lastModifiedMs, clock());
    } catch (error) {
      signal?.throwIfAborted();
      if (isNotFound(error)) return Number.NEGATIVE_INFINITY;
      log.warn('asking when a block was uploaded; it stays until that is known', { block: ulid, err: errorText(error) });
      return undefined;
    }
  }

  return async (uploaded, signal) => {
    const known = new Map<string, number>();
    const handedOver = new Set<string>();
    let answers = true;
    for (const ulid of uploaded) {
      let atMs = uploadedMs.get(ulid);
      // After one failure the others wait for the next call too.
      if (atMs === undefined && answers) {
        atMs = await askBucket(ulid, signal);
        answers = atMs !== undefined;
      }
      if (atMs === undefined) continue;
      known.set(ulid, atMs);
      if (atMs + keepMs <= clock()) handedOver.add(ulid);
    }
    uploadedMs = known;
    return handedOver;
  };
}
