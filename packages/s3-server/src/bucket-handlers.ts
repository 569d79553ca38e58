/** Buckets: create, head, delete, location, listings (v1 and v2), and the batch delete. */
import { readBody } from './aws-chunked.ts';
import type { BodyDigest } from './aws-chunked.ts';
import { S3ServerError } from './errors.ts';
import { isBucketName } from './key-path.ts';
import type { HandlerContext } from './object-handlers.ts';
import type { ListEntry } from './object-store.ts';
import { S3_XMLNS, xmlAnswer } from './s3-answer.ts';
import type { S3Answer } from './s3-answer.ts';
import type { S3Request } from './s3-request.ts';
import { encodeRfc3986 } from './sigv4.ts';
import { childText, escapeXml, parseXml } from './xml.ts';
import type { XmlElement } from './xml.ts';

const PAGE_KEYS_MAX = 1000;
const XML_BYTES_MAX = 2 * 1024 * 1024;

/** Reads a small XML request body whole. @throws S3ServerError MalformedXML */
export async function readXmlBody(context: HandlerContext, request: S3Request, rootName: string): Promise<XmlElement> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  const digest: BodyDigest = { size: 0, md5Hex: '', checksums: {} };
  for await (const piece of readBody(request.body, request.headers, context.signature, digest)) {
    size += piece.byteLength;
    if (size > XML_BYTES_MAX) throw new S3ServerError('MalformedXML', `read ${rootName} document: longer than ${XML_BYTES_MAX} bytes`);
    pieces.push(Uint8Array.from(piece));
  }
  const root = parseXml(Buffer.concat(pieces).toString('utf8'));
  if (root?.name !== rootName) throw new S3ServerError('MalformedXML', `read ${rootName} document: the XML you provided was not well-formed or did not validate`);
  return root;
}

/** GET of the service: all buckets. */
export async function listBuckets(context: HandlerContext): Promise<S3Answer> {
  const buckets = await context.store.listBuckets();
  const lines = buckets.map((b) => `<Bucket><Name>${escapeXml(b.name)}</Name><CreationDate>${new Date(b.createdMs).toISOString()}</CreationDate></Bucket>`).join('');
  return xmlAnswer(`<ListAllMyBucketsResult ${S3_XMLNS}><Owner><ID>gauntlet</ID></Owner><Buckets>${lines}</Buckets></ListAllMyBucketsResult>`);
}

/** PUT of a bucket. */
export async function createBucket(context: HandlerContext, request: S3Request): Promise<S3Answer> {
  const { bucket } = request;
  if (!isBucketName(bucket)) throw new S3ServerError('InvalidBucketName', 'The specified bucket is not valid.', { BucketName: bucket });
  if (!(await context.store.createBucket(bucket))) throw new S3ServerError('BucketAlreadyOwnedByYou', 'Your previous request to create the named bucket succeeded and you already own it.', { BucketName: bucket });
  return { status: 200, headers: { location: `/${bucket}` } };
}

/** DELETE of a bucket. */
export async function deleteBucket(context: HandlerContext, request: S3Request): Promise<S3Answer> {
  if (!(await context.store.deleteBucket(request.bucket))) throw new S3ServerError('BucketNotEmpty', 'The bucket you tried to delete is not empty', { BucketName: request.bucket });
  return { status: 204, headers: {} };
}

interface Page {
  readonly entries: readonly ListEntry[];
  readonly isTruncated: boolean;
}

async function readPage(context: HandlerContext, request: S3Request, after: string, max: number): Promise<Page> {
  const query = { prefix: request.query.get('prefix') ?? '', delimiter: request.query.get('delimiter') ?? '', after };
  const entries: ListEntry[] = [];
  if (max === 0) return { entries, isTruncated: false };
  for await (const entry of context.store.list(request.bucket, query)) {
    if (entries.length === max) return { entries, isTruncated: true };
    entries.push(entry);
  }
  return { entries, isTruncated: false };
}

function pageSize(request: S3Request): number {
  const text = request.query.get('max-keys') ?? String(PAGE_KEYS_MAX);
  const n = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(n)) throw new S3ServerError('InvalidArgument', `list ${request.bucket}: max-keys ${JSON.stringify(text)} is not an integer in 0..2147483647`);
  return Math.min(n, PAGE_KEYS_MAX);
}

function keyEncoder(request: S3Request): (key: string) => string {
  const type = request.query.get('encoding-type');
  if (type === undefined || type === '') return escapeXml;
  if (type !== 'url') throw new S3ServerError('InvalidArgument', `list ${request.bucket}: encoding-type ${type}, only url is known`);
  return (key) => key.split('/').map(encodeRfc3986).join('/');
}

function encodeEntries(entries: readonly ListEntry[], encode: (key: string) => string): string {
  let xml = '';
  for (const e of entries) {
    if (e.kind !== 'object') continue;
    xml += `<Contents><Key>${encode(e.key)}</Key><LastModified>${new Date(e.info.lastModifiedMs).toISOString()}</LastModified>` +
      `<ETag>&quot;${e.info.etag}&quot;</ETag><Size>${e.info.size}</Size><StorageClass>STANDARD</StorageClass></Contents>`;
  }
  for (const e of entries) if (e.kind === 'prefix') xml += `<CommonPrefixes><Prefix>${encode(e.key)}</Prefix></CommonPrefixes>`;
  return xml;
}

/** GET of a bucket with list-type=2. Continuation tokens are the last entry, base64. */
export async function listObjectsV2(context: HandlerContext, request: S3Request): Promise<S3Answer> {
  const max = pageSize(request);
  const encode = keyEncoder(request);
  const token = request.query.get('continuation-token');
  const after = token === undefined ? (request.query.get('start-after') ?? '') : Buffer.from(token, 'base64url').toString('utf8');
  if (token !== undefined && (token === '' || Buffer.from(after, 'utf8').toString('base64url') !== token)) throw new S3ServerError('InvalidArgument', 'The continuation token provided is incorrect');
  const { entries, isTruncated } = await readPage(context, request, after, max);
  const last = entries[entries.length - 1];
  return xmlAnswer(`<ListBucketResult ${S3_XMLNS}><Name>${escapeXml(request.bucket)}</Name><Prefix>${encode(request.query.get('prefix') ?? '')}</Prefix>` +
    (request.query.has('delimiter') ? `<Delimiter>${encode(request.query.get('delimiter')!)}</Delimiter>` : '') +
    (request.query.has('start-after') ? `<StartAfter>${encode(request.query.get('start-after')!)}</StartAfter>` : '') +
    (token === undefined ? '' : `<ContinuationToken>${escapeXml(token)}</ContinuationToken>`) +
    (isTruncated && last !== undefined ? `<NextContinuationToken>${Buffer.from(last.key, 'utf8').toString('base64url')}</NextContinuationToken>` : '') +
    (request.query.get('encoding-type') === 'url' ? '<EncodingType>url</EncodingType>' : '') +
    `<KeyCount>${entries.length}</KeyCount><MaxKeys>${max}</MaxKeys><IsTruncated>${isTruncated}</IsTruncated>${encodeEntries(entries, encode)}</ListBucketResult>`);
}

/** GET of a bucket, version 1: pages go by marker. */
export async function listObjectsV1(context: HandlerContext, request: S3Request): Promise<S3Answer> {
  const max = pageSize(request);
  const encode = keyEncoder(request);
  const marker = request.query.get('marker') ?? '';
  const { entries, isTruncated } = await readPage(context, request, marker, max);
  const last = entries[entries.length - 1];
  return xmlAnswer(`<ListBucketResult ${S3_XMLNS}><Name>${escapeXml(request.bucket)}</Name><Prefix>${encode(request.query.get('prefix') ?? '')}</Prefix><Marker>${encode(marker)}</Marker>` +
    (isTruncated && last !== undefined ? `<NextMarker>${encode(last.key)}</NextMarker>` : '') +
    (request.query.has('delimiter') ? `<Delimiter>${encode(request.query.get('delimiter')!)}</Delimiter>` : '') +
    (request.query.get('encoding-type') === 'url' ? '<EncodingType>url</EncodingType>' : '') +
    `<MaxKeys>${max}</MaxKeys><IsTruncated>${isTruncated}</IsTruncated>${encodeEntries(entries, encode)}</ListBucketResult>`);
}

/** POST ?delete: up to 1000 keys at once; missing ones count as deleted. */
export async function deleteObjects(context: HandlerContext, request: S3Request): Promise<S3Answer> {
  const root = await readXmlBody(context, request, 'Delete');
  const keys = root.children.filter((c) => c.name === 'Object').map((c) => childText(c, 'Key'));
  if (keys.length === 0 || keys.length > PAGE_KEYS_MAX || keys.some((k) => k === undefined || k === '')) {
    throw new S3ServerError('MalformedXML', `delete objects: ${keys.length} keys, want 1 to ${PAGE_KEYS_MAX}, each with a Key`);
  }
  const isQuiet = childText(root, 'Quiet') === 'true';
  let xml = '';
  for (const key of keys as string[]) {
    await context.locks.run(`${request.bucket}/${key}`, () => context.store.delete(request.bucket, key));
    if (!isQuiet) xml += `<Deleted><Key>${escapeXml(key)}</Key></Deleted>`;
  }
  return xmlAnswer(`<DeleteResult ${S3_XMLNS}>${xml}</DeleteResult>`);
}
