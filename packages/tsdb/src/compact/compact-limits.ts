/** Limits of a compaction: bytes that it writes, counted exactly as files are written, and memory, counted as what grows with the input is taken. */
import { TsdbError } from '../errors.ts';
import type { FileHandle, FileSystem } from '../file-system.ts';

/**
 * A file system on which at most so many bytes can be written. Rewriting bytes that are there counts again: what is written once costs its length.
 * @param title of the work, for the error
 * @returns the file system; its writes throw TsdbError ERR_COMPACT_BUDGET when they would pass the limit
 */
export function limitDisk(fs: FileSystem, bytesMax: number, title: string): FileSystem {
  let written = 0;
  const charge = (path: string, bytes: number): void => {
    if (written + bytes > bytesMax) {
      throw new TsdbError('ERR_COMPACT_BUDGET', `${title}: write ${bytes} bytes to ${path} after ${written}: the limit is ${bytesMax} bytes on disk (diskBytesMax)`);
    }
    written += bytes;
  };
  const wrap = (handle: FileHandle): FileHandle => ({
    path: handle.path,
    read: (target, offset) => handle.read(target, offset),
    write(data, offset) {
      charge(handle.path, data.length);
      handle.write(data, offset);
    },
    append(data) {
      charge(handle.path, data.length);
      handle.append(data);
    },
    fsync: () => handle.fsync(),
    truncate: (bytes) => handle.truncate(bytes),
    size: () => handle.size(),
    close: () => handle.close(),
  });
  return {
    open: (path, mode) => wrap(fs.open(path, mode)),
    rename: (from, to) => fs.rename(from, to),
    remove: (path) => fs.remove(path),
    mkdir: (path) => fs.mkdir(path),
    list: (path) => fs.list(path),
    stat: (path) => fs.stat(path),
    fsyncDir: (path) => fs.fsyncDir(path),
    lock: (path) => fs.lock(path),
  };
}

/** Memory in use, against a limit. Numbers are estimates: what arrays and strings hold, not what the engine adds. */
export class MemoryBudget {
  readonly #bytesMax: number;
  readonly #title: string;
  usedBytes = 0;

  constructor(bytesMax: number, title: string) {
    this.#bytesMax = bytesMax;
    this.#title = title;
  }

  /** Takes bytes before they are allocated. @throws TsdbError ERR_COMPACT_BUDGET naming what they are for */
  reserve(bytes: number, purpose: string): void {
    if (this.usedBytes + bytes > this.#bytesMax) {
      throw new TsdbError('ERR_COMPACT_BUDGET', `${this.#title}: ${bytes} bytes for ${purpose} with ${this.usedBytes} in use: the limit is ${this.#bytesMax} bytes of memory (memoryBytesMax)`);
    }
    this.usedBytes += bytes;
  }

  release(bytes: number): void {
    this.usedBytes -= bytes;
  }
}
