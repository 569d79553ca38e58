/**
 * The allocator over a linear memory; the same for WebAssembly and for the twins.
 *
 *   tables │ header block │ header block │ … │ free space up to the buffer's end
 *
 *   header, 16 bytes: block bytes │ state │ next and previous free block of the bin
 *
 * Sizes are rounded to eight steps per power of two (12.5 % waste at most). Free blocks are kept in a bin per step, as lists through
 * their headers, so the bookkeeping takes no memory of its own. An allocation takes a free block of its bin or a larger one (which is
 * split), else the space behind the last block; before memory grows past what was ever used, neighbouring free blocks are joined.
 */
import { KernelError } from './errors.ts';
import type { KernelMemory } from './kernels.ts';

const HEADER_BYTES = 16;
const ALIGN = 16;
const PAGE_BYTES = 65536;
const LIVE = 0x4c495645;
const FREE = 0x46524545;
const BIN_COUNT = 8 * 32;
const NONE = 0;

/** Where the bytes are: a WebAssembly.Memory, or a plain buffer. */
export interface BackingMemory {
  /** Current buffer. */
  buffer(): ArrayBuffer;
  /** Makes the buffer at least this long (a multiple of 64 KiB, within the maximum); false if the machine refuses. */
  grow(bytes: number): boolean;
}

/** See the head of this file. */
export class LinearMemory implements KernelMemory {
  readonly maxBytes: number;
  /** Views of the whole memory for the twins, renewed when it grows. */
  bytes: Uint8Array;
  /** See `bytes`. */
  data: DataView;
  /** See `bytes`. */
  doubles: Float64Array;
  /** See `bytes`. */
  words: Int32Array;
  readonly #backing: BackingMemory;
  readonly #start: number;
  readonly #bins: Int32Array = new Int32Array(BIN_COUNT);
  #top: number;
  #usedBytes = 0;
  #freeBytes = 0;

  /** @param start first byte the allocator may use, greater than 0 */
  constructor(backing: BackingMemory, start: number, maxBytes: number) {
    this.#backing = backing;
    this.#start = roundUp(Math.max(start, ALIGN), ALIGN);
    this.#top = this.#start;
    this.maxBytes = maxBytes;
    const buffer = backing.buffer();
    this.bytes = new Uint8Array(buffer);
    this.data = new DataView(buffer);
    this.doubles = new Float64Array(buffer);
    this.words = new Int32Array(buffer);
  }

  get buffer(): ArrayBuffer {
    return this.bytes.buffer as ArrayBuffer;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  alloc(bytes: number): number {
    if (!(bytes >= 0)) throw new RangeError(`allocate ${bytes} bytes`);
    const blockBytes = roundToStep(bytes + HEADER_BYTES);
    const block = this.#takeFree(blockBytes) || this.#takeTop(blockBytes, bytes);
    this.words[(block >>> 2) + 1] = LIVE;
    this.#usedBytes += this.#blockBytes(block);
    return block + HEADER_BYTES;
  }

  free(ptr: number): void {
    const block = ptr - HEADER_BYTES;
    if (block < this.#start || block >= this.#top || block % ALIGN !== 0 || this.words[(block >>> 2) + 1] !== LIVE) {
      throw new RangeError(`free ${ptr}: not an allocation in use`);
    }
    const blockBytes = this.#blockBytes(block);
    this.#usedBytes -= blockBytes;
    if (block + blockBytes === this.#top) {
      this.words[(block >>> 2) + 1] = 0;
      this.#top = block;
    } else {
      this.#putFree(block, blockBytes);
    }
  }

  u8(ptr: number, length: number): Uint8Array {
    return new Uint8Array(this.buffer, ptr, length);
  }

  i32(ptr: number, length: number): Int32Array {
    return new Int32Array(this.buffer, ptr, length);
  }

  f64(ptr: number, length: number): Float64Array {
    return new Float64Array(this.buffer, ptr, length);
  }

  #blockBytes(block: number): number {
    return this.words[block >>> 2]! >>> 0;
  }

  /** A free block of at least this size, cut to it, or NONE. */
  #takeFree(blockBytes: number): number {
    for (let bin = binOf(blockBytes); bin < BIN_COUNT && this.#freeBytes >= blockBytes; bin++) {
      const block = this.#bins[bin]! >>> 0;
      if (block === NONE) continue;
      // The last bin border below a size may be smaller than it; every rounded size is a border itself.
      const found = this.#blockBytes(block);
      if (found < blockBytes) continue;
      this.#unlink(block, found);
      if (found - blockBytes >= HEADER_BYTES + ALIGN) {
        this.#setBytes(block, blockBytes);
        this.#putFree(block + blockBytes, found - blockBytes);
      }
      return block;
    }
    return NONE;
  }

  #takeTop(blockBytes: number, asked: number): number {
    if (this.#top + blockBytes > this.bytes.length) {
      if (this.#freeBytes >= blockBytes) {
        this.#joinFree();
        const block = this.#takeFree(blockBytes);
        if (block !== NONE) return block;
      }
      this.#grow(this.#top + blockBytes, asked);
    }
    const block = this.#top;
    this.#top += blockBytes;
    this.#setBytes(block, blockBytes);
    return block;
  }

  /** Doubles the buffer, or goes as far as needed, never past the maximum. */
  #grow(needed: number, asked: number): void {
    const target = Math.min(this.maxBytes, Math.max(roundUp(needed, PAGE_BYTES), this.bytes.length * 2));
    if (needed > this.maxBytes || !(this.#backing.grow(target) || this.#backing.grow(roundUp(needed, PAGE_BYTES)))) {
      throw new KernelError(
        'ERR_KERNEL_MEMORY',
        `allocate ${asked} bytes of kernel memory: ${this.#usedBytes} in use, limit ${this.maxBytes}`,
      );
    }
    const buffer = this.#backing.buffer();
    this.bytes = new Uint8Array(buffer);
    this.data = new DataView(buffer);
    this.doubles = new Float64Array(buffer);
    this.words = new Int32Array(buffer);
  }

  /** Walks all blocks in order and makes one of each run of free ones; a run at the end becomes free space. */
  #joinFree(): void {
    this.#bins.fill(NONE);
    this.#freeBytes = 0;
    let block = this.#start;
    let runStart = NONE;
    while (block < this.#top) {
      const isFree = this.words[(block >>> 2) + 1] === FREE;
      if (isFree && runStart === NONE) runStart = block;
      if (!isFree && runStart !== NONE) {
        this.#setBytes(runStart, block - runStart);
        this.#putFree(runStart, block - runStart);
        runStart = NONE;
      }
      block += this.#blockBytes(block);
    }
    if (runStart !== NONE) this.#top = runStart;
  }

  #setBytes(block: number, blockBytes: number): void {
    this.words[block >>> 2] = blockBytes;
  }

  #putFree(block: number, blockBytes: number): void {
    const at = block >>> 2;
    const bin = binOf(blockBytes);
    const next = this.#bins[bin]!;
    this.words[at] = blockBytes;
    this.words[at + 1] = FREE;
    this.words[at + 2] = next;
    this.words[at + 3] = NONE;
    if (next !== NONE) this.words[(next >>> 2) + 3] = block;
    this.#bins[bin] = block;
    this.#freeBytes += blockBytes;
  }

  #unlink(block: number, blockBytes: number): void {
    const at = block >>> 2;
    const next = this.words[at + 2]!;
    const previous = this.words[at + 3]!;
    if (previous === NONE) this.#bins[binOf(blockBytes)] = next;
    else this.words[(previous >>> 2) + 2] = next;
    if (next !== NONE) this.words[(next >>> 2) + 3] = previous;
    this.#freeBytes -= blockBytes;
  }
}

/** A plain buffer as backing. Growing detaches the old buffer, as WebAssembly does, so that a stale view shows in either. */
export function createPlainBacking(initialBytes: number): BackingMemory {
  let buffer = new ArrayBuffer(roundUp(Math.max(initialBytes, PAGE_BYTES), PAGE_BYTES));
  return {
    buffer: () => buffer,
    grow(bytes) {
      let bigger: ArrayBuffer;
      try {
        bigger = new ArrayBuffer(bytes);
      } catch {
        return false;
      }
      new Uint8Array(bigger).set(new Uint8Array(buffer));
      structuredClone(buffer, { transfer: [buffer] });
      buffer = bigger;
      return true;
    },
  };
}

function roundUp(value: number, step: number): number {
  return Math.ceil(value / step) * step;
}

/** Up to the next size with three bits after the leading one, at least 32 and a multiple of 16. */
function roundToStep(bytes: number): number {
  if (bytes <= 256) return Math.max(32, roundUp(bytes, ALIGN));
  return roundUp(bytes, 2 ** (28 - Math.clz32(Math.min(bytes - 1, 0xffffffff))));
}

/** Eight bins per power of two; the sizes of roundToStep are the lower borders of theirs. */
function binOf(blockBytes: number): number {
  const log = 31 - Math.clz32(blockBytes);
  return log * 8 + ((blockBytes >>> (log - 3)) & 7);
}
