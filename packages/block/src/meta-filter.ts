/**
 * What a filter of blocks is: it takes blocks out of a set, or replaces their meta, and says why. The reasons are the states of
 * Thanos' `blocks_meta_synced` metric.
 */
import type { ThanosMeta } from './thanos-meta.ts';

/** States of a block after a fetch. */
export const SYNC_STATES = [
  'corrupted-meta-json', 'no-meta-json', 'loaded', 'too-fresh', 'failed', 'label-excluded', 'time-excluded', 'duplicate', 'marked-for-deletion',
  'marked-for-no-compact', 'marked-for-no-downsample', 'parquet-migrated',
] as const;
/** One of {@link SYNC_STATES}. */
export type SyncState = (typeof SYNC_STATES)[number];

/** Counts of one fetch. */
export interface SyncCounts {
  /** Counts one block in a state. */
  add(state: SyncState): void;
  /** Counts one block whose labels a filter changed. */
  addModified(kind: 'replica-label-removed'): void;
}

/** Blocks by id. Filters delete and replace entries. */
export type BlockMetas = Map<string, ThanosMeta>;

/** One rule about which blocks this process sees. Filters run one after the other. */
export interface MetaFilter {
  /** @throws the first failure of the bucket; the fetch fails then, without a result */
  apply(metas: BlockMetas, counts: SyncCounts, signal?: AbortSignal): Promise<void>;
}
