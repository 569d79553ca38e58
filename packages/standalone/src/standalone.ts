/**
 * Composition root: all services in one process, on one folder.
 *
 *   sample shop ◄─ scrape ─ replica a (thread) ─┐ gRPC, loopback
 *        ▲                   replica b (thread) ─┼─► querier ─► page, HTTP API, StoreAPI
 *        └──── scrape ──────────┘  │ upload      │   ▲  │
 *                                  ▼             │   │  ▼ HTTP
 *   history (first start) ─► bucket folder ─► store  └─ ruler (thread) ─ upload ─► bucket folder
 *                             ▲  compactor      gateway
 *
 * Parts start in this order: data directory, sample shop, replicas, history, store gateway, querier, ruler, compactor. They stop in
 * reverse. The compactor comes after the history: what it has compacted and deleted is never generated again.
 */
import { setInterval as every } from 'node:timers';
import { ORIGIN_LABEL, type SampleService, SHOP_INSTANCES, SHOP_JOB, startSampleService } from '@gauntlet/demo';
import { parseScrapeFile } from '@gauntlet/scrape';
import { createBuiltQuerier, type Querier, querierFlags } from '@gauntlet/querier';
import type { Ruler } from '@gauntlet/ruler';
import { createNodeFileSystem, type Logger, type Metrics, parseFlags, type RunPart } from '@gauntlet/service-kit';
import { type BackfillPlan, createBackfillPlan, HISTORY_STEP_MS, readBackfillPlan, writeBackfillPlan } from './backfill/backfill-plan.ts';
import { buildCompactor, type CompactorPart } from './compactor-part.ts';
import { claimDataDir, type DataDir, REPLICAS } from './data-dir.ts';
import { StandaloneError } from './errors.ts';
import type { StandaloneConfig } from './flags.ts';
import { createGatewayPart, type GatewayPart, KEEP_UPLOADED_MS } from './gateway-part.ts';
import { nestedParts } from './nested-parts.ts';
import { externalLabelsOf, REPLICA_LABEL } from './replica/replica.ts';
import type { BuiltInJob } from './replica/replica-protocol.ts';
import { createReplicaThread, type ReplicaThread } from './replica/replica-thread.ts';
import { type StorageSettings, storageWarnings } from './replica/storage-options.ts';
import { buildRuler, checkRules, RULER_LABEL, RULER_NAME, rulePatterns, writeEndpoints } from './ruler-part.ts';
import { writeSampleRules } from './rules/sample-rules.ts';
import type { WelcomeFacts } from './welcome.ts';

const LOOPBACK = '127.0.0.1';
const HTTP_GRACE = '2s';
const PROGRESS_MS = 500;

/** What a standalone works with. */
export interface StandaloneDeps {
  readonly log: Logger;
  /** Of the querier, which serves them; the other parts have their own. */
  readonly metrics: Metrics;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  /** In [0, 1). */
  readonly random: () => number;
  /** Built replica worker. */
  readonly replicaModule: URL;
  /** Lines for the user while it starts. */
  readonly say: (line: string) => void;
  /** Aborted when the process is asked to end: cuts long starts short. */
  readonly ending: AbortSignal;
  /** Flags as /api/v1/status/flags shows them. */
  readonly shownFlags: Readonly<Record<string, string>>;
}

/** A standalone, not started: its parts go into a run group in this order. */
export interface Standalone {
  readonly parts: readonly RunPart[];
  /** After everything has started. */
  facts(): WelcomeFacts;
  /** Reads the rule files again; problems are logged, and files that have some go on as they were. */
  reloadRules(): Promise<void>;
}

/**
 * Builds a standalone. Claims the data directory; the first part gives it back.
 * @throws StandaloneError ERR_DATA_DIR, ERR_DATA_DIR_LOCKED; ConfigError, ScrapeError for the scrape file
 */
export function createStandalone(config: StandaloneConfig, deps: StandaloneDeps): Standalone {
  const { log, clock } = deps;
  const scrapeFile = config.scrapeConfig.isSet ? { text: config.scrapeConfig.content(), source: config.scrapeConfig.source } : undefined;
  // Read here too, so that a mistake in it is reported before anything starts.
  const own = scrapeFile === undefined ? undefined : parseScrapeFile(scrapeFile.text, scrapeFile.source);
  const storage: StorageSettings = {
    blockRangeMs: config.blockDurationMs,
    retentionMs: config.localRetentionMs,
    retentionBytes: config.retentionBytes,
    seriesMax: config.headSeriesLimit,
    walCompression: config.walCompressionType,
    features: config.enableFeatures,
  };
  for (const warning of storageWarnings(storage, own?.storage)) log.warn(warning);
  const dir = claimDataDir(config.dataDir);
  try {
    writeSampleRules(createNodeFileSystem(), dir.rules, config.sampleService);
    checkRules(rulePatterns(config, dir), log);
  } catch (error) {
    dir.release();
    throw error;
  }

  const replicas = REPLICAS.map((name, index) =>
    createReplicaThread(
      {
        name,
        dir: dir.replica(name),
        bucketDir: dir.bucket,
        scrapeIntervalMs: config.scrapeIntervalMs,
        scrapeFile,
        storage,
        keepUploadedMs: KEEP_UPLOADED_MS,
        shipIntervalMs: config.shipIntervalMs,
        historyOffsetMs: Math.floor(((index + 0.3) / REPLICAS.length) * HISTORY_STEP_MS),
        ackLogPath: config.ackLog ? dir.ackLog(name) : undefined,
        logLevel: config.logLevel,
        logFormat: config.logFormat,
      },
      deps.replicaModule,
    ),
  );
  let shop: SampleService | undefined;
  let plan: BackfillPlan | undefined;
  let querier: Querier | undefined;
  let ruler: Ruler | undefined;
  let compactor: CompactorPart | undefined;
  const gateway = createGatewayPart({ bucketDir: dir.bucket, dataDir: dir.store, deleteDelayMs: config.deleteDelayMs, log, clock });

  const shopJobs = (): BuiltInJob[] =>
    shop === undefined ? [] : [{ jobName: SHOP_JOB, targets: SHOP_INSTANCES.map((instance, i) => ({ address: shop!.address, metricsPath: shop!.paths[i]!, instance })) }];
  const setTargets = (jobs: readonly BuiltInJob[]): void => replicas.forEach((replica) => replica.setTargets(jobs));

  const parts: RunPart[] = [
    { name: 'data directory', stop: () => dir.release() },
    {
      name: 'sample shop',
      async start() {
        if (config.sampleService) shop = await startSampleService({ host: LOOPBACK, port: 0, clock });
      },
      stop: () => shop?.stop(),
    },
    // Before the replicas, since they make the folders by which a fresh data directory is known.
    { name: 'history plan', start: () => void (plan = planHistory(config, dir, deps)) },
    replicasPart(replicas),
    {
      name: 'history',
      async start() {
        setTargets(shopJobs());
        if (plan !== undefined && !plan.isComplete) plan = await generateHistory(plan, replicas, dir, deps);
      },
    },
    gateway,
    nestedParts('querier', async () => {
      writeEndpoints(dir, []);
      querier = await buildQuerier(config, replicas, gateway, dir, deps);
      return querier.parts;
    }),
    nestedParts('ruler', async () => {
      const externalLabels = externalLabelsOf(own?.externalLabels ?? [], RULER_LABEL, RULER_NAME);
      ruler = await buildRuler({ config, dir, querier: reachable(querier!.httpAddress()), externalLabels, log, clock });
      return [...ruler.parts, { name: 'endpoint of the ruler', start: () => writeEndpoints(dir, [ruler!.grpcAddress()]) }];
    }),
    nestedParts('compactor', async () => {
      const { retentionMs, compactIntervalMs: intervalMs, deleteDelayMs } = config;
      compactor = await buildCompactor({ bucketDir: dir.bucket, dataDir: dir.compact, retentionMs, intervalMs, deleteDelayMs, log, clock });
      return compactor.parts;
    }),
    {
      name: 'own targets',
      start: () => {
        const self = [
          { address: reachable(querier!.httpAddress()), metricsPath: '/metrics', instance: 'querier' },
          { address: gateway.httpAddress(), metricsPath: '/metrics', instance: 'store' },
          { address: ruler!.httpAddress(), metricsPath: '/metrics', instance: 'ruler' },
          { address: compactor!.httpAddress(), metricsPath: '/metrics', instance: 'compactor' },
          ...replicas.map((replica, i) => ({ address: replica.metricsAddress(), metricsPath: '/metrics', instance: `replica-${REPLICAS[i]!}` })),
        ];
        setTargets([...shopJobs(), { jobName: 'gauntlet', targets: self }]);
      },
    },
  ];
  log.debug('standalone built', { dataDir: dir.path });
  return {
    parts,
    async reloadRules() {
      await ruler?.reload();
    },
    facts: () => ({
      url: `http://${reachable(querier!.httpAddress())}`,
      grpcAddress: querier!.grpcAddress(),
      dataDir: dir.path,
      scrapeIntervalMs: config.scrapeIntervalMs,
      hasSampleService: config.sampleService,
      history: plan,
      ownTargets: own?.jobs.length ?? 0,
      rulesDir: dir.rules,
    }),
  };
}

/** The address under which this machine reaches a server that listens on all of its addresses. */
function reachable(address: string): string {
  return address.replace(/^(?:0\.0\.0\.0|\[::\]):/, `${LOOPBACK}:`);
}

/** Both at once: most of their start is loading code. */
function replicasPart(replicas: readonly ReplicaThread[]): RunPart {
  const stop = async (): Promise<void> => {
    const results = await Promise.allSettled(replicas.map((replica) => replica.stop()));
    for (const result of results) if (result.status === 'rejected') throw result.reason as Error;
  };
  return {
    name: 'replicas',
    async start() {
      const results = await Promise.allSettled(replicas.map((replica) => replica.start()));
      const failed = results.find((result) => result.status === 'rejected');
      if (failed === undefined) return;
      await stop().catch(() => undefined);
      throw failed.reason as Error;
    },
    async run(signal) {
      await Promise.race(replicas.map((replica) => replica.run(signal)));
    },
    stop,
  };
}

/** The plan found, or one made now for a fresh directory; undefined where no history is wanted. */
function planHistory(config: StandaloneConfig, dir: DataDir, { clock, random }: StandaloneDeps): BackfillPlan | undefined {
  const fs = createNodeFileSystem();
  const found = readBackfillPlan(fs, dir.backfillPlan);
  if (found !== undefined || !dir.isFresh || !config.backfill || !config.sampleService) return found;
  const plan = createBackfillPlan(clock(), random);
  writeBackfillPlan(fs, dir.backfillPlan, plan);
  return plan;
}

/** Generates what is missing; an end asked for meanwhile leaves the rest for the next start. */
async function generateHistory(plan: BackfillPlan, replicas: readonly ReplicaThread[], dir: DataDir, { clock, say, ending }: StandaloneDeps): Promise<BackfillPlan> {
  const startedMs = clock();
  const done = replicas.map(() => 0);
  let blocks = 0;
  say('first start: generating two days of history for the sample shop (generated, not measured) …');
  const timer = every(() => {
    if (blocks > 0) say(`  ${done.reduce((sum, n) => sum + n, 0)} of ${blocks * replicas.length} blocks`);
  }, PROGRESS_MS);
  try {
    const isComplete = await Promise.all(
      replicas.map((replica, i) =>
        replica.backfill(plan, ending, (blocksDone, count) => {
          done[i] = blocksDone;
          blocks = count;
        }),
      ),
    );
    if (!isComplete.every(Boolean)) return plan;
  } finally {
    clearInterval(timer);
  }
  const complete = { ...plan, isComplete: true };
  writeBackfillPlan(createNodeFileSystem(), dir.backfillPlan, complete);
  say(`  ${blocks * replicas.length} blocks in ${((clock() - startedMs) / 1000).toFixed(1)} s`);
  return complete;
}

async function buildQuerier(config: StandaloneConfig, replicas: readonly ReplicaThread[], gateway: GatewayPart, dir: DataDir, { log, metrics, shownFlags }: StandaloneDeps): Promise<Querier> {
  const endpoints = [...replicas.map((replica) => replica.grpcAddress()), gateway.grpcAddress()];
  const argv = [
    `--http-address=${config.httpAddress}`,
    `--grpc-address=${config.grpcAddress}`,
    `--http-grace-period=${HTTP_GRACE}`,
    `--grpc-grace-period=${HTTP_GRACE}`,
    ...endpoints.map((address) => `--endpoint=${address}`),
    // The ruler is there after the querier, over which it evaluates.
    `--endpoint.sd-config-file=${dir.endpoints}`,
    '--endpoint.sd-config-reload-interval=1s',
    `--query.replica-label=${REPLICA_LABEL}`,
    // Generated blocks continue into live series: without their label the two are one.
    `--query.replica-label=${ORIGIN_LABEL}`,
    // Recorded series read like scraped ones.
    `--query.replica-label=${RULER_LABEL}`,
  ];
  const outcome = parseFlags({ name: 'query', help: '', flags: querierFlags }, argv);
  if (outcome.kind === 'exit') throw new StandaloneError('ERR_ADDRESS', `configure querier: ${outcome.stderr.trim()}`);
  return createBuiltQuerier(outcome.values, { log, metrics, shownFlags });
}
