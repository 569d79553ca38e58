/**
 * From chunks of many series to one batch of columns.
 *
 *   add(labels), addChunk(…) …      chunk bytes are copied once, into kernel memory
 *   finish()                        order and split each series' chunks into streams → decode all of them in one call
 *                                   → unite the streams of a series → cut to [mint, maxt] → close the gaps
 *
 *   staging   [chunk bytes │ chunk bytes │ … │ slack]
 *   columns   [stream │ stream │ stream │ …]  →  [series │ series │ …]       compacted in place, front to back
 *
 * A *stream* is a run of chunks that do not overlap. With deduplication overlapping chunks are different replicas' (or the same
 * replica's from two stores) and the dedup function unites the streams; without it later chunks only add what is newer.
 */
import { type ReplicaColumns, splitOverlappingChunks } from '@gauntlet/dedup';
import { CHUNK_SLACK_BYTES, type Kernels } from '@gauntlet/kernels';
import { CHUNK_ENCODING, type Labels, type SeriesBatch, formatLabels, wordsOf } from '@gauntlet/model';
import { QuerierError } from './errors.ts';
import { KernelBuffer, type MemoryCharge } from './kernel-buffer.ts';

/** Columns of merged samples; the views stay valid until the next merge. It must not allocate kernel memory: that would detach the streams. */
export type UniteStreams = (streams: readonly ReplicaColumns[]) => ReplicaColumns;

export interface AssemblerOptions {
  readonly kernels: Kernels;
  readonly charge: MemoryCharge;
  /** Samples outside are cut off; ms, inclusive. */
  readonly mint: number;
  readonly maxt: number;
  /** Unites two or more streams of a series; undefined keeps what is newer, chunk after chunk. */
  readonly unite: UniteStreams | undefined;
}

const ENCODING_NAMES: ReadonlyMap<number, string> = new Map([
  [CHUNK_ENCODING.histogram, 'native histogram'],
  [CHUNK_ENCODING.floatHistogram, 'native float histogram'],
  [CHUNK_ENCODING.xor2, 'XOR2'],
]);

export class SeriesAssembler {
  readonly #kernels: Kernels;
  readonly #options: AssemblerOptions;
  readonly #staging: KernelBuffer;
  readonly #descriptors: KernelBuffer;
  readonly #columns: KernelBuffer;
  #stagedBytes = 0;
  #labels: Labels[] = [];
  /** First chunk of each series; chunks of series i are [chunkStart[i], chunkStart[i + 1]). */
  #chunkStart: number[] = [];
  #chunkOffset: number[] = [];
  #chunkBytes: number[] = [];
  #chunkMint: number[] = [];
  #chunkMaxt: number[] = [];
  /** Chunks decoded in all; the querier shows that its main thread decodes none. */
  decodedChunks = 0;

  constructor(options: AssemblerOptions) {
    this.#options = options;
    this.#kernels = options.kernels;
    const { memory } = options.kernels;
    this.#staging = new KernelBuffer(memory, options.charge);
    this.#descriptors = new KernelBuffer(memory, options.charge);
    this.#columns = new KernelBuffer(memory, options.charge);
  }

  get seriesCount(): number {
    return this.#labels.length;
  }

  get stagedBytes(): number {
    return this.#stagedBytes;
  }

  /** Begins the next series; labels in ascending order, each once. */
  add(labels: Labels): void {
    this.#labels.push(labels);
    this.#chunkStart.push(this.#chunkOffset.length);
  }

  /**
   * Adds a chunk to the series begun last; any order.
   * @param data copied
   * @throws QuerierError ERR_CHUNK_ENCODING for what is not XOR
   */
  addChunk(mint: number, maxt: number, encoding: number, data: Uint8Array): void {
    if (maxt < this.#options.mint || mint > this.#options.maxt) return;
    if (encoding !== CHUNK_ENCODING.xor) {
      const series = formatLabels(this.#labels[this.#labels.length - 1]!);
      const kind = ENCODING_NAMES.get(encoding) ?? `encoding ${encoding}`;
      throw new QuerierError('ERR_CHUNK_ENCODING', `decode chunks of ${series}: ${kind} chunks are not supported yet`);
    }
    if (data.length < 2) throw this.#damaged(this.#labels.length - 1, mint);
    this.#staging.ensure(this.#stagedBytes + data.length + CHUNK_SLACK_BYTES, this.#stagedBytes);
    this.#kernels.memory.u8(this.#staging.ptr + this.#stagedBytes, data.length).set(data);
    this.#chunkOffset.push(this.#stagedBytes);
    this.#chunkBytes.push(data.length);
    this.#chunkMint.push(mint);
    this.#chunkMaxt.push(maxt);
    this.#stagedBytes += data.length;
  }

  #damaged(series: number, mint: number): QuerierError {
    return new QuerierError('ERR_CHUNK_DAMAGED', `decode chunks of ${formatLabels(this.#labels[series]!)}: the chunk from ${new Date(mint).toISOString()} does not decode`);
  }

  /**
   * Decodes everything added since the last call. Series left without samples are dropped.
   * @returns a batch that is valid until the next `addChunk` or `finish`
   */
  finish(): SeriesBatch {
    const labels = this.#labels;
    const chunkCount = this.#chunkOffset.length;
    this.#chunkStart.push(chunkCount);
    const { streams, order } = this.#splitStreams();
    this.#decode(order);

    // Samples per stream from the chunks' own counts (their first two bytes).
    const { memory } = this.#kernels;
    const staged = memory.u8(this.#staging.ptr, this.#stagedBytes);
    let total = 0;
    const sampleStart: number[] = [];
    for (const chunk of order) {
      sampleStart.push(total);
      const at = this.#chunkOffset[chunk]!;
      total += (staged[at]! << 8) | staged[at + 1]!;
    }
    sampleStart.push(total);

    const timestampsMs = memory.f64(this.#columns.ptr, total);
    const values = memory.f64(this.#columns.ptr + 8 * total, total);
    const kept: Labels[] = [];
    const offsets: number[] = [0];
    let out = 0;
    for (let series = 0, stream = 0; series < labels.length; series++) {
      const first = stream;
      while (stream < streams.length && streams[stream]!.series === series) stream++;
      if (first === stream) continue;
      const start = out;
      if (stream - first === 1) {
        const { firstChunk, endChunk, overlaps } = streams[first]!;
        out = this.#keep(timestampsMs, values, sampleStart[firstChunk]!, sampleStart[endChunk]!, out, overlaps);
      } else {
        const parts: ReplicaColumns[] = [];
        for (let index = first; index < stream; index++) {
          const from = sampleStart[streams[index]!.firstChunk]!;
          const to = sampleStart[streams[index]!.endChunk]!;
          parts.push({ timestampsMs: timestampsMs.subarray(from, to), values: values.subarray(from, to) });
        }
        const merged = this.#options.unite!(parts);
        const [low, high] = this.#bounds(merged.timestampsMs, 0, merged.timestampsMs.length);
        timestampsMs.set(merged.timestampsMs.subarray(low, high), out);
        values.set(merged.values.subarray(low, high), out);
        out += high - low;
      }
      if (out > start) {
        kept.push(labels[series]!);
        offsets.push(out);
      }
    }

    this.#labels = [];
    this.#chunkStart = [];
    this.#chunkOffset = [];
    this.#chunkBytes = [];
    this.#chunkMint = [];
    this.#chunkMaxt = [];
    this.#stagedBytes = 0;
    return { labels: kept, offsets: Int32Array.from(offsets), timestampsMs: timestampsMs.subarray(0, out), values: values.subarray(0, out), kernelColumns: { timestampsPtr: timestampsMs.byteOffset, valuesPtr: values.byteOffset } };
  }

  /** Frees all kernel memory; the last batch is gone. */
  dispose(): void {
    this.#staging.free();
    this.#descriptors.free();
    this.#columns.free();
  }

  /** Chunk numbers in decoding order, and the streams as ranges of that order. */
  #splitStreams(): { readonly order: readonly number[]; readonly streams: readonly { readonly series: number; readonly firstChunk: number; readonly endChunk: number; readonly overlaps: boolean }[] } {
    const order: number[] = [];
    const streams: { series: number; firstChunk: number; endChunk: number; overlaps: boolean }[] = [];
    for (let series = 0; series < this.#labels.length; series++) {
      const from = this.#chunkStart[series]!;
      const to = this.#chunkStart[series + 1]!;
      if (from === to) continue;
      let ordered = true;
      for (let chunk = from + 1; chunk < to && ordered; chunk++) ordered = this.#chunkMint[chunk]! > this.#chunkMaxt[chunk - 1]!;
      if (ordered) {
        const firstChunk = order.length;
        for (let chunk = from; chunk < to; chunk++) order.push(chunk);
        streams.push({ series, firstChunk, endChunk: order.length, overlaps: false });
        continue;
      }
      const sorted = Array.from({ length: to - from }, (_unused, index) => from + index);
      sorted.sort((a, b) => this.#chunkMint[a]! - this.#chunkMint[b]! || this.#chunkMaxt[a]! - this.#chunkMaxt[b]! || a - b);
      if (this.#options.unite === undefined) {
        const firstChunk = order.length;
        order.push(...sorted);
        streams.push({ series, firstChunk, endChunk: order.length, overlaps: true });
        continue;
      }
      const streamOf = new Int32Array(sorted.length);
      const count = splitOverlappingChunks(sorted.map((chunk) => this.#chunkMint[chunk]!), sorted.map((chunk) => this.#chunkMaxt[chunk]!), streamOf);
      for (let number = 0; number < count; number++) {
        const firstChunk = order.length;
        sorted.forEach((chunk, index) => streamOf[index] === number && order.push(chunk));
        streams.push({ series, firstChunk, endChunk: order.length, overlaps: false });
      }
    }
    return { order, streams };
  }

  #decode(order: readonly number[]): void {
    const { memory } = this.#kernels;
    this.#descriptors.ensure(8 * order.length);
    const fill = (): void => {
      const descriptors = memory.i32(this.#descriptors.ptr, 2 * order.length);
      order.forEach((chunk, index) => {
        descriptors[2 * index] = this.#staging.ptr + this.#chunkOffset[chunk]!;
        descriptors[2 * index + 1] = this.#chunkBytes[chunk]!;
      });
    };
    fill();
    const total = this.#kernels.countXorSamples(this.#descriptors.ptr, order.length);
    this.#columns.ensure(16 * total);
    const decoded = this.#kernels.decodeXorChunks(this.#descriptors.ptr, order.length, this.#columns.ptr, this.#columns.ptr + 8 * total, total);
    if (decoded !== total) {
      const chunk = order[decoded < 0 ? -1 - decoded : 0] ?? 0;
      let series = 0;
      while (this.#chunkStart[series + 1]! <= chunk) series++;
      throw this.#damaged(series, this.#chunkMint[chunk]!);
    }
    this.decodedChunks += order.length;
  }

  /** [low, high) of samples inside [mint, maxt] within [from, to) of ascending timestamps. */
  #bounds(timestampsMs: Float64Array, from: number, to: number): [number, number] {
    const { mint, maxt } = this.#options;
    return [lowerBound(timestampsMs, from, to, mint), lowerBound(timestampsMs, from, to, maxt + 1)];
  }

  /** Moves the wanted samples of [from, to) to `out`; with overlaps only those newer than all before. @returns the new end */
  #keep(timestampsMs: Float64Array, values: Float64Array, from: number, to: number, out: number, overlaps: boolean): number {
    if (!overlaps) {
      const [low, high] = this.#bounds(timestampsMs, from, to);
      timestampsMs.copyWithin(out, low, high);
      values.copyWithin(out, low, high);
      return out + high - low;
    }
    const { mint, maxt } = this.#options;
    const bits = wordsOf(values);
    let last = mint - 1;
    for (let index = from; index < to; index++) {
      const t = timestampsMs[index]!;
      if (t <= last || t > maxt) continue;
      last = t;
      timestampsMs[out] = t;
      // By words: a stale marker's bits do not survive every engine's float moves.
      bits[2 * out] = bits[2 * index]!;
      bits[2 * out + 1] = bits[2 * index + 1]!;
      out++;
    }
    return out;
  }
}

/** First index in [from, to) whose timestamp is at least `t`; `to` if none. */
export function lowerBound(timestampsMs: Float64Array, from: number, to: number, t: number): number {
  let low = from;
  let high = to;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (timestampsMs[middle]! < t) low = middle + 1;
    else high = middle;
  }
  return low;
}
