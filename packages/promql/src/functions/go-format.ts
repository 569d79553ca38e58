/**
 * Numbers as Go prints them, because label values (`count_values`), `le` bounds and messages show them.
 * Source of the behaviour: Go strconv, formats 'f' and 'g'.
 */

/** Shortest text that reads back as the same number, without exponent: Go's `FormatFloat(x, 'f', -1, 64)`. */
export function formatF(x: number): string {
  if (Number.isNaN(x)) return 'NaN';
  if (x === Infinity) return '+Inf';
  if (x === -Infinity) return '-Inf';
  if (x === 0) return Object.is(x, -0) ? '-0' : '0';
  const { sign, digits, point } = decompose(x);
  if (point <= 0) return `${sign}0.${'0'.repeat(-point)}${digits}`;
  if (point >= digits.length) return `${sign}${digits}${'0'.repeat(point - digits.length)}`;
  return `${sign}${digits.slice(0, point)}.${digits.slice(point)}`;
}

/** Go's `%g` and `%v`: shortest digits, with an exponent below 1e-4 and from 1e6 on. */
export function formatG(x: number): string {
  if (!Number.isFinite(x) || x === 0) return formatF(x);
  const parts = decompose(x);
  const exponent = parts.point - 1;
  return exponent < -4 || exponent >= 6 ? scientific(parts.sign, parts.digits, exponent) : formatF(x);
}

/** Go's `%.2g`: two significant digits. */
export function formatG2(x: number): string {
  if (!Number.isFinite(x) || x === 0) return formatF(x);
  // JavaScript rounds a tie away from zero, Go to even: with an even digit before an exact 5, one less.
  const exact = Math.abs(x).toExponential(20);
  const isTie = /^\d\.[02468]50*e/.test(exact);
  const rounded = Number(isTie ? `${x < 0 ? '-' : ''}${exact.slice(0, 3)}${exact.slice(exact.indexOf('e'))}` : x.toExponential(1));
  const parts = decompose(rounded);
  const exponent = parts.point - 1;
  return exponent < -4 || exponent >= 2 ? scientific(parts.sign, parts.digits, exponent) : formatF(rounded);
}

/** Go's `%f`: six decimals. */
export function formatFixed(x: number): string {
  if (!Number.isFinite(x)) return formatF(x);
  return Math.abs(x) < 1e21 ? x.toFixed(6) : `${formatF(x)}.000000`;
}

/** A quantile or bucket bound as OpenMetrics writes it: always with a decimal point or exponent. */
export function formatOpenMetrics(x: number): string {
  if (x === 1) return '1.0';
  if (x === 0) return '0.0';
  if (x === -1) return '-1.0';
  const text = formatG(x);
  return !Number.isFinite(x) || /[e.]/.test(text) ? text : `${text}.0`;
}

/** Sign, shortest decimal digits, and the position of the point relative to them: 0.0123 → '123', −1. */
function decompose(x: number): { sign: string; digits: string; point: number } {
  const [mantissa, exponent] = Math.abs(x).toExponential().split('e') as [string, string];
  return { sign: x < 0 ? '-' : '', digits: mantissa.replace('.', ''), point: Number(exponent) + 1 };
}

function scientific(sign: string, digits: string, exponent: number): string {
  const mantissa = digits.length === 1 ? digits : `${digits[0]}.${digits.slice(1)}`;
  const size = Math.abs(exponent);
  return `${sign}${mantissa}e${exponent < 0 ? '-' : '+'}${size < 10 ? '0' : ''}${size}`;
}
