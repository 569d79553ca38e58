/** Contract of the kernel for chunks of native histograms, as Prometheus stores them: encodings 2, 3, 5 and 6. */

/** Why samples of a histogram chunk are refused: see `decodeHistogramSamples`. */
export const HISTOGRAM_REFUSAL = { truncated: 0, badWindow: 1, unsafeNumber: 2, badCount: 3, unsafeStart: 4, longVarint: 5 } as const;

/** Columns that `decodeHistogramSamples` writes: times, counts, zero counts, sums, start timestamps. */
export const HISTOGRAM_COLUMNS = 5;

/** Bytes of `statePtr`. @param buckets of a sample, positive and negative */
export function histogramStateBytes(buckets: number): number {
  return (buckets + 3) * 16;
}

export interface HistogramKernels {
  /**
   * Decodes the samples of a chunk; its header and layout, which come before, are the caller's. Numbers are integers within ±(2^53 − 1), or
   * raw bits. A stale marker, known by the bits of its sum, has counts of 0 and no buckets. Reads up to CHUNK_SLACK_BYTES past the chunk's end.
   * @param bit of the chunk where sample 0 begins; the chunk is shorter than 256 MiB
   * @param isFloat 1 for histograms of floats, 0 for those of integers
   * @param startHeader header byte of start timestamps; 0 when no sample has one
   * @param count samples
   * @param positive positive buckets of a sample
   * @param buckets positive and negative ones
   * @param statePtr `histogramStateBytes(buckets)` of room, contents undefined before and after; 8-byte aligned
   * @param columnsPtr out, HISTOGRAM_COLUMNS Float64 columns of `count`; the last is written when there are start timestamps
   * @param bucketsPtr out, absolute counts: a row of `buckets` per sample that is no stale marker; room for `count` rows, or for as many doubles as
   *   the chunk has bits
   * @returns rows written; or −1 − (8 · sample + reason), reason being a HISTOGRAM_REFUSAL, and then the columns hold undefined samples
   */
  decodeHistogramSamples(
    chunkPtr: number,
    chunkBytes: number,
    bit: number,
    isFloat: number,
    startHeader: number,
    count: number,
    positive: number,
    buckets: number,
    statePtr: number,
    columnsPtr: number,
    bucketsPtr: number,
  ): number;
}
