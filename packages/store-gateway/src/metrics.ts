/** Every metric of the store gateway besides those of its parts, with Thanos' names, help texts and buckets; and what a call's cost does to them. */
import type { Counter, Gauge, Histogram, Metrics } from '@gauntlet/service-kit';
import type { QueryStats } from './query-stats.ts';
import type { TaskReport } from './store-task.ts';

const exponential = (start: number, factor: number, count: number): number[] => Array.from({ length: count }, (_, i) => start * factor ** i);
const DURATIONS = [0.001, 0.01, 0.1, 0.3, 0.6, 1, 3, 6, 9, 20, 30, 60, 90, 120];
const LOAD_DURATIONS = [0.1, 0.2, 0.5, 1, 2, 5, 15, 30, 60, 90, 120, 300];
const KIB = 1024;
const MIB = KIB * KIB;
const SENT_SIZES = [32, 256, 512, KIB, 32 * KIB, 256 * KIB, 512 * KIB, MIB, 32 * MIB, 256 * MIB, 512 * MIB];
const POSTINGS_SIZES = [32, 256, 512, KIB, 32 * KIB, 256 * KIB, 512 * KIB, MIB, 32 * MIB, 128 * MIB, 256 * MIB, 512 * MIB, 768 * MIB, KIB * MIB];
const GATE_DURATIONS = [0.01, 0.1, 0.3, 0.6, 1, 3, 6, 9, 20, 30, 60, 90, 120, 240, 360, 720];

/** See the head of this file. */
export interface StoreMetrics {
  readonly blockLoads: Counter;
  readonly blockLoadFailures: Counter;
  readonly blockDrops: Counter;
  readonly blockDropFailures: Counter;
  readonly blocksLoaded: Gauge;
  readonly lastLoaded: Gauge;
  readonly blockLoadSeconds: Histogram;
  /** The name the mixin asks for; the gate itself has Thanos' newer one. */
  readonly gateSeconds: Histogram;
  /** Counts what one call cost. */
  observeCall(report: Pick<TaskReport, 'stats' | 'dropped' | 'isMainThread'>, kind: 'series' | 'labels', tenant: string): void;
  /** Counts a call that a limit ended. */
  observeDropped(reason: string, tenant: string): void;
}

/** Declares them. */
export function createStoreMetrics(metrics: Metrics): StoreMetrics {
  const scope = metrics.withPrefix('thanos_bucket_store_');
  const byTenant = (name: string, help: string, buckets: readonly number[]): Histogram => scope.histogram({ name, help, labels: ['tenant'], buckets });
  const byType = (name: string, help: string, buckets: readonly number[]): Histogram => scope.histogram({ name, help, labels: ['data_type', 'tenant'], buckets });
  const touched = byType('series_data_touched', 'Number of items of a data type touched to fulfill a single Store API series request.', exponential(200, 2, 15));
  const fetched = byType('series_data_fetched', 'Number of items of a data type retrieved to fulfill a single Store API series request.', exponential(200, 2, 15));
  const touchedBytes = byType('series_data_size_touched_bytes', 'Total size of items of a data type touched to fulfill a single Store API series request in Bytes.', exponential(1024, 2, 15));
  const fetchedBytes = byType('series_data_size_fetched_bytes', 'Total size of items of a data type fetched to fulfill a single Store API series request in Bytes.', exponential(1024, 2, 15));
  const blocksQueried = byTenant('series_blocks_queried', 'Number of blocks in a bucket store that were touched to satisfy a query.', exponential(1, 2, 10));
  const getAll = byTenant('series_get_all_duration_seconds', 'Time it takes until all per-block prepares and loads for a query are finished.', DURATIONS);
  const merge = byTenant('series_merge_duration_seconds', 'Time it takes to merge sub-results from all queried blocks into a single result.', DURATIONS);
  const resultSeries = byTenant('series_result_series', 'Number of series observed in the final result of a query.', exponential(100, 2, 15));
  const sentSizes = byTenant('sent_chunk_size_bytes', 'Size in bytes of the chunks for the single series, which is adequate to the gRPC message size sent to querier.', SENT_SIZES);
  const postingsSizes = byTenant('postings_size_bytes', 'Size in bytes of the postings for a single series call.', POSTINGS_SIZES);
  const seriesFetch = byTenant('series_fetch_duration_seconds', 'The time it takes to fetch series to respond to a request sent to a store gateway, cache included.', DURATIONS);
  const seriesFetchSum = byTenant('series_fetch_duration_sum_seconds', 'The total time it takes to fetch series across all series batches of a request.', DURATIONS);
  const postingsFetch = byTenant('postings_fetch_duration_seconds', 'The time it takes to fetch postings to respond to a request sent to a store gateway, cache included.', DURATIONS);
  const chunksFetch = byTenant('chunks_fetch_duration_seconds', 'The total time spent fetching chunks within a single request for one block.', DURATIONS);
  const chunksFetchSum = byTenant('chunks_fetch_duration_sum_seconds', 'The total absolute time spent fetching chunks within a single request for one block.', DURATIONS);
  const dropped = scope.counter({ name: 'queries_dropped_total', help: 'Number of queries that were dropped due to the limit.', labels: ['reason', 'tenant'] });
  const seriesRefetches = scope.counter({ name: 'series_refetches_total', help: 'Total number of cases where the guessed series size was not enough, resulting in refetch.', labels: ['tenant'] });
  const chunkRefetches = scope.counter({ name: 'chunk_refetches_total', help: 'Total number of cases where the guessed chunk size was not enough, resulting in refetch.', labels: ['tenant'] });
  const emptyPostings = scope.counter({ name: 'empty_postings_total', help: 'Total number of empty postings when fetching block series.', labels: ['tenant'] });
  const lazyExpanded = scope.counter({ name: 'lazy_expanded_postings_total', help: 'Total number of times when lazy expanded posting optimization applies.' });
  const computed = metrics.counter({ name: 'gauntlet_store_series_merged_total', help: 'Series merged for answers, by kind of thread. The main thread must stay at 0.', labels: ['thread'] });
  for (const thread of ['main', 'worker']) computed.with({ thread }).inc(0);
  lazyExpanded.inc(0);

  const observeSeries = (stats: QueryStats, tenant: string): void => {
    for (const type of ['postings', 'series', 'chunks'] as const) {
      const data = stats[type];
      touched.with({ data_type: type, tenant }).observe(data.touched);
      fetched.with({ data_type: type, tenant }).observe(data.fetched);
      touchedBytes.with({ data_type: type, tenant }).observe(data.touchedBytes);
      fetchedBytes.with({ data_type: type, tenant }).observe(data.fetchedBytes);
    }
    blocksQueried.with({ tenant }).observe(stats.blocksQueried);
    getAll.with({ tenant }).observe(stats.preloadMs / 1000);
    merge.with({ tenant }).observe(stats.mergeMs / 1000);
    resultSeries.with({ tenant }).observe(stats.resultSeries);
    const sent = sentSizes.with({ tenant });
    for (const bytes of stats.sentBytes) sent.observe(bytes);
    postingsSizes.with({ tenant }).observe(stats.postings.touchedBytes + stats.postings.fetchedBytes);
    seriesFetch.with({ tenant }).observe(stats.series.fetchMs / 1000);
    seriesFetchSum.with({ tenant }).observe(stats.series.fetchMs / 1000);
    postingsFetch.with({ tenant }).observe(stats.postings.fetchMs / 1000);
    chunksFetch.with({ tenant }).observe(stats.chunks.fetchMs / 1000);
    chunksFetchSum.with({ tenant }).observe(stats.chunks.fetchMs / 1000);
  };
  return {
    blockLoads: scope.counter({ name: 'block_loads_total', help: 'Total number of remote block loading attempts.' }),
    blockLoadFailures: scope.counter({ name: 'block_load_failures_total', help: 'Total number of failed remote block loading attempts.' }),
    blockDrops: scope.counter({ name: 'block_drops_total', help: 'Total number of local blocks that were dropped.' }),
    blockDropFailures: scope.counter({ name: 'block_drop_failures_total', help: 'Total number of local blocks that failed to be dropped.' }),
    blocksLoaded: scope.gauge({ name: 'blocks_loaded', help: 'Number of currently loaded blocks.' }),
    lastLoaded: scope.gauge({ name: 'blocks_last_loaded_timestamp_seconds', help: 'Timestamp when last block got loaded.' }),
    blockLoadSeconds: scope.histogram({ name: 'block_load_duration_seconds', help: 'The total time taken to load a block in seconds.', buckets: LOAD_DURATIONS }),
    gateSeconds: scope.histogram({ name: 'series_gate_duration_seconds', help: 'How long series calls waited at the gate.', buckets: GATE_DURATIONS }),
    observeCall({ stats, isMainThread }, kind, tenant) {
      if (kind === 'series') observeSeries(stats, tenant);
      computed.with({ thread: isMainThread ? 'main' : 'worker' }).inc(stats.resultSeries);
      seriesRefetches.with({ tenant }).inc(stats.seriesRefetches);
      chunkRefetches.with({ tenant }).inc(stats.chunkRefetches);
      emptyPostings.with({ tenant }).inc(stats.emptyPostings);
      lazyExpanded.inc(stats.lazyExpanded);
    },
    observeDropped: (reason, tenant) => dropped.with({ reason, tenant }).inc(),
  };
}
