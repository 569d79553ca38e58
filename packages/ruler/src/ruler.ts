/**
 * Composition root of the ruler.
 *
 *   main thread      HTTP · gRPC (Store, Rules, Info) · probes · DNS and target files · shipper
 *   thread of rules  database · evaluation · queries · alerts                     (rules-engine.ts)
 *
 * Order of the start: HTTP (healthy) → database → addresses → rule files → evaluation → gRPC (ready) → blocks.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleepFor } from 'node:timers/promises';
import { createHandOver, createShipper } from '@gauntlet/block';
import { formatDuration, isValidLabelName, type Labels, labelsFromPairs, MAX_TIME_MS } from '@gauntlet/model';
import { type Bucket, createBucketFromConfig } from '@gauntlet/objstore';
import {
  BUILD_INFO,
  createGrpcServer,
  createHttpServer,
  createProbe,
  createTracing,
  errorText,
  grpcServerSettings,
  joinHostPort,
  loadProtos,
  type Logger,
  type MetricFamilySnapshot,
  type Metrics,
  parseListenAddress,
  parseRequestLogging,
  type RunPart,
  type Tracing,
} from '@gauntlet/service-kit';
import { createInfoService, createRulesFrameService, createStoreService, createWorkerStore, type FramesPiece, infoToMessage, type StoreInfo, streamPieces, unpackFrames } from '@gauntlet/storeapi';
import { alertmanagers, parseAlertRelabel } from './alertmanager-config.ts';
import { createEndpointDiscovery } from './endpoint-discovery.ts';
import { RulerError } from './errors.ts';
import type { RulerConfig } from './flags.ts';
import { createGeneratorUrl } from './generator-url.ts';
import { addRoutes } from './http-routes.ts';
import { queryEndpoints } from './query-config.ts';
import type { ReloadAnswer, RulesSettings } from './rules-protocol.ts';
import { createRulesThread, type RulesThread } from './rules-thread.ts';

const COMPONENT = 'rule';
/** A page of metrics does not wait longer for the thread of the rules. */
const METRICS_MS = 10_000;
/** Of this package's build, also for sources that run unbuilt. */
const WORKER_MODULE: URL = new URL('../dist/rules-worker.js', import.meta.url);

/** What a ruler is built with. */
export interface RulerDeps {
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Unix ms. */
  readonly clock: () => number;
  /** Flags as `/api/v1/status/flags` shows them. */
  readonly shownFlags: Readonly<Record<string, string>>;
  readonly tracing?: Tracing;
  /** Takes the place of the configured bucket; closed with the ruler. */
  readonly bucket?: Bucket;
  /** Built worker module; default: that of this package's build. */
  readonly workerModule?: URL;
}

/** A ruler, not started: its parts go into a run group in this order. */
export interface Ruler {
  readonly parts: readonly RunPart[];
  /** `host:port`; after the start. */
  httpAddress(): string;
  /** `host:port`; after the start. */
  grpcAddress(): string;
  /** Reads the rule files again: SIGHUP. Problems are logged and in the answer. */
  reload(): Promise<ReloadAnswer>;
}

/**
 * Builds a ruler that does nothing yet.
 * @throws RulerError, ConfigError, ServiceKitError for flags and files that cannot work
 */
export async function createRuler(config: RulerConfig, deps: RulerDeps): Promise<Ruler> {
  const { log, metrics, clock } = deps;
  refuseUnsupported(config);
  const externalLabels = readExternalLabels(config);
  const queries = queryEndpoints(config);
  const managers = alertmanagers(config);
  if (managers.length === 0) log.warn('no alertmanager configured');
  if (config.retentionMs > 0 && config.retentionMs < config.forOutageToleranceMs) {
    log.warn('--tsdb.retention is shorter than --for-outage-tolerance: the state of "for" may be deleted before it is restored', { retention: formatDuration(config.retentionMs), tolerance: formatDuration(config.forOutageToleranceMs) });
  }
  createGeneratorUrl(config.alertQueryUrl, config.alertQueryTemplate);
  const settings: RulesSettings = {
    dataDir: config.dataDir,
    externalLabels,
    database: {
      blockRangeMs: config.blockDurationMs,
      retentionMs: config.retentionMs,
      walCompression: config.walCompression ? 'snappy' : 'none',
      hasLock: !config.noLockfile,
      keepsUntilHandedOver: deps.bucket !== undefined || config.objstoreConfig.content().trim() !== '',
    },
    ackLogPath: config.ackLog ? join(config.dataDir, 'ack.log') : undefined,
    ruleFiles: config.ruleFiles,
    parser: { experimentalFunctions: config.enableFeatures.includes('promql-experimental-functions'), xFunctions: config.enableXFunctions },
    manager: {
      defaultIntervalMs: config.evalIntervalMs,
      queryOffsetMs: config.queryOffsetMs,
      resendDelayMs: config.resendDelayMs,
      forOutageToleranceMs: config.forOutageToleranceMs,
      forGracePeriodMs: config.forGracePeriodMs,
      concurrency: config.concurrentEvaluation,
    },
    query: { clients: queries.map(({ client }) => client), method: config.queryHttpMethod, onlyPrometheusParams: config.onlyPrometheusParams },
    alerts: {
      alertmanagers: managers.map(({ endpoints, timeoutMs, api }) => ({ client: endpoints.client, timeoutMs, api })),
      queryUrl: config.alertQueryUrl,
      queryTemplate: config.alertQueryTemplate,
      dropLabels: config.alertLabelDrop,
      relabel: parseAlertRelabel(config.alertRelabelConfig.content(), config.alertRelabelConfig.source),
    },
    limits: { seriesMax: config.limitSeries, samplesMax: config.limitSamples },
    log: { level: config.logLevel, format: config.logFormat, name: config.debugName },
  };
  const rules = createRulesThread(settings, deps.workerModule ?? WORKER_MODULE);
  const reload = createReload(rules);
  metrics.registry.addSource(() => metricsOf(rules, log));

  const probe = createProbe({ component: COMPONENT, log, metrics });
  const tracing = deps.tracing ?? (await createTracing({ text: config.tracingConfig.content(), source: config.tracingConfig.source, component: COMPONENT, version: BUILD_INFO.version, log }));
  const requestLogging = parseRequestLogging(config.requestLoggingConfig.content(), config.requestLoggingConfig.source);
  const shared = { component: COMPONENT, log, metrics, probe, requestLogging, tracing, clock };
  const http = createHttpServer({ ...shared, address: config.httpAddress, gracePeriodMs: config.httpGracePeriodMs, webConfigPath: config.httpConfig, profiling: config.profiling });
  const external = trimPrefix(config.webExternalPrefix);
  const startedMs = clock();
  addRoutes({
    server: http,
    rules,
    reload,
    prefix: trimPrefix(config.webRoutePrefix),
    externalPrefix: external === '' ? trimPrefix(config.webRoutePrefix) : external,
    prefixHeader: external === '' ? config.webPrefixHeader : '',
    disableCors: config.webDisableCors,
    buildInfo: { version: BUILD_INFO.version, revision: BUILD_INFO.revision, branch: BUILD_INFO.branch, buildUser: '', buildDate: '', goVersion: `node${process.version}` },
    runtimeInfo: () => ({ startTime: new Date(startedMs).toISOString(), CWD: process.cwd(), goroutineCount: 2, GOMAXPROCS: 2, GOGC: '', GODEBUG: '', GOMEMLIMIT: 0 }),
    flags: deps.shownFlags,
  });

  const info = (): StoreInfo => storeInfo(externalLabels, rules.facts().mint);
  const store = createWorkerStore({ run: (call, transport) => rules.call({ kind: 'store', call }, transport), info });
  const grpc = createGrpcServer({ ...grpcServerSettings(config), ...shared, protos: loadProtos(['store', 'info']) });
  for (const service of [
    createStoreService(store),
    createRulesFrameService(async function* (request, options) {
      for await (const piece of streamPieces((transport) => rules.call({ kind: 'rules', type: request.type }, transport), options.signal)) yield* unpackFrames(piece as FramesPiece);
    }),
    createInfoService(() => (probe.isReady ? { ...infoToMessage(info()), rules: {} } : undefined)),
  ]) {
    grpc.addService(service.methods, service.handlers);
  }

  const queryDiscovery = createEndpointDiscovery(queries, config.querySdDnsIntervalMs, {
    log,
    metrics: metrics.withPrefix('thanos_rule_query_apis_'),
    onChange: (endpoints) => rules.setQueryEndpoints(endpoints),
  });
  const alertmanagerDiscovery = createEndpointDiscovery(
    managers.map(({ endpoints }) => endpoints),
    config.alertmanagersDnsIntervalMs,
    { log, metrics: metrics.withPrefix('thanos_rule_alertmanagers_'), onChange: (endpoints) => rules.setAlertmanagers(endpoints) },
  );
  const bucket = deps.bucket ?? (await openBucket(config, deps));
  if (bucket === undefined) log.info('no supported bucket was configured, uploads will be disabled');

  return {
    httpAddress: () => joinHostPort(http.address().host, http.address().port),
    grpcAddress: () => joinHostPort(parseListenAddress(config.grpcAddress).host, grpc.port),
    reload,
    parts: [
      // One that was given is closed by whoever gave it.
      ...(deps.tracing === undefined ? [{ name: 'tracing', stop: () => tracing.close() }] : []),
      { name: 'http server', start: () => http.start(), stop: (reason) => http.stop(reason) },
      { name: 'data directory', start: () => void mkdirSync(config.dataDir, { recursive: true }) },
      rules,
      { name: 'query discovery', start: () => queryDiscovery.start(), stop: () => queryDiscovery.stop() },
      { name: 'alertmanager discovery', start: () => alertmanagerDiscovery.start(), stop: () => alertmanagerDiscovery.stop() },
      {
        name: 'rule files',
        async start() {
          const { problems } = await reload();
          if (problems.length > 0) throw new RulerError('ERR_RULE_FILES', `load rule files: ${problems.join('; ')}`);
          await rules.evaluate();
        },
      },
      { name: 'gRPC server', start: () => grpc.start(), stop: (reason) => grpc.stop(reason) },
      { name: 'readiness', start: () => probe.ready(), stop: (reason) => probe.notReady(reason) },
      blocksPart(config, deps, rules, bucket, externalLabels),
    ],
  };
}

/** What this version does not have, named. */
function refuseUnsupported(config: RulerConfig): void {
  const refuse = (why: string): never => {
    throw new RulerError('ERR_CONFIG', why);
  };
  if (config.remoteWriteConfig.content().trim() !== '') refuse('--remote-write.config: stateless mode is not there yet; without this flag results are kept in the database of --data-dir');
}

function readExternalLabels(config: RulerConfig): Labels {
  const seen = new Set<string>();
  for (const [name] of config.labels) {
    if (!isValidLabelName(name, 'utf8')) throw new RulerError('ERR_CONFIG', `--label: ${JSON.stringify(name)} is not a label name`);
    if (seen.has(name)) throw new RulerError('ERR_CONFIG', `--label: ${name} is given twice`);
    seen.add(name);
  }
  return labelsFromPairs(config.labels);
}

async function openBucket(config: RulerConfig, { log, metrics }: RulerDeps): Promise<Bucket | undefined> {
  const text = config.objstoreConfig.content();
  if (text.trim() === '') return undefined;
  if (config.labels.length === 0) {
    throw new RulerError('ERR_CONFIG', 'no external labels configured: uploading blocks needs at least one --label, by which blocks of different rulers are told apart');
  }
  return createBucketFromConfig(text, { component: COMPONENT, source: config.objstoreConfig.source, log, metrics });
}

/** Reloads one after the other; those that come while one waits share it. */
function createReload(rules: RulesThread): () => Promise<ReloadAnswer> {
  let running: Promise<unknown> = Promise.resolve();
  let next: Promise<ReloadAnswer> | undefined;
  return () => {
    next ??= running.then(() => {
      const own = rules.reload();
      next = undefined;
      running = own.catch(() => undefined);
      return own;
    });
    return next;
  };
}

/** Cutting, uploading, and telling the database what may go, every round. */
function blocksPart(config: RulerConfig, { log, metrics, clock }: RulerDeps, rules: RulesThread, bucket: Bucket | undefined, externalLabels: Labels): RunPart {
  const shipper =
    bucket === undefined
      ? undefined
      : createShipper(
          { bucket, log, metrics, clock, labels: () => externalLabels },
          {
            dir: config.dataDir,
            source: 'ruler',
            uploadCompacted: config.uploadCompacted,
            allowOutOfOrderUploads: config.allowOutOfOrderUploads,
            skipCorruptedBlocks: config.skipCorruptedBlocks,
            hashFunc: config.hashFunc,
            metaFileName: config.shipperMetaFileName,
            ...(config.uploadConcurrency === 0 ? {} : { uploadConcurrency: config.uploadConcurrency }),
          },
        );
  const handOver = bucket === undefined ? undefined : createHandOver({ bucket, log, clock }, config.keepUploadedMs);
  return {
    name: 'blocks',
    run: async (signal) => {
      for (;;) {
        try {
          await rules.cut();
        } catch (error) {
          signal.throwIfAborted();
          log.error('cutting blocks', { err: error });
        }
        if (shipper !== undefined && handOver !== undefined) {
          try {
            await shipper.sync(signal);
          } catch (error) {
            signal.throwIfAborted();
            log.warn('shipping blocks', { err: error });
          }
          await rules.noteHandedOver([...(await handOver(await shipper.uploadedBlocks(), signal))]);
        }
        await sleepFor(config.blockRoundMs, undefined, { signal });
      }
    },
    stop: () => bucket?.close(),
  };
}

function storeInfo(labels: Labels, mint: number): StoreInfo {
  const range = { mint, maxt: MAX_TIME_MS };
  const isLabelled = labels.length > 0;
  return { labelSets: isLabelled ? [labels] : [], ...range, storeType: COMPONENT, supportsSharding: true, supportsWithoutReplicaLabels: true, tsdbInfos: isLabelled ? [{ labels, ...range }] : [] };
}

/** Metrics of the thread; none while it is not there, so that the page never fails. */
async function metricsOf(rules: RulesThread, log: Logger): Promise<readonly MetricFamilySnapshot[]> {
  try {
    return (await rules.call({ kind: 'metrics' }, { onPiece: () => {}, signal: AbortSignal.timeout(METRICS_MS) })) as readonly MetricFamilySnapshot[];
  } catch (error) {
    log.debug('metrics of the thread of the rules', { err: errorText(error) });
    return [];
  }
}

function trimPrefix(text: string): string {
  const path = text.includes('://') ? new URL(text).pathname : text;
  const trimmed = path.replace(/^\/+|\/+$/g, '');
  return trimmed === '' ? '' : `/${trimmed}`;
}
