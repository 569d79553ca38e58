import { describe, expect, test } from '@jest/globals';
import { METRICS_CONTENT_TYPES, acceptsOpenMetrics, renderMetrics } from './metrics-exposition.ts';
import { createMetrics } from './metrics.ts';
import { registerProcessMetrics } from './process-metrics.ts';

async function page(metrics: ReturnType<typeof createMetrics>, accept = ''): Promise<string> {
  return (await renderMetrics(metrics.registry, accept)).body;
}

test('text and OpenMetrics pages of all types', async () => {
  const metrics = createMetrics(() => 1_700_000_000_500);
  metrics.counter({ name: 'b_total', help: 'Counts "b"\nand more.', labels: ['code'] }).with({ code: 'a"\\\n' }).inc(2);
  metrics.gauge({ name: 'a', help: 'A.' }).set(-1.5);
  const histogram = metrics.histogram({ name: 'c_seconds', help: 'C.', labels: ['handler'], buckets: [0.1, 1] });
  const query = histogram.with({ handler: 'query' });
  query.observe(0.1);
  query.observe(0.5, { traceID: 'abc' });
  query.observe(7);
  expect(await page(metrics)).toBe(
    [
      '# HELP a A.',
      '# TYPE a gauge',
      'a -1.5',
      '# HELP b_total Counts "b"\\nand more.',
      '# TYPE b_total counter',
      'b_total{code="a\\"\\\\\\n"} 2',
      '# HELP c_seconds C.',
      '# TYPE c_seconds histogram',
      'c_seconds_bucket{handler="query",le="0.1"} 1',
      'c_seconds_bucket{handler="query",le="1"} 2',
      'c_seconds_bucket{handler="query",le="+Inf"} 3',
      'c_seconds_sum{handler="query"} 7.6',
      'c_seconds_count{handler="query"} 3',
      '',
    ].join('\n'),
  );
  expect(await page(metrics, 'application/openmetrics-text')).toBe(
    [
      '# HELP a A.',
      '# TYPE a gauge',
      'a -1.5',
      '# HELP b Counts \\"b\\"\\nand more.',
      '# TYPE b counter',
      'b_total{code="a\\"\\\\\\n"} 2',
      '# HELP c_seconds C.',
      '# TYPE c_seconds histogram',
      'c_seconds_bucket{handler="query",le="0.1"} 1',
      'c_seconds_bucket{handler="query",le="1.0"} 2 # {traceID="abc"} 0.5 1700000000.500',
      'c_seconds_bucket{handler="query",le="+Inf"} 3',
      'c_seconds_sum{handler="query"} 7.6',
      'c_seconds_count{handler="query"} 3',
      '# EOF',
      '',
    ].join('\n'),
  );
});

describe('the Accept header', () => {
  test.each([
    ['', false],
    ['*/*', false],
    ['application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1', true],
    ['text/plain;version=0.0.4;q=0.9,application/openmetrics-text;q=0.5', false],
    ['application/openmetrics-text; version=2.0.0', false],
    ['application/openmetrics-text;q=0', false],
  ])('%s', async (accept, isOpenMetrics) => {
    expect(acceptsOpenMetrics(accept)).toBe(isOpenMetrics);
    const { contentType } = await renderMetrics(createMetrics().registry, accept);
    expect(contentType).toBe(isOpenMetrics ? METRICS_CONTENT_TYPES.openMetrics : METRICS_CONTENT_TYPES.text);
  });
});

test('scopes add a prefix and labels; the same family is found again', async () => {
  const metrics = createMetrics();
  const scope = metrics.withPrefix('thanos_query_').withLabels({ bucket: 'b' });
  scope.counter({ name: 'dns_lookups_total', help: 'L.' }).inc();
  scope.counter({ name: 'dns_lookups_total', help: 'L.' }).inc();
  metrics.withPrefix('thanos_').withPrefix('query_').withLabels({ bucket: 'c' }).counter({ name: 'dns_lookups_total', help: 'L.' }).inc(3);
  expect(await page(metrics)).toContain('thanos_query_dns_lookups_total{bucket="b"} 2\nthanos_query_dns_lookups_total{bucket="c"} 3\n');
  expect(() => metrics.gauge({ name: 'thanos_query_dns_lookups_total', help: 'L.', labels: ['bucket'] })).toThrow('it exists as counter{bucket}, wanted gauge{bucket}');
});

test('misuse is named', () => {
  const metrics = createMetrics();
  const counter = metrics.counter({ name: 'x_total', help: 'X.', labels: ['a', 'b'] });
  expect(() => counter.inc()).toThrow('use metric x_total: label a has no value');
  expect(() => counter.with({ a: '1' }).inc()).toThrow('label b has no value');
  expect(() => counter.with({ a: '1', b: '2', c: '3' }).inc()).toThrow('got labels {a,b,c}, wanted {a,b}');
  expect(() => counter.with({ a: '1', b: '2' }).inc(-1)).toThrow('wanted at least 0');
  expect(() => metrics.counter({ name: '1x', help: '' })).toThrow('not a metric name');
  counter.with({ a: 'x\u0000y', b: 'z' }).inc();
  expect(counter.with({ a: 'x', b: 'z' }).value()).toBe(0);
});

test('gauges can be computed at scrape time and cleared', async () => {
  const metrics = createMetrics();
  let live = 1;
  metrics.gauge({ name: 'live', help: 'L.', collect: () => live });
  live = 5;
  expect(await page(metrics)).toContain('live 5');
  const stores = metrics.gauge({ name: 'stores', help: 'S.', labels: ['type'] });
  stores.with({ type: 'sidecar' }).set(2);
  stores.clear();
  stores.with({ type: 'rule' }).set(1);
  expect(await page(metrics)).toContain('stores{type="rule"} 1');
  expect(await page(metrics)).not.toContain('sidecar');
});

test('the metrics of the process have the names dashboards ask for', async () => {
  const metrics = createMetrics();
  const stop = registerProcessMetrics(metrics, { version: '0.1.0', revision: 'abc', branch: 'main', thanosVersion: '0.43.0' });
  try {
    const body = await page(metrics, 'application/openmetrics-text');
    for (const name of ['process_cpu_seconds', 'process_resident_memory_bytes', 'process_start_time_seconds', 'process_open_fds', 'go_goroutines', 'go_memstats_alloc_bytes', 'go_gc_duration_seconds', 'nodejs_eventloop_lag_p99_seconds']) {
      expect(body).toContain(`# TYPE ${name} `);
    }
    expect(body).toMatch(/thanos_build_info\{.*version="0\.43\.0"\} 1/);
    expect(body.endsWith('# EOF\n')).toBe(true);
  } finally {
    stop();
  }
});
