/**
 * Brings the chunks of a batch into one region of memory: that of the kernels, to be decoded there, or a plain buffer, to be passed on.
 */
import { crc32c } from '@gauntlet/bytes';
import { CHUNK_SLACK_BYTES, type Kernels } from '@gauntlet/kernels';
import type { ChunkBatch } from './chunk-batch.ts';
import type { SeriesSource } from './series-source.ts';

/** A piece of kernel memory that is kept between batches and grows when asked. */
export class KernelRegion {
  readonly #kernels: Kernels;
  /** Address, 0 before the first `ensure`. */
  ptr = 0;
  #bytes = 0;

  constructor(kernels: Kernels) {
    this.#kernels = kernels;
  }

  /** Makes room; contents are lost when it grows, and every view over kernel memory may be void. */
  ensure(bytes: number): number {
    if (bytes <= this.#bytes) return this.ptr;
    this.free();
    const wanted = Math.ceil(bytes * 1.25);
    this.ptr = this.#kernels.memory.alloc(wanted);
    this.#bytes = wanted;
    return this.ptr;
  }

  free(): void {
    if (this.#bytes > 0) this.#kernels.memory.free(this.ptr);
    this.#bytes = 0;
    this.ptr = 0;
  }
}

/** Where loaded chunks begin, by source: the requests' `at` count from the start of `region`. */
export function loadIntoKernels(batch: ChunkBatch, sources: readonly SeriesSource[], kernels: Kernels, region: KernelRegion): void {
  for (let isDone = false; !isDone; ) {
    const sizes = sources.map((source, i) => (batch.requests[i]!.count === 0 ? 0 : source.regionBytes(batch.requests[i]!)));
    const total = sizes.reduce((sum, bytes) => sum + bytes, 0);
    const ptr = region.ensure(total + CHUNK_SLACK_BYTES);
    const view = kernels.memory.u8(ptr, total);
    const crc = (at: number, length: number): number => kernels.crc32c(ptr + at, length, 0) >>> 0;
    isDone = fillAll(batch, sources, sizes, view, crc);
  }
}

/** As `loadIntoKernels`, into a buffer of its own. @param spare a buffer that may be reused when it is large enough */
export function loadIntoBuffer(batch: ChunkBatch, sources: readonly SeriesSource[], spare: Uint8Array): Uint8Array {
  let buffer = spare;
  for (let isDone = false; !isDone; ) {
    const sizes = sources.map((source, i) => (batch.requests[i]!.count === 0 ? 0 : source.regionBytes(batch.requests[i]!)));
    const total = sizes.reduce((sum, bytes) => sum + bytes, 0);
    if (buffer.length < total) buffer = new Uint8Array(Math.ceil(total * 1.25));
    const target = buffer;
    isDone = fillAll(batch, sources, sizes, target, (at, length) => crc32c(target.subarray(at, at + length)));
  }
  return buffer;
}

function fillAll(batch: ChunkBatch, sources: readonly SeriesSource[], sizes: readonly number[], view: Uint8Array, crc: (at: number, length: number) => number): boolean {
  let at = 0;
  for (const [i, source] of sources.entries()) {
    // By the requests, not by the bytes: of chunks behind the end of a segment there are none, and `fill` says so.
    if (batch.requests[i]!.count > 0 && !source.fill(batch.requests[i]!, view, at, crc)) return false;
    at += sizes[i]!;
  }
  return true;
}
