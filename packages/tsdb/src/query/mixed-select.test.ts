/**
 * Series of floats and native histograms out of blocks that overlap and have deletions, against a plain model: every timestamp once, with
 * the sample it was written with, and no reset hint that the histograms themselves contradict.
 */
import fc from 'fast-check';
import { describe, expect, test } from '@jest/globals';
import { createKernels } from '@gauntlet/kernels';
import { CHUNK_ENCODING, createMatcher, detectReset, type FloatHistogram, isStaleHistogram, isStaleNaN, RESET_HINTS, type SeriesBatch, withResetHint, wordsOf } from '@gauntlet/model';
import { type Block, BLOCK_FILES, openBlock } from '../block/block-reader.ts';
import { type BlockChunk, createBlockWriter } from '../block/block-writer.ts';
import { formatTombstones, type Intervals } from '../block/tombstones.ts';
import { HistogramAppender } from '../chunkenc/histogram-appender.ts';
import { EMPTY_LAYOUT, type HistogramSample } from '../chunkenc/histogram-encoder.ts';
import { encodeXor2Chunk } from '../chunkenc/xor2-encoder.ts';
import { createMemoryFileSystem } from '../testing/memory-file-system.ts';
import { bitsOfNumber, encodeSamples, type SampleBits } from '../testing/sample-block.ts';
import { HistogramBatch } from './histogram-batch.ts';
import { createBlockQueryable } from './tsdb-queryable.ts';

const kernels = createKernels();
const NONE = new Float64Array(0);
const STALE_BITS = '7ff0000000000002';
const LAYOUT = { schema: 1, zeroThreshold: 0.001, positiveSpans: Int32Array.of(0, 2), negativeSpans: new Int32Array(0), customBounds: NONE };

type Kind = 'float' | 'staleFloat' | 'integers' | 'floats' | 'gauge' | 'stale';
/** Counts go up from one sample to the next, but for resets. */
interface ModelSample {
  readonly timeMs: number;
  readonly kind: Kind;
  readonly counts: readonly [number, number];
}

function histogramSample({ timeMs, kind, counts }: ModelSample): HistogramSample {
  const isStale = kind === 'stale';
  return {
    isFloat: kind === 'floats',
    isStale,
    isGauge: kind === 'gauge',
    timeMs,
    count: isStale ? 0 : counts[0] + counts[1],
    zeroCount: 0,
    sumHigh: isStale ? 0x7ff00000 : 0x3ff00000,
    sumLow: isStale ? 2 : timeMs,
    layout: isStale ? EMPTY_LAYOUT : LAYOUT,
    positive: isStale ? NONE : Float64Array.from(counts),
    negative: NONE,
  };
}

/** Chunks of at most four samples. */
function chunksOf(samples: readonly ModelSample[]): BlockChunk[] {
  const chunks: BlockChunk[] = [];
  const histograms = new HistogramAppender(4);
  let floats: SampleBits[] = [];
  const endFloats = (): void => {
    if (floats.length > 0) chunks.push(encodeSamples(kernels, floats));
    floats = [];
  };
  for (const sample of samples) {
    if (sample.kind === 'float' || sample.kind === 'staleFloat') {
      chunks.push(...histograms.finish());
      floats.push([sample.timeMs, sample.kind === 'float' ? bitsOfNumber(sample.timeMs / 8) : STALE_BITS]);
      if (floats.length === 4) endFloats();
    } else {
      endFloats();
      histograms.append(histogramSample(sample));
    }
  }
  endFloats();
  chunks.push(...histograms.finish());
  return chunks;
}

function writeBlock(number: number, series: readonly (readonly ModelSample[])[], deleted: Intervals): Block {
  const fs = createMemoryFileSystem();
  const ulid = `0000000000000000000000000${number}`;
  const writer = createBlockWriter(fs, 'data', { ulid, minTime: 0, maxTime: 100_000, symbols: ['', '__name__', ...series.map((_, i) => `s${i}`)].sort() });
  series.forEach((samples, i) => writer.addSeries(['__name__', `s${i}`], chunksOf(samples)));
  writer.finish();
  const open = openBlock(fs, `data/${ulid}`);
  const tombstones = new Map([...open.index.allPostings()].map((ref) => [ref, deleted]));
  if (deleted.length === 0) return open;
  open.close();
  const handle = fs.open(`data/${ulid}/${BLOCK_FILES.tombstones}`, 'create');
  handle.append(formatTombstones(tombstones));
  handle.close();
  return openBlock(fs, `data/${ulid}`);
}

type Seen = readonly [number, unknown];

async function select(blocks: readonly Block[], mint: number, maxt: number): Promise<{ readonly samples: Map<string, Seen[]>; readonly histograms: Map<string, FloatHistogram[]> }> {
  const samples = new Map<string, Seen[]>();
  const histograms = new Map<string, FloatHistogram[]>();
  for await (const batch of createBlockQueryable(blocks, kernels).select({ matchers: [createMatcher('=~', '__name__', 's.*')], mint, maxt })) {
    batch.labels.forEach((labels, i) => {
      const own: Seen[] = [];
      const found: FloatHistogram[] = [];
      for (let s = batch.offsets[i]!; s < batch.offsets[i + 1]!; s++) {
        const isStale = isStaleNaN(wordsOf(batch.values), s);
        const id = batch.histograms?.ids[s] ?? -1;
        if (id < 0) {
          own.push([batch.timestampsMs[s]!, isStale ? 'staleFloat' : batch.values[s]]);
          continue;
        }
        const histogram = batch.histograms!.get(id);
        expect(isStale).toBe(isStaleHistogram(histogram));
        if (!isStale) found.push(histogram);
        own.push([batch.timestampsMs[s]!, isStale ? 'stale' : [...histogram.positiveBuckets, histogram.count, histogram.resetHint === RESET_HINTS.gauge]]);
      }
      samples.set(labels[1]!, own);
      histograms.set(labels[1]!, found);
    });
  }
  return { samples, histograms };
}

function seen({ timeMs, kind, counts }: ModelSample): Seen {
  if (kind === 'float') return [timeMs, timeMs / 8];
  return [timeMs, kind === 'staleFloat' || kind === 'stale' ? kind : [...counts, counts[0] + counts[1], kind === 'gauge']];
}

const step = fc.record({
  kind: fc.constantFrom<Kind>('integers', 'integers', 'integers', 'floats', 'gauge', 'float', 'float', 'stale', 'staleFloat'),
  stays: fc.boolean(),
  gap: fc.integer({ min: 1, max: 200 }),
  more: fc.tuple(fc.nat(3), fc.nat(3)),
  reset: fc.nat(2).map((n) => n === 0),
  /** Which blocks have it: bits. */
  blocks: fc.integer({ min: 1, max: 7 }),
});
const interval = fc.tuple(fc.nat(1500), fc.nat(400)).map(([from, length]): Intervals => [from, from + length]);

describe('floats and histograms from blocks that overlap', () => {
  test('every timestamp once, as written; hints do not lie', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(step, { minLength: 1, maxLength: 40 }), { minLength: 1, maxLength: 3 }), fc.array(fc.option(interval, { nil: undefined }), { minLength: 3, maxLength: 3 }), fc.nat(500), fc.integer({ min: 1000, max: 9000 }), async (allSteps, deletions, mint, maxt) => {
        const series = allSteps.map((steps) => {
          let timeMs = 0;
          let counts: [number, number] = [0, 0];
          let kind: Kind = 'integers';
          return steps.map(({ kind: next, stays, gap, more, reset, blocks }) => {
            timeMs += gap;
            counts = reset ? more : [counts[0] + more[0], counts[1] + more[1]];
            if (!stays) kind = next;
            return { timeMs, kind, counts, blocks };
          });
        });
        const blocks = [0, 1, 2].map((block) => writeBlock(block, series.map((samples) => samples.filter((sample) => (sample.blocks & (1 << block)) !== 0)), deletions[block] ?? []));
        const { samples, histograms } = await select(blocks, mint, maxt);
        const isLeft = (timeMs: number, mask: number): boolean => [0, 1, 2].some((block) => (mask & (1 << block)) !== 0 && !(deletions[block] !== undefined && timeMs >= deletions[block][0]! && timeMs <= deletions[block][1]!));
        series.forEach((all, i) => {
          const want = all.filter(({ timeMs, blocks: mask }) => timeMs >= mint && timeMs <= maxt && isLeft(timeMs, mask)).map(seen);
          expect(samples.get(`s${i}`) ?? []).toEqual(want);
          (histograms.get(`s${i}`) ?? []).reduce((before: FloatHistogram | undefined, histogram) => {
            if (before !== undefined && histogram.resetHint === RESET_HINTS.notReset) expect(detectReset(withResetHint(histogram, RESET_HINTS.unknown), before)).toBe(false);
            return histogram;
          }, undefined);
        });
        expect(kernels.memory.usedBytes).toBe(0);
      }),
      { numRuns: Number(process.env['GAUNTLET_RANDOM_SELECTS'] ?? 300) },
    );
  });

  test('resets within a block, between blocks, and where a deletion hides the first one after', async () => {
    const sample = (timeMs: number, count: number): ModelSample => ({ timeMs, kind: 'integers', counts: [count, 0] });
    const hints = async (blocks: readonly Block[]): Promise<number[]> => (await select(blocks, 0, 100_000)).histograms.get('s0')!.map(({ resetHint }) => resetHint);
    const { unknown, notReset } = RESET_HINTS;
    expect(await hints([writeBlock(1, [[sample(10, 5), sample(20, 6), sample(30, 1), sample(40, 2)]], [])])).toEqual([unknown, notReset, unknown, notReset]);
    expect(await hints([writeBlock(1, [[sample(10, 5), sample(20, 6), sample(30, 1), sample(40, 2)]], [20, 30])])).toEqual([unknown, unknown]);
    expect(await hints([writeBlock(1, [[sample(10, 5), sample(40, 9)]], []), writeBlock(2, [[sample(20, 6), sample(30, 7)]], [])])).toEqual([unknown, unknown, notReset, unknown]);
  });
});

describe('start timestamps', () => {
  const write = (number: number, chunks: readonly BlockChunk[]): Block => {
    const fs = createMemoryFileSystem();
    const ulid = `0000000000000000000000000${number}`;
    const writer = createBlockWriter(fs, 'data', { ulid, minTime: 0, maxTime: 1000, symbols: ['', '__name__', 's0'] });
    writer.addSeries(['__name__', 's0'], chunks);
    writer.finish();
    return openBlock(fs, `data/${ulid}`);
  };
  const xor2 = (times: readonly number[], starts?: readonly number[]): BlockChunk => {
    const columns = { timestampsMs: Float64Array.from(times), values: Float64Array.from(times), startTimestamps: starts && Float64Array.from(starts) };
    return { mint: times[0]!, maxt: times.at(-1)!, encoding: CHUNK_ENCODING.xor2, data: encodeXor2Chunk(columns, 0, times.length) };
  };
  const xor = (times: readonly number[]): BlockChunk => encodeSamples(kernels, times.map((time): SampleBits => [time, bitsOfNumber(time)]));

  test.each([
    { name: 'beside their samples, 0 where a chunk has none', blocks: [[xor2([10, 20, 30], [5, 5, 25]), xor([40, 50])]], times: [10, 20, 30, 40, 50], starts: [5, 5, 25, 0, 0] },
    { name: 'cut with their samples', blocks: [[xor2([1, 10, 20], [5, 6, 7]), xor2([30, 40, 99], [8, 9, 10])]], times: [10, 20, 30, 40], starts: [6, 7, 8, 9] },
    { name: 'where blocks overlap', blocks: [[xor2([10, 20, 30], [5, 5, 25])], [xor([15, 40])], [xor2([12, 35], [1, 2])]], times: [10, 12, 15, 20, 30, 35, 40], starts: [5, 1, 0, 5, 25, 2, 0] },
    { name: 'absent when no sample has one', blocks: [[xor2([10, 20])], [xor([15])]], times: [10, 15, 20], starts: undefined },
  ])('$name', async ({ blocks, times, starts }) => {
    const open = blocks.map((chunks, i) => write(i, chunks));
    const found: SeriesBatch[] = [];
    for await (const { timestampsMs, values, startTimestamps, ...batch } of createBlockQueryable(open, kernels).select({ matchers: [createMatcher('=', '__name__', 's0')], mint: 10, maxt: 90 })) {
      found.push({ ...batch, timestampsMs: timestampsMs.slice(), values: values.slice(), ...(startTimestamps && { startTimestamps: startTimestamps.slice() }) });
    }
    expect(found.map(({ timestampsMs, values, startTimestamps, histograms }) => [[...timestampsMs], [...values], startTimestamps && [...startTimestamps], histograms])).toEqual([[times, times, starts, undefined]]);
  });
});

describe('a batch of histograms', () => {
  const chunks = [0, 1, 2].map((chunk) => chunksOf([0, 1, 2].map((i) => ({ timeMs: 100 * chunk + i, kind: 'integers', counts: [chunk, i] })))[0]!);

  test.each([[0, 10], [50, 7], [1 << 20, 3]])('that may keep %d bytes gives each of them in any order, for %d reads, and back what it charged', (keptBytesMax, reads) => {
    let charged = 0;
    let read = 0;
    const batch = new HistogramBatch({ reserve: (bytes) => (charged += bytes), release: (bytes) => (charged -= bytes) }, undefined, keptBytesMax);
    for (const { encoding, data } of chunks) {
      batch.add({
        encoding,
        data: () => {
          read++;
          return data;
        },
        name: () => 'test',
      });
    }
    // Columns of nine histograms beside their buckets.
    expect(charged).toBeLessThanOrEqual(keptBytesMax + 9 * 29);
    for (const ids of [[0, 1, 2, 3, 4, 5, 6, 7, 8], [8, 0, 4, 3, 2, 7]]) expect(ids.map((id) => [...batch.get(id).positiveBuckets])).toEqual(ids.map((id) => [Math.floor(id / 3), id % 3]));
    expect(read).toBe(reads);
    // Two buckets: nothing else of the chunk stays with a histogram that somebody keeps.
    expect(batch.get(0).positiveBuckets.buffer.byteLength).toBe(16);
    batch.clear();
    expect(charged).toBe(0);
    expect(batch.count).toBe(0);
  });

  test('a budget that is passed leaves nothing charged', () => {
    let charged = 0;
    const charge = {
      reserve(bytes: number): void {
        if (charged + bytes > 300) throw new RangeError('over budget');
        charged += bytes;
      },
      release: (bytes: number) => void (charged -= bytes),
    };
    const batch = new HistogramBatch(charge);
    expect(() => chunks.forEach(({ encoding, data }) => batch.add({ encoding, data: () => data, name: () => 'test' }))).toThrow('over budget');
    batch.clear();
    expect(charged).toBe(0);
  });
});
