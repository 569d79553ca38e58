/**
 * The seam between who has samples and who computes with them: a `Queryable` answers a selector with series as columns, in
 * batches. tsdb, the querier's fan-out and tests implement it; promql consumes it and knows nothing else about storage.
 *
 * A batch is 64–256 whole series. Its columns usually lie in the memory of the compute kernels, so that window functions read
 * them in place:
 *
 *   offsets       [0,            3,       5]          seriesCount + 1 entries
 *   timestampsMs  [t0  t1  t2  | t0  t1 ]
 *   values        [v0  v1  v2  | v0  v1 ]
 *
 * **Ownership.** A batch and everything in it belongs to the producer and is valid only until the consumer asks for the next
 * batch (or ends the iteration). Who wants to keep something copies it. Views over WebAssembly memory are detached when that
 * memory grows: take `byteOffset` before allocating.
 */
import type { FloatHistogram } from './histogram/float-histogram.ts';
import type { HistogramRun } from './histogram/histogram-run.ts';
import type { Labels } from './labels.ts';
import type { Matcher } from './matcher.ts';

/** What the consumer will do with the samples: storage may use it to read less, never to answer differently. */
export interface SelectHints {
  /** Evaluation step of the query; 0 for an instant query. */
  readonly stepMs: number;
  /** Innermost function or aggregation over the selector, `''` if none. */
  readonly func: string;
  /** Range of the matrix selector; 0 for a vector selector. */
  readonly rangeMs: number;
  /** Labels of the surrounding aggregation. */
  readonly grouping: readonly string[];
  /** True for `by`, false for `without`. */
  readonly by: boolean;
  /**
   * Labels the answer can depend on: only those listed (`include`), or all but those listed; absent: all. Storage that leaves out others must still
   * hand out each series by itself, and in the order of the whole labels.
   */
  readonly projection?: { readonly include: boolean; readonly labels: readonly string[] } | undefined;
  /** Of each series only the newest sample is looked at: others may be left out. */
  readonly newestOnly?: boolean | undefined;
}

export interface SelectRequest {
  /** All must match; at least one does not match the empty string (the parser guarantees it). */
  readonly matchers: readonly Matcher[];
  /** First millisecond wanted, inclusive. */
  readonly mint: number;
  /** Last millisecond wanted, inclusive. */
  readonly maxt: number;
  readonly hints?: SelectHints;
  readonly signal?: AbortSignal;
}

/** Native histograms among the samples of a batch. */
export interface HistogramColumn {
  /** One entry per sample of the batch, beside its timestamp: −1 for a float, else the number that `get` takes. */
  readonly ids: Int32Array;
  /**
   * One histogram, STALE_HISTOGRAM for a stale marker. To be called while the batch is valid; the histogram itself is the consumer's to keep and
   * shares nothing that the producer changes later.
   */
  get(id: number): FloatHistogram;
  /**
   * The run of histograms that one belongs to; absent where storage has objects only. It may be read as long as the batch is
   * valid. Hints are those of `get`.
   */
  runOf?(id: number): HistogramRun;
  /** Whether a histogram was stored with whole counts, for those who show samples as they are; absent where nobody knows. */
  isInteger?(id: number): boolean;
}

/** Whole series as columns. See the head of this file for layout and ownership. */
export interface SeriesBatch {
  /** One entry per series; batches of one select are in ascending label order, each series exactly once. */
  readonly labels: readonly Labels[];
  /** `labels.length + 1` sample offsets into the two columns. */
  readonly offsets: Int32Array;
  /** Milliseconds since 1970, strictly ascending within a series, all in [mint, maxt]. */
  readonly timestampsMs: Float64Array;
  /**
   * Where the two columns lie, as byte offsets in the memory of the consumer's kernels; absent when they lie elsewhere. Who has
   * that memory makes views anew from these: between the producer's `yield` and the consumer's turn another selector of the
   * query may have grown the memory, and the views above are detached then.
   */
  readonly kernelColumns?: { readonly timestampsPtr: number; readonly valuesPtr: number };
  /** Raw bits preserved: a stale marker is the NaN 0x7ff0000000000002 and must be told from other NaNs by its bits. */
  readonly values: Float64Array;
  /**
   * Samples that are native histograms; absent if there are none, as in most batches. In `values` such a sample is 0, or the bits of a stale marker
   * where the histogram is one.
   */
  readonly histograms?: HistogramColumn;
  /**
   * Beside each timestamp, when what the sample counts began: ms since 1970, 0 where it is not known. Absent if no sample of the batch has one, as
   * in most batches. It is a start of counting, not of the series: a counter that was reset carries the time of the reset, a delta the time of the
   * sample before. Storage hands it out as it was written, even where it cannot be right. Never in the memory of kernels.
   */
  readonly startTimestamps?: Float64Array;
}

/** Something that went wrong without making the answer useless: shown to the user beside it. */
export type Warnings = readonly string[];

export interface SeriesSet extends AsyncIterable<SeriesBatch> {
  /** Complete once the iteration has ended. */
  warnings(): Warnings;
}

export interface LabelQuery {
  readonly matchers: readonly Matcher[];
  readonly mint: number;
  readonly maxt: number;
  /** Most values wanted; 0 = all. */
  readonly limit: number;
  readonly signal?: AbortSignal;
}

export interface LabelAnswer {
  /** Unique, in byte order. */
  readonly values: readonly string[];
  readonly warnings: Warnings;
}

export interface Queryable {
  select(request: SelectRequest): SeriesSet;
  labelNames(query: LabelQuery): Promise<LabelAnswer>;
  labelValues(name: string, query: LabelQuery): Promise<LabelAnswer>;
}

/** Chunk encodings as in the chunk files of Prometheus; St: with start timestamps, which xor2 may have too. */
export const CHUNK_ENCODING = { xor: 1, histogram: 2, floatHistogram: 3, xor2: 4, histogramSt: 5, floatHistogramSt: 6 } as const;

/** One chunk of a series, still encoded. */
export interface RawChunk {
  /** First and last timestamp in the chunk, ms, both inclusive. */
  readonly mint: number;
  readonly maxt: number;
  /** See CHUNK_ENCODING; others are passed through untouched. */
  readonly encoding: number;
  /** The chunk's payload: no length, no encoding byte, no CRC. Valid as long as the batch it came in. */
  readonly data: Uint8Array;
}

/** One series with its chunks in ascending `mint` order. */
export interface ChunkSeries {
  readonly labels: Labels;
  readonly chunks: readonly RawChunk[];
}

/** Series with their chunks undecoded: what a StoreAPI server sends on. Batches follow the same rules as `SeriesBatch`. */
export interface ChunkQueryable {
  selectChunks(request: SelectRequest & { readonly skipChunks?: boolean }): AsyncIterable<readonly ChunkSeries[]>;
  labelNames(query: LabelQuery): Promise<LabelAnswer>;
  labelValues(name: string, query: LabelQuery): Promise<LabelAnswer>;
}
