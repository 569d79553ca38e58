/** Gives compactions to worker threads: the main thread moves blocks and computes nothing. */
import { createNodeFileSystem, createWorkerPool, type Logger } from '@gauntlet/service-kit';
import { type CompactOutcome, type CompactProgress, type CompactTask, runCompactTask } from './compact-task.ts';

/** A cancelled compaction polls once per some hundred series, but a single fsync may take long. */
const ACKNOWLEDGE_MS = 10_000;
const IDLE_MS = 60_000;

/** Runs compactions. */
export interface CompactRunner {
  /** @throws what the work threw, as WorkerTaskError with its code; the signal's reason */
  run(task: CompactTask, signal: AbortSignal, onProgress: (progress: CompactProgress) => void): Promise<CompactOutcome>;
  /** Ends the threads. */
  close(): Promise<void>;
}

/**
 * Runs each compaction in a thread of its own.
 * @param module built worker module
 * @param concurrency most at once
 */
export function createCompactRunner(log: Logger, module: URL, concurrency: number): CompactRunner {
  const pool = createWorkerPool({ module, kinds: { exclusive: { workersMax: concurrency, jobsPerWorker: 1, idleMs: IDLE_MS } }, acknowledgeMs: ACKNOWLEDGE_MS, log });
  return {
    run: async (task, signal, onProgress) => (await pool.run('exclusive', task, { signal, onPiece: (piece) => onProgress(piece as CompactProgress) })) as CompactOutcome,
    close: () => pool.close(),
  };
}

/** Runs compactions in the calling thread: for tests of everything but the threads. */
export function createInlineRunner(): CompactRunner {
  const fs = createNodeFileSystem();
  return {
    run: async (task, signal, onProgress) => {
      signal.throwIfAborted();
      return Promise.resolve(runCompactTask(task, { fs, clock: () => performance.now(), shouldStop: () => signal.aborted, onProgress }));
    },
    close: () => Promise.resolve(),
  };
}
