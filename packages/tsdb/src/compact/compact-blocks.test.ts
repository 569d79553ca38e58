/** Compaction against a naive merge over random blocks; tombstones, ranges, damage, cancellation, death at every step. */
import fc from 'fast-check';
import { describe, expect, test } from '@jest/globals';
import { createKernels } from '@gauntlet/kernels';
import type { Labels } from '@gauntlet/model';
import { type Block, openBlock } from '../block/block-reader.ts';
import { createBlockWriter } from '../block/block-writer.ts';
import { createUlid } from '../block/ulid.ts';
import { createMemoryFileSystem, type MemoryFileSystem } from '../testing/memory-file-system.ts';
import { bitsOfNumber, readSampleBlock, type SampleBits, type SampleSeries, writeSampleBlock } from '../testing/sample-block.ts';
import { compactBlocks } from './compact-blocks.ts';
import { verifyCompaction } from './verify-compaction.ts';

const kernels = createKernels();
const STALE = '7ff0000000000002';
const ulids = Array.from({ length: 9 }, (_, i) => createUlid(1_000_000 + i, () => i / 16));
const OUT = ulids[8]!;

/** 0, 15, 30, … with values that count on. */
function regular(start: number, count: number, step = 15): SampleBits[] {
  return Array.from({ length: count }, (_, i) => [start + i * step, bitsOfNumber(start + i)]);
}

function chunked(samples: readonly SampleBits[], size = 120): SampleBits[][] {
  const chunks: SampleBits[][] = [];
  for (let i = 0; i < samples.length; i += size) chunks.push(samples.slice(i, i + size));
  return chunks;
}

function samplesOf(fs: MemoryFileSystem, dir: string): Map<string, readonly SampleBits[]> {
  return new Map(readSampleBlock(kernels, openBlock(fs, dir)).map(({ labels, chunks }) => [labels.join(','), chunks.flat()]));
}

/** By series, the values that each timestamp may have. */
function naiveMerge(blocks: readonly (readonly SampleSeries[])[]): Map<string, Map<number, Set<string>>> {
  const merged = new Map<string, Map<number, Set<string>>>();
  for (const { labels, chunks, deleted = [] } of blocks.flat()) {
    for (const [time, bits] of chunks.flat()) {
      if (deleted.some((_, i) => i % 2 === 0 && time >= deleted[i]! && time <= deleted[i + 1]!)) continue;
      const times = merged.get(labels.join(',')) ?? new Map<number, Set<string>>();
      merged.set(labels.join(','), times);
      times.set(time, (times.get(time) ?? new Set()).add(bits));
    }
  }
  return merged;
}

function expectMerged(got: Map<string, readonly SampleBits[]>, want: Map<string, Map<number, Set<string>>>): void {
  expect([...got.keys()].sort()).toEqual([...want.keys()].sort());
  for (const [labels, samples] of got) {
    const times = want.get(labels)!;
    expect(samples.map(([time]) => time)).toEqual([...times.keys()].sort((a, b) => a - b));
    for (const [time, bits] of samples) expect([...times.get(time)!]).toContain(bits);
  }
}

const labelSets: Labels[] = [['__name__', 'a'], ['__name__', 'a', 'job', 'x'], ['__name__', 'b'], ['__name__', '\u{1f600}', 'é', '￿']];
const bits = fc.oneof(
  fc.constantFrom(STALE, '7ff8000000000001', 'fff8000000000000', '7ff0000000000000', '8000000000000000', '0000000000000000'),
  fc.integer({ min: -5, max: 5 }).map(bitsOfNumber),
  fc.double().map(bitsOfNumber),
);

/** A series' samples at distinct times of 0 … 400, in chunks of random length. */
const series = (labels: Labels, from: number): fc.Arbitrary<SampleSeries> =>
  fc
    .record({
      times: fc.uniqueArray(fc.integer({ min: from, max: from + 400 }), { minLength: 1, maxLength: 60 }),
      values: fc.array(bits, { minLength: 60, maxLength: 60 }),
      cuts: fc.array(fc.integer({ min: 1, max: 25 }), { minLength: 60, maxLength: 60 }),
      deleted: fc.option(fc.tuple(fc.integer({ min: from, max: from + 400 }), fc.integer({ min: 0, max: 200 })), { nil: undefined, freq: 3 }),
    })
    .map(({ times, values, cuts, deleted }) => {
      const samples = times.sort((a, b) => a - b).map((time, i): SampleBits => [time, values[i]!]);
      const chunks: SampleBits[][] = [];
      for (let i = 0, cut = 0; i < samples.length; i += cuts[cut++]!) chunks.push(samples.slice(i, i + cuts[cut]!));
      return { labels, chunks, ...(deleted && { deleted: [deleted[0], deleted[0] + deleted[1]] }) };
    });
const randomBlock = fc
  .tuple(fc.constantFrom(0, 0, 200, 401), fc.uniqueArray(fc.integer({ min: 0, max: labelSets.length - 1 }), { minLength: 1, maxLength: labelSets.length }))
  .chain(([from, picked]) => fc.tuple(...picked.map((i) => series(labelSets[i]!, from))));

describe('random blocks', () => {
  test('every timestamp once, with a value that a block has there; and so after another compaction', () => {
    fc.assert(
      fc.property(fc.array(randomBlock, { minLength: 1, maxLength: 4 }), (contents) => {
        const fs = createMemoryFileSystem();
        const blocks = contents.map((one, i) => writeSampleBlock(fs, 'in', kernels, { ulid: ulids[i]!, series: one }));
        const want = naiveMerge(contents);
        const meta = compactBlocks({ fs, kernels }, blocks, 'out', { ulid: OUT });
        if (want.size === 0) {
          expect(meta).toBeUndefined();
          expect(fs.list('out')).toEqual([]);
          return;
        }
        expectMerged(samplesOf(fs, `out/${OUT}`), want);
        verifyCompaction({ fs, kernels }, blocks, openBlock(fs, `out/${OUT}`));
        expect(meta).toMatchObject({ compaction: { level: 2, sources: blocks.map(({ meta: { ulid } }) => ulid).sort() } });

        // The first half, then its result with the rest.
        const half = Math.ceil(blocks.length / 2);
        const first = compactBlocks({ fs, kernels }, blocks.slice(0, half), 'half', { ulid: ulids[7]! });
        const rest = [...(first === undefined ? [] : [openBlock(fs, `half/${ulids[7]}`)]), ...blocks.slice(half)];
        compactBlocks({ fs, kernels }, rest, 'again', { ulid: OUT });
        expectMerged(samplesOf(fs, `again/${OUT}`), want);
      }),
      { numRuns: Number(process.env['GAUNTLET_FUZZ_RUNS'] ?? 100) },
    );
  });

  test('both kernels write the same block', () => {
    const other = createKernels({ backend: 'js' });
    fc.assert(
      fc.property(fc.array(randomBlock, { minLength: 2, maxLength: 3 }), (contents) => {
        const fs = createMemoryFileSystem();
        const blocks = contents.map((one, i) => writeSampleBlock(fs, 'in', kernels, { ulid: ulids[i]!, series: one }));
        for (const [dir, used] of [['one', kernels], ['two', other]] as const) compactBlocks({ fs, kernels: used }, blocks, dir, { ulid: OUT });
        const files = [...fs.snapshot()];
        const of = (dir: string) => files.filter(([path]) => path.startsWith(`${dir}/`)).map(([path, bytes]) => [path.slice(dir.length), Buffer.from(bytes).toString('hex')]);
        expect(of('one')).toEqual(of('two'));
      }),
      { numRuns: 30 },
    );
  });
});

describe('chunks', () => {
  const labels = ['__name__', 'up'];
  const compactOf = (fs: MemoryFileSystem, parts: readonly (readonly SampleBits[][])[]): SampleSeries[] => {
    const blocks = parts.map((chunks, i) => writeSampleBlock(fs, 'in', kernels, { ulid: ulids[i]!, series: [{ labels, chunks }] }));
    compactBlocks({ fs, kernels }, blocks, 'out', { ulid: OUT });
    return readSampleBlock(kernels, openBlock(fs, `out/${OUT}`));
  };

  interface Case {
    readonly name: string;
    readonly parts: readonly (readonly SampleBits[][])[];
    readonly lengths: readonly number[];
  }
  test.each<Case>([
    { name: 'apart: as they are, short ones too', parts: [[regular(0, 3), regular(60, 2)], [regular(100, 4)]], lengths: [3, 2, 4] },
    { name: 'equal: once', parts: [[regular(0, 3), regular(60, 2)], [regular(0, 3), regular(60, 2)]], lengths: [3, 2] },
    { name: 'overlapping: chunks of 120', parts: [chunked(regular(0, 200)), chunked(regular(7, 200))], lengths: [120, 120, 120, 40] },
    { name: 'overlapping at one timestamp', parts: [[regular(0, 3)], [regular(30, 3)]], lengths: [5] },
    { name: 'an overlap leaves the rest alone', parts: [[regular(0, 3), regular(100, 3), regular(200, 3)], [[[107, bitsOfNumber(1)]]]], lengths: [3, 4, 3] },
    { name: 'one block within another', parts: [[regular(0, 2, 1000)], [regular(100, 3), regular(300, 3)]], lengths: [8] },
  ])('$name', ({ parts, lengths }) => {
    const [series] = compactOf(createMemoryFileSystem(), parts);
    expect(series!.chunks.map((chunk) => chunk.length)).toEqual(lengths);
  });

  test('of inputs in any order come in order of time', () => {
    const fs = createMemoryFileSystem();
    const later = writeSampleBlock(fs, 'in', kernels, { ulid: ulids[0]!, series: [{ labels, chunks: [regular(1000, 5)] }] });
    const earlier = writeSampleBlock(fs, 'in', kernels, { ulid: ulids[1]!, series: [{ labels, chunks: [regular(0, 5)] }] });
    const meta = compactBlocks({ fs, kernels }, [later, earlier], 'out', { ulid: OUT });
    expect(meta!.compaction.parents!.map(({ ulid }) => ulid)).toEqual([ulids[1], ulids[0]]);
  });

  test('a chunk longer than the window, chunks in several segments, small segments out', () => {
    const fs = createMemoryFileSystem();
    const noise = (start: number, count: number): SampleBits[] => regular(start, count).map(([time], i) => [time, bitsOfNumber(Math.sin(i + start) * 1e9)]);
    const long = [noise(0, 30_000), noise(600_000, 20_000)];
    const symbols = ['', '__name__', 'up'];
    const writer = createBlockWriter(fs, 'in', { ulid: ulids[0]!, minTime: 0, maxTime: 2_000_000, symbols, segmentBytesMax: 280_000 });
    const encoded = writeSampleBlock(fs, 'tmp', kernels, { ulid: ulids[2]!, series: [{ labels, chunks: long }] });
    const refs = [...encoded.index.allPostings()];
    expect(refs).toHaveLength(1);
    const data = readRaw(encoded);
    writer.addSeries(labels, data);
    writer.finish();
    const other = writeSampleBlock(fs, 'in', kernels, { ulid: ulids[1]!, series: [{ labels, chunks: [regular(1_000_000, 100)] }] });
    const first = openBlock(fs, `in/${ulids[0]}`);
    expect(first.chunks.segmentCount).toBe(2);
    compactBlocks({ fs, kernels }, [first, other], 'out', { ulid: OUT, segmentBytesMax: 1000 });
    const out = openBlock(fs, `out/${OUT}`);
    expect(out.chunks.segmentCount).toBe(3);
    expect(readSampleBlock(kernels, out)[0]!.chunks).toEqual([...long, regular(1_000_000, 100)]);
    verifyCompaction({ fs, kernels }, [first, other], out);
  });

  test('a merge of the caller is asked for series that more than one block has', () => {
    const fs = createMemoryFileSystem();
    const alone = ['__name__', 'alone'];
    const blocks = [0, 1].map((i) =>
      writeSampleBlock(fs, 'in', kernels, { ulid: ulids[i]!, series: [{ labels, chunks: [regular(i * 5, 4)] }, ...(i === 0 ? [{ labels: alone, chunks: [regular(0, 2)] }] : [])] }),
    );
    const asked: unknown[] = [];
    compactBlocks({ fs, kernels }, blocks, 'out', {
      ulid: OUT,
      thanos: { labels: { a: 'b' } },
      mergeSeries(parts) {
        asked.push([parts.labels, parts.blocks, parts.chunks.map((chunks) => chunks.length)]);
        return parts.chunks[0]!;
      },
    });
    expect(asked).toEqual([[labels, [ulids[1], ulids[0]], [1, 1]]]);
    expect(Object.fromEntries(samplesOf(fs, `out/${OUT}`))).toEqual({ '__name__,alone': regular(0, 2), '__name__,up': regular(5, 4) });
    expect(openBlock(fs, `out/${OUT}`).meta.thanos).toEqual({ labels: { a: 'b' } });
  });
});

function readRaw(block: Block) {
  const entry = { labelCount: 0, symbols: new Uint32Array(8), chunkCount: 0, mint: new Float64Array(8), maxt: new Float64Array(8), refs: new Float64Array(8) };
  block.index.readSeries(block.index.allPostings()[0]!, entry);
  return Array.from({ length: entry.chunkCount }, (_, i) => ({ mint: entry.mint[i]!, maxt: entry.maxt[i]!, ...block.chunks.readChunk(entry.refs[i]!) }));
}

describe('what may not be', () => {
  const labels = ['__name__', 'up'];
  const pair = (fs: MemoryFileSystem): Block[] => [0, 1].map((i) => writeSampleBlock(fs, 'in', kernels, { ulid: ulids[i]!, series: [{ labels, chunks: [regular(i * 100, 5)] }] }));

  test('no blocks', () => {
    const fs = createMemoryFileSystem();
    expect(() => compactBlocks({ fs, kernels }, [], 'out', { ulid: OUT })).toThrow(expect.objectContaining({ code: 'ERR_COMPACT_INPUT' }));
  });

  test('samples outside of the blocks they are in are left out', () => {
    const fs = createMemoryFileSystem();
    const block = writeSampleBlock(fs, 'in', kernels, { ulid: ulids[0]!, minTime: 20, maxTime: 60, series: [{ labels, chunks: [regular(0, 3), regular(45, 3)] }] });
    compactBlocks({ fs, kernels }, [block], 'out', { ulid: OUT });
    expect(samplesOf(fs, `out/${OUT}`).get('__name__,up')!.map(([time]) => time)).toEqual([30, 45]);
    verifyCompaction({ fs, kernels }, [block], openBlock(fs, `out/${OUT}`));
  });

  test('all samples deleted: nothing is written', () => {
    const fs = createMemoryFileSystem();
    const block = writeSampleBlock(fs, 'in', kernels, { ulid: ulids[0]!, series: [{ labels, chunks: [regular(0, 3)], deleted: [0, 14, 15, 29, 30, 30] }] });
    expect(compactBlocks({ fs, kernels }, [block], 'out', { ulid: OUT })).toBeUndefined();
    expect(fs.list('out')).toEqual([]);
  });

  test('a chunk of another encoding with deleted samples, or with others beside it', () => {
    const fs = createMemoryFileSystem();
    const blocks = [0, 1].map((i) => {
      const writer = createBlockWriter(fs, 'in', { ulid: ulids[i]!, minTime: 0, maxTime: 100, symbols: ['', '__name__', 'up'] });
      writer.addSeries(labels, [{ mint: 10, maxt: 20 + i, encoding: 9, data: Uint8Array.of(0, 3, i) }]);
      writer.finish();
      return openBlock(fs, `in/${ulids[i]}`);
    });
    expect(() => compactBlocks({ fs, kernels }, blocks, 'out', { ulid: OUT })).toThrow(expect.objectContaining({ code: 'ERR_CHUNK_ENCODING', message: expect.stringContaining(`merge series ["__name__","up"] of blocks ${ulids[0]}, ${ulids[1]}: chunk from 10 to 21`) }));
    const deleted: Block = { ...blocks[0]!, tombstones: new Map([[blocks[0]!.index.allPostings()[0]!, [12, 13]]]) };
    expect(() => compactBlocks({ fs, kernels }, [deleted], 'out', { ulid: OUT })).toThrow(expect.objectContaining({ code: 'ERR_CHUNK_ENCODING', message: expect.stringContaining(`block ${ulids[0]}: take deleted samples out of series ["__name__","up"]`) }));
    expect(fs.list('out')).toEqual([]);
    // Alone and whole it is copied.
    expect(compactBlocks({ fs, kernels }, [blocks[0]!], 'out', { ulid: OUT })).toMatchObject({ stats: { numSamples: 3 } });
    verifyCompaction({ fs, kernels }, [blocks[0]!], openBlock(fs, `out/${OUT}`));
  });

  test('every flipped byte of a chunk file is an error that names block, segment and offset', () => {
    const fs = createMemoryFileSystem();
    pair(fs).forEach((block) => block.close());
    const path = `in/${ulids[1]}/chunks/000001`;
    const good = fs.snapshot().get(path)!;
    for (let at = 8; at < good.length; at++) {
      const bad = good.slice();
      bad[at]! ^= 0x41;
      fs.seed(path, bad);
      const blocks = [openBlock(fs, `in/${ulids[0]}`), openBlock(fs, `in/${ulids[1]}`)];
      expect(() => compactBlocks({ fs, kernels }, blocks, 'out', { ulid: OUT })).toThrow(expect.objectContaining({ code: 'ERR_CHUNK_CORRUPT', message: expect.stringMatching(new RegExp(`block ${ulids[1]}: segment 000001, offset 8:`)) }));
      expect(fs.list('out')).toEqual([]);
    }
    for (let length = 8; length < good.length; length++) {
      fs.seed(path, good.subarray(0, length));
      const blocks = [openBlock(fs, `in/${ulids[0]}`), openBlock(fs, `in/${ulids[1]}`)];
      expect(() => compactBlocks({ fs, kernels }, blocks, 'out', { ulid: OUT })).toThrow(expect.objectContaining({ code: 'ERR_CHUNK_CORRUPT' }));
    }
  });

  test('series out of order in an input name that input', () => {
    const fs = createMemoryFileSystem();
    const [block] = pair(fs);
    const twice: Block = { ...block!, index: { ...block!.index, allPostings: () => Uint32Array.of(block!.index.allPostings()[0]!, block!.index.allPostings()[0]!) } };
    expect(() => compactBlocks({ fs, kernels }, [twice], 'out', { ulid: OUT })).toThrow(expect.objectContaining({ code: 'ERR_INDEX_CORRUPT', message: expect.stringContaining(ulids[0]!) }));
  });

  test('cancelled: nothing is left; progress goes up to all series', () => {
    const fs = createMemoryFileSystem();
    const many = Array.from({ length: 2500 }, (_, i): SampleSeries => ({ labels: ['__name__', `m${i}`], chunks: [[[i, bitsOfNumber(i)]]] }));
    const block = writeSampleBlock(fs, 'in', kernels, { ulid: ulids[0]!, series: many });
    for (const stopAt of [1, 3]) {
      let polls = 0;
      expect(() => compactBlocks({ fs, kernels }, [block], 'out', { ulid: OUT, shouldStop: () => ++polls === stopAt })).toThrow(expect.objectContaining({ code: 'ERR_COMPACT_CANCELED' }));
      expect(fs.list('out')).toEqual([]);
    }
    const progress: number[] = [];
    let polls = 0;
    compactBlocks({ fs, kernels }, [block], 'out', { ulid: OUT, shouldStop: () => ++polls < 0, onProgress: ({ seriesDone, seriesTotal }) => progress.push(Math.floor((seriesDone * 10) / seriesTotal)) });
    expect(progress).toEqual([4, 8, 10]);
    expect(polls).toBe(10);
  });
});

describe('death', () => {
  const prepare = (): { fs: MemoryFileSystem; inputs: () => Block[] } => {
    const fs = createMemoryFileSystem();
    for (const i of [0, 1]) {
      const series = ['a', 'b', 'c'].map((name): SampleSeries => ({ labels: ['__name__', name], chunks: chunked(regular(i * 40, 6), 4) }));
      writeSampleBlock(fs, 'in', kernels, { ulid: ulids[i]!, series }).close();
    }
    return { fs, inputs: () => [0, 1].map((i) => openBlock(fs, `in/${ulids[i]}`)) };
  };
  /** What opens below `out` must be whole. */
  const expectWholeOrNothing = (fs: MemoryFileSystem): boolean => {
    if (fs.stat(`out/${OUT}`) === undefined) return false;
    verifyCompaction({ fs, kernels }, [0, 1].map((i) => openBlock(fs, `in/${ulids[i]}`)), openBlock(fs, `out/${OUT}`));
    return true;
  };

  const countOperations = (): number => {
    const { fs, inputs } = prepare();
    const before = fs.operations();
    compactBlocks({ fs, kernels }, inputs(), 'out', { ulid: OUT });
    return fs.operations() - before;
  };

  test('at every operation, by kill or power loss: no block or a whole one, and the next attempt succeeds', () => {
    const operations = countOperations();
    expect(operations).toBeGreaterThan(10);
    for (let n = 0; n < operations; n++) {
      const { fs, inputs } = prepare();
      fs.fsyncDir('in');
      const blocks = inputs();
      fs.stopAt(fs.operations() + n);
      expect(() => compactBlocks({ fs, kernels }, blocks, 'out', { ulid: OUT })).toThrow();
      for (const left of [fs.afterKill(), fs.afterPowerLoss()]) {
        const isThere = left.stat('in') !== undefined && expectWholeOrNothing(left);
        if (isThere || left.stat('in') === undefined) continue;
        compactBlocks({ fs: left, kernels }, [0, 1].map((i) => openBlock(left, `in/${ulids[i]}`)), 'out', { ulid: OUT });
        expect(expectWholeOrNothing(left)).toBe(true);
        expect(left.list('out')).toEqual([OUT]);
      }
    }
  });

  test('a failure at every operation is thrown, and leaves no block or a whole one', () => {
    const operations = countOperations();
    for (let n = 0; n < operations; n++) {
      const { fs, inputs } = prepare();
      fs.failAt(fs.operations() + n, 'ENOSPC');
      expect(() => compactBlocks({ fs, kernels }, inputs(), 'out', { ulid: OUT })).toThrow(expect.objectContaining({ code: 'ENOSPC' }));
      if (!expectWholeOrNothing(fs)) expect(fs.stat('out') === undefined ? [] : fs.list('out')).toEqual([]);
    }
  });
});
