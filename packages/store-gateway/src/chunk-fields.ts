/**
 * Chunks → fields of a Series message, in kernel memory: found in the bytes that were read, checksums compared, hashed and written in one pass over
 * them. Anything out of the ordinary (an aggregate chunk, one that is cut by the end of what was read, damage) makes it give up, and
 * load-chunks.ts does it chunk by chunk.
 */
import { CHUNK_FIELD_ROOM, CHUNK_FIELD_WORDS, createKernels, FRAME_WORDS, type Kernels } from '@gauntlet/kernels';
import { CHUNK_ENCODING } from '@gauntlet/model';

const PASSED_ON: readonly boolean[] = Array.from({ length: 256 }, (_none, encoding) => (Object.values(CHUNK_ENCODING) as number[]).includes(encoding));
const CRC_BYTES = 4;
/** Bounds what a worker keeps for this: a part of a read, what is written of a round, tables. */
const MEMORY_BYTES_MAX = 128 << 20;

/** A piece of kernel memory that grows. */
interface Region {
  ptr: number;
  bytes: number;
}

/** See the head of this file. One per thread: `begin`, `addPart` for each part, then read; nothing may be awaited in between. */
export class ChunkFields {
  readonly #kernels: Kernels;
  readonly #part: Region = { ptr: 0, bytes: 0 };
  readonly #frames: Region = { ptr: 0, bytes: 0 };
  readonly #columns: Region = { ptr: 0, bytes: 0 };
  readonly #fields: Region = { ptr: 0, bytes: 0 };
  readonly #out: Region = { ptr: 0, bytes: 0 };
  #outBytes = 0;
  /** Chunks so far. */
  count = 0;
  /** Bytes of the chunks in their files, frames included. */
  fileBytes = 0;
  /** By chunk: end of its field, begin and length of its data, encoding byte as in the file. Offsets into {@link bytes}. */
  ends: Int32Array = new Int32Array(2048);
  dataStarts: Int32Array = new Int32Array(2048);
  dataBytes: Int32Array = new Int32Array(2048);
  encodings: Uint8Array = new Uint8Array(2048);

  constructor(kernels: Kernels = createKernels({ maxMemoryBytes: MEMORY_BYTES_MAX })) {
    this.#kernels = kernels;
  }

  /** Forgets what was written. */
  begin(): void {
    this.count = 0;
    this.#outBytes = 0;
    this.fileBytes = 0;
  }

  /** The fields, one behind the other; valid until the next `begin` or `addPart`. */
  get bytes(): Uint8Array {
    return this.#kernels.memory.u8(this.#out.ptr, this.#outBytes);
  }

  /**
   * Writes chunks [from, to) of the columns.
   * @param bytes of the segment, `base` the first one's place as references count
   * @param refs ascending
   * @returns false if one of them is not whole, sound and raw, or there is no room
   */
  addPart(bytes: Uint8Array, base: number, refs: Float64Array, mints: Float64Array, maxts: Float64Array, from: number, to: number): boolean {
    const kernels = this.#kernels;
    const { memory } = kernels;
    const count = to - from;
    try {
      this.#ensure(this.#part, bytes.length, 0);
      this.#ensure(this.#frames, 4 * FRAME_WORDS * count, 0);
      this.#ensure(this.#columns, 3 * 8 * count, 0);
      this.#ensure(this.#fields, 4 * CHUNK_FIELD_WORDS * count, 0);
      const columns = this.#columns.ptr;
      memory.u8(this.#part.ptr, bytes.length).set(bytes);
      [refs, mints, maxts].forEach((column, i) => memory.f64(columns + i * 8 * count, count).set(column.subarray(from, to)));
      if (kernels.checkChunkFrames(this.#part.ptr, bytes.length, base, columns, count, this.#frames.ptr) !== count) return false;
      if (!this.#noteFrames(memory.i32(this.#frames.ptr, FRAME_WORDS * count), count)) return false;
      const outPtr = this.#out.ptr + this.#outBytes;
      const written = kernels.writeChunkFields(this.#frames.ptr, columns + 8 * count, columns + 16 * count, count, outPtr, this.#fields.ptr);
      const fields = memory.i32(this.#fields.ptr, CHUNK_FIELD_WORDS * count);
      for (let i = 0; i < count; i++) {
        this.ends[this.count + i] = this.#outBytes + fields[CHUNK_FIELD_WORDS * i]!;
        this.dataStarts[this.count + i] = this.#outBytes + fields[CHUNK_FIELD_WORDS * i + 1]!;
      }
      this.count += count;
      this.#outBytes += written;
      return true;
    } catch (error) {
      // More than the memory may hold at once: slower, but not refused.
      if ((error as { code?: unknown }).code === 'ERR_KERNEL_MEMORY') return false;
      throw error;
    }
  }

  /** Takes lengths and encodings over, and makes room for the fields. */
  #noteFrames(frames: Int32Array, count: number): boolean {
    const total = this.count + count;
    if (total > this.ends.length) {
      const room = Math.max(total, 2 * this.ends.length);
      for (const column of ['ends', 'dataStarts', 'dataBytes'] as const) {
        const grown = new Int32Array(room);
        grown.set(this[column]);
        this[column] = grown;
      }
      const grown = new Uint8Array(room);
      grown.set(this.encodings);
      this.encodings = grown;
    }
    let data = 0;
    for (let i = 0, at = 0; i < count; i++, at += FRAME_WORDS) {
      const encoding = frames[at + 3]!;
      if (!PASSED_ON[encoding]) return false;
      const bytes = frames[at + 2]!;
      this.dataBytes[this.count + i] = bytes;
      this.encodings[this.count + i] = encoding;
      this.fileBytes += frames[at + 1]! - frames[at]! + bytes + CRC_BYTES;
      data += bytes;
    }
    this.#ensure(this.#out, this.#outBytes + data + CHUNK_FIELD_ROOM * count, this.#outBytes);
    return true;
  }

  #ensure(region: Region, bytes: number, keepBytes: number): void {
    if (bytes <= region.bytes) return;
    const { memory } = this.#kernels;
    const room = Math.ceil(bytes * 1.25);
    if (keepBytes === 0 && region.bytes > 0) {
      memory.free(region.ptr);
      region.bytes = 0;
    }
    const ptr = memory.alloc(room);
    if (keepBytes > 0) memory.u8(ptr, keepBytes).set(memory.u8(region.ptr, keepBytes));
    if (region.bytes > 0) memory.free(region.ptr);
    region.ptr = ptr;
    region.bytes = room;
  }
}
