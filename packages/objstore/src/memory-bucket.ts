/** A bucket in memory: for tests, and the model the other providers are compared with. */
import { createHash } from 'node:crypto';

import { compareUtf8 } from '@gauntlet/bytes';

import type { Bucket, BucketEntry, BucketOptions, IterOptions, ObjectAttributes, UploadBody, UploadOptions } from './bucket.ts';
import { ObjstoreError } from './errors.ts';
import { checkKey, directoryPrefix, throwIfAborted } from './object-key.ts';
import { bodyBytes } from './upload-body.ts';

const STREAM_BYTES = 64 * 1024;

interface StoredObject {
  readonly bytes: Uint8Array;
  readonly attributes: ObjectAttributes;
}

/** A memory bucket also tells what it holds, without going through the interface. */
export interface MemoryBucket extends Bucket {
  /** Names in byte order. */
  keys(): readonly string[];
}

/** Creates an empty bucket. @param options.clock milliseconds since 1970; default Date.now */
export function createMemoryBucket(options: { readonly name?: string; readonly clock?: () => number } = {}): MemoryBucket {
  const name = options.name ?? 'memory';
  const clock = options.clock ?? Date.now;
  const objects = new Map<string, StoredObject>();
  const keys = (): string[] => [...objects.keys()].sort(compareUtf8);

  const find = (operation: string, key: string, o: BucketOptions | undefined): StoredObject => {
    throwIfAborted(o?.signal);
    checkKey(operation, key, name);
    const found = objects.get(key);
    if (found === undefined) throw new ObjstoreError('ERR_OBJECT_NOT_FOUND', `${operation} ${key} in bucket ${name}: no such object`);
    return found;
  };

  async function* iterEntries(dir: string, o: IterOptions = {}): AsyncGenerator<BucketEntry> {
    const prefix = directoryPrefix(dir, name);
    let lastDirectory = '';
    for (const key of keys()) {
      throwIfAborted(o.signal);
      if (!key.startsWith(prefix)) continue;
      const slash = o.recursive === true ? -1 : key.indexOf('/', prefix.length);
      if (slash >= 0) {
        const directory = key.slice(0, slash + 1);
        if (directory !== lastDirectory) yield { name: directory };
        lastDirectory = directory;
        continue;
      }
      const found = objects.get(key);
      if (found !== undefined) yield { name: key, size: found.attributes.size, lastModifiedMs: found.attributes.lastModifiedMs };
    }
  }

  function range(key: string, offset: number, length: number, o?: BucketOptions): Uint8Array {
    const { bytes } = find('get range of', key, o);
    if (offset < 0 || offset >= bytes.length) throw new ObjstoreError('ERR_OBJECT_RANGE', `get range of ${key} in bucket ${name}: offset ${offset} beyond size ${bytes.length}`);
    return bytes.slice(offset, length < 0 ? undefined : offset + length);
  }

  async function upload(key: string, body: UploadBody, o: UploadOptions = {}): Promise<string> {
    throwIfAborted(o.signal);
    checkKey('upload', key, name);
    const bytes = Uint8Array.from(await bodyBytes(body));
    throwIfAborted(o.signal);
    const stored = objects.get(key);
    if (o.ifNoneMatch === '*' && stored !== undefined) throw new ObjstoreError('ERR_PRECONDITION_FAILED', `upload ${key} to bucket ${name}: the object exists`);
    if (o.ifMatch !== undefined && stored?.attributes.etag !== o.ifMatch) {
      throw new ObjstoreError('ERR_PRECONDITION_FAILED', `upload ${key} to bucket ${name}: etag is ${stored?.attributes.etag ?? 'absent'}, wanted ${o.ifMatch}`);
    }
    const etag = createHash('md5').update(bytes).digest('hex');
    objects.set(key, { bytes, attributes: { size: bytes.length, lastModifiedMs: clock(), etag } });
    return etag;
  }

  return {
    name,
    provider: 'MEMORY',
    keys,
    iterEntries,
    async *iter(dir, o) { for await (const entry of iterEntries(dir, o)) yield entry.name; },
    get: async (key, o) => find('get', key, o).bytes.slice(),
    async *stream(key, o) {
      const { bytes } = find('get', key, o);
      for (let at = 0; at < bytes.length; at += STREAM_BYTES) {
        throwIfAborted(o?.signal);
        yield bytes.slice(at, at + STREAM_BYTES);
      }
    },
    getRange: async (key, offset, length, o) => range(key, offset, length, o),
    getRangeInto: async (key, offset, target, o) => {
      const bytes = range(key, offset, target.length, o);
      target.set(bytes);
      return bytes.length;
    },
    exists: async (key, o) => {
      throwIfAborted(o?.signal);
      checkKey('check', key, name);
      return objects.has(key);
    },
    attributes: async (key, o) => find('get attributes of', key, o).attributes,
    upload,
    delete: async (key, o) => {
      throwIfAborted(o?.signal);
      checkKey('delete', key, name);
      objects.delete(key);
    },
    supportsConditionalWrites: () => Promise.resolve(true),
    close: () => Promise.resolve(),
  };
}
