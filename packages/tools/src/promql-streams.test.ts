/** Merging of streams: against sorting everything, for external labels that change the order within a stream, and series that are there twice. */
import { describe, expect, test } from '@jest/globals';
import { type ChunkQueryable, compareLabels, createMatcher, extendLabels, formatLabels, type Labels, labelsFromMap, type Queryable, type SeriesBatch } from '@gauntlet/model';
import fc from 'fast-check';
import { type BlockStream, matchersWithin, mergeStreams } from './promql-streams.ts';

/** How often iterations of a stream were begun and ended. */
interface Uses {
  begun: number;
  ended: number;
}

/** A stream of series with one sample each, whose value is `value(labels)`; every third batch position is left out of `select`, as series without samples are. */
function createStream(external: Labels, series: readonly Labels[], batchSeries: number, uses: Uses = { begun: 0, ended: 0 }): BlockStream {
  const sorted = [...series].sort(compareLabels);
  async function* batches<T>(of: readonly Labels[], make: (labels: readonly Labels[]) => T): AsyncGenerator<T> {
    uses.begun++;
    try {
      for (let i = 0; i < of.length; i += batchSeries) yield make(of.slice(i, i + batchSeries));
    } finally {
      uses.ended++;
    }
  }
  const columns = (labels: readonly Labels[]): SeriesBatch => ({
    labels,
    offsets: Int32Array.from({ length: labels.length + 1 }, (_none, i) => i),
    timestampsMs: new Float64Array(labels.length).fill(1),
    values: Float64Array.from(labels, (one) => sorted.indexOf(one)),
  });
  const queryable = {
    select: () => Object.assign(batches(sorted.filter((_one, i) => i % 3 !== 2), columns), { warnings: () => [] }),
    selectChunks: () => batches(sorted, (labels) => labels.map((one) => ({ labels: one, chunks: [] }))),
  } as unknown as Queryable & ChunkQueryable;
  return { labels: external, queryable };
}

const REQUEST = { matchers: [], mint: 0, maxt: 10 };
const turn = (): Promise<void> => Promise.resolve();

async function collect(streams: readonly BlockStream[]): Promise<{ labels: Labels; value: number }[]> {
  const all: { labels: Labels; value: number }[] = [];
  for await (const { labels, offsets, values } of mergeStreams(streams, REQUEST, turn)) {
    expect(labels.length).toBeGreaterThan(0);
    expect(offsets.length).toBe(labels.length + 1);
    labels.forEach((one, i) => all.push({ labels: one, value: values[offsets[i]!]! }));
  }
  return all;
}

const labelSet = fc.dictionary(fc.constantFrom('a', 'b', 'd', 'e'), fc.constantFrom('0', '1', '2'), { noNullPrototype: true }).map(labelsFromMap);
const seriesSet = fc.uniqueArray(labelSet, { selector: formatLabels, maxLength: 40 });

test('random streams come out sorted, each series with its own sample', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(seriesSet, fc.integer({ min: 1, max: 7 }), fc.boolean()), { maxLength: 4 }), async (inputs) => {
      const uses: Uses = { begun: 0, ended: 0 };
      const streams = inputs.map(([series, size, hasMore], i) => createStream(labelsFromMap({ c: String(i), ...(hasMore ? { g: 'x' } : {}) }), series, size, uses));
      const wanted = inputs.flatMap(([series], i) => [...series].sort(compareLabels).map((labels, value) => ({ labels: extendLabels(labels, streams[i]!.labels), value })).filter(({ value }) => value % 3 !== 2));
      wanted.sort((a, b) => compareLabels(a.labels, b.labels));
      expect(await collect(streams)).toEqual(wanted);
      expect(uses.ended).toBe(uses.begun);
    }),
  );
});

describe('order', () => {
  const chains = [labelsFromMap({ a: '1' }), labelsFromMap({ a: '1', b: '2' })];
  test('external labels that change it', async () => {
    expect((await collect([createStream(labelsFromMap({ c: '0' }), chains, 10)])).map(({ labels }) => formatLabels(labels))).toEqual(['{a="1", b="2", c="0"}', '{a="1", c="0"}']);
  });

  test('a stream without external labels is read once', async () => {
    const uses: Uses = { begun: 0, ended: 0 };
    expect(await collect([createStream([], chains, 1, uses)])).toHaveLength(2);
    expect(uses).toEqual({ begun: 1, ended: 1 });
  });

  test('an early end closes what was opened', async () => {
    const uses: Uses = { begun: 0, ended: 0 };
    for await (const batch of mergeStreams([createStream([], chains, 1, uses), createStream(['z', 'z'], chains, 1, uses)], REQUEST, turn)) {
      void batch;
      break;
    }
    expect(uses.ended).toBe(uses.begun);
  });
});

describe('twice', () => {
  test('in two streams', async () => {
    const streams = [createStream([], [labelsFromMap({ a: '1', c: '0' })], 1), createStream(['c', '0'], [labelsFromMap({ a: '1' })], 1)];
    await expect(collect(streams)).rejects.toMatchObject({ code: 'ERR_QUERY_BLOCKS', message: expect.stringContaining('{a="1", c="0"} is there more than once') });
  });

  test('in one, since an external label hides what told them apart', async () => {
    await expect(collect([createStream(['c', '0'], [labelsFromMap({ c: '1' }), labelsFromMap({ c: '2' })], 1)])).rejects.toMatchObject({ code: 'ERR_QUERY_BLOCKS' });
  });

  test('too often', async () => {
    const series = Array.from({ length: 100 }, (_none, i) => labelsFromMap({ c: String(i) }));
    await expect(collect([createStream(['c', '0'], series, 10)])).rejects.toMatchObject({ message: expect.stringContaining('hide or reorder too many') });
  });
});

test.each([
  { matchers: ['a', 'c'], values: ['1', '0'], left: 1 },
  { matchers: ['c'], values: ['1'], left: undefined },
  { matchers: ['c'], values: ['0'], left: 0 },
])('matchers $matchers=$values of a stream c=0', ({ matchers, values, left }) => {
  expect(matchersWithin(['c', '0'], matchers.map((name, i) => createMatcher('=', name, values[i]!)))?.length).toBe(left);
});
