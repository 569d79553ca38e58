/**
 * Number literals. Prometheus tries a 64-bit integer with base prefix first and a float after that, so `010` is 8, `08` is 8 and `0x10` is 16.
 * Source: Prometheus promql/parser/parse.go, `number`; Go strconv.ParseInt and ParseFloat.
 */

const INT64_MAX = 9223372036854775807n;

/** Value of a number token without sign, or what is wrong with it (in Go's words). */
export function parseNumber(text: string): number | { readonly error: string } {
  const integer = parseInteger(text);
  if (integer !== undefined) return integer;
  const word = text.toLowerCase();
  if (word === 'inf') return Number.POSITIVE_INFINITY;
  if (word === 'nan') return Number.NaN;
  const fail = (why: string): { error: string } => ({ error: `strconv.ParseFloat: parsing "${text}": ${why}` });
  if (!/^(\d+(_\d+)*\.?(\d+(_\d+)*)?|\.\d+(_\d+)*)(e[+-]?\d+(_\d+)*)?$/.test(word)) return fail('invalid syntax');
  const value = Number(word.replaceAll('_', ''));
  return Number.isFinite(value) ? value : fail('value out of range');
}

/** Integer with optional base prefix and underscores, rounded to double; undefined if it is none or needs more than 63 bits. */
function parseInteger(text: string): number | undefined {
  let digits: string | undefined;
  if (/^0[xX](_?[0-9a-fA-F])+$/.test(text)) digits = `0x${text.slice(2)}`;
  else if (/^0(_?[0-7])+$/.test(text)) digits = `0o${text.slice(1)}`;
  else if (/^(0|[1-9](_?[0-9])*)$/.test(text)) digits = text;
  if (digits === undefined) return undefined;
  digits = digits.replaceAll('_', '');
  const value = Number(digits);
  if (Number.isSafeInteger(value)) return value;
  return BigInt(digits) <= INT64_MAX ? value : undefined;
}
