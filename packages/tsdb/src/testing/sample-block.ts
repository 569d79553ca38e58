/** Blocks from samples given to the bit, chunk by chunk: for tests that compare what went in with what comes out. */
import { compareUtf8 } from '@gauntlet/bytes';
import { CHUNK_SLACK_BYTES, type Kernels, xorChunkBytesMax } from '@gauntlet/kernels';
import { CHUNK_ENCODING, compareLabels, type Labels } from '@gauntlet/model';
import { type Block, BLOCK_FILES, openBlock } from '../block/block-reader.ts';
import { type BlockChunk, createBlockWriter } from '../block/block-writer.ts';
import type { BlockCompaction } from '../block/block-meta.ts';
import { formatTombstones, type Intervals } from '../block/tombstones.ts';
import { type FileSystem, joinPath } from '../file-system.ts';
import { createSeriesEntry } from '../index-file/series-entry.ts';

/** A sample; the value as the sixteen hex digits of its bits. */
export type SampleBits = readonly [timeMs: number, bits: string];

/** A series of a block. */
export interface SampleSeries {
  readonly labels: Labels;
  /** Samples by chunk, ascending throughout. */
  readonly chunks: readonly (readonly SampleBits[])[];
  /** Deleted ranges. */
  readonly deleted?: Intervals;
}

/** A block to write. */
export interface SampleBlock {
  readonly ulid: string;
  /** Default: from the first sample to behind the last. */
  readonly minTime?: number;
  readonly maxTime?: number;
  readonly compaction?: BlockCompaction;
  /** In any order. */
  readonly series: readonly SampleSeries[];
}

/** The bits of a number. */
export function bitsOfNumber(value: number): string {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  return hexOfWords(view.getUint32(0), view.getUint32(4));
}

function hexOfWords(high: number, low: number): string {
  return high.toString(16).padStart(8, '0') + low.toString(16).padStart(8, '0');
}

/** One XOR chunk of the samples. */
export function encodeSamples(kernels: Kernels, samples: readonly SampleBits[]): BlockChunk {
  const { memory } = kernels;
  const timesPtr = memory.alloc(samples.length * 8);
  const valuesPtr = memory.alloc(samples.length * 8);
  const outPtr = memory.alloc(xorChunkBytesMax(samples.length));
  try {
    memory.f64(timesPtr, samples.length).set(samples.map(([time]) => time));
    const words = memory.i32(valuesPtr, samples.length * 2);
    for (const [i, [, bits]] of samples.entries()) {
      words[i * 2] = Number.parseInt(bits.slice(8), 16);
      words[i * 2 + 1] = Number.parseInt(bits.slice(0, 8), 16);
    }
    const bytes = kernels.encodeXor(timesPtr, valuesPtr, samples.length, outPtr, xorChunkBytesMax(samples.length));
    return { mint: samples[0]![0], maxt: samples.at(-1)![0], encoding: CHUNK_ENCODING.xor, data: memory.u8(outPtr, bytes).slice() };
  } finally {
    for (const ptr of [timesPtr, valuesPtr, outPtr]) memory.free(ptr);
  }
}

/** Writes and opens the block `parentDir/<ulid>`. */
export function writeSampleBlock(fs: FileSystem, parentDir: string, kernels: Kernels, block: SampleBlock): Block {
  const series = block.series.toSorted((a, b) => compareLabels(a.labels, b.labels));
  const times = series.flatMap(({ chunks }) => chunks.flat().map(([time]) => time));
  const minTime = block.minTime ?? Math.min(...times);
  const maxTime = block.maxTime ?? Math.max(...times) + 1;
  const symbols = [...new Set(['', ...series.flatMap(({ labels }) => labels)])].sort(compareUtf8);
  const writer = createBlockWriter(fs, parentDir, { ulid: block.ulid, minTime, maxTime, symbols, ...(block.compaction && { compaction: block.compaction }) });
  for (const { labels, chunks } of series) writer.addSeries(labels, chunks.map((samples) => encodeSamples(kernels, samples)));
  writer.finish();
  const dir = joinPath(parentDir, block.ulid);
  const open = openBlock(fs, dir, { outsideChunks: 'allow' });
  if (series.every(({ deleted }) => deleted === undefined)) return open;
  const refs = open.index.allPostings();
  const tombstones = new Map(series.flatMap(({ deleted }, i) => (deleted === undefined ? [] : [[refs[i]!, deleted]])));
  const handle = fs.open(joinPath(dir, BLOCK_FILES.tombstones), 'create');
  handle.append(formatTombstones(tombstones));
  handle.close();
  open.close();
  return openBlock(fs, dir, { outsideChunks: 'allow' });
}

/** Every sample of a block's float series, chunk by chunk; tombstones are not applied. */
export function readSampleBlock(kernels: Kernels, block: Block): SampleSeries[] {
  const { memory } = kernels;
  const entry = createSeriesEntry();
  return [...block.index.allPostings()].map((ref) => {
    block.index.readSeries(ref, entry);
    const chunks: SampleBits[][] = [];
    for (let i = 0; i < entry.chunkCount; i++) {
      const { data } = block.chunks.readChunk(entry.refs[i]!);
      const count = (data[0]! << 8) | data[1]!;
      const dataPtr = memory.alloc(data.length + CHUNK_SLACK_BYTES);
      const timesPtr = memory.alloc(count * 8);
      const valuesPtr = memory.alloc(count * 8);
      memory.u8(dataPtr, data.length).set(data);
      const decoded = kernels.decodeXor(dataPtr, data.length, timesPtr, valuesPtr, count);
      const words = memory.i32(valuesPtr, decoded * 2);
      chunks.push(Array.from(memory.f64(timesPtr, decoded), (time, s): SampleBits => [time, hexOfWords(words[s * 2 + 1]! >>> 0, words[s * 2]! >>> 0)]));
      for (const ptr of [dataPtr, timesPtr, valuesPtr]) memory.free(ptr);
    }
    return { labels: block.index.labelsOf(entry), chunks };
  });
}
