/**
 * Memory of the frames of answers. It goes to the thread with the sockets with the frames in it, each with room for the header of its gRPC message before
 * it, and comes back when they were sent: without that, buffers would be most of the garbage there.
 *
 *   slab   [5 bytes │ frame │ 5 bytes │ frame │ … free]      frames of one piece; `next` begins a slab for the next piece
 */
import { GRPC_HEADER_BYTES } from '@gauntlet/service-kit/worker';

/** Holds a frame of 64 series of some hours. */
const SLAB_BYTES = 512 << 10;
/** Slabs kept by a worker: those of some calls at a time. */
const KEPT_MAX = 24;

/** Slabs of a worker, shared by its calls. */
export class FrameMemory {
  readonly #free: ArrayBuffer[] = [];

  /** Opens what one call takes its memory from. */
  open(): FrameSlabs {
    return new FrameSlabs(() => this.#free.pop() ?? new ArrayBuffer(SLAB_BYTES));
  }

  /** Takes slabs back; others are dropped, as are too many. */
  giveBack(buffers: readonly ArrayBuffer[]): void {
    for (const buffer of buffers) if (buffer.byteLength === SLAB_BYTES && this.#free.length < KEPT_MAX) this.#free.push(buffer);
  }
}

/** See the head of this file. */
export class FrameSlabs {
  readonly #take: () => ArrayBuffer;
  #slab: ArrayBuffer | undefined;
  #at = 0;

  constructor(take: () => ArrayBuffer) {
    this.#take = take;
  }

  /** Memory of a frame. */
  allocate(bytes: number): Uint8Array {
    const wanted = bytes + GRPC_HEADER_BYTES;
    if (wanted > SLAB_BYTES) return new Uint8Array(new ArrayBuffer(wanted), GRPC_HEADER_BYTES, bytes);
    if (this.#slab === undefined || this.#at + wanted > SLAB_BYTES) {
      this.#slab = this.#take();
      this.#at = 0;
    }
    const start = this.#at + GRPC_HEADER_BYTES;
    this.#at += wanted;
    return new Uint8Array(this.#slab, start, bytes);
  }

  /** What was allocated so far goes away; the slab is another thread's now. */
  next(): void {
    this.#slab = undefined;
  }
}
