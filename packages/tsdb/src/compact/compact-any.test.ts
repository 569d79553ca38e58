/** Blocks with samples of every kind, overlapping and with deletions → compacted → every sample that an input has, once. GAUNTLET_FUZZ_RUNS=10000 for a long run. */
import { compareUtf8 } from '@gauntlet/bytes';
import fc from 'fast-check';
import { expect, test } from '@jest/globals';
import { createKernels } from '@gauntlet/kernels';
import type { Labels } from '@gauntlet/model';
import { type Block, openBlock } from '../block/block-reader.ts';
import { createBlockWriter } from '../block/block-writer.ts';
import { overlapsIntervals } from '../block/tombstones.ts';
import { createUlid } from '../block/ulid.ts';
import { createSeriesEntry } from '../index-file/series-entry.ts';
import { type AnySample, anySamples, decodeAnyChunk, encodeAnySamples, meaningOf } from '../testing/any-samples.ts';
import { createMemoryFileSystem, type MemoryFileSystem } from '../testing/memory-file-system.ts';
import { compactBlocks, compactBlocksIntoShards } from './compact-blocks.ts';
import { verifyCompaction } from './verify-compaction.ts';

const kernels = createKernels();
const ulids = Array.from({ length: 8 }, (_, i) => createUlid(1_000_000 + i, () => i / 16));
const labelSets: Labels[] = [['__name__', 'a'], ['__name__', 'a', 'job', 'x'], ['__name__', 'b']];

interface Series {
  readonly labels: Labels;
  readonly samples: readonly AnySample[];
  readonly samplesMax: number;
  readonly deleted: readonly [number, number] | undefined;
}

const block: fc.Arbitrary<Series[]> = fc
  .tuple(fc.constantFrom(0, 0, 150, 301), fc.uniqueArray(fc.nat(labelSets.length - 1), { minLength: 1 }))
  .chain(([from, picked]) =>
    fc.tuple(
      ...picked.toSorted((a, b) => a - b).map((i) =>
        fc.record({
          labels: fc.constant(labelSets[i]!),
          samples: anySamples(fc.integer({ min: from, max: from + 300 }), 30),
          samplesMax: fc.integer({ min: 1, max: 12 }),
          deleted: fc.option(fc.tuple(fc.integer({ min: from, max: from + 300 }), fc.nat(150)).map(([first, length]): [number, number] => [first, first + length]), { nil: undefined, freq: 2 }),
        }),
      ),
    ),
  );

function write(fs: MemoryFileSystem, ulid: string, series: readonly Series[]): Block {
  const symbols = [...new Set(['', ...series.flatMap(({ labels }) => labels)])].sort(compareUtf8);
  const writer = createBlockWriter(fs, 'in', { ulid, minTime: 0, maxTime: 700, symbols });
  for (const { labels, samples, samplesMax } of series) writer.addSeries(labels, encodeAnySamples(samples, samplesMax, kernels));
  writer.finish();
  const opened = openBlock(fs, `in/${ulid}`);
  const refs = opened.index.allPostings();
  return { ...opened, tombstones: new Map(series.flatMap(({ deleted }, i) => (deleted === undefined ? [] : [[refs[i]!, [...deleted]]]))) };
}

/** Series → what its samples mean, in order. */
function read(opened: Block): Map<string, { time: number; meaning: string }[]> {
  const all = new Map<string, { time: number; meaning: string }[]>();
  const entry = createSeriesEntry();
  for (const ref of opened.index.allPostings()) {
    opened.index.readSeries(ref, entry);
    const samples: AnySample[] = [];
    for (let i = 0; i < entry.chunkCount; i++) samples.push(...decodeAnyChunk({ mint: entry.mint[i]!, maxt: entry.maxt[i]!, ...opened.chunks.readChunk(entry.refs[i]!) }, kernels));
    all.set(opened.index.labelsOf(entry).join(','), samples.map((sample) => ({ time: sample.timeMs, meaning: meaningOf(sample) })));
  }
  return all;
}

test('what blocks have together is in the compacted one, and in its shards', () => {
  fc.assert(
    fc.property(fc.array(block, { minLength: 1, maxLength: 3 }), (contents) => {
      const fs = createMemoryFileSystem();
      const blocks = contents.map((series, i) => write(fs, ulids[i]!, series));
      const want = new Map<string, Map<number, Set<string>>>();
      for (const { labels, samples, deleted } of contents.flat()) {
        for (const sample of samples) {
          if (deleted !== undefined && overlapsIntervals([...deleted], sample.timeMs, sample.timeMs)) continue;
          const times = want.get(labels.join(',')) ?? new Map<number, Set<string>>();
          want.set(labels.join(','), times.set(sample.timeMs, (times.get(sample.timeMs) ?? new Set()).add(meaningOf(sample))));
        }
      }
      const meta = compactBlocks({ fs, kernels }, blocks, 'out', { ulid: ulids[7]! });
      expect(meta === undefined).toBe(want.size === 0);
      if (meta === undefined) return;
      const out = openBlock(fs, `out/${ulids[7]}`);
      const got = read(out);
      expect([...got.keys()]).toEqual([...want.keys()].sort());
      for (const [labels, samples] of got) {
        const times = want.get(labels)!;
        expect(samples.map(({ time }) => time)).toEqual([...times.keys()].sort((a, b) => a - b));
        for (const { time, meaning } of samples) expect([...times.get(time)!]).toContain(meaning);
      }
      verifyCompaction({ fs, kernels }, blocks, out);
      const shards = compactBlocksIntoShards({ fs, kernels }, blocks, 'out', { ulids: ulids.slice(4, 6) });
      expect(new Map(shards.flatMap((shard) => (shard === undefined ? [] : [...read(openBlock(fs, `out/${shard.ulid}`))])))).toEqual(new Map(got));
    }),
    { numRuns: Number(process.env['GAUNTLET_FUZZ_RUNS'] ?? 40) },
  );
});
