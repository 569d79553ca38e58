/** Flags of `gauntlet standalone`. The only reader of argv in this package. */
import {
  boolFlag,
  bytesFlag,
  durationFlag,
  enumFlag,
  enumsFlag,
  type Flag,
  type FlagValues,
  intFlag,
  LOG_FORMATS,
  type LogFormat,
  type LogLevel,
  type PathOrContent,
  pathOrContentFlag,
  stringFlag,
  stringsFlag,
} from '@gauntlet/service-kit';
import { STORAGE_FEATURES, type StorageFeature } from './replica/storage-options.ts';

const WAL_COMPRESSION_TYPES = ['snappy', 'none'] as const;
type WalCompressionType = (typeof WAL_COMPRESSION_TYPES)[number];

/** All flags. A type, since interfaces are no flag tables. */
export type StandaloneFlags = {
  readonly httpAddress: Flag<string>;
  readonly grpcAddress: Flag<string>;
  readonly dataDir: Flag<string>;
  readonly scrapeIntervalMs: Flag<number>;
  readonly scrapeConfig: Flag<PathOrContent>;
  readonly sampleService: Flag<boolean>;
  readonly backfill: Flag<boolean>;
  readonly ruleFiles: Flag<readonly string[]>;
  readonly evalIntervalMs: Flag<number>;
  readonly alertmanagerUrls: Flag<readonly string[]>;
  readonly retentionMs: Flag<number>;
  readonly localRetentionMs: Flag<number>;
  readonly retentionBytes: Flag<number>;
  readonly headSeriesLimit: Flag<number>;
  readonly walCompressionType: Flag<WalCompressionType>;
  readonly enableFeatures: Flag<readonly StorageFeature[]>;
  readonly blockDurationMs: Flag<number>;
  readonly shipIntervalMs: Flag<number>;
  readonly compactIntervalMs: Flag<number>;
  readonly deleteDelayMs: Flag<number>;
  readonly ackLog: Flag<boolean>;
  readonly logLevel: Flag<LogLevel>;
  readonly logFormat: Flag<LogFormat>;
};

/** See the head of this file. */
export const standaloneFlags: StandaloneFlags = {
  httpAddress: stringFlag('http-address', { default: '127.0.0.1:10902', help: 'Listen host:port for the page and the HTTP API.' }),
  grpcAddress: stringFlag('grpc-address', { default: '127.0.0.1:10901', help: 'Listen ip:port for gRPC (StoreAPI over everything here).' }),
  dataDir: stringFlag('data-dir', { default: './data', help: 'Folder for everything that is kept: two replicas, results of rules, rule files, the bucket, caches. Made when missing.' }),
  scrapeIntervalMs: durationFlag('scrape.interval', { default: '5s', help: 'How often the built-in targets are scraped, and default interval of --scrape.config.' }),
  scrapeConfig: pathOrContentFlag('scrape.config', { help: 'YAML file with own targets: global, scrape_configs with static_configs, and storage, as in the configuration of Prometheus.' }),
  sampleService: boolFlag('sample-service', { default: true, help: 'Runs and scrapes a sample web shop, so that there is something to look at.' }),
  backfill: boolFlag('backfill', { default: true, help: 'At the first start, fills the bucket with two days of generated history of the sample shop.' }),
  ruleFiles: stringsFlag('rule-file', { help: 'Rule file, or a pattern of such, beside those of <data-dir>/rules/*.yml (repeatable). They are read at the start and at SIGHUP.' }),
  evalIntervalMs: durationFlag('eval-interval', { default: '15s', help: 'Evaluation interval of rule groups that give none.' }),
  alertmanagerUrls: stringsFlag('alertmanagers.url', { help: 'URL of an Alertmanager that gets the alerts (repeatable).', secret: true }),
  retentionMs: durationFlag('retention', { default: '0s', help: 'How long samples are kept in the bucket, counted from the end of their block; 0s is for ever.' }),
  localRetentionMs: durationFlag('tsdb.retention', { default: '6h', help: 'How long a replica keeps blocks that it has uploaded; three minutes at least. What is in the bucket is kept for --retention.' }),
  retentionBytes: bytesFlag('storage.tsdb.retention.size', { default: '0B', help: 'Most bytes that the blocks and the log of one replica may take; the oldest blocks that it has uploaded go first. 0 is no limit.' }),
  headSeriesLimit: intFlag('storage.tsdb.head-series-limit', { default: 0, min: 0, help: 'Most series a replica holds in memory; samples of further ones are not taken. 0 is no limit.' }),
  walCompressionType: enumFlag('storage.tsdb.wal-compression-type', WAL_COMPRESSION_TYPES, { default: 'snappy', help: 'Compression of the log of a replica: snappy or none.' }),
  enableFeatures: enumsFlag('enable-feature', STORAGE_FEATURES, {
    default: [],
    commas: true,
    help: 'Features of replicas to turn on, by their names in Prometheus (repeatable): exemplar-storage, metadata-wal-records, st-storage (blocks of Prometheus 3.14 that Thanos does not read).',
  }),
  blockDurationMs: durationFlag('tsdb.block-duration', { default: '2h', help: 'Range of a block cut from a head; for tests.', hidden: true }),
  shipIntervalMs: durationFlag('shipper.interval', { default: '30s', help: 'Time between looks for blocks to cut and upload.', hidden: true }),
  compactIntervalMs: durationFlag('compact.wait-interval', { default: '5m', help: 'Time between two runs of the compactor; for tests.', hidden: true }),
  deleteDelayMs: durationFlag('delete-delay', { default: '10m', help: 'Time from the compaction of a block to its deletion; for tests.', hidden: true }),
  ackLog: boolFlag('debug.ack-log', { help: 'Writes what each replica has acknowledged to <data-dir>/ack-<replica>.log, and the ruler to <data-dir>/ruler/ack.log; for tests.', hidden: true }),
  logLevel: enumFlag('log.level', ['error', 'warn', 'info', 'debug'], { default: 'warn', help: 'Least level of log lines that are written: error, warn, info or debug.' }),
  logFormat: enumFlag('log.format', LOG_FORMATS, { default: 'logfmt', help: 'Format of log lines: logfmt, json or journald.' }),
};

/** Values of all flags. */
export type StandaloneConfig = FlagValues<StandaloneFlags>;
