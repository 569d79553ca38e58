/**
 * A byte buffer that grows as it is written, with the vocabulary of ByteReader. Capacity doubles; `reset` keeps it, so one
 * writer serves many records without allocating.
 */
import type { Words64 } from './words64.ts';
import { utf8EncodeInto, utf8Length } from './utf8.ts';
import { uvarintBytes, VARINT_BYTES_MAX, writeUvarint, writeUvarintWords, writeVarint } from './varint.ts';

const TWO_32 = 4294967296;

/** Append-only bytes. */
export class GrowableBytes {
  #bytes: Uint8Array;
  #view: DataView;
  #length = 0;

  /** @param capacity bytes to start with */
  constructor(capacity: number = 256) {
    this.#bytes = new Uint8Array(Math.max(16, capacity));
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** Bytes written. */
  get length(): number {
    return this.#length;
  }

  /** What was written, as a view: valid until the next write. */
  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** What was written, as a copy the caller owns. */
  copy(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  /** Forgets everything, keeps the capacity. */
  reset(): void {
    this.#length = 0;
  }

  /** Drops everything from `length` on. */
  truncate(length: number): void {
    if (!(length >= 0 && length <= this.#length)) throw new RangeError(`truncate to ${length}: ${this.#length} bytes written`);
    this.#length = length;
  }

  putU8(value: number): void {
    // Growing replaces the array, so the place comes first.
    const at = this.#grow(1);
    this.#bytes[at] = value;
  }

  putBE16(value: number): void {
    const at = this.#grow(2);
    this.#view.setUint16(at, value);
  }

  putBE32(value: number): void {
    const at = this.#grow(4);
    this.#view.setUint32(at, value);
  }

  putLE16(value: number): void {
    const at = this.#grow(2);
    this.#view.setUint16(at, value, true);
  }

  putLE32(value: number): void {
    const at = this.#grow(4);
    this.#view.setUint32(at, value, true);
  }

  /** A safe integer as 64 bits; negative ones as two's complement. */
  putBE64(value: number): void {
    assertSafe(value);
    const at = this.#grow(8);
    this.#view.setUint32(at, Math.floor(value / TWO_32));
    this.#view.setUint32(at + 4, value);
  }

  /** A safe integer as 64 bits; negative ones as two's complement. */
  putLE64(value: number): void {
    assertSafe(value);
    const at = this.#grow(8);
    this.#view.setUint32(at, value, true);
    this.#view.setUint32(at + 4, Math.floor(value / TWO_32), true);
  }

  putBE64Words(words: Words64): void {
    const at = this.#grow(8);
    this.#view.setUint32(at, words.hi);
    this.#view.setUint32(at + 4, words.lo);
  }

  putLE64Words(words: Words64): void {
    const at = this.#grow(8);
    this.#view.setUint32(at, words.lo, true);
    this.#view.setUint32(at + 4, words.hi, true);
  }

  putFloat64BE(value: number): void {
    const at = this.#grow(8);
    this.#view.setFloat64(at, value);
  }

  putFloat64LE(value: number): void {
    const at = this.#grow(8);
    this.#view.setFloat64(at, value, true);
  }

  /** @param value safe integer ≥ 0 */
  putUvarint(value: number): void {
    assertSafe(value);
    if (value < 0) throw new RangeError(`write ${value} as uvarint: negative`);
    this.#reserve(VARINT_BYTES_MAX);
    this.#length = writeUvarint(this.#bytes, this.#length, value);
  }

  /** Zig-zag. @param value safe integer */
  putVarint(value: number): void {
    assertSafe(value);
    this.#reserve(VARINT_BYTES_MAX);
    this.#length = writeVarint(this.#bytes, this.#length, value);
  }

  putUvarintWords(words: Words64): void {
    this.#reserve(VARINT_BYTES_MAX);
    this.#length = writeUvarintWords(this.#bytes, this.#length, words.hi, words.lo);
  }

  putBytes(bytes: Uint8Array): void {
    const at = this.#grow(bytes.length);
    this.#bytes.set(bytes, at);
  }

  /** `count` zero bytes. */
  putZeros(count: number): void {
    const at = this.#grow(count);
    this.#bytes.fill(0, at, at + count);
  }

  /** The UTF-8 bytes of `text`, without a length. */
  putString(text: string): void {
    this.#reserve(text.length * 3);
    this.#length += utf8EncodeInto(text, this.#bytes, this.#length);
  }

  /** Byte length as uvarint, then the UTF-8 bytes. */
  putUvarintString(text: string): void {
    const length = utf8Length(text);
    this.#reserve(uvarintBytes(length) + text.length * 3);
    this.putUvarint(length);
    this.putString(text);
  }

  /** Length as uvarint, then the bytes. */
  putUvarintBytes(bytes: Uint8Array): void {
    this.putUvarint(bytes.length);
    this.putBytes(bytes);
  }

  /**
   * Makes room for `count` bytes that the caller writes itself, at `length` and behind; `advance` says afterwards how far.
   * @returns the whole buffer, valid until the next write
   */
  room(count: number): Uint8Array {
    this.#reserve(count);
    return this.#bytes;
  }

  /** Counts what was written into `room` as written. @param length bytes in all */
  advance(length: number): void {
    if (!(length >= this.#length && length <= this.#bytes.length)) throw new RangeError(`advance to ${length}: ${this.#length} bytes written, room for ${this.#bytes.length}`);
    this.#length = length;
  }

  /** Overwrites four bytes written before, for example a length known only now. */
  patchBE32(offset: number, value: number): void {
    if (!(offset >= 0 && offset + 4 <= this.#length)) throw new RangeError(`patch 4 bytes at ${offset}: ${this.#length} bytes written`);
    this.#view.setUint32(offset, value);
  }

  /** Makes room for `count` bytes and counts them as written; returns where they start. */
  #grow(count: number): number {
    this.#reserve(count);
    const at = this.#length;
    this.#length = at + count;
    return at;
  }

  #reserve(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#bytes.length) return;
    let capacity = this.#bytes.length * 2;
    while (capacity < needed) capacity *= 2;
    const bigger = new Uint8Array(capacity);
    bigger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = bigger;
    this.#view = new DataView(bigger.buffer);
  }
}

function assertSafe(value: number): void {
  if (!Number.isSafeInteger(value)) throw new RangeError(`write ${value}: not a safe integer`);
}
