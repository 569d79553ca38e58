/**
 * Gives tasks to query workers. Small queries share workers; one that grows past 32 MiB or 2 s is started again in a worker of its
 * own. What a query may not do to others: block them (workers), starve them (gate), or take their memory (ledger).
 *
 *   run ─► gate (--query.max-concurrent) ─► shared worker ──outgrown──► exclusive worker
 */
import { availableParallelism } from 'node:os';
import { type Gate, type Logger, type MemoryLedger, type Metrics, type WorkerPool, WorkerTaskError, createGate, createWorkerPool } from '@gauntlet/service-kit';
import { OUTGROWN, type QueryTask, type TaskReport, type WorkerSettings } from './query-task.ts';

/** Small queries at once in one shared worker. */
const SHARED_JOBS = 16;
const IDLE_MS = 60_000;

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
  stats(): ReturnType<WorkerPool<'shared' | 'exclusive'>['stats']>;
  close(): Promise<void>;
}

/** Makes a runner; workers start with the first query. */
export function createQueryRunner(options: QueryRunnerOptions): QueryRunner {
  const { metrics, maxConcurrent, settings, log } = options;
  const gate: Gate = createGate({ max: maxConcurrent, metrics: metrics.withPrefix('thanos_query_concurrent_'), operation: 'queries' });
  const pool = createWorkerPool({
    module: options.module,
    kinds: {
      shared: { workersMax: availableParallelism(), jobsPerWorker: SHARED_JOBS, idleMs: 10 * IDLE_MS },
      exclusive: { workersMax: maxConcurrent, jobsPerWorker: 1, idleMs: IDLE_MS },
    },
    data: settings,
    log,
  });
  const counters = declareCounters(metrics);
  metrics.gauge({ name: 'gauntlet_query_memory_used_bytes', help: 'Memory reserved by running queries.', collect: () => options.ledger.usedBytes });
  metrics.gauge({ name: 'gauntlet_query_memory_limit_bytes', help: 'Most memory all queries together may reserve.', collect: () => options.ledger.limitBytes });
  metrics.gauge({ name: 'gauntlet_query_workers', help: 'Query worker threads.', collect: () => pool.stats().workers });
  metrics.gauge({ name: 'gauntlet_query_tasks_running', help: 'Query tasks in workers.', collect: () => pool.stats().running });

  const count = (report: TaskReport): void => {
    const thread = report.isMainThread ? 'main' : 'worker';
    counters.decodedChunks.with({ thread }).inc(report.decodedChunks);
    counters.mergedSeries.with({ thread }).inc(report.mergedSeries);
    counters.encodedBytes.with({ thread }).inc(report.encodedBytes);
  };

  return {
    async run(task, onPiece, signal) {
      const release = await gate.acquire(signal);
      try {
        let report: TaskReport;
        try {
          report = (await pool.run('shared', task, { signal, onPiece })) as TaskReport;
        } catch (error) {
          if (!(error instanceof WorkerTaskError) || error.task.code !== OUTGROWN) throw error;
          counters.outgrown.inc();
          report = (await pool.run('exclusive', task, { signal, onPiece })) as TaskReport;
        }
        count(report);
        return report;
      } finally {
        release();
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
