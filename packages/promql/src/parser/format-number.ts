/** Numbers as Go prints them. Source: Go strconv.FormatFloat (behaviour). */

/** Shortest decimal without exponent (`'f', -1`): `1e21` is written out; `+Inf`, `-Inf`, `NaN`, `-0`. */
export function formatDecimal(value: number): string {
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : value < 0 ? '-Inf' : 'NaN';
  if (Object.is(value, -0)) return '-0';
  const text = String(value);
  const at = text.indexOf('e');
  if (at === -1) return text;
  const exponent = Number(text.slice(at + 1));
  const sign = value < 0 ? '-' : '';
  const [whole, fraction = ''] = text.slice(sign.length, at).split('.') as [string, string?];
  const digits = whole + fraction;
  const point = whole.length + exponent;
  if (point <= 0) return `${sign}0.${'0'.repeat(-point)}${digits}`;
  return `${sign}${digits.padEnd(point, '0')}`;
}

/** Shortest with exponent below 1e-4 and from 1e21 on (`%v`): `1e-05`, `1e+21`. */
export function formatGeneral(value: number): string {
  const absolute = Math.abs(value);
  if (!Number.isFinite(value) || value === 0 || (absolute >= 1e-4 && absolute < 1e21)) return formatDecimal(value);
  const [mantissa, exponent] = value.toExponential().split('e') as [string, string];
  return `${mantissa}e${exponent[0]!}${exponent.slice(1).padStart(2, '0')}`;
}
