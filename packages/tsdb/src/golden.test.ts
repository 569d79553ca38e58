/**
 * Blocks and logs recorded from Prometheus 3.14, read to the bit and written again byte for byte: the few in testdata/, and all of the
 * golden data folder where it is there (GAUNTLET_SHARED).
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { compareUtf8 } from '@gauntlet/bytes';
import { createKernels } from '@gauntlet/kernels';
import { createMatcher, type FloatHistogram, isStaleHistogram, type Queryable } from '@gauntlet/model';
import { openBlock } from './block/block-reader.ts';
import { createBlockWriter } from './block/block-writer.ts';
import { createDb } from './db.ts';
import { createSeriesEntry } from './index-file/series-entry.ts';
import { createBlockQueryable } from './query/tsdb-queryable.ts';
import { decodeSamplesRecord, SampleColumns } from './wal/record.ts';
import { listSegments, readSegment } from './wal/wal-reader.ts';
import { createMemoryFileSystem, type MemoryFileSystem } from './testing/memory-file-system.ts';

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

function lines<T>(path: string): T[] {
  return readFileSync(path, 'utf8').split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as T);
}

interface SampleLine {
  labels: [string, string][];
  floats?: [number, string][];
  histograms?: [number, DumpedHistogram][];
}

/** As the recording has it: README of the golden data. Zero values are left out. */
interface DumpedHistogram {
  type: 'int' | 'float';
  schema: number;
  zeroThreshold: string;
  count: string;
  zeroCount: string;
  sum: string;
  hint: number;
  positiveSpans?: [number, number][];
  negativeSpans?: [number, number][];
  positiveDeltas?: (number | string)[];
  negativeDeltas?: (number | string)[];
  positiveCounts?: string[];
  negativeCounts?: string[];
  customValues?: string[];
}

function bitsOf(x: number): string {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, x);
  return view.getBigUint64(0).toString(16).padStart(16, '0');
}

/** A recorded histogram as a query sees it: absolute counts, one stale marker. */
function seenHistogram(dumped: DumpedHistogram): unknown {
  if (dumped.sum === STALE_BITS) return 'stale';
  const count = (text: string): string => (dumped.type === 'int' ? bitsOf(Number(text)) : text);
  const buckets = (deltas: (number | string)[] = [], counts: string[] = []): string[] => {
    let total = 0;
    return counts.length > 0 ? counts : deltas.map((delta) => bitsOf((total += Number(delta))));
  };
  const { schema, zeroThreshold, sum, hint, positiveSpans = [], negativeSpans = [], customValues = [] } = dumped;
  const positive = buckets(dumped.positiveDeltas, dumped.positiveCounts);
  const negative = buckets(dumped.negativeDeltas, dumped.negativeCounts);
  return { schema, zeroThreshold, sum, hint, count: count(dumped.count), zeroCount: count(dumped.zeroCount), positiveSpans, negativeSpans, positive, negative, customValues };
}

function dumpHistogram(histogram: FloatHistogram): unknown {
  if (isStaleHistogram(histogram)) return 'stale';
  const spans = (side: FloatHistogram['positiveSpans']): number[][] => side.map(({ offset, length }) => [offset, length]);
  return {
    schema: histogram.schema,
    zeroThreshold: bitsOf(histogram.zeroThreshold),
    sum: bitsOf(histogram.sum),
    hint: histogram.resetHint,
    count: bitsOf(histogram.count),
    zeroCount: bitsOf(histogram.zeroCount),
    positiveSpans: spans(histogram.positiveSpans),
    negativeSpans: spans(histogram.negativeSpans),
    positive: Array.from(histogram.positiveBuckets, bitsOf),
    negative: Array.from(histogram.negativeBuckets, bitsOf),
    customValues: Array.from(histogram.customValues, bitsOf),
  };
}

const STALE_BITS = '7ff0000000000002';

/** One series as dumps have it, histograms as a query sees them. */
interface SeenSeries {
  labels: [string, string][];
  floats: [number, string][];
  histograms: [number, unknown][];
}

function seenSeries({ labels, floats = [], histograms = [] }: SampleLine): SeenSeries {
  return { labels, floats, histograms: histograms.map(([time, dumped]) => [time, seenHistogram(dumped)]) };
}

/** Everything a queryable has in a range. */
async function dumpAll(queryable: Queryable, mint = 0, maxt = 2 ** 52): Promise<SeenSeries[]> {
  const dump: SeenSeries[] = [];
  for await (const batch of queryable.select({ matchers: [createMatcher('=~', '__name__', '.+')], mint, maxt })) {
    const view = new DataView(batch.values.buffer, batch.values.byteOffset, batch.values.byteLength);
    for (const [i, labels] of batch.labels.entries()) {
      const one: SeenSeries = { labels: pairsOf(labels), floats: [], histograms: [] };
      for (let s = batch.offsets[i]!; s < batch.offsets[i + 1]!; s++) {
        const words = [view.getUint32(s * 8 + 4, true), view.getUint32(s * 8, true)];
        const bits = words.map((word) => word.toString(16).padStart(8, '0')).join('');
        const id = batch.histograms?.ids[s] ?? -1;
        // The recording client's protobuf leaves out fields that equal 0, and so lost the sign of −0.
        if (id < 0) one.floats.push([batch.timestampsMs[s]!, bits === '8000000000000000' ? '0000000000000000' : bits]);
        else {
          const histogram = batch.histograms!.get(id);
          expect(bits).toBe(isStaleHistogram(histogram) ? STALE_BITS : '0000000000000000');
          one.histograms.push([batch.timestampsMs[s]!, dumpHistogram(histogram)]);
        }
      }
      dump.push(one);
    }
  }
  return dump;
}

function pairsOf(labels: readonly string[]): [string, string][] {
  const pairs: [string, string][] = [];
  for (let l = 0; l < labels.length; l += 2) pairs.push([labels[l]!, labels[l + 1]!]);
  return pairs;
}

function sorted(dump: SampleLine[]): SampleLine[] {
  return dump.sort((a, b) => (JSON.stringify(a.labels) < JSON.stringify(b.labels) ? -1 : 1));
}

/** Names of metrics that have native histograms. */
function histogramNames(dump: readonly SampleLine[]): string[] {
  return dump.filter(({ histograms }) => histograms !== undefined).map(({ labels }) => labels.find(([name]) => name === '__name__')![1]);
}

function withoutNames(dump: readonly SampleLine[], names: readonly string[]): SampleLine[] {
  return dump.filter(({ labels }) => !labels.some(([name, value]) => name === '__name__' && names.includes(value)));
}

/** Everything a queryable has but some metrics, as the dumps write it. */
async function dumpFloats(queryable: Queryable, mint = 0, maxt = 2 ** 52, excluded: readonly string[] = []): Promise<SampleLine[]> {
  const dump: SampleLine[] = [];
  const matcher = createMatcher('!~', '__name__', excluded.length === 0 ? 'no such metric' : excluded.join('|'));
  for await (const batch of queryable.select({ matchers: [matcher], mint, maxt })) {
    const view = new DataView(batch.values.buffer, batch.values.byteOffset, batch.values.byteLength);
    for (const [i, labels] of batch.labels.entries()) {
      const pairs: [string, string][] = [];
      for (let l = 0; l < labels.length; l += 2) pairs.push([labels[l]!, labels[l + 1]!]);
      const floats: [number, string][] = [];
      for (let s = batch.offsets[i]!; s < batch.offsets[i + 1]!; s++) {
        const words = [view.getUint32(s * 8 + 4, true), view.getUint32(s * 8, true)];
        const bits = words.map((word) => word.toString(16).padStart(8, '0')).join('');
        // The recording client's protobuf leaves out fields that equal 0, and so lost the sign of −0.
        floats.push([batch.timestampsMs[s]!, bits === '8000000000000000' ? '0000000000000000' : bits]);
      }
      dump.push({ labels: pairs, floats });
    }
  }
  return dump;
}


const roots = [
  { name: 'testdata', root: join(here, '../testdata'), isThere: true },
  { name: 'golden data (skipped without the folder)', root: join(shared, 'golden'), isThere: existsSync(join(shared, 'golden/tsdb')) },
];

for (const { name, root, isThere } of roots) {
  (isThere ? describe : describe.skip)(`${name}: recorded blocks`, () => {
    describeBlocks(isThere ? goldenBlocks(join(root, 'tsdb')) : []);
  });
  (isThere ? describe : describe.skip)(`${name}: recorded data directories`, () => {
    describeLogs(join(root, 'wal'));
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

  test.each(blocks)('$name: samples to the bit, or the encoding is refused by name', async (golden) => {
    const block = openBlock(load(golden), `data/${golden.ulid}`);
    const want = lines<SampleLine>(join(golden.set, `${golden.ulid}.samples.jsonl`)).map(seenSeries);
    const queryable = createBlockQueryable([block], kernels);
    if (golden.name.startsWith('xor2')) {
      await expect(dumpAll(queryable)).rejects.toThrow(expect.objectContaining({ code: 'ERR_CHUNK_ENCODING', message: expect.stringMatching(/not supported yet/) }));
      return;
    }
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

function describeLogs(walRoot: string): void {
  const sets = ['snappy', 'uncompressed', 'checkpoint'].filter((set) => existsSync(join(walRoot, set)));
  test('there are logs', () => expect(sets.length).toBeGreaterThan(0));
  if (sets.length === 0) return;

  const loadData = (set: string): MemoryFileSystem => {
    const fs = createMemoryFileSystem();
    // `data/` as a name is ignored by git, hence another one in testdata.
    const from = ['data', 'storage'].map((name) => join(walRoot, set, name)).find(existsSync)!;
    for (const entry of readdirSync(from, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath, entry.name);
      fs.seed(`data${path.slice(from.length)}`, readFileSync(path));
    }
    return fs;
  };
  const deps = (fs: MemoryFileSystem) => ({ fs, dir: 'data', kernels, clock: Date, random: Math.random });

  /** Times of out-of-order samples, from Prometheus' second log, which this database does not read. */
  const outOfOrderTimes = (fs: MemoryFileSystem): Set<number> => {
    const times = new Set<number>();
    if (fs.stat('data/wbl') === undefined) return times;
    const samples = new SampleColumns();
    for (const segment of listSegments(fs, 'data/wbl')) {
      readSegment(fs, 'data/wbl', segment, (record) => {
        if (record[0] !== 2) return;
        decodeSamplesRecord(record, samples);
        for (let i = 0; i < samples.count; i++) times.add(samples.timesMs[i]!);
      });
    }
    return times;
  };

  test.each(sets)('%s: floats after replay, to the bit', async (set) => {
    const fs = loadData(set);
    const late = outOfOrderTimes(fs);
    const db = createDb(deps(fs));
    expect(db.replay).toMatchObject({ repair: undefined, unknownRefs: 0 });
    expect(db.damagedBlocks()).toEqual([]);
    const dump = lines<SampleLine>(join(walRoot, set, 'restarted.samples.jsonl'));
    const excluded = histogramNames(dump);
    const want = withoutNames(dump, excluded).map(({ labels, floats }) => ({ labels, floats: floats! }));
    expect(want.length).toBeGreaterThan(3);
    const got = await dumpFloats(db.queryable, 0, 2 ** 52, excluded);
    const inOrder = want.map(({ labels, floats }) => ({ labels, floats: floats.filter(([time]) => !late.has(time)) }));
    // The server gave its head's series in no particular order.
    const present = sorted(inOrder.filter(({ floats }) => floats.length > 0));
    const gotInOrder = got.map(({ labels, floats }) => ({ labels, floats: floats!.filter(([time]) => !late.has(time)) })).filter(({ floats }) => floats.length > 0);
    expect(sorted(gotInOrder)).toEqual(present);
    // What the second log holds is said to be missing.
    const set2 = db.queryable.select({ matchers: [createMatcher('=', 'no', 'such')], mint: 0, maxt: 1 });
    for await (const batch of set2) expect(batch.labels).toEqual([]);
    expect(set2.warnings().some((warning) => /out-of-order samples, which are not read/.test(warning))).toBe(late.size > 0);
    db.close();
  });

  const zstd = existsSync(join(walRoot, 'zstd')) ? test : test.skip;
  zstd('zstd is refused by name', () => {
    expect(() => createDb(deps(loadData('zstd')))).toThrow(expect.objectContaining({ code: 'ERR_WAL_COMPRESSION', message: expect.stringMatching(/zstd, which is not supported/) }));
  });

  test('records of kinds that are not read are counted by name', () => {
    const db = createDb(deps(loadData('snappy')));
    const skipped = Object.fromEntries(db.replay.skippedRecords);
    expect(Object.keys(skipped).sort()).toEqual(['custom-bucket float histogram samples', 'custom-bucket histogram samples', 'exemplars', 'float histogram samples', 'histogram samples', 'metadata']);
    db.close();
  });
}
