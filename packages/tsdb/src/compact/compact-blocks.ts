/**
 * One block out of several, or several that share the series: the union of their series and samples, streamed in label order.
 *
 *   blocks ─► merge-symbols ─► series-input (per block) ─► a heap by labels ─► merge-chunks ─► block-writer, or one per shard
 *                                                                └ one part: chunks as they are
 *
 * Chunks that nothing overlaps and no deletion touches are copied byte for byte; memory holds the symbols, and one series' chunks per
 * block. The result is, but for its name, the block that Prometheus makes of the same inputs. The writer renames the folder into place
 * last, so whatever happens before leaves no block. Source: Prometheus tsdb/compact.go, `DefaultBlockPopulator`.
 */
import type { Kernels } from '@gauntlet/kernels';
import type { Labels } from '@gauntlet/model';
import type { BlockMeta } from '../block/block-meta.ts';
import type { Block } from '../block/block-reader.ts';
import { type BlockChunk, type BlockWriter, chunkSampleCount } from '../block/block-writer.ts';
import { ChunkFrames, KernelViews } from '../chunks/chunk-frames.ts';
import { TsdbError } from '../errors.ts';
import type { FileSystem } from '../file-system.ts';
import { compareOrdinals } from '../index-file/index-writer.ts';
import { compactMetas } from './compact-meta.ts';
import { limitDisk, MemoryBudget } from './compact-limits.ts';
import { FrameMerger } from './merge-frames.ts';
import { ChunkMerger, SAMPLES_PER_CHUNK, type SeriesChunkMerge, type SeriesParts } from './merge-chunks.ts';
import { mergeSymbols } from './merge-symbols.ts';
import { SeriesInput } from './series-input.ts';
import { shardByHash, type ShardOf, shardSeries, type SeriesShards } from './shard-series.ts';
import { TieHeap } from './tie-heap.ts';
import { writeBlocks } from './write-blocks.ts';

/** What compaction works with. */
export interface CompactDeps {
  readonly fs: FileSystem;
  readonly kernels: Kernels;
}

/** How far a compaction is. */
export interface CompactProgress {
  /** Series of the inputs that were read, and all there are; a series counts once per block that has it. */
  readonly seriesDone: number;
  readonly seriesTotal: number;
  /** Samples written. */
  readonly samples: number;
  /** Bytes of chunk payloads written. */
  readonly chunkBytes: number;
}

/** How to make the new block, or blocks. */
export interface CompactOptions {
  /** Limit of a chunk segment, bytes; default 512 MiB. */
  readonly segmentBytesMax?: number;
  /** `thanos` section of the new meta.json. */
  readonly thanos?: unknown;
  /**
   * How the chunks of a series that several blocks have become one sequence. Default: in time order, equal ones once, overlapping ones
   * merged by timestamp.
   */
  readonly mergeSeries?: SeriesChunkMerge;
  /** Called every 1,000 series of the new block, and at the end. */
  readonly onProgress?: (progress: CompactProgress) => void;
  /** Polled every 256 series of the new block, and within a series every 8,192 samples or more that are merged. */
  readonly shouldStop?: () => boolean;
  /**
   * Bytes of memory for what grows with the inputs: symbols, read-ahead, the chunks of a series, what an index keeps until its end. Kernel
   * memory has a limit of its own, and what inputs hold is their opener's. Default: no limit.
   */
  readonly memoryBytesMax?: number;
  /** Bytes that may be written to disk. Default: no limit. */
  readonly diskBytesMax?: number;
}

/** What the new block is, and how to make it. */
export interface CompactBlocksOptions extends CompactOptions {
  /** Name of the new block. */
  readonly ulid: string;
}

/** What the new blocks are, and how to make them. */
export interface CompactShardsOptions extends CompactOptions {
  /** Names of the new blocks, by shard. */
  readonly ulids: readonly string[];
  /** Which shard a series goes to. Default: by the hash of its labels. */
  readonly shardOf?: ShardOf;
}

/** Memory for reading ahead, shared by the inputs; and the bounds of one input's part. */
const AHEAD_BYTES = 8 * 1024 * 1024;
const AHEAD_BYTES_MIN = 64 * 1024;
const AHEAD_BYTES_MAX = 1024 * 1024;
/** Part of the memory that reading ahead may take. */
const AHEAD_SHARE = 0.25;
const STOP_POLL_SERIES = 256;
const PROGRESS_SERIES = 1000;
/** What an index keeps of a series, and of each of its labels, and what it takes to sort that at the end. */
const INDEX_SERIES_BYTES = 8;
const INDEX_LABEL_BYTES = 24;

/**
 * Compacts blocks, at least one, into `parentDir/<ulid>`. The inputs stay the caller's, and as they are.
 * @returns meta of the new block, complete and durable; undefined when there are no samples, and then nothing is written
 * @throws TsdbError ERR_COMPACT_INPUT, ERR_COMPACT_CANCELED, ERR_COMPACT_BUDGET, ERR_CHUNK_CORRUPT, ERR_CHUNK_ENCODING, ERR_INDEX_CORRUPT,
 *   ERR_BLOCK_CORRUPT naming block and place; what the file system throws
 */
export function compactBlocks(deps: CompactDeps, inputs: readonly Block[], parentDir: string, options: CompactBlocksOptions): BlockMeta | undefined {
  return compact(deps, inputs, parentDir, [options.ulid], undefined, options)[0];
}

/**
 * As `compactBlocks`, into several blocks of one range, each with the series of its shard and with their symbols only. Blocks have their names when
 * all are complete; a process that dies meanwhile may leave some of them.
 * @returns by shard, meta of the new block; undefined where there are no samples
 */
export function compactBlocksIntoShards(deps: CompactDeps, inputs: readonly Block[], parentDir: string, options: CompactShardsOptions): (BlockMeta | undefined)[] {
  const { ulids, shardOf = shardByHash(ulids.length) } = options;
  return compact(deps, inputs, parentDir, ulids, shardOf, options);
}

function compact(deps: CompactDeps, inputs: readonly Block[], parentDir: string, ulids: readonly string[], shardOf: ShardOf | undefined, options: CompactOptions): (BlockMeta | undefined)[] {
  const title = `compact into ${ulids.length === 1 ? 'block' : 'blocks'} ${ulids.join(', ')}`;
  if (inputs.length === 0) throw new TsdbError('ERR_COMPACT_INPUT', `${title}: got 0 blocks, want at least 1`);
  const memoryBytesMax = options.memoryBytesMax ?? Number.POSITIVE_INFINITY;
  const fs = options.diskBytesMax === undefined ? deps.fs : limitDisk(deps.fs, options.diskBytesMax, title);
  const run = new Run(title, new MemoryBudget(memoryBytesMax, title), options);

  const blocks = inputs.toSorted((a, b) => a.meta.minTime - b.meta.minTime);
  const meta = compactMetas(blocks.map((block) => block.meta));
  run.budget.reserve(blocks.reduce((sum, { index }) => sum + index.symbols.count * 4, 0), 'ordinals of the symbols');
  const merged = mergeSymbols(blocks.map(({ index }) => index.symbols));
  run.budget.reserve(merged.symbols.bytes.length + merged.symbols.starts.byteLength, 'symbols');
  if (shardOf !== undefined) {
    run.budget.reserve(blocks.reduce((sum, { meta: { stats } }) => sum + stats.numSeries * 2, 0), 'shards of the series');
    run.budget.reserve((merged.symbols.count / 4) * ulids.length, 'symbols of the shards');
  }
  const shards = shardOf === undefined ? undefined : shardSeries(blocks, merged, ulids.length, shardOf, () => run.poll());
  const aheadBytes = Math.min(Math.max(Math.min(AHEAD_BYTES, (memoryBytesMax * AHEAD_SHARE) / 2) / blocks.length, AHEAD_BYTES_MIN), AHEAD_BYTES_MAX);
  // A window has room for what a series may lack, and its chunks are copied where the merge is not the default.
  run.budget.reserve(aheadBytes * blocks.length * 2, 'reading ahead');

  const sources = blocks.map((block, i) => new SeriesInput(block, merged.maps[i]!, deps.kernels, meta.minTime, meta.maxTime - 1, Math.floor(aheadBytes)));
  const merger = new ChunkMerger(deps.kernels, () => run.poll());
  const frameMerger = new FrameMerger(deps.kernels, SAMPLES_PER_CHUNK, () => run.poll());
  const views = new KernelViews(deps.kernels);
  const merge: SeriesChunkMerge = options.mergeSeries ?? ((parts) => merger.merge(parts));
  const { segmentBytesMax, thanos } = options;
  try {
    const outputs = ulids.map((ulid, shard) => {
      const symbols = shards === undefined ? merged.symbols : shards.symbols[shard]!.list();
      return { ulid, ...meta, symbols, ...(segmentBytesMax !== undefined && { segmentBytesMax }), ...(thanos !== undefined && { thanos }) };
    });
    return writeBlocks(fs, parentDir, outputs, (writers) => mergeAll(sources, new SeriesMerge(merge, options.mergeSeries === undefined ? frameMerger : undefined), shards === undefined ? new OneSink(writers[0]!, views) : new ShardSink(writers, shards, views), run));
  } finally {
    merger.free();
    frameMerger.free();
    for (const source of sources) source.free();
  }
}

/** What goes along with a compaction: its name, its limits, who is told. */
class Run {
  readonly title: string;
  readonly budget: MemoryBudget;
  readonly #options: CompactOptions;
  samples = 0;
  chunkBytes = 0;
  /** Series of the new blocks. */
  series = 0;

  constructor(title: string, budget: MemoryBudget, options: CompactOptions) {
    this.title = title;
    this.budget = budget;
    this.#options = options;
  }

  /** @throws TsdbError ERR_COMPACT_CANCELED */
  poll(): void {
    if (this.#options.shouldStop?.() === true) throw new TsdbError('ERR_COMPACT_CANCELED', `${this.title}: canceled after ${this.series} series`);
  }

  report(sources: readonly SeriesInput[]): void {
    const { samples, chunkBytes } = this;
    this.#options.onProgress?.({ seriesDone: sum(sources, (one) => one.seriesDone), seriesTotal: sum(sources, (one) => one.seriesTotal), samples, chunkBytes });
  }
}

/** Chunks of a merged series: one by one, or as frames in kernel memory. */
type MergedChunks = readonly BlockChunk[] | ChunkFrames;

/** Where merged series go. */
interface SeriesSink {
  /** @param input number of `source`, which stands at the series */
  add(source: SeriesInput, input: number, chunks: MergedChunks): void;
}

class OneSink implements SeriesSink {
  readonly #writer: BlockWriter;
  readonly #views: KernelViews;

  constructor(writer: BlockWriter, views: KernelViews) {
    this.#writer = writer;
    this.#views = views;
  }

  add(source: SeriesInput, _input: number, chunks: MergedChunks): void {
    write(this.#writer, source.ordinals, source.ordinalCount, chunks, this.#views);
  }
}

class ShardSink implements SeriesSink {
  readonly #writers: readonly BlockWriter[];
  readonly #shards: SeriesShards;
  readonly #views: KernelViews;
  #ordinals: Uint32Array = new Uint32Array(32);

  constructor(writers: readonly BlockWriter[], shards: SeriesShards, views: KernelViews) {
    this.#writers = writers;
    this.#shards = shards;
    this.#views = views;
  }

  add({ ordinals, ordinalCount, seriesDone }: SeriesInput, input: number, chunks: MergedChunks): void {
    const shard = this.#shards.shards[input]![seriesDone - 1]!;
    const symbols = this.#shards.symbols[shard]!;
    if (this.#ordinals.length < ordinalCount) this.#ordinals = new Uint32Array(ordinalCount * 2);
    for (let i = 0; i < ordinalCount; i++) this.#ordinals[i] = symbols.rank(ordinals[i]!);
    write(this.#writers[shard]!, this.#ordinals, ordinalCount, chunks, this.#views);
  }
}

function write(writer: BlockWriter, ordinals: Uint32Array, count: number, chunks: MergedChunks, views: KernelViews): void {
  if (!(chunks instanceof ChunkFrames)) writer.addSeriesByOrdinal(ordinals, count, chunks);
  else {
    views.renew();
    writer.addSeriesFrames(ordinals, count, chunks, views.bytes);
  }
}

/** Writes the merged series. */
function mergeAll(sources: readonly SeriesInput[], merge: SeriesMerge, sink: SeriesSink, run: Run): void {
  const heap = new TieHeap((a, b) => compareOrdinals(sources[a]!.ordinals, sources[a]!.ordinalCount, sources[b]!.ordinals, sources[b]!.ordinalCount) < 0);
  for (const [i, source] of sources.entries()) if (source.next()) heap.push(i);
  const parts: number[] = [];
  let written = 0;
  for (; heap.size > 0; run.series++) {
    if (run.series % STOP_POLL_SERIES === 0) run.poll();
    if (run.series % PROGRESS_SERIES === 0 && run.series > 0) run.report(sources);
    const input = heap.top;
    const first = sources[input]!;
    do parts.push(heap.pop());
    while (heap.size > 0 && compareOrdinals(sources[heap.top]!.ordinals, sources[heap.top]!.ordinalCount, first.ordinals, first.ordinalCount) === 0);
    const held = reserveChunks(sources, parts, run.budget);
    const chunks = merge.of(sources, parts);
    const isFrames = chunks instanceof ChunkFrames;
    if ((isFrames ? chunks.count : chunks.length) > 0) {
      run.budget.reserve(INDEX_SERIES_BYTES + (first.ordinalCount / 2) * INDEX_LABEL_BYTES, 'the index being written');
      sink.add(first, input, chunks);
      written++;
      if (isFrames) {
        for (let i = 0; i < chunks.count; i++) {
          run.chunkBytes += chunks.payloadBytes[i]!;
          run.samples += chunks.samples[i]!;
        }
      } else {
        for (const { encoding, data } of chunks) {
          run.chunkBytes += data.length;
          run.samples += chunkSampleCount(encoding, data);
        }
      }
    }
    run.budget.release(held);
    for (const part of parts) if (sources[part]!.next()) heap.push(part);
    parts.length = 0;
  }
  if (written > 0) run.report(sources);
}

/** Makes one sequence of chunks of what blocks have of a series: in kernel memory where that can be. */
class SeriesMerge {
  readonly #merge: SeriesChunkMerge;
  readonly #frameMerger: FrameMerger | undefined;
  readonly #parts: ChunkFrames[] = [];
  readonly #merged: ChunkFrames = new ChunkFrames();

  /** @param frameMerger does the same as `merge`, or gives up; undefined when several parts are always for `merge` */
  constructor(merge: SeriesChunkMerge, frameMerger: FrameMerger | undefined) {
    this.#merge = merge;
    this.#frameMerger = frameMerger;
  }

  /** @param parts numbers of the sources that stand at the series. @returns valid until one of them moves on */
  of(sources: readonly SeriesInput[], parts: readonly number[]): MergedChunks {
    if (parts.length === 1) {
      const source = sources[parts[0]!]!;
      return source.loadFrames() ? source.frames : source.load();
    }
    if (this.#frameMerger !== undefined) {
      const frames = this.#parts;
      frames.length = 0;
      for (const part of parts) {
        const source = sources[part]!;
        if (!source.loadFrames()) break;
        frames.push(source.frames);
      }
      if (frames.length === parts.length && this.#frameMerger.merge(frames, this.#merged)) return this.#merged;
    }
    return mergeParts(parts.map((i) => sources[i]!), this.#merge);
  }
}

/** Takes memory for the chunks of one series, and as much for what they become. @returns bytes to give back */
function reserveChunks(sources: readonly SeriesInput[], parts: readonly number[], budget: MemoryBudget): number {
  let bytes = 0;
  for (const part of parts) bytes += sources[part]!.chunkBytes;
  if (parts.length > 1) bytes *= 2;
  budget.reserve(bytes, 'the chunks of a series');
  return bytes;
}

function mergeParts(sources: readonly SeriesInput[], merge: SeriesChunkMerge): readonly BlockChunk[] {
  const chunks: (readonly BlockChunk[])[] = [];
  const blocks: string[] = [];
  for (const source of sources) {
    const part = source.load();
    if (part.length === 0) continue;
    chunks.push(part);
    blocks.push(source.block.meta.ulid);
  }
  if (chunks.length < 2) return chunks[0] ?? [];
  return merge(new LazyParts(sources[0]!, blocks, chunks));
}

/** Labels are strings only when somebody asks. */
class LazyParts implements SeriesParts {
  readonly #source: SeriesInput;
  readonly blocks: readonly string[];
  readonly chunks: readonly (readonly BlockChunk[])[];

  constructor(source: SeriesInput, blocks: readonly string[], chunks: readonly (readonly BlockChunk[])[]) {
    this.#source = source;
    this.blocks = blocks;
    this.chunks = chunks;
  }

  get labels(): Labels {
    return this.#source.labels();
  }
}

function sum(sources: readonly SeriesInput[], count: (source: SeriesInput) => number): number {
  let total = 0;
  for (const source of sources) total += count(source);
  return total;
}
