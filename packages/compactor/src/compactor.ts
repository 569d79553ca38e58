/**
 * Composition root of the compactor: builds and wires everything, starts and stops it in order.
 *
 *   http ─► run loop ─┬─ without --wait: one iteration, then the process ends; exit code 1 if anything could not be done
 *                     └─ with --wait: an iteration every --wait-interval; cleaning and progress at their own intervals
 */
import { totalmem } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleepFor } from 'node:timers/promises';
import { parseSelector } from '@gauntlet/block';
import { type Bucket, createBucketFromConfig } from '@gauntlet/objstore';
import {
  BUILD_INFO,
  createHttpServer,
  createNodeFileSystem,
  createProbe,
  createTracing,
  detectMemoryLimit,
  errorText,
  formatDurationText,
  type HttpServer,
  type Logger,
  type Metrics,
  type Probe,
  type RunPart,
} from '@gauntlet/service-kit';
import { type CompactRunner, createCompactRunner } from './compact-runner.ts';
import { createCompactorMetrics } from './compactor-metrics.ts';
import type { CompactorStatus } from './compactor-status.ts';
import { CompactorError, errorKind } from './errors.ts';
import { freeDiskBytes } from './fetch-sources.ts';
import type { CompactorConfig } from './flags.ts';
import { addCompactorRoutes } from './http-routes.ts';
import { COMPACTION_RANGES_MS } from './plan-group.ts';
import { type IterationReport, RunLoop } from './run-loop.ts';
import { createBlockSync } from './sync-blocks.ts';

const COMPONENT = 'compact';
const LOCK_FILE = 'compact.lock';
/** Kernel memory of one compaction, at most; it holds a few series' chunks at a time. */
const COMPACTION_BYTES_MAX = 1024 * 1024 * 1024;
const COMPACTION_BYTES_MIN = 64 * 1024 * 1024;
/** Of this package's build, also for sources that run unbuilt. */
const WORKER_MODULE: URL = new URL('../dist/compact-worker.js', import.meta.url);

/** What a compactor is built with. */
export interface CompactorDeps {
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  /** Flags as shown by /api/v1/status/flags. */
  readonly shownFlags?: Readonly<Record<string, string>>;
  /** Takes the place of the configured bucket; stays the caller's. */
  readonly bucket?: Bucket;
  /** Takes the place of worker threads. */
  readonly runner?: CompactRunner;
  /** Built worker module; default: that of this package's build. */
  readonly workerModule?: URL;
  /** Bytes free where a directory is; default: asked of the system. */
  readonly freeDiskBytes?: (dir: string) => Promise<number>;
}

/** A compactor, not started: its parts go into a run group in this order. */
export interface Compactor {
  readonly parts: readonly RunPart[];
  readonly probe: Probe;
  readonly http: HttpServer;
  readonly status: CompactorStatus;
  /** Does one iteration now. @throws the signal's reason */
  iterate(signal: AbortSignal): Promise<IterationReport>;
}

/** @throws CompactorError ERR_COMPACTOR_CONFIG for what is wrong or not there yet, named */
export function checkConfig(config: CompactorConfig, log: Logger, nowMs: number): void {
  const refuse = (flag: string, why: string): never => {
    throw new CompactorError('ERR_COMPACTOR_CONFIG', 'other', `--${flag}: ${why}`);
  };
  if (config.dedupReplicaLabels.length > 0) refuse('deduplication.replica-label', 'merging replicas in the bucket is not there yet; queriers deduplicate without it');
  if (config.dedupFunc !== '') refuse('deduplication.func', `got '${config.dedupFunc}': merging replicas in the bucket is not there yet; queriers deduplicate without it`);
  if (config.downsampleConcurrency !== 1) refuse('downsample.concurrency', `got ${config.downsampleConcurrency}: downsampling is not there yet, leave it at 1`);
  if (config.minTime.at(nowMs) > config.maxTime.at(nowMs)) refuse('min-time', `'${config.minTime.text}' can't be greater than --max-time '${config.maxTime.text}'`);
  for (const [flag, ms] of [['delete-delay', config.deleteDelayMs], ['consistency-delay', config.consistencyDelayMs], ['retention.resolution-raw', config.retentionRawMs], ['retention.resolution-5m', config.retentionFiveMinMs], ['retention.resolution-1h', config.retentionOneHourMs]] as const) {
    if (ms < 0) refuse(flag, `got ${formatDurationText(ms)}, wanted 0 or more`);
  }
  if (config.wait && config.waitIntervalMs <= 0) refuse('wait-interval', `got ${formatDurationText(config.waitIntervalMs)}, wanted more than 0`);
  if (!config.downsamplingDisable) {
    if (config.retentionRawMs !== 0) {
      refuse('retention.resolution-raw', `got ${formatDurationText(config.retentionRawMs)} without --downsampling.disable: downsampling is not there yet, so raw samples would be deleted with no 5m copy; add --downsampling.disable if that is what you want`);
    }
    log.warn('downsampling is not there yet: blocks stay raw. Add --downsampling.disable to say that this is meant');
  }
}

/**
 * Builds a compactor that does nothing yet.
 * @throws CompactorError, ConfigError, ServiceKitError, ObjstoreError for a configuration that cannot work
 */
export async function createCompactor(config: CompactorConfig, deps: CompactorDeps): Promise<Compactor> {
  const { log, metrics, clock } = deps;
  checkConfig(config, log, clock());
  const probe = createProbe({ component: COMPONENT, log, metrics });
  const tracing = await createTracing({ text: config.tracingConfig.content(), source: config.tracingConfig.source, component: COMPONENT, version: BUILD_INFO.version, log });
  const relabel = parseSelector(config.selectorRelabelConfig.content(), config.selectorRelabelConfig.source);
  const bucket = deps.bucket ?? (await createBucketFromConfig(config.objstoreConfig.content(), { component: COMPONENT, source: config.objstoreConfig.source, log, metrics }));
  const runner = deps.runner ?? createCompactRunner(log, deps.workerModule ?? WORKER_MODULE, config.compactConcurrency);
  const sync = createBlockSync(
    { bucket, log, metrics, clock },
    {
      dataDir: config.dataDir,
      consistencyDelayMs: config.consistencyDelayMs,
      deleteDelayMs: config.deleteDelayMs,
      minTime: config.minTime,
      maxTime: config.maxTime,
      relabel,
      concurrency: config.blockMetaFetchConcurrency,
      discovery: config.blockDiscovery,
    },
  );
  const loop = new RunLoop(
    { bucket, sync, runner, log, metrics, own: createCompactorMetrics(metrics), clock, freeDiskBytes: deps.freeDiskBytes ?? freeDiskBytes },
    {
      compaction: {
        workDir: join(config.dataDir, 'compact'),
        blockConcurrency: config.blocksFetchConcurrency,
        fileConcurrency: config.blockFilesConcurrency,
        hashFunc: config.hashFunc,
        acceptMalformedIndex: config.acceptMalformedIndex,
        skipOutOfOrderChunks: config.skipOutOfOrderChunks,
        memoryBytesMax: compactionBytes(config.compactConcurrency),
      },
      concurrency: config.compactConcurrency,
      ranges: COMPACTION_RANGES_MS.slice(0, config.maxCompactionLevel + 1),
      maxIndexBytes: config.maxIndexBytes,
      retention: { rawMs: config.retentionRawMs, fiveMinMs: config.retentionFiveMinMs, oneHourMs: config.retentionOneHourMs, isDownsamplingOff: config.downsamplingDisable },
      deleteDelayMs: config.deleteDelayMs,
    },
  );
  const http = createHttpServer({ component: COMPONENT, log, metrics, probe, clock, tracing, address: config.httpAddress, gracePeriodMs: config.httpGracePeriodMs, webConfigPath: config.httpConfig, profiling: config.profiling });
  if (!config.webDisable) {
    const externalPrefix = trimPrefix(config.webExternalPrefix);
    addCompactorRoutes({
      server: http,
      status: loop.status,
      bucket,
      log,
      clock,
      label: config.bucketWebLabel,
      externalPrefix,
      prefix: config.webRoutePrefix === '' ? externalPrefix : trimPrefix(config.webRoutePrefix),
      disableCors: config.webDisableCors,
      disableAdminOperations: config.disableAdminOperations,
      flags: deps.shownFlags ?? {},
      globalView: { strategy: config.blockDiscovery, concurrency: config.blockMetaFetchConcurrency, maxAgeMs: config.globalSyncIntervalMs, timeoutMs: config.globalSyncTimeoutMs },
    });
  }
  return {
    probe,
    http,
    status: loop.status,
    iterate: (signal) => loop.iterate(signal),
    parts: [
      { name: 'tracing', stop: () => tracing.close() },
      {
        name: 'bucket',
        async stop() {
          if (deps.bucket === undefined) await bucket.close();
        },
      },
      dataDirPart(config.dataDir),
      { name: 'compaction workers', stop: () => runner.close() },
      http,
      { name: 'readiness', start: () => probe.ready(), stop: (reason) => probe.notReady(reason) },
      { name: 'compaction', run: (signal) => runLoop(loop, config, log, signal) },
      ...(config.wait ? intervalParts(loop, config, log) : []),
    ],
  };
}

/** Two processes in one directory would take each other's blocks away. The claim ends with the process, however it ends. */
function dataDirPart(dataDir: string): RunPart {
  let claim: { release(): void } | undefined;
  return {
    name: 'data directory',
    start() {
      const fs = createNodeFileSystem();
      fs.mkdir(dataDir);
      claim = fs.lock(join(dataDir, LOCK_FILE));
      if (claim === undefined) throw new CompactorError('ERR_COMPACTOR_CONFIG', 'other', `--data-dir: ${dataDir} is in use by another compactor; each needs a directory of its own`);
    },
    stop: () => claim?.release(),
  };
}

/** A quarter of the memory there is, shared by the compactions that run at once. */
function compactionBytes(concurrency: number): number {
  const memory = Math.min(detectMemoryLimit().bytes, totalmem());
  return Math.max(COMPACTION_BYTES_MIN, Math.min(COMPACTION_BYTES_MAX, Math.floor(memory / 4 / concurrency)));
}

/** `x/` → `/x`; empty stays empty. */
function trimPrefix(text: string): string {
  const bare = text.replace(/^\/+|\/+$/g, '');
  return bare === '' ? '' : `/${bare}`;
}

/** @throws CompactorError with all that could not be done, without --wait; with it only what must end the process */
async function runLoop(loop: RunLoop, config: CompactorConfig, log: Logger, signal: AbortSignal): Promise<void> {
  for (;;) {
    const { compacted, errors } = await loop.iterate(signal);
    log.info('compaction iteration done', { compacted, failed: errors.length });
    const isHalted = errors.some((error) => errorKind(error) === 'halt');
    if (errors.length > 0 && (!config.wait || (isHalted && !config.haltOnError))) {
      const kind = isHalted ? 'halt' : errors.every((error) => errorKind(error) === 'retry') ? 'retry' : 'other';
      throw new CompactorError('ERR_COMPACTION', kind, `compaction: ${errors.length} ${errors.length === 1 ? 'step' : 'steps'} could not be done, everything else was: ${errors.map(errorText).join('; ')}`, { cause: errors[0] });
    }
    if (!config.wait) return;
    await pause(config.waitIntervalMs, signal);
  }
}

/** @throws the signal's reason */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleepFor(ms, undefined, { signal }).catch(() => undefined);
  signal.throwIfAborted();
}

function intervalParts(loop: RunLoop, config: CompactorConfig, log: Logger): RunPart[] {
  const every = (name: string, intervalMs: number, work: (signal: AbortSignal) => Promise<void>): RunPart[] => {
    if (intervalMs <= 0) return [];
    return [{
      name,
      async run(signal) {
        for (;;) {
          await pause(intervalMs, signal);
          try {
            await work(signal);
          } catch (error) {
            signal.throwIfAborted();
            loop.countRetry();
            log.warn(`${name} will be tried again`, { err: errorText(error) });
          }
        }
      },
    }];
  };
  return [...every('cleanup', config.cleanupIntervalMs, (signal) => loop.clean(config.cleanupIntervalMs / 2, signal)), ...every('progress', config.progressIntervalMs, (signal) => loop.updateProgress(config.progressIntervalMs, signal))];
}
