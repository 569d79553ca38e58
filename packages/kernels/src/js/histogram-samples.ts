/**
 * Twin of as/histogram-samples.ts: the same results to the bit and the same refusals. Also for chunks outside of the memory of kernels:
 * `decodeHistogramRows` takes any bytes with slack behind them.
 *
 *   sample       time │ count │ zero count │ sum │ positive buckets │ negative buckets │ start, where the header says so
 *     integers   varbit numbers: raw, then double deltas; buckets as differences between neighbours; the sum as in XOR chunks
 *     floats     time as above; the rest raw, then each field by itself as in XOR chunks
 *
 * Source: Prometheus tsdb/chunkenc/{histogram,float_histogram,varbit,st}.go.
 */
import { HISTOGRAM_REFUSAL, type HistogramDecodeKernels } from '../histogram-kernels.ts';
import type { LinearMemory } from '../kernel-memory.ts';
import { beyondSafe } from './chunk-bits.ts';

const { truncated: TRUNCATED, badWindow: BAD_WINDOW, unsafeNumber: UNSAFE_NUMBER, badCount: BAD_COUNT, unsafeStart: UNSAFE_START, longVarint: LONG_VARINT } = HISTOGRAM_REFUSAL;
const FINE = -1;
/** Bits of the stale marker. */
const STALE_HI = 0x7ff00000;
const STALE_LO = 2;
const TWO_32 = 4294967296;

/** Where samples are and where they go. */
export interface HistogramRowsRequest {
  /** The bytes of the chunk from `chunkAt`, `chunkBytes` of them, with 16 bytes behind that may be read. */
  readonly data: DataView;
  readonly chunkAt: number;
  readonly chunkBytes: number;
  /** Of the chunk, where sample 0 begins. */
  readonly bit: number;
  readonly isFloat: boolean;
  /** Header byte of start timestamps; 0 when no sample has one. */
  readonly startHeader: number;
  readonly count: number;
  /** Positive buckets of a sample; `buckets` are these and the negative ones. */
  readonly positive: number;
  readonly buckets: number;
  /** Out, from index `columnsAt`: HISTOGRAM_COLUMNS columns of `count`. */
  readonly columns: Float64Array;
  readonly columnsAt: number;
  /** Out, from index `rowsAt`: a row of `buckets` per sample that is no stale marker. */
  readonly rows: Float64Array;
  readonly rowsAt: number;
}

/** Histogram kernel in TypeScript. */
export function createHistogramTwin(memory: LinearMemory): HistogramDecodeKernels {
  return {
    decodeHistogramSamples(chunkPtr, chunkBytes, bit, isFloat, startHeader, count, positive, buckets, _statePtr, columnsPtr, bucketsPtr) {
      const { data, doubles } = memory;
      return decodeHistogramRows({ data, chunkAt: chunkPtr, chunkBytes, bit, isFloat: isFloat !== 0, startHeader, count, positive, buckets, columns: doubles, columnsAt: columnsPtr >>> 3, rows: doubles, rowsAt: bucketsPtr >>> 3 });
    },
  };
}

/** Decodes samples. @returns as `HistogramKernels.decodeHistogramSamples` */
export function decodeHistogramRows(request: HistogramRowsRequest): number {
  return new RowDecoder(request).decode();
}

class RowDecoder {
  readonly #request: HistogramRowsRequest;
  readonly #data: DataView;
  readonly #at: number;
  readonly #endBit: number;
  #bit: number;
  /** What the last read of a number gave. */
  #number = 0;
  // Integers: of each bucket the difference to its neighbour, and how that changed last.
  readonly #values: Float64Array;
  readonly #changes: Float64Array;
  // Floats, and the sum of integers: bits of each field, low word first, and its window.
  readonly #words: Int32Array;
  readonly #leading: Uint8Array;
  readonly #width: Uint8Array;
  #begun = 0;
  #distance = 0;

  constructor(request: HistogramRowsRequest) {
    this.#request = request;
    this.#data = request.data;
    this.#at = request.chunkAt;
    this.#endBit = request.chunkBytes * 8;
    this.#bit = request.bit;
    const integers = request.isFloat ? 0 : request.buckets;
    this.#values = new Float64Array(integers);
    this.#changes = new Float64Array(integers);
    const fields = request.isFloat ? 3 + request.buckets : 1;
    this.#words = new Int32Array(fields * 2);
    this.#leading = new Uint8Array(fields);
    this.#width = new Uint8Array(fields).fill(64);
  }

  decode(): number {
    const { isFloat, startHeader, count, buckets, columns, columnsAt, rows, rowsAt } = this.#request;
    const words = this.#words;
    const columnWords = new Int32Array(columns.buffer, columns.byteOffset, columns.length * 2);
    const rowWords = new Int32Array(rows.buffer, rows.byteOffset, rows.length * 2);
    const bucketWords = words.subarray(6);
    const countsAt = columnsAt + count;
    const zerosAt = countsAt + count;
    const sumsAt = zerosAt + count;
    const startsAt = sumsAt + count;
    const sumWord = isFloat ? 4 : 0;
    let [time, timeDelta, total, totalDelta, zeros, zerosDelta] = [0, 0, 0, 0, 0, 0];
    let rowCount = 0;
    for (let sample = 0; sample < count; sample++) {
      const isFirst = sample === 0;
      let refusal = this.#readVarbit();
      if (refusal !== FINE) return refused(sample, refusal);
      if (isFirst) time = this.#number;
      else {
        timeDelta += this.#number;
        time += timeDelta;
      }
      if (beyondSafe(timeDelta) || beyondSafe(time)) return refused(sample, UNSAFE_NUMBER);
      columns[columnsAt + sample] = time;
      if (isFloat) {
        refusal = isFirst ? this.#readRaw(0, 3) : this.#readNext(0, 3);
        if (refusal !== FINE) return refused(sample, refusal);
      } else {
        refusal = isFirst ? this.#readVarbitUint() : this.#readVarbit();
        if (refusal !== FINE) return refused(sample, refusal);
        if (isFirst) total = this.#number;
        else {
          totalDelta += this.#number;
          total += totalDelta;
        }
        refusal = isFirst ? this.#readVarbitUint() : this.#readVarbit();
        if (refusal !== FINE) return refused(sample, refusal);
        if (isFirst) zeros = this.#number;
        else {
          zerosDelta += this.#number;
          zeros += zerosDelta;
        }
        if (beyondSafe(totalDelta) || beyondSafe(total) || beyondSafe(zerosDelta) || beyondSafe(zeros)) return refused(sample, UNSAFE_NUMBER);
        refusal = isFirst ? this.#readRaw(0, 1) : this.#readNext(0, 1);
        if (refusal !== FINE) return refused(sample, refusal);
      }
      const sumLow = words[sumWord]!;
      const sumHigh = words[sumWord + 1]!;
      columnWords[(sumsAt + sample) * 2] = sumLow;
      columnWords[(sumsAt + sample) * 2 + 1] = sumHigh;
      const isStale = sumHigh === STALE_HI && sumLow === STALE_LO;
      if (isStale) {
        columns[countsAt + sample] = 0;
        columns[zerosAt + sample] = 0;
      } else if (isFloat) {
        columnWords[(countsAt + sample) * 2] = words[0]!;
        columnWords[(countsAt + sample) * 2 + 1] = words[1]!;
        columnWords[(zerosAt + sample) * 2] = words[2]!;
        columnWords[(zerosAt + sample) * 2 + 1] = words[3]!;
      } else {
        if (total < 0 || zeros < 0 || beyondSafe(total + zeros)) return refused(sample, BAD_COUNT);
        columns[countsAt + sample] = total;
        columns[zerosAt + sample] = zeros;
      }
      if (!isStale || isFirst) {
        const at = rowsAt + rowCount * buckets;
        if (isFloat) {
          refusal = isFirst ? this.#readRaw(3, 3 + buckets) : this.#readNext(3, 3 + buckets);
          if (refusal !== FINE) return refused(sample, refusal);
          if (!isStale) rowWords.set(bucketWords, at * 2);
        } else {
          refusal = this.#readDeltas(isFirst);
          if (refusal === FINE) refusal = this.#putRow(isStale ? -1 : at);
          if (refusal !== FINE) return refused(sample, refusal);
        }
        if (!isStale) rowCount++;
      }
      if (startHeader !== 0) {
        refusal = this.#readStart(sample, time, timeDelta);
        if (refusal !== FINE) return refused(sample, refusal);
        columns[startsAt + sample] = this.#begun;
      }
    }
    return rowCount;
  }

  /** Buckets of integers: the values of sample 0, then changes of changes. */
  #readDeltas(isFirst: boolean): number {
    const values = this.#values;
    const changes = this.#changes;
    for (let i = 0; i < values.length; ) {
      const word = this.#peek();
      if (word >= 0) {
        // Each zero is a bucket that goes on as it did: most of them, many at a time.
        const end = Math.min(i + Math.clz32(word), values.length);
        this.#bit += end - i;
        if (this.#bit > this.#endBit) return TRUNCATED;
        for (; i < end; i++) values[i]! += changes[i]!;
        continue;
      }
      const refusal = this.#readCoded(word);
      if (refusal !== FINE) return refusal;
      if (isFirst) values[i] = this.#number;
      else values[i]! += changes[i]! += this.#number;
      i++;
    }
    return FINE;
  }

  /** Differences → counts. @param at −1: none are wanted */
  #putRow(at: number): number {
    const { rows, positive } = this.#request;
    const values = this.#values;
    const changes = this.#changes;
    let current = 0;
    for (let i = 0; i < values.length; i++) {
      if (i === positive) current = 0;
      current += values[i]!;
      if (beyondSafe(values[i]!) || beyondSafe(changes[i]!) || beyondSafe(current)) return UNSAFE_NUMBER;
      if (at >= 0) rows[at + i] = current;
    }
    return FINE;
  }

  /** The fields [from, to) as they are. */
  #readRaw(from: number, to: number): number {
    for (let field = from; field < to; field++) {
      this.#words[field * 2 + 1] = this.#bits(32);
      this.#words[field * 2] = this.#bits(32);
      if (this.#bit > this.#endBit) return TRUNCATED;
    }
    return FINE;
  }

  /** The fields [from, to) as differences, like the values of XOR chunks. */
  #readNext(from: number, to: number): number {
    const words = this.#words;
    for (let field = from; field < to; ) {
      const word = this.#peek();
      if (word >= 0) {
        const run = Math.min(Math.clz32(word), to - field);
        this.#bit += run;
        if (this.#bit > this.#endBit) return TRUNCATED;
        field += run;
        continue;
      }
      if ((word & 0x40000000) !== 0) {
        const leading = (word << 2) >>> 27;
        // Six bits hold at most 63; a difference has at least one bit.
        const width = (word << 7) >>> 26 || 64;
        this.#bit += 13;
        if (this.#bit > this.#endBit) return TRUNCATED;
        if (leading + width > 64) return BAD_WINDOW;
        this.#leading[field] = leading;
        this.#width[field] = width;
      } else this.#bit += 2;
      const width = this.#width[field]!;
      const trailing = 64 - this.#leading[field]! - width;
      const high = width > 32 ? this.#bits(width - 32) : 0;
      const low = this.#bits(width > 32 ? 32 : width);
      if (this.#bit > this.#endBit) return TRUNCATED;
      if (trailing >= 32) words[field * 2 + 1]! ^= low << (trailing - 32);
      else if (trailing === 0) {
        words[field * 2 + 1]! ^= high;
        words[field * 2]! ^= low;
      } else {
        words[field * 2 + 1]! ^= (high << trailing) | (low >>> (32 - trailing));
        words[field * 2]! ^= low << trailing;
      }
      field++;
    }
    return FINE;
  }

  /** Reads a signed varbit number. */
  #readVarbit(): number {
    const word = this.#peek();
    if (word < 0) return this.#readCoded(word);
    this.#bit++;
    this.#number = 0;
    return this.#bit > this.#endBit ? TRUNCATED : FINE;
  }

  /** A signed varbit number that begins with a one. */
  #readCoded(word: number): number {
    const ones = Math.clz32(~word);
    if (ones <= 5) {
      // 3, 6, 9, 12 bits behind the prefix and its zero; then 18.
      const width = ones <= 4 ? ones * 3 : 18;
      this.#bit += ones + 1 + width;
      this.#number = fromStored((word << (ones + 1)) >>> (32 - width), width);
      return this.#bit > this.#endBit ? TRUNCATED : FINE;
    }
    if (ones === 6) {
      this.#bit += 7;
      this.#number = fromStored(this.#bits(25), 25);
      return this.#bit > this.#endBit ? TRUNCATED : FINE;
    }
    this.#bit += 8;
    const high = this.#bits(ones > 7 ? 32 : 24);
    const low = this.#bits(32);
    if (ones > 7) this.#number = (high | 0) * TWO_32 + low;
    // 56 bits: what is above 2^55 is negative.
    else this.#number = (high > 0x800000 || (high === 0x800000 && low > 0) ? high - 0x1000000 : high) * TWO_32 + low;
    return this.#bit > this.#endBit ? TRUNCATED : beyondSafe(this.#number) ? UNSAFE_NUMBER : FINE;
  }

  /** Reads an unsigned varbit number. */
  #readVarbitUint(): number {
    const word = this.#peek();
    const ones = Math.clz32(~word);
    if (ones <= 5) {
      const width = ones <= 4 ? ones * 3 : 18;
      this.#bit += ones + 1 + width;
      this.#number = ones === 0 ? 0 : (word << (ones + 1)) >>> (32 - width);
      return this.#bit > this.#endBit ? TRUNCATED : FINE;
    }
    if (ones === 6) {
      this.#bit += 7;
      this.#number = this.#bits(25);
      return this.#bit > this.#endBit ? TRUNCATED : FINE;
    }
    this.#bit += 8;
    const high = this.#bits(ones > 7 ? 32 : 24);
    this.#number = high * TWO_32 + this.#bits(32);
    return this.#bit > this.#endBit ? TRUNCATED : beyondSafe(this.#number) ? UNSAFE_NUMBER : FINE;
  }

  /** Reads the start timestamp of a sample. */
  #readStart(sample: number, time: number, timeDelta: number): number {
    const { startHeader, count } = this.#request;
    if (sample === 0) {
      if (startHeader < 0x80) return FINE;
      let value = 0;
      let scale = 64;
      let isNegative = false;
      for (let i = 0; ; i++) {
        const byte = this.#bits(8);
        if (this.#bit > this.#endBit) return TRUNCATED;
        if (i === 9 && byte > 1) return byte < 0x80 ? UNSAFE_START : LONG_VARINT;
        if (i === 0) {
          isNegative = (byte & 1) === 1;
          value = (byte & 0x7f) >>> 1;
        } else {
          value += (byte & 0x7f) * scale;
          scale *= 128;
        }
        if (byte < 0x80) break;
      }
      const ago = isNegative ? -value - 1 : value;
      this.#begun = time - ago;
      return beyondSafe(ago) || beyondSafe(this.#begun) ? UNSAFE_START : FINE;
    }
    const changeAt = startHeader & 0x7f || count;
    if (sample < changeAt) return FINE;
    const refusal = this.#readVarbit();
    if (refusal !== FINE) return refusal === UNSAFE_NUMBER ? UNSAFE_START : refusal;
    this.#distance = sample === changeAt ? this.#number : this.#distance + this.#number;
    this.#begun = time - timeDelta - this.#distance;
    return beyondSafe(this.#distance) || beyondSafe(this.#begun) ? UNSAFE_START : FINE;
  }

  /** The next 32 bits, as a signed number, without moving on. */
  #peek(): number {
    const bit = this.#bit;
    const at = this.#at + (bit >>> 3);
    const shift = bit & 7;
    return (this.#data.getInt32(at) << shift) | (this.#data.getUint8(at + 4) >>> (8 - shift));
  }

  /** The next 1 to 32 bits, unsigned. */
  #bits(count: number): number {
    const word = this.#peek();
    this.#bit += count;
    return word >>> (32 - count);
  }
}

function refused(sample: number, reason: number): number {
  return -1 - (sample * 8 + reason);
}

/** The stored range of k bits is (−2^(k−1), 2^(k−1)]. */
function fromStored(bits: number, width: number): number {
  return bits > 1 << (width - 1) ? bits - (1 << width) : bits;
}
