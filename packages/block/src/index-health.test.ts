/** Health of indexes: each finding by itself, and the figures of recorded blocks against the meta.json that Thanos wrote. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { createMemorySource, openIndex } from '@gauntlet/tsdb';
import fc from 'fast-check';

import { gatherIndexHealth, type IndexHealth } from './index-health.ts';
import { GOLDEN_BLOCK, goldenBlocks, TESTDATA } from './testing/golden.ts';
import { encodeRawIndex, type RawIndexOptions, type RawSeries } from './testing/raw-index.ts';
import { parseThanosMeta } from './thanos-meta.ts';

const health = (series: readonly RawSeries[], minTime: number, maxTime: number, options?: RawIndexOptions): IndexHealth =>
  gatherIndexHealth({ index: openIndex(createMemorySource(encodeRawIndex(series, options)), 'B') }, minTime, maxTime);
const one = (...chunks: readonly (readonly [number, number, number])[]): readonly RawSeries[] => [{ labels: ['a', '1'], chunks }];

const FINDINGS = ['outOfOrderSeries', 'outOfOrderChunks', 'duplicatedChunks', 'outsideChunks', 'completeOutsideChunks', 'issue347OutsideChunks', 'outOfOrderLabels'] as const;

describe('findings in one block of [1000, 2000]', () => {
  test.each<{ name: string; series: readonly RawSeries[]; found: Partial<Record<(typeof FINDINGS)[number], number>>; text: string }>([
    { name: 'a chunk that fills the block', series: one([1000, 2000, 8]), found: {}, text: '' },
    { name: 'chunks one behind the other', series: one([1000, 1400, 8], [1401, 1999, 20]), found: {}, text: '' },
    {
      name: 'a chunk that ends after the block',
      series: one([1000, 2001, 8]),
      found: { outsideChunks: 1 },
      text: 'found 1 chunks non-completely outside the block time range',
    },
    {
      name: 'a chunk that begins before the block',
      series: one([999, 1500, 8]),
      found: { outsideChunks: 1 },
      text: 'found 1 chunks non-completely outside the block time range',
    },
    {
      name: 'chunks all outside, on either side',
      series: one([10, 999, 8], [2001, 2010, 20]),
      found: { outsideChunks: 2, completeOutsideChunks: 2 },
      text: 'found 2 chunks completely outside the block time range',
    },
    {
      name: 'a chunk that begins where the block ends',
      series: one([1000, 1999, 8], [2000, 2500, 20]),
      found: { outsideChunks: 1, issue347OutsideChunks: 1 },
      text: 'found 1 chunks outside the block time range introduced by https://github.com/prometheus/tsdb/issues/347',
    },
    { name: 'one that only touches the end is inside', series: one([2000, 2000, 8]), found: {}, text: '' },
    { name: 'an exact duplicate', series: one([1000, 1400, 8], [1000, 1400, 20]), found: { duplicatedChunks: 1 }, text: '' },
    {
      name: 'overlapping chunks',
      series: [...one([1000, 1400, 8], [1400, 1500, 20], [1450, 1600, 30]), { labels: ['a', '2'], chunks: [[1000, 1001, 40]] }],
      found: { outOfOrderSeries: 1, outOfOrderChunks: 2 },
      text: '1/2 series have an average of 2.000 out-of-order chunks: 0.000 of these are exact duplicates (in terms of data and time range)',
    },
    {
      name: 'a younger chunk in front of an older one',
      series: one([1500, 1600, 8], [1000, 1100, 20], [1000, 1100, 30]),
      found: { outOfOrderSeries: 1, outOfOrderChunks: 1, duplicatedChunks: 1 },
      text: '1/1 series have an average of 1.000 out-of-order chunks: 1.000 of these are exact duplicates (in terms of data and time range)',
    },
    {
      name: 'labels in the wrong order',
      series: [{ labels: ['c', '1', 'b', '1', 'a', '1'], chunks: [[1000, 1001, 8]] }],
      found: { outOfOrderLabels: 2 },
      text: 'index contains 2 postings with out of order labels',
    },
    {
      name: 'everything at once',
      series: [{ labels: ['b', '1', 'a', '1'], chunks: [[999, 1001, 8], [900, 950, 9], [1990, 2100, 10], [2000, 2100, 11]] }],
      found: { outsideChunks: 4, completeOutsideChunks: 1, issue347OutsideChunks: 1, outOfOrderSeries: 1, outOfOrderChunks: 2, outOfOrderLabels: 1 },
      text:
        'found 2 chunks non-completely outside the block time range, found 1 chunks completely outside the block time range, found 1 chunks outside the block time range introduced by https://github.com/prometheus/tsdb/issues/347, ' +
        'index contains 1 postings with out of order labels, 1/1 series have an average of 2.000 out-of-order chunks: 0.000 of these are exact duplicates (in terms of data and time range)',
    },
  ])('$name', ({ series, found, text }) => {
    const result = health(series, 1000, 2000);
    expect(Object.fromEntries(FINDINGS.map((key) => [key, result[key]]).filter(([, count]) => count !== 0))).toEqual(found);
    expect(result.anyError()?.message ?? '').toBe(text === '' ? '' : `index of block B: ${text}`);
  });

  test('each error has its code', () => {
    const result = health([{ labels: ['b', '1', 'a', '1'], chunks: [[999, 1001, 8], [900, 950, 9], [2000, 2100, 11]] }], 1000, 2000);
    expect([result.criticalError(), result.issue347Error(), result.outOfOrderLabelsError(), result.outOfOrderChunksError(), result.anyError()].map((error) => error?.code)).toEqual([
      'ERR_INDEX_OUTSIDE_CHUNKS', 'ERR_INDEX_ISSUE_347', 'ERR_INDEX_OUT_OF_ORDER_LABELS', 'ERR_INDEX_OUT_OF_ORDER_CHUNKS', 'ERR_INDEX_OUTSIDE_CHUNKS',
    ]);
  });

  test('the observer hears which series', () => {
    const heard: unknown[] = [];
    const bytes = encodeRawIndex([{ labels: ['b', '1', 'a', '1'], chunks: [[1000, 1500, 8], [1400, 1600, 9]] }]);
    gatherIndexHealth({ index: openIndex(createMemorySource(bytes), 'B') }, 1000, 2000, {
      outOfOrderLabels: (labels) => heard.push(['labels', ...labels]),
      outOfOrderChunks: (labels, chunks) => heard.push(['chunks', chunks, ...labels]),
    });
    expect(heard).toEqual([['labels', 'b', '1', 'a', '1'], ['chunks', 1, 'b', '1', 'a', '1']]);
  });
});

describe('what makes an index useless', () => {
  const chunk = [[1000, 1001, 8]] as const;
  test.each<{ name: string; series: readonly RawSeries[]; options?: RawIndexOptions; message: string }>([
    { name: 'series out of order', series: [{ labels: ['a', '2'], chunks: chunk }, { labels: ['a', '1'], chunks: chunk }], message: 'check index of block B: series {a="1"} out of order; previous {a="2"}' },
    { name: 'a series twice', series: [{ labels: ['a', '1'], chunks: chunk }, { labels: ['a', '1'], chunks: chunk }], message: 'check index of block B: series {a="1"} out of order; previous {a="1"}' },
    { name: 'a longer label set in front of its beginning', series: [{ labels: ['a', '1', 'b', '1'], chunks: chunk }, { labels: ['a', '1'], chunks: chunk }], message: 'check index of block B: series {a="1"} out of order; previous {a="1", b="1"}' },
    { name: 'no chunks', series: [{ labels: ['a', '1'], chunks: [] }], message: 'check index of block B: empty chunks of series {a="1"}' },
    { name: 'no labels', series: [{ labels: [], chunks: chunk }], message: 'check index of block B: empty label set of series 2' },
    { name: 'symbols out of order', series: [{ labels: ['a', '1'], chunks: chunk }], options: { symbols: ['a', '1'] }, message: 'check index of block B: symbol 1 "1" does not follow "a"' },
  ])('$name', ({ series, options, message }) => {
    expect(() => health(series, 0, 2000, options)).toThrow(expect.objectContaining({ code: 'ERR_INDEX_SERIES', message }));
  });

  test('a flipped byte in a series entry', () => {
    const bytes = encodeRawIndex(one([1000, 1001, 8]));
    const index = openIndex(createMemorySource(bytes), 'B');
    bytes[index.toc.series + 16]! ^= 1;
    expect(() => gatherIndexHealth({ index }, 0, 2000)).toThrow(expect.objectContaining({ code: 'ERR_INDEX_CORRUPT' }));
  });
});

test('figures: spreads, single samples, names', () => {
  const result = health(
    [
      { labels: ['__name__', 'x', 'i', '1'], chunks: [[0, 10, 8], [11, 31, 108], [40, 50, 408]] },
      { labels: ['__name__', 'x', 'i', '2'], chunks: [[5, 5, 508]] },
      { labels: ['__name__', 'y'], chunks: [[0, 7, 608], [8, 9, 2 ** 32 + 8], [10, 20, 2 ** 32 + 50]] },
    ],
    0,
    100,
  );
  expect(result).toMatchObject({
    totalSeries: 3,
    totalChunks: 7,
    seriesLifeMs: { count: 3, min: 0, avg: 19, max: 40 },
    seriesLifeMsWithoutSingleSample: { count: 2, min: 18, avg: 29, max: 40 },
    seriesChunks: { count: 3, min: 1, avg: 2, max: 3 },
    chunkDurationMs: { count: 7, min: 0, avg: 8, max: 20 },
    chunkBytes: { count: 1, min: 100, avg: 100, max: 100 },
    seriesBytes: { count: 2, min: 16, avg: 24, max: 32 },
    singleSampleSeries: 1,
    singleSampleChunks: 1,
    labelNames: 2,
    metricNames: 2,
  });
  expect(result.anyError()).toBeUndefined();
  expect(health([], 0, 1).chunkBytes).toEqual({ count: 0, min: 0, avg: 0, max: 0 });
});

test('property: counts are those of a plain walk over the chunks, in whatever order they stand', () => {
  const chunk = fc.tuple(fc.integer({ min: -50, max: 150 }), fc.nat(60)).map(([mint, length]) => [mint, mint + length] as const);
  fc.assert(
    fc.property(fc.array(fc.array(chunk, { minLength: 1, maxLength: 6 }), { maxLength: 4 }), (series) => {
      const result = health(series.map((chunks, i) => ({ labels: ['i', String(i)], chunks: chunks.map(([mint, maxt], ref) => [mint, maxt, 8 + ref] as const) })), 0, 100);
      const all = series.flat();
      const pairs = series.flatMap((chunks) => chunks.slice(1).map((next, i) => [chunks[i]!, next] as const)).filter(([a, b]) => b[0] <= a[1]);
      const outside = all.filter(([mint, maxt]) => mint < 0 || maxt > 100);
      expect({ ...result }).toMatchObject({
        totalChunks: all.length,
        outsideChunks: outside.length,
        completeOutsideChunks: outside.filter(([mint, maxt]) => mint > 100 || maxt < 0).length,
        issue347OutsideChunks: outside.filter(([mint]) => mint === 100).length,
        duplicatedChunks: pairs.filter(([a, b]) => a[0] === b[0] && a[1] === b[1]).length,
        outOfOrderChunks: pairs.filter(([a, b]) => a[0] !== b[0] || a[1] !== b[1]).length,
      });
    }),
  );
});

test('the recorded block is healthy', () => {
  const dir = join(TESTDATA, 'block', GOLDEN_BLOCK);
  const meta = parseThanosMeta(readFileSync(join(dir, 'meta.json')), GOLDEN_BLOCK);
  const result = gatherIndexHealth({ index: openIndex(createMemorySource(readFileSync(join(dir, 'index'))), GOLDEN_BLOCK) }, meta.minTime, meta.maxTime);
  expect(result.anyError()).toBeUndefined();
  expect([result.totalSeries, result.totalChunks]).toEqual([meta.stats.numSeries, meta.stats.numChunks]);
});

const golden = goldenBlocks();
(golden.length === 0 ? test.skip : test)('sizes equal the index_stats that Thanos wrote, in every recorded block (skipped without the recorded set)', () => {
  let withStats = 0;
  for (const { path, id } of golden) {
    if (!existsSync(join(path, 'meta.json'))) continue;
    let meta;
    try {
      meta = parseThanosMeta(readFileSync(join(path, 'meta.json')), id);
    } catch {
      continue; // The set has blocks that are damaged on purpose.
    }
    const result = gatherIndexHealth({ index: openIndex(createMemorySource(readFileSync(join(path, 'index'))), id) }, meta.minTime, meta.maxTime);
    expect(result.criticalError()).toBeUndefined();
    const { seriesMaxBytes, chunkMaxBytes } = meta.thanos;
    if (seriesMaxBytes === 0) continue;
    withStats++;
    expect([id, result.seriesBytes.max, result.chunkBytes.max]).toEqual([id, seriesMaxBytes, chunkMaxBytes]);
  }
  expect(withStats).toBeGreaterThan(10);
});
