/** What hints let a selection leave out, against the same selection without them: other samples than the newest, labels that nobody wants. */
import fc from 'fast-check';
import { describe, expect, test } from '@jest/globals';
import { createKernels, type Kernels } from '@gauntlet/kernels';
import { createMatcher, type SelectHints } from '@gauntlet/model';
import type { Block } from '../block/block-reader.ts';
import type { Intervals } from '../block/tombstones.ts';
import { createMemoryFileSystem } from '../testing/memory-file-system.ts';
import { bitsOfNumber, type SampleBits, writeSampleBlock } from '../testing/sample-block.ts';
import { createBlockQueryable } from './tsdb-queryable.ts';

const both: readonly Kernels[] = [createKernels(), createKernels({ backend: 'js' })];
const STALE_BITS = '7ff0000000000002';
const HINTS: SelectHints = { stepMs: 0, func: 'sum', rangeMs: 0, grouping: ['job'], by: true };

interface ModelSeries {
  readonly name: number;
  readonly job: number;
  /** Times, and whether a sample is a stale marker. */
  readonly samples: readonly (readonly [number, boolean])[];
}

const labelsOf = ({ name, job }: ModelSeries, i: number): string[] => ['__name__', `m${name}`, 'instance', `i${String(i).padStart(3, '0')}`, 'job', `j${job}`];

function writeBlock(number: number, series: readonly ModelSeries[], deleted: Intervals, chunkSamples: number): Block {
  const rows = series.map((one, i) => {
    const bits = one.samples.map(([time, isStale]): SampleBits => [time, isStale ? STALE_BITS : bitsOfNumber(number + time / 8)]);
    const chunks: SampleBits[][] = [];
    for (let at = 0; at < bits.length; at += chunkSamples) chunks.push(bits.slice(at, at + chunkSamples));
    return { labels: labelsOf(one, i), chunks, deleted };
  });
  return writeSampleBlock(createMemoryFileSystem(), 'data', both[0]!, { ulid: `0000000000000000000000000${number}`, minTime: 0, maxTime: 100_000, series: rows });
}

interface Answer {
  readonly labels: readonly string[];
  /** `time=bits` */
  readonly samples: readonly string[];
}

async function select(blocks: readonly Block[], kernels: Kernels, mint: number, maxt: number, hints: Partial<SelectHints>): Promise<Answer[]> {
  const answers: Answer[] = [];
  for await (const batch of createBlockQueryable(blocks, kernels).select({ matchers: [createMatcher('=~', '__name__', '.+')], mint, maxt, hints: { ...HINTS, ...hints } })) {
    const bits = new BigUint64Array(batch.values.buffer, batch.values.byteOffset, batch.values.length);
    for (const [i, labels] of batch.labels.entries()) {
      const samples: string[] = [];
      for (let at = batch.offsets[i]!; at < batch.offsets[i + 1]!; at++) samples.push(`${batch.timestampsMs[at]}=${bits[at]!.toString(16)}`);
      answers.push({ labels: [...labels], samples });
    }
  }
  return answers;
}

const samples = fc.array(fc.tuple(fc.integer({ min: 1, max: 50 }), fc.nat(9)), { minLength: 1, maxLength: 12 }).map((steps) => {
  let time = 0;
  return steps.map(([gap, kind]): [number, boolean] => [(time += gap), kind === 0]);
});
const series = fc.array(fc.record({ name: fc.nat(2), job: fc.nat(3), samples }), { minLength: 1, maxLength: 40 });
const deleted = fc.oneof({ weight: 4, arbitrary: fc.constant<Intervals>([]) }, { weight: 1, arbitrary: fc.tuple(fc.nat(200), fc.nat(100)).map(([from, length]): Intervals => [from, from + length]) });
const world = fc.record({ first: series, second: fc.option(series), firstDeleted: deleted, chunkSamples: fc.integer({ min: 1, max: 6 }), mint: fc.nat(400), length: fc.nat(300) });

describe('a hinted selection', () => {
  test('newestOnly: each series still ends with the same sample, and none has others', async () => {
    await fc.assert(
      fc.asyncProperty(world, async ({ first, second, firstDeleted, chunkSamples, mint, length }) => {
        const blocks = [writeBlock(1, first, firstDeleted, chunkSamples)];
        if (second !== null) blocks.push(writeBlock(2, second, [], chunkSamples));
        for (const kernels of both) {
          const whole = await select(blocks, kernels, mint, mint + length, {});
          const newest = await select(blocks, kernels, mint, mint + length, { newestOnly: true });
          expect(newest.map(({ labels, samples: kept }) => [labels, kept.at(-1)])).toEqual(whole.map(({ labels, samples: all }) => [labels, all.at(-1)]));
          newest.forEach(({ samples: kept }, i) => expect(whole[i]!.samples).toEqual(expect.arrayContaining([...kept])));
        }
        for (const block of blocks) block.close();
      }),
      { numRuns: 120 },
    );
  });

  test.each<[string, NonNullable<SelectHints['projection']>]>([
    ['only job', { include: true, labels: ['job'] }],
    ['name and job, and one that no series has', { include: true, labels: ['__name__', 'job', 'zone'] }],
    ['none', { include: true, labels: ['zone'] }],
    ['all but instance', { include: false, labels: ['instance'] }],
  ])('projection: %s', async (_name, projection) => {
    await fc.assert(
      fc.asyncProperty(world, async ({ first, second, firstDeleted, chunkSamples, mint, length }) => {
        const blocks = [writeBlock(1, first, firstDeleted, chunkSamples)];
        if (second !== null) blocks.push(writeBlock(2, second, [], chunkSamples));
        const whole = await select(blocks, both[0]!, mint, mint + length, {});
        const projected = await select(blocks, both[0]!, mint, mint + length, { projection });
        const cut = (labels: readonly string[]): string[] => labels.filter((_label, i) => projection.labels.includes(labels[i - (i % 2)]!) === projection.include);
        expect(projected.map((one) => one.samples)).toEqual(whole.map((one) => one.samples));
        // Several blocks are merged by all labels, so none may be missing.
        expect(projected.map((one) => one.labels)).toEqual(whole.map(({ labels }) => (second === null ? cut(labels) : labels)));
        for (const block of blocks) block.close();
      }),
      { numRuns: 40 },
    );
  });

  test('neighbours with equal labels share one array', async () => {
    const block = writeBlock(1, Array.from({ length: 40 }, (_, i) => ({ name: 0, job: i < 20 ? 0 : 1, samples: [[5, false]] })), [], 4);
    const arrays = new Set<unknown>();
    for await (const batch of createBlockQueryable([block], both[0]!).select({ matchers: [createMatcher('=~', '__name__', '.+')], mint: 0, maxt: 10, hints: { ...HINTS, projection: { include: true, labels: ['job'] } } })) {
      for (const labels of batch.labels) arrays.add(labels);
    }
    expect([...arrays]).toEqual([['job', 'j0'], ['job', 'j1']]);
    block.close();
  });
});
