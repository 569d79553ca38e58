/** A small block with a series of each chunk encoding, 1 to 6: for tests of damage and verification. */
import { compareUtf8 } from '@gauntlet/bytes';
import type { Kernels } from '@gauntlet/kernels';
import type { Labels } from '@gauntlet/model';
import type { BlockMeta } from '../block/block-meta.ts';
import { type BlockChunk, createBlockWriter } from '../block/block-writer.ts';
import { encodeHistogramChunk, type HistogramLayout, type HistogramSample } from '../chunkenc/histogram-encoder.ts';
import { encodeXor2Chunk } from '../chunkenc/xor2-encoder.ts';
import { type FileSystem, joinPath } from '../file-system.ts';
import { bitsOfNumber, encodeSamples } from './sample-block.ts';

const LAYOUT: HistogramLayout = { schema: 1, zeroThreshold: 0.001, positiveSpans: Int32Array.of(0, 2, 3, 1), negativeSpans: Int32Array.of(1, 1), customBounds: new Float64Array(0) };
const STEP_MS = 15_000;

function histogram(timeMs: number, isFloat: boolean, startTimestamp: number): HistogramSample {
  const step = timeMs / STEP_MS;
  const positive = Float64Array.of(1 + step, 2, 3);
  const negative = Float64Array.of(4 + step);
  const count = positive[0]! + 5 + negative[0]! + 2;
  return { isFloat, isStale: false, isGauge: false, timeMs, count, zeroCount: 2, sumHigh: 0x40590000 + step, sumLow: 7, layout: LAYOUT, positive, negative, ...(startTimestamp > 0 && { startTimestamp }) };
}

/** Three samples, 15 s apart, of the encoding. */
function chunkOf(encoding: number, firstMs: number, kernels: Kernels): BlockChunk {
  const times = [0, 1, 2].map((step) => firstMs + step * STEP_MS);
  if (encoding === 1) return encodeSamples(kernels, times.map((time) => [time, bitsOfNumber(time / 1000)]));
  if (encoding === 4) {
    const columns = { timestampsMs: Float64Array.from(times), values: Float64Array.of(1, 1.5, -2), startTimestamps: Float64Array.from(times, (time) => time + 1) };
    return { mint: times[0]!, maxt: times[2]!, encoding, data: encodeXor2Chunk(columns, 0, 3) };
  }
  return encodeHistogramChunk(times.map((time) => histogram(time, encoding === 3 || encoding === 6, encoding >= 5 ? time + 1 : 0)), LAYOUT, 0, encoding >= 5);
}

/** Writes the block `parentDir/<ulid>`: series {enc="1"} … {enc="6"} with two chunks each. */
export function writeEveryEncoding(fs: FileSystem, parentDir: string, kernels: Kernels, ulid: string): { readonly dir: string; readonly meta: BlockMeta } {
  const encodings = [1, 2, 3, 4, 5, 6];
  const labels = encodings.map((encoding): Labels => ['__name__', 'm', 'enc', String(encoding)]);
  const symbols = [...new Set(['', ...labels.flat()])].sort(compareUtf8);
  const writer = createBlockWriter(fs, parentDir, { ulid, minTime: 0, maxTime: 200_000, symbols });
  for (const [i, encoding] of encodings.entries()) writer.addSeries(labels[i]!, [chunkOf(encoding, 0, kernels), chunkOf(encoding, 60_000, kernels)]);
  return { dir: joinPath(parentDir, ulid), meta: writer.finish()! };
}
