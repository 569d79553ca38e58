/**
 * A cursor over bytes: fixed-width integers, varints, strings. Every read checks the end and throws BytesError with the offset;
 * slices are zero-copy views. 64-bit integers come as safe-integer numbers, or as words where a format may pass 2^53.
 */
import { BytesError, truncated } from './errors.ts';
import { utf8Decode } from './utf8.ts';
import type { Words64 } from './words64.ts';

const TWO_32 = 4294967296;

/** Reads `bytes[offset, end)` in order. */
export class ByteReader {
  /** What is read; not retained beyond the reader, never changed. */
  readonly source: Uint8Array;
  /** Offset of the next read in `bytes`; use `seek` to move it with a check. */
  offset: number;
  /** First offset that may not be read. */
  readonly end: number;
  readonly #view: DataView;

  constructor(bytes: Uint8Array, offset: number = 0, end: number = bytes.length) {
    if (offset < 0 || end > bytes.length || offset > end) {
      throw new RangeError(`read bytes ${offset} to ${end}: outside of ${bytes.length}`);
    }
    this.source = bytes;
    this.offset = offset;
    this.end = end;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Bytes left. */
  get remaining(): number {
    return this.end - this.offset;
  }

  /**
   * Moves to an absolute offset of `source`; the end itself is allowed.
   * @throws BytesError ERR_BYTES_TRUNCATED outside of the bytes
   */
  seek(offset: number): void {
    if (!(offset >= 0 && offset <= this.end)) throw truncated('seek', offset, 0, this.end - offset);
    this.offset = offset;
  }

  /** Steps over `count` bytes. @throws BytesError ERR_BYTES_TRUNCATED */
  skip(count: number): void {
    this.#take('skipped bytes', count);
  }

  /** One byte. @throws BytesError ERR_BYTES_TRUNCATED (as all reads) */
  u8(): number {
    return this.source[this.#take('u8', 1)]!;
  }

  be16(): number {
    return this.#view.getUint16(this.#take('be16', 2));
  }

  be32(): number {
    return this.#view.getUint32(this.#take('be32', 4));
  }

  le16(): number {
    return this.#view.getUint16(this.#take('le16', 2), true);
  }

  le32(): number {
    return this.#view.getUint32(this.#take('le32', 4), true);
  }

  /** Unsigned big-endian. @throws BytesError ERR_BYTES_UNSAFE_INTEGER past 2^53 − 1 */
  be64(): number {
    const at = this.#take('be64', 8);
    return this.#safe(this.#view.getUint32(at) * TWO_32 + this.#view.getUint32(at + 4), at);
  }

  /** Signed big-endian. @throws BytesError ERR_BYTES_UNSAFE_INTEGER outside ±(2^53 − 1) */
  beI64(): number {
    const at = this.#take('be64', 8);
    return this.#safe(this.#view.getInt32(at) * TWO_32 + this.#view.getUint32(at + 4), at);
  }

  /** Unsigned little-endian. @throws BytesError ERR_BYTES_UNSAFE_INTEGER past 2^53 − 1 */
  le64(): number {
    const at = this.#take('le64', 8);
    return this.#safe(this.#view.getUint32(at + 4, true) * TWO_32 + this.#view.getUint32(at, true), at);
  }

  /** Signed little-endian. @throws BytesError ERR_BYTES_UNSAFE_INTEGER outside ±(2^53 − 1) */
  leI64(): number {
    const at = this.#take('le64', 8);
    return this.#safe(this.#view.getInt32(at + 4, true) * TWO_32 + this.#view.getUint32(at, true), at);
  }

  be64Words(): Words64 {
    const at = this.#take('be64', 8);
    return { hi: this.#view.getUint32(at), lo: this.#view.getUint32(at + 4) };
  }

  le64Words(): Words64 {
    const at = this.#take('le64', 8);
    return { hi: this.#view.getUint32(at + 4, true), lo: this.#view.getUint32(at, true) };
  }

  /** NaN payloads may not survive; read words where they matter. */
  float64BE(): number {
    return this.#view.getFloat64(this.#take('float64', 8));
  }

  /** NaN payloads may not survive; read words where they matter. */
  float64LE(): number {
    return this.#view.getFloat64(this.#take('float64', 8), true);
  }

  /**
   * Unsigned varint.
   * @throws BytesError ERR_BYTES_VARINT past 64 bits, ERR_BYTES_UNSAFE_INTEGER past 2^53 − 1
   */
  uvarint(): number {
    const start = this.offset;
    if (start < this.end) {
      const first = this.source[start]!;
      if (first < 0x80) {
        this.offset = start + 1;
        return first;
      }
    }
    const last = this.#varintEnd(start);
    let value = 0;
    for (let i = last; i >= start; i--) value = value * 128 + (this.source[i]! & 0x7f);
    this.offset = last + 1;
    return this.#safe(value, start);
  }

  /**
   * Zig-zag varint.
   * @throws BytesError ERR_BYTES_VARINT past 64 bits, ERR_BYTES_UNSAFE_INTEGER outside ±(2^53 − 1)
   */
  varint(): number {
    const start = this.offset;
    const last = this.#varintEnd(start);
    let value = 0;
    for (let i = last; i > start; i--) value = value * 128 + (this.source[i]! & 0x7f);
    // The sign bit is taken off before the number is put together: the zig-zag form needs one bit more than the value.
    const first = this.source[start]!;
    value = value * 64 + ((first & 0x7f) >>> 1);
    this.offset = last + 1;
    return this.#safe((first & 1) === 1 ? -value - 1 : value, start);
  }

  /** Unsigned varint of up to 64 bits. @throws BytesError ERR_BYTES_VARINT past 64 bits */
  uvarintWords(): Words64 {
    const start = this.offset;
    const last = this.#varintEnd(start);
    let hi = 0;
    let lo = 0;
    for (let i = last; i >= start; i--) {
      hi = (hi << 7) | (lo >>> 25);
      lo = (lo << 7) | (this.source[i]! & 0x7f);
    }
    this.offset = last + 1;
    return { hi: hi >>> 0, lo: lo >>> 0 };
  }

  /** Zig-zag varint of up to 64 bits, as two's complement words. @throws BytesError ERR_BYTES_VARINT past 64 bits */
  varintWords(): Words64 {
    const { hi, lo } = this.uvarintWords();
    const sign = -(lo & 1);
    return { hi: ((hi >>> 1) ^ sign) >>> 0, lo: (((lo >>> 1) | (hi << 31)) ^ sign) >>> 0 };
  }

  /** The next `count` bytes as a view, not a copy. */
  bytes(count: number): Uint8Array {
    const at = this.#take('bytes', count);
    return this.source.subarray(at, at + count);
  }

  /** Bytes preceded by their length as uvarint; a view. */
  uvarintBytes(): Uint8Array {
    const count = this.uvarint();
    return this.bytes(count);
  }

  /** A UTF-8 string of `count` bytes. */
  string(count: number): string {
    const at = this.#take('string', count);
    return utf8Decode(this.source, at, at + count);
  }

  /** A UTF-8 string preceded by its byte length as uvarint. */
  uvarintString(): string {
    const count = this.uvarint();
    return this.string(count);
  }

  #take(what: string, count: number): number {
    const at = this.offset;
    if (!(count >= 0 && count <= this.end - at)) throw truncated(what, at, count, this.end - at);
    this.offset = at + count;
    return at;
  }

  /** Offset of the last byte of the varint at `start`. */
  #varintEnd(start: number): number {
    const limit = Math.min(this.end, start + 10);
    let at = start;
    while (at < limit && this.source[at]! >= 0x80) at++;
    if (at < limit) {
      if (at === start + 9 && this.source[at]! > 1) {
        throw new BytesError('ERR_BYTES_VARINT', `read varint at offset ${start}: more than 64 bits`, start);
      }
      return at;
    }
    if (at === start + 10) throw new BytesError('ERR_BYTES_VARINT', `read varint at offset ${start}: longer than 10 bytes`, start);
    throw truncated('varint', start, at - start + 1, at - start);
  }

  #safe(value: number, offset: number): number {
    if (value <= Number.MAX_SAFE_INTEGER && value >= Number.MIN_SAFE_INTEGER) return value;
    throw new BytesError('ERR_BYTES_UNSAFE_INTEGER', `read integer at offset ${offset}: beyond 2^53`, offset);
  }
}
