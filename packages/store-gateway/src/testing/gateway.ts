/** A started gateway over a folder of blocks or a bucket, for tests: free ports, a data directory of its own, inline or worker threads. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Bucket, BucketLedger, createFilesystemBucket, createLedgerBucket } from '@gauntlet/objstore';
import { createMetrics, createNopLogger, type Logger, type Metrics, parseFlags } from '@gauntlet/service-kit';
import type { Store } from '@gauntlet/storeapi';
import { type StoreGatewayConfig, storeGatewayFlags } from '../flags.ts';
import { createStoreGateway, type StoreGateway } from '../store-gateway.ts';
import { createInlineRunner } from '../task-runner.ts';

/** Built worker module of this package. */
export const WORKER_MODULE = new URL(`file://${resolve(import.meta.dirname, '../../dist/store-worker.js')}`);

/** The large recorded set, or undefined where there is none. */
export function goldenFolder(): string | undefined {
  const folder = join(process.env['GAUNTLET_SHARED'] ?? resolve(import.meta.dirname, '../../../../../shared'), 'golden');
  return existsSync(folder) ? folder : undefined;
}

/** A gateway whose blocks are loaded. */
export interface TestGateway {
  readonly gateway: StoreGateway;
  readonly store: Store;
  /** Requests to the bucket since the start. */
  readonly ledger: BucketLedger;
  readonly metrics: Metrics;
  readonly dataDir: string;
  stop(): Promise<void>;
}

/** How to start one. */
export interface TestGatewayOptions {
  readonly flags?: readonly string[];
  /** Real worker threads, from the build; default inline. */
  readonly withWorkers?: boolean;
  /** Default: a fresh one, removed at stop. */
  readonly dataDir?: string;
  readonly log?: Logger;
  readonly clock?: () => number;
}

/** The configuration these arguments give. */
export function configOf(flags: readonly string[]): StoreGatewayConfig {
  const outcome = parseFlags({ name: 'store', help: '', flags: storeGatewayFlags, version: '0' }, flags);
  if (outcome.kind !== 'run') throw new Error(JSON.stringify(outcome));
  return outcome.values;
}

/** Starts a gateway. @param source a folder as the FILESYSTEM provider has it, or a bucket */
export async function startTestGateway(source: string | Bucket, options: TestGatewayOptions = {}): Promise<TestGateway> {
  const ledger = new BucketLedger();
  const bucket = createLedgerBucket(typeof source === 'string' ? await createFilesystemBucket({ directory: source }) : source, ledger);
  const dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), 'gauntlet-store-'));
  const metrics = createMetrics();
  const config = configOf([`--data-dir=${dataDir}`, '--objstore.config={type: FILESYSTEM, config: {directory: unused}}', '--http-address=127.0.0.1:0', '--grpc-address=127.0.0.1:0', '--ignore-deletion-marks-delay=0s', ...(options.flags ?? [])]);
  const gateway = await createStoreGateway(config, {
    log: options.log ?? createNopLogger(),
    metrics,
    clock: options.clock ?? Date.now,
    workerModule: WORKER_MODULE,
    bucket,
    initialSyncRetryMs: 60_000,
    ...(options.withWorkers === true ? {} : { createRunner: createInlineRunner }),
  });
  const started: StoreGateway['parts'][number][] = [];
  const stop = async (): Promise<void> => {
    for (const part of started.toReversed()) await part.stop?.('test ends');
    if (options.dataDir === undefined) rmSync(dataDir, { recursive: true, force: true });
  };
  try {
    for (const part of gateway.parts) {
      await part.start?.();
      started.push(part);
    }
  } catch (error) {
    await stop();
    throw error;
  }
  return { gateway, store: gateway.store, ledger, metrics, dataDir, stop };
}
