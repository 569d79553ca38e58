/**
 * Quoting as Go's `%q` and strconv.Quote do it, because messages and printed expressions show it, and unquoting of PromQL's string literals.
 * Source: Go strconv/quote.go (behaviour); Prometheus util/strutil/quote.go.
 */
import { utf8Encode } from '@gauntlet/bytes';

const PRINTABLE = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u;

/** What Go calls a printable code point: letters, marks, numbers, punctuation, symbols and the ASCII space. */
function isPrintable(char: string): boolean {
  const code = char.codePointAt(0)!;
  if (code < 0x7f) return code >= 0x20;
  return PRINTABLE.test(char);
}

const SHORT_ESCAPES: Readonly<Record<string, string>> = {
  '\x07': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
  '\\': '\\\\',
};

function escapeChar(char: string, quote: string): string {
  if (char === quote) return `\\${quote}`;
  const short = SHORT_ESCAPES[char];
  if (short !== undefined) return short;
  if (isPrintable(char)) return char;
  const code = char.codePointAt(0)!;
  if (code < 0x80) return `\\x${code.toString(16).padStart(2, '0')}`;
  // A byte that belongs to no UTF-8 sequence, see `unquoteLiteral`.
  if (code >= 0xdc80 && code <= 0xdcff) return `\\x${(code - 0xdc00).toString(16)}`;
  if (code < 0x10000) return `\\u${code.toString(16).padStart(4, '0')}`;
  return `\\U${code.toString(16).padStart(8, '0')}`;
}

/** `text` in double quotes, escaped as a Go string literal. */
export function quoteString(text: string): string {
  if (/^[ !#-[\]-~]*$/.test(text)) return `"${text}"`;
  let out = '"';
  for (const char of text) out += escapeChar(char, '"');
  return `${out}"`;
}

/** One character in single quotes as `%q` prints a rune; the replacement character for the end of input (`''`). */
export function quoteRune(char: string): string {
  return `'${escapeChar(char === '' ? '\ufffd' : char, "'")}'`;
}

/** `U+0041 'A'` as `%#U` prints a rune; without the character where it is not printable. */
export function describeRune(char: string): string {
  const code = `U+${char.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}`;
  return isPrintable(char) ? `${code} '${char}'` : code;
}

const SIMPLE: Readonly<Record<string, number>> = { a: 7, b: 8, f: 12, n: 10, r: 13, t: 9, v: 11, '\\': 92, '"': 34, "'": 39 };
const decoder = new TextDecoder('utf-8', { ignoreBOM: true, fatal: true });

/** Text of UTF-8 bytes; a byte b outside of any valid sequence becomes the lone surrogate U+DC00 + b, so that nothing is lost. */
function decodeBytes(bytes: Uint8Array): string {
  let text = '';
  for (let i = 0; i < bytes.length; ) {
    const lead = bytes[i]!;
    const length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    try {
      text += decoder.decode(bytes.subarray(i, i + length));
      i += length;
    } catch {
      text += String.fromCharCode(0xdc00 + lead);
      i++;
    }
  }
  return text;
}

/**
 * The value of a string literal the lexer accepted, quotes included. `\x` and octal escapes give bytes; where they form no UTF-8 the value holds lone
 * surrogates (`isWellFormed()` is false), as no JavaScript string can hold the bytes themselves.
 * @param literal `"…"`, `'…'` or a raw string in backticks
 */
export function unquoteLiteral(literal: string): string {
  const body = literal.slice(1, -1);
  if (literal.startsWith('`') || !body.includes('\\')) return body;
  if (!/\\[x0-7]/.test(body)) {
    return body.replace(/\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))/gsu, (_all, short?: string, long?: string, char?: string) => {
      if (char !== undefined) return String.fromCharCode(SIMPLE[char] ?? char.charCodeAt(0));
      return String.fromCodePoint(Number.parseInt((short ?? long)!, 16));
    });
  }
  const bytes: number[] = [];
  for (let i = 0; i < body.length; ) {
    const char = String.fromCodePoint(body.codePointAt(i)!);
    if (char !== '\\') {
      for (const byte of utf8Encode(char)) bytes.push(byte);
      i += char.length;
      continue;
    }
    const kind = body[i + 1]!;
    if (kind === 'x') {
      bytes.push(Number.parseInt(body.slice(i + 2, i + 4), 16));
      i += 4;
    } else if (kind >= '0' && kind <= '7') {
      bytes.push(Number.parseInt(body.slice(i + 1, i + 4), 8));
      i += 4;
    } else if (kind === 'u' || kind === 'U') {
      const digits = kind === 'u' ? 4 : 8;
      const code = Number.parseInt(body.slice(i + 2, i + 2 + digits), 16);
      for (const byte of utf8Encode(String.fromCodePoint(code))) bytes.push(byte);
      i += 2 + digits;
    } else {
      bytes.push(SIMPLE[kind]!);
      i += 2;
    }
  }
  return decodeBytes(Uint8Array.from(bytes));
}
