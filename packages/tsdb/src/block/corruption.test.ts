/**
 * Small blocks, each of their files cut at every length and damaged at every byte. A query gives an error that names block, file, section and
 * offset, or the very same data; verification finds whatever a query refuses, and compaction refuses damaged chunks too. What nothing can find is listed.
 *
 * GAUNTLET_FLIPS=all: of every byte each bit, and all of them, and every length; else one bit of every second byte, every second length.
 */
import { describe, expect, test } from '@jest/globals';
import { createKernels } from '@gauntlet/kernels';
import { createMatcher } from '@gauntlet/model';
import { compactBlocks } from '../compact/compact-blocks.ts';
import { isTsdbError } from '../errors.ts';
import { createBlockQueryable } from '../query/tsdb-queryable.ts';
import { buildBlock } from '../testing/block-builder.ts';
import { writeEveryEncoding } from '../testing/every-encoding.ts';
import { createMemoryFileSystem, type MemoryFileSystem } from '../testing/memory-file-system.ts';
import { type BlockMeta, formatBlockMeta } from './block-meta.ts';
import { openBlock } from './block-reader.ts';
import { computeMetaDigest, META_DIGEST_KEY } from './meta-digest.ts';
import { formatTombstones } from './tombstones.ts';
import { type BlockReport, verifyBlock } from './verify-block.ts';

const isFull = process.env['GAUNTLET_FLIPS'] === 'all';
const STRIDE = isFull ? 1 : 2;
const MASKS = isFull ? [1, 2, 4, 8, 16, 32, 64, 128, 255] : undefined;
const kernels = createKernels();

interface Case {
  readonly name: string;
  readonly dir: string;
  readonly ulid: string;
  readonly files: ReadonlyMap<string, Uint8Array>;
}

function floats(): Case {
  const fs = createMemoryFileSystem();
  const { dir, meta } = buildBlock(fs, 'data', "a{b='1'} 0+10x5 _ 7\na{b='2',c='x'} 1 NaN stale -Inf\nb 1x130", { kernels });
  fs.seed(`${dir}/tombstones`, formatTombstones(new Map([[5, [15_000, 30_000]]])));
  return { name: 'floats', dir, ulid: meta.ulid, files: fs.snapshot() };
}

function everyEncoding(): Case {
  const fs = createMemoryFileSystem();
  const { dir, meta } = writeEveryEncoding(fs, 'data', kernels, '01HV0000000000000000000000');
  return { name: 'a series of each encoding', dir, ulid: meta.ulid, files: fs.snapshot() };
}

/** The same with external labels and our digest in meta.json. */
function withDigest(block: Case, name: string): Case {
  const files = new Map(block.files);
  const path = `${block.dir}/meta.json`;
  const meta = JSON.parse(new TextDecoder().decode(files.get(path)!)) as BlockMeta;
  const thanos = { labels: { cluster: 'eu', replica: 'a' }, downsample: { resolution: 0 }, source: 'test' };
  files.set(path, formatBlockMeta({ ...meta, thanos: { ...thanos, extensions: { [META_DIGEST_KEY]: computeMetaDigest({ ...meta, thanos }) } } }));
  return { ...block, name, files };
}

async function readAll(fs: MemoryFileSystem, dir: string): Promise<string> {
  const block = openBlock(fs, dir);
  try {
    const rows: string[] = [];
    const queryable = createBlockQueryable([block], kernels);
    for await (const batch of queryable.select({ matchers: [createMatcher('=~', '__name__', '.*')], mint: -1e12, maxt: 1e15 })) {
      const words = new Uint32Array(batch.values.buffer, batch.values.byteOffset, batch.values.length * 2);
      const histograms = [...(batch.histograms?.ids ?? [])].map((id) => (id < 0 ? 0 : batch.histograms!.get(id)));
      rows.push(JSON.stringify([batch.labels, [...batch.offsets], [...batch.timestampsMs], [...words], histograms, [...(batch.startTimestamps ?? [])]]));
    }
    for (const name of block.index.labelNames()) {
      for (const value of block.index.labelValues(name)) rows.push(JSON.stringify([name, value, [...block.index.postings(name, value)]]));
    }
    return rows.join('\n');
  } finally {
    block.close();
  }
}

function withFile(files: ReadonlyMap<string, Uint8Array>, path: string, data: Uint8Array): MemoryFileSystem {
  const fs = createMemoryFileSystem();
  for (const [name, bytes] of files) fs.seed(name, name === path ? data : bytes);
  return fs;
}

interface Outcome {
  /** `same`, `refused`, or what is wrong with the answer. */
  readonly query: string;
  readonly report: BlockReport;
}

async function outcomeOf({ dir, ulid }: Case, fs: MemoryFileSystem, file: string, intact: string): Promise<Outcome> {
  const report = verifyBlock(fs, dir, { kernels });
  try {
    return { report, query: (await readAll(fs, dir)) === intact ? 'same' : 'other data' };
  } catch (error) {
    if (!isTsdbError(error)) return { report, query: `${(error as Error).name}: ${(error as Error).stack}` };
    const { place } = error;
    const isNamed = place?.block === ulid && place.file === file && place.offset >= 0 && error.message.includes(ulid);
    return { report, query: isNamed ? 'refused' : `${error.message} does not name its place: ${JSON.stringify(place)}` };
  }
}

/** Whether compaction refuses the block too. */
function compactionOf({ dir }: Case, fs: MemoryFileSystem): string {
  try {
    const block = openBlock(fs, dir);
    compactBlocks({ fs, kernels }, [block], 'out', { ulid: '01HV0000000000000000000007' });
    block.close();
    return 'made a block';
  } catch (error) {
    return isTsdbError(error) ? 'refused' : `${(error as Error).name}: ${(error as Error).stack}`;
  }
}

/** The file that the damage is found in, by the first finding that is more than a note. */
function blamed({ findings }: BlockReport): string | undefined {
  return findings.find(({ severity }) => severity !== 'note')?.file;
}

const blocks = [floats(), everyEncoding()];
const datafiles = blocks.flatMap((block) => ['index', 'chunks/000001', 'tombstones'].map((file) => ({ block, file, name: `${block.name}: ${file}` })));

describe.each(datafiles)('$name', ({ block, file }) => {
  const path = `${block.dir}/${file}`;
  const whole = block.files.get(path)!;

  test('cut at every length', async () => {
    const intact = await readAll(withFile(block.files, path, whole), block.dir);
    for (let bytes = 0; bytes < whole.length; bytes += STRIDE) {
      const fs = withFile(block.files, path, whole.subarray(0, bytes));
      const { query, report } = await outcomeOf(block, fs, file, intact);
      expect([bytes, query, blamed(report)]).toEqual([bytes, 'refused', file === 'chunks/000001' ? expect.stringMatching(/^chunks/) : file]);
      expect([bytes, compactionOf(block, fs)]).toEqual([bytes, 'refused']);
    }
  });

  test('a byte changed, every byte', async () => {
    const intact = await readAll(withFile(block.files, path, whole), block.dir);
    let flips = 0;
    let refused = 0;
    const unnoticed: number[] = [];
    for (let at = 0; at < whole.length; at += STRIDE) {
      for (const mask of MASKS ?? [1 << ((at >> 1) % 8)]) {
        const damaged = whole.slice();
        damaged[at]! ^= mask;
        const fs = withFile(block.files, path, damaged);
        const { query, report } = await outcomeOf(block, fs, file, intact);
        if (file === 'chunks/000001' && query === 'refused') expect([at, mask, compactionOf(block, fs)]).toEqual([at, mask, 'refused']);
        expect([at, mask, query]).toEqual([at, mask, expect.stringMatching(/^(same|refused)$/)]);
        // Whatever a query refuses, verification finds, in the same file.
        if (query === 'refused') expect([at, mask, blamed(report)]).toEqual([at, mask, expect.stringMatching(file === 'chunks/000001' ? /^chunks/ : file)]);
        flips++;
        if (query === 'refused') refused++;
        else if (report.isSound) unnoticed.push(at);
      }
    }
    // What nobody notices is nobody's: padding between sections and entries, and the three spare bytes of a segment's header.
    expect(unnoticed.filter((at) => !isPadding(file, whole, at))).toEqual([]);
    expect(refused).toBeGreaterThan(flips * (file === 'index' ? 0.75 : 0.8));
  });
});

/** Bytes that mean nothing: in a segment's header, and zeros in front of what is aligned in an index. */
function isPadding(file: string, whole: Uint8Array, at: number): boolean {
  return file === 'index' ? whole[at] === 0 : file.startsWith('chunks/') && at >= 5 && at < 8;
}

describe('meta.json', () => {
  /**
   * Where a change of meta.json can go unnoticed, and why it does no harm to data; notes of verification count as unnoticed.
   * With a digest there is less of it: what the digest does not cover.
   */
  const UNNOTICED: Readonly<Record<string, string>> = {
    layout: 'white space',
    minTime: 'a range that is wider than the data: blocks usually have one',
    maxTime: 'likewise',
    'compaction.level': 'how often a block was compacted: only the planner of compactions looks at it',
    'compaction.sources': 'another ULID: for finding blocks that were compacted already',
    'thanos.extensions.gauntletDigest.ulid': 'then the digest is that of another block',
    'key of thanos': 'a key that is not known: the section is package block’s, not ours',
    'key stats.numFloatSamples': 'older blocks have no such key; the one that is not known gets a note',
  };
  const cases = [
    { block: blocks[0]!, unnoticed: ['layout', 'minTime', 'maxTime', 'compaction.level', 'compaction.sources', 'key stats.numFloatSamples'] },
    { block: withDigest(blocks[1]!, 'with a digest'), unnoticed: ['layout', 'thanos.extensions.gauntletDigest.ulid', 'key of thanos'] },
  ];

  test.each(cases)('$block.name: cut at every length', async ({ block }) => {
    const path = `${block.dir}/meta.json`;
    const whole = block.files.get(path)!;
    const intact = await readAll(withFile(block.files, path, whole), block.dir);
    const end = whole.lastIndexOf('}'.charCodeAt(0));
    for (let bytes = 0; bytes < whole.length; bytes += STRIDE) {
      const { query, report } = await outcomeOf(block, withFile(block.files, path, whole.subarray(0, bytes)), 'meta.json', intact);
      expect([bytes, query, report.isSound]).toEqual([bytes, bytes > end ? 'same' : 'refused', bytes > end]);
    }
  });

  test.each(cases)('$block.name: a byte changed, every byte', async ({ block, unnoticed }) => {
    const path = `${block.dir}/meta.json`;
    const whole = block.files.get(path)!;
    const intact = await readAll(withFile(block.files, path, whole), block.dir);
    const kinds = kindsOf(new TextDecoder().decode(whole));
    const found = new Set<string>();
    for (let at = 0; at < whole.length; at += STRIDE) {
      for (const mask of MASKS ?? [1 << ((at >> 1) % 8)]) {
        const damaged = whole.slice();
        damaged[at]! ^= mask;
        const { query, report } = await outcomeOf(block, withFile(block.files, path, damaged), 'meta.json', intact);
        expect([at, mask, kinds[at], query]).toEqual([at, mask, kinds[at], expect.stringMatching(/^(same|refused)$/)]);
        if (report.isSound) found.add(kinds[at]!);
        if (query === 'refused') expect([at, mask, report.isSound, report.findings.some(({ severity, file, message }) => severity !== 'note' && (file === 'meta.json' || message.includes('within the block')))]).toEqual([at, mask, false, true]);
      }
    }
    expect([...found].filter((kind) => !unnoticed.includes(kind))).toEqual([]);
    for (const kind of found) expect(UNNOTICED[kind]).toBeDefined();
  });
});

/** What each character of a JSON text belongs to: the path of a value, `layout`, or `key of <section>`. */
function kindsOf(text: string): string[] {
  const kinds = Array.from(text, () => 'layout');
  const path: string[] = [];
  let key = '';
  let at = 0;
  const put = (length: number, kind: string): void => {
    kinds.fill(kind, at, at + length);
    at += length;
  };
  while (at < text.length) {
    const rest = text.slice(at);
    const name = /^"([^"]*)": /.exec(rest);
    const value = /^("[^"]*"|[\d.-]+)/.exec(rest);
    if (name !== null) {
      key = name[1]!;
      const section = [...path, key];
      put(name[0].length, section.includes('thanos') ? 'key of thanos' : `key ${section.join('.')}`);
    } else if (value !== null) put(value[0].length, [...path, key].filter((part) => part !== '').join('.'));
    else {
      if (rest[0] === '{' && at > 0) path.push(key);
      if (rest[0] === '}') path.pop();
      put(1, 'layout');
    }
  }
  return kinds;
}

test('a missing file is named', () => {
  const { dir, ulid, files } = blocks[0]!;
  for (const file of ['index', 'meta.json', 'chunks']) {
    const fs = createMemoryFileSystem();
    for (const [name, bytes] of files) if (!name.startsWith(`${dir}/${file}`)) fs.seed(name, bytes);
    expect(() => openBlock(fs, dir)).toThrow(`open block ${ulid}: ${file} is missing`);
    expect(verifyBlock(fs, dir, { kernels }).findings.map(({ code, file: where }) => [code, where])).toContainEqual(['FILE_MISSING', file]);
  }
});

test('index v1 is refused by name', () => {
  const { dir, files } = blocks[0]!;
  const data = files.get(`${dir}/index`)!.slice();
  data[4] = 1;
  expect(() => openBlock(withFile(files, `${dir}/index`, data), dir)).toThrow(expect.objectContaining({ code: 'ERR_INDEX_VERSION', message: expect.stringContaining('index format v1') }));
});

test('a block in the folder of another is refused', () => {
  const { dir, files } = blocks[0]!;
  const other = '01HV0000000000000000000009';
  const fs = createMemoryFileSystem();
  for (const [name, bytes] of files) fs.seed(name.replace(dir, `data/${other}`), bytes);
  expect(() => openBlock(fs, `data/${other}`)).toThrow(/which is not the folder's name/);
});
