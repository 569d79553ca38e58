/**
 * Floating-point functions where Go's results differ from JavaScript's, in the last digit or altogether.
 * Source: the algorithms and special cases that Go's package math documents; IEEE 754.
 */

const bits = new DataView(new ArrayBuffer(8));

/** x = fraction · 2^exponent with ½ ≤ |fraction| < 1; x itself and 0 for 0, NaN and infinities. */
function splitExponent(x: number): { readonly fraction: number; readonly exponent: number } {
  if (x === 0 || x - x !== 0) return { fraction: x, exponent: 0 };
  const scaled = Math.abs(x) < 2 ** -1022 ? x * 2 ** 52 : x;
  bits.setFloat64(0, scaled);
  const high = bits.getUint32(0);
  const exponent = ((high >>> 20) & 0x7ff) - 1022 - (scaled === x ? 0 : 52);
  bits.setUint32(0, ((high & 0x800fffff) | (1022 << 20)) >>> 0);
  return { fraction: bits.getFloat64(0), exponent };
}

/** x · 2^exponent without overflow on the way. */
function scale(x: number, exponent: number): number {
  let value = x;
  let rest = exponent;
  while (rest > 1000) {
    value *= 2 ** 1000;
    rest -= 1000;
    if (value - value !== 0) return value;
  }
  // Two steps down at most, so that a subnormal result is rounded once.
  if (rest < -1000) {
    const { fraction, exponent: own } = splitExponent(value);
    const total = own + rest;
    if (total < -1080) return fraction < 0 ? -0 : 0;
    return fraction * 2 ** Math.max(total + 60, -1000) * 2 ** (total - Math.max(total + 60, -1000));
  }
  return value * 2 ** rest;
}

/** Go's math.Log2: the exponent apart, so powers of two are exact. */
export function log2(x: number): number {
  const { fraction, exponent } = splitExponent(x);
  if (fraction === 0.5) return exponent - 1;
  return Math.log(fraction) * Math.LOG2E + exponent;
}

/** Go's math.Log10 (1.26). */
export function log10(x: number): number {
  return Math.log(x) * Math.LOG10E;
}

/**
 * Go's math.Pow. The whole part of the exponent is done by repeated squaring of the fraction, the rest by exp and log; 1 to anything and −1 to
 * ±Inf are 1, where JavaScript says NaN.
 */
export function pow(x: number, y: number): number {
  if (y === 0 || x === 1) return 1;
  if (y === 1) return x;
  if (x === -1 && (y === Infinity || y === -Infinity)) return 1;
  if (Number.isNaN(x) || Number.isNaN(y) || x === 0 || x - x !== 0 || y - y !== 0) return x ** y;
  if (y === 0.5) return Math.sqrt(x);
  if (y === -0.5) return 1 / Math.sqrt(x);
  let whole = Math.trunc(Math.abs(y));
  let part = Math.abs(y) - whole;
  if (part !== 0 && x < 0) return NaN;
  if (whole >= 2 ** 63) return x ** y;
  let result = 1;
  let exponent = 0;
  if (part !== 0) {
    if (part > 0.5) {
      part--;
      whole++;
    }
    result = Math.exp(part * Math.log(x));
  }
  let { fraction, exponent: step } = splitExponent(x);
  for (let i = whole; i !== 0; i = Math.floor(i / 2)) {
    if (step < -4096 || step > 4096) {
      // Certain overflow or underflow.
      exponent += step;
      break;
    }
    if (i % 2 === 1) {
      result *= fraction;
      exponent += step;
    }
    fraction *= fraction;
    step *= 2;
    if (fraction < 0.5) {
      fraction += fraction;
      step--;
    }
  }
  if (y < 0) {
    result = 1 / result;
    exponent = -exponent;
  }
  return scale(result, exponent);
}

/** Go's math.Max: +Inf wins over NaN. */
export function max(x: number, y: number): number {
  return x === Infinity || y === Infinity ? Infinity : Math.max(x, y);
}

/** Go's math.Min: −Inf wins over NaN. */
export function min(x: number, y: number): number {
  return x === -Infinity || y === -Infinity ? -Infinity : Math.min(x, y);
}
