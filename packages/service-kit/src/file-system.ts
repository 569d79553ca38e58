/**
 * Files over Node for tsdb: its synchronous `FileSystem`, matched by shape (that package is a layer below and knows no Node).
 *
 * Locks: the lock file is opened and given to flock(1), which locks the open file itself; the kernel lets go when the process ends, however it ends, and holds
 * across containers on one machine. Where there is no flock(1), the file names its holder (process id, its start time, boot, process-id namespace) and a holder that is
 * gone does not count; two containers without flock(1) on one volume are then not kept apart.
 */
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { systemErrorCode } from './errors.ts';

/** What a name refers to; as tsdb's `FileStat`. */
export interface NodeFileStat {
  readonly kind: 'file' | 'directory';
  /** Length in bytes; 0 for directories. */
  readonly bytes: number;
  /** Last modification, Unix milliseconds. */
  readonly modifiedMs: number;
}

/** An open file; as tsdb's `FileHandle`. Not shared between threads. */
export interface NodeFileHandle {
  readonly path: string;
  read(target: Uint8Array, offset: number): number;
  write(data: Uint8Array, offset: number): void;
  append(data: Uint8Array): void;
  fsync(): void;
  truncate(bytes: number): void;
  size(): number;
  close(): void;
}

/** As tsdb's `FileSystem`; see there for the contract of each call. */
export interface NodeFileSystem {
  open(path: string, mode: 'read' | 'create' | 'create-new' | 'modify'): NodeFileHandle;
  rename(from: string, to: string): void;
  remove(path: string): void;
  mkdir(path: string): void;
  list(path: string): string[];
  stat(path: string): NodeFileStat | undefined;
  fsyncDir(path: string): void;
  lock(path: string): { release(): void } | undefined;
}

const OPEN_FLAGS = {
  read: constants.O_RDONLY,
  create: constants.O_RDWR | constants.O_CREAT | constants.O_TRUNC,
  'create-new': constants.O_RDWR | constants.O_CREAT | constants.O_EXCL,
  modify: constants.O_RDWR,
} as const;

/** A descriptor no process has. */
const CLOSED_FD = 0x7f_ff_ff_ff;

/** Options of {@link createNodeFileSystem}. */
export interface NodeFileSystemOptions {
  /** How locks are held; default: flock(1) when it runs, else the holder's name in the file. */
  readonly lockBy?: 'flock' | 'holder';
}

/** The file system of this machine. Safe to use from worker threads. */
export function createNodeFileSystem(options: NodeFileSystemOptions = {}): NodeFileSystem {
  return {
    open: (path, mode) => {
      const fd = openSync(path, OPEN_FLAGS[mode], 0o666);
      if (fstatSync(fd).isDirectory()) {
        closeSync(fd);
        throw Object.assign(new Error(`EISDIR: illegal operation on a directory, open '${path}'`), { code: 'EISDIR', path });
      }
      return new DescriptorHandle(path, fd);
    },
    rename(from, to) {
      try {
        renameSync(from, to);
      } catch (error) {
        // rename(2) refuses to put a directory over a file, and the contract wants a file there replaced.
        if (systemErrorCode(error) !== 'ENOTDIR' || statOf(to)?.kind !== 'file') throw error;
        unlinkSync(to);
        renameSync(from, to);
      }
    },
    remove: (path) => rmSync(path, { recursive: true, force: true }),
    mkdir: (path) => void mkdirSync(path, { recursive: true }),
    list: (path) => (readdirSync(path, { encoding: 'buffer' }) as unknown as Buffer[]).sort((a, b) => Buffer.compare(a, b)).map((name) => name.toString('utf8')),
    stat: statOf,
    fsyncDir(path) {
      const fd = openSync(path, constants.O_RDONLY);
      try {
        fsyncSync(fd);
      } finally {
        closeSync(fd);
      }
    },
    lock: (path) => (options.lockBy === 'holder' ? lockByHolder(path) : lockByFlock(path, options.lockBy === 'flock')),
  };
}

function statOf(path: string): NodeFileStat | undefined {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return undefined;
  return { kind: stat.isDirectory() ? 'directory' : 'file', bytes: stat.isDirectory() ? 0 : stat.size, modifiedMs: stat.mtimeMs };
}

class DescriptorHandle implements NodeFileHandle {
  readonly path: string;
  /** {@link CLOSED_FD} when closed: the system then answers EBADF. */
  #fd: number;

  constructor(path: string, fd: number) {
    this.path = path;
    this.#fd = fd;
  }

  read(target: Uint8Array, offset: number): number {
    let done = 0;
    try {
      while (done < target.length) {
        const count = readSync(this.#fd, target, done, target.length - done, offset + done);
        if (count === 0) break;
        done += count;
      }
    } catch (error) {
      throw this.#named(error);
    }
    return done;
  }

  write(data: Uint8Array, offset: number): void {
    let done = 0;
    try {
      while (done < data.length) done += writeSync(this.#fd, data, done, data.length - done, offset + done);
    } catch (error) {
      throw this.#named(error);
    }
  }

  append(data: Uint8Array): void {
    this.write(data, this.size());
  }

  fsync(): void {
    try {
      fsyncSync(this.#fd);
    } catch (error) {
      throw this.#named(error);
    }
  }

  truncate(bytes: number): void {
    try {
      ftruncateSync(this.#fd, bytes);
    } catch (error) {
      throw this.#named(error);
    }
  }

  size(): number {
    return fstatSync(this.#fd).size;
  }

  close(): void {
    if (this.#fd === CLOSED_FD) return;
    const fd = this.#fd;
    this.#fd = CLOSED_FD;
    closeSync(fd);
  }

  /** The error with the file's name, which Node leaves out of errors of descriptors. */
  #named(error: unknown): unknown {
    if (systemErrorCode(error) === undefined || 'path' in (error as Error)) return error;
    const { message } = error as Error;
    return Object.assign(error as Error, { message: `${message} '${this.path}'`, path: this.path });
  }
}

function lockByFlock(path: string, must: boolean): { release(): void } | undefined {
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o666);
  const run = spawnSync('flock', ['--exclusive', '--nonblock', '3'], { stdio: ['ignore', 'ignore', 'ignore', fd] });
  if (run.error === undefined && run.status === 0) {
    let held = true;
    return {
      release() {
        if (held) closeSync(fd);
        held = false;
      },
    };
  }
  closeSync(fd);
  if (run.error === undefined && run.status === 1) return undefined;
  if (must) throw run.error ?? new Error(`lock ${path}: flock exited with ${run.status}`);
  return lockByHolder(path);
}

function lockByHolder(path: string): { release(): void } | undefined {
  const holder = `${process.pid} ${startOf(process.pid)} ${machineId()}`;
  const nonce = `${process.pid}.${process.hrtime.bigint()}`;
  const mine = `${path}.${nonce}`;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(mine, `${holder}\n`);
  try {
    for (let tries = 0; tries < 3; tries++) {
      try {
        linkSync(mine, path);
        let held = true;
        return {
          release() {
            if (held) rmSync(path, { force: true });
            held = false;
          },
        };
      } catch (error) {
        if (systemErrorCode(error) !== 'EEXIST') throw error;
      }
      if (holderLives(path)) return undefined;
      // Moved away under a name of our own first: of two that find the same dead holder, only one rename succeeds.
      try {
        renameSync(path, `${path}.dead.${nonce}`);
        unlinkSync(`${path}.dead.${nonce}`);
      } catch (error) {
        if (systemErrorCode(error) !== 'ENOENT') throw error;
      }
    }
    return undefined;
  } finally {
    rmSync(mine, { force: true });
  }
}

function holderLives(path: string): boolean {
  let text: string;
  try {
    text = readFileSync(path, 'utf8').trim();
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return false;
    throw error;
  }
  const [pidText = '', start = '', machine = ''] = text.split(' ');
  const pid = Number(pidText);
  if (!Number.isSafeInteger(pid) || pid <= 0 || machine !== machineId()) return false;
  return startOf(pid) === start && start !== 'none';
}

/** When a process started, in clock ticks since boot; `none` when there is no such process; `unknown` where /proc is not there. */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? 'unknown';
  } catch {
    try {
      process.kill(pid, 0);
      return 'unknown';
    } catch (error) {
      return systemErrorCode(error) === 'ESRCH' ? 'none' : 'unknown';
    }
  }
}

function machineId(): string {
  try {
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()}/${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return 'machine';
  }
}
