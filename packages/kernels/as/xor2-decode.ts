// XOR2 chunk → columns, and its start timestamps where they are wanted. The stream is read as in xor-decode.ts: one 64-bit window per
// sample has the joint control of time and value, and up to 50 value bits. No read reaches further than 16 bytes past the end: a sample
// starts at or before it, and what comes after a long part is checked on its own.
//
// Timestamps, differences and start timestamps stay within ±(2^53 − 1); others are refused.
//
// Source: Prometheus tsdb/chunkenc/xor2.go.
import { loadBE64 } from './memory';

const DAMAGED: i32 = -1;
const NO_ROOM: i32 = -2;
const SAFE_MAX: i64 = 9007199254740991;
const STALE: u64 = 0x7ff0000000000002;
const HEADER_BYTES: u32 = 3;

/** See Xor2Kernels.decodeXor2. */
export function decodeXor2(chunkPtr: usize, chunkBytes: u32, timestampsPtr: usize, valuesPtr: usize, startsPtr: usize, sampleMax: i32): i32 {
  if (chunkBytes < HEADER_BYTES) return DAMAGED;
  const count: i32 = (<i32>load<u8>(chunkPtr) << 8) | <i32>load<u8>(chunkPtr, 1);
  if (count > sampleMax) return NO_ROOM;
  if (count == 0) return 0;
  const header: i32 = load<u8>(chunkPtr, 2);
  const end = chunkPtr + chunkBytes;
  let at = chunkPtr + HEADER_BYTES;

  let ptr = varintEnd(at, end);
  if (ptr == 0 || end - ptr < 8) return DAMAGED;
  let timestamp = fromZigzag(readUvarint(at, ptr));
  if (beyondSafe(timestamp)) return DAMAGED;
  let bits = loadBE64(ptr);
  at = ptr + 8;
  let begun: i64 = 0;
  if (header >= 0x80) {
    ptr = varintEnd(at, end);
    if (ptr == 0) return DAMAGED;
    const distance = fromZigzag(readUvarint(at, ptr));
    begun = timestamp - distance;
    if (beyondSafe(distance) || beyondSafe(begun)) return DAMAGED;
    at = ptr;
  }
  store<f64>(timestampsPtr, <f64>timestamp);
  store<u64>(valuesPtr, bits);
  if (startsPtr != 0) store<f64>(startsPtr, <f64>begun);
  if (bits == STALE) bits = 0;
  if (count == 1) return 1;

  ptr = varintEnd(at, end);
  if (ptr == 0) return DAMAGED;
  let delta: i64 = <i64>readUvarint(at, ptr);
  if (beyondSafe(delta)) return DAMAGED;

  const endBit: u32 = chunkBytes << 3;
  const changeAt: i32 = (header & 0x7f) == 0 ? count : header & 0x7f;
  let bit: u32 = <u32>(ptr - chunkPtr) << 3;
  let trailing: u64 = 0;
  let width: u32 = 64;
  let startDistance: i64 = 0;
  for (let i: i32 = 1; i < count; i++) {
    const previous = timestamp;
    let window = peek(chunkPtr, bit);
    let value = bits;
    // Bits of the control, and whether a window is described behind them; no value follows where `hasValue` is false.
    let control: u32 = 0;
    let hasValue = false;
    let isNewWindow = false;
    let isLong = i == 1;
    if (!isLong) {
      if (<i64>window >= 0) control = 1;
      else if (((window >> 62) & 1) == 0) {
        control = 3;
        hasValue = true;
        isNewWindow = ((window >> 61) & 1) != 0;
      } else if (window >> 59 == 31) {
        control = 5;
        value = STALE;
      } else {
        isLong = true;
        if (((window >> 61) & 1) == 0) {
          delta += <i64>(window << 3) >> 51;
          bit += 16;
        } else if (((window >> 60) & 1) == 0) {
          delta += <i64>(window << 4) >> 44;
          bit += 24;
        } else {
          const change = <i64>peekWide(chunkPtr, bit + 5, 64);
          bit += 69;
          if (bit > endBit || beyondSafe(change)) return DAMAGED;
          delta += change;
        }
        if (beyondSafe(delta)) return DAMAGED;
        window = peek(chunkPtr, bit);
      }
    }
    if (isLong) {
      if (<i64>window >= 0) control = 1;
      else if (((window >> 62) & 1) == 0) {
        control = 2;
        hasValue = true;
      } else {
        control = 3;
        if (((window >> 61) & 1) == 0) {
          hasValue = true;
          isNewWindow = true;
        } else value = STALE;
      }
    }
    if (hasValue) {
      if (isNewWindow) {
        const field = window << control;
        const leading = <u32>(field >> 59);
        width = <u32>(field >> 53) & 63;
        if (width == 0) width = 64;
        if (leading + width > 64) return DAMAGED;
        trailing = 64 - leading - width;
        control += 11;
      }
      bits ^= (width + control <= 57 ? (window << control) >> (64 - width) : peekWide(chunkPtr, bit + control, width)) << trailing;
      value = bits;
      bit += width;
    }
    bit += control;
    timestamp += delta;
    const column = <usize>i << 3;
    store<f64>(timestampsPtr + column, <f64>timestamp);
    store<u64>(valuesPtr + column, value);
    if (bit > endBit || beyondSafe(timestamp)) return DAMAGED;

    if (i >= changeAt) {
      // A varbit number: its prefix is at most eight ones.
      window = peek(chunkPtr, bit);
      let change: i64 = 0;
      if (<i64>window >= 0) bit += 1;
      else {
        const ones = <u32>clz<u64>(~window);
        if (ones < 7) {
          const bitsLeft: u32 = ones < 5 ? 3 * ones : 7 * ones - 17;
          change = fromStored((<i64>(window << (ones + 1))) >> (64 - bitsLeft), bitsLeft);
          bit += ones + 1 + bitsLeft;
        } else {
          const isLongest = ones > 7;
          change = isLongest ? <i64>peekWide(chunkPtr, bit + 8, 64) : fromStored((<i64>peekWide(chunkPtr, bit + 8, 56) << 8) >> 8, 56);
          bit += isLongest ? 72 : 64;
        }
        if (bit > endBit || beyondSafe(change)) return DAMAGED;
      }
      startDistance = i == changeAt ? change : startDistance + change;
      begun = previous - startDistance;
      if (bit > endBit || beyondSafe(startDistance) || beyondSafe(begun)) return DAMAGED;
    }
    if (startsPtr != 0) store<f64>(startsPtr + column, <f64>begun);
  }
  return count;
}

/** 57 or more valid bits from a bit position, left-aligned. */
// @ts-ignore: decorator
@inline
function peek(basePtr: usize, bit: u32): u64 {
  return loadBE64(basePtr + (bit >>> 3)) << (bit & 7);
}

/** 1 to 64 bits from a bit position, right-aligned. */
// @ts-ignore: decorator
@inline
function peekWide(basePtr: usize, bit: u32, width: u32): u64 {
  const shift: u64 = bit & 7;
  const ptr = basePtr + (bit >>> 3);
  return ((loadBE64(ptr) << shift) | (<u64>load<u8>(ptr, 8) >> (8 - shift))) >> (64 - width);
}

/** The stored range of k bits is (−2^(k−1), 2^(k−1)]: the lowest pattern stands for the highest value. */
// @ts-ignore: decorator
@inline
function fromStored(value: i64, bits: u32): i64 {
  const highest: i64 = 1 << <i64>(bits - 1);
  return value == -highest ? highest : value;
}

// @ts-ignore: decorator
@inline
function beyondSafe(value: i64): bool {
  return value > SAFE_MAX || value < -SAFE_MAX;
}

// @ts-ignore: decorator
@inline
function fromZigzag(value: u64): i64 {
  return <i64>(value >> 1) ^ -(<i64>(value & 1));
}

/** Pointer after the varint at `ptr`, or 0 if it is cut or has more than 64 bits. */
function varintEnd(ptr: usize, end: usize): usize {
  for (let i: u32 = 0; i < 10 && ptr < end; i++, ptr++) {
    const byte = load<u8>(ptr);
    if (byte < 0x80) return i == 9 && byte > 1 ? 0 : ptr + 1;
  }
  return 0;
}

function readUvarint(ptr: usize, end: usize): u64 {
  let value: u64 = 0;
  for (let shift: u64 = 0; ptr < end; ptr++, shift += 7) value |= <u64>(load<u8>(ptr) & 0x7f) << shift;
  return value;
}
