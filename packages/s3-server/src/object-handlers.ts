/** Single objects: PUT, GET, HEAD, DELETE, copy. The context carries what all handlers share. */
import { checkReadConditions, checkWriteConditions, parseRange } from './conditions.ts';
import { readBody } from './aws-chunked.ts';
import type { BodyDigest } from './aws-chunked.ts';
import { S3ServerError } from './errors.ts';
import type { KeyedLock } from './keyed-lock.ts';
import type { ObjectInfo, ObjectStore, OpenObject, StagedBytes } from './object-store.ts';
import { S3_XMLNS, xmlAnswer } from './s3-answer.ts';
import type { S3Answer } from './s3-answer.ts';
import type { S3Request } from './s3-request.ts';
import { parseQuery } from './sigv4.ts';
import type { VerifiedSignature } from './sigv4.ts';

/** What handlers work with. */
export interface HandlerContext {
  readonly store: ObjectStore;
  readonly locks: KeyedLock;
  readonly clock: () => number;
  readonly signature: VerifiedSignature | undefined;
  /** False: conditions of writes are ignored. */
  readonly hasConditionalWrites: boolean;
}

const KEPT_HEADERS = ['cache-control', 'content-disposition', 'content-encoding', 'content-language', 'expires', 'x-amz-storage-class'] as const;
const OVERRIDES = ['cache-control', 'content-disposition', 'content-encoding', 'content-language', 'content-type', 'expires'] as const;

/** Metadata headers of a write, as they are kept with the object. */
export function keptHeaders(request: S3Request): Record<string, string> {
  const kept: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const [name, value] of Object.entries(request.headers)) {
    if (name.startsWith('x-amz-meta-') || (KEPT_HEADERS as readonly string[]).includes(name)) kept[name] = String(value);
  }
  if (kept['content-encoding'] !== undefined) {
    const rest = kept['content-encoding'].split(',').map((e) => e.trim()).filter((e) => e !== 'aws-chunked' && e !== '');
    if (rest.length === 0) delete kept['content-encoding'];
    else kept['content-encoding'] = rest.join(',');
  }
  return kept;
}

/** Streams a request body into staged bytes, checking what was claimed about it. The caller commits or discards. */
export async function stageBody(context: HandlerContext, request: S3Request): Promise<{ staged: StagedBytes; digest: BodyDigest }> {
  const staged = await context.store.stage();
  const digest: BodyDigest = { size: 0, md5Hex: '', checksums: {} };
  try {
    for await (const piece of readBody(request.body, request.headers, context.signature, digest)) await staged.write(piece);
    await staged.finish();
    return { staged, digest };
  } catch (error) {
    await staged.discard();
    throw error;
  }
}

/** Gives staged bytes their key under the write conditions of the request; discards them if those fail. */
export async function commitUnderConditions(context: HandlerContext, request: S3Request, staged: StagedBytes, info: Omit<ObjectInfo, 'size'>): Promise<void> {
  const { bucket, key } = request;
  try {
    await context.locks.run(`${bucket}/${key}`, async () => {
      if (!(await context.store.hasBucket(bucket))) throw new S3ServerError('NoSuchBucket', 'The specified bucket does not exist', { BucketName: bucket });
      if (context.hasConditionalWrites && (request.headers['if-match'] !== undefined || request.headers['if-none-match'] !== undefined)) {
        const stored = await context.store.open(bucket, key);
        await stored?.close();
        checkWriteConditions(request.headers, stored?.info, key);
      }
      await staged.commit(bucket, key, info);
    });
  } catch (error) {
    await staged.discard();
    throw error;
  }
}

/** PUT of one object. */
export async function putObject(context: HandlerContext, request: S3Request): Promise<S3Answer> {
  if (request.headers['content-length'] === undefined && request.headers['x-amz-decoded-content-length'] === undefined) {
    throw new S3ServerError('MissingContentLength', 'You must provide the Content-Length HTTP header.');
  }
  const { staged, digest } = await stageBody(context, request);
  await commitUnderConditions(context, request, staged, {
    etag: digest.md5Hex,
    lastModifiedMs: context.clock(),
    contentType: request.headers['content-type'] ?? 'binary/octet-stream',
    headers: { ...keptHeaders(request), ...digest.checksums },
  });
  return { status: 200, headers: { etag: `"${digest.md5Hex}"`, ...digest.checksums } };
}

async function openOrThrow(context: HandlerContext, bucket: string, key: string): Promise<OpenObject> {
  const opened = await context.store.open(bucket, key);
  if (opened === undefined) throw new S3ServerError('NoSuchKey', 'The specified key does not exist.', { Key: key });
  return opened;
}

/** GET and HEAD of one object, with ranges and conditions. */
export async function readObject(context: HandlerContext, request: S3Request): Promise<S3Answer> {
  const opened = await openOrThrow(context, request.bucket, request.key);
  try {
    const { info } = opened;
    const range = parseRange(request.headers.range, info.size);
    const headers: Record<string, string> = {
      etag: `"${info.etag}"`,
      'last-modified': new Date(info.lastModifiedMs).toUTCString(),
      'accept-ranges': 'bytes',
      'content-type': info.contentType,
    };
    for (const [name, value] of Object.entries(info.headers)) {
      if (!name.startsWith('x-amz-checksum-') || (range === undefined && request.headers['x-amz-checksum-mode'] === 'ENABLED')) headers[name] = value;
    }
    for (const name of OVERRIDES) {
      const value = request.query.get(`response-${name}`);
      if (value !== undefined) headers[name] = value;
    }
    if (checkReadConditions(request.headers, info)) {
      await opened.close();
      return { status: 304, headers };
    }
    const start = range?.start ?? 0;
    const end = range?.end ?? info.size;
    if (range !== undefined) headers['content-range'] = `bytes ${start}-${end - 1}/${info.size}`;
    const body = { length: end - start, pieces: opened.read(start, end), close: () => opened.close() };
    return { status: range === undefined ? 200 : 206, headers, body };
  } catch (error) {
    await opened.close();
    throw error;
  }
}

/** DELETE of one object: succeeds whether or not it is there, unless If-Match asks otherwise. */
export async function deleteObject(context: HandlerContext, request: S3Request): Promise<S3Answer> {
  const { bucket, key } = request;
  await context.locks.run(`${bucket}/${key}`, async () => {
    if (request.headers['if-match'] !== undefined) {
      const stored = await context.store.open(bucket, key);
      await stored?.close();
      checkWriteConditions({ 'if-match': request.headers['if-match'] }, stored?.info, key);
    }
    await context.store.delete(bucket, key);
  });
  return { status: 204, headers: {} };
}

/** Opens the object named by x-amz-copy-source. */
export async function openCopySource(context: HandlerContext, request: S3Request): Promise<OpenObject> {
  const raw = String(request.headers['x-amz-copy-source']);
  const path = parseQuery(`source=${(raw.startsWith('/') ? raw.slice(1) : raw).replaceAll('&', '%26')}`)[0]![1];
  const slash = path.indexOf('/');
  if (slash <= 0 || slash === path.length - 1) throw new S3ServerError('InvalidArgument', `copy: source ${JSON.stringify(raw)} is not bucket/key`);
  const bucket = path.slice(0, slash);
  if (!(await context.store.hasBucket(bucket))) throw new S3ServerError('NoSuchBucket', 'The specified bucket does not exist', { BucketName: bucket });
  return openOrThrow(context, bucket, path.slice(slash + 1));
}

/** PUT with x-amz-copy-source. */
export async function copyObject(context: HandlerContext, request: S3Request): Promise<S3Answer> {
  const source = await openCopySource(context, request);
  let info: ObjectInfo;
  let staged: StagedBytes;
  try {
    info = source.info;
    staged = await context.store.stage();
    try {
      for await (const piece of source.read(0, info.size)) await staged.write(piece);
      await staged.finish();
    } catch (error) {
      await staged.discard();
      throw error;
    }
  } finally {
    await source.close();
  }
  const isReplaced = request.headers['x-amz-metadata-directive'] === 'REPLACE';
  const lastModifiedMs = context.clock();
  await commitUnderConditions(context, request, staged, {
    etag: info.etag,
    lastModifiedMs,
    contentType: isReplaced ? (request.headers['content-type'] ?? 'binary/octet-stream') : info.contentType,
    headers: isReplaced ? keptHeaders(request) : info.headers,
  });
  return xmlAnswer(`<CopyObjectResult ${S3_XMLNS}><LastModified>${new Date(lastModifiedMs).toISOString()}</LastModified><ETag>&quot;${info.etag}&quot;</ETag></CopyObjectResult>`);
}
