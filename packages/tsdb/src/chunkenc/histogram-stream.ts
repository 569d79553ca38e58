/**
 * Writes native histograms into a chunk one after the other, bit for bit as Prometheus 3.14 appends them. The layout of the chunk is given
 * when it begins; a sample may lack buckets of it, which are 0 then, and must not have others. Layout of the payload: histogram-chunk.ts.
 *
 * State of a bucket: integers the difference to its neighbour and how that changed last; floats the bits and the window.
 * Source: Prometheus tsdb/chunkenc/{histogram,float_histogram}.go.
 */
import { BitWriter } from '@gauntlet/bytes';
import { CUSTOM_BUCKETS_SCHEMA, RESET_HINT } from './histogram-chunk.ts';
import type { HistogramLayout, HistogramSample } from './histogram-encoder.ts';
import { StartTimestampWriter } from './start-timestamps.ts';
import { bucketCount, bucketIndexes, isSameSpans } from './spans.ts';
import { writeVarbitInt, writeVarbitUint } from './varbit.ts';

const double = new DataView(new ArrayBuffer(8));
const NO_WINDOW = 0xff;

/** A chunk being written. */
export class HistogramStream {
  readonly isFloat: boolean;
  readonly layout: HistogramLayout;
  /** How the chunk begins, a RESET_HINT. */
  readonly header: number;
  /** Samples written. */
  count = 0;
  readonly #writer = new BitWriter(256);
  /** Of encodings 5 and 6. */
  readonly #starts: StartTimestampWriter | undefined;
  readonly #positive: number;
  readonly #buckets: number;
  #timeMs = 0;
  #timeDelta = 0;
  // Integers: value and last change of count, zero count, buckets. Floats: bits and window of count, zero count, sum, buckets.
  readonly #value: Float64Array;
  readonly #change: Float64Array;
  /** Floats: the sample being written, and its bits: low, high, … */
  readonly #row: Float64Array;
  readonly #rowWords: Uint32Array;
  readonly #high: Uint32Array;
  readonly #low: Uint32Array;
  readonly #leading: Uint8Array;
  readonly #trailing: Uint8Array;

  /** @param withStarts whether the chunk has start timestamps: encoding 5 or 6 */
  constructor(isFloat: boolean, layout: HistogramLayout, header: number, withStarts: boolean = false) {
    this.isFloat = isFloat;
    this.layout = layout;
    this.header = header;
    this.#positive = bucketCount(layout.positiveSpans);
    this.#buckets = this.#positive + bucketCount(layout.negativeSpans);
    const integers = isFloat ? 0 : 2 + this.#buckets;
    this.#value = new Float64Array(integers);
    this.#change = new Float64Array(integers);
    const fields = isFloat ? 3 + this.#buckets : 1;
    this.#row = new Float64Array(isFloat ? fields : 0);
    this.#rowWords = new Uint32Array(this.#row.buffer);
    this.#high = new Uint32Array(fields);
    this.#low = new Uint32Array(fields);
    this.#leading = new Uint8Array(fields).fill(NO_WINDOW);
    this.#trailing = new Uint8Array(fields);
    this.#starts = withStarts ? new StartTimestampWriter() : undefined;
    // Count, and reset header or start header: filled in when the bytes are asked for.
    this.#writer.writeBits(0, 24);
    writeLayout(this.#writer, layout);
  }

  /** Bytes so far. */
  get byteLength(): number {
    return Math.ceil(this.#writer.bitLength / 8);
  }

  /** The payload so far; a view valid until the next sample. */
  bytes(): Uint8Array {
    const bytes = this.#writer.bytes();
    // 10 reset, 01 not reset, 11 gauge, 00 unknown.
    const reset = (this.header === RESET_HINT.reset ? 2 : this.header === RESET_HINT.notReset ? 1 : this.header === RESET_HINT.gauge ? 3 : 0) << 6;
    bytes[0] = (this.count >>> 8) | (this.#starts === undefined ? 0 : reset);
    bytes[1] = this.count & 0xff;
    bytes[2] = this.#starts === undefined ? reset : this.#starts.header;
    return bytes;
  }

  /** Appends a sample of the same kind, after the last one. */
  add(sample: HistogramSample): void {
    const positive = sample.isStale ? sample.positive : expandCounts(sample.positive, sample.layout.positiveSpans, this.layout.positiveSpans);
    const negative = sample.isStale ? sample.negative : expandCounts(sample.negative, sample.layout.negativeSpans, this.layout.negativeSpans);
    const previousMs = this.#timeMs;
    if (this.isFloat) this.#addFloat(sample, positive, negative);
    else this.#addInteger(sample, positive, negative);
    this.#starts?.write(this.#writer, this.count, sample.timeMs, previousMs, sample.startTimestamp ?? 0);
    this.count++;
  }

  #addInteger(sample: HistogramSample, positive: Float64Array, negative: Float64Array): void {
    const writer = this.#writer;
    const isFirst = this.count === 0;
    if (isFirst) {
      writeVarbitInt(writer, sample.timeMs);
      writeVarbitUint(writer, sample.count);
      writeVarbitUint(writer, sample.zeroCount);
      this.#writeRaw(0, sample.sumHigh, sample.sumLow);
    } else {
      const timeDelta = sample.timeMs - this.#timeMs;
      const countDelta = sample.count - this.#value[0]!;
      const zeroDelta = sample.zeroCount - this.#value[1]!;
      writeVarbitInt(writer, timeDelta - this.#timeDelta);
      writeVarbitInt(writer, sample.isStale ? 0 : countDelta - this.#change[0]!);
      writeVarbitInt(writer, sample.isStale ? 0 : zeroDelta - this.#change[1]!);
      this.#writeNext(0, sample.sumHigh, sample.sumLow);
      this.#timeDelta = timeDelta;
      this.#change[0] = countDelta;
      this.#change[1] = zeroDelta;
    }
    this.#timeMs = sample.timeMs;
    this.#value[0] = sample.count;
    this.#value[1] = sample.zeroCount;
    if (sample.isStale) return;
    let unchanged = this.#writeCounts(isFirst, 2, positive, 0);
    unchanged = this.#writeCounts(isFirst, 2 + this.#positive, negative, unchanged);
    this.#writeZeros(unchanged);
  }

  #addFloat(sample: HistogramSample, positive: Float64Array, negative: Float64Array): void {
    const isFirst = this.count === 0;
    writeVarbitInt(this.#writer, isFirst ? sample.timeMs : sample.timeMs - this.#timeMs - this.#timeDelta);
    this.#timeDelta = isFirst ? 0 : sample.timeMs - this.#timeMs;
    this.#timeMs = sample.timeMs;
    this.#row[0] = sample.count;
    this.#row[1] = sample.zeroCount;
    this.#rowWords[4] = sample.sumLow;
    this.#rowWords[5] = sample.sumHigh;
    if (!sample.isStale) {
      this.#row.set(positive, 3);
      this.#row.set(negative, 3 + this.#positive);
    }
    this.#writeFields(isFirst, sample.isStale ? 3 : 3 + positive.length + negative.length);
  }

  /**
   * Writes the buckets of one side as integers, the first of them bucket `at - 2` of the chunk.
   * @param unchanged zero bits that are still to be written: buckets before these that go on as they did
   * @returns the same after these
   */
  #writeCounts(isFirst: boolean, at: number, counts: Float64Array, unchanged: number): number {
    const writer = this.#writer;
    const values = this.#value;
    const changes = this.#change;
    let neighbour = 0;
    let zeros = unchanged;
    for (let i = 0; i < counts.length; i++, at++) {
      const count = counts[i]!;
      const value = count - neighbour;
      neighbour = count;
      const delta = isFirst ? 0 : value - values[at]!;
      const written = isFirst ? value : delta - changes[at]!;
      values[at] = value;
      changes[at] = delta;
      if (written === 0) zeros++;
      else {
        this.#writeZeros(zeros);
        zeros = 0;
        writeVarbitInt(writer, written);
      }
    }
    return zeros;
  }

  /** Zero bits, many at a time. */
  #writeZeros(count: number): void {
    for (; count > 0; count -= 32) this.#writer.writeBits(0, Math.min(count, 32));
  }

  /** Writes the first fields of the row. */
  #writeFields(isFirst: boolean, fields: number): void {
    const words = this.#rowWords;
    const [high, low] = [this.#high, this.#low];
    let unchanged = 0;
    for (let field = 0; field < fields; field++) {
      const fieldHigh = words[field * 2 + 1]!;
      const fieldLow = words[field * 2]!;
      if (isFirst) this.#writeRaw(field, fieldHigh, fieldLow);
      else if (fieldHigh === high[field] && fieldLow === low[field]) unchanged++;
      else {
        this.#writeZeros(unchanged);
        unchanged = 0;
        this.#writeNext(field, fieldHigh, fieldLow);
      }
    }
    this.#writeZeros(unchanged);
  }

  #writeRaw(field: number, high: number, low: number): void {
    this.#writer.writeBits64(high, low, 64);
    this.#high[field] = high;
    this.#low[field] = low;
  }

  /** As in XOR chunks. */
  #writeNext(field: number, high: number, low: number): void {
    const writer = this.#writer;
    const deltaHigh = (high ^ this.#high[field]!) >>> 0;
    const deltaLow = (low ^ this.#low[field]!) >>> 0;
    this.#high[field] = high;
    this.#low[field] = low;
    if (deltaHigh === 0 && deltaLow === 0) {
      writer.writeBit(0);
      return;
    }
    // Five bits hold at most 31.
    const leading = Math.min(deltaHigh !== 0 ? Math.clz32(deltaHigh) : 32 + Math.clz32(deltaLow), 31);
    const trailing = deltaLow !== 0 ? countTrailing(deltaLow) : 32 + countTrailing(deltaHigh);
    if (this.#leading[field]! !== NO_WINDOW && leading >= this.#leading[field]! && trailing >= this.#trailing[field]!) writer.writeBits(0b10, 2);
    else {
      this.#leading[field] = leading;
      this.#trailing[field] = trailing;
      writer.writeBits((0b11 << 11) | (leading << 6) | ((64 - leading - trailing) & 63), 13);
    }
    const shift = this.#trailing[field]!;
    const width = 64 - this.#leading[field]! - shift;
    const shiftedLow = shift >= 32 ? deltaHigh >>> (shift - 32) : shift === 0 ? deltaLow : ((deltaLow >>> shift) | (deltaHigh << (32 - shift))) >>> 0;
    writer.writeBits64(shift >= 32 ? 0 : deltaHigh >>> shift, shiftedLow, width);
  }
}

function countTrailing(word: number): number {
  return 31 - Math.clz32(word & -word);
}

/** The counts of `spans` where `wanted` has its buckets, which are all of `spans` and perhaps more. */
export function expandCounts(counts: Float64Array, spans: Int32Array, wanted: Int32Array): Float64Array {
  if (isSameSpans(spans, wanted)) return counts;
  const have = bucketIndexes(spans);
  const expanded = bucketIndexes(wanted);
  const out = new Float64Array(expanded.length);
  let at = 0;
  for (const [i, index] of expanded.entries()) if (have[at] === index) out[i] = counts[at++]!;
  return out;
}

function writeLayout(writer: BitWriter, layout: HistogramLayout): void {
  const exponent = layout.zeroThreshold > 0 ? Math.log2(layout.zeroThreshold) : Number.NaN;
  if (layout.zeroThreshold === 0) writer.writeByte(0);
  else if (Number.isInteger(exponent) && exponent >= -243 && exponent <= 10 && 2 ** exponent === layout.zeroThreshold) writer.writeByte(exponent + 244);
  else {
    writer.writeByte(255);
    double.setFloat64(0, layout.zeroThreshold);
    writer.writeBits64(double.getUint32(0), double.getUint32(4), 64);
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
      double.setFloat64(0, bound);
      writer.writeBits64(double.getUint32(0), double.getUint32(4), 64);
    }
  }
}
