/** Flags of `gauntlet store`, names and defaults as `thanos store` has them. The only reader of argv in this package. */
import { DISCOVERY_STRATEGIES, type DiscoveryStrategy } from '@gauntlet/block';
import {
  boolFlag,
  bytesFlag,
  commonFlags,
  type CommonFlags,
  durationFlag,
  enumFlag,
  type Flag,
  type FlagValues,
  floatFlag,
  grpcServerFlags,
  type GrpcServerFlags,
  httpFlags,
  type HttpFlags,
  intFlag,
  objstoreFlag,
  type PathOrContent,
  pathOrContentFlag,
  requestLoggingFlags,
  type RequestLoggingFlags,
  selectorRelabelFlag,
  stringFlag,
  type TimeOrDuration,
  timeOrDurationFlag,
} from '@gauntlet/service-kit';

const ownFlags = {
  objstoreConfig: objstoreFlag(true) as Flag<PathOrContent>,
  objstoreParquetConfig: pathOrContentFlag('objstore-parquet.config', { help: 'Bucket with Parquet blocks; not there yet and refused at start.', secret: true }) as Flag<PathOrContent>,
  dataDir: stringFlag('data-dir', { default: './data', help: 'Local directory for index-headers and meta files. Nothing is lost if it is removed: it is filled again.' }) as Flag<string>,
  cacheIndexHeader: boolFlag('cache-index-header', { default: true, help: 'Keeps index-headers on disk, so that a restart does not fetch them again.' }) as Flag<boolean>,
  indexCacheSizeBytes: bytesFlag('index-cache-size', { default: '250MB', help: 'Largest size of the in-memory index cache. Ignored with --index-cache.config.' }) as Flag<number>,
  indexCacheConfig: pathOrContentFlag('index-cache.config', { help: 'YAML with the index cache configuration; the format is that of Thanos, type IN-MEMORY.' }) as Flag<PathOrContent>,
  cachingBucketConfig: pathOrContentFlag('store.caching-bucket.config', { hidden: true, help: 'Caching bucket; not there yet and refused at start.' }) as Flag<PathOrContent>,
  chunkPoolBytes: bytesFlag('chunk-pool-size', { default: '2GB', help: 'Most memory that bytes read from the bucket may take at a time, over all calls; a call that would pass it fails alone. At most half of the memory of the container or machine.' }) as Flag<number>,
  seriesMax: intFlag('store.limits.request-series', { default: 0, min: 0, help: 'Most series a Series call may select; 0 is no limit.' }) as Flag<number>,
  samplesMax: intFlag('store.limits.request-samples', { default: 0, min: 0, help: 'Most samples a Series call may select, each chunk counted as 120; 0 is no limit.' }) as Flag<number>,
  touchedSeriesMax: intFlag('store.grpc.touched-series-limit', { default: 0, min: 0, help: 'As --store.limits.request-series.', deprecated: 'use --store.limits.request-series' }) as Flag<number>,
  seriesSampleMax: intFlag('store.grpc.series-sample-limit', { default: 0, min: 0, help: 'As --store.limits.request-samples.', deprecated: 'use --store.limits.request-samples' }) as Flag<number>,
  downloadedBytesMax: bytesFlag('store.grpc.downloaded-bytes-limit', { default: '0', help: 'Most bytes of index and chunks, from bucket or cache, for one Series, LabelNames or LabelValues call; 0 is no limit.' }) as Flag<number>,
  seriesMaxConcurrency: intFlag('store.grpc.series-max-concurrency', { default: 20, min: 1, help: 'Most Series calls at once.' }) as Flag<number>,
  syncBlockMs: durationFlag('sync-block-duration', { default: '15m', help: 'Interval between looks for new and vanished blocks.' }) as Flag<number>,
  blockDiscovery: enumFlag('block-discovery-strategy', DISCOVERY_STRATEGIES, { default: 'concurrent', help: 'How blocks are found: concurrent lists the root and asks for each meta.json, recursive lists everything.' }) as Flag<DiscoveryStrategy>,
  blockSyncConcurrency: intFlag('block-sync-concurrency', { default: 20, min: 1, help: 'Blocks loaded at once.' }) as Flag<number>,
  blockMetaFetchConcurrency: intFlag('block-meta-fetch-concurrency', { default: 32, min: 1, help: 'meta.json files read at once.' }) as Flag<number>,
  seriesBatchSize: intFlag('debug.series-batch-size', { default: 10_000, min: 1, hidden: true, help: 'Series of a block read at a time.' }) as Flag<number>,
  estimatedSeriesBytes: intFlag('debug.estimated-max-series-size', { default: 65_536, min: 16, hidden: true, help: 'Guess for the size of a series entry where meta.json tells none.' }) as Flag<number>,
  estimatedChunkBytes: intFlag('debug.estimated-max-chunk-size', { default: 16_000, min: 16, hidden: true, help: 'Guess for the size of a chunk where meta.json tells none.' }) as Flag<number>,
  minTime: timeOrDurationFlag('min-time', { default: '0000-01-01T00:00:00Z', help: 'Start of the time range served: RFC 3339, or a duration relative to now such as -1d.' }) as Flag<TimeOrDuration>,
  maxTime: timeOrDurationFlag('max-time', { default: '9999-12-31T23:59:59Z', help: 'End of the time range served.' }) as Flag<TimeOrDuration>,
  selectorRelabelConfig: selectorRelabelFlag('blocks') as Flag<PathOrContent>,
  postingOffsetsSampling: intFlag('store.index-header-posting-offsets-in-mem-sampling', { default: 32, min: 1, hidden: true, help: 'Accepted for compatibility; one of 32 offsets is kept in memory.' }) as Flag<number>,
  consistencyDelayMs: durationFlag('consistency-delay', { default: '0s', help: 'Least age of a block before it is read.' }) as Flag<number>,
  ignoreDeletionMarksDelayMs: durationFlag('ignore-deletion-marks-delay', { default: '24h', help: 'How long a block that is marked for deletion is still served. Half of the compactor\'s --delete-delay.' }) as Flag<number>,
  lazyHeaders: boolFlag('store.enable-index-header-lazy-reader', { help: 'Loads index-headers into memory when a query needs them, and drops them when idle.' }) as Flag<boolean>,
  lazyHeaderIdleMs: durationFlag('store.index-header-lazy-reader-idle-timeout', { default: '5m', hidden: true, help: 'Idle time after which a lazy index-header is dropped; 0 keeps it.' }) as Flag<number>,
  lazyHeaderDownload: enumFlag('store.index-header-lazy-download-strategy', ['eager', 'lazy'], { default: 'eager', help: 'eager fetches index-headers when a block is found, lazy when a query needs them.' }) as Flag<'eager' | 'lazy'>,
  lazyPostings: boolFlag('store.enable-lazy-expanded-postings', { help: 'Leaves postings unread that cost more than the series they would rule out.' }) as Flag<boolean>,
  keySeriesRatioMax: floatFlag('store.posting-group-max-key-series-ratio', { default: 100, help: 'With lazy expanded postings: a matcher with more values than this times the series that can match is lazy; 0 is no limit.' }) as Flag<number>,
  webDisable: boolFlag('web.disable', { help: 'Serves no block viewer API.' }) as Flag<boolean>,
  webExternalPrefix: stringFlag('web.external-prefix', { default: '', help: 'Accepted for compatibility; this version has no block viewer page.' }) as Flag<string>,
  webPrefixHeader: stringFlag('web.prefix-header', { default: '', help: 'Accepted for compatibility; this version has no block viewer page.' }) as Flag<string>,
  webDisableCors: boolFlag('web.disable-cors', { help: 'Sends no CORS headers.' }) as Flag<boolean>,
  bucketWebLabel: stringFlag('bucket-web-label', { default: '', help: 'External label that groups blocks in the block viewer.' }) as Flag<string>,
  matcherCacheSize: intFlag('matcher-cache-size', { default: 0, min: 0, help: 'Accepted for compatibility; compiling matchers is not worth a cache here.' }) as Flag<number>,
  disableAdminOperations: boolFlag('disable-admin-operations', { help: 'Refuses to mark blocks through the API.' }) as Flag<boolean>,
  profiling: boolFlag('debug.profiling', { help: 'Serves CPU and heap profiles under /debug/pprof.' }) as Flag<boolean>,
};

type AllFlags = CommonFlags & RequestLoggingFlags & HttpFlags & GrpcServerFlags & typeof ownFlags;

/** All flags of the store gateway; mapped, since interfaces are no flag tables. */
export type StoreGatewayFlags = { readonly [Name in keyof AllFlags]: AllFlags[Name] };

/** See the head of this file. */
export const storeGatewayFlags: StoreGatewayFlags = { ...commonFlags, ...requestLoggingFlags, ...httpFlags, ...grpcServerFlags, ...ownFlags };

/** Values of all flags. */
export type StoreGatewayConfig = FlagValues<StoreGatewayFlags>;
