/** The store gateway over the bucket folder, in this process; its servers listen on loopback only. */
import { createMetrics, type Logger, parseFlags, registerProcessMetrics, BUILD_INFO, type RunPart } from '@gauntlet/service-kit';
import { type RunningStoreGateway, startStoreGateway, storeGatewayFlags } from '@gauntlet/store-gateway';
import { StandaloneError } from './errors.ts';

/** How soon uploaded blocks are served, at most. */
const SYNC_MAX_MS = 30_000;
/** Least time an uploaded block is kept where it was cut, whatever the local retention: the gateway has it by then, and the querier knows. */
export const KEEP_UPLOADED_MS: number = 6 * SYNC_MAX_MS;
/** Looks at the bucket from the compaction of a block to its deletion, at least. */
const SYNCS_PER_DELETE_DELAY = 6;
const INDEX_CACHE = '64MB';
const GRACE = '2s';

/** A part whose addresses are known once it has started. */
export interface GatewayPart extends RunPart {
  /** `host:port` of its StoreAPI. */
  grpcAddress(): string;
  /** `host:port` of its `/metrics`. */
  httpAddress(): string;
}

/** Where it reads, where it caches. */
export interface GatewayOptions {
  readonly bucketDir: string;
  readonly dataDir: string;
  /** Time from the mark to the deletion of a block; after half of it the block is not read any more. */
  readonly deleteDelayMs: number;
  readonly log: Logger;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
}

/** Makes the part; it is ready, with all blocks of the bucket, when its start is done. */
export function createGatewayPart({ bucketDir, dataDir, deleteDelayMs, log, clock }: GatewayOptions): GatewayPart {
  let running: RunningStoreGateway | undefined;
  const started = (): RunningStoreGateway => {
    if (running === undefined) throw new StandaloneError('ERR_ADDRESS', 'address of the store gateway: it has not started');
    return running;
  };
  return {
    name: 'store gateway',
    async start() {
      const argv = [
        '--http-address=127.0.0.1:0',
        '--grpc-address=127.0.0.1:0',
        `--http-grace-period=${GRACE}`,
        `--grpc-grace-period=${GRACE}`,
        `--objstore.config=${JSON.stringify({ type: 'FILESYSTEM', config: { directory: bucketDir } })}`,
        `--data-dir=${dataDir}`,
        `--sync-block-duration=${Math.max(1, Math.min(SYNC_MAX_MS, Math.floor(deleteDelayMs / SYNCS_PER_DELETE_DELAY)))}ms`,
        `--ignore-deletion-marks-delay=${Math.floor(deleteDelayMs / 2)}ms`,
        `--index-cache-size=${INDEX_CACHE}`,
      ];
      const outcome = parseFlags({ name: 'store', help: '', flags: storeGatewayFlags }, argv);
      if (outcome.kind === 'exit') throw new StandaloneError('ERR_ADDRESS', `configure store gateway: ${outcome.stderr.trim()}`);
      // Its own page of metrics: names are the querier's too.
      const metrics = createMetrics(clock);
      registerProcessMetrics(metrics, BUILD_INFO);
      running = await startStoreGateway(outcome.values, { log: log.child({ part: 'store' }), metrics, clock, shownFlags: Object.fromEntries(outcome.shown) });
    },
    async stop() {
      await running?.stop();
    },
    grpcAddress: () => started().grpcAddress,
    httpAddress: () => started().httpAddress,
  };
}
