/**
 * Brings the chunks of a batch into one region of memory: that of the kernels, to be decoded there, or a plain buffer, to be passed on.
 */
import { crc32c } from '@gauntlet/bytes';
import { CHUNK_SLACK_BYTES, FRAME_WORDS, type Kernels } from '@gauntlet/kernels';
import { type ChunkFrame, frameChunk } from '../chunks/chunk-reader.ts';
import { be32 } from '../index-file/layout.ts';
import type { ChunkBatch } from './chunk-batch.ts';
import type { ChunkFramer, SeriesSource } from './series-source.ts';

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
export function loadIntoKernels(batch: Pick<ChunkBatch, 'requests'>, sources: readonly SeriesSource[], kernels: Kernels, region: KernelRegion): void {
  for (let isDone = false; !isDone; ) {
    const sizes = sources.map((source, i) => (batch.requests[i]!.count === 0 ? 0 : source.regionBytes(batch.requests[i]!)));
    const total = sizes.reduce((sum, bytes) => sum + bytes, 0);
    const most = batch.requests.reduce((sum, request) => Math.max(sum, request.count), 0);
    // Behind the chunks: references of some and their frames.
    const tableAt = Math.ceil((total + CHUNK_SLACK_BYTES) / 8) * 8;
    const ptr = region.ensure(tableAt + most * (8 + FRAME_WORDS * 4));
    isDone = fillAll(batch, sources, sizes, kernels.memory.u8(ptr, total), kernelFramer(kernels, ptr, ptr + tableAt));
  }
}

/** Frames chunks of a region by the kernel. @param tablePtr room for a reference and a frame per chunk */
function kernelFramer(kernels: Kernels, regionPtr: number, tablePtr: number): ChunkFramer {
  return ({ refs, at, bytes, encodings }, first, end, runAt, runBytes) => {
    const count = end - first;
    const framesPtr = tablePtr + count * 8;
    kernels.memory.f64(tablePtr, count).set(refs.subarray(first, end));
    const good = kernels.checkChunkFrames(regionPtr + runAt, runBytes, refs[first]!, tablePtr, count, framesPtr);
    const frames = kernels.memory.i32(framesPtr, good * FRAME_WORDS);
    for (let i = 0, word = 0; i < good; i++, word += FRAME_WORDS) {
      at[first + i] = (frames[word + 1]! >>> 0) - regionPtr;
      bytes[first + i] = frames[word + 2]!;
      encodings[first + i] = frames[word + 3]!;
    }
    return first + good;
  };
}

/** Frames chunks of a buffer. */
function bufferFramer(buffer: Uint8Array): ChunkFramer {
  const frame: ChunkFrame = { encodingAt: 0, payloadBytes: 0, end: 0 };
  return ({ refs, at, bytes, encodings }, first, end, runAt, runBytes) => {
    const run = buffer.subarray(runAt, runAt + runBytes);
    for (let i = first; i < end; i++) {
      const isWhole = frameChunk(run, refs[i]! - refs[first]!, frame) && frame.end <= runBytes;
      if (!isWhole || crc32c(run.subarray(frame.encodingAt, frame.end - 4)) !== be32(run, frame.end - 4)) return i;
      at[i] = runAt + frame.encodingAt + 1;
      bytes[i] = frame.payloadBytes;
      encodings[i] = run[frame.encodingAt]!;
    }
    return end;
  };
}

/** As `loadIntoKernels`, into a buffer of its own. @param spare a buffer that may be reused when it is large enough */
export function loadIntoBuffer(batch: ChunkBatch, sources: readonly SeriesSource[], spare: Uint8Array): Uint8Array {
  let buffer = spare;
  for (let isDone = false; !isDone; ) {
    const sizes = sources.map((source, i) => (batch.requests[i]!.count === 0 ? 0 : source.regionBytes(batch.requests[i]!)));
    const total = sizes.reduce((sum, bytes) => sum + bytes, 0);
    if (buffer.length < total) buffer = new Uint8Array(Math.ceil(total * 1.25));
    isDone = fillAll(batch, sources, sizes, buffer, bufferFramer(buffer));
  }
  return buffer;
}

function fillAll(batch: Pick<ChunkBatch, 'requests'>, sources: readonly SeriesSource[], sizes: readonly number[], view: Uint8Array, frame: ChunkFramer): boolean {
  let at = 0;
  for (const [i, source] of sources.entries()) {
    // By the requests, not by the bytes: of chunks behind the end of a segment there are none, and `fill` says so.
    if (batch.requests[i]!.count > 0 && !source.fill(batch.requests[i]!, view, at, frame)) return false;
    at += sizes[i]!;
  }
  return true;
}
