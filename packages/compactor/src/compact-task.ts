/**
 * One compaction, from local block directories to a verified local block; the work of a worker thread.
 *
 *   open inputs ─► index health of each ─► compactBlocks ─► drop the tombstones file ─► verifyOutput ─► outcome
 *
 * Data in, data out: nothing here knows the bucket.
 */
import { gatherIndexHealth, type IndexHealth } from '@gauntlet/block/worker';
import { createKernels } from '@gauntlet/kernels';
import { type Block, type BlockMeta, compactBlocks, type FileSystem, joinPath, openBlock } from '@gauntlet/tsdb';
import { verifyOutput } from './verify-output.ts';

/** What is to be done. */
export interface CompactTask {
  /** Directory of the group: inputs are in it, the output is made in it. */
  readonly dir: string;
  /** Ids of the inputs, oldest data first. */
  readonly inputs: readonly string[];
  /** Id of the output. What an earlier attempt left under it is removed. */
  readonly outputId: string;
  /** Let labels out of order in an input pass: `--debug.accept-malformed-index`. */
  readonly acceptMalformedIndex: boolean;
  /** Upper bound, bytes: of kernel memory, and again of what grows with the inputs beside it. */
  readonly memoryBytesMax: number;
  /** Limit of a chunk segment, bytes; default that of Prometheus, 512 MiB. */
  readonly segmentBytesMax?: number;
}

/** What keeps an input from being compacted. */
export type IndexIssue = 'critical' | 'out-of-order-chunks' | 'issue-347' | 'out-of-order-labels';

/** What came out. */
export type CompactOutcome =
  /** A verified block is in the directory. */
  | {
      readonly kind: 'block';
      readonly meta: BlockMeta;
      /** For `index_stats`. */
      readonly seriesMaxBytes: number;
      readonly chunkMaxBytes: number;
      readonly compactMs: number;
      readonly verifyMs: number;
    }
  /** The inputs hold no samples. */
  | { readonly kind: 'empty' }
  /** An input is not fit; nothing was made. */
  | { readonly kind: 'unhealthy'; readonly block: string; readonly issue: IndexIssue; readonly message: string };

/** How far a compaction is. */
export interface CompactProgress {
  readonly phase: 'check' | 'compact' | 'verify';
  readonly seriesDone: number;
  readonly seriesTotal: number;
}

/** What the work needs. */
export interface CompactTaskDeps {
  readonly fs: FileSystem;
  /** Monotonic milliseconds. */
  readonly clock: () => number;
  readonly shouldStop: () => boolean;
  readonly onProgress: (progress: CompactProgress) => void;
}

/** The first thing that is wrong with an input, as upstream orders them. */
function issueOf(health: IndexHealth, acceptMalformedIndex: boolean): { readonly issue: IndexIssue; readonly message: string } | undefined {
  const checks: readonly (readonly [IndexIssue, Error | undefined])[] = [
    ['critical', health.criticalError()],
    ['out-of-order-chunks', health.outOfOrderChunksError()],
    ['issue-347', health.issue347Error()],
    ['out-of-order-labels', acceptMalformedIndex ? undefined : health.outOfOrderLabelsError()],
  ];
  for (const [issue, error] of checks) if (error !== undefined) return { issue, message: error.message };
  return undefined;
}

/**
 * Compacts.
 * @throws TsdbError, BlockError for damaged inputs, an output that is not what it must be (ERR_COMPACT_MISMATCH), cancellation
 *   (ERR_COMPACT_CANCELED); the file system's errors. Nothing that opens as a block is left then.
 */
export function runCompactTask(task: CompactTask, deps: CompactTaskDeps): CompactOutcome {
  const { fs, clock, shouldStop } = deps;
  const outputDir = joinPath(task.dir, task.outputId);
  fs.remove(outputDir);
  const kernels = createKernels({ maxMemoryBytes: task.memoryBytesMax });
  const blocks: Block[] = [];
  try {
    for (const id of task.inputs) {
      deps.onProgress({ phase: 'check', seriesDone: 0, seriesTotal: 0 });
      const block = openBlock(fs, joinPath(task.dir, id), { outsideChunks: 'allow' });
      blocks.push(block);
      const fault = issueOf(gatherIndexHealth(block, block.meta.minTime, block.meta.maxTime), task.acceptMalformedIndex);
      if (fault !== undefined) return { kind: 'unhealthy', block: id, ...fault };
    }
    const startMs = clock();
    const meta = compactBlocks({ fs, kernels }, blocks, task.dir, {
      ulid: task.outputId,
      shouldStop,
      memoryBytesMax: task.memoryBytesMax,
      onProgress: ({ seriesDone, seriesTotal }) => deps.onProgress({ phase: 'compact', seriesDone, seriesTotal }),
      ...(task.segmentBytesMax === undefined ? {} : { segmentBytesMax: task.segmentBytesMax }),
    });
    if (meta === undefined) return { kind: 'empty' };
    const compactedMs = clock();
    // Blocks in a bucket have none: deletions have been applied.
    fs.remove(joinPath(outputDir, 'tombstones'));
    deps.onProgress({ phase: 'verify', seriesDone: 0, seriesTotal: meta.stats.numSeries });
    try {
      const sizes = verifyOutput({ fs, kernels, acceptMalformedIndex: task.acceptMalformedIndex, shouldStop }, blocks, outputDir);
      return { kind: 'block', meta, ...sizes, compactMs: compactedMs - startMs, verifyMs: clock() - compactedMs };
    } catch (error) {
      // What is not proven right must not be taken for a finished block by anything.
      fs.remove(outputDir);
      throw error;
    }
  } finally {
    for (const block of blocks) block.close();
  }
}
