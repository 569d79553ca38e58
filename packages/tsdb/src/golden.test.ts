/**
 * Blocks recorded from Prometheus 3.14, read to the bit and written again byte for byte. The data folder is optional: without it
 * these tests are skipped, and the copies in testdata/ (block.test.ts) remain.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { compareUtf8 } from '@gauntlet/bytes';
import { openBlock } from './block/block-reader.ts';
import { createBlockWriter } from './block/block-writer.ts';
import { createSeriesEntry } from './index-file/series-entry.ts';
import { createMemoryFileSystem, type MemoryFileSystem } from './testing/memory-file-system.ts';

const shared = process.env['GAUNTLET_SHARED'] ?? resolve(dirname(fileURLToPath(import.meta.url)), '../../../../shared');
const root = join(shared, 'golden/tsdb');
const isThere = existsSync(root);

interface GoldenBlock {
  readonly set: string;
  readonly ulid: string;
  readonly name: string;
}

function goldenBlocks(): GoldenBlock[] {
  if (!isThere) return [{ set: '-', ulid: '-', name: 'golden data absent' }];
  return readdirSync(root)
    .filter((set) => statSync(join(root, set)).isDirectory())
    .flatMap((set) => {
      const folders = readdirSync(join(root, set), { recursive: true, withFileTypes: true }).filter((entry) => entry.name === 'meta.json');
      return folders.map((entry) => ({ set: join(root, set), ulid: entry.parentPath.split('/').at(-1)!, name: `${set}/${entry.parentPath.split('/').at(-1)}`, path: entry.parentPath }));
    });
}

function load(block: GoldenBlock): MemoryFileSystem {
  const fs = createMemoryFileSystem();
  const from = join(block.set, block.ulid);
  for (const entry of readdirSync(from, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    fs.seed(`data/${block.ulid}${path.slice(from.length)}`, readFileSync(path));
  }
  return fs;
}

/** Hex in lines of 16 bytes. */
function hex(bytes: Uint8Array): string[] {
  return Buffer.from(bytes).toString('hex').match(/.{1,32}/g) ?? [];
}

interface ChunkLine {
  labels: [string, string][];
  chunks?: [number, number, number, string][];
}

function lines<T>(path: string): T[] {
  return readFileSync(path, 'utf8').split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as T);
}

const blocks = goldenBlocks();

(isThere ? describe : describe.skip)('recorded blocks', () => {
  test.each(blocks)('$name: labels and chunk bytes are as dumped', (golden) => {
    const fs = load(golden);
    const block = openBlock(fs, `data/${golden.ulid}`);
    const entry = createSeriesEntry();
    const dump = join(golden.set, `${golden.ulid}.chunks.jsonl`);
    const got: ChunkLine[] = [];
    for (const ref of block.index.allPostings()) {
      block.index.readSeries(ref, entry);
      const labels = block.index.labelsOf(entry);
      const pairs: [string, string][] = [];
      for (let i = 0; i < labels.length; i += 2) pairs.push([labels[i]!, labels[i + 1]!]);
      const chunks: [number, number, number, string][] = [];
      for (let i = 0; i < entry.chunkCount; i++) {
        const { encoding, data } = block.chunks.readChunk(entry.refs[i]!);
        chunks.push([entry.mint[i]!, entry.maxt[i]!, encoding, Buffer.from(data).toString('base64')]);
      }
      got.push({ labels: pairs, chunks });
    }
    expect(got).toHaveLength(block.meta.stats.numSeries);
    if (existsSync(dump) && block.tombstones.size === 0) expect(got).toEqual(lines<ChunkLine>(dump));
  });

  test.each(blocks)('$name: written again gives the same index, chunks and meta', (golden) => {
    const fs = load(golden);
    const block = openBlock(fs, `data/${golden.ulid}`);
    const symbols: string[] = [];
    for (let i = 0; i < block.index.symbols.count; i++) symbols.push(block.index.symbols.lookup(i));
    const writer = createBlockWriter(fs, 'again', {
      ulid: golden.ulid,
      minTime: block.meta.minTime,
      maxTime: block.meta.maxTime,
      compaction: block.meta.compaction,
      symbols,
    });
    const entry = createSeriesEntry();
    for (const ref of block.index.allPostings()) {
      block.index.readSeries(ref, entry);
      const chunks = [];
      for (let i = 0; i < entry.chunkCount; i++) {
        chunks.push({ mint: entry.mint[i]!, maxt: entry.maxt[i]!, ...block.chunks.readChunk(entry.refs[i]!) });
      }
      writer.addSeries(block.index.labelsOf(entry), chunks);
    }
    writer.finish();
    const files = fs.snapshot();
    for (const file of ['index', 'chunks/000001', ...(block.tombstones.size === 0 ? ['tombstones', 'meta.json'] : [])]) {
      expect([file, hex(files.get(`again/${golden.ulid}/${file}`)!)]).toEqual([file, hex(files.get(`data/${golden.ulid}/${file}`)!)]);
    }
  });

  test.each(blocks)('$name: label values and postings of every pair agree with the series', (golden) => {
    const block = openBlock(load(golden), `data/${golden.ulid}`);
    const entry = createSeriesEntry();
    const expected = new Map<string, Map<string, number[]>>();
    for (const ref of block.index.allPostings()) {
      block.index.readSeries(ref, entry, false);
      const labels = block.index.labelsOf(entry);
      for (let i = 0; i < labels.length; i += 2) {
        const values = expected.get(labels[i]!) ?? new Map<string, number[]>();
        expected.set(labels[i]!, values);
        values.set(labels[i + 1]!, [...(values.get(labels[i + 1]!) ?? []), ref]);
      }
    }
    expect(block.index.labelNames()).toEqual([...expected.keys()].sort(compareUtf8));
    for (const [name, values] of expected) {
      expect(block.index.labelValues(name)).toEqual([...values.keys()].sort(compareUtf8));
      for (const [value, refs] of values) expect([...block.index.postings(name, value)]).toEqual(refs);
      expect([...block.index.postingsOfName(name)]).toEqual([...values.values()].flat().sort((a, b) => a - b));
    }
    expect(block.index.postings('no such label', 'x')).toHaveLength(0);
  });
});
