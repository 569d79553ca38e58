// XOR2 chunk → columns, and its start timestamps where they are wanted. The stream is read as in xor-decode.ts: one 64-bit window per
// sample has the joint control of time and value, and up to 50 value bits. No read reaches further than 16 bytes past the end: a sample
// starts at or before it, and what comes after a long part is checked on its own.
//
// Timestamps, differences and start timestamps stay within ±(2^53 − 1); others are refused.
//
// Source: Prometheus tsdb/chunkenc/xor2.go.
import { beyondSafe, fromStored, peek, peekWide, readUvarint, varintEnd } from './chunk-bits';
import { loadBE64 } from './memory';

const DAMAGED: i32 = -1;
const NO_ROOM: i32 = -2;
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

// @ts-ignore: decorator
@inline
function fromZigzag(value: u64): i64 {
  return <i64>(value >> 1) ^ -(<i64>(value & 1));
}
