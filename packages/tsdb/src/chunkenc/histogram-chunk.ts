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
 * All samples of a chunk share one layout (histogram-layout.ts). A stale marker, a sum with the stale bits, has no buckets. What comes out are absolute counts
 * as doubles, as PromQL computes with them. Source: Prometheus tsdb/chunkenc/{histogram,float_histogram,histogram_meta,histogram_st,float_histogram_st}.go.
 */
import { BytesError } from '@gauntlet/bytes';
import { CHUNK_SLACK_BYTES, decodeHistogramRows, HISTOGRAM_COLUMNS, histogramStateBytes, type Kernels } from '@gauntlet/kernels';
import { CHUNK_ENCODING, STALE_NAN_HI, STALE_NAN_LO } from '@gauntlet/model';
import { TsdbError } from '../errors.ts';
import { damaged, HEADER_BYTES, type HistogramChunkLayout, NO_LAYOUT, readHistogramLayout, SCHEMA_MAX } from './histogram-layout.ts';
import { reduceSide } from './reduce-schema.ts';

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

/** RESET_HINT by the two bits of a chunk. */
const RESET_HEADERS: readonly number[] = [RESET_HINT.unknown, RESET_HINT.notReset, RESET_HINT.reset, RESET_HINT.gauge];
/** By HISTOGRAM_REFUSAL. */
const REFUSALS: readonly string[] = ['ends early', 'has a bad window', 'has a number beyond ±(2^53 − 1)', 'has counts below 0 or beyond 2^53 − 1', 'has a start timestamp beyond ±(2^53 − 1)', 'has a start timestamp of more than ten bytes'];

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

/** What a chunk says before its layout. */
export interface HistogramChunkHeader {
  readonly isFloat: boolean;
  /** How the chunk says it began, a RESET_HINT. */
  readonly header: number;
  /** Samples. */
  readonly count: number;
  /** Header byte of start timestamps; 0 when no sample has one. */
  readonly startHeader: number;
}

/** Reads the first HEADER_BYTES of a chunk, which are there. */
export function readHistogramHeader(encoding: number, data: Uint8Array): HistogramChunkHeader {
  const hasStarts = encoding >= CHUNK_ENCODING.histogramSt;
  return {
    isFloat: encoding === CHUNK_ENCODING.floatHistogram || encoding === CHUNK_ENCODING.floatHistogramSt,
    header: RESET_HEADERS[data[hasStarts ? 0 : 2]! >>> 6]!,
    count: ((hasStarts ? data[0]! & 0x3f : data[0]!) << 8) | data[1]!,
    startHeader: hasStarts ? data[2]! : 0,
  };
}

class Decoder {
  readonly #data: Uint8Array;
  readonly #name: string;
  readonly #isFloat: boolean;
  readonly #header: number;
  readonly #count: number;
  #layout: HistogramChunkLayout = NO_LAYOUT;
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
    this.#name = name;
    this.#kernels = kernels;
    const { isFloat, header, count, startHeader } = readHistogramHeader(encoding, data);
    this.#isFloat = isFloat;
    this.#header = header;
    this.#count = count;
    this.#startHeader = startHeader;
    this.#hints = new Uint8Array(this.#count);
    this.#bucketAt = new Int32Array(this.#count).fill(-1);
  }

  decode(): HistogramColumns {
    const count = this.#count;
    if (count > 0) {
      this.#layout = readHistogramLayout(this.#data, this.#name);
      this.#readSamples();
      this.#placeRows();
      if (this.#layout.schema > SCHEMA_MAX) this.#reduceSchema();
    }
    const { schema, zeroThreshold, positiveSpans, negativeSpans, customBounds, positiveBuckets, negativeBuckets } = this.#layout;
    const column = (i: number): Float64Array => this.#columns.subarray(i * count, (i + 1) * count);
    return {
      ...(this.#startHeader === 0 ? {} : { startTimestamps: column(4) }),
      isFloat: this.#isFloat,
      header: this.#header,
      schema,
      zeroThreshold,
      positiveSpans,
      negativeSpans,
      customBounds,
      positiveBuckets,
      negativeBuckets,
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
    return damaged(this.#name, what);
  }

  /** Brings what was decoded from a finer schema to the finest that is read. */
  #reduceSchema(): void {
    const { schema, positiveSpans, negativeSpans, positiveBuckets, negativeBuckets } = this.#layout;
    const steps = schema - SCHEMA_MAX;
    const positive = reduceSide(positiveSpans, positiveBuckets, steps);
    const negative = reduceSide(negativeSpans, negativeBuckets, steps);
    if (positive === undefined || negative === undefined) throw this.#fail(`spans of schema ${schema} that overlap, or buckets beyond 2^31`);
    const fine = this.#buckets;
    const total = positiveBuckets + negativeBuckets;
    const coarse = positive.buckets + negative.buckets;
    this.#buckets = new Float64Array(total === 0 ? 0 : (fine.length / total) * coarse);
    let used = 0;
    for (let sample = 0; sample < this.#count; sample++) {
      const from = this.#bucketAt[sample]!;
      if (from < 0) continue;
      const at = used;
      used += coarse;
      this.#bucketAt[sample] = at;
      for (let i = 0; i < positiveBuckets; i++) this.#buckets[at + positive.placeOf[i]!]! += fine[from + i]!;
      for (let i = 0; i < negativeBuckets; i++) this.#buckets[at + positive.buckets + negative.placeOf[i]!]! += fine[from + positiveBuckets + i]!;
    }
    this.#layout = { ...this.#layout, schema: SCHEMA_MAX, positiveSpans: positive.spans, negativeSpans: negative.spans, positiveBuckets: positive.buckets, negativeBuckets: negative.buckets };
  }

  /** Decodes what follows the layout, by the kernel where there is one. */
  #readSamples(): void {
    const result = this.#kernels?.backend === 'wasm' ? this.#readByKernel(this.#kernels) : this.#readByTwin();
    if (result >= 0) return;
    const sample = Math.floor((-1 - result) / 8);
    throw this.#fail(`sample ${sample} ${REFUSALS[(-1 - result) % 8]!}`);
  }

  /** Buckets of a sample. */
  get #stride(): number {
    return this.#layout.positiveBuckets + this.#layout.negativeBuckets;
  }

  /** Room for rows: a bucket takes a bit at least. */
  #bucketRoom(): number {
    return Math.min(this.#count * this.#stride, this.#data.length * 8);
  }

  #readByTwin(): number {
    const padded = new Uint8Array(this.#data.length + CHUNK_SLACK_BYTES);
    padded.set(this.#data);
    const buckets = this.#stride;
    this.#columns = new Float64Array(this.#count * (this.#startHeader === 0 ? HISTOGRAM_COLUMNS - 1 : HISTOGRAM_COLUMNS));
    this.#buckets = new Float64Array(this.#bucketRoom());
    const rows = decodeHistogramRows({
      data: new DataView(padded.buffer),
      chunkAt: 0,
      chunkBytes: this.#data.length,
      bit: this.#layout.endBit,
      isFloat: this.#isFloat,
      startHeader: this.#startHeader,
      count: this.#count,
      positive: this.#layout.positiveBuckets,
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
    const buckets = this.#stride;
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
        this.#layout.endBit,
        this.#isFloat ? 1 : 0,
        this.#startHeader,
        this.#count,
        this.#layout.positiveBuckets,
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
    const buckets = this.#stride;
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
