/**
 * Issue duplicated_compaction: overlapping blocks that are the same compaction done twice, with equal range, level, sources and counts.
 * The repair keeps one of each and moves the others to the backup bucket.
 */
import type { ThanosMeta } from '@gauntlet/block';
import { backUpAndRemove } from './block-folder.ts';
import type { Issue } from './issue.ts';
import { describeBlock, describeOverlap, findOverlaps } from './overlaps.ts';

const describeBlocks = (metas: readonly ThanosMeta[]): string => `blocks: ${metas.length}, [${metas.map(describeBlock).join(',')}]`;

/** What makes two blocks the same compaction. */
function compactionKey({ minTime, maxTime, compaction, stats }: ThanosMeta): string {
  return JSON.stringify([minTime, maxTime, compaction.level, compaction.sources, stats.numSamples, stats.numFloatSamples ?? 0, stats.numHistogramSamples ?? 0, stats.numSeries, stats.numChunks, stats.numTombstones ?? 0]);
}

/** Sets of equal blocks among some, each of two or more, in the order given. */
export function duplicatedBlocks(blocks: readonly ThanosMeta[]): ThanosMeta[][] {
  const sets = new Map<string, ThanosMeta[]>();
  for (const block of blocks) {
    const key = compactionKey(block);
    sets.set(key, [...(sets.get(key) ?? []), block]);
  }
  return [...sets.values()].filter(({ length }) => length > 1);
}

/** See the head of this file. */
export const duplicatedCompaction: Issue = {
  id: 'duplicated_compaction',
  summary: 'the same blocks were compacted more than once',
  canRepair: true,
  isPerBlock: false,
  async verify(context) {
    const { finder, log, isRepair } = context;
    const spare = new Set<string>();
    for (const overlap of findOverlaps((await finder.find()).metas)) {
      const sets = duplicatedBlocks(overlap.blocks);
      for (const [, ...others] of sets) {
        log.warn('found duplicated blocks', { group: overlap.group, rangeMin: overlap.min, rangeMax: overlap.max, kill: describeBlocks(others) });
        for (const { ulid } of others) spare.add(ulid);
      }
      if (sets.length === 0) log.warn('found overlapped blocks that are all unique; this is another issue, nothing is done about it', { group: overlap.group, overlap: describeOverlap(overlap) });
    }
    if (spare.size === 0) return 0;
    log.warn('found duplicated blocks that are ok to be removed', { ulids: [...spare].join(' '), num: spare.size });
    if (!isRepair) return spare.size;
    let removed = 0;
    for (const id of spare) {
      await backUpAndRemove(context, id);
      log.info('removed duplicated block', { id, toBeRemoved: spare.size - ++removed, removed });
    }
    log.info('removed all duplicated blocks; verify again to see whether overlaps are left');
    return spare.size;
  },
};
