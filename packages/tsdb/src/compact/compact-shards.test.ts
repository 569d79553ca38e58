/** Output shared out to several blocks; limits of memory and disk; what progress says. */
import fc from 'fast-check';
import { describe, expect, test } from '@jest/globals';
import { createKernels } from '@gauntlet/kernels';
import type { Labels } from '@gauntlet/model';
import { type Block, openBlock } from '../block/block-reader.ts';
import { createUlid } from '../block/ulid.ts';
import { createMemoryFileSystem, type MemoryFileSystem } from '../testing/memory-file-system.ts';
import { bitsOfNumber, readSampleBlock, type SampleBits, type SampleSeries, writeSampleBlock } from '../testing/sample-block.ts';
import { compactBlocks, compactBlocksIntoShards, type CompactProgress } from './compact-blocks.ts';
import { shardByHash } from './shard-series.ts';
import { verifyCompaction } from './verify-compaction.ts';

const kernels = createKernels();
const ulids = Array.from({ length: 12 }, (_, i) => createUlid(1_000_000 + i, () => i / 16));
const [ONE, ...SHARDS] = ulids.slice(4);

const regular = (start: number, count: number): SampleBits[] => Array.from({ length: count }, (_, i) => [start + i * 15, bitsOfNumber(start + i)]);

/** Blocks that overlap by half, of the series numbered; `everywhere` is in all of them. */
function blocksOf(fs: MemoryFileSystem, contents: readonly (readonly number[])[]): Block[] {
  return contents.map((numbers, i) => {
    const labelSets: Labels[] = [['__name__', 'everywhere', 'é', '\u{1f600}'], ...numbers.map((n): Labels => ['__name__', `m${n % 3}`, 'host', `h${n}`])];
    return writeSampleBlock(fs, 'in', kernels, { ulid: ulids[i]!, series: labelSets.map((labels): SampleSeries => ({ labels, chunks: [regular(i * 75, 10)] })) });
  });
}

const seriesOf = (fs: MemoryFileSystem, ulid: string): Map<string, unknown> => new Map(readSampleBlock(kernels, openBlock(fs, `out/${ulid}`)).map(({ labels, chunks }) => [labels.join(','), chunks]));

describe('shards', () => {
  test('together they have what one block has; each has its own series and no other symbols', () => {
    fc.assert(
      fc.property(fc.array(fc.uniqueArray(fc.nat(40), { maxLength: 30 }), { minLength: 1, maxLength: 3 }), fc.integer({ min: 1, max: 5 }), (contents, count) => {
        const fs = createMemoryFileSystem();
        const blocks = blocksOf(fs, contents);
        const whole = compactBlocks({ fs, kernels }, blocks, 'out', { ulid: ONE! })!;
        const want = seriesOf(fs, ONE!);
        const names = SHARDS.slice(0, count);
        const metas = compactBlocksIntoShards({ fs, kernels }, blocks, 'out', { ulids: names });
        expect(fs.list('out')).toEqual([ONE, ...names.filter((_, shard) => metas[shard] !== undefined)].sort());
        const shardOf = shardByHash(count);
        const got = new Map<string, unknown>();
        for (const [shard, meta] of metas.entries()) {
          if (meta === undefined) continue;
          expect({ ...meta, ulid: '', stats: {} }).toEqual({ ...whole, ulid: '', stats: {} });
          const block = openBlock(fs, `out/${names[shard]}`);
          verifyCompaction({ fs, kernels }, blocks, block, { hasSeries: (labels) => shardOf(labels) === shard });
          const series = readSampleBlock(kernels, block);
          const symbols = Array.from({ length: block.index.symbols.count }, (_, i) => block.index.symbols.lookup(i));
          expect(new Set(symbols)).toEqual(new Set(['', ...series.flatMap(({ labels }) => labels)]));
          for (const { labels, chunks } of series) {
            expect(shardOf(labels)).toBe(shard);
            got.set(labels.join(','), chunks);
          }
        }
        expect(got).toEqual(new Map([...want].sort(([a], [b]) => [...got.keys()].indexOf(a) - [...got.keys()].indexOf(b))));
        expect(metas.reduce((sum, meta) => sum + (meta?.stats.numSeries ?? 0), 0)).toBe(whole.stats.numSeries);
      }),
      { numRuns: Number(process.env['GAUNTLET_FUZZ_RUNS'] ?? 40) },
    );
  });

  test('the hash spreads series evenly', () => {
    const shardOf = shardByHash(7);
    const counts = new Int32Array(7);
    for (let i = 0; i < 7000; i++) counts[shardOf(['__name__', 'm', 'host', `h${i}`])]!++;
    for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(150);
  });

  test('shards of the caller, a merge of the caller, symbols around word borders', () => {
    const fs = createMemoryFileSystem();
    const blocks = blocksOf(fs, [Array.from({ length: 100 }, (_, n) => n), [0, 33, 99]]);
    const asked: string[] = [];
    const [odd, even, none] = compactBlocksIntoShards({ fs, kernels }, blocks, 'out', {
      ulids: SHARDS.slice(0, 3),
      shardOf: (labels) => (labels[1] === 'everywhere' ? 0 : Number(labels[3]!.slice(1)) % 2),
      mergeSeries(parts) {
        asked.push(parts.labels[3]!);
        return parts.chunks[0]!;
      },
    });
    expect([odd!.stats.numSeries, even!.stats.numSeries, none]).toEqual([51, 50, undefined]);
    expect([...seriesOf(fs, SHARDS[1]!).keys()]).toEqual([1, 0, 2].flatMap((m) => Array.from({ length: 100 }, (_, n) => n).filter((n) => n % 2 === 1 && n % 3 === (m === 1 ? 0 : m === 0 ? 1 : 2)).map((n) => `h${n}`).sort().map((host) => `__name__,m${m === 1 ? 0 : m === 0 ? 1 : 2},host,${host}`)));
    expect(asked.sort()).toEqual(['h0', 'h33', 'h99', '\u{1f600}']);
  });

  test.each([
    { name: 'no shards', ulids: [], shardOf: () => 0, error: /into blocks : compact into shards|got 0 of them/ },
    { name: 'a shard that is not there', ulids: SHARDS.slice(0, 2), shardOf: () => 2, error: new RegExp(`compact block ${ulids[0]} into 2 shards: series \\["__name__","everywhere".* got shard 2`) },
  ])('refused: $name', ({ ulids: names, shardOf, error }) => {
    const fs = createMemoryFileSystem();
    expect(() => compactBlocksIntoShards({ fs, kernels }, blocksOf(fs, [[1]]), 'out', { ulids: names, shardOf })).toThrow(expect.objectContaining({ code: 'ERR_COMPACT_INPUT', message: expect.stringMatching(error) }));
    expect(fs.stat('out')).toBeUndefined();
  });

  test('a failure at every operation leaves no shard; death leaves whole ones', () => {
    const prepare = (): { fs: MemoryFileSystem; blocks: Block[] } => {
      const fs = createMemoryFileSystem();
      return { fs, blocks: blocksOf(fs, [[1, 2], [2, 3]]) };
    };
    const compact = ({ fs, blocks }: { fs: MemoryFileSystem; blocks: Block[] }) => compactBlocksIntoShards({ fs, kernels }, blocks, 'out', { ulids: SHARDS.slice(0, 2), shardOf: (labels) => (labels[1] === 'm1' ? 1 : 0) });
    const whole = prepare();
    const before = whole.fs.operations();
    expect(compact(whole).every((meta) => meta !== undefined)).toBe(true);
    const operations = whole.fs.operations() - before;
    for (let n = 0; n < operations; n++) {
      const failing = prepare();
      failing.fs.failAt(failing.fs.operations() + n, 'ENOSPC');
      expect(() => compact(failing)).toThrow(expect.objectContaining({ code: 'ENOSPC' }));
      expect(failing.fs.stat('out') === undefined ? [] : failing.fs.list('out')).toEqual([]);
      const dying = prepare();
      dying.fs.stopAt(dying.fs.operations() + n);
      expect(() => compact(dying)).toThrow();
      const left = dying.fs.afterKill();
      const named = left.stat('out') === undefined ? [] : left.list('out').filter((name) => SHARDS.includes(name));
      for (const name of named) verifyCompaction({ fs: left, kernels }, [0, 1].map((i) => openBlock(left, `in/${ulids[i]}`)), openBlock(left, `out/${name}`), { hasSeries: (labels) => (labels[1] === 'm1') === (name === SHARDS[1]) });
    }
  });
});

describe('limits', () => {
  const many = Array.from({ length: 300 }, (_, n) => n);

  test('of disk: what is written, to the byte; nothing is left beyond', () => {
    const fs = createMemoryFileSystem();
    const blocks = blocksOf(fs, [many, many]);
    compactBlocks({ fs, kernels }, blocks, 'out', { ulid: ONE! });
    let bytes = 0;
    for (const [path, data] of fs.snapshot()) if (path.startsWith(`out/${ONE}/`)) bytes += data.length;
    fs.remove('out');
    expect(compactBlocks({ fs, kernels }, blocks, 'out', { ulid: ONE!, diskBytesMax: bytes })).toBeDefined();
    fs.remove('out');
    for (const diskBytesMax of [bytes - 1, 1000, 0]) {
      expect(() => compactBlocks({ fs, kernels }, blocks, 'out', { ulid: ONE!, diskBytesMax })).toThrow(
        expect.objectContaining({ code: 'ERR_COMPACT_BUDGET', message: expect.stringMatching(new RegExp(`^compact into block ${ONE}: write \\d+ bytes to out/.* after \\d+: the limit is ${diskBytesMax} bytes on disk \\(diskBytesMax\\)$`)) }),
      );
      expect(fs.list('out')).toEqual([]);
    }
  });

  test.each([
    { memoryBytesMax: 1000, purpose: 'ordinals of the symbols' },
    { memoryBytesMax: 5000, purpose: 'symbols' },
    { memoryBytesMax: 100_000, purpose: 'reading ahead' },
    { memoryBytesMax: 275_000, purpose: 'the index being written' },
  ])('of memory: $memoryBytesMax bytes do not do for $purpose', ({ memoryBytesMax, purpose }) => {
    const fs = createMemoryFileSystem();
    expect(() => compactBlocks({ fs, kernels }, blocksOf(fs, [many, many]), 'out', { ulid: ONE!, memoryBytesMax })).toThrow(
      expect.objectContaining({ code: 'ERR_COMPACT_BUDGET', message: expect.stringMatching(new RegExp(`^compact into block ${ONE}: [\\d.]+ bytes for ${purpose} with [\\d.]+ in use: the limit is ${memoryBytesMax} bytes of memory \\(memoryBytesMax\\)$`)) }),
    );
    expect(fs.stat('out') === undefined ? [] : fs.list('out')).toEqual([]);
  });

  test('of memory: the chunks of one long series', () => {
    const fs = createMemoryFileSystem();
    const labels = ['__name__', 'long'];
    const chunks = Array.from({ length: 400 }, (_, chunk) => regular(chunk * 10_000, 120).map(([time], i): SampleBits => [time, bitsOfNumber(Math.sin(time + i))]));
    const block = writeSampleBlock(fs, 'in', kernels, { ulid: ulids[0]!, series: [{ labels, chunks }] });
    expect(() => compactBlocks({ fs, kernels }, [block], 'out', { ulid: ONE!, memoryBytesMax: 400_000 })).toThrow(expect.objectContaining({ code: 'ERR_COMPACT_BUDGET', message: expect.stringMatching(/bytes for the chunks of a series/) }));
    expect(compactBlocks({ fs, kernels }, [block], 'out', { ulid: ONE!, memoryBytesMax: 2_000_000 })).toMatchObject({ stats: { numChunks: 400 } });
  });

  test('of memory: enough is enough, and gives the same block', () => {
    const fs = createMemoryFileSystem();
    const blocks = blocksOf(fs, [many, many]);
    expect(compactBlocks({ fs, kernels }, blocks, 'out', { ulid: ONE! })).toEqual(compactBlocks({ fs, kernels }, blocks, 'again', { ulid: ONE!, memoryBytesMax: 400_000 }));
    const files = [...fs.snapshot()];
    const of = (dir: string) => files.filter(([path]) => path.startsWith(`${dir}/`)).map(([path, bytes]) => [path.slice(dir.length), Buffer.from(bytes).toString('hex')]);
    expect(of('again')).toEqual(of('out'));
  });
});

test('progress says series, samples and bytes; a stop ends the sharing out too', () => {
  const fs = createMemoryFileSystem();
  const many = Array.from({ length: 1200 }, (_, n) => n);
  const blocks = blocksOf(fs, [many, many]);
  const seen: CompactProgress[] = [];
  const metas = compactBlocksIntoShards({ fs, kernels }, blocks, 'out', { ulids: SHARDS.slice(0, 2), onProgress: (progress) => seen.push(progress) });
  expect(seen).toHaveLength(2);
  expect(seen.at(-1)).toMatchObject({ seriesDone: 2402, seriesTotal: 2402, samples: metas.reduce((sum, meta) => sum + meta!.stats.numSamples, 0) });
  expect(seen[0]!.samples).toBe(1000 * 15);
  for (const [i, { chunkBytes }] of seen.entries()) expect(chunkBytes).toBeGreaterThan(i === 0 ? 0 : seen[0]!.chunkBytes);
  let polls = 0;
  expect(() => compactBlocksIntoShards({ fs, kernels }, blocks, 'again', { ulids: SHARDS.slice(0, 2), shouldStop: () => ++polls === 2 })).toThrow(expect.objectContaining({ code: 'ERR_COMPACT_CANCELED' }));
  expect(fs.stat('again')).toBeUndefined();
});
