/** Blocks of made-up series for benchmarks, written with our own writer: chunks of 120 samples, a few million samples per second. */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { compareUtf8 } from '@gauntlet/bytes';
import { createKernels, type Kernels, xorChunkBytesMax } from '@gauntlet/kernels';
import { CHUNK_ENCODING, compareLabels, type Labels } from '@gauntlet/model';
import { createNodeFileSystem } from '@gauntlet/service-kit';
import { type BlockChunk, createBlockWriter } from '@gauntlet/tsdb';

/** Gives the value of each sample in turn. */
export type ValueSource = () => number;

/** A series and where its samples come from; opened once per data set, asked in time order. */
export interface BenchSeries {
  readonly labels: Labels;
  /** Time of a sample by its number, ms. */
  readonly openTimes: () => (sample: number) => number;
  readonly openValues: () => ValueSource;
  /** Whether a sample exists; default all do. */
  readonly has?: (sample: number) => boolean;
}

/** How the samples lie in blocks. */
export interface BlockPlan {
  readonly startMs: number;
  readonly blockMs: number;
  readonly blocks: number;
  readonly samplesPerBlock: number;
  /** Number in the id of the first block, where others are in the folder; default 0. */
  readonly firstId?: number;
}

const SAMPLES_PER_CHUNK = 120;

/** One chunk of samples [from, to) of the columns. */
function encode(kernels: Kernels, timesPtr: number, valuesPtr: number, from: number, to: number, outPtr: number): BlockChunk {
  const times = kernels.memory.f64(timesPtr, to);
  const bytes = kernels.encodeXor(timesPtr + from * 8, valuesPtr + from * 8, to - from, outPtr, xorChunkBytesMax(to - from));
  return { mint: times[from]!, maxt: times[to - 1]!, encoding: CHUNK_ENCODING.xor, data: kernels.memory.u8(outPtr, bytes).slice() };
}

/** Writes the blocks into a folder. @returns their folders, in order of time */
export function writeBlocks(dir: string, series: readonly BenchSeries[], { startMs, blockMs, blocks, samplesPerBlock, firstId = 0 }: BlockPlan): string[] {
  mkdirSync(dir, { recursive: true });
  const fs = createNodeFileSystem();
  const kernels = createKernels({});
  const { memory } = kernels;
  const symbols = [...new Set(['', ...series.flatMap(({ labels }) => labels)])].sort(compareUtf8);
  const ulids = Array.from({ length: blocks }, (_none, block) => `01M3ZZZZZZZZZZZZZZZZZZ${String(firstId + block).padStart(4, '0')}`);
  const writers = ulids.map((ulid, block) =>
    createBlockWriter(fs, dir, { ulid, minTime: startMs + block * blockMs, maxTime: startMs + (block + 1) * blockMs, symbols }),
  );
  const timesPtr = memory.alloc(samplesPerBlock * 8);
  const valuesPtr = memory.alloc(samplesPerBlock * 8);
  const outPtr = memory.alloc(xorChunkBytesMax(SAMPLES_PER_CHUNK));
  for (const { labels, openTimes, openValues, has } of [...series].sort((a, b) => compareLabels(a.labels, b.labels))) {
    const timeOf = openTimes();
    const next = openValues();
    writers.forEach((writer, block) => {
      const times = memory.f64(timesPtr, samplesPerBlock);
      const values = memory.f64(valuesPtr, samplesPerBlock);
      let count = 0;
      for (let i = block * samplesPerBlock; i < (block + 1) * samplesPerBlock; i++) {
        times[count] = timeOf(i);
        values[count] = next();
        if (has === undefined || has(i)) count++;
      }
      const chunks: BlockChunk[] = [];
      for (let from = 0; from < count; from += SAMPLES_PER_CHUNK) chunks.push(encode(kernels, timesPtr, valuesPtr, from, Math.min(from + SAMPLES_PER_CHUNK, count), outPtr));
      if (chunks.length > 0) writer.addSeries(labels, chunks);
    });
  }
  for (const writer of writers) writer.finish();
  return ulids.map((ulid) => join(dir, ulid));
}

/** Writes the blocks into a folder, or leaves it as it is when they are there. */
export function writeBlocksOnce(dir: string, series: readonly BenchSeries[], plan: BlockPlan): void {
  if (existsSync(dir) && readdirSync(dir).length === plan.blocks) return;
  const draft = `${dir}.draft`;
  for (const old of [draft, dir]) rmSync(old, { recursive: true, force: true });
  writeBlocks(draft, series, plan);
  renameSync(draft, dir);
}
