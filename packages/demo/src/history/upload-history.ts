/**
 * Generates a history into a bucket, block by block:
 *
 *   meta.json in the bucket? → next     else: write into the staging folder → upload (meta.json last) → remove from the staging folder
 *
 * The blocks carry the external labels given and `origin="generated"`, and say `gauntlet-backfill` as their source.
 */
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { createThanosSection, META_FILE, uploadBlock } from '@gauntlet/block';
import { type Labels, withLabel } from '@gauntlet/model';
import type { Bucket } from '@gauntlet/objstore';
import type { Logger } from '@gauntlet/service-kit';
import { type HistoryBlock, type HistoryDeps, type HistorySeries, writeHistoryBlock } from './write-history-block.ts';

/** `thanos.source` of generated blocks. */
export const BACKFILL_SOURCE = 'gauntlet-backfill';
/** External label of generated blocks; queriers take it for a replica label. */
export const ORIGIN_LABEL = 'origin';
/** Its value. */
export const ORIGIN_GENERATED = 'generated';

/** What {@link uploadHistory} works with. */
export interface UploadHistoryDeps extends HistoryDeps {
  readonly bucket: Bucket;
  readonly log: Logger;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  /** After every block. */
  readonly onProgress: (blocksDone: number, blocks: number) => void;
}

/** Which blocks, of what. */
export interface UploadHistoryOptions {
  /** In the order in which they are made. */
  readonly blocks: readonly HistoryBlock[];
  /** In label order. */
  readonly series: readonly HistorySeries[];
  /** Folder for blocks that are being prepared; emptied before use, removed in the end. */
  readonly stagingDir: string;
  /** Of the replica, without the label that this adds. */
  readonly externalLabels: Labels;
  /** Time between samples, ms. */
  readonly stepMs: number;
  /** Where in each step the samples lie, ms. */
  readonly offsetMs: number;
  /** Stops between two blocks. */
  readonly signal: AbortSignal;
}

/** External labels of a replica's generated blocks. */
export function generatedLabels(externalLabels: Labels): Labels {
  return withLabel(externalLabels, ORIGIN_LABEL, ORIGIN_GENERATED);
}

/** Generates what is not there yet. @throws the signal's reason; errors of the file system and the bucket */
export async function uploadHistory(deps: UploadHistoryDeps, { blocks, series, stagingDir, externalLabels, stepMs, offsetMs, signal }: UploadHistoryOptions): Promise<void> {
  const { fs, bucket, onProgress } = deps;
  fs.remove(stagingDir);
  fs.mkdir(stagingDir);
  const labels = generatedLabels(externalLabels);
  for (const [index, block] of blocks.entries()) {
    signal.throwIfAborted();
    if (!(await bucket.exists(`${block.ulid}/${META_FILE}`))) {
      const meta = writeHistoryBlock(deps, series, { dir: stagingDir, block, stepMs, offsetMs });
      if (meta !== undefined) {
        const { thanos, ...own } = meta;
        void thanos;
        const section = createThanosSection({ labels, source: BACKFILL_SOURCE, segmentFiles: ['000001'] });
        await uploadBlock(deps, join(stagingDir, block.ulid), { ...own, thanos: section });
        fs.remove(join(stagingDir, block.ulid));
      }
    }
    onProgress(index + 1, blocks.length);
    // Whatever else this thread has to do comes first.
    await setImmediate();
  }
  fs.remove(stagingDir);
}
