/** Matchers against a naive evaluation over the series of a block, read in every way there is; and the start of a gateway. */
import { describe, expect, test } from '@jest/globals';
import { type ChunkSeries, createMatcher, getLabel, labelsFromMap, type MatchType } from '@gauntlet/model';
import { createMemoryBucket } from '@gauntlet/objstore';
import { createFaultBucket } from '@gauntlet/objstore/testing';
import { readSeries, seriesOf } from '@gauntlet/storeapi/testing';
import fc from 'fast-check';
import { putBlock } from './testing/blocks.ts';
import { startTestGateway, type TestGateway } from './testing/gateway.ts';

const values = ['', 'a', 'b', 'ab', 'ä', '\u{1f600}'];
const series: ChunkSeries[] = values.flatMap((x) => values.flatMap((y) => ['m', 'n'].map((name): ChunkSeries => ({
  labels: labelsFromMap(Object.fromEntries(Object.entries({ __name__: name, x, y }).filter(([, value]) => value !== ''))),
  chunks: [{ mint: 0, maxt: 9, encoding: 1, data: Uint8Array.of(0, 1, 2) }],
}))));
const patterns = ['', 'a', 'b', 'a|b', 'a.*', '.*', '.+', '', 'a?', '(ä|z)', '.', 'none', '|a'];
const matcher = fc.record({ type: fc.constantFrom<MatchType>('=', '!=', '=~', '!~'), name: fc.constantFrom('__name__', 'x', 'y', 'missing'), value: fc.constantFrom(...patterns) });

describe('matchers over a block', () => {
  test('give what a look at every series gives, eagerly and lazily, cold and from the cache', async () => {
    const bucket = createMemoryBucket();
    await putBlock(bucket, { n: 1, labels: ['set', 'x'], series });
    const gateways: TestGateway[] = [await startTestGateway(bucket), await startTestGateway(bucket, { flags: ['--store.enable-lazy-expanded-postings'] })];
    try {
      await fc.assert(fc.asyncProperty(fc.array(matcher, { minLength: 1, maxLength: 4 }), async (matchers) => {
        const compiled = matchers.map(({ type, name, value }) => createMatcher(type, name, value));
        const wanted = series.filter((s) => compiled.every((m) => m.matches(getLabel(s.labels, m.name)))).map((s) => JSON.stringify(s.labels)).toSorted();
        const request = seriesOf(matchers.map(({ type, name, value }) => `${name}${type}${value}`), { minTime: 0, maxTime: 9, skipChunks: true });
        for (const { store } of [...gateways, ...gateways]) {
          const found = (await readSeries(store.series(request))).series.map((s) => JSON.stringify(s.labels.filter((_, i) => s.labels[i - (i % 2)] !== 'set'))).toSorted();
          expect(found).toEqual(wanted);
        }
      }), { numRuns: 150 });
    } finally {
      for (const gateway of gateways) await gateway.stop();
    }
  });
});

describe('start', () => {
  test('a bucket that cannot be read ends the start, with the reason', async () => {
    await expect(startTestGateway(createFaultBucket(createMemoryBucket(), 1, 'before'))).rejects.toMatchObject({
      code: 'ERR_INITIAL_SYNC',
      message: expect.stringMatching(/^look at bucket memory for the first time: gave up after .*: iter .*scripted failure/),
    });
  });

  test.each([
    ['--objstore-parquet.config={}', '--objstore-parquet.config: Parquet blocks are not there yet'],
    ['--store.caching-bucket.config={}', '--store.caching-bucket.config: the caching bucket is not there yet'],
    ['--min-time=2026-02-01T00:00:00Z', "--min-time: '2026-02-01T00:00:00Z' can't be greater than --max-time '2026-01-01T00:00:00Z'", '--max-time=2026-01-01T00:00:00Z'],
    ['--index-cache.config={type: REDIS, config: {}}', 'index cache type REDIS is not supported yet, supported is IN-MEMORY'],
    ['--index-cache.config={type: IN-MEMORY, confg: {}}', 'confg'],
    ['--selector.relabel-config=[{action: replace, target_label: a}]', 'unsupported relabel action: replace'],
  ])('%s is refused', async (flag, text, ...more) => {
    await expect(startTestGateway(createMemoryBucket(), { flags: [flag, ...more] })).rejects.toThrow(text);
  });

  test('an empty bucket is served: nothing to announce', async () => {
    const gateway = await startTestGateway(createMemoryBucket());
    expect(gateway.store.info()).toMatchObject({ labelSets: [], tsdbInfos: [], storeType: 'store' });
    expect((await readSeries(gateway.store.series(seriesOf(['__name__=m'])))).series).toEqual([]);
    await gateway.stop();
  });
});
