/**
 * Strings quoted as Go's strconv.Quote does: Prometheus prints label values, matchers and error texts so, and people search for those texts.
 *
 *   printable stays · \a \b \f \n \r \t \v \\ \" · other control characters `\x01` · unprintable `\uffff` and \U0010ffff
 */

const NEEDS_ESCAPE = /["\\]|[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/u;
const ESCAPABLE = /["\\]|[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu;

const NAMED: ReadonlyMap<string, string> = new Map([
  ['"', '\\"'],
  ['\\', '\\\\'],
  ['\x07', '\\a'],
  ['\b', '\\b'],
  ['\f', '\\f'],
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\t', '\\t'],
  ['\v', '\\v'],
]);

/** The text in double quotes, with Go's escapes. */
export function quoteGo(text: string): string {
  return NEEDS_ESCAPE.test(text) ? `"${text.replace(ESCAPABLE, escapeOne)}"` : `"${text}"`;
}

function escapeOne(character: string): string {
  const named = NAMED.get(character);
  if (named !== undefined) return named;
  const code = character.codePointAt(0)!;
  if (code < 0x20 || code === 0x7f) return `\\x${code.toString(16).padStart(2, '0')}`;
  // A lone surrogate has no UTF-8 form; what reaches Go is the replacement character, which it prints as it is.
  if (code >= 0xd800 && code <= 0xdfff) return '\ufffd';
  return code < 0x10000 ? `\\u${code.toString(16).padStart(4, '0')}` : `\\U${code.toString(16).padStart(8, '0')}`;
}
