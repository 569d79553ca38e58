/** What a handler answers: status, headers, and a body that is either whole or streamed. */

/** One answer. A streamed body is released through `close` however the sending ends. */
export interface S3Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | { readonly length: number; readonly pieces: AsyncIterable<Uint8Array>; close(): Promise<void> };
}

/** An XML answer; `inner` is the document without the declaration. */
export function xmlAnswer(inner: string, status = 200): S3Answer {
  return { status, headers: { 'content-type': 'application/xml' }, body: Buffer.from(`<?xml version="1.0" encoding="UTF-8"?>\n${inner}`) };
}

/** The XML namespace attribute of S3 documents. */
export const S3_XMLNS = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"';
