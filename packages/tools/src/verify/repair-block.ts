/**
 * A repaired copy of a block of a bucket: tsdb's `repairBlock`, with what a bucket asks beyond it.
 *
 *   downsampled blocks                        refused: their chunks hold several series of values, which cannot be merged
 *   chunks that reach out of the block        refused: stores show what lies outside, so nothing may be cut off
 *   meta.json                                 source `bucket.repair`, with the figures of the new index that stores start from
 *
 * The copy is checked, index and data, before anybody sees it. What is repaired, and how, is told by tsdb's `repairBlock`.
 */
import { join } from 'node:path';
import { gatherIndexHealth, type ThanosMeta } from '@gauntlet/block';
import { createKernels } from '@gauntlet/kernels';
import { createUlid, type FileSystem, openBlock, type RepairChange, repairBlock, segmentFileName } from '@gauntlet/tsdb';
import { ToolsError } from '../errors.ts';

/** What a repair works with. */
export interface RepairDeps {
  readonly fs: FileSystem;
  /** Unix ms. */
  readonly clock: () => number;
  readonly random: () => number;
}

/** A repaired copy, and what was done for it. */
export interface RepairedCopy {
  /** Of the copy, source bucket.repair. */
  readonly meta: ThanosMeta;
  /** The first of them. */
  readonly changes: readonly RepairChange[];
  readonly changeCount: number;
}

/** Changes that are told one by one. */
const CHANGES_MAX = 100;

/** Length of a segment's file name is that of six digits: segments are counted up to the first that is not there. */
function segmentNames(fs: FileSystem, dir: string): string[] {
  const names: string[] = [];
  while (fs.stat(join(dir, 'chunks', segmentFileName(names.length))) !== undefined) names.push(segmentFileName(names.length));
  return names;
}

/**
 * Writes the repaired copy of the block in `<folder>/<meta.ulid>` as `<folder>/<new id>`.
 * @throws ToolsError ERR_REPAIR for what cannot be repaired; TsdbError for damage, and ERR_BLOCK_REPAIR
 */
export function repairedCopy({ fs, clock, random }: RepairDeps, folder: string, meta: ThanosMeta): RepairedCopy {
  const refuse = (what: string): ToolsError => new ToolsError('ERR_REPAIR', `repair block ${meta.ulid}: ${what}`);
  if (meta.thanos.resolutionMs > 0) throw refuse('downsampled blocks cannot be repaired');
  const ulid = createUlid(clock(), random);
  const { meta: written, changes, changeCount } = repairBlock({ fs, kernels: createKernels() }, join(folder, meta.ulid), folder, { ulid, keepsChunksWhole: true, changesMax: CHANGES_MAX });
  if (written === undefined) throw refuse('nothing would be left of it');
  const dir = join(folder, ulid);
  const copy = openBlock(fs, dir);
  try {
    const health = gatherIndexHealth(copy, meta.minTime, meta.maxTime);
    const problem = health.anyError();
    if (problem !== undefined) throw refuse(`the repaired block is still wrong: ${problem.message}`);
    const { thanos, ...rest } = written;
    void thanos;
    return {
      meta: {
        ...rest,
        compaction: meta.compaction,
        thanos: { ...meta.thanos, source: 'bucket.repair', segmentFiles: segmentNames(fs, dir), files: [], seriesMaxBytes: health.seriesBytes.max, chunkMaxBytes: health.chunkBytes.max },
      },
      changes,
      changeCount,
    };
  } finally {
    copy.close();
  }
}
