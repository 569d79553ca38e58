/**
 * The Bucket: all that the rest of the system knows of object storage. Names are `/`-separated without a leading slash;
 * listings are in byte order of the names, whatever the provider. Everything that waits takes an AbortSignal and then throws
 * its reason; every other failure is an ObjstoreError.
 *
 * Providers: memory-bucket.ts, filesystem-bucket.ts, s3-bucket.ts. Wrappers: prefixed-bucket.ts, instrumented-bucket.ts,
 * ledger-bucket.ts. The contract is testing/bucket-cases.ts.
 */

/** Options of every operation. */
export interface BucketOptions {
  readonly signal?: AbortSignal;
  /** Failures the caller reckons with (a missing object, say): they are thrown all the same, but not counted as failures. */
  readonly isExpected?: (error: unknown) => boolean;
}

/** Options of a listing. */
export interface IterOptions extends BucketOptions {
  /** True: all objects below the directory. False: its objects and its sub-directories, those ending with `/`. */
  readonly recursive?: boolean;
}

/** One line of a listing with what the store says about it. Directories have only a name. */
export interface BucketEntry {
  /** Full name; ends with `/` for a directory. */
  readonly name: string;
  readonly size?: number;
  /** Milliseconds since 1970. */
  readonly lastModifiedMs?: number;
}

/** What a store knows about an object besides its bytes. */
export interface ObjectAttributes {
  readonly size: number;
  /** Milliseconds since 1970, as precise as the store has it. */
  readonly lastModifiedMs: number;
  /** Opaque version of the bytes, for `ifMatch`. */
  readonly etag: string;
}

/** What to upload. Bytes and files can be sent again after a failure; of a stream, each part is held in memory until it is stored. */
export type UploadBody = Uint8Array | { readonly path: string } | AsyncIterable<Uint8Array>;

/** Options of an upload. At most one of the two conditions. */
export interface UploadOptions extends BucketOptions {
  /** `'*'`: only if there is no such object. Of several writers exactly one succeeds. */
  readonly ifNoneMatch?: '*';
  /** Only if the object is there with this etag. */
  readonly ifMatch?: string;
}

/** An object store. */
export interface Bucket {
  /** Bucket name or directory, for logs and metrics. */
  readonly name: string;
  /** `S3`, `FILESYSTEM`, `MEMORY` */
  readonly provider: string;

  /** Names below a directory (`''` is the root), in byte order. A directory that is not there is empty. */
  iter(dir: string, options?: IterOptions): AsyncIterable<string>;
  /** As `iter`, with sizes and times. */
  iterEntries(dir: string, options?: IterOptions): AsyncIterable<BucketEntry>;

  /** A whole object. @throws ERR_OBJECT_NOT_FOUND */
  get(key: string, options?: BucketOptions): Promise<Uint8Array>;
  /** A whole object in pieces, for objects that should not be in memory at once. @throws ERR_OBJECT_NOT_FOUND */
  stream(key: string, options?: BucketOptions): AsyncIterable<Uint8Array>;
  /**
   * Bytes from `offset`, `length` of them or fewer where the object ends; -1 for all that follow.
   * @throws ERR_OBJECT_NOT_FOUND, ERR_OBJECT_RANGE if offset is at or past the end
   */
  getRange(key: string, offset: number, length: number, options?: BucketOptions): Promise<Uint8Array>;
  /**
   * Bytes from `offset` into `target`; saves a copy where the destination exists. Do not detach `target` meanwhile.
   * @returns bytes written, fewer than `target.length` where the object ends
   */
  getRangeInto(key: string, offset: number, target: Uint8Array, options?: BucketOptions): Promise<number>;

  /** Whether the object is there. */
  exists(key: string, options?: BucketOptions): Promise<boolean>;
  /** @throws ERR_OBJECT_NOT_FOUND */
  attributes(key: string, options?: BucketOptions): Promise<ObjectAttributes>;

  /**
   * Writes an object. Readers see it whole or not at all.
   * @returns its etag
   * @throws ERR_PRECONDITION_FAILED if a condition does not hold; ERR_CONDITIONAL_WRITE_UNSUPPORTED
   */
  upload(key: string, body: UploadBody, options?: UploadOptions): Promise<string>;
  /** Removes an object; one that is not there is removed already. */
  delete(key: string, options?: BucketOptions): Promise<void>;

  /** Whether `ifNoneMatch` and `ifMatch` can be relied on. Asked of the store once. */
  supportsConditionalWrites(options?: BucketOptions): Promise<boolean>;
  /** Ends connections. The bucket is not used afterwards. */
  close(): Promise<void>;
}
