/**
 * Encodes native histograms into chunks, bit for bit as Prometheus 3.14 appends them. Layout of the payload: histogram-chunk.ts.
 *
 * A chunk has one set of buckets. Samples that come with other ones are brought to it: a bucket they lack is 0. So samples are collected
 * with the layout they agree on, and written when the chunk is complete: objects where merging collects them, columns where a decoded chunk is
 * written again. Either way the kernel gets columns; what it does not take, and where there is none, is written sample by sample. Source: Prometheus tsdb/chunkenc/{histogram,float_histogram}.go.
 */
import { HISTOGRAM_COLUMNS, histogramSamplesBytesMax, histogramStateBytes, type Kernels } from '@gauntlet/kernels';
import { CHUNK_ENCODING } from '@gauntlet/model';
import { type HistogramColumns, RESET_HINT } from './histogram-chunk.ts';
import { beginHistogramChunk, expandCounts, HistogramStream, writeHistogramHeader } from './histogram-stream.ts';
import { bucketCount } from './spans.ts';

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
 * @param kernels WebAssembly ones encode faster than what is used without; they may grow, and then views over their memory are void
 * @throws KernelError ERR_KERNEL_MEMORY
 */
export function encodeHistogramChunk(samples: readonly HistogramSample[], layout: HistogramLayout, header: number, withStarts: boolean = samples.some(hasStart), kernels?: Kernels): EncodedHistograms {
  const { isFloat } = samples[0]!;
  const request = { isFloat, layout, header, withStarts, count: samples.length };
  return {
    mint: samples[0]!.timeMs,
    maxt: samples.at(-1)!.timeMs,
    encoding: encodingOf(isFloat, withStarts),
    data: (kernels?.backend === 'wasm' ? encodeByKernel(request, kernels, (to) => putSamples(samples, layout, to)) : undefined) ?? encodeByStream(request, (i) => samples[i]!),
  };
}

/**
 * Writes samples of a decoded chunk, at least one, as one chunk of the same layout; one of nothing but a stale marker has the empty layout.
 * @param places which samples, ascending
 * @param header `withStarts` as in `encodeHistogramChunk`
 * @throws KernelError ERR_KERNEL_MEMORY
 */
export function encodeHistogramColumns(columns: HistogramColumns, places: Int32Array, header: number, withStarts: boolean, kernels: Kernels): EncodedHistograms {
  const { isFloat, timestampsMs } = columns;
  const layout = columns.bucketAt[places[0]!]! < 0 ? EMPTY_LAYOUT : columns;
  const request = { isFloat, layout, header, withStarts, count: places.length };
  return {
    mint: timestampsMs[places[0]!]!,
    maxt: timestampsMs[places.at(-1)!]!,
    encoding: encodingOf(isFloat, withStarts),
    data: (kernels.backend === 'wasm' ? encodeByKernel(request, kernels, (to) => putColumns(columns, places, to)) : undefined) ?? encodeByStream(request, (i) => histogramSampleAt(columns, places[i]!)),
  };
}

function encodingOf(isFloat: boolean, withStarts: boolean): number {
  if (withStarts) return isFloat ? CHUNK_ENCODING.floatHistogramSt : CHUNK_ENCODING.histogramSt;
  return isFloat ? CHUNK_ENCODING.floatHistogram : CHUNK_ENCODING.histogram;
}

/** A chunk to be written. */
interface EncodeRequest {
  readonly isFloat: boolean;
  readonly layout: HistogramLayout;
  readonly header: number;
  readonly withStarts: boolean;
  readonly count: number;
}

function encodeByStream({ isFloat, layout, header, withStarts, count }: EncodeRequest, sampleAt: (i: number) => HistogramSample): Uint8Array {
  const stream = new HistogramStream(isFloat, layout, header, withStarts);
  for (let i = 0; i < count; i++) stream.add(sampleAt(i));
  return stream.bytes().slice();
}

/** What the kernel reads, in its memory. */
interface KernelRows {
  readonly buckets: number;
  /** HISTOGRAM_COLUMNS columns of `count`. */
  readonly columns: Float64Array;
  /** The same as words. */
  readonly words: Uint32Array;
  /** Rows of `buckets`, zeros. */
  readonly rows: Float64Array;
}

/** @returns undefined where the kernel refuses a number: integers beyond what it takes */
function encodeByKernel({ isFloat, layout, header, withStarts, count }: EncodeRequest, kernels: Kernels, put: (to: KernelRows) => void): Uint8Array | undefined {
  const { memory } = kernels;
  const begun = beginHistogramChunk(layout);
  const positive = bucketCount(layout.positiveSpans);
  const buckets = positive + bucketCount(layout.negativeSpans);
  const outMax = histogramSamplesBytesMax(begun.bitLength, count, buckets);
  // One piece: rows, columns, state, chunk. The first three are of whole doubles.
  const columnsAt = count * buckets * 8;
  const stateAt = columnsAt + count * HISTOGRAM_COLUMNS * 8;
  const outAt = stateAt + histogramStateBytes(buckets);
  const ptr = memory.alloc(outAt + outMax);
  try {
    const columns = memory.f64(ptr + columnsAt, count * HISTOGRAM_COLUMNS);
    const rows = memory.f64(ptr, count * buckets).fill(0);
    put({ buckets, columns, words: new Uint32Array(columns.buffer, columns.byteOffset, columns.length * 2), rows });
    memory.u8(ptr + outAt, outMax).set(begun.bytes());
    const bytes = kernels.encodeHistogramSamples(ptr + columnsAt, ptr, count, isFloat ? 1 : 0, withStarts ? 1 : 0, positive, buckets, ptr + stateAt, ptr + outAt, begun.bitLength, outMax);
    if (bytes < 0) return undefined;
    const data = memory.u8(ptr + outAt, bytes).slice();
    writeHistogramHeader(data, count, header, withStarts);
    return data;
  } finally {
    memory.free(ptr);
  }
}

function putSamples(samples: readonly HistogramSample[], layout: HistogramLayout, { buckets, columns, words, rows }: KernelRows): void {
  const count = samples.length;
  const positive = bucketCount(layout.positiveSpans);
  let row = 0;
  for (let i = 0; i < count; i++) {
    const sample = samples[i]!;
    columns[i] = sample.timeMs;
    columns[count + i] = sample.count;
    columns[2 * count + i] = sample.zeroCount;
    words[(3 * count + i) * 2] = sample.sumLow;
    words[(3 * count + i) * 2 + 1] = sample.sumHigh;
    columns[4 * count + i] = sample.startTimestamp ?? 0;
    if (sample.isStale) continue;
    rows.set(expandCounts(sample.positive, sample.layout.positiveSpans, layout.positiveSpans), row);
    rows.set(expandCounts(sample.negative, sample.layout.negativeSpans, layout.negativeSpans), row + positive);
    row += buckets;
  }
}

function putColumns(from: HistogramColumns, places: Int32Array, { buckets, columns, words, rows }: KernelRows): void {
  const count = places.length;
  const sumWords = new Uint32Array(from.sums.buffer, from.sums.byteOffset, from.count * 2);
  let row = 0;
  for (let i = 0; i < count; i++) {
    const place = places[i]!;
    columns[i] = from.timestampsMs[place]!;
    columns[count + i] = from.counts[place]!;
    columns[2 * count + i] = from.zeroCounts[place]!;
    words[(3 * count + i) * 2] = sumWords[place * 2]!;
    words[(3 * count + i) * 2 + 1] = sumWords[place * 2 + 1]!;
    columns[4 * count + i] = from.startTimestamps?.[place] ?? 0;
    const at = from.bucketAt[place]!;
    if (at < 0) continue;
    for (let bucket = 0; bucket < buckets; bucket++) rows[row + bucket] = from.buckets[at + bucket]!;
    row += buckets;
  }
}

/** Whether it is known when a sample's counting began. */
export function hasStart(sample: HistogramSample): boolean {
  return sample.startTimestamp !== undefined && sample.startTimestamp !== 0;
}
