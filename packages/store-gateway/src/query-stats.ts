/** What one call cost, counted where the work is done and reported to the main thread as plain numbers. */

/** Counts of one kind of data: touched = used for the answer, fetched = read from the bucket. */
export interface DataStats {
  touched: number;
  touchedBytes: number;
  fetched: number;
  fetchedBytes: number;
  /** Requests to the bucket. */
  fetches: number;
  /** Milliseconds spent waiting for them, summed. */
  fetchMs: number;
}

/** See the head of this file. */
export interface QueryStats {
  readonly postings: DataStats;
  readonly series: DataStats;
  readonly chunks: DataStats;
  blocksQueried: number;
  emptyPostings: number;
  lazyExpanded: number;
  seriesRefetches: number;
  chunkRefetches: number;
  resultSeries: number;
  resultChunks: number;
  /** Milliseconds until all blocks were prepared; of the merge. */
  preloadMs: number;
  mergeMs: number;
  /** Chunk bytes of each series sent, for a histogram; at most {@link SENT_SIZES_MAX}. */
  readonly sentBytes: number[];
}

/** Series whose size is reported per call. */
export const SENT_SIZES_MAX = 10_000;

const data = (): DataStats => ({ touched: 0, touchedBytes: 0, fetched: 0, fetchedBytes: 0, fetches: 0, fetchMs: 0 });

/** Starts at zero. */
export function createQueryStats(): QueryStats {
  return {
    postings: data(), series: data(), chunks: data(),
    blocksQueried: 0, emptyPostings: 0, lazyExpanded: 0, seriesRefetches: 0, chunkRefetches: 0, resultSeries: 0, resultChunks: 0, preloadMs: 0, mergeMs: 0, sentBytes: [],
  };
}
