/** Flags of `gauntlet compact`, names and defaults as `thanos compact` has them. The only reader of argv in this package. */
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
  httpFlags,
  type HttpFlags,
  intFlag,
  objstoreFlag,
  type PathOrContent,
  selectorRelabelFlag,
  stringFlag,
  stringsFlag,
  type TimeOrDuration,
  timeOrDurationFlag,
} from '@gauntlet/service-kit';

const ownFlags = {
  dataDir: stringFlag('data-dir', { default: './data', help: 'Directory for blocks that are being compacted and for meta files. Nothing is lost if it is removed. It takes twice the size of the largest compaction.' }) as Flag<string>,
  objstoreConfig: objstoreFlag(true) as Flag<PathOrContent>,
  consistencyDelayMs: durationFlag('consistency-delay', { default: '30m', help: 'Least age of an uploaded block before it is compacted.' }) as Flag<number>,
  retentionRawMs: durationFlag('retention.resolution-raw', { default: '0d', help: 'How long raw samples are kept; 0d is for ever. Not 0 needs --downsampling.disable: this version does not downsample.' }) as Flag<number>,
  retentionFiveMinMs: durationFlag('retention.resolution-5m', { default: '0d', help: 'How long samples of 5 minutes are kept; 0d is for ever.' }) as Flag<number>,
  retentionOneHourMs: durationFlag('retention.resolution-1h', { default: '0d', help: 'How long samples of 1 hour are kept; 0d is for ever.' }) as Flag<number>,
  wait: boolFlag('wait', { help: 'Goes on after everything is compacted, and waits for new blocks. Short: -w.' }) as Flag<boolean>,
  waitIntervalMs: durationFlag('wait-interval', { default: '5m', help: 'Time between two runs with --wait.' }) as Flag<number>,
  downsamplingDisable: boolFlag('downsampling.disable', { help: 'Blocks stay raw. This version does not downsample; without the flag it says so at start.' }) as Flag<boolean>,
  blockDiscovery: enumFlag('block-discovery-strategy', DISCOVERY_STRATEGIES, { default: 'concurrent', help: 'How blocks are found: concurrent lists the root and asks for each meta.json, recursive lists everything.' }) as Flag<DiscoveryStrategy>,
  blockMetaFetchConcurrency: intFlag('block-meta-fetch-concurrency', { default: 32, min: 1, help: 'meta.json files read at once.' }) as Flag<number>,
  blockFilesConcurrency: intFlag('block-files-concurrency', { default: 1, min: 1, help: 'Files of a block fetched or uploaded at once.' }) as Flag<number>,
  globalSyncIntervalMs: durationFlag('block-viewer.global.sync-block-interval', { default: '1m', help: 'Age of the list of all blocks of the bucket from which a request for it fetches it again.' }) as Flag<number>,
  globalSyncTimeoutMs: durationFlag('block-viewer.global.sync-block-timeout', { default: '5m', help: 'Most time for fetching that list.' }) as Flag<number>,
  cleanupIntervalMs: durationFlag('compact.cleanup-interval', { default: '5m', help: 'How often, with --wait, blocks marked for deletion and aborted uploads are deleted besides the end of a run; 0s is only then.' }) as Flag<number>,
  progressIntervalMs: durationFlag('compact.progress-interval', { default: '5m', help: 'How often, with --wait, the metrics thanos_compact_todo_* are computed; 0s is never.' }) as Flag<number>,
  compactConcurrency: intFlag('compact.concurrency', { default: 1, min: 1, help: 'Groups of blocks compacted at once, each in a thread.' }) as Flag<number>,
  blocksFetchConcurrency: intFlag('compact.blocks-fetch-concurrency', { default: 1, min: 1, help: 'Blocks of a compaction fetched at once.' }) as Flag<number>,
  downsampleConcurrency: intFlag('downsample.concurrency', { default: 1, help: 'Taken as 1 only: this version does not downsample.' }) as Flag<number>,
  deleteDelayMs: durationFlag('delete-delay', { default: '48h', help: 'Time from the deletion mark of a block to its deletion. With 0s blocks are deleted at once, also under a store gateway that reads them.' }) as Flag<number>,
  dedupFunc: stringFlag('deduplication.func', { default: '', help: 'Not there yet and refused at start, but for "".' }) as Flag<string>,
  dedupReplicaLabels: stringsFlag('deduplication.replica-label', { commas: true, help: 'Not there yet and refused at start.' }) as Flag<readonly string[]>,
  enableVerticalCompaction: boolFlag('compact.enable-vertical-compaction', { hidden: true, help: 'Accepted for compatibility: overlapping blocks are always merged.' }) as Flag<boolean>,
  maxIndexBytes: bytesFlag('compact.block-max-index-size', { default: '64GB', hidden: true, help: 'Largest index of a compacted block; the largest block of a plan that would pass it is marked no-compact.' }) as Flag<number>,
  skipOutOfOrderChunks: boolFlag('compact.skip-block-with-out-of-order-chunks', { hidden: true, help: 'Marks blocks with out-of-order chunks no-compact rather than stop at them.' }) as Flag<boolean>,
  haltOnError: boolFlag('debug.halt-on-error', { default: true, hidden: true, help: 'Stays up when blocks contradict each other; otherwise the process ends.' }) as Flag<boolean>,
  acceptMalformedIndex: boolFlag('debug.accept-malformed-index', { hidden: true, help: 'Lets label names out of order pass.' }) as Flag<boolean>,
  maxCompactionLevel: intFlag('debug.max-compaction-level', { default: 4, min: 0, max: 4, hidden: true, help: 'Most compactions of a sample: 0 (1h), 1 (2h), 2 (8h), 3 (2d), 4 (14d).' }) as Flag<number>,
  hashFunc: enumFlag('hash-func', ['SHA256', ''], { default: '', help: 'Hash of uploaded files to note in meta.json: SHA256, or none.' }) as Flag<'SHA256' | ''>,
  minTime: timeOrDurationFlag('min-time', { default: '0000-01-01T00:00:00Z', help: 'Start of the time range whose blocks are compacted: RFC 3339, or a duration relative to now such as -1d.' }) as Flag<TimeOrDuration>,
  maxTime: timeOrDurationFlag('max-time', { default: '9999-12-31T23:59:59Z', help: 'End of that range.' }) as Flag<TimeOrDuration>,
  selectorRelabelConfig: selectorRelabelFlag('blocks') as Flag<PathOrContent>,
  webDisable: boolFlag('web.disable', { help: 'Serves neither the status page nor the API.' }) as Flag<boolean>,
  webRoutePrefix: stringFlag('web.route-prefix', { default: '', help: 'Prefix of the page and the API; default the path of --web.external-prefix.' }) as Flag<string>,
  webExternalPrefix: stringFlag('web.external-prefix', { default: '', help: 'Path the page is reached under, behind a reverse proxy that strips it.' }) as Flag<string>,
  webPrefixHeader: stringFlag('web.prefix-header', { default: '', help: 'Accepted for compatibility: the page has only relative links.' }) as Flag<string>,
  webDisableCors: boolFlag('web.disable-cors', { help: 'Sends no CORS headers.' }) as Flag<boolean>,
  bucketWebLabel: stringFlag('bucket-web-label', { default: '', help: 'External label that groups blocks in a block viewer.' }) as Flag<string>,
  disableAdminOperations: boolFlag('disable-admin-operations', { help: 'Refuses to mark blocks through the API.' }) as Flag<boolean>,
  profiling: boolFlag('debug.profiling', { hidden: true, help: 'Serves CPU and heap profiles under /debug/pprof.' }) as Flag<boolean>,
};

type AllFlags = CommonFlags & HttpFlags & typeof ownFlags;

/** All flags of the compactor; mapped, since interfaces are no flag tables. */
export type CompactorFlags = { readonly [Name in keyof AllFlags]: AllFlags[Name] };

/** See the head of this file. */
export const compactorFlags: CompactorFlags = { ...commonFlags, ...httpFlags, ...ownFlags };

/** Values of all flags. */
export type CompactorConfig = FlagValues<CompactorFlags>;
