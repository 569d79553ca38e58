/**
 * A gate: at most `max` units of work at once, the rest wait in the order they came. Hold a slot for a unit of work, never while waiting for a peer to read.
 * Metrics are those of Thanos' gate: `gate_<operation>_{max,in_flight,total,duration_seconds}` under the scope's prefix.
 */
import { setMaxListeners } from 'node:events';
import { ServiceKitError } from './errors.ts';
import type { Metrics } from './metrics.ts';

/** Buckets of the waiting-time histogram, seconds. */
const WAIT_BUCKETS = [0.01, 0.1, 0.3, 0.6, 1, 3, 6, 9, 20, 30, 60, 90, 120, 240, 360, 720];

/** Options of {@link createGate}. */
export interface GateOptions {
  /** Slots. */
  readonly max: number;
  /** Scope with the prefix, such as `thanos_query_concurrent_`; without it nothing is measured. */
  readonly metrics?: Metrics;
  /** Thanos' names: queries, selects, gets, sets, write_requests. */
  readonly operation?: string;
  /** Unix milliseconds. */
  readonly clock?: () => number;
}

/** See {@link createGate}. */
export interface Gate {
  /** Waits for a slot. @returns gives the slot back; idempotent @throws the signal's reason */
  acquire(signal?: AbortSignal): Promise<() => void>;
  /** Runs work in a slot. */
  run<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T>;
  /** Slots in use. */
  readonly inFlight: number;
  /** Callers waiting. */
  readonly waiting: number;
}

/** Makes a gate. @throws ServiceKitError ERR_CONFIG when max is below 1 */
export function createGate(options: GateOptions): Gate {
  return new FifoGate(options);
}

class FifoGate implements Gate {
  readonly #max: number;
  readonly #clock: () => number;
  readonly #metrics: { inFlight: { set(value: number): void }; total: { inc(): void }; wait: { observe(value: number): void } } | undefined;
  readonly #waiting = new Set<() => void>();
  #inFlight = 0;

  constructor(options: GateOptions) {
    if (!(options.max >= 1)) throw new ServiceKitError('ERR_CONFIG', `create gate: wanted at least 1 slot, got ${options.max}`);
    this.#max = options.max;
    this.#clock = options.clock ?? Date.now;
    const { metrics } = options;
    if (metrics !== undefined) {
      const operation = options.operation ?? 'queries';
      metrics.gauge({ name: `gate_${operation}_max`, help: `Maximum number of concurrent ${operation}.` }).set(options.max);
      this.#metrics = {
        inFlight: metrics.gauge({ name: `gate_${operation}_in_flight`, help: `Number of ${operation} in the gate now.` }),
        total: metrics.counter({ name: `gate_${operation}_total`, help: `Total number of ${operation} let through.` }),
        wait: metrics.histogram({ name: `gate_${operation}_duration_seconds`, help: `How long ${operation} waited at the gate.`, buckets: WAIT_BUCKETS }),
      };
    }
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  async acquire(signal?: AbortSignal): Promise<() => void> {
    signal?.throwIfAborted();
    const startMs = this.#clock();
    if (this.#inFlight >= this.#max || this.#waiting.size > 0) await this.#wait(signal);
    else this.#inFlight++;
    this.#metrics?.total.inc();
    this.#metrics?.wait.observe((this.#clock() - startMs) / 1000);
    this.#metrics?.inFlight.set(this.#inFlight);
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#release();
    };
  }

  async run<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const release = await this.acquire(signal);
    try {
      return await work();
    } finally {
      release();
    }
  }

  /** A slot is handed over without ever being free, so that nobody can slip in between. */
  #release(): void {
    const next = this.#waiting.values().next();
    if (next.done === true) this.#inFlight--;
    else {
      this.#waiting.delete(next.value);
      next.value();
    }
    this.#metrics?.inFlight.set(this.#inFlight);
  }

  #wait(signal: AbortSignal | undefined): Promise<void> {
    // Many may wait under one signal, as when all blocks of a bucket are loaded; that is no leak.
    if (signal !== undefined) setMaxListeners(0, signal);
    return new Promise((resolve, reject) => {
      const admit = (): void => {
        signal?.removeEventListener('abort', abort);
        resolve();
      };
      const abort = (): void => {
        this.#waiting.delete(admit);
        reject(signal?.reason as Error);
      };
      this.#waiting.add(admit);
      signal?.addEventListener('abort', abort, { once: true });
    });
  }
}
