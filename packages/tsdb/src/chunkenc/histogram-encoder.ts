/**
 * Encodes native histograms into chunks, bit for bit as Prometheus 3.14 appends them. Layout of the payload: histogram-chunk.ts.
 *
 * A chunk has one set of buckets. Samples that come with other ones are brought to it: a bucket they lack is 0. So samples are collected
 * with the layout they agree on, and written when the chunk is complete. Merging and deleting do this, neither of them often: samples are
 * objects here. Source: Prometheus tsdb/chunkenc/{histogram,float_histogram}.go.
 */
import { BitWriter } from '@gauntlet/bytes';
import { CHUNK_ENCODING } from '@gauntlet/model';
import { CUSTOM_BUCKETS_SCHEMA, type HistogramColumns, RESET_HINT } from './histogram-chunk.ts';
import { writeVarbitInt, writeVarbitUint } from './varbit.ts';

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
  return {
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

/** Index of every bucket of the spans, ascending. */
export function bucketIndexes(spans: Int32Array): number[] {
  const indexes: number[] = [];
  let index = 0;
  for (let i = 0; i < spans.length; i += 2) {
    index += spans[i]!;
    for (let n = spans[i + 1]!; n > 0; n--) indexes.push(index++);
  }
  return indexes;
}

/** The counts of `spans` where `wanted` has its buckets, which are all of `spans` and perhaps more. */
function expandCounts(counts: Float64Array, spans: Int32Array, wanted: Int32Array): Float64Array {
  if (spans === wanted) return counts;
  const have = bucketIndexes(spans);
  const expanded = bucketIndexes(wanted);
  const out = new Float64Array(expanded.length);
  let at = 0;
  for (const [i, index] of expanded.entries()) if (have[at] === index) out[i] = counts[at++]!;
  return out;
}

/**
 * Writes samples, at least one, as one chunk.
 * @param samples of one kind, ascending in time; with buckets that `layout` has too
 * @param header how the chunk begins, a RESET_HINT
 */
export function encodeHistogramChunk(samples: readonly HistogramSample[], layout: HistogramLayout, header: number): EncodedHistograms {
  const writer = new BitWriter(1024);
  writer.writeBits(samples.length, 16);
  // 10 reset, 01 not reset, 11 gauge, 00 unknown.
  writer.writeByte((header === RESET_HINT.reset ? 2 : header === RESET_HINT.notReset ? 1 : header === RESET_HINT.gauge ? 3 : 0) << 6);
  writeLayout(writer, layout);
  const { isFloat } = samples[0]!;
  if (isFloat) writeFloats(writer, samples, layout);
  else writeIntegers(writer, samples, layout);
  return { mint: samples[0]!.timeMs, maxt: samples.at(-1)!.timeMs, encoding: isFloat ? CHUNK_ENCODING.floatHistogram : CHUNK_ENCODING.histogram, data: writer.bytes().slice() };
}

const double = new DataView(new ArrayBuffer(8));

function writeDouble(writer: BitWriter, value: number): void {
  double.setFloat64(0, value);
  writer.writeBits64(double.getUint32(0), double.getUint32(4), 64);
}

function writeLayout(writer: BitWriter, layout: HistogramLayout): void {
  const exponent = layout.zeroThreshold > 0 ? Math.log2(layout.zeroThreshold) : Number.NaN;
  if (layout.zeroThreshold === 0) writer.writeByte(0);
  else if (Number.isInteger(exponent) && exponent >= -243 && exponent <= 10 && 2 ** exponent === layout.zeroThreshold) writer.writeByte(exponent + 244);
  else {
    writer.writeByte(255);
    writeDouble(writer, layout.zeroThreshold);
  }
  writeVarbitInt(writer, layout.schema);
  for (const spans of [layout.positiveSpans, layout.negativeSpans]) {
    writeVarbitUint(writer, spans.length / 2);
    for (let i = 0; i < spans.length; i += 2) {
      writeVarbitUint(writer, spans[i + 1]!);
      writeVarbitInt(writer, spans[i]!);
    }
  }
  if (layout.schema !== CUSTOM_BUCKETS_SCHEMA) return;
  writeVarbitUint(writer, layout.customBounds.length);
  for (const bound of layout.customBounds) {
    const thousandths = bound * 1000;
    if (thousandths >= 0 && thousandths <= 33_554_430 && Math.round(thousandths) / 1000 === bound) writeVarbitUint(writer, Math.round(thousandths) + 1);
    else {
      writer.writeBit(0);
      writeDouble(writer, bound);
    }
  }
}

/** A field written as in XOR chunks: present bits and window. */
class XorField {
  #high = 0;
  #low = 0;
  #leading = -1;
  #trailing = 0;

  writeRaw(writer: BitWriter, high: number, low: number): void {
    writer.writeBits64(high, low, 64);
    this.#high = high;
    this.#low = low;
  }

  writeNext(writer: BitWriter, high: number, low: number): void {
    const deltaHigh = (high ^ this.#high) >>> 0;
    const deltaLow = (low ^ this.#low) >>> 0;
    this.#high = high;
    this.#low = low;
    if (deltaHigh === 0 && deltaLow === 0) {
      writer.writeBit(0);
      return;
    }
    // Five bits hold at most 31.
    const leading = Math.min(deltaHigh !== 0 ? Math.clz32(deltaHigh) : 32 + Math.clz32(deltaLow), 31);
    const trailing = deltaLow !== 0 ? countTrailing(deltaLow) : 32 + countTrailing(deltaHigh);
    if (this.#leading >= 0 && leading >= this.#leading && trailing >= this.#trailing) writer.writeBits(0b10, 2);
    else {
      this.#leading = leading;
      this.#trailing = trailing;
      writer.writeBits((0b11 << 11) | (leading << 6) | ((64 - leading - trailing) & 63), 13);
    }
    const shift = this.#trailing;
    const width = 64 - this.#leading - shift;
    const shiftedLow = shift >= 32 ? deltaHigh >>> (shift - 32) : shift === 0 ? deltaLow : ((deltaLow >>> shift) | (deltaHigh << (32 - shift))) >>> 0;
    writer.writeBits64(shift >= 32 ? 0 : deltaHigh >>> shift, shiftedLow, width);
  }
}

function countTrailing(word: number): number {
  return 31 - Math.clz32(word & -word);
}

function writeIntegers(writer: BitWriter, samples: readonly HistogramSample[], layout: HistogramLayout): void {
  const positive = bucketIndexes(layout.positiveSpans).length;
  const total = positive + bucketIndexes(layout.negativeSpans).length;
  const bucket = new Float64Array(total);
  const change = new Float64Array(total);
  const sum = new XorField();
  let [time, timeDelta, count, countDelta, zeroCount, zeroDelta] = [0, 0, 0, 0, 0, 0];
  for (const [i, sample] of samples.entries()) {
    if (i === 0) {
      writeVarbitInt(writer, sample.timeMs);
      writeVarbitUint(writer, sample.count);
      writeVarbitUint(writer, sample.zeroCount);
      sum.writeRaw(writer, sample.sumHigh, sample.sumLow);
    } else {
      const deltas = [sample.timeMs - time, sample.count - count, sample.zeroCount - zeroCount] as const;
      writeVarbitInt(writer, deltas[0] - timeDelta);
      writeVarbitInt(writer, sample.isStale ? 0 : deltas[1] - countDelta);
      writeVarbitInt(writer, sample.isStale ? 0 : deltas[2] - zeroDelta);
      sum.writeNext(writer, sample.sumHigh, sample.sumLow);
      [timeDelta, countDelta, zeroDelta] = deltas;
    }
    ({ timeMs: time, count, zeroCount } = sample);
    if (sample.isStale) continue;
    const counts = [expandCounts(sample.positive, sample.layout.positiveSpans, layout.positiveSpans), expandCounts(sample.negative, sample.layout.negativeSpans, layout.negativeSpans)] as const;
    for (let b = 0; b < total; b++) {
      const values = b < positive ? counts[0] : counts[1];
      const at = b < positive ? b : b - positive;
      const value = values[at]! - (at === 0 ? 0 : values[at - 1]!);
      if (i === 0) writeVarbitInt(writer, value);
      else {
        const delta = value - bucket[b]!;
        writeVarbitInt(writer, delta - change[b]!);
        change[b] = delta;
      }
      bucket[b] = value;
    }
  }
}

function writeFloats(writer: BitWriter, samples: readonly HistogramSample[], layout: HistogramLayout): void {
  const total = bucketIndexes(layout.positiveSpans).length + bucketIndexes(layout.negativeSpans).length;
  const fields = Array.from({ length: 3 + total }, () => new XorField());
  let time = 0;
  let timeDelta = 0;
  const put = (i: number, field: number, value: number): void => {
    double.setFloat64(0, value);
    if (i === 0) fields[field]!.writeRaw(writer, double.getUint32(0), double.getUint32(4));
    else fields[field]!.writeNext(writer, double.getUint32(0), double.getUint32(4));
  };
  for (const [i, sample] of samples.entries()) {
    writeVarbitInt(writer, i === 0 ? sample.timeMs : sample.timeMs - time - timeDelta);
    timeDelta = i === 0 ? 0 : sample.timeMs - time;
    time = sample.timeMs;
    put(i, 0, sample.count);
    put(i, 1, sample.zeroCount);
    if (i === 0) fields[2]!.writeRaw(writer, sample.sumHigh, sample.sumLow);
    else fields[2]!.writeNext(writer, sample.sumHigh, sample.sumLow);
    if (sample.isStale) continue;
    let field = 3;
    for (const value of expandCounts(sample.positive, sample.layout.positiveSpans, layout.positiveSpans)) put(i, field++, value);
    for (const value of expandCounts(sample.negative, sample.layout.negativeSpans, layout.negativeSpans)) put(i, field++, value);
  }
}
