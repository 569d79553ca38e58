/**
 * Numbers as Go prints them, for alert values and templates. Source of the behaviour: Go strconv, formats 'e' and 'g'.
 *
 *   formatExponent   1.25e+02   shortest digits, always with an exponent
 *   formatShortest   125        shortest digits, exponent below 1e-4 and from 1e6 on (`%v`)
 *   formatDigits     125        given number of significant digits, ties to even, trailing zeros removed (`%.4g`)
 */

/** Value of an alert as the Rules API prints it: `1e+00`, `NaN`, `+Inf`. */
export function formatExponent(value: number): string {
  const special = formatSpecial(value);
  return special ?? (Object.is(value, -0) ? '-' : '') + withExponent(...split(value.toExponential()));
}

/** A float as `{{ $value }}` prints it. */
export function formatShortest(value: number): string {
  const special = formatSpecial(value);
  if (special !== undefined) return special;
  if (value === 0) return Object.is(value, -0) ? '-0' : '0';
  const [mantissa, exponent] = split(value.toExponential());
  return exponent < -4 || exponent >= 6 ? withExponent(mantissa, exponent) : plain(mantissa, exponent);
}

/** A float with at most `digits` significant digits, 1 to 17: Go's `%.4g` for 4. */
export function formatDigits(value: number, digits: number): string {
  const special = formatSpecial(value);
  if (special !== undefined) return special;
  if (value === 0) return Object.is(value, -0) ? '-0' : '0';
  let rounded = value.toExponential(digits - 1);
  // JavaScript rounds an exact tie away from zero, Go to the even digit; 20 decimals tell a tie from the doubles next to it.
  const [exactMantissa, exactExponent] = split(value.toExponential(20));
  const figures = exactMantissa.replace(/[-.]/g, '');
  if (/^50*$/.test(figures.slice(digits)) && Number(figures[digits - 1]) % 2 === 0) rounded = `${exactMantissa.slice(0, (value < 0 ? 1 : 0) + (digits === 1 ? 1 : digits + 1))}e${exactExponent}`;
  const [mantissa, exponent] = split(rounded);
  const shown = mantissa.includes('.') ? mantissa.replace(/\.?0+$/, '') : mantissa;
  return exponent < -4 || exponent >= digits ? withExponent(shown, exponent) : plain(shown, exponent);
}

function formatSpecial(value: number): string | undefined {
  if (Number.isFinite(value)) return undefined;
  return value > 0 ? '+Inf' : value < 0 ? '-Inf' : 'NaN';
}

function split(text: string): [mantissa: string, exponent: number] {
  const [mantissa, exponent] = text.split('e') as [string, string];
  return [mantissa, Number(exponent)];
}

function withExponent(mantissa: string, exponent: number): string {
  const size = Math.abs(exponent);
  return `${mantissa}e${exponent < 0 ? '-' : '+'}${size < 10 ? '0' : ''}${size}`;
}

/** Mantissa and exponent written out: '1.25', 2 → '125'. */
function plain(mantissa: string, exponent: number): string {
  const sign = mantissa.startsWith('-') ? '-' : '';
  const digits = mantissa.replace(/[-.]/g, '');
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`;
  if (exponent + 1 >= digits.length) return sign + digits.padEnd(exponent + 1, '0');
  return `${sign}${digits.slice(0, exponent + 1)}.${digits.slice(exponent + 1)}`;
}
