/**
 * Memory for reads, shared between a worker and the thread with the sockets. Buffers have sizes of powers of two, and those that are free are kept
 * up to a bound: a query after the first takes no new memory from the system.
 */

const SMALLEST_BYTES = 16 << 10;
/** Free buffers of a worker in all. What queries hold is charged to them, this is not. */
const KEPT_BYTES = 24 << 20;

/** See the head of this file. */
export class ReadBuffers {
  readonly #free = new Map<number, SharedArrayBuffer[]>();
  #freeBytes = 0;

  /** A view of `length` bytes; its content is whatever was there. */
  take(length: number): Uint8Array {
    const size = sizeFor(length);
    const buffer = this.#free.get(size)?.pop();
    if (buffer === undefined) return new Uint8Array(new SharedArrayBuffer(size), 0, length);
    this.#freeBytes -= size;
    return new Uint8Array(buffer, 0, length);
  }

  /** Takes the buffer of a view back; one that is not from here, or too much, is dropped. */
  giveBack({ buffer }: Uint8Array): void {
    const size = buffer.byteLength;
    if (!(buffer instanceof SharedArrayBuffer) || size !== sizeFor(size) || this.#freeBytes + size > KEPT_BYTES) return;
    const free = this.#free.get(size);
    if (free === undefined) this.#free.set(size, [buffer]);
    else free.push(buffer);
    this.#freeBytes += size;
  }
}

function sizeFor(length: number): number {
  return Math.max(SMALLEST_BYTES, 2 ** Math.ceil(Math.log2(length)));
}
