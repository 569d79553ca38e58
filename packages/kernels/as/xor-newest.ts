// XOR chunks → the newest sample of each within a range. Nothing is stored on the way, and what comes after the range is not looked at. Contract in
// ../src/kernels.ts; the twin is in ../src/js/xor-newest.ts; the stream is described in xor-decode.ts.
//
// The stream is most significant byte first, and WebAssembly has no byte swap. So a chunk is first copied with its bytes in reverse order, sixteen at a
// time: then a window of bits is one plain load, which takes a seventh of the time off.
//
//   chunk     [b0 b1 b2 b3 … ]            eight bytes from byte k, most significant first
//   reversed  [ … b3 b2 b1 b0]            = eight bytes at top − k, least significant first
//
// The loop has as many variables as there are registers: one more, or a call in it, costs a tenth of the time. What it therefore leaves out makes
// a chunk one that has to be decoded otherwise.
import { beyondSafe, fromStored, readUvarint, SAFE_MAX, varintEnd } from './chunk-bits';
import { loadBE64 } from './memory';

const REFUSED: i32 = -1;
/** Chunks are cut at 1 KiB; longer ones than this are refused. */
const CHUNK_BYTES_MAX: u32 = 4096;
/** 65,535 deltas of at most this, each growing by a 20-bit delta of deltas, move a timestamp by less than 2^52. */
const SMALL_DELTA: i64 = 1 << 35;
const SMALL_START: i64 = 1 << 52;
/** What a window reaches into behind the end of a chunk lies before the reversed one. */
const room: usize = memory.data(4160, 16);
const roomEnd: usize = room + 4160;

/** See Kernels.decodeXorChunksNewest. */
export function decodeXorChunksNewest(descriptorPtr: usize, chunkCount: i32, mint: f64, maxt: f64, timestampsPtr: usize, valuesPtr: usize, countsPtr: usize): i32 {
  const limit = <i64>max(min(floor(maxt), <f64>SAFE_MAX), -<f64>SAFE_MAX);
  let total: i32 = 0;
  for (let i: i32 = 0; i < chunkCount; i++, descriptorPtr += 8, countsPtr += 4) {
    const column = <usize>total << 3;
    const found = newest(load<u32>(descriptorPtr), load<u32>(descriptorPtr, 4), mint, limit, timestampsPtr + column, valuesPtr + column);
    if (found < 0) return -1 - i;
    store<i32>(countsPtr, found);
    total += found;
  }
  return total;
}

function newest(chunkPtr: usize, chunkBytes: u32, mint: f64, limit: i64, timestampPtr: usize, valuePtr: usize): i32 {
  if (chunkBytes < 2 || chunkBytes > CHUNK_BYTES_MAX) return REFUSED;
  let left: i32 = (<i32>load<u8>(chunkPtr) << 8) | <i32>load<u8>(chunkPtr, 1);
  if (left == 0) return 0;
  const end = chunkPtr + chunkBytes;
  let at = chunkPtr + 2;

  let ptr = varintEnd(at, end);
  if (ptr == 0) return REFUSED;
  const zigzag = readUvarint(at, ptr);
  let timestamp: i64 = <i64>(zigzag >> 1) ^ -(<i64>(zigzag & 1));
  if (timestamp > SMALL_START || timestamp < -SMALL_START) return REFUSED;
  at = ptr;
  if (end - at < 8) return REFUSED;
  if (timestamp > limit) return 0;
  let bits = loadBE64(at);
  at += 8;

  if (--left > 0) {
    ptr = varintEnd(at, end);
    if (ptr == 0) return REFUSED;
    let delta: i64 = <i64>readUvarint(at, ptr);
    if (delta > SMALL_DELTA || delta < -SMALL_DELTA) return REFUSED;
    timestamp += delta;
    const endBit: u32 = chunkBytes << 3;
    let bit: u32 = <u32>(ptr - chunkPtr) << 3;
    const top = reverse(chunkPtr, end);
    let trailing: u64 = 0;
    // 64 − width of the value bits: what they are shifted by.
    let rest: u32 = 0;
    // The second sample's timestamp is passed: as if its bit 0 stood before the value.
    let window = peek(top, bit) >> 1;
    bit--;
    while (timestamp <= limit) {
      // `window` starts with a timestamp bit 0, and the control bits of the value follow.
      if ((window & (1 << 62)) == 0) {
        bit += 2;
      } else if ((window & (1 << 61)) == 0) {
        if (rest >= 10) bits ^= ((window << 3) >> rest) << trailing;
        else bits ^= peekWide(top, bit + 3, rest) << trailing;
        bit += 67 - rest;
      } else {
        // A width of 64 is stored as 0.
        rest = (0 - <u32>(window >> 50)) & 63;
        const shift = rest - (<u32>(window >> 56) & 31);
        if (<i32>shift < 0) return REFUSED;
        trailing = shift;
        if (rest >= 21) bits ^= ((window << 14) >> rest) << trailing;
        else bits ^= peekWide(top, bit + 14, rest) << trailing;
        bit += 78 - rest;
      }
      if (--left == 0) {
        if (bit > endBit) return REFUSED;
        break;
      }
      if (bit >= endBit) return REFUSED;

      // Timestamp of the next sample.
      window = peek(top, bit);
      if (<i64>window < 0) {
        if (window >> 62 == 2) {
          delta += fromStored(<i64>(window << 2) >> 50, 14);
          bit += 15;
        } else if (window >> 61 == 6) {
          delta += fromStored(<i64>(window << 3) >> 47, 17);
          bit += 19;
        } else if (window >> 60 == 14) {
          delta += fromStored(<i64>(window << 4) >> 44, 20);
          bit += 23;
        } else {
          const change = <i64>peekWide(top, bit + 4, 0);
          bit += 67;
          if (beyondSafe(change)) return REFUSED;
          delta += change;
          if (delta > SMALL_DELTA || delta < -SMALL_DELTA) return REFUSED;
        }
        window = peek(top, bit + 1) >> 1;
      }
      timestamp += delta;
    }
    if (left > 0) {
      // Back from the sample that lies behind the range, whose timestamp may be cut off.
      if (bit >= endBit) return REFUSED;
      timestamp -= delta;
    }
  }
  if (<f64>timestamp < mint) return 0;
  store<f64>(timestampPtr, <f64>timestamp);
  store<u64>(valuePtr, bits);
  return 1;
}

/** Copies the bytes, the last one first; may read fifteen behind the end. Returns where the eight bytes from byte 0 on are. */
// @ts-ignore: decorator
@inline
function reverse(ptr: usize, end: usize): usize {
  for (let out = roomEnd; ptr < end; ptr += 16) {
    out -= 16;
    v128.store(out, i8x16.swizzle(v128.load(ptr), i8x16(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)));
  }
  return roomEnd - 8;
}

/** 57 or more valid bits from a bit position, left-aligned. */
// @ts-ignore: decorator
@inline
function peek(top: usize, bit: u32): u64 {
  return load<u64>(top - (bit >>> 3)) << (bit & 7);
}

/** 64 bits from a bit position without the lowest `rest`. */
// @ts-ignore: decorator
@inline
function peekWide(top: usize, bit: u32, rest: u32): u64 {
  const shift: u64 = bit & 7;
  const ptr = top - (bit >>> 3);
  return ((load<u64>(ptr) << shift) | (<u64>load<u8>(ptr - 1) >> (8 - shift))) >> rest;
}
