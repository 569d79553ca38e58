/**
 * What a query reads a block with: ranges of objects and the index cache. Two forms: directly over a bucket, and, in a worker, over a
 * port to the thread that has the sockets (block-io-port.ts).
 *
 *   worker ──read, cache──► BlockIo ──► charge against the budget ─► gate ─► bucket
 */
import type { Bucket } from '@gauntlet/objstore';
import type { Gate } from '@gauntlet/service-kit';
import type { IndexCache, IndexItem } from './index-cache.ts';

/** See the head of this file. One per call; all its methods fail once the call has ended. */
export interface BlockIo {
  /**
   * Bytes of an object from `start`, `length` of them or fewer where it ends; charged until {@link release}d.
   * @returns memory that belongs to the caller until it is given to {@link reuse}
   * @throws ObjstoreError; MemoryLimitError
   */
  read(key: string, start: number, length: number): Promise<Uint8Array>;
  /** Lets later reads have the memory of this one; nothing may refer to it any more. Best effort, for those who read much. */
  reuse(bytes: Uint8Array): void;
  /** Gives back what reads have charged, once their bytes are no longer referred to. */
  release(bytes: number): void;
  /** Entries of the index cache, in the order of the keys. Read only. */
  cached(item: IndexItem, keys: readonly string[]): Promise<readonly (Uint8Array | undefined)[]>;
  /** Puts entries there, best effort. */
  cache(item: IndexItem, entries: readonly (readonly [key: string, value: Uint8Array])[]): void;
}

/** Where bytes are charged. */
export interface ByteAccount {
  reserve(bytes: number): void;
  release(bytes: number): void;
}

/** What a {@link BlockIo} over a bucket needs. */
export interface BucketBlockIoDeps {
  readonly bucket: Bucket;
  readonly cache: IndexCache;
  /** Bounds requests of all calls. */
  readonly gate: Gate;
  readonly account: ByteAccount;
  /** Ends the call. */
  readonly signal: AbortSignal;
}

/** A {@link BlockIo} that can also read into memory of the caller. */
export interface TargetBlockIo extends BlockIo {
  /** As `read`, into `target`. @returns bytes read */
  readInto(key: string, start: number, target: Uint8Array): Promise<number>;
}

/** Reads directly. */
export function createBlockIo({ bucket, cache, gate, account, signal }: BucketBlockIoDeps): TargetBlockIo {
  return {
    async read(key, start, length) {
      const target = new Uint8Array(length);
      return target.subarray(0, await this.readInto(key, start, target));
    },
    reuse: () => {},
    async readInto(key, start, target) {
      const { length } = target;
      account.reserve(length);
      try {
        const got = await gate.run(() => bucket.getRangeInto(key, start, target, { signal }), signal);
        if (got < length) account.release(length - got);
        return got;
      } catch (error) {
        account.release(length);
        throw error;
      }
    },
    release: (bytes) => account.release(bytes),
    cached: (item, keys) => cache.get(item, keys),
    cache: (item, entries) => cache.put(item, entries),
  };
}
