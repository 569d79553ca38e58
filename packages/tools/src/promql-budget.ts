/** What one local query may use, and whether it is to end: the columns it holds, the indexes of the blocks it opened, the memory of the kernels. */
import type { Kernels } from '@gauntlet/kernels';
import type { QueryControl } from '@gauntlet/promql';
import { showBytes } from '@gauntlet/service-kit';
import { ToolsError } from './errors.ts';

/** Charges of one query. Kernel memory is looked at rather than charged: it grows within a step and is checked at the next. */
export class QueryBudget implements QueryControl {
  readonly #kernels: Pick<Kernels, 'memory'>;
  readonly #maxBytes: number;
  readonly #signal: AbortSignal;
  #chargedBytes = 0;

  /** @param maxBytes `--max-memory` */
  constructor(kernels: Pick<Kernels, 'memory'>, maxBytes: number, signal: AbortSignal) {
    this.#kernels = kernels;
    this.#maxBytes = maxBytes;
    this.#signal = signal;
  }

  /** Bytes charged and not given back. */
  get chargedBytes(): number {
    return this.#chargedBytes;
  }

  /** @throws ToolsError ERR_QUERY_LIMIT; the signal's reason */
  poll(): void {
    this.#signal.throwIfAborted();
    this.#check(0);
  }

  /** @throws ToolsError ERR_QUERY_LIMIT */
  reserve(bytes: number): void {
    this.#check(bytes);
    this.#chargedBytes += bytes;
  }

  release(bytes: number): void {
    this.#chargedBytes -= bytes;
  }

  #check(moreBytes: number): void {
    const wantedBytes = this.#chargedBytes + this.#kernels.memory.buffer.byteLength + moreBytes;
    if (wantedBytes <= this.#maxBytes) return;
    throw new ToolsError('ERR_QUERY_LIMIT', `evaluate query: it wants ${showBytes(wantedBytes)} of memory, limit ${showBytes(this.#maxBytes)} (--max-memory)`);
  }
}
