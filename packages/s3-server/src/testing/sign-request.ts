/**
 * The signing side of SigV4, small and separate from the verifier, for raw-protocol tests: header signatures and aws-chunked
 * bodies in all their forms.
 */
import { createHash, createHmac } from 'node:crypto';

/** A request to sign. Header names lower-case; `host` must be among them. */
export interface SignableRequest {
  readonly method: string;
  /** Path and query, percent-encoded. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Value of x-amz-content-sha256. */
  readonly payloadHash: string;
  readonly accessKey: string;
  readonly secretKey: string;
  readonly region?: string;
  /** Milliseconds since 1970. */
  readonly nowMs: number;
}

const sha256 = (data: string | Uint8Array): string => createHash('sha256').update(data).digest('hex');
const hmac = (key: string | Uint8Array, data: string): Buffer => createHmac('sha256', key).update(data).digest();

function signingKey(secretKey: string, day: string, region: string): Buffer {
  return hmac(hmac(hmac(hmac(`AWS4${secretKey}`, day), region), 's3'), 'aws4_request');
}

/** Headers of a signed request, Authorization included, and what chunk signatures chain on. */
export function signHeaders(request: SignableRequest): { headers: Record<string, string>; signature: string; amzDate: string; scope: string } {
  const amzDate = new Date(request.nowMs).toISOString().replace(/[-:]|\.\d{3}/g, '');
  const day = amzDate.slice(0, 8);
  const region = request.region ?? 'us-east-1';
  const headers: Record<string, string> = { ...request.headers, 'x-amz-date': amzDate, 'x-amz-content-sha256': request.payloadHash };
  const names = Object.keys(headers).sort();
  const [path, query = ''] = request.target.split('?');
  const canonicalQuery = query.split('&').filter((p) => p !== '').map((p) => (p.includes('=') ? p : `${p}=`)).sort().join('&');
  const canonical = `${request.method}\n${path!}\n${canonicalQuery}\n${names.map((n) => `${n}:${headers[n]!.trim()}\n`).join('')}\n${names.join(';')}\n${request.payloadHash}`;
  const scope = `${day}/${region}/s3/aws4_request`;
  const signature = hmac(signingKey(request.secretKey, day, region), `AWS4-HMAC-SHA256\n${amzDate}\n${scope}\n${sha256(canonical)}`).toString('hex');
  headers['authorization'] = `AWS4-HMAC-SHA256 Credential=${request.accessKey}/${scope}, SignedHeaders=${names.join(';')}, Signature=${signature}`;
  return { headers, signature, amzDate, scope };
}

/** How to frame a body as aws-chunked. */
export interface ChunkBodyOptions {
  readonly chunkBytes: number;
  /** Present: chunks (and the trailer) are signed. */
  readonly signed?: { readonly secretKey: string; readonly signature: string; readonly amzDate: string; readonly scope: string; readonly region?: string };
  /** Trailer lines, e.g. `x-amz-checksum-crc32` → base64. */
  readonly trailers?: Readonly<Record<string, string>>;
}

/** Frames a body as aws-chunked. */
export function chunkBody(body: Uint8Array, options: ChunkBodyOptions): Buffer {
  const { signed, trailers } = options;
  const key = signed === undefined ? undefined : signingKey(signed.secretKey, signed.scope.slice(0, 8), signed.scope.split('/')[1]!);
  let previous = signed?.signature ?? '';
  const out: Uint8Array[] = [];
  for (let at = 0; ; at += options.chunkBytes) {
    const chunk = body.subarray(at, Math.min(body.length, at + options.chunkBytes));
    let head = chunk.length.toString(16);
    if (key !== undefined) {
      previous = hmac(key, `AWS4-HMAC-SHA256-PAYLOAD\n${signed!.amzDate}\n${signed!.scope}\n${previous}\n${sha256('')}\n${sha256(chunk)}`).toString('hex');
      head += `;chunk-signature=${previous}`;
    }
    out.push(Buffer.from(`${head}\r\n`), chunk);
    if (chunk.length === 0) break;
    out.push(Buffer.from('\r\n'));
  }
  let lines = '';
  for (const [name, value] of Object.entries(trailers ?? {})) lines += `${name}:${value}\r\n`;
  if (key !== undefined && lines !== '') {
    lines += `x-amz-trailer-signature:${hmac(key, `AWS4-HMAC-SHA256-TRAILER\n${signed!.amzDate}\n${signed!.scope}\n${previous}\n${sha256(lines.replaceAll('\r\n', '\n'))}`).toString('hex')}\r\n`;
  }
  out.push(Buffer.from(`${lines}\r\n`));
  return Buffer.concat(out);
}
