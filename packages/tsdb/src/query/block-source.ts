/**
 * A block as a source of series.
 *
 * Chunks of neighbouring series lie side by side, so reads are planned as runs: references in ascending order, joined while the gap
 * is small. How long a run's last chunk is, the index does not say; a guess is read, and the plan is made again with a larger one in
 * the rare case that it was too small.
 *
 *   refs    ├c1┤├c2┤├c3┤   (gap ≤ 16 KiB)  ├c9┤          (far)  ├c70┤
 *   runs    [───────────────────────────────────+guess]         [─────+guess]
 */
import { crc32c } from '@gauntlet/bytes';
import type { Kernels } from '@gauntlet/kernels';
import type { Labels } from '@gauntlet/model';
import type { Block } from '../block/block-reader.ts';
import { type Intervals, isCovered } from '../block/tombstones.ts';
import { type ChunkFrame, frameChunk } from '../chunks/chunk-reader.ts';
import { chunkCorrupt, chunkRefOffset, chunkRefSegment } from '../chunks/layout.ts';
import { be32 } from '../index-file/layout.ts';
import type { Postings } from '../index-file/postings.ts';
import { createSeriesEntry } from '../index-file/series-entry.ts';
import { EntryBatch } from './entry-batch.ts';
import { LabelProjection } from './project-labels.ts';
import { type ChunkRequest, CursorFields, type Projection, type SeriesSource } from './series-source.ts';

/** Gap up to which reading through is cheaper than another read. */
const GAP_BYTES_MAX = 16 * 1024;
/** First guess of a chunk's length with its frame: float chunks end near 1 KiB. */
const TAIL_BYTES = 1100;
/** References of a segment. */
const SEGMENT_REFS = 2 ** 32;
/** Series from which on entries are decoded by the batch. */
const BATCHED_MIN = 16;

class BlockCursor extends CursorFields {
  readonly #block: Block;
  readonly #postings: Postings;
  readonly #from: number;
  readonly #to: number;
  readonly #entry = createSeriesEntry();
  readonly #batch: EntryBatch | undefined;
  readonly #projection: LabelProjection | undefined;
  #position = 0;
  /** Next entry of the batch. */
  #inBatch = 0;

  constructor(block: Block, postings: Postings, from: number, to: number, kernels: Kernels | undefined, projection: Projection) {
    super();
    this.#block = block;
    this.#postings = postings;
    this.#from = from;
    this.#to = to;
    // A few entries are read faster than columns for many are made.
    this.#batch = kernels === undefined || postings.length < BATCHED_MIN ? undefined : new EntryBatch(block.index, kernels, from, to);
    this.#projection = projection === undefined ? undefined : new LabelProjection(block.index.symbols, projection);
  }

  next(): boolean {
    while (this.#position < this.#postings.length) {
      const batch = this.#batch;
      if (batch !== undefined && this.#inBatch >= batch.count) {
        this.#inBatch = 0;
        batch.fill(this.#postings, this.#position);
      }
      const found = batch === undefined || batch.count === 0 ? this.#readEntry(this.#postings[this.#position++]!) : this.#takeEntry(batch, this.#inBatch++, this.#postings[this.#position++]!);
      if (found) return true;
    }
    return false;
  }

  /** An entry of the batch; false when none of its chunks is wanted. */
  #takeEntry(batch: EntryBatch, i: number, ref: number): boolean {
    const { ends } = batch;
    const chunksFrom = i === 0 ? 0 : ends[i * 2 - 1]!;
    const chunksEnd = ends[i * 2 + 1]!;
    if (chunksFrom === chunksEnd) return false;
    const intervals = this.#intervalsOf(ref);
    this.reserve(chunksEnd - chunksFrom);
    let count = 0;
    for (let at = chunksFrom; at < chunksEnd; at++) {
      if (intervals !== undefined && isCovered(intervals, batch.mint[at]!, batch.maxt[at]!)) continue;
      this.mint[count] = batch.mint[at]!;
      this.maxt[count] = batch.maxt[at]!;
      this.refs[count++] = batch.refs[at]!;
    }
    if (count === 0) return false;
    return this.accept(this.#labelsOf(batch.symbols, i === 0 ? 0 : ends[i * 2 - 2]!, ends[i * 2]!), count, intervals);
  }

  #labelsOf(ordinals: Uint32Array, from: number, end: number): Labels {
    if (this.#projection !== undefined) return this.#projection.labelsOf(ordinals, from, end);
    const { symbols } = this.#block.index;
    const labels: string[] = [];
    for (let at = from; at < end; at++) labels.push(symbols.lookup(ordinals[at]!));
    return labels;
  }

  /** Reads an entry on its own; false when none of its chunks is wanted. */
  #readEntry(ref: number): boolean {
    const entry = this.#entry;
    this.#block.index.readSeries(ref, entry);
    const intervals = this.#intervalsOf(ref);
    this.reserve(entry.chunkCount);
    let count = 0;
    for (let i = 0; i < entry.chunkCount; i++) {
      const mint = entry.mint[i]!;
      const maxt = entry.maxt[i]!;
      if (maxt < this.#from || mint > this.#to) continue;
      if (intervals !== undefined && isCovered(intervals, mint, maxt)) continue;
      this.mint[count] = mint;
      this.maxt[count] = maxt;
      this.refs[count++] = entry.refs[i]!;
    }
    return count > 0 && this.accept(this.#labelsOf(entry.symbols, 0, entry.labelCount * 2), count, intervals);
  }

  #intervalsOf(ref: number): Intervals | undefined {
    return this.#block.tombstones.size === 0 ? undefined : this.#block.tombstones.get(ref);
  }
}

/** Reads of one load. */
interface ReadPlan {
  runs: number;
  /** Chunk where each run begins; one entry more than runs. */
  first: number[];
  /** File offset, length, and place in the region of each run. */
  offset: number[];
  length: number[];
  regionAt: number[];
}

/** Makes a source of an open block. @param kernels decode its series entries; without them TypeScript does */
export function createBlockSource(block: Block, kernels?: Kernels): SeriesSource {
  let tailBytes = TAIL_BYTES;
  const plan: ReadPlan = { runs: 0, first: [], offset: [], length: [], regionAt: [] };
  const entry = createSeriesEntry();
  const { chunks } = block;

  /** Bytes of a chunk that is not whole within a run. @throws TsdbError ERR_CHUNK_CORRUPT if it is damaged, which is the other reason to stop at it */
  const wholeBytes = (run: Uint8Array, at: number, segment: number, runOffset: number): number => {
    const frame: ChunkFrame = { encodingAt: 0, payloadBytes: 0, end: 0 };
    const segmentBytes = chunks.segmentBytes(segment);
    const fail = (what: string): Error => chunkCorrupt(block.meta.ulid, segment, runOffset + at, what);
    if (!frameChunk(run, at, frame)) throw fail('length is truncated or over-long');
    if (runOffset + frame.end > segmentBytes) throw fail(`payload of ${frame.payloadBytes} bytes passes the end of the segment (${segmentBytes} bytes)`);
    if (frame.end > run.length) return frame.end - at;
    const sum = crc32c(run.subarray(frame.encodingAt, frame.end - 4));
    throw fail(`invalid checksum ${sum.toString(16)}, want ${be32(run, frame.end - 4).toString(16)}`);
  };

  const planRuns = (request: ChunkRequest): number => {
    plan.runs = 0;
    let regionBytes = 0;
    const { refs } = request;
    for (let i = 0; i < request.count; ) {
      const ref = refs[i]!;
      const segment = chunkRefSegment(ref);
      const offset = chunkRefOffset(ref);
      const nextSegment = ref - offset + SEGMENT_REFS;
      let j = i + 1;
      while (j < request.count && refs[j]! - refs[j - 1]! <= GAP_BYTES_MAX && refs[j]! < nextSegment) j++;
      const end = Math.min(offset + (refs[j - 1]! - ref) + tailBytes, chunks.segmentBytes(segment));
      const run = plan.runs++;
      plan.first[run] = i;
      plan.offset[run] = offset;
      plan.length[run] = Math.max(end - offset, 0);
      plan.regionAt[run] = regionBytes;
      regionBytes += plan.length[run]!;
      i = j;
    }
    plan.first[plan.runs] = request.count;
    return regionBytes;
  };

  return {
    name: block.meta.ulid,
    index: block.index,
    mint: block.meta.minTime,
    maxt: block.meta.maxTime - 1,
    cursor: (refs, mint, maxt, projection) => new BlockCursor(block, refs, mint, maxt, kernels, projection),
    labelsOf(ref) {
      block.index.readSeries(ref, entry, false);
      return block.index.labelsOf(entry);
    },
    regionBytes: planRuns,
    fill(request, region, regionAt, frame) {
      const { refs } = request;
      for (let run = 0; run < plan.runs; run++) {
        const base = regionAt + plan.regionAt[run]!;
        const length = plan.length[run]!;
        const first = plan.first[run]!;
        const end = plan.first[run + 1]!;
        const firstRef = refs[first]!;
        const segment = chunkRefSegment(firstRef);
        const bytes = region.subarray(base, base + length);
        const got = chunks.read(segment, bytes, plan.offset[run]!);
        if (got < length) throw chunkCorrupt(block.meta.ulid, segment, plan.offset[run]! + got, 'segment got shorter');
        const stopped = frame(request, first, end, base, length);
        if (stopped === end) continue;
        const chunkBytes = wholeBytes(bytes, refs[stopped]! - firstRef, segment, plan.offset[run]!);
        tailBytes = Math.max(tailBytes * 2, chunkBytes);
        return false;
      }
      return true;
    },
    hold() {
      block.retain();
      return () => block.release();
    },
  };
}
