/**
 * Issue index_known_issues: indexes with chunks outside of their block, out of order or twice, or labels out of order (block `index-health`).
 *
 *   verify   index ► temporary folder ► health
 *   repair   block ► temporary folder ► repaired copy ► health and data of the copy
 *            ► block into the backup bucket ► copy into the bucket ► block deleted or marked
 *
 * One block at a time, and its folder is gone before the next.
 */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { BlockError, downloadBlock, gatherIndexHealth, INDEX_FILE, type IndexHealth, type ThanosMeta, uploadBlock } from '@gauntlet/block';
import { formatLabels } from '@gauntlet/model';
import { type Bucket, isNotFound } from '@gauntlet/objstore';
import { createNodeFileSystem, errorText } from '@gauntlet/service-kit';
import { createFileSource, isTsdbError, openIndex } from '@gauntlet/tsdb';
import { backUpBlock, removeBlock, withFolder } from './block-folder.ts';
import type { Issue, VerifyContext } from './issue.ts';
import { repairedCopy } from './repair-block.ts';

async function downloadIndex(bucket: Bucket, id: string, path: string, signal: AbortSignal): Promise<void> {
  const file = await open(path, 'w');
  try {
    for await (const part of bucket.stream(`${id}/${INDEX_FILE}`, { signal, isExpected: isNotFound })) await file.write(part);
  } finally {
    await file.close();
  }
}

/** Health of the index of a block, or the error that makes it unreadable. Other failures are thrown: they say nothing about the index. */
async function healthOf(context: VerifyContext, { ulid, minTime, maxTime }: ThanosMeta): Promise<IndexHealth | Error> {
  const { bucket, log, signal } = context;
  return await withFolder(context.tmpDir, `index-issue-${ulid}`, async (folder) => {
    const path = join(folder, INDEX_FILE);
    try {
      await downloadIndex(bucket, ulid, path, signal);
    } catch (error) {
      if (isNotFound(error)) return error as Error;
      throw error;
    }
    const handle = createNodeFileSystem().open(path, 'read');
    try {
      return gatherIndexHealth({ index: openIndex(createFileSource(handle), ulid) }, minTime, maxTime, {
        outOfOrderLabels: (labels, ref) => log.warn('out-of-order label set: known bug in Prometheus 2.8.0 and below', { id: ulid, labelset: formatLabels(labels), series: ref }),
        outOfOrderChunks: (labels) => log.debug('found out of order series', { id: ulid, labels: formatLabels(labels) }),
      });
    } catch (error) {
      if (error instanceof BlockError || isTsdbError(error)) return error;
      throw error;
    } finally {
      handle.close();
    }
  });
}

/** @param health undefined where the index makes no sense; series out of order can be repaired all the same */
async function repair(context: VerifyContext, meta: ThanosMeta, health: IndexHealth | undefined): Promise<void> {
  const { bucket, log, clock, random, signal } = context;
  const id = meta.ulid;
  if (health !== undefined && health.outOfOrderChunks > health.duplicatedChunks) log.warn('overlaps are not entirely by duplicated chunks; where samples of one time differ, one is kept', { id });
  if (health !== undefined && health.outsideChunks > health.completeOutsideChunks + health.issue347OutsideChunks) log.warn('some chunks reach over an end of the block; only those that lie all outside can be removed', { id });
  await withFolder(context.tmpDir, `repair-${id}`, async (folder) => {
    log.info('downloading block for repair', { id });
    await downloadBlock(bucket, id, join(folder, id), { signal });
    log.info('repairing block', { id });
    const { meta: repaired, changes, changeCount } = repairedCopy({ fs: createNodeFileSystem(), clock, random }, folder, meta);
    for (const { kind, series, message } of changes) log.info('change of repair', { id, kind, series, change: message });
    if (changeCount > changes.length) log.info('more changes of repair', { id, more: changeCount - changes.length });
    log.info('repaired and verified block', { id, newId: repaired.ulid, chunksDropped: meta.stats.numChunks - repaired.stats.numChunks });
    await backUpBlock(context, join(folder, id), meta);
    log.info('uploading repaired block', { newId: repaired.ulid });
    await uploadBlock({ bucket, log, clock }, join(folder, repaired.ulid), repaired, { signal });
  });
  await removeBlock(context, id);
}

/** See the head of this file. */
export const indexKnownIssues: Issue = {
  id: 'index_known_issues',
  summary: 'the index has chunks outside of the block, out of order or twice, or labels out of order',
  canRepair: true,
  isPerBlock: true,
  async verify(context) {
    const { finder, log, ids, isRepair } = context;
    let found = 0;
    for (const meta of (await finder.find()).metas) {
      if (ids !== undefined && !ids.has(meta.ulid)) continue;
      context.signal.throwIfAborted();
      const health = await healthOf(context, meta);
      const problem = health instanceof Error ? health : health.anyError();
      if (problem === undefined) {
        log.debug('no issue', { id: meta.ulid });
        continue;
      }
      found++;
      log.warn('detected issue', { id: meta.ulid, err: errorText(problem) });
      if (!isRepair) continue;
      try {
        await repair(context, meta, health instanceof Error ? undefined : health);
        log.info('all good, continuing', { id: meta.ulid });
      } catch (error) {
        context.signal.throwIfAborted();
        log.error('could not repair index', { id: meta.ulid, err: errorText(error) });
      }
    }
    log.info('verified issue', { 'with-repair': isRepair });
    return found;
  },
};
