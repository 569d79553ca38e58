/** A block as a query sees it: where its objects are, its opened index-header, and what reads and counts for the call. */
import type { IndexHeader } from '@gauntlet/block';
import type { Labels } from '@gauntlet/model';
import { segmentFileName } from '@gauntlet/tsdb';
import type { BlockIo } from './block-io.ts';
import type { QueryLimits } from './query-limits.ts';
import type { QueryStats } from './query-stats.ts';

/** A block to be asked, as data for another thread. */
export interface BlockTarget {
  readonly id: string;
  /** External labels. */
  readonly labels: Labels;
  /** The index-header's file. */
  readonly header: SharedArrayBuffer;
  /** Number of the load that brought it, unique in the process. */
  readonly headerLoad: number;
  /** Sizes for planning reads, bytes: of the index if known, else Infinity; guesses for one series entry and one chunk. */
  readonly indexBytes: number;
  readonly seriesBytes: number;
  readonly chunkBytes: number;
}

/** What a call reads a block with. */
export interface BlockAccess {
  readonly target: BlockTarget;
  readonly header: IndexHeader;
  readonly io: BlockIo;
  readonly limits: QueryLimits;
  readonly stats: QueryStats;
  /** Milliseconds, for durations. */
  readonly clock: () => number;
  /** Polled in long loops. @throws when the call was cancelled */
  readonly throwIfCancelled: () => void;
}

/** Object key of a block's index. */
export function indexKey(id: string): string {
  return `${id}/index`;
}

/** Object key of a chunk segment. */
export function segmentKey(id: string, segment: number): string {
  return `${id}/chunks/${segmentFileName(segment)}`;
}
