/** Gives jobs to worker threads, and each job its way to the bucket: a port served by this thread, a memory account, a signal. */
import { availableParallelism } from 'node:os';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import type { Bucket } from '@gauntlet/objstore';
import { createWorkerPool, type Gate, type Logger, type MemoryLedger, WorkerTaskError } from '@gauntlet/service-kit';
import { StoreError, type StoreErrorCode } from '@gauntlet/storeapi';
import { createBlockIo } from './block-io.ts';
import { FrameTools } from './block-series.ts';
import { returnBuffers, serveBlockIo } from './block-io-port.ts';
import { FrameMemory } from './frame-memory.ts';
import { createHeaderCache } from './header-cache.ts';
import type { IndexCache } from './index-cache.ts';
import { runTask } from './run-task.ts';
import type { StoreTask, TaskReport, TaskSettings } from './store-task.ts';

/** Jobs at once in one worker: they mostly wait for the bucket. */
const JOBS_PER_WORKER = 16;
/** Workers end after so long without a job; starting one costs some 100 ms. */
const IDLE_MS = 10 * 60_000;

/** Runs jobs. */
export interface TaskRunner {
  /**
   * @param onFrames takes frames in order, each with GRPC_HEADER_BYTES of room before it; what it returns is waited for: true once nobody refers to
   *   them any more, then their memory is used again
   * @throws StoreError as the job threw it; other errors of the job by name and code; the signal's reason
   */
  run(task: StoreTask, onFrames: (frames: readonly Uint8Array[]) => Promise<boolean>, signal: AbortSignal): Promise<TaskReport>;
  close(): Promise<void>;
}

/** What a runner needs. */
export interface TaskRunnerDeps {
  readonly bucket: Bucket;
  readonly cache: IndexCache;
  /** Bounds requests to the bucket, over all jobs. */
  readonly ioGate: Gate;
  readonly ledger: MemoryLedger;
  readonly settings: TaskSettings;
  readonly log: Logger;
}

/** Runs jobs in worker threads. @param module built worker module */
export function createTaskRunner(deps: TaskRunnerDeps, module: URL): TaskRunner {
  const pool = createWorkerPool({
    module,
    kinds: { shared: { workersMax: Math.max(1, availableParallelism()), jobsPerWorker: JOBS_PER_WORKER, idleMs: IDLE_MS } },
    data: deps.settings,
    log: deps.log,
  });
  let jobs = 0;
  return {
    run: (task, onFrames, signal) => withIo(deps, `${task.kind} call ${++jobs}`, signal, async (io, jobSignal) => {
      const { port1, port2 } = new MessageChannel();
      serveBlockIo(port1, io);
      try {
        return (await pool.run('shared', { task, port: port2 }, { transfer: [port2], signal: jobSignal, onPiece: (frames) => giveBack(port1, frames as Uint8Array[], onFrames) })) as TaskReport;
      } catch (error) {
        throw taskError(error);
      } finally {
        port1.close();
      }
    }),
    close: () => pool.close(),
  };
}

/** Runs jobs in the calling thread: for tests of everything but the threads. */
export function createInlineRunner(deps: TaskRunnerDeps): TaskRunner {
  const headers = createHeaderCache();
  const tools = new FrameTools();
  return {
    run: (task, onFrames, signal) => withIo(deps, task.kind, signal, (io) =>
      runTask(task, {
        io,
        headers,
        tools,
        frames: new FrameMemory(),
        settings: deps.settings,
        clock: () => performance.now(),
        throwIfCancelled: () => signal.throwIfAborted(),
        send: async (frames) => void (await onFrames(frames)),
      })),
    close: () => Promise.resolve(),
  };
}

/** Hands frames on and, when they are done with, their memory back to the worker. */
async function giveBack(port: MessagePort, frames: readonly Uint8Array[], onFrames: (frames: readonly Uint8Array[]) => Promise<boolean>): Promise<void> {
  if (await onFrames(frames)) returnBuffers(port, [...new Set(frames.map((frame) => frame.buffer as ArrayBuffer))]);
}

/** An account and a signal for the life of a job; reads that are under way when it ends are ended too. */
async function withIo<T>(deps: TaskRunnerDeps, name: string, signal: AbortSignal, work: (io: ReturnType<typeof createBlockIo>, signal: AbortSignal) => Promise<T>): Promise<T> {
  const account = deps.ledger.openAccount(name, deps.ledger.limitBytes);
  const ended = new AbortController();
  let isOpen = true;
  const io = createBlockIo({
    bucket: deps.bucket,
    cache: deps.cache,
    gate: deps.ioGate,
    account: {
      reserve: (bytes) => account.reserve(bytes),
      // Reads that fail after the end have nothing to give back: the account is closed.
      release: (bytes) => {
        if (isOpen) account.release(bytes);
      },
    },
    signal: AbortSignal.any([signal, ended.signal]),
  });
  try {
    return await work(io, signal);
  } finally {
    isOpen = false;
    ended.abort();
    account.close();
  }
}

/** Errors keep the code they had in the worker. */
function taskError(error: unknown): unknown {
  if (!(error instanceof WorkerTaskError)) return error;
  const { code, name, message } = error.task;
  if (code !== undefined && code.startsWith('ERR_STORE_')) return new StoreError(code as StoreErrorCode, message, { cause: error });
  const plain = new Error(message, { cause: error });
  plain.name = name;
  return code === undefined ? plain : Object.assign(plain, { code });
}
