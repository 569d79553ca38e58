/**
 * How much memory this process may use: the container's limit (cgroup v2, then v1), else the machine's memory.
 * The limit of every parent group counts too, since the smallest one kills. Source: kernel docs admin-guide/cgroup-v2, "memory.max".
 */
import { readFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { posix } from 'node:path';

/** A memory limit and where it comes from. */
export interface MemoryLimit {
  readonly bytes: number;
  /** File that holds the limit, or `machine`. */
  readonly source: string;
}

/** Options for tests; the defaults are the real ones. */
export interface MemoryLimitOptions {
  /** Reads a file; undefined when it cannot be read. */
  readonly read?: (path: string) => string | undefined;
  /** Memory of the machine, bytes. */
  readonly machineBytes?: number;
}

/** Finds the limit. Never throws: what cannot be read does not limit. */
export function detectMemoryLimit(options: MemoryLimitOptions = {}): MemoryLimit {
  const read = options.read ?? readText;
  let limit: MemoryLimit = { bytes: options.machineBytes ?? totalmem(), source: 'machine' };
  for (const path of limitFiles(read('/proc/self/cgroup') ?? '')) {
    const text = read(path)?.trim() ?? '';
    const bytes = /^\d+$/.test(text) ? Number(text) : Number.POSITIVE_INFINITY;
    if (bytes > 0 && bytes < limit.bytes) limit = { bytes, source: path };
  }
  return limit;
}

function limitFiles(groups: string): readonly string[] {
  const files: string[] = [];
  const add = (root: string, group: string, file: string): void => {
    for (let path = posix.join('/', group); ; path = posix.dirname(path)) {
      files.push(posix.join(root, path, file));
      if (path === '/') return;
    }
  };
  for (const line of groups.split('\n')) {
    const [, controllers, group] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (group === undefined) continue;
    if (controllers === '') add('/sys/fs/cgroup', group, 'memory.max');
    else if (controllers!.split(',').includes('memory')) add('/sys/fs/cgroup/memory', group, 'memory.limit_in_bytes');
  }
  if (files.length === 0) files.push('/sys/fs/cgroup/memory.max', '/sys/fs/cgroup/memory/memory.limit_in_bytes');
  return files;
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
