/**
 * The S3 server: node:http in front of an ObjectStore. One request goes
 *
 *   parse target → ledger → fault script → verify signature → bucket there? → handler → answer (or XML error)
 *
 * Path-style addressing; any region in the signature's scope is accepted. Made for tests and offline use, but held to the
 * protocol: the AWS SDK and other clients run against it unchanged.
 */
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

import { createBucket, deleteBucket, deleteObjects, listBuckets, listObjectsV1, listObjectsV2 } from './bucket-handlers.ts';
import { S3ServerError, encodeErrorXml } from './errors.ts';
import { FaultScript } from './faults.ts';
import type { FaultAction, FaultRule } from './faults.ts';
import { createFolderStore } from './folder-store.ts';
import { KeyedLock } from './keyed-lock.ts';
import { RequestLedger } from './ledger.ts';
import type { LedgerEntry } from './ledger.ts';
import { createMemoryStore } from './memory-store.ts';
import { MultipartUploads, PART_BYTES_MIN } from './multipart-handlers.ts';
import { copyObject, deleteObject, putObject, readObject } from './object-handlers.ts';
import type { HandlerContext } from './object-handlers.ts';
import { S3_XMLNS, xmlAnswer } from './s3-answer.ts';
import type { S3Answer } from './s3-answer.ts';
import { parseS3Request } from './s3-request.ts';
import type { S3Request } from './s3-request.ts';
import { verifySignature } from './sigv4.ts';
import type { S3Credentials } from './sigv4.ts';

/** How a server is set up. */
export interface S3ServerOptions {
  /** Folder for the objects; absent: they live in memory. */
  readonly folder?: string;
  /** Buckets to create if they are not there. */
  readonly buckets?: readonly string[];
  /** Keys requests may be signed with. Empty: unsigned requests pass and nothing is verified. */
  readonly credentials?: readonly S3Credentials[];
  /** Rules to begin with; more through `faults.add`. */
  readonly faults?: readonly FaultRule[];
  /** False leaves out fsync on a folder. Default true. */
  readonly isDurable?: boolean;
  /** Smallest part but the last of a multipart upload, bytes. Default 5 MiB, as Amazon S3. */
  readonly partBytesMin?: number;
  /** False: If-Match and If-None-Match of writes are ignored, as by some stores. Default true. */
  readonly hasConditionalWrites?: boolean;
  /** Milliseconds since 1970. Default Date.now. */
  readonly clock?: () => number;
}

/** Where to listen. */
export interface S3ListenOptions {
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default 0: any free port. */
  readonly port?: number;
}

/** A server: set it up, `listen`, `close`. */
export interface S3Server {
  readonly faults: FaultScript;
  readonly ledger: RequestLedger;
  /** Opens the store, creates the buckets and starts accepting. @returns host, port and base URL */
  listen(options?: S3ListenOptions): Promise<{ readonly host: string; readonly port: number; readonly url: string }>;
  /** Stops accepting, breaks open connections, and ends. */
  close(): Promise<void>;
}

const FAULT_CODES: Readonly<Record<number, string>> = { 400: 'InvalidRequest', 403: 'AccessDenied', 404: 'NoSuchKey', 409: 'OperationAborted', 412: 'PreconditionFailed', 429: 'SlowDown', 500: 'InternalError', 503: 'SlowDown' };

function dispatch(context: HandlerContext, uploads: MultipartUploads, request: S3Request): Promise<S3Answer> | S3Answer {
  switch (request.operation) {
    case 'ListBuckets': return listBuckets(context);
    case 'CreateBucket': return createBucket(context, request);
    case 'HeadBucket': return { status: 200, headers: { 'x-amz-bucket-region': 'us-east-1' } };
    case 'DeleteBucket': return deleteBucket(context, request);
    case 'DeleteObjects': return deleteObjects(context, request);
    case 'GetBucketLocation': return xmlAnswer(`<LocationConstraint ${S3_XMLNS}></LocationConstraint>`);
    case 'GetBucketVersioning': return xmlAnswer(`<VersioningConfiguration ${S3_XMLNS}></VersioningConfiguration>`);
    case 'ListMultipartUploads': return uploads.listUploads(request);
    case 'ListObjects': return listObjectsV1(context, request);
    case 'ListObjectsV2': return listObjectsV2(context, request);
    case 'PutObject': return putObject(context, request);
    case 'CopyObject': return copyObject(context, request);
    case 'GetObject':
    case 'HeadObject': return readObject(context, request);
    case 'DeleteObject': return deleteObject(context, request);
    case 'CreateMultipartUpload': return uploads.create(context, request);
    case 'UploadPart': return uploads.uploadPart(context, request);
    case 'UploadPartCopy': return uploads.uploadPartCopy(context, request);
    case 'ListParts': return uploads.listParts(request);
    case 'CompleteMultipartUpload': return uploads.complete(context, request);
    case 'AbortMultipartUpload': return uploads.abort(request);
    default: throw new S3ServerError('NotImplemented', `answer ${request.operation}: not implemented`);
  }
}

function errorAnswer(error: unknown, resource: string, requestId: string): S3Answer {
  const known = error instanceof S3ServerError ? error : new S3ServerError('InternalError', error instanceof Error ? error.message : String(error));
  const body = encodeErrorXml(known.code, known.message, resource, requestId, known.details);
  const headers: Record<string, string> = { 'content-type': 'application/xml' };
  if (known.code === 'InvalidRange') headers['content-range'] = `bytes */${known.details['ActualObjectSize'] ?? ''}`;
  return { status: known.status, headers, body: Buffer.from(body) };
}

/** Writes an answer under a scripted cut, stall or truncation; resolves once it is sent or the connection is gone. */
async function sendAnswer(response: ServerResponse, answer: S3Answer, requestId: string, isHead: boolean, fault: FaultAction | undefined, entry: LedgerEntry): Promise<void> {
  const { body } = answer;
  const fullLength = body === undefined ? 0 : body instanceof Uint8Array ? body.length : body.length;
  const length = fault?.kind === 'truncate' ? Math.min(fullLength, fault.toBytes) : fullLength;
  const cutAt = fault?.kind === 'cut-body' || fault?.kind === 'stall-body' ? fault.afterBytes : Infinity;
  entry.status = answer.status;
  const headers: Record<string, string> = { ...answer.headers, 'x-amz-request-id': requestId, server: 'gauntlet-s3' };
  if (answer.status !== 204 && answer.status !== 304) headers['content-length'] = String(length);
  try {
    response.writeHead(answer.status, headers);
    if (!isHead && body !== undefined && answer.status !== 304) {
      let left = Math.min(length, cutAt);
      const pieces = body instanceof Uint8Array ? [body] : body.pieces;
      for await (const whole of pieces) {
        if (left === 0 || response.destroyed) break;
        const piece = whole.subarray(0, left);
        left -= piece.length;
        entry.responseBytes += piece.length;
        if (!response.write(piece)) await new Promise<void>((resolve) => { response.once('drain', resolve).once('close', resolve); });
      }
      if (cutAt < length) {
        // The bytes written so far must reach the client before the break.
        await new Promise<void>((resolve) => { response.write('', () => resolve()); });
        if (fault?.kind === 'stall-body' && !response.destroyed) await new Promise<void>((resolve) => { response.once('close', resolve); });
        response.destroy();
        return;
      }
    }
    if (!response.destroyed) await new Promise<void>((resolve) => { response.once('close', resolve).end(); });
  } finally {
    if (body !== undefined && !(body instanceof Uint8Array)) await body.close();
  }
}

/** Creates a server; nothing happens until `listen`. */
export function createS3Server(options: S3ServerOptions = {}): S3Server {
  const clock = options.clock ?? Date.now;
  const credentials = options.credentials ?? [];
  const faults = new FaultScript();
  for (const rule of options.faults ?? []) faults.add(rule);
  const ledger = new RequestLedger();
  const locks = new KeyedLock();
  const uploads = new MultipartUploads(options.partBytesMin ?? PART_BYTES_MIN);
  let store = createMemoryStore(clock);

  async function answerRequest(request: S3Request): Promise<S3Answer> {
    const signature = credentials.length === 0 ? undefined : verifySignature(request, credentials, clock());
    if (request.bucket !== '' && request.operation !== 'CreateBucket' && !(await store.hasBucket(request.bucket))) {
      throw new S3ServerError('NoSuchBucket', 'The specified bucket does not exist', { BucketName: request.bucket });
    }
    return dispatch({ store, locks, clock, signature, hasConditionalWrites: options.hasConditionalWrites ?? true }, uploads, request);
  }

  async function serve(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const requestId = randomBytes(8).toString('hex').toUpperCase();
    const isHead = message.method === 'HEAD';
    const resource = (message.url ?? '/').split('?')[0]!;
    let request: S3Request;
    try {
      request = parseS3Request(message);
    } catch (error) {
      const entry = ledger.open({ method: message.method ?? '', operation: '', bucket: '', key: resource, query: '', range: '' });
      message.resume();
      return sendAnswer(response, errorAnswer(error, resource, requestId), requestId, isHead, undefined, entry);
    }
    const entry = ledger.open({
      method: request.method, operation: request.operation, bucket: request.bucket, key: request.key,
      query: [...request.query].map(([n, v]) => `${n}=${v}`).join('&'), range: request.headers.range ?? '',
    });
    message.on('data', (piece: Buffer) => { entry.requestBytes += piece.length; }).pause();
    const { delayMs, action } = faults.decide(request);
    entry.fault = action?.kind ?? (delayMs > 0 ? 'latency' : '');
    if (delayMs > 0) await delay(delayMs);
    if (action?.kind === 'reset') return void message.socket.destroy();
    if (action?.kind === 'hang') return new Promise((resolve) => { response.once('close', resolve); });
    let answer: S3Answer;
    try {
      if (action?.kind === 'status') {
        message.resume();
        const code = action.code ?? FAULT_CODES[action.status] ?? 'InternalError';
        const headers: Record<string, string> = { 'content-type': 'application/xml' };
        if (action.retryAfterSeconds !== undefined) headers['retry-after'] = String(action.retryAfterSeconds);
        answer = { status: action.status, headers, body: Buffer.from(encodeErrorXml(code, 'scripted fault', resource, requestId, {})) };
      } else answer = await answerRequest(request);
    } catch (error) {
      answer = errorAnswer(error, resource, requestId);
      // What is left of the body is read and dropped, so that the client gets to see the answer.
      message.resume();
    }
    if (action?.kind === 'lose-answer') {
      if (answer.body !== undefined && !(answer.body instanceof Uint8Array)) await answer.body.close();
      return void message.socket.destroy();
    }
    return sendAnswer(response, answer, requestId, isHead, action, entry);
  }

  const server = createServer({ keepAliveTimeout: 60_000, requestTimeout: 0 }, (message, response) => {
    response.on('error', () => undefined);
    message.on('error', () => undefined);
    serve(message, response).catch(() => { response.destroy(); });
  });

  return {
    faults,
    ledger,
    listen: async (where = {}) => {
      if (options.folder !== undefined) store = await createFolderStore(options.folder, options.isDurable ?? true);
      for (const bucket of options.buckets ?? []) await store.createBucket(bucket);
      const host = where.host ?? '127.0.0.1';
      await new Promise<void>((resolve, reject) => { server.once('error', reject).listen(where.port ?? 0, host, resolve); });
      const { port } = server.address() as AddressInfo;
      return { host, port, url: `http://${host}:${port}` };
    },
    close: () => new Promise<void>((resolve, reject) => {
      server.close((error) => { if (error === undefined || (error as NodeJS.ErrnoException).code === 'ERR_SERVER_NOT_RUNNING') resolve(); else reject(error); });
      server.closeAllConnections();
    }),
  };
}
