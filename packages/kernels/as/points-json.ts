// Points of one series as Prometheus' JSON has them: [1700000000,"1.5"],[1700000000.250,"2"], seconds with three decimals or none.
//
// Rows of steps share their timestamps: the text before each value is written once and copied as 32 bytes, the last of which is its length.
import { putDigits, writeDigits, writeFloatAt } from './float-text';

const NOT_WRITABLE: i32 = -1;
const NO_ROOM: i32 = -2;
/** Room demanded before each point. */
const POINT_ROOM: usize = 64;
/** The same where up to 32 bytes of step text are copied: less than STEP_JSON_ROOM behind the last point's 64. */
const STEP_ROOM: usize = 88;
const SAFE_MAX_F64: f64 = 9007199254740991.0;

/** See Kernels.writePointsJson. */
export function writePointsJson(timestampsPtr: usize, valuesPtr: usize, count: i32, outPtr: usize, outMax: u32): i32 {
  const outEnd = outPtr + outMax;
  let out = outPtr;
  for (let i: i32 = 0; i < count; i++) {
    if (out + POINT_ROOM > outEnd) return NO_ROOM;
    const column = <usize>i << 3;
    const timestamp = load<f64>(timestampsPtr + column);
    if (!(abs(timestamp) <= SAFE_MAX_F64) || trunc(timestamp) != timestamp) return NOT_WRITABLE;
    if (i > 0) store<u8>(out++, 0x2c);
    store<u8>(out++, 0x5b); // [
    out = writeSeconds(out, timestamp);
    store<u16>(out, 0x222c); // ,"
    out = writeFloatAt(load<f64>(valuesPtr + column), out + 2);
    store<u16>(out, 0x5d22); // "]
    out += 2;
  }
  return <i32>(out - outPtr);
}

/** See Kernels.writeStepTexts. */
export function writeStepTexts(firstMs: f64, stepMs: f64, steps: i32, textPtr: usize): i32 {
  for (let k: i32 = 0; k < steps; k++, textPtr += 32) {
    const timestamp = firstMs + <f64>k * stepMs;
    if (!(abs(timestamp) <= SAFE_MAX_F64) || trunc(timestamp) != timestamp) return NOT_WRITABLE;
    store<u8>(textPtr, 0x5b); // [
    const end = writeSeconds(textPtr + 1, timestamp);
    store<u16>(end, 0x222c); // ,"
    store<u8>(textPtr + 31, <u8>(end + 2 - textPtr));
  }
  return steps;
}

/** See Kernels.writeStepsJson. */
export function writeStepsJson(textPtr: usize, valuesPtr: usize, presentPtr: usize, steps: i32, outPtr: usize, outMax: u32): i32 {
  const outEnd = outPtr + outMax;
  let out = outPtr;
  for (let k: i32 = 0; k < steps; k++) {
    if (load<u8>(presentPtr + k) == 0) continue;
    if (out + STEP_ROOM > outEnd) return NO_ROOM;
    if (out != outPtr) store<u8>(out++, 0x2c);
    const text = textPtr + (<usize>k << 5);
    const second = v128.load(text, 16);
    v128.store(out, v128.load(text));
    v128.store(out, second, 16);
    out += <usize>v128.extract_lane<u8>(second, 15);
    out = writeFloatAt(load<f64>(valuesPtr + (<usize>k << 3)), out);
    store<u16>(out, 0x5d22); // "]
    out += 2;
  }
  return <i32>(out - outPtr);
}

function writeSeconds(out: usize, timestampMs: f64): usize {
  if (timestampMs < 0) {
    store<u8>(out++, 0x2d);
    timestampMs = -timestampMs;
  }
  // The product may round across an integer, by one at most; the remainder is exact and tells.
  let seconds = floor(timestampMs * 0.001);
  let fraction = timestampMs - seconds * 1000.0;
  if (fraction < 0) {
    seconds -= 1;
    fraction += 1000;
  } else if (fraction >= 1000) {
    seconds += 1;
    fraction -= 1000;
  }
  out = writeDigits(out, <u64>(<i64>seconds));
  if (fraction == 0) return out;
  store<u8>(out, 0x2e);
  putDigits(out + 1, <u64>(<i64>fraction), 3);
  return out + 4;
}
