// The shortest decimal that reads back as the same double, laid out as Prometheus' JSON has it: positional from 1e-6 up to 1e21,
// otherwise with an exponent of at least two digits.
//
// Schubfach (Raffaello Giulietti, "The Schubfach way to render doubles", 2020): the interval of decimals that round to the value
// is scaled by a power of ten with 126 exact bits, then one of at most four candidates is in it.
import { powersOfTen } from './powers-of-ten';

const POWER_MIN: i32 = -292;

/** See Kernels.writeFloat. */
export function writeFloat(value: f64, outPtr: usize): i32 {
  return <i32>(writeFloatAt(value, outPtr) - outPtr);
}

/** Writes at `out` (FLOAT_TEXT_BYTES_MAX of room, all of which may be overwritten); returns the pointer after the text. */
export function writeFloatAt(value: f64, out: usize): usize {
  const bits = reinterpret<u64>(value);
  const fraction = bits & 0xfffffffffffff;
  const exponent = <i32>(bits >> 52) & 2047;
  if (exponent == 2047) {
    if (fraction != 0) {
      store<u16>(out, 0x614e); // Na
      store<u8>(out, 0x4e, 2); // N
      return out + 3;
    }
    store<u8>(out, <i64>bits < 0 ? 0x2d : 0x2b);
    store<u16>(out, 0x6e49, 1); // In
    store<u8>(out, 0x66, 3); // f
    return out + 4;
  }
  if (<i64>bits < 0) store<u8>(out++, 0x2d);
  if (bits << 1 == 0) {
    store<u8>(out, 0x30);
    return out + 1;
  }

  let mantissa: u64;
  let power: i32;
  if (exponent != 0) {
    mantissa = fraction | (1 << 52);
    power = exponent - 1075;
    // Integers up to 2^53 are their own digits: counters and most gauges end here.
    if (power <= 0 && power > -53 && (mantissa & ((1 << <u64>-power) - 1)) == 0) return writeDigits(out, mantissa >> <u64>-power);
    // Up to three decimals (seconds, percentages): a decimal of at most 15 digits that reads back as the value is the shortest, because no two
    // of such are the same double. The division is exact in its rounding; the difference turns nearly all others away before it.
    const magnitude = abs<f64>(value);
    const scaled = magnitude * 1000.0;
    const whole = nearest<f64>(scaled);
    if (abs<f64>(scaled - whole) <= scaled * 2.5e-16 && whole >= 1.0 && whole < 1e15 && whole / 1000.0 == magnitude) return writeThousandths(out, magnitude, whole);
  } else {
    mantissa = fraction;
    power = -1074;
  }

  // Borders of the rounding interval and the value itself, times four. Below a power of two the neighbour is closer.
  const isOdd = mantissa & 1;
  const isNarrow: u64 = fraction == 0 && exponent > 1 ? 1 : 0;
  let scale: i32 = isNarrow != 0 ? (power * 1262611 - 524031) >> 22 : (power * 1262611) >> 22;
  const shift: u64 = power + ((-scale * 1741647) >> 19) + 1;
  const entry = powersOfTen + (<usize>(-scale - POWER_MIN) << 4);
  const powerHigh = load<u64>(entry);
  const powerLow = load<u64>(entry, 8);
  const lower = roundToOdd(powerHigh, powerLow, (4 * mantissa - 2 + isNarrow) << shift) + isOdd;
  const middle = roundToOdd(powerHigh, powerLow, (4 * mantissa) << shift);
  const upper = roundToOdd(powerHigh, powerLow, (4 * mantissa + 2) << shift) - isOdd;

  let digits = middle / 4;
  let isFound = false;
  if (digits >= 10) {
    const tens = mulHigh(digits, 0xcccccccccccccccd) >> 3;
    const downFits = lower <= 40 * tens;
    const upFits = 40 * tens + 40 <= upper;
    if (downFits != upFits) {
      digits = tens + (upFits ? 1 : 0);
      scale++;
      isFound = true;
    }
  }
  if (!isFound) {
    const downFits = lower <= 4 * digits;
    const upFits = 4 * digits + 4 <= upper;
    if (downFits != upFits) {
      digits += upFits ? 1 : 0;
    } else {
      const half = 4 * digits + 2;
      digits += middle > half || (middle == half && (digits & 1) != 0) ? 1 : 0;
    }
  }
  // Trailing zeros. A product with the inverse of 5^k, rotated by k, is the quotient if 10^k divides, and beyond every quotient if not.
  let quotient = rotr<u64>(digits * 0xc767074b22e90e21, 8);
  if (quotient <= 0x2af31dc461) {
    digits = quotient;
    scale += 8;
  }
  while (true) {
    quotient = rotr<u64>(digits * 0xcccccccccccccccd, 1);
    if (quotient > 0x1999999999999999) break;
    digits = quotient;
    scale++;
  }
  return writeDecimal(out, digits, scale);
}

/** Writes a value of one to three decimals; `whole` is a thousand times it. */
function writeThousandths(out: usize, magnitude: f64, whole: f64): usize {
  const integer = trunc<f64>(magnitude);
  out = writeDigits(out, <u64>(<i64>integer));
  const fraction = <u32>(whole - integer * 1000.0);
  const tenths = fraction / 100;
  const rest = fraction - tenths * 100;
  const hundredths = rest / 10;
  const thousandths = rest - hundredths * 10;
  store<u32>(out, 0x3030302e | (tenths << 8) | (hundredths << 16) | (thousandths << 24));
  return out + (thousandths != 0 ? 4 : hundredths != 0 ? 3 : 2);
}

/** Writes digits · 10^scale; the last digit is not 0. */
function writeDecimal(out: usize, digits: u64, scale: i32): usize {
  const length = digitCount(digits);
  // Position of the decimal point after the first `point` digits: 0.000001 has −5, 1e21 has 22.
  const point = length + scale;
  if (point < -5 || point > 21) {
    putDigits(out, digits, length);
    if (length > 1) {
      insertPoint(out + 1);
      out += 1;
    }
    out += length;
    store<u8>(out, 0x65);
    let exponent = point - 1;
    store<u8>(out, exponent < 0 ? 0x2d : 0x2b, 1);
    if (exponent < 0) exponent = -exponent;
    const width = exponent >= 100 ? 3 : 2;
    putDigits(out + 2, exponent, width);
    return out + 2 + width;
  }
  if (scale >= 0) {
    putDigits(out, digits, length);
    out += length;
    for (let i: i32 = 0; i < scale; i++) store<u8>(out++, 0x30);
    return out;
  }
  if (point > 0) {
    putDigits(out, digits, length);
    insertPoint(out + point);
    return out + length + 1;
  }
  store<u16>(out, 0x2e30); // 0.
  out += 2;
  for (let i: i32 = point; i < 0; i++) store<u8>(out++, 0x30);
  putDigits(out, digits, length);
  return out + length;
}

/** Writes an integer; returns the pointer after it. */
export function writeDigits(out: usize, value: u64): usize {
  const length = digitCount(value);
  putDigits(out, value, length);
  return out + length;
}

/** Writes exactly `length` (1 to 20) digits, zeros in front; up to seven bytes behind them are overwritten. */
export function putDigits(out: usize, value: u64, length: i32): void {
  if (length <= 8) {
    store<u64>(out, eightDigits(value) >> (<u64>(8 - length) << 3));
    return;
  }
  // V8 divides 64-bit integers in hardware, by constants too: 25 to 40 cycles against one multiplication for 32 bits.
  const upper: u64 = value <= 0xffffffff ? <u64>(<u32>value / 100000000) : divideBy1e8(value);
  const lower = value - upper * 100000000;
  if (length <= 16) {
    store<u64>(out, eightDigits(upper) >> (<u64>(16 - length) << 3));
  } else {
    const top = divideBy1e8(upper);
    store<u64>(out, eightDigits(top) >> (<u64>(24 - length) << 3));
    store<u64>(out + length - 16, eightDigits(upper - top * 100000000));
  }
  store<u64>(out + length - 8, eightDigits(lower));
}

/** value / 100,000,000 for any value. */
// @ts-ignore: decorator
@inline
function divideBy1e8(value: u64): u64 {
  return mulHigh(value, 0xabcc77118461cefd) >> 26;
}

/** Eight ASCII digits, the first in the lowest byte: halves, then pairs, then single digits, all lanes of a step at once. */
// @ts-ignore: decorator
@inline
function eightDigits(value: u64): u64 {
  const high = (value * 109951163) >> 40;
  let lanes = high | ((value - high * 10000) << 32);
  const hundreds = ((lanes * 10486) >> 20) & 0x0000007f0000007f;
  lanes = hundreds | ((lanes - hundreds * 100) << 16);
  const tens = ((lanes * 103) >> 10) & 0x000f000f000f000f;
  lanes = tens | ((lanes - tens * 10) << 8);
  return lanes | 0x3030303030303030;
}

/** Moves up to sixteen bytes up by one and puts a point before them. */
// @ts-ignore: decorator
@inline
function insertPoint(at: usize): void {
  const first = load<u64>(at);
  const second = load<u64>(at, 8);
  store<u8>(at, 0x2e);
  store<u64>(at, first, 1);
  store<u64>(at, second, 9);
}

/** Decimal digits of a value up to 2^63; 0 has one. */
// @ts-ignore: decorator
@inline
function digitCount(value: u64): i32 {
  if (value < 10) return 1;
  const bitCount = 64 - <i32>clz(value);
  const guess = (bitCount * 1233) >> 12;
  return guess + (value >= load<u64>(smallPowers + (<usize>guess << 3)) ? 1 : 0);
}

const smallPowers: usize = memory.data<u64>([
  1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000, 10000000000, 100000000000, 1000000000000, 10000000000000,
  100000000000000, 1000000000000000, 10000000000000000, 100000000000000000, 1000000000000000000, 10000000000000000000,
]);

/** Bits 128 and up of power · factor, with the lowest bit set if anything below is lost. */
// @ts-ignore: decorator
@inline
function roundToOdd(powerHigh: u64, powerLow: u64, factor: u64): u64 {
  const carry = mulHigh(powerLow, factor);
  const low = powerHigh * factor + carry;
  const high = mulHigh(powerHigh, factor) + <u64>(low < carry);
  return high | <u64>(low > 1);
}

// @ts-ignore: decorator
@inline
function mulHigh(a: u64, b: u64): u64 {
  const aLow = a & 0xffffffff;
  const aHigh = a >> 32;
  const bLow = b & 0xffffffff;
  const bHigh = b >> 32;
  const cross = aHigh * bLow;
  const middle = ((aLow * bLow) >> 32) + (cross & 0xffffffff) + aLow * bHigh;
  return aHigh * bHigh + (cross >> 32) + (middle >> 32);
}
