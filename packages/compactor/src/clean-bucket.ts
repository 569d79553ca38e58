/**
 * Deletion, the one place that destroys data. What is deleted, and what must be so at the last moment before:
 *
 *   marked block        its deletion mark, read again, is there, is its own and is older than the delete delay
 *   rest of a deletion  (no meta.json, or an unreadable one) the same, and nothing was written to it after the mark
 *   aborted upload      no meta.json, and not one of its objects is younger than the threshold
 *
 * A block with an unreadable meta.json and no mark is never deleted: its data may be whole. Killed at any point, the next run goes on:
 * meta.json goes first and the mark last, so that what is left is a rest of a deletion or an aborted upload.
 */
import { BlockError, META_FILE, deleteBlock, markerKey, readBucketMeta, readMarker } from '@gauntlet/block';
import type { BucketEntry } from '@gauntlet/objstore';
import { createGate, errorText } from '@gauntlet/service-kit';

import type { CareDeps } from './collect-garbage.ts';
import { CompactorError } from './errors.ts';
import type { SyncView } from './sync-blocks.ts';

/** Age of the youngest object from which an upload counts as aborted: 48 h. */
export const PARTIAL_UPLOAD_THRESHOLD_MS: number = 48 * 3_600_000;

/** How to delete marked blocks. */
export interface DeleteMarkedOptions {
  /** `--delete-delay` */
  readonly deleteDelayMs: number;
  /** Blocks deleted at once; default 32. */
  readonly concurrency?: number;
}

type CleanView = Pick<SyncView, 'partial' | 'deletionMarks'>;

/**
 * Deletes blocks whose deletion mark is older than the delay, and finishes deletions that were begun.
 * @returns ids of the blocks that were deleted
 * @throws CompactorError ERR_DELETE_BLOCK, kind retry, after all others were tried; the signal's reason
 */
export async function deleteMarkedBlocks(deps: CareDeps, view: CleanView, options: DeleteMarkedOptions, signal: AbortSignal): Promise<readonly string[]> {
  const { log, metrics, clock } = deps;
  const isDue = (timeSeconds: number): boolean => clock() - timeSeconds * 1000 > options.deleteDelayMs;
  const marked = [...view.deletionMarks].filter(([id, mark]) => !view.partial.has(id) && isDue(mark.timeSeconds)).map(([id]) => id);
  return deleteAll(deps, [...marked, ...view.partial.keys()], options.concurrency ?? 32, signal, async (id) => {
    if (view.partial.has(id) && !(await isUntouchedSinceMark(deps, id, signal))) return undefined;
    const seconds = await readTrustedMark(deps, id, signal);
    if (seconds === undefined || !isDue(seconds)) return undefined;
    return () => {
      metrics.blocksCleaned.inc();
      log.info('deleted block marked for deletion', { block: id });
    };
  });
}

/** Time of a block's deletion mark, Unix seconds; undefined if there is none that can be relied on. */
async function readTrustedMark(deps: CareDeps, id: string, signal: AbortSignal): Promise<number | undefined> {
  const { bucket, log } = deps;
  try {
    const mark = await readMarker(bucket, id, 'deletion', signal);
    if (mark === undefined) {
      log.info('block stays: its deletion mark was removed', { block: id });
      return undefined;
    }
    if (mark.id !== id) {
      log.warn('block stays: its deletion mark names another block', { block: id, named: mark.id });
      return undefined;
    }
    return mark.timeSeconds;
  } catch (error) {
    if (!(error instanceof BlockError && error.code === 'ERR_MARKER_CORRUPT')) throw error;
    log.warn('block stays: its deletion mark cannot be read', { block: id, err: errorText(error) });
    return undefined;
  }
}

async function listObjects(deps: CareDeps, id: string, signal: AbortSignal): Promise<BucketEntry[]> {
  const entries: BucketEntry[] = [];
  for await (const entry of deps.bucket.iterEntries(id, { recursive: true, signal })) entries.push(entry);
  return entries;
}

/** When an object was last written, ms since 1970, by the store's clock. */
async function modifiedMs(deps: CareDeps, entry: BucketEntry, signal: AbortSignal): Promise<number> {
  return entry.lastModifiedMs ?? (await deps.bucket.attributes(entry.name, { signal })).lastModifiedMs;
}

/** Whether a block without a readable meta.json is marked, and nothing was written to it since: nobody is uploading or repairing it. */
async function isUntouchedSinceMark(deps: CareDeps, id: string, signal: AbortSignal): Promise<boolean> {
  const entries = await listObjects(deps, id, signal);
  const mark = entries.find((entry) => entry.name === markerKey(id, 'deletion'));
  if (mark === undefined) return false;
  const markedMs = await modifiedMs(deps, mark, signal);
  for (const entry of entries) if ((await modifiedMs(deps, entry, signal)) > markedMs) return false;
  return !entries.some((entry) => entry.name === `${id}/${META_FILE}`) || !(await hasReadableMeta(deps, id, signal));
}

async function hasReadableMeta(deps: CareDeps, id: string, signal: AbortSignal): Promise<boolean> {
  try {
    await readBucketMeta(deps.bucket, id, signal);
    return true;
  } catch (error) {
    if (error instanceof BlockError && (error.code === 'ERR_META_CORRUPT' || error.code === 'ERR_META_NOT_FOUND')) return false;
    throw error;
  }
}

/** How to delete aborted uploads. */
export interface DeletePartialOptions {
  /** Default {@link PARTIAL_UPLOAD_THRESHOLD_MS}. */
  readonly thresholdMs?: number;
  /** Blocks looked at at once; default 32. */
  readonly concurrency?: number;
}

/**
 * Deletes what aborted uploads left. Those with a deletion mark are the business of {@link deleteMarkedBlocks}, unless somebody wrote
 * to them after the mark.
 * @returns ids of the directories that were deleted
 * @throws CompactorError ERR_DELETE_BLOCK, kind retry, after all others were tried; the signal's reason
 */
export async function deletePartialUploads(deps: CareDeps, view: CleanView, options: DeletePartialOptions, signal: AbortSignal): Promise<readonly string[]> {
  const { log, metrics, clock } = deps;
  const thresholdMs = options.thresholdMs ?? PARTIAL_UPLOAD_THRESHOLD_MS;
  const aborted: string[] = [];
  let corrupt = 0;
  for (const [id, error] of view.partial) {
    if (error instanceof BlockError && error.code === 'ERR_META_NOT_FOUND') aborted.push(id);
    else {
      corrupt++;
      log.warn('block with an unreadable meta.json stays; repair it or mark it for deletion', { block: id, err: errorText(error) });
    }
  }
  metrics.corruptBlocks.set(corrupt);
  return deleteAll(deps, aborted, options.concurrency ?? 32, signal, async (id) => {
    const entries = await listObjects(deps, id, signal);
    const markKey = markerKey(id, 'deletion');
    const modified = await Promise.all(entries.map((entry) => modifiedMs(deps, entry, signal)));
    const newestMs = Math.max(...modified);
    if (entries.length === 0 || entries.some((entry) => entry.name === `${id}/${META_FILE}`) || clock() - newestMs <= thresholdMs) return undefined;
    const mark = entries.findIndex((entry) => entry.name === markKey);
    if (mark >= 0 && modified[mark] === newestMs) return undefined;
    metrics.partialDeletionAttempts.inc();
    log.info('found partially uploaded block; deleting', { block: id, newest: new Date(newestMs).toISOString() });
    return () => {
      metrics.blocksCleaned.inc();
      log.info('deleted aborted partial upload', { block: id, thresholdMs });
    };
  });
}

/**
 * Deletes blocks for which `prove` finds that it is safe, several at once. One that fails does not keep the others.
 * @param prove looks at the bucket; undefined: keep. Otherwise what to do once the block is gone
 */
async function deleteAll(
  deps: CareDeps, ids: readonly string[], concurrency: number, signal: AbortSignal, prove: (id: string) => Promise<(() => void) | undefined>,
): Promise<readonly string[]> {
  const gate = createGate({ max: concurrency });
  const deleted: string[] = [];
  const failed: string[] = [];
  const errors: unknown[] = [];
  await Promise.all(ids.map((id) => gate.run(async () => {
    if (signal.aborted) return;
    try {
      const done = await prove(id);
      if (done === undefined) return;
      await deleteBlock(deps, id, signal);
      done();
      deleted.push(id);
    } catch (error) {
      if (signal.aborted) return;
      deps.metrics.blockCleanupFailures.inc();
      deps.log.warn('deletion of block will be tried again', { block: id, err: errorText(error) });
      failed.push(id);
      errors.push(error);
    }
  })));
  signal.throwIfAborted();
  if (failed.length > 0) {
    throw new CompactorError('ERR_DELETE_BLOCK', 'retry', `delete block ${failed.join(', ')}: ${errorText(errors[0])}`, { cause: errors[0], blocks: failed });
  }
  return deleted.sort();
}
