// Columns → samples of a native histogram chunk, byte for byte as Prometheus 3.14 writes them; what comes before sample 0 is the caller's.
//
// Bits collect left-aligned in a 64-bit word, up to 63 of them between stores: short codes, and runs of zero bits for buckets that go on as they
// did, cost a shift and an addition. Where 63 do not hold what comes next, eight bytes are stored and the full ones of them left behind. The loops
// over buckets keep the word in locals.
//
// State of a bucket of integers: difference to its neighbour (i64), how that changed last (i64). Of a field of floats: bits (u64), leading and
// trailing zeros of its window (u32 each).
//
// Source: Prometheus tsdb/chunkenc/{histogram,float_histogram,varbit,st}.go.
import { storeBE64 } from './memory';

const STALE: u64 = 0x7ff0000000000002;
const NOT_ENCODABLE: i32 = -1;
const NO_ROOM: i32 = -2;
/** Integers up to this: no difference of changes of differences passes 2^53. */
const LIMIT: f64 = 1125899906842624.0;
/** Bytes that a number or field takes at most. */
const FIELD_BYTES: usize = 10;
const NO_WINDOW: u32 = 0xff;
/** The last sample that the header of start timestamps can name. */
const CHANGE_MAX: i32 = 0x7f;

let out: usize = 0;
let pending: u64 = 0;
let used: u64 = 0;

/** See HistogramKernels.encodeHistogramSamples. */
export function encodeHistogramSamples(columnsPtr: usize, bucketsPtr: usize, count: i32, isFloat: i32, withStarts: i32, positive: i32, buckets: i32, statePtr: usize, outPtr: usize, startBit: u32, outMax: u32): i32 {
  if (<usize>((startBit + 7) >>> 3) + <usize>count * <usize>(buckets + 5) * FIELD_BYTES + 16 > outMax) return NO_ROOM;
  out = outPtr + (startBit >>> 3);
  used = startBit & 7;
  pending = used == 0 ? 0 : (<u64>load<u8>(out) >> (8 - used)) << (64 - used);
  const stateBytes = <usize>(buckets + 3) << 4;
  memory.fill(statePtr, 0, stateBytes);
  if (isFloat) for (let ptr = statePtr, end = statePtr + stateBytes; ptr < end; ptr += 16) store<u32>(ptr, NO_WINDOW, 8);
  else store<u32>(statePtr + (<usize>buckets << 4), NO_WINDOW, 8);
  const columnBytes = <usize>count << 3;
  const countsPtr = columnsPtr + columnBytes;
  const zerosPtr = countsPtr + columnBytes;
  const sumsPtr = zerosPtr + columnBytes;
  const startsPtr = sumsPtr + columnBytes;
  // Integers keep the sum as a field behind the buckets.
  const sumState = statePtr + (<usize>buckets << 4);
  const rowBytes = <usize>buckets << 3;
  let row = bucketsPtr;
  let time: i64 = 0;
  let timeDelta: i64 = 0;
  let total: i64 = 0;
  let totalDelta: i64 = 0;
  let zeros: i64 = 0;
  let zerosDelta: i64 = 0;
  let start: i64 = 0;
  let distance: i64 = 0;
  let changeAt = 0;
  let isStartKnown = 0;
  for (let sample = 0; sample < count; sample++) {
    const column = <usize>sample << 3;
    const isFirst = sample == 0;
    const sum = load<u64>(sumsPtr + column);
    const isStale = sum == STALE;
    const timeValue = load<f64>(columnsPtr + column);
    if (!isEncodable(timeValue)) return NOT_ENCODABLE;
    const timeBefore = time;
    time = <i64>timeValue;
    if (isFirst) putVarbit(time);
    else {
      const delta = time - timeBefore;
      putVarbit(delta - timeDelta);
      timeDelta = delta;
    }
    if (isFloat) {
      if (isFirst) {
        putRaw(statePtr, load<u64>(countsPtr + column));
        putRaw(statePtr + 16, load<u64>(zerosPtr + column));
        putRaw(statePtr + 32, sum);
        if (!isStale) for (let i: usize = 0; i < <usize>buckets; i++) putRaw(statePtr + 48 + (i << 4), load<u64>(row + (i << 3)));
      } else {
        putField(statePtr, load<u64>(countsPtr + column));
        putField(statePtr + 16, load<u64>(zerosPtr + column));
        putField(statePtr + 32, sum);
        if (!isStale) putFields(statePtr + 48, row, buckets);
      }
    } else {
      const totalValue = load<f64>(countsPtr + column);
      const zerosValue = load<f64>(zerosPtr + column);
      if (!isEncodable(totalValue) || !isEncodable(zerosValue)) return NOT_ENCODABLE;
      const totalNow = <i64>totalValue;
      const zerosNow = <i64>zerosValue;
      if (isFirst) {
        if (totalNow < 0 || zerosNow < 0) return NOT_ENCODABLE;
        putVarbitUint(totalNow);
        putVarbitUint(zerosNow);
        putRaw(sumState, sum);
      } else {
        const totalChange = totalNow - total;
        const zerosChange = zerosNow - zeros;
        putVarbit(isStale ? 0 : totalChange - totalDelta);
        putVarbit(isStale ? 0 : zerosChange - zerosDelta);
        putField(sumState, sum);
        totalDelta = totalChange;
        zerosDelta = zerosChange;
      }
      total = totalNow;
      zeros = zerosNow;
      if (!isStale && !putCounts(statePtr, row, positive, buckets, isFirst)) return NOT_ENCODABLE;
    }
    if (!isStale) row += rowBytes;
    if (!withStarts) continue;
    const startValue = load<f64>(startsPtr + column);
    if (!isEncodable(startValue)) return NOT_ENCODABLE;
    const begun = <i64>startValue;
    if (isFirst) {
      if (begun != 0) {
        isStartKnown = 0x80;
        putVarint(time - begun);
      }
    } else if (changeAt > 0) {
      putVarbit(timeBefore - begun - distance);
      distance = timeBefore - begun;
    } else if (begun != start || sample == CHANGE_MAX) {
      changeAt = sample;
      distance = timeBefore - begun;
      putVarbit(distance);
    }
    start = begun;
  }
  storeBE64(out, pending);
  if (withStarts) store<u8>(outPtr, isStartKnown | changeAt, 2);
  return <i32>(out + <usize>((used + 7) >>> 3) - outPtr);
}

/** Buckets of integers. @returns false if one is no integer that is encoded here */
function putCounts(statePtr: usize, row: usize, positive: i32, buckets: i32, isFirst: bool): bool {
  let word = pending;
  let bits = used;
  let ptr = statePtr;
  let neighbour: i64 = 0;
  for (let i = 0; i < buckets; i++, ptr += 16, row += 8) {
    const countValue = load<f64>(row);
    if (!isEncodable(countValue)) return false;
    const now = <i64>countValue;
    if (i == positive) neighbour = 0;
    const value = now - neighbour;
    neighbour = now;
    let written = value;
    if (!isFirst) {
      const delta = value - load<i64>(ptr);
      written = delta - load<i64>(ptr, 8);
      store<i64>(ptr, delta, 8);
    }
    store<i64>(ptr, value);
    let code: u64 = 0;
    let width: u64 = 1;
    if (written != 0) {
      const needed = 65 - clz<i64>(written > 0 ? written - 1 : -written);
      if (needed <= 3) {
        code = 0x10 | (<u64>written & 0x7);
        width = 5;
      } else if (needed <= 6) {
        code = 0x180 | (<u64>written & 0x3f);
        width = 9;
      } else if (needed <= 9) {
        code = 0x1c00 | (<u64>written & 0x1ff);
        width = 13;
      } else {
        pending = word;
        used = bits;
        putVarbit(written);
        word = pending;
        bits = used;
        continue;
      }
    }
    if (bits + width > 63) {
      storeBE64(out, word);
      out += <usize>(bits >> 3);
      word <<= bits & 56;
      bits &= 7;
    }
    bits += width;
    word |= code << (64 - bits);
  }
  pending = word;
  used = bits;
  return true;
}

/** Buckets of floats after those of another sample. */
function putFields(statePtr: usize, row: usize, buckets: i32): void {
  let ptr = statePtr;
  for (const end = row + (<usize>buckets << 3); row < end; row += 8, ptr += 16) {
    const next = load<u64>(row);
    if (next != load<u64>(ptr)) {
      putField(ptr, next);
      continue;
    }
    if (used == 63) flush();
    used++;
  }
}

/** A field as it is. */
function putRaw(ptr: usize, value: u64): void {
  put(value >> 32, 32);
  put(value & 0xffffffff, 32);
  store<u64>(ptr, value);
}

/** A field as the difference to the one before, as in XOR chunks. */
function putField(ptr: usize, value: u64): void {
  const xor = value ^ load<u64>(ptr);
  store<u64>(ptr, value);
  if (xor == 0) {
    put(0, 1);
    return;
  }
  const zeros = <u32>clz(xor);
  const nextLeading: u32 = zeros > 31 ? 31 : zeros;
  const nextTrailing = <u32>ctz(xor);
  let leading = load<u32>(ptr, 8);
  let trailing = load<u32>(ptr, 12);
  if (nextLeading >= leading && nextTrailing >= trailing) put(2, 2);
  else {
    leading = nextLeading;
    trailing = nextTrailing;
    store<u32>(ptr, leading, 8);
    store<u32>(ptr, trailing, 12);
    put(0x1800 | (leading << 6) | ((64 - leading - trailing) & 63), 13);
  }
  const width = 64 - leading - trailing;
  const bits = xor >> trailing;
  if (width > 32) put(bits >> 32, width - 32);
  put(bits & 0xffffffff, width > 32 ? 32 : width);
}

/** Up to 32 bits. */
// @ts-ignore: decorator
@inline
function put(code: u64, width: u64): void {
  if (used + width > 63) flush();
  used += width;
  pending |= code << (64 - used);
}

/** Leaves the full bytes behind. */
function flush(): void {
  storeBE64(out, pending);
  out += <usize>(used >> 3);
  pending <<= used & 56;
  used &= 7;
}

/** A signed varbit number. */
function putVarbit(value: i64): void {
  if (value == 0) {
    put(0, 1);
    return;
  }
  putCoded(value, 65 - clz<i64>(value > 0 ? value - 1 : -value));
}

/** An unsigned varbit number. */
function putVarbitUint(value: i64): void {
  if (value == 0) put(0, 1);
  else putCoded(value, 64 - clz<i64>(value));
}

/** A varbit number that is not 0 and needs so many bits. */
function putCoded(value: i64, needed: i64): void {
  if (needed <= 3) put(0x10 | (<u64>value & 0x7), 5);
  else if (needed <= 6) put(0x180 | (<u64>value & 0x3f), 9);
  else if (needed <= 9) put(0x1c00 | (<u64>value & 0x1ff), 13);
  else if (needed <= 12) put(0x1e000 | (<u64>value & 0xfff), 17);
  else if (needed <= 18) put(0xf80000 | (<u64>value & 0x3ffff), 24);
  else if (needed <= 25) put(0xfc000000 | (<u64>value & 0x1ffffff), 32);
  else if (needed <= 56) {
    put(0xfe, 8);
    put((<u64>value >> 32) & 0xffffff, 24);
    put(<u64>value & 0xffffffff, 32);
  } else {
    put(0xff, 8);
    put(<u64>value >> 32, 32);
    put(<u64>value & 0xffffffff, 32);
  }
}

/** A varint, at whatever bit. */
function putVarint(value: i64): void {
  let zigzag = (<u64>value << 1) ^ <u64>(value >> 63);
  while (zigzag >= 0x80) {
    put((zigzag & 0x7f) | 0x80, 8);
    zigzag >>= 7;
  }
  put(zigzag, 8);
}

/** An integer within the limit; not NaN. */
// @ts-ignore: decorator
@inline
function isEncodable(value: f64): bool {
  return abs(value) <= LIMIT && <f64>(<i64>value) == value;
}
