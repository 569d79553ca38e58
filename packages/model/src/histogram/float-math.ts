/**
 * The arithmetic below histograms where the last bit must be that of Go: powers of two, logarithm and exponential to base 2, compensated sums.
 * Source of the behaviour: what Go's package math documents (fdlibm's algorithms); Neumaier's summation as in Prometheus util/kahansum.
 */

/** Exponent of the smallest subnormal and of the largest power. */
const EXPONENT_MIN = -1074;
const EXPONENT_MAX = 1023;

/** Exact powers: 2^i at i + 1074. */
const POWERS = powersOfTwo();

function powersOfTwo(): Float64Array {
  const powers = new Float64Array(EXPONENT_MAX - EXPONENT_MIN + 1);
  let power = 1;
  for (let i = 0; i <= EXPONENT_MAX; i++, power *= 2) powers[i - EXPONENT_MIN] = power;
  power = 0.5;
  for (let i = -1; i >= EXPONENT_MIN; i--, power /= 2) powers[i - EXPONENT_MIN] = power;
  return powers;
}

/** x · 2^exponent, rounded once; ±Infinity and 0 beyond the range of doubles. For 0.5 ≤ |x| ≤ 2. */
export function ldexp(x: number, exponent: number): number {
  if (exponent > EXPONENT_MAX + 2) return x * Infinity;
  if (exponent > 1000) return x * POWERS[1000 - EXPONENT_MIN]! * POWERS[exponent - 1000 - EXPONENT_MIN]!;
  if (exponent >= -1000) return x * POWERS[exponent - EXPONENT_MIN]!;
  if (exponent < EXPONENT_MIN - 2) return x < 0 ? -0 : 0;
  return x * POWERS[-1000 - EXPONENT_MIN]! * POWERS[exponent + 1000 - EXPONENT_MIN]!;
}

const bits = new Float64Array(1);
const words = new Uint32Array(bits.buffer);
const HIGH = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1 ? 1 : 0;

/** Go's math.Log2: the exponent apart, so powers of two are exact. */
export function log2(x: number): number {
  if (!(x > 0 && x < Infinity)) return Math.log2(x);
  const isSubnormal = x < POWERS[-1022 - EXPONENT_MIN]!;
  bits[0] = isSubnormal ? x * POWERS[52 - EXPONENT_MIN]! : x;
  const exponent = (words[HIGH]! >>> 20) - 1022 - (isSubnormal ? 52 : 0);
  words[HIGH] = (words[HIGH]! & 0xfffff) | (1022 << 20);
  const fraction = bits[0];
  return fraction === 0.5 ? exponent - 1 : Math.log(fraction) * Math.LOG2E + exponent;
}

const LN2_HIGH = 6.9314718036912381649e-1;
const LN2_LOW = 1.90821492927058770002e-10;

/** Go's math.Exp2: 2^x as 2^k · e^r with |r| ≤ ln 2 / 2. */
export function exp2(x: number): number {
  if (Number.isNaN(x) || x === Infinity) return x;
  if (x > 1024) return Infinity;
  if (x < EXPONENT_MIN - 1) return 0;
  const whole = Math.trunc(x > 0 ? x + 0.5 : x - 0.5);
  const high = (x - whole) * LN2_HIGH;
  const low = -(x - whole) * LN2_LOW;
  const r = high - low;
  const t = r * r;
  // A Remez polynomial for r·(e^r + 1)/(e^r − 1).
  const c = r - t * (1.66666666666666657415e-1 + t * (-2.7777777777015593384e-3 + t * (6.61375632143793436117e-5 + t * (-1.65339022054652515390e-6 + t * 4.13813679705723846039e-8))));
  return ldexp(1 - (low - (r * c) / (2 - c) - high), whole);
}

/** Adds x to sums[i]; what rounding loses is kept in losses[i]. An infinite sum has no loss. */
export function addCompensated(sums: Float64Array, losses: Float64Array, i: number, x: number): void {
  const sum = sums[i]!;
  const total = sum + x;
  if (total === Infinity || total === -Infinity) losses[i] = 0;
  else if (Math.abs(sum) >= Math.abs(x)) losses[i]! += sum - total + x;
  else losses[i]! += x - total + sum;
  sums[i] = total;
}
