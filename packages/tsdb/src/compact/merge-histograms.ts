/**
 * Merges overlapping chunks among which are native histograms or XOR2 chunks: decode all, chain by timestamp, encode anew, a chunk for every
 * run of one kind of at most 120 samples. Floats become XOR chunks, those with start timestamps XOR2. The slow sibling of what merge-chunks.ts
 * does for XOR chunks: samples are objects here.
 */
import { CHUNK_SLACK_BYTES, type Kernels } from '@gauntlet/kernels';
import { CHUNK_ENCODING, wordsOf } from '@gauntlet/model';
import type { BlockChunk } from '../block/block-writer.ts';
import { HistogramAppender } from '../chunkenc/histogram-appender.ts';
import { encodeFloatColumns } from '../chunkenc/float-chunks.ts';
import { decodeHistogramChunk, isHistogramEncoding } from '../chunkenc/histogram-chunk.ts';
import { histogramSampleAt, type HistogramSample } from '../chunkenc/histogram-encoder.ts';
import { decodeXor2Chunk } from '../chunkenc/xor2-chunk.ts';
import { TsdbError } from '../errors.ts';
import { chainOrder } from './chain-samples.ts';

/** Encodings that can be merged. */
export function isMergeable(encoding: number): boolean {
  return encoding === CHUNK_ENCODING.xor || encoding === CHUNK_ENCODING.xor2 || isHistogramEncoding(encoding);
}

/** A float sample: bits as little-endian words. */
interface FloatSample {
  readonly timeMs: number;
  readonly low: number;
  readonly high: number;
  /** 0 = not known. */
  readonly start: number;
}

type Sample = FloatSample | HistogramSample;

function isHistogram(sample: Sample): sample is HistogramSample {
  return 'layout' in sample;
}

/**
 * Merges chunks of one series.
 * @param chunks in the order in which Prometheus chains them
 * @param name of series and blocks, for messages
 * @throws TsdbError ERR_CHUNK_CORRUPT, ERR_CHUNK_ENCODING
 */
export function mergeMixedChunks(chunks: readonly BlockChunk[], samplesMax: number, kernels: Kernels, name: string): BlockChunk[] {
  const samples: Sample[] = [];
  const starts = new Int32Array(chunks.length);
  const ends = new Int32Array(chunks.length);
  for (const [i, chunk] of chunks.entries()) {
    starts[i] = samples.length;
    if (chunk.encoding === CHUNK_ENCODING.xor) samples.push(...decodeFloats(kernels, chunk, name));
    else if (chunk.encoding === CHUNK_ENCODING.xor2) samples.push(...decodeXor2Floats(chunk, name));
    else {
      const columns = decodeHistogramChunk(chunk.encoding, chunk.data, name);
      for (let sample = 0; sample < columns.count; sample++) samples.push(histogramSampleAt(columns, sample));
    }
    ends[i] = samples.length;
    const [first, last] = [samples[starts[i]!]?.timeMs, samples.at(-1)?.timeMs];
    if (ends[i] === starts[i] || first !== chunk.mint || last !== chunk.maxt) {
      throw new TsdbError('ERR_CHUNK_CORRUPT', `merge ${name}: chunk from ${chunk.mint} to ${chunk.maxt} has ${ends[i]! - starts[i]!} samples, from ${first} to ${last}`);
    }
  }
  const order = new Int32Array(samples.length);
  const count = chainOrder(Float64Array.from(samples, ({ timeMs }) => timeMs), starts, ends, order);
  const merged: BlockChunk[] = [];
  const histograms = new HistogramAppender(samplesMax);
  let floats: FloatSample[] = [];
  const endFloats = (): void => {
    let from = 0;
    for (let i = 1; i <= floats.length; i++) {
      // A sample without a start goes into any chunk, one with a start not into one that began without.
      const isFull = i - from >= samplesMax || (i < floats.length && floats[i]!.start !== 0 && floats[from]!.start === 0);
      if (i < floats.length && !isFull) continue;
      merged.push(encodeFloats(kernels, floats.slice(from, i)));
      from = i;
    }
    floats = [];
  };
  for (const at of order.subarray(0, count)) {
    const sample = samples[at]!;
    if (isHistogram(sample)) {
      endFloats();
      histograms.append(sample);
    } else {
      merged.push(...histograms.finish());
      floats.push(sample);
    }
  }
  endFloats();
  merged.push(...histograms.finish());
  return merged;
}

function decodeFloats(kernels: Kernels, { data, mint, maxt }: BlockChunk, name: string): FloatSample[] {
  const { memory } = kernels;
  const count = ((data[0] ?? 0) << 8) | (data[1] ?? 0);
  const dataPtr = memory.alloc(data.length + CHUNK_SLACK_BYTES);
  const timesPtr = memory.alloc(count * 8 + 8);
  const valuesPtr = memory.alloc(count * 8 + 8);
  try {
    memory.u8(dataPtr, data.length).set(data);
    const decoded = kernels.decodeXor(dataPtr, data.length, timesPtr, valuesPtr, count);
    if (decoded !== count) throw new TsdbError('ERR_CHUNK_CORRUPT', `merge ${name}: chunk from ${mint} to ${maxt}: XOR data is damaged although its checksum is right`);
    const words = memory.i32(valuesPtr, count * 2);
    return Array.from(memory.f64(timesPtr, count), (timeMs, i) => ({ timeMs, low: words[i * 2]!, high: words[i * 2 + 1]!, start: 0 }));
  } finally {
    for (const ptr of [dataPtr, timesPtr, valuesPtr]) memory.free(ptr);
  }
}

function decodeXor2Floats({ data, mint, maxt }: BlockChunk, name: string): FloatSample[] {
  const { timestampsMs, values, startTimestamps } = decodeXor2Chunk(data, `${name}, from ${mint} to ${maxt}`);
  const words = wordsOf(values);
  return Array.from(timestampsMs, (timeMs, i) => ({ timeMs, low: words[i * 2]!, high: words[i * 2 + 1]!, start: startTimestamps?.[i] ?? 0 }));
}

function encodeFloats(kernels: Kernels, samples: readonly FloatSample[]): BlockChunk {
  const values = new Float64Array(samples.length);
  const words = wordsOf(values);
  for (const [i, { low, high }] of samples.entries()) {
    words[i * 2] = low;
    words[i * 2 + 1] = high;
  }
  const startTimestamps = samples.every(({ start }) => start === 0) ? undefined : Float64Array.from(samples, ({ start }) => start);
  return encodeFloatColumns({ timestampsMs: Float64Array.from(samples, ({ timeMs }) => timeMs), values, startTimestamps }, 0, samples.length, kernels);
}
