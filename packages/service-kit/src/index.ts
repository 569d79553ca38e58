/** The seam of service-kit. README.md has the reading order. */
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
  grpcServerSettings,
  httpFlags,
  objstoreFlag,
  requestLoggingFlags,
  selectorRelabelFlag,
  type CommonFlags,
  type GrpcClientFlags,
  type GrpcServerFlags,
  type GrpcServerValues,
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
export { createBasicAuth, createPasswordWorker, type BasicAuth, type ComparePassword } from './basic-auth.ts';
export { detectMemoryLimit, type MemoryLimit, type MemoryLimitOptions } from './cgroup.ts';
export {
  DNS_QUERY_TYPES,
  DnsProvider,
  createDnsLookups,
  createDnsProvider,
  isDynamicAddress,
  joinHostPort,
  resolveDns,
  splitDnsPrefix,
  splitHostPort,
  type DnsLookups,
  type DnsProviderDeps,
  type DnsQueryType,
} from './dns.ts';
export { createFileDiscovery, expandGlob, readTargets, type FileDiscovery, type FileDiscoveryOptions, type TargetGroup } from './file-discovery.ts';
export { createNodeFileSystem, type NodeFileHandle, type NodeFileStat, type NodeFileSystem, type NodeFileSystemOptions } from './file-system.ts';
export { digestFiles, watchFiles, type FileWatch, type FileWatchOptions } from './file-watch.ts';
export { createGate, type Gate, type GateOptions } from './gate.ts';
export { GRPC_MESSAGE_BYTES_MAX, GRPC_WINDOW_BYTES, openGrpcChannel, type CallSettings, type GrpcChannel, type GrpcChannelOptions } from './grpc-channel.ts';
export { GRPC_CODE_NAMES, GrpcMetrics, createGrpcMetrics, grpcCodeName, type CallMeter, type MethodShape } from './grpc-metrics.ts';
export { FramedMessage, GRPC_HEADER_BYTES } from './framed-message.ts';
export { GrpcServer, REQUEST_ID_KEY, createGrpcServer, metadataText, type GrpcServerOptions } from './grpc-server.ts';
export { createHttpClient, httpAuthorization, type HttpClient, type HttpClientAnswer, type HttpClientDeps, type HttpClientRequest } from './http-client.ts';
export { DEFAULT_HTTP_CLIENT, httpClientSchema, type HttpClientSettings, type HttpCredentials } from './http-client-config.ts';
export { HttpServer, createHttpServer, parseListenAddress, requestFacts, type HttpServerOptions, type RequestFacts } from './http-server.ts';
export {
  loadProtos,
  longToNumber,
  numberToLong,
  withCodec,
  type GrpcImplementation,
  type GrpcMethod,
  type GrpcService,
  type LoadedProtos,
  type MethodCodec,
} from './load-protos.ts';
export {
  MemoryAccount,
  MemoryLedger,
  MemoryLimitError,
  createMemoryLedger,
  showBytes,
  type MemoryLedgerOptions,
  type MemoryLedgerShare,
} from './memory-ledger.ts';
export { Probe, createProbe, type ProbeDeps } from './probe.ts';
export { createRequestId } from './request-id.ts';
export { NO_REQUEST_LOGGING, parseRequestLogging, type RequestLogRule, type RequestLogging } from './request-logging.ts';
export { createRunGroup, type RunGroup, type RunGroupDeps, type RunPart, type SignalSource } from './run-group.ts';
export { readClientTls, readServerTls, tlsFiles, type ClientTlsOptions, type ServerTlsOptions } from './tls.ts';
export { contextFromHeader, headerFromContext } from './trace-context.ts';
export {
  FORCE_TRACING_HEADER,
  TRACE_ID_HEADER,
  createTracing,
  tracingOver,
  type TraceSpan,
  type Tracing,
  type TracingOptions,
} from './tracing.ts';
export { EMPTY_WEB_CONFIG, parseWebConfig, readWebConfig, type ClientAuthType, type WebConfig } from './web-config.ts';
export {
  WorkerTaskError,
  createWorkerPool,
  type RunOptions,
  type TaskErrorData,
  type WorkerKind,
  type WorkerPool,
  type WorkerPoolOptions,
  type WorkerPoolStats,
} from './worker-pool.ts';
export { poolData, serveTasks, taskErrorData, type TaskAnswer, type WorkerTask } from './worker-task.ts';
