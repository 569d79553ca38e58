/**
 * Found blocks as a `Queryable`. Which blocks a query needs is not worked out beforehand: each selector says which time it wants, and the blocks for
 * it are fetched and opened then, once. Raw blocks only.
 *
 *   select(matchers, mint, maxt) ─► blocks by time and external labels ─► size checked, fetched ─► opened ─► streams ─► merge-streams
 */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { INDEX_FILE } from '@gauntlet/block';
import type { Kernels } from '@gauntlet/kernels';
import { formatLabels, hasLabel, type LabelAnswer, type LabelQuery, type Labels, type Matcher, type Queryable, type SelectRequest, type SeriesBatch, type Warnings } from '@gauntlet/model';
import { createNodeFileSystem, type Logger, showBytes } from '@gauntlet/service-kit';
import { type Block, createBlockQueryable, openBlock } from '@gauntlet/tsdb';
import { ToolsError } from './errors.ts';
import { formatSeconds } from './go-text.ts';
import type { QueryBudget } from './promql-budget.ts';
import type { FoundBlock } from './promql-find-blocks.ts';
import { type BlockStream, matchersWithin, mergeStreams } from './promql-streams.ts';

/** What {@link createFoundBlocks} works with. */
export interface FoundBlocksDeps {
  readonly kernels: Kernels;
  readonly budget: QueryBudget;
  readonly log: Logger;
  /** Unix ms. */
  readonly clock: () => number;
  readonly signal: AbortSignal;
}

/** See {@link createFoundBlocks}. */
export interface FoundBlocks {
  readonly queryable: Queryable;
  /** Closes the blocks that were opened. */
  close(): Promise<void>;
}

/** Indexes up to this size are held in memory by tsdb, whole. */
const INDEX_IN_MEMORY_BYTES = 64 << 20;
/** Longest work without a turn of the event loop, which an interruption needs, ms. */
const TURN_MS = 25;

interface TimeRange {
  /** Unix ms; `maxTime` exclusive, as in meta.json. */
  readonly minTime: number;
  readonly maxTime: number;
}

/**
 * @param downloadMaxBytes most that may be downloaded in all
 * @throws (while selecting) ToolsError ERR_QUERY_BLOCKS, ERR_QUERY_LIMIT; TsdbError, BlockError, ObjstoreError of what cannot be read
 */
export function createFoundBlocks(found: readonly FoundBlock[], deps: FoundBlocksDeps, downloadMaxBytes: number): FoundBlocks {
  const { kernels, budget, log, clock, signal } = deps;
  const fs = createNodeFileSystem();
  const opened = new Map<FoundBlock, Promise<Block>>();
  let downloadedBytes = 0;
  let turnedMs = clock();

  const turn = async (): Promise<void> => {
    if (Math.abs(clock() - turnedMs) >= TURN_MS) {
      await setImmediate();
      turnedMs = clock();
    }
    budget.poll();
  };

  const open = async (one: FoundBlock): Promise<Block> => {
    const dir = await one.fetch(signal);
    budget.reserve(Math.min(statSync(join(dir, INDEX_FILE), { throwIfNoEntry: false })?.size ?? 0, INDEX_IN_MEMORY_BYTES));
    return openBlock(fs, dir);
  };

  /** Opens what is not open yet, sizes checked before anything is downloaded. */
  const openAll = async (wanted: readonly FoundBlock[]): Promise<void> => {
    const missing = wanted.filter((one) => !opened.has(one));
    let bytes = 0;
    for (const one of missing) bytes += await one.downloadBytes(signal);
    if (downloadedBytes + bytes > downloadMaxBytes) {
      throw new ToolsError('ERR_QUERY_LIMIT', `download ${missing.length} blocks: ${showBytes(downloadedBytes + bytes)} in all, limit ${showBytes(downloadMaxBytes)} (--max-download); a shorter time range or --selector makes it less`);
    }
    if (bytes > 0) log.info('downloading blocks', { blocks: missing.length, size: showBytes(bytes) });
    downloadedBytes += bytes;
    for (const one of missing) {
      // Two selectors of a query may want the same block at the same time.
      let opening = opened.get(one);
      if (opening === undefined) opened.set(one, (opening = open(one)));
      await opening;
      await turn();
    }
  };

  const streamsFor = async (request: { readonly matchers: readonly Matcher[]; readonly mint: number; readonly maxt: number }): Promise<{ readonly streams: readonly BlockStream[]; readonly warnings: Warnings }> => {
    const wanted = found.filter(({ meta }) => overlaps(meta, request) && matchersWithin(meta.thanos.labels, request.matchers) !== undefined);
    const raw = wanted.filter(({ meta }) => meta.thanos.resolutionMs === 0);
    await openAll(raw);
    const blocksOf = new Map<string, { readonly labels: Labels; readonly blocks: Block[] }>();
    for (const one of raw) {
      const { labels } = one.meta.thanos;
      const key = JSON.stringify(labels);
      const stream = blocksOf.get(key) ?? { labels, blocks: [] };
      blocksOf.set(key, stream);
      stream.blocks.push(await opened.get(one)!);
    }
    const streams = [...blocksOf.values()].map(({ labels, blocks }) => ({ labels, queryable: createBlockQueryable(blocks, kernels) }));
    return { streams, warnings: raw.length === 0 && wanted.length === 0 ? nothingThere(found, request) : unreadResolutions(wanted, request) };
  };

  const select = (request: SelectRequest): ReturnType<Queryable['select']> => {
    let warnings: Warnings = [];
    async function* batches(): AsyncGenerator<SeriesBatch> {
      const { streams, warnings: said } = await streamsFor(request);
      warnings = said;
      yield* mergeStreams(streams, request, turn);
    }
    return { [Symbol.asyncIterator]: batches, warnings: () => warnings };
  };

  const label = async (query: LabelQuery, ask: (stream: BlockStream, within: LabelQuery) => Promise<readonly string[]>): Promise<LabelAnswer> => {
    const { streams, warnings } = await streamsFor(query);
    const values = new Set<string>();
    for (const stream of streams) {
      const within = { ...query, matchers: matchersWithin(stream.labels, query.matchers)!, limit: 0 };
      for (const value of await ask(stream, within)) values.add(value);
    }
    const sorted = [...values].sort();
    return { values: query.limit > 0 ? sorted.slice(0, query.limit) : sorted, warnings };
  };

  return {
    queryable: {
      select,
      labelNames: (query) =>
        label(query, async ({ labels, queryable }, within) => {
          const { values } = await queryable.labelNames(within);
          return values.length === 0 ? [] : [...values, ...labels.filter((_text, i) => i % 2 === 0)];
        }),
      labelValues: (name, query) =>
        label(query, async ({ labels, queryable }, within) => {
          if (!hasLabel(labels, name)) return (await queryable.labelValues(name, within)).values;
          return (await queryable.labelNames(within)).values.length === 0 ? [] : [labels[labels.indexOf(name) + 1]!];
        }),
    },
    async close() {
      for (const block of await Promise.allSettled(opened.values())) if (block.status === 'fulfilled') block.value.close();
      opened.clear();
    },
  };
}

function overlaps({ minTime, maxTime }: TimeRange, { mint, maxt }: { readonly mint: number; readonly maxt: number }): boolean {
  return minTime <= maxt && maxTime > mint;
}

/** Why a selection is empty before anything was read. */
function nothingThere(found: readonly FoundBlock[], { mint, maxt }: { readonly mint: number; readonly maxt: number }): Warnings {
  const from = Math.min(...found.map(({ meta }) => meta.minTime));
  const to = Math.max(...found.map(({ meta }) => meta.maxTime));
  return [`no block has samples between ${formatSeconds(mint)} and ${formatSeconds(maxt)} for these labels; there are blocks from ${formatSeconds(from)} to ${formatSeconds(to)}`];
}

/** Time that only downsampled blocks have. */
function unreadResolutions(wanted: readonly FoundBlock[], { mint, maxt }: { readonly mint: number; readonly maxt: number }): Warnings {
  const warnings: string[] = [];
  const raw = wanted.filter(({ meta }) => meta.thanos.resolutionMs === 0);
  for (const { meta } of wanted) {
    if (meta.thanos.resolutionMs === 0) continue;
    const key = JSON.stringify(meta.thanos.labels);
    const covering = raw.filter((one) => JSON.stringify(one.meta.thanos.labels) === key).map((one) => one.meta);
    if (isCovered(Math.max(meta.minTime, mint), Math.min(meta.maxTime - 1, maxt), covering)) continue;
    warnings.push(`block ${meta.ulid} is downsampled to ${meta.thanos.resolutionMs / 60_000}m and not read: samples of ${formatLabels(meta.thanos.labels)} between ${formatSeconds(meta.minTime)} and ${formatSeconds(meta.maxTime)} may be missing`);
  }
  return warnings;
}

/** Whether ranges cover [mint, maxt]. */
function isCovered(mint: number, maxt: number, ranges: readonly TimeRange[]): boolean {
  let at = mint;
  for (const { minTime, maxTime } of [...ranges].sort((a, b) => a.minTime - b.minTime)) {
    if (minTime > at) break;
    at = Math.max(at, maxTime);
  }
  return at > maxt;
}
