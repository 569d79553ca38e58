/**
 * Which blocks of a local database to compact next: the leveled planner of Prometheus, and the pure pieces of it that other planners
 * share. Blocks are known by their range [minTime, maxTime) in ms.
 *
 *   1 overlapping    a run of blocks that share time is merged first
 *   2 levels         for each range: the blocks of one aligned window, when they fill it or newer blocks follow; the newest block waits
 *   3 tombstones     a large block with more than 5 % of its series deleted, or a small one that is deleted whole
 *
 * Source: Prometheus tsdb/compact.go, `LeveledCompactor.plan`.
 */
import type { BlockMeta } from '../block/block-meta.ts';

/** A range in ms, [minTime, maxTime). */
export interface BlockRange {
  readonly minTime: number;
  readonly maxTime: number;
}

/** Kinds of blocks that hold a part of the head only, and are never mixed with others. */
const PARTIAL_HINTS: readonly string[] = ['from-stale-series', 'from-selected-series'];
/** Part of the series with deletions from which a block is written anew. */
const TOMBSTONE_PART = 0.05;

/** The blocks in order of their start; those that start together stay in the order given. */
export function sortByMinTime<T extends BlockRange>(blocks: readonly T[]): T[] {
  return blocks.toSorted((a, b) => a.minTime - b.minTime);
}

/**
 * Groups blocks by aligned windows [n · rangeMs, (n + 1) · rangeMs). A block that reaches over the edge of its window is in no group.
 * @param blocks in order of minTime
 */
export function splitByRange<T extends BlockRange>(blocks: readonly T[], rangeMs: number): T[][] {
  const groups: T[][] = [];
  for (let i = 0; i < blocks.length; ) {
    const end = Math.floor(blocks[i]!.minTime / rangeMs) * rangeMs + rangeMs;
    const group: T[] = [];
    for (; i < blocks.length && blocks[i]!.maxTime <= end; i++) group.push(blocks[i]!);
    if (group.length > 0) groups.push(group);
    else i++;
  }
  return groups;
}

/**
 * The first run of blocks that share time with one another; empty when none do.
 * @param blocks in order of minTime
 */
export function selectOverlapping<T extends BlockRange>(blocks: readonly T[]): T[] {
  const run: T[] = [];
  let end = Number.NEGATIVE_INFINITY;
  for (const [i, block] of blocks.entries()) {
    if (i > 0 && block.minTime < end) {
      if (run.length === 0) run.push(blocks[i - 1]!);
      run.push(block);
    } else if (run.length > 0) break;
    end = Math.max(end, block.maxTime);
  }
  return run;
}

/**
 * The first group that makes a block of the next level: more than one block in a window that they span, or that lies before the
 * newest of `blocks`. A group with a block that `isExcluded` is passed over.
 * @param blocks in order of minTime
 * @param rangesMs ascending; the first is the length of a fresh block
 */
export function selectLevel<T extends BlockRange>(blocks: readonly T[], rangesMs: readonly number[], isExcluded: (block: T) => boolean): T[] {
  if (blocks.length === 0) return [];
  const newest = blocks.at(-1)!.minTime;
  for (const range of rangesMs.slice(1)) {
    for (const group of splitByRange(blocks, range)) {
      if (group.length < 2 || group.some(isExcluded)) continue;
      const end = group.at(-1)!.maxTime;
      if (end - group[0]!.minTime === range || end <= newest) return group;
    }
  }
  return [];
}

/**
 * The blocks to compact into one, in order of minTime; empty when there is nothing to do.
 * @param metas all blocks of the database, in any order
 * @param rangesMs lengths of the levels, ascending, at least one
 */
export function planLevels(metas: readonly BlockMeta[], rangesMs: readonly number[]): BlockMeta[] {
  const hintOf = (meta: BlockMeta): number => PARTIAL_HINTS.findIndex((hint) => meta.compaction.hints?.includes(hint) === true);
  // Ordinary blocks first, so that blocks of a part of the head never starve them.
  for (let hint = -1; hint < PARTIAL_HINTS.length; hint++) {
    const plan = planClass(sortByMinTime(metas.filter((meta) => hintOf(meta) === hint)), rangesMs);
    if (plan.length > 0) return plan;
  }
  return [];
}

function planClass(sorted: readonly BlockMeta[], rangesMs: readonly number[]): BlockMeta[] {
  const overlapping = selectOverlapping(sorted);
  if (overlapping.length > 0) return overlapping;
  // The newest block waits: who backs up or uploads blocks finds it as it was cut.
  const settled = sorted.slice(0, -1);
  const level = selectLevel(settled, rangesMs, (meta) => meta.compaction.failed === true);
  if (level.length > 0) return level;
  for (const meta of settled.toReversed()) {
    const { numTombstones = 0, numSeries } = meta.stats;
    if (meta.maxTime - meta.minTime < rangesMs[rangesMs.length >>> 1]!) return numTombstones > 0 && numTombstones >= numSeries ? [meta] : [];
    if (numTombstones / (numSeries + 1) > TOMBSTONE_PART) return [meta];
  }
  return [];
}
