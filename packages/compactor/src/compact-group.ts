/**
 * One compaction of a group, from a plan to marked sources:
 *
 *   check sources ─► name the output ─► fetch ─► compact and verify (worker) ─► thanos section ─► upload ─► mark the sources
 *                        └─ the block is there already ──────────────────────────────────────────────────────┘
 *
 * It may be killed between any two steps and run again, also beside another compactor: the name is the same, files that are there are
 * used, and a source is marked only when the block with its samples has been seen whole in the bucket.
 */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createThanosSection, formatThanosMeta, gatherFiles, markBlock, META_FILE, type ThanosMeta } from '@gauntlet/block';
import type { Bucket } from '@gauntlet/objstore';
import { errorText, type Logger, WorkerTaskError } from '@gauntlet/service-kit';
import type { BlockMeta } from '@gauntlet/tsdb';
import type { CompactRunner } from './compact-runner.ts';
import type { CompactOutcome, CompactProgress } from './compact-task.ts';
import type { CompactorMetrics } from './compactor-metrics.ts';
import { CompactorError, type CompactorErrorCode } from './errors.ts';
import { fetchSources } from './fetch-sources.ts';
import type { BlockGroup } from './group-blocks.ts';
import { findOverlap, type GroupPlan } from './plan-group.ts';
import { nameOutput, uploadOutput } from './upload-output.ts';

/** What a compaction needs. */
export interface CompactGroupDeps {
  readonly bucket: Bucket;
  readonly log: Logger;
  readonly metrics: CompactorMetrics;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  readonly runner: CompactRunner;
  readonly freeDiskBytes: (dir: string) => Promise<number>;
  /** Told where a compaction is. */
  readonly onStep?: (step: CompactStep) => void;
}

/** Where a compaction is. */
export type CompactStep = { readonly kind: 'fetch' | 'upload' | 'mark' } | { readonly kind: 'work'; readonly progress: CompactProgress };

/** How to compact. */
export interface CompactGroupOptions {
  /** Directory of the groups' directories: `<data-dir>/compact`. */
  readonly workDir: string;
  readonly blockConcurrency: number;
  readonly fileConcurrency: number;
  readonly hashFunc: 'SHA256' | '';
  readonly acceptMalformedIndex: boolean;
  /** Mark blocks with out-of-order chunks no-compact rather than stop at them. */
  readonly skipOutOfOrderChunks: boolean;
  /** Kernel memory of one compaction, bytes. */
  readonly memoryBytesMax: number;
  /** Limit of a chunk segment, bytes; default that of Prometheus. */
  readonly segmentBytesMax?: number;
}

/** What a compaction came to. All mean that the group is to be looked at again. */
export type GroupOutcome =
  /** `isFound`: another run had made the block. */
  | { readonly kind: 'compacted'; readonly block: string; readonly isFound: boolean }
  /** The inputs were empty; those that say so were marked for deletion. */
  | { readonly kind: 'emptied' }
  /** A block was marked no-compact. */
  | { readonly kind: 'excluded'; readonly block: string };

/** Marking goes on when the process is asked to stop: it is short. */
const MARK_TIMEOUT_MS = 5 * 60_000;
const SOURCE_DETAILS = 'source of compacted block';
const OUT_OF_ORDER_DETAILS = 'OutofOrderChunk: marking block with out-of-order series/chunks to as no compact to unblock compaction';

/**
 * Carries out a plan.
 * @throws CompactorError, its kind says what next: `other` this group is blocked, `retry` try later, `halt` two blocks claim one source; the signal's reason
 */
export async function compactGroup(deps: CompactGroupDeps, group: BlockGroup, plan: GroupPlan, options: CompactGroupOptions, signal: AbortSignal): Promise<GroupOutcome> {
  const { log, metrics } = deps;
  const inputs = plan.metas;
  const ids = inputs.map((meta) => meta.ulid);
  const isVertical = findOverlap(inputs).length > 0;
  checkSources(group, inputs);
  log.info('compaction available and planned', { group: group.key, reason: plan.reason, blocks: ids });
  const name = await asRetry(group, ids, signal, () => nameOutput(deps, inputs, signal));
  if (name.isDone) {
    log.info('the block is in the bucket already', { group: group.key, block: name.id, sources: ids });
    await markSources(deps, group, ids);
    return { kind: 'compacted', block: name.id, isFound: true };
  }

  const dir = join(options.workDir, group.key);
  const outputDir = join(dir, name.id);
  const startMs = deps.clock();
  const outcome = await fetchAndCompact(deps, group, inputs, name.id, dir, options, signal);
  if (outcome.kind === 'unhealthy') return excludeOrRefuse(deps, group, outcome, options, signal);
  if (outcome.kind === 'empty') {
    const empty = inputs.filter((meta) => meta.stats.numSamples === 0).map((meta) => meta.ulid);
    if (empty.length === 0) throw new CompactorError('ERR_COMPACTION', 'other', `compact group ${group.key}: blocks ${ids.join(', ')} hold no samples, though their meta.json count some`, { group: group.key, blocks: ids });
    log.info('no compacted block: the sources are empty', { group: group.key, blocks: ids });
    await markSources(deps, group, empty);
    return { kind: 'emptied' };
  }
  checkNeighbours(group, inputs, outcome.meta);
  log.info('compacted and verified blocks', { group: group.key, block: name.id, sources: ids, compactMs: Math.round(outcome.compactMs), verifyMs: Math.round(outcome.verifyMs), samples: outcome.meta.stats.numSamples, overlapping: isVertical });
  metrics.group(group.resolutionMs).compactions.inc();
  metrics.tsdbCompactions.inc();
  metrics.tsdbCompactionSeconds.observe((outcome.compactMs + outcome.verifyMs) / 1000);
  if (isVertical) {
    metrics.group(group.resolutionMs).verticalCompactions.inc();
    metrics.tsdbVerticalCompactions.inc();
  }

  deps.onStep?.({ kind: 'upload' });
  const meta = await finishMeta(group, inputs, outcome, outputDir);
  await uploadOutput(deps, outputDir, meta, { hashFunc: options.hashFunc, fileConcurrency: options.fileConcurrency }, signal);
  deps.onStep?.({ kind: 'mark' });
  await markSources(deps, group, ids);
  await rm(dir, { recursive: true, force: true });
  log.info('finished compacting blocks', { group: group.key, block: name.id, sources: ids, durationMs: Math.round(deps.clock() - startMs) });
  return { kind: 'compacted', block: name.id, isFound: false };
}

/**
 * Blocks that overlap may come from the same sources (two compactors with different views); the same samples merge to the same
 * samples. Blocks apart in time that claim the same source cannot both be right.
 */
function checkSources(group: BlockGroup, inputs: readonly ThanosMeta[]): void {
  const claims = new Map<string, ThanosMeta>();
  for (const meta of inputs) {
    for (const source of meta.compaction.sources) {
      const other = claims.get(source);
      claims.set(source, meta);
      if (other === undefined || other === meta || (other.minTime < meta.maxTime && meta.minTime < other.maxTime)) continue;
      throw new CompactorError('ERR_SOURCES_OVERLAP', 'halt', `compact group ${group.key}: blocks ${other.ulid} and ${meta.ulid} do not overlap, but both say that block ${source} went into them`, { group: group.key, blocks: [other.ulid, meta.ulid] });
    }
  }
}

/** The output must not run into a block that none of its inputs touched. */
function checkNeighbours(group: BlockGroup, inputs: readonly ThanosMeta[], output: BlockMeta): void {
  const touches = (a: { readonly minTime: number; readonly maxTime: number }, b: { readonly minTime: number; readonly maxTime: number }): boolean => a.minTime < b.maxTime && b.minTime < a.maxTime;
  for (const meta of group.metas) {
    if (inputs.includes(meta) || !touches(meta, output) || inputs.some((input) => touches(input, meta))) continue;
    throw new CompactorError('ERR_OUTPUT_MISMATCH', 'other', `compact group ${group.key}: the result [${output.minTime}, ${output.maxTime}) would overlap block ${meta.ulid} [${meta.minTime}, ${meta.maxTime}), which no input does`, { group: group.key, blocks: [meta.ulid] });
  }
}

/** Runs the work; if blocks of an earlier run were used and something is wrong, once more with fresh ones. */
async function fetchAndCompact(deps: CompactGroupDeps, group: BlockGroup, inputs: readonly ThanosMeta[], outputId: string, dir: string, options: CompactGroupOptions, signal: AbortSignal): Promise<CompactOutcome> {
  const ids = inputs.map((meta) => meta.ulid);
  const fetchOptions = { group: group.key, blockConcurrency: options.blockConcurrency, fileConcurrency: options.fileConcurrency };
  for (;;) {
    deps.onStep?.({ kind: 'fetch' });
    const reused = await fetchSources(deps, inputs, dir, fetchOptions, signal);
    deps.metrics.tsdbPopulatingBlock.inc();
    try {
      const task = {
        dir, inputs: ids, outputId, acceptMalformedIndex: options.acceptMalformedIndex, memoryBytesMax: options.memoryBytesMax,
        ...(options.segmentBytesMax === undefined ? {} : { segmentBytesMax: options.segmentBytesMax }),
      };
      const outcome = await deps.runner.run(task, signal, (progress) => deps.onStep?.({ kind: 'work', progress }));
      if (outcome.kind !== 'unhealthy' || !reused.includes(outcome.block)) return outcome;
    } catch (error) {
      signal.throwIfAborted();
      if (reused.length === 0) throw compactionError(error, group, ids);
      deps.log.warn('compaction of blocks that an earlier run had fetched did not succeed; fetching them again', { group: group.key, blocks: reused, err: errorText(error) });
    } finally {
      deps.metrics.tsdbPopulatingBlock.dec();
    }
    for (const id of ids) await rm(join(dir, id), { recursive: true, force: true });
  }
}

/** Codes of tsdb, of blocks and of the system, and what they mean for a compaction. All else is `ERR_COMPACTION`. */
const CAUSES: readonly (readonly [code: RegExp, meaning: CompactorErrorCode])[] = [
  [/^(ENOSPC|EDQUOT)$/, 'ERR_NO_SPACE'],
  [/^ERR_COMPACT_MISMATCH$/, 'ERR_OUTPUT_MISMATCH'],
  [/^ERR_((INDEX|CHUNK|BLOCK)_CORRUPT|INDEX_(VERSION|SERIES)|BLOCK_(META|TOMBSTONES))$/, 'ERR_BLOCK_UNHEALTHY'],
];

function compactionError(error: unknown, group: BlockGroup, blocks: readonly string[]): CompactorError {
  if (error instanceof CompactorError) return error;
  const code = error instanceof WorkerTaskError ? error.task.code : (error as { readonly code?: unknown } | null)?.code;
  const meaning = CAUSES.find(([pattern]) => typeof code === 'string' && pattern.test(code))?.[1] ?? 'ERR_COMPACTION';
  return new CompactorError(meaning, 'other', `compact group ${group.key}: ${errorText(error)}`, { group: group.key, blocks, cause: error });
}

async function excludeOrRefuse(deps: CompactGroupDeps, group: BlockGroup, outcome: Extract<CompactOutcome, { kind: 'unhealthy' }>, options: CompactGroupOptions, signal: AbortSignal): Promise<GroupOutcome> {
  const { block, issue, message } = outcome;
  if (issue === 'out-of-order-chunks' && options.skipOutOfOrderChunks) {
    const reason = 'block-index-out-of-order-chunk';
    await asRetry(group, [block], signal, () => markBlock({ ...deps, marked: deps.metrics.marked('no-compact', reason) }, block, 'no-compact', OUT_OF_ORDER_DETAILS, reason, signal));
    return { kind: 'excluded', block };
  }
  const advice = {
    'critical': 'repair or delete the block, or mark it no-compact',
    'out-of-order-chunks': 'mark it no-compact, or run with --compact.skip-block-with-out-of-order-chunks',
    'issue-347': 'such blocks are not repaired here: mark it no-compact',
    'out-of-order-labels': 'mark it no-compact, or run with --debug.accept-malformed-index',
  }[issue];
  throw new CompactorError('ERR_BLOCK_UNHEALTHY', 'other', `compact group ${group.key}: block ${block} is not fit: ${message}; ${advice}`, { group: group.key, blocks: [block] });
}

/** meta.json of the output, on disk and for the upload. */
async function finishMeta(group: BlockGroup, inputs: readonly ThanosMeta[], outcome: Extract<CompactOutcome, { kind: 'block' }>, outputDir: string): Promise<ThanosMeta> {
  const segmentFiles = (await gatherFiles(outputDir)).filter((file) => file.relPath.startsWith('chunks/')).map((file) => file.relPath.slice('chunks/'.length));
  const { thanos, ...base } = outcome.meta;
  void thanos;
  const meta: ThanosMeta = {
    ...base,
    thanos: createThanosSection({
      labels: group.labels, resolutionMs: group.resolutionMs, source: 'compactor', segmentFiles,
      seriesMaxBytes: outcome.seriesMaxBytes, chunkMaxBytes: outcome.chunkMaxBytes, extensions: commonExtensions(inputs),
    }),
  };
  await writeFile(join(outputDir, META_FILE), formatThanosMeta(meta));
  return meta;
}

type Extensions = ThanosMeta['thanos']['extensions'];

/** What all parents say of themselves holds for their union; the first parent's value is taken. */
export function commonExtensions(inputs: readonly ThanosMeta[]): Extensions {
  const maps = inputs.map((meta) => meta.thanos.extensions).map((value) => (typeof value === 'object' && value !== null && !Array.isArray(value) ? new Map(Object.entries(value)) : new Map<string, never>()));
  const common = [...maps[0]!].filter(([key]) => maps.every((map) => map.has(key)));
  return common.length === 0 ? undefined : (Object.fromEntries(common) as Extensions);
}

/** Marks what is in another block now. Repeatable. */
async function markSources(deps: CompactGroupDeps, group: BlockGroup, ids: readonly string[]): Promise<void> {
  const signal = AbortSignal.timeout(MARK_TIMEOUT_MS);
  for (const id of ids) {
    try {
      const isMarked = await markBlock({ ...deps, marked: deps.metrics.marked('deletion', '') }, id, 'deletion', SOURCE_DETAILS, '', signal);
      if (isMarked) deps.metrics.garbageCollectedBlocks.inc();
    } catch (error) {
      throw new CompactorError('ERR_MARK_BLOCK', 'retry', `compact group ${group.key}: mark source ${id} for deletion: ${errorText(error)}`, { group: group.key, blocks: [id], cause: error });
    }
  }
}

/** Failures of the bucket pass: the group is tried again. */
async function asRetry<T>(group: BlockGroup, blocks: readonly string[], signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof CompactorError) throw error;
    throw new CompactorError('ERR_UPLOAD_BLOCK', 'retry', `compact group ${group.key}: ${errorText(error)}`, { group: group.key, blocks, cause: error });
  }
}
