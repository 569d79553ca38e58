/**
 * Composition root: all services in one process, on one folder.
 *
 *   sample shop ◄─ scrape ─ replica a (thread) ─┐ gRPC, loopback
 *        ▲                   replica b (thread) ─┼─► querier ─► page, HTTP API, StoreAPI
 *        └──── scrape ──────────┘  │ upload      │
 *                                  ▼             │
 *   history (first start) ─► bucket folder ─► store gateway
 *
 * Parts start in this order: data directory, sample shop, replicas, history, store gateway, querier. They stop in reverse.
 */
import { setInterval as every } from 'node:timers';
import { ORIGIN_LABEL, type SampleService, SHOP_INSTANCES, SHOP_JOB, startSampleService } from '@gauntlet/demo';
import { parseScrapeFile } from '@gauntlet/scrape';
import { createBuiltQuerier, type Querier, querierFlags } from '@gauntlet/querier';
import { createNodeFileSystem, type Logger, type Metrics, parseFlags, type RunPart } from '@gauntlet/service-kit';
import { type BackfillPlan, createBackfillPlan, HISTORY_STEP_MS, readBackfillPlan, writeBackfillPlan } from './backfill/backfill-plan.ts';
import { claimDataDir, type DataDir, REPLICAS } from './data-dir.ts';
import { StandaloneError } from './errors.ts';
import type { StandaloneConfig } from './flags.ts';
import { createGatewayPart, type GatewayPart } from './gateway-part.ts';
import { nestedParts } from './nested-parts.ts';
import { REPLICA_LABEL } from './replica/replica.ts';
import type { BuiltInJob } from './replica/replica-protocol.ts';
import { createReplicaThread, type ReplicaThread } from './replica/replica-thread.ts';
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
}

/**
 * Builds a standalone. Claims the data directory; the first part gives it back.
 * @throws StandaloneError ERR_DATA_DIR, ERR_DATA_DIR_LOCKED; ConfigError, ScrapeError for the scrape file
 */
export function createStandalone(config: StandaloneConfig, deps: StandaloneDeps): Standalone {
  const { log, clock } = deps;
  const scrapeFile = config.scrapeConfig.isSet ? { text: config.scrapeConfig.content(), source: config.scrapeConfig.source } : undefined;
  // Read here too, so that a mistake in it is reported before anything starts.
  const ownJobs = scrapeFile === undefined ? [] : parseScrapeFile(scrapeFile.text, scrapeFile.source).jobs;
  const dir = claimDataDir(config.dataDir);

  const replicas = REPLICAS.map((name, index) =>
    createReplicaThread(
      {
        name,
        dir: dir.replica(name),
        bucketDir: dir.bucket,
        scrapeIntervalMs: config.scrapeIntervalMs,
        scrapeFile,
        localRetentionMs: config.localRetentionMs,
        blockRangeMs: config.blockDurationMs,
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
  const gateway = createGatewayPart({ bucketDir: dir.bucket, dataDir: dir.store, log, clock });

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
      querier = await buildQuerier(config, replicas, gateway, deps);
      return querier.parts;
    }),
    {
      name: 'own targets',
      start: () => {
        const self = [
          { address: reachable(querier!.httpAddress()), metricsPath: '/metrics', instance: 'querier' },
          { address: gateway.httpAddress(), metricsPath: '/metrics', instance: 'store' },
          ...replicas.map((replica, i) => ({ address: replica.metricsAddress(), metricsPath: '/metrics', instance: `replica-${REPLICAS[i]!}` })),
        ];
        setTargets([...shopJobs(), { jobName: 'gauntlet', targets: self }]);
      },
    },
  ];
  log.debug('standalone built', { dataDir: dir.path });
  return {
    parts,
    facts: () => ({
      url: `http://${reachable(querier!.httpAddress())}`,
      grpcAddress: querier!.grpcAddress(),
      dataDir: dir.path,
      scrapeIntervalMs: config.scrapeIntervalMs,
      hasSampleService: config.sampleService,
      history: plan,
      ownTargets: ownJobs.length,
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

async function buildQuerier(config: StandaloneConfig, replicas: readonly ReplicaThread[], gateway: GatewayPart, { log, metrics, shownFlags }: StandaloneDeps): Promise<Querier> {
  const endpoints = [...replicas.map((replica) => replica.grpcAddress()), gateway.grpcAddress()];
  const argv = [
    `--http-address=${config.httpAddress}`,
    `--grpc-address=${config.grpcAddress}`,
    `--http-grace-period=${HTTP_GRACE}`,
    `--grpc-grace-period=${HTTP_GRACE}`,
    ...endpoints.map((address) => `--endpoint=${address}`),
    `--query.replica-label=${REPLICA_LABEL}`,
    // Generated blocks continue into live series: without their label the two are one.
    `--query.replica-label=${ORIGIN_LABEL}`,
  ];
  const outcome = parseFlags({ name: 'query', help: '', flags: querierFlags }, argv);
  if (outcome.kind === 'exit') throw new StandaloneError('ERR_ADDRESS', `configure querier: ${outcome.stderr.trim()}`);
  return createBuiltQuerier(outcome.values, { log, metrics, shownFlags });
}
