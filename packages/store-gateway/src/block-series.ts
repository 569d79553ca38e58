/**
 * The series of one block as frames: external labels on, replica labels off, sorted, chunks of the wanted time.
 *
 *   postings ─► batches of references ─► entries ─► chunks of the time range ─► payloads ─► SeriesRewriter ─► frames
 */
import { getLabel, type Labels, type Matcher } from '@gauntlet/model';
import { SeriesFrameEncoder, type SeriesRequest } from '@gauntlet/proto';
import { createShardMatcher, SeriesRewriter } from '@gauntlet/storeapi';
import { createSeriesEntry, type SeriesEntry } from '@gauntlet/tsdb';
import type { BlockAccess } from './block-access.ts';
import { encodeChunk } from './encode-chunk.ts';
import type { ExpandedPostings } from './expand-postings.ts';
import { type ChunkBytes, loadChunks } from './load-chunks.ts';
import { loadSeries } from './load-series.ts';
import { wrapError } from './query-limits.ts';

/** What of a request concerns one block. */
export type BlockSeriesRequest = Pick<SeriesRequest, 'minTime' | 'maxTime' | 'skipChunks' | 'aggregates' | 'shardInfo' | 'withoutReplicaLabels' | 'limit' | 'responseBatchSize'>;

/** Chunks of a round of loading at most, so that a round's memory is bounded by them times the guess for one. */
const ROUND_CHUNKS_MAX = 2048;
const CANCEL_POLL_SERIES = 256;
const EMPTY = new Uint8Array(0);

/** Series that wait for their chunks. */
interface Round {
  readonly labels: Labels[];
  /** `labels.length + 1` positions in the columns. */
  readonly offsets: number[];
  refs: Float64Array;
  mint: Float64Array;
  maxt: Float64Array;
  count: number;
}

/**
 * Frames of the block's series, in the order of the final labels.
 * @param batchSeries references per batch of index reads
 * @throws StoreError; StoreGatewayError, ObjstoreError with `load chunks: ` or `preload series: ` before their text
 */
export async function* blockFrames(access: BlockAccess, expanded: ExpandedPostings, request: BlockSeriesRequest, batchSeries: number): AsyncGenerator<Uint8Array> {
  const rewriter = new SeriesRewriter({
    externalLabels: access.target.labels,
    withoutLabels: request.withoutReplicaLabels,
    shard: createShardMatcher(request.shardInfo),
    batchSize: request.responseBatchSize,
    limit: request.limit,
  });
  const encoder = new SeriesFrameEncoder();
  const round: Round = { labels: [], offsets: [0], refs: new Float64Array(ROUND_CHUNKS_MAX), mint: new Float64Array(ROUND_CHUNKS_MAX), maxt: new Float64Array(ROUND_CHUNKS_MAX), count: 0 };
  for await (const matched of matchedSeries(access, expanded, request, batchSeries)) {
    if (request.skipChunks) {
      rewriter.add(matched.labels, EMPTY);
    } else {
      access.limits.reserveChunks(matched.last - matched.first);
      addToRound(round, matched);
      if (round.count >= ROUND_CHUNKS_MAX) await emitRound(access, round, request.aggregates, encoder, rewriter);
    }
    yield* rewriter.takeFrames();
    if (rewriter.isFull) return;
  }
  if (round.labels.length > 0) await emitRound(access, round, request.aggregates, encoder, rewriter);
  yield* rewriter.finish();
}

/** One series of a block that has chunks in the time range. */
export interface MatchedSeries {
  /** As stored: without external labels. */
  readonly labels: Labels;
  /** Decoded; overwritten by the next. */
  readonly entry: SeriesEntry;
  /** Its chunks in the time range: rows [first, last). */
  readonly first: number;
  readonly last: number;
}

/** The matching series of a block, in its order. Used for label calls as well, which look at labels only. */
export async function* matchedSeries(
  access: BlockAccess,
  { postings, lazyMatchers }: ExpandedPostings,
  { minTime, maxTime }: Pick<SeriesRequest, 'minTime' | 'maxTime'>,
  batchSeries: number,
): AsyncGenerator<MatchedSeries> {
  const entry = createSeriesEntry();
  for (let from = 0; from < postings.length; from += batchSeries) {
    access.throwIfCancelled();
    const batch = await loadSeries(access, postings.subarray(from, from + batchSeries)).catch((error: unknown) => {
      throw wrapError(error, 'preload series', 'ERR_STORE_UNKNOWN');
    });
    try {
      for (let i = 0; i < batch.count; i++) {
        if (i % CANCEL_POLL_SERIES === 0) access.throwIfCancelled();
        batch.decode(i, entry);
        let first = 0;
        while (first < entry.chunkCount && entry.maxt[first]! < minTime) first++;
        let last = first;
        while (last < entry.chunkCount && entry.mint[last]! <= maxTime) last++;
        if (last === first) continue;
        const labels = labelsOf(access, entry);
        if (lazyMatchers.length > 0) {
          if (!passes(labels, lazyMatchers)) continue;
          access.limits.reserveSeries(1);
        }
        yield { labels, entry, first, last };
      }
    } finally {
      batch.release();
    }
  }
}

function labelsOf({ header }: BlockAccess, entry: SeriesEntry): Labels {
  const labels: string[] = [];
  for (let i = 0; i < entry.labelCount * 2; i++) labels.push(header.symbol(entry.symbols[i]!));
  return labels;
}

function passes(labels: Labels, matchers: readonly Matcher[]): boolean {
  for (const matcher of matchers) if (!matcher.matches(getLabel(labels, matcher.name))) return false;
  return true;
}

function addToRound(round: Round, { labels, entry, first, last }: MatchedSeries): void {
  const wanted = round.count + last - first;
  if (wanted > round.refs.length) {
    const room = Math.max(wanted, round.refs.length * 2);
    for (const column of ['refs', 'mint', 'maxt'] as const) {
      const grown = new Float64Array(room);
      grown.set(round[column]);
      round[column] = grown;
    }
  }
  round.refs.set(entry.refs.subarray(first, last), round.count);
  round.mint.set(entry.mint.subarray(first, last), round.count);
  round.maxt.set(entry.maxt.subarray(first, last), round.count);
  round.count = wanted;
  round.labels.push(labels);
  round.offsets.push(wanted);
}

/** Loads the chunks of a round and hands its series on. */
async function emitRound(access: BlockAccess, round: Round, aggregates: readonly number[], encoder: SeriesFrameEncoder, rewriter: SeriesRewriter): Promise<void> {
  let chunks: ChunkBytes | undefined;
  try {
    chunks = await loadChunks(access, round.refs, round.count);
    for (let s = 0; s < round.labels.length; s++) {
      if (s % CANCEL_POLL_SERIES === 0) access.throwIfCancelled();
      rewriter.add(round.labels[s]!, chunkFields(round, s, chunks, aggregates, encoder));
    }
  } catch (error) {
    throw wrapError(error, 'load chunks', 'ERR_STORE_UNKNOWN');
  } finally {
    chunks?.release();
  }
  round.labels.length = 0;
  round.offsets.length = 1;
  round.count = 0;
}

/** The chunks of one series of a round as fields of a Series message. */
function chunkFields(round: Round, series: number, chunks: ChunkBytes, aggregates: readonly number[], encoder: SeriesFrameEncoder): Uint8Array {
  encoder.beginSeries(EMPTY);
  for (let c = round.offsets[series]!; c < round.offsets[series + 1]!; c++) {
    try {
      encodeChunk(encoder, round.mint[c]!, round.maxt[c]!, chunks.encodings[c]!, chunks.payloads[c]!, aggregates);
    } catch (error) {
      throw wrapError(error, 'populate chunk', 'ERR_STORE_UNKNOWN');
    }
  }
  const frame = encoder.endSeries()!;
  // Without labels the frame is tag, length, chunk fields.
  let at = 1;
  while (frame[at]! >= 0x80) at++;
  return frame.subarray(at + 1);
}
