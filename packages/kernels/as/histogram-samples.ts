// Samples of native histogram chunks → columns. One 64-bit window of the stream at a time; runs of zero bits, which are buckets that go on as they
// did, are taken up to 56 at a time. Every read begins at or before the end of the chunk and reaches less than 16 bytes past it.
//
// State of a bucket of integers: difference to its neighbour (i64), how that changed last (i64). Of a field of floats: bits (u64), width and
// trailing zeros of its window (u32 each).
//
// Source: Prometheus tsdb/chunkenc/{histogram,float_histogram,varbit,st}.go.
import { beyondSafe, fromStored, peek, peekWide, SAFE_MAX } from './chunk-bits';

const STALE: u64 = 0x7ff0000000000002;
const TRUNCATED: i32 = 0;
const BAD_WINDOW: i32 = 1;
const UNSAFE_NUMBER: i32 = 2;
const BAD_COUNT: i32 = 3;
const UNSAFE_START: i32 = 4;
const LONG_VARINT: i32 = 5;
const FINE: i32 = -1;
/** Bits after a prefix of so many ones, a byte each. */
const WIDTHS: u64 = 0x19120c09060300;

/** Where the reading stands, and where the chunk ends; what the last read of a number gave. */
let basePtr: usize = 0;
let bit: u32 = 0;
let endBit: u32 = 0;
let number: i64 = 0;

/** State of the start timestamps. */
let begun: i64 = 0;
let distance: i64 = 0;

/** See HistogramKernels.decodeHistogramSamples. */
export function decodeHistogramSamples(
  chunkPtr: usize,
  chunkBytes: u32,
  startBit: u32,
  isFloat: i32,
  startHeader: i32,
  count: i32,
  positive: i32,
  buckets: i32,
  statePtr: usize,
  columnsPtr: usize,
  bucketsPtr: usize,
): i32 {
  basePtr = chunkPtr;
  bit = startBit;
  endBit = chunkBytes << 3;
  begun = 0;
  distance = 0;
  memory.fill(statePtr, 0, <usize>(buckets + 3) << 4);
  const columnBytes = <usize>count << 3;
  const countsPtr = columnsPtr + columnBytes;
  const zerosPtr = countsPtr + columnBytes;
  const sumsPtr = zerosPtr + columnBytes;
  const startsPtr = sumsPtr + columnBytes;
  let time: i64 = 0;
  let timeDelta: i64 = 0;
  // Integers keep the sum as a field behind the buckets; its place is free, and aligned.
  const sumState = isFloat ? statePtr + 32 : statePtr + (<usize>buckets << 4);
  let total: i64 = 0;
  let totalDelta: i64 = 0;
  let zeros: i64 = 0;
  let zerosDelta: i64 = 0;
  let rows = 0;
  let out = bucketsPtr;
  for (let sample = 0; sample < count; sample++) {
    const column = <usize>sample << 3;
    let refusal = readVarbit();
    if (refusal != FINE) return refused(sample, refusal);
    if (sample == 0) time = number;
    else {
      timeDelta += number;
      time += timeDelta;
    }
    if (beyondSafe(timeDelta) || beyondSafe(time)) return refused(sample, UNSAFE_NUMBER);
    store<f64>(columnsPtr + column, <f64>time);
    if (isFloat) {
      refusal = sample == 0 ? readRaw(statePtr, 3) : readNext(statePtr, 3);
      if (refusal != FINE) return refused(sample, refusal);
    } else {
      refusal = sample == 0 ? readVarbitUint() : readVarbit();
      if (refusal != FINE) return refused(sample, refusal);
      if (sample == 0) total = number;
      else {
        totalDelta += number;
        total += totalDelta;
      }
      refusal = sample == 0 ? readVarbitUint() : readVarbit();
      if (refusal != FINE) return refused(sample, refusal);
      if (sample == 0) zeros = number;
      else {
        zerosDelta += number;
        zeros += zerosDelta;
      }
      if (beyondSafe(totalDelta) || beyondSafe(total) || beyondSafe(zerosDelta) || beyondSafe(zeros)) return refused(sample, UNSAFE_NUMBER);
      refusal = sample == 0 ? readRaw(sumState, 1) : readNext(sumState, 1);
      if (refusal != FINE) return refused(sample, refusal);
    }
    const sum = load<u64>(sumState);
    store<u64>(sumsPtr + column, sum);
    const isStale = sum == STALE;
    if (isStale) {
      store<u64>(countsPtr + column, 0);
      store<u64>(zerosPtr + column, 0);
    } else if (isFloat) {
      store<u64>(countsPtr + column, load<u64>(statePtr));
      store<u64>(zerosPtr + column, load<u64>(statePtr, 16));
    } else {
      if (total < 0 || zeros < 0 || beyondSafe(total + zeros)) return refused(sample, BAD_COUNT);
      store<f64>(countsPtr + column, <f64>total);
      store<f64>(zerosPtr + column, <f64>zeros);
    }
    if (!isStale || sample == 0) {
      if (isFloat) {
        const first = statePtr + 48;
        refusal = sample == 0 ? readRaw(first, buckets) : readNext(first, buckets);
        if (refusal != FINE) return refused(sample, refusal);
        if (!isStale) for (let i = 0, ptr = first; i < buckets; i++, ptr += 16, out += 8) store<u64>(out, load<u64>(ptr));
      } else {
        refusal = readCounts(statePtr, out, positive, buckets, sample == 0);
        if (refusal != FINE) return refused(sample, refusal);
        if (!isStale) out += <usize>buckets << 3;
      }
      if (!isStale) rows++;
    }
    if (startHeader != 0) {
      refusal = readStart(startHeader, sample, count, time, timeDelta);
      if (refusal != FINE) return refused(sample, refusal);
      store<f64>(startsPtr + column, <f64>begun);
    }
  }
  return rows;
}

/**
 * Buckets of integers, read and written out: the values of sample 0, then changes of changes. Numbers that are not safe are seen at the end, by what
 * the comparisons left; until then none can have come back into the range.
 */
function readCounts(statePtr: usize, outPtr: usize, positive: i32, buckets: i32, isFirst: bool): i32 {
  let at = bit;
  let ptr = statePtr;
  let out = outPtr;
  let current: i64 = 0;
  let unsafe = 0;
  let side = positive > 0 ? positive : buckets;
  // Bits from `at` on, and how many of them there are.
  let window: u64 = 0;
  let valid: u64 = 0;
  for (let i = 0; i < buckets; ) {
    if (i == positive) {
      current = 0;
      side = buckets;
    }
    if (valid < 32) {
      window = peek(basePtr, at);
      valid = 57;
    }
    if (window >> 48 == 0) {
      let run = clz<u64>(window);
      if (run > valid) run = valid;
      if (run > <u64>(side - i)) run = <u64>(side - i);
      at += <u32>run;
      if (at > endBit) return TRUNCATED;
      window <<= run;
      valid -= run;
      for (const end = i + <i32>run; i < end; i++, ptr += 16, out += 8) {
        const value = load<i64>(ptr) + load<i64>(ptr, 8);
        store<i64>(ptr, value);
        current += value;
        unsafe |= isUnsafe(value) | isUnsafe(current);
        store<f64>(out, <f64>current);
      }
      continue;
    }
    const ones = clz<u64>(~window);
    let coded: i64 = 0;
    if (ones < 7) {
      // Short codes, 0 among them, without a branch for each: which of them comes next nobody can predict.
      const width = (WIDTHS >> (ones << 3)) & 0xff;
      const stored = ((window << (ones + 1)) >> 1) >> (63 - width);
      const range: u64 = 1 << width;
      coded = <i64>(stored - (stored > range >> 1 ? range : 0));
      const length = ones + 1 + width;
      at += <u32>length;
      if (at > endBit) return TRUNCATED;
      window <<= length;
      valid -= length;
    } else {
      bit = at;
      const refusal = readCoded(window);
      if (refusal != FINE) return refusal;
      at = bit;
      valid = 0;
      coded = number;
    }
    let value = coded;
    if (!isFirst) {
      const change = load<i64>(ptr, 8) + coded;
      store<i64>(ptr, change, 8);
      value = load<i64>(ptr) + change;
      unsafe |= isUnsafe(change);
    }
    store<i64>(ptr, value);
    current += value;
    unsafe |= isUnsafe(value) | isUnsafe(current);
    store<f64>(out, <f64>current);
    i++;
    ptr += 16;
    out += 8;
  }
  bit = at;
  return unsafe != 0 ? UNSAFE_NUMBER : FINE;
}

/** Fields as they are. */
function readRaw(statePtr: usize, fields: i32): i32 {
  let ptr = statePtr;
  for (let field = 0; field < fields; field++, ptr += 16) {
    store<u64>(ptr, peekWide(basePtr, bit, 64));
    store<u32>(ptr, 64, 8);
    store<u32>(ptr, 0, 12);
    bit += 64;
    if (bit > endBit) return TRUNCATED;
  }
  return FINE;
}

/** Fields as differences, like the values of XOR chunks. */
function readNext(statePtr: usize, fields: i32): i32 {
  for (let field = 0; field < fields; ) {
    const window = peek(basePtr, bit);
    if (<i64>window >= 0) {
      let run = <i32>clz<u64>(window);
      if (run > 56) run = 56;
      if (run > fields - field) run = fields - field;
      bit += run;
      if (bit > endBit) return TRUNCATED;
      field += run;
      continue;
    }
    const ptr = statePtr + (<usize>field << 4);
    let width = load<u32>(ptr, 8);
    let control: u32 = 2;
    if (((window >> 62) & 1) != 0) {
      const leading = <u32>(window >> 57) & 31;
      width = <u32>(window >> 51) & 63;
      if (width == 0) width = 64;
      control = 13;
      if (bit + control > endBit) return TRUNCATED;
      if (leading + width > 64) return BAD_WINDOW;
      store<u32>(ptr, width, 8);
      store<u32>(ptr, 64 - leading - width, 12);
    }
    const difference = width + control <= 57 ? (window << control) >> (64 - width) : peekWide(basePtr, bit + control, width);
    bit += control + width;
    if (bit > endBit) return TRUNCATED;
    store<u64>(ptr, load<u64>(ptr) ^ (difference << load<u32>(ptr, 12)));
    field++;
  }
  return FINE;
}

/** Reads a signed varbit number into `number`. */
function readVarbit(): i32 {
  const window = peek(basePtr, bit);
  if (<i64>window < 0) return readCoded(window);
  bit += 1;
  number = 0;
  return bit > endBit ? TRUNCATED : FINE;
}

/** A signed varbit number that begins with a one. */
function readCoded(window: u64): i32 {
  const ones = <u32>clz<u64>(~window);
  if (ones < 7) {
    const width: u32 = ones < 5 ? 3 * ones : 7 * ones - 17;
    number = fromStored(<i64>(window << (ones + 1)) >> (64 - width), width);
    bit += ones + 1 + width;
    return bit > endBit ? TRUNCATED : FINE;
  }
  number = ones > 7 ? <i64>peekWide(basePtr, bit + 8, 64) : fromStored(<i64>(peekWide(basePtr, bit + 8, 56) << 8) >> 8, 56);
  bit += ones > 7 ? 72 : 64;
  return bit > endBit ? TRUNCATED : beyondSafe(number) ? UNSAFE_NUMBER : FINE;
}

/** Reads an unsigned varbit number into `number`. */
function readVarbitUint(): i32 {
  const window = peek(basePtr, bit);
  if (<i64>window >= 0) {
    bit += 1;
    number = 0;
    return bit > endBit ? TRUNCATED : FINE;
  }
  const ones = <u32>clz<u64>(~window);
  if (ones < 7) {
    const width: u32 = ones < 5 ? 3 * ones : 7 * ones - 17;
    number = <i64>((window << (ones + 1)) >> (64 - width));
    bit += ones + 1 + width;
    return bit > endBit ? TRUNCATED : FINE;
  }
  number = <i64>peekWide(basePtr, bit + 8, ones > 7 ? 64 : 56);
  bit += ones > 7 ? 72 : 64;
  return bit > endBit ? TRUNCATED : number < 0 || number > SAFE_MAX ? UNSAFE_NUMBER : FINE;
}

/** Reads the start timestamp of a sample into `begun`. */
function readStart(header: i32, sample: i32, count: i32, time: i64, timeDelta: i64): i32 {
  if (sample == 0) {
    if (header < 0x80) return FINE;
    let value: u64 = 0;
    for (let i: u64 = 0; ; i++) {
      const byte = peekWide(basePtr, bit, 8);
      bit += 8;
      if (bit > endBit) return TRUNCATED;
      if (i == 9 && byte > 1) return byte < 0x80 ? UNSAFE_START : LONG_VARINT;
      value |= (byte & 0x7f) << (7 * i);
      if (byte < 0x80) break;
    }
    const ago = <i64>(value >> 1) ^ -(<i64>(value & 1));
    begun = time - ago;
    return beyondSafe(ago) || beyondSafe(begun) ? UNSAFE_START : FINE;
  }
  const changeAt = (header & 0x7f) == 0 ? count : header & 0x7f;
  if (sample < changeAt) return FINE;
  const refusal = readVarbit();
  if (refusal != FINE) return refusal == UNSAFE_NUMBER ? UNSAFE_START : refusal;
  distance = sample == changeAt ? number : distance + number;
  begun = time - timeDelta - distance;
  return beyondSafe(distance) || beyondSafe(begun) ? UNSAFE_START : FINE;
}

// @ts-ignore: decorator
@inline
function refused(sample: i32, reason: i32): i32 {
  return -1 - (sample * 8 + reason);
}

/** 1 for an integer beyond ±(2^53 − 1), without a branch. */
// @ts-ignore: decorator
@inline
function isUnsafe(value: i64): i32 {
  return i32(<u64>(value + SAFE_MAX) > <u64>(2 * SAFE_MAX));
}
