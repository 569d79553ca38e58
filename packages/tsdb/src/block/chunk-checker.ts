/**
 * Is a chunk what its index entry says? Decodes one chunk of any encoding and holds its samples to the range: first and last sample are the
 * range, times ascend. Of aggregate chunks each part is decoded; their times are those of windows, and a counter's last one comes twice.
 */
import { CHUNK_SLACK_BYTES, type Kernels } from '@gauntlet/kernels';
import { CHUNK_ENCODING } from '@gauntlet/model';
import { AGGREGATE_ENCODING, AGGREGATES, splitAggregateChunk } from '../chunkenc/aggregate-chunk.ts';
import { decodeHistogramChunk, isHistogramEncoding } from '../chunkenc/histogram-chunk.ts';
import { decodeXor2Chunk } from '../chunkenc/xor2-chunk.ts';
import { TsdbError } from '../errors.ts';
import { KernelRegion } from '../query/load-chunks.ts';
import { chunkSampleCount } from './block-writer.ts';

/** Checks chunks one after the other; `free` gives its kernel memory back. */
export class ChunkChecker {
  readonly #kernels: Kernels;
  readonly #bytes: KernelRegion;
  readonly #times: KernelRegion;
  readonly #values: KernelRegion;
  /** Times of the first and last sample of the chunk checked last; undefined for aggregates. */
  first: number | undefined;
  last: number | undefined;

  constructor(kernels: Kernels) {
    this.#kernels = kernels;
    this.#bytes = new KernelRegion(kernels);
    this.#times = new KernelRegion(kernels);
    this.#values = new KernelRegion(kernels);
  }

  /**
   * Checks a chunk whose checksum is right.
   * @param mint, maxt as the index has it; undefined where there is no index
   * @returns '' or what is wrong
   * @throws TsdbError ERR_CHUNK_ENCODING for an encoding that cannot be decoded
   */
  check(encoding: number, data: Uint8Array, mint: number | undefined, maxt: number | undefined): string {
    this.first = this.last = undefined;
    try {
      if (encoding === AGGREGATE_ENCODING) return this.#checkAggregates(data);
      const times = this.#timesOf(encoding, data);
      const problem = problemOfTimes(times, false);
      if (problem !== '') return problem;
      const [first, last] = [times[0]!, times[times.length - 1]!];
      [this.first, this.last] = [first, last];
      return mint === undefined || (first === mint && last === maxt) ? '' : `samples from ${first} to ${last}, the index says ${mint} to ${maxt}`;
    } catch (error) {
      if (error instanceof TsdbError && error.code === 'ERR_CHUNK_CORRUPT') return error.message;
      throw error;
    }
  }

  free(): void {
    for (const region of [this.#bytes, this.#times, this.#values]) region.free();
  }

  #checkAggregates(data: Uint8Array): string {
    const parts = splitAggregateChunk(data, 'aggregates');
    for (const name of AGGREGATES) {
      const part = parts[name];
      if (part === undefined) continue;
      const problem = problemOfTimes(this.#timesOf(part.encoding, part.data), name === 'counter');
      if (problem !== '') return `aggregate ${name}: ${problem}`;
    }
    return Object.keys(parts).length === 0 ? 'no aggregate at all' : '';
  }

  /** Timestamps of a chunk. Valid until the next call. */
  #timesOf(encoding: number, data: Uint8Array): Float64Array {
    if (encoding === CHUNK_ENCODING.xor2) return decodeXor2Chunk(data, 'floats').timestampsMs;
    if (isHistogramEncoding(encoding)) return decodeHistogramChunk(encoding, data, 'native histograms').timestampsMs;
    if (encoding !== CHUNK_ENCODING.xor) throw new TsdbError('ERR_CHUNK_ENCODING', `invalid chunk encoding "${encoding}"`);
    const count = data.length < 2 ? 0 : chunkSampleCount(encoding, data);
    const { memory } = this.#kernels;
    const bytesPtr = this.#bytes.ensure(data.length + CHUNK_SLACK_BYTES);
    const timesPtr = this.#times.ensure(count * 8 + 8);
    const valuesPtr = this.#values.ensure(count * 8 + 8);
    memory.u8(bytesPtr, data.length).set(data);
    const decoded = this.#kernels.decodeXor(bytesPtr, data.length, timesPtr, valuesPtr, count);
    if (decoded !== count) throw new TsdbError('ERR_CHUNK_CORRUPT', `XOR data of ${data.length} bytes is damaged although its checksum is right (${count} samples announced)`);
    return memory.f64(timesPtr, count);
  }
}

function problemOfTimes(times: Float64Array, mayRepeatLast: boolean): string {
  if (times.length === 0) return 'it holds no sample';
  for (let i = 1; i < times.length; i++) {
    if (times[i]! > times[i - 1]! || (mayRepeatLast && i === times.length - 1 && times[i] === times[i - 1])) continue;
    return `sample ${i} at ${times[i]} does not follow ${times[i - 1]}`;
  }
  return '';
}
