/**
 * From chunks of many series to one batch of columns.
 *
 *   add(labels), addChunk(…) …      chunk bytes are copied once, into kernel memory
 *   finish()                        order and split each series' chunks into streams → decode all XOR chunks in one call, or in one for each
 *                                   run of them between other chunks → unite the streams of a series → cut to [mint, maxt] → close gaps
 *
 *   staging   [chunk bytes │ chunk bytes │ … │ slack]
 *   columns   [stream │ stream │ stream │ …]  →  [series │ series │ …]       compacted in place, front to back
 *   beside    ids of histograms, start timestamps                                    only where there are any: SideColumns of tsdb
 *
 * A *stream* is a run of chunks that do not overlap. Overlapping chunks are different replicas' (or the same replica's from two stores,
 * or one Prometheus' blocks that overlap), and streams are united.
 */
import { penaltyRoomBytes, splitOverlappingChunks } from '@gauntlet/dedup';
import { CHUNK_SLACK_BYTES, type Kernels } from '@gauntlet/kernels';
import { CHUNK_ENCODING, type Labels, type SeriesBatch, formatLabels, wordsOf } from '@gauntlet/model';
import { isDecodable, isTsdbError, SideColumns } from '@gauntlet/tsdb';
import { QuerierError } from './errors.ts';
import { KernelBuffer, type MemoryCharge } from './kernel-buffer.ts';
import { type MergeRoom, type SampleStream, type UniteStreams, lowerBound } from './unite-streams.ts';

/** Rows to begin with: those of most batches. */
const SERIES_ROOM = 512;
const CHUNK_ROOM = 4096;

export interface AssemblerOptions {
  readonly kernels: Kernels;
  readonly charge: MemoryCharge;
  /** Samples outside are cut off; ms, inclusive. */
  readonly mint: number;
  readonly maxt: number;
  /** Unites two or more streams of a series. */
  readonly unite: UniteStreams;
}

export class SeriesAssembler {
  readonly #kernels: Kernels;
  readonly #options: AssemblerOptions;
  readonly #staging: KernelBuffer;
  readonly #descriptors: KernelBuffer;
  readonly #columns: KernelBuffer;
  /** What streams of one series are merged into. */
  readonly #room: KernelBuffer;
  #stagedBytes = 0;
  #labels: Labels[] = [];
  /** First chunk of each series; chunks of series i are [chunkStart[i], chunkStart[i + 1]). Columns are kept from batch to batch. */
  #chunkStart: Int32Array = new Int32Array(SERIES_ROOM);
  #chunkCount = 0;
  #chunkOffset: Int32Array = new Int32Array(CHUNK_ROOM);
  #chunkBytes: Int32Array = new Int32Array(CHUNK_ROOM);
  #chunkMint: Float64Array = new Float64Array(CHUNK_ROOM);
  #chunkMaxt: Float64Array = new Float64Array(CHUNK_ROOM);
  #chunkEncoding: Uint8Array = new Uint8Array(CHUNK_ROOM);
  /** Chunks in decoding order, and the first sample of each there. */
  #order: Int32Array = new Int32Array(CHUNK_ROOM);
  #sampleStart: Float64Array = new Float64Array(CHUNK_ROOM + 1);
  /** Streams as ranges of that order, by series. */
  #streamCount = 0;
  #streamSeries: Int32Array = new Int32Array(SERIES_ROOM);
  #streamFirst: Int32Array = new Int32Array(SERIES_ROOM);
  #streamEnd: Int32Array = new Int32Array(SERIES_ROOM);
  /** Chunks that are not XOR. */
  #otherChunks = 0;
  readonly #side: SideColumns;
  /** Chunks decoded in all; the querier shows that its main thread decodes none. */
  decodedChunks = 0;

  constructor(options: AssemblerOptions) {
    this.#options = options;
    this.#kernels = options.kernels;
    const { memory } = options.kernels;
    this.#staging = new KernelBuffer(memory, options.charge);
    this.#descriptors = new KernelBuffer(memory, options.charge);
    this.#columns = new KernelBuffer(memory, options.charge);
    this.#room = new KernelBuffer(memory, options.charge);
    this.#side = new SideColumns(options.charge, options.kernels);
  }

  get seriesCount(): number {
    return this.#labels.length;
  }

  get stagedBytes(): number {
    return this.#stagedBytes;
  }

  /** Begins the next series; labels in ascending order, each once. */
  add(labels: Labels): void {
    this.#chunkStart = withRoom(this.#chunkStart, this.#labels.length + 2);
    this.#chunkStart[this.#labels.length] = this.#chunkCount;
    this.#labels.push(labels);
  }

  /**
   * Adds a chunk to the series begun last; any order.
   * @param data copied
   * @throws QuerierError ERR_CHUNK_ENCODING for aggregate chunks and what nobody knows
   */
  addChunk(mint: number, maxt: number, encoding: number, data: Uint8Array): void {
    if (this.isOutside(mint, maxt)) return;
    this.addStaged(mint, maxt, encoding, this.stage(data, 0, data.length), data.length);
  }

  /** Whether a chunk has no sample that is wanted. */
  isOutside(mint: number, maxt: number): boolean {
    return maxt < this.#options.mint || mint > this.#options.maxt;
  }

  /**
   * Copies bytes [start, end), in which chunks lie; once for all that lie near each other.
   * @returns where they are, for {@link addStaged}
   */
  stage(bytes: Uint8Array, start: number, end: number): number {
    const offset = this.#stagedBytes;
    const length = end - start;
    this.#staging.ensure(offset + length + CHUNK_SLACK_BYTES, offset);
    this.#kernels.memory.u8(this.#staging.ptr + offset, length).set(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end));
    this.#stagedBytes = offset + length;
    return offset;
  }

  /** As {@link addChunk} for a chunk whose data was staged at `offset`. */
  addStaged(mint: number, maxt: number, encoding: number, offset: number, length: number): void {
    if (encoding !== CHUNK_ENCODING.xor && !isDecodable(encoding)) {
      const series = formatLabels(this.#labels[this.#labels.length - 1]!);
      throw new QuerierError('ERR_CHUNK_ENCODING', `decode chunks of ${series}: invalid chunk encoding "${encoding}"`);
    }
    if (length < 2) throw this.#damaged(this.#labels.length - 1, mint);
    const chunk = this.#chunkCount++;
    if (chunk === this.#chunkOffset.length) this.#growChunks();
    this.#chunkOffset[chunk] = offset;
    this.#chunkBytes[chunk] = length;
    this.#chunkMint[chunk] = mint;
    this.#chunkMaxt[chunk] = maxt;
    this.#chunkEncoding[chunk] = encoding;
    if (encoding !== CHUNK_ENCODING.xor) this.#otherChunks++;
  }

  #growChunks(): void {
    const wanted = this.#chunkOffset.length + 1;
    this.#chunkOffset = withRoom(this.#chunkOffset, wanted);
    this.#chunkBytes = withRoom(this.#chunkBytes, wanted);
    this.#chunkMint = withRoom(this.#chunkMint, wanted);
    this.#chunkMaxt = withRoom(this.#chunkMaxt, wanted);
    this.#chunkEncoding = withRoom(this.#chunkEncoding, wanted);
    this.#order = withRoom(this.#order, wanted);
    this.#sampleStart = withRoom(this.#sampleStart, wanted + 1);
  }

  #damaged(series: number, mint: number, cause?: Error): QuerierError {
    const why = cause === undefined ? '' : `: ${cause.message}`;
    return new QuerierError('ERR_CHUNK_DAMAGED', `decode chunks of ${formatLabels(this.#labels[series]!)}: the chunk from ${new Date(mint).toISOString()} does not decode${why}`, cause === undefined ? {} : { cause });
  }

  /**
   * Decodes everything added since the last call. Series left without samples are dropped.
   * @returns a batch that is valid until the next `addChunk` or `finish`
   */
  finish(): SeriesBatch {
    const labels = this.#labels;
    const chunkCount = this.#chunkCount;
    this.#chunkStart = withRoom(this.#chunkStart, labels.length + 1);
    this.#chunkStart[labels.length] = chunkCount;
    this.#splitStreams();
    const order = this.#order;
    const sampleStart = this.#sampleStart;
    const { memory } = this.#kernels;
    // First sample of each chunk in decoding order, from the chunks' own counts.
    const staged = memory.u8(this.#staging.ptr, this.#stagedBytes);
    let total = 0;
    for (let index = 0; index < chunkCount; index++) {
      const chunk = order[index]!;
      sampleStart[index] = total;
      const at = this.#chunkOffset[chunk]!;
      const encoding = this.#chunkEncoding[chunk]!;
      total += encoding === CHUNK_ENCODING.xor ? (staged[at]! << 8) | staged[at + 1]! : SideColumns.samplesOf(encoding, staged.subarray(at, at + this.#chunkBytes[chunk]!));
    }
    sampleStart[chunkCount] = total;
    const side = this.#decode(chunkCount);

    const timestampsMs = memory.f64(this.#columns.ptr, total);
    const values = memory.f64(this.#columns.ptr + 8 * total, total);
    const kept: Labels[] = [];
    const offsets = new Int32Array(labels.length + 1);
    const { mint, maxt } = this.#options;
    const forgetHint = (id: number): void => this.#side.histograms.forgetHint(id);
    const room: MergeRoom = { kernels: this.#kernels, ptr: this.#room.ptr };
    let out = 0;
    for (let series = 0, stream = 0; series < labels.length; series++) {
      const first = stream;
      while (stream < this.#streamCount && this.#streamSeries[stream] === series) stream++;
      if (first === stream) continue;
      const start = out;
      if (stream - first === 1) {
        const from = sampleStart[this.#streamFirst[first]!]!;
        const to = sampleStart[this.#streamEnd[first]!]!;
        const low = lowerBound(timestampsMs, from, to, mint);
        const high = lowerBound(timestampsMs, low, to, maxt + 1);
        if (low !== out) {
          timestampsMs.copyWithin(out, low, high);
          values.copyWithin(out, low, high);
          side?.copyWithin(out, low, high);
        }
        out += high - low;
      } else {
        const parts: SampleStream[] = [];
        for (let index = first; index < stream; index++) {
          const from = sampleStart[this.#streamFirst[index]!]!;
          const to = sampleStart[this.#streamEnd[index]!]!;
          parts.push({ timestampsMs: timestampsMs.subarray(from, to), values: values.subarray(from, to), ...sidesOf(side, from, to) });
        }
        const merged = this.#options.unite(parts, forgetHint, room);
        const low = lowerBound(merged.timestampsMs, 0, merged.timestampsMs.length, mint);
        const high = lowerBound(merged.timestampsMs, low, merged.timestampsMs.length, maxt + 1);
        timestampsMs.set(merged.timestampsMs.subarray(low, high), out);
        values.set(merged.values.subarray(low, high), out);
        putSide(side?.ids, merged.ids?.subarray(low, high), -1, out, high - low);
        putSide(side?.starts, merged.starts?.subarray(low, high), 0, out, high - low);
        out += high - low;
      }
      if (out > start) {
        kept.push(labels[series]!);
        offsets[kept.length] = out;
      }
    }

    this.#labels = [];
    this.#chunkCount = 0;
    this.#otherChunks = 0;
    this.#stagedBytes = 0;
    const batch = { labels: kept, offsets: offsets.subarray(0, kept.length + 1), timestampsMs: timestampsMs.subarray(0, out), values: values.subarray(0, out), kernelColumns: { timestampsPtr: timestampsMs.byteOffset, valuesPtr: values.byteOffset } };
    if (side === undefined) return batch;
    const { ids, starts, histograms } = side;
    return {
      ...batch,
      ...(ids === undefined ? {} : { histograms: { ids: ids.subarray(0, out), get: (id: number) => histograms.get(id), runOf: (id: number) => histograms.runOf(id) } }),
      ...(starts === undefined ? {} : { startTimestamps: starts.subarray(0, out) }),
    };
  }

  /** Frees all kernel memory; the last batch is gone. */
  dispose(): void {
    this.#side.reset(0);
    this.#staging.free();
    this.#descriptors.free();
    this.#columns.free();
    this.#room.free();
  }

  /** Chunk numbers in decoding order, and the streams as ranges of that order. */
  #splitStreams(): void {
    const order = this.#order;
    let count = 0;
    this.#streamCount = 0;
    for (let series = 0; series < this.#labels.length; series++) {
      const from = this.#chunkStart[series]!;
      const to = this.#chunkStart[series + 1]!;
      if (from === to) continue;
      let ordered = true;
      for (let chunk = from + 1; chunk < to && ordered; chunk++) ordered = this.#chunkMint[chunk]! > this.#chunkMaxt[chunk - 1]!;
      if (ordered) {
        for (let chunk = from; chunk < to; chunk++) order[count++] = chunk;
        this.#addStream(series, count - (to - from), count);
        continue;
      }
      const sorted = Array.from({ length: to - from }, (_unused, index) => from + index);
      sorted.sort((a, b) => this.#chunkMint[a]! - this.#chunkMint[b]! || this.#chunkMaxt[a]! - this.#chunkMaxt[b]! || a - b);
      const streamOf = new Int32Array(sorted.length);
      const streams = splitOverlappingChunks(sorted.map((chunk) => this.#chunkMint[chunk]!), sorted.map((chunk) => this.#chunkMaxt[chunk]!), streamOf);
      for (let number = 0; number < streams; number++) {
        const first = count;
        for (let index = 0; index < sorted.length; index++) if (streamOf[index] === number) order[count++] = sorted[index]!;
        this.#addStream(series, first, count);
      }
    }
  }

  #addStream(series: number, first: number, end: number): void {
    const stream = this.#streamCount++;
    this.#streamSeries = withRoom(this.#streamSeries, stream + 1);
    this.#streamFirst = withRoom(this.#streamFirst, stream + 1);
    this.#streamEnd = withRoom(this.#streamEnd, stream + 1);
    this.#streamSeries[stream] = series;
    this.#streamFirst[stream] = first;
    this.#streamEnd[stream] = end;
  }

  /**
   * Decodes the chunks of the order one behind the other into the columns.
   * @returns what lies beside the samples; undefined if all chunks are XOR
   */
  #decode(count: number): SideColumns | undefined {
    const { memory } = this.#kernels;
    const order = this.#order;
    const sampleStart = this.#sampleStart;
    const total = sampleStart[count]!;
    this.#descriptors.ensure(8 * count);
    this.#columns.ensure(16 * total);
    this.#room.ensure(this.#roomBytes());
    const descriptors = memory.i32(this.#descriptors.ptr, 2 * count);
    for (let index = 0; index < count; index++) {
      const chunk = order[index]!;
      descriptors[2 * index] = this.#staging.ptr + this.#chunkOffset[chunk]!;
      descriptors[2 * index + 1] = this.#chunkBytes[chunk]!;
    }
    this.decodedChunks += count;
    const side = this.#side;
    side.reset(total);
    if (this.#otherChunks === 0) {
      this.#decodeXor(0, count, total);
      return undefined;
    }
    for (let first = 0; first < count; ) {
      let end = first;
      while (end < count && this.#chunkEncoding[order[end]!] === CHUNK_ENCODING.xor) end++;
      if (end > first) this.#decodeXor(first, end, total);
      else {
        this.#decodeOther(order[end]!, sampleStart[end]!, sampleStart[end + 1]! - sampleStart[end]!, total);
        end++;
      }
      first = end;
    }
    return side;
  }

  /** Room for the largest merge of a series' streams. */
  #roomBytes(): number {
    let bytes = 0;
    for (let first = 0, end = 0; first < this.#streamCount; first = end) {
      while (end < this.#streamCount && this.#streamSeries[end] === this.#streamSeries[first]) end++;
      if (end - first === 1) continue;
      const samples = this.#sampleStart[this.#streamEnd[end - 1]!]! - this.#sampleStart[this.#streamFirst[first]!]!;
      bytes = Math.max(bytes, penaltyRoomBytes(samples, end - first));
    }
    return bytes;
  }

  /** Decodes chunks [first, end) of the order, all XOR. @param total samples of the columns */
  #decodeXor(first: number, end: number, total: number): void {
    const from = this.#sampleStart[first]!;
    const wanted = this.#sampleStart[end]! - from;
    const timesPtr = this.#columns.ptr + 8 * from;
    const decoded = this.#kernels.decodeXorChunks(this.#descriptors.ptr + 8 * first, end - first, timesPtr, timesPtr + 8 * total, wanted);
    if (decoded === wanted) return;
    const chunk = this.#order[decoded < 0 ? first - 1 - decoded : first] ?? 0;
    throw this.#damaged(this.#seriesOf(chunk), this.#chunkMint[chunk]!);
  }

  /** Decodes one chunk that is not XOR to sample `at` of the columns. Its bytes stay staged as long as the batch is valid. */
  #decodeOther(chunk: number, at: number, samples: number, total: number): void {
    const { memory } = this.#kernels;
    const offset = this.#chunkOffset[chunk]!;
    const length = this.#chunkBytes[chunk]!;
    const labels = this.#labels[this.#seriesOf(chunk)]!;
    const name = (): string => formatLabels(labels);
    const encoded = { encoding: this.#chunkEncoding[chunk]!, data: () => memory.u8(this.#staging.ptr + offset, length), name };
    try {
      if (encoded.encoding === CHUNK_ENCODING.xor2) {
        const ptr = this.#columns.ptr + 8 * at;
        this.#side.putXor2(this.#kernels, { ptr: this.#staging.ptr + offset, bytes: length, samples, name }, at, ptr, ptr + 8 * total);
      } else this.#side.put(encoded, at, () => ({ timestampsMs: memory.f64(this.#columns.ptr, total), valueWords: wordsOf(memory.f64(this.#columns.ptr + 8 * total, total)) }));
    } catch (error) {
      throw isTsdbError(error, 'ERR_CHUNK_CORRUPT') ? this.#damaged(this.#seriesOf(chunk), this.#chunkMint[chunk]!, error) : error;
    }
  }

  #seriesOf(chunk: number): number {
    let series = 0;
    while (this.#chunkStart[series + 1]! <= chunk) series++;
    return series;
  }
}

/** The part of the side columns that belongs to a stream; histograms only if it has any. */
function sidesOf(side: SideColumns | undefined, from: number, to: number): Pick<SampleStream, 'ids' | 'starts'> {
  const ids = side?.ids?.subarray(from, to);
  const starts = side?.starts?.subarray(from, to);
  return { ...(ids === undefined || ids.every((id) => id < 0) ? {} : { ids }), ...(starts === undefined ? {} : { starts }) };
}

/** Puts what was merged at `out`; nothing merged means that no sample has one. */
function putSide<T extends Int32Array | Float64Array>(column: T | undefined, merged: T | undefined, none: number, out: number, count: number): void {
  if (merged === undefined) column?.fill(none, out, out + count);
  else column?.set(merged, out);
}

/** Makes room by doubling. */
function withRoom<T extends Int32Array | Float64Array | Uint8Array>(column: T, wanted: number): T {
  if (wanted <= column.length) return column;
  const grown = new (column.constructor as new (length: number) => T)(Math.max(wanted, 2 * column.length));
  grown.set(column);
  return grown;
}
