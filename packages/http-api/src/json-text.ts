/**
 * JSON text as Go writes it: some characters are escaped that JSON.stringify leaves alone, and the other way round. Clients do not care, but answers
 * can then be compared byte by byte. Source: Go encoding/json and jsoniter (behaviour).
 */

const NEEDS_ESCAPE = /["\\\p{Cc}\p{Surrogate}]/u;
const DIFFERENT = /\\.|[<>&\u2028\u2029]/g;

/** Lone surrogates have no UTF-8 form; they become the replacement character. */
function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, '\ufffd');
}

function unicodeEscape(char: string): string {
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** Go has no short form for backspace and form feed. */
function withoutShortForms(json: string): string {
  return json.includes('\\') ? json.replace(/\\./g, (pair) => (pair === '\\b' ? '\\u0008' : pair === '\\f' ? '\\u000c' : pair)) : json;
}

/** A label name or value in quotes: `<`, `>` and `&` stay as they are. */
export function labelText(text: string): string {
  return NEEDS_ESCAPE.test(text) ? withoutShortForms(JSON.stringify(wellFormed(text))) : `"${text}"`;
}

/** Any JSON data, with `<`, `>`, `&` and the line separators of Unicode escaped. Undefined members are left out. */
export function jsonText(data: unknown): string {
  const json = JSON.stringify(data, (_key, value: unknown) => (typeof value === 'string' ? wellFormed(value) : value));
  return json.replace(DIFFERENT, (found) => (found.length === 1 ? unicodeEscape(found) : found === '\\b' ? '\\u0008' : found === '\\f' ? '\\u000c' : found));
}

/** Labels as an object, in their own order. */
export function labelsText(labels: readonly string[]): string {
  let text = '{';
  for (let i = 0; i < labels.length; i += 2) text += `${i === 0 ? '' : ','}${labelText(labels[i]!)}:${labelText(labels[i + 1]!)}`;
  return `${text}}`;
}
