/**
 * A `FileSystem` in memory that can fail and die, for tests.
 *
 * Every call that changes something, or syncs, is one numbered *operation*. At operation n it can
 *   fail      throw once with a given code and go on           `failAt(n, 'ENOSPC')`, or after the operation was done: `failAt(n, 'EIO', 'after')`
 *   fill up   whatever needs space throws ENOSPC, until there is room again     `fullFrom(n)`, `makeRoom()`
 *   stop      throw from there on: the process was killed       `stopAt(n)`
 * A write that is hit writes its first half first, as a torn write does. Reads, opening to read included, are counted apart: `failReadAt`.
 * Afterwards
 *   afterKill()              a file system with everything that was written           (SIGKILL: the kernel has it)
 *   afterPowerLoss()         only contents that were fsynced under names that were fsynced
 *   afterPowerLoss(random)   the same and some of the rest, as a disk has it: of a file any of the sectors that were not synced, zeros where
 *                            they had never been written; of a folder its changes up to one of them, in order
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
  /** What it held after each change since it was synced. */
  changes: Map<string, Entry>[];
}

type Entry = FileEntry | DirectoryEntry;

/** Controls beside the interface. */
export interface MemoryFileSystem extends FileSystem {
  /** Operations so far. */
  operations(): number;
  /** Reads so far (`FileHandle.read` calls and openings to read), which are no operations. */
  reads(): number;
  /** Operations so far by kind: create, write, truncate, fsync, fsync-dir, rename, remove, mkdir. */
  kinds(): ReadonlyMap<string, number>;
  /** Handles that are open. */
  openHandles(): number;
  /** Makes operation `n` (counted from 0) throw once, before it is done (a write by half) or after. */
  failAt(n: number, code: string, moment?: 'before' | 'after'): void;
  /** Makes read `n` (counted from 0, openings to read among them) throw once. */
  failReadAt(n: number, code: string): void;
  /** From operation `n` on creating, making folders and extending files throws ENOSPC, the first write by half. */
  fullFrom(n: number): void;
  /** Ends what `fullFrom` began. */
  makeRoom(): void;
  /** Makes operation `n` and everything after it throw: the process died there. */
  stopAt(n: number): void;
  /** What another process finds after this one was killed. */
  afterKill(): MemoryFileSystem;
  /** What is left when the machine lost power: fsynced contents, and with `random` (in [0, 1)) an accidental part of the rest. */
  afterPowerLoss(random?: () => number): MemoryFileSystem;
  /** All files with contents, by path, in byte order of the paths. */
  snapshot(): ReadonlyMap<string, Uint8Array>;
  /** Writes a file, making its directories; durable; not an operation. */
  seed(path: string, data: Uint8Array): void;
}

function mediumError(code: string, action: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${action} ${path}`), { code });
}

function directory(): DirectoryEntry {
  return { kind: 'directory', entries: new Map(), synced: new Map(), changes: [] };
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
  if (entry.changes.length > 0) copy.changes.push(new Map(copy.entries));
  return copy;
}

const SECTOR_BYTES = 512;

/** Synced bytes, or with `random` a file between them and the present ones. */
function survivingBytes({ synced, data, bytes }: FileEntry, random: (() => number) | undefined): Uint8Array {
  if (random === undefined) return synced.slice();
  const length = random() < 0.5 ? synced.length : random() < 0.5 ? bytes : Math.min(synced.length, bytes) + Math.floor(random() * Math.abs(bytes - synced.length));
  const survived = new Uint8Array(length);
  survived.set(synced.subarray(0, length));
  for (let at = 0; at < Math.min(length, bytes); at += SECTOR_BYTES) {
    if (random() < 0.7) survived.set(data.subarray(at, Math.min(at + SECTOR_BYTES, length, bytes)), at);
  }
  return survived;
}

function copySynced(entry: Entry, random?: () => number): Entry {
  if (entry.kind === 'file') {
    const data = survivingBytes(entry, random);
    return { kind: 'file', data, bytes: data.length, synced: data.slice() };
  }
  const copy = directory();
  const states = [entry.synced, ...entry.changes];
  for (const [name, child] of random === undefined ? entry.synced : states[Math.floor(random() * states.length)]!) {
    const childCopy = copySynced(child, random);
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
  let failMoment: 'before' | 'after' = 'before';
  let failRead = -1;
  let failReadCode = '';
  let fullOperation = Number.POSITIVE_INFINITY;
  let handleCount = 0;
  const kinds = new Map<string, number>();
  const locks = new Set<string>();

  /** Counts an operation and does it, or what is left of it when it is hit. @param half of a write that is hit before */
  const operate = (action: string, path: string, whole: () => void, needsSpace = false, half?: () => void): void => {
    if (stopped) throw mediumError('ESTOPPED', action, path);
    const n = operationCount++;
    kinds.set(action, (kinds.get(action) ?? 0) + 1);
    if (n >= stopOperation) {
      stopped = true;
      half?.();
      throw mediumError('ESTOPPED', action, path);
    }
    if (needsSpace && n >= fullOperation) {
      if (n === fullOperation) half?.();
      throw mediumError('ENOSPC', action, path);
    }
    if (n === failOperation && failMoment === 'before') half?.();
    else whole();
    if (n === failOperation) throw mediumError(failCode, action, path);
  };
  const countRead = (action: string, path: string): void => {
    if (stopped) throw mediumError('ESTOPPED', action, path);
    if (readCount++ === failRead) throw mediumError(failReadCode, action, path);
  };
  const put = (folder: DirectoryEntry, name: string, entry: Entry): void => {
    folder.entries.set(name, entry);
    folder.changes.push(new Map(folder.entries));
  };
  const drop = (folder: DirectoryEntry, name: string): void => {
    folder.entries.delete(name);
    folder.changes.push(new Map(folder.entries));
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
    handleCount++;
    const check = (action: string): void => {
      if (!isOpen) throw mediumError('EBADF', action, path);
    };
    const write = (data: Uint8Array, offset: number): void => {
      check('write');
      if (!isWritable) throw mediumError('EBADF', 'write', path);
      const half = (): void => writeTo(file, data.subarray(0, data.length >>> 1), offset);
      operate('write', path, () => writeTo(file, data, offset), offset + data.length > file.bytes, half);
    };
    return {
      path,
      read(target, offset) {
        check('read');
        countRead('read', path);
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
        operate('fsync', path, () => (file.synced = file.data.slice(0, file.bytes)));
      },
      truncate(bytes) {
        check('truncate');
        const cut = (): void => {
          if (bytes > file.bytes) writeTo(file, new Uint8Array(bytes - file.bytes), file.bytes);
          else file.bytes = bytes;
        };
        operate('truncate', path, cut, bytes > file.bytes);
      },
      size() {
        check('stat');
        return file.bytes;
      },
      close() {
        if (isOpen) handleCount--;
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
        countRead('open', path);
        return createHandle(path, existing, mode === 'modify');
      }
      if (mode === 'create-new' && existing !== undefined) throw mediumError('EEXIST', 'open', path);
      const parent = findDirectory(dirName(path), 'open');
      const file: FileEntry = existing ?? { kind: 'file', data: new Uint8Array(0), bytes: 0, synced: new Uint8Array(0) };
      const create = (): void => {
        file.bytes = 0;
        if (existing === undefined) put(parent, baseName(path), file);
      };
      operate('create', path, create, existing === undefined);
      return createHandle(path, file, true);
    },
    rename(from, to) {
      const entry = find(from);
      if (entry === undefined) throw mediumError('ENOENT', 'rename', from);
      const target = find(to);
      if (target?.kind === 'directory' && target.entries.size > 0) throw mediumError('ENOTEMPTY', 'rename', to);
      const source = findDirectory(dirName(from), 'rename');
      const destination = findDirectory(dirName(to), 'rename');
      const move = (): void => {
        // One change: no crash sees both names, or neither.
        source.entries.delete(baseName(from));
        destination.entries.set(baseName(to), entry);
        for (const folder of new Set([source, destination])) folder.changes.push(new Map(folder.entries));
      };
      operate('rename', from, move);
    },
    remove(path) {
      const entry = find(path);
      if (entry === undefined) {
        if (stopped) throw mediumError('ESTOPPED', 'remove', path);
        return;
      }
      const parent = findDirectory(dirName(path), 'remove');
      // One operation per name, as a recursive removal really is.
      const empty = (folder: DirectoryEntry, at: string): void => {
        for (const [name, child] of folder.entries) {
          if (child.kind === 'directory') empty(child, `${at}/${name}`);
          operate('remove', `${at}/${name}`, () => drop(folder, name));
        }
      };
      if (entry.kind === 'directory') empty(entry, path);
      operate('remove', path, () => drop(parent, baseName(path)));
    },
    mkdir(path) {
      if (find(path) !== undefined) {
        findDirectory(path, 'mkdir');
        if (stopped) throw mediumError('ESTOPPED', 'mkdir', path);
        return;
      }
      const make = (): void => {
        let entry = root;
        for (const part of parts(path)) {
          let child = entry.entries.get(part);
          if (child === undefined) {
            child = directory();
            put(entry, part, child);
          }
          if (child.kind !== 'directory') throw mediumError('ENOTDIR', 'mkdir', path);
          entry = child;
        }
      };
      operate('mkdir', path, make, true);
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
      const sync = (): void => {
        entry.synced = new Map(entry.entries);
        entry.changes = [];
      };
      operate('fsync-dir', path, sync);
    },
    lock(path): FileLock | undefined {
      if (stopped) throw mediumError('ESTOPPED', 'lock', path);
      if (locks.has(path)) return undefined;
      locks.add(path);
      return { release: () => void locks.delete(path) };
    },
    operations: () => operationCount,
    reads: () => readCount,
    kinds: () => kinds,
    openHandles: () => handleCount,
    failAt(n, code, moment = 'before') {
      failOperation = n;
      failCode = code;
      failMoment = moment;
    },
    failReadAt(n, code) {
      failRead = n;
      failReadCode = code;
    },
    fullFrom(n) {
      fullOperation = n;
    },
    makeRoom() {
      fullOperation = Number.POSITIVE_INFINITY;
    },
    stopAt(n) {
      stopOperation = n;
    },
    afterKill: () => createOver(copyLive(root) as DirectoryEntry),
    afterPowerLoss: (random) => createOver(copySynced(root, random) as DirectoryEntry),
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
