/**
 * Files of a database that is thrown away once a block has been cut from it: its write-ahead log is taken and forgotten, everything else is written
 * as it should be. Nobody else knows the folder, so locks are granted without asking.
 */
import { baseName, type FileHandle, type FileStat, type FileSystem, joinPath, type OpenMode } from '@gauntlet/tsdb';

const LOG_DIR = 'wal';

/** See the head of this file. @throws (open) ENOENT for reading a log back: nothing of it is kept */
export class ForgetfulLog implements FileSystem {
  readonly #fs: FileSystem;
  readonly #logDir: string;
  /** Segments that would be there. */
  readonly #segments: Set<string> = new Set();

  /** @param dir folder of the database */
  constructor(fs: FileSystem, dir: string) {
    this.#fs = fs;
    this.#logDir = joinPath(dir, LOG_DIR);
  }

  open(path: string, mode: OpenMode): FileHandle {
    if (!this.#isLog(path)) return this.#fs.open(path, mode);
    if (mode === 'read' || mode === 'modify') throw Object.assign(new Error(`ENOENT: the log is not kept, open '${path}'`), { code: 'ENOENT', path });
    this.#segments.add(baseName(path));
    return new ForgottenFile(path);
  }

  rename(from: string, to: string): void {
    this.#fs.rename(from, to);
  }

  remove(path: string): void {
    if (this.#isLog(path)) this.#segments.delete(baseName(path));
    else this.#fs.remove(path);
  }

  mkdir(path: string): void {
    this.#fs.mkdir(path);
  }

  list(path: string): string[] {
    return path === this.#logDir ? [...this.#segments].sort() : this.#fs.list(path);
  }

  stat(path: string): FileStat | undefined {
    if (!this.#isLog(path)) return this.#fs.stat(path);
    return this.#segments.has(baseName(path)) ? { kind: 'file', bytes: 0, modifiedMs: 0 } : undefined;
  }

  fsyncDir(path: string): void {
    if (path !== this.#logDir) this.#fs.fsyncDir(path);
  }

  lock(): { release(): void } {
    return { release: () => {} };
  }

  #isLog(path: string): boolean {
    return path.startsWith(`${this.#logDir}/`);
  }
}

/** A file that knows its length alone. */
class ForgottenFile implements FileHandle {
  readonly path: string;
  #bytes = 0;

  constructor(path: string) {
    this.path = path;
  }

  read(): number {
    return 0;
  }

  write(data: Uint8Array, offset: number): void {
    this.#bytes = Math.max(this.#bytes, offset + data.length);
  }

  append(data: Uint8Array): void {
    this.#bytes += data.length;
  }

  fsync(): void {
    // There is nothing to flush.
  }

  truncate(bytes: number): void {
    this.#bytes = bytes;
  }

  size(): number {
    return this.#bytes;
  }

  close(): void {
    // There is nothing to close.
  }
}
