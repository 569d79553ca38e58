/**
 * Worker threads that do jobs: the thread that owns the pool computes nothing, it posts a request and gets a response, with pieces in between if there are any.
 *
 *   run(kind, request) ─► queue of the kind ─► worker with a free slot (else a new worker, up to `workersMax`)
 *   cancel: slot flag := 1 and a message ─► the job notices (poll or AbortSignal), sets the flag to 2 ─► ends
 *           no acknowledgement within 1 s (5 s where other jobs share it) ─► the worker is terminated, its other jobs fail with ERR_WORKER_EXIT
 *           not begun yet (the worker still loads, or another job computes) ─► dropped when its turn comes, nobody is terminated for it
 *
 * A kind is a way of sharing: `shared` workers run several jobs at once, `exclusive` ones a single job. Workers start when needed and end after `idleMs` without a job.
 * The worker's side is worker-task.ts. Messages: see {@link PoolMessage} and {@link WorkerMessage}.
 */
import { type MessagePort, type ResourceLimits, Worker } from 'node:worker_threads';
import { ServiceKitError, errorText } from './errors.ts';
import type { Logger } from './log.ts';

/** Values of a slot flag. */
export const SLOT_FLAG = { running: 0, cancelAsked: 1, cancelSeen: 2, queued: 3 } as const;

/** From the pool to a worker. */
export type PoolMessage =
  | { readonly type: 'run'; readonly id: number; readonly slot: number; readonly request: unknown }
  | { readonly type: 'cancel'; readonly id: number }
  | { readonly type: 'taken'; readonly id: number; readonly piece: number };

/** From a worker to the pool. */
export type WorkerMessage =
  | { readonly type: 'done'; readonly id: number; readonly response: unknown }
  | { readonly type: 'failed'; readonly id: number; readonly error: TaskErrorData }
  | { readonly type: 'piece'; readonly id: number; readonly piece: number; readonly value: unknown };

/** An error that crosses threads. */
export interface TaskErrorData {
  readonly name: string;
  readonly message: string;
  /** The error's `code`, when it is a text. */
  readonly code: string | undefined;
  readonly stack: string | undefined;
  /** The error's own further fields, as far as they can be copied. */
  readonly fields: Readonly<Record<string, unknown>>;
}

/** What a job in a worker threw. */
export class WorkerTaskError extends ServiceKitError {
  override readonly name: string = 'WorkerTaskError';
  /** The error as it was in the worker; match on `task.code`. */
  readonly task: TaskErrorData;

  constructor(task: TaskErrorData) {
    super('ERR_WORKER_TASK', task.message);
    this.task = task;
    if (task.stack !== undefined) this.stack = task.stack;
  }
}

/** How workers of one kind are used. */
export interface WorkerKind {
  /** Most workers of the kind. */
  readonly workersMax: number;
  /** Of the heaps of its workers; default those of the pool. */
  readonly resourceLimits?: ResourceLimits;
  /** Most jobs at once in one worker. */
  readonly jobsPerWorker: number;
  /** Time without a job after which a worker ends; default 60 s. */
  readonly idleMs?: number;
  /** Jobs that may wait; one more is refused. Default 10,000. */
  readonly waitingMax?: number;
}

/** Options of {@link createWorkerPool}. */
export interface WorkerPoolOptions<K extends string> {
  /** Built worker module; it calls `serveTasks`. */
  readonly module: URL | string;
  readonly kinds: Readonly<Record<K, WorkerKind>>;
  /** Given to each worker as `workerData.data`. */
  readonly data?: unknown;
  readonly resourceLimits?: ResourceLimits;
  /** Time for a cancelled job to notice; default 1 s, five times that where other jobs run in its worker. */
  readonly acknowledgeMs?: number;
  /** Time for a job that noticed to end; default 10 s. */
  readonly endMs?: number;
  /** Told when a worker has ended, by whatever: its `threadId` as the worker saw it. What it had not given back can be taken back now. */
  readonly onWorkerEnd?: (threadId: number) => void;
  /** Told when a cancelled job no longer occupies its worker: milliseconds since it was cancelled. */
  readonly onCancelEnd?: (elapsedMs: number) => void;
  readonly log: Logger;
}

/** What goes with a job. */
export interface RunOptions {
  /** Buffers handed over rather than copied. */
  readonly transfer?: readonly Transferable[];
  /** Cancels the job; `run` rejects at once with its reason. */
  readonly signal?: AbortSignal;
  /** Takes pieces in order; the worker may wait for what it returns, which is the back-pressure. */
  readonly onPiece?: (piece: unknown) => Promise<void> | void;
}

type Transferable = ArrayBuffer | MessagePort;

/** Numbers for metrics and tests. */
export interface WorkerPoolStats {
  readonly workers: number;
  readonly running: number;
  readonly waiting: number;
  /** Workers started in all. */
  readonly started: number;
  /** Workers ended by force because a job did not acknowledge its cancellation. */
  readonly terminated: number;
}

/** See {@link createWorkerPool}. */
export interface WorkerPool<K extends string> {
  /**
   * Does one job.
   * @throws WorkerTaskError what the job threw · ServiceKitError ERR_WORKER_EXIT the worker died · ERR_POOL_CLOSED · ERR_CANCELLED queue full · the signal's reason
   */
  run(kind: K, request: unknown, options?: RunOptions): Promise<unknown>;
  stats(): WorkerPoolStats;
  /** Ends all workers; running and waiting jobs fail with ERR_POOL_CLOSED. */
  close(): Promise<void>;
}

/** A job may be kept from noticing by others of its worker, which would go with it: it gets this many times longer. */
const BESIDE_OTHERS = 5;

/** Makes a pool; no worker is started yet. */
export function createWorkerPool<K extends string>(options: WorkerPoolOptions<K>): WorkerPool<K> {
  return new Pool(options);
}

interface Job {
  readonly id: number;
  readonly kind: string;
  readonly request: unknown;
  readonly options: RunOptions;
  readonly resolve: (response: unknown) => void;
  readonly reject: (error: unknown) => void;
  /** Whether the caller has its answer; the job may still occupy its slot. */
  settled: boolean;
  slot: number;
  worker: PoolWorker | undefined;
  /** Chain of pieces handed to the caller. */
  pieces: Promise<void>;
  onAbort: (() => void) | undefined;
  ladder: NodeJS.Timeout | undefined;
  cancelledAtMs: number;
}

interface PoolWorker {
  readonly kind: string;
  readonly thread: Worker;
  /** The thread's own number; `thread.threadId` forgets it at the end. */
  readonly threadId: number;
  readonly flags: Int32Array;
  /** Job per slot. */
  readonly slots: (Job | undefined)[];
  busy: number;
  dead: boolean;
  idle: NodeJS.Timeout | undefined;
}

class Pool<K extends string> implements WorkerPool<K> {
  readonly #options: WorkerPoolOptions<K>;
  readonly #workers = new Set<PoolWorker>();
  readonly #jobs = new Map<number, Job>();
  readonly #waiting = new Map<string, Set<Job>>();
  #nextId = 1;
  #started = 0;
  #terminated = 0;
  #closed = false;

  constructor(options: WorkerPoolOptions<K>) {
    this.#options = options;
    for (const kind of Object.keys(options.kinds)) this.#waiting.set(kind, new Set());
  }

  run(kind: K, request: unknown, options: RunOptions = {}): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#closed) throw new ServiceKitError('ERR_POOL_CLOSED', `run ${kind} job: the worker pool is closed`);
      options.signal?.throwIfAborted();
      const waiting = this.#waiting.get(kind);
      if (waiting === undefined) throw new ServiceKitError('ERR_CONFIG', `run job: no worker kind '${kind}'`);
      const waitingMax = this.#options.kinds[kind].waitingMax ?? 10_000;
      if (waiting.size >= waitingMax) throw new ServiceKitError('ERR_CANCELLED', `run ${kind} job: ${waiting.size} jobs are waiting already, limit ${waitingMax}`);
      const job: Job = { id: this.#nextId++, kind, request, options, resolve, reject, settled: false, slot: -1, worker: undefined, pieces: Promise.resolve(), onAbort: undefined, ladder: undefined, cancelledAtMs: 0 };
      if (options.signal !== undefined) {
        job.onAbort = () => this.#cancel(job);
        options.signal.addEventListener('abort', job.onAbort, { once: true });
      }
      waiting.add(job);
      this.#schedule(kind);
    });
  }

  stats(): WorkerPoolStats {
    let waiting = 0;
    for (const queue of this.#waiting.values()) waiting += queue.size;
    return { workers: this.#workers.size, running: this.#jobs.size, waiting, started: this.#started, terminated: this.#terminated };
  }

  async close(): Promise<void> {
    this.#closed = true;
    const error = new ServiceKitError('ERR_POOL_CLOSED', 'the worker pool was closed');
    for (const queue of this.#waiting.values()) {
      for (const job of queue) this.#settle(job, () => job.reject(error));
      queue.clear();
    }
    for (const job of this.#jobs.values()) this.#settle(job, () => job.reject(error));
    await Promise.all([...this.#workers].map((worker) => worker.thread.terminate()));
  }

  #schedule(kind: string): void {
    const waiting = this.#waiting.get(kind)!;
    for (const job of waiting) {
      const worker = this.#workerWithRoom(kind);
      if (worker === undefined) return;
      waiting.delete(job);
      this.#assign(job, worker);
    }
  }

  /** The least busy worker of the kind, or another one while there may be more and all are busy. One that is ending has its memory still, and counts. */
  #workerWithRoom(kind: string): PoolWorker | undefined {
    const { workersMax, jobsPerWorker } = this.#options.kinds[kind as K];
    let best: PoolWorker | undefined;
    let count = 0;
    for (const worker of this.#workers) {
      if (worker.kind !== kind) continue;
      count++;
      if (!worker.dead && worker.busy < jobsPerWorker && (best === undefined || worker.busy < best.busy)) best = worker;
    }
    if ((best === undefined || best.busy > 0) && count < workersMax) return this.#startWorker(kind, jobsPerWorker);
    return best;
  }

  #startWorker(kind: string, slots: number): PoolWorker {
    const shared = new SharedArrayBuffer(4 * slots);
    const resourceLimits = this.#options.kinds[kind as K].resourceLimits ?? this.#options.resourceLimits;
    const thread = new Worker(this.#options.module, {
      workerData: { flags: shared, kind, data: this.#options.data },
      ...(resourceLimits === undefined ? {} : { resourceLimits }),
    });
    const worker: PoolWorker = { kind, thread, threadId: thread.threadId, flags: new Int32Array(shared), slots: Array.from({ length: slots }, () => undefined), busy: 0, dead: false, idle: undefined };
    this.#workers.add(worker);
    this.#started++;
    let failure: unknown;
    thread.on('message', (message: WorkerMessage) => this.#onMessage(message));
    thread.on('error', (error: unknown) => (failure = error));
    thread.on('messageerror', (error) => (failure = error));
    thread.on('exit', (exitCode) => this.#onExit(worker, exitCode, failure));
    return worker;
  }

  #assign(job: Job, worker: PoolWorker): void {
    clearTimeout(worker.idle);
    worker.idle = undefined;
    worker.thread.ref();
    const slot = worker.slots.indexOf(undefined);
    worker.slots[slot] = job;
    worker.busy++;
    job.slot = slot;
    job.worker = worker;
    this.#jobs.set(job.id, job);
    Atomics.store(worker.flags, slot, SLOT_FLAG.queued);
    const message: PoolMessage = { type: 'run', id: job.id, slot, request: job.request };
    try {
      worker.thread.postMessage(message, job.options.transfer ?? []);
    } catch (error) {
      this.#free(job);
      this.#settle(job, () => job.reject(error));
    }
  }

  #onMessage(message: WorkerMessage): void {
    const job = this.#jobs.get(message.id);
    if (job === undefined) return;
    switch (message.type) {
      case 'done':
        this.#free(job);
        void job.pieces.then(() => this.#settle(job, () => job.resolve(message.response)));
        break;
      case 'failed':
        this.#free(job);
        this.#settle(job, () => job.reject(new WorkerTaskError(message.error)));
        break;
      case 'piece':
        this.#onPiece(job, message);
        break;
      default:
        message satisfies never;
    }
  }

  #onPiece(job: Job, message: Extract<WorkerMessage, { type: 'piece' }>): void {
    job.pieces = job.pieces
      .then(() => (job.settled ? undefined : job.options.onPiece?.(message.value)))
      .then(
        () => this.#post(job, { type: 'taken', id: job.id, piece: message.piece }),
        (error: unknown) => {
          this.#settle(job, () => job.reject(error));
          this.#askToStop(job);
        },
      );
  }

  #cancel(job: Job): void {
    this.#settle(job, () => job.reject(job.options.signal?.reason));
    if (job.worker === undefined) this.#waiting.get(job.kind)!.delete(job);
    else this.#askToStop(job);
  }

  /** The kill ladder: flag, acknowledgement, end; terminate when a rung is missed. */
  #askToStop(job: Job): void {
    const { worker, slot } = job;
    if (worker === undefined || job.ladder !== undefined || worker.slots[slot] !== job) return;
    job.cancelledAtMs = performance.now();
    // The worker drops it when its turn comes.
    if (Atomics.compareExchange(worker.flags, slot, SLOT_FLAG.queued, SLOT_FLAG.cancelAsked) === SLOT_FLAG.queued) return;
    Atomics.compareExchange(worker.flags, slot, SLOT_FLAG.running, SLOT_FLAG.cancelAsked);
    this.#post(job, { type: 'cancel', id: job.id });
    const terminate = (why: string): void => {
      if (worker.dead) return;
      this.#options.log.warn('terminating worker', { kind: worker.kind, job: job.id, reason: why });
      this.#terminated++;
      worker.dead = true;
      void worker.thread.terminate();
    };
    job.ladder = setTimeout(() => {
      if (Atomics.load(worker.flags, slot) !== SLOT_FLAG.cancelSeen) {
        terminate('cancellation not acknowledged');
        return;
      }
      job.ladder = setTimeout(() => terminate('cancelled job did not end'), this.#options.endMs ?? 10_000);
    }, (this.#options.acknowledgeMs ?? 1000) * (worker.busy > 1 ? BESIDE_OTHERS : 1));
  }

  #post(job: Job, message: PoolMessage): void {
    if (job.worker !== undefined && !job.worker.dead && job.worker.slots[job.slot] === job) job.worker.thread.postMessage(message);
  }

  #onExit(worker: PoolWorker, exitCode: number, failure: unknown): void {
    worker.dead = true;
    clearTimeout(worker.idle);
    this.#workers.delete(worker);
    const reason = failure === undefined ? `exit code ${exitCode}` : errorText(failure);
    for (const job of worker.slots) {
      if (job === undefined) continue;
      this.#free(job);
      this.#settle(job, () => job.reject(new ServiceKitError('ERR_WORKER_EXIT', `run ${job.kind} job ${job.id}: its worker ended (${reason})`, failure)));
    }
    if (failure !== undefined) this.#options.log.error('worker ended', { kind: worker.kind, reason });
    this.#options.onWorkerEnd?.(worker.threadId);
    if (!this.#closed) this.#schedule(worker.kind);
  }

  #settle(job: Job, answer: () => void): void {
    if (job.settled) return;
    job.settled = true;
    if (job.onAbort !== undefined) job.options.signal?.removeEventListener('abort', job.onAbort);
    answer();
  }

  #free(job: Job): void {
    const { worker } = job;
    if (worker === undefined || worker.slots[job.slot] !== job) return;
    clearTimeout(job.ladder);
    if (job.cancelledAtMs > 0) this.#options.onCancelEnd?.(performance.now() - job.cancelledAtMs);
    worker.slots[job.slot] = undefined;
    worker.busy--;
    this.#jobs.delete(job.id);
    if (worker.dead) return;
    this.#schedule(worker.kind);
    if (worker.busy > 0) return;
    worker.thread.unref();
    worker.idle = setTimeout(() => {
      worker.dead = true;
      void worker.thread.terminate();
    }, this.#options.kinds[worker.kind as K].idleMs ?? 60_000);
    worker.idle.unref();
  }
}
