/**
 * Engines with their kernels, each with a linear memory of its own: one per running query. A few are kept between queries; a memory that
 * grew past 64 MiB is dropped after its query, since WebAssembly memory never shrinks.
 */
import { type Kernels, createKernels } from '@gauntlet/kernels';
import { type Engine, type EngineOptions, createEngine } from '@gauntlet/promql';

/** What a query computes with; one query at a time. */
export interface Computer {
  readonly kernels: Kernels;
  readonly engine: Engine;
}

export interface ComputerPoolOptions {
  /** Budget of a query, bytes. Kernel memory ends a little above it, for what the allocator rounds up: the budget speaks first. */
  readonly maxMemoryBytes: number;
  readonly engine: Omit<EngineOptions, 'kernels'>;
}

/** Larger memories are not kept, bytes. */
const KEPT_MEMORY_BYTES = 64 << 20;
const KEPT_COUNT = 4;
/** The allocator rounds sizes up by 12.5 % at most, and holds its tables. */
const ROUNDING = 1.125;
const TABLES_BYTES = 1 << 20;

/** See the head of this file. */
export class ComputerPool {
  readonly #options: ComputerPoolOptions;
  readonly #free: Computer[] = [];

  constructor(options: ComputerPoolOptions) {
    this.#options = options;
  }

  /** One that nobody uses; give it back. */
  take(): Computer {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    const { maxMemoryBytes, engine } = this.#options;
    const kernels = createKernels({ maxMemoryBytes: Math.ceil(maxMemoryBytes * ROUNDING) + TABLES_BYTES });
    return { kernels, engine: createEngine({ ...engine, kernels }) };
  }

  /** Takes it back. What still holds memory was left by a query that broke: it is dropped, as are large ones. */
  giveBack(computer: Computer): void {
    const { memory } = computer.kernels;
    if (memory.buffer.byteLength <= KEPT_MEMORY_BYTES && memory.usedBytes === 0 && this.#free.length < KEPT_COUNT) this.#free.push(computer);
  }
}
