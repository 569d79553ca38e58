/**
 * The compactor's view of the bucket. Filters, in order:
 *
 *   time partition → label shard → consistency delay → deletion marks older than half the delete delay
 *   → replica labels off → duplicates → no-compact and no-downsample marks
 *
 * A block that was marked for deletion a short while ago is still in the view, so that nothing is compacted over the place where its
 * replacement is about to appear; but it may not be compacted, and it never makes another block a duplicate: of two blocks with the
 * same data the one that stays is the one that nobody asked to delete.
 */
import {
  createConsistencyDelayFilter, createDeduplicateFilter, createDeletionMarkFilter, createLabelShardFilter, createMarkGatherer, createMetaFetcher, createMetaLoader,
  createReplicaLabelRemover, createTimePartitionFilter,
} from '@gauntlet/block';
import type { BlockMetas, DiscoveryStrategy, MarkFilter, Marker, MetaFilter, ThanosMeta } from '@gauntlet/block';
import type { RelabelRule } from '@gauntlet/model';
import type { Bucket } from '@gauntlet/objstore';
import { errorText } from '@gauntlet/service-kit';
import type { Logger, Metrics } from '@gauntlet/service-kit';

import { streamOf } from './coverage.ts';
import { CompactorError } from './errors.ts';

/** One look at the bucket. */
export interface SyncView {
  /** Blocks of this compactor without duplicates. Some may be marked for deletion: see `deletionMarks`. */
  readonly metas: readonly ThanosMeta[];
  /** Blocks without meta.json, or with one that cannot be read, and why (BlockError). */
  readonly partial: ReadonlyMap<string, unknown>;
  /** Marks of blocks of this compactor, also of those that are not in `metas` any more. */
  readonly deletionMarks: ReadonlyMap<string, Marker>;
  /** Blocks that may not be compacted: marked so, or marked for deletion. */
  readonly noCompact: ReadonlySet<string>;
  /** Blocks that may not be downsampled: marked so, or marked for deletion. */
  readonly noDownsample: ReadonlySet<string>;
  /** Unmarked blocks all of whose data an unmarked block of `metas` has too. */
  readonly duplicates: readonly string[];
  /** Metas of `duplicates`. */
  readonly duplicateMetas: readonly ThanosMeta[];
}

/** Looks at the bucket. */
export interface BlockSync {
  /** @throws CompactorError ERR_SYNC, kind retry, if the bucket could not be seen whole: nobody may act on a part; the signal's reason */
  sync(signal: AbortSignal): Promise<SyncView>;
}

/** What syncing works with. */
export interface BlockSyncDeps {
  readonly bucket: Bucket;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
}

/** A bound of time that may be relative to now. */
export interface TimeBound {
  /** Milliseconds since 1970. */
  at(nowMs: number): number;
}

/** Which blocks are this compactor's. */
export interface BlockSyncOptions {
  /** Metas are cached in `<dataDir>/meta-syncer`; absent: in memory only. */
  readonly dataDir?: string;
  readonly consistencyDelayMs: number;
  readonly deleteDelayMs: number;
  /** Both inclusive. */
  readonly minTime: TimeBound;
  readonly maxTime: TimeBound;
  /** `--selector.relabel-config` */
  readonly relabel: readonly RelabelRule[];
  /** `--block-meta-fetch-concurrency` */
  readonly concurrency: number;
  readonly discovery: DiscoveryStrategy;
  /** `--deduplication.replica-label`; default none. */
  readonly replicaLabels?: readonly string[];
}

/** Takes the blocks that are marked for deletion out of the way of the filter it wraps; those with sources that no other block has come back. */
function amongUnmarked(deletion: MarkFilter, inner: MetaFilter): MetaFilter {
  return {
    apply: async (metas, counts, signal) => {
      const marked: ThanosMeta[] = [];
      for (const id of deletion.marks().keys()) {
        const meta = metas.get(id);
        if (meta !== undefined) marked.push(meta);
        metas.delete(id);
      }
      await inner.apply(metas, counts, signal);
      if (marked.length === 0) return;
      const held = new Map(marked.map((meta) => [streamOf(meta), new Set<string>()]));
      for (const meta of metas.values()) {
        const sources = held.get(streamOf(meta));
        if (sources !== undefined) for (const source of meta.compaction.sources) sources.add(source);
      }
      for (const meta of marked) {
        const sources = held.get(streamOf(meta))!;
        if (meta.compaction.sources.length > 0 && meta.compaction.sources.every((source) => sources.has(source))) counts.add('marked-for-deletion');
        else metas.set(meta.ulid, meta);
      }
    },
  };
}

/** Creates a sync; its caches live as long as it does. */
export function createBlockSync(deps: BlockSyncDeps, options: BlockSyncOptions): BlockSync {
  const { bucket, log, metrics, clock } = deps;
  const markDeps = { bucket, log, clock, concurrency: options.concurrency };
  const deletion = createDeletionMarkFilter(markDeps, options.deleteDelayMs / 2);
  const deduplicate = createDeduplicateFilter();
  const noCompact = createMarkGatherer(markDeps, 'no-compact');
  const noDownsample = createMarkGatherer(markDeps, 'no-downsample');
  const replicaLabels = options.replicaLabels ?? [];
  let candidates: BlockMetas = new Map();
  const remember: MetaFilter = { apply: (metas) => { candidates = new Map(metas); return Promise.resolve(); } };
  const fetcher = createMetaFetcher(
    {
      loader: createMetaLoader({ bucket, log, metrics }, { strategy: options.discovery, concurrency: options.concurrency, ...(options.dataDir === undefined ? {} : { cacheDir: options.dataDir }) }),
      log, metrics, clock,
    },
    [
      createTimePartitionFilter(() => ({ mint: options.minTime.at(clock()), maxt: options.maxTime.at(clock()) })),
      createLabelShardFilter(options.relabel, replicaLabels),
      createConsistencyDelayFilter(options.consistencyDelayMs, clock, metrics),
      deletion,
      createReplicaLabelRemover(replicaLabels, log),
      remember,
      amongUnmarked(deletion, deduplicate),
      noCompact,
      noDownsample,
    ],
  );
  return {
    sync: async (signal) => {
      const fetched = await fetcher.fetch(signal).catch((error: unknown) => {
        signal.throwIfAborted();
        throw new CompactorError('ERR_SYNC', 'retry', `look at bucket ${bucket.name}: ${errorText(error)}`, { cause: error });
      });
      if (!fetched.isComplete) {
        throw new CompactorError('ERR_SYNC', 'retry', `look at bucket ${bucket.name}: ${fetched.failures.length} meta.json could not be read, first: ${errorText(fetched.failures[0])}`, { cause: fetched.failures[0] });
      }
      const deletionMarks = new Map(deletion.marks());
      const duplicates = deduplicate.duplicates();
      return {
        metas: [...fetched.metas.values()],
        partial: fetched.partial,
        deletionMarks,
        noCompact: new Set([...noCompact.marks().keys(), ...deletionMarks.keys()]),
        noDownsample: new Set([...noDownsample.marks().keys(), ...deletionMarks.keys()]),
        duplicates,
        duplicateMetas: duplicates.map((id) => candidates.get(id)!),
      };
    },
  };
}
