/**
 * AWS Signature Version 4, the verifying side: header and presigned-URL authentication.
 *
 *   canonical request = method \n path \n query \n headers \n signed header names \n payload hash
 *   string to sign    = AWS4-HMAC-SHA256 \n date \n scope \n sha256(canonical request)
 *   signing key       = HMAC chain: AWS4+secret → yyyymmdd → region → service → aws4_request
 *
 * Source: AWS General Reference, "Signature Version 4 signing process"; for bodies see aws-chunked.ts.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

import { S3ServerError } from './errors.ts';

/** One access key the server knows. */
export interface S3Credentials {
  readonly accessKey: string;
  readonly secretKey: string;
  /** When set, requests must carry it as `x-amz-security-token`. */
  readonly sessionToken?: string;
}

/** What of a request is signed. `rawPath` and `rawQuery` are as they came over the wire, without `?`. */
export interface SignedRequest {
  readonly method: string;
  readonly rawPath: string;
  readonly rawQuery: string;
  readonly headers: IncomingHttpHeaders;
}

/** A verified signature: what signed bodies chain on. */
export interface VerifiedSignature {
  readonly accessKey: string;
  readonly signature: string;
  readonly signingKey: Buffer;
  /** `yyyymmddThhmmssZ` */
  readonly amzDate: string;
  /** `yyyymmdd/region/s3/aws4_request` */
  readonly scope: string;
  /** Value of x-amz-content-sha256, or UNSIGNED-PAYLOAD for presigned requests. */
  readonly payloadHash: string;
}

const ALGORITHM = 'AWS4-HMAC-SHA256';
const SKEW_MAX_MS = 15 * 60 * 1000;

/** Lower-case hex SHA-256. */
export function sha256Hex(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}

/** HMAC-SHA-256. */
export function hmacSha256(key: string | Uint8Array, data: string): Buffer {
  return createHmac('sha256', key).update(data, 'utf8').digest();
}

/** RFC 3986 encoding of one path segment or query component, as SigV4 wants it. */
export function encodeRfc3986(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

function decodeComponent(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new S3ServerError('InvalidRequest', `decode request target: malformed percent-encoding in ${JSON.stringify(text)}`);
  }
}

/** Splits a raw query string into decoded pairs, in wire order. `+` stays a plus, as in SigV4. */
export function parseQuery(rawQuery: string): [string, string][] {
  const pairs: [string, string][] = [];
  if (rawQuery === '') return pairs;
  for (const part of rawQuery.split('&')) {
    if (part === '') continue;
    const eq = part.indexOf('=');
    pairs.push(eq < 0 ? [decodeComponent(part), ''] : [decodeComponent(part.slice(0, eq)), decodeComponent(part.slice(eq + 1))]);
  }
  return pairs;
}

/** The path's decoded form; `/` separates, each segment was percent-encoded once. */
export function decodePath(rawPath: string): string {
  return rawPath.split('/').map(decodeComponent).join('/');
}

function canonicalRequest(request: SignedRequest, signedHeaders: readonly string[], payloadHash: string, skipQuery: string | undefined): string {
  const path = decodePath(request.rawPath).split('/').map(encodeRfc3986).join('/');
  const query = parseQuery(request.rawQuery)
    .filter(([name]) => name !== skipQuery)
    .map(([name, value]) => [encodeRfc3986(name), encodeRfc3986(value)] as const)
    .sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : a[1] < b[1] ? -1 : a[1] > b[1] ? 1 : 0))
    .map(([name, value]) => `${name}=${value}`)
    .join('&');
  let headers = '';
  for (const name of signedHeaders) {
    const value = request.headers[name];
    if (value === undefined) throw new S3ServerError('AccessDenied', `verify signature: signed header ${name} is not in the request`);
    headers += `${name}:${(Array.isArray(value) ? value.join(',') : value).trim().replace(/ +/g, ' ')}\n`;
  }
  return `${request.method}\n${path}\n${query}\n${headers}\n${signedHeaders.join(';')}\n${payloadHash}`;
}

/** Derives the key that signs one day, region and service. */
export function deriveSigningKey(secretKey: string, day: string, region: string, service: string): Buffer {
  return hmacSha256(hmacSha256(hmacSha256(hmacSha256(`AWS4${secretKey}`, day), region), service), 'aws4_request');
}

/** Compares two hex digests without leaking where they differ. */
export function equalDigest(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
}

function parseAmzDate(amzDate: string): number {
  const m = /^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})Z$/.exec(amzDate);
  if (m === null) throw new S3ServerError('AccessDenied', `verify signature: date ${JSON.stringify(amzDate)} is not yyyymmddThhmmssZ`);
  return Date.parse(`${m[1]}-${m[2]}-${m[3]}T${m[4]}:${m[5]}:${m[6]}Z`);
}

interface Claim {
  readonly credential: string;
  readonly signedHeaders: readonly string[];
  readonly signature: string;
  readonly amzDate: string;
  readonly payloadHash: string;
  readonly skipQuery: string | undefined;
  readonly token: string | undefined;
  readonly expiresSeconds: number | undefined;
}

function readHeaderClaim(request: SignedRequest, authorization: string): Claim {
  const fields = new Map<string, string>();
  for (const part of authorization.slice(ALGORITHM.length).split(',')) {
    const eq = part.indexOf('=');
    if (eq > 0) fields.set(part.slice(0, eq).trim(), part.slice(eq + 1).trim());
  }
  const credential = fields.get('Credential');
  const signedHeaders = fields.get('SignedHeaders');
  const signature = fields.get('Signature');
  if (credential === undefined || signedHeaders === undefined || signature === undefined) {
    throw new S3ServerError('AuthorizationHeaderMalformed', 'verify signature: Authorization needs Credential, SignedHeaders and Signature');
  }
  const payloadHash = request.headers['x-amz-content-sha256'];
  if (typeof payloadHash !== 'string') throw new S3ServerError('InvalidRequest', 'verify signature: header x-amz-content-sha256 is missing');
  const token = request.headers['x-amz-security-token'];
  return {
    credential, signature, payloadHash,
    signedHeaders: signedHeaders.split(';'),
    amzDate: String(request.headers['x-amz-date'] ?? ''),
    skipQuery: undefined,
    token: typeof token === 'string' ? token : undefined,
    expiresSeconds: undefined,
  };
}

function readQueryClaim(query: ReadonlyMap<string, string>): Claim {
  const need = (name: string): string => {
    const value = query.get(name);
    if (value === undefined) throw new S3ServerError('AccessDenied', `verify signature: query parameter ${name} is missing`);
    return value;
  };
  if (need('X-Amz-Algorithm') !== ALGORITHM) throw new S3ServerError('InvalidArgument', `verify signature: algorithm ${need('X-Amz-Algorithm')}, want ${ALGORITHM}`);
  const expiresSeconds = Number(need('X-Amz-Expires'));
  if (!(expiresSeconds >= 1 && expiresSeconds <= 604800)) throw new S3ServerError('InvalidArgument', `verify signature: X-Amz-Expires ${need('X-Amz-Expires')} not in 1..604800`);
  return {
    credential: need('X-Amz-Credential'),
    signature: need('X-Amz-Signature'),
    signedHeaders: need('X-Amz-SignedHeaders').split(';'),
    amzDate: need('X-Amz-Date'),
    payloadHash: query.get('X-Amz-Content-Sha256') ?? 'UNSIGNED-PAYLOAD',
    skipQuery: 'X-Amz-Signature',
    token: query.get('X-Amz-Security-Token'),
    expiresSeconds,
  };
}

/**
 * Verifies who sent a request.
 * @param nowMs clock of the server; header dates may be 15 minutes off, presigned ones must not be expired
 * @throws S3ServerError AccessDenied (no signature), InvalidAccessKeyId, SignatureDoesNotMatch, RequestTimeTooSkewed,
 *   AuthorizationHeaderMalformed
 */
export function verifySignature(request: SignedRequest, credentials: readonly S3Credentials[], nowMs: number): VerifiedSignature {
  const authorization = request.headers.authorization;
  let claim: Claim;
  if (authorization !== undefined) {
    if (!authorization.startsWith(`${ALGORITHM} `)) {
      throw new S3ServerError('InvalidRequest', `verify signature: the authorization mechanism you have provided is not supported, use ${ALGORITHM}`);
    }
    claim = readHeaderClaim(request, authorization);
  } else {
    const query = new Map(parseQuery(request.rawQuery));
    if (!query.has('X-Amz-Signature')) throw new S3ServerError('AccessDenied', 'Access Denied');
    claim = readQueryClaim(query);
  }
  const scopeParts = claim.credential.split('/');
  const [day, region, service, terminal] = scopeParts.slice(-4);
  const accessKey = scopeParts.slice(0, -4).join('/');
  if (accessKey === '' || terminal !== 'aws4_request' || service !== 's3' || !claim.amzDate.startsWith(day!)) {
    throw new S3ServerError('AuthorizationHeaderMalformed', `verify signature: credential scope ${claim.credential} is not key/day/region/s3/aws4_request of ${claim.amzDate}`);
  }
  const known = credentials.find((c) => c.accessKey === accessKey);
  if (known === undefined) throw new S3ServerError('InvalidAccessKeyId', 'The AWS Access Key Id you provided does not exist in our records.', { AWSAccessKeyId: accessKey });
  if (known.sessionToken !== undefined && known.sessionToken !== claim.token) throw new S3ServerError('AccessDenied', 'verify signature: the security token is missing or wrong');
  const sentMs = parseAmzDate(claim.amzDate);
  if (claim.expiresSeconds !== undefined) {
    if (nowMs > sentMs + claim.expiresSeconds * 1000) throw new S3ServerError('AccessDenied', 'Request has expired');
  } else if (Math.abs(nowMs - sentMs) > SKEW_MAX_MS) {
    throw new S3ServerError('RequestTimeTooSkewed', 'The difference between the request time and the current time is too large.');
  }
  const scope = `${day}/${region}/${service}/aws4_request`;
  const signingKey = deriveSigningKey(known.secretKey, day!, region!, service);
  const canonical = canonicalRequest(request, claim.signedHeaders, claim.payloadHash, claim.skipQuery);
  const toSign = `${ALGORITHM}\n${claim.amzDate}\n${scope}\n${sha256Hex(canonical)}`;
  const wanted = createHmac('sha256', signingKey).update(toSign).digest('hex');
  if (!equalDigest(wanted, claim.signature)) {
    throw new S3ServerError('SignatureDoesNotMatch', 'The request signature we calculated does not match the signature you provided. Check your key and signing method.', {
      AWSAccessKeyId: accessKey, StringToSign: toSign, SignatureProvided: claim.signature, CanonicalRequest: canonical,
    });
  }
  return { accessKey, signature: claim.signature, signingKey, amzDate: claim.amzDate, scope, payloadHash: claim.payloadHash };
}
