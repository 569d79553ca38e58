/**
 * Bits, most significant first, as Prometheus' chunk formats use them. No padding between values; the last byte is filled with
 * zeros and nothing follows it.
 *
 *   writeBits(0b101, 3) writeBits(0b11, 2)   →   101 11 000
 */
import { truncated } from './errors.ts';

/** Reads bits of `bytes[offset, end)`. */
export class BitReader {
  readonly #bytes: Uint8Array;
  readonly #endBit: number;
  #bit: number;
  /** Words of the last `readBits64`, unsigned. */
  hi = 0;
  /** See `hi`. */
  lo = 0;

  constructor(bytes: Uint8Array, offset: number = 0, end: number = bytes.length) {
    if (offset < 0 || end > bytes.length || offset > end) {
      throw new RangeError(`read bits of bytes ${offset} to ${end}: outside of ${bytes.length}`);
    }
    this.#bytes = bytes;
    this.#bit = offset * 8;
    this.#endBit = end * 8;
  }

  /** Position in bits from the start of the bytes. */
  get bitOffset(): number {
    return this.#bit;
  }

  /** Bits left, padding included. */
  get bitsLeft(): number {
    return this.#endBit - this.#bit;
  }

  /** @throws BytesError ERR_BYTES_TRUNCATED (as all reads) */
  readBit(): 0 | 1 {
    const bit = this.#take(1);
    return ((this.#bytes[Math.floor(bit / 8)]! >>> (7 - (bit & 7))) & 1) as 0 | 1;
  }

  /** @param count 0 to 32 @returns unsigned number */
  readBits(count: number): number {
    if (count === 0) return 0;
    return this.#read32(this.#take(count), count);
  }

  /** Reads 0 to 64 bits, right-aligned, into `hi` and `lo`. */
  readBits64(count: number): void {
    const bit = this.#take(count);
    const high = Math.max(0, count - 32);
    this.hi = high === 0 ? 0 : this.#read32(bit, high);
    this.lo = count === 0 ? 0 : this.#read32(bit + high, count - high);
  }

  /** The next 32 bits as a signed number, without moving on; zeros from the end on. For codes whose length their first bits tell. */
  peek32(): number {
    const bytes = this.#bytes;
    const bit = this.#bit;
    const at = Math.floor(bit / 8);
    const shift = bit & 7;
    const word = ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) << shift;
    const peeked = shift === 0 ? word : word | (bytes[at + 4]! >>> (8 - shift));
    const left = this.#endBit - bit;
    return left >= 32 ? peeked : left === 0 ? 0 : peeked & (-1 << (32 - left));
  }

  /** Moves on by `count` bits. */
  skip(count: number): void {
    this.#take(count);
  }

  #take(count: number): number {
    const bit = this.#bit;
    if (bit + count > this.#endBit) throw truncated('bits', Math.floor(bit / 8), count, this.#endBit - bit, 'bits');
    this.#bit = bit + count;
    return bit;
  }

  /** 1 to 32 bits at a bit position; bytes past the end count as zero. */
  #read32(bit: number, count: number): number {
    const bytes = this.#bytes;
    const at = Math.floor(bit / 8);
    const shift = bit & 7;
    const head = ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) << shift;
    const tail = shift === 0 ? 0 : bytes[at + 4]! >>> (8 - shift);
    return (head | tail) >>> (32 - count);
  }
}

/** Appends bits. */
export class BitWriter {
  #bytes: Uint8Array;
  #bits = 0;

  /** @param capacity bytes to start with */
  constructor(capacity: number = 128) {
    this.#bytes = new Uint8Array(Math.max(16, capacity));
  }

  /** Bits written. */
  get bitLength(): number {
    return this.#bits;
  }

  /** What was written, last byte filled with zeros; a view valid until the next write. */
  bytes(): Uint8Array {
    return this.#bytes.subarray(0, Math.ceil(this.#bits / 8));
  }

  /** Forgets everything, keeps the capacity. */
  reset(): void {
    this.#bytes.fill(0, 0, Math.ceil(this.#bits / 8));
    this.#bits = 0;
  }

  /** Any number other than 0 writes a one. */
  writeBit(bit: number): void {
    this.writeBits(bit === 0 ? 0 : 1, 1);
  }

  writeByte(byte: number): void {
    this.writeBits(byte, 8);
  }

  /** The `count` (0 to 32) low bits of `value`. */
  writeBits(value: number, count: number): void {
    if (count === 0) return;
    this.#reserve();
    const bytes = this.#bytes;
    let at = Math.floor(this.#bits / 8);
    const used = this.#bits & 7;
    this.#bits += count;
    const left = value << (32 - count);
    bytes[at]! |= left >>> (24 + used);
    // 8 − used bits went into the first byte; the rest follows bytewise.
    for (let shift = 8 - used; shift < count; shift += 8) bytes[++at] = (left << shift) >>> 24;
  }

  /** The `count` (0 to 64) low bits of hi:lo. */
  writeBits64(hi: number, lo: number, count: number): void {
    if (count > 32) {
      this.writeBits(hi, count - 32);
      this.writeBits(lo, 32);
    } else {
      this.writeBits(lo, count);
    }
  }

  /** Whole bytes, wherever the bit position is. */
  writeBytes(bytes: Uint8Array): void {
    for (let i = 0; i < bytes.length; i++) this.writeBits(bytes[i]!, 8);
  }

  /** Room for 32 more bits. Bytes past the position are zero at all times. */
  #reserve(): void {
    const needed = Math.floor(this.#bits / 8) + 6;
    if (needed <= this.#bytes.length) return;
    const bigger = new Uint8Array(this.#bytes.length * 2);
    bigger.set(this.#bytes);
    this.#bytes = bigger;
  }
}
