/**
 * Encodes native histograms into chunks, bit for bit as Prometheus 3.14 appends them. Layout of the payload: histogram-chunk.ts.
 *
 * A chunk has one set of buckets. Samples that come with other ones are brought to it: a bucket they lack is 0. So samples are collected
 * with the layout they agree on, and written when the chunk is complete. Merging and deleting do this, neither of them often: samples are
 * objects here. Source: Prometheus tsdb/chunkenc/{histogram,float_histogram}.go.
 */
import { CHUNK_ENCODING } from '@gauntlet/model';
import { type HistogramColumns, RESET_HINT } from './histogram-chunk.ts';
import { HistogramStream } from './histogram-stream.ts';

/** Where buckets are. */
export interface HistogramLayout {
  readonly schema: number;
  readonly zeroThreshold: number;
  /** Offset, length, … */
  readonly positiveSpans: Int32Array;
  readonly negativeSpans: Int32Array;
  readonly customBounds: Float64Array;
}

/** One histogram. A stale marker has the empty layout. */
export interface HistogramSample {
  readonly isFloat: boolean;
  readonly isStale: boolean;
  readonly isGauge: boolean;
  /** The source says that a counter was reset before this sample. */
  readonly isReset?: boolean;
  readonly timeMs: number;
  readonly count: number;
  readonly zeroCount: number;
  /** Bits of the sum. */
  readonly sumHigh: number;
  readonly sumLow: number;
  readonly layout: HistogramLayout;
  /** Absolute counts. */
  readonly positive: Float64Array;
  readonly negative: Float64Array;
  /** When counting began, ms since 1970; absent or 0 when it is not known. */
  readonly startTimestamp?: number;
}

/** A chunk's payload with what a block records of it. */
export interface EncodedHistograms {
  readonly mint: number;
  readonly maxt: number;
  readonly encoding: number;
  readonly data: Uint8Array;
}

const NO_SPANS = new Int32Array(0);
const NO_COUNTS = new Float64Array(0);
/** Of a stale marker. */
export const EMPTY_LAYOUT: HistogramLayout = { schema: 0, zeroThreshold: 0, positiveSpans: NO_SPANS, negativeSpans: NO_SPANS, customBounds: NO_COUNTS };

/** One sample of a decoded chunk. */
export function histogramSampleAt(columns: HistogramColumns, sample: number): HistogramSample {
  const words = new Uint32Array(columns.sums.buffer, columns.sums.byteOffset + sample * 8, 2);
  const at = columns.bucketAt[sample]!;
  const isStale = at < 0;
  const startTimestamp = columns.startTimestamps?.[sample] ?? 0;
  return {
    ...(startTimestamp === 0 ? {} : { startTimestamp }),
    isFloat: columns.isFloat,
    isStale,
    isGauge: columns.hints[sample] === RESET_HINT.gauge,
    timeMs: columns.timestampsMs[sample]!,
    count: columns.counts[sample]!,
    zeroCount: columns.zeroCounts[sample]!,
    sumHigh: words[1]!,
    sumLow: words[0]!,
    layout: isStale ? EMPTY_LAYOUT : columns,
    positive: isStale ? NO_COUNTS : columns.buckets.subarray(at, at + columns.positiveBuckets),
    negative: isStale ? NO_COUNTS : columns.buckets.subarray(at + columns.positiveBuckets, at + columns.positiveBuckets + columns.negativeBuckets),
  };
}

/**
 * Writes samples, at least one, as one chunk.
 * @param samples of one kind, ascending in time; with buckets that `layout` has too
 * @param header how the chunk begins, a RESET_HINT
 * @param withStarts encoding 5 or 6 instead of 2 or 3; by default if any sample has a start timestamp
 */
export function encodeHistogramChunk(samples: readonly HistogramSample[], layout: HistogramLayout, header: number, withStarts: boolean = samples.some(hasStart)): EncodedHistograms {
  const { isFloat } = samples[0]!;
  const stream = new HistogramStream(isFloat, layout, header, withStarts);
  for (const sample of samples) stream.add(sample);
  const [integers, floats] = withStarts ? [CHUNK_ENCODING.histogramSt, CHUNK_ENCODING.floatHistogramSt] : [CHUNK_ENCODING.histogram, CHUNK_ENCODING.floatHistogram];
  return { mint: samples[0]!.timeMs, maxt: samples.at(-1)!.timeMs, encoding: isFloat ? floats : integers, data: stream.bytes().slice() };
}

/** Whether it is known when a sample's counting began. */
export function hasStart(sample: HistogramSample): boolean {
  return sample.startTimestamp !== undefined && sample.startTimestamp !== 0;
}
