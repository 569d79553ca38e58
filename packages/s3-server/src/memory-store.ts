/**
 * Objects in memory: the store tests use. Keys are kept in one sorted array that is rebuilt after writes, so listings seek by
 * binary search.
 */
import { compareKeys, lowerBound } from './key-order.ts';
import type { ListEntry, ListQuery, ObjectInfo, ObjectStore, OpenObject, StagedBytes } from './object-store.ts';

interface MemoryObject {
  readonly info: ObjectInfo;
  readonly bytes: Uint8Array;
}

interface MemoryBucket {
  readonly createdMs: number;
  readonly objects: Map<string, MemoryObject>;
  sortedKeys: string[] | undefined;
}

/** Creates an empty store. @param clock milliseconds since 1970, for creation times of buckets */
export function createMemoryStore(clock: () => number): ObjectStore {
  const buckets = new Map<string, MemoryBucket>();

  const stage = (): StagedBytes => {
    const pieces: Uint8Array[] = [];
    return {
      write: (piece) => {
        pieces.push(Uint8Array.from(piece));
        return Promise.resolve();
      },
      finish: () => Promise.resolve(),
      async *read() { yield* pieces; },
      commit: (bucket, key, info) => {
        const held = buckets.get(bucket)!;
        const bytes = Buffer.concat(pieces);
        if (!held.objects.has(key)) held.sortedKeys = undefined;
        held.objects.set(key, { info: { ...info, size: bytes.length }, bytes });
        return Promise.resolve();
      },
      discard: () => Promise.resolve(),
    };
  };

  async function* list(bucket: string, query: ListQuery): AsyncGenerator<ListEntry> {
    const held = buckets.get(bucket)!;
    held.sortedKeys ??= [...held.objects.keys()].sort(compareKeys);
    const keys = held.sortedKeys;
    let last = query.after;
    for (let i = Math.max(lowerBound(keys, query.prefix), lowerBound(keys, query.after)); i < keys.length; i++) {
      const key = keys[i]!;
      if (!key.startsWith(query.prefix)) return;
      const cut = query.delimiter === '' ? -1 : key.indexOf(query.delimiter, query.prefix.length);
      if (cut >= 0) {
        const prefix = key.slice(0, cut + query.delimiter.length);
        if (prefix !== last) yield { kind: 'prefix', key: prefix };
        last = prefix;
      } else if (key !== query.after) {
        const object = held.objects.get(key);
        if (object !== undefined) yield { kind: 'object', key, info: object.info };
      }
    }
  }

  return {
    createBucket: (bucket) => {
      if (buckets.has(bucket)) return Promise.resolve(false);
      buckets.set(bucket, { createdMs: clock(), objects: new Map(), sortedKeys: undefined });
      return Promise.resolve(true);
    },
    deleteBucket: (bucket) => {
      if (buckets.get(bucket)!.objects.size > 0) return Promise.resolve(false);
      buckets.delete(bucket);
      return Promise.resolve(true);
    },
    hasBucket: (bucket) => Promise.resolve(buckets.has(bucket)),
    listBuckets: () => Promise.resolve([...buckets].map(([name, b]) => ({ name, createdMs: b.createdMs })).sort((a, b) => compareKeys(a.name, b.name))),
    open: (bucket, key) => {
      const object = buckets.get(bucket)?.objects.get(key);
      if (object === undefined) return Promise.resolve(undefined);
      const opened: OpenObject = {
        info: object.info,
        async *read(start, end) {
          for (let at = start; at < end; at += 65536) yield object.bytes.subarray(at, Math.min(end, at + 65536));
        },
        close: () => Promise.resolve(),
      };
      return Promise.resolve(opened);
    },
    stage: () => Promise.resolve(stage()),
    delete: (bucket, key) => {
      const held = buckets.get(bucket)!;
      if (held.objects.delete(key)) held.sortedKeys = undefined;
      return Promise.resolve();
    },
    list,
  };
}
