/**
 * The files under the database, as tsdb needs them: a small synchronous interface that is injected.
 *
 * Synchronous on purpose: tsdb runs in worker threads, where waiting costs nobody anything, and a 16 KB pread through a promise
 * costs several times the read itself (docs/decisions/0001-synchronous-file-system.md). The implementation over Node lives in
 * service-kit, one in memory with fault injection in `@gauntlet/tsdb/testing`; a browser can supply one over fetched bytes.
 *
 * Paths are '/'-separated strings, joined with `joinPath`. Errors of the medium carry the POSIX name in `code`
 * ('ENOENT', 'EEXIST', 'ENOSPC', 'EIO', …), as Node's do.
 *
 * Durability, as POSIX has it: bytes given to `write`/`append` survive the death of the process (SIGKILL) once the call
 * returned, and the death of the machine once `fsync` returned; a created, renamed or removed name survives the machine once
 * `fsyncDir` of its directory returned.
 */

/** What a name refers to. */
export interface FileStat {
  readonly kind: 'file' | 'directory';
  /** Length in bytes; 0 for directories. */
  readonly bytes: number;
  /** Last modification, ms since 1970. */
  readonly modifiedMs: number;
}

/**
 * How to open:
 * - `read`: must exist, read only
 * - `create`: read and write, created or truncated to nothing
 * - `create-new`: as `create`, EEXIST when the name is taken
 * - `modify`: must exist, read and write, contents kept
 */
export type OpenMode = 'read' | 'create' | 'create-new' | 'modify';

/** An open file. Not shared between threads. */
export interface FileHandle {
  readonly path: string;
  /**
   * Fills `target` from `offset` (pread): shorter only at the end of the file.
   * @returns bytes read, 0 at or past the end
   */
  read(target: Uint8Array, offset: number): number;
  /** Writes all of `data` at `offset`, extending the file when needed; a gap reads as zeros. Throws when not all could be written. */
  write(data: Uint8Array, offset: number): void;
  /** Writes all of `data` at the present end of the file. */
  append(data: Uint8Array): void;
  /** Flushes contents and length to the medium. */
  fsync(): void;
  /** Cuts or extends (with zeros) to exactly `bytes`. */
  truncate(bytes: number): void;
  /** Present length, bytes. */
  size(): number;
  /** Idempotent. Does not imply fsync. */
  close(): void;
}

/** An exclusive claim on a name, among all processes of the machine. */
export interface FileLock {
  /** Idempotent. */
  release(): void;
}

/** Where tsdb keeps its files. */
export interface FileSystem {
  /** @throws with code ENOENT, EEXIST, EISDIR … */
  open(path: string, mode: OpenMode): FileHandle;
  /** Atomically gives `from` the name `to`; a file or an empty directory there is replaced. Works on directories. */
  rename(from: string, to: string): void;
  /** Removes a file, or a directory with all it holds. A missing name is no error. */
  remove(path: string): void;
  /** Makes the directory and its parents; an existing one is no error. */
  mkdir(path: string): void;
  /** Names (not paths) in a directory, in byte order. @throws ENOENT when there is none */
  list(path: string): string[];
  /** `undefined` when nothing has that name. */
  stat(path: string): FileStat | undefined;
  /** Makes creations, renames and removals inside the directory durable. */
  fsyncDir(path: string): void;
  /**
   * Claims `path` (a file that is created when missing) for this process. A claim whose holder has died does not count.
   * @returns `undefined` when another live holder, in this process or another, has it
   */
  lock(path: string): FileLock | undefined;
}

/** Joins path segments with '/'; no normalisation beyond the seams. */
export function joinPath(...segments: readonly string[]): string {
  let path = '';
  for (const segment of segments) {
    if (segment === '') continue;
    if (path === '') path = segment;
    else path += (path.endsWith('/') ? '' : '/') + segment;
  }
  return path;
}

/** Last segment of a path. */
export function baseName(path: string): string {
  const end = path.endsWith('/') ? path.length - 1 : path.length;
  return path.slice(path.lastIndexOf('/', end - 1) + 1, end);
}

/** Everything before the last segment; `'.'` when there is none, `'/'` at the root. */
export function dirName(path: string): string {
  const end = path.endsWith('/') ? path.length - 1 : path.length;
  const slash = path.lastIndexOf('/', end - 1);
  return slash < 0 ? '.' : slash === 0 ? '/' : path.slice(0, slash);
}

/** Reads a whole file. @throws the medium's error; code EIO when the file got shorter meanwhile */
export function readFile(fs: FileSystem, path: string): Uint8Array {
  const handle = fs.open(path, 'read');
  try {
    const bytes = new Uint8Array(handle.size());
    const got = handle.read(bytes, 0);
    return got === bytes.length ? bytes : bytes.subarray(0, got);
  } finally {
    handle.close();
  }
}

/**
 * Replaces a file so that after a crash either the former or all of the present contents are there: temporary name, fsync,
 * rename, fsync of the directory.
 */
export function replaceFile(fs: FileSystem, path: string, data: Uint8Array): void {
  const temporary = `${path}.tmp`;
  const handle = fs.open(temporary, 'create');
  try {
    handle.append(data);
    handle.fsync();
  } finally {
    handle.close();
  }
  fs.rename(temporary, path);
  fs.fsyncDir(dirName(path));
}
