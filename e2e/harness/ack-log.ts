/**
 * What a database says it has acknowledged (the hidden `--debug.ack-log`), as tests that kill it read it: one JSON line per batch.
 *
 *   [[["__name__","up","job","shop"],1763712000123,"1"], …]      labels, time in ms, value as text or `stale`
 */
import { existsSync, readFileSync } from 'node:fs';

/** Samples without stale markers, since queries do not show those. */
export interface Acknowledged {
  /** Series key → time in ms → value as text. */
  readonly series: ReadonlyMap<string, ReadonlyMap<number, string>>;
  /** Time of the first sample, ms; infinite where there is none. */
  readonly fromMs: number;
  /** Time of the last sample, ms; minus infinite where there is none. */
  readonly toMs: number;
  /** Length of the file. */
  readonly bytes: number;
}

/** Labels as a key of maps. */
export function seriesKey(pairs: readonly (readonly [string, string])[]): string {
  return JSON.stringify(pairs.toSorted((x, y) => (x[0] < y[0] ? -1 : 1)));
}

/** Labels in one row, name after value, as such a key. */
export function seriesKeyOf(labels: readonly string[]): string {
  return seriesKey(labels.flatMap((name, i) => (i % 2 === 0 ? [[name, labels[i + 1]!] as const] : [])));
}

/** What the file has from byte `fromByte` on, a start of a line; nothing while there is no file. */
export function readAckLog(path: string, fromByte = 0): Acknowledged {
  const all = existsSync(path) ? readFileSync(path) : Buffer.alloc(0);
  const series = new Map<string, Map<number, string>>();
  let [fromMs, toMs] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const line of all.subarray(fromByte).toString('utf8').split('\n')) {
    let batch: [string[], number, string][];
    try {
      batch = JSON.parse(line) as typeof batch;
    } catch {
      // The end of a line was cut off by a kill, and the next process went on behind it: neither was lost, the former was never complete.
      const next = line.lastIndexOf('[[[');
      if (next <= 0) continue;
      batch = JSON.parse(line.slice(next)) as typeof batch;
    }
    for (const [labels, timeMs, value] of batch) {
      if (value === 'stale') continue;
      const key = seriesKeyOf(labels);
      let samples = series.get(key);
      if (samples === undefined) series.set(key, (samples = new Map()));
      samples.set(timeMs, value);
      fromMs = Math.min(fromMs, timeMs);
      toMs = Math.max(toMs, timeMs);
    }
  }
  return { series, fromMs, toMs, bytes: all.length };
}

