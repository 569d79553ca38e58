/**
 * Which blocks of a local database are past its retention. Newest first, by the end of their range:
 *
 *   time   once a block ends `retentionMs` or more before the newest, it and all older ones go
 *   size   once logs, mapped chunks and blocks so far pass `retentionBytes`, that block and all older ones go
 *
 * The newest block in order stays whatever its size: it says how far samples are in blocks already, and without it the next start would take
 * them from the log again. Source: Prometheus tsdb/db.go, `BeyondTimeRetention`, `BeyondSizeRetention`.
 */
import type { BlockMeta } from '../block/block-meta.ts';

/** Limits; 0 means none. */
export interface RetentionLimits {
  /** Age, ms, measured from the end of the newest block. */
  readonly retentionMs: number;
  /** Bytes of blocks and head together. */
  readonly retentionBytes: number;
}

/** Why a block is past retention. */
export type RetentionReason = 'time' | 'size';

/** A block, and all that its folder holds in bytes. */
export interface SizedBlock {
  readonly meta: BlockMeta;
  readonly bytes: number;
}

/** Hints of blocks that hold a part of the head only: they do not say how far samples are in blocks. */
const PARTIAL_HINTS: readonly string[] = ['from-out-of-order', 'from-stale-series', 'from-selected-series'];

/** Whether all samples in order before the end of the block are in blocks. */
export function isInOrderBlock(meta: BlockMeta): boolean {
  return meta.compaction.hints?.some((hint) => PARTIAL_HINTS.includes(hint)) !== true;
}

/**
 * The blocks past retention, by name; by time where both say so.
 * @param headBytes of logs and chunks of the head on disk, which count as the newest
 */
export function beyondRetention(blocks: readonly SizedBlock[], headBytes: number, { retentionMs, retentionBytes }: RetentionLimits): Map<string, RetentionReason> {
  const beyond = new Map<string, RetentionReason>();
  const newestFirst = blocks.toSorted((a, b) => b.meta.maxTime - a.meta.maxTime);
  const kept = newestFirst.find(({ meta }) => isInOrderBlock(meta));
  let bytes = headBytes;
  for (const { meta, bytes: ofBlock } of newestFirst) {
    bytes += ofBlock;
    if (retentionMs > 0 && newestFirst[0]!.meta.maxTime - meta.maxTime >= retentionMs) beyond.set(meta.ulid, 'time');
    else if (retentionBytes > 0 && bytes > retentionBytes && meta.ulid !== kept?.meta.ulid) beyond.set(meta.ulid, 'size');
  }
  return beyond;
}
