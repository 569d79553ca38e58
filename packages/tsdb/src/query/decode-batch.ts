/**
 * Decodes a batch into columns in kernel memory, and leaves of each series exactly the samples that were asked for.
 *
 *   1 load      all chunks of all series into one region, CRCs checked
 *   2 decode    one call for the whole batch: samples lie series after series, cut to the range where chunks reach out of it. With other
 *               chunks than XOR among them a call for each run of
 *               XOR chunks, whole, and the others between (side-columns.ts: which samples are histograms, start timestamps)
 *   3 trim      samples outside [mint, maxt] go; the rest moves down
 *   4 merge     only where chunks of a series overlap or parts are deleted: by time, each timestamp once, chosen as Prometheus chains
 *               samples (compact/chain-samples.ts); a histogram whose neighbour changed no longer says whether its counters were reset
 */
import { BATCH_NO_ROOM, type Kernels } from '@gauntlet/kernels';
import { CHUNK_ENCODING, type SeriesBatch, wordsOf } from '@gauntlet/model';
import type { Intervals } from '../block/tombstones.ts';
import { chainOrder } from '../compact/chain-samples.ts';
import { TsdbError } from '../errors.ts';
import type { ChunkBatch } from './chunk-batch.ts';
import { KernelRegion, loadIntoKernels } from './load-chunks.ts';
import type { SeriesSource } from './series-source.ts';
import { isDecodable, SideColumns } from './side-columns.ts';

/** Decodes batches one after the other, reusing its memory. */
export class BatchDecoder {
  readonly #kernels: Kernels;
  readonly #sources: readonly SeriesSource[];
  readonly #region: KernelRegion;
  readonly #descriptors: KernelRegion;
  readonly #timestamps: KernelRegion;
  readonly #values: KernelRegion;
  readonly #side: SideColumns;

  constructor(kernels: Kernels, sources: readonly SeriesSource[]) {
    this.#kernels = kernels;
    this.#sources = sources;
    this.#side = new SideColumns(undefined, kernels);
    this.#region = new KernelRegion(kernels);
    this.#descriptors = new KernelRegion(kernels);
    this.#timestamps = new KernelRegion(kernels);
    this.#values = new KernelRegion(kernels);
  }

  /**
   * Decodes a filled batch. Series without a sample in range are left out.
   * @param newestOnly other samples than the newest of a series may be left out
   * @throws TsdbError ERR_CHUNK_CORRUPT, ERR_CHUNK_ENCODING; KernelError ERR_KERNEL_MEMORY
   */
  decode(batch: ChunkBatch, mint: number, maxt: number, newestOnly = false): SeriesBatch {
    const kernels = this.#kernels;
    loadIntoKernels(batch, this.#sources, kernels, this.#region);
    const newest = newestOnly ? this.#decodeNewest(batch, mint, maxt) : undefined;
    if (newest !== undefined) return newest;
    const descriptorPtr = this.#descriptors.ensure(batch.count * 12);
    const descriptors = kernels.memory.i32(descriptorPtr, batch.count * 2);
    const counts = new Int32Array(batch.count);
    const regionPtr = this.#region.ptr;
    const bytes = kernels.memory.u8(0, kernels.memory.buffer.byteLength);
    let samples = 0;
    let others = 0;
    const { source: sources, place: places, requests } = batch;
    for (let chunk = 0; chunk < batch.count; chunk++) {
      const request = requests[sources[chunk]!]!;
      const place = places[chunk]!;
      const ptr = regionPtr + request.at[place]!;
      const length = request.bytes[place]!;
      descriptors[chunk * 2] = ptr;
      descriptors[chunk * 2 + 1] = length;
      let count = length < 2 ? 0 : (bytes[ptr]! << 8) | bytes[ptr + 1]!;
      const encoding = request.encodings[place]!;
      if (encoding !== CHUNK_ENCODING.xor) {
        if (!isDecodable(encoding)) throw this.#encodingError(batch, chunk, encoding);
        count = SideColumns.samplesOf(encoding, bytes.subarray(ptr, ptr + length));
        others++;
      }
      counts[chunk] = count;
      samples += count;
    }
    const timestampsPtr = this.#timestamps.ensure(samples * 8);
    const valuesPtr = this.#values.ensure(samples * 8);
    this.#side.reset(samples);
    if (others === 0) samples = this.#decodeWithin(batch, mint, maxt, counts, timestampsPtr, valuesPtr, samples);
    else this.#decodeMixed(batch, counts, timestampsPtr, valuesPtr, samples);

    const timestamps = kernels.memory.f64(timestampsPtr, samples);
    const values = kernels.memory.f64(valuesPtr, samples);
    const side = others === 0 ? undefined : this.#side;
    const offsets = new Int32Array(batch.labels.length + 1);
    const labels: (readonly string[])[] = [];
    let to = 0;
    let from = 0;
    const hasIntervals = batch.intervals.size > 0;
    const { starts } = batch;
    for (let series = 0; series < batch.labels.length; series++) {
      const firstChunk = starts[series]!;
      const endChunk = starts[series + 1]!;
      let end = from;
      let isPlain = true;
      for (let chunk = firstChunk; chunk < endChunk; chunk++) {
        const start = end;
        end += counts[chunk]!;
        if (start > from && start < end && timestamps[start]! <= timestamps[start - 1]!) isPlain = false;
        if (hasIntervals && batch.intervals.has(chunk)) isPlain = false;
      }
      const kept = isPlain
        ? trimSeries(timestamps, values, side, from, end, to, mint, maxt)
        : mergeOverlapping(timestamps, values, from, to, mint, maxt, counts.subarray(firstChunk, endChunk), (i) => batch.intervals.get(firstChunk + i), side);
      if (kept > 0) {
        labels.push(batch.labels[series]!);
        to += kept;
        offsets[labels.length] = to;
      }
      from = end;
    }
    const columns = { labels, offsets: offsets.subarray(0, labels.length + 1), timestampsMs: timestamps.subarray(0, to), values: values.subarray(0, to), kernelColumns: { timestampsPtr: timestamps.byteOffset, valuesPtr: values.byteOffset } };
    if (side?.ids === undefined && side?.starts === undefined) return columns;
    const { ids, starts: startTimestamps, histograms } = side;
    return {
      ...columns,
      ...(ids === undefined ? {} : { histograms: histograms.column(ids.subarray(0, to)) }),
      ...(startTimestamps === undefined ? {} : { startTimestamps: startTimestamps.subarray(0, to) }),
    };
  }

  /** Decodes of each chunk the newest sample in the range; undefined where that does not tell which the newest one of a series is, or there is damage. */
  #decodeNewest(batch: ChunkBatch, mint: number, maxt: number): SeriesBatch | undefined {
    const { count, starts, source: sources, place: places, requests } = batch;
    if (batch.intervals.size > 0 || overlap(batch)) return undefined;
    const { memory } = this.#kernels;
    const regionPtr = this.#region.ptr;
    const descriptorPtr = this.#descriptors.ensure(count * 12);
    const timestampsPtr = this.#timestamps.ensure(count * 8);
    const valuesPtr = this.#values.ensure(count * 8);
    const descriptors = memory.i32(descriptorPtr, count * 2);
    for (let chunk = 0; chunk < count; chunk++) {
      const request = requests[sources[chunk]!]!;
      const place = places[chunk]!;
      if (request.encodings[place] !== CHUNK_ENCODING.xor) return undefined;
      descriptors[chunk * 2] = regionPtr + request.at[place]!;
      descriptors[chunk * 2 + 1] = request.bytes[place]!;
    }
    const countsPtr = descriptorPtr + count * 8;
    const samples = this.#kernels.decodeXorChunksNewest(descriptorPtr, count, mint, maxt, timestampsPtr, valuesPtr, countsPtr);
    if (samples < 0) return undefined;
    const counts = memory.i32(countsPtr, count);
    const offsets = new Int32Array(batch.labels.length + 1);
    const labels: (readonly string[])[] = [];
    let to = 0;
    for (let series = 0; series < batch.labels.length; series++) {
      const from = to;
      for (let chunk = starts[series]!; chunk < starts[series + 1]!; chunk++) to += counts[chunk]!;
      if (to === from) continue;
      labels.push(batch.labels[series]!);
      offsets[labels.length] = to;
    }
    return { labels, offsets: offsets.subarray(0, labels.length + 1), timestampsMs: memory.f64(timestampsPtr, to), values: memory.f64(valuesPtr, to), kernelColumns: { timestampsPtr, valuesPtr } };
  }

  /** Decodes chunks that are all XOR; of one that reaches out of the range only what lies within. @returns samples, `counts` says of which chunk */
  #decodeWithin(batch: ChunkBatch, mint: number, maxt: number, counts: Int32Array, timestampsPtr: number, valuesPtr: number, samples: number): number {
    if (!reachesOut(batch, mint, maxt)) {
      this.#decodeXor(batch, 0, batch.count, timestampsPtr, valuesPtr, samples);
      return samples;
    }
    const countsPtr = this.#descriptors.ptr + batch.count * 8;
    const kept = this.#kernels.decodeXorChunksWithin(this.#descriptors.ptr, batch.count, mint, maxt, timestampsPtr, valuesPtr, countsPtr, samples);
    if (kept < 0) throw this.#damaged(batch, 0, batch.count, kept, samples);
    counts.set(this.#kernels.memory.i32(countsPtr, batch.count));
    return kept;
  }

  /** Decodes chunks [first, end), all XOR, to these addresses. */
  #decodeXor(batch: ChunkBatch, first: number, end: number, timestampsPtr: number, valuesPtr: number, samples: number): void {
    const decoded = this.#kernels.decodeXorChunks(this.#descriptors.ptr + first * 8, end - first, timestampsPtr, valuesPtr, samples);
    if (decoded !== samples) throw this.#damaged(batch, first, end, decoded, samples);
  }

  /** What a kernel's answer about chunks [first, end) means. */
  #damaged(batch: ChunkBatch, first: number, end: number, decoded: number, samples: number): TsdbError {
    if (decoded >= 0 || decoded === BATCH_NO_ROOM) return new TsdbError('ERR_CHUNK_CORRUPT', `decode ${end - first} chunks: got ${decoded} samples, want ${samples}`);
    const chunk = first - 1 - decoded;
    const labels = JSON.stringify(this.#labelsOfChunk(batch, chunk));
    return new TsdbError('ERR_CHUNK_CORRUPT', `decode chunk of series ${labels} in ${this.#sources[batch.source[chunk]!]!.name}: XOR data is damaged although its checksum is right`);
  }

  /** Decodes chunks of several encodings, each to its place. */
  #decodeMixed(batch: ChunkBatch, counts: Int32Array, timestampsPtr: number, valuesPtr: number, samples: number): void {
    const { memory } = this.#kernels;
    let at = 0;
    for (let chunk = 0; chunk < batch.count; ) {
      let end = chunk;
      let inRun = 0;
      while (end < batch.count && encodingOf(batch, end) === CHUNK_ENCODING.xor) inRun += counts[end++]!;
      if (end > chunk) {
        this.#decodeXor(batch, chunk, end, timestampsPtr + at * 8, valuesPtr + at * 8, inRun);
        at += inRun;
        chunk = end;
        continue;
      }
      const encoding = encodingOf(batch, chunk);
      const request = batch.requests[batch.source[chunk]!]!;
      const place = batch.place[chunk]!;
      const [offset, length] = [request.at[place]!, request.bytes[place]!];
      const [labels, source] = [this.#labelsOfChunk(batch, chunk), this.#sources[batch.source[chunk]!]!.name];
      // The region stays where it is until the next batch, whatever happens to views of it.
      const name = (): string => `series ${JSON.stringify(labels)} in ${source}`;
      const encoded = { encoding, data: () => memory.u8(this.#region.ptr + offset, length), name };
      if (encoding === CHUNK_ENCODING.xor2) {
        this.#side.putXor2(this.#kernels, { ptr: this.#region.ptr + offset, bytes: length, samples: counts[chunk]!, name }, at, timestampsPtr + at * 8, valuesPtr + at * 8);
      } else this.#side.put(encoded, at, () => ({ timestampsMs: memory.f64(timestampsPtr, samples), valueWords: wordsOf(memory.f64(valuesPtr, samples)) }));
      at += counts[chunk]!;
      chunk++;
    }
  }

  free(): void {
    this.#side.reset(0);
    for (const region of [this.#region, this.#descriptors, this.#timestamps, this.#values]) region.free();
  }

  #labelsOfChunk(batch: ChunkBatch, chunk: number): readonly string[] {
    let series = 0;
    while (batch.starts[series + 1]! <= chunk) series++;
    return batch.labels[series]!;
  }

  #encodingError(batch: ChunkBatch, chunk: number, encoding: number): TsdbError {
    const source = this.#sources[batch.source[chunk]!]!.name;
    return new TsdbError('ERR_CHUNK_ENCODING', `decode chunk of series ${JSON.stringify(this.#labelsOfChunk(batch, chunk))} in ${source}: invalid chunk encoding "${encoding}"`);
  }
}

/** Whether some chunk of a series begins before the one before it has ended. */
function overlap({ labels, starts, mint, maxt }: ChunkBatch): boolean {
  for (let series = 0; series < labels.length; series++) {
    for (let chunk = starts[series]! + 1; chunk < starts[series + 1]!; chunk++) if (mint[chunk]! <= maxt[chunk - 1]!) return true;
  }
  return false;
}

/** Whether some chunk has samples outside of [mint, maxt]. */
function reachesOut(batch: ChunkBatch, mint: number, maxt: number): boolean {
  for (let chunk = 0; chunk < batch.count; chunk++) if (batch.mint[chunk]! < mint || batch.maxt[chunk]! > maxt) return true;
  return false;
}

function encodingOf(batch: ChunkBatch, chunk: number): number {
  return batch.requests[batch.source[chunk]!]!.encodings[batch.place[chunk]!]!;
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
function trimSeries(timestamps: Float64Array, values: Float64Array, side: SideColumns | undefined, from: number, end: number, to: number, mint: number, maxt: number): number {
  const low = from < end && timestamps[from]! >= mint ? from : firstAtOrAfter(timestamps, from, end, mint);
  const high = low < end && timestamps[end - 1]! <= maxt ? end : firstAtOrAfter(timestamps, low, end, maxt + 1);
  if (low !== to && low < high) {
    timestamps.copyWithin(to, low, high);
    values.copyWithin(to, low, high);
    side?.copyWithin(to, low, high);
  }
  return high - low;
}

/**
 * Merges chunks that overlap, drops deleted samples, and writes the result at `to` ≤ from.
 * @param counts samples per chunk, lying one after the other from `from` on
 * @param side what lies beside the values, moved with them
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
  side?: SideColumns,
): number {
  let total = 0;
  for (let chunk = 0; chunk < counts.length; chunk++) total += counts[chunk]!;
  // What is left of each chunk is a run.
  const places = new Int32Array(total);
  const times = new Float64Array(total);
  const starts = new Int32Array(counts.length);
  const ends = new Int32Array(counts.length);
  let runs = 0;
  let left = 0;
  for (let chunk = 0, start = from; chunk < counts.length; chunk++) {
    const intervals = intervalsOf(chunk);
    const end = start + counts[chunk]!;
    const first = left;
    for (let i = start; i < end; i++) {
      const time = timestamps[i]!;
      if (time < mint || time > maxt || isDeleted(intervals, time)) continue;
      places[left] = i;
      times[left++] = time;
    }
    if (left > first) {
      starts[runs] = first;
      ends[runs++] = left;
    }
    start = end;
  }
  if (runs === 0) return 0;
  const order = new Int32Array(left);
  const kept = chainOrder(times.subarray(0, left), starts.subarray(0, runs), ends.subarray(0, runs), order);
  if (side !== undefined) forgetHintsAtSeams(order.subarray(0, kept), places, side, starts.subarray(0, runs));
  // Words, not doubles: a NaN must keep its bits.
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length * 2);
  const merged = new Uint32Array(kept * 2);
  const mergedTimes = new Float64Array(kept);
  const mergedIds = side?.ids === undefined ? undefined : new Int32Array(kept);
  const mergedStarts = side?.starts === undefined ? undefined : new Float64Array(kept);
  for (let k = 0; k < kept; k++) {
    const i = places[order[k]!]!;
    mergedTimes[k] = timestamps[i]!;
    merged[k * 2] = words[i * 2]!;
    merged[k * 2 + 1] = words[i * 2 + 1]!;
    if (mergedIds !== undefined) mergedIds[k] = side!.ids![i]!;
    if (mergedStarts !== undefined) mergedStarts[k] = side!.starts![i]!;
  }
  timestamps.set(mergedTimes, to);
  words.set(merged, to * 2);
  if (mergedIds !== undefined) side!.ids!.set(mergedIds, to);
  if (mergedStarts !== undefined) side!.starts!.set(mergedStarts, to);
  return kept;
}

/**
 * A histogram that now follows a sample of another chunk says nothing of resets any more. Within a chunk of counters there is none, so what
 * was left out there does not matter.
 */
function forgetHintsAtSeams(order: Int32Array, places: Int32Array, { ids, histograms }: SideColumns, starts: Int32Array): void {
  if (ids === undefined) return;
  const runOf = (sample: number): number => {
    let run = starts.length - 1;
    while (starts[run]! > sample) run--;
    return run;
  };
  let runStart = 0;
  let runEnd = 0;
  for (const sample of order) {
    if (sample >= runStart && sample < runEnd) continue;
    const run = runOf(sample);
    runStart = starts[run]!;
    runEnd = run + 1 < starts.length ? starts[run + 1]! : Number.POSITIVE_INFINITY;
    const id = ids[places[sample]!]!;
    if (id >= 0) histograms.forgetHint(id);
  }
}

function isDeleted(intervals: Intervals | undefined, time: number): boolean {
  if (intervals === undefined) return false;
  for (let i = 0; i < intervals.length; i += 2) if (time >= intervals[i]! && time <= intervals[i + 1]!) return true;
  return false;
}
