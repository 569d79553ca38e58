/**
 * Strings as UTF-8 bytes, and the byte order of strings.
 *
 * Prometheus orders labels and symbols by bytes. JavaScript's `<` compares UTF-16 units, which differs where a surrogate pair
 * (U+10000 and up, lead unit D800–DBFF) meets a unit E000–FFFF: bytes put the pair last, units put it first.
 */

const encoder = new TextEncoder();
// ignoreBOM keeps a leading U+FEFF, which is data here.
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** UTF-8 bytes of a string, freshly allocated; lone surrogates become U+FFFD. */
export function utf8Encode(text: string): Uint8Array {
  return encoder.encode(text);
}

/**
 * Writes the UTF-8 bytes of `text` at `offset`.
 * @returns bytes written; fewer than the whole text when `target` has no room (three bytes per UTF-16 unit always suffice)
 */
export function utf8EncodeInto(text: string, target: Uint8Array, offset: number): number {
  const length = text.length;
  if (length <= 32 && offset + length <= target.length) {
    let i = 0;
    for (; i < length; i++) {
      const unit = text.charCodeAt(i);
      if (unit > 0x7f) break;
      target[offset + i] = unit;
    }
    if (i === length) return length;
  }
  return encoder.encodeInto(text, target.subarray(offset)).written;
}

/** The string in `bytes[start, end)`; invalid sequences become U+FFFD, a byte order mark stays. */
export function utf8Decode(bytes: Uint8Array, start: number = 0, end: number = bytes.length): string {
  // Labels are short and ASCII; crossing into TextDecoder costs more than 24 concatenations.
  if (end - start <= 24) {
    let text = '';
    let i = start;
    for (; i < end; i++) {
      const byte = bytes[i]!;
      if (byte > 0x7f) break;
      text += String.fromCharCode(byte);
    }
    if (i >= end) return text;
  }
  return decoder.decode(bytes.subarray(start, end));
}

/** Length of `utf8Encode(text)` without making it. */
export function utf8Length(text: string): number {
  let bytes = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) bytes += 1;
    else if (unit < 0x800) bytes += 2;
    else if (unit >= 0xd800 && unit < 0xdc00 && i + 1 < text.length && (text.charCodeAt(i + 1) & 0xfc00) === 0xdc00) {
      bytes += 4;
      i++;
    } else bytes += 3;
  }
  return bytes;
}

/** Orders two well-formed strings by their UTF-8 bytes: negative, 0 or positive. */
export function compareUtf8(a: string, b: string): number {
  if (a === b) return 0;
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return x >= 0xd800 && y >= 0xd800 ? surrogatesLast(x) - surrogatesLast(y) : x - y;
  }
  return a.length - b.length;
}

function surrogatesLast(unit: number): number {
  return unit >= 0xe000 ? unit - 0x800 : unit + 0x2000;
}

/** Orders two byte strings: negative, 0 or positive. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) {
    const difference = a[i]! - b[i]!;
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}
