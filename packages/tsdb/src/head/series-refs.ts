/**
 * References of series by the bytes that their labels have on the wire.
 *
 *   table    open addressing, in kernel memory: where the record of a key lies, the key's hash
 *   records  reference, key; in segments of 1 MiB, one behind the other, never moved
 *
 * Labels that were judged sound and found in the head once are neither decoded nor judged again as long as the same bytes come. The table is a
 * memory of what is true anyway: when it is full it forgets everything and begins anew. A reference may be out of date, its series removed
 * meanwhile: the head does not know it any more, and never gives it to another one.
 */
import { KernelError, type Kernels, KEY_ENTRY_BYTES, KEY_HEADER_BYTES, keyRecordBytes } from '@gauntlet/kernels';
import type { Random } from '../block/ulid.ts';

/** What a table works with, and how large it gets. */
export interface SeriesRefsOptions {
  /** Seeds the hash, in [0, 1). `Math.random` will do. */
  readonly random: Random;
  /** Most bytes of kernel memory; default 128 MiB, enough for about 700,000 series of 130 bytes. */
  readonly bytesMax?: number;
}

const BYTES_MAX_DEFAULT = 128 << 20;
const ENTRIES_FIRST = 2048;
/** Together with the header of an allocation a whole step of the allocator. */
const SEGMENT_BYTES = (1 << 20) - 16;
/** Keys beyond this are not remembered; their series are looked up by their labels. */
const KEY_BYTES_MAX = 16 * 1024;

/** References of one database by key; see the head of this file. */
export class SeriesRefs {
  readonly #kernels: Kernels;
  readonly #seed: number;
  readonly #bytesMax: number;
  #tablePtr = 0;
  #entries = 0;
  #count = 0;
  readonly #segments: number[] = [];
  /** Bytes taken of the last segment. */
  #taken = SEGMENT_BYTES;

  constructor(kernels: Kernels, options: SeriesRefsOptions) {
    this.#kernels = kernels;
    this.#seed = 1 + options.random();
    this.#bytesMax = options.bytesMax ?? BYTES_MAX_DEFAULT;
  }

  /** Keys that are known. */
  get count(): number {
    return this.#count;
  }

  /** Bytes of kernel memory in use. */
  get bytes(): number {
    return this.#entries * KEY_ENTRY_BYTES + this.#segments.length * SEGMENT_BYTES;
  }

  /**
   * Finds the references of series; see `findKeys` of kernels, whose rows and column these are.
   * @returns series that are not known
   * @throws KernelError when not even an empty table can be had
   */
  find(bytesPtr: number, rowsPtr: number, count: number, sampleFrom: number, refsPtr: number): number {
    if (this.#entries === 0) {
      this.#tablePtr = this.#newTable(ENTRIES_FIRST);
      this.#entries = ENTRIES_FIRST;
    }
    return this.#kernels.findKeys(bytesPtr, rowsPtr, count, sampleFrom, this.#tablePtr, this.#entries, this.#seed, refsPtr);
  }

  /** Remembers the reference of the series with this key, which is copied. May move the memory: views of it are void. */
  put(keyPtr: number, keyBytes: number, ref: number): void {
    if (keyBytes > KEY_BYTES_MAX) return;
    try {
      const ptr = this.#room(keyRecordBytes(keyBytes));
      const { memory } = this.#kernels;
      memory.f64(ptr, 1)[0] = ref;
      memory.i32(ptr, 4)[2] = keyBytes;
      memory.u8(ptr + KEY_HEADER_BYTES, keyBytes).set(memory.u8(keyPtr, keyBytes));
      const put = this.#kernels.putKey(ptr, this.#tablePtr, this.#entries, this.#seed);
      if (put === 1) {
        this.#taken += keyRecordBytes(keyBytes);
        this.#count++;
      } else memory.i32(ptr, 4)[2] = 0;
    } catch (error) {
      // Without room in memory nothing is remembered, and nothing is lost.
      if (!(error instanceof KernelError)) throw error;
      this.clear();
    }
  }

  /** Forgets everything and gives the memory back; the table may be used again. */
  clear(): void {
    const { memory } = this.#kernels;
    if (this.#tablePtr !== 0) memory.free(this.#tablePtr);
    for (const segment of this.#segments) memory.free(segment);
    this.#tablePtr = 0;
    this.#entries = 0;
    this.#count = 0;
    this.#segments.length = 0;
    this.#taken = SEGMENT_BYTES;
  }

  /** Makes room for one more record. @returns where it goes */
  #room(recordBytes: number): number {
    const isTableFull = (this.#count + 1) * 2 > this.#entries;
    const isSegmentFull = this.#taken + recordBytes + KEY_HEADER_BYTES > SEGMENT_BYTES;
    const more = (isTableFull ? this.#entries * KEY_ENTRY_BYTES : 0) + (isSegmentFull ? SEGMENT_BYTES : 0);
    if (more > 0 && this.bytes + more > this.#bytesMax && this.#count > 0) {
      this.clear();
      return this.#room(recordBytes);
    }
    if (isTableFull) this.#growTable();
    if (isSegmentFull) {
      const { memory } = this.#kernels;
      const ptr = memory.alloc(SEGMENT_BYTES);
      // A header of zeros is no record.
      memory.u8(ptr, SEGMENT_BYTES).fill(0);
      this.#segments.push(ptr);
      this.#taken = 0;
    }
    return this.#segments.at(-1)! + this.#taken;
  }

  #newTable(entries: number): number {
    const { memory } = this.#kernels;
    const ptr = memory.alloc(entries * KEY_ENTRY_BYTES);
    memory.u8(ptr, entries * KEY_ENTRY_BYTES).fill(0);
    return ptr;
  }

  #growTable(): void {
    const entries = Math.max(ENTRIES_FIRST, this.#entries * 2);
    const ptr = this.#newTable(entries);
    const { memory } = this.#kernels;
    const stride = KEY_ENTRY_BYTES / 4;
    const old = memory.i32(this.#tablePtr, this.#entries * stride);
    const bigger = memory.i32(ptr, entries * stride);
    for (let at = 0; at < old.length; at += stride) {
      if (old[at] === 0) continue;
      let to = (old[at + 1]! & (entries - 1)) * stride;
      while (bigger[to] !== 0) to = (to + stride) % bigger.length;
      for (let i = 0; i < stride; i++) bigger[to + i] = old[at + i]!;
    }
    if (this.#tablePtr !== 0) memory.free(this.#tablePtr);
    this.#tablePtr = ptr;
    this.#entries = entries;
  }
}
