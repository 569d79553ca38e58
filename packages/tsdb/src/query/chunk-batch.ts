/**
 * The chunks of a batch of whole series, gathered from all sources: which chunk belongs to which series, where it is, and which part of
 * it is deleted.
 *
 *   series   0            1       2
 *   starts   [0,          3,      4,   6]
 *   chunks   A0  A1  H0 │ A2   │ B0  H1          per chunk: source, place in the source's request, mint, maxt
 *
 * Within a series chunks are in order of mint, then source.
 */
import type { Labels } from '@gauntlet/model';
import { type Intervals, overlapsIntervals } from '../block/tombstones.ts';
import type { SeriesMerge } from './merge-series.ts';
import { type ChunkRequest, createChunkRequest, pushChunk, type SeriesCursor, type SeriesSource } from './series-source.ts';

/** Series per batch; from 32 to 512 the speed is the same. */
export const BATCH_SERIES_MAX = 128;
/** Chunks after which a batch ends with the series it is at: about 2 million samples, 32 MB of columns. */
const BATCH_CHUNKS_MAX = 16384;

/** A batch being filled, load by load. */
export class ChunkBatch {
  /** Labels of the series; a fresh array per batch. */
  labels: Labels[] = [];
  /** First chunk of each series; one entry more than series. */
  readonly starts: Int32Array = new Int32Array(BATCH_SERIES_MAX + 1);
  count = 0;
  source: Int32Array = new Int32Array(1024);
  /** Place in the request of the chunk's source. */
  place: Int32Array = new Int32Array(1024);
  mint: Float64Array = new Float64Array(1024);
  maxt: Float64Array = new Float64Array(1024);
  /** Deleted ranges of chunks that they touch; empty in the ordinary case. */
  readonly intervals: Map<number, Intervals> = new Map();
  /** What to load, by source. */
  readonly requests: readonly ChunkRequest[];

  constructor(sources: readonly SeriesSource[]) {
    this.requests = sources.map(() => createChunkRequest());
  }

  /** Takes the next series from the merge. @returns false when there was none */
  fill(merge: SeriesMerge, cursors: readonly SeriesCursor[]): boolean {
    this.labels = [];
    this.count = 0;
    this.intervals.clear();
    for (const request of this.requests) request.count = 0;
    while (this.labels.length < BATCH_SERIES_MAX && this.count < BATCH_CHUNKS_MAX && merge.next()) {
      const start = this.count;
      this.starts[this.labels.length] = start;
      this.labels.push(merge.labels);
      for (const source of merge.parts) this.#add(source, cursors[source]!);
      if (merge.parts.length > 1) this.#sortByMint(start);
    }
    this.starts[this.labels.length] = this.count;
    return this.labels.length > 0;
  }

  #add(source: number, cursor: SeriesCursor): void {
    const request = this.requests[source]!;
    const { chunkCount, intervals, mint, maxt, refs } = cursor;
    while (this.count + chunkCount > this.source.length) this.#grow();
    for (let i = 0; i < chunkCount; i++) {
      const chunk = this.count++;
      this.source[chunk] = source;
      this.mint[chunk] = mint[i]!;
      this.maxt[chunk] = maxt[i]!;
      this.place[chunk] = pushChunk(request, refs[i]!);
      if (intervals.length > 0 && overlapsIntervals(intervals, mint[i]!, maxt[i]!)) this.intervals.set(chunk, intervals);
    }
  }

  /** Insertion sort: parts come nearly sorted, because blocks are taken oldest first. */
  #sortByMint(start: number): void {
    for (let i = start + 1; i < this.count; i++) {
      for (let j = i; j > start && this.mint[j]! < this.mint[j - 1]!; j--) this.#swap(j, j - 1);
    }
  }

  #swap(a: number, b: number): void {
    for (const column of [this.source, this.place, this.mint, this.maxt]) {
      const kept = column[a]!;
      column[a] = column[b]!;
      column[b] = kept;
    }
    const [ofA, ofB] = [this.intervals.get(a), this.intervals.get(b)];
    if (ofB === undefined) this.intervals.delete(a);
    else this.intervals.set(a, ofB);
    if (ofA === undefined) this.intervals.delete(b);
    else this.intervals.set(b, ofA);
  }

  #grow(): void {
    const size = this.source.length * 2;
    const source = new Int32Array(size);
    source.set(this.source);
    const place = new Int32Array(size);
    place.set(this.place);
    const mint = new Float64Array(size);
    mint.set(this.mint);
    const maxt = new Float64Array(size);
    maxt.set(this.maxt);
    this.source = source;
    this.place = place;
    this.mint = mint;
    this.maxt = maxt;
  }
}
