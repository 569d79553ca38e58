/**
 * Retention: marks blocks for deletion when the last sample is older than the retention of their resolution.
 *
 *   raw ──downsampled──► 5m ──downsampled──► 1h        each with its own retention, 0 = for ever
 *
 * The policy as a whole promises, for every moment, data of some resolution. A block is therefore only marked if the next coarser
 * resolution whose retention still keeps this time has all its sources, in blocks that are whole, unmarked and not expired; or if no
 * resolution's retention keeps this time any more; or if downsampling is off. Otherwise it holds the last copy, stays, and is counted.
 * Thanos marks by age alone: what was not downsampled in time is lost there.
 */
import { markBlock } from '@gauntlet/block';
import type { ThanosMeta } from '@gauntlet/block';
import { errorText, formatDurationText } from '@gauntlet/service-kit';

import type { CareDeps } from './collect-garbage.ts';
import { createIntactCheck } from './coverage.ts';
import { CompactorError } from './errors.ts';
import type { SyncView } from './sync-blocks.ts';

/** How long blocks are kept, ms after their last sample; 0 for ever. */
export interface RetentionPolicy {
  readonly rawMs: number;
  readonly fiveMinMs: number;
  readonly oneHourMs: number;
  /** True: nothing coarser is ever made, each resolution stands for itself. */
  readonly isDownsamplingOff: boolean;
}

/** A block past its retention. */
export interface ExpiredBlock {
  readonly meta: ThanosMeta;
  /** Retention that it is past, ms. */
  readonly retentionMs: number;
  /** Blocks that together must have its data before it is marked; empty if none is needed. */
  readonly covers: readonly ThanosMeta[];
}

/** What a policy means for a view of the bucket. */
export interface RetentionPlan {
  readonly expired: readonly ExpiredBlock[];
  /** Past their retention too, but the last copy that the policy promises: to be downsampled, not deleted. */
  readonly kept: readonly ThanosMeta[];
}

/** Resolutions, ms, finest first, with their retentions. */
function retentions(policy: RetentionPolicy): (readonly [resolutionMs: number, retentionMs: number])[] {
  return [[0, policy.rawMs], [300_000, policy.fiveMinMs], [3_600_000, policy.oneHourMs]];
}

/** Whether a time is past a retention; seconds count, as in Thanos. */
function isPast(maxTimeMs: number, retentionMs: number, nowMs: number): boolean {
  return retentionMs > 0 && nowMs > Math.floor(maxTimeMs / 1000) * 1000 + retentionMs;
}

function haveAllSources(covers: readonly ThanosMeta[], meta: ThanosMeta): boolean {
  const had = new Set(covers.flatMap((cover) => cover.compaction.sources));
  return meta.compaction.sources.length > 0 && meta.compaction.sources.every((source) => had.has(source));
}

/** Says which blocks are past their retention, and which of them must stay. */
export function planRetention(view: Pick<SyncView, 'metas' | 'deletionMarks'>, policy: RetentionPolicy, nowMs: number): RetentionPlan {
  const table = retentions(policy);
  const keyOf = (meta: ThanosMeta, resolutionMs: number): string => `${resolutionMs}@${JSON.stringify(meta.thanos.labels)}`;
  // Unexpired blocks by stream and source: those that can take over.
  const holders = new Map<string, Map<string, ThanosMeta[]>>();
  const live = view.metas.filter((meta) => !view.deletionMarks.has(meta.ulid));
  const retentionOf = (meta: ThanosMeta): number => table.find(([resolutionMs]) => resolutionMs === meta.thanos.resolutionMs)?.[1] ?? 0;
  for (const meta of live) {
    if (isPast(meta.maxTime, retentionOf(meta), nowMs)) continue;
    const key = keyOf(meta, meta.thanos.resolutionMs);
    const bySource = holders.get(key) ?? new Map<string, ThanosMeta[]>();
    holders.set(key, bySource);
    for (const source of meta.compaction.sources) bySource.set(source, [...(bySource.get(source) ?? []), meta]);
  }
  const expired: ExpiredBlock[] = [];
  const kept: ThanosMeta[] = [];
  for (const meta of live) {
    const retentionMs = retentionOf(meta);
    if (!isPast(meta.maxTime, retentionMs, nowMs)) continue;
    const promised = policy.isDownsamplingOff
      ? undefined
      : table.find(([resolutionMs, ms]) => resolutionMs > meta.thanos.resolutionMs && !isPast(meta.maxTime, ms, nowMs));
    if (promised === undefined) {
      expired.push({ meta, retentionMs, covers: [] });
      continue;
    }
    const bySource = holders.get(keyOf(meta, promised[0]));
    const covers = [...new Set(meta.compaction.sources.flatMap((source) => bySource?.get(source) ?? []))];
    if (haveAllSources(covers, meta)) expired.push({ meta, retentionMs, covers });
    else kept.push(meta);
  }
  return { expired, kept };
}

/** What retention works with. */
export interface RetentionDeps extends CareDeps {
  /** Ids of kept blocks that were logged already; added to. The caller keeps it as long as it runs, so that each is logged once. */
  readonly reported?: Set<string>;
}

/**
 * Marks what is past its retention.
 * @returns ids of the blocks that were marked
 * @throws CompactorError ERR_MARK_BLOCK, kind retry; the signal's reason
 */
export async function applyRetention(deps: RetentionDeps, view: Pick<SyncView, 'metas' | 'deletionMarks'>, policy: RetentionPolicy, signal: AbortSignal): Promise<readonly string[]> {
  const { bucket, log, metrics, clock } = deps;
  const reported = deps.reported ?? new Set<string>();
  const isIntact = createIntactCheck(bucket, signal);
  const plan = planRetention(view, policy, clock());
  const marked: string[] = [];
  const kept = [...plan.kept];
  for (const { meta, retentionMs, covers } of plan.expired) {
    signal.throwIfAborted();
    try {
      if (covers.length > 0) {
        const intact: ThanosMeta[] = [];
        for (const cover of covers) if (await isIntact(cover)) intact.push(cover);
        if (!haveAllSources(intact, meta)) {
          kept.push(meta);
          continue;
        }
      }
      const text = formatDurationText(retentionMs);
      log.info('applying retention: marking block for deletion', { block: meta.ulid, maxTime: new Date(meta.maxTime).toISOString(), retention: text });
      if (await markBlock({ bucket, log, clock, marked: metrics.marked('deletion', '') }, meta.ulid, 'deletion', `block exceeding retention of ${text}`, '', signal)) marked.push(meta.ulid);
    } catch (error) {
      signal.throwIfAborted();
      throw new CompactorError('ERR_MARK_BLOCK', 'retry', `mark block ${meta.ulid} past its retention for deletion: ${errorText(error)}`, { cause: error, blocks: [meta.ulid] });
    }
  }
  metrics.retentionKeptBlocks.set(kept.length);
  for (const { ulid, thanos } of kept) {
    if (reported.has(ulid)) continue;
    reported.add(ulid);
    log.warn('block is past its retention but stays: no coarser data that the policy still promises covers it', { block: ulid, resolution: thanos.resolutionMs });
  }
  return marked;
}
