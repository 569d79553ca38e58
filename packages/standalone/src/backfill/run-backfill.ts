/**
 * The history of one replica by the plan: its blocks, under the names the plan gives them, into the bucket. What a compaction has taken
 * up in the meantime, by whoever, is not made again: its sources name the blocks.
 */
import { createMetaLoader } from '@gauntlet/block';
import { historySeries, uploadHistory, type UploadHistoryDeps } from '@gauntlet/demo';
import type { Labels } from '@gauntlet/model';
import { createMetrics } from '@gauntlet/service-kit';
import { type BackfillPlan, backfillStagingDir, plannedBlocks } from './backfill-plan.ts';

/** What {@link runBackfill} works with. */
export type BackfillDeps = UploadHistoryDeps;

/** Whose history. */
export interface BackfillOptions {
  readonly replica: string;
  readonly replicaDir: string;
  /** The replica's own, without the label that generated blocks have besides. */
  readonly externalLabels: Labels;
  /** Where in each step the samples lie, ms. */
  readonly offsetMs: number;
  /** Stops between two blocks. */
  readonly signal: AbortSignal;
}

/** Generates what is not there yet. @throws the signal's reason; errors of the file system and the bucket */
export async function runBackfill(deps: BackfillDeps, plan: BackfillPlan, { replica, replicaDir, externalLabels, offsetMs, signal }: BackfillOptions): Promise<void> {
  const { metas } = await createMetaLoader({ ...deps, metrics: createMetrics() }).load(signal);
  const compacted = new Set([...metas.values()].filter(({ compaction }) => compaction.level > 1).flatMap(({ compaction }) => compaction.sources));
  await uploadHistory(deps, {
    blocks: plannedBlocks(plan, replica).filter(({ ulid }) => !compacted.has(ulid)),
    series: historySeries(),
    stagingDir: backfillStagingDir(replicaDir),
    externalLabels,
    stepMs: plan.stepMs,
    offsetMs,
    signal,
  });
}
