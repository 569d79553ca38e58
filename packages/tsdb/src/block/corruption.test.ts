/**
 * A small block, each of its files cut at every length and damaged at every byte: reading gives an error that names block, or the very
 * same data; never other data, never a crash of another kind.
 */
import { describe, expect, test } from '@jest/globals';
import { createKernels } from '@gauntlet/kernels';
import { createMatcher } from '@gauntlet/model';
import { isTsdbError } from '../errors.ts';
import { createBlockQueryable } from '../query/tsdb-queryable.ts';
import { buildBlock } from '../testing/block-builder.ts';
import { createMemoryFileSystem, type MemoryFileSystem } from '../testing/memory-file-system.ts';
import { openBlock } from './block-reader.ts';
import { formatTombstones } from './tombstones.ts';

const kernels = createKernels();
const build = createMemoryFileSystem();
const { dir, meta } = buildBlock(build, 'data', "a{b='1'} 0+10x5 _ 7\na{b='2',c='x'} 1 NaN stale -Inf\nb 1x130", { kernels });
build.seed(`${dir}/tombstones`, formatTombstones(new Map([[5, [15_000, 30_000]]])));
const files = build.snapshot();

async function readAll(fs: MemoryFileSystem): Promise<string> {
  const block = openBlock(fs, dir);
  try {
    const rows: string[] = [];
    const queryable = createBlockQueryable([block], kernels);
    const range = { mint: -1e9, maxt: 1e12 };
    for await (const batch of queryable.select({ matchers: [createMatcher('=~', '__name__', '.*')], ...range })) {
      const words = new Uint32Array(batch.values.buffer, batch.values.byteOffset, batch.values.length * 2);
      rows.push(JSON.stringify([batch.labels, [...batch.offsets], [...batch.timestampsMs], [...words]]));
    }
    for (const name of block.index.labelNames()) {
      for (const value of block.index.labelValues(name)) rows.push(JSON.stringify([name, value, [...block.index.postings(name, value)]]));
    }
    return rows.join('\n');
  } finally {
    block.close();
  }
}

function withFile(path: string, data: Uint8Array): MemoryFileSystem {
  const fs = createMemoryFileSystem();
  for (const [name, bytes] of files) fs.seed(name, name === path ? data : bytes);
  return fs;
}

describe.each(['index', 'chunks/000001', 'tombstones', 'meta.json'].map((file) => ({ file })))('$file', ({ file }) => {
  const path = `${dir}/${file}`;
  const whole = files.get(path)!;

  const outcome = async (data: Uint8Array, whole: string): Promise<string> => {
    try {
      return (await readAll(withFile(path, data))) === whole ? 'same' : 'other data';
    } catch (error) {
      if (!isTsdbError(error)) return `${(error as Error).name}: ${(error as Error).stack}`;
      return error.message.includes(meta.ulid) ? 'refused' : `does not name the block: ${error.message}`;
    }
  };

  test('cut at every length', async () => {
    const intact = await readAll(withFile(path, whole));
    for (let bytes = 0; bytes < whole.length; bytes++) expect([bytes, await outcome(whole.subarray(0, bytes), intact)]).toEqual([bytes, expect.stringMatching(/^(same|refused)$/)]);
  });

  test('a byte changed, every byte', async () => {
    const intact = await readAll(withFile(path, whole));
    let refused = 0;
    for (let at = 0; at < whole.length; at++) {
      const damaged = whole.slice();
      damaged[at]! ^= 1 << (at % 8);
      const got = await outcome(damaged, intact);
      // meta.json has no checksum: its numbers, the time range among them, may change unnoticed.
      expect([at, got]).toEqual([at, expect.stringMatching(file === 'meta.json' ? /^(same|refused|other data)$/ : /^(same|refused)$/)]);
      if (got === 'refused') refused++;
    }
    // Everything but padding and what only labels the file is covered.
    if (file !== 'meta.json') expect(refused).toBeGreaterThan(whole.length * 0.8);
  });
});

test('a missing file is named', () => {
  for (const file of ['index', 'meta.json', 'chunks']) {
    const fs = createMemoryFileSystem();
    for (const [name, bytes] of files) if (!name.startsWith(`${dir}/${file}`)) fs.seed(name, bytes);
    expect(() => openBlock(fs, dir)).toThrow(`open block ${meta.ulid}: ${file} is missing`);
  }
});

test('index v1 is refused by name', () => {
  const data = files.get(`${dir}/index`)!.slice();
  data[4] = 1;
  expect(() => openBlock(withFile(`${dir}/index`, data), dir)).toThrow(expect.objectContaining({ code: 'ERR_INDEX_VERSION', message: expect.stringContaining('index format v1') }));
});
