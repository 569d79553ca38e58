/**
 * Merges overlapping chunks, of any kinds that can be decoded: chain them by timestamp, encode anew, a chunk for every run of one kind of at most
 * 120 samples. Floats become XOR chunks, those with start timestamps XOR2. Memory holds the chunks around the place reached, decoded, and the samples
 * of the chunk being written. merge-chunks.ts does XOR chunks alone faster.
 */
import type { Kernels } from '@gauntlet/kernels';
import { CHUNK_ENCODING, wordsOf } from '@gauntlet/model';
import type { BlockChunk } from '../block/block-writer.ts';
import { HistogramAppender } from '../chunkenc/histogram-appender.ts';
import { decodeXorColumns, encodeFloatColumns } from '../chunkenc/float-chunks.ts';
import { decodeHistogramChunk, type HistogramColumns, isHistogramEncoding } from '../chunkenc/histogram-chunk.ts';
import { histogramSampleAt } from '../chunkenc/histogram-encoder.ts';
import { decodeXor2Chunk } from '../chunkenc/xor2-chunk.ts';
import { TsdbError } from '../errors.ts';
import { ChunkChain } from './chain-chunks.ts';

/** Samples between two polls. */
const POLL_SAMPLES = 8192;

/** Encodings that can be merged. */
export function isMergeable(encoding: number): boolean {
  return encoding === CHUNK_ENCODING.xor || encoding === CHUNK_ENCODING.xor2 || isHistogramEncoding(encoding);
}

/** A decoded chunk of floats. */
interface OpenFloats {
  readonly timestampsMs: Float64Array;
  /** Bits of the values: low, high, … */
  readonly words: Uint32Array;
  readonly startTimestamps: Float64Array | undefined;
}

/**
 * Merges chunks of one series.
 * @param chunks in the order in which Prometheus chains them, of encodings that `isMergeable`
 * @param name of series and blocks, for messages
 * @param poll called now and then; what it throws ends the merge
 * @throws TsdbError ERR_CHUNK_CORRUPT, ERR_CHUNK_WRITE
 */
export function mergeMixedChunks(chunks: readonly BlockChunk[], samplesMax: number, kernels: Kernels, name: string, poll?: () => void): BlockChunk[] {
  const chain = new ChunkChain(
    chunks.map(({ mint }) => mint),
    (chunk) => openChunk(chunks[chunk]!, kernels, name),
  );
  const merged: BlockChunk[] = [];
  const floats = new FloatRun(samplesMax, kernels);
  const histograms = new HistogramAppender(samplesMax, kernels);
  for (let walked = 1; chain.next(); walked++) {
    if (walked % POLL_SAMPLES === 0) poll?.();
    const { columns, sample } = chain;
    if ('bucketAt' in columns) {
      floats.finish(merged);
      histograms.append(histogramSampleAt(columns, sample));
    } else {
      if (floats.count === 0) merged.push(...histograms.finish());
      floats.append(columns, sample, merged);
    }
  }
  floats.finish(merged);
  merged.push(...histograms.finish());
  return merged;
}

/** Floats that will be one chunk. */
class FloatRun {
  readonly #kernels: Kernels;
  readonly #times: Float64Array;
  readonly #values: Float64Array;
  readonly #words: Uint32Array;
  readonly #starts: Float64Array;
  count = 0;

  constructor(samplesMax: number, kernels: Kernels) {
    this.#kernels = kernels;
    this.#times = new Float64Array(samplesMax);
    this.#values = new Float64Array(samplesMax);
    this.#words = wordsOf(this.#values);
    this.#starts = new Float64Array(samplesMax);
  }

  /** Adds a sample; a chunk that is complete goes to `out` before. */
  append({ timestampsMs, words, startTimestamps }: OpenFloats, sample: number, out: BlockChunk[]): void {
    const start = startTimestamps?.[sample] ?? 0;
    // A sample without a start goes into any chunk, one with a start not into one that began without.
    if (this.count === this.#times.length || (start !== 0 && this.count > 0 && this.#starts[0] === 0)) this.finish(out);
    const at = this.count++;
    this.#times[at] = timestampsMs[sample]!;
    this.#words[at * 2] = words[sample * 2]!;
    this.#words[at * 2 + 1] = words[sample * 2 + 1]!;
    this.#starts[at] = start;
  }

  /** Ends the chunk, if one was begun. */
  finish(out: BlockChunk[]): void {
    if (this.count === 0) return;
    out.push(encodeFloatColumns({ timestampsMs: this.#times, values: this.#values, startTimestamps: this.#starts }, 0, this.count, this.#kernels));
    this.count = 0;
  }
}

function openChunk({ encoding, data, mint, maxt }: BlockChunk, kernels: Kernels, name: string): OpenFloats | HistogramColumns {
  const columns = isHistogramEncoding(encoding) ? decodeHistogramChunk(encoding, data, name, kernels) : openFloats(encoding, data, kernels, `${name}, from ${mint} to ${maxt}`);
  const { timestampsMs } = columns;
  if (timestampsMs.length === 0 || timestampsMs[0] !== mint || timestampsMs.at(-1) !== maxt) {
    throw new TsdbError('ERR_CHUNK_CORRUPT', `merge ${name}: chunk from ${mint} to ${maxt} has ${timestampsMs.length} samples, from ${timestampsMs[0]} to ${timestampsMs.at(-1)}`);
  }
  return columns;
}

function openFloats(encoding: number, data: Uint8Array, kernels: Kernels, name: string): OpenFloats {
  if (encoding === CHUNK_ENCODING.xor) {
    const { timestampsMs, values } = decodeXorColumns(data, kernels, name);
    return { timestampsMs, words: wordsOf(values), startTimestamps: undefined };
  }
  const { timestampsMs, values, startTimestamps } = decodeXor2Chunk(data, name);
  return { timestampsMs, words: wordsOf(values), startTimestamps };
}
