/**
 * What lies beside timestamps and values in a batch that has chunks other than XOR: numbers of histograms, and start timestamps. Each column
 * is there only once something needs it.
 *
 *   timestampsMs   [t0  t1  t2 │ t0  t1 ]        in kernel memory, as for every batch
 *   values         [v0  v1  v2 │  0   0 ]
 *   ids            [−1  −1  −1 │  0   1 ]        here
 *   starts         [ 0   0   0 │ s0  s1 ]        here
 */
import type { Kernels } from '@gauntlet/kernels';
import { CHUNK_ENCODING, STALE_NAN_HI, STALE_NAN_LO } from '@gauntlet/model';
import { chunkSampleCount } from '../block/block-writer.ts';
import { isHistogramEncoding } from '../chunkenc/histogram-chunk.ts';
import { decodeXor2Chunk, decodeXor2Into, hasStartTimestamps, xor2SampleCount } from '../chunkenc/xor2-chunk.ts';
import { TsdbError } from '../errors.ts';
import { type EncodedChunk, HistogramBatch, type HistogramCharge } from './histogram-batch.ts';

/** Whether `SideColumns.put` takes an encoding; 1 is for the kernels. */
export function isDecodable(encoding: number): boolean {
  return encoding === CHUNK_ENCODING.xor2 || isHistogramEncoding(encoding);
}

/** See the head of this file. */
export class SideColumns {
  readonly histograms: HistogramBatch;
  /** −1 for floats, else what `histograms.get` takes. */
  ids: Int32Array | undefined;
  /** ms since 1970, 0 = not known. */
  starts: Float64Array | undefined;
  readonly #charge: HistogramCharge | undefined;
  #samples = 0;
  #chargedBytes = 0;

  /** @param charge gets what the columns and decoded histograms take @param kernels to decode histograms with; their memory may grow in `put` */
  constructor(charge?: HistogramCharge, kernels?: Kernels) {
    this.#charge = charge;
    this.histograms = new HistogramBatch(charge, kernels);
  }

  /** Gives everything back and begins a batch of so many samples. */
  reset(samples: number): void {
    this.histograms.clear(samples);
    this.ids = undefined;
    this.starts = undefined;
    if (this.#chargedBytes > 0) this.#charge?.release(this.#chargedBytes);
    this.#chargedBytes = 0;
    this.#samples = samples;
  }

  /**
   * Decodes a chunk that is not XOR to samples `at` … of the batch.
   * @param columns gives the columns: times, and values as two words each; asked once the memory of kernels no longer grows
   * @throws TsdbError ERR_CHUNK_CORRUPT, ERR_CHUNK_ENCODING; what `reserve` throws
   */
  put(chunk: EncodedChunk, at: number, columns: () => { readonly timestampsMs: Float64Array; readonly valueWords: Uint32Array }): void {
    const { encoding } = chunk;
    if (encoding === CHUNK_ENCODING.xor2) {
      const data = chunk.data();
      const room = xor2SampleCount(data, chunk.name());
      if (at + room > this.#samples) throw this.#tooMany(chunk, room);
      if (hasStartTimestamps(data)) this.#needStarts();
      decodeXor2Into(data, { ...columns(), startTimestamps: this.starts }, at, chunk.name());
      return;
    }
    const firstId = this.histograms.count;
    const decoded = this.histograms.add(chunk);
    if (at + decoded.count > this.#samples) throw this.#tooMany(chunk, decoded.count);
    if (this.ids === undefined) {
      this.#reserve(4 * this.#samples);
      this.ids = new Int32Array(this.#samples).fill(-1);
    }
    const { timestampsMs, valueWords } = columns();
    timestampsMs.set(decoded.timestampsMs, at);
    this.#putHistograms(decoded.count, at, valueWords, this.ids, firstId);
    if (decoded.startTimestamps !== undefined) this.#needStarts().set(decoded.startTimestamps, at);
  }

  /**
   * The same for an XOR2 chunk in kernel memory, as are the columns.
   * @param chunk where it lies, with CHUNK_SLACK_BYTES behind it, and its samples as `samplesOf` says
   * @param timestampsPtr where its first sample goes; `valuesPtr` likewise
   * @throws TsdbError ERR_CHUNK_CORRUPT; what `reserve` throws; KernelError ERR_KERNEL_MEMORY
   */
  putXor2(kernels: Kernels, chunk: { readonly ptr: number; readonly bytes: number; readonly samples: number; readonly name: () => string }, at: number, timestampsPtr: number, valuesPtr: number): void {
    const { memory } = kernels;
    const { ptr, bytes, samples } = chunk;
    if (at + samples > this.#samples) throw this.#tooMany(chunk, samples);
    const startsPtr = hasStartTimestamps(memory.u8(ptr, bytes)) ? memory.alloc(samples * 8) : 0;
    try {
      if (kernels.decodeXor2(ptr, bytes, timestampsPtr, valuesPtr, startsPtr, samples) !== samples) {
        // The slow decoder says why.
        decodeXor2Chunk(memory.u8(ptr, bytes), chunk.name());
        throw new TsdbError('ERR_CHUNK_CORRUPT', `decode XOR2 chunk of ${chunk.name()}: the kernel refuses it`);
      }
      if (startsPtr !== 0) this.#needStarts().set(memory.f64(startsPtr, samples), at);
    } finally {
      if (startsPtr !== 0) memory.free(startsPtr);
    }
  }

  /** Moves the samples [from, end) to `to`. */
  copyWithin(to: number, from: number, end: number): void {
    this.ids?.copyWithin(to, from, end);
    this.starts?.copyWithin(to, from, end);
  }

  /** Samples of a chunk by its own count. */
  static samplesOf(encoding: number, data: Uint8Array): number {
    return data.length < 2 ? 0 : chunkSampleCount(encoding, data);
  }

  /** 0 in place of a histogram, the bits of the marker in place of a stale one. */
  #putHistograms(count: number, at: number, valueWords: Uint32Array, ids: Int32Array, firstId: number): void {
    for (let i = 0; i < count; i++) {
      const isStale = this.histograms.isStale(firstId + i);
      const to = (at + i) * 2;
      valueWords[to] = isStale ? STALE_NAN_LO : 0;
      valueWords[to + 1] = isStale ? STALE_NAN_HI : 0;
      ids[at + i] = firstId + i;
    }
  }

  #needStarts(): Float64Array {
    if (this.starts === undefined) {
      this.#reserve(8 * this.#samples);
      this.starts = new Float64Array(this.#samples);
    }
    return this.starts;
  }

  #reserve(bytes: number): void {
    this.#charge?.reserve(bytes);
    this.#chargedBytes += bytes;
  }

  #tooMany(chunk: Pick<EncodedChunk, 'name'>, samples: number): TsdbError {
    return new TsdbError('ERR_CHUNK_CORRUPT', `decode chunk of ${chunk.name()}: ${samples} samples, more than room was made for`);
  }
}
