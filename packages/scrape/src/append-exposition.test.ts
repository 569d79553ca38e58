import { describe, expect, test } from '@jest/globals';
import { createRelabelRule, ModelError } from '@gauntlet/model';
import { appendExposition, noCounts, ONLY_SAMPLES, type PassCounts, type ScrapeFeatures } from './append-exposition.ts';
import { ScrapeError } from './errors.ts';
import type { ExpositionFormat } from './exposition.ts';
import { createScrapeConfig, type ScrapeConfig } from './scrape-config.ts';
import { SeriesCache } from './series-cache.ts';
import { createTargets } from './target.ts';
import { encodeMetricFamilies, type Family } from './testing/encode-metric-families.ts';
import { createRecordingAppendable, type RecordingAppendable } from './testing/recording-appendable.ts';

const START = 1_763_712_000_000;
const STEP = 15_000;
const EVERYTHING: ScrapeFeatures = { exemplars: true, metadata: true, startTimestamps: true };

interface Rig {
  readonly database: RecordingAppendable;
  /** Scrapes once, one step later. @returns what it did; the error it failed with */
  pass(body: Uint8Array | string | readonly Family[]): { counts: PassCounts; error: Error | undefined; samples: string[] };
}

function rig(config: Partial<ScrapeConfig> = {}, features: ScrapeFeatures = ONLY_SAMPLES): Rig {
  const target = createTargets(createScrapeConfig({ jobName: 'j', staticConfigs: [{ targets: ['t'], labels: [] }], scrapeNativeHistograms: true, ...config })).active[0]!;
  const database = createRecordingAppendable();
  const cache = new SeriesCache();
  let timeMs = START;
  return {
    database,
    pass(body) {
      const bytes = typeof body === 'string' ? new TextEncoder().encode(body) : body instanceof Uint8Array ? body : encodeMetricFamilies(body);
      const format: ExpositionFormat = typeof body !== 'string' ? 'protobuf' : body.endsWith('# EOF\n') ? 'openmetrics' : 'text';
      const counts = noCounts();
      const appender = database.appender();
      const before = database.samples.length;
      timeMs += STEP;
      let error: Error | undefined;
      try {
        appendExposition(bytes, format, timeMs, target, cache, appender, counts, features);
        appender.commit();
      } catch (caught) {
        if (!(caught instanceof ScrapeError || caught instanceof ModelError)) throw caught;
        error = caught;
        appender.rollback();
      }
      const samples = database.samples.slice(before).map(({ series, value, startMs }) => `${series.replace(', instance="t", job="j"', '').replace('__name__=', '')} ${value}${startMs === undefined ? '' : ` since ${startMs - START}`}`);
      return { counts, error, samples };
    },
  };
}

const native = { count: 9, sum: 18, schema: 3, zeroThreshold: 0.5, zeroCount: 1, positive: { spans: [[0, 4]] as const, deltas: [1, 1, 0, 1] } };
const family = (histogram: object, more: Partial<Family> = {}): Family[] => [{ name: 'h', type: 'histogram', metrics: [{ labels: { r: '/' }, histogram: { ...native, ...histogram } }], ...more }];
const TEXT = '{count:9, sum:18, [-0.5,0.5]:1, (0.9170040432046711,1]:1, (1,1.0905077326652577]:2, (1.0905077326652577,1.189207115002721]:2, (1.189207115002721,1.2968395546510096]:3}';

describe('native histograms', () => {
  test('are appended as such, and end with a stale marker', () => {
    const shop = rig();
    expect(shop.pass(family({})).samples).toEqual([`{"h", r="/"} ${TEXT}`]);
    expect(shop.database.histograms[0]!.histogram).toMatchObject({ schema: 3, count: 9, positiveDeltas: [1, 1, 0, 1] });
    const second = shop.pass(family({ count: 10, zeroCount: 2 }));
    expect(second.counts).toMatchObject({ scraped: 1, added: 1, seriesAdded: 0 });
    expect(shop.pass('a 1\n').samples).toEqual(['{"a"} 1', '{"h", r="/"} stale']);
  });

  test('where they are not wanted, become classic ones', () => {
    const classic = { buckets: [{ bound: 1, count: 4 }, { bound: 2, count: 7 }] };
    const samples = ['{"h_count", r="/"} 9', '{"h_sum", r="/"} 18', '{"h_bucket", le="1.0", r="/"} 4', '{"h_bucket", le="2.0", r="/"} 7', '{"h_bucket", le="+Inf", r="/"} 9'];
    expect(rig({ scrapeNativeHistograms: false }).pass(family(classic)).samples).toEqual(samples);
    expect(rig({ alwaysScrapeClassicHistograms: true }).pass(family(classic)).samples).toEqual([`{"h", r="/"} ${TEXT}`, ...samples]);
  });

  test('that relabelling drops cost nothing', () => {
    const drop = createRelabelRule({ sourceLabels: ['__name__'], regex: 'h', action: 'drop' });
    // Not even where they could not be taken.
    const { counts, error } = rig({ metricRelabelConfigs: [drop], nativeHistogramBucketLimit: 1 }).pass(family({}));
    expect([error, counts.scraped, counts.added]).toEqual([undefined, 1, 0]);
  });

  test.each<[string, Partial<ScrapeConfig>, object, object]>([
    ['a bucket limit halves the resolution until it holds', { nativeHistogramBucketLimit: 2 }, {}, { schema: 1, positiveSpans: [{ offset: 0, length: 2 }], positiveDeltas: [1, 6] }],
    ['the least factor between buckets says how fine they may be', { nativeHistogramMinBucketFactor: 1.4 }, {}, { schema: 1 }],
    ['a histogram that is coarse enough stays as it is', { nativeHistogramBucketLimit: 4, nativeHistogramMinBucketFactor: 1.09 }, {}, { schema: 3, positiveDeltas: [1, 1, 0, 1] }],
    ['finer ones than we store are made coarser', {}, { schema: 10 }, { schema: 8, positiveSpans: [{ offset: 0, length: 2 }], positiveDeltas: [1, 6] }],
    ['floats', { nativeHistogramBucketLimit: 1 }, { count: 0, countFloat: 4.5, zeroCount: 0, zeroThreshold: 0, positive: { spans: [[1, 2]], counts: [1.5, 3] } }, { schema: 2, positiveBuckets: Float64Array.of(4.5) }],
  ])('%s', (_, config, histogram, wanted) => {
    const shop = rig(config);
    expect(shop.pass(family(histogram)).error).toBeUndefined();
    expect(shop.database.histograms[0]!.histogram).toMatchObject(wanted);
  });

  test('that cannot be made coarse enough fail the scrape', () => {
    const wide = { positive: { spans: [[0, 1], [2000, 1]], deltas: [1, 6] } };
    const shop = rig({ nativeHistogramBucketLimit: 1 });
    const { error, counts } = shop.pass([...family({ ...wide, schema: -4 }), { name: 'after', type: 'gauge', metrics: [{ value: 1 }] }]);
    expect(error).toMatchObject({ code: 'ERR_SCRAPE_BUCKET_LIMIT', message: 'histogram bucket limit exceeded' });
    expect([counts.scraped, shop.database.samples]).toEqual([2, []]);
  });

  test('damaged ones fail the scrape', () => {
    expect(rig().pass(family({ positive: { spans: [[0, 3]], deltas: [1] } })).error?.message).toBe('metric family 1 "h": histogram: positive side: spans require 3 buckets, have 1');
  });
});

describe('exemplars', () => {
  const at = (timeMs: number, value: number, id: string) => ({ labels: { trace_id: id }, value, timeMs });

  test('of every format go to the series, oldest first; without a time they have that of the sample', () => {
    const shop = rig({}, EVERYTHING);
    shop.pass(family({ exemplars: [at(START + 5, 2, 'late'), at(START, 1, 'early')] }));
    shop.pass('# TYPE a counter\na_total 1 # {trace_id="x"} 0.5\n# EOF\n');
    shop.pass([{ name: 'c', type: 'counter', metrics: [{ value: 1, exemplar: { labels: {}, value: 3 } }] }]);
    expect(shop.database.exemplars.map(({ series, exemplar }) => [/__name__="(\w+)"/.exec(series)![1], exemplar.labels[1], exemplar.value, exemplar.timeMs - START])).toEqual([
      ['h', 'early', 1, 0],
      ['h', 'late', 2, 5],
      ['a_total', 'x', 0.5, 2 * STEP],
      ['c', undefined, 3, 3 * STEP],
    ]);
  });

  test('that the database refuses are counted, the sample stays', () => {
    const shop = rig({}, EVERYTHING);
    const long = shop.pass(`# TYPE a counter\na_total 1 # {trace_id="${'x'.repeat(130)}"} 0.5\nb_total 2 # {t="1",t="2"} 0.5\n# EOF\n`);
    expect([long.error, long.counts.exemplarsRefused, long.samples]).toEqual([undefined, 2, ['{"a_total"} 1', '{"b_total"} 2']]);
  });

  test('nobody asked for are not read', () => {
    const shop = rig();
    shop.pass('# TYPE a counter\na_total 1 # {trace_id="x"} 0.5\n# EOF\n');
    expect(shop.database.exemplars).toEqual([]);
  });
});

test('start timestamps go with samples and histograms', () => {
  const shop = rig({}, EVERYTHING);
  expect(shop.pass(family({ startMs: START - 7 })).samples).toEqual([`{"h", r="/"} ${TEXT} since -7`]);
  expect(shop.pass([{ name: 'c', type: 'counter', metrics: [{ value: 5, startMs: START - 1000 }] }]).samples[0]).toBe('{"c"} 5 since -1000');
  expect(shop.pass('# TYPE a counter\na_total 1\na_created 1763712000.5\n# EOF\n').samples[0]).toBe('{"a_total"} 1 since 500');
  expect(rig().pass([{ name: 'c', type: 'counter', metrics: [{ value: 5, startMs: START }] }]).samples).toEqual(['{"c"} 5']);
});

test('metadata goes to series of the family, when they are new and when it changes', () => {
  const shop = rig({}, EVERYTHING);
  const said = (): unknown[] => shop.database.metadata.splice(0).map(({ series, metadata }) => [/__name__="(\w+)"/.exec(series)![1], metadata.type, metadata.unit, metadata.help]);
  const body = (help: string): string => `# HELP lat ${help}\n# TYPE lat histogram\nlat_bucket{le="+Inf"} 1\nlat_count 1\nlat_sum 1\nlatency 1\n# TYPE x untyped\nx 1\n`;
  shop.pass(body('time'));
  expect(said()).toEqual([['lat_bucket', 'histogram', '', 'time'], ['lat_count', 'histogram', '', 'time'], ['lat_sum', 'histogram', '', 'time'], ['x', 'unknown', '', '']]);
  shop.pass(body('time'));
  expect(said()).toEqual([]);
  shop.pass(body('seconds'));
  expect(said()).toEqual([['lat_bucket', 'histogram', '', 'seconds'], ['lat_count', 'histogram', '', 'seconds'], ['lat_sum', 'histogram', '', 'seconds']]);
  shop.pass([{ name: 'req_total', help: 'r', type: 'counter', unit: 'req', metrics: [{ value: 1 }] }]);
  expect(said()).toEqual([['req_total', 'counter', 'req', 'r']]);
});

test('a target that changes its format goes on with the same series', () => {
  const shop = rig();
  expect(shop.pass('a{x="y"} 1\n').samples).toEqual(['{"a", x="y"} 1']);
  expect(shop.pass([{ name: 'a', type: 'gauge', metrics: [{ labels: { x: 'y' }, value: 2 }] }]).samples).toEqual(['{"a", x="y"} 2']);
  expect(shop.pass('a{x="y"} 3\n').samples).toEqual(['{"a", x="y"} 3']);
});
