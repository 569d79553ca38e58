/**
 * What an S3 request can be refused with: the wire codes of the S3 API, each with its HTTP status, and the XML body that
 * clients parse. Source: Amazon S3 API reference, "Error responses".
 */
import { escapeXml } from './xml.ts';

/** HTTP status of each error code this server answers with. */
export const S3_ERROR_STATUS = {
  AccessDenied: 403,
  AuthorizationHeaderMalformed: 400,
  BadDigest: 400,
  BucketAlreadyOwnedByYou: 409,
  BucketNotEmpty: 409,
  EntityTooSmall: 400,
  IncompleteBody: 400,
  InternalError: 500,
  InvalidAccessKeyId: 403,
  InvalidArgument: 400,
  InvalidBucketName: 400,
  InvalidChunkSizeError: 403,
  InvalidPart: 400,
  InvalidPartOrder: 400,
  InvalidRange: 416,
  InvalidRequest: 400,
  KeyTooLongError: 400,
  MalformedXML: 400,
  MethodNotAllowed: 405,
  MissingContentLength: 411,
  NoSuchBucket: 404,
  NoSuchKey: 404,
  NoSuchUpload: 404,
  NotImplemented: 501,
  PreconditionFailed: 412,
  RequestTimeTooSkewed: 403,
  SignatureDoesNotMatch: 403,
  SlowDown: 503,
  XAmzContentSHA256Mismatch: 400,
} as const;

/** An S3 error code, e.g. `NoSuchKey`. */
export type S3ErrorCode = keyof typeof S3_ERROR_STATUS;

/** A refused request. `code` is the S3 wire code and stable. */
export class S3ServerError extends Error {
  readonly code: S3ErrorCode;
  readonly status: number;
  /** Further elements of the XML body, e.g. `{ Key: 'a/b' }`. */
  readonly details: Readonly<Record<string, string>>;

  constructor(code: S3ErrorCode, message: string, details: Readonly<Record<string, string>> = {}) {
    super(message);
    this.name = 'S3ServerError';
    this.code = code;
    this.status = S3_ERROR_STATUS[code];
    this.details = details;
  }
}

/** The XML document of an error answer. */
export function encodeErrorXml(code: string, message: string, resource: string, requestId: string, details: Readonly<Record<string, string>>): string {
  let extra = '';
  for (const [name, value] of Object.entries(details)) extra += `<${name}>${escapeXml(value)}</${name}>`;
  return `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${escapeXml(code)}</Code><Message>${escapeXml(message)}</Message>${extra}` +
    `<Resource>${escapeXml(resource)}</Resource><RequestId>${requestId}</RequestId></Error>`;
}
