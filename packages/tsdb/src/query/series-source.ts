/**
 * What a query reads from: a block or the head, in the same terms.
 *
 *   index     matchers → references
 *   cursor    references → series in label order, with the chunks that overlap the range
 *   chunks    references of chunks → their bytes, in two steps: how many bytes to make room for, then fill
 */
import { grownColumn } from '@gauntlet/bytes';
import type { Labels, SelectHints } from '@gauntlet/model';
import type { Intervals } from '../block/tombstones.ts';
import type { LabelIndex } from '../index-file/index-reader.ts';
import type { Postings } from '../index-file/postings.ts';

/** Walks series in label order. Fields are valid after `next()` returned true, until the next call. */
export interface SeriesCursor {
  next(): boolean;
  readonly labels: Labels;
  /** Deleted ranges of the series; empty for most. */
  readonly intervals: Intervals;
  readonly chunkCount: number;
  readonly mint: Float64Array;
  readonly maxt: Float64Array;
  readonly refs: Float64Array;
}

const NO_INTERVALS: Intervals = [];

/** The fields of a cursor, and how they fill: `reserve` and write columns `0 … count − 1`, then `accept`. */
export abstract class CursorFields implements SeriesCursor {
  labels: Labels = [];
  intervals: Intervals = NO_INTERVALS;
  chunkCount = 0;
  mint: Float64Array = new Float64Array(16);
  maxt: Float64Array = new Float64Array(16);
  refs: Float64Array = new Float64Array(16);

  abstract next(): boolean;

  /** Makes room for `count` chunks; those already written stay. */
  protected reserve(count: number): void {
    if (count <= this.mint.length) return;
    const room = Math.max(count, this.mint.length * 2);
    this.mint = grownColumn(this.mint, room);
    this.maxt = grownColumn(this.maxt, room);
    this.refs = grownColumn(this.refs, room);
  }

  /** Ends a series. Returns true, for `next` to return. */
  protected accept(labels: Labels, chunkCount: number, intervals: Intervals | undefined): true {
    this.labels = labels;
    this.chunkCount = chunkCount;
    this.intervals = intervals ?? NO_INTERVALS;
    return true;
  }
}

/** Chunks to load from one source; the last three columns are filled in. */
export interface ChunkRequest {
  count: number;
  /** In ascending order for blocks. */
  refs: Float64Array;
  /** Out: offset of the payload in the region. */
  at: Float64Array;
  /** Out: payload bytes. */
  bytes: Int32Array;
  /** Out: encoding byte. */
  encodings: Uint8Array;
}

/** Labels that are wanted of series; undefined: all. */
export type Projection = SelectHints['projection'];

/**
 * Finds the parts of chunks [first, end) of a request, compares their checksums and fills the out columns. They lie in [runAt, runAt + runBytes) of the
 * region, which begins with the chunk that `first` refers to.
 * @returns the first chunk that is not whole within those bytes, or damaged; `end` if there is none
 */
export type ChunkFramer = (request: ChunkRequest, first: number, end: number, runAt: number, runBytes: number) => number;

/** One place that has series. */
export interface SeriesSource {
  /** For messages. */
  readonly name: string;
  readonly index: LabelIndex;
  /** Range of what it may have, ms, both inclusive. */
  readonly mint: number;
  readonly maxt: number;
  /**
   * Series of `refs` that have a chunk in [mint, maxt] not wholly deleted.
   * @param projection labels that may be left out; those of neighbours that are equal then may be one array
   */
  cursor(refs: Postings, mint: number, maxt: number, projection?: Projection): SeriesCursor;
  /** Labels of one series. */
  labelsOf(ref: number): Labels;
  /** Bytes of region that `fill` needs for these chunks. */
  regionBytes(request: ChunkRequest): number;
  /**
   * Reads the chunks into the region from `regionAt` on and fills the out columns.
   * @returns false when a chunk was longer than planned for: ask `regionBytes` again
   */
  fill(request: ChunkRequest, region: Uint8Array, regionAt: number, frame: ChunkFramer): boolean;
  /** Keeps the source readable until the returned function is called. */
  hold(): () => void;
}

/** An empty request. */
export function createChunkRequest(): ChunkRequest {
  const room = 256;
  return { count: 0, refs: new Float64Array(room), at: new Float64Array(room), bytes: new Int32Array(room), encodings: new Uint8Array(room) };
}

/** Adds a chunk. Returns its place in the request. */
export function pushChunk(request: ChunkRequest, ref: number): number {
  if (request.count === request.refs.length) growRequest(request);
  request.refs[request.count] = ref;
  return request.count++;
}

function growRequest(request: ChunkRequest): void {
  const refs = new Float64Array(request.count * 2);
  refs.set(request.refs);
  request.refs = refs;
  request.at = new Float64Array(refs.length);
  request.bytes = new Int32Array(refs.length);
  request.encodings = new Uint8Array(refs.length);
}
