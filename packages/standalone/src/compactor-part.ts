/**
 * The compactor over the bucket folder, in this process: blocks of two hours become longer ones, and what is older than `--retention` goes.
 *
 *   compacted ─► marked ─ half the delay ─► not read any more ─ the other half ─► deleted
 *
 * A folder shows at once what was written, so there is no consistency delay. A thread compacts, and is there only while there is work.
 */
import { setTimeout as sleepFor } from 'node:timers/promises';
import { type Compactor, compactorFlags, createCompactor } from '@gauntlet/compactor';
import { BUILD_INFO, createMetrics, joinHostPort, type Logger, parseFlags, registerProcessMetrics, type RunPart } from '@gauntlet/service-kit';
import { StandaloneError } from './errors.ts';

const GRACE = '2s';
/** The first look at the page comes before the first compaction. */
const FIRST_RUN_MS = 60_000;

/** Where it works, how often. */
export interface CompactorPartOptions {
  readonly bucketDir: string;
  readonly dataDir: string;
  readonly retentionMs: number;
  readonly intervalMs: number;
  readonly deleteDelayMs: number;
  readonly log: Logger;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
}

/** A built compactor. */
export interface CompactorPart {
  readonly parts: readonly RunPart[];
  /** `host:port` of its `/metrics` and its page; after the start. */
  httpAddress(): string;
}

/** Builds the compactor. @throws CompactorError, StandaloneError for flags it cannot work with */
export async function buildCompactor({ bucketDir, dataDir, retentionMs, intervalMs, deleteDelayMs, log, clock }: CompactorPartOptions): Promise<CompactorPart> {
  const argv = [
    '--http-address=127.0.0.1:0',
    `--http-grace-period=${GRACE}`,
    `--data-dir=${dataDir}`,
    `--objstore.config=${JSON.stringify({ type: 'FILESYSTEM', config: { directory: bucketDir } })}`,
    '--wait',
    `--wait-interval=${intervalMs}ms`,
    `--compact.cleanup-interval=${intervalMs}ms`,
    '--consistency-delay=0s',
    `--delete-delay=${deleteDelayMs}ms`,
    '--downsampling.disable',
    `--retention.resolution-raw=${retentionMs}ms`,
  ];
  const outcome = parseFlags({ name: 'compact', help: '', flags: compactorFlags }, argv);
  if (outcome.kind === 'exit') throw new StandaloneError('ERR_ADDRESS', `configure compactor: ${outcome.stderr.trim()}`);
  // Its own page of metrics: names are the querier's too.
  const metrics = createMetrics(clock);
  registerProcessMetrics(metrics, BUILD_INFO);
  const compactor: Compactor = await createCompactor(outcome.values, { log: log.child({ part: 'compact' }), metrics, clock, shownFlags: Object.fromEntries(outcome.shown) });
  return {
    parts: compactor.parts.map((part) => (part.run === undefined ? part : delayed(part, Math.min(FIRST_RUN_MS, intervalMs)))),
    httpAddress: () => joinHostPort(compactor.http.address().host, compactor.http.address().port),
  };
}

/** The part, with its work begun later. */
function delayed(part: RunPart, delayMs: number): RunPart {
  return {
    name: part.name,
    ...(part.start === undefined ? {} : { start: () => part.start!() }),
    ...(part.stop === undefined ? {} : { stop: (reason) => part.stop!(reason) }),
    run: async (signal) => {
      await sleepFor(delayMs, undefined, { signal }).catch(() => undefined);
      if (!signal.aborted) await part.run!(signal);
    },
  };
}
