/**
 * S3 and what speaks like it, through the AWS SDK. The SDK signs and parses; retries are ours, because a body cut in its middle
 * and a write whose answer was lost need more than sending again:
 *
 *   ranges        what has arrived is kept, the rest is asked for with If-Match on the ETag of the first answer
 *   cond. writes  412 after an unanswered attempt: if the object holds exactly our bytes, it was us
 *   multipart     NoSuchUpload after an unanswered complete: if the object has the ETag the parts give, it was us
 *
 * Stores that ignore If-None-Match exist. Before the first conditional write the object `gauntlet-conditional-write-probe` at the
 * root of the bucket is created twice; only a store that refuses the second time is trusted.
 */
import { createHash } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import type { Readable } from 'node:stream';

import {
  AbortMultipartUploadCommand, CompleteMultipartUploadCommand, CreateMultipartUploadCommand, DeleteObjectCommand, GetObjectCommand, HeadObjectCommand,
  ListObjectsCommand, ListObjectsV2Command, PutObjectCommand, UploadPartCommand,
} from '@aws-sdk/client-s3';
import type { GetObjectCommandOutput, S3Client, _Object } from '@aws-sdk/client-s3';

import { compareUtf8 } from '@gauntlet/bytes';

import type { Bucket, BucketEntry, BucketOptions, IterOptions, ObjectAttributes, UploadBody, UploadOptions } from './bucket.ts';
import { ObjstoreError, isNotFound, isPreconditionFailed } from './errors.ts';
import { checkKey, directoryPrefix, throwIfAborted } from './object-key.ts';
import { readBodyInto } from './read-body.ts';
import { waitBeforeRetry, withRetries } from './retry.ts';
import type { RetryPolicy } from './retry.ts';
import { createS3Client } from './s3-client.ts';
import type { S3Settings } from './s3-config.ts';
import { CutBodyError, isTransient, mapS3Error, sdkStatus } from './s3-errors.ts';
import { bodyBytes, bodyParts, bodySize } from './upload-body.ts';

/** Object that shows whether the store honours conditional writes. Safe to delete. */
export const CONDITIONAL_WRITE_PROBE = 'gauntlet-conditional-write-probe';
const STREAM_BYTES = 8 * 1024 * 1024;
const PARTS_MAX = 10_000;
const PARTS_IN_FLIGHT = 4;

/** What tests set besides the configuration. */
export interface S3BucketOptions {
  /** Upper bound of the first wait between attempts; default 100 ms. */
  readonly retryBaseDelayMs?: number;
  /** Longest silence in the middle of a body; default 60 s. */
  readonly bodyIdleTimeoutMs?: number;
  /** In [0, 1); default Math.random. */
  readonly random?: () => number;
  /** Shown to the store in User-Agent. */
  readonly component?: string;
}

/** The SDK's options of one request. Many requests of one job share its signal, and each listens to it. */
function sendOptions(signal: AbortSignal | undefined): { readonly abortSignal?: AbortSignal } {
  if (signal === undefined) return {};
  setMaxListeners(0, signal);
  return { abortSignal: signal };
}

/** Opens a bucket; no request is made yet. */
export function createS3Bucket(settings: S3Settings, options: S3BucketOptions = {}): Bucket {
  return new S3Bucket(settings, options);
}

function unquote(etag: string | undefined): string {
  return (etag ?? '').replace(/^"|"$/g, '');
}

class S3Bucket implements Bucket {
  readonly name: string;
  readonly provider: string = 'S3';
  readonly #settings: S3Settings;
  readonly #client: S3Client;
  readonly #policy: RetryPolicy;
  readonly #bodyIdleTimeoutMs: number;
  #hasConditionalWrites: Promise<boolean> | undefined;

  constructor(settings: S3Settings, options: S3BucketOptions) {
    this.name = settings.bucket;
    this.#settings = settings;
    this.#policy = { attemptsMax: settings.attemptsMax, baseDelayMs: options.retryBaseDelayMs ?? 100, random: options.random ?? Math.random };
    this.#bodyIdleTimeoutMs = options.bodyIdleTimeoutMs ?? 60_000;
    this.#client = createS3Client(settings, options.component ?? 'objstore');
  }

  /** Runs one request with retries and gives its failure the form of this package. */
  async #request<T>(operation: string, key: string, signal: AbortSignal | undefined, work: (attempt: number) => Promise<T>): Promise<T> {
    try {
      return await withRetries(this.#policy, signal, isTransient, work);
    } catch (error) {
      throwIfAborted(signal);
      throw mapS3Error(operation, key, this.name, error);
    }
  }

  #customerKey(): { SSECustomerAlgorithm?: string; SSECustomerKey?: string } {
    const { encryption } = this.#settings;
    return encryption?.type === 'SSE-C' ? { SSECustomerAlgorithm: 'AES256', SSECustomerKey: encryption.key.reveal() } : {};
  }

  #newObject(): Record<string, unknown> {
    const { encryption, userMetadata, storageClass } = this.#settings;
    return {
      ...(userMetadata.size === 0 ? {} : { Metadata: Object.fromEntries(userMetadata) }),
      ...(storageClass === undefined ? {} : { StorageClass: storageClass }),
      ...(encryption?.type === 'SSE-S3' ? { ServerSideEncryption: 'AES256' } : {}),
      ...(encryption?.type === 'SSE-KMS' ? {
        ServerSideEncryption: 'aws:kms', SSEKMSKeyId: encryption.keyId,
        ...(encryption.context.size === 0 ? {} : { SSEKMSEncryptionContext: Buffer.from(JSON.stringify(Object.fromEntries(encryption.context))).toString('base64') }),
      } : {}),
      ...this.#customerKey(),
    };
  }

  async *iter(dir: string, options?: IterOptions): AsyncGenerator<string> {
    for await (const entry of this.iterEntries(dir, options)) yield entry.name;
  }

  async *iterEntries(dir: string, options: IterOptions = {}): AsyncGenerator<BucketEntry> {
    const { signal } = options;
    const prefix = directoryPrefix(dir, this.name);
    const common = { Bucket: this.name, ...(prefix === '' ? {} : { Prefix: prefix }), ...(options.recursive === true ? {} : { Delimiter: '/' }) };
    const send = sendOptions(signal);
    for (let next: string | undefined, isFirst = true; isFirst || next !== undefined; isFirst = false) {
      const page = await this.#request('iter', dir, signal, async () => {
        if (this.#settings.listVersion === 'v2') {
          const r = await this.#client.send(new ListObjectsV2Command({ ...common, ...(next === undefined ? {} : { ContinuationToken: next }) }), send);
          return { contents: r.Contents ?? [], prefixes: r.CommonPrefixes ?? [], next: r.IsTruncated === true ? r.NextContinuationToken : undefined };
        }
        const r = await this.#client.send(new ListObjectsCommand({ ...common, ...(next === undefined ? {} : { Marker: next }) }), send);
        const last = (r.Contents ?? [])[(r.Contents ?? []).length - 1]?.Key;
        return { contents: r.Contents ?? [], prefixes: r.CommonPrefixes ?? [], next: r.IsTruncated === true ? (r.NextMarker ?? last) : undefined };
      });
      const entries: BucketEntry[] = page.contents.map((o: _Object) => ({ name: o.Key!, size: o.Size ?? 0, lastModifiedMs: o.LastModified?.getTime() ?? 0 }));
      for (const p of page.prefixes) entries.push({ name: p.Prefix! });
      entries.sort((a, b) => compareUtf8(a.name, b.name));
      // Objects named like a directory are markers some tools leave; they hold nothing.
      for (const entry of entries) if (entry.size === undefined || !entry.name.endsWith('/')) yield entry;
      throwIfAborted(signal);
      next = page.next;
    }
  }

  #get(key: string, range: string | undefined, etag: string | undefined, signal: AbortSignal | undefined): Promise<GetObjectCommandOutput> {
    const command = new GetObjectCommand({
      Bucket: this.name, Key: key, ...(range === undefined ? {} : { Range: range }), ...(etag === undefined ? {} : { IfMatch: etag }), ...this.#customerKey(),
    });
    return this.#client.send(command, sendOptions(signal));
  }

  /**
   * Reads bytes from `offset` on, resuming as often as progress is made.
   * @param length bytes wanted; -1 for all
   * @param allocate gives the destination once the number of bytes is known
   */
  async #read(operation: string, key: string, offset: number, length: number, signal: AbortSignal | undefined, allocate: (bytes: number) => Uint8Array): Promise<Uint8Array> {
    checkKey(operation, key, this.name);
    throwIfAborted(signal);
    if (length === 0) return allocate(0);
    const isWhole = offset === 0 && length < 0;
    let target: Uint8Array | undefined;
    let etag: string | undefined;
    let wanted = 0;
    let done = 0;
    for (let attempt = 1; ; attempt++) {
      const before = done;
      try {
        const isPlain = isWhole && target === undefined;
        const last = length < 0 ? '' : String(offset + length - 1);
        const r = await this.#get(key, isPlain ? undefined : `bytes=${offset + done}-${last}`, etag, signal);
        const body = r.Body as Readable;
        if (target === undefined) {
          const total = Number(/\/(\d+)$/.exec(r.ContentRange ?? '')?.[1] ?? NaN);
          wanted = isPlain ? (r.ContentLength ?? 0) : Math.min(length < 0 ? Infinity : length, total - offset);
          if (r.$metadata.httpStatusCode !== (isPlain ? 200 : 206) || !Number.isSafeInteger(wanted)) {
            body.destroy();
            throw new ObjstoreError('ERR_BUCKET_REFUSED', `${operation} ${key} in bucket ${this.name}: the store answered HTTP ${r.$metadata.httpStatusCode ?? 0} without the range asked for`);
          }
          etag = r.ETag;
          target = allocate(wanted);
        }
        const announced = Math.min(r.ContentLength ?? wanted - done, wanted - done);
        await readBodyInto(body, target, done, announced, this.#bodyIdleTimeoutMs, signal, (written) => { done += written; });
        if (done === wanted) return target.subarray(0, wanted);
        throw new CutBodyError(`the store sent ${done} of ${wanted} bytes`);
      } catch (error) {
        throwIfAborted(signal);
        if (done === wanted && target !== undefined && error instanceof CutBodyError) return target.subarray(0, wanted);
        if (sdkStatus(error) === 412 && etag !== undefined) throw new ObjstoreError('ERR_OBJECT_CHANGED', `${operation} ${key} in bucket ${this.name}: the object was replaced after ${done} of ${wanted} bytes`, error);
        // Progress earns a fresh set of attempts.
        if (done > before) attempt = 1;
        if (attempt >= this.#policy.attemptsMax || !isTransient(error)) throw mapS3Error(operation, key, this.name, error);
      }
      await waitBeforeRetry(this.#policy, attempt, signal);
    }
  }

  get(key: string, options: BucketOptions = {}): Promise<Uint8Array> {
    return this.#read('get', key, 0, -1, options.signal, (bytes) => new Uint8Array(bytes));
  }

  getRange(key: string, offset: number, length: number, options: BucketOptions = {}): Promise<Uint8Array> {
    return this.#read('get range of', key, offset, length, options.signal, (bytes) => new Uint8Array(bytes));
  }

  async getRangeInto(key: string, offset: number, target: Uint8Array, options: BucketOptions = {}): Promise<number> {
    return (await this.#read('get range of', key, offset, target.length, options.signal, () => target)).length;
  }

  /** Ranges of 8 MiB, the next one under way while one is consumed; all of one version of the object. */
  async *stream(key: string, options: BucketOptions = {}): AsyncGenerator<Uint8Array> {
    const { size, etag } = await this.attributes(key, options);
    const controller = new AbortController();
    const signal = options.signal === undefined ? controller.signal : AbortSignal.any([options.signal, controller.signal]);
    const start = (offset: number): Promise<Uint8Array> | undefined => {
      if (offset >= size) return undefined;
      const piece = this.#readVersion(key, offset, Math.min(STREAM_BYTES, size - offset), etag, signal);
      piece.catch(() => undefined);
      return piece;
    };
    let ahead = start(0);
    try {
      for (let offset = 0; ahead !== undefined; offset += STREAM_BYTES) {
        const piece = await ahead;
        ahead = start(offset + STREAM_BYTES);
        yield piece;
      }
    } finally {
      controller.abort();
    }
  }

  async #readVersion(key: string, offset: number, length: number, etag: string, signal: AbortSignal): Promise<Uint8Array> {
    const target = new Uint8Array(length);
    let done = 0;
    for (let attempt = 1; done < length; attempt++) {
      try {
        const r = await this.#get(key, `bytes=${offset + done}-${offset + length - 1}`, `"${etag}"`, signal);
        const announced = Math.min(r.ContentLength ?? length - done, length - done);
        const before = done;
        await readBodyInto(r.Body as Readable, target, done, announced, this.#bodyIdleTimeoutMs, signal, (written) => { done += written; });
        if (done > before) attempt = 0;
      } catch (error) {
        throwIfAborted(signal);
        if (sdkStatus(error) === 412) throw new ObjstoreError('ERR_OBJECT_CHANGED', `get ${key} in bucket ${this.name}: the object was replaced after ${offset + done} bytes`, error);
        if (attempt >= this.#policy.attemptsMax || !isTransient(error)) throw mapS3Error('get', key, this.name, error);
        await waitBeforeRetry(this.#policy, attempt, signal);
      }
    }
    return target;
  }

  async exists(key: string, options: BucketOptions = {}): Promise<boolean> {
    try {
      await this.attributes(key, options);
      return true;
    } catch (error) {
      if (isNotFound(error)) return false;
      throw error;
    }
  }

  async attributes(key: string, options: BucketOptions = {}): Promise<ObjectAttributes> {
    const { signal } = options;
    checkKey('get attributes of', key, this.name);
    const r = await this.#request('get attributes of', key, signal, () =>
      this.#client.send(new HeadObjectCommand({ Bucket: this.name, Key: key, ...this.#customerKey() }), sendOptions(signal)));
    return { size: r.ContentLength ?? 0, lastModifiedMs: r.LastModified?.getTime() ?? 0, etag: unquote(r.ETag) };
  }

  async upload(key: string, body: UploadBody, options: UploadOptions = {}): Promise<string> {
    const { signal } = options;
    checkKey('upload', key, this.name);
    throwIfAborted(signal);
    if ((options.ifNoneMatch !== undefined || options.ifMatch !== undefined) && !(await this.supportsConditionalWrites(options))) {
      throw new ObjstoreError('ERR_CONDITIONAL_WRITE_UNSUPPORTED', `upload ${key} to bucket ${this.name}: the store does not honour conditional writes`);
    }
    const size = await bodySize(body);
    const { partBytes, isMultipartDisabled } = this.#settings;
    if (isMultipartDisabled || (size !== undefined && size < partBytes)) return this.#put(key, await bodyBytes(body), options);
    const parts = bodyParts(body, Math.max(partBytes, Math.ceil((size ?? 0) / PARTS_MAX)));
    const first = await parts.next();
    const second = await parts.next();
    if (second.done === true) return this.#put(key, first.value!, options);
    const all = (async function* chain() {
      yield first.value!;
      yield second.value;
      yield* parts;
    })();
    return this.#putParts(key, all, options);
  }

  #conditions(options: UploadOptions): { IfNoneMatch?: string; IfMatch?: string } {
    return { ...(options.ifNoneMatch === undefined ? {} : { IfNoneMatch: options.ifNoneMatch }), ...(options.ifMatch === undefined ? {} : { IfMatch: `"${options.ifMatch}"` }) };
  }

  #md5(bytes: Uint8Array): { ContentMD5?: string } {
    return this.#settings.hasContentMd5 ? { ContentMD5: createHash('md5').update(bytes).digest('base64') } : {};
  }

  async #put(key: string, bytes: Uint8Array, options: UploadOptions): Promise<string> {
    const { signal } = options;
    const command = { Bucket: this.name, Key: key, Body: bytes, ContentLength: bytes.length, ...this.#conditions(options), ...this.#md5(bytes), ...this.#newObject() };
    let unanswered = 0;
    try {
      return await this.#request('upload', key, signal, async () => {
        try {
          const r = await this.#client.send(new PutObjectCommand(command), sendOptions(signal));
          return unquote(r.ETag);
        } catch (error) {
          if (isTransient(error)) unanswered++;
          throw error;
        }
      });
    } catch (error) {
      const isConditional = options.ifNoneMatch !== undefined || options.ifMatch !== undefined;
      if (unanswered > 0 && isConditional && (isPreconditionFailed(error) || isNotFound(error))) {
        const stored = await this.#ifHolds(key, bytes, signal);
        if (stored !== undefined) return stored;
      }
      // If-Match on an object that is gone is 404; the condition did not hold.
      if (options.ifMatch !== undefined && isNotFound(error)) throw new ObjstoreError('ERR_PRECONDITION_FAILED', `upload ${key} to bucket ${this.name}: no such object, wanted etag ${options.ifMatch}`, error);
      throw error;
    }
  }

  /** The etag of an object that holds exactly these bytes, else undefined. */
  async #ifHolds(key: string, bytes: Uint8Array, signal: AbortSignal | undefined): Promise<string | undefined> {
    const o = signal === undefined ? {} : { signal };
    try {
      const { size, etag } = await this.attributes(key, o);
      return size === bytes.length && Buffer.compare(await this.get(key, o), bytes) === 0 ? etag : undefined;
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  async #putParts(key: string, parts: AsyncIterable<Uint8Array>, options: UploadOptions): Promise<string> {
    const target = { Bucket: this.name, Key: key };
    const { UploadId } = await this.#request('upload', key, options.signal, () =>
      this.#client.send(new CreateMultipartUploadCommand({ ...target, ...this.#newObject() }), sendOptions(options.signal)));
    const controller = new AbortController();
    const signal = options.signal === undefined ? controller.signal : AbortSignal.any([options.signal, controller.signal]);
    const done: { PartNumber: number; ETag: string }[] = [];
    const inFlight = new Set<Promise<void>>();
    let failure: unknown;
    try {
      let number = 0;
      for await (const part of parts) {
        const PartNumber = ++number;
        const task = this.#request(`upload part ${PartNumber} of`, key, signal, () =>
          this.#client.send(new UploadPartCommand({ ...target, UploadId, PartNumber, Body: part, ContentLength: part.length, ...this.#md5(part), ...this.#customerKey() }), sendOptions(signal)))
          .then((r) => { done.push({ PartNumber, ETag: r.ETag! }); }, (error: unknown) => { failure ??= error; })
          .finally(() => { inFlight.delete(task); });
        inFlight.add(task);
        if (inFlight.size >= PARTS_IN_FLIGHT) await Promise.race(inFlight);
        if (failure !== undefined) break;
      }
      await Promise.all(inFlight);
      if (failure !== undefined) throw failure;
      done.sort((a, b) => a.PartNumber - b.PartNumber);
      return await this.#complete(key, UploadId!, done, options);
    } catch (error) {
      // No part may arrive after the abort: it would stay, and be paid for.
      controller.abort(error);
      await Promise.all(inFlight);
      await this.#client.send(new AbortMultipartUploadCommand({ ...target, UploadId })).catch(() => undefined);
      throw error;
    }
  }

  async #complete(key: string, UploadId: string, parts: { PartNumber: number; ETag: string }[], options: UploadOptions): Promise<string> {
    const { signal } = options;
    let unanswered = 0;
    const command = { Bucket: this.name, Key: key, UploadId, MultipartUpload: { Parts: parts }, ...this.#conditions(options) };
    try {
      return await this.#request('complete upload of', key, signal, async () => {
        try {
          const r = await this.#client.send(new CompleteMultipartUploadCommand(command), sendOptions(signal));
          return unquote(r.ETag);
        } catch (error) {
          if (isTransient(error)) unanswered++;
          throw error;
        }
      });
    } catch (error) {
      if (unanswered > 0) {
        const md5s = createHash('md5');
        for (const part of parts) md5s.update(Buffer.from(unquote(part.ETag), 'hex'));
        const expected = `${md5s.digest('hex')}-${parts.length}`;
        const stored = await this.attributes(key, options).catch(() => undefined);
        if (stored?.etag === expected) return expected;
      }
      throw error;
    }
  }

  async delete(key: string, options: BucketOptions = {}): Promise<void> {
    const { signal } = options;
    checkKey('delete', key, this.name);
    try {
      await this.#request('delete', key, signal, () => this.#client.send(new DeleteObjectCommand({ Bucket: this.name, Key: key }), sendOptions(signal)));
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  supportsConditionalWrites(options: BucketOptions = {}): Promise<boolean> {
    this.#hasConditionalWrites ??= this.#probe(options.signal).catch((error: unknown) => {
      this.#hasConditionalWrites = undefined;
      throw error;
    });
    return this.#hasConditionalWrites;
  }

  async #probe(signal: AbortSignal | undefined): Promise<boolean> {
    const isHonoured = async (condition: UploadOptions): Promise<boolean | undefined> => {
      try {
        await this.#put(CONDITIONAL_WRITE_PROBE, Buffer.from('Shows whether this store honours conditional writes. Safe to delete.\n'), { ...condition, ...(signal === undefined ? {} : { signal }) });
        return false;
      } catch (error) {
        if (isPreconditionFailed(error)) return true;
        if (error instanceof ObjstoreError && error.code === 'ERR_BUCKET_REFUSED') return undefined;
        throw error;
      }
    };
    const first = await isHonoured({ ifNoneMatch: '*' });
    if (first === undefined) return false;
    if (!first && (await isHonoured({ ifNoneMatch: '*' })) !== true) return false;
    return (await isHonoured({ ifMatch: '00000000000000000000000000000000' })) === true;
  }

  close(): Promise<void> {
    this.#client.destroy();
    return Promise.resolve();
  }
}
