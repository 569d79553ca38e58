/** A replica as the main thread sees it: a part of the run group that lives in a thread of its own. */
import { Worker } from 'node:worker_threads';
import { errorText, type RunPart, type TaskErrorData } from '@gauntlet/service-kit';
import type { BackfillPlan } from '../backfill/backfill-plan.ts';
import { StandaloneError } from '../errors.ts';
import { untilAborted } from '../nested-parts.ts';
import type { BuiltInJob, FromReplica, ReplicaSettings, ToReplica } from './replica-protocol.ts';

const STOP_MS = 20_000;

/** See {@link createReplicaThread}. */
export interface ReplicaThread extends RunPart {
  start(): Promise<void>;
  run(signal: AbortSignal): Promise<void>;
  stop(): Promise<void>;
  /** `host:port`; after `start`. */
  grpcAddress(): string;
  /** `host:port`; after `start`. */
  metricsAddress(): string;
  setTargets(jobs: readonly BuiltInJob[]): void;
  /** @returns whether the history is complete; false when the signal came first @throws StandaloneError ERR_BACKFILL */
  backfill(plan: BackfillPlan, signal: AbortSignal, onProgress: (blocksDone: number, blocks: number) => void): Promise<boolean>;
}

/** @param module the built replica worker */
export function createReplicaThread(settings: ReplicaSettings, module: URL): ReplicaThread {
  return new Thread(settings, module);
}

class Thread implements ReplicaThread {
  readonly name: string;
  readonly #settings: ReplicaSettings;
  readonly #module: URL;
  readonly #listeners = new Set<(message: FromReplica) => void>();
  #worker: Worker | undefined;
  /** Settles when the thread is gone; rejects when it was not asked to go. */
  #ended: Promise<void> = Promise.resolve();
  #isStopping = false;
  #grpcAddress = '';
  #metricsAddress = '';

  constructor(settings: ReplicaSettings, module: URL) {
    this.name = `replica ${settings.name}`;
    this.#settings = settings;
    this.#module = module;
  }

  grpcAddress(): string {
    return this.#grpcAddress;
  }

  metricsAddress(): string {
    return this.#metricsAddress;
  }

  async start(): Promise<void> {
    const worker = new Worker(this.#module, { workerData: this.#settings });
    this.#worker = worker;
    let failure: unknown;
    worker.on('error', (error: unknown) => (failure = error));
    worker.on('message', (message: FromReplica) => {
      for (const listener of this.#listeners) listener(message);
    });
    this.#ended = new Promise((resolve, reject) => {
      worker.on('exit', (code) => {
        if (this.#isStopping) resolve();
        else reject(this.#error(failure === undefined ? `its thread ended with code ${code}` : errorText(failure), failure));
      });
    });
    this.#ended.catch(() => undefined);
    await Promise.race([
      this.#next((message) => {
        if (message.type === 'failed') throw this.#error(message.error.message, message.error);
        if (message.type !== 'ready') return undefined;
        this.#grpcAddress = message.grpcAddress;
        this.#metricsAddress = message.metricsAddress;
        return true;
      }),
      this.#ended,
    ]).catch(async (error: unknown) => {
      this.#isStopping = true;
      await worker.terminate();
      throw error;
    });
  }

  async run(signal: AbortSignal): Promise<void> {
    await Promise.race([this.#ended, untilAborted(signal)]);
  }

  setTargets(jobs: readonly BuiltInJob[]): void {
    this.#post({ type: 'targets', jobs });
  }

  async backfill(plan: BackfillPlan, signal: AbortSignal, onProgress: (blocksDone: number, blocks: number) => void): Promise<boolean> {
    const cancel = (): void => this.#post({ type: 'cancel backfill' });
    signal.addEventListener('abort', cancel, { once: true });
    const done = this.#next((message) => {
      if (message.type === 'backfill progress') onProgress(message.blocksDone, message.blocks);
      if (message.type === 'backfill failed') {
        if (signal.aborted) return 'cancelled';
        throw new StandaloneError('ERR_BACKFILL', `generate history of replica ${this.#settings.name}: ${message.error.message}`, { cause: message.error });
      }
      return message.type === 'backfill done' ? 'complete' : undefined;
    });
    this.#post({ type: 'backfill', plan });
    if (signal.aborted) cancel();
    try {
      return (await Promise.race([done, this.#ended])) === 'complete';
    } finally {
      signal.removeEventListener('abort', cancel);
    }
  }

  async stop(): Promise<void> {
    const worker = this.#worker;
    if (worker === undefined) return;
    this.#isStopping = true;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((_resolve, reject) => {
      timer = setTimeout(() => reject(this.#error(`not stopped within ${STOP_MS / 1000} s`)), STOP_MS);
    });
    const stopped = this.#next((message) => {
      if (message.type === 'failed') throw this.#error(message.error.message, message.error);
      return message.type === 'stopped' ? true : undefined;
    });
    this.#post({ type: 'stop' });
    try {
      await Promise.race([stopped, this.#ended, late]);
    } finally {
      clearTimeout(timer);
      await worker.terminate();
    }
  }

  #post(message: ToReplica): void {
    this.#worker?.postMessage(message);
  }

  /** Waits for a message that `take` makes something of. */
  #next<T>(take: (message: FromReplica) => T | undefined): Promise<T> {
    const promise = new Promise<T>((resolve, reject) => {
      const listener = (message: FromReplica): void => {
        try {
          const value = take(message);
          if (value === undefined) return;
          resolve(value);
        } catch (error) {
          reject(error as Error);
        }
        this.#listeners.delete(listener);
      };
      this.#listeners.add(listener);
    });
    promise.catch(() => undefined);
    return promise;
  }

  #error(what: string, cause?: unknown): StandaloneError {
    const data = cause as TaskErrorData | undefined;
    return new StandaloneError('ERR_REPLICA', `replica ${this.#settings.name} (${this.#settings.dir}): ${what}`, data === undefined ? {} : { cause: data });
  }
}
