/**
 * Which blocks of history a bucket still needs. The history of a replica ends where it ended when it was first made (the end of the
 * newest generated block found), else now, and goes back from there; ranges that are covered, also by compacted blocks, are left out.
 * Names follow from labels and range. So a run that was cut short, or one after a compaction, adds exactly what is missing.
 *
 *   | 2 h | 2 h | … | 2 h | part |◄ end: the first run; what is scraped lives to the right of it
 */
import { createHash } from 'node:crypto';
import type { BlockMetas } from '@gauntlet/block';
import { formatLabels, type Labels, labelsEqual } from '@gauntlet/model';
import { createUlid } from '@gauntlet/tsdb';
import type { HistoryBlock } from './write-history-block.ts';

/** Range of a block, ms. */
export const HISTORY_BLOCK_MS: number = 2 * 60 * 60 * 1000;

/** Of which replica, and how much. */
export interface HistoryPlanOptions {
  /** External labels of the generated blocks. */
  readonly labels: Labels;
  readonly lengthMs: number;
  readonly nowMs: number;
}

/** Blocks to make, newest first: so the end is known to a later run whatever happens to this one. @param metas what is in the bucket */
export function planHistory(metas: BlockMetas, { labels, lengthMs, nowMs }: HistoryPlanOptions): HistoryBlock[] {
  const present = [...metas.values()].filter(({ thanos }) => labelsEqual(thanos.labels, labels));
  const endMs = present.reduce((end, { maxTime }) => Math.max(end, maxTime), 0) || nowMs;
  const startMs = endMs - lengthMs;
  const random = seededRandom(formatLabels(labels));
  const blocks: HistoryBlock[] = [];
  for (let start = Math.floor(startMs / HISTORY_BLOCK_MS) * HISTORY_BLOCK_MS; start < endMs; start += HISTORY_BLOCK_MS) {
    const minTime = Math.max(start, startMs);
    const maxTime = Math.min(start + HISTORY_BLOCK_MS, endMs);
    if (present.some((meta) => meta.minTime <= minTime && meta.maxTime >= maxTime)) continue;
    blocks.push({ ulid: createUlid(start, random(start)), minTime, maxTime });
  }
  return blocks.reverse();
}

/** Numbers in [0, 1) that depend on the labels and the start of the block alone. */
function seededRandom(seed: string): (startMs: number) => () => number {
  return (startMs) => {
    const digest = createHash('sha256').update(`${seed} ${startMs}`).digest();
    let at = 0;
    return () => digest[at++ % digest.length]! / 256;
  };
}
