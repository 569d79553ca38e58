/**
 * A record of what a database has acknowledged, for tests that kill the process: written after each commit, one line per batch.
 *
 *   [[["__name__","up","job","shop"],1763712000123,"1"], …]      labels, time in ms, value as text; exemplars and metadata are not in it
 *
 * A line is there only if the commit before it returned; the last one may be cut off.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import { formatHistogram, fromIntegerHistogram } from '@gauntlet/model';
import type { Appendable, ScrapeAppender } from '@gauntlet/scrape';

/** An appendable that keeps the record. */
export interface AckLog extends Appendable {
  /** Idempotent. */
  close(): void;
}

/** Opens the file for appending. */
export function createAckLog(appendable: Appendable, path: string): AckLog {
  let fd = openSync(path, 'a');
  return {
    appender(): ScrapeAppender {
      const inner = appendable.appender();
      const batch: [labels: readonly string[], timeMs: number, value: string][] = [];
      return {
        tryAppend(ref, labels, timeMs, value, startMs) {
          const answer = inner.tryAppend(ref, labels, timeMs, value, startMs);
          if (answer > 0) batch.push([labels, timeMs, String(value)]);
          return answer;
        },
        tryAppendHistogram(ref, labels, timeMs, histogram, startMs) {
          const answer = inner.tryAppendHistogram(ref, labels, timeMs, histogram, startMs);
          if (answer > 0) batch.push([labels, timeMs, formatHistogram('positiveDeltas' in histogram ? fromIntegerHistogram(histogram) : histogram)]);
          return answer;
        },
        appendExemplar: (ref, labels, exemplar) => inner.appendExemplar(ref, labels, exemplar),
        setMetadata: (ref, labels, metadata) => inner.setMetadata(ref, labels, metadata),
        tryAppendStale(ref, labels, timeMs) {
          const answer = inner.tryAppendStale(ref, labels, timeMs);
          if (answer > 0) batch.push([labels, timeMs, 'stale']);
          return answer;
        },
        commit() {
          const result = inner.commit();
          if (fd >= 0) writeSync(fd, `${JSON.stringify(batch)}\n`);
          return result;
        },
        rollback: () => inner.rollback(),
      };
    },
    close() {
      if (fd >= 0) closeSync(fd);
      fd = -1;
    },
  };
}
