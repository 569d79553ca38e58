/** Contract of the kernels for chunks of native histograms, as Prometheus stores them: encodings 2, 3, 5 and 6. */

/** Why samples of a histogram chunk are refused: see `decodeHistogramSamples`. */
export const HISTOGRAM_REFUSAL = { truncated: 0, badWindow: 1, unsafeNumber: 2, badCount: 3, unsafeStart: 4, longVarint: 5 } as const;

/** Columns that `decodeHistogramSamples` writes: times, counts, zero counts, sums, start timestamps. */
export const HISTOGRAM_COLUMNS = 5;

/** Bytes of `statePtr`. @param buckets of a sample, positive and negative */
export function histogramStateBytes(buckets: number): number {
  return (buckets + 3) * 16;
}

/** Why `encodeHistogramSamples` refuses. */
export const HISTOGRAM_ENCODE_REFUSAL = { notEncodable: -1, noRoom: -2 } as const;

/** Largest integer that `encodeHistogramSamples` takes: with it no difference of changes of differences passes 2^53. */
export const HISTOGRAM_INTEGER_MAX: number = 2 ** 50;

/** Room for a chunk of so many samples, bytes. @param startBit where sample 0 begins @param buckets of a sample, positive and negative */
export function histogramSamplesBytesMax(startBit: number, count: number, buckets: number): number {
  // A number or field takes ten bytes at most, and a store goes past the end.
  return ((startBit + 7) >>> 3) + count * (buckets + 5) * 10 + 16;
}

export interface HistogramEncodeKernels {
  /**
   * Encodes samples into a chunk that has its layout already: the inverse of `decodeHistogramSamples`, with the same columns and rows. A sample whose
   * sum has the bits of the stale marker has no row.
   * @param columnsPtr HISTOGRAM_COLUMNS Float64 columns of `count`; the last, start timestamps with 0 = not known, is read `withStarts`
   * @param bucketsPtr absolute counts: a row of `buckets` per sample that is no stale marker
   * @param isFloat 1 for histograms of floats, whose counts may be any doubles; 0 for those of integers
   * @param withStarts 1 for chunks with start timestamps: their header byte, the third, is written too
   * @param positive positive buckets of a sample
   * @param statePtr `histogramStateBytes(buckets)` of room, contents undefined before and after; 8-byte aligned
   * @param outPtr the chunk, which has `startBit` bits, up to where sample 0 begins
   * @param outMax room of the chunk: at least `histogramSamplesBytesMax(startBit, count, buckets)`
   * @returns bytes of the chunk; or a HISTOGRAM_ENCODE_REFUSAL: times, starts or integers that are none or pass HISTOGRAM_INTEGER_MAX; too little room
   */
  encodeHistogramSamples(
    columnsPtr: number,
    bucketsPtr: number,
    count: number,
    isFloat: number,
    withStarts: number,
    positive: number,
    buckets: number,
    statePtr: number,
    outPtr: number,
    startBit: number,
    outMax: number,
  ): number;
}

export interface HistogramDecodeKernels {
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

/** Both ways. */
export interface HistogramKernels extends HistogramDecodeKernels, HistogramEncodeKernels {}
