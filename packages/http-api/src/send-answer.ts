/**
 * From answers to sockets: headers, compression, back-pressure.
 * Source: Thanos pkg/api/api.go, SetCORS and GetInstr.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { once } from 'node:events';
import { createGzip } from 'node:zlib';
import type { ApiAnswer } from './api-answer.ts';
import type { ApiStyle } from './error-type.ts';

/** Headers that let pages of other sites ask. */
export const CORS_HEADERS: ReadonlyMap<string, string> = new Map([
  ['Access-Control-Allow-Headers', 'Accept, Accept-Encoding, Authorization, Content-Type, Origin'],
  ['Access-Control-Allow-Methods', 'GET, POST, OPTIONS'],
  ['Access-Control-Allow-Origin', '*'],
  ['Access-Control-Expose-Headers', 'Date'],
]);

/** Smaller answers are not worth compressing, bytes. */
const GZIP_BYTES_MIN = 1024;

/** True if the client takes gzip; `gzip;q=0` means it does not. */
export function acceptsGzip(acceptEncoding: string | undefined): boolean {
  return (acceptEncoding ?? '').split(',').some((part) => /^\s*(gzip|\*)\s*(;\s*q\s*=\s*(0*\.0*[1-9]\d*|[1-9]\d*(\.\d*)?)\s*)?$/i.test(part));
}

/** Sets the CORS headers. */
export function setCors(response: ServerResponse): void {
  for (const [name, value] of CORS_HEADERS) response.setHeader(name, value);
}

/** Sets them as Prometheus does: only where an origin is named, which is repeated. */
export function setCorsForOrigin(response: ServerResponse, origin: string | undefined): void {
  if (origin === undefined) return;
  setCors(response);
  response.setHeader('Access-Control-Allow-Headers', 'Accept, Authorization, Content-Type, Origin');
  response.setHeader('Access-Control-Allow-Origin', origin);
}

/** Plain text as Go's http.Error sends it. */
export function sendText(response: ServerResponse, status: number, text: string): void {
  response.statusCode = status;
  response.setHeader('Content-Type', 'text/plain; charset=utf-8');
  response.setHeader('X-Content-Type-Options', 'nosniff');
  response.end(`${text}\n`);
}

async function* prefixed(first: Uint8Array, second: Uint8Array, rest: AsyncIterator<Uint8Array> | Iterator<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield first;
    yield second;
    for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value;
  } finally {
    await rest.return?.();
  }
}

/**
 * Sends an answer and resolves when it is written, or when the client went away; the body's iteration is ended in either case.
 * A body that throws after its beginning was sent cuts the connection, so that the client does not take the part for the whole.
 */
export async function sendAnswer(request: IncomingMessage, response: ServerResponse, answer: ApiAnswer, style: ApiStyle = 'thanos'): Promise<void> {
  const pieces = Symbol.asyncIterator in answer.body ? answer.body[Symbol.asyncIterator]() : answer.body[Symbol.iterator]();
  const first = await pieces.next();
  const second = first.done === true ? first : await pieces.next();
  response.statusCode = answer.status;
  response.setHeader('Content-Type', 'application/json');
  response.setHeader('Vary', style === 'prometheus' ? 'Accept-Encoding, Origin' : 'Accept-Encoding');
  if (answer.noStore && style === 'thanos') response.setHeader('Cache-Control', 'no-store');
  if (first.done === true) {
    response.end();
    return;
  }
  const isSmall = second.done === true && first.value.length < GZIP_BYTES_MIN;
  const isZipped = !isSmall && acceptsGzip(request.headers['accept-encoding']);
  if (second.done === true && !isZipped) {
    response.setHeader('Content-Length', first.value.length);
    response.end(first.value);
    return;
  }
  const source = second.done === true ? [first.value] : prefixed(first.value, second.value, pieces);
  const sink = isZipped ? createGzip({ level: 1 }) : response;
  if (isZipped) {
    response.setHeader('Content-Encoding', 'gzip');
    sink.pipe(response);
  }
  const gone = once(response, 'close');
  try {
    for await (const piece of source) {
      if (response.destroyed) return;
      // Whichever comes first: room again, or nobody left to write for.
      if (!sink.write(piece)) await Promise.race([once(sink, 'drain'), gone]);
    }
    if (!response.destroyed) sink.end();
  } catch (error) {
    response.destroy(error as Error);
  }
}
