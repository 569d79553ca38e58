/**
 * The sidecar's Store, its rules and exemplars: each call runs in a worker thread (store-worker.ts), with what is known of Prometheus at that moment. Counts
 * what the workers report.
 *
 *   call ─► pool ─► worker ─► Prometheus
 *                     └─► pieces of frames, at the reader's pace ─► frames
 */
import { randomUUID } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { BroadcastChannel } from 'node:worker_threads';
import { createWorkerPool, type Logger, type WorkerPoolStats } from '@gauntlet/service-kit';
import { createWorkerStore, type ExemplarsFrames, type FramesPiece, type RulesFrames, type Store, type StoreInfo, streamPieces, unpackFrames, workerStoreError } from '@gauntlet/storeapi';
import type { SidecarMetrics } from './metrics.ts';
import type { PrometheusFacts, StoreReport, StoreTask, WorkerSettings } from './store-task.ts';

/** Conversion keeps up with several Prometheus' worth of data per thread; more would take its cores. */
const WORKERS_MAX = 4;
/** Calls at once in one worker; most wait for Prometheus or for their reader, and none may wait for another. */
const CALLS_PER_WORKER = 512;
/** A worker holds some 15 MB and starts in 0.1 to 0.2 s; it outlives the refreshes of a dashboard. */
const IDLE_MS = 60_000;
/** A large JSON answer or one large metric is converted in one go, during which a cancelled call cannot say so; it must not take the worker's other calls with it. */
const CANCEL_MS = 30_000;

/** What {@link createStoreWorkers} needs. */
export interface StoreWorkersDeps {
  readonly log: Logger;
  readonly metrics: SidecarMetrics;
  /** Built worker module. */
  readonly module: URL;
  /** Asked at every call. */
  readonly facts: () => PrometheusFacts;
  readonly info: () => StoreInfo;
}

/** See the head of this file. */
export interface StoreWorkers {
  readonly store: Store;
  /** The rules of Prometheus, as encoded messages. */
  readonly rules: RulesFrames;
  /** The exemplars of Prometheus, likewise. */
  readonly exemplars: ExemplarsFrames;
  stats(): WorkerPoolStats;
  /** Ends all workers; running calls fail. */
  close(): Promise<void>;
}

/** Makes the store; workers start with the first call and end after a minute without one. */
export function createStoreWorkers({ log, metrics, module, facts, info }: StoreWorkersDeps, options: Omit<WorkerSettings, 'reports'>): StoreWorkers {
  const settings: WorkerSettings = { ...options, reports: `sidecar-store-${randomUUID()}` };
  const reports = new BroadcastChannel(settings.reports);
  reports.unref();
  reports.onmessage = (message: unknown) => count(metrics, (message as { readonly data: StoreReport }).data);
  const pool = createWorkerPool({
    module,
    kinds: { store: { workersMax: Math.min(WORKERS_MAX, availableParallelism()), jobsPerWorker: CALLS_PER_WORKER, idleMs: IDLE_MS } },
    data: settings,
    acknowledgeMs: CANCEL_MS,
    endMs: CANCEL_MS,
    log,
  });
  /** The messages of a call that runs in a worker. */
  async function* frames(call: StoreTask['call'], signal: AbortSignal | undefined): AsyncGenerator<Uint8Array, void> {
    const task: StoreTask = { call, facts: facts() };
    try {
      for await (const piece of streamPieces((transport) => pool.run('store', task, transport), signal)) yield* unpackFrames(piece as FramesPiece);
    } catch (error) {
      throw workerStoreError(error);
    }
  }
  return {
    store: createWorkerStore({
      run: (call, transport) => {
        const task: StoreTask = { call, facts: facts() };
        return pool.run('store', task, transport);
      },
      info,
    }),
    rules: (request, { signal }) => frames({ kind: 'rules', request }, signal),
    exemplars: (request, { signal }) => frames({ kind: 'exemplars', request }, signal),
    stats: () => pool.stats(),
    async close() {
      await pool.close();
      reports.close();
    },
  };
}

function count(metrics: SidecarMetrics, report: StoreReport): void {
  if (report.kind === 'spooled') {
    metrics.spooledAnswers.inc();
    return;
  }
  const { isMainThread, frames, chunks } = report.cost;
  const thread = isMainThread ? 'main' : 'worker';
  if (frames !== undefined) {
    metrics.framesRead.observe(frames);
    metrics.decodedFrames.with({ thread }).inc(frames);
  }
  metrics.convertedChunks.with({ thread }).inc(chunks);
}
