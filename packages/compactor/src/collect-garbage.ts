/**
 * Garbage collection: marks the blocks whose data another block has too, which is what a compactor leaves that was killed between
 * the upload of its output and the marks on its sources. Nothing is deleted here.
 *
 * Before a mark is set, a block that covers the duplicate is looked at in the bucket: it must be whole and unmarked at that moment.
 * If there is none, the duplicate stays and is counted.
 */
import { markBlock } from '@gauntlet/block';
import type { ThanosMeta } from '@gauntlet/block';
import type { Bucket } from '@gauntlet/objstore';
import { errorText } from '@gauntlet/service-kit';
import type { Logger } from '@gauntlet/service-kit';

import type { CompactorMetrics } from './compactor-metrics.ts';
import { coversSources, createIntactCheck, streamOf } from './coverage.ts';
import { CompactorError } from './errors.ts';
import type { SyncView } from './sync-blocks.ts';

/** What garbage collection, retention and cleaning work with. */
export interface CareDeps {
  readonly bucket: Bucket;
  readonly log: Logger;
  readonly metrics: CompactorMetrics;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
}

/**
 * Marks duplicates for deletion: `outdated block`.
 * @returns ids of the blocks that were marked
 * @throws CompactorError ERR_MARK_BLOCK, kind retry; the signal's reason
 */
export async function markDuplicates(deps: CareDeps, view: Pick<SyncView, 'metas' | 'deletionMarks' | 'duplicateMetas'>, signal: AbortSignal): Promise<readonly string[]> {
  const { bucket, log, metrics, clock } = deps;
  const startMs = clock();
  const isIntact = createIntactCheck(bucket, signal);
  const streams = new Map<string, ThanosMeta[]>();
  for (const meta of view.metas) {
    if (view.deletionMarks.has(meta.ulid)) continue;
    const blocks = streams.get(streamOf(meta));
    if (blocks === undefined) streams.set(streamOf(meta), [meta]);
    else blocks.push(meta);
  }
  const marked: string[] = [];
  let kept = 0;
  for (const meta of view.duplicateMetas) {
    signal.throwIfAborted();
    const { ulid: block } = meta;
    if (view.deletionMarks.has(block)) continue;
    try {
      let cover: string | undefined;
      for (const candidate of streams.get(streamOf(meta)) ?? []) {
        if (candidate.ulid !== block && coversSources(candidate, meta) && (await isIntact(candidate))) {
          cover = candidate.ulid;
          break;
        }
      }
      if (cover === undefined) {
        kept++;
        log.warn('duplicate block stays: no intact, unmarked block that covers it', { block });
        continue;
      }
      log.info('marking outdated block for deletion', { block, coveredBy: cover });
      if (await markBlock({ bucket, log, clock, marked: metrics.marked('deletion', '') }, block, 'deletion', 'outdated block', '', signal)) {
        metrics.garbageCollectedBlocks.inc();
        marked.push(block);
      }
    } catch (error) {
      signal.throwIfAborted();
      metrics.garbageCollectionFailures.inc();
      throw new CompactorError('ERR_MARK_BLOCK', 'retry', `mark outdated block ${block} for deletion: ${errorText(error)}`, { cause: error, blocks: [block] });
    }
  }
  metrics.garbageKeptBlocks.set(kept);
  metrics.garbageCollections.inc();
  metrics.garbageCollectionSeconds.observe((clock() - startMs) / 1000);
  return marked;
}
