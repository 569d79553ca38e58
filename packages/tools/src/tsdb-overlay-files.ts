/**
 * A folder as it is, and what is changed of it elsewhere: a database of another process is opened and its log replayed, repairs and all, without a
 * byte of it being touched.
 *
 *   read     upper, else lower unless hidden         list    both, without what is hidden
 *   write    upper; a file of the lower is copied up before it is changed
 *   remove   upper, and the lower is hidden
 */
import { dirName, type FileHandle, type FileStat, type FileSystem, joinPath, type OpenMode } from '@gauntlet/tsdb';

/** Bytes copied at a time. */
const COPY_BYTES = 1 << 20;

/** Everything below `root` comes from there; everything written goes below `upperRoot`. Locks are granted without asking. */
export class OverlayFiles implements FileSystem {
  readonly #fs: FileSystem;
  readonly #root: string;
  readonly #upperRoot: string;
  /** Paths of the lower that count as removed, with all they hold. */
  readonly #hidden: Set<string> = new Set();

  constructor(fs: FileSystem, root: string, upperRoot: string) {
    this.#fs = fs;
    this.#root = root;
    this.#upperRoot = upperRoot;
  }

  open(path: string, mode: OpenMode): FileHandle {
    const upper = this.#upper(path);
    const isAbove = this.#fs.stat(upper) !== undefined;
    if (mode === 'read') return this.#fs.open(isAbove || this.#isHidden(path) ? upper : path, mode);
    if (mode === 'create-new' && this.stat(path) !== undefined) throw Object.assign(new Error(`EEXIST: file already exists, open '${path}'`), { code: 'EEXIST', path });
    if (mode === 'modify' && !isAbove && !this.#isHidden(path)) this.#copyUp(path, upper);
    this.#fs.mkdir(dirName(upper));
    return this.#fs.open(upper, mode === 'create-new' ? 'create' : mode);
  }

  rename(from: string, to: string): void {
    const refuse = (code: string): Error => Object.assign(new Error(`${code}: rename '${from}' to '${to}'`), { code, path: to });
    if (this.stat(from) === undefined) throw refuse('ENOENT');
    if (from === to) return;
    if (this.stat(to)?.kind === 'directory' && this.list(to).length > 0) throw refuse('ENOTEMPTY');
    this.#copyUp(from, this.#upper(from));
    this.#fs.remove(this.#upper(to));
    this.#fs.mkdir(dirName(this.#upper(to)));
    this.#fs.rename(this.#upper(from), this.#upper(to));
    this.#hidden.add(from);
    this.#hidden.add(to);
  }

  remove(path: string): void {
    this.#fs.remove(this.#upper(path));
    this.#hidden.add(path);
  }

  mkdir(path: string): void {
    this.#fs.mkdir(this.#upper(path));
  }

  list(path: string): string[] {
    const isThere = (one: string): boolean => this.#fs.stat(one) !== undefined;
    const upper = this.#upper(path);
    const above = isThere(upper) ? this.#fs.list(upper) : [];
    if (this.#isHidden(path) || !isThere(path)) return isThere(upper) ? above : this.#fs.list(upper);
    const below = this.#fs.list(path).filter((name) => !this.#isHidden(joinPath(path, name)));
    // Names of a database are ASCII: order of characters is order of bytes.
    return [...new Set([...above, ...below])].sort();
  }

  stat(path: string): FileStat | undefined {
    return this.#fs.stat(this.#upper(path)) ?? (this.#isHidden(path) ? undefined : this.#fs.stat(path));
  }

  fsyncDir(): void {
    // What is written here is thrown away.
  }

  lock(): { release(): void } {
    return { release: () => {} };
  }

  #upper(path: string): string {
    return joinPath(this.#upperRoot, path === this.#root ? '' : path.slice(this.#root.length + 1));
  }

  #isHidden(path: string): boolean {
    for (let at = path; at.length >= this.#root.length; at = dirName(at)) {
      if (this.#hidden.has(at)) return true;
      if (at === dirName(at)) return false;
    }
    return false;
  }

  #copyUp(path: string, upper: string): void {
    if (this.#fs.stat(upper)?.kind === 'file') return;
    const stat = this.stat(path);
    if (stat === undefined) throw Object.assign(new Error(`ENOENT: no such file or directory, copy '${path}'`), { code: 'ENOENT', path });
    if (stat.kind === 'directory') {
      this.#fs.mkdir(upper);
      for (const name of this.list(path)) this.#copyUp(joinPath(path, name), joinPath(upper, name));
      return;
    }
    this.#fs.mkdir(dirName(upper));
    const from = this.#fs.open(path, 'read');
    try {
      const to = this.#fs.open(upper, 'create');
      try {
        const buffer = new Uint8Array(COPY_BYTES);
        for (let at = 0; ; ) {
          const got = from.read(buffer, at);
          if (got === 0) break;
          to.write(buffer.subarray(0, got), at);
          at += got;
        }
      } finally {
        to.close();
      }
    } finally {
      from.close();
    }
  }
}
