/**
 * A directory as a bucket, in the layout of Thanos' FILESYSTEM provider: `<directory>/<name>`. An upload is written to
 * `<directory>/.gauntlet-tmp/`, fsynced and renamed, so readers (of other processes and of Thanos too) see whole objects only.
 *
 * Conditional writes: creation is link(2), which fails if the name exists; replacement holds a lock file
 * `.gauntlet-tmp/<hash>.lock` with the owner's pid, taken over when that process is gone. Both work between processes of one
 * machine. The etag is inode, modification time and size: a rename changes it, reading the bytes is not needed.
 */
import { createHash, randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import type { BigIntStats, Dirent } from 'node:fs';
import { link, lstat, mkdir, open, readFile, readdir, rename, rm, rmdir, stat, unlink, writeFile } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { compareUtf8 } from '@gauntlet/bytes';
import { systemErrorCode } from '@gauntlet/service-kit';

import type { Bucket, BucketEntry, BucketOptions, IterOptions, ObjectAttributes, UploadBody, UploadOptions } from './bucket.ts';
import { ObjstoreError } from './errors.ts';
import { checkKey, directoryPrefix, throwIfAborted } from './object-key.ts';
import { bodyPieces } from './upload-body.ts';

/** Directory for unfinished uploads and locks; hidden from listings. */
export const FILESYSTEM_TMP_DIR = '.gauntlet-tmp';
const STREAM_BYTES = 1024 * 1024;
const STALE_UPLOAD_MS = 24 * 60 * 60 * 1000;

/** Options of {@link createFilesystemBucket}. */
export interface FilesystemBucketOptions {
  /** Created if it is not there. */
  readonly directory: string;
  /** False leaves out fsync; default true. */
  readonly isDurable?: boolean;
}

async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function attributesOf(stats: BigIntStats): ObjectAttributes {
  return { size: Number(stats.size), lastModifiedMs: Number(stats.mtimeMs), etag: `${stats.ino}-${stats.mtimeNs}-${stats.size}` };
}

/** Opens a directory as a bucket and removes unfinished uploads older than a day. */
export async function createFilesystemBucket(options: FilesystemBucketOptions): Promise<Bucket> {
  const { directory } = options;
  const isDurable = options.isDurable ?? true;
  const tmpPath = join(directory, FILESYSTEM_TMP_DIR);
  await mkdir(directory, { recursive: true });
  await removeStaleUploads(tmpPath);
  const pathOf = (key: string): string => join(directory, key);

  function mapError(operation: string, key: string, error: unknown): unknown {
    if (error instanceof ObjstoreError) return error;
    const at = `${operation} ${key} in bucket ${directory}`;
    switch (systemErrorCode(error)) {
      case 'ENOENT':
      case 'ENOTDIR': return new ObjstoreError('ERR_OBJECT_NOT_FOUND', `${at}: no such object`, error);
      case 'EISDIR': return new ObjstoreError('ERR_OBJECT_NOT_FOUND', `${at}: is a directory`, error);
      case 'EACCES':
      case 'EPERM':
      case 'EROFS': return new ObjstoreError('ERR_ACCESS_DENIED', `${at}: ${(error as Error).message}`, error);
      case 'ENAMETOOLONG': return new ObjstoreError('ERR_OBJECT_KEY', `${at}: name too long`, error);
      case undefined: return error;
      default: return new ObjstoreError('ERR_BUCKET_UNREACHABLE', `${at}: ${(error as Error).message}`, error);
    }
  }

  async function guarded<T>(operation: string, key: string, o: BucketOptions | undefined, work: () => Promise<T>): Promise<T> {
    throwIfAborted(o?.signal);
    checkKey(operation, key, directory);
    try {
      return await work();
    } catch (error) {
      throw mapError(operation, key, error);
    }
  }

  /** Attributes, or undefined if there is no file of this name. */
  async function look(key: string): Promise<ObjectAttributes | undefined> {
    try {
      const stats = await stat(pathOf(key), { bigint: true });
      return stats.isFile() ? attributesOf(stats) : undefined;
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT' || systemErrorCode(error) === 'ENOTDIR') return undefined;
      throw mapError('look at', key, error);
    }
  }

  async function withFile<T>(operation: string, key: string, o: BucketOptions | undefined, work: (handle: FileHandle, size: number) => Promise<T>): Promise<T> {
    return guarded(operation, key, o, async () => {
      const handle = await open(pathOf(key), 'r');
      try {
        const stats = await handle.stat();
        if (!stats.isFile()) throw new ObjstoreError('ERR_OBJECT_NOT_FOUND', `${operation} ${key} in bucket ${directory}: is a directory`);
        return await work(handle, stats.size);
      } finally {
        await handle.close();
      }
    });
  }

  async function readInto(handle: FileHandle, target: Uint8Array, offset: number): Promise<number> {
    let done = 0;
    while (done < target.length) {
      const { bytesRead } = await handle.read(target, done, target.length - done, offset + done);
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    return done;
  }

  async function readRange(key: string, offset: number, o: BucketOptions | undefined, target: (available: number) => Uint8Array): Promise<Uint8Array> {
    return withFile('get range of', key, o, async (handle, size) => {
      if (offset < 0 || offset >= size) throw new ObjstoreError('ERR_OBJECT_RANGE', `get range of ${key} in bucket ${directory}: offset ${offset} beyond size ${size}`);
      const bytes = target(size - offset);
      return bytes.subarray(0, await readInto(handle, bytes, offset));
    });
  }

  async function* walk(path: string, prefix: string, isRecursive: boolean, signal: AbortSignal | undefined): AsyncGenerator<BucketEntry> {
    throwIfAborted(signal);
    let dirents: Dirent[];
    try {
      dirents = await readdir(path, { withFileTypes: true });
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT' || systemErrorCode(error) === 'ENOTDIR') return;
      throw mapError('iter', prefix, error);
    }
    const names: string[] = [];
    for (const dirent of dirents) {
      if (prefix === '' && dirent.name === FILESYSTEM_TMP_DIR) continue;
      const isDirectory = dirent.isSymbolicLink() ? (await stat(join(path, dirent.name)).catch(() => undefined))?.isDirectory() === true : dirent.isDirectory();
      names.push(prefix + dirent.name + (isDirectory ? '/' : ''));
    }
    for (const name of names.sort(compareUtf8)) {
      if (!name.endsWith('/')) {
        throwIfAborted(signal);
        const found = await look(name);
        if (found !== undefined) yield { name, size: found.size, lastModifiedMs: found.lastModifiedMs };
      } else if (isRecursive) yield* walk(pathOf(name), name, true, signal);
      else {
        // An empty directory is no object store's directory.
        for await (const first of walk(pathOf(name), name, true, signal)) {
          void first;
          yield { name };
          break;
        }
      }
    }
  }

  async function* iterEntries(dir: string, o: IterOptions = {}): AsyncGenerator<BucketEntry> {
    const prefix = directoryPrefix(dir, directory);
    yield* walk(pathOf(prefix), prefix, o.recursive === true, o.signal);
  }

  async function stage(body: UploadBody, signal: AbortSignal | undefined): Promise<string> {
    await mkdir(tmpPath, { recursive: true });
    const temporary = join(tmpPath, randomUUID());
    const handle = await open(temporary, 'wx');
    try {
      for await (const piece of bodyPieces(body)) {
        throwIfAborted(signal);
        await handle.writeFile(piece);
      }
      if (isDurable) await handle.sync();
    } catch (error) {
      await handle.close();
      await rm(temporary, { force: true });
      throw error;
    }
    await handle.close();
    return temporary;
  }

  /** Puts staged bytes in place; a concurrent delete may prune the directory in between, hence the loop. */
  async function place(temporary: string, key: string, mode: 'replace' | 'create'): Promise<void> {
    const target = pathOf(key);
    for (let attempt = 0; ; attempt++) {
      try {
        await mkdir(dirname(target), { recursive: true });
      } catch (error) {
        if (systemErrorCode(error) === 'EEXIST' || systemErrorCode(error) === 'ENOTDIR') {
          throw new ObjstoreError('ERR_OBJECT_KEY', `upload ${key} to bucket ${directory}: a part of its path is an object`, error);
        }
        throw error;
      }
      try {
        if (mode === 'replace') await rename(temporary, target);
        else await link(temporary, target);
        break;
      } catch (error) {
        const code = systemErrorCode(error);
        if (code === 'EEXIST' && mode === 'create') throw new ObjstoreError('ERR_PRECONDITION_FAILED', `upload ${key} to bucket ${directory}: the object exists`);
        if (code === 'EISDIR' || code === 'ENOTEMPTY' || code === 'EEXIST') throw new ObjstoreError('ERR_OBJECT_KEY', `upload ${key} to bucket ${directory}: is a directory`, error);
        if (code !== 'ENOENT' || attempt >= 50) throw error;
      }
    }
    if (isDurable) await syncDirectory(dirname(target));
  }

  async function upload(key: string, body: UploadBody, o: UploadOptions = {}): Promise<string> {
    return guarded('upload', key, o, async () => {
      let temporary: string;
      try {
        temporary = await stage(body, o.signal);
      } catch (error) {
        const isMissing = systemErrorCode(error) === 'ENOENT' && !(body instanceof Uint8Array) && 'path' in body;
        throw isMissing ? new ObjstoreError('ERR_BUCKET_REFUSED', `upload ${key} to bucket ${directory}: ${(error as Error).message}`, error) : error;
      }
      try {
        const attributes = attributesOf(await stat(temporary, { bigint: true }));
        if (o.ifNoneMatch === '*') await place(temporary, key, 'create');
        else if (o.ifMatch === undefined) await place(temporary, key, 'replace');
        else {
          await withLock(key, o.signal, async () => {
            const stored = await look(key);
            if (stored?.etag !== o.ifMatch) throw new ObjstoreError('ERR_PRECONDITION_FAILED', `upload ${key} to bucket ${directory}: etag is ${stored?.etag ?? 'absent'}, wanted ${o.ifMatch!}`);
            await place(temporary, key, 'replace');
          });
        }
        return attributes.etag;
      } finally {
        await rm(temporary, { force: true });
      }
    });
  }

  async function withLock(key: string, signal: AbortSignal | undefined, work: () => Promise<void>): Promise<void> {
    const path = join(tmpPath, `${createHash('sha256').update(key).digest('hex')}.lock`);
    for (let waitMs = 1; ; waitMs = Math.min(waitMs * 2, 50)) {
      throwIfAborted(signal);
      try {
        await writeFile(path, String(process.pid), { flag: 'wx' });
        break;
      } catch (error) {
        if (systemErrorCode(error) !== 'EEXIST') throw error;
      }
      const pid = Number(await readFile(path, 'utf8').catch(() => ''));
      if (pid > 0 && !isAlive(pid)) {
        // Only one of several takers gets the stale file away.
        const claimed = join(tmpPath, `${randomUUID()}.stale`);
        await rename(path, claimed).then(() => unlink(claimed), () => undefined);
      } else await delay(waitMs);
    }
    try {
      await work();
    } finally {
      await unlink(path);
    }
  }

  return {
    name: directory,
    provider: 'FILESYSTEM',
    iterEntries,
    async *iter(dir, o) { for await (const entry of iterEntries(dir, o)) yield entry.name; },
    get: (key, o) => withFile('get', key, o, async (handle, size) => {
      const bytes = new Uint8Array(size);
      return bytes.subarray(0, await readInto(handle, bytes, 0));
    }),
    async *stream(key, o) {
      throwIfAborted(o?.signal);
      checkKey('get', key, directory);
      let handle: FileHandle | undefined;
      try {
        handle = await open(pathOf(key), 'r');
        for (let at = 0; ;) {
          throwIfAborted(o?.signal);
          const piece = new Uint8Array(STREAM_BYTES);
          const read = await readInto(handle, piece, at);
          at += read;
          if (read > 0) yield piece.subarray(0, read);
          if (read < STREAM_BYTES) break;
        }
      } catch (error) {
        throw mapError('get', key, error);
      } finally {
        await handle?.close();
      }
    },
    getRange: (key, offset, length, o) => readRange(key, offset, o, (available) => new Uint8Array(length < 0 ? available : Math.min(available, length))),
    getRangeInto: async (key, offset, target, o) => (await readRange(key, offset, o, () => target)).length,
    exists: (key, o) => guarded('check', key, o, async () => (await look(key)) !== undefined),
    attributes: (key, o) => guarded('get attributes of', key, o, async () => {
      const found = await look(key);
      if (found === undefined) throw new ObjstoreError('ERR_OBJECT_NOT_FOUND', `get attributes of ${key} in bucket ${directory}: no such object`);
      return found;
    }),
    upload,
    delete: (key, o) => guarded('delete', key, o, async () => {
      const path = pathOf(key);
      if ((await lstat(path).catch(() => undefined))?.isDirectory() === true) return;
      await rm(path, { force: true }).catch((error: unknown) => { if (systemErrorCode(error) !== 'ENOTDIR') throw error; });
      for (let at = dirname(path); at.length > directory.length; at = dirname(at)) {
        try {
          await rmdir(at);
        } catch {
          break;
        }
      }
    }),
    supportsConditionalWrites: () => Promise.resolve(true),
    close: () => Promise.resolve(),
  };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return systemErrorCode(error) !== 'ESRCH';
  }
}

async function removeStaleUploads(tmpPath: string): Promise<void> {
  const names = await readdir(tmpPath).catch(() => []);
  const oldest = Date.now() - STALE_UPLOAD_MS;
  for (const name of names) {
    const path = join(tmpPath, name);
    const found = await stat(path).catch(() => undefined);
    if (found !== undefined && found.mtimeMs < oldest) await rm(path, { force: true });
  }
}
