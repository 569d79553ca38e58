/**
 * Blocks recorded from Prometheus 3.14, read to the bit and written again byte for byte: the few in testdata/, and all of the
 * golden data folder where it is there (GAUNTLET_SHARED).
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { compareUtf8 } from '@gauntlet/bytes';
import { createKernels } from '@gauntlet/kernels';
import { createMatcher } from '@gauntlet/model';
import { openBlock } from './block/block-reader.ts';
import { createBlockWriter } from './block/block-writer.ts';
import { createSeriesEntry } from './index-file/series-entry.ts';
import { createBlockQueryable } from './query/tsdb-queryable.ts';
import { createMemoryFileSystem, type MemoryFileSystem } from './testing/memory-file-system.ts';
import { dumpAll, lines, type SampleLine, seenSeries } from './testing/recorded-samples.ts';

const here = dirname(fileURLToPath(import.meta.url));
const shared = process.env['GAUNTLET_SHARED'] ?? resolve(here, '../../../../shared');
const kernels = createKernels();

interface GoldenBlock {
  readonly set: string;
  readonly ulid: string;
  readonly name: string;
}

function goldenBlocks(root: string): GoldenBlock[] {
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

const roots = [
  { name: 'testdata', root: join(here, '../testdata'), isThere: true },
  { name: 'golden data (skipped without the folder)', root: join(shared, 'golden'), isThere: existsSync(join(shared, 'golden/tsdb')) },
];

for (const { name, root, isThere } of roots) {
  (isThere ? describe : describe.skip)(`${name}: recorded blocks`, () => {
    describeBlocks(isThere ? goldenBlocks(join(root, 'tsdb')) : []);
  });
}

function describeBlocks(blocks: readonly GoldenBlock[]): void {
  // A group without tests is an error; this one also says that something was found.
  test('there are blocks', () => expect(blocks.length).toBeGreaterThan(5));
  if (blocks.length === 0) return;

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

  test.each(blocks)('$name: samples to the bit', async (golden) => {
    const block = openBlock(load(golden), `data/${golden.ulid}`);
    const want = lines<SampleLine>(join(golden.set, `${golden.ulid}.samples.jsonl`)).map(seenSeries);
    const queryable = createBlockQueryable([block], kernels);
    expect(await dumpAll(queryable)).toEqual(want);
    // Any window gives the same samples, trimmed.
    const { minTime, maxTime } = block.meta;
    const [mint, maxt] = [minTime + Math.floor((maxTime - minTime) / 3), maxTime - Math.floor((maxTime - minTime) / 4)];
    const inRange = <T>(samples: readonly [number, T][]): [number, T][] => samples.filter(([time]) => time >= mint && time <= maxt);
    const trimmed = want.map(({ labels, floats, histograms }) => ({ labels, floats: inRange(floats), histograms: inRange(histograms) }));
    expect(await dumpAll(queryable, mint, maxt)).toEqual(trimmed.filter(({ floats, histograms }) => floats.length + histograms.length > 0));
  });

  test.each(blocks.filter(({ name }) => !name.includes('many-series')))('$name: served chunks are as remote read gave them', async (golden) => {
    const block = openBlock(load(golden), `data/${golden.ulid}`);
    const got: ChunkLine[] = [];
    const request = { matchers: [createMatcher('=~', '__name__', '.*')], mint: 0, maxt: 2 ** 52 };
    for await (const batch of createBlockQueryable([block], kernels).selectChunks(request)) {
      for (const { labels, chunks } of batch) {
        const pairs: [string, string][] = [];
        for (let l = 0; l < labels.length; l += 2) pairs.push([labels[l]!, labels[l + 1]!]);
        got.push({ labels: pairs, chunks: chunks.map(({ mint, maxt, encoding, data }) => [mint, maxt, encoding, Buffer.from(data).toString('base64')]) });
      }
    }
    expect(got).toEqual(lines<ChunkLine>(join(golden.set, `${golden.ulid}.chunks.jsonl`)));
  });

  test('overlapping blocks: each timestamp once, with a sample that one of the blocks has', async () => {
    const overlapping = blocks.filter(({ name }) => name.startsWith('out-of-order/'));
    const open = overlapping.map((golden) => openBlock(load(golden), `data/${golden.ulid}`));
    const allowed = new Map<string, Map<number, unknown[]>>();
    const dumps = overlapping.map((golden) => lines<SampleLine>(join(golden.set, `${golden.ulid}.samples.jsonl`)));
    for (const { labels, floats, histograms } of dumps.flat().map(seenSeries)) {
      const times = allowed.get(JSON.stringify(labels)) ?? new Map<number, unknown[]>();
      allowed.set(JSON.stringify(labels), times);
      for (const [time, sample] of [...floats, ...histograms]) times.set(time, [...(times.get(time) ?? []), withoutHint(sample)]);
    }
    const got = await dumpAll(createBlockQueryable(open, kernels));
    expect(got.map(({ labels }) => JSON.stringify(labels)).sort()).toEqual([...allowed.keys()].sort());
    for (const { labels, floats, histograms } of got) {
      const times = allowed.get(JSON.stringify(labels))!;
      const samples = [...floats, ...histograms].sort((a, b) => a[0] - b[0]);
      expect(samples.map(([time]) => time)).toEqual([...times.keys()].sort((a, b) => a - b));
      for (const [time, sample] of samples) expect(times.get(time)).toContainEqual(withoutHint(sample));
    }
  });
}

/** A hint depends on the sample before. */
function withoutHint(sample: unknown): unknown {
  return typeof sample === 'object' ? { ...sample, hint: 0 } : sample;
}
