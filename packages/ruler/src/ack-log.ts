/**
 * A record of what the database has acknowledged, for tests that kill the process: written after each commit, one line per batch.
 *
 *   [[["__name__","job:up:sum"],1763712000123,"1"], …]      labels, time in ms, value as text or `stale`
 *
 * A line is there only if the commit before it returned; the last one may be cut off.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import type { RuleSample } from './types.ts';

/** See the head of this file. */
export interface AckLog {
  /** Called after the commit of these samples. */
  write(samples: readonly RuleSample[]): void;
  /** Idempotent. */
  close(): void;
}

/** Opens the file for appending. */
export function createAckLog(path: string): AckLog {
  let fd = openSync(path, 'a');
  return {
    write(samples) {
      if (fd >= 0) writeSync(fd, `${JSON.stringify(samples.map(({ labels, timestampMs, value, stale }) => [labels, timestampMs, stale ? 'stale' : String(value)]))}\n`);
    },
    close() {
      if (fd >= 0) closeSync(fd);
      fd = -1;
    },
  };
}
