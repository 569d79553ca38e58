/**
 * Memory for the chunks of a head: pages of 1 MiB, handed out in blocks of 32-byte steps up to 1024 bytes. An allocation per chunk
 * as a `Uint8Array` of its own would cost more than most chunks hold.
 *
 *   address = page · 2^20 + offset        freed blocks wait in one stack per size
 */

/** Largest block, bytes. */
export const ARENA_BLOCK_BYTES_MAX = 1024;
const PAGE_BYTES = 1 << 20;
const STEP = 32;

/** A block allocator; see the head of this file. */
export interface ChunkArena {
  /** A zeroed block of at least `bytes`. Returns its address. */
  alloc(bytes: number): number;
  /** Takes back a block of `bytes` as asked for. */
  free(address: number, bytes: number): void;
  /** The page an address lies in. */
  page(address: number): Uint8Array;
  /** Its offset in the page. */
  offset(address: number): number;
  /** Room in a block that was asked for with `bytes`. */
  capacity(bytes: number): number;
  /** Bytes of pages. */
  readonly bytes: number;
}

/** An empty arena. */
export function createChunkArena(): ChunkArena {
  const pages: Uint8Array[] = [];
  const free: Float64Array[] = [];
  const freeCount = new Uint32Array(ARENA_BLOCK_BYTES_MAX / STEP + 1);
  let next = 0;
  const capacityOf = (bytes: number): number => Math.ceil(bytes / STEP) * STEP;
  const page = (address: number): Uint8Array => pages[Math.floor(address / PAGE_BYTES)]!;
  return {
    alloc(bytes) {
      const capacity = capacityOf(bytes);
      const size = capacity / STEP;
      if (freeCount[size]! > 0) {
        const address = free[size]![--freeCount[size]!]!;
        const at = address % PAGE_BYTES;
        page(address).fill(0, at, at + capacity);
        return address;
      }
      // A block never straddles pages: what is left of the page goes unused (below 1 KiB of 1 MiB).
      if (next % PAGE_BYTES === 0 || (next % PAGE_BYTES) + capacity > PAGE_BYTES) {
        next = pages.length * PAGE_BYTES;
        pages.push(new Uint8Array(PAGE_BYTES));
      }
      const address = next;
      next += capacity;
      return address;
    },
    free(address, bytes) {
      const size = capacityOf(bytes) / STEP;
      const stack = free[size] ?? new Float64Array(64);
      if (freeCount[size]! < stack.length) free[size] = stack;
      else {
        const grown = new Float64Array(stack.length * 2);
        grown.set(stack);
        free[size] = grown;
      }
      free[size]![freeCount[size]!++] = address;
    },
    page,
    offset: (address) => address % PAGE_BYTES,
    capacity: capacityOf,
    get bytes() {
      return pages.length * PAGE_BYTES;
    },
  };
}
