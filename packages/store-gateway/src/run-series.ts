/**
 * A Series call over chosen blocks: postings of all blocks first, then their series merged by labels.
 *
 *   block A  expand ─► frames ─► buffer ┐
 *   block B  expand ─► frames ─► buffer ┼─► merge by labels, identical chunks once ─► frames of the answer
 *   block C  expand ─► frames ─► buffer ┘
 */
import type { Matcher } from '@gauntlet/model';
import { type SeriesFrame, SeriesFrameEncoder, type SeriesRequest } from '@gauntlet/proto';
import { type ChunkRows, compileMatchers, createChunkRows, FrameBuffer, mergeChunks, type MergedBatch, SeriesMerge, splitExternalMatchers, type StreamEnd } from '@gauntlet/storeapi';
import type { BlockAccess } from './block-access.ts';
import { blockFrames, type FrameTools } from './block-series.ts';
import { type ExpandedPostings, expandPostings } from './expand-postings.ts';
import type { FrameSlabs } from './frame-memory.ts';
import { type QueryLimits, wrapError } from './query-limits.ts';
import { type QueryStats, SENT_SIZES_MAX } from './query-stats.ts';
import type { TaskSettings } from './store-task.ts';

/** Bytes all blocks of a call may have waiting for the merge; each gets a share. */
const BUFFERED_BYTES_MAX = 32 << 20;
const BUFFERED_BYTES_MIN = 64 << 10;

/** What a call shares over its blocks. */
export interface SeriesCall {
  readonly accesses: readonly BlockAccess[];
  readonly settings: TaskSettings;
  readonly limits: QueryLimits;
  readonly stats: QueryStats;
  readonly clock: () => number;
  /** Of the thread. */
  readonly tools: FrameTools;
  /** Where frames of the answer lie. */
  readonly slabs: FrameSlabs;
}

/**
 * Frames of the answer, in arrays as they come; their memory goes away with them.
 * @throws StoreError: ABORTED if a block could not be prepared, UNKNOWN if it failed later, both with its id; RESOURCE_EXHAUSTED for limits
 */
export async function* runSeries({ accesses, settings, limits, stats, clock, tools, slabs }: SeriesCall, request: SeriesRequest): AsyncGenerator<Uint8Array[]> {
  const matchers = compileMatchers(request.matchers);
  const startMs = clock();
  const expanded = await Promise.all(accesses.map(async (access): Promise<ExpandedPostings> => {
    const rest = splitExternalMatchers(matchers, access.target.labels) ?? [];
    try {
      return await expandBlock(access, rest, settings, limits);
    } catch (error) {
      throw wrapError(error, `fetch postings for block ${access.target.id}`, 'ERR_STORE_ABORTED');
    }
  }));
  stats.blocksQueried = accesses.length;
  stats.preloadMs = clock() - startMs;

  const bufferBytesMax = Math.max(BUFFERED_BYTES_MIN, BUFFERED_BYTES_MAX / Math.max(1, accesses.length));
  const inputs = [];
  for (const [i, access] of accesses.entries()) {
    if (expanded[i]!.postings.length === 0) {
      stats.emptyPostings++;
      continue;
    }
    const buffer = new FrameBuffer({ frameTimeoutMs: 0, bufferBytesMax, reuse: (frame) => tools.giveBack(frame) });
    buffer.start(named(access.target.id, blockFrames(access, expanded[i]!, request, settings.batchSeries, tools)));
    inputs.push({ buffer });
  }
  const onEnd = (_input: number, end: StreamEnd): void => {
    if (end.kind !== 'done') throw end.error;
  };
  const mergeMs = clock();
  yield* encodeMerged(new SeriesMerge(inputs, { onWarning: () => {}, onEnd }), request, stats, slabs);
  stats.mergeMs = clock() - mergeMs;
}

async function expandBlock(access: BlockAccess, matchers: readonly Matcher[], settings: TaskSettings, limits: QueryLimits): Promise<ExpandedPostings> {
  const found = await expandPostings(access, matchers, { isLazy: settings.lazyPostings, keySeriesRatioMax: settings.keySeriesRatioMax }).catch((error: unknown) => {
    throw wrapError(error, 'expanded matching posting: fetch and expand postings: get postings', 'ERR_STORE_ABORTED');
  });
  if (found.lazyMatchers.length > 0) return found;
  limits.reserveSeries(found.postings.length);
  return found;
}

/** Errors of a block's stream name the block. */
async function* named(id: string, frames: AsyncIterable<SeriesFrame>): AsyncGenerator<SeriesFrame> {
  try {
    yield* frames;
  } catch (error) {
    throw wrapError(error, `receive series from ${id}`, 'ERR_STORE_UNKNOWN');
  }
}

async function* encodeMerged(merge: AsyncIterable<MergedBatch>, request: SeriesRequest, stats: QueryStats, slabs: FrameSlabs): AsyncGenerator<Uint8Array[]> {
  const encoder = new SeriesFrameEncoder({ batchSize: request.responseBatchSize, allocate: (bytes) => slabs.allocate(bytes) });
  const rows = createChunkRows();
  for await (const batch of merge) {
    const frames: Uint8Array[] = [];
    for (let series = 0; series < batch.seriesCount; series++) {
      const source = batch.sourceOffsets[series]!;
      const frame = batch.frames[source]!;
      const s = batch.series[source]!;
      encoder.beginSeries(frame.bytes.subarray(frame.seriesStart[s]!, frame.labelsEnd[s]!));
      mergeChunks(batch, series, rows);
      const bytes = copyChunks(batch, rows, encoder);
      const full = encoder.endSeries();
      if (full !== undefined) frames.push(full);
      stats.resultSeries++;
      stats.resultChunks += rows.count;
      if (!request.skipChunks && stats.sentBytes.length < SENT_SIZES_MAX) stats.sentBytes.push(bytes);
      if (request.limit > 0 && stats.resultSeries >= request.limit) {
        const last = encoder.flush();
        yield last === undefined ? frames : [...frames, last];
        return;
      }
    }
    if (frames.length > 0) {
      slabs.next();
      yield frames;
    }
  }
  const last = encoder.flush();
  if (last !== undefined) yield [last];
}

/** Copies the chunks of a merged series, those that lie together at once. @returns their bytes */
function copyChunks(batch: MergedBatch, rows: ChunkRows, encoder: SeriesFrameEncoder): number {
  let bytes = 0;
  for (let row = 0; row < rows.count;) {
    const from = batch.frames[rows.sources[row]!]!;
    const start = from.chunkStart[rows.chunks[row]!]!;
    let end: number;
    do end = from.chunkEnd[rows.chunks[row]!]!;
    while (++row < rows.count && batch.frames[rows.sources[row]!] === from && from.chunkStart[rows.chunks[row]!] === end);
    encoder.copyField(from.bytes, start, end);
    bytes += end - start;
  }
  return bytes;
}
