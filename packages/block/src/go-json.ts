/**
 * JSON as Go's encoding/json writes it, so that files are byte-equal: keys in the order given (Maps included), `<`, `>`, `&`,
 * U+2028 and U+2029 escaped, tabs or nothing between.
 */

/** What can be written. A Map keeps its order, also for keys that look like integers. */
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | ReadonlyMap<string, JsonValue> | { readonly [key: string]: JsonValue | undefined };

function quote(text: string): string {
  return JSON.stringify(text.replace(/\p{Cs}/gu, '\uFFFD')).replace(/[<>&\u2028\u2029]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

function isMap(value: JsonValue): value is ReadonlyMap<string, JsonValue> {
  return value instanceof Map;
}

function isList(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value);
}

/**
 * Encodes a value. Undefined members are left out.
 * @param indent `'\t'` for one member per line, `''` for compact
 * @param depth nesting the text will stand at
 */
export function encodeGoJson(value: JsonValue, indent: '\t' | '', depth: number = 0): string {
  if (typeof value === 'string') return quote(value);
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  const isArray = isList(value);
  const parts: string[] = [];
  if (isArray) for (const item of value) parts.push(encodeGoJson(item, indent, depth + 1));
  else {
    const entries: Iterable<readonly [string, JsonValue | undefined]> = isMap(value) ? value : Object.entries(value);
    for (const [key, member] of entries) {
      if (member !== undefined) parts.push(`${quote(key)}:${indent === '' ? '' : ' '}${encodeGoJson(member, indent, depth + 1)}`);
    }
  }
  const [open, close] = isArray ? '[]' : '{}';
  if (parts.length === 0) return `${open!}${close!}`;
  if (indent === '') return `${open!}${parts.join(',')}${close!}`;
  const inner = `\n${indent.repeat(depth + 1)}`;
  return `${open!}${inner}${parts.join(`,${inner}`)}\n${indent.repeat(depth)}${close!}`;
}
