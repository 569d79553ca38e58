/** A verification is worth what it refuses: every way in which an output can be wrong, and outputs that are right in another way. */
import fc from 'fast-check';
import { describe, expect, test } from '@jest/globals';
import { createKernels } from '@gauntlet/kernels';
import { CHUNK_ENCODING } from '@gauntlet/model';
import { type Block, openBlock } from '../block/block-reader.ts';
import { createBlockWriter, type BlockChunk } from '../block/block-writer.ts';
import { createUlid } from '../block/ulid.ts';
import { encodeHistogramChunk, type HistogramSample } from '../chunkenc/histogram-encoder.ts';
import { encodeXor2Chunk } from '../chunkenc/xor2-encoder.ts';
import { createMemoryFileSystem, type MemoryFileSystem } from '../testing/memory-file-system.ts';
import { bitsOfNumber, encodeSamples, type SampleBits, type SampleSeries, writeSampleBlock } from '../testing/sample-block.ts';
import { compactBlocks } from './compact-blocks.ts';
import { verifyCompaction } from './verify-compaction.ts';

const kernels = createKernels();
const ulids = Array.from({ length: 4 }, (_, i) => createUlid(1_000_000 + i, () => i / 16));
const OUT = ulids[3]!;
const a = ['__name__', 'a'];
const b = ['__name__', 'b'];

const sample = (time: number, value = time): SampleBits => [time, bitsOfNumber(value)];
const run = (...times: number[]): SampleBits[] => times.map((time) => sample(time));

/** Inputs of two blocks: `a` overlaps and disagrees at 30, `b` is in one block with 40 … 50 deleted. */
function inputs(fs = createMemoryFileSystem()) {
  const blocks = [
    writeSampleBlock(fs, 'in', kernels, { ulid: ulids[0]!, minTime: 0, maxTime: 100, series: [{ labels: a, chunks: [run(10, 20), run(30, 40)] }, { labels: b, chunks: [run(30, 40, 50, 60)], deleted: [40, 50] }] }),
    writeSampleBlock(fs, 'in', kernels, { ulid: ulids[1]!, minTime: 0, maxTime: 200, series: [{ labels: a, chunks: [[sample(30, 7), sample(35)], run(90, 150)] }] }),
  ];
  return { fs, blocks };
}
const right: SampleSeries[] = [{ labels: a, chunks: [run(10, 20), run(30, 35, 40), run(90, 150)] }, { labels: b, chunks: [run(30, 60)] }];

function verify(series: readonly SampleSeries[], change: (out: Block) => Block = (out) => out): void {
  const { fs, blocks } = inputs();
  const out = writeSampleBlock(fs, 'out', kernels, { ulid: OUT, minTime: 0, maxTime: 200, series });
  verifyCompaction({ fs, kernels }, blocks, change(out));
}

const withA = (...chunks: SampleBits[][]): SampleSeries[] => [{ labels: a, chunks }, right[1]!];

describe('accepted', () => {
  test.each([
    { name: 'what compaction writes', series: right },
    { name: 'the other value where inputs disagree', series: withA(run(10, 20), [sample(30, 7), ...run(35, 40)], run(90, 150)) },
    { name: 'other chunks', series: withA(run(10), run(20, 30, 35, 40, 90), run(150)) },
    { name: 'one chunk', series: withA(run(10, 20, 30, 35, 40, 90, 150)) },
  ])('$name', ({ series }) => expect(() => verify(series)).not.toThrow());
});

describe('refused', () => {
  test.each([
    { name: 'a sample too few in an overlap', series: withA(run(10, 20), run(30, 40), run(90, 150)), error: /series \["__name__","a"\]: got no sample at 35/ },
    { name: 'a last sample too few', series: withA(run(10, 20), run(30, 35), run(90, 150)), error: /got no sample at 40/ },
    { name: 'a sample too few in a chunk that nothing overlaps', series: withA(run(10), run(30, 35, 40), run(90, 150)), error: /got no sample at 20/ },
    { name: 'a chunk too few', series: withA(run(10, 20), run(30, 35, 40)), error: /got no sample at 90/ },
    { name: 'a sample too many', series: withA(run(10, 20), run(30, 31, 35, 40), run(90, 150)), error: /got a sample at 31, which no input has/ },
    { name: 'a chunk too many', series: withA(run(10, 20), run(30, 35, 40), run(90, 150), run(170)), error: /got a chunk from 170 to 170, where no input has samples/ },
    { name: 'a chunk too many before', series: withA(run(5), run(10, 20), run(30, 35, 40), run(90, 150)), error: /got a sample at 5, which no input has/ },
    { name: 'a value of no input', series: withA(run(10, 20), [sample(30, 8), ...run(35, 40)], run(90, 150)), error: /at 30 got value bits 4020000000000000, want value bits 403e000000000000 or value bits 401c000000000000/ },
    { name: 'a last bit', series: withA([[10, '4024000000000001'], sample(20)], run(30, 35, 40), run(90, 150)), error: /at 10 got value bits 4024000000000001, want value bits 4024000000000000/ },
    { name: 'a deleted sample', series: [right[0]!, { labels: b, chunks: [run(30, 50, 60)] }], error: /series \["__name__","b"\]: got a sample at 50, which no input has/ },
    { name: 'a series too few', series: [right[0]!], error: /series \["__name__","b"\]: got no sample at 30/ },
    { name: 'a series too many', series: [...right, { labels: ['__name__', 'c'], chunks: [run(1)] }], error: /got series \["__name__","c"\], which no input has/ },
  ])('$name', ({ series, error }) => {
    expect(() => verify(series)).toThrow(expect.objectContaining({ code: 'ERR_COMPACT_MISMATCH', message: expect.stringMatching(error) }));
    expect(() => verify(series)).toThrow(`compare block ${OUT} with its inputs ${ulids[0]}, ${ulids[1]}: `);
  });

  test.each([
    { name: 'range', change: { maxTime: 201 }, error: /got range \[0, 201\), want \[0, 200\)/ },
    { name: 'series', change: { stats: { numSamples: 9, numSeries: 3, numChunks: 4 } }, error: /meta.json says numSeries 3, the block has 2/ },
    { name: 'chunks', change: { stats: { numSamples: 9, numSeries: 2, numChunks: 5 } }, error: /numChunks 5, the block has 4/ },
    { name: 'samples', change: { stats: { numSamples: 8, numSeries: 2, numChunks: 4 } }, error: /numSamples 8, the block has 9/ },
  ])('meta.json with another count of $name', ({ change, error }) => {
    expect(() => verify(right, (out) => ({ ...out, meta: { ...out.meta, ...change } }))).toThrow(error);
  });

  test('an index that says another range of a chunk', () => {
    const { fs, blocks } = inputs();
    const good = writeSampleBlock(fs, 'good', kernels, { ulid: OUT, minTime: 0, maxTime: 200, series: right });
    const writer = createBlockWriter(fs, 'out', { ulid: OUT, minTime: 0, maxTime: 200, symbols: ['', '__name__', 'a', 'b'] });
    const entry = { labelCount: 0, symbols: new Uint32Array(8), chunkCount: 0, mint: new Float64Array(8), maxt: new Float64Array(8), refs: new Float64Array(8) };
    for (const ref of good.index.allPostings()) {
      good.index.readSeries(ref, entry);
      const chunks: BlockChunk[] = Array.from({ length: entry.chunkCount }, (_, i) => ({ mint: entry.mint[i]!, maxt: entry.maxt[i]! + (i === 0 ? 1 : 0), ...good.chunks.readChunk(entry.refs[i]!) }));
      writer.addSeries(good.index.labelsOf(entry), chunks);
    }
    writer.finish();
    expect(() => verifyCompaction({ fs, kernels }, blocks, openBlock(fs, `out/${OUT}`))).toThrow(/chunk from 10 to 21 has samples from 10 to 20/);
  });

  test('a chunk that cannot be decoded and is not byte for byte an input’s', () => {
    const chunksOf = (last: number) => {
      const fs = createMemoryFileSystem();
      const blocks = [0, 1, 2].map((i) => {
        const writer = createBlockWriter(fs, 'in', { ulid: ulids[i]!, minTime: 0, maxTime: 100, symbols: ['', '__name__', 'a'] });
        writer.addSeries(a, [{ mint: 10, maxt: 20, encoding: 9, data: Uint8Array.of(0, 3, i === 2 ? last : 5) }]);
        writer.finish();
        return openBlock(fs, `in/${ulids[i]}`);
      });
      verifyCompaction({ fs, kernels }, blocks.slice(0, 2), blocks[2]!);
    };
    expect(() => chunksOf(5)).not.toThrow();
    expect(() => chunksOf(6)).toThrow(/chunk from 10 to 20 of an input has encoding 9, which cannot be decoded, and no equal on the other side/);
  });

  describe('start timestamps', () => {
    const xor2 = (fs: MemoryFileSystem, ulid: string, encoding: number, times: number[], starts: number[]): Block => {
      const writer = createBlockWriter(fs, 'blocks', { ulid, minTime: 0, maxTime: 100, symbols: ['', '__name__', 'a'] });
      const columns = { timestampsMs: Float64Array.from(times), values: Float64Array.from(times), startTimestamps: Float64Array.from(starts) };
      const plain = encodeSamples(kernels, run(...times));
      writer.addSeries(a, [encoding === CHUNK_ENCODING.xor ? plain : { mint: times[0]!, maxt: times.at(-1)!, encoding, data: encodeXor2Chunk(columns, 0, times.length) }]);
      writer.finish();
      return openBlock(fs, `blocks/${ulid}`);
    };
    test.each([
      { name: 'merged', encoding: CHUNK_ENCODING.xor2, starts: [5, 5, 25], error: undefined },
      { name: 'another start', encoding: CHUNK_ENCODING.xor2, starts: [5, 6, 25], error: /at 20 got value bits 4034000000000000 since 6, want value bits 4034000000000000 since 5/ },
      { name: 'a start lost', encoding: CHUNK_ENCODING.xor2, starts: [5, 5, 0], error: /at 30 got value bits 403e000000000000, want value bits 403e000000000000 since 25/ },
      { name: 'all starts lost', encoding: CHUNK_ENCODING.xor, starts: [0, 0, 0], error: /at 10 got value bits 4024000000000000, want value bits 4024000000000000 since 5/ },
    ])('$name', ({ encoding, starts, error }) => {
      const fs = createMemoryFileSystem();
      const blocks = [xor2(fs, ulids[0]!, CHUNK_ENCODING.xor2, [10, 30], [5, 25]), xor2(fs, ulids[1]!, CHUNK_ENCODING.xor2, [20], [5])];
      const out = xor2(fs, OUT, encoding, [10, 20, 30], starts);
      if (error === undefined) expect(() => verifyCompaction({ fs, kernels }, blocks, out)).not.toThrow();
      else expect(() => verifyCompaction({ fs, kernels }, blocks, out)).toThrow(error);
    });
  });

  describe('histograms', () => {
    const layout = { schema: 0, zeroThreshold: 0.001, positiveSpans: Int32Array.of(0, 2), negativeSpans: Int32Array.of(), customBounds: new Float64Array(0) };
    const histogram = (timeMs: number, ...counts: number[]): HistogramSample => ({ isFloat: false, isStale: false, isGauge: false, timeMs, count: counts[0]! + counts[1]!, zeroCount: 0, sumHigh: 0x3ff00000, sumLow: 0, layout, positive: Float64Array.from(counts), negative: new Float64Array(0) });
    const blockOf = (fs: MemoryFileSystem, ulid: string, ...samples: HistogramSample[]): Block => {
      const writer = createBlockWriter(fs, 'blocks', { ulid, minTime: 0, maxTime: 100, symbols: ['', '__name__', 'a'] });
      writer.addSeries(a, [encodeHistogramChunk(samples, samples[0]!.layout, 0)]);
      writer.finish();
      return openBlock(fs, `blocks/${ulid}`);
    };
    const wider = { ...layout, positiveSpans: Int32Array.of(-1, 4) };
    test.each([
      { name: 'merged', out: [histogram(10, 1, 1), histogram(20, 1, 2), histogram(30, 2, 2)], error: undefined },
      { name: 'merged, with empty buckets', out: [{ ...histogram(10, 1, 1), layout: wider, positive: Float64Array.of(0, 1, 1, 0) }, histogram(20, 1, 2), histogram(30, 2, 2)], error: undefined },
      { name: 'a bucket', out: [histogram(10, 1, 1), histogram(20, 2, 1), histogram(30, 2, 2)], error: /at 20 got integer histogram, schema 0, .* count 3, .* buckets \{0:2 1:1\} and \{\}, want .* buckets \{0:1 1:2\}/ },
      { name: 'a sum', out: [histogram(10, 1, 1), { ...histogram(20, 1, 2), sumLow: 1 }, histogram(30, 2, 2)], error: /at 20 got .* sum 3ff0000000000001/ },
      { name: 'one too few', out: [histogram(10, 1, 1), histogram(20, 1, 2)], error: /got no sample at 30/ },
      { name: 'one too many', out: [histogram(10, 1, 1), histogram(20, 1, 2), histogram(25, 1, 2), histogram(30, 2, 2)], error: /got a sample at 25, which no input has/ },
      { name: 'a stale marker for it', out: [histogram(10, 1, 1), { ...histogram(20, 1, 2), isGauge: true }, { ...histogram(30, 2, 2), isStale: true, positive: new Float64Array(0), sumHigh: 0x7ff00000, sumLow: 2 }], error: /at 30 got integer histogram, stale/ },
    ])('$name', ({ out, error }) => {
      const fs = createMemoryFileSystem();
      const blocks = [blockOf(fs, ulids[0]!, histogram(10, 1, 1), histogram(30, 2, 2)), blockOf(fs, ulids[1]!, histogram(20, 1, 2))];
      const check = (): void => verifyCompaction({ fs, kernels }, blocks, blockOf(fs, OUT, ...out));
      if (error === undefined) expect(check).not.toThrow();
      else expect(check).toThrow(error);
    });
  });

  test('any one change of a compacted block', () => {
    const samples = fc.uniqueArray(fc.integer({ min: 0, max: 300 }), { minLength: 2, maxLength: 40 }).map((times) => run(...times.sort((x, y) => x - y)));
    fc.assert(
      fc.property(samples, samples, fc.nat(), fc.constantFrom('drop', 'change', 'move'), (first, second, pick, kind) => {
        const fs = createMemoryFileSystem();
        const blocks = [first, second].map((one, i) => writeSampleBlock(fs, 'in', kernels, { ulid: ulids[i]!, minTime: 0, maxTime: 400, series: [{ labels: a, chunks: [one] }] }));
        const times = [...new Set([...first, ...second].map(([time]) => time))].sort((x, y) => x - y);
        const at = pick % times.length;
        const changed = times.flatMap((time, i): SampleBits[] => (i !== at ? [sample(time)] : kind === 'drop' ? [] : kind === 'change' ? [sample(time, time + 0.5)] : [sample(time + 0.5, time)]));
        const wrong = writeSampleBlock(fs, 'wrong', kernels, { ulid: OUT, minTime: 0, maxTime: 400, series: [{ labels: a, chunks: [kind === 'move' ? changed.map(([time, value]) => [Math.ceil(time), value] as const).filter(([time], i, all) => i === 0 || time > all[i - 1]![0]) : changed] }] });
        expect(() => verifyCompaction({ fs, kernels }, blocks, wrong)).toThrow(expect.objectContaining({ code: 'ERR_COMPACT_MISMATCH' }));
      }),
      { numRuns: 100 },
    );
  });
});

describe('kernels that decode wrongly, inputs and output alike', () => {
  test.each([
    { name: 'a value', spoil: (_: Float64Array, values: Int32Array) => (values[0]! ^= 1), error: /chunk from 30 to 40 has by kernels wasm 403e000000000001 at 30, by kernels js 403e000000000000 at 30/ },
    { name: 'a timestamp', spoil: (times: Float64Array) => times[1]!++, error: /has by kernels wasm 4044000000000000 at 41, by kernels js 4044000000000000 at 40/ },
  ])('$name', ({ spoil, error }) => {
    const { fs, blocks } = inputs();
    const wrong = Object.create(kernels, {
      decodeXorChunks: {
        value: (chunksPtr: number, chunks: number, timesPtr: number, valuesPtr: number, samplesMax: number) => {
          const samples = kernels.decodeXorChunks(chunksPtr, chunks, timesPtr, valuesPtr, samplesMax);
          spoil(kernels.memory.f64(timesPtr, samples), kernels.memory.i32(valuesPtr, samples * 2));
          return samples;
        },
      },
    }) as typeof kernels;
    const out = writeSampleBlock(fs, 'out', kernels, { ulid: OUT, minTime: 0, maxTime: 200, series: right });
    expect(() => verifyCompaction({ fs, kernels: wrong }, blocks, out)).toThrow(expect.objectContaining({ code: 'ERR_COMPACT_MISMATCH', message: expect.stringMatching(error) }));
  });
});

describe('more of it', () => {
  test('an output with deleted ranges', () => {
    const { fs, blocks } = inputs();
    const out = writeSampleBlock(fs, 'out', kernels, { ulid: OUT, minTime: 0, maxTime: 200, series: [{ ...right[0]!, deleted: [10, 20] }, right[1]!] });
    expect(() => verifyCompaction({ fs, kernels }, blocks, out)).toThrow(/got deleted ranges for 1 series/);
  });

  test('three inputs that overlap', () => {
    const fs = createMemoryFileSystem();
    const blocks = [run(10, 40), run(20, 50), run(30, 60)].map((samples, i) => writeSampleBlock(fs, 'in', kernels, { ulid: ulids[i]!, minTime: 0, maxTime: 100, series: [{ labels: a, chunks: [samples] }] }));
    const check = (name: string, samples: SampleBits[]) => (): void =>
      verifyCompaction({ fs, kernels }, blocks, writeSampleBlock(fs, name, kernels, { ulid: OUT, minTime: 0, maxTime: 100, series: [{ labels: a, chunks: [samples] }] }));
    expect(check('right', run(10, 20, 30, 40, 50, 60))).not.toThrow();
    expect(check('dropped', run(10, 20, 30, 40, 60))).toThrow(/got no sample at 50/);
    expect(check('last', run(10, 20, 30, 40, 50))).toThrow(/got no sample at 60/);
    expect(check('added', run(10, 20, 30, 35, 40, 50, 60))).toThrow(/got a sample at 35, which no input has/);
    expect(check('changed', [...run(10, 20, 30, 40, 50), sample(60, 61)])).toThrow(/at 60 got value bits/);
  });

  test('series of which the output has no symbol, all deleted or not', () => {
    const check = (deleted: [number, number]) => (): void => {
      const fs = createMemoryFileSystem();
      const blocks = [writeSampleBlock(fs, 'in', kernels, { ulid: ulids[0]!, minTime: 0, maxTime: 100, series: [{ labels: a, chunks: [run(10)] }, { labels: b, chunks: [run(30, 40)], deleted }] })];
      verifyCompaction({ fs, kernels }, blocks, writeSampleBlock(fs, 'out', kernels, { ulid: OUT, minTime: 0, maxTime: 100, series: [{ labels: a, chunks: [run(10)] }] }));
    };
    expect(check([30, 40])).not.toThrow();
    expect(check([30, 39])).toThrow(/series \["__name__","b"\]: got no sample at 40/);
  });
});

test('cancelled', () => {
  const { fs, blocks } = inputs();
  compactBlocks({ fs, kernels }, blocks, 'out', { ulid: OUT });
  expect(() => verifyCompaction({ fs, kernels }, blocks, openBlock(fs, `out/${OUT}`), { shouldStop: () => true })).toThrow(expect.objectContaining({ code: 'ERR_COMPACT_CANCELED' }));
});
