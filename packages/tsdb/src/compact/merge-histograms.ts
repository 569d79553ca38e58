/**
 * Merges overlapping chunks among which are native histograms: decode all, chain by timestamp, encode anew, a chunk for every run of one
 * kind of at most 120 samples. The slow sibling of what merge-chunks.ts does for floats: samples are objects here.
 */
import { CHUNK_SLACK_BYTES, type Kernels, xorChunkBytesMax } from '@gauntlet/kernels';
import { CHUNK_ENCODING } from '@gauntlet/model';
import type { BlockChunk } from '../block/block-writer.ts';
import { HistogramAppender } from '../chunkenc/histogram-appender.ts';
import { decodeHistogramChunk } from '../chunkenc/histogram-chunk.ts';
import { histogramSampleAt, type HistogramSample } from '../chunkenc/histogram-encoder.ts';
import { TsdbError } from '../errors.ts';
import { chainOrder } from './chain-samples.ts';

/** Encodings that can be merged. */
export function isMergeable(encoding: number): boolean {
  return encoding === CHUNK_ENCODING.xor || encoding === CHUNK_ENCODING.histogram || encoding === CHUNK_ENCODING.floatHistogram;
}

/** A float sample: bits as little-endian words. */
interface FloatSample {
  readonly timeMs: number;
  readonly low: number;
  readonly high: number;
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
    for (let i = 0; i < floats.length; i += samplesMax) merged.push(encodeFloats(kernels, floats.slice(i, i + samplesMax)));
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
    return Array.from(memory.f64(timesPtr, count), (timeMs, i) => ({ timeMs, low: words[i * 2]!, high: words[i * 2 + 1]! }));
  } finally {
    for (const ptr of [dataPtr, timesPtr, valuesPtr]) memory.free(ptr);
  }
}

function encodeFloats(kernels: Kernels, samples: readonly FloatSample[]): BlockChunk {
  const { memory } = kernels;
  const room = xorChunkBytesMax(samples.length);
  const timesPtr = memory.alloc(samples.length * 8);
  const valuesPtr = memory.alloc(samples.length * 8);
  const outPtr = memory.alloc(room);
  try {
    const times = memory.f64(timesPtr, samples.length);
    const words = memory.i32(valuesPtr, samples.length * 2);
    for (const [i, { timeMs, low, high }] of samples.entries()) {
      times[i] = timeMs;
      words[i * 2] = low;
      words[i * 2 + 1] = high;
    }
    const bytes = kernels.encodeXor(timesPtr, valuesPtr, samples.length, outPtr, room);
    if (bytes < 0) throw new TsdbError('ERR_CHUNK_WRITE', `encode ${samples.length} samples from ${samples[0]!.timeMs}: encoder answered ${bytes}`);
    return { mint: samples[0]!.timeMs, maxt: samples.at(-1)!.timeMs, encoding: CHUNK_ENCODING.xor, data: memory.u8(outPtr, bytes).slice() };
  } finally {
    for (const ptr of [timesPtr, valuesPtr, outPtr]) memory.free(ptr);
  }
}
