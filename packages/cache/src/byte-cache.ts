/**
 * A cache of bytes. It is best effort by contract: a lookup that cannot be answered is a miss and a write that cannot be done is
 * dropped, so callers need no error paths. Keys are strings, values are opaque bytes.
 */

/** A cache, local or remote. */
export interface ByteCache {
  /** For metrics and logs. */
  readonly name: string;
  /** The entries that are there and not expired. The arrays belong to the cache: read, do not write. */
  getMany(keys: readonly string[], options?: { readonly signal?: AbortSignal }): Promise<ReadonlyMap<string, Uint8Array>>;
  /** Stores entries for `ttlMs` (Infinity: until evicted). Bytes are copied if need be; the caller may reuse its arrays afterwards. */
  setMany(entries: Iterable<readonly [key: string, value: Uint8Array]>, ttlMs: number): Promise<void>;
  /** Releases memory and connections. */
  close(): Promise<void>;
}
