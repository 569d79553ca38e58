/**
 * The blocks one component works with: a loader's view of the bucket, through that component's filters. Metrics are Thanos'
 * `thanos_blocks_meta_*`; gauges change when a fetch has ended, all together.
 */
import type { Logger, Metrics } from '@gauntlet/service-kit';

import type { BlockError } from './errors.ts';
import { SYNC_STATES } from './meta-filter.ts';
import type { BlockMetas, MetaFilter, SyncCounts } from './meta-filter.ts';
import type { MetaLoader } from './meta-loader.ts';

const DURATION_BUCKETS = [0.01, 1, 10, 100, 300, 600, 1000];

/** What a fetcher works with. */
export interface MetaFetcherDeps {
  readonly loader: MetaLoader;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Milliseconds, for durations. */
  readonly clock: () => number;
}

/** The outcome of a fetch. */
export interface FetchedBlocks {
  /** Blocks that passed all filters, by id. The caller may change the map, not the metas. */
  readonly metas: BlockMetas;
  readonly partial: ReadonlyMap<string, BlockError>;
  /** False: some metas could not be read. Blocks that are missing may be there; do not clean up. */
  readonly isComplete: boolean;
  /** Why it is incomplete. */
  readonly failures: readonly unknown[];
}

/** Fetches the blocks of a component. */
export interface MetaFetcher {
  /** @throws ObjstoreError or BlockError if listing or a filter failed: there is no result then */
  fetch(signal?: AbortSignal): Promise<FetchedBlocks>;
}

/** Creates a fetcher. Filters run in the order given; see thanos.md for the chains of store gateway and compactor. */
export function createMetaFetcher(deps: MetaFetcherDeps, filters: readonly MetaFilter[]): MetaFetcher {
  const { loader, log, clock } = deps;
  const scope = deps.metrics.withPrefix('thanos_blocks_meta_');
  const syncs = scope.counter({ name: 'syncs_total', help: 'Total blocks metadata synchronization attempts' });
  const syncFailures = scope.counter({ name: 'sync_failures_total', help: 'Total blocks metadata synchronization failures' });
  const syncDuration = scope.histogram({ name: 'sync_duration_seconds', help: 'Duration of the blocks metadata synchronization in seconds', buckets: DURATION_BUCKETS });
  const synced = scope.gauge({ name: 'synced', help: 'Number of block metadata synced', labels: ['state'] });
  const modified = scope.gauge({ name: 'modified', help: 'Number of blocks whose metadata changed', labels: ['modified'] });
  for (const state of SYNC_STATES) synced.with({ state }).set(0);
  modified.with({ modified: 'replica-label-removed' }).set(0);

  async function fetch(signal: AbortSignal | undefined): Promise<FetchedBlocks> {
    const view = await loader.load(signal);
    signal?.throwIfAborted();
    const metas: BlockMetas = new Map(view.metas);
    const states = new Map<string, number>(SYNC_STATES.map((s) => [s, 0]));
    let labelsRemoved = 0;
    const counts: SyncCounts = {
      add: (state) => { states.set(state, states.get(state)! + 1); },
      addModified: () => { labelsRemoved++; },
    };
    for (const filter of filters) await filter.apply(metas, counts, signal);
    states.set('failed', view.failures.length);
    for (const error of view.partial.values()) counts.add(error.code === 'ERR_META_CORRUPT' ? 'corrupted-meta-json' : 'no-meta-json');
    states.set('loaded', metas.size);
    for (const [state, count] of states) synced.with({ state }).set(count);
    modified.with({ modified: 'replica-label-removed' }).set(labelsRemoved);
    return { metas, partial: view.partial, isComplete: view.failures.length === 0, failures: view.failures };
  }

  return {
    fetch: async (signal) => {
      const startMs = clock();
      syncs.inc();
      try {
        const result = await fetch(signal);
        if (!result.isComplete) {
          syncFailures.inc();
          log.warn('incomplete view of the bucket', { failed: result.failures.length, err: result.failures[0] });
        } else log.info('successfully synchronized block metadata', { durationMs: Math.round(clock() - startMs), cached: loader.cachedCount, returned: result.metas.size, partial: result.partial.size });
        return result;
      } catch (error) {
        syncFailures.inc();
        throw error;
      } finally {
        syncDuration.observe((clock() - startMs) / 1000);
      }
    },
  };
}
