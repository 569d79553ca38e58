/**
 * One replica: what a Prometheus with its sidecar is elsewhere, in one thread.
 *
 *   targets ─ scraper ─► database ─► StoreAPI over gRPC (loopback)
 *                            └─ every half minute: cut what is due, upload what is cut, delete what is old and handed over to the bucket
 *
 * Replica `a` and `b` scrape the same targets at different moments and carry the external label `replica`.
 */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleepFor } from 'node:timers/promises';
import { createHandOver, createShipper } from '@gauntlet/block';
import { createKernels } from '@gauntlet/kernels';
import { extendLabels, type Labels, labelsFromMap, labelsFromPairs, MAX_TIME_MS, MIN_TIME_MS } from '@gauntlet/model';
import { createFilesystemBucket } from '@gauntlet/objstore';
import { createScrapeConfig, createScrapeMetrics, createScraper, parseScrapeFile, type ScrapeConfig } from '@gauntlet/scrape';
import { BUILD_INFO, createGrpcServer, createNodeFileSystem, loadProtos, type Logger, type Metrics, renderMetrics } from '@gauntlet/service-kit';
import { createExemplarsService, createInfoService, createStoreService, createTsdbStore, infoToMessage } from '@gauntlet/storeapi';
import { type BlockMeta, createDb, type Db, type DeletionReason, describeReplay } from '@gauntlet/tsdb';
import type { BackfillPlan } from '../backfill/backfill-plan.ts';
import { runBackfill } from '../backfill/run-backfill.ts';
import { createAckLog } from './ack-log.ts';
import type { BuiltInJob, ReplicaSettings } from './replica-protocol.ts';
import { createReplicaExemplars } from './replica-exemplars.ts';
import { dbOptionsOf, scrapeFeaturesOf } from './storage-options.ts';

/** External label that tells replicas apart. */
export const REPLICA_LABEL = 'replica';

const LOOPBACK = '127.0.0.1';
const GRPC_GRACE_MS = 1000;
/** Cutting and generating work on one chunk at a time; queries are decoded elsewhere. */
const KERNEL_BYTES_MAX = 64 << 20;

/** What a replica works with. */
export interface ReplicaDeps {
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  /** In [0, 1). */
  readonly random: () => number;
}

/** A running replica. */
export interface Replica {
  /** `host:port` of its StoreAPI. */
  readonly grpcAddress: string;
  /** `host:port` of its `/metrics`. */
  readonly metricsAddress: string;
  readonly db: Db;
  /** Replaces the built-in targets. */
  setTargets(jobs: readonly BuiltInJob[]): void;
  /** Generates history into the bucket; scraping goes on meanwhile. @throws the signal's reason; errors of the disk */
  backfill(plan: BackfillPlan, signal: AbortSignal, onProgress: (blocksDone: number, blocks: number) => void): Promise<void>;
  /** Ends in order: no further scrape, everything closed. */
  stop(): Promise<void>;
}

/** External labels of a replica. @param given labels of the scrape file */
export function replicaLabels(name: string, given: Labels = []): Labels {
  return externalLabelsOf(given, REPLICA_LABEL, name);
}

/** External labels of a part that writes: those of this installation, and its own. @param given labels of the scrape file */
export function externalLabelsOf(given: Labels, label: string, value: string): Labels {
  const shared = given.flatMap((name, i) => (i % 2 === 0 && name !== REPLICA_LABEL ? [[name, given[i + 1]!] as const] : []));
  return extendLabels(extendLabels(labelsFromMap({ cluster: 'local' }), labelsFromPairs(shared)), [label, value]);
}

/**
 * Starts a replica; it scrapes its own targets at once and the built-in ones once `setTargets` names them.
 * @throws TsdbError when the database is locked or damaged; ConfigError, ScrapeError for the scrape file
 */
export async function startReplica(settings: ReplicaSettings, { log, metrics, clock, random }: ReplicaDeps): Promise<Replica> {
  const features = scrapeFeaturesOf(settings.storage);
  const file = settings.scrapeFile === undefined ? undefined : parseScrapeFile(settings.scrapeFile.text, settings.scrapeFile.source, features.startTimestamps);
  const ownJobs = file?.jobs ?? [];
  const dbOptions = dbOptionsOf(settings.storage, file?.storage);
  const externalLabels = replicaLabels(settings.name, file?.externalLabels);
  const fs = createNodeFileSystem();
  const kernels = createKernels({ maxMemoryBytes: KERNEL_BYTES_MAX });
  let handedOver: ReadonlySet<string> = new Set();
  const db = createDb(
    { fs, dir: settings.dir, kernels, clock: { now: clock }, random, hooks: { canDeleteBlock: ({ ulid }) => handedOver.has(ulid), onBlockDeleted: countDeletions(metrics) } },
    dbOptions,
  );
  for (const { text } of describeReplay(db.replay)) log.warn('not all of the log could be read', { dir: settings.dir, reason: text });
  for (const { ulid, error } of db.damagedBlocks()) log.error('block is not read', { block: ulid, err: error });
  declareDbMetrics(metrics, db);

  const bucket = await createFilesystemBucket({ directory: settings.bucketDir });
  const shipper = createShipper({ bucket, log, metrics, clock, labels: () => externalLabels }, { dir: settings.dir, source: 'sidecar' });
  const handOver = createHandOver({ bucket, log, clock }, settings.keepUploadedMs);
  const ackLog = settings.ackLogPath === undefined ? undefined : createAckLog(db, settings.ackLogPath);
  const scraper = createScraper(ownJobs, { appendable: ackLog ?? db, log, metrics: createScrapeMetrics(metrics), random, userAgent: `Gauntlet/${BUILD_INFO.version}` }, { offsetSeed: settings.name, features });

  const store = createTsdbStore({ queryable: db.chunkQueryable, externalLabels: () => externalLabels, mint: () => firstTimeMs(db, dbOptions.outOfOrderWindowMs ?? 0), storeType: 'sidecar' });
  const grpc = createGrpcServer({ address: `${LOOPBACK}:0`, gracePeriodMs: GRPC_GRACE_MS, component: 'sidecar', log, metrics, protos: loadProtos(['store', 'info', 'exemplars']), clock });
  const withExemplars = features.exemplars ? { exemplars: { minTime: MIN_TIME_MS, maxTime: MAX_TIME_MS } } : {};
  const info = createInfoService(() => ({ ...infoToMessage(store.info()), ...withExemplars }));
  for (const service of [createStoreService(store), info, createExemplarsService(createReplicaExemplars(db, externalLabels))]) grpc.addService(service.methods, service.handlers);
  await grpc.start();
  const metricsServer = await serveMetrics(metrics);

  const ending = new AbortController();
  const shipping = shipRounds();
  async function shipRounds(): Promise<void> {
    for (;;) {
      try {
        const cut = db.compactHead();
        for (const meta of cut) log.info('block cut', { block: meta.ulid, samples: meta.stats.numSamples });
        await shipper.sync(ending.signal);
        handedOver = await handOver(await shipper.uploadedBlocks(), ending.signal);
        db.reloadBlocks();
      } catch (error) {
        if (ending.signal.aborted) return;
        log.warn('cutting or shipping blocks', { err: error });
      }
      try {
        await sleepFor(settings.shipIntervalMs, undefined, { signal: ending.signal });
      } catch {
        return;
      }
    }
  }

  return {
    grpcAddress: `${LOOPBACK}:${grpc.port}`,
    metricsAddress: `${LOOPBACK}:${(metricsServer.address() as AddressInfo).port}`,
    db,
    setTargets: (jobs) => scraper.applyConfig([...ownJobs, ...jobs.map((job) => scrapeConfigOf(job, settings.scrapeIntervalMs))]),
    backfill: (plan, signal, onProgress) =>
      runBackfill(
        { fs, kernels, bucket, log, clock, onProgress },
        plan,
        { replica: settings.name, replicaDir: settings.dir, externalLabels, offsetMs: settings.historyOffsetMs, signal },
      ),
    async stop() {
      await scraper.stop();
      ending.abort();
      await shipping;
      await grpc.stop('stopped');
      metricsServer.close();
      metricsServer.closeAllConnections();
      await bucket.close();
      ackLog?.close();
      db.close();
    },
  };
}

function scrapeConfigOf({ jobName, targets }: BuiltInJob, scrapeIntervalMs: number): ScrapeConfig {
  return createScrapeConfig({
    jobName,
    scrapeIntervalMs,
    staticConfigs: targets.map(({ address, metricsPath, instance }) => ({
      targets: [address],
      labels: labelsFromPairs([['__metrics_path__', metricsPath], ['instance', instance]]),
    })),
  });
}

/** First time the database may have a sample of, late ones included; MIN_TIME_MS when it has none. */
function firstTimeMs(db: Db, outOfOrderWindowMs: number): number {
  const { headMinTimeMs, headMaxTimeMs } = db.stats();
  const first = Math.min(db.blocks()[0]?.meta.minTime ?? Number.POSITIVE_INFINITY, headMinTimeMs, outOfOrderWindowMs === 0 ? Number.POSITIVE_INFINITY : headMaxTimeMs - outOfOrderWindowMs);
  return Number.isFinite(first) ? first : MIN_TIME_MS;
}

/** Sizes of the database by Prometheus' names. */
function declareDbMetrics(metrics: Metrics, db: Db): void {
  const scope = metrics.withPrefix('prometheus_tsdb_');
  scope.gauge({ name: 'head_series', help: 'Total number of series in the head block.', collect: () => db.stats().headSeries });
  scope.gauge({ name: 'head_chunks', help: 'Total number of chunks in the head block.', collect: () => db.stats().headChunks });
  scope.gauge({ name: 'blocks_loaded', help: 'Number of currently loaded data blocks', collect: () => db.stats().blocks });
  scope.gauge({ name: 'head_stale_series', help: 'Total number of stale series in the head block.', collect: () => db.stats().headStaleSeries });
  scope.gauge({ name: 'storage_blocks_bytes', help: 'The number of bytes that are currently used for local storage by all blocks.', collect: () => db.stats().blockBytes });
}

/** Counts blocks that retention deleted. */
function countDeletions(metrics: Metrics): (meta: BlockMeta, reason: DeletionReason) => void {
  const scope = metrics.withPrefix('prometheus_tsdb_');
  const time = scope.counter({ name: 'time_retentions_total', help: 'The number of times that blocks were deleted because the maximum time limit was exceeded.' });
  const size = scope.counter({ name: 'size_retentions_total', help: 'The number of times that blocks were deleted because the maximum number of bytes was exceeded.' });
  return (_meta, reason) => {
    if (reason === 'time') time.inc();
    if (reason === 'size') size.inc();
  };
}

function serveMetrics(metrics: Metrics): Promise<Server> {
  const server = createServer((request, response) => {
    if ((request.url ?? '').split('?')[0] !== '/metrics') {
      response.writeHead(404, { 'Content-Type': 'text/plain; charset=utf-8' }).end('not here; metrics are at /metrics\n');
      return;
    }
    renderMetrics(metrics.registry, request.headers.accept).then(
      ({ contentType, body }) => response.writeHead(200, { 'Content-Type': contentType }).end(body),
      (error: unknown) => response.writeHead(500, { 'Content-Type': 'text/plain; charset=utf-8' }).end(`${String(error)}\n`),
    );
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, LOOPBACK, () => resolve(server));
  });
}
