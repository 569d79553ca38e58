/**
 * Bits of a chunk, read from the front; the lean sibling of BitReader for loops over every bucket. It reads zeros behind the end and is asked now and
 * then whether it went there, which takes the test out of each read.
 *
 *   bytes   │ chunk │ 16 bytes of zeros │        position in bits: chunks are shorter than 256 MiB
 */
import { BytesError, signedWordsToNumber, wordsToNumber } from '@gauntlet/bytes';

/** Zeros behind the end: more than a read takes. */
const SLACK_BYTES = 16;
/** Bits after a prefix of so many ones: varbit.ts. */
const WIDTH_6 = 25;

/** See the head of this file. */
export class BitCursor {
  readonly #view: DataView;
  readonly #endBit: number;
  /** Position. */
  bit: number;

  /** @param data shorter than 256 MiB; copied. @param bit where to begin */
  constructor(data: Uint8Array, bit: number) {
    const padded = new Uint8Array(data.length + SLACK_BYTES);
    padded.set(data);
    this.#view = new DataView(padded.buffer);
    this.#endBit = data.length * 8;
    this.bit = bit;
  }

  /** To be asked at least before every read that may begin behind the end. @throws BytesError ERR_BYTES_TRUNCATED when it did */
  check(): void {
    if (this.bit > this.#endBit) throw new BytesError('ERR_BYTES_TRUNCATED', `read bits: ended at byte ${Math.ceil(this.#endBit / 8)}, want ${this.bit - this.#endBit} bits more`, Math.floor(this.#endBit / 8));
  }

  /** The next 32 bits, as a signed number, without moving on. */
  peek(): number {
    const { bit } = this;
    const at = bit >>> 3;
    const shift = bit & 7;
    return (this.#view.getInt32(at) << shift) | (this.#view.getUint8(at + 4) >>> (8 - shift));
  }

  /** The next 1 to 32 bits, unsigned. */
  bits(count: number): number {
    const word = this.peek();
    this.bit += count;
    return word >>> (32 - count);
  }

  /** A signed varbit number. @throws BytesError ERR_BYTES_TRUNCATED, ERR_BYTES_UNSAFE_INTEGER */
  varbitInt(): number {
    const word = this.peek();
    if (word >= 0) {
      this.bit++;
      return 0;
    }
    const ones = Math.clz32(~word);
    // 3, 6, 9 bits behind the prefix and its zero; then 12, 18.
    const width = ones <= 4 ? ones * 3 : 18;
    if (ones > 5) return this.#longInt(ones);
    this.bit += ones + 1 + width;
    const bits = (word << (ones + 1)) >>> (32 - width);
    return bits > 1 << (width - 1) ? bits - (1 << width) : bits;
  }

  /** An unsigned varbit number. @throws BytesError ERR_BYTES_TRUNCATED, ERR_BYTES_UNSAFE_INTEGER */
  varbitUint(): number {
    const word = this.peek();
    if (word >= 0) {
      this.bit++;
      return 0;
    }
    const ones = Math.clz32(~word);
    if (ones === 6) {
      this.bit += 7;
      return this.bits(WIDTH_6);
    }
    if (ones > 6) return wordsToNumber(this.#words(ones));
    const width = ones <= 4 ? ones * 3 : 18;
    this.bit += ones + 1 + width;
    return (word << (ones + 1)) >>> (32 - width);
  }

  /** With a prefix of six ones or more: 25, 56 or 64 bits. */
  #longInt(ones: number): number {
    if (ones === 6) {
      this.bit += 7;
      const bits = this.bits(WIDTH_6);
      return bits > 1 << (WIDTH_6 - 1) ? bits - (1 << WIDTH_6) : bits;
    }
    const words = this.#words(ones);
    if (ones >= 8) return signedWordsToNumber(words);
    // 56 bits: what is above 2^55 is negative.
    const { hi, lo } = words;
    return hi > 0x800000 || (hi === 0x800000 && lo > 0) ? signedWordsToNumber({ hi: (hi | 0xff000000) >>> 0, lo }) : wordsToNumber(words);
  }

  /** The bits behind a prefix of seven ones and a zero, or of eight ones. */
  #words(ones: number): { readonly hi: number; readonly lo: number } {
    this.bit += 8;
    const hi = this.bits(ones >= 8 ? 32 : 24);
    const lo = this.bits(32);
    // Damage may look like a number too large; that the data ended is the better word for it.
    this.check();
    return { hi, lo };
  }
}
