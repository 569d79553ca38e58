/** The Store contract over the gateway, with the fixture's series in one block, cut by time, in equal twins, and read in other ways. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { ChunkSeries } from '@gauntlet/model';
import { createMemoryBucket, type MemoryBucket } from '@gauntlet/objstore';
import { type Store, StoreError } from '@gauntlet/storeapi';
import { FIXTURE_EXTERNAL_LABELS, FIXTURE_SERIES, readSeries, seriesOf, storeCases } from '@gauntlet/storeapi/testing';
import { putBlock } from './testing/blocks.ts';
import { startTestGateway, type TestGateway } from './testing/gateway.ts';

const labels = FIXTURE_EXTERNAL_LABELS;
const cut = (keep: (series: number, chunk: number) => boolean): ChunkSeries[] => FIXTURE_SERIES.map((s, i) => ({ labels: s.labels, chunks: s.chunks.filter((_, c) => keep(i, c)) }));

const LAYOUTS: readonly { readonly name: string; readonly fill: (bucket: MemoryBucket) => Promise<unknown>; readonly flags?: readonly string[] }[] = [
  { name: 'one block', fill: (bucket) => putBlock(bucket, { n: 1, labels, series: FIXTURE_SERIES }) },
  {
    name: 'blocks one after the other',
    fill: async (bucket) => {
      for (const n of [0, 1, 2]) await putBlock(bucket, { n, labels, series: cut((_, chunk) => chunk === n) });
    },
  },
  {
    name: 'overlapping blocks with different series',
    fill: async (bucket) => {
      for (const n of [0, 1]) await putBlock(bucket, { n, labels, series: cut((series) => series % 2 === n) });
    },
  },
  {
    name: 'equal twins',
    fill: async (bucket) => {
      for (const n of [0, 1]) await putBlock(bucket, { n, labels, series: FIXTURE_SERIES });
    },
  },
  { name: 'series read one at a time, sizes guessed far too small', fill: (bucket) => putBlock(bucket, { n: 1, labels, series: FIXTURE_SERIES, thanos: { index_stats: { series_max_size: 1, chunk_max_size: 1 } } }), flags: ['--debug.series-batch-size=1'] },
  { name: 'lazy postings, lazy headers', fill: (bucket) => putBlock(bucket, { n: 1, labels, series: FIXTURE_SERIES }), flags: ['--store.enable-lazy-expanded-postings', '--store.enable-index-header-lazy-reader', '--store.index-header-lazy-download-strategy=lazy'] },
  { name: 'nothing on disk, no cache to speak of', fill: (bucket) => putBlock(bucket, { n: 1, labels, series: FIXTURE_SERIES }), flags: ['--no-cache-index-header', '--index-cache-size=1KB'] },
];

/** The gateway answers two odd requests as Thanos' gateway does (goldens series-no-matchers, label-values-empty), where other stores refuse them. */
function strict(store: Store): Store {
  return {
    async *series(request, options) {
      if (request.matchers.length === 0) throw new StoreError('ERR_STORE_INVALID_ARGUMENT', 'no matchers specified (excluding external labels)');
      yield* store.series(request, options);
    },
    labelNames: (request, options) => store.labelNames(request, options),
    labelValues(request, options) {
      if (request.label === '') return Promise.reject(new StoreError('ERR_STORE_INVALID_ARGUMENT', 'label name parameter cannot be empty'));
      return store.labelValues(request, options);
    },
    info: () => store.info(),
  };
}

describe.each(LAYOUTS)('$name', ({ fill, flags }) => {
  let gateway: TestGateway;
  beforeAll(async () => {
    const bucket = createMemoryBucket();
    await fill(bucket);
    gateway = await startTestGateway(bucket, { flags: flags ?? [] });
  });
  afterAll(() => gateway.stop());

  for (const { name, run } of storeCases()) test(name, () => run(strict(gateway.store)));

  test('odd requests', async () => {
    expect(await readSeries(gateway.store.series(seriesOf([])))).toEqual({ series: [], warnings: [], frameSizes: [] });
    expect(await readSeries(gateway.store.series(seriesOf(['cluster=eu'])))).toEqual({ series: [], warnings: [], frameSizes: [] });
  });
});
