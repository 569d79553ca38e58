/**
 * Twin of as/histogram-encode.ts, to the bit: samples of native histogram chunks, written one after the other as Prometheus 3.14 appends them.
 * `HistogramRowWriter` also writes chunks that grow sample by sample, outside of the memory of kernels.
 *
 * State of a bucket: integers the difference to its neighbour and how that changed last; floats the bits and the window.
 * Source: Prometheus tsdb/chunkenc/{histogram,float_histogram}.go.
 */
import { BitWriter } from '@gauntlet/bytes';
import { HISTOGRAM_ENCODE_REFUSAL, HISTOGRAM_INTEGER_MAX, type HistogramEncodeKernels, histogramSamplesBytesMax } from '../histogram-kernels.ts';
import type { LinearMemory } from '../kernel-memory.ts';
import { StartTimestampWriter } from './start-timestamps.ts';
import { writeVarbitInt, writeVarbitUint } from './varbit.ts';

const NO_WINDOW = 0xff;
/** Bits of the stale marker. */
const STALE_HI = 0x7ff00000;
const STALE_LO = 2;

/** Histogram encoder in TypeScript. */
export function createHistogramEncodeTwin(memory: LinearMemory): HistogramEncodeKernels {
  return {
    encodeHistogramSamples(columnsPtr, bucketsPtr, count, isFloat, withStarts, positive, buckets, _statePtr, outPtr, startBit, outMax) {
      const { bytes, doubles, words } = memory;
      if (histogramSamplesBytesMax(startBit, count, buckets) > outMax) return HISTOGRAM_ENCODE_REFUSAL.noRoom;
      const columnAt = (i: number): number => (columnsPtr >>> 3) + i * count;
      const [timesAt, countsAt, zerosAt, sumsAt, startsAt] = [columnAt(0), columnAt(1), columnAt(2), columnAt(3), columnAt(4)];
      const writer = new BitWriter(256);
      for (let bit = 0; bit < startBit; bit += 8) writer.writeBits(bytes[outPtr + (bit >>> 3)]! >>> Math.max(0, 8 - (startBit - bit)), Math.min(8, startBit - bit));
      const rows = new HistogramRowWriter(writer, isFloat === 1, positive, buckets, withStarts === 1);
      let rowAt = bucketsPtr >>> 3;
      for (let sample = 0; sample < count; sample++) {
        const sumWord = (sumsAt + sample) * 2;
        const [sumLow, sumHigh] = [words[sumWord]! >>> 0, words[sumWord + 1]! >>> 0];
        const isStale = sumHigh === STALE_HI && sumLow === STALE_LO;
        const [time, total, zeros] = [doubles[timesAt + sample]!, doubles[countsAt + sample]!, doubles[zerosAt + sample]!];
        const start = withStarts === 1 ? doubles[startsAt + sample]! : 0;
        const row = doubles.subarray(rowAt, rowAt + (isStale ? 0 : buckets));
        if (!isEncodable(time) || !isEncodable(start)) return HISTOGRAM_ENCODE_REFUSAL.notEncodable;
        if (isFloat !== 1 && (!isEncodable(total) || !isEncodable(zeros) || (sample === 0 && (total < 0 || zeros < 0)) || !row.every(isEncodable))) return HISTOGRAM_ENCODE_REFUSAL.notEncodable;
        rows.add(time, total, zeros, sumHigh, sumLow, isStale, row.subarray(0, positive), row.subarray(positive), start);
        rowAt += row.length;
      }
      const written = writer.bytes();
      bytes.set(written, outPtr);
      if (withStarts === 1) bytes[outPtr + 2] = rows.startHeader;
      return written.length;
    },
  };
}

function isEncodable(value: number): boolean {
  return Math.abs(value) <= HISTOGRAM_INTEGER_MAX && Math.trunc(value) === value;
}

/** Samples of one chunk, one after the other. */
export class HistogramRowWriter {
  readonly #writer: BitWriter;
  readonly #isFloat: boolean;
  readonly #positive: number;
  /** Of encodings 5 and 6. */
  readonly #starts: StartTimestampWriter | undefined;
  #count = 0;
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

  /**
   * @param writer where sample 0 begins
   * @param positive positive buckets of a sample; `buckets` are these and the negative ones
   * @param withStarts whether the chunk has start timestamps: encoding 5 or 6
   */
  constructor(writer: BitWriter, isFloat: boolean, positive: number, buckets: number, withStarts: boolean) {
    this.#writer = writer;
    this.#isFloat = isFloat;
    this.#positive = positive;
    const integers = isFloat ? 0 : 2 + buckets;
    this.#value = new Float64Array(integers);
    this.#change = new Float64Array(integers);
    const fields = isFloat ? 3 + buckets : 1;
    this.#row = new Float64Array(isFloat ? fields : 0);
    this.#rowWords = new Uint32Array(this.#row.buffer);
    this.#high = new Uint32Array(fields);
    this.#low = new Uint32Array(fields);
    this.#leading = new Uint8Array(fields).fill(NO_WINDOW);
    this.#trailing = new Uint8Array(fields);
    this.#starts = withStarts ? new StartTimestampWriter() : undefined;
  }

  /** Samples written. */
  get count(): number {
    return this.#count;
  }

  /** Header byte of start timestamps for what was written so far; 0 where the chunk has none. */
  get startHeader(): number {
    return this.#starts?.header ?? 0;
  }

  /**
   * Appends a sample, its sum as bits.
   * @param positive absolute counts; a stale marker has none
   * @param start when counting began, 0 = not known
   */
  add(timeMs: number, count: number, zeroCount: number, sumHigh: number, sumLow: number, isStale: boolean, positive: Float64Array, negative: Float64Array, start: number): void {
    const previousMs = this.#timeMs;
    if (this.#isFloat) this.#addFloat(timeMs, count, zeroCount, sumHigh, sumLow, isStale, positive, negative);
    else this.#addInteger(timeMs, count, zeroCount, sumHigh, sumLow, isStale, positive, negative);
    this.#starts?.write(this.#writer, this.#count, timeMs, previousMs, start);
    this.#count++;
  }

  #addInteger(timeMs: number, count: number, zeroCount: number, sumHigh: number, sumLow: number, isStale: boolean, positive: Float64Array, negative: Float64Array): void {
    const writer = this.#writer;
    const isFirst = this.#count === 0;
    if (isFirst) {
      writeVarbitInt(writer, timeMs);
      writeVarbitUint(writer, count);
      writeVarbitUint(writer, zeroCount);
      this.#writeRaw(0, sumHigh, sumLow);
    } else {
      const timeDelta = timeMs - this.#timeMs;
      const countDelta = count - this.#value[0]!;
      const zeroDelta = zeroCount - this.#value[1]!;
      writeVarbitInt(writer, timeDelta - this.#timeDelta);
      writeVarbitInt(writer, isStale ? 0 : countDelta - this.#change[0]!);
      writeVarbitInt(writer, isStale ? 0 : zeroDelta - this.#change[1]!);
      this.#writeNext(0, sumHigh, sumLow);
      this.#timeDelta = timeDelta;
      this.#change[0] = countDelta;
      this.#change[1] = zeroDelta;
    }
    this.#timeMs = timeMs;
    this.#value[0] = count;
    this.#value[1] = zeroCount;
    if (isStale) return;
    let unchanged = this.#writeCounts(isFirst, 2, positive, 0);
    unchanged = this.#writeCounts(isFirst, 2 + this.#positive, negative, unchanged);
    this.#writeZeros(unchanged);
  }

  #addFloat(timeMs: number, count: number, zeroCount: number, sumHigh: number, sumLow: number, isStale: boolean, positive: Float64Array, negative: Float64Array): void {
    const isFirst = this.#count === 0;
    writeVarbitInt(this.#writer, isFirst ? timeMs : timeMs - this.#timeMs - this.#timeDelta);
    this.#timeDelta = isFirst ? 0 : timeMs - this.#timeMs;
    this.#timeMs = timeMs;
    this.#row[0] = count;
    this.#row[1] = zeroCount;
    this.#rowWords[4] = sumLow;
    this.#rowWords[5] = sumHigh;
    if (!isStale) {
      this.#row.set(positive, 3);
      this.#row.set(negative, 3 + this.#positive);
    }
    this.#writeFields(isFirst, isStale ? 3 : 3 + positive.length + negative.length);
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
