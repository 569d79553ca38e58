/**
 * Blocks for measuring compaction: 2 h of counters each, one sample every 15 s in chunks of 120, 3 % of them a few ms late; the same series in
 * all blocks. Made from a fixed seed, as those of packages/tsdb/src/compact/compact.bench.ts.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { compareUtf8 } from '@gauntlet/bytes';
import { createKernels, xorChunkBytesMax } from '@gauntlet/kernels';
import { CHUNK_ENCODING, compareLabels, type Labels, labelsFromPairs } from '@gauntlet/model';
import { createNodeFileSystem } from '@gauntlet/service-kit';
import { type BlockChunk, createBlockWriter } from '@gauntlet/tsdb';
import { seededRandom } from '../harness/random.ts';

/** Range of each block, ms. */
export const RANGE_MS = 7_200_000;
/** A multiple of all block ranges. */
export const START_MS = 1_699_920_000_000;
const STEP_MS = 15_000;
const PER_CHUNK = 120;

/** Which range a block covers, counted from START_MS, and how much later than the first replica it was scraped. */
export interface BlockPlace {
  readonly number: number;
  readonly delayMs: number;
}

/** Labels of the series of all benchmarks of tsdb, in order. */
export function benchLabels(series: number): Labels[] {
  return Array.from({ length: series }, (_none, i) =>
    labelsFromPairs([['__name__', 'http_requests_total'], ['job', `job-${i % 8}`], ['instance', `10.0.${i >> 5}.${i & 31}:9100`], ['method', i % 2 === 0 ? 'GET' : 'POST'], ['code', String(200 + (i % 4) * 100)], ['handler', `/api/v1/${i % 13}`]]),
  ).sort(compareLabels);
}

/** Writes one block for each place. @returns their folders */
export function writeCompactionBlocks(dir: string, series: number, places: readonly BlockPlace[]): string[] {
  mkdirSync(dir, { recursive: true });
  const fs = createNodeFileSystem();
  const kernels = createKernels();
  const { memory } = kernels;
  const all = benchLabels(series);
  const symbols = [...new Set(['', ...all.flat()])].sort(compareUtf8);
  const [timesPtr, valuesPtr, outPtr] = [memory.alloc(PER_CHUNK * 8), memory.alloc(PER_CHUNK * 8), memory.alloc(xorChunkBytesMax(PER_CHUNK))];
  return places.map(({ number, delayMs }, at) => {
    const random = seededRandom(at + 1);
    const minTime = START_MS + number * RANGE_MS;
    const ulid = `01HF6ZZZZZZZZZZZZZZZZZ${String(at).padStart(4, '0')}`;
    const writer = createBlockWriter(fs, dir, { ulid, minTime, maxTime: minTime + RANGE_MS, symbols });
    for (const [i, labels] of all.entries()) {
      const chunks: BlockChunk[] = [];
      let counter = number * 10_000;
      for (let start = 0; start < RANGE_MS; start += PER_CHUNK * STEP_MS) {
        const times = memory.f64(timesPtr, PER_CHUNK);
        const values = memory.f64(valuesPtr, PER_CHUNK);
        for (let s = 0; s < PER_CHUNK; s++) {
          times[s] = minTime + start + s * STEP_MS + (i % 100) + delayMs + (random() < 0.03 ? Math.floor(random() * 12) : 0);
          counter += Math.floor(random() * 20);
          values[s] = counter;
        }
        const [mint, maxt] = [times[0]!, times[PER_CHUNK - 1]!];
        const bytes = kernels.encodeXor(timesPtr, valuesPtr, PER_CHUNK, outPtr, xorChunkBytesMax(PER_CHUNK));
        chunks.push({ mint, maxt, encoding: CHUNK_ENCODING.xor, data: memory.u8(outPtr, bytes).slice() });
      }
      writer.addSeries(labels, chunks);
    }
    writer.finish();
    return join(dir, ulid);
  });
}
