/**
 * 64-bit values as two unsigned 32-bit words: hashes, float bit patterns, and integers past 2^53 that a format may hold.
 * BigInt appears only in the two conversions for API edges.
 */
import { BytesError } from './errors.ts';

/** `hi` and `lo` are unsigned 32-bit numbers. */
export interface Words64 {
  readonly hi: number;
  readonly lo: number;
}

const TWO_32 = 4294967296;

/** Words of a safe integer; a negative one becomes its two's complement. */
export function wordsFromNumber(value: number): Words64 {
  if (!Number.isSafeInteger(value)) throw new RangeError(`split ${value} into words: not a safe integer`);
  return { hi: Math.floor(value / TWO_32) >>> 0, lo: value >>> 0 };
}

/**
 * The words as an unsigned integer.
 * @throws BytesError ERR_BYTES_UNSAFE_INTEGER past 2^53 − 1
 */
export function wordsToNumber(words: Words64): number {
  const value = words.hi * TWO_32 + words.lo;
  if (value > Number.MAX_SAFE_INTEGER) {
    throw new BytesError('ERR_BYTES_UNSAFE_INTEGER', `read 0x${wordsToHex(words)} as an integer: beyond 2^53`, 0);
  }
  return value;
}

/**
 * The words as a signed (two's complement) integer.
 * @throws BytesError ERR_BYTES_UNSAFE_INTEGER outside ±(2^53 − 1)
 */
export function signedWordsToNumber(words: Words64): number {
  const value = (words.hi | 0) * TWO_32 + words.lo;
  if (!Number.isSafeInteger(value)) {
    throw new BytesError('ERR_BYTES_UNSAFE_INTEGER', `read 0x${wordsToHex(words)} as a signed integer: beyond 2^53`, 0);
  }
  return value;
}

/** Low 64 bits of a BigInt. */
export function wordsFromBigInt(value: bigint): Words64 {
  return { hi: Number((value >> 32n) & 0xffffffffn), lo: Number(value & 0xffffffffn) };
}

/** The words as an unsigned BigInt. */
export function wordsToBigInt(words: Words64): bigint {
  return (BigInt(words.hi) << 32n) | BigInt(words.lo);
}

/** Sixteen lower-case hex digits. */
export function wordsToHex(words: Words64): string {
  return words.hi.toString(16).padStart(8, '0') + words.lo.toString(16).padStart(8, '0');
}

/** Unsigned order: negative, 0 or positive. */
export function compareWords(a: Words64, b: Words64): number {
  return a.hi === b.hi ? a.lo - b.lo : a.hi - b.hi;
}

/** Sum modulo 2^64. */
export function addWords(a: Words64, b: Words64): Words64 {
  const lo = a.lo + b.lo;
  return { hi: (a.hi + b.hi + (lo >= TWO_32 ? 1 : 0)) >>> 0, lo: lo >>> 0 };
}

/** Difference modulo 2^64. */
export function subWords(a: Words64, b: Words64): Words64 {
  return { hi: (a.hi - b.hi - (a.lo < b.lo ? 1 : 0)) >>> 0, lo: (a.lo - b.lo) >>> 0 };
}

/** Product modulo 2^64. */
export function mulWords(a: Words64, b: Words64): Words64 {
  return { hi: (mulHigh32(a.lo, b.lo) + Math.imul(a.hi, b.lo) + Math.imul(a.lo, b.hi)) >>> 0, lo: Math.imul(a.lo, b.lo) >>> 0 };
}

/** Upper 32 bits of the 64-bit product of two 32-bit words, unsigned. */
export function mulHigh32(a: number, b: number): number {
  const a0 = a & 0xffff;
  const a1 = a >>> 16;
  const b0 = b & 0xffff;
  const b1 = b >>> 16;
  const low = a1 * b0 + ((a0 * b0) >>> 16);
  const mid = a0 * b1 + (low & 0xffff);
  return (a1 * b1 + (low >>> 16) + (mid >>> 16)) >>> 0;
}
