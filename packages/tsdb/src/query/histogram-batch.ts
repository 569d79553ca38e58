/**
 * The native histograms of a batch of series, found by number: a `HistogramColumn` in the making.
 *
 *   chunks       A (3 samples)   B (2)     C (4)            ids     0 1 2 │ 3 4 │ 5 6 7 8
 *   by id        counts, zero counts, sums, hints, places of buckets
 *   buckets      ■               ■         –                C did not fit any more: its bytes are decoded again when asked for
 *
 * Every chunk is decoded once. Buckets are kept up to a limit, because a chunk of some hundred bytes can become some hundred kilobytes; consumers ask
 * for histograms in order, so a chunk whose buckets are not kept is decoded a second time and no more.
 */
import { CHUNK_SLACK_BYTES, HISTOGRAM_COLUMNS, histogramStateBytes, type Kernels } from '@gauntlet/kernels';
import { CUSTOM_BUCKETS_SCHEMA, type FloatHistogram, type HistogramColumn, histogramOfRun, type HistogramRun, type HistogramSpan, STALE_NAN_HI, STALE_NAN_LO } from '@gauntlet/model';
import { decodeHistogramChunk, readHistogramHeader, RESET_HINT } from '../chunkenc/histogram-chunk.ts';
import { HEADER_BYTES, hasLayout, type HistogramChunkLayout, NO_LAYOUT, readHistogramLayout, SCHEMA_MAX } from '../chunkenc/histogram-layout.ts';
import { KernelRegion } from './load-chunks.ts';

/** Bytes of buckets that a batch keeps: as much as the columns of a large batch of floats. */
const KEPT_BYTES_MAX = 32 << 20;
/** Bytes of columns beside the buckets, per histogram. */
const COLUMN_BYTES = 29;
/** Doubles in a block of buckets. */
const BLOCK_SIZE = 1 << 16;
/** Blocks that stay for the next batch of this thread, 8 MiB: fresh memory costs as much as filling it, and makes the collector run. */
const SPARE_BLOCKS_MAX = 16;
const spareBlocks: Float64Array[] = [];

const NO_BUCKETS = new Float64Array(0);
const NO_SPANS: readonly HistogramSpan[] = [];

/** Who accounts for the memory; throws when a budget would be passed. */
export interface HistogramCharge {
  reserve(bytes: number): void;
  release(bytes: number): void;
}

/** An encoded chunk. Asked again while the batch is valid, so its bytes must stay where `data` finds them. */
export interface EncodedChunk {
  readonly encoding: number;
  /** In the memory of the kernels that decode it CHUNK_SLACK_BYTES may be read behind it. */
  readonly data: () => Uint8Array;
  /** Series and source, for messages. */
  readonly name: () => string;
}

/** What `add` decoded. */
export interface AddedHistograms {
  readonly count: number;
  /** Valid until the next call. */
  readonly timestampsMs: Float64Array;
  /** Likewise; undefined when no sample has one. */
  readonly startTimestamps: Float64Array | undefined;
}

/** What the chunks of a layout share. */
interface RunLayout {
  readonly of: HistogramChunkLayout | undefined;
  readonly isFloat: boolean;
  readonly shared: Pick<HistogramRun, 'schema' | 'zeroThreshold' | 'positiveSpans' | 'negativeSpans' | 'customValues' | 'positiveBuckets' | 'negativeBuckets'>;
}

/** See the head of this file. */
export class HistogramBatch {
  readonly #charge: HistogramCharge | undefined;
  readonly #kernels: Kernels | undefined;
  readonly #keptBytesMax: number;
  readonly #scratch: KernelRegion | undefined;
  // By chunk.
  readonly #chunks: EncodedChunk[] = [];
  readonly #layouts: RunLayout[] = [];
  readonly #firstIds: number[] = [];
  /** Undefined where there was no room. */
  readonly #kept: (Float64Array | undefined)[] = [];
  readonly #runs: (HistogramRun | undefined)[] = [];
  // By id.
  #counts: Float64Array = new Float64Array(0);
  #zeroCounts: Float64Array = new Float64Array(0);
  #sums: Float64Array = new Float64Array(0);
  #hints: Uint8Array = new Uint8Array(0);
  #bucketAt: Int32Array = new Int32Array(0);
  /** The block that buckets are put into, and how full it is. */
  #block: Float64Array = NO_BUCKETS;
  #blockUsed = 0;
  #keptBytes = 0;
  #chargedBytes = 0;
  #count = 0;
  /** Layout of the chunk added last. */
  #layout: RunLayout | undefined;
  /** All of the kernels' memory, as long as it is the same. */
  #doubles: Float64Array = new Float64Array(0);
  #words: Uint32Array = new Uint32Array(0);
  /** The chunk asked for last. */
  #at = 0;
  #atRun: HistogramRun | undefined;

  /** @param kernels WebAssembly ones decode faster; their memory may grow in `add`, and nowhere else */
  constructor(charge?: HistogramCharge, kernels?: Kernels, keptBytesMax: number = KEPT_BYTES_MAX) {
    this.#charge = charge;
    this.#kernels = kernels?.backend === 'wasm' ? kernels : undefined;
    this.#scratch = this.#kernels === undefined ? undefined : new KernelRegion(this.#kernels);
    this.#keptBytesMax = keptBytesMax;
  }

  /** Histograms so far; the next chunk's ids begin here. */
  get count(): number {
    return this.#count;
  }

  /** Forgets everything and gives back what was charged. @param samples that may come at most, if that is known */
  clear(samples: number = 0): void {
    for (const block of new Set(this.#kept)) if (block?.length === BLOCK_SIZE && spareBlocks.length < SPARE_BLOCKS_MAX) spareBlocks.push(block);
    this.#block = NO_BUCKETS;
    for (const list of [this.#chunks, this.#layouts, this.#firstIds, this.#kept, this.#runs]) list.length = 0;
    this.#count = 0;
    this.#blockUsed = 0;
    this.#keptBytes = 0;
    this.#layout = undefined;
    this.#at = 0;
    this.#atRun = undefined;
    if (samples === 0) {
      this.#scratch?.free();
      this.#resize(0);
    }
    if (this.#chargedBytes > 0) this.#charge?.release(this.#chargedBytes);
    this.#chargedBytes = 0;
  }

  /**
   * Adds a chunk of encoding 2, 3, 5 or 6: its histograms get the ids `count … count + samples − 1`.
   * @throws TsdbError ERR_CHUNK_CORRUPT, ERR_CHUNK_ENCODING; what `reserve` throws; KernelError ERR_KERNEL_MEMORY
   */
  add(chunk: EncodedChunk): AddedHistograms {
    const firstId = this.#count;
    const added = this.#addByKernel(chunk) ?? this.#addByTwin(chunk);
    this.#chunks.push(chunk);
    this.#layouts.push(this.#layout!);
    this.#firstIds.push(firstId);
    this.#runs.push(undefined);
    this.#count += added.count;
    return added;
  }

  /** Whether a histogram is a stale marker. */
  isStale(id: number): boolean {
    return this.#bucketAt[id]! < 0;
  }

  /** Says that the sample before this one is not the one its hint speaks of. */
  forgetHint(id: number): void {
    if (this.#hints[id] !== RESET_HINT.gauge) this.#hints[id] = RESET_HINT.unknown;
  }

  /** The histogram of an id, the caller's to keep; STALE_HISTOGRAM for a stale marker. */
  get(id: number): FloatHistogram {
    return histogramOfRun(this.runOf(id), id);
  }

  /** Whether the chunk of an id stores whole counts. */
  isInteger(id: number): boolean {
    return !this.#layouts[this.#chunkOf(id)]!.isFloat;
  }

  /** The run of an id: its chunk. All chunks have been added by now. */
  runOf(id: number): HistogramRun {
    const run = this.#atRun;
    if (run !== undefined && id >= run.firstId && id < run.endId) return run;
    const at = this.#chunkOf(id);
    const known = this.#runs[at] ?? this.#makeRun(at);
    if (this.#kept[at] !== undefined) this.#runs[at] = known;
    this.#at = at;
    this.#atRun = known;
    return known;
  }

  /** All of them beside the samples of a batch. @param ids −1 for floats, else what `get` takes */
  column(ids: Int32Array): HistogramColumn {
    return { ids, get: (id) => this.get(id), runOf: (id) => this.runOf(id), isInteger: (id) => this.isInteger(id) };
  }

  #chunkOf(id: number): number {
    const firstIds = this.#firstIds;
    const endOf = (chunk: number): number => (chunk + 1 < firstIds.length ? firstIds[chunk + 1]! : this.#count);
    // Mostly the same or the next one.
    for (let chunk = this.#at; chunk < Math.min(this.#at + 2, firstIds.length); chunk++) if (id >= firstIds[chunk]! && id < endOf(chunk)) return chunk;
    let low = 0;
    let high = firstIds.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (firstIds[middle]! <= id) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #makeRun(chunk: number): HistogramRun {
    const firstId = this.#firstIds[chunk]!;
    const endId = chunk + 1 < this.#firstIds.length ? this.#firstIds[chunk + 1]! : this.#count;
    return {
      firstId,
      endId,
      ...this.#layouts[chunk]!.shared,
      counts: this.#counts,
      zeroCounts: this.#zeroCounts,
      sums: this.#sums,
      hints: this.#hints,
      bucketAt: this.#bucketAt,
      buckets: this.#kept[chunk] ?? this.#bucketsAgain(this.#chunks[chunk]!, this.#layouts[chunk]!, endId - firstId),
    };
  }

  /** Makes room for ids, which lie behind those there are. */
  #grow(count: number): void {
    const needed = this.#count + count;
    if (needed > this.#counts.length) this.#resize(Math.max(needed, this.#counts.length * 2, 1024));
  }

  #resize(size: number): void {
    const resized = <T extends Float64Array | Uint8Array | Int32Array>(from: T, to: T): T => {
      to.set(from.subarray(0, Math.min(this.#count, size)));
      return to;
    };
    this.#counts = resized(this.#counts, new Float64Array(size));
    this.#zeroCounts = resized(this.#zeroCounts, new Float64Array(size));
    this.#sums = resized(this.#sums, new Float64Array(size));
    this.#hints = resized(this.#hints, new Uint8Array(size));
    this.#bucketAt = resized(this.#bucketAt, new Int32Array(size));
  }

  #reserve(bytes: number): void {
    this.#charge?.reserve(bytes);
    this.#chargedBytes += bytes;
  }

  /** Whether buckets of so many bytes are kept; then they are charged. */
  #keeps(bytes: number): boolean {
    if (this.#keptBytes + bytes > this.#keptBytesMax) return false;
    this.#reserve(bytes);
    this.#keptBytes += bytes;
    return true;
  }

  /** Decodes a chunk in memory of the kernels. @returns undefined where that is not for it, or refuses it: then the twin says what there is to say */
  #addByKernel(chunk: EncodedChunk): AddedHistograms | undefined {
    const kernels = this.#kernels;
    if (kernels === undefined) return undefined;
    const data = chunk.data();
    if (data.length < HEADER_BYTES || data.length >= 2 ** 28) return undefined;
    const { isFloat, header, count, startHeader } = readHistogramHeader(chunk.encoding, data);
    if (count === 0) return undefined;
    const layout = this.#layoutOf(chunk, data, isFloat);
    if (layout?.of === undefined) return undefined;
    const decoded = this.#decode(kernels, chunk, layout.of, layout.isFloat, count, startHeader);
    if (decoded === undefined) return undefined;
    const { rows, rowsAt, columnAt } = decoded;
    const stride = layout.of.positiveBuckets + layout.of.negativeBuckets;
    this.#grow(count);
    this.#reserve(count * COLUMN_BYTES);
    const doubles = this.#doubles;
    const firstId = this.#count;
    const isCustom = layout.shared.schema === CUSTOM_BUCKETS_SCHEMA;
    for (let i = 0; i < count; i++) {
      this.#counts[firstId + i] = doubles[columnAt + count + i]!;
      this.#zeroCounts[firstId + i] = isCustom ? 0 : doubles[columnAt + 2 * count + i]!;
    }
    // As bytes: any NaN keeps its bits.
    this.#sums.set(doubles.subarray(columnAt + 3 * count, columnAt + 4 * count), firstId);
    const isKept = this.#keeps(rows * stride * 8);
    const from = isKept ? this.#putRows(doubles.subarray(rowsAt, rowsAt + rows * stride)) : 0;
    this.#kept.push(isKept ? this.#block : undefined);
    this.#layout = layout;
    this.#place((columnAt + 3 * count) * 2, this.#words, header, count, from, stride);
    return { count, timestampsMs: doubles.subarray(columnAt, columnAt + count), startTimestamps: startHeader === 0 ? undefined : doubles.subarray(columnAt + 4 * count, columnAt + 5 * count) };
  }

  /**
   * Runs the kernel over a chunk. Nothing grows where the chunk was decoded before.
   * @returns rows, and where they and the columns are among the doubles of the memory; undefined if the kernel refuses
   */
  #decode(kernels: Kernels, chunk: EncodedChunk, layout: HistogramChunkLayout, isFloat: boolean, count: number, startHeader: number): { readonly rows: number; readonly rowsAt: number; readonly columnAt: number } | undefined {
    const { memory } = kernels;
    const stride = layout.positiveBuckets + layout.negativeBuckets;
    const { length } = chunk.data();
    // Rows, columns, state, chunk: the first three are of whole doubles.
    const room = Math.min(count * stride, length * 8);
    const stateAt = (room + count * HISTOGRAM_COLUMNS) * 8;
    const chunkAt = stateAt + histogramStateBytes(stride);
    const rowsPtr = this.#scratch!.ensure(chunkAt + length + CHUNK_SLACK_BYTES);
    if (this.#doubles.buffer !== memory.buffer) {
      this.#doubles = new Float64Array(memory.buffer);
      this.#words = new Uint32Array(memory.buffer);
    }
    const data = chunk.data();
    let chunkPtr = data.byteOffset;
    if (data.buffer !== memory.buffer) {
      chunkPtr = rowsPtr + chunkAt;
      memory.u8(chunkPtr, length).set(data);
    }
    const columnsPtr = rowsPtr + room * 8;
    const rows = kernels.decodeHistogramSamples(chunkPtr, length, layout.endBit, isFloat ? 1 : 0, startHeader, count, layout.positiveBuckets, stride, rowsPtr + stateAt, columnsPtr, rowsPtr);
    return rows < 0 ? undefined : { rows, rowsAt: rowsPtr / 8, columnAt: columnsPtr / 8 };
  }

  /** Buckets of a chunk that are not kept, decoded again. The memory of kernels does not grow: consumers have views of it. */
  #bucketsAgain(chunk: EncodedChunk, { of, isFloat }: RunLayout, count: number): Float64Array {
    if (of !== undefined) {
      const data = chunk.data();
      const decoded = this.#decode(this.#kernels!, chunk, of, isFloat, count, readHistogramHeader(chunk.encoding, data).startHeader);
      if (decoded !== undefined) return this.#doubles.slice(decoded.rowsAt, decoded.rowsAt + decoded.rows * (of.positiveBuckets + of.negativeBuckets));
    }
    return decodeHistogramChunk(chunk.encoding, chunk.data(), chunk.name()).buckets;
  }

  /** Puts rows into the block. @returns where they begin */
  #putRows(rows: Float64Array): number {
    if (this.#blockUsed + rows.length > this.#block.length) {
      this.#block = rows.length > BLOCK_SIZE ? new Float64Array(rows.length) : (spareBlocks.pop() ?? new Float64Array(BLOCK_SIZE));
      this.#blockUsed = 0;
    }
    const from = this.#blockUsed;
    this.#block.set(rows, from);
    this.#blockUsed += rows.length;
    return from;
  }

  /** Hints and places of the histograms that come next. @param sumAt first word of their sums in `words` */
  #place(sumAt: number, words: Uint32Array, header: number, count: number, from: number, stride: number): void {
    const firstId = this.#count;
    let at = from;
    for (let i = 0; i < count; i++) {
      const isStale = words[sumAt + i * 2 + 1] === STALE_NAN_HI && words[sumAt + i * 2] === STALE_NAN_LO;
      // Of the first sample nobody knows whether the chunk before is still there.
      this.#hints[firstId + i] = isStale ? RESET_HINT.unknown : header === RESET_HINT.gauge ? RESET_HINT.gauge : i > 0 ? RESET_HINT.notReset : RESET_HINT.unknown;
      this.#bucketAt[firstId + i] = isStale ? -1 : at;
      if (!isStale) at += stride;
    }
  }

  #addByTwin(chunk: EncodedChunk): AddedHistograms {
    const columns = decodeHistogramChunk(chunk.encoding, chunk.data(), chunk.name());
    const { count, schema, buckets } = columns;
    this.#grow(count);
    this.#reserve(count * COLUMN_BYTES);
    const firstId = this.#count;
    this.#counts.set(columns.counts, firstId);
    if (schema === CUSTOM_BUCKETS_SCHEMA) this.#zeroCounts.fill(0, firstId, firstId + count);
    else this.#zeroCounts.set(columns.zeroCounts, firstId);
    this.#sums.set(columns.sums, firstId);
    this.#hints.set(columns.hints, firstId);
    this.#bucketAt.set(columns.bucketAt, firstId);
    this.#kept.push(this.#keeps(buckets.byteLength) ? buckets : undefined);
    const { positiveBuckets, negativeBuckets, zeroThreshold, positiveSpans, negativeSpans, customBounds } = columns;
    this.#layout = runLayout(undefined, { ...NO_LAYOUT, schema, zeroThreshold, positiveSpans, negativeSpans, customBounds, positiveBuckets, negativeBuckets }, columns.isFloat);
    return { count, timestampsMs: columns.timestampsMs, startTimestamps: columns.startTimestamps };
  }

  /** The layout of a chunk, mostly that of the chunk before; undefined if it is damaged, or has to be brought to another schema. */
  #layoutOf(chunk: EncodedChunk, data: Uint8Array, isFloat: boolean): RunLayout | undefined {
    const last = this.#layout;
    if (last?.of !== undefined && last.isFloat === isFloat && hasLayout(data, last.of)) return last;
    try {
      const layout = readHistogramLayout(data, chunk.name());
      return layout.schema > SCHEMA_MAX ? undefined : runLayout(layout, layout, isFloat);
    } catch {
      return undefined;
    }
  }
}

function runLayout(of: HistogramChunkLayout | undefined, layout: HistogramChunkLayout, isFloat: boolean): RunLayout {
  const { schema, zeroThreshold, positiveSpans, negativeSpans, customBounds, positiveBuckets, negativeBuckets } = layout;
  const isCustom = schema === CUSTOM_BUCKETS_SCHEMA;
  return {
    of,
    isFloat,
    shared: {
      schema,
      zeroThreshold: isCustom ? 0 : zeroThreshold,
      positiveSpans: spansOf(positiveSpans),
      negativeSpans: isCustom ? NO_SPANS : spansOf(negativeSpans),
      customValues: customBounds,
      positiveBuckets,
      negativeBuckets: isCustom ? 0 : negativeBuckets,
    },
  };
}

function spansOf(pairs: Int32Array): readonly HistogramSpan[] {
  const spans: HistogramSpan[] = [];
  for (let i = 0; i < pairs.length; i += 2) spans.push({ offset: pairs[i]!, length: pairs[i + 1]! });
  return spans;
}
