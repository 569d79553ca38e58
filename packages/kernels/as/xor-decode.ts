// XOR chunk → columns. Called per sample: one 64-bit window of the bit stream is loaded, and the timestamp's bit, the control
// bits and up to 54 value bits are taken from it. The value part comes first in the loop, and its window always begins with the
// bit 0 of a timestamp as expected, which most samples have: the others, and the second sample, whose timestamp is a
// varint, pretend it.
//
// Timestamps and the differences between neighbours stay within ±(2^53 − 1), as everywhere here; others are refused. Small deltas
// cannot get there, so only a chunk with a large one is checked, at its end.
//
// Source: Prometheus tsdb/docs/format/chunks.md, "XOR chunk data".
import { beyondSafe, peek, peekWide, readUvarint, varintEnd } from './chunk-bits';
import { loadBE64 } from './memory';

const DAMAGED: i32 = -1;
const NO_ROOM: i32 = -2;
const BATCH_NO_ROOM: i32 = i32.MIN_VALUE;
const SAFE_MAX_F64: f64 = 9007199254740991.0;
/** 65,535 deltas of at most this, each growing by a 20-bit delta of deltas, move a timestamp by less than 2^52. */
const SMALL_DELTA: i64 = 1 << 35;
const SMALL_START: i64 = 1 << 52;
/** Chunks of at most this and four bits a sample are mostly runs. */
const RUNS_BYTES: u32 = 24;
/** Bits that `peek` gives at any position, rounded down to whole samples of two bits. */
const WINDOW_BITS: u64 = 56;

/** See Kernels.decodeXor. */
export function decodeXor(chunkPtr: usize, chunkBytes: u32, timestampsPtr: usize, valuesPtr: usize, sampleMax: i32): i32 {
  if (chunkBytes < 2) return DAMAGED;
  const count: i32 = (<i32>load<u8>(chunkPtr) << 8) | <i32>load<u8>(chunkPtr, 1);
  return chunkBytes <= RUNS_BYTES + (<u32>count >> 1)
    ? decodeSamples(chunkPtr, chunkBytes, count, timestampsPtr, valuesPtr, sampleMax, true)
    : decodeSamples(chunkPtr, chunkBytes, count, timestampsPtr, valuesPtr, sampleMax, false);
}

/**
 * Decodes a chunk.
 * @param hasRuns whether runs of samples of two bits are looked for. A constant: there are two copies of the loop, for this costs the others 7 %
 */
// @ts-ignore: decorator
@inline
function decodeSamples(chunkPtr: usize, chunkBytes: u32, count: i32, timestampsPtr: usize, valuesPtr: usize, sampleMax: i32, hasRuns: bool): i32 {
  if (count > sampleMax) return NO_ROOM;
  if (count == 0) return 0;
  const end = chunkPtr + chunkBytes;
  let at = chunkPtr + 2;

  let ptr = varintEnd(at, end);
  if (ptr == 0) return DAMAGED;
  const zigzag = readUvarint(at, ptr);
  let timestamp: i64 = <i64>(zigzag >> 1) ^ -(<i64>(zigzag & 1));
  if (beyondSafe(timestamp)) return DAMAGED;
  at = ptr;
  if (end - at < 8) return DAMAGED;
  let bits = loadBE64(at);
  at += 8;
  store<f64>(timestampsPtr, <f64>timestamp);
  store<u64>(valuesPtr, bits);
  if (count == 1) return 1;

  ptr = varintEnd(at, end);
  if (ptr == 0) return DAMAGED;
  let delta: i64 = <i64>readUvarint(at, ptr);
  if (beyondSafe(delta)) return DAMAGED;
  at = ptr;
  let careful = timestamp > SMALL_START || timestamp < -SMALL_START || delta > SMALL_DELTA || delta < -SMALL_DELTA;
  timestamp += delta;

  // Bit positions count from the chunk's first byte. No read reaches further than 16 bytes past the end: a sample starts at or
  // before it, and the one long form (64-bit delta of deltas) is checked on its own.
  const endBit: u32 = chunkBytes << 3;
  let bit: u32 = <u32>(at - chunkPtr) << 3;
  let trailing: u64 = 0;
  // 64 − width of the value bits: what they are shifted by.
  let rest: u32 = 0;
  // The second sample's timestamp is passed: as if its bit 0 stood before the value.
  let window = peek(chunkPtr, bit) >> 1;
  bit--;
  let tsOut = timestampsPtr + 8;
  let vsOut = valuesPtr + 8;
  const tsStop = timestampsPtr + (<usize>count << 3);
  while (true) {
    // `window` starts with a timestamp bit 0, and the control bits of the value follow.
    if ((window & (1 << 62)) == 0) {
      bit += 2;
    } else if ((window & (1 << 61)) == 0) {
      if (rest >= 10) bits ^= ((window << 3) >> rest) << trailing;
      else bits ^= peekWide(chunkPtr, bit + 3, 64 - rest) << trailing;
      bit += 67 - rest;
    } else {
      const leading = <u32>(window >> 56) & 31;
      let width = <u32>(window >> 50) & 63;
      if (width == 0) width = 64;
      if (leading + width > 64) return DAMAGED;
      rest = 64 - width;
      trailing = rest - leading;
      if (width <= 43) bits ^= ((window << 14) >> rest) << trailing;
      else bits ^= peekWide(chunkPtr, bit + 14, width) << trailing;
      bit += 14 + width;
    }
    store<f64>(tsOut, <f64>timestamp);
    store<u64>(vsOut, bits);
    tsOut += 8;
    vsOut += 8;
    if (bit > endBit) return DAMAGED;
    if (tsOut >= tsStop) break;

    window = peek(chunkPtr, bit);
    if (hasRuns && window >> 48 == 0) {
      // Eight or more samples as expected, with the value before: two bits each (2.6 → 0.8 ns).
      const known = <usize>(min<u64>(clz(window), WINDOW_BITS) >> 1) << 3;
      const runStop = min(tsOut + known, tsStop);
      bit += <u32>(runStop - tsOut) >> 2;
      for (; tsOut < runStop; tsOut += 8, vsOut += 8) {
        timestamp += delta;
        store<f64>(tsOut, <f64>timestamp);
        store<u64>(vsOut, bits);
      }
      if (bit > endBit) return DAMAGED;
      if (tsOut >= tsStop) break;
      window = peek(chunkPtr, bit);
    }

    // Timestamp of the next sample.
    if (<i64>window < 0) {
      if (window >> 62 == 2) {
        delta += fromStored(<i64>(window << 2) >> 50, -8192);
        bit += 15;
      } else if (window >> 61 == 6) {
        delta += fromStored(<i64>(window << 3) >> 47, -65536);
        bit += 19;
      } else if (window >> 60 == 14) {
        delta += fromStored(<i64>(window << 4) >> 44, -524288);
        bit += 23;
      } else {
        const change = <i64>peekWide(chunkPtr, bit + 4, 64);
        bit += 67;
        if (bit >= endBit || beyondSafe(change)) return DAMAGED;
        delta += change;
        if (beyondSafe(delta)) return DAMAGED;
        if (delta > SMALL_DELTA || delta < -SMALL_DELTA) careful = true;
      }
      window = peek(chunkPtr, bit + 1) >> 1;
    }
    timestamp += delta;
  }
  if (careful && !timestampsAreSafe(timestampsPtr, count)) return DAMAGED;
  return count;
}

/** See Kernels.decodeXorChunks. */
export function decodeXorChunks(descriptorPtr: usize, chunkCount: i32, timestampsPtr: usize, valuesPtr: usize, sampleMax: i32): i32 {
  let total: i32 = 0;
  for (let i: i32 = 0; i < chunkCount; i++, descriptorPtr += 8) {
    const column = <usize>total << 3;
    const count = decodeXor(load<u32>(descriptorPtr), load<u32>(descriptorPtr, 4), timestampsPtr + column, valuesPtr + column, sampleMax - total);
    if (count < 0) return count == NO_ROOM ? BATCH_NO_ROOM : -1 - i;
    total += count;
  }
  return total;
}

/**
 * See Kernels.decodeXorChunksWithin. A chunk is decoded whole where its samples are to be, then cut, and the next one overwrites what was cut: the
 * columns stay in the cache. A loop that stores only what is kept needs more registers than there are and takes 15 % longer.
 */
export function decodeXorChunksWithin(descriptorPtr: usize, chunkCount: i32, mint: f64, maxt: f64, timestampsPtr: usize, valuesPtr: usize, countsPtr: usize, sampleMax: i32): i32 {
  let total: i32 = 0;
  for (let i: i32 = 0; i < chunkCount; i++, descriptorPtr += 8, countsPtr += 4) {
    const column = <usize>total << 3;
    const times = timestampsPtr + column;
    const count = decodeXor(load<u32>(descriptorPtr), load<u32>(descriptorPtr, 4), times, valuesPtr + column, sampleMax - total);
    if (count < 0) return count == NO_ROOM ? BATCH_NO_ROOM : -1 - i;
    const low = firstAtOrAfter(times, 0, count, mint);
    const high = count > low && load<f64>(times + (<usize>(count - 1) << 3)) > maxt ? firstAtOrAfter(times, low, count, maxt + 1) : count;
    if (low > 0 && high > low) {
      const bytes = <usize>(high - low) << 3;
      const from = <usize>low << 3;
      memory.copy(times, times + from, bytes);
      memory.copy(valuesPtr + column, valuesPtr + column + from, bytes);
    }
    store<i32>(countsPtr, high - low);
    total += high - low;
  }
  return total;
}

/** First index in [low, high) whose timestamp is at or after `time`, else `high`. */
function firstAtOrAfter(timestampsPtr: usize, low: i32, high: i32, time: f64): i32 {
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (load<f64>(timestampsPtr + (<usize>middle << 3)) < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** See Kernels.countXorSamples. */
export function countXorSamples(descriptorPtr: usize, chunkCount: i32): i32 {
  let total: i32 = 0;
  for (let i: i32 = 0; i < chunkCount; i++, descriptorPtr += 8) {
    const chunkPtr: usize = load<u32>(descriptorPtr);
    if (load<u32>(descriptorPtr, 4) >= 2) total += (<i32>load<u8>(chunkPtr) << 8) | <i32>load<u8>(chunkPtr, 1);
  }
  return total;
}

/** The stored range of k bits is (−2^(k−1), 2^(k−1)]: the lowest pattern stands for the highest value. */
// @ts-ignore: decorator
@inline
function fromStored(value: i64, lowest: i64): i64 {
  return value == lowest ? -lowest : value;
}

function timestampsAreSafe(timestampsPtr: usize, count: i32): bool {
  let previous = load<f64>(timestampsPtr);
  for (let i: i32 = 0; i < count; i++) {
    const timestamp = load<f64>(timestampsPtr + (<usize>i << 3));
    if (abs(timestamp) > SAFE_MAX_F64 || abs(timestamp - previous) > SAFE_MAX_F64) return false;
    previous = timestamp;
  }
  return true;
}
