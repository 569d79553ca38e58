/**
 * What the S3 server needs of whatever holds the objects. Two stores implement it: memory-store.ts and folder-store.ts.
 * Bytes are staged first and get their name in one step, so a reader sees the old object or the new one and nothing else.
 */

/** What is known of an object besides its bytes. */
export interface ObjectInfo {
  readonly size: number;
  /** Without quotes: hex MD5, or `<hex>-<parts>` after a multipart upload. */
  readonly etag: string;
  readonly lastModifiedMs: number;
  readonly contentType: string;
  /** `x-amz-meta-*` and checksum headers, lower-case names, as they are sent back. */
  readonly headers: Readonly<Record<string, string>>;
}

/** An object held open: later writes to its key do not change what `read` gives. */
export interface OpenObject {
  readonly info: ObjectInfo;
  /** Bytes [start, end), in pieces. */
  read(start: number, end: number): AsyncIterable<Uint8Array>;
  close(): Promise<void>;
}

/** Bytes on their way to becoming an object or a part. Exactly one of `commit` and `discard` ends its life. */
export interface StagedBytes {
  write(piece: Uint8Array): Promise<void>;
  /** Makes all written bytes durable; nothing may be written afterwards. */
  finish(): Promise<void>;
  read(): AsyncIterable<Uint8Array>;
  /** Gives the bytes their key, atomically replacing what was there. */
  commit(bucket: string, key: string, info: Omit<ObjectInfo, 'size'>): Promise<void>;
  discard(): Promise<void>;
}

/** One line of a listing: an object, or all keys that share a prefix up to the delimiter. */
export type ListEntry =
  | { readonly kind: 'object'; readonly key: string; readonly info: ObjectInfo }
  | { readonly kind: 'prefix'; readonly key: string };

/** Which part of a bucket to list. */
export interface ListQuery {
  readonly prefix: string;
  /** Empty: no grouping. */
  readonly delimiter: string;
  /** Entries not after this one are left out; a common prefix equal to it too. Empty: from the start. */
  readonly after: string;
}

/** A store of buckets. Keys are any non-empty string; buckets were checked with `hasBucket` by the caller. */
export interface ObjectStore {
  /** @returns false if it was there */
  createBucket(bucket: string): Promise<boolean>;
  /** @returns false if it holds objects */
  deleteBucket(bucket: string): Promise<boolean>;
  /** Of any name; the other calls are made for buckets that are there. */
  hasBucket(bucket: string): Promise<boolean>;
  listBuckets(): Promise<readonly { readonly name: string; readonly createdMs: number }[]>;
  open(bucket: string, key: string): Promise<OpenObject | undefined>;
  stage(): Promise<StagedBytes>;
  delete(bucket: string, key: string): Promise<void>;
  /** Entries in byte order of their keys. */
  list(bucket: string, query: ListQuery): AsyncIterable<ListEntry>;
}
