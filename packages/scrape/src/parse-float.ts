/**
 * Numbers in expositions: sample values, and the label values of `le` and `quantile`.
 *
 *   1  -1.5  .5  1e-9  NaN  +Inf  -inf        not 0x1, 1_000, 1p3
 *
 * Source: Go strconv.ParseFloat as Prometheus' textparse restricts it; OpenMetrics 1.0, "Numbers".
 */
const DECIMAL = /^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$/;
const INFINITE = /^([+-]?)inf(?:inity)?$/i;

/** Reads a float; undefined if it is none, or so large that it would become infinite. */
export function parseFloatText(text: string): number | undefined {
  if (DECIMAL.test(text)) {
    const value = Number(text);
    return Number.isFinite(value) ? value : undefined;
  }
  const infinite = INFINITE.exec(text);
  if (infinite !== null) return infinite[1] === '-' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  return /^nan$/i.test(text) ? Number.NaN : undefined;
}

/** Powers of ten that a double holds exactly, as many as short decimals need. */
const POWERS = Float64Array.from({ length: 16 }, (_, i) => Number(`1e${i}`));

/**
 * Reads bytes [start, end) if they are a decimal number of at most 15 digits without exponent: most values are, and this takes a fraction of the
 * time. Exact: digits below 2^53 divided by an exact power of ten round once.
 * @returns NaN if they are not
 */
export function parseShortDecimal(bytes: Uint8Array, start: number, end: number): number {
  const negative = bytes[start] === 0x2d;
  const from = negative ? start + 1 : start;
  if (end - from > 16 || end === from) return Number.NaN;
  let digits = 0;
  let point = -1;
  for (let i = from; i < end; i++) {
    const byte = bytes[i]!;
    if (byte === 0x2e && point < 0) {
      point = i;
      continue;
    }
    if (byte < 0x30 || byte > 0x39) return Number.NaN;
    digits = digits * 10 + (byte - 0x30);
  }
  const digitCount = end - from - (point < 0 ? 0 : 1);
  if (digitCount > 15 || digitCount === 0) return Number.NaN;
  const value = point < 0 ? digits : digits / POWERS[end - point - 1]!;
  return negative ? -value : value;
}

/** As OpenMetrics writes a float: `1.0`, `0.005`, `1e+06`, `+Inf`. */
export function formatOpenMetricsFloat(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  if (value === 0) return '0.0';
  const [digits, exponentText] = value.toExponential().split('e') as [string, string];
  const exponent = Number(exponentText);
  // Shortest digits; an exponent where Go's 'g' format writes one.
  if (exponent < -4 || exponent >= 6) return `${digits}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`;
  const text = String(value);
  return text.includes('.') ? text : `${text}.0`;
}
