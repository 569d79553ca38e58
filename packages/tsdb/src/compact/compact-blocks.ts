/**
 * One block out of several: the union of their series and samples, streamed in label order.
 *
 *   blocks ─► merge-symbols ─► series-input (per block) ─► a heap by labels ─► merge-chunks ─► block-writer
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
import { type BlockChunk, type BlockWriter, writeBlock } from '../block/block-writer.ts';
import { TsdbError } from '../errors.ts';
import type { FileSystem } from '../file-system.ts';
import { compareOrdinals } from '../index-file/index-writer.ts';
import { compactMetas } from './compact-meta.ts';
import { ChunkMerger, type SeriesChunkMerge, type SeriesParts } from './merge-chunks.ts';
import { mergeSymbols } from './merge-symbols.ts';
import { SeriesInput } from './series-input.ts';
import { TieHeap } from './tie-heap.ts';

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
  /** Bytes of chunk payloads written. */
  readonly chunkBytes: number;
}

/** What the new block is, and how to make it. */
export interface CompactBlocksOptions {
  /** Name of the new block. */
  readonly ulid: string;
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
  /** Polled every 256 series of the new block. */
  readonly shouldStop?: () => boolean;
}

/** Memory for reading ahead, shared by the inputs; and the bounds of one input's part. */
const AHEAD_BYTES = 8 * 1024 * 1024;
const AHEAD_BYTES_MIN = 64 * 1024;
const AHEAD_BYTES_MAX = 1024 * 1024;
const STOP_POLL_SERIES = 256;
const PROGRESS_SERIES = 1000;

/**
 * Compacts blocks, at least one, into `parentDir/<ulid>`. The inputs stay the caller's, and as they are.
 * @returns meta of the new block, complete and durable; undefined when there are no samples, and then nothing is written
 * @throws TsdbError ERR_COMPACT_INPUT, ERR_COMPACT_CANCELED, ERR_CHUNK_CORRUPT, ERR_CHUNK_ENCODING, ERR_INDEX_CORRUPT,
 *   ERR_BLOCK_CORRUPT naming block and place; what the file system throws
 */
export function compactBlocks(deps: CompactDeps, inputs: readonly Block[], parentDir: string, options: CompactBlocksOptions): BlockMeta | undefined {
  if (inputs.length === 0) throw new TsdbError('ERR_COMPACT_INPUT', `compact into block ${options.ulid}: got 0 blocks, want at least 1`);
  const blocks = inputs.toSorted((a, b) => a.meta.minTime - b.meta.minTime);
  const meta = compactMetas(blocks.map((block) => block.meta));
  const { symbols, maps } = mergeSymbols(blocks.map(({ index }) => index.symbols));
  const aheadBytes = Math.min(Math.max(AHEAD_BYTES / blocks.length, AHEAD_BYTES_MIN), AHEAD_BYTES_MAX);
  const sources = blocks.map((block, i) => new SeriesInput(block, maps[i]!, deps.kernels, meta.minTime, meta.maxTime - 1, aheadBytes));
  const merger = new ChunkMerger(deps.kernels);
  const merge: SeriesChunkMerge = options.mergeSeries ?? ((parts) => merger.merge(parts));
  const { ulid, segmentBytesMax, thanos } = options;
  try {
    const block = { ulid, ...meta, symbols, ...(segmentBytesMax !== undefined && { segmentBytesMax }), ...(thanos !== undefined && { thanos }) };
    return writeBlock(deps.fs, parentDir, block, (writer) => mergeAll(sources, merge, writer, options));
  } finally {
    merger.free();
    for (const source of sources) source.free();
  }
}

/** Writes the merged series. */
function mergeAll(sources: readonly SeriesInput[], merge: SeriesChunkMerge, writer: BlockWriter, options: CompactBlocksOptions): void {
  const heap = new TieHeap((a, b) => compareOrdinals(sources[a]!.ordinals, sources[a]!.ordinalCount, sources[b]!.ordinals, sources[b]!.ordinalCount) < 0);
  for (const [i, source] of sources.entries()) if (source.next()) heap.push(i);
  const parts: number[] = [];
  let written = 0;
  let chunkBytes = 0;
  const report = (): void => options.onProgress?.({ seriesDone: sum(sources, (one) => one.seriesDone), seriesTotal: sum(sources, (one) => one.seriesTotal), chunkBytes });
  for (let series = 0; heap.size > 0; series++) {
    if (series % STOP_POLL_SERIES === 0 && options.shouldStop?.() === true) {
      throw new TsdbError('ERR_COMPACT_CANCELED', `compact into block ${options.ulid}: canceled after ${series} series`);
    }
    if (series % PROGRESS_SERIES === 0 && series > 0) report();
    const first = sources[heap.top]!;
    do parts.push(heap.pop());
    while (heap.size > 0 && compareOrdinals(sources[heap.top]!.ordinals, sources[heap.top]!.ordinalCount, first.ordinals, first.ordinalCount) === 0);
    const chunks = parts.length === 1 ? first.load() : mergeParts(parts.map((i) => sources[i]!), merge);
    if (chunks.length > 0) {
      writer.addSeriesByOrdinal(first.ordinals, first.ordinalCount, chunks);
      written++;
      for (let i = 0; i < chunks.length; i++) chunkBytes += chunks[i]!.data.length;
    }
    for (const part of parts) if (sources[part]!.next()) heap.push(part);
    parts.length = 0;
  }
  if (written > 0) report();
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
