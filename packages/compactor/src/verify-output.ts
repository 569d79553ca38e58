/**
 * Whether a compacted block is what its inputs must give, before anybody hears of it:
 *
 *   1 the block opens, its index is healthy                       (every series entry, in order, inside the block's range)
 *   2 every sample of every series, against those of the inputs   (verifyCompaction, which shares no merge with the compaction)
 *   3 meta.json says what the index holds: series, chunks; range and sources are those of the inputs
 *
 * Runs in the worker, behind the compaction.
 */
import { gatherIndexHealth } from '@gauntlet/block/worker';
import type { Kernels } from '@gauntlet/kernels';
import { type Block, type FileSystem, openBlock, verifyCompaction } from '@gauntlet/tsdb';
import { CompactorError } from './errors.ts';

/** What verifying needs. */
export interface VerifyDeps {
  readonly fs: FileSystem;
  /** Those that made the block; what they decode is held to the other implementation now and then. */
  readonly kernels: Kernels;
  readonly acceptMalformedIndex: boolean;
  readonly shouldStop: () => boolean;
}

/** For `index_stats` of meta.json. */
export interface IndexSizes {
  readonly seriesMaxBytes: number;
  readonly chunkMaxBytes: number;
}

/**
 * Verifies a block against what it was made of.
 * @param inputs open
 * @throws TsdbError ERR_COMPACT_MISMATCH and others; BlockError for its index; CompactorError ERR_OUTPUT_MISMATCH for its meta
 */
export function verifyOutput(deps: VerifyDeps, inputs: readonly Block[], outputDir: string): IndexSizes {
  const { fs, shouldStop } = deps;
  const output = openBlock(fs, outputDir);
  try {
    const { meta } = output;
    const health = gatherIndexHealth(output, meta.minTime, meta.maxTime);
    const fault = health.criticalError() ?? health.outOfOrderChunksError() ?? health.issue347Error() ?? (deps.acceptMalformedIndex ? undefined : health.outOfOrderLabelsError());
    if (fault !== undefined) throw fault;
    checkMeta(output, inputs, health.totalSeries, health.totalChunks);
    verifyCompaction({ fs, kernels: deps.kernels }, inputs, output, { shouldStop });
    return { seriesMaxBytes: health.seriesBytes.max, chunkMaxBytes: health.chunkBytes.max };
  } finally {
    output.close();
  }
}

function checkMeta(output: Block, inputs: readonly Block[], series: number, chunks: number): void {
  const { meta } = output;
  const refuse = (what: string, got: unknown, wanted: unknown): void => {
    if (got !== wanted) throw new CompactorError('ERR_OUTPUT_MISMATCH', 'other', `verify compacted block ${meta.ulid}: ${what} is ${String(got)} in its meta.json, wanted ${String(wanted)}`, { blocks: [meta.ulid] });
  };
  refuse('number of series', meta.stats.numSeries, series);
  refuse('number of chunks', meta.stats.numChunks, chunks);
  refuse('minTime', meta.minTime, Math.min(...inputs.map((block) => block.meta.minTime)));
  refuse('maxTime', meta.maxTime, Math.max(...inputs.map((block) => block.meta.maxTime)));
  refuse('level', meta.compaction.level, Math.max(...inputs.map((block) => block.meta.compaction.level)) + 1);
  refuse('list of sources', meta.compaction.sources.join(), [...new Set(inputs.flatMap((block) => block.meta.compaction.sources))].sort().join());
}
