/**
 * What one replica of Prometheus makes of a target: timestamps and values of its scrapes, with the faults that real ones have.
 *
 *   timestamp   phase + k · interval + jitter + skew          what is written down
 *   value read  true time + latency − lag                     what the target had counted then
 */
import type { ReplicaColumns } from '../replica-columns.ts';
import type { Random } from './random.ts';
import type { Target } from './target.ts';

/** A replica's habits; all times in milliseconds. */
export interface ScrapeOptions {
  readonly intervalMs: number;
  /** First scrape behind the target's start. */
  readonly phaseMs: number;
  /** Timestamps are up to this much late. */
  readonly jitterMs?: number;
  /** Reading happens up to this much after the timestamp. */
  readonly latencyMs?: number;
  /** Values are this old. */
  readonly lagMs?: number;
  /** Its clock is ahead by this much. */
  readonly skewMs?: number;
  /** Part of scrapes that are lost. */
  readonly lost?: number;
  /** No scrapes in [from, to). */
  readonly outagesMs?: ReadonlyArray<readonly [fromMs: number, toMs: number]>;
  /** After such a time scrapes have another phase: the replica was restarted. */
  readonly restart?: { readonly atMs: number; readonly phaseMs: number };
}

/** One scrape. */
export interface Scrape {
  readonly ms: number;
  readonly value: number;
  /** When the target was in that state. */
  readonly readMs: number;
}

/** All scrapes of a replica, strictly ascending. */
export function scrape(random: Random, target: Target, options: ScrapeOptions): Scrape[] {
  const { intervalMs, phaseMs, jitterMs = 0, latencyMs = 0, lagMs = 0, skewMs = 0, lost = 0, outagesMs = [], restart } = options;
  const scrapes: Scrape[] = [];
  let last = -Infinity;
  let lastRead = -Infinity;
  for (let k = 0; ; k++) {
    let trueMs = target.startMs + phaseMs + k * intervalMs;
    if (trueMs >= target.endMs) break;
    if (restart !== undefined && trueMs >= restart.atMs) trueMs += restart.phaseMs;
    trueMs += Math.floor(random() * jitterMs);
    // One scrape has ended before the next begins.
    const readMs = Math.max(lastRead, trueMs + Math.floor(random() * latencyMs) - lagMs);
    const isLost = random() < lost || outagesMs.some(([from, to]) => trueMs >= from && trueMs < to);
    const ms = trueMs + skewMs;
    lastRead = readMs;
    if (isLost || ms <= last) continue;
    last = ms;
    scrapes.push({ ms, value: target.valueAt(readMs), readMs });
  }
  return scrapes;
}

/** Scrapes as columns. */
export function columnsOf(scrapes: readonly Scrape[]): ReplicaColumns {
  return { timestampsMs: Float64Array.from(scrapes, ({ ms }) => ms), values: Float64Array.from(scrapes, ({ value }) => value) };
}
