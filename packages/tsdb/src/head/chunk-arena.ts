/**
 * Memory for the chunks of a head: pages of 1 MiB, handed out in blocks of 32-byte steps up to 1024 bytes. An allocation per chunk
 * as a `Uint8Array` of its own would cost more than most chunks hold.
 *
 *   address = number of the step: page · 2^15 + step in the page, 32 bits for 128 GiB       freed blocks wait in one stack per size
 */
import { grownColumn } from '@gauntlet/bytes';
import { grownLength } from './columns.ts';

/** Largest block, bytes. */
export const ARENA_BLOCK_BYTES_MAX = 1024;
const PAGE_BYTES = 1 << 20;
const STEP_BITS = 5;
const STEP = 1 << STEP_BITS;
const PAGE_STEP_BITS = 15;
const PAGE_STEPS = 1 << PAGE_STEP_BITS;

/** A block allocator; see the head of this file. */
export interface ChunkArena {
  /** A zeroed block of at least `bytes`. Returns its address. */
  alloc(bytes: number): number;
  /** Takes back a block of `bytes` as asked for. */
  free(address: number, bytes: number): void;
  /** The page an address lies in. */
  page(address: number): Uint8Array;
  /** Its offset in the page, bytes. */
  offset(address: number): number;
  /** Room in a block that was asked for with `bytes`. */
  capacity(bytes: number): number;
  /** Bytes of pages. */
  readonly bytes: number;
}

/** An empty arena. */
export function createChunkArena(): ChunkArena {
  const pages: Uint8Array[] = [];
  const free: Uint32Array[] = [];
  const freeCount = new Uint32Array(ARENA_BLOCK_BYTES_MAX / STEP + 1);
  let next = 0;
  const stepsOf = (bytes: number): number => (bytes + STEP - 1) >>> STEP_BITS;
  const page = (address: number): Uint8Array => pages[address >>> PAGE_STEP_BITS]!;
  const offset = (address: number): number => (address & (PAGE_STEPS - 1)) << STEP_BITS;
  return {
    alloc(bytes) {
      const steps = stepsOf(bytes);
      if (freeCount[steps]! > 0) {
        const address = free[steps]![--freeCount[steps]!]!;
        const at = offset(address);
        page(address).fill(0, at, at + steps * STEP);
        return address;
      }
      // A block never straddles pages: what is left of the page goes unused (below 1 KiB of 1 MiB).
      const inPage = next & (PAGE_STEPS - 1);
      if (inPage === 0 || inPage + steps > PAGE_STEPS) {
        next = pages.length * PAGE_STEPS;
        pages.push(new Uint8Array(PAGE_BYTES));
      }
      const address = next;
      next += steps;
      return address;
    },
    free(address, bytes) {
      const steps = stepsOf(bytes);
      const stack = free[steps] ?? new Uint32Array(64);
      free[steps] = freeCount[steps]! < stack.length ? stack : grownColumn(stack, grownLength(stack.length));
      free[steps]![freeCount[steps]!++] = address;
    },
    page,
    offset,
    capacity: (bytes) => stepsOf(bytes) * STEP,
    get bytes() {
      return pages.length * PAGE_BYTES;
    },
  };
}
