// Columns → XOR chunk, byte for byte as Prometheus 3.14 writes it (no byte after a full last one).
//
// Bits collect left-aligned in a 64-bit word of which at most seven are pending between writes; each write stores all eight bytes and
// moves on by the full ones, so nothing branches on byte borders. A sample is one write (timestamp code, control bits and value bits
// in up to 56 bits), or two or three if its value has many bits. The writes are spelled out: as a function over globals they cost
// 40 % more.
import { beyondSafe } from './chunk-bits';
import { storeBE64 } from './memory';

const NOT_ENCODABLE: i32 = -1;
const NO_ROOM: i32 = -2;
const SAFE_MAX_F64: f64 = 9007199254740991.0;
/** Room demanded before each sample: 68 timestamp bits, 13 control bits, 64 value bits, and a whole store behind them. */
const SAMPLE_ROOM: usize = 32;
/** Room with which no sample lacks any: for the chunk, and for each sample. */
const CHUNK_ROOM: u32 = 64;
const SAMPLE_ROOM_MEAN: u32 = 19;
const NO_WINDOW: u64 = 0xff;
const FAILED_BASE: i32 = 3;
const FAILED_MAX: usize = 2;
/** 1.5 · 2^52: an integer within ±2^51 added to it is exact; of what has a fraction, something else comes back when it is subtracted. */
const SMALL_MAGIC: f64 = 6755399441055744.0;
const SMALL_MAX: f64 = 2251799813685247.0;

/** See Kernels.encodeXor. */
export function encodeXor(timestampsPtr: usize, valuesPtr: usize, count: i32, outPtr: usize, outMax: u32): i32 {
  if (count > 65535 || count < 0) return NOT_ENCODABLE;
  if (outMax < 2) return NO_ROOM;
  store<u8>(outPtr, count >> 8);
  store<u8>(outPtr, count, 1);
  if (count == 0) return 2;
  const outEnd = outPtr + outMax;
  const first = load<f64>(timestampsPtr);
  if (!isSafe(first)) return NOT_ENCODABLE;
  if (outPtr + 2 + SAMPLE_ROOM > outEnd) return NO_ROOM;
  const timestamp = <i64>first;
  const out = writeUvarint(outPtr + 2, (<u64>timestamp << 1) ^ <u64>(timestamp >> 63));
  let end: usize;
  if (outMax < CHUNK_ROOM + <u32>count * SAMPLE_ROOM_MEAN || !areSmall(timestampsPtr, count)) end = encodeCarefully(timestampsPtr, valuesPtr, count, out, outEnd);
  else if (looksConstant(valuesPtr, count) && looksRegular(timestampsPtr, count)) end = encodeRuns(timestampsPtr, valuesPtr, count, out);
  else end = encodePlainly(timestampsPtr, valuesPtr, count, out);
  return end <= FAILED_MAX ? <i32>end - FAILED_BASE : <i32>(end - outPtr);
}

// A function for each copy of the loop: three in one are compiled worse (others than constants 7 % slower).

function encodeCarefully(timestampsPtr: usize, valuesPtr: usize, count: i32, out: usize, outEnd: usize): usize {
  return encodeSamples(timestampsPtr, valuesPtr, count, out, outEnd, true, false);
}

function encodeRuns(timestampsPtr: usize, valuesPtr: usize, count: i32, out: usize): usize {
  return encodeSamples(timestampsPtr, valuesPtr, count, out, 0, false, true);
}

function encodePlainly(timestampsPtr: usize, valuesPtr: usize, count: i32, out: usize): usize {
  return encodeSamples(timestampsPtr, valuesPtr, count, out, 0, false, false);
}

/**
 * Writes the value of the first sample, and the other samples.
 * @param isCareful checks each timestamp and the room for each sample; else both are known to do
 * @param hasRuns whether runs of samples of two bits are looked for, which costs others 11 to 17 %; not together with `isCareful`
 *   Both are constants: there are three copies of the loop
 * @returns the end, or a negative result plus FAILED_BASE, where no memory is
 */
// @ts-ignore: decorator
@inline
function encodeSamples(timestampsPtr: usize, valuesPtr: usize, count: i32, out: usize, outEnd: usize, isCareful: bool, hasRuns: bool): usize {
  let bits = load<u64>(valuesPtr);
  storeBE64(out, bits);
  out += 8;
  const stop = timestampsPtr + (<usize>count << 3);
  const apart = valuesPtr - timestampsPtr;
  let timestamp = isCareful ? <i64>load<f64>(timestampsPtr) : smallInteger(timestampsPtr);
  let pending: u64 = 0;
  let used: u64 = 0;
  let leading: u64 = NO_WINDOW;
  let trailing: u64 = 0;
  // 64 − leading − trailing.
  let significant: u64 = 0;
  let delta: i64 = 0;
  for (let at = timestampsPtr + 8; at < stop; at += 8) {
    if (isCareful) {
      if (out + SAMPLE_ROOM > outEnd) return failed(NO_ROOM);
      if (!isSafe(load<f64>(at))) return failed(NOT_ENCODABLE);
    }
    const time = isCareful ? <i64>load<f64>(at) : smallInteger(at);
    const nextDelta = time - timestamp;
    const change = nextDelta - delta;
    timestamp = time;
    delta = nextDelta;
    // What is to be written next, right-aligned.
    let code: u64 = 0;
    let width: u64 = 1;
    if (at == timestampsPtr + 8) {
      if (isCareful && beyondSafe(nextDelta)) return failed(NOT_ENCODABLE);
      out = writeUvarint(out, <u64>nextDelta);
      width = 0;
    } else if (change != 0) {
      if (isCareful && beyondSafe(nextDelta)) return failed(NOT_ENCODABLE);
      if (<u64>(change + 8191) <= 16383) {
        code = 0x8000 | (<u64>change & 0x3fff);
        width = 16;
      } else if (<u64>(change + 65535) <= 131071) {
        code = 0xc0000 | (<u64>change & 0x1ffff);
        width = 20;
      } else if (<u64>(change + 524287) <= 1048575) {
        code = 0xe00000 | (<u64>change & 0xfffff);
        width = 24;
      } else {
        if (isCareful && beyondSafe(change)) return failed(NOT_ENCODABLE);
        // Four marker bits and 64 bits: 36 now, 32 with what follows.
        const word = pending | ((0xf00000000 | (<u64>change >> 32)) << (28 - used));
        storeBE64(out, word);
        const total = used + 36;
        out += <usize>(total >> 3);
        pending = word << (total & 56);
        used = total & 7;
        code = <u64>change & 0xffffffff;
        width = 32;
      }
    }

    const next = load<u64>(at + apart);
    const xor = next ^ bits;
    bits = next;
    if (xor == 0) {
      if (hasRuns && code == 0 && width == 1) {
        // As expected, with the value before: two bits 0, for as many samples as go on so (4.2 → 1.8 ns).
        const step = <f64>delta;
        let end = at + 8;
        while (end < stop && load<u64>(end + apart) == next && load<f64>(end) - load<f64>(end - 8) == step) end += 8;
        const total = used + (<u64>(end - at) >> 2);
        storeBE64(out, pending);
        if (total >= 64) {
          memory.fill(out + 8, 0, <usize>(total >> 3) - 7);
          pending = 0;
        } else pending <<= total & 56;
        out += <usize>(total >> 3);
        used = total & 7;
        at = end - 8;
        timestamp = smallInteger(at);
        continue;
      }
      code <<= 1;
      width += 1;
    } else {
      const zeros = clz(xor);
      const nextLeading: u64 = zeros > 31 ? 31 : zeros;
      const nextTrailing: u64 = ctz(xor);
      if (nextLeading >= leading && nextTrailing >= trailing) {
        code = (code << 2) | 2;
        width += 2;
      } else {
        leading = nextLeading;
        trailing = nextTrailing;
        significant = 64 - leading - trailing;
        // 64 significant bits are written as 0: six bits do not hold 64, and 0 never occurs.
        code = (code << 13) | 0x1800 | (leading << 6) | (significant & 63);
        width += 13;
      }
      const value = xor >> trailing;
      if (width + significant <= 56) {
        code = (code << significant) | value;
        width += significant;
      } else {
        const word = pending | (code << (64 - used - width));
        storeBE64(out, word);
        const total = used + width;
        out += <usize>(total >> 3);
        pending = word << (total & 56);
        used = total & 7;
        code = value;
        width = significant;
        if (significant > 56) {
          const upper = pending | ((value >> 32) << (96 - used - significant));
          storeBE64(out, upper);
          const upperTotal = used + significant - 32;
          out += <usize>(upperTotal >> 3);
          pending = upper << (upperTotal & 56);
          used = upperTotal & 7;
          code = value & 0xffffffff;
          width = 32;
        }
      }
    }
    const word = pending | (code << (64 - used - width));
    storeBE64(out, word);
    const total = used + width;
    out += <usize>(total >> 3);
    // A shift by 64 would be one by 0; total is at most 63 here.
    pending = word << (total & 56);
    used = total & 7;
  }
  // The pending bits were stored by the last write; only their byte is not counted yet.
  return used > 0 ? out + 1 : out;
}

/** Whether the first two, the middle and the last value are the same. */
function looksConstant(valuesPtr: usize, count: i32): bool {
  if (count < 8) return false;
  const first = load<u64>(valuesPtr);
  return load<u64>(valuesPtr, 8) == first && load<u64>(valuesPtr + (<usize>(count >> 1) << 3)) == first && load<u64>(valuesPtr + (<usize>(count - 1) << 3)) == first;
}

/** Whether the first three and the last three are evenly spaced: with jitter the search for runs would cost constants 17 %. */
function looksRegular(timestampsPtr: usize, count: i32): bool {
  const end = timestampsPtr + (<usize>count << 3);
  return isEven(timestampsPtr) && isEven(end - 24);
}

function isEven(ptr: usize): bool {
  const middle = load<f64>(ptr, 8);
  return middle - load<f64>(ptr) == load<f64>(ptr, 16) - middle;
}

/** Whether all timestamps are integers less than 2^51 in size: then their differences, and the differences of these, are safe too. */
function areSmall(timestampsPtr: usize, count: i32): bool {
  let wrong = i64x2.splat(0);
  const end = timestampsPtr + (<usize>count << 3);
  for (; timestampsPtr + 16 <= end; timestampsPtr += 16) wrong = v128.or(wrong, notSmall(v128.load(timestampsPtr)));
  if (timestampsPtr < end) wrong = v128.or(wrong, notSmall(v128.load64_splat(timestampsPtr)));
  return !v128.any_true(wrong);
}

// @ts-ignore: decorator
@inline
function notSmall(times: v128): v128 {
  const magic = f64x2.splat(SMALL_MAGIC);
  const isBroken = f64x2.ne(f64x2.sub(f64x2.add(times, magic), magic), times);
  return v128.or(isBroken, f64x2.gt(f64x2.abs(times), f64x2.splat(SMALL_MAX)));
}

/** An integer less than 2^51 in size, plus a constant: sums with SMALL_MAGIC have it in their low bits. */
// @ts-ignore: decorator
@inline
function smallInteger(ptr: usize): i64 {
  return reinterpret<i64>(load<f64>(ptr) + SMALL_MAGIC);
}

// @ts-ignore: decorator
@inline
function failed(result: i32): usize {
  return <usize>(result + FAILED_BASE);
}

function writeUvarint(ptr: usize, value: u64): usize {
  while (value >= 0x80) {
    store<u8>(ptr++, <u8>value | 0x80);
    value >>= 7;
  }
  store<u8>(ptr, <u8>value);
  return ptr + 1;
}

/** An integer within ±(2^53 − 1); not NaN. */
// @ts-ignore: decorator
@inline
function isSafe(value: f64): bool {
  return abs(value) <= SAFE_MAX_F64 && <f64>(<i64>value) == value;
}
