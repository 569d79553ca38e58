/**
 * Conditional requests and byte ranges. Source: RFC 9110 sections 13 and 14; Amazon S3 user guide, "Conditional requests"
 * (writes take `If-None-Match: *` and `If-Match: <etag>` only).
 */
import type { IncomingHttpHeaders } from 'node:http';

import { S3ServerError } from './errors.ts';
import type { ObjectInfo } from './object-store.ts';

function etagMatches(header: string, etag: string): boolean {
  return header.split(',').some((part) => {
    const text = part.trim().replace(/^W\//, '').replace(/^"|"$/g, '');
    return text === '*' || text === etag;
  });
}

/**
 * Checks the conditions of a write against what is stored.
 * @throws S3ServerError PreconditionFailed; NoSuchKey for If-Match on a missing object; NotImplemented for other forms
 */
export function checkWriteConditions(headers: IncomingHttpHeaders, stored: ObjectInfo | undefined, key: string): void {
  const noneMatch = headers['if-none-match'];
  const match = headers['if-match'];
  if (noneMatch !== undefined) {
    if (noneMatch.trim() !== '*') throw new S3ServerError('NotImplemented', `write ${key}: If-None-Match takes only *, got ${noneMatch}`);
    if (stored !== undefined) throw new S3ServerError('PreconditionFailed', 'At least one of the pre-conditions you specified did not hold', { Condition: 'If-None-Match' });
  }
  if (match !== undefined) {
    if (stored === undefined) throw new S3ServerError('NoSuchKey', 'The specified key does not exist.', { Key: key });
    if (!etagMatches(match, stored.etag)) throw new S3ServerError('PreconditionFailed', 'At least one of the pre-conditions you specified did not hold', { Condition: 'If-Match' });
  }
}

/**
 * Checks the conditions of a read.
 * @returns true if the answer is 304 Not Modified
 * @throws S3ServerError PreconditionFailed
 */
export function checkReadConditions(headers: IncomingHttpHeaders, info: ObjectInfo): boolean {
  const failed = (condition: string): S3ServerError => new S3ServerError('PreconditionFailed', 'At least one of the pre-conditions you specified did not hold', { Condition: condition });
  const modifiedSeconds = Math.trunc(info.lastModifiedMs / 1000);
  const match = headers['if-match'];
  if (match !== undefined) {
    if (!etagMatches(match, info.etag)) throw failed('If-Match');
  } else if (headers['if-unmodified-since'] !== undefined && modifiedSeconds > Date.parse(headers['if-unmodified-since']) / 1000) {
    throw failed('If-Unmodified-Since');
  }
  const noneMatch = headers['if-none-match'];
  if (noneMatch !== undefined) return etagMatches(noneMatch, info.etag);
  return headers['if-modified-since'] !== undefined && modifiedSeconds <= Date.parse(headers['if-modified-since']) / 1000;
}

/**
 * Reads a Range header: `bytes=a-b`, `bytes=a-`, `bytes=-n`; ends past the object are clamped.
 * @returns undefined for no range, or one this server answers in full (another unit, several ranges), as RFC 9110 allows
 * @throws S3ServerError InvalidRange if it starts past the end or is an empty suffix
 */
export function parseRange(header: string | undefined, size: number): { readonly start: number; readonly end: number } | undefined {
  const m = /^bytes=(\d*)-(\d*)$/.exec(header ?? '');
  if (m === null || (m[1] === '' && m[2] === '')) return undefined;
  const refuse = (): S3ServerError => new S3ServerError('InvalidRange', 'The requested range is not satisfiable', { ActualObjectSize: String(size), RangeRequested: String(header) });
  if (m[1] === '') {
    const suffix = Number(m[2]);
    if (suffix === 0 || size === 0) throw refuse();
    return { start: Math.max(0, size - suffix), end: size };
  }
  const start = Number(m[1]);
  const last = m[2] === '' ? Infinity : Number(m[2]);
  if (last < start) return undefined;
  if (start >= size) throw refuse();
  return { start, end: Math.min(size, last + 1) };
}
