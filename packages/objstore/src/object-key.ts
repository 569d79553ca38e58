/** Names of objects and directories, checked and brought into one form. */
import { ObjstoreError } from './errors.ts';

/**
 * Checks the name of an object: not empty, no leading or trailing `/`, no empty, `.` or `..` segment, no NUL.
 * @throws ObjstoreError ERR_OBJECT_KEY
 */
export function checkKey(operation: string, key: string, bucket: string): void {
  if (key !== '' && !key.includes('\u0000') && !/\p{Cs}/u.test(key) && key.split('/').every((s) => s !== '' && s !== '.' && s !== '..')) return;
  throw new ObjstoreError('ERR_OBJECT_KEY', `${operation} ${JSON.stringify(key)} in bucket ${bucket}: not an object name`);
}

/** A directory as a prefix: `''` or ending with one `/`. @throws ObjstoreError ERR_OBJECT_KEY */
export function directoryPrefix(dir: string, bucket: string): string {
  const bare = dir.endsWith('/') ? dir.slice(0, -1) : dir;
  if (bare === '') return '';
  checkKey('iter', bare, bucket);
  return `${bare}/`;
}

/** Throws the reason of an aborted signal. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw signal.reason;
}
