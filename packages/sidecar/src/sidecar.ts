/**
 * Composition root of the sidecar: one Prometheus, its StoreAPI over gRPC, its blocks to the bucket.
 *
 *   HTTP server (healthy) ─► PrometheusMeta loop ─► ready ─► gRPC server (Store, Rules, Info)
 *                                               └─► shipper round every 30 s, if a bucket is configured
 *
 * `createSidecar` builds it for a process or for a bigger one; `run` is the process; `main` its command line.
 */
import { mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleepFor } from 'node:timers/promises';
import { createShipper } from '@gauntlet/block';
import { type Bucket, createBucketFromConfig } from '@gauntlet/objstore';
import {
  BUILD_INFO,
  createGrpcServer,
  grpcServerSettings,
  createHttpServer,
  createLogger,
  createMetrics,
  createProbe,
  createRunGroup,
  createTracing,
  errorText,
  formatDurationText,
  type GrpcServer,
  type HttpServer,
  loadProtos,
  type Logger,
  type Metrics,
  parseFlagsOrExit,
  parseRequestLogging,
  type Probe,
  registerProcessMetrics,
  type RunPart,
  type Tracing,
} from '@gauntlet/service-kit';
import { createExemplarsFrameService, createInfoService, createRulesFrameService, createStoreService, infoToMessage, type Store } from '@gauntlet/storeapi';
import { SidecarError } from './errors.ts';
import { type SidecarConfig, sidecarFlags } from './flags.ts';
import { readTransportSettings } from './http-client-config.ts';
import { createSidecarMetrics } from './metrics.ts';
import { PrometheusClient } from './prometheus-client.ts';
import { PrometheusMeta } from './prometheus-meta.ts';
import { openTransport } from './prometheus-transport.ts';
import { checkReloaderMethod, createReloader } from './reloader.ts';
import { sidecarInfo } from './store-info.ts';
import { createStoreWorkers } from './store-workers.ts';

const COMPONENT = 'sidecar';
const SHIP_INTERVAL_MS = 30_000;
/** A reader that takes nothing for so long no longer holds up Prometheus. */
const STALL_MS = 5_000;
/** Of this package's build, also for sources that run unbuilt. */
const WORKER_MODULE: URL = new URL('../dist/store-worker.js', import.meta.url);

/** What a sidecar is built with. */
export interface SidecarDeps {
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Unix ms. */
  readonly clock: () => number;
  readonly tracing?: Tracing;
  /** Takes the place of the configured bucket. */
  readonly bucket?: Bucket;
  /** Built worker module; default: that of this package's build. */
  readonly workerModule?: URL;
}

/** A sidecar, not started: its parts go into a run group in this order. */
export interface Sidecar {
  readonly parts: readonly RunPart[];
  readonly store: Store;
  readonly probe: Probe;
  readonly http: HttpServer;
  readonly grpc: GrpcServer;
}

/**
 * Builds a sidecar.
 * @throws ConfigError, ServiceKitError, SidecarError for a configuration that cannot work
 */
export async function createSidecar(config: SidecarConfig, deps: SidecarDeps): Promise<Sidecar> {
  const { log, metrics, clock } = deps;
  checkReloaderMethod(config.reloaderMethod);
  const own = createSidecarMetrics(metrics);
  const probe = createProbe({ component: COMPONENT, log, metrics });
  const transport = readTransportSettings(config.prometheusHttpClient.content(), config.prometheusHttpClient.source);
  const client = new PrometheusClient(config.prometheusUrl, openTransport(transport));
  const bucket = deps.bucket ?? (await openBucket(config, deps));
  if (bucket === undefined) log.info('no supported bucket was configured, uploads will be disabled');

  const meta = new PrometheusMeta(
    { client, log, clock, up: own.prometheusUp, onUp: () => probe.ready(), onDown: (reason) => probe.notReady(reason) },
    {
      intervalMs: config.prometheusGetConfigIntervalMs,
      timeoutMs: config.prometheusGetConfigTimeoutMs,
      minTime: config.minTime,
      uploads:
        bucket === undefined
          ? undefined
          : { metaFilePath: join(config.tsdbPath, config.shipperMetaFileName), ignoreUnequalBlockSize: config.shipperIgnoreUnequalBlockSize },
    },
  );
  const spoolFolder = join(tmpdir(), 'gauntlet-sidecar');
  mkdirSync(spoolFolder, { recursive: true });
  const workers = createStoreWorkers(
    {
      log,
      metrics: own,
      module: deps.workerModule ?? WORKER_MODULE,
      facts: () => ({ externalLabels: meta.externalLabels, timeRange: meta.timeRange(), version: meta.version }),
      info: () => sidecarInfo(meta.externalLabels, meta.timeRange()),
    },
    {
      prometheusUrl: config.prometheusUrl.href,
      transport,
      limits: { seriesMax: config.limitsRequestSeries, samplesMax: config.limitsRequestSamples },
      spool: { folder: spoolFolder, stallMs: STALL_MS },
    },
  );
  const { store } = workers;
  metrics.gauge({ name: 'gauntlet_sidecar_store_workers', help: 'Threads that run StoreAPI calls.', collect: () => workers.stats().workers });

  const requestLogging = parseRequestLogging(config.requestLoggingConfig.content(), config.requestLoggingConfig.source);
  const shared = { component: COMPONENT, log, metrics, probe, requestLogging, clock, ...(deps.tracing === undefined ? {} : { tracing: deps.tracing }) };
  const http = createHttpServer({ ...shared, address: config.httpAddress, gracePeriodMs: config.httpGracePeriodMs, webConfigPath: config.httpConfig });
  const grpc = createGrpcServer({
    ...grpcServerSettings(config),
    ...shared,
    protos: loadProtos(['store', 'rules', 'exemplars', 'info']),
  });
  const info = createInfoService(() => {
    if (!probe.isReady) return undefined;
    const { mint: minTime, maxt: maxTime } = store.info();
    return { ...infoToMessage(store.info()), rules: {}, exemplars: { minTime, maxTime } };
  });
  for (const service of [createStoreService(store), createRulesFrameService(workers.rules), createExemplarsFrameService(workers.exemplars), info]) grpc.addService(service.methods, service.handlers);

  const reloader = createReloader(
    { log, metrics, clock, trigger: (signal) => reloadPrometheus(client, signal) },
    {
      configFile: config.reloaderConfigFile,
      envsubstFile: config.reloaderConfigEnvsubstFile,
      ruleDirs: config.reloaderRuleDirs,
      watchIntervalMs: config.reloaderWatchIntervalMs,
      retryIntervalMs: config.reloaderRetryIntervalMs,
    },
  );

  const parts: RunPart[] = [
    { name: 'prometheus client', stop: () => client.close() },
    { name: 'store workers', stop: () => workers.close() },
    { name: 'http server', start: () => http.start(), stop: (reason) => http.stop(reason) },
    grpcPart(grpc, probe),
    { name: 'prometheus heartbeat', run: (signal) => meta.run(signal), stop: (reason) => probe.notReady(reason) },
    { name: 'reloader', run: (signal) => untilAborted(reloader.run(signal), signal) },
    ...(bucket === undefined ? [] : [shipperPart(config, deps, meta, bucket)]),
  ];
  return { parts, store, probe, http, grpc };
}

async function openBucket(config: SidecarConfig, { log, metrics }: SidecarDeps): Promise<Bucket | undefined> {
  const text = config.objstoreConfig.content();
  if (text.trim() === '') return undefined;
  return createBucketFromConfig(text, { component: COMPONENT, source: config.objstoreConfig.source, log, metrics });
}

/** The gRPC server starts to listen with the first readiness: before, there are no labels to answer with. */
function grpcPart(grpc: GrpcServer, probe: Probe): RunPart {
  let isListening = false;
  return {
    name: 'gRPC server',
    run: async (signal) => {
      await new Promise<void>((resolve) => {
        const stop = probe.onReadyChange((isReady) => {
          if (isReady || signal.aborted) resolve();
        });
        signal.addEventListener('abort', () => resolve(), { once: true });
        signal.addEventListener('abort', stop, { once: true });
      });
      if (signal.aborted) return;
      await grpc.start();
      isListening = true;
      await untilAborted(Promise.resolve(), signal);
    },
    stop: async (reason) => {
      if (isListening) await grpc.stop(reason);
    },
  };
}

function shipperPart(config: SidecarConfig, { log, metrics, clock }: SidecarDeps, meta: PrometheusMeta, bucket: Bucket): RunPart {
  const shipper = createShipper(
    { bucket, log, metrics, clock, labels: () => meta.externalLabels },
    {
      dir: config.tsdbPath,
      source: 'sidecar',
      uploadCompacted: config.shipperUploadCompacted,
      allowOutOfOrderUploads: config.shipperAllowOutOfOrderUploads,
      skipCorruptedBlocks: config.shipperSkipCorruptedBlocks,
      hashFunc: config.hashFunc,
      metaFileName: config.shipperMetaFileName,
      ...(config.shipperUploadConcurrency === 0 ? {} : { uploadConcurrency: config.shipperUploadConcurrency }),
    },
  );
  return {
    name: 'shipper',
    run: async (signal) => {
      const deadlineMs = clock() + config.prometheusReadyTimeoutMs;
      while (meta.externalLabels.length === 0) {
        if (clock() > deadlineMs) {
          throw new SidecarError('ERR_SIDECAR_EXTERNAL_LABELS', `ship blocks: no external labels found after waiting ${formatDurationText(config.prometheusReadyTimeoutMs)}, is Prometheus reachable?`);
        }
        await sleepFor(Math.min(2_000, config.prometheusGetConfigIntervalMs), undefined, { signal });
      }
      for (;;) {
        try {
          await shipper.sync(signal);
        } catch (error) {
          signal.throwIfAborted();
          log.warn('shipping blocks', { err: error });
        }
        await sleepFor(SHIP_INTERVAL_MS, undefined, { signal });
      }
    },
    stop: () => bucket.close(),
  };
}

/** Waits for `work`, then for the signal: the end of a part would end the process. */
async function untilAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  await work;
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

async function reloadPrometheus(client: PrometheusClient, signal: AbortSignal): Promise<void> {
  const answer = await client.request('POST', '/-/reload', [], {}, undefined, signal);
  for await (const _ of answer.body);
  if (answer.status !== 200) throw new SidecarError('ERR_SIDECAR_PROMETHEUS', `reload Prometheus: status ${answer.status}; it must run with --web.enable-lifecycle`);
}

/** Runs a sidecar until told to stop. @throws what ended it */
export async function run(config: SidecarConfig, deps: SidecarDeps, signal?: AbortSignal): Promise<void> {
  const sidecar = await createSidecar(config, deps);
  const group = createRunGroup({ log: deps.log });
  for (const part of sidecar.parts) group.add(part);
  deps.log.info('starting sidecar');
  await group.run(signal);
}

/** `gauntlet sidecar` with these arguments; sets the exit code. */
export async function main(argv: readonly string[]): Promise<void> {
  const command = { name: COMPONENT, help: 'StoreAPI over a Prometheus, and shipping of its blocks.', flags: sidecarFlags, version: BUILD_INFO.version };
  const outcome = parseFlagsOrExit(command, argv);
  const config = outcome.values;
  const log = createLogger({ level: config.logLevel, format: config.logFormat });
  const metrics = createMetrics();
  registerProcessMetrics(metrics, BUILD_INFO);
  for (const warning of outcome.warnings) log.warn(warning);
  try {
    const tracing = await createTracing({ text: config.tracingConfig.content(), source: config.tracingConfig.source, component: COMPONENT, version: BUILD_INFO.version, log });
    await run(config, { log, metrics, clock: Date.now, tracing });
  } catch (error) {
    log.error('running command failed', { command: COMPONENT, err: errorText(error) });
    process.exitCode = 1;
  }
}
