/** Flags of `gauntlet sidecar`, names and defaults as `thanos sidecar` has them. The only reader of the command line. */
import {
  boolFlag,
  commonFlags,
  type CommonFlags,
  durationFlag,
  enumFlag,
  type Flag,
  type FlagValues,
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
  stringFlag,
  stringsFlag,
  type TimeOrDuration,
  timeOrDurationFlag,
  urlFlag,
} from '@gauntlet/service-kit';

/** Flags of the sidecar alone. */
export interface SidecarOwnFlags {
  readonly prometheusUrl: Flag<URL>;
  readonly prometheusReadyTimeoutMs: Flag<number>;
  readonly prometheusGetConfigIntervalMs: Flag<number>;
  readonly prometheusGetConfigTimeoutMs: Flag<number>;
  readonly prometheusHttpClient: Flag<PathOrContent>;
  readonly tsdbPath: Flag<string>;
  readonly objstoreConfig: Flag<PathOrContent>;
  readonly minTime: Flag<TimeOrDuration>;
  readonly shipperUploadCompacted: Flag<boolean>;
  readonly shipperIgnoreUnequalBlockSize: Flag<boolean>;
  readonly shipperAllowOutOfOrderUploads: Flag<boolean>;
  readonly shipperSkipCorruptedBlocks: Flag<boolean>;
  readonly shipperMetaFileName: Flag<string>;
  readonly shipperUploadConcurrency: Flag<number>;
  readonly hashFunc: Flag<'SHA256' | ''>;
  readonly limitsRequestSeries: Flag<number>;
  readonly limitsRequestSamples: Flag<number>;
  readonly reloaderConfigFile: Flag<string>;
  readonly reloaderConfigEnvsubstFile: Flag<string>;
  readonly reloaderRuleDirs: Flag<readonly string[]>;
  readonly reloaderWatchIntervalMs: Flag<number>;
  readonly reloaderRetryIntervalMs: Flag<number>;
  readonly reloaderMethod: Flag<'http' | 'signal'>;
  readonly reloaderProcessName: Flag<string>;
}

type AllFlags = CommonFlags & HttpFlags & GrpcServerFlags & RequestLoggingFlags & SidecarOwnFlags;

/** All flags; mapped, since a flag table is indexed by name and interfaces are not. */
export type SidecarFlags = { readonly [K in keyof AllFlags]: AllFlags[K] };

/** The flag table of `gauntlet sidecar`. */
export const sidecarFlags: SidecarFlags = {
  ...commonFlags,
  ...httpFlags,
  ...grpcServerFlags,
  ...requestLoggingFlags,
  prometheusUrl: urlFlag('prometheus.url', { default: 'http://localhost:9090', help: 'URL of the Prometheus API, with a path prefix if it has one.' }),
  prometheusReadyTimeoutMs: durationFlag('prometheus.ready_timeout', { default: '10m', help: 'Most time to wait for Prometheus before uploads are given up.' }),
  prometheusGetConfigIntervalMs: durationFlag('prometheus.get_config_interval', { default: '30s', help: 'How often Prometheus is asked for its configuration.' }),
  prometheusGetConfigTimeoutMs: durationFlag('prometheus.get_config_timeout', { default: '30s', help: 'Most time for one such question.' }),
  prometheusHttpClient: pathOrContentFlag('prometheus.http-client', { help: 'YAML with credentials, TLS and transport settings towards Prometheus.', secret: true }),
  tsdbPath: stringFlag('tsdb.path', { default: './data', help: 'Data directory of Prometheus.' }),
  objstoreConfig: objstoreFlag(false),
  minTime: timeOrDurationFlag('min-time', { default: '0000-01-01T00:00:00Z', help: 'Start of the time range served: RFC 3339, or a duration relative to now such as -1d.' }),
  shipperUploadCompacted: boolFlag('shipper.upload-compacted', { help: 'Upload compacted blocks too. For a migration; Prometheus must not compact.' }),
  shipperIgnoreUnequalBlockSize: boolFlag('shipper.ignore-unequal-block-size', { hidden: true, help: 'Accept a Prometheus that compacts; blocks it compacts before their upload are lost to the bucket.' }),
  shipperAllowOutOfOrderUploads: boolFlag('shipper.allow-out-of-order-uploads', { hidden: true, help: 'A block that cannot be uploaded does not hold back newer ones.' }),
  shipperSkipCorruptedBlocks: boolFlag('shipper.skip-corrupted-blocks', { hidden: true, help: 'A damaged block does not hold back others.' }),
  shipperMetaFileName: stringFlag('shipper.meta-file-name', { default: 'thanos.shipper.json', help: 'File in the data directory that says which blocks are uploaded.' }),
  shipperUploadConcurrency: intFlag('shipper.upload-concurrency', { default: 0, min: 0, help: 'Files of a block uploaded at once; 0 is one.' }),
  hashFunc: enumFlag('hash-func', ['SHA256', ''], { default: '', help: 'Hash of uploaded files to note in meta.json: SHA256, or none.' }),
  limitsRequestSeries: intFlag('store.limits.request-series', { default: 0, min: 0, help: 'Most series for one Series call; 0 has no limit.' }),
  limitsRequestSamples: intFlag('store.limits.request-samples', { default: 0, min: 0, help: 'Most samples for one Series call, a chunk counted as 120; 0 has no limit.' }),
  reloaderConfigFile: stringFlag('reloader.config-file', { default: '', help: 'Configuration file that is watched.' }),
  reloaderConfigEnvsubstFile: stringFlag('reloader.config-envsubst-file', { default: '', help: 'Where the configuration file is written with $(VARIABLES) replaced.' }),
  reloaderRuleDirs: stringsFlag('reloader.rule-dir', { help: 'Rule directories that are watched (repeatable).' }),
  reloaderWatchIntervalMs: durationFlag('reloader.watch-interval', { default: '3m', help: 'How often configuration and rules are looked at; 0 applies them once.' }),
  reloaderRetryIntervalMs: durationFlag('reloader.retry-interval', { default: '5s', help: 'How soon a failed reload is tried again.' }),
  reloaderMethod: enumFlag('reloader.method', ['http', 'signal'], { default: 'http', help: 'How Prometheus is told to reload: http or signal.' }),
  reloaderProcessName: stringFlag('reloader.process-name', { default: 'prometheus', help: 'Executable that gets the signal.' }),
};

/** Values of all flags: the configuration of a sidecar. */
export type SidecarConfig = FlagValues<SidecarFlags>;
