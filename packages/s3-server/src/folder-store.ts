/**
 * Objects as files: `<root>/<bucket>/<key path>` (key-path.ts). A folder filled by other means can be served as it is.
 *
 *   <root>/.gauntlet-s3/tmp/<n>                     staged bytes
 *   <root>/.gauntlet-s3/meta/<bucket>/<hash>.json   ETag, content type, metadata of one object
 *
 * A write is: stage, fsync, metadata file (temp, fsync, rename), rename onto the key, fsync of the folder. The metadata names
 * inode and size of its data file, so after a kill between the two renames it is ignored and the ETag comes from the bytes.
 */
import { createHash, randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import type { Dirent, Stats } from 'node:fs';
import { mkdir, open, readFile, readdir, rename, rm, rmdir, stat, unlink } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { compareKeys } from './key-order.ts';
import { CONTINUED_SUFFIX, OBJECT_SUFFIX, decodeName, isBucketName, keyPath, prefixPath } from './key-path.ts';
import type { ListEntry, ListQuery, ObjectInfo, ObjectStore, OpenObject, StagedBytes } from './object-store.ts';

const READ_BYTES = 256 * 1024;
const STATE = '.gauntlet-s3';

interface StoredInfo {
  readonly ino: number;
  readonly size: number;
  readonly info: Omit<ObjectInfo, 'size'>;
}

function errorCode(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException | undefined)?.code;
}

async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function* readHandle(handle: FileHandle, start: number, end: number): AsyncGenerator<Uint8Array> {
  for (let at = start; at < end;) {
    const piece = Buffer.allocUnsafe(Math.min(READ_BYTES, end - at));
    const { bytesRead } = await handle.read(piece, 0, piece.length, at);
    if (bytesRead === 0) return;
    at += bytesRead;
    yield piece.subarray(0, bytesRead);
  }
}

/**
 * Opens a store over a folder, creating it if need be; staged bytes of an earlier process are removed.
 * @param isDurable false leaves out the fsync calls
 */
export async function createFolderStore(root: string, isDurable: boolean): Promise<ObjectStore> {
  const tmpPath = join(root, STATE, 'tmp');
  await rm(tmpPath, { recursive: true, force: true });
  await mkdir(tmpPath, { recursive: true });

  const bucketPath = (bucket: string): string => join(root, bucket);
  const infoPath = (bucket: string, key: string): string => {
    const hash = createHash('sha256').update(key).digest('hex');
    return join(root, STATE, 'meta', bucket, hash.slice(0, 2), `${hash.slice(2)}.json`);
  };

  /** Turns every object that stands where a folder is needed into its `%o` form. */
  async function makeFolders(path: string, bucket: string): Promise<void> {
    for (;;) {
      try {
        await mkdir(path, { recursive: true });
        return;
      } catch (error) {
        if (errorCode(error) !== 'ENOTDIR' && errorCode(error) !== 'EEXIST') throw error;
        for (let at = path; at.length > bucketPath(bucket).length; at = dirname(at)) {
          const found = await stat(at).catch(() => undefined);
          if (found?.isFile() === true) await rename(at, at + OBJECT_SUFFIX);
        }
      }
    }
  }

  async function openFile(bucket: string, key: string): Promise<{ handle: FileHandle; stats: Stats } | undefined> {
    const path = keyPath(bucketPath(bucket), key);
    for (const candidate of [path, path + OBJECT_SUFFIX]) {
      let handle: FileHandle;
      try {
        handle = await open(candidate, 'r');
      } catch (error) {
        if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR' || errorCode(error) === 'EISDIR') continue;
        throw error;
      }
      const stats = await handle.stat();
      if (stats.isFile()) return { handle, stats };
      await handle.close();
    }
    return undefined;
  }

  async function readInfo(bucket: string, key: string, handle: FileHandle, stats: Stats): Promise<ObjectInfo> {
    try {
      const stored = JSON.parse(await readFile(infoPath(bucket, key), 'utf8')) as StoredInfo;
      if (stored.ino === stats.ino && stored.size === stats.size) return { ...stored.info, size: stats.size };
    } catch (error) {
      if (errorCode(error) !== 'ENOENT' && !(error instanceof SyntaxError)) throw error;
    }
    const md5 = createHash('md5');
    for await (const piece of readHandle(handle, 0, stats.size)) md5.update(piece);
    return { size: stats.size, etag: md5.digest('hex'), lastModifiedMs: Math.trunc(stats.mtimeMs), contentType: 'binary/octet-stream', headers: {} };
  }

  async function writeAtomically(path: string, text: string): Promise<void> {
    await mkdir(dirname(path), { recursive: true });
    const temporary = join(tmpPath, randomUUID());
    const handle = await open(temporary, 'w');
    try {
      await handle.writeFile(text);
      if (isDurable) await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
    if (isDurable) await syncFolder(dirname(path));
  }

  async function stage(): Promise<StagedBytes> {
    const path = join(tmpPath, randomUUID());
    const handle = await open(path, 'wx+');
    let size = 0;
    let isOpen = true;
    const close = async (): Promise<void> => {
      if (isOpen) await handle.close();
      isOpen = false;
    };
    return {
      write: async (piece) => {
        let written = 0;
        while (written < piece.length) written += (await handle.write(piece, written, piece.length - written, size + written)).bytesWritten;
        size += piece.length;
      },
      finish: async () => { if (isDurable) await handle.sync(); },
      read: () => readHandle(handle, 0, size),
      commit: async (bucket, key, info) => {
        const { ino } = await handle.stat();
        await close();
        const stored: StoredInfo = { ino, size, info };
        await writeAtomically(infoPath(bucket, key), JSON.stringify(stored));
        const target = keyPath(bucketPath(bucket), key);
        for (let attempt = 0; ; attempt++) {
          await makeFolders(dirname(target), bucket);
          const isFolder = (await stat(target).catch(() => undefined))?.isDirectory() === true;
          try {
            await rename(path, isFolder ? target + OBJECT_SUFFIX : target);
            break;
          } catch (error) {
            // A delete may have pruned the folder, or another key may have made one, between the look and the rename.
            if (attempt >= 100 || (errorCode(error) !== 'ENOENT' && errorCode(error) !== 'ENOTDIR' && errorCode(error) !== 'EISDIR')) throw error;
          }
        }
        if (isDurable) await syncFolder(dirname(target)).catch((error: unknown) => { if (errorCode(error) !== 'ENOENT') throw error; });
      },
      discard: async () => {
        await close();
        await rm(path, { force: true });
      },
    };
  }

  interface FolderEntry { readonly sortKey: string; readonly isFolder: boolean; readonly path: string }

  /** Entries of one folder with the rest of long names folded in, in byte order of the keys below them. */
  async function readFolder(path: string, keyPrefix: string): Promise<FolderEntry[]> {
    let dirents: Dirent[];
    try {
      dirents = await readdir(path, { withFileTypes: true });
    } catch (error) {
      if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return [];
      throw error;
    }
    const entries: FolderEntry[] = [];
    for (const dirent of dirents) {
      const full = join(path, dirent.name);
      if (dirent.isDirectory() && dirent.name.endsWith(CONTINUED_SUFFIX)) {
        const piece = decodeName(dirent.name.slice(0, -CONTINUED_SUFFIX.length));
        if (piece !== undefined) entries.push(...(await readFolder(full, keyPrefix + piece)));
        continue;
      }
      const isSuffixed = dirent.isFile() && dirent.name.endsWith(OBJECT_SUFFIX);
      const name = decodeName(isSuffixed ? dirent.name.slice(0, -OBJECT_SUFFIX.length) : dirent.name);
      if (name === undefined) continue;
      if (dirent.isDirectory()) entries.push({ sortKey: `${keyPrefix}${name}/`, isFolder: true, path: full });
      else if (dirent.isFile()) entries.push({ sortKey: keyPrefix + name, isFolder: false, path: full });
    }
    return entries.sort((a, b) => compareKeys(a.sortKey, b.sortKey));
  }

  /** All keys under a folder that begin with `prefix` and come after `after`; folders as prefixes if `isGrouped`. */
  async function* walk(path: string, keyPrefix: string, prefix: string, after: string, isGrouped: boolean): AsyncGenerator<{ key: string; isPrefix: boolean }> {
    for (const entry of await readFolder(path, keyPrefix)) {
      const key = entry.sortKey;
      if (!key.startsWith(prefix) && !(entry.isFolder && prefix.startsWith(key))) continue;
      if (!entry.isFolder) {
        if (after === '' || compareKeys(key, after) > 0) yield { key, isPrefix: false };
      } else if (after === '' || compareKeys(key, after) > 0 || after.startsWith(key)) {
        if (!isGrouped || !key.startsWith(prefix)) yield* walk(entry.path, key, prefix, after, isGrouped);
        else if (key !== after) {
          for await (const first of walk(entry.path, key, prefix, after, false)) {
            void first;
            yield { key, isPrefix: true };
            break;
          }
        }
      }
    }
  }

  async function* list(bucket: string, query: ListQuery): AsyncGenerator<ListEntry> {
    const start = query.prefix.slice(0, query.prefix.lastIndexOf('/') + 1);
    const isGrouped = query.delimiter === '/';
    let last = query.after;
    for await (const { key, isPrefix } of walk(prefixPath(bucketPath(bucket), start), start, query.prefix, query.after, isGrouped)) {
      const cut = query.delimiter === '' || isPrefix ? -1 : key.indexOf(query.delimiter, query.prefix.length);
      if (isPrefix) yield { kind: 'prefix', key };
      else if (cut >= 0) {
        const prefix = key.slice(0, cut + query.delimiter.length);
        if (prefix !== last) yield { kind: 'prefix', key: prefix };
        last = prefix;
      } else {
        const found = await openObject(bucket, key);
        if (found === undefined) continue;
        await found.close();
        yield { kind: 'object', key, info: found.info };
      }
    }
  }

  async function openObject(bucket: string, key: string): Promise<OpenObject | undefined> {
    const found = await openFile(bucket, key);
    if (found === undefined) return undefined;
    const { handle, stats } = found;
    try {
      const info = await readInfo(bucket, key, handle, stats);
      return { info, read: (from, to) => readHandle(handle, from, to), close: () => handle.close() };
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  return {
    createBucket: async (bucket) => {
      try {
        await mkdir(bucketPath(bucket));
        return true;
      } catch (error) {
        if (errorCode(error) === 'EEXIST') return false;
        throw error;
      }
    },
    deleteBucket: async (bucket) => {
      for await (const entry of walk(bucketPath(bucket), '', '', '', false)) {
        void entry;
        return false;
      }
      await rm(bucketPath(bucket), { recursive: true, force: true });
      await rm(join(root, STATE, 'meta', bucket), { recursive: true, force: true });
      return true;
    },
    // Names of others would be paths out of the folder, or to what is kept beside the buckets.
    hasBucket: async (bucket) => isBucketName(bucket) && (await stat(bucketPath(bucket)).catch(() => undefined))?.isDirectory() === true,
    listBuckets: async () => {
      const names = (await readdir(root, { withFileTypes: true })).filter((d) => d.isDirectory() && isBucketName(d.name)).map((d) => d.name).sort(compareKeys);
      return Promise.all(names.map(async (name) => ({ name, createdMs: Math.trunc((await stat(bucketPath(name))).birthtimeMs) })));
    },
    open: openObject,
    stage,
    delete: async (bucket, key) => {
      const path = keyPath(bucketPath(bucket), key);
      for (const candidate of [path, path + OBJECT_SUFFIX]) {
        await unlink(candidate).catch((error: unknown) => {
          if (errorCode(error) !== 'ENOENT' && errorCode(error) !== 'ENOTDIR' && errorCode(error) !== 'EISDIR' && errorCode(error) !== 'EPERM') throw error;
        });
      }
      await rm(infoPath(bucket, key), { force: true });
      for (let at = dirname(path); at.length > bucketPath(bucket).length; at = dirname(at)) {
        try {
          await rmdir(at);
        } catch {
          break;
        }
      }
    },
    list,
  };
}
