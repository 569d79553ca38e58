/**
 * Generates the history of one replica into the bucket, block by block:
 *
 *   meta.json in the bucket? → next     else: write into the staging folder → upload (meta.json last) → remove from the staging folder
 *
 * The blocks carry the replica's external labels and `origin="generated"`, and say `gauntlet-backfill` as their source.
 */
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { createThanosSection, META_FILE, uploadBlock } from '@gauntlet/block';
import { type Labels, withLabel } from '@gauntlet/model';
import type { Bucket } from '@gauntlet/objstore';
import type { Logger } from '@gauntlet/service-kit';
import { type BackfillPlan, backfillStagingDir, plannedBlocks } from './backfill-plan.ts';
import { type HistoryDeps, historySeries, writeHistoryBlock } from './write-history-block.ts';

/** `thanos.source` of generated blocks. */
export const BACKFILL_SOURCE = 'gauntlet-backfill';
/** External label of generated blocks; the querier takes it for a replica label. */
export const ORIGIN_LABEL = 'origin';
/** Its value. */
export const ORIGIN_GENERATED = 'generated';

/** What {@link runBackfill} works with. */
export interface BackfillDeps extends HistoryDeps {
  readonly bucket: Bucket;
  readonly log: Logger;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  /** After every block. */
  readonly onProgress: (blocksDone: number, blocks: number) => void;
}

/** Whose history. */
export interface BackfillOptions {
  readonly replica: string;
  readonly replicaDir: string;
  /** The replica's own, without the label that this adds. */
  readonly externalLabels: Labels;
  /** Where in each step the samples lie, ms. */
  readonly offsetMs: number;
  /** Stops between two blocks. */
  readonly signal: AbortSignal;
}

/** Generates what is not there yet. @throws the signal's reason; errors of the file system and the bucket */
export async function runBackfill(deps: BackfillDeps, plan: BackfillPlan, { replica, replicaDir, externalLabels, offsetMs, signal }: BackfillOptions): Promise<void> {
  const { fs, bucket, onProgress } = deps;
  const staging = backfillStagingDir(replicaDir);
  fs.remove(staging);
  fs.mkdir(staging);
  const labels = withLabel(externalLabels, ORIGIN_LABEL, ORIGIN_GENERATED);
  const series = historySeries();
  const blocks = plannedBlocks(plan, replica);
  for (const [index, block] of blocks.entries()) {
    signal.throwIfAborted();
    if (!(await bucket.exists(`${block.ulid}/${META_FILE}`))) {
      const meta = writeHistoryBlock(deps, series, { dir: staging, block, stepMs: plan.stepMs, offsetMs });
      if (meta !== undefined) {
        const { thanos, ...own } = meta;
        void thanos;
        const section = createThanosSection({ labels, source: BACKFILL_SOURCE, segmentFiles: ['000001'], hasVersion: true });
        await uploadBlock(deps, join(staging, block.ulid), { ...own, thanos: section });
        fs.remove(join(staging, block.ulid));
      }
    }
    onProgress(index + 1, blocks.length);
    // Scrapes that are due come first.
    await setImmediate();
  }
  fs.remove(staging);
}
