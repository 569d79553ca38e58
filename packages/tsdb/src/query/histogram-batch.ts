/**
 * The native histograms of a batch of series, found by number: a `HistogramColumn` in the making.
 *
 *   chunks       A (3 samples)   B (2)     C (4)            ids     0 1 2 │ 3 4 │ 5 6 7 8
 *   decoded      ■               ■         –                C did not fit any more: its bytes are decoded again when asked for
 *
 * Every chunk is decoded once for its times. What comes out is kept up to a limit, because a chunk of some hundred bytes can become some
 * hundred kilobytes; consumers ask for histograms in order, so a chunk that is not kept is decoded a second time and no more.
 */
import type { Kernels } from '@gauntlet/kernels';
import { CHUNK_ENCODING, CUSTOM_BUCKETS_SCHEMA, type FloatHistogram, type HistogramColumn, histogramOfRun, type HistogramRun, type HistogramSpan } from '@gauntlet/model';
import { decodeHistogramChunk, type HistogramColumns, RESET_HINT } from '../chunkenc/histogram-chunk.ts';
import { isSameSpans } from '../chunkenc/spans.ts';

/** Bytes of decoded histograms that a batch keeps: as much as the columns of a large batch of floats. */
const KEPT_BYTES_MAX = 32 << 20;

const NO_SPANS: readonly HistogramSpan[] = [];

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
  readonly #kernels: Kernels | undefined;
  readonly #keptBytesMax: number;
  readonly #chunks: EncodedChunk[] = [];
  /** Decoded chunks; undefined where there was no room. */
  readonly #kept: (HistogramColumns | undefined)[] = [];
  /** Their runs, once somebody asked; undefined likewise. */
  readonly #runs: (HistogramRun | undefined)[] = [];
  /** First id of each chunk. */
  readonly #firstIds: number[] = [];
  /** Ids whose hint says nothing any more. */
  readonly #seams: Set<number> = new Set();
  #keptBytes = 0;
  #count = 0;
  /** The chunk asked for last, and its ids. */
  #at = 0;
  #atFirst = 0;
  #atEnd = 0;
  #atRun: HistogramRun | undefined;
  #isFloat = false;
  /** Spans of the run made last, as they came and as they are handed out. */
  #positive: SharedSpans = { pairs: new Int32Array(0), spans: NO_SPANS };
  #negative: SharedSpans = { pairs: new Int32Array(0), spans: NO_SPANS };

  /** @param kernels to decode with, see `decodeHistogramChunk` */
  constructor(charge?: HistogramCharge, kernels?: Kernels, keptBytesMax: number = KEPT_BYTES_MAX) {
    this.#charge = charge;
    this.#kernels = kernels;
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
    this.#runs.length = 0;
    this.#firstIds.length = 0;
    this.#seams.clear();
    this.#count = 0;
    this.#at = 0;
    this.#atFirst = 0;
    this.#atEnd = 0;
    this.#atRun = undefined;
    if (this.#keptBytes > 0) this.#charge?.release(this.#keptBytes);
    this.#keptBytes = 0;
  }

  /**
   * Adds a chunk of encoding 2, 3, 5 or 6: its histograms get the ids `count … count + samples − 1`.
   * @returns its samples, to be looked at before the next call
   * @throws TsdbError ERR_CHUNK_CORRUPT, ERR_CHUNK_ENCODING; what `reserve` throws
   */
  add(chunk: EncodedChunk): HistogramColumns {
    const columns = decodeHistogramChunk(chunk.encoding, chunk.data(), chunk.name(), this.#kernels);
    const bytes = columns.buckets.buffer.byteLength + columns.count * 37 + 256;
    const isKept = this.#keptBytes + bytes <= this.#keptBytesMax;
    if (isKept) {
      this.#charge?.reserve(bytes);
      this.#keptBytes += bytes;
    }
    this.#chunks.push(chunk);
    this.#kept.push(isKept ? columns : undefined);
    this.#runs.push(undefined);
    this.#firstIds.push(this.#count);
    this.#count += columns.count;
    return columns;
  }

  /** Says that the sample before this one is not the one its hint speaks of. All chunks have been added by now, and no histogram asked for. */
  forgetHint(id: number): void {
    this.#seams.add(id);
  }

  /** The histogram of an id, the caller's to keep; STALE_HISTOGRAM for a stale marker. */
  get(id: number): FloatHistogram {
    const run = this.runOf(id);
    return histogramOfRun(run, id - run.firstId);
  }

  /** Whether the chunk of an id stores whole counts. */
  isInteger(id: number): boolean {
    this.runOf(id);
    return !this.#isFloat;
  }

  /** The run of an id: its chunk. */
  runOf(id: number): HistogramRun {
    return this.#atRun !== undefined && id >= this.#atFirst && id < this.#atEnd ? this.#atRun : this.#moveTo(id);
  }

  /** All of them beside the samples of a batch. @param ids −1 for floats, else what `get` takes */
  column(ids: Int32Array): HistogramColumn {
    return { ids, get: (id) => this.get(id), runOf: (id) => this.runOf(id), isInteger: (id) => this.isInteger(id) };
  }

  #moveTo(id: number): HistogramRun {
    const firstIds = this.#firstIds;
    let low = 0;
    let high = firstIds.length - 1;
    // Mostly it is the next one.
    if (this.#at + 1 < firstIds.length && firstIds[this.#at + 1]! <= id && (this.#at + 2 === firstIds.length || id < firstIds[this.#at + 2]!)) low = high = this.#at + 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (firstIds[middle]! <= id) low = middle;
      else high = middle - 1;
    }
    const chunk = this.#chunks[low]!;
    const kept = this.#kept[low];
    const run = this.#runs[low] ?? this.#makeRun(kept ?? decodeHistogramChunk(chunk.encoding, chunk.data(), chunk.name(), this.#kernels), firstIds[low]!);
    if (kept !== undefined) this.#runs[low] = run;
    this.#at = low;
    this.#atFirst = run.firstId;
    this.#atEnd = run.firstId + run.counts.length;
    this.#atRun = run;
    this.#isFloat = chunk.encoding === CHUNK_ENCODING.floatHistogram || chunk.encoding === CHUNK_ENCODING.floatHistogramSt;
    return run;
  }

  #makeRun(columns: HistogramColumns, firstId: number): HistogramRun {
    const { schema, count, hints, positiveBuckets, negativeBuckets, buckets, bucketAt, counts, sums } = columns;
    const isCustom = schema === CUSTOM_BUCKETS_SCHEMA;
    for (let i = 0; this.#seams.size > 0 && i < count; i++) if (hints[i] !== RESET_HINT.gauge && this.#seams.has(firstId + i)) hints[i] = RESET_HINT.unknown;
    this.#positive = sharedSpans(this.#positive, columns.positiveSpans);
    this.#negative = sharedSpans(this.#negative, columns.negativeSpans);
    return {
      firstId,
      schema,
      zeroThreshold: isCustom ? 0 : columns.zeroThreshold,
      positiveSpans: this.#positive.spans,
      negativeSpans: isCustom ? NO_SPANS : this.#negative.spans,
      customValues: columns.customBounds,
      positiveBuckets,
      negativeBuckets: isCustom ? 0 : negativeBuckets,
      counts,
      zeroCounts: isCustom ? new Float64Array(count) : columns.zeroCounts,
      sums,
      hints,
      bucketAt,
      buckets,
    };
  }
}

/** Spans as chunks have them, and as objects. */
interface SharedSpans {
  readonly pairs: Int32Array;
  readonly spans: readonly HistogramSpan[];
}

/** Those of the run before, if they are the same. */
function sharedSpans(last: SharedSpans, pairs: Int32Array): SharedSpans {
  return isSameSpans(last.pairs, pairs) ? last : { pairs, spans: spansOf(pairs) };
}

function spansOf(pairs: Int32Array): readonly HistogramSpan[] {
  const spans: HistogramSpan[] = [];
  for (let i = 0; i < pairs.length; i += 2) spans.push({ offset: pairs[i]!, length: pairs[i + 1]! });
  return spans;
}
