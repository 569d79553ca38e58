/** Changes a compacted block in one place, with all checksums made right, and expects verification to find it: whatever the change, wherever it is. */
import fc from 'fast-check';
import { describe, expect, test } from '@jest/globals';
import { createKernels } from '@gauntlet/kernels';
import type { Labels } from '@gauntlet/model';
import { type Block, openBlock } from '../block/block-reader.ts';
import { type BlockChunk, createBlockWriter } from '../block/block-writer.ts';
import { createUlid } from '../block/ulid.ts';
import { encodeHistogramChunk, type HistogramSample } from '../chunkenc/histogram-encoder.ts';
import { createSeriesEntry } from '../index-file/series-entry.ts';
import { createMemoryFileSystem, type MemoryFileSystem } from '../testing/memory-file-system.ts';
import { bitsOfNumber, encodeSamples } from '../testing/sample-block.ts';
import { compactBlocks } from './compact-blocks.ts';
import { verifyCompaction } from './verify-compaction.ts';

const kernels = createKernels();
const ulids = Array.from({ length: 4 }, (_, i) => createUlid(1_000_000 + i, () => i / 16));
const OUT = ulids[3]!;
const RANGE = { minTime: 0, maxTime: 1000 };

/** A sample of either kind: what it is worth is a matter of its series and its time, and of `bit`, which is flipped in it. */
interface Sample {
  readonly time: number;
  readonly bit?: number;
}

type Encode = (samples: readonly Sample[]) => BlockChunk;

function encodeFloats(samples: readonly Sample[]): BlockChunk {
  return encodeSamples(
    kernels,
    samples.map(({ time, bit }) => {
      const bits = BigInt(`0x${bitsOfNumber(time * 1.1)}`) ^ (bit === undefined ? 0n : 1n << BigInt(bit));
      return [time, bits.toString(16).padStart(16, '0')];
    }),
  );
}

const layout = { schema: 0, zeroThreshold: 0.001, positiveSpans: Int32Array.of(0, 2), negativeSpans: Int32Array.of(1, 1), customBounds: new Float64Array(0) };

/** A bit is one of the sum, of a bucket, or of the count of zeros. The count follows. */
function encodeHistograms(isFloat: boolean): Encode {
  return (samples) => {
    const encoded = samples.map(({ time, bit = -1 }): HistogramSample => {
      // Small bits, so that counts stay whole and far below 2^53.
      const change = (slot: number, value: number): number => (bit >= 0 && bit % 8 === slot ? value ^ (1 << ((bit >>> 3) % 8)) : value);
      const positive = Float64Array.of(change(0, time + 1), change(1, time + 2));
      const negative = Float64Array.of(change(2, time));
      const zeroCount = change(3, time + 5);
      const sum = (slot: number, word: number): number => (bit >= 0 && bit % 8 === slot ? word ^ (1 << ((bit >>> 3) % 8)) : word);
      return { isFloat, isStale: false, isGauge: false, timeMs: time, count: positive[0]! + positive[1]! + negative[0]! + zeroCount, zeroCount, sumHigh: sum(4, 0x40000000 + time), sumLow: sum(5, time), layout, positive, negative };
    });
    return encodeHistogramChunk(encoded, layout, 0);
  };
}

const SERIES: readonly { readonly labels: Labels; readonly encode: Encode; readonly bits: readonly number[] }[] = [
  { labels: ['__name__', 'a', 'x', '1'], encode: encodeFloats, bits: Array.from({ length: 64 }, (_, i) => i) },
  { labels: ['__name__', 'a', 'x', '2'], encode: encodeFloats, bits: [0, 31, 32, 51, 52, 63] },
  { labels: ['__name__', 'b'], encode: encodeHistograms(false), bits: Array.from({ length: 48 }, (_, i) => (i % 6) + 8 * (i % 8)) },
  { labels: ['__name__', 'c'], encode: encodeHistograms(true), bits: Array.from({ length: 48 }, (_, i) => (i % 6) + 8 * (i % 8)) },
];

interface SeriesChunks {
  labels: Labels;
  chunks: BlockChunk[];
}

function writeBlock(fs: MemoryFileSystem, dir: string, ulid: string, series: readonly SeriesChunks[]): Block {
  const symbols = [...new Set(['', ...series.flatMap(({ labels }) => labels)])].sort();
  const writer = createBlockWriter(fs, dir, { ulid, ...RANGE, symbols });
  for (const { labels, chunks } of series) writer.addSeries(labels, chunks);
  writer.finish();
  return openBlock(fs, `${dir}/${ulid}`);
}

function readBlock(block: Block): SeriesChunks[] {
  const entry = createSeriesEntry();
  return [...block.index.allPostings()].map((ref) => {
    block.index.readSeries(ref, entry);
    const chunks = Array.from({ length: entry.chunkCount }, (_, i) => {
      const { encoding, data } = block.chunks.readChunk(entry.refs[i]!);
      return { mint: entry.mint[i]!, maxt: entry.maxt[i]!, encoding, data: data.slice() };
    });
    return { labels: block.index.labelsOf(entry), chunks };
  });
}

/** Times of a series in an input, in chunks. Multiples of three, so that there is a free one beside each. */
const times = fc
  .tuple(fc.uniqueArray(fc.integer({ min: 0, max: 60 }), { minLength: 1, maxLength: 30 }), fc.integer({ min: 1, max: 12 }))
  .map(([list, perChunk]) => {
    const sorted = list.map((n) => n * 3).sort((x, y) => x - y);
    return Array.from({ length: Math.ceil(sorted.length / perChunk) }, (_, i) => sorted.slice(i * perChunk, (i + 1) * perChunk));
  });
/** Inputs by series by chunk: side by side, or each behind the one before, whose chunks are then in the output as they are. */
const inputs = fc.record({ lagMs: fc.constantFrom(0, 90, 300), timesOf: fc.array(fc.array(times, { minLength: 4, maxLength: 4 }), { minLength: 2, maxLength: 3 }) });

function compacted(fs: MemoryFileSystem, from: { lagMs: number; timesOf: number[][][][] }) {
  const lagged = from.timesOf.map((all, i) => all.map((chunks) => chunks.map((chunk) => chunk.map((time) => time + i * from.lagMs))));
  const blocks = lagged.map((all, i) => writeBlock(fs, 'in', ulids[i]!, SERIES.map(({ labels, encode }, s) => ({ labels, chunks: all[s]!.map((chunk) => encode(chunk.map((time) => ({ time })))) }))));
  compactBlocks({ fs, kernels }, blocks, 'out', { ulid: OUT });
  const out = openBlock(fs, `out/${OUT}`);
  verifyCompaction({ fs, kernels }, blocks, out);
  return { blocks, series: readBlock(out), timesOf: (s: number) => [...new Set(lagged.flatMap((all) => all[s]!.flat()))].sort((x, y) => x - y) };
}

/** Changes samples of a chunk, and leaves out what becomes empty. */
function changeChunk(series: SeriesChunks[], s: number, c: number, all: readonly number[], change: (samples: Sample[]) => Sample[]): SeriesChunks[] {
  const old = series[s]!.chunks[c]!;
  const samples = change(all.filter((time) => time >= old.mint && time <= old.maxt).map((time) => ({ time })));
  const chunks = series[s]!.chunks.toSpliced(c, 1, ...(samples.length === 0 ? [] : [SERIES[s]!.encode(samples)]));
  return chunks.length === 0 ? series.toSpliced(s, 1) : series.toSpliced(s, 1, { labels: series[s]!.labels, chunks });
}

const KINDS = ['drop a sample', 'flip a bit of a value', 'move a sample', 'double a chunk', 'drop a chunk', 'exchange two chunks’ data', 'drop a series', 'change a label'] as const;

describe.each(KINDS.map((kind) => ({ kind })))('$kind', ({ kind }) => {
  test.each(SERIES.map(({ labels }, s) => ({ name: labels.slice(1).join(' '), s })))('of series $name', ({ s }) => {
    let changed = 0;
    fc.assert(
      fc.property(inputs, fc.nat(), fc.nat(), fc.nat(), (from, pickChunk, pickSample, pickBit) => {
        const fs = createMemoryFileSystem();
        const { blocks, series, timesOf } = compacted(fs, from);
        const { labels, chunks } = series[s]!;
        const c = pickChunk % chunks.length;
        const one = chunks[c]!;
        const at = (samples: readonly Sample[]): number => pickSample % samples.length;
        const withChunks = (list: BlockChunk[]): SeriesChunks[] => series.toSpliced(s, 1, { labels, chunks: list });
        const other = (): SeriesChunks[] | undefined => {
          switch (kind) {
            case 'drop a sample':
              return changeChunk(series, s, c, timesOf(s), (samples) => samples.toSpliced(at(samples), 1));
            case 'flip a bit of a value':
              return changeChunk(series, s, c, timesOf(s), (samples) => samples.with(at(samples), { time: samples[at(samples)]!.time, bit: SERIES[s]!.bits[pickBit % SERIES[s]!.bits.length]! }));
            case 'move a sample':
              return changeChunk(series, s, c, timesOf(s), (samples) => samples.with(at(samples), { time: samples[at(samples)]!.time + 1 + (pickBit % 2) }));
            case 'double a chunk':
              // As far behind as the index lets it be: the writer refuses chunks that overlap, so the entry has to lie.
              return withChunks(chunks.toSpliced(c + 1, 0, { ...one, mint: one.maxt + 1, maxt: one.maxt + 1 }));
            case 'drop a chunk':
              return chunks.length === 1 ? undefined : withChunks(chunks.toSpliced(c, 1));
            case 'exchange two chunks’ data': {
              const next = chunks[c + 1];
              return next === undefined ? undefined : withChunks(chunks.toSpliced(c, 2, { ...next, mint: one.mint, maxt: one.maxt }, { ...one, mint: next.mint, maxt: next.maxt }));
            }
            case 'drop a series':
              return series.toSpliced(s, 1);
            default:
              return series.toSpliced(s, 1, { labels: labels.with(-1, `${labels.at(-1)}0`), chunks });
          }
        };
        const wrong = other();
        fc.pre(wrong !== undefined);
        changed++;
        // Written again as it is, it is right; so what is found is the change.
        verifyCompaction({ fs, kernels }, blocks, writeBlock(fs, 'again', OUT, series));
        const block = writeBlock(fs, 'wrong', OUT, wrong);
        expect(() => verifyCompaction({ fs, kernels }, blocks, block)).toThrow(expect.objectContaining({ code: 'ERR_COMPACT_MISMATCH' }));
      }),
      { numRuns: 15 },
    );
    expect(changed).toBeGreaterThan(0);
  });
});
