/** Issue overlapped_blocks: blocks of one stream that share time. Nothing is repaired: a compactor that merges vertically is the repair. */
import type { Issue } from './issue.ts';
import { describeOverlap, findOverlaps } from './overlaps.ts';

/** See the head of this file. */
export const overlappedBlocks: Issue = {
  id: 'overlapped_blocks',
  summary: 'blocks of one stream share time',
  canRepair: false,
  isPerBlock: false,
  async verify({ finder, log }) {
    const overlaps = findOverlaps((await finder.find()).metas);
    for (const overlap of overlaps) log.warn('found overlapped blocks', { group: overlap.group, overlap: describeOverlap(overlap) });
    return overlaps.length;
  },
};
