/**
 * Every metric of the compactor besides those of its parts (`thanos_blocks_meta_*` come from the fetcher), with Thanos' names, help
 * texts and buckets. Left out are those of downsampling, and the sizes of chunks that only Prometheus' own first compaction sees:
 * nothing here would ever move them.
 */
import { MARKERS } from '@gauntlet/block';
import type { MarkerKind } from '@gauntlet/block';
import type { Counter, Gauge, Histogram, Metrics } from '@gauntlet/service-kit';

const GARBAGE_SECONDS = [0.01, 0.1, 0.3, 0.6, 1, 3, 6, 9, 20, 30, 60, 90, 120, 240, 360, 720];
const COMPACTION_SECONDS = Array.from({ length: 14 }, (_, i) => 2 ** i);

/** Counters of one resolution's groups. */
export interface GroupMetrics {
  /** Attempts that ended in a block. */
  readonly compactions: Counter;
  readonly runsStarted: Counter;
  /** Also runs that had nothing to do. */
  readonly runsCompleted: Counter;
  readonly failures: Counter;
  /** Attempts over overlapping blocks that ended in a block. */
  readonly verticalCompactions: Counter;
}

/** See the head of this file. */
export interface CompactorMetrics {
  readonly deleteDelaySeconds: Gauge;
  readonly halted: Gauge;
  readonly retries: Counter;
  readonly iterations: Counter;
  readonly cleanupLoops: Counter;
  readonly partialDeletionAttempts: Counter;
  readonly blocksCleaned: Counter;
  readonly blockCleanupFailures: Counter;
  /** Counter of marks set, for `markBlock`. Deletion marks have no reason. */
  marked(kind: MarkerKind, reason: string): Counter;
  readonly garbageCollectedBlocks: Counter;
  readonly garbageCollections: Counter;
  readonly garbageCollectionFailures: Counter;
  readonly garbageCollectionSeconds: Histogram;
  readonly todoCompactions: Gauge;
  readonly todoCompactionBlocks: Gauge;
  readonly todoDeletionBlocks: Gauge;
  /** @param resolutionMs of the group */
  group(resolutionMs: number): GroupMetrics;
  readonly tsdbCompactions: Counter;
  readonly tsdbVerticalCompactions: Counter;
  readonly tsdbCompactionSeconds: Histogram;
  /** 1 while a block is being written. */
  readonly tsdbPopulatingBlock: Gauge;
  /** Blocks past their retention that stay because they hold the last copy a policy promises. */
  readonly retentionKeptBlocks: Gauge;
  /** Duplicates that stay because no intact, unmarked block that covers them could be found. */
  readonly garbageKeptBlocks: Gauge;
  /** Blocks with a meta.json that cannot be read: never deleted unless marked. */
  readonly corruptBlocks: Gauge;
}

/** Declares them. */
export function createCompactorMetrics(metrics: Metrics): CompactorMetrics {
  const compact = metrics.withPrefix('thanos_compact_');
  const tsdb = metrics.withPrefix('prometheus_tsdb_');
  const own = metrics.withPrefix('gauntlet_compact_');

  const marks = compact.counter({ name: 'blocks_marked_total', help: 'Total number of blocks marked in compactor.', labels: ['marker', 'reason'] });
  const marked = (kind: MarkerKind, reason: string): Counter => marks.with({ marker: MARKERS[kind].file, reason: kind === 'deletion' ? '' : reason });
  marked('no-compact', 'block-index-out-of-order-chunk');
  marked('no-compact', 'index-size-exceeding');
  marked('no-compact', 'downsample-vertical-compaction');
  marked('deletion', '');

  const byResolution = (name: string, help: string): Counter => compact.counter({ name: `group_${name}`, help, labels: ['resolution'] });
  const compactions = byResolution('compactions_total', 'Total number of group compaction attempts that resulted in a new block.');
  const runsStarted = byResolution('compaction_runs_started_total', 'Total number of group compaction attempts.');
  const runsCompleted = byResolution('compaction_runs_completed_total', 'Total number of group completed compaction runs. This also includes compactor group runs that resulted with no compaction.');
  const failures = byResolution('compactions_failures_total', 'Total number of failed group compactions.');
  const verticalCompactions = byResolution('vertical_compactions_total', 'Total number of group compaction attempts that resulted in a new block based on overlapping blocks.');

  return {
    deleteDelaySeconds: metrics.gauge({ name: 'thanos_delete_delay_seconds', help: 'Configured delete delay in seconds.' }),
    halted: compact.gauge({ name: 'halted', help: 'Set to 1 if the compactor halted due to an unexpected error.' }),
    retries: compact.counter({ name: 'retries_total', help: 'Total number of retries after retriable compactor error.' }),
    iterations: compact.counter({ name: 'iterations_total', help: 'Total number of iterations that were executed successfully.' }),
    cleanupLoops: compact.counter({ name: 'block_cleanup_loops_total', help: 'Total number of concurrent cleanup loops of partially uploaded blocks and marked blocks that were executed successfully.' }),
    partialDeletionAttempts: compact.counter({ name: 'aborted_partial_uploads_deletion_attempts_total', help: 'Total number of started deletions of blocks that are assumed aborted and only partially uploaded.' }),
    blocksCleaned: compact.counter({ name: 'blocks_cleaned_total', help: 'Total number of blocks deleted in compactor.' }),
    blockCleanupFailures: compact.counter({ name: 'block_cleanup_failures_total', help: 'Failures encountered while deleting blocks in compactor.' }),
    marked,
    garbageCollectedBlocks: compact.counter({ name: 'garbage_collected_blocks_total', help: 'Total number of blocks marked for deletion by compactor.' }),
    garbageCollections: compact.counter({ name: 'garbage_collection_total', help: 'Total number of garbage collection operations.' }),
    garbageCollectionFailures: compact.counter({ name: 'garbage_collection_failures_total', help: 'Total number of failed garbage collection operations.' }),
    garbageCollectionSeconds: compact.histogram({ name: 'garbage_collection_duration_seconds', help: 'Time it took to perform garbage collection iteration.', buckets: GARBAGE_SECONDS }),
    todoCompactions: compact.gauge({ name: 'todo_compactions', help: 'number of compactions to be done' }),
    todoCompactionBlocks: compact.gauge({ name: 'todo_compaction_blocks', help: 'number of blocks planned to be compacted' }),
    todoDeletionBlocks: compact.gauge({ name: 'todo_deletion_blocks', help: 'number of blocks that have crossed their retention period' }),
    group: (resolutionMs) => {
      const labels = { resolution: String(resolutionMs) };
      return {
        compactions: compactions.with(labels), runsStarted: runsStarted.with(labels), runsCompleted: runsCompleted.with(labels),
        failures: failures.with(labels), verticalCompactions: verticalCompactions.with(labels),
      };
    },
    tsdbCompactions: tsdb.counter({ name: 'compactions_total', help: 'Total number of compactions that were executed for the partition.' }),
    tsdbVerticalCompactions: tsdb.counter({ name: 'vertical_compactions_total', help: 'Total number of compactions done on overlapping blocks.' }),
    tsdbCompactionSeconds: tsdb.histogram({ name: 'compaction_duration_seconds', help: 'Duration of compaction runs', buckets: COMPACTION_SECONDS }),
    tsdbPopulatingBlock: tsdb.gauge({ name: 'compaction_populating_block', help: 'Set to 1 when a block is currently being written to the disk.' }),
    retentionKeptBlocks: own.gauge({ name: 'retention_kept_blocks', help: 'Blocks past their retention that stay because no coarser data that the policy still promises covers them.' }),
    garbageKeptBlocks: own.gauge({ name: 'garbage_kept_blocks', help: 'Duplicate blocks that stay because no intact, unmarked block that covers them was found.' }),
    corruptBlocks: own.gauge({ name: 'corrupt_meta_blocks', help: 'Blocks whose meta.json cannot be read. They are never deleted unless somebody marks them.' }),
  };
}
