/**
 * Decodes native histogram chunks, of integers and of floats, into columns.
 *
 *   payload      u16 sample count │ reset header (2 bits) and flags, a byte │ layout │ sample 0 │ sample 1 │ …
 *   layout       zero threshold │ schema │ positive spans │ negative spans │ custom bounds, when the schema is −53
 *   sample       time │ count │ zero count │ sum │ positive buckets │ negative buckets │ start, in encodings 5 and 6
 *     integers     varbit numbers: raw, then double deltas; buckets as differences between neighbours; the sum as in XOR chunks
 *     floats       time as above; the rest raw, then each field by itself as in XOR chunks
 *
 *   with starts  2 bits reset header │ 14 bits sample count │ start header (start-timestamps.ts) │ layout │ …
 *
 * All samples of a chunk share one layout. A stale marker, a sum with the stale bits, has no buckets. What comes out are absolute counts
 * as doubles, as PromQL computes with them. Source: Prometheus tsdb/chunkenc/{histogram,float_histogram,histogram_meta,histogram_st,float_histogram_st}.go.
 */
import { BitReader, BytesError } from '@gauntlet/bytes';
import { CHUNK_ENCODING, STALE_NAN_HI, STALE_NAN_LO } from '@gauntlet/model';
import { TsdbError } from '../errors.ts';
import { BitCursor } from './bit-cursor.ts';
import { reduceSide } from './reduce-schema.ts';
import { StartTimestampReader } from './start-timestamps.ts';
import { readVarbitInt, readVarbitUint } from './varbit.ts';

/** Buckets with bounds of their own; other schemas are exponents. */
export const CUSTOM_BUCKETS_SCHEMA = -53;

/** What is known of counter resets before a sample: numbers as in Prometheus. */
export const RESET_HINT = { unknown: 0, reset: 1, notReset: 2, gauge: 3 } as const;

/** The samples of one chunk. */
export interface HistogramColumns {
  readonly isFloat: boolean;
  /** How the chunk says it began, a RESET_HINT. For readers of neighbouring chunks; `hints` do not rely on it. */
  readonly header: number;
  /** −9 … 8, or −53. Finer ones, up to 52, come as 8. */
  readonly schema: number;
  readonly zeroThreshold: number;
  /** Offset, length, offset, length, … */
  readonly positiveSpans: Int32Array;
  readonly negativeSpans: Int32Array;
  /** Upper bounds of the buckets; empty but for custom buckets. */
  readonly customBounds: Float64Array;
  /** Buckets of a sample: positive first, then negative. */
  readonly positiveBuckets: number;
  readonly negativeBuckets: number;
  /** Samples. */
  readonly count: number;
  readonly timestampsMs: Float64Array;
  /** Counts and zero counts; 0 for a stale marker. */
  readonly counts: Float64Array;
  readonly zeroCounts: Float64Array;
  /** Raw bits kept: a stale marker is recognised by them. */
  readonly sums: Float64Array;
  /** A RESET_HINT each. */
  readonly hints: Uint8Array;
  /** Where the buckets of a sample begin in `buckets`; −1 for a stale marker. */
  readonly bucketAt: Int32Array;
  /** Absolute counts. */
  readonly buckets: Float64Array;
  /** When counting began, ms since 1970, 0 where it is not known; absent when no sample has one. */
  readonly startTimestamps?: Float64Array;
}

const HEADER_BYTES = 3;
const RESET_HEADERS: readonly number[] = [RESET_HINT.unknown, RESET_HINT.notReset, RESET_HINT.reset, RESET_HINT.gauge];
const SCHEMA_MIN = -9;
const SCHEMA_MAX = 8;
const SCHEMA_MAX_RESERVED = 52;

/** Whether an encoding is one of native histograms: 2, 3, 5 or 6. */
export function isHistogramEncoding(encoding: number): boolean {
  return encoding === CHUNK_ENCODING.histogram || encoding === CHUNK_ENCODING.floatHistogram || encoding === CHUNK_ENCODING.histogramSt || encoding === CHUNK_ENCODING.floatHistogramSt;
}

/**
 * Decodes a payload of encoding 2, 3, 5 or 6.
 * @param name of series and block, for messages
 * @throws TsdbError ERR_CHUNK_CORRUPT; ERR_CHUNK_ENCODING for other encodings
 */
export function decodeHistogramChunk(encoding: number, data: Uint8Array, name: string): HistogramColumns {
  if (!isHistogramEncoding(encoding)) throw new TsdbError('ERR_CHUNK_ENCODING', `decode histogram chunk of ${name}: no native histograms (encoding ${encoding})`);
  if (data.length < HEADER_BYTES) throw new TsdbError('ERR_CHUNK_CORRUPT', `decode histogram chunk of ${name}: ${data.length} bytes, want at least ${HEADER_BYTES}`);
  // Positions in bits are 32-bit integers.
  if (data.length >= 2 ** 28) throw new TsdbError('ERR_CHUNK_CORRUPT', `decode histogram chunk of ${name}: ${data.length} bytes, want less than 256 MiB`);
  try {
    return new Decoder(data, name, encoding).decode();
  } catch (error) {
    if (!(error instanceof BytesError)) throw error;
    throw new TsdbError('ERR_CHUNK_CORRUPT', `decode histogram chunk of ${name}: ${error.message}`, { cause: error });
  }
}

/** Fields of a sample that are encoded like the values of XOR chunks: present bits and window of each, in columns. */
class XorFields {
  /** Two per field: low, high. */
  readonly words: Int32Array;
  readonly #cursor: BitCursor;
  readonly #leading: Uint8Array;
  readonly #width: Uint8Array;

  constructor(cursor: BitCursor, count: number) {
    this.#cursor = cursor;
    this.words = new Int32Array(count * 2);
    this.#leading = new Uint8Array(count);
    this.#width = new Uint8Array(count).fill(64);
  }

  /** Reads the fields [from, to) whole. */
  readRaw(from: number, to: number): void {
    const cursor = this.#cursor;
    for (let field = from; field < to; field++) {
      cursor.check();
      this.words[field * 2 + 1] = cursor.bits(32);
      this.words[field * 2] = cursor.bits(32);
    }
  }

  /** Applies the next differences to the fields [from, to). @returns the first field whose window does not fit into 64 bits, −1 when all do */
  readNext(from: number, to: number): number {
    const cursor = this.#cursor;
    const words = this.words;
    for (let field = from; field < to; ) {
      cursor.check();
      const word = cursor.peek();
      if (word >= 0) {
        // Each zero is a field that has not changed: most of them, many at a time.
        const run = Math.min(Math.clz32(word), to - field);
        cursor.bit += run;
        field += run;
        continue;
      }
      if ((word & 0x40000000) !== 0) {
        this.#leading[field] = (word << 2) >>> 27;
        // Six bits hold at most 63; a difference has at least one bit.
        this.#width[field] = (word << 7) >>> 26 || 64;
        cursor.bit += 13;
      } else cursor.bit += 2;
      const width = this.#width[field]!;
      const trailing = 64 - this.#leading[field]! - width;
      if (trailing < 0) return field;
      const high = width > 32 ? cursor.bits(width - 32) : 0;
      const low = cursor.bits(width > 32 ? 32 : width);
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
    return -1;
  }
}

class Decoder {
  readonly #data: Uint8Array;
  readonly #reader: BitReader;
  readonly #name: string;
  readonly #isFloat: boolean;
  readonly #header: number;
  readonly #count: number;
  #schema = 0;
  #zeroThreshold = 0;
  #positiveSpans: Int32Array = new Int32Array(0);
  #negativeSpans: Int32Array = new Int32Array(0);
  #customBounds: Float64Array = new Float64Array(0);
  #positive = 0;
  #negative = 0;
  readonly #timestampsMs: Float64Array;
  readonly #counts: Float64Array;
  readonly #zeroCounts: Float64Array;
  readonly #sums: Float64Array;
  readonly #sumWords: Uint32Array;
  readonly #hints: Uint8Array;
  readonly #bucketAt: Int32Array;
  #buckets: Float64Array = new Float64Array(0);
  #bucketsUsed = 0;
  /** Undefined in chunks without starts. */
  readonly #starts: StartTimestampReader | undefined;

  constructor(data: Uint8Array, name: string, encoding: number) {
    this.#data = data;
    this.#reader = new BitReader(data, HEADER_BYTES);
    this.#name = name;
    this.#isFloat = encoding === CHUNK_ENCODING.floatHistogram || encoding === CHUNK_ENCODING.floatHistogramSt;
    const hasStarts = encoding >= CHUNK_ENCODING.histogramSt;
    this.#header = RESET_HEADERS[data[hasStarts ? 0 : 2]! >>> 6]!;
    const count = ((hasStarts ? data[0]! & 0x3f : data[0]!) << 8) | data[1]!;
    this.#starts = hasStarts && data[2] !== 0 ? new StartTimestampReader(this.#reader, data[2]!, count) : undefined;
    this.#count = count;
    this.#timestampsMs = new Float64Array(count);
    this.#counts = new Float64Array(count);
    this.#zeroCounts = new Float64Array(count);
    this.#sums = new Float64Array(count);
    this.#sumWords = new Uint32Array(this.#sums.buffer);
    this.#hints = new Uint8Array(count);
    this.#bucketAt = new Int32Array(count).fill(-1);
  }

  decode(): HistogramColumns {
    if (this.#count > 0) {
      this.#readLayout();
      if (this.#isFloat) this.#readFloats();
      else this.#readIntegers();
      if (this.#schema > SCHEMA_MAX) this.#reduceSchema();
    }
    const starts = this.#starts?.startTimestamps;
    return {
      ...(starts === undefined ? {} : { startTimestamps: starts }),
      isFloat: this.#isFloat,
      header: this.#header,
      schema: this.#schema,
      zeroThreshold: this.#zeroThreshold,
      positiveSpans: this.#positiveSpans,
      negativeSpans: this.#negativeSpans,
      customBounds: this.#customBounds,
      positiveBuckets: this.#positive,
      negativeBuckets: this.#negative,
      count: this.#count,
      timestampsMs: this.#timestampsMs,
      counts: this.#counts,
      zeroCounts: this.#zeroCounts,
      sums: this.#sums,
      hints: this.#hints,
      bucketAt: this.#bucketAt,
      buckets: this.#buckets.subarray(0, this.#bucketsUsed),
    };
  }

  #fail(what: string): TsdbError {
    return new TsdbError('ERR_CHUNK_CORRUPT', `decode histogram chunk of ${this.#name}: ${what}`);
  }

  #readLayout(): void {
    const reader = this.#reader;
    const threshold = reader.readBits(8);
    // One byte for 0 and for powers of two from 2^-243 to 2^10; other values follow whole.
    if (threshold === 255) this.#zeroThreshold = this.#readDouble();
    else if (threshold > 0) this.#zeroThreshold = 2 ** (threshold - 244);
    this.#schema = readVarbitInt(reader);
    this.#positiveSpans = this.#readSpans();
    this.#negativeSpans = this.#readSpans();
    if (this.#schema === CUSTOM_BUCKETS_SCHEMA) this.#readCustomBounds();
    else if (this.#schema < SCHEMA_MIN || this.#schema > SCHEMA_MAX_RESERVED) throw this.#fail(`unknown schema ${this.#schema}`);
    this.#positive = spanBuckets(this.#positiveSpans);
    this.#negative = spanBuckets(this.#negativeSpans);
    // A bucket takes a bit at least: more of them than that are damage, and must not become an allocation.
    const buckets = this.#positive + this.#negative;
    if (buckets > reader.bitsLeft) throw this.#fail(`${buckets} buckets in ${reader.bitsLeft} bits`);
  }

  #readDouble(): number {
    this.#reader.readBits64(64);
    const view = new DataView(new ArrayBuffer(8));
    view.setUint32(0, this.#reader.hi);
    view.setUint32(4, this.#reader.lo);
    return view.getFloat64(0);
  }

  #readSpans(): Int32Array {
    const reader = this.#reader;
    const count = readVarbitUint(reader);
    if (count * 2 > reader.bitsLeft) throw this.#fail(`${count} spans in ${reader.bitsLeft} bits`);
    const spans = new Int32Array(count * 2);
    for (let i = 0; i < count; i++) {
      const length = readVarbitUint(reader);
      const offset = readVarbitInt(reader);
      if (length > 0x7fffffff || Math.abs(offset) > 0x7fffffff) throw this.#fail(`span of ${length} buckets at offset ${offset}`);
      spans[i * 2] = offset;
      spans[i * 2 + 1] = length;
    }
    return spans;
  }

  #readCustomBounds(): void {
    const reader = this.#reader;
    const count = readVarbitUint(reader);
    if (count > reader.bitsLeft) throw this.#fail(`${count} custom bounds in ${reader.bitsLeft} bits`);
    this.#customBounds = new Float64Array(count);
    for (let i = 0; i < count; i++) {
      // Thousandths plus one; 0 says that the bound follows whole.
      const bound = readVarbitUint(reader);
      this.#customBounds[i] = bound === 0 ? this.#readDouble() : (bound - 1) / 1000;
    }
  }

  /** Brings what was decoded from a finer schema to the finest that is read. */
  #reduceSchema(): void {
    const steps = this.#schema - SCHEMA_MAX;
    const positive = reduceSide(this.#positiveSpans, this.#positive, steps);
    const negative = reduceSide(this.#negativeSpans, this.#negative, steps);
    if (positive === undefined || negative === undefined) throw this.#fail(`spans of schema ${this.#schema} that overlap, or buckets beyond 2^31`);
    const fine = this.#buckets;
    const total = this.#positive + this.#negative;
    const coarse = positive.buckets + negative.buckets;
    this.#buckets = new Float64Array(total === 0 ? 0 : (this.#bucketsUsed / total) * coarse);
    this.#bucketsUsed = 0;
    for (let sample = 0; sample < this.#count; sample++) {
      const from = this.#bucketAt[sample]!;
      if (from < 0) continue;
      const at = this.#bucketsUsed;
      this.#bucketsUsed += coarse;
      this.#bucketAt[sample] = at;
      for (let i = 0; i < this.#positive; i++) this.#buckets[at + positive.placeOf[i]!]! += fine[from + i]!;
      for (let i = 0; i < this.#negative; i++) this.#buckets[at + positive.buckets + negative.placeOf[i]!]! += fine[from + this.#positive + i]!;
    }
    this.#schema = SCHEMA_MAX;
    [this.#positiveSpans, this.#negativeSpans] = [positive.spans, negative.spans];
    [this.#positive, this.#negative] = [positive.buckets, negative.buckets];
  }

  /** Ends a sample. */
  #putSum(sample: number, high: number, low: number): boolean {
    this.#sumWords[sample * 2] = low;
    this.#sumWords[sample * 2 + 1] = high;
    const isStale = high === STALE_NAN_HI && low === STALE_NAN_LO;
    if (this.#header === RESET_HINT.gauge) this.#hints[sample] = RESET_HINT.gauge;
    // Of the first sample nobody knows whether the chunk before is still there.
    else this.#hints[sample] = sample > 0 ? RESET_HINT.notReset : RESET_HINT.unknown;
    if (isStale) this.#hints[sample] = RESET_HINT.unknown;
    return isStale;
  }

  /** Room for the buckets of a sample. @returns where they begin */
  #addRow(sample: number): number {
    const at = this.#bucketsUsed;
    this.#bucketsUsed += this.#positive + this.#negative;
    if (this.#bucketsUsed > this.#buckets.length) {
      // At first room for all samples, unless the data is too short for that: a bucket takes a bit at least.
      const all = Math.min(this.#count * (this.#positive + this.#negative), this.#data.length * 8);
      const grown = new Float64Array(Math.max(this.#bucketsUsed, this.#buckets.length === 0 ? all : this.#buckets.length * 2));
      grown.set(this.#buckets);
      this.#buckets = grown;
    }
    this.#bucketAt[sample] = at;
    return at;
  }

  #readIntegers(): void {
    const cursor = this.#cursor();
    const positive = this.#positive;
    const total = positive + this.#negative;
    /** Of each bucket the difference to its neighbour, and how that changed last. */
    const bucket = new Float64Array(total);
    const change = new Float64Array(total);
    const sum = new XorFields(cursor, 1);
    let time = 0;
    let timeDelta = 0;
    let count = 0;
    let countDelta = 0;
    let zeroCount = 0;
    let zeroDelta = 0;
    for (let sample = 0; sample < this.#count; sample++) {
      cursor.check();
      if (sample === 0) {
        time = cursor.varbitInt();
        cursor.check();
        count = cursor.varbitUint();
        cursor.check();
        zeroCount = cursor.varbitUint();
        sum.readRaw(0, 1);
      } else {
        timeDelta += cursor.varbitInt();
        time += timeDelta;
        cursor.check();
        countDelta += cursor.varbitInt();
        count += countDelta;
        cursor.check();
        zeroDelta += cursor.varbitInt();
        zeroCount += zeroDelta;
        if (sum.readNext(0, 1) >= 0) throw this.#fail(`sum of sample ${sample} has a bad window`);
      }
      this.#timestampsMs[sample] = time;
      const isStale = this.#putSum(sample, sum.words[1]!, sum.words[0]!);
      if (!isStale && !(count >= 0 && zeroCount >= 0 && count + zeroCount <= Number.MAX_SAFE_INTEGER)) throw this.#fail(`sample ${sample} has count ${count} and zero count ${zeroCount}`);
      if (!isStale || sample === 0) {
        const at = isStale ? -1 : this.#addRow(sample);
        const buckets = this.#buckets;
        for (let i = 0; i < total; ) {
          cursor.check();
          const word = cursor.peek();
          if (word >= 0) {
            // Each zero is a bucket that goes on as it did: most of them, many at a time.
            const end = i + Math.min(Math.clz32(word), total - i);
            cursor.bit += end - i;
            for (; i < end; i++) bucket[i]! += change[i]!;
            continue;
          }
          const value = cursor.varbitInt();
          if (sample === 0) bucket[i] = value;
          else bucket[i]! += change[i]! += value;
          i++;
        }
        let current = 0;
        for (let i = 0; at >= 0 && i < total; i++) {
          current = (i === positive ? 0 : current) + bucket[i]!;
          buckets[at + i] = current;
        }
      }
      this.#readStart(cursor, sample, time, timeDelta);
      if (isStale) continue;
      this.#counts[sample] = count;
      this.#zeroCounts[sample] = zeroCount;
    }
    cursor.check();
  }

  #readFloats(): void {
    const cursor = this.#cursor();
    const total = this.#positive + this.#negative;
    // Count, zero count, sum, buckets.
    const fields = new XorFields(cursor, 3 + total);
    const { words } = fields;
    const bucketWords = words.subarray(6);
    const next = (sample: number, from: number, to: number): void => {
      if (sample === 0) fields.readRaw(from, to);
      else {
        const bad = fields.readNext(from, to);
        if (bad >= 0) throw this.#fail(`field ${bad} of sample ${sample} has a bad window`);
      }
    };
    let time = 0;
    let timeDelta = 0;
    const countWords = new Int32Array(this.#counts.buffer);
    const zeroWords = new Int32Array(this.#zeroCounts.buffer);
    for (let sample = 0; sample < this.#count; sample++) {
      cursor.check();
      if (sample === 0) time = cursor.varbitInt();
      else {
        timeDelta += cursor.varbitInt();
        time += timeDelta;
      }
      this.#timestampsMs[sample] = time;
      next(sample, 0, 3);
      const isStale = this.#putSum(sample, words[5]!, words[4]!);
      if (!isStale || sample === 0) next(sample, 3, 3 + total);
      this.#readStart(cursor, sample, time, timeDelta);
      if (isStale) continue;
      countWords[sample * 2] = words[0]!;
      countWords[sample * 2 + 1] = words[1]!;
      zeroWords[sample * 2] = words[2]!;
      zeroWords[sample * 2 + 1] = words[3]!;
      const at = this.#addRow(sample);
      new Int32Array(this.#buckets.buffer).set(bucketWords, at * 2);
    }
    cursor.check();
  }

  /** Goes on where the layout ended. */
  #cursor(): BitCursor {
    return new BitCursor(this.#data, this.#reader.bitOffset);
  }

  /** Reads the start of a sample, in chunks that have them. */
  #readStart(cursor: BitCursor, sample: number, time: number, timeDelta: number): void {
    if (this.#starts === undefined) return;
    this.#reader.skip(cursor.bit - this.#reader.bitOffset);
    this.#starts.read(sample, time, timeDelta);
    cursor.bit = this.#reader.bitOffset;
  }
}

function spanBuckets(spans: Int32Array): number {
  let buckets = 0;
  for (let i = 1; i < spans.length; i += 2) buckets += spans[i]!;
  return buckets;
}
