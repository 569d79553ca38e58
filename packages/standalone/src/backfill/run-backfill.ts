/** The history of one replica by the plan: its blocks, under the names the plan gives them, into the bucket. */
import { historySeries, uploadHistory, type UploadHistoryDeps } from '@gauntlet/demo';
import type { Labels } from '@gauntlet/model';
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
export function runBackfill(deps: BackfillDeps, plan: BackfillPlan, { replica, replicaDir, externalLabels, offsetMs, signal }: BackfillOptions): Promise<void> {
  return uploadHistory(deps, {
    blocks: plannedBlocks(plan, replica),
    series: historySeries(),
    stagingDir: backfillStagingDir(replicaDir),
    externalLabels,
    stepMs: plan.stepMs,
    offsetMs,
    signal,
  });
}
