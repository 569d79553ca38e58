/**
 * Request bodies: what the client claims about them (length, SHA-256, MD5, checksums, chunk signatures) is checked while they
 * stream through. The aws-chunked framing:
 *
 *   <hex size>[;chunk-signature=<64 hex>] CRLF <bytes> CRLF      repeated
 *   0[;chunk-signature=…] CRLF
 *   [name:value CRLF …] [x-amz-trailer-signature:<64 hex> CRLF] CRLF
 *
 * Each chunk signature covers the one before it, the first covers the request's own. Source: Amazon S3 API reference,
 * "Signature calculations for the Authorization header: transferring payload in multiple chunks".
 */
import { createHash, createHmac } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

import { checksumAlgorithmOf, startChecksum } from './checksums.ts';
import type { ChecksumAlgorithm, RunningChecksum } from './checksums.ts';
import { S3ServerError } from './errors.ts';
import { equalDigest, hmacSha256, sha256Hex } from './sigv4.ts';
import type { VerifiedSignature } from './sigv4.ts';

const CHUNK_BYTES_MAX = 64 * 1024 * 1024;
const LINE_BYTES_MAX = 16 * 1024;
const EMPTY_SHA256 = sha256Hex('');
const CRLF = Buffer.from('\r\n');

/** What a body turned out to be, known once it has been read to its end. */
export interface BodyDigest {
  /** Decoded length in bytes. */
  size: number;
  md5Hex: string;
  /** Verified checksum to keep with the object: header name → base64. */
  checksums: Record<string, string>;
}

/** Takes whole lines and exact byte counts from a stream of arbitrary pieces. */
class PieceReader {
  #source: AsyncIterator<Uint8Array>;
  #pending: Buffer = Buffer.alloc(0);
  #ended = false;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  async #more(): Promise<boolean> {
    if (this.#ended) return false;
    const next = await this.#source.next();
    if (next.done === true) {
      this.#ended = true;
      return false;
    }
    this.#pending = this.#pending.length === 0 ? Buffer.from(next.value.buffer, next.value.byteOffset, next.value.byteLength) : Buffer.concat([this.#pending, next.value]);
    return true;
  }

  /** The next line without its CRLF. */
  async line(): Promise<string> {
    for (;;) {
      const at = this.#pending.indexOf(CRLF);
      if (at >= 0) {
        const text = this.#pending.toString('latin1', 0, at);
        this.#pending = this.#pending.subarray(at + 2);
        return text;
      }
      if (this.#pending.length > LINE_BYTES_MAX) throw new S3ServerError('InvalidRequest', `decode aws-chunked body: line longer than ${LINE_BYTES_MAX} bytes`);
      if (!(await this.#more())) throw new S3ServerError('IncompleteBody', 'decode aws-chunked body: the stream ended inside a chunk header');
    }
  }

  /** Yields exactly `length` bytes in pieces as they come. */
  async *take(length: number): AsyncGenerator<Buffer> {
    let left = length;
    while (left > 0) {
      if (this.#pending.length === 0 && !(await this.#more())) throw new S3ServerError('IncompleteBody', `decode aws-chunked body: ${left} of ${length} chunk bytes missing`);
      const piece = this.#pending.subarray(0, left);
      this.#pending = this.#pending.subarray(piece.length);
      left -= piece.length;
      if (piece.length > 0) yield piece;
    }
  }

  /** True once nothing is left to read. */
  async atEnd(): Promise<boolean> {
    while (this.#pending.length === 0) if (!(await this.#more())) return true;
    return false;
  }
}

async function* decodeChunks(source: AsyncIterable<Uint8Array>, signed: VerifiedSignature | undefined, trailers: Map<string, string>): AsyncGenerator<Buffer> {
  const reader = new PieceReader(source);
  let previous = signed?.signature ?? '';
  for (;;) {
    const header = await reader.line();
    const m = /^([0-9a-fA-F]{1,8})(?:;chunk-signature=([0-9a-f]{64}))?$/.exec(header);
    if (m === null) throw new S3ServerError('InvalidRequest', `decode aws-chunked body: ${JSON.stringify(header.slice(0, 80))} is no chunk header`);
    const size = Number.parseInt(m[1]!, 16);
    if (size > CHUNK_BYTES_MAX) throw new S3ServerError('InvalidChunkSizeError', `decode aws-chunked body: chunk of ${size} bytes, at most ${CHUNK_BYTES_MAX} allowed`);
    if (signed !== undefined && m[2] === undefined) throw new S3ServerError('AccessDenied', 'decode aws-chunked body: chunk without signature');
    const hash = createHash('sha256');
    for await (const piece of reader.take(size)) {
      hash.update(piece);
      yield piece;
    }
    if (signed !== undefined) {
      const toSign = `AWS4-HMAC-SHA256-PAYLOAD\n${signed.amzDate}\n${signed.scope}\n${previous}\n${EMPTY_SHA256}\n${hash.digest('hex')}`;
      const wanted = createHmac('sha256', signed.signingKey).update(toSign).digest('hex');
      if (!equalDigest(wanted, m[2]!)) throw new S3ServerError('SignatureDoesNotMatch', 'decode aws-chunked body: a chunk signature does not match its bytes');
      previous = wanted;
    }
    if (size === 0) break;
    if ((await reader.line()) !== '') throw new S3ServerError('InvalidRequest', 'decode aws-chunked body: chunk bytes are not followed by CRLF');
  }
  let signedText = '';
  let trailerSignature: string | undefined;
  while (!(await reader.atEnd())) {
    const line = await reader.line();
    if (line === '') break;
    const colon = line.indexOf(':');
    const name = line.slice(0, colon).trim().toLowerCase();
    const value = line.slice(colon + 1).trim();
    if (name === 'x-amz-trailer-signature') trailerSignature = value;
    else {
      trailers.set(name, value);
      signedText += `${name}:${value}\n`;
    }
  }
  if (signed !== undefined && trailers.size > 0) {
    const toSign = `AWS4-HMAC-SHA256-TRAILER\n${signed.amzDate}\n${signed.scope}\n${previous}\n${sha256Hex(signedText)}`;
    if (trailerSignature === undefined || !equalDigest(hmacSha256(signed.signingKey, toSign).toString('hex'), trailerSignature)) {
      throw new S3ServerError('SignatureDoesNotMatch', 'decode aws-chunked body: the trailer signature does not match');
    }
  }
}

function claimedChecksums(headers: IncomingHttpHeaders): Map<ChecksumAlgorithm, { running: RunningChecksum; wanted: string | undefined }> {
  const claims = new Map<ChecksumAlgorithm, { running: RunningChecksum; wanted: string | undefined }>();
  for (const [name, value] of Object.entries(headers)) {
    const algorithm = checksumAlgorithmOf(name);
    if (algorithm !== undefined) claims.set(algorithm, { running: startChecksum(algorithm), wanted: String(value) });
  }
  for (const name of String(headers['x-amz-trailer'] ?? '').split(',')) {
    const algorithm = checksumAlgorithmOf(name.trim().toLowerCase());
    if (algorithm !== undefined) claims.set(algorithm, { running: startChecksum(algorithm), wanted: undefined });
  }
  return claims;
}

/**
 * Streams the decoded body of a request and checks every claim about it; `digest` is filled when the iteration has ended.
 * @throws S3ServerError BadDigest, XAmzContentSHA256Mismatch, IncompleteBody, SignatureDoesNotMatch, InvalidRequest: at the
 *   end of the body at the latest, so a consumer commits nothing before the iteration is complete
 */
export async function* readBody(source: AsyncIterable<Uint8Array>, headers: IncomingHttpHeaders, signature: VerifiedSignature | undefined, digest: BodyDigest): AsyncGenerator<Uint8Array> {
  const payloadHash = signature?.payloadHash ?? String(headers['x-amz-content-sha256'] ?? 'UNSIGNED-PAYLOAD');
  const isChunked = payloadHash.startsWith('STREAMING-');
  const trailers = new Map<string, string>();
  const claims = claimedChecksums(headers);
  const md5 = createHash('md5');
  const sha256 = /^[0-9a-f]{64}$/.test(payloadHash) ? createHash('sha256') : undefined;
  if (sha256 === undefined && !isChunked && payloadHash !== 'UNSIGNED-PAYLOAD') {
    throw new S3ServerError('InvalidArgument', `read body: x-amz-content-sha256 ${JSON.stringify(payloadHash)} is neither a SHA-256 nor a known keyword`);
  }
  const pieces = isChunked ? decodeChunks(source, payloadHash.startsWith('STREAMING-AWS4-HMAC-SHA256') ? signature : undefined, trailers) : source;
  let size = 0;
  for await (const piece of pieces) {
    size += piece.byteLength;
    md5.update(piece);
    sha256?.update(piece);
    for (const claim of claims.values()) claim.running.update(piece);
    yield piece;
  }
  const declared = isChunked ? headers['x-amz-decoded-content-length'] : headers['content-length'];
  if (declared !== undefined && Number(declared) !== size) throw new S3ServerError('IncompleteBody', `read body: ${size} bytes came, ${String(declared)} were announced`);
  if (sha256 !== undefined && sha256.digest('hex') !== payloadHash) throw new S3ServerError('XAmzContentSHA256Mismatch', "The provided 'x-amz-content-sha256' header does not match what was computed.");
  const md5Digest = md5.digest();
  const wantedMd5 = headers['content-md5'];
  if (wantedMd5 !== undefined && wantedMd5 !== md5Digest.toString('base64')) throw new S3ServerError('BadDigest', 'The Content-MD5 you specified did not match what we received.');
  for (const [algorithm, claim] of claims) {
    const name = `x-amz-checksum-${algorithm}`;
    const wanted = claim.wanted ?? trailers.get(name);
    const got = claim.running.digest();
    if (wanted !== got) throw new S3ServerError('BadDigest', `The ${algorithm} you specified did not match the calculated checksum: got ${got}, wanted ${String(wanted)}`);
    digest.checksums[name] = got;
  }
  digest.size = size;
  digest.md5Hex = md5Digest.toString('hex');
}
