/**
 * Merges the sorted streams of several stores by labels. Nothing is decoded beyond offsets and nothing copied: a merged series
 * is a list of (frame, series) pairs with equal labels.
 *
 *   store A  a b   d        ┐ tournament of the streams' next       batch: a ← A     b ← A, C
 *   store B  a   c d        ┤ series; equal ones are taken          c ← B            d ← A, B, C
 *   store C    b   d        ┘ together                              (up to 256 series or 4 MiB)
 *
 * `mergeChunks` then gives the chunks of one merged series sorted, identical ones once.
 */
import { grownColumn } from '@gauntlet/bytes';
import { formatLabels } from '@gauntlet/model';
import { compareFrameLabels, createSeriesFrame, decodeSeriesFrame, frameLabels, SeriesFrame } from '@gauntlet/proto';
import { StoreError } from './errors.ts';
import type { FrameBuffer, StreamEnd } from './frame-buffer.ts';
import { errorText } from './grpc-status.ts';

const BATCH_SERIES_MAX = 256;
const BATCH_BYTES_MAX = 4 << 20;

/** One input of the merge. */
export interface MergeInput {
  readonly buffer: FrameBuffer;
  /** Series for which it says false are left out. */
  readonly accepts?: (frame: SeriesFrame, series: number) => boolean;
}

/** What the merge reports while it runs; what these throw ends it. */
export interface MergeObserver {
  /** A store sent a warning. */
  onWarning(input: number, text: string): void;
  /** A stream ended, in whatever way. */
  onEnd(input: number, end: StreamEnd): void;
}

/** Merged series in label order. Valid until the next one is asked for. */
export interface MergedBatch {
  readonly seriesCount: number;
  /** `seriesCount + 1` entries: rows of the two columns below. */
  readonly sourceOffsets: Int32Array;
  /** Frame of each source. */
  readonly frames: readonly SeriesFrame[];
  /** Index of the series in that frame. */
  readonly series: Int32Array;
  /** Number of the input the source came from. */
  readonly inputs: Int32Array;
}

/** Position in one stream. */
class Cursor {
  readonly input: number;
  readonly buffer: FrameBuffer;
  readonly accepts: MergeInput['accepts'];
  frame: SeriesFrame | undefined = undefined;
  series = -1;
  /** Whether the frame came decoded: it is given back as it is, and its tables are not the merge's to reuse. */
  isDecoded = false;
  /** Last series of the frame before, until the first of the next one was compared with it. */
  previous: SeriesFrame | undefined = undefined;
  isDone = false;

  constructor(input: number, source: MergeInput) {
    this.input = input;
    this.buffer = source.buffer;
    this.accepts = source.accepts;
  }
}

/** See the head of this file. Iterate it once; leaving early releases everything. */
export class SeriesMerge implements AsyncIterable<MergedBatch> {
  readonly #cursors: Cursor[];
  readonly #observer: MergeObserver;
  /** Cursors with a series, as a binary heap by labels, then input. */
  readonly #heap: Cursor[] = [];
  /** Frames of the current batch that no cursor stands on any more. */
  readonly #retired: { readonly frame: SeriesFrame; readonly buffer: FrameBuffer; readonly isDecoded: boolean }[] = [];
  readonly #pool: SeriesFrame[] = [];
  #frames: SeriesFrame[] = [];
  #series: Int32Array = new Int32Array(512);
  #inputs: Int32Array = new Int32Array(512);
  readonly #sourceOffsets: Int32Array = new Int32Array(BATCH_SERIES_MAX + 1);

  constructor(inputs: readonly MergeInput[], observer: MergeObserver) {
    this.#cursors = inputs.map((input, i) => new Cursor(i, input));
    this.#observer = observer;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<MergedBatch> {
    try {
      for (const cursor of this.#cursors) {
        while (!this.#advance(cursor)) await cursor.buffer.wait();
        if (!cursor.isDone) this.#push(cursor);
      }
      while (this.#heap.length > 0) {
        const seriesCount = await this.#fill();
        yield { seriesCount, sourceOffsets: this.#sourceOffsets, frames: this.#frames, series: this.#series, inputs: this.#inputs };
        this.#recycle();
      }
    } finally {
      for (const cursor of this.#cursors) cursor.buffer.close();
      this.#recycle();
      for (const cursor of this.#cursors) if (cursor.frame !== undefined) cursor.buffer.release(cursor.isDecoded ? cursor.frame : cursor.frame.bytes);
    }
  }

  /** Fills the batch columns; returns the number of series. */
  async #fill(): Promise<number> {
    const heap = this.#heap;
    this.#frames = [];
    let seriesCount = 0;
    let bytes = 0;
    while (heap.length > 0 && seriesCount < BATCH_SERIES_MAX && bytes < BATCH_BYTES_MAX) {
      const first = heap[0]!;
      const firstFrame = first.frame!;
      const firstSeries = first.series;
      // Sources of a merged series keep the order of inputs; the same input may hold several pieces of it.
      for (;;) {
        const top = heap[0];
        if (top === undefined || (top.frame !== firstFrame || top.series !== firstSeries) && compareFrameLabels(top.frame!, top.series, firstFrame, firstSeries) !== 0) break;
        const frame = top.frame!;
        bytes += frame.seriesEnd[top.series]! - frame.seriesStart[top.series]!;
        this.#addSource(top);
        while (!this.#advance(top)) await top.buffer.wait();
        if (top.isDone) this.#pop();
        else this.#siftDown(0);
      }
      this.#sourceOffsets[++seriesCount] = this.#frames.length;
    }
    return seriesCount;
  }

  #addSource(cursor: Cursor): void {
    const row = this.#frames.length;
    if (row === this.#series.length) {
      const series = new Int32Array(row * 2);
      series.set(this.#series);
      this.#series = series;
      const inputs = new Int32Array(row * 2);
      inputs.set(this.#inputs);
      this.#inputs = inputs;
    }
    this.#frames.push(cursor.frame!);
    this.#series[row] = cursor.series;
    this.#inputs[row] = cursor.input;
  }

  /** Moves to the next series. @returns false if the buffer is empty for now */
  #advance(cursor: Cursor): boolean {
    for (;;) {
      const frame = cursor.frame;
      if (frame !== undefined) {
        while (++cursor.series < frame.seriesCount) {
          if (!isInOrder(cursor, frame)) return this.#end(cursor, { kind: 'failed', error: unsorted(cursor, frame) });
          if (cursor.accepts === undefined || cursor.accepts(frame, cursor.series)) return true;
        }
        this.#retired.push({ frame, buffer: cursor.buffer, isDecoded: cursor.isDecoded });
        if (frame.seriesCount > 0) cursor.previous = frame;
        cursor.frame = undefined;
      }
      const item = cursor.buffer.take();
      if (item === undefined) {
        const end = cursor.buffer.end;
        return end === undefined ? false : this.#end(cursor, end);
      }
      cursor.isDecoded = item instanceof SeriesFrame;
      const next = item instanceof SeriesFrame ? item : (this.#pool.pop() ?? createSeriesFrame());
      cursor.frame = next;
      cursor.series = -1;
      try {
        if (!(item instanceof SeriesFrame)) decodeSeriesFrame(item, next);
      } catch (error) {
        return this.#end(cursor, { kind: 'failed', error: new StoreError('ERR_STORE_INTERNAL', errorText(error), { cause: error }) });
      }
      if (next.warning !== undefined) this.#observer.onWarning(cursor.input, next.warning);
    }
  }

  #end(cursor: Cursor, end: StreamEnd): true {
    cursor.isDone = true;
    if (cursor.frame !== undefined) {
      this.#retired.push({ frame: cursor.frame, buffer: cursor.buffer, isDecoded: cursor.isDecoded });
      cursor.frame = undefined;
    }
    cursor.buffer.close();
    this.#observer.onEnd(cursor.input, end);
    return true;
  }

  /** Gives frames back that the consumer has seen. */
  #recycle(): void {
    for (const { frame, buffer, isDecoded } of this.#retired) {
      buffer.release(isDecoded ? frame : frame.bytes);
      if (!isDecoded) this.#pool.push(frame);
    }
    this.#retired.length = 0;
  }

  #isBefore(a: Cursor, b: Cursor): boolean {
    const order = compareFrameLabels(a.frame!, a.series, b.frame!, b.series);
    return order < 0 || (order === 0 && a.input < b.input);
  }

  #push(cursor: Cursor): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(cursor);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#isBefore(heap[at]!, heap[parent]!)) return;
      [heap[at], heap[parent]] = [heap[parent]!, heap[at]!];
      at = parent;
    }
  }

  #pop(): void {
    const last = this.#heap.pop()!;
    if (this.#heap.length === 0) return;
    this.#heap[0] = last;
    this.#siftDown(0);
  }

  #siftDown(from: number): void {
    const heap = this.#heap;
    for (let at = from; ; ) {
      const left = 2 * at + 1;
      if (left >= heap.length) return;
      const right = left + 1;
      const child = right < heap.length && this.#isBefore(heap[right]!, heap[left]!) ? right : left;
      if (!this.#isBefore(heap[child]!, heap[at]!)) return;
      [heap[at], heap[child]] = [heap[child]!, heap[at]!];
      at = child;
    }
  }
}

/** A store that breaks the order would make the merge lose replicas and repeat series. */
function isInOrder(cursor: Cursor, frame: SeriesFrame): boolean {
  if (cursor.series > 0) return compareFrameLabels(frame, cursor.series - 1, frame, cursor.series) <= 0;
  const previous = cursor.previous;
  cursor.previous = undefined;
  return previous === undefined || compareFrameLabels(previous, previous.seriesCount - 1, frame, 0) <= 0;
}

function unsorted(cursor: Cursor, frame: SeriesFrame): StoreError {
  return new StoreError('ERR_STORE_INTERNAL', `series are not sorted by labels: ${formatLabels(frameLabels(frame, cursor.series))} came too late`);
}

/** Rows of `mergeChunks`, reused from call to call. Read the columns up to `count`. */
export class ChunkRows {
  /** Number of chunks. */
  count = 0;
  /** Source (row of the batch) of each chunk. */
  sources: Int32Array = new Int32Array(64);
  /** Chunk (row of that source's frame). */
  chunks: Int32Array = new Int32Array(64);
  /** The columns before the last merge step. */
  #oldSources: Int32Array = new Int32Array(64);
  #oldChunks: Int32Array = new Int32Array(64);

  /** Appends one row. */
  push(source: number, chunk: number): void {
    const row = this.count++;
    if (row === this.sources.length) {
      this.sources = grownColumn(this.sources);
      this.chunks = grownColumn(this.chunks);
    }
    this.sources[row] = source;
    this.chunks[row] = chunk;
  }

  /** Merges chunks `[from, to)` of one source, which are in order, into the rows, which are too. */
  merge(batch: MergedBatch, source: number, from: number, to: number): void {
    const oldCount = this.count;
    const oldSources = this.sources;
    const oldChunks = this.chunks;
    this.sources = this.#oldSources;
    this.chunks = this.#oldChunks;
    this.#oldSources = oldSources;
    this.#oldChunks = oldChunks;
    this.count = 0;
    const frame = batch.frames[source]!;
    let chunk = from;
    for (let row = 0; row < oldCount; row++) {
      const old = batch.frames[oldSources[row]!]!;
      let order = -1;
      while (chunk < to && (order = compareChunks(frame, chunk, old, oldChunks[row]!)) < 0) this.push(source, chunk++);
      if (chunk < to && order === 0) chunk++;
      this.push(oldSources[row]!, oldChunks[row]!);
    }
    while (chunk < to) this.push(source, chunk++);
  }
}

/** Creates empty rows for {@link mergeChunks}. */
export function createChunkRows(): ChunkRows {
  return new ChunkRows();
}

/**
 * The chunks of merged series `series`, by first, then last timestamp; of chunks that agree in times and all bytes one is kept.
 * Chunks that overlap but differ all stay: to resolve them is deduplication.
 * @param rows out
 */
export function mergeChunks(batch: MergedBatch, series: number, rows: ChunkRows): void {
  rows.count = 0;
  let lastMint = -Infinity;
  for (let source = batch.sourceOffsets[series]!; source < batch.sourceOffsets[series + 1]!; source++) {
    const frame = batch.frames[source]!;
    const from = frame.chunkOffsets[batch.series[source]!]!;
    const to = frame.chunkOffsets[batch.series[source]! + 1]!;
    // Pieces of one store follow each other in time; stores with the same series overlap.
    let chunk = from;
    while (chunk < to) {
      const first = chunk;
      const isAfter = frame.chunkMint[chunk]! > lastMint;
      if (isAfter) {
        for (; chunk < to && frame.chunkMint[chunk]! > lastMint; chunk++) {
          lastMint = frame.chunkMint[chunk]!;
          rows.push(source, chunk);
        }
        continue;
      }
      chunk++;
      while (chunk < to && compareChunks(frame, chunk - 1, frame, chunk) < 0) chunk++;
      rows.merge(batch, source, first, chunk);
      lastMint = Math.max(lastMint, frame.chunkMint[chunk - 1]!);
    }
  }
}

/**
 * By times, then by parts: aggregate, encoding, and data, the larger bytes first as in Thanos: which of two chunks over the same time counts as the
 * first replica follows from it. 0 means identical.
 */
function compareChunks(a: SeriesFrame, i: number, b: SeriesFrame, j: number): number {
  const times = a.chunkMint[i]! - b.chunkMint[j]! || a.chunkMaxt[i]! - b.chunkMaxt[j]!;
  if (times !== 0) return times;
  let p = a.partOffsets[i]!;
  let q = b.partOffsets[j]!;
  const pEnd = a.partOffsets[i + 1]!;
  const qEnd = b.partOffsets[j + 1]!;
  for (; p < pEnd && q < qEnd; p++, q++) {
    const kind = a.partAggregate[p]! - b.partAggregate[q]! || a.partEncoding[p]! - b.partEncoding[q]!;
    if (kind !== 0) return kind;
    let s = a.partStart[p]!;
    let t = b.partStart[q]!;
    const stop = s + Math.min(a.partBytes[p]!, b.partBytes[q]!);
    for (; s < stop; s++, t++) {
      const difference = b.bytes[t]! - a.bytes[s]!;
      if (difference !== 0) return difference;
    }
    if (a.partBytes[p] !== b.partBytes[q]) return b.partBytes[q]! - a.partBytes[p]!;
  }
  return pEnd - p - (qEnd - q);
}
