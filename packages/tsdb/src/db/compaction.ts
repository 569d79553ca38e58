/**
 * Compaction of a database's own blocks, in three steps so that the long one can run anywhere:
 *
 *   plan    the database's thread   which blocks, and the name of the new one
 *   run     any thread              reads the blocks, writes <dir>/<ULID>.tmp-for-creation/<ULID>/
 *   finish  the database's thread   renames it to <dir>/<ULID>/, deletes the blocks it was made of
 *
 * Blocks do not change while they are read, but for deletions: when one of the inputs was deleted from meanwhile, or is gone, the result is
 * thrown away and the next plan begins again. A crash before the rename leaves a folder that is swept; after it, blocks whose child is there,
 * which go when they are loaded. Sources: Prometheus tsdb/db.go, `compactBlocks`; tsdb/compact.go, `Compact`.
 */
import type { BlockMeta } from '../block/block-meta.ts';
import { type Block, openBlock } from '../block/block-reader.ts';
import { CREATION_SUFFIX } from '../block/block-writer.ts';
import { compactBlocks, type CompactDeps, type CompactProgress } from '../compact/compact-blocks.ts';
import { planLevels } from '../compact/plan-levels.ts';
import { type ErrorPlace, isTsdbError, TsdbError, type TsdbErrorCode } from '../errors.ts';
import { baseName, type FileSystem, joinPath } from '../file-system.ts';
import type { BlockSet } from './block-set.ts';
import { writeMeta } from './delete-from-block.ts';
import { isInOrderBlock } from './retention.ts';

/** A compaction to run; plain data, which may cross to another thread. */
export interface CompactionPlan {
  /** Name of the new block. */
  readonly ulid: string;
  /** Folders of the blocks to compact, oldest first. */
  readonly inputDirs: readonly string[];
  /** Where the new block is written, below the data directory. */
  readonly stagingDir: string;
}

/** How to run a compaction. */
export interface RunCompactionOptions {
  /** Polled often; true ends the compaction with ERR_COMPACT_CANCELED. */
  readonly shouldStop?: () => boolean;
  readonly onProgress?: (progress: CompactProgress) => void;
  /** Bytes of memory for what grows with the inputs, beside the kernels' own; past it the compaction ends with ERR_COMPACT_BUDGET. Default: no limit. */
  readonly memoryBytesMax?: number;
  /** Bytes that may be written to disk, likewise. Default: no limit. */
  readonly diskBytesMax?: number;
}

/**
 * What became of a plan: a block, none because no sample was left, or an error. Beside a TsdbError stands what a message between threads takes
 * from it.
 */
export type CompactionOutcome = { readonly meta: BlockMeta | undefined } | { readonly error: unknown; readonly code?: TsdbErrorCode; readonly place?: ErrorPlace | undefined };

/** Factor between the lengths of levels, and how many there are at most. */
const LEVEL_FACTOR = 3;
const LEVELS_MAX = 10;

/** Lengths of blocks by level, ms: `blockRangeMs`, three times that, and so on, none longer than `blockRangeMaxMs`. */
export function levelRanges(blockRangeMs: number, blockRangeMaxMs: number): number[] {
  const ranges = [blockRangeMs];
  while (ranges.length < LEVELS_MAX && ranges.at(-1)! * LEVEL_FACTOR <= blockRangeMaxMs) ranges.push(ranges.at(-1)! * LEVEL_FACTOR);
  return ranges;
}

/**
 * Runs a planned compaction: reads its blocks and writes the new one beside them. Blocks the thread until it is done.
 * @returns what to hand to `finishCompaction`; errors are a part of it
 */
export function runCompaction({ fs, kernels }: CompactDeps, plan: CompactionPlan, options: RunCompactionOptions = {}): CompactionOutcome {
  const inputs: Block[] = [];
  try {
    for (const dir of plan.inputDirs) inputs.push(openBlock(fs, dir));
    fs.remove(plan.stagingDir);
    return { meta: compactBlocks({ fs, kernels }, inputs, plan.stagingDir, { ulid: plan.ulid, ...options }) };
  } catch (error) {
    return isTsdbError(error) ? { error, code: error.code, place: error.place } : { error };
  } finally {
    for (const block of inputs) block.close();
  }
}

/** What compaction needs of its database. */
export interface CompactionDeps {
  readonly fs: FileSystem;
  readonly dir: string;
  readonly set: BlockSet;
  readonly rangesMs: readonly number[];
  readonly newUlid: () => string;
  /** Whether a block may go, be it into another one. */
  readonly canDelete: (meta: BlockMeta) => boolean;
}

/** Plans and finishes compactions; one at a time. */
export class Compaction {
  readonly #deps: CompactionDeps;
  #plan: CompactionPlan | undefined;
  /** The blocks of the plan as they were open then: a deletion opens a block anew. */
  #inputs: readonly Block[] = [];
  /** Blocks in which every sample is deleted, and which are needed for where they end. */
  readonly #kept = new Set<string>();

  constructor(deps: CompactionDeps) {
    this.#deps = deps;
  }

  /** The next compaction, undefined when there is none, when blocks that it needs are held back, or while another is out. */
  plan(): CompactionPlan | undefined {
    if (this.#plan !== undefined) return undefined;
    const metas = this.#deps.set.blocks.map(({ meta }) => meta);
    // A block of late samples may reach beyond those in order. Merged with one of these it would say that all samples up to its end are in
    // blocks, and the next replay would leave out what is not.
    const inOrderEnd = Math.max(...metas.filter(isInOrderBlock).map(({ maxTime }) => maxTime));
    const chosen = planLevels(
      metas.filter(({ maxTime }) => maxTime <= inOrderEnd),
      this.#deps.rangesMs,
    );
    if (chosen.length === 1 && this.#kept.has(chosen[0]!.ulid)) return undefined;
    return this.begin(chosen);
  }

  /** Makes a plan of certain blocks; undefined for none, when one may not go, or while another plan is out. */
  begin(metas: readonly BlockMeta[]): CompactionPlan | undefined {
    const { set, newUlid, canDelete } = this.#deps;
    if (this.#plan !== undefined || metas.length === 0 || !metas.every(canDelete)) return undefined;
    const ulid = newUlid();
    this.#inputs = metas.map((meta) => set.blocks.find((block) => block.meta.ulid === meta.ulid)!);
    this.#plan = { ulid, inputDirs: this.#inputs.map(({ dir }) => dir), stagingDir: set.pathOf(ulid) + CREATION_SUFFIX };
    return this.#plan;
  }

  /**
   * Puts the new block in the place of those it was made of, or cleans up.
   * @param adjust changes the meta of the new block before it has its name
   * @returns whether the inputs were replaced; false when one of them has changed meanwhile, and the plan is to be made again
   * @throws the error of the outcome, after damaged inputs were marked so that they are not tried again
   */
  finish(plan: CompactionPlan, outcome: CompactionOutcome, adjust?: (meta: BlockMeta) => BlockMeta): boolean {
    if (this.#plan?.ulid !== plan.ulid) return false;
    const inputs = this.#inputs;
    this.#plan = undefined;
    this.#inputs = [];
    const { fs, dir, set } = this.#deps;
    const isCurrent = inputs.every((block) => set.blocks.includes(block));
    if ('error' in outcome || !isCurrent || outcome.meta === undefined) {
      fs.remove(plan.stagingDir);
      if (!isCurrent) return false;
      if ('error' in outcome) {
        const error = errorOf(outcome);
        if (isTsdbError(error) && /CORRUPT|ENCODING/.test(error.code)) this.#markFailed(inputs);
        throw error;
      }
      return this.#dropEmpty(inputs);
    }
    const made = joinPath(plan.stagingDir, plan.ulid);
    const named = set.pathOf(plan.ulid);
    try {
      if (adjust !== undefined) writeMeta(fs, made, adjust(outcome.meta));
      fs.rename(made, named);
      fs.fsyncDir(dir);
    } catch (error) {
      try {
        // Or it would turn up later, when samples may have been deleted from its inputs.
        if (fs.stat(named) !== undefined) fs.rename(named, made);
        fs.remove(plan.stagingDir);
      } catch {
        // The first error is the one to report; what is left is swept at the next start.
      }
      throw error;
    }
    // Loading it deletes its parents.
    set.load();
    fs.remove(plan.stagingDir);
    const damage = set.damaged.find(({ ulid }) => ulid === plan.ulid);
    if (damage === undefined) return true;
    fs.remove(set.pathOf(plan.ulid));
    set.load();
    throw new TsdbError('ERR_BLOCK_CORRUPT', `compact into block ${plan.ulid}: it cannot be read back; its inputs stay`, { cause: damage.error });
  }

  /** Deletes blocks in which nothing is left, but for the one that says how far samples are in blocks. */
  #dropEmpty(inputs: readonly Block[]): boolean {
    const { set } = this.#deps;
    const inOrder = set.blocks.filter(({ meta }) => isInOrderBlock(meta));
    const end = Math.max(...inOrder.map(({ meta }) => meta.maxTime));
    const isElsewhere = inOrder.some((block) => block.meta.maxTime === end && !inputs.includes(block));
    const kept = isElsewhere ? undefined : inputs.find(({ meta }) => isInOrderBlock(meta) && meta.maxTime === end);
    if (kept !== undefined) this.#kept.add(kept.meta.ulid);
    for (const block of inputs) if (block !== kept) set.remove(block, 'replaced');
    return inputs.length > (kept === undefined ? 0 : 1);
  }

  #markFailed(inputs: readonly Block[]): void {
    for (const { dir, meta } of inputs) {
      if (meta.compaction.failed !== true && meta.ulid === baseName(dir)) writeMeta(this.#deps.fs, dir, { ...meta, compaction: { ...meta.compaction, failed: true } });
    }
    for (const block of inputs) {
      try {
        this.#deps.set.reopen(block);
      } catch (error) {
        // It stays open as it was; whoever loads the directory next finds it damaged.
        if (!isTsdbError(error)) throw error;
      }
    }
  }
}

/** The error of an outcome, which may have come from another thread as a plain one. */
function errorOf({ error, code, place }: Extract<CompactionOutcome, { readonly error: unknown }>): unknown {
  if (code === undefined || isTsdbError(error)) return error;
  return new TsdbError(code, (error as Error).message, { cause: error, ...(place === undefined ? {} : { place }) });
}
