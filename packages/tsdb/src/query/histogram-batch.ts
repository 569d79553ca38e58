/**
 * The native histograms of a batch of series, found by number: a `HistogramColumn` in the making.
 *
 *   chunks       A (3 samples)   B (2)     C (4)            ids     0 1 2 │ 3 4 │ 5 6 7 8
 *   decoded      ■               ■         –                C did not fit any more: its bytes are decoded again when asked for
 *
 * Every chunk is decoded once for its times. What comes out is kept up to a limit, because a chunk of some hundred bytes can become some
 * hundred kilobytes; consumers ask for histograms in order, so a chunk that is not kept is decoded a second time and no more.
 */
import { CUSTOM_BUCKETS_SCHEMA, createHistogram, type FloatHistogram, type HistogramSpan, type ResetHint, STALE_HISTOGRAM } from '@gauntlet/model';
import { decodeHistogramChunk, type HistogramColumns, RESET_HINT } from '../chunkenc/histogram-chunk.ts';

/** Bytes of decoded histograms that a batch keeps: as much as the columns of a large batch of floats. */
const KEPT_BYTES_MAX = 32 << 20;

const NO_BUCKETS = new Float64Array(0);

/** Who accounts for the memory; throws when a budget would be passed. */
export interface HistogramCharge {
  reserve(bytes: number): void;
  release(bytes: number): void;
}

/** An encoded chunk. Asked again while the batch is valid, so its bytes must stay where `data` finds them. */
export interface EncodedChunk {
  readonly encoding: number;
  readonly data: () => Uint8Array;
  /** Series and source, for messages. */
  readonly name: () => string;
}

/** See the head of this file. */
export class HistogramBatch {
  readonly #charge: HistogramCharge | undefined;
  readonly #keptBytesMax: number;
  readonly #chunks: EncodedChunk[] = [];
  /** Decoded chunks; undefined where there was no room. */
  readonly #kept: (HistogramColumns | undefined)[] = [];
  /** First id of each chunk. */
  readonly #firstIds: number[] = [];
  /** Nonzero for ids whose hint says nothing any more; empty if there are none. */
  #seams: Uint8Array = new Uint8Array(0);
  #keptBytes = 0;
  #count = 0;
  /** The chunk asked for last. */
  #at = 0;
  #atColumns: HistogramColumns | undefined;
  #positiveSpans: readonly HistogramSpan[] = [];
  #negativeSpans: readonly HistogramSpan[] = [];

  constructor(charge?: HistogramCharge, keptBytesMax: number = KEPT_BYTES_MAX) {
    this.#charge = charge;
    this.#keptBytesMax = keptBytesMax;
  }

  /** Histograms so far; the next chunk's ids begin here. */
  get count(): number {
    return this.#count;
  }

  /** Forgets everything and gives back what was charged. */
  clear(): void {
    this.#chunks.length = 0;
    this.#kept.length = 0;
    this.#firstIds.length = 0;
    this.#seams = new Uint8Array(0);
    this.#count = 0;
    this.#at = 0;
    this.#atColumns = undefined;
    if (this.#keptBytes > 0) this.#charge?.release(this.#keptBytes);
    this.#keptBytes = 0;
  }

  /**
   * Adds a chunk of encoding 2, 3, 5 or 6: its histograms get the ids `count … count + samples − 1`.
   * @returns its samples, to be looked at before the next call
   * @throws TsdbError ERR_CHUNK_CORRUPT, ERR_CHUNK_ENCODING; what `reserve` throws
   */
  add(chunk: EncodedChunk): HistogramColumns {
    const columns = decodeHistogramChunk(chunk.encoding, chunk.data(), chunk.name());
    const bytes = columns.buckets.buffer.byteLength + columns.count * 37 + 256;
    const isKept = this.#keptBytes + bytes <= this.#keptBytesMax;
    if (isKept) {
      this.#charge?.reserve(bytes);
      this.#keptBytes += bytes;
    }
    this.#chunks.push(chunk);
    this.#kept.push(isKept ? columns : undefined);
    this.#firstIds.push(this.#count);
    this.#count += columns.count;
    return columns;
  }

  /** Says that the sample before this one is not the one its hint speaks of. All chunks have been added by now. */
  forgetHint(id: number): void {
    if (this.#seams.length === 0) this.#seams = new Uint8Array(this.#count);
    this.#seams[id] = 1;
  }

  /** The histogram of an id, the caller's to keep; STALE_HISTOGRAM for a stale marker. */
  get(id: number): FloatHistogram {
    const columns = this.#chunkOf(id);
    const sample = id - this.#firstIds[this.#at]!;
    const from = columns.bucketAt[sample]!;
    if (from < 0) return STALE_HISTOGRAM;
    const isCustom = columns.schema === CUSTOM_BUCKETS_SCHEMA;
    const hint = columns.hints[sample]!;
    const { positiveBuckets, negativeBuckets } = columns;
    // A copy: whoever keeps one histogram of a chunk must not keep those of all others alive.
    const buckets = columns.buckets.slice(from, from + positiveBuckets + negativeBuckets);
    return createHistogram({
      schema: columns.schema,
      zeroThreshold: isCustom ? 0 : columns.zeroThreshold,
      zeroCount: isCustom ? 0 : columns.zeroCounts[sample]!,
      count: columns.counts[sample]!,
      sum: columns.sums[sample]!,
      resetHint: (this.#seams[id] === 1 && hint !== RESET_HINT.gauge ? RESET_HINT.unknown : hint) as ResetHint,
      positiveSpans: this.#positiveSpans,
      positiveBuckets: negativeBuckets === 0 ? buckets : buckets.subarray(0, positiveBuckets),
      negativeSpans: this.#negativeSpans,
      negativeBuckets: negativeBuckets === 0 ? NO_BUCKETS : buckets.subarray(positiveBuckets),
      customValues: columns.customBounds,
    });
  }

  /** Whether the chunk of an id stores whole counts. */
  isInteger(id: number): boolean {
    return !this.#chunkOf(id).isFloat;
  }

  /** Columns of the chunk that has an id; moves there. */
  #chunkOf(id: number): HistogramColumns {
    const firstIds = this.#firstIds;
    const end = this.#at + 1 < firstIds.length ? firstIds[this.#at + 1]! : this.#count;
    if (this.#atColumns !== undefined && id >= firstIds[this.#at]! && id < end) return this.#atColumns;
    let low = 0;
    let high = firstIds.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (firstIds[middle]! <= id) low = middle;
      else high = middle - 1;
    }
    const chunk = this.#chunks[low]!;
    const columns = this.#kept[low] ?? decodeHistogramChunk(chunk.encoding, chunk.data(), chunk.name());
    this.#at = low;
    this.#atColumns = columns;
    this.#positiveSpans = spansOf(columns.positiveSpans);
    this.#negativeSpans = columns.schema === CUSTOM_BUCKETS_SCHEMA ? [] : spansOf(columns.negativeSpans);
    return columns;
  }
}

function spansOf(pairs: Int32Array): readonly HistogramSpan[] {
  const spans: HistogramSpan[] = [];
  for (let i = 0; i < pairs.length; i += 2) spans.push({ offset: pairs[i]!, length: pairs[i + 1]! });
  return spans;
}
