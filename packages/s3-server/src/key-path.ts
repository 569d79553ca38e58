/**
 * Keys as file paths. Ordinary keys keep their look (`01HV…/chunks/000001` is that path), and no key can leave its bucket's
 * folder or meet another key's file:
 *
 *   segment "", ".", ".."        →  %empty, %2E, %2E%2E
 *   % \ and control characters   →  %XX
 *   more than 200 bytes          →  pieces, all but the last in a folder named <piece>%+
 *   object `a` beside `a/b`      →  file a%o beside folder a     (folder-store.ts moves it there when the folder appears)
 */
import { join } from 'node:path';

const NAME_BYTES_MAX = 200;
/** Ends the file name of an object whose key is also a folder. */
export const OBJECT_SUFFIX = '%o';
/** Ends the name of a folder that holds the rest of a long segment. */
export const CONTINUED_SUFFIX = '%+';

function encodeName(text: string): string {
  if (text === '') return '%empty';
  if (text === '.' || text === '..') return text.replaceAll('.', '%2E');
  // eslint-disable-next-line no-control-regex
  return text.replace(/[%\\\u0000-\u001f\u007f]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`);
}

/** Encodes one segment of a key as one or more path components. */
export function encodeSegment(segment: string): string[] {
  const whole = encodeName(segment);
  if (Buffer.byteLength(whole) <= NAME_BYTES_MAX) return [whole];
  const components: string[] = [];
  let piece = '';
  for (const c of segment) {
    if (Buffer.byteLength(encodeName(piece + c)) > NAME_BYTES_MAX) {
      components.push(encodeName(piece) + CONTINUED_SUFFIX);
      piece = '';
    }
    piece += c;
  }
  components.push(encodeName(piece));
  return components;
}

/**
 * Decodes a file or folder name without its suffix.
 * @returns undefined if no key has this name (a foreign file)
 */
export function decodeName(name: string): string | undefined {
  const text = name === '%empty' ? '' : name.replace(/%([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return encodeName(text) === name ? text : undefined;
}

/** Whether a bucket may have this name, by the rules of S3; such a name is one ordinary path component. */
export function isBucketName(name: string): boolean {
  return /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(name) && !name.includes('..');
}

/** Path of a key under its bucket's folder, without {@link OBJECT_SUFFIX}. */
export function keyPath(bucketPath: string, key: string): string {
  return join(bucketPath, ...key.split('/').flatMap(encodeSegment));
}

/** Folder that holds all keys beginning with `prefix`, which is empty or ends with `/`. */
export function prefixPath(bucketPath: string, prefix: string): string {
  return prefix === '' ? bucketPath : keyPath(bucketPath, prefix.slice(0, -1));
}
