/**
 * A `FileSystem` in memory that can fail and die, for tests.
 *
 * Every call that changes something, or syncs, is one numbered *operation*. Before operation n it can
 *   fail      throw once with a given code and go on          `failAt(n, 'ENOSPC')`
 *   stop      throw from there on: the process was killed      `stopAt(n)`
 * A write that is hit writes its first half first, as a torn write does. Afterwards
 *   afterKill()       a file system with everything that was written           (SIGKILL: the kernel has it)
 *   afterPowerLoss()  only contents that were fsynced under names that were fsynced
 *
 * Names are a tree of entries; what a directory durably holds is a second map, copied by `fsyncDir`.
 */
import { baseName, dirName, type FileHandle, type FileLock, type FileStat, type FileSystem, type OpenMode } from '../file-system.ts';

interface FileEntry {
  kind: 'file';
  data: Uint8Array;
  bytes: number;
  synced: Uint8Array;
}

interface DirectoryEntry {
  kind: 'directory';
  entries: Map<string, Entry>;
  synced: Map<string, Entry>;
}

type Entry = FileEntry | DirectoryEntry;

/** Controls beside the interface. */
export interface MemoryFileSystem extends FileSystem {
  /** Operations so far. */
  operations(): number;
  /** Reads so far (`FileHandle.read` calls), which are no operations. */
  reads(): number;
  /** Makes operation `n` (counted from 0) throw once. */
  failAt(n: number, code: string): void;
  /** Makes operation `n` and everything after it throw: the process died there. */
  stopAt(n: number): void;
  /** What another process finds after this one was killed. */
  afterKill(): MemoryFileSystem;
  /** What is left when the machine lost power: fsynced contents only. */
  afterPowerLoss(): MemoryFileSystem;
  /** All files with contents, by path, in byte order of the paths. */
  snapshot(): ReadonlyMap<string, Uint8Array>;
  /** Writes a file, making its directories; durable; not an operation. */
  seed(path: string, data: Uint8Array): void;
}

function mediumError(code: string, action: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${action} ${path}`), { code });
}

function directory(): DirectoryEntry {
  return { kind: 'directory', entries: new Map(), synced: new Map() };
}

function copyLive(entry: Entry): Entry {
  if (entry.kind === 'file') {
    const data = entry.data.slice(0, entry.bytes);
    return { kind: 'file', data, bytes: data.length, synced: entry.synced.slice() };
  }
  const copy = directory();
  for (const [name, child] of entry.entries) {
    const childCopy = copyLive(child);
    copy.entries.set(name, childCopy);
    if (entry.synced.get(name) === child) copy.synced.set(name, childCopy);
  }
  return copy;
}

function copySynced(entry: Entry): Entry {
  if (entry.kind === 'file') return { kind: 'file', data: entry.synced.slice(), bytes: entry.synced.length, synced: entry.synced.slice() };
  const copy = directory();
  for (const [name, child] of entry.synced) {
    const childCopy = copySynced(child);
    copy.entries.set(name, childCopy);
    copy.synced.set(name, childCopy);
  }
  return copy;
}

function createOver(root: DirectoryEntry): MemoryFileSystem {
  let operationCount = 0;
  let readCount = 0;
  let stopped = false;
  let stopOperation = Number.POSITIVE_INFINITY;
  let failOperation = -1;
  let failCode = '';
  const locks = new Set<string>();

  /** Counts an operation; returns an error when it is to be hit. */
  const nextOperation = (action: string, path: string): Error | undefined => {
    if (stopped) return mediumError('ESTOPPED', action, path);
    const n = operationCount++;
    if (n >= stopOperation) {
      stopped = true;
      return mediumError('ESTOPPED', action, path);
    }
    return n === failOperation ? mediumError(failCode, action, path) : undefined;
  };
  const operate = (action: string, path: string): void => {
    const error = nextOperation(action, path);
    if (error !== undefined) throw error;
  };
  const parts = (path: string): string[] => path.split('/').filter((part) => part !== '' && part !== '.');
  const find = (path: string): Entry | undefined => {
    let entry: Entry = root;
    for (const part of parts(path)) {
      if (entry.kind !== 'directory') return undefined;
      const child = entry.entries.get(part);
      if (child === undefined) return undefined;
      entry = child;
    }
    return entry;
  };
  const findDirectory = (path: string, action: string): DirectoryEntry => {
    const entry = find(path);
    if (entry === undefined) throw mediumError('ENOENT', action, path);
    if (entry.kind !== 'directory') throw mediumError('ENOTDIR', action, path);
    return entry;
  };

  const writeTo = (file: FileEntry, data: Uint8Array, offset: number): void => {
    const end = offset + data.length;
    if (end > file.data.length) {
      const grown = new Uint8Array(Math.max(end, file.data.length * 2, 64));
      grown.set(file.data.subarray(0, file.bytes));
      file.data = grown;
    }
    if (offset > file.bytes) file.data.fill(0, file.bytes, offset);
    file.data.set(data, offset);
    file.bytes = Math.max(file.bytes, end);
  };

  const createHandle = (path: string, file: FileEntry, isWritable: boolean): FileHandle => {
    let isOpen = true;
    const check = (action: string): void => {
      if (!isOpen) throw mediumError('EBADF', action, path);
    };
    const write = (data: Uint8Array, offset: number): void => {
      check('write');
      if (!isWritable) throw mediumError('EBADF', 'write', path);
      const wasStopped = stopped;
      const error = nextOperation('write', path);
      if (error !== undefined) {
        if (!wasStopped) writeTo(file, data.subarray(0, data.length >>> 1), offset);
        throw error;
      }
      writeTo(file, data, offset);
    };
    return {
      path,
      read(target, offset) {
        check('read');
        if (stopped) throw mediumError('ESTOPPED', 'read', path);
        readCount++;
        const end = Math.min(offset + target.length, file.bytes);
        if (end <= offset) return 0;
        target.set(file.data.subarray(offset, end));
        return end - offset;
      },
      write,
      append(data) {
        write(data, file.bytes);
      },
      fsync() {
        check('fsync');
        operate('fsync', path);
        file.synced = file.data.slice(0, file.bytes);
      },
      truncate(bytes) {
        check('truncate');
        operate('truncate', path);
        if (bytes > file.bytes) writeTo(file, new Uint8Array(bytes - file.bytes), file.bytes);
        else file.bytes = bytes;
      },
      size() {
        check('stat');
        return file.bytes;
      },
      close() {
        isOpen = false;
      },
    };
  };

  return {
    open(path: string, mode: OpenMode): FileHandle {
      if (stopped) throw mediumError('ESTOPPED', 'open', path);
      const existing = find(path);
      if (existing?.kind === 'directory') throw mediumError('EISDIR', 'open', path);
      if (mode === 'read' || mode === 'modify') {
        if (existing === undefined) throw mediumError('ENOENT', 'open', path);
        return createHandle(path, existing, mode === 'modify');
      }
      if (mode === 'create-new' && existing !== undefined) throw mediumError('EEXIST', 'open', path);
      const parent = findDirectory(dirName(path), 'open');
      operate('create', path);
      const file: FileEntry = existing ?? { kind: 'file', data: new Uint8Array(0), bytes: 0, synced: new Uint8Array(0) };
      file.bytes = 0;
      parent.entries.set(baseName(path), file);
      return createHandle(path, file, true);
    },
    rename(from, to) {
      const entry = find(from);
      if (entry === undefined) throw mediumError('ENOENT', 'rename', from);
      const target = find(to);
      if (target?.kind === 'directory' && target.entries.size > 0) throw mediumError('ENOTEMPTY', 'rename', to);
      const source = findDirectory(dirName(from), 'rename');
      const destination = findDirectory(dirName(to), 'rename');
      operate('rename', from);
      source.entries.delete(baseName(from));
      destination.entries.set(baseName(to), entry);
    },
    remove(path) {
      const entry = find(path);
      if (entry === undefined) {
        if (stopped) throw mediumError('ESTOPPED', 'remove', path);
        return;
      }
      const parent = findDirectory(dirName(path), 'remove');
      if (entry.kind === 'file') {
        operate('remove', path);
        parent.entries.delete(baseName(path));
        return;
      }
      // One operation per name, as a recursive removal really is.
      const empty = (folder: DirectoryEntry, at: string): void => {
        for (const [name, child] of folder.entries) {
          if (child.kind === 'directory') empty(child, `${at}/${name}`);
          operate('remove', `${at}/${name}`);
          folder.entries.delete(name);
        }
      };
      empty(entry, path);
      operate('remove', path);
      parent.entries.delete(baseName(path));
    },
    mkdir(path) {
      if (find(path) !== undefined) {
        findDirectory(path, 'mkdir');
        if (stopped) throw mediumError('ESTOPPED', 'mkdir', path);
        return;
      }
      operate('mkdir', path);
      let entry = root;
      for (const part of parts(path)) {
        let child = entry.entries.get(part);
        if (child === undefined) {
          child = directory();
          entry.entries.set(part, child);
        }
        if (child.kind !== 'directory') throw mediumError('ENOTDIR', 'mkdir', path);
        entry = child;
      }
    },
    list(path) {
      if (stopped) throw mediumError('ESTOPPED', 'list', path);
      return [...findDirectory(path, 'list').entries.keys()].sort();
    },
    stat(path): FileStat | undefined {
      if (stopped) throw mediumError('ESTOPPED', 'stat', path);
      const entry = find(path);
      if (entry === undefined) return undefined;
      return { kind: entry.kind, bytes: entry.kind === 'file' ? entry.bytes : 0, modifiedMs: 0 };
    },
    fsyncDir(path) {
      const entry = findDirectory(path, 'fsync');
      operate('fsync', path);
      entry.synced = new Map(entry.entries);
    },
    lock(path): FileLock | undefined {
      if (stopped) throw mediumError('ESTOPPED', 'lock', path);
      if (locks.has(path)) return undefined;
      locks.add(path);
      return { release: () => void locks.delete(path) };
    },
    operations: () => operationCount,
    reads: () => readCount,
    failAt(n, code) {
      failOperation = n;
      failCode = code;
    },
    stopAt(n) {
      stopOperation = n;
    },
    afterKill: () => createOver(copyLive(root) as DirectoryEntry),
    afterPowerLoss: () => createOver(copySynced(root) as DirectoryEntry),
    snapshot() {
      const files = new Map<string, Uint8Array>();
      const walk = (folder: DirectoryEntry, path: string): void => {
        for (const name of [...folder.entries.keys()].sort()) {
          const entry = folder.entries.get(name)!;
          const at = path === '' ? name : `${path}/${name}`;
          if (entry.kind === 'directory') walk(entry, at);
          else files.set(at, entry.data.slice(0, entry.bytes));
        }
      };
      walk(root, '');
      return files;
    },
    seed(path, data) {
      let entry = root;
      const names = parts(path);
      const last = names.pop()!;
      for (const part of names) {
        const child = entry.entries.get(part) ?? directory();
        if (child.kind !== 'directory') throw mediumError('ENOTDIR', 'seed', path);
        entry.entries.set(part, child);
        entry.synced.set(part, child);
        entry = child;
      }
      const file: FileEntry = { kind: 'file', data: data.slice(), bytes: data.length, synced: data.slice() };
      entry.entries.set(last, file);
      entry.synced.set(last, file);
    },
  };
}

/** An empty file system. Paths may be absolute or relative; both mean the same tree. */
export function createMemoryFileSystem(): MemoryFileSystem {
  return createOver(directory());
}
