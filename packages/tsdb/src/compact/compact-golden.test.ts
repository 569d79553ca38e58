/**
 * Compactions recorded from Thanos 0.43 and Prometheus 3.14: the same inputs must give the same files. Some are in testdata/compact,
 * all of the golden data folder are compared where it is there (GAUNTLET_SHARED).
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { createKernels } from '@gauntlet/kernels';
import { CHUNK_ENCODING } from '@gauntlet/model';
import { type Block, openBlock } from '../block/block-reader.ts';
import { type BlockChunk, createBlockWriter } from '../block/block-writer.ts';
import { createSeriesEntry } from '../index-file/series-entry.ts';
import { createMemoryFileSystem, type MemoryFileSystem } from '../testing/memory-file-system.ts';
import { compactBlocks } from './compact-blocks.ts';

const here = dirname(fileURLToPath(import.meta.url));
const kernels = createKernels();

interface Step {
  readonly name: string;
  readonly kind: string;
  readonly in: readonly { readonly id: string; readonly at: string }[];
  readonly out: { readonly id: string; readonly at: string };
}

function seed(fs: MemoryFileSystem, from: string, to: string): void {
  for (const entry of readdirSync(from, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    fs.seed(`${to}${path.slice(from.length)}`, readFileSync(path));
  }
}

/** Index and chunk files of a block, as hex in lines. */
function filesOf(fs: MemoryFileSystem, dir: string): Record<string, string[]> {
  const files: Record<string, string[]> = {};
  for (const [path, bytes] of fs.snapshot()) {
    const name = path.slice(dir.length + 1);
    if (path.startsWith(`${dir}/`) && (name === 'index' || name.startsWith('chunks/'))) files[name] = Buffer.from(bytes).toString('hex').match(/.{1,32}/g) ?? [];
  }
  return files;
}

/** What both metas must agree in: everything but the name and the `thanos` section. */
function comparable(meta: Block['meta']): unknown {
  return { ...meta, ulid: '', thanos: undefined };
}

/** The block without the series whose chunks are not all float chunks. */
function onlyFloats(fs: MemoryFileSystem, block: Block, dir: string): { block: Block; dropped: number } {
  const symbols = Array.from({ length: block.index.symbols.count }, (_, i) => block.index.symbols.lookup(i));
  const writer = createBlockWriter(fs, dir, { ulid: block.meta.ulid, minTime: block.meta.minTime, maxTime: block.meta.maxTime, compaction: block.meta.compaction, symbols });
  const entry = createSeriesEntry();
  let dropped = 0;
  for (const ref of block.index.allPostings()) {
    block.index.readSeries(ref, entry);
    const chunks: BlockChunk[] = [];
    for (let i = 0; i < entry.chunkCount; i++) chunks.push({ mint: entry.mint[i]!, maxt: entry.maxt[i]!, ...block.chunks.readChunk(entry.refs[i]!) });
    if (chunks.every(({ encoding }) => encoding === CHUNK_ENCODING.xor)) writer.addSeries(block.index.labelsOf(entry), chunks);
    else dropped++;
  }
  writer.finish();
  return { block: openBlock(fs, `${dir}/${block.meta.ulid}`), dropped };
}

function describeSteps(root: string): void {
  const steps = (JSON.parse(readFileSync(join(root, 'steps.json'), 'utf8')) as Step[]).filter(({ out }) => existsSync(join(root, out.at)));
  const plain = steps.filter(({ kind }) => kind === 'compaction');
  const overlapping = steps.filter(({ kind }) => kind === 'overlapping compaction, no dedup function');
  const load = (step: Step): { fs: MemoryFileSystem; inputs: Block[]; recorded: Block } => {
    const fs = createMemoryFileSystem();
    for (const { id, at } of step.in) seed(fs, join(root, at), `in/${id}`);
    seed(fs, join(root, step.out.at), `recorded/${step.out.id}`);
    return { fs, inputs: step.in.map(({ id }) => openBlock(fs, `in/${id}`)), recorded: openBlock(fs, `recorded/${step.out.id}`) };
  };

  test('there are steps of both kinds', () => {
    expect([plain.length > 1, overlapping.length > 0]).toEqual([true, true]);
  });

  test.each(plain)('$name: index, chunks and meta as recorded, byte for byte', (step) => {
    const { fs, inputs, recorded } = load(step);
    const meta = compactBlocks({ fs, kernels }, inputs, 'out', { ulid: step.out.id });
    expect(comparable(meta!)).toEqual(comparable(recorded.meta));
    expect(filesOf(fs, `out/${step.out.id}`)).toEqual(filesOf(fs, `recorded/${step.out.id}`));
  });

  test.each(overlapping)('$name: float series as recorded, chunk for chunk', (step) => {
    const { fs, inputs, recorded } = load(step);
    const floats = inputs.map((block) => onlyFloats(fs, block, 'floats'));
    const want = onlyFloats(fs, recorded, 'floats');
    expect(want.block.meta.stats.numSeries).toBeGreaterThan(5);
    const meta = compactBlocks({ fs, kernels }, floats.map(({ block }) => block), 'out', { ulid: step.out.id });
    expect(meta).toMatchObject({ minTime: recorded.meta.minTime, maxTime: recorded.meta.maxTime, stats: want.block.meta.stats, compaction: recorded.meta.compaction });
    expect(filesOf(fs, `out/${step.out.id}`)).toEqual(filesOf(fs, `floats/${step.out.id}`));
  });

  test.each(overlapping)('$name: overlapping histograms are refused by name, and nothing is left', (step) => {
    const { fs, inputs } = load(step);
    expect(() => compactBlocks({ fs, kernels }, inputs, 'out', { ulid: step.out.id })).toThrow(expect.objectContaining({ code: 'ERR_CHUNK_ENCODING', message: expect.stringMatching(new RegExp(`of blocks ${inputs[0]!.meta.ulid}, ${inputs[1]!.meta.ulid}: chunk from \\d+ to \\d+ overlaps`)) }));
    expect(fs.list('out')).toEqual([]);
  });
}

const roots = [
  { name: 'testdata', root: join(here, '../../testdata/compact') },
  { name: 'golden data (skipped without the folder)', root: join(process.env['GAUNTLET_SHARED'] ?? resolve(here, '../../../../../shared'), 'golden/bucket') },
];
for (const { name, root } of roots) {
  if (existsSync(root)) describe(name, () => describeSteps(root));
  else describe.skip(name, () => test('there is no such folder', () => expect(existsSync(root)).toBe(true)));
}
