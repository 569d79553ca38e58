/** Bytes on their way to a file: collected, and written in large pieces. */
import { writeUvarint } from '@gauntlet/bytes';
import type { FileHandle } from '../file-system.ts';

/** Length of a piece; longer only where something that is reserved in one piece needs it. */
const PIECE_BYTES = 1024 * 1024;
const PIECE_BYTES_MIN = 16 * 1024;

/** The end of a file. Whoever writes reserves first, and then writes no more than that. */
export class FileBuffer {
  readonly #handle: FileHandle;
  #flushed = 0;
  /** What is not in the file yet: [0, length) of it. */
  bytes: Uint8Array = new Uint8Array(PIECE_BYTES_MIN);
  length = 0;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  /** Place in the file of what is written next. */
  get position(): number {
    return this.#flushed + this.length;
  }

  /** Whether so many bytes more would write to the file those that are there. */
  isFullFor(count: number): boolean {
    return this.length > 0 && this.length + count > Math.max(this.bytes.length, PIECE_BYTES);
  }

  /** Makes room. `bytes` may be replaced, and `length` be 0 after that. */
  reserve(count: number): void {
    if (this.length + count <= this.bytes.length) return;
    if (this.isFullFor(count)) this.flush();
    if (this.length + count <= this.bytes.length) return;
    const bytes = new Uint8Array(Math.max(this.length + count, Math.min(this.bytes.length * 2, PIECE_BYTES)));
    bytes.set(this.bytes.subarray(0, this.length));
    this.bytes = bytes;
  }

  flush(): void {
    if (this.length === 0) return;
    this.#handle.append(this.bytes.subarray(0, this.length));
    this.#flushed += this.length;
    this.length = 0;
  }

  putU8(value: number): void {
    this.bytes[this.length++] = value;
  }

  putBE32(value: number): void {
    const bytes = this.bytes;
    const at = this.length;
    bytes[at] = value >>> 24;
    bytes[at + 1] = value >>> 16;
    bytes[at + 2] = value >>> 8;
    bytes[at + 3] = value;
    this.length = at + 4;
  }

  /** @param value safe integer ≥ 0; takes at most 8 bytes */
  putUvarint(value: number): void {
    if (value < 0x80) this.bytes[this.length++] = value;
    else if (value < 0x4000) {
      this.bytes[this.length++] = value | 0x80;
      this.bytes[this.length++] = value >>> 7;
    } else this.length = writeUvarint(this.bytes, this.length, value);
  }

  /** The bytes [from, to) of `source`. */
  putRange(source: Uint8Array, from: number, to: number): void {
    const bytes = this.bytes;
    let at = this.length;
    // Most symbols are short: a view and a call would take longer.
    if (to - from <= 64) for (let i = from; i < to; i++) bytes[at++] = source[i]!;
    else {
      bytes.set(source.subarray(from, to), at);
      at += to - from;
    }
    this.length = at;
  }

  /** Zeros up to a multiple of `alignment`; at most that many bytes. */
  pad(alignment: number): void {
    const over = this.position % alignment;
    if (over === 0) return;
    this.bytes.fill(0, this.length, this.length + alignment - over);
    this.length += alignment - over;
  }
}
