/** A buffer in kernel memory that grows by doubling and charges what it takes to the query. */
import type { KernelMemory } from '@gauntlet/kernels';

/** What a query may use; throws when a budget would be passed. Same shape as promql's QueryControl. */
export interface MemoryCharge {
  reserve(bytes: number): void;
  release(bytes: number): void;
}

export class KernelBuffer {
  readonly #memory: KernelMemory;
  readonly #charge: MemoryCharge;
  #capacity = 0;
  /** Byte offset of the buffer in kernel memory; changes when it grows. */
  ptr = 0;

  constructor(memory: KernelMemory, charge: MemoryCharge) {
    this.#memory = memory;
    this.#charge = charge;
  }

  /**
   * Makes room for `bytes` in all.
   * @param keepBytes bytes from the start that must survive growing
   */
  ensure(bytes: number, keepBytes = 0): void {
    if (bytes <= this.#capacity) return;
    const capacity = Math.max(bytes, Math.min(this.#capacity * 2, this.#capacity + (16 << 20)), 64 << 10);
    this.#charge.reserve(capacity);
    let ptr: number;
    try {
      ptr = this.#memory.alloc(capacity);
    } catch (error) {
      this.#charge.release(capacity);
      throw error;
    }
    if (keepBytes > 0) this.#memory.u8(ptr, keepBytes).set(this.#memory.u8(this.ptr, keepBytes));
    this.free();
    this.ptr = ptr;
    this.#capacity = capacity;
  }

  /** Gives the memory back; the buffer can be used again. */
  free(): void {
    if (this.#capacity === 0) return;
    this.#memory.free(this.ptr);
    this.#charge.release(this.#capacity);
    this.#capacity = 0;
    this.ptr = 0;
  }
}
