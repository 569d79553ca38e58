export {
  ConfigError,
  ConfigReader,
  YAML_DEPTH_MAX,
  YAML_NODES_MAX,
  decodeYaml,
  type ConfigIssue,
  type Schema,
  type YamlNode,
} from './config-yaml.ts';
export type { Deferred, ObjectValue, SchemaFields, SchemaValue } from './config-schema.ts';
export * as schema from './config-schema.ts';
export { formatDurationText, parseDurationText, parseSizeText } from './duration-text.ts';
export { ServiceKitError, errorText, systemErrorCode, type ServiceKitErrorCode } from './errors.ts';
export {
  TLS_VERSIONS,
  commonFlags,
  grpcClientFlags,
  grpcServerFlags,
  httpFlags,
  objstoreFlag,
  requestLoggingFlags,
  selectorRelabelFlag,
  type CommonFlags,
  type GrpcClientFlags,
  type GrpcServerFlags,
  type HttpFlags,
  type RequestLoggingFlags,
  type TlsVersion,
} from './flag-groups.ts';
export { renderFlagsMarkdown, renderHelp } from './flag-help.ts';
export { parseFlags, parseFlagsOrExit, type Command, type FlagOutcome } from './flag-parse.ts';
export {
  boolFlag,
  bytesFlag,
  durationFlag,
  enumFlag,
  enumsFlag,
  floatFlag,
  intFlag,
  labelsFlag,
  pathOrContentFlag,
  removedFlag,
  stringFlag,
  stringsFlag,
  timeOrDurationFlag,
  unquoteGo,
  urlFlag,
  type DefaultOptions,
  type Flag,
  type FlagOptions,
  type FlagTable,
  type FlagValues,
  type TimeOrDuration,
} from './flags.ts';
export {
  LOG_FORMATS,
  LOG_LEVELS,
  createLogger,
  createNopLogger,
  createStreamSink,
  type LogFields,
  type LogFormat,
  type LogLevel,
  type LogSink,
  type Logger,
  type LoggerOptions,
} from './log.ts';
export { METRICS_CONTENT_TYPES, renderMetrics, type MetricsPage } from './metrics-exposition.ts';
export {
  DEFAULT_BUCKETS,
  MetricRegistry,
  createMetrics,
  type Counter,
  type Gauge,
  type GaugeOptions,
  type Histogram,
  type HistogramOptions,
  type MetricFamilySnapshot,
  type MetricLabels,
  type MetricOptions,
  type MetricSample,
  type MetricSource,
  type Metrics,
} from './metrics.ts';
export { nearestName } from './nearest-name.ts';
export { PathOrContent, substituteEnvironment } from './path-or-content.ts';
export { registerProcessMetrics, type BuildInfo } from './process-metrics.ts';
export { Secret } from './secret.ts';
export { BUILD_INFO } from './build-info.ts';
