/**
 * Cancellation, budget and the limits of a shared worker, asked by engine, decoder and JSON writer while a query runs.
 *
 *   running in a shared worker ──worked 2 s, or holds 32 MiB──► outgrown: started again in a worker of its own
 *                              └─its answer begins (settle)───► stays where it is
 */
import type { QueryControl } from '@gauntlet/promql';
import type { MemoryAccount, WorkerTask } from '@gauntlet/service-kit/worker';
import { OUTGROWN, SHARED_BYTES_MAX, SHARED_MS_MAX } from './query-task.ts';

/** Most of the time between two polls that counts as work, ms. */
const POLL_GAP_MS = 25;

/** Thrown in a shared worker when a query needs a worker of its own; the main thread starts it again there. */
export class OutgrownError extends Error {
  readonly code: typeof OUTGROWN = OUTGROWN;
}

/** See the head of this file. */
export class TaskControl implements QueryControl {
  readonly #task: Pick<WorkerTask, 'throwIfCancelled'>;
  readonly #account: Pick<MemoryAccount, 'usedBytes' | 'reserve' | 'release'>;
  readonly #now: () => number;
  #polledMs: number;
  #workedMs = 0;
  #mayOutgrow: boolean;
  /** Set once the query said that it needs a worker of its own. */
  outgrown: OutgrownError | undefined;

  /** @param now a clock that never goes back, ms */
  constructor(task: Pick<WorkerTask, 'kind' | 'throwIfCancelled'>, account: Pick<MemoryAccount, 'usedBytes' | 'reserve' | 'release'>, now: () => number) {
    this.#task = task;
    this.#account = account;
    this.#now = now;
    this.#polledMs = now();
    this.#mayOutgrow = task.kind === 'shared';
  }

  /** @throws when the query was cancelled, or needs a worker of its own */
  poll(): void {
    this.#task.throwIfCancelled();
    if (!this.#mayOutgrow) return;
    // Polls follow each other within milliseconds while the query computes; a long gap was a wait for a store, which harms nobody.
    const nowMs = this.#now();
    this.#workedMs += Math.min(nowMs - this.#polledMs, POLL_GAP_MS);
    this.#polledMs = nowMs;
    if (this.#workedMs > SHARED_MS_MAX) this.#outgrow();
  }

  /** Charges bytes. @throws MemoryLimitError past a budget, OutgrownError past what a shared worker allows */
  reserve(bytes: number): void {
    if (this.#mayOutgrow && this.#account.usedBytes + bytes > SHARED_BYTES_MAX) this.#outgrow();
    this.#account.reserve(bytes);
  }

  /** Gives bytes back. */
  release(bytes: number): void {
    this.#account.release(bytes);
  }

  /** From here on bytes go out: the query ends where it is. */
  settle(): void {
    this.#mayOutgrow = false;
  }

  #outgrow(): never {
    this.outgrown = new OutgrownError('the query needs a worker of its own');
    throw this.outgrown;
  }
}
