/**
 * One request, taken apart: bucket, key and query from the target, and the API name that logs, ledger and fault rules use.
 * Buckets come path-style, as `/bucket/key`. Source: Amazon S3 API reference, "Actions".
 */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';

import { S3ServerError } from './errors.ts';
import { decodePath, parseQuery } from './sigv4.ts';

const KEY_BYTES_MAX = 1024;

/** A parsed request. */
export interface S3Request {
  readonly method: string;
  readonly rawPath: string;
  readonly rawQuery: string;
  readonly headers: IncomingHttpHeaders;
  /** '' for the service itself. */
  readonly bucket: string;
  /** '' for the bucket itself. */
  readonly key: string;
  readonly query: ReadonlyMap<string, string>;
  readonly operation: string;
  /** The raw body; read through aws-chunked.ts only. */
  readonly body: AsyncIterable<Uint8Array>;
}

/** Sub-resources this server knows it does not have: named in the refusal instead of being ignored. */
const REFUSED_SUBRESOURCES = [
  'accelerate', 'acl', 'analytics', 'attributes', 'cors', 'encryption', 'intelligent-tiering', 'inventory', 'legal-hold', 'lifecycle', 'logging',
  'metrics', 'notification', 'object-lock', 'ownershipControls', 'policy', 'policyStatus', 'publicAccessBlock', 'replication', 'requestPayment',
  'restore', 'retention', 'select', 'tagging', 'torrent', 'versionId', 'versions', 'website',
] as const;

function nameOperation(method: string, bucket: string, key: string, query: ReadonlyMap<string, string>, headers: IncomingHttpHeaders): string {
  if (bucket === '') return method === 'GET' ? 'ListBuckets' : '';
  if (key === '') {
    switch (method) {
      case 'PUT': return 'CreateBucket';
      case 'HEAD': return 'HeadBucket';
      case 'DELETE': return 'DeleteBucket';
      case 'POST': return query.has('delete') ? 'DeleteObjects' : '';
      case 'GET':
        if (query.has('location')) return 'GetBucketLocation';
        if (query.has('versioning')) return 'GetBucketVersioning';
        if (query.has('uploads')) return 'ListMultipartUploads';
        return query.get('list-type') === '2' ? 'ListObjectsV2' : 'ListObjects';
      default: return '';
    }
  }
  switch (method) {
    case 'GET': return query.has('uploadId') ? 'ListParts' : 'GetObject';
    case 'HEAD': return 'HeadObject';
    case 'DELETE': return query.has('uploadId') ? 'AbortMultipartUpload' : 'DeleteObject';
    case 'POST': return query.has('uploads') ? 'CreateMultipartUpload' : query.has('uploadId') ? 'CompleteMultipartUpload' : '';
    case 'PUT': {
      const isCopy = headers['x-amz-copy-source'] !== undefined;
      if (query.has('uploadId')) return isCopy ? 'UploadPartCopy' : 'UploadPart';
      return isCopy ? 'CopyObject' : 'PutObject';
    }
    default: return '';
  }
}

/**
 * Takes a request apart.
 * @throws S3ServerError InvalidRequest, KeyTooLongError, MethodNotAllowed, NotImplemented
 */
export function parseS3Request(message: IncomingMessage): S3Request {
  const target = message.url ?? '/';
  const mark = target.indexOf('?');
  const rawPath = mark < 0 ? target : target.slice(0, mark);
  const rawQuery = mark < 0 ? '' : target.slice(mark + 1);
  const method = message.method ?? 'GET';
  const path = decodePath(rawPath);
  const slash = path.indexOf('/', 1);
  const bucket = slash < 0 ? path.slice(1) : path.slice(1, slash);
  const key = slash < 0 ? '' : path.slice(slash + 1);
  if (Buffer.byteLength(key) > KEY_BYTES_MAX) throw new S3ServerError('KeyTooLongError', 'Your key is too long', { Size: String(Buffer.byteLength(key)), MaxSizeAllowed: String(KEY_BYTES_MAX) });
  const query = new Map(parseQuery(rawQuery));
  const refused = REFUSED_SUBRESOURCES.find((name) => query.has(name));
  if (refused !== undefined) throw new S3ServerError('NotImplemented', `answer ${method} ?${refused}: this server has no ${refused}`);
  const operation = nameOperation(method, bucket, key, query, message.headers);
  if (operation === '') throw new S3ServerError('MethodNotAllowed', `answer ${method} ${rawPath}: no S3 operation has this form`);
  return { method, rawPath, rawQuery, headers: message.headers, bucket, key, query, operation, body: message.iterator({ destroyOnReturn: false }) };
}
