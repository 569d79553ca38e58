/**
 * One block of generated history: the sample shop evaluated at past times, as XOR chunks of 120 samples, written by tsdb's block
 * writer. Labels, names and values are those that scraping gives, so that history and live data are one curve.
 */
import { compareUtf8 } from '@gauntlet/bytes';
import { type Kernels, xorChunkBytesMax } from '@gauntlet/kernels';
import { CHUNK_ENCODING, compareLabels, type Labels, labelsFromPairs } from '@gauntlet/model';
import { type BlockChunk, type BlockMeta, createBlockWriter, type FileSystem } from '@gauntlet/tsdb';
import { SHOP_INSTANCES, SHOP_JOB, shopModel } from '../shop/shop-model.ts';

/** Samples of a chunk, as Prometheus' head cuts them. */
const CHUNK_SAMPLES = 120;

/** A block to be written. */
export interface HistoryBlock {
  readonly ulid: string;
  /** [minTime, maxTime) in ms. */
  readonly minTime: number;
  readonly maxTime: number;
}

/** A series of the history. */
export interface HistorySeries {
  readonly labels: Labels;
  readonly valueAt: (tMs: number) => number;
}

/**
 * All series of the history in label order: the shop's, and `up` of its instances.
 * @param targetLabels labels that scraping adds besides `job` and `instance`
 */
export function historySeries(targetLabels: readonly (readonly [string, string])[] = []): HistorySeries[] {
  const all = SHOP_INSTANCES.flatMap((instance, index) => {
    const target: [string, string][] = [['instance', instance], ['job', SHOP_JOB], ...targetLabels.map(([name, value]): [string, string] => [name, value])];
    const exposed = shopModel(index).flatMap((family) => family.series);
    return [
      { labels: labelsFromPairs([['__name__', 'up'], ...target]), valueAt: () => 1 },
      ...exposed.map(({ name, labels, valueAt }) => ({ labels: labelsFromPairs([['__name__', name], ...target, ...labels]), valueAt })),
    ];
  });
  return all.sort((a, b) => compareLabels(a.labels, b.labels));
}

/** What {@link writeHistoryBlock} works with. */
export interface HistoryDeps {
  readonly fs: FileSystem;
  readonly kernels: Kernels;
}

/** Where and how often. */
export interface HistoryBlockOptions {
  /** Folder that gets the block. */
  readonly dir: string;
  readonly block: HistoryBlock;
  readonly stepMs: number;
  /** Where in each step the samples lie, below `stepMs`; another one for each replica. */
  readonly offsetMs: number;
}

/**
 * Writes the block.
 * @param series in label order
 * @returns its meta; undefined when no sample time lies in the range
 */
export function writeHistoryBlock({ fs, kernels }: HistoryDeps, series: readonly HistorySeries[], { dir, block, stepMs, offsetMs }: HistoryBlockOptions): BlockMeta | undefined {
  const firstMs = Math.ceil((block.minTime - offsetMs) / stepMs) * stepMs + offsetMs;
  if (firstMs >= block.maxTime) return undefined;
  const symbols = [...new Set(['', ...series.flatMap(({ labels }) => labels)])].sort(compareUtf8);
  const { memory } = kernels;
  const timesPtr = memory.alloc(CHUNK_SAMPLES * 8);
  const valuesPtr = memory.alloc(CHUNK_SAMPLES * 8);
  const outMax = xorChunkBytesMax(CHUNK_SAMPLES);
  const outPtr = memory.alloc(outMax);
  const writer = createBlockWriter(fs, dir, { ulid: block.ulid, minTime: block.minTime, maxTime: block.maxTime, symbols });
  try {
    const times = memory.f64(timesPtr, CHUNK_SAMPLES);
    const values = memory.f64(valuesPtr, CHUNK_SAMPLES);
    for (const { labels, valueAt } of series) {
      const chunks: BlockChunk[] = [];
      for (let tMs = firstMs; tMs < block.maxTime; ) {
        let count = 0;
        for (; count < CHUNK_SAMPLES && tMs < block.maxTime; tMs += stepMs) {
          times[count] = tMs;
          values[count++] = valueAt(tMs);
        }
        const bytes = kernels.encodeXor(timesPtr, valuesPtr, count, outPtr, outMax);
        chunks.push({ mint: times[0]!, maxt: times[count - 1]!, encoding: CHUNK_ENCODING.xor, data: memory.u8(outPtr, bytes).slice() });
      }
      writer.addSeries(labels, chunks);
    }
    return writer.finish();
  } catch (error) {
    writer.abandon();
    throw error;
  } finally {
    for (const ptr of [outPtr, valuesPtr, timesPtr]) memory.free(ptr);
  }
}
