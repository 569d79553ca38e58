/** The three forms of an upload body, as one stream or as whole bytes. */
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';

import type { UploadBody } from './bucket.ts';

/** Size in bytes where it is known before reading. */
export async function bodySize(body: UploadBody): Promise<number | undefined> {
  if (body instanceof Uint8Array) return body.length;
  return 'path' in body ? (await stat(body.path)).size : undefined;
}

/** The body as pieces. */
export function bodyPieces(body: UploadBody): AsyncIterable<Uint8Array> {
  if (body instanceof Uint8Array) return (async function* one() { yield body; })();
  return 'path' in body ? (createReadStream(body.path, { highWaterMark: 1024 * 1024 }) as AsyncIterable<Uint8Array>) : body;
}

/** The body as one array. */
export async function bodyBytes(body: UploadBody): Promise<Uint8Array> {
  if (body instanceof Uint8Array) return body;
  if ('path' in body) return readFile(body.path);
  const pieces: Uint8Array[] = [];
  for await (const piece of body) pieces.push(Uint8Array.from(piece));
  return Buffer.concat(pieces);
}

/** The body cut into parts of exactly `partBytes`, the last one shorter; one empty part for an empty body. */
export async function* bodyParts(body: UploadBody, partBytes: number): AsyncGenerator<Uint8Array> {
  let held: Uint8Array[] = [];
  let size = 0;
  let isEmpty = true;
  for await (const whole of bodyPieces(body)) {
    let piece = whole;
    while (size + piece.length >= partBytes) {
      const head = piece.subarray(0, partBytes - size);
      yield Buffer.concat([...held, head]);
      isEmpty = false;
      held = [];
      size = 0;
      piece = piece.subarray(head.length);
    }
    if (piece.length > 0) {
      held.push(Uint8Array.from(piece));
      size += piece.length;
    }
  }
  if (size > 0 || isEmpty) yield Buffer.concat(held);
}
