/**
 * Decodes a batch into columns in kernel memory, and leaves of each series exactly the samples that were asked for.
 *
 *   1 load      all chunks of all series into one region, CRCs checked
 *   2 decode    one call for the whole batch: samples lie series after series
 *   3 trim      samples outside [mint, maxt] go; the rest moves down
 *   4 merge     only where chunks of a series overlap or parts are deleted: by time, the first source wins a timestamp
 */
import { BATCH_NO_ROOM, type Kernels } from '@gauntlet/kernels';
import { CHUNK_ENCODING, type SeriesBatch } from '@gauntlet/model';
import type { Intervals } from '../block/tombstones.ts';
import { TsdbError } from '../errors.ts';
import type { ChunkBatch } from './chunk-batch.ts';
import { KernelRegion, loadIntoKernels } from './load-chunks.ts';
import type { SeriesSource } from './series-source.ts';

/** Names of encodings that are recognised and cannot be decoded. */
const ENCODING_NAMES: Readonly<Record<number, string>> = {
  2: 'native histogram',
  3: 'float native histogram',
  4: 'XOR2',
  5: 'native histogram with start timestamps',
  6: 'float native histogram with start timestamps',
};

/** Error for a chunk that is not XOR. */
export function unsupportedEncoding(source: string, labels: readonly string[], encoding: number): TsdbError {
  const name = ENCODING_NAMES[encoding];
  const what = name === undefined ? `invalid chunk encoding "${encoding}"` : `${name} chunks are not supported yet (encoding ${encoding})`;
  return new TsdbError('ERR_CHUNK_ENCODING', `decode chunk of series ${JSON.stringify(labels)} in ${source}: ${what}`);
}

/** Decodes batches one after the other, reusing its memory. */
export class BatchDecoder {
  readonly #kernels: Kernels;
  readonly #sources: readonly SeriesSource[];
  readonly #region: KernelRegion;
  readonly #descriptors: KernelRegion;
  readonly #timestamps: KernelRegion;
  readonly #values: KernelRegion;

  constructor(kernels: Kernels, sources: readonly SeriesSource[]) {
    this.#kernels = kernels;
    this.#sources = sources;
    this.#region = new KernelRegion(kernels);
    this.#descriptors = new KernelRegion(kernels);
    this.#timestamps = new KernelRegion(kernels);
    this.#values = new KernelRegion(kernels);
  }

  /**
   * Decodes a filled batch. Series without a sample in range are left out.
   * @throws TsdbError ERR_CHUNK_CORRUPT, ERR_CHUNK_ENCODING; KernelError ERR_KERNEL_MEMORY
   */
  decode(batch: ChunkBatch, mint: number, maxt: number): SeriesBatch {
    const kernels = this.#kernels;
    loadIntoKernels(batch, this.#sources, kernels, this.#region);
    const descriptorPtr = this.#descriptors.ensure(batch.count * 8);
    const descriptors = kernels.memory.i32(descriptorPtr, batch.count * 2);
    const counts = new Int32Array(batch.count);
    const regionPtr = this.#region.ptr;
    const bytes = kernels.memory.u8(0, kernels.memory.buffer.byteLength);
    let samples = 0;
    for (let chunk = 0; chunk < batch.count; chunk++) {
      const request = batch.requests[batch.source[chunk]!]!;
      const place = batch.place[chunk]!;
      if (request.encodings[place] !== CHUNK_ENCODING.xor) throw this.#encodingError(batch, chunk, request.encodings[place]!);
      const ptr = regionPtr + request.at[place]!;
      descriptors[chunk * 2] = ptr;
      descriptors[chunk * 2 + 1] = request.bytes[place]!;
      const count = request.bytes[place]! < 2 ? 0 : (bytes[ptr]! << 8) | bytes[ptr + 1]!;
      counts[chunk] = count;
      samples += count;
    }
    const timestampsPtr = this.#timestamps.ensure(samples * 8);
    const valuesPtr = this.#values.ensure(samples * 8);
    const decoded = kernels.decodeXorChunks(descriptorPtr, batch.count, timestampsPtr, valuesPtr, samples);
    if (decoded < 0 && decoded !== BATCH_NO_ROOM) {
      const chunk = -1 - decoded;
      throw new TsdbError('ERR_CHUNK_CORRUPT', `decode chunk of series ${JSON.stringify(this.#labelsOfChunk(batch, chunk))} in ${this.#sources[batch.source[chunk]!]!.name}: XOR data is damaged although its checksum is right`);
    }
    if (decoded !== samples) throw new TsdbError('ERR_CHUNK_CORRUPT', `decode ${batch.count} chunks: got ${decoded} samples, want ${samples}`);

    const timestamps = kernels.memory.f64(timestampsPtr, samples);
    const values = kernels.memory.f64(valuesPtr, samples);
    const offsets = new Int32Array(batch.labels.length + 1);
    const labels: (readonly string[])[] = [];
    let to = 0;
    let from = 0;
    for (let series = 0; series < batch.labels.length; series++) {
      const firstChunk = batch.starts[series]!;
      const endChunk = batch.starts[series + 1]!;
      let end = from;
      let isPlain = true;
      for (let chunk = firstChunk; chunk < endChunk; chunk++) {
        const start = end;
        end += counts[chunk]!;
        if (start > from && start < end && timestamps[start]! <= timestamps[start - 1]!) isPlain = false;
        if (batch.intervals.size > 0 && batch.intervals.has(chunk)) isPlain = false;
      }
      const kept = isPlain
        ? trimSeries(timestamps, values, from, end, to, mint, maxt)
        : mergeOverlapping(timestamps, values, from, to, mint, maxt, counts.subarray(firstChunk, endChunk), (i) => batch.intervals.get(firstChunk + i));
      if (kept > 0) {
        labels.push(batch.labels[series]!);
        to += kept;
        offsets[labels.length] = to;
      }
      from = end;
    }
    return { labels, offsets: offsets.subarray(0, labels.length + 1), timestampsMs: timestamps.subarray(0, to), values: values.subarray(0, to), kernelColumns: { timestampsPtr: timestamps.byteOffset, valuesPtr: values.byteOffset } };
  }

  free(): void {
    for (const region of [this.#region, this.#descriptors, this.#timestamps, this.#values]) region.free();
  }

  #labelsOfChunk(batch: ChunkBatch, chunk: number): readonly string[] {
    let series = 0;
    while (batch.starts[series + 1]! <= chunk) series++;
    return batch.labels[series]!;
  }

  #encodingError(batch: ChunkBatch, chunk: number, encoding: number): TsdbError {
    return unsupportedEncoding(this.#sources[batch.source[chunk]!]!.name, this.#labelsOfChunk(batch, chunk), encoding);
  }
}

/** First index in [low, high) whose timestamp is ≥ `time`. */
function firstAtOrAfter(timestamps: Float64Array, low: number, high: number, time: number): number {
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (timestamps[middle]! < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Moves the samples of [from, end) that lie in [mint, maxt] to `to` ≤ from. Returns how many. */
function trimSeries(timestamps: Float64Array, values: Float64Array, from: number, end: number, to: number, mint: number, maxt: number): number {
  const low = from < end && timestamps[from]! >= mint ? from : firstAtOrAfter(timestamps, from, end, mint);
  const high = low < end && timestamps[end - 1]! <= maxt ? end : firstAtOrAfter(timestamps, low, end, maxt + 1);
  if (low !== to && low < high) {
    timestamps.copyWithin(to, low, high);
    values.copyWithin(to, low, high);
  }
  return high - low;
}

/**
 * Merges chunks that overlap, drops deleted samples, and writes the result at `to` ≤ from.
 * @param counts samples per chunk, lying one after the other from `from` on
 */
export function mergeOverlapping(
  timestamps: Float64Array,
  values: Float64Array,
  from: number,
  to: number,
  mint: number,
  maxt: number,
  counts: Int32Array,
  intervalsOf: (chunk: number) => Intervals | undefined,
): number {
  const order: number[] = [];
  let start = from;
  for (let chunk = 0; chunk < counts.length; chunk++) {
    const intervals = intervalsOf(chunk);
    const end = start + counts[chunk]!;
    for (let i = start; i < end; i++) {
      const time = timestamps[i]!;
      if (time >= mint && time <= maxt && !isDeleted(intervals, time)) order.push(i);
    }
    start = end;
  }
  // Stable: among equal timestamps the earlier chunk, hence the earlier source, stays first.
  order.sort((a, b) => timestamps[a]! - timestamps[b]!);
  const sortedTimes = new Float64Array(order.length);
  // Words, not doubles: a NaN must keep its bits.
  const sortedWords = new Uint32Array(order.length * 2);
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length * 2);
  let kept = 0;
  for (const i of order) {
    if (kept > 0 && sortedTimes[kept - 1] === timestamps[i]) continue;
    sortedTimes[kept] = timestamps[i]!;
    sortedWords[kept * 2] = words[i * 2]!;
    sortedWords[kept * 2 + 1] = words[i * 2 + 1]!;
    kept++;
  }
  timestamps.set(sortedTimes.subarray(0, kept), to);
  words.set(sortedWords.subarray(0, kept * 2), to * 2);
  return kept;
}

function isDeleted(intervals: Intervals | undefined, time: number): boolean {
  if (intervals === undefined) return false;
  for (let i = 0; i < intervals.length; i += 2) if (time >= intervals[i]! && time <= intervals[i + 1]!) return true;
  return false;
}
