/** Blocks with any index, right or wrong, over real chunks: what the writer of tsdb would refuse to make. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createThanosSection, formatThanosMeta, type ThanosMeta } from '@gauntlet/block';
import { encodeRawIndex, type RawSeries } from '@gauntlet/block/testing';
import { createKernels, xorChunkBytesMax } from '@gauntlet/kernels';
import { CHUNK_ENCODING } from '@gauntlet/model';
import { createChunkWriter } from '@gauntlet/tsdb';
import { createNodeFileSystem } from '@gauntlet/service-kit';

/** A series: labels in the order wanted, and its chunks as [first time, last time, value]; samples lie at both ends and in the middle. */
export interface RawBlockSeries {
  readonly labels: readonly string[];
  readonly chunks: readonly (readonly [mint: number, maxt: number, value: number])[];
}

const kernels = createKernels({ backend: 'js' });

function encodeChunk(times: readonly number[], value: number): Uint8Array {
  const { memory } = kernels;
  const outMax = xorChunkBytesMax(times.length);
  const [timesPtr, valuesPtr, outPtr] = [memory.alloc(times.length * 8), memory.alloc(times.length * 8), memory.alloc(outMax)];
  memory.f64(timesPtr, times.length).set(times);
  memory.f64(valuesPtr, times.length).fill(value);
  const bytes = kernels.encodeXor(timesPtr, valuesPtr, times.length, outPtr, outMax);
  const data = memory.u8(outPtr, bytes).slice();
  for (const ptr of [timesPtr, valuesPtr, outPtr]) memory.free(ptr);
  return data;
}

/** Writes `<dir>/<id>` as a sidecar would have uploaded it, in place of what is there. @returns its meta */
export function writeRawBlock(dir: string, id: string, minTime: number, maxTime: number, series: readonly RawBlockSeries[], more: Partial<ThanosMeta> = {}): ThanosMeta {
  const path = join(dir, id);
  rmSync(path, { recursive: true, force: true });
  mkdirSync(join(path, 'chunks'), { recursive: true });
  const writer = createChunkWriter(createNodeFileSystem(), join(path, 'chunks'));
  let numSamples = 0;
  const raw: RawSeries[] = series.map(({ labels, chunks }) => {
    const refs = new Float64Array(chunks.length);
    const payloads = chunks.map(([mint, maxt, value]) => {
      const times = [...new Set([mint, Math.floor((mint + maxt) / 2), maxt])];
      numSamples += times.length;
      return { encoding: CHUNK_ENCODING.xor, data: encodeChunk(times, value) };
    });
    writer.writeChunks(payloads, refs);
    return { labels, chunks: chunks.map(([mint, maxt], i) => [mint, maxt, refs[i]!] as const) };
  });
  writer.finish();
  writeFileSync(join(path, 'index'), encodeRawIndex(raw));
  const meta: ThanosMeta = {
    ulid: id,
    minTime,
    maxTime,
    stats: { numSamples, numSeries: series.length, numChunks: series.reduce((count, { chunks }) => count + chunks.length, 0) },
    compaction: { level: 1, sources: [id] },
    version: 1,
    thanos: createThanosSection({ labels: ['cluster', 'eu', 'replica', 'a'], source: 'sidecar', segmentFiles: ['000001'], uploadTime: '2026-01-02T03:04:05Z' }),
    ...more,
  };
  writeFileSync(join(path, 'meta.json'), formatThanosMeta(meta));
  return meta;
}
