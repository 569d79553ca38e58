/** Composition root of the querier: builds and wires everything, starts and stops it in order. */
import { totalmem } from 'node:os';
import { API_DEFAULTS } from '@gauntlet/http-api';
import { type Labels, labelsFromPairs } from '@gauntlet/model';
import {
  BUILD_INFO,
  type FileDiscovery,
  type Logger,
  type Metrics,
  type RunPart,
  ServiceKitError,
  createDnsProvider,
  createFileDiscovery,
  createGrpcServer,
  grpcServerSettings,
  createHttpServer,
  createMemoryLedger,
  createProbe,
  createTracing,
  detectMemoryLimit,
  joinHostPort,
  loadProtos,
  parseListenAddress,
  parseRequestLogging,
  showBytes,
  watchFiles,
} from '@gauntlet/service-kit';
import { createInfoService, createRulesFrameService, createStoreService, infoToMessage } from '@gauntlet/storeapi';
import { type EndpointSpec, endpointsOfFlags, parseEndpointConfig, tlsOfFlags } from './endpoint-config.ts';
import { EndpointSet } from './endpoint-set.ts';
import type { QuerierConfig } from './flags.ts';
import { addApiRoutes } from './http-routes.ts';
import { createQuerierRules } from './querier-rules.ts';
import { createQuerierStore } from './querier-store.ts';
import { createQueryRunner } from './query-runner.ts';
import type { WorkerSettings } from './query-task.ts';
import { StoreClients } from './store-clients.ts';
import { addUiRoutes } from './ui-routes.ts';

export interface QuerierDeps {
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Unix ms. */
  readonly clock: () => number;
  /** Flags as shown by /api/v1/status/flags. */
  readonly shownFlags: Readonly<Record<string, string>>;
  /** Folder of the built page. */
  readonly uiDir: string;
  /** Built query worker. */
  readonly workerModule: URL;
}

export interface Querier {
  /** In starting order, for a run group. */
  readonly parts: readonly RunPart[];
  /** `host:port` of the HTTP server; after its part has started. */
  httpAddress(): string;
  /** `host:port` of the gRPC server; likewise. */
  grpcAddress(): string;
  readonly endpoints: EndpointSet;
}

/** Less holds no query, more has no address in a WebAssembly memory; bytes. */
const QUERY_BYTES_MIN = 1 << 20;
const QUERY_BYTES_MAX = 4 * 2 ** 30;

/** @throws ServiceKitError for what is not there yet, or makes no sense, named */
function refuseUnsupported(config: QuerierConfig): void {
  const refuse = (flag: string, why: string): never => {
    throw new ServiceKitError('ERR_UNSUPPORTED', `--${flag}: ${why}`);
  };
  if (config.queryMode === 'distributed') refuse('query.mode=distributed', 'distributed mode is not there yet; use local');
  if (config.enforceTenancy) refuse('query.enforce-tenancy', 'tenancy is not there yet');
  if (config.tenantCertificateField !== '') refuse('query.tenant-certificate-field', 'tenancy is not there yet');
  if (config.selectorRelabelConfig.isSet) refuse('selector.relabel-config', 'relabelling of stores is not there yet');
  if (config.maxMemoryBytes < QUERY_BYTES_MIN || config.maxMemoryBytes > QUERY_BYTES_MAX) refuse('query.max-memory', `wanted 1MiB to 4GiB, got ${showBytes(config.maxMemoryBytes)}`);
  if (config.grpcCompression === 'snappy') refuse('grpc-compression=snappy', 'the gRPC library has no framed snappy; use none');
}

/**
 * Builds a querier that does nothing yet; start its parts in order.
 * @throws ServiceKitError, ConfigError for flags and files that make no sense
 */
export async function createQuerier(config: QuerierConfig, deps: QuerierDeps): Promise<Querier> {
  refuseUnsupported(config);
  const { log, metrics, clock } = deps;
  const component = 'query';
  const probe = createProbe({ component, log, metrics });
  const tracing = await createTracing({ text: config.tracingConfig.content(), source: config.tracingConfig.source, component, version: BUILD_INFO.version, log });
  const requestLogging = parseRequestLogging(config.requestLoggingConfig.content(), config.requestLoggingConfig.source);

  const clients = new StoreClients(clock);
  const sources = createEndpointSources(config, log);
  const endpoints = new EndpointSet({
    specs: () => sources.specs(),
    clients,
    resolver: createDnsProvider({ log, metrics: metrics.withPrefix('thanos_query_endpoints_') }),
    infoTimeoutMs: config.endpointInfoTimeoutMs,
    unhealthyTimeoutMs: config.storeUnhealthyTimeoutMs,
    dnsIntervalMs: config.storeSdDnsIntervalMs,
    clock,
    log,
    metrics,
    connMetricLabels: config.connMetricLabels,
  });

  const limit = detectMemoryLimit();
  const totalBytes = config.maxTotalMemoryBytes > 0 ? config.maxTotalMemoryBytes : Math.floor(Math.min(limit.bytes, totalmem()) / 2);
  const ledger = createMemoryLedger({ processBytesMax: totalBytes, accountsMax: 1024, processFlag: 'query.max-total-memory', queryFlag: 'query.max-memory' });
  const settings: WorkerSettings = {
    defaults: {
      ...API_DEFAULTS,
      partialResponse: config.partialResponse,
      stepMs: config.defaultStepMs,
      autoDownsampling: config.autoDownsampling,
      instantMaxResolutionMs: config.instantMaxResolutionMs,
      replicaLabels: config.replicaLabels,
      metadataRangeMs: config.metadataDefaultRangeMs,
      engine: config.promqlEngine,
    },
    rulePartialResponse: config.rulePartialResponse,
    exemplarPartialResponse: config.exemplarPartialResponse,
    dedupFunction: config.dedupFunction,
    timeoutMs: config.timeoutMs,
    maxSamples: config.maxSamples,
    maxSeries: config.maxSeries,
    maxMemoryBytes: Math.min(config.maxMemoryBytes, totalBytes),
    lookbackDeltaMs: config.lookbackDeltaMs,
    dynamicLookback: config.dynamicLookback,
    defaultEvaluationIntervalMs: config.defaultEvaluationIntervalMs,
    parser: { experimentalFunctions: config.enableFeatures.includes('promql-experimental-functions'), xFunctions: config.enableXFunctions },
    responseTimeoutMs: config.storeResponseTimeoutMs,
    proxyStrategy: config.proxyStrategy,
    selectorLabels: config.selectorLabels,
    storeLimits: { seriesMax: config.storeLimitSeries, samplesMax: config.storeLimitSamples },
    ledger: ledger.share,
  };
  const runner = createQueryRunner({ settings, maxConcurrent: config.maxConcurrent, ledger, log, metrics, module: deps.workerModule });

  const http = createHttpServer({
    address: config.httpAddress,
    gracePeriodMs: config.httpGracePeriodMs,
    webConfigPath: config.httpConfig,
    component,
    log,
    metrics,
    probe,
    requestLogging,
    tracing,
    profiling: config.profiling,
    clock,
  });
  const external = trimPrefix(config.webExternalPrefix);
  const prefix = config.webRoutePrefix === '' ? external : trimPrefix(config.webRoutePrefix);
  const startedMs = clock();
  addApiRoutes({
    server: http,
    runner,
    endpoints,
    settings,
    clock,
    prefix,
    disableCors: config.webDisableCors,
    tenantHeader: config.tenantHeader,
    defaultTenant: config.defaultTenantId,
    buildInfo: { version: BUILD_INFO.version, revision: BUILD_INFO.revision, branch: BUILD_INFO.branch, buildUser: '', buildDate: '', goVersion: `node${process.version}` },
    runtimeInfo: () => ({
      startTime: new Date(startedMs).toISOString(),
      CWD: process.cwd(),
      goroutineCount: runner.stats().workers + 1,
      GOMAXPROCS: settings.maxMemoryBytes > 0 ? runner.stats().workers : 0,
      GOGC: '',
      GODEBUG: '',
      GOMEMLIMIT: totalBytes,
    }),
    flags: deps.shownFlags,
  });
  addUiRoutes(http, deps.uiDir, prefix, external);

  const selectorLabels: Labels = labelsFromPairs(config.selectorLabels);
  const store = createQuerierStore({ runner, endpoints: () => endpoints.snapshot(), selectorLabels, defaultTenant: config.defaultTenantId });
  const grpc = createGrpcServer({
    ...grpcServerSettings(config),
    component,
    log,
    metrics,
    probe,
    protos: loadProtos(['store', 'rules', 'info']),
    requestLogging,
    tracing,
    clock,
  });
  const rules = createQuerierRules({ runner, endpoints: () => endpoints.rulesSnapshot(), defaultTenant: config.defaultTenantId });
  const info = createInfoService(() => (probe.isReady ? { ...infoToMessage(store.info()), rules: {} } : undefined));
  for (const service of [createStoreService(store), createRulesFrameService(rules), info]) grpc.addService(service.methods, service.handlers);

  return {
    endpoints,
    httpAddress: () => joinHostPort(http.address().host, http.address().port),
    grpcAddress: () => joinHostPort(parseListenAddress(config.grpcAddress).host, grpc.port),
    parts: [
      { name: 'tracing', stop: () => tracing.close() },
      http,
      grpc,
      { name: 'query workers', start: () => runner.warmUp(), stop: () => runner.close() },
      {
        name: 'endpoints',
        async start() {
          await endpoints.start();
          probe.ready();
        },
        stop(reason) {
          probe.notReady(reason);
          endpoints.stop();
          sources.stop();
        },
      },
    ],
  };
}

function trimPrefix(text: string): string {
  const path = text.includes('://') ? new URL(text).pathname : text;
  const trimmed = path.replace(/^\/+|\/+$/g, '');
  return trimmed === '' ? '' : `/${trimmed}`;
}

/** Flags, the endpoint file and target files, each read again when it changes. */
function createEndpointSources(config: QuerierConfig, log: Logger): { specs(): readonly EndpointSpec[]; stop(): void } {
  const fromFlags = endpointsOfFlags(config);
  const stops: (() => void)[] = [];
  let fromConfig: readonly EndpointSpec[] = [];
  const { endpointSdConfig } = config;
  if (endpointSdConfig.isSet) {
    const read = (): void => {
      fromConfig = parseEndpointConfig(endpointSdConfig.content(), endpointSdConfig.source);
    };
    read();
    if (endpointSdConfig.path !== undefined) {
      const { path } = endpointSdConfig;
      const watch = watchFiles({ paths: () => [path], onChange: read, log, intervalMs: Math.min(config.endpointSdReloadMs, 5000) });
      stops.push(() => watch.stop());
    }
  }
  let fromFiles: readonly EndpointSpec[] = [];
  if (config.storeSdFiles.length > 0) {
    const tls = tlsOfFlags(config);
    const discovery: FileDiscovery = createFileDiscovery({
      files: config.storeSdFiles,
      log,
      onTargets: (groups) => {
        fromFiles = groups.flatMap(({ targets }) => targets.map((address) => ({ address, isStrict: false, isGroup: false, tls })));
      },
    });
    stops.push(() => discovery.stop());
  }
  return {
    specs: () => [...fromFlags, ...fromConfig, ...fromFiles],
    stop: () => stops.forEach((stop) => stop()),
  };
}
