import { describe, expect, test } from '@jest/globals';
import { createRelabelRule } from '@gauntlet/model';
import type { PassCounts } from './append-exposition.ts';
import type { Fetch } from './fetch-target.ts';
import { createScrapeConfig, type ScrapeConfig } from './scrape-config.ts';
import { createScrapeLoop, type ScrapeLoop, type ScrapeLoopOptions, scrapeOffsetMs } from './scrape-loop.ts';
import { createScraper } from './scraper.ts';
import { createTargets } from './target.ts';
import { createFakeClock, type FakeClock, settlePromises } from './testing/fake-clock.ts';
import { createRecordingAppendable, type RecordingAppendable } from './testing/recording-appendable.ts';

const START = 1_700_000_000_000;
const INTERVAL = 15_000;

interface Rig {
  readonly clock: FakeClock;
  readonly database: RecordingAppendable;
  readonly loop: ScrapeLoop;
  /** What the target answers next: a body, a status, or an error. */
  answer: string | number | Error | Promise<never>;
  readonly requests: { readonly url: string; readonly headers: Record<string, string> }[];
  readonly warnings: string[];
  readonly counts: PassCounts[];
  /** When the first scrape is due. */
  readonly firstMs: number;
  /** Runs the next scrape and gives the samples it committed, `series value` or with time where it is not the scrape's. */
  scrape(): Promise<string[]>;
}

function rig(config: Partial<ScrapeConfig> = {}, options: ScrapeLoopOptions = {}): Rig {
  const clock = createFakeClock(START, settlePromises);
  const database = createRecordingAppendable();
  const job = createScrapeConfig({ jobName: 'shop', scrapeIntervalMs: INTERVAL, staticConfigs: [{ targets: ['shop:80'], labels: [] }], ...config });
  const target = createTargets(job).active[0]!;
  const fetch: Fetch = (url, { headers, signal }) => {
    state.requests.push({ url, headers });
    const { answer } = state;
    if (answer instanceof Promise) return new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('aborted'))));
    if (answer instanceof Error) return Promise.reject(answer);
    if (typeof answer === 'number') return Promise.resolve(new Response('', { status: answer, statusText: 'Nope' }));
    const type = answer.endsWith('# EOF\n') ? 'application/openmetrics-text; version=1.0.0' : 'text/plain; version=0.0.4';
    return Promise.resolve(new Response(answer, { headers: { 'content-type': type } }));
  };
  const warnings: string[] = [];
  const counts: PassCounts[] = [];
  const warn = (message: string, fields?: Readonly<Record<string, unknown>>): void => void warnings.push(typeof fields?.['numDropped'] === 'number' ? `${message} ${fields['numDropped']}` : message);
  let turn = 0;
  const loop = createScrapeLoop(
    target,
    { appendable: database, clock, fetch, log: { debug: () => undefined, warn, error: warn }, metrics: { noteScrape: (c) => void counts.push(c) }, userAgent: 'Test', random: () => 0.5 },
    options,
  );
  const firstMs = START + scrapeOffsetMs(target, START, options.offsetSeed ?? '');
  const state: Rig = {
    clock,
    database,
    loop,
    answer: '',
    requests: [],
    warnings,
    counts,
    firstMs,
    async scrape() {
      const before = database.samples.length;
      const timeMs = firstMs + turn++ * INTERVAL;
      await clock.moveTo(timeMs);
      return database.samples.slice(before).map((sample) => `${sample.series.replaceAll(', instance="shop:80", job="shop"', '')} ${sample.value}${sample.timeMs === timeMs ? '' : ` @${sample.timeMs - timeMs}`}`);
    },
  };
  return state;
}

const reports = (up: number, scraped: number, added: number, seriesAdded: number): string[] => [
  `{__name__="up"} ${up}`,
  '{__name__="scrape_duration_seconds"} 0',
  `{__name__="scrape_samples_scraped"} ${scraped}`,
  `{__name__="scrape_samples_post_metric_relabeling"} ${added}`,
  `{__name__="scrape_series_added"} ${seriesAdded}`,
];

test('story: a target comes, changes, breaks, and comes back', async () => {
  const shop = rig();
  expect(shop.loop.state()).toMatchObject({ health: 'unknown', lastScrapeMs: 0, lastError: '' });

  shop.answer = '# HELP a sold\n# TYPE a counter\na 1\nb 2\n';
  expect(await shop.scrape()).toEqual(['{__name__="a"} 1', '{__name__="b"} 2', ...reports(1, 2, 2, 2)]);
  expect(shop.loop.state()).toMatchObject({ health: 'up', lastScrapeMs: shop.firstMs, lastError: '' });
  expect(shop.loop.metadata().get('a')).toMatchObject({ type: 'counter', help: 'sold' });

  // b is gone, c is there.
  shop.answer = 'a 3\nc 4\n';
  expect(await shop.scrape()).toEqual(['{__name__="a"} 3', '{__name__="c"} 4', '{__name__="b"} stale', ...reports(1, 2, 2, 1)]);

  // It breaks half-way: nothing of it is kept, everything before is stale, also what it had got to.
  shop.answer = 'a 5\nc !\n';
  expect(await shop.scrape()).toEqual(['{__name__="a"} stale', '{__name__="c"} stale', ...reports(0, 1, 1, 0)]);
  expect(shop.loop.state()).toMatchObject({ health: 'down', lastError: 'line 2: strconv.ParseFloat: parsing "!": invalid syntax while parsing: "c !"' });
  expect(shop.database.rollbacks).toBe(1);

  // Down: markers are not repeated.
  shop.answer = new Error('connect ECONNREFUSED');
  expect(await shop.scrape()).toEqual(reports(0, 0, 0, 0));
  expect(shop.loop.state().lastError).toBe('Get "http://shop:80/metrics": connect ECONNREFUSED');
  shop.answer = 503;
  expect(await shop.scrape()).toEqual(reports(0, 0, 0, 0));
  expect(shop.loop.state().lastError).toBe('server returned HTTP status 503 Nope');

  shop.answer = 'a 6\n';
  expect(await shop.scrape()).toEqual(['{__name__="a"} 6', ...reports(1, 1, 1, 0)]);
  await shop.loop.stop();
  expect(shop.clock.pending()).toBe(0);
});

describe('requests', () => {
  test('say what is read, and for how long', async () => {
    const shop = rig({ params: new Map([['module', ['http', 'x y']]]), metricsPath: '/probe' });
    await shop.scrape();
    expect(shop.requests).toEqual([
      {
        url: 'http://shop:80/probe?module=http&module=x+y',
        headers: {
          accept:
            'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2',
          'accept-encoding': 'gzip',
          'user-agent': 'Test',
          'x-prometheus-scrape-timeout-seconds': '10',
        },
      },
    ]);
    await shop.loop.stop();
  });

  test('that take too long are given up', async () => {
    const shop = rig({ scrapeTimeoutMs: 5000 });
    shop.answer = new Promise(() => undefined);
    expect(await shop.scrape()).toEqual([]);
    await shop.clock.moveTo(shop.firstMs + 5000);
    expect(shop.loop.state()).toMatchObject({ health: 'down', lastScrapeDurationMs: 5000, lastError: 'Get "http://shop:80/metrics": context deadline exceeded (no complete answer within 5s)' });
    expect(shop.database.samples[0]).toMatchObject({ timeMs: shop.firstMs, value: 0 });
    await shop.loop.stop();
  });

  test('that are under way at shutdown leave nothing', async () => {
    const shop = rig();
    shop.answer = new Promise(() => undefined);
    await shop.scrape();
    await shop.loop.stop();
    expect(shop.database.samples).toEqual([]);
    expect(shop.clock.pending()).toBe(0);
  });
});

describe('limits', () => {
  test('too many samples: none is kept', async () => {
    const shop = rig({ sampleLimit: 2 });
    shop.answer = 'a 1\nb 2\n';
    await shop.scrape();
    shop.answer = 'a 1\nb 2\nc 3\n';
    expect(await shop.scrape()).toEqual(['{__name__="a"} stale', '{__name__="b"} stale', ...reports(0, 3, 3, 0)]);
    expect(shop.loop.state().lastError).toBe('sample limit exceeded');
    await shop.loop.stop();
  });

  test.each<[string, Partial<ScrapeConfig>, string, string]>([
    ['body', { bodySizeLimitBytes: 4 }, 'a 1\n', 'body size limit exceeded (limit: 4 bytes)'],
    ['labels', { labelLimit: 3 }, 'a{x="1"} 1\n', 'label_limit exceeded (metric: a, number of labels: 4, limit: 3)'],
    ['label names', { labelNameLengthLimit: 8 }, 'a{much_too_long="1"} 1\n', 'label_name_length_limit exceeded (metric: a, label name: much_too_long, length: 13, limit: 8)'],
    ['label values', { labelValueLengthLimit: 8 }, 'a{x="much too long"} 1\n', 'label_value_length_limit exceeded (metric: a, label name: x, value: "much too long", length: 13, limit: 8)'],
    ['a label twice', {}, 'a{x="1",x="2"} 1\n', 'series a: make labels: label "x" given twice, as "1" and "2"'],
    ['no name left', { metricRelabelConfigs: [createRelabelRule({ action: 'labeldrop', regex: '__name__' })] }, 'a 1\n', 'missing metric name (__name__ label)'],
  ])('%s', async (_, config, body, message) => {
    const shop = rig(config);
    shop.answer = body;
    await shop.scrape();
    expect(shop.loop.state()).toMatchObject({ health: 'down', lastError: message });
    await shop.loop.stop();
  });
});

describe('labels', () => {
  const body = 'a{job="mine",exported_job="other",instance=""} 1\n';
  test('conflicts are renamed', async () => {
    const shop = rig();
    shop.answer = body;
    expect((await shop.scrape())[0]).toBe('{__name__="a", exported_exported_job="mine", exported_job="other"} 1');
    await shop.loop.stop();
  });
  test('or win', async () => {
    const shop = rig({ honorLabels: true });
    shop.answer = body;
    expect((await shop.scrape())[0]).toBe('{__name__="a", exported_job="other", instance="shop:80", job="mine"} 1');
    await shop.loop.stop();
  });
  test('are relabelled, but not those of reports', async () => {
    const shop = rig({
      metricRelabelConfigs: [createRelabelRule({ sourceLabels: ['__name__'], regex: 'b', action: 'drop' }), createRelabelRule({ targetLabel: 'zone', replacement: 'z' })],
    });
    shop.answer = 'a 1\nb 2\n';
    expect(await shop.scrape()).toEqual(['{__name__="a", zone="z"} 1', ...reports(1, 2, 1, 1)]);
    shop.answer = 'b 2\n';
    expect(await shop.scrape()).toEqual(['{__name__="a", zone="z"} stale', ...reports(1, 1, 0, 0)]);
    await shop.loop.stop();
  });
  test('le is normalised', async () => {
    const shop = rig();
    shop.answer = '# TYPE h histogram\nh_bucket{le="1"} 1\n# EOF\n';
    expect((await shop.scrape())[0]).toBe('{__name__="h_bucket", le="1.0"} 1');
    await shop.loop.stop();
  });
});

describe('timestamps', () => {
  test('of the exposition are taken, are not marked stale, and may be repeated', async () => {
    const shop = rig();
    shop.answer = `a 1 ${shop.firstMs - 1000}\na 2 ${shop.firstMs - 500}\na 3 ${shop.firstMs - 700}\nb 1 ${shop.firstMs + 600_001}\n`;
    expect((await shop.scrape()).slice(0, -5)).toEqual(['{__name__="a"} 1 @-1000', '{__name__="a"} 2 @-500']);
    expect(shop.warnings).toEqual(['samples out of order 1', 'samples too old or too far in the future 1']);
    shop.answer = 'c 1\n';
    expect((await shop.scrape()).slice(0, -5)).toEqual(['{__name__="c"} 1']);
    await shop.loop.stop();
  });
  test('are marked stale if asked for, and ignored if asked for', async () => {
    const tracked = rig({ trackTimestampsStaleness: true });
    tracked.answer = `a 1 ${tracked.firstMs - 1000}\n`;
    await tracked.scrape();
    tracked.answer = 'c 1\n';
    expect((await tracked.scrape()).slice(0, -5)).toEqual(['{__name__="c"} 1', '{__name__="a"} stale']);
    await tracked.loop.stop();
    const ignored = rig({ honorTimestamps: false });
    ignored.answer = 'a 1 5\na 2 6\n';
    expect((await ignored.scrape()).slice(0, -5)).toEqual(['{__name__="a"} 1']);
    expect(ignored.warnings).toEqual(['samples with different value but same timestamp 1']);
    await ignored.loop.stop();
  });
});

describe('schedule', () => {
  test('depends on the target, the seed and absolute time only', () => {
    const target = (address: string) => createTargets(createScrapeConfig({ jobName: 'j', scrapeIntervalMs: INTERVAL, staticConfigs: [{ targets: [address], labels: [] }] })).active[0]!;
    const at = (address: string, nowMs: number, seed = ''): number => nowMs + scrapeOffsetMs(target(address), nowMs, seed);
    expect(at('a:1', START + 7) % INTERVAL).toBe(at('a:1', START + 12_345_678) % INTERVAL);
    const offsets = new Set(Array.from({ length: 200 }, (_, i) => Math.floor((at(`host-${i}:1`, START) % INTERVAL) / 1500)));
    expect(offsets.size).toBe(10);
    expect(at('a:1', START, 'replica-a') % INTERVAL).not.toBe(at('a:1', START, 'replica-b') % INTERVAL);
  });

  test('a little late is on time, very late is not, and a missed one is not made up for', async () => {
    const shop = rig();
    shop.answer = 'a 1\n';
    await shop.scrape();
    for (const [latenessMs, untilMs] of [[9, INTERVAL], [100, 2 * INTERVAL], [2.5 * INTERVAL, 5.5 * INTERVAL], [0, 8 * INTERVAL]] as const) {
      shop.clock.latenessMs = latenessMs;
      await shop.clock.moveTo(shop.firstMs + untilMs + latenessMs);
    }
    const times = shop.database.samples.filter((sample) => sample.series.startsWith('{__name__="a"')).map((sample) => sample.timeMs - shop.firstMs);
    expect(times).toEqual([0, INTERVAL, 2 * INTERVAL + 100, 5.5 * INTERVAL, 8 * INTERVAL]);
    await shop.loop.stop();
  });

  test('jitter delays and is seen in the timestamps', async () => {
    const shop = rig({}, { jitterMs: 400 });
    shop.answer = 'a 1\n';
    await shop.clock.moveTo(shop.firstMs + 200);
    expect(shop.database.samples[0]!.timeMs).toBe(shop.firstMs + 200);
    await shop.loop.stop();
  });
});

describe('the end', () => {
  test('of a target that is removed: stale markers two intervals later, dated one interval later', async () => {
    const shop = rig();
    shop.answer = 'a 1\n';
    await shop.scrape();
    const count = shop.database.samples.length;
    const removed = shop.loop.remove();
    await shop.clock.moveTo(shop.firstMs + 2 * INTERVAL + INTERVAL / 10 - 1);
    expect(shop.database.samples.length).toBe(count);
    await shop.clock.moveTo(shop.firstMs + 2 * INTERVAL + INTERVAL / 10);
    await removed;
    expect(shop.database.samples.slice(count).map((sample) => [sample.value, sample.timeMs - shop.firstMs])).toEqual(Array.from({ length: 6 }, () => ['stale', INTERVAL]));
    expect(shop.requests.length).toBe(1);
  });

  test('a target that came back meanwhile is not marked stale', async () => {
    const shop = rig();
    shop.answer = 'a 1\n';
    await shop.scrape();
    const removed = shop.loop.remove();
    const appender = shop.database.appender();
    appender.tryAppend(0, ['__name__', 'a', 'instance', 'shop:80', 'job', 'shop'], shop.firstMs + INTERVAL + 1, 2);
    appender.commit();
    await shop.clock.moveTo(shop.firstMs + 3 * INTERVAL);
    await removed;
    expect(shop.database.samples.filter((sample) => sample.series.startsWith('{__name__="a"')).map((sample) => sample.value)).toEqual([1, 2]);
  });

  test('shutting down writes no markers, also while a removal waits', async () => {
    const shop = rig();
    shop.answer = 'a 1\n';
    await shop.scrape();
    const removed = shop.loop.remove();
    await settlePromises();
    await shop.loop.stop();
    await removed;
    expect(shop.database.samples.map((sample) => sample.value)).not.toContain('stale');
    expect(shop.clock.pending()).toBe(0);
  });

  test('a database that refuses the batch does not end the loop', async () => {
    const shop = rig();
    shop.answer = 'a 1\n';
    shop.database.failNextCommit = new Error('disk full');
    expect(await shop.scrape()).toEqual([]);
    expect(shop.loop.state()).toMatchObject({ health: 'down', lastError: 'append scrape of http://shop:80/metrics: disk full' });
    expect((await shop.scrape()).at(0)).toBe('{__name__="a"} 1');
    await shop.loop.stop();
  });
});

test('a new configuration keeps the loops of targets that stay', async () => {
  const clock = createFakeClock(START, settlePromises);
  const database = createRecordingAppendable();
  const job = (targets: string[], extra: Partial<ScrapeConfig> = {}): ScrapeConfig => createScrapeConfig({ jobName: 'j', scrapeIntervalMs: INTERVAL, staticConfigs: [{ targets, labels: [] }], ...extra });
  const scraper = createScraper(
    [job(['a:1', 'b:1', 'a:1'])],
    {
      appendable: database,
      clock,
      log: { debug: () => undefined, warn: () => undefined, error: () => undefined },
      metrics: { noteScrape: () => undefined },
      random: () => 0,
      fetch: () => Promise.resolve(new Response('m 1\n', { headers: { 'content-type': 'text/plain' } })),
    },
  );
  const [a, b] = scraper.loops();
  expect(scraper.loops().length).toBe(2);
  await clock.moveTo(START + INTERVAL);
  expect(scraper.targets().map((state) => [state.target.url, state.health])).toEqual([['http://a:1/metrics', 'up'], ['http://b:1/metrics', 'up']]);
  const drop = createRelabelRule({ sourceLabels: ['__address__'], regex: 'd.*', action: 'drop' });
  scraper.applyConfig([job(['a:1', 'c:1', 'd:1'], { relabelConfigs: [drop] })]);
  expect(scraper.loops()[0]).toBe(a);
  expect(scraper.loops()).not.toContain(b);
  expect(scraper.droppedTargets().map((target) => target.discoveredLabels.includes('d:1'))).toEqual([true]);
  // Another metric relabelling means another loop.
  scraper.applyConfig([job(['a:1'], { metricRelabelConfigs: [createRelabelRule({ targetLabel: 'x', replacement: 'y' })] })]);
  expect(scraper.loops()[0]).not.toBe(a);
  expect(() => scraper.applyConfig([job(['a/b'])])).toThrow('target "a/b" of job "j": "a/b" is not a valid hostname');
  expect(scraper.loops().length).toBe(1);
  await scraper.stop();
  expect(clock.pending()).toBe(0);
});
