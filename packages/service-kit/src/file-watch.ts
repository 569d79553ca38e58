/**
 * Noticing that files have changed: by looking at them at an interval and comparing contents, as Thanos does. Notification by the kernel misses what matters
 * here (Kubernetes swaps a symlink two levels up), and a look at a few small files costs nothing.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Logger } from './log.ts';

/** Options of {@link watchFiles}. */
export interface FileWatchOptions {
  /** Files to look at, asked for at each look. */
  readonly paths: () => readonly string[];
  /** Called after contents changed (appeared, vanished); what it throws is logged, and it is called again at the next look. */
  readonly onChange: () => Promise<void> | void;
  /** Time between looks; default 5 s. */
  readonly intervalMs?: number;
  readonly log: Logger;
}

/** A running watch. */
export interface FileWatch {
  /** Looks now; resolves after `onChange` when something changed. For tests, SIGHUP and reload endpoints. */
  check(): Promise<boolean>;
  /** Ends the watch. */
  stop(): void;
}

/** Starts watching; what the files hold now is the base. The timer does not keep the process alive. */
export function watchFiles(options: FileWatchOptions): FileWatch {
  let known = digestFiles(options.paths());
  let running: Promise<boolean> | undefined;
  const look = async (): Promise<boolean> => {
    const found = digestFiles(options.paths());
    if (found === known) return false;
    try {
      await options.onChange();
      known = found;
    } catch (error) {
      options.log.error('reloading changed files', { files: options.paths(), err: error });
    }
    return true;
  };
  const check = (): Promise<boolean> => {
    running ??= look().finally(() => (running = undefined));
    return running;
  };
  const timer = setInterval(() => void check(), options.intervalMs ?? 5000);
  timer.unref();
  return { check, stop: () => clearInterval(timer) };
}

/** A digest of names and contents; a file that cannot be read counts as absent. */
export function digestFiles(paths: readonly string[]): string {
  const hash = createHash('sha256');
  for (const path of paths) {
    let content: Buffer | undefined;
    try {
      content = readFileSync(path);
    } catch {
      content = undefined;
    }
    hash.update(`${path}\0${content === undefined ? 'absent' : content.length}\0`);
    if (content !== undefined) hash.update(content);
  }
  return hash.digest('hex');
}
