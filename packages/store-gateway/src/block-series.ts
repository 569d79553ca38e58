/**
 * The series of one block as frames: external labels on, replica labels off, sorted, chunks of the wanted time. Frames are built as tables, for the
 * merge in the same thread; their bytes are those of Series messages.
 *
 *   postings ─► entries ─► rows of series (series-rows.ts) ─► rounds: chunks read, checked, encoded (chunk-fields.ts) ─► frames
 */
import { getLabel, type Labels, type Matcher } from '@gauntlet/model';
import { AGGREGATE, decodeSeriesFrame, LABEL_STRIDE, SeriesFrame, SeriesFrameEncoder, type SeriesRequest } from '@gauntlet/proto';
import { createSeriesEntry, type SeriesEntry } from '@gauntlet/tsdb';
import type { BlockAccess } from './block-access.ts';
import { ChunkFields } from './chunk-fields.ts';
import { encodeChunk } from './encode-chunk.ts';
import type { ExpandedPostings } from './expand-postings.ts';
import { chunkPayloads, type ChunkReads, readChunks, SEGMENT_UNIT } from './load-chunks.ts';
import { loadSeries, type SeriesBatchBytes } from './load-series.ts';
import { wrapError } from './query-limits.ts';
import { RowsBuilder, type SeriesRows } from './series-rows.ts';

/** What of a request concerns one block. */
export type BlockSeriesRequest = Pick<SeriesRequest, 'minTime' | 'maxTime' | 'skipChunks' | 'aggregates' | 'shardInfo' | 'withoutReplicaLabels' | 'limit'>;

/** Chunks of a round of loading at most (one series may have more), so that a round's memory is bounded by them times the guess for one. */
const ROUND_CHUNKS_MAX = 2048;
const ROUND_SERIES_MAX = 512;
const CANCEL_POLL_SERIES = 256;

/** Frames that nobody reads any more, kept per thread: their tables and memory are most of what a call would allocate. */
const SPARE_FRAMES_MAX = 48;
const SPARE_BYTES_MAX = 24 << 20;

/** What blocks make frames with; one per thread. */
export class FrameTools {
  readonly fields: ChunkFields;
  readonly #spare: SeriesFrame[] = [];
  #spareBytes = 0;

  constructor(fields: ChunkFields = new ChunkFields()) {
    this.fields = fields;
  }

  /** A frame to be filled. */
  take(): SeriesFrame {
    const frame = this.#spare.pop();
    if (frame === undefined) return new SeriesFrame();
    this.#spareBytes -= frame.bytes.buffer.byteLength;
    return frame;
  }

  /** Takes a frame back that nobody refers to. */
  giveBack(frame: SeriesFrame): void {
    const { byteLength } = frame.bytes.buffer;
    if (this.#spare.length === SPARE_FRAMES_MAX || this.#spareBytes + byteLength > SPARE_BYTES_MAX) return;
    this.#spare.push(frame);
    this.#spareBytes += byteLength;
  }
}

/** Series of a round: positions [first, last) of the order of `rows`, with columns of their chunks. */
interface Round {
  readonly rows: SeriesRows;
  first: number;
  last: number;
  refs: Float64Array;
  mints: Float64Array;
  maxts: Float64Array;
  count: number;
}

/**
 * Frames of the block's series, in the order of the final labels.
 * @param batchSeries references per batch of index reads
 * @throws StoreError; StoreGatewayError, ObjstoreError with `load chunks: ` or `preload series: ` before their text
 */
export async function* blockFrames(access: BlockAccess, expanded: ExpandedPostings, request: BlockSeriesRequest, batchSeries: number, tools: FrameTools): AsyncGenerator<SeriesFrame> {
  let left = request.limit > 0 ? request.limit : Number.POSITIVE_INFINITY;
  for await (const rows of blockRows(access, expanded, request, batchSeries)) {
    const end = endOfLimit(rows, left);
    left -= end.distinct;
    const round: Round = { rows, first: 0, last: 0, refs: new Float64Array(0), mints: new Float64Array(0), maxts: new Float64Array(0), count: 0 };
    while (round.last < end.position) {
      fillRound(round, end.position, request.skipChunks);
      yield await emitRound(access, round, request, tools);
    }
    if (end.position < rows.count) return;
  }
}

/** How many positions of the order hold `limit` distinct series, and how many of these there are. */
function endOfLimit(rows: SeriesRows, limit: number): { readonly position: number; readonly distinct: number } {
  if (limit === Number.POSITIVE_INFINITY) return { position: rows.count, distinct: 0 };
  let distinct = 0;
  for (let i = 0; i < rows.count; i++) {
    if (i > 0 && rows.hasEqualLabels(rows.order[i - 1]!, rows.order[i]!)) continue;
    if (distinct === limit) return { position: i, distinct };
    distinct++;
  }
  return { position: rows.count, distinct };
}

async function* blockRows(access: BlockAccess, expanded: ExpandedPostings, request: BlockSeriesRequest, batchSeries: number): AsyncGenerator<SeriesRows> {
  const builder = new RowsBuilder(access.target.labels, request);
  for await (const batch of seriesBatches(access, expanded.postings, batchSeries)) {
    const ready: SeriesRows[] = [];
    decodeMatching(access, expanded.lazyMatchers, request, batch, (labels, entry, first, last) => {
      if (!request.skipChunks) access.limits.reserveChunks(last - first);
      const rows = builder.add(labels, entry, first, last);
      if (rows !== undefined) ready.push(rows);
    });
    yield* ready;
  }
  const rows = builder.finish();
  if (rows !== undefined) yield rows;
}

/** One series of a block that has chunks in the time range. */
export interface MatchedSeries {
  /** As stored: without external labels. */
  readonly labels: Labels;
}

/** The labels of the matching series of a block, in its order: for label calls. */
export async function* matchedSeries(
  access: BlockAccess,
  { postings, lazyMatchers }: ExpandedPostings,
  range: Pick<SeriesRequest, 'minTime' | 'maxTime'>,
  batchSeries: number,
): AsyncGenerator<MatchedSeries> {
  for await (const batch of seriesBatches(access, postings, batchSeries)) {
    const found: MatchedSeries[] = [];
    decodeMatching(access, lazyMatchers, range, batch, (labels) => {
      found.push({ labels });
    });
    yield* found;
  }
}

/** Entries of the series, batch by batch; a batch is released when the next one is asked for. */
async function* seriesBatches(access: BlockAccess, postings: ExpandedPostings['postings'], batchSeries: number): AsyncGenerator<SeriesBatchBytes> {
  for (let from = 0; from < postings.length; from += batchSeries) {
    access.throwIfCancelled();
    const batch = await loadSeries(access, postings.subarray(from, from + batchSeries)).catch((error: unknown) => {
      throw wrapError(error, 'preload series', 'ERR_STORE_UNKNOWN');
    });
    try {
      yield batch;
    } finally {
      batch.release();
    }
  }
}

/** Calls back for each series of a batch that has chunks [first, last) in the time range and passes the matchers. */
function decodeMatching(
  access: BlockAccess,
  lazyMatchers: readonly Matcher[],
  { minTime, maxTime }: Pick<SeriesRequest, 'minTime' | 'maxTime'>,
  batch: SeriesBatchBytes,
  onSeries: (labels: Labels, entry: SeriesEntry, first: number, last: number) => void,
): void {
  const entry = createSeriesEntry();
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
    onSeries(labels, entry, first, last);
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

/** The next positions of the order whose chunks fit a round, one at least. */
function fillRound(round: Round, end: number, skipChunks: boolean): void {
  const { rows } = round;
  round.first = round.last;
  round.count = 0;
  while (round.last < end && round.last - round.first < ROUND_SERIES_MAX) {
    const row = rows.order[round.last]!;
    const from = rows.chunkOffsets[row]!;
    const to = rows.chunkOffsets[row + 1]!;
    const wanted = round.count + to - from;
    if (!skipChunks) {
      if (wanted > ROUND_CHUNKS_MAX && round.last > round.first) return;
      if (wanted > round.refs.length) {
        const room = Math.max(wanted, 2 * round.refs.length, Math.min(ROUND_CHUNKS_MAX, rows.chunkOffsets[rows.count]!));
        for (const column of ['refs', 'mints', 'maxts'] as const) {
          const grown = new Float64Array(room);
          grown.set(round[column]);
          round[column] = grown;
        }
      }
      for (let c = from, at = round.count; c < to; c++, at++) {
        round.refs[at] = rows.refs[c]!;
        round.mints[at] = rows.mints[c]!;
        round.maxts[at] = rows.maxts[c]!;
      }
      round.count = wanted;
    }
    round.last++;
  }
}

/** Loads the chunks of a round and makes its frame. */
async function emitRound(access: BlockAccess, round: Round, { aggregates, skipChunks }: BlockSeriesRequest, tools: FrameTools): Promise<SeriesFrame> {
  const frame = tools.take();
  const { fields } = tools;
  if (skipChunks) {
    fields.begin();
    buildFrame(round, fields, frame, true);
    return frame;
  }
  let reads: ChunkReads | undefined;
  try {
    reads = await readChunks(access, round.refs, round.count);
    access.throwIfCancelled();
    if (encodeAtOnce(round, reads, fields)) {
      access.stats.chunks.touchedBytes += fields.fileBytes;
      buildFrame(round, fields, frame, false);
    } else decodeSeriesFrame(await encodeOneByOne(access, round, reads, aggregates), frame);
  } catch (error) {
    throw wrapError(error, 'load chunks', 'ERR_STORE_UNKNOWN');
  } finally {
    reads?.release();
  }
  return frame;
}

/** All chunks in kernel memory; false if that does not go. */
function encodeAtOnce(round: Round, { order, parts }: ChunkReads, fields: ChunkFields): boolean {
  fields.begin();
  if (order !== undefined) return false;
  for (const { segment, start, bytes, first, last } of parts) {
    if (!fields.addPart(bytes, segment * SEGMENT_UNIT + start, round.refs, round.mints, round.maxts, first, last)) return false;
  }
  return true;
}

/** The frame as bytes. */
async function encodeOneByOne(access: BlockAccess, round: Round, reads: ChunkReads, aggregates: readonly number[]): Promise<Uint8Array> {
  const { encodings, payloads } = await chunkPayloads(access, round.refs, round.count, reads);
  const encoder = new SeriesFrameEncoder({ batchSize: Number.MAX_SAFE_INTEGER, frameBytesTarget: Number.POSITIVE_INFINITY });
  const { rows } = round;
  let chunk = 0;
  for (let position = round.first; position < round.last; position++) {
    if (position % CANCEL_POLL_SERIES === 0) access.throwIfCancelled();
    const row = rows.order[position]!;
    encoder.beginSeries(rows.labelBytes.subarray(rows.labelStart(row), rows.labelEnds[row]));
    for (let left = rows.chunkOffsets[row + 1]! - rows.chunkOffsets[row]!; left > 0; left--, chunk++) {
      try {
        encodeChunk(encoder, round.mints[chunk]!, round.maxts[chunk]!, encodings[chunk]!, payloads[chunk]!, aggregates);
      } catch (error) {
        throw wrapError(error, 'populate chunk', 'ERR_STORE_UNKNOWN');
      }
    }
    encoder.endSeries();
  }
  return encoder.flush()!;
}

/** Fills the tables of a frame; its bytes are, series by series, labels and chunk fields. The memory of the frame is used again. */
function buildFrame({ rows, first, last, mints, maxts }: Round, fields: ChunkFields, frame: SeriesFrame, skipChunks: boolean): void {
  const chunkBytes = fields.bytes;
  let labelBytes = 0;
  for (let position = first; position < last; position++) labelBytes += rows.labelEnds[rows.order[position]!]! - rows.labelStart(rows.order[position]!);
  const wanted = labelBytes + chunkBytes.length;
  const old = frame.bytes.buffer as ArrayBuffer;
  const memory = old.byteLength >= wanted && old.byteLength <= 4 * wanted ? old : new ArrayBuffer(Math.ceil(wanted * 1.1));
  const bytes = new Uint8Array(memory, 0, wanted);
  frame.bytes = bytes;
  frame.warning = undefined;
  frame.hints = undefined;
  frame.labelOffsets[0] = 0;
  frame.chunkOffsets[0] = 0;
  frame.partOffsets[0] = 0;
  let at = 0;
  let label = 0;
  let chunk = 0;
  for (let position = first, series = 0; position < last; position++, series++) {
    const row = rows.order[position]!;
    const labelStart = rows.labelStart(row);
    const labelEnd = rows.labelEnds[row]!;
    while (series >= frame.seriesStart.length) frame.growSeries();
    frame.seriesStart[series] = at;
    bytes.set(rows.labelBytes.subarray(labelStart, labelEnd), at);
    const from = rows.labelOffsets[row]! * LABEL_STRIDE;
    const to = rows.labelOffsets[row + 1]! * LABEL_STRIDE;
    while (label * LABEL_STRIDE + to - from > frame.labelRanges.length) frame.growLabels();
    for (let i = from, out = label * LABEL_STRIDE; i < to; i += 2, out += 2) {
      frame.labelRanges[out] = rows.labelRanges[i]! - labelStart + at;
      frame.labelRanges[out + 1] = rows.labelRanges[i + 1]!;
    }
    label += (to - from) / LABEL_STRIDE;
    frame.labelOffsets[series + 1] = label;
    at += labelEnd - labelStart;
    frame.labelsEnd[series] = at;
    const chunks = skipChunks ? 0 : rows.chunkOffsets[row + 1]! - rows.chunkOffsets[row]!;
    if (chunks > 0) {
      const fieldsStart = chunk === 0 ? 0 : fields.ends[chunk - 1]!;
      const fieldsEnd = fields.ends[chunk + chunks - 1]!;
      bytes.set(chunkBytes.subarray(fieldsStart, fieldsEnd), at);
      noteChunks(frame, fields, mints, maxts, chunk, chunk + chunks, at - fieldsStart);
      chunk += chunks;
      at += fieldsEnd - fieldsStart;
    }
    frame.chunkOffsets[series + 1] = chunk;
    frame.seriesEnd[series] = at;
  }
  frame.seriesCount = last - first;
  frame.labelCount = label;
  frame.chunkCount = chunk;
  frame.partCount = chunk;
}

/** Rows [from, to) of chunks and their parts, one each. @param shift from offsets of the fields to those of the frame */
function noteChunks(frame: SeriesFrame, fields: ChunkFields, mints: Float64Array, maxts: Float64Array, from: number, to: number, shift: number): void {
  while (to > frame.chunkMint.length) frame.growChunks();
  while (to > frame.partStart.length) frame.growParts();
  for (let chunk = from; chunk < to; chunk++) {
    frame.chunkMint[chunk] = mints[chunk]!;
    frame.chunkMaxt[chunk] = maxts[chunk]!;
    frame.chunkStart[chunk] = (chunk === 0 ? 0 : fields.ends[chunk - 1]!) + shift;
    frame.chunkEnd[chunk] = fields.ends[chunk]! + shift;
    frame.partOffsets[chunk + 1] = chunk + 1;
    frame.partAggregate[chunk] = AGGREGATE.raw;
    frame.partEncoding[chunk] = fields.encodings[chunk]!;
    frame.partStart[chunk] = fields.dataStarts[chunk]! + shift;
    frame.partBytes[chunk] = fields.dataBytes[chunk]!;
    frame.partHashHi[chunk] = 0;
    frame.partHashLo[chunk] = 0;
  }
}
