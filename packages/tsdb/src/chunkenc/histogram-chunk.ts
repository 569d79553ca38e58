/**
 * Decodes native histogram chunks, of integers and of floats, into columns.
 *
 *   payload      u16 sample count │ reset header (2 bits) and flags, a byte │ layout │ sample 0 │ sample 1 │ …
 *   layout       zero threshold │ schema │ positive spans │ negative spans │ custom bounds, when the schema is −53
 *   sample       time │ count │ zero count │ sum │ positive buckets │ negative buckets │ start, in encodings 5 and 6
 *     integers     varbit numbers: raw, then double deltas; buckets as differences between neighbours; the sum as in XOR chunks
 *     floats       time as above; the rest raw, then each field by itself as in XOR chunks
 *
 *   with starts  2 bits reset header │ 14 bits sample count │ start header (kernels: js/start-timestamps.ts) │ layout │ …
 *
 * All samples of a chunk share one layout. A stale marker, a sum with the stale bits, has no buckets. What comes out are absolute counts
 * as doubles, as PromQL computes with them. Source: Prometheus tsdb/chunkenc/{histogram,float_histogram,histogram_meta,histogram_st,float_histogram_st}.go.
 */
import { BitReader, BytesError } from '@gauntlet/bytes';
import { CHUNK_SLACK_BYTES, decodeHistogramRows, HISTOGRAM_COLUMNS, histogramStateBytes, type Kernels, readVarbitInt, readVarbitUint } from '@gauntlet/kernels';
import { CHUNK_ENCODING, STALE_NAN_HI, STALE_NAN_LO } from '@gauntlet/model';
import { TsdbError } from '../errors.ts';
import { reduceSide } from './reduce-schema.ts';

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
/** By HISTOGRAM_REFUSAL. */
const REFUSALS: readonly string[] = ['ends early', 'has a bad window', 'has a number beyond ±(2^53 − 1)', 'has counts below 0 or beyond 2^53 − 1', 'has a start timestamp beyond ±(2^53 − 1)', 'has a start timestamp of more than ten bytes'];
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
 * @param kernels WebAssembly ones decode faster than what is used without; they may grow, and then views over their memory are void
 * @throws TsdbError ERR_CHUNK_CORRUPT; ERR_CHUNK_ENCODING for other encodings; KernelError ERR_KERNEL_MEMORY
 */
export function decodeHistogramChunk(encoding: number, data: Uint8Array, name: string, kernels?: Kernels): HistogramColumns {
  if (!isHistogramEncoding(encoding)) throw new TsdbError('ERR_CHUNK_ENCODING', `decode histogram chunk of ${name}: no native histograms (encoding ${encoding})`);
  if (data.length < HEADER_BYTES) throw new TsdbError('ERR_CHUNK_CORRUPT', `decode histogram chunk of ${name}: ${data.length} bytes, want at least ${HEADER_BYTES}`);
  // Positions in bits are 32-bit integers.
  if (data.length >= 2 ** 28) throw new TsdbError('ERR_CHUNK_CORRUPT', `decode histogram chunk of ${name}: ${data.length} bytes, want less than 256 MiB`);
  try {
    return new Decoder(data, name, encoding, kernels).decode();
  } catch (error) {
    if (!(error instanceof BytesError)) throw error;
    throw new TsdbError('ERR_CHUNK_CORRUPT', `decode histogram chunk of ${name}: ${error.message}`, { cause: error });
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
  /** Header byte of start timestamps; 0 in chunks without. */
  readonly #startHeader: number;
  readonly #kernels: Kernels | undefined;
  readonly #hints: Uint8Array;
  readonly #bucketAt: Int32Array;
  /** Columns of the kernel, one behind the other. */
  #columns: Float64Array = new Float64Array(0);
  #buckets: Float64Array = new Float64Array(0);

  constructor(data: Uint8Array, name: string, encoding: number, kernels: Kernels | undefined) {
    this.#data = data;
    this.#reader = new BitReader(data, HEADER_BYTES);
    this.#name = name;
    this.#kernels = kernels;
    this.#isFloat = encoding === CHUNK_ENCODING.floatHistogram || encoding === CHUNK_ENCODING.floatHistogramSt;
    const hasStarts = encoding >= CHUNK_ENCODING.histogramSt;
    this.#header = RESET_HEADERS[data[hasStarts ? 0 : 2]! >>> 6]!;
    this.#count = ((hasStarts ? data[0]! & 0x3f : data[0]!) << 8) | data[1]!;
    this.#startHeader = hasStarts ? data[2]! : 0;
    this.#hints = new Uint8Array(this.#count);
    this.#bucketAt = new Int32Array(this.#count).fill(-1);
  }

  decode(): HistogramColumns {
    const count = this.#count;
    if (count > 0) {
      this.#readLayout();
      this.#readSamples();
      this.#placeRows();
      if (this.#schema > SCHEMA_MAX) this.#reduceSchema();
    }
    const column = (i: number): Float64Array => this.#columns.subarray(i * count, (i + 1) * count);
    return {
      ...(this.#startHeader === 0 ? {} : { startTimestamps: column(4) }),
      isFloat: this.#isFloat,
      header: this.#header,
      schema: this.#schema,
      zeroThreshold: this.#zeroThreshold,
      positiveSpans: this.#positiveSpans,
      negativeSpans: this.#negativeSpans,
      customBounds: this.#customBounds,
      positiveBuckets: this.#positive,
      negativeBuckets: this.#negative,
      count,
      timestampsMs: column(0),
      counts: column(1),
      zeroCounts: column(2),
      sums: column(3),
      hints: this.#hints,
      bucketAt: this.#bucketAt,
      buckets: this.#buckets,
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
    this.#buckets = new Float64Array(total === 0 ? 0 : (fine.length / total) * coarse);
    let used = 0;
    for (let sample = 0; sample < this.#count; sample++) {
      const from = this.#bucketAt[sample]!;
      if (from < 0) continue;
      const at = used;
      used += coarse;
      this.#bucketAt[sample] = at;
      for (let i = 0; i < this.#positive; i++) this.#buckets[at + positive.placeOf[i]!]! += fine[from + i]!;
      for (let i = 0; i < this.#negative; i++) this.#buckets[at + positive.buckets + negative.placeOf[i]!]! += fine[from + this.#positive + i]!;
    }
    this.#schema = SCHEMA_MAX;
    [this.#positiveSpans, this.#negativeSpans] = [positive.spans, negative.spans];
    [this.#positive, this.#negative] = [positive.buckets, negative.buckets];
  }

  /** Decodes what follows the layout, by the kernel where there is one. */
  #readSamples(): void {
    const result = this.#kernels?.backend === 'wasm' ? this.#readByKernel(this.#kernels) : this.#readByTwin();
    if (result >= 0) return;
    const sample = Math.floor((-1 - result) / 8);
    throw this.#fail(`sample ${sample} ${REFUSALS[(-1 - result) % 8]!}`);
  }

  /** Room for rows: a bucket takes a bit at least. */
  #bucketRoom(): number {
    return Math.min(this.#count * (this.#positive + this.#negative), this.#data.length * 8);
  }

  #readByTwin(): number {
    const padded = new Uint8Array(this.#data.length + CHUNK_SLACK_BYTES);
    padded.set(this.#data);
    const buckets = this.#positive + this.#negative;
    this.#columns = new Float64Array(this.#count * (this.#startHeader === 0 ? HISTOGRAM_COLUMNS - 1 : HISTOGRAM_COLUMNS));
    this.#buckets = new Float64Array(this.#bucketRoom());
    const rows = decodeHistogramRows({
      data: new DataView(padded.buffer),
      chunkAt: 0,
      chunkBytes: this.#data.length,
      bit: this.#reader.bitOffset,
      isFloat: this.#isFloat,
      startHeader: this.#startHeader,
      count: this.#count,
      positive: this.#positive,
      buckets,
      columns: this.#columns,
      columnsAt: 0,
      rows: this.#buckets,
      rowsAt: 0,
    });
    if (rows >= 0) this.#buckets = this.#buckets.subarray(0, rows * buckets);
    return rows;
  }

  #readByKernel(kernels: Kernels): number {
    const { memory } = kernels;
    // An allocation may move the memory of kernels from under a view of it.
    const data = this.#data.buffer === memory.buffer ? this.#data.slice() : this.#data;
    const buckets = this.#positive + this.#negative;
    const columns = this.#count * HISTOGRAM_COLUMNS;
    // One piece: rows, columns, state, chunk. The first three are of whole doubles.
    const [columnsAt, stateAt] = [this.#bucketRoom() * 8, (this.#bucketRoom() + columns) * 8];
    const chunkAt = stateAt + histogramStateBytes(buckets);
    const ptr = memory.alloc(chunkAt + data.length + CHUNK_SLACK_BYTES);
    try {
      memory.u8(ptr + chunkAt, data.length).set(data);
      const rows = kernels.decodeHistogramSamples(
        ptr + chunkAt,
        data.length,
        this.#reader.bitOffset,
        this.#isFloat ? 1 : 0,
        this.#startHeader,
        this.#count,
        this.#positive,
        buckets,
        ptr + stateAt,
        ptr + columnsAt,
        ptr,
      );
      if (rows < 0) return rows;
      this.#columns = memory.f64(ptr + columnsAt, this.#startHeader === 0 ? columns - this.#count : columns).slice();
      this.#buckets = memory.f64(ptr, rows * buckets).slice();
      return rows;
    } finally {
      memory.free(ptr);
    }
  }

  /** Finds the rows of samples, and says what is known before each. */
  #placeRows(): void {
    const buckets = this.#positive + this.#negative;
    const sums = new Uint32Array(this.#columns.buffer, this.#columns.byteOffset + 3 * this.#count * 8, this.#count * 2);
    let at = 0;
    for (let sample = 0; sample < this.#count; sample++) {
      const isStale = sums[sample * 2 + 1] === STALE_NAN_HI && sums[sample * 2] === STALE_NAN_LO;
      if (isStale) this.#hints[sample] = RESET_HINT.unknown;
      else if (this.#header === RESET_HINT.gauge) this.#hints[sample] = RESET_HINT.gauge;
      // Of the first sample nobody knows whether the chunk before is still there.
      else this.#hints[sample] = sample > 0 ? RESET_HINT.notReset : RESET_HINT.unknown;
      if (isStale) continue;
      this.#bucketAt[sample] = at;
      at += buckets;
    }
  }
}

function spanBuckets(spans: Int32Array): number {
  let buckets = 0;
  for (let i = 1; i < spans.length; i += 2) buckets += spans[i]!;
  return buckets;
}
