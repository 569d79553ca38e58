/**
 * The worker's side of worker-pool.ts: a worker module calls `serveTasks` once, with the function that does a job.
 *
 * Cancellation reaches a job twice: a computing job polls `task.isCancelled()` (one atomic load; at least every 10,000 samples or 1,000 series),
 * a waiting job listens to `task.signal`. Either acknowledges.
 */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { ServiceKitError, valueText } from './errors.ts';
import { type PoolMessage, SLOT_FLAG, type TaskErrorData, type WorkerMessage } from './worker-pool.ts';

type Transferable = ArrayBuffer | MessagePort;

/** One job as the worker sees it. */
export interface WorkerTask {
  readonly id: number;
  /** Kind of worker this is. */
  readonly kind: string;
  /** Aborted when the caller cancels. */
  readonly signal: AbortSignal;
  /** Whether the caller has cancelled; asking acknowledges it. */
  isCancelled(): boolean;
  /** @throws ServiceKitError ERR_CANCELLED when the caller has cancelled */
  throwIfCancelled(): void;
  /** The flag itself (index {@link WorkerTask.cancelSlot}), for kernels that poll on their own: not 0 means cancelled. */
  readonly cancelFlags: Int32Array;
  readonly cancelSlot: number;
  /** Sends a piece of the answer; resolves when the caller has taken it. */
  send(piece: unknown, transfer?: readonly Transferable[]): Promise<void>;
}

/** What a job gives back; `transfer` are buffers handed over rather than copied. */
export interface TaskAnswer {
  readonly value: unknown;
  readonly transfer?: readonly Transferable[];
}

/** What `new Worker` gave this thread. */
export interface TaskServerOptions {
  /** Default: the parent of this thread. */
  readonly port?: Pick<MessagePort, 'on' | 'postMessage'>;
  /** Default: what the pool passed. */
  readonly flags?: SharedArrayBuffer;
  readonly kind?: string;
}

/** The `data` given to `createWorkerPool`, in a worker. */
export function poolData(): unknown {
  return readWorkerData().data;
}

/** Serves jobs until the thread ends. Call once, at the end of the worker module. */
export function serveTasks(run: (request: unknown, task: WorkerTask) => Promise<TaskAnswer> | TaskAnswer, options: TaskServerOptions = {}): void {
  const port = options.port ?? parentPort;
  if (port === null) throw new ServiceKitError('ERR_CONFIG', 'serve tasks: this is not a worker thread');
  const given = options.flags === undefined ? readWorkerData() : { flags: options.flags, kind: options.kind ?? '' };
  const flags = new Int32Array(given.flags);
  const tasks = new Map<number, ServedTask>();
  const post = (message: WorkerMessage, transfer: readonly Transferable[] = []): void => port.postMessage(message, transfer);
  port.on('message', (message: PoolMessage) => {
    if (message.type === 'cancel') tasks.get(message.id)?.cancel();
    else if (message.type === 'taken') tasks.get(message.id)?.taken(message.piece);
    else {
      if (Atomics.compareExchange(flags, message.slot, SLOT_FLAG.queued, SLOT_FLAG.running) === SLOT_FLAG.cancelAsked) {
        post({ type: 'failed', id: message.id, error: taskErrorData(new ServiceKitError('ERR_CANCELLED', `job ${message.id} was cancelled before it began`)) });
        return;
      }
      const task = new ServedTask(message.id, given.kind, flags, message.slot, post);
      tasks.set(message.id, task);
      void serveOne(run, message, task, post).finally(() => tasks.delete(message.id));
    }
  });
}

async function serveOne(
  run: (request: unknown, task: WorkerTask) => Promise<TaskAnswer> | TaskAnswer,
  message: Extract<PoolMessage, { type: 'run' }>,
  task: ServedTask,
  post: (message: WorkerMessage, transfer?: readonly Transferable[]) => void,
): Promise<void> {
  try {
    const answer = await run(message.request, task);
    post({ type: 'done', id: message.id, response: answer.value }, answer.transfer);
  } catch (error) {
    post({ type: 'failed', id: message.id, error: taskErrorData(error) });
  } finally {
    task.end();
  }
}

class ServedTask implements WorkerTask {
  readonly id: number;
  readonly kind: string;
  readonly cancelFlags: Int32Array;
  readonly cancelSlot: number;
  readonly #post: (message: WorkerMessage, transfer?: readonly Transferable[]) => void;
  readonly #controller = new AbortController();
  readonly #sent = new Map<number, () => void>();
  #nextPiece = 0;

  constructor(id: number, kind: string, flags: Int32Array, slot: number, post: (message: WorkerMessage, transfer?: readonly Transferable[]) => void) {
    this.id = id;
    this.kind = kind;
    this.cancelFlags = flags;
    this.cancelSlot = slot;
    this.#post = post;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  isCancelled(): boolean {
    if (Atomics.load(this.cancelFlags, this.cancelSlot) === SLOT_FLAG.running) return false;
    this.cancel();
    return true;
  }

  throwIfCancelled(): void {
    if (this.isCancelled()) throw this.#controller.signal.reason as Error;
  }

  send(piece: unknown, transfer?: readonly Transferable[]): Promise<void> {
    const number = this.#nextPiece++;
    this.#post({ type: 'piece', id: this.id, piece: number, value: piece }, transfer);
    return new Promise((resolve) => this.#sent.set(number, resolve));
  }

  cancel(): void {
    Atomics.compareExchange(this.cancelFlags, this.cancelSlot, SLOT_FLAG.cancelAsked, SLOT_FLAG.cancelSeen);
    if (!this.#controller.signal.aborted) this.#controller.abort(new ServiceKitError('ERR_CANCELLED', `job ${this.id} was cancelled`));
    this.end();
  }

  taken(piece: number): void {
    this.#sent.get(piece)?.();
    this.#sent.delete(piece);
  }

  /** Lets every pending `send` go on. */
  end(): void {
    for (const resolve of this.#sent.values()) resolve();
    this.#sent.clear();
  }
}

function readWorkerData(): { readonly flags: SharedArrayBuffer; readonly kind: string; readonly data: unknown } {
  const given: unknown = workerData;
  if (typeof given !== 'object' || given === null || !('flags' in given) || !('kind' in given) || !(given.flags instanceof SharedArrayBuffer)) {
    throw new ServiceKitError('ERR_CONFIG', 'serve tasks: this worker was not started by a worker pool');
  }
  return { flags: given.flags, kind: String(given.kind), data: 'data' in given ? given.data : undefined };
}

/** An error as data, for another thread. Fields that cannot be copied are left out. */
export function taskErrorData(thrown: unknown): TaskErrorData {
  if (typeof thrown !== 'object' || thrown === null) return { name: 'Error', message: valueText(thrown), code: undefined, stack: undefined, fields: {} };
  const error: { name?: unknown; message?: unknown; code?: unknown; stack?: unknown } = thrown;
  const fields: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(thrown)) {
    if (['name', 'message', 'code', 'stack', 'cause'].includes(key)) continue;
    try {
      fields[key] = structuredClone(value);
    } catch {
      continue;
    }
  }
  return {
    name: valueText(error.name ?? 'Error'),
    message: valueText(error.message ?? thrown),
    code: typeof error.code === 'string' ? error.code : undefined,
    stack: typeof error.stack === 'string' ? error.stack : undefined,
    fields,
  };
}
