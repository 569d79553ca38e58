/**
 * Composition root of the store gateway: builds and wires everything, starts and stops it in order.
 *
 *   http ─► blocks (first look at the bucket) ─► grpc ─► ready            every --sync-block-duration: look again
 */
import { totalmem } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  createConsistencyDelayFilter,
  createDeduplicateFilter,
  createDeletionMarkFilter,
  createLabelShardFilter,
  createMetaFetcher,
  createMetaLoader,
  createTimePartitionFilter,
  parseSelector,
} from '@gauntlet/block';
import { type Bucket, createBucketFromConfig, ObjstoreError } from '@gauntlet/objstore';
import {
  BUILD_INFO,
  createGate,
  createGrpcServer,
  grpcServerSettings,
  createHttpServer,
  createMemoryLedger,
  createProbe,
  createTracing,
  detectMemoryLimit,
  errorText,
  formatDurationText,
  joinHostPort,
  loadProtos,
  type Logger,
  type Metrics,
  parseListenAddress,
  parseRequestLogging,
  type RunPart,
} from '@gauntlet/service-kit';
import { createInfoService, createStoreService, infoToMessage, type Store } from '@gauntlet/storeapi';
import { BlockSet } from './block-set.ts';
import { createBucketStore } from './bucket-store.ts';
import { StoreGatewayError } from './errors.ts';
import type { StoreGatewayConfig } from './flags.ts';
import { HeaderStore } from './header-store.ts';
import { addGatewayRoutes } from './http-routes.ts';
import { createConfiguredCache } from './index-cache-config.ts';
import { createIndexCache } from './index-cache.ts';
import { createStoreMetrics } from './metrics.ts';
import type { TaskSettings } from './store-task.ts';
import { cleanDataDir, type ServedBlock, syncBlocks, type SyncDeps } from './sync-blocks.ts';
import { createTaskRunner, type TaskRunner, type TaskRunnerDeps } from './task-runner.ts';

const COMPONENT = 'store';
/** As Thanos counts: a chunk is taken for full. */
const SAMPLES_PER_CHUNK = 120;
/** Requests to the bucket at once, over all calls. */
const IO_CONCURRENCY = 128;
/** Calls that can be under way: accounts of the memory ledger. */
const ACCOUNTS_MAX = 4096;
/** The first look at the bucket: tried so long, so often. */
const INITIAL_SYNC_MS = 30_000;
const INITIAL_SYNC_RETRY_MS = 10_000;
/** Codes of failures that waiting does not mend. */
const HOPELESS: ReadonlySet<string> = new Set(['ERR_ACCESS_DENIED', 'ERR_BUCKET_NOT_FOUND', 'ERR_BUCKET_CONFIG']);

/** What a gateway is built with. */
export interface StoreGatewayDeps {
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Unix ms. */
  readonly clock: () => number;
  /** Built worker module. */
  readonly workerModule: URL;
  /** Flags as shown by /api/v1/status/flags. */
  readonly shownFlags?: Readonly<Record<string, string>>;
  /** Takes the place of the configured bucket; stays the caller's. */
  readonly bucket?: Bucket;
  /** Takes the place of worker threads, for tests. */
  readonly createRunner?: (deps: TaskRunnerDeps) => TaskRunner;
  /** Time between two tries of the first look at the bucket; default 10 s. */
  readonly initialSyncRetryMs?: number;
}

/** A gateway, not started. */
export interface StoreGateway {
  /** In starting order, for a run group. */
  readonly parts: readonly RunPart[];
  readonly store: Store;
  /** `host:port` of the HTTP server, once its part has started. */
  httpAddress(): string;
  /** `host:port` of the gRPC server, likewise. */
  grpcAddress(): string;
  /** Looks at the bucket now. @throws as the bucket does */
  sync(): Promise<void>;
}

/** @throws StoreGatewayError ERR_GATEWAY_CONFIG for what is wrong or not there yet, named */
function checkConfig(config: StoreGatewayConfig, nowMs: number): void {
  const refuse = (flag: string, why: string): never => {
    throw new StoreGatewayError('ERR_GATEWAY_CONFIG', `--${flag}: ${why}`);
  };
  if (config.objstoreParquetConfig.isSet) refuse('objstore-parquet.config', 'Parquet blocks are not there yet');
  if (config.cachingBucketConfig.isSet) refuse('store.caching-bucket.config', 'the caching bucket is not there yet');
  if (config.minTime.at(nowMs) > config.maxTime.at(nowMs)) refuse('min-time', `'${config.minTime.text}' can't be greater than --max-time '${config.maxTime.text}'`);
}

/**
 * Builds a gateway that does nothing yet; start its parts in order.
 * @throws StoreGatewayError, ConfigError, ServiceKitError, ObjstoreError for a configuration that cannot work
 */
export async function createStoreGateway(config: StoreGatewayConfig, deps: StoreGatewayDeps): Promise<StoreGateway> {
  const { log, metrics, clock } = deps;
  checkConfig(config, clock());
  const probe = createProbe({ component: COMPONENT, log, metrics });
  const tracing = await createTracing({ text: config.tracingConfig.content(), source: config.tracingConfig.source, component: COMPONENT, version: BUILD_INFO.version, log });
  const requestLogging = parseRequestLogging(config.requestLoggingConfig.content(), config.requestLoggingConfig.source);
  const selector = parseSelector(config.selectorRelabelConfig.content(), config.selectorRelabelConfig.source);
  const { cache, enabled, ttlMs } = createConfiguredCache(config.indexCacheConfig.content(), config.indexCacheConfig.source, config.indexCacheSizeBytes, { name: 'index-cache', log, metrics, clock });
  const bucket = deps.bucket ?? (await createBucketFromConfig(config.objstoreConfig.content(), { component: COMPONENT, source: config.objstoreConfig.source, log, metrics }));

  const own = createStoreMetrics(metrics);
  const memory = Math.floor(Math.min(detectMemoryLimit().bytes, totalmem()) / 2);
  const ledger = createMemoryLedger({ processBytesMax: Math.min(config.chunkPoolBytes, memory), accountsMax: ACCOUNTS_MAX, processFlag: 'chunk-pool-size', queryFlag: 'chunk-pool-size' });
  metrics.gauge({ name: 'gauntlet_store_read_bytes', help: 'Bytes read from the bucket that calls hold now.', collect: () => ledger.usedBytes });
  const runnerDeps: TaskRunnerDeps = { bucket, cache: createIndexCache(cache, metrics, enabled, ttlMs), ioGate: createGate({ max: IO_CONCURRENCY }), ledger, settings: taskSettings(config), log };
  const runner = deps.createRunner?.(runnerDeps) ?? createTaskRunner(runnerDeps, deps.workerModule);

  const dir = config.cacheIndexHeader ? config.dataDir : undefined;
  const blocks = new BlockSet<ServedBlock>();
  const headers = new HeaderStore({ runner, log, metrics, clock }, { dir, isLazy: config.lazyHeaders, idleTimeoutMs: config.lazyHeaderIdleMs, isLazyDownload: config.lazyHeaderDownload === 'lazy' });
  metrics.gauge({ name: 'gauntlet_store_index_header_bytes', help: 'Bytes of index-headers held in memory.', collect: () => headers.heldBytes() });
  const timeRange = (): { mint: number; maxt: number } => ({ mint: config.minTime.at(clock()), maxt: config.maxTime.at(clock()) });
  const fetcher = createMetaFetcher(
    {
      loader: createMetaLoader({ bucket, log, metrics }, { strategy: config.blockDiscovery, concurrency: config.blockMetaFetchConcurrency, ...(dir === undefined ? {} : { cacheDir: dir }) }),
      log,
      metrics,
      clock,
    },
    [
      createTimePartitionFilter(timeRange),
      createLabelShardFilter(selector),
      createConsistencyDelayFilter(config.consistencyDelayMs, clock, metrics),
      createDeletionMarkFilter({ bucket, log, clock, concurrency: config.blockMetaFetchConcurrency }, config.ignoreDeletionMarksDelayMs),
      createDeduplicateFilter(),
    ],
  );
  const sync: SyncDeps = { fetcher, bucket, blocks, headers, metrics: own, log, clock, concurrency: config.blockSyncConcurrency };
  let refreshedMs = 0;
  const syncOnce = async (signal: AbortSignal): Promise<void> => {
    await syncBlocks(sync, signal);
    refreshedMs = clock();
  };

  const gate = createGate({ max: config.seriesMaxConcurrency, metrics: metrics.withPrefix('thanos_bucket_store_series_'), operation: 'queries', clock });
  const store = createBucketStore({ blocks, runner, gate, metrics: own, clock }, { timeRange, seriesBytes: config.estimatedSeriesBytes, chunkBytes: config.estimatedChunkBytes });
  const shared = { component: COMPONENT, log, metrics, probe, requestLogging, tracing, clock };
  const http = createHttpServer({ ...shared, address: config.httpAddress, gracePeriodMs: config.httpGracePeriodMs, webConfigPath: config.httpConfig, profiling: config.profiling });
  if (!config.webDisable) {
    addGatewayRoutes({
      server: http,
      loaded: () => Array.from(blocks.values(), (block) => block.meta),
      refreshedMs: () => refreshedMs,
      label: config.bucketWebLabel,
      disableCors: config.webDisableCors,
      disableAdminOperations: config.disableAdminOperations,
      flags: deps.shownFlags ?? {},
      bucket,
      log,
      clock,
    });
  }
  const grpc = createGrpcServer({
    ...grpcServerSettings(config),
    ...shared,
    protos: loadProtos(['store', 'info']),
  });
  for (const service of [createStoreService(store), createInfoService(() => (probe.isReady ? infoToMessage(store.info()) : undefined))]) grpc.addService(service.methods, service.handlers);

  const stopping = new AbortController();
  return {
    store,
    httpAddress: () => joinHostPort(http.address().host, http.address().port),
    grpcAddress: () => joinHostPort(parseListenAddress(config.grpcAddress).host, grpc.port),
    sync: () => syncOnce(stopping.signal),
    parts: [
      { name: 'tracing', stop: () => tracing.close() },
      {
        name: 'bucket',
        async stop() {
          await cache.close();
          if (deps.bucket === undefined) await bucket.close();
        },
      },
      { name: 'store workers', stop: () => runner.close() },
      http,
      {
        name: 'blocks',
        async start() {
          await initialSync(syncOnce, { bucket, log, clock, retryMs: deps.initialSyncRetryMs ?? INITIAL_SYNC_RETRY_MS }, stopping.signal);
          if (dir !== undefined) await cleanDataDir(dir, blocks, log);
        },
        run: (signal) => Promise.all([
          every(config.syncBlockMs, signal, () => syncOnce(signal).catch((error: unknown) => {
            if (!signal.aborted) log.warn('syncing blocks failed; blocks loaded before stay', { err: errorText(error) });
          })),
          config.lazyHeaders && config.lazyHeaderIdleMs > 0 ? every(Math.max(1, config.lazyHeaderIdleMs / 10), signal, () => void headers.dropIdle()) : undefined,
        ]).then(() => undefined),
        stop: () => stopping.abort(),
      },
      grpc,
      { name: 'readiness', start: () => probe.ready(), stop: (reason) => probe.notReady(reason) },
    ],
  };
}

function taskSettings(config: StoreGatewayConfig): TaskSettings {
  const samplesMax = config.samplesMax || config.seriesSampleMax;
  return {
    limits: { seriesMax: config.seriesMax || config.touchedSeriesMax, chunksMax: Math.floor(samplesMax / SAMPLES_PER_CHUNK), bytesMax: config.downloadedBytesMax },
    batchSeries: config.seriesBatchSize,
    lazyPostings: config.lazyPostings,
    keySeriesRatioMax: config.keySeriesRatioMax,
  };
}

/** Runs `work` at intervals until aborted. */
async function every(intervalMs: number, signal: AbortSignal, work: () => Promise<void> | void): Promise<void> {
  for (;;) {
    try {
      await sleep(intervalMs, undefined, { signal });
    } catch {
      return;
    }
    await work();
  }
}

/** @throws StoreGatewayError ERR_INITIAL_SYNC when the bucket cannot be listed */
async function initialSync(
  sync: (signal: AbortSignal) => Promise<void>,
  { bucket, log, clock, retryMs }: { readonly bucket: Bucket; readonly log: Logger; readonly clock: () => number; readonly retryMs: number },
  signal: AbortSignal,
): Promise<void> {
  const startMs = clock();
  log.info('initializing bucket store');
  for (;;) {
    try {
      await sync(signal);
      log.info('bucket store ready', { initDurationMs: Math.round(clock() - startMs) });
      return;
    } catch (error) {
      const isHopeless = error instanceof ObjstoreError && HOPELESS.has(error.code);
      if (signal.aborted || isHopeless || clock() - startMs + retryMs >= INITIAL_SYNC_MS) {
        const waited = isHopeless ? '' : ` after ${formatDurationText(Math.round((clock() - startMs) / 1000) * 1000)}`;
        throw new StoreGatewayError('ERR_INITIAL_SYNC', `look at bucket ${bucket.name} for the first time: gave up${waited}: ${errorText(error)}`, { cause: error });
      }
      log.warn('the bucket cannot be read yet; trying again', { err: errorText(error), retryMs });
      await sleep(retryMs, undefined, { signal });
    }
  }
}
