// What the chunk decoders share: numbers taken from a bit position, varints of the first samples, and the range of integers that doubles hold.
//
// Source: Prometheus tsdb/docs/format/chunks.md.
import { loadBE64 } from './memory';

/** Integers beyond this are refused, as everywhere here. */
export const SAFE_MAX: i64 = 9007199254740991;

/** 57 or more valid bits from a bit position, left-aligned. */
// @ts-ignore: decorator
@inline
export function peek(basePtr: usize, bit: u32): u64 {
  return loadBE64(basePtr + (bit >>> 3)) << (bit & 7);
}

/** 1 to 64 bits from a bit position, right-aligned. */
// @ts-ignore: decorator
@inline
export function peekWide(basePtr: usize, bit: u32, width: u32): u64 {
  const shift: u64 = bit & 7;
  const ptr = basePtr + (bit >>> 3);
  return ((loadBE64(ptr) << shift) | (<u64>load<u8>(ptr, 8) >> (8 - shift))) >> (64 - width);
}

/** The stored range of k bits is (−2^(k−1), 2^(k−1)]: the lowest pattern stands for the highest value. */
// @ts-ignore: decorator
@inline
export function fromStored(value: i64, bits: u32): i64 {
  const highest: i64 = 1 << <i64>(bits - 1);
  return value == -highest ? highest : value;
}

// @ts-ignore: decorator
@inline
export function beyondSafe(value: i64): bool {
  return value > SAFE_MAX || value < -SAFE_MAX;
}

/** Pointer after the varint at `ptr`, or 0 if it is cut or has more than 64 bits. */
export function varintEnd(ptr: usize, end: usize): usize {
  for (let i: u32 = 0; i < 10 && ptr < end; i++, ptr++) {
    const byte = load<u8>(ptr);
    if (byte < 0x80) return i == 9 && byte > 1 ? 0 : ptr + 1;
  }
  return 0;
}

/** The varint that ends before `end`, unsigned. */
export function readUvarint(ptr: usize, end: usize): u64 {
  let value: u64 = 0;
  for (let shift: u64 = 0; ptr < end; ptr++, shift += 7) value |= <u64>(load<u8>(ptr) & 0x7f) << shift;
  return value;
}
