/**
 * Blocks with known content: for a Prometheus (samples → OpenMetrics text → `promtool tsdb create-blocks-from`), into a bucket as a
 * sidecar ships them, and read back sample by sample.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createThanosSection, type ThanosMeta, uploadBlock } from '@gauntlet/block';
import { CHUNK_SLACK_BYTES, type Kernels } from '@gauntlet/kernels';
import { CHUNK_ENCODING, type Labels } from '@gauntlet/model';
import type { Bucket } from '@gauntlet/objstore';
import { createNodeFileSystem, createNopLogger } from '@gauntlet/service-kit';
import { createSeriesEntry, openBlock, readBlockMeta } from '@gauntlet/tsdb';
import { needPeer } from './peers.ts';
import { temporaryDir } from './process.ts';

/** A series to be: its value at any time. */
export interface HistorySeries {
  readonly name: string;
  readonly labels: readonly (readonly [string, string])[];
  readonly valueAt: (tMs: number) => number;
}

const BLOCK_NAME = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;

/** Names of the blocks in a TSDB folder. */
export function blocksIn(dir: string): readonly string[] {
  return readdirSync(dir).filter((name) => BLOCK_NAME.test(name)).sort();
}

const escapeValue = (value: string): string => value.replace(/[\\"\n]/g, (char) => (char === '\n' ? '\\n' : `\\${char}`));

/**
 * Writes 2 h blocks of level 1 into `dir`, as a Prometheus that had scraped at `timesMs` (ascending) would have.
 * @returns names of the blocks
 */
export function writeHistory(dir: string, series: readonly HistorySeries[], timesMs: readonly number[]): readonly string[] {
  mkdirSync(dir, { recursive: true });
  const lines: string[] = [];
  for (const { name, labels, valueAt } of series) {
    const id = `${name}{${labels.map(([label, value]) => `${label}="${escapeValue(value)}"`).join(',')}}`;
    for (const tMs of timesMs) lines.push(`${id} ${valueAt(tMs)} ${(tMs / 1000).toFixed(3)}`);
  }
  const text = join(temporaryDir('history'), 'history.om');
  writeFileSync(text, `${lines.join('\n')}\n# EOF\n`);
  const { status, stderr } = spawnSync(needPeer('promtool'), ['tsdb', 'create-blocks-from', 'openmetrics', text, dir], { encoding: 'utf8' });
  rmSync(text);
  if (status !== 0) throw new Error(`write history into ${dir}: promtool: ${stderr}`);
  return blocksIn(dir);
}

/** Puts a local block into a bucket, as the sidecar of a Prometheus with these external labels does. @returns what its meta.json says there */
export function shipBlock(bucket: Bucket, dir: string, labels: Labels): Promise<ThanosMeta> {
  const { thanos, ...meta } = readBlockMeta(createNodeFileSystem(), dir);
  void thanos;
  return uploadBlock({ bucket, log: createNopLogger(), clock: Date.now }, dir, { ...meta, thanos: createThanosSection({ hasVersion: true, labels, source: 'sidecar' }) });
}

/** Told the samples of one chunk; the arrays are only lent. */
export type SampleVisitor = (labels: Labels, timesMs: Float64Array, values: Float64Array) => void;

/**
 * Reads every float sample of a block in a folder, checksums and all.
 * @throws whatever is wrong with the block; Error for a chunk of another encoding
 */
export function readBlock(dir: string, kernels: Kernels, visit: SampleVisitor): void {
  const { memory } = kernels;
  const block = openBlock(createNodeFileSystem(), dir);
  const entry = createSeriesEntry();
  try {
    for (const ref of block.index.allPostings()) {
      block.index.readSeries(ref, entry);
      const labels = block.index.labelsOf(entry);
      for (let i = 0; i < entry.chunkCount; i++) {
        const { encoding, data } = block.chunks.readChunk(entry.refs[i]!);
        const count = (data[0]! << 8) | data[1]!;
        if (encoding !== CHUNK_ENCODING.xor) throw new Error(`read ${dir}: chunk ${i} of a series is of encoding ${encoding}, wanted XOR`);
        const pointers = [memory.alloc(data.length + CHUNK_SLACK_BYTES), memory.alloc(count * 8), memory.alloc(count * 8)] as const;
        memory.u8(pointers[0], data.length).set(data);
        const decoded = kernels.decodeXor(pointers[0], data.length, pointers[1], pointers[2], count);
        visit(labels, memory.f64(pointers[1], decoded), memory.f64(pointers[2], decoded));
        for (const pointer of pointers) memory.free(pointer);
      }
    }
  } finally {
    block.close();
  }
}
