/** Chunks of a block against index and meta.json: what is right passes, every kind of damage has its sentence. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createKernels } from '@gauntlet/kernels';
import { createNodeFileSystem } from '@gauntlet/service-kit';
import { type Block, createSeriesEntry, openBlock } from '@gauntlet/tsdb';
import { buildBlock, createMemoryFileSystem } from '@gauntlet/tsdb/testing';

import { verifyBlockData } from './block-data.ts';
import { GOLDEN_BLOCK, goldenBlocks, TESTDATA } from './testing/golden.ts';

const kernels = createKernels();
const fs = createNodeFileSystem();
let dir: string;
beforeAll(() => { dir = mkdtempSync(join(tmpdir(), 'gauntlet-block-data-')); });
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function smallBlock(): { readonly fs: ReturnType<typeof createMemoryFileSystem>; readonly dir: string } {
  const memory = createMemoryFileSystem();
  const built = buildBlock(memory, '/data', "a{i='1'} 0+1x200\na{i='2'} 5 _ stale NaN 7x3", { kernels, startMs: 1_000_000 });
  return { fs: memory, dir: built.dir };
}
const withIndexEntry = (block: Block, change: (entry: ReturnType<typeof createSeriesEntry>, ref: number) => void): Block => ({
  ...block,
  index: { ...block.index, readSeries(ref, out, chunksWanted) { block.index.readSeries(ref, out, chunksWanted); change(out, ref); } },
});

test('a block that is right', async () => {
  const { fs: memory, dir: path } = smallBlock();
  const used = kernels.memory.usedBytes;
  const report = await verifyBlockData(openBlock(memory, path), kernels);
  expect(report).toMatchObject({ series: 2, chunks: 3, samples: 208, findingCount: 0, findings: [] });
  expect(kernels.memory.usedBytes).toBe(used);
});

test('the recorded block, with its histograms, and a byte flipped in each of its chunks', async () => {
  const source = join(TESTDATA, 'block', GOLDEN_BLOCK);
  expect(await verifyBlockData(openBlock(fs, source), kernels)).toMatchObject({ findingCount: 0 });
  const path = join(dir, GOLDEN_BLOCK);
  cpSync(source, path, { recursive: true });
  const bytes = readFileSync(join(path, 'chunks/000001'));
  const block = openBlock(fs, path);
  const entry = createSeriesEntry();
  let chunks = 0;
  for (const ref of block.index.allPostings()) {
    block.index.readSeries(ref, entry);
    for (let i = 0; i < entry.chunkCount; i++, chunks++) bytes[(entry.refs[i]! % 2 ** 32) + 4]! ^= 0x10;
  }
  writeFileSync(join(path, 'chunks/000001'), bytes);
  const report = await verifyBlockData(block, kernels, { findingsMax: 2 });
  expect(report.findingCount).toBe(chunks);
  expect(report.findings).toHaveLength(2);
  expect(report.findings[0]).toMatch(/^chunk 0 of series \{.*\} \(segment 1, offset 8\): .*invalid checksum/);
  block.close();
});

describe('what does not fit together', () => {
  test.each<{ name: string; change: (block: Block) => Block; finding: RegExp }>([
    { name: 'samples before the chunk begins', change: (block) => withIndexEntry(block, (entry) => { entry.mint[0]! += 1; }), finding: /samples from 1000000 to \d+, the index says 1000001 to/ },
    { name: 'samples after the chunk ends', change: (block) => withIndexEntry(block, (entry) => { entry.maxt[0]! -= 1; }), finding: /samples from \d+ to \d+, the index says/ },
    { name: 'a reference past the segment', change: (block) => withIndexEntry(block, (entry) => { entry.refs[0] = 2 ** 20; }), finding: /segment 1, offset 1048576/ },
    { name: 'a reference to a segment that is not there', change: (block) => withIndexEntry(block, (entry) => { entry.refs[0] = 2 ** 32 + 8; }), finding: /segment 2, offset 8.*there are 1 segments/ },
    { name: 'another number of series', change: (block) => ({ ...block, meta: { ...block.meta, stats: { ...block.meta.stats, numSeries: 3 } } }), finding: /^meta\.json says 3 series, the index has 2$/ },
    { name: 'another number of chunks', change: (block) => ({ ...block, meta: { ...block.meta, stats: { ...block.meta.stats, numChunks: 4 } } }), finding: /^meta\.json says 4 chunks, the index has 3$/ },
    { name: 'another number of samples', change: (block) => ({ ...block, meta: { ...block.meta, stats: { ...block.meta.stats, numSamples: 209 } } }), finding: /^meta\.json says 209 samples, the chunks have 208$/ },
    {
      name: 'a chunk without samples',
      change: (block) => ({ ...block, chunks: { ...block.chunks, readChunk: () => ({ encoding: 1, data: new Uint8Array(2) }) } }),
      finding: /holds no sample/,
    },
    {
      name: 'XOR data that ends early under a right checksum',
      change: (block) => ({ ...block, chunks: { ...block.chunks, readChunk: (ref) => ({ encoding: 1, data: block.chunks.readChunk(ref).data.subarray(0, 9) }) } }),
      finding: /XOR data of 9 bytes is damaged although its checksum is right/,
    },
  ])('$name', async ({ change, finding }) => {
    const { fs: memory, dir: path } = smallBlock();
    const report = await verifyBlockData(change(openBlock(memory, path)), kernels);
    expect(report.findingCount).toBeGreaterThan(0);
    expect(report.findings[0]).toMatch(finding);
  });
});

test('can be cancelled', async () => {
  const { fs: memory, dir: path } = smallBlock();
  await expect(verifyBlockData(openBlock(memory, path), kernels, { signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow('enough');
});

const golden = goldenBlocks().filter(({ path }) => path.includes('/bucket/'));
(golden.length === 0 ? test.skip : test)('every recorded block of a bucket has the data it says (skipped without the recorded set)', async () => {
  let blocks = 0;
  for (const { path } of golden) {
    let block: Block;
    try {
      block = openBlock(fs, path);
    } catch {
      continue; // The set has blocks that are damaged on purpose.
    }
    expect([path, (await verifyBlockData(block, kernels)).findings]).toEqual([path, []]);
    block.close();
    blocks++;
  }
  expect(blocks).toBeGreaterThan(20);
});
