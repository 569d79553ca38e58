/**
 * Gives tasks to query workers. Small queries share workers; one that grows past 32 MiB or 2 s of work is started again in a worker of
 * its own. What a query may not do to others: block them (workers), starve them (gate), or take their memory (ledger).
 *
 *   PromQL     ─► gate (--query.max-concurrent) ─► shared worker ──outgrown──► exclusive worker
 *   metadata   ─► shared worker ──outgrown──► exclusive worker
 *   StoreAPI   ─► store worker                    streams go at their reader's pace, so that many wait at once; a gate over them
 *                                                 could leave stacked queriers waiting for each other
 *
 * The gate counts evaluations: it is left when the answer begins, not when its reader has it all.
 */
import { availableParallelism } from 'node:os';
import { type Gate, type Logger, type MemoryLedger, type Metrics, type RunOptions, type WorkerPool, WorkerTaskError, createGate, createWorkerPool } from '@gauntlet/service-kit';
import { type ApiRoute, OUTGROWN, SHARED_BYTES_MAX, type QueryTask, type TaskReport, type WorkerSettings } from './query-task.ts';

/** Small queries at once in one shared worker. */
const SHARED_JOBS = 16;
/** StoreAPI streams at once in one store worker; most wait for a peer. */
const STORE_JOBS = 512;
const IDLE_MS = 60_000;
/** Buckets of the time a cancelled query still occupies its worker, seconds. */
const CANCEL_BUCKETS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10];
/** What evaluates PromQL. */
const GATED: ReadonlySet<ApiRoute> = new Set<ApiRoute>(['query', 'query_range']);
type Kind = 'shared' | 'exclusive' | 'store';

export interface QueryRunnerOptions {
  readonly settings: WorkerSettings;
  readonly maxConcurrent: number;
  readonly ledger: MemoryLedger;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Built worker module. */
  readonly module: URL;
}

export interface QueryRunner {
  /**
   * Runs a task to its end.
   * @param onPiece takes what the worker sends, in order; what it returns is waited for
   * @throws WorkerTaskError what the task threw · the signal's reason
   */
  run(task: QueryTask, onPiece: (piece: unknown) => Promise<void> | void, signal: AbortSignal): Promise<TaskReport>;
  /** Starts a shared worker and runs a query without data in it: the first user does not wait for compilers and modules. */
  warmUp(): Promise<void>;
  /** Workers and tasks now. */
  stats(): ReturnType<WorkerPool<Kind>['stats']>;
  close(): Promise<void>;
}

/**
 * Heap of a worker whose queries may hold `bytes` at a time. V8 lets garbage grow with the room there is, so the room is twice that of the queries, whose
 * charges are estimates, and a base for code and frames on their way. A worker that passes it ends alone, with its queries. The young generation is small
 * (halves of 4 MB): a query's samples are in kernel memory, and buffers of answers are given back sooner; halves of 8 MB are no faster.
 */
function heapLimits(bytes: number): { readonly maxOldGenerationSizeMb: number; readonly maxYoungGenerationSizeMb: number } {
  return { maxOldGenerationSizeMb: 96 + Math.ceil((2 * bytes) / (1 << 20)), maxYoungGenerationSizeMb: 12 };
}

/** Makes a runner; workers start with the first query. */
export function createQueryRunner(options: QueryRunnerOptions): QueryRunner {
  const { metrics, maxConcurrent, settings, log } = options;
  const gate: Gate = createGate({ max: maxConcurrent, metrics: metrics.withPrefix('thanos_query_concurrent_'), operation: 'queries' });
  const cancelSeconds = metrics.histogram({ name: 'gauntlet_query_cancel_duration_seconds', help: 'Time from the cancellation of a query to its worker being free again.', buckets: CANCEL_BUCKETS });
  const pool = createWorkerPool<Kind>({
    module: options.module,
    kinds: {
      shared: { workersMax: availableParallelism(), jobsPerWorker: SHARED_JOBS, idleMs: 10 * IDLE_MS, resourceLimits: heapLimits(SHARED_JOBS * SHARED_BYTES_MAX) },
      exclusive: { workersMax: maxConcurrent, jobsPerWorker: 1, idleMs: IDLE_MS, resourceLimits: heapLimits(settings.maxMemoryBytes) },
      store: { workersMax: availableParallelism(), jobsPerWorker: STORE_JOBS, idleMs: IDLE_MS },
    },
    data: settings,
    onWorkerEnd: (threadId) => options.ledger.closeAccountsOf(threadId),
    onCancelEnd: (elapsedMs) => cancelSeconds.observe(elapsedMs / 1000),
    log,
  });
  const counters = declareCounters(metrics);
  metrics.gauge({ name: 'gauntlet_query_memory_used_bytes', help: 'Memory reserved by running queries.', collect: () => options.ledger.usedBytes });
  metrics.gauge({ name: 'gauntlet_query_memory_peak_bytes', help: 'Most memory reserved by running queries at any time.', collect: () => options.ledger.peakBytes });
  metrics.gauge({ name: 'gauntlet_query_memory_limit_bytes', help: 'Most memory all queries together may reserve.', collect: () => options.ledger.limitBytes });
  metrics.gauge({ name: 'gauntlet_query_workers', help: 'Query worker threads.', collect: () => pool.stats().workers });
  metrics.gauge({ name: 'gauntlet_query_tasks_running', help: 'Query tasks in workers.', collect: () => pool.stats().running });

  const count = (report: TaskReport): TaskReport => {
    const thread = report.isMainThread ? 'main' : 'worker';
    counters.decodedChunks.with({ thread }).inc(report.decodedChunks);
    counters.mergedSeries.with({ thread }).inc(report.mergedSeries);
    counters.encodedBytes.with({ thread }).inc(report.encodedBytes);
    return report;
  };

  return {
    async run(task, onPiece, signal) {
      if (task.kind !== 'api') return count((await pool.run('store', task, { signal, onPiece })) as TaskReport);
      const leave = GATED.has(task.route) ? await gate.acquire(signal) : () => {};
      const options: RunOptions = {
        signal,
        onPiece(piece) {
          leave();
          return onPiece(piece);
        },
      };
      try {
        return count((await pool.run('shared', task, options)) as TaskReport);
      } catch (error) {
        // A worker says so before its first piece, so that nothing was answered yet.
        if (!(error instanceof WorkerTaskError) || error.task.code !== OUTGROWN) throw error;
        counters.outgrown.inc();
        return count((await pool.run('exclusive', task, options)) as TaskReport);
      } finally {
        leave();
      }
    },
    async warmUp() {
      const url = 'query=sum by (a) (rate(warm_up[5m]))&start=0&end=60&step=15';
      const task: QueryTask = { kind: 'api', route: 'query_range', name: 'warm-up', endpoints: [], tenant: '', url, form: undefined, label: '' };
      await pool.run('shared', task, { onPiece: () => {} });
    },
    stats: () => pool.stats(),
    close: () => pool.close(),
  };
}

function declareCounters(metrics: Metrics): Record<'decodedChunks' | 'mergedSeries' | 'encodedBytes', ReturnType<Metrics['counter']>> & { readonly outgrown: ReturnType<Metrics['counter']> } {
  const byThread = (name: string, help: string): ReturnType<Metrics['counter']> => {
    const counter = metrics.counter({ name, help: `${help}, by kind of thread. The main thread must stay at 0.`, labels: ['thread'] });
    counter.with({ thread: 'main' }).inc(0);
    counter.with({ thread: 'worker' }).inc(0);
    return counter;
  };
  return {
    decodedChunks: byThread('gauntlet_query_decoded_chunks_total', 'Chunks decoded for queries'),
    mergedSeries: byThread('gauntlet_query_merged_series_total', 'Series merged for queries'),
    encodedBytes: byThread('gauntlet_query_encoded_bytes_total', 'Bytes of answers written'),
    outgrown: metrics.counter({ name: 'gauntlet_query_outgrown_total', help: 'Queries that moved to a worker of their own.' }),
  };
}
