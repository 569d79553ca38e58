/** The API over sockets: recorded refusals and empty answers, data endpoints, transport. */
import { readFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type ChunkSeries, createMatcher, labelsFromPairs, type Queryable } from '@gauntlet/model';
import { createMemoryQueryable, type MemorySeries, parseSeries } from '@gauntlet/promql/testing';
import { createPrometheusClient, escapeLabelName, externalLabelsOf } from './client.ts';
import { HttpApiError } from './errors.ts';
import type { ReadOptions } from './query-call.ts';
import { type ApiServer, startApiServer } from './testing/api-server.ts';

function series(text: string, stepMs = 60_000): MemorySeries {
  const { labels, values } = parseSeries(text);
  return {
    labels,
    timestampsMs: Float64Array.from(values, (_value, i) => i * stepMs),
    values: Float64Array.from(values, (value) => (value.kind === 'float' ? value.value : Number.NaN)),
  };
}

const DATA = createMemoryQueryable([
  series('up{instance="a",job="x"} 1 1 0'),
  series('up{instance="b",job="x"} 1 0 1'),
  series('requests_total{job="y",code="<5>"} 0+60x30'),
  series('{"odd.name","l 1"="v"} 7'),
]);

interface Exchange {
  readonly name: string;
  readonly method: string;
  readonly path: string;
  readonly params: readonly [string, string][];
  readonly form: boolean;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
}

let empty: ApiServer;
let full: ApiServer;
let reads: ReadOptions[] = [];

beforeAll(async () => {
  empty = await startApiServer({ queryable: createMemoryQueryable([]), nowMs: 1_776_902_400_000 });
  full = await startApiServer({
    queryable: (read) => {
      reads.push(read);
      return DATA;
    },
    nowMs: 120_000,
    configYaml: 'global:\n  scrape_interval: 15s\n  external_labels:\n    replica: a\n    cluster: "eu"\nscrape_configs:\n- job_name: x\n',
    flags: { 'web.enable-lifecycle': 'true', 'storage.tsdb.path': '/data' },
    stores: [
      { component: 'store', name: 'gw:1', lastCheckMs: 1_700_000_000_500, lastError: undefined, labelSets: [['a', 'b']], minTimeMs: 0, maxTimeMs: 5 },
      { component: 'sidecar', name: 'sc:1', lastCheckMs: 1_700_000_000_000, lastError: 'gone', labelSets: [], minTimeMs: 0, maxTimeMs: 5 },
      { component: undefined, name: 'new:1', lastCheckMs: 0, lastError: undefined, labelSets: [], minTimeMs: 0, maxTimeMs: 0 },
    ],
  });
});

afterAll(async () => {
  await empty.close();
  await full.close();
});

describe('recorded exchanges', () => {
  const exchanges = JSON.parse(readFileSync(join(import.meta.dirname, '../testdata/exchanges.json'), 'utf8')) as Exchange[];
  test.each(exchanges.map((exchange) => [exchange.name, exchange] as const))('%s', async (_name, { method, path, params, form, status, headers, text }) => {
    const query = new URLSearchParams(params as [string, string][]);
    const response = await fetch(`${empty.url}${path}${form || params.length === 0 ? '' : `?${query}`}`, { method, ...(form ? { body: query } : {}) });
    expect({ status: response.status, text: await response.text() }).toEqual({ status, text });
    for (const name of ['content-type', 'cache-control', 'access-control-allow-origin', 'access-control-allow-methods', 'access-control-allow-headers', 'access-control-expose-headers', 'vary']) {
      if (status === 405 || status === 404) continue;
      expect([name, response.headers.get(name)]).toEqual([name, headers[name] ?? null]);
    }
  });
});

describe('refused beside the recordings', () => {
  test.each([
    ['query?query=up&time=NaN', 400, `Invalid time value for 'time': cannot parse "NaN" to a valid timestamp`],
    ['query?query=up&timeout=1e300', 400, 'cannot parse "1e300" to a valid duration. It overflows int64'],
    ['query?query=up&max_source_resolution=-5', 400, "negative 'max_source_resolution' is not accepted. Try a positive integer"],
    ['query?query=up&shard_info=[]', 400, 'could not unmarshal parameter shard_info: cannot unmarshal object into an object'],
    ['query?query=up&shard_info={"shard_index":"1"}', 400, 'could not unmarshal parameter shard_info: shard_index is not an integer'],
    ['query?query=up&timeout=0', 503, 'query timed out in expression evaluation'],
    ['query_range?query=up&start=0&end=1&step=0.0001', 400, 'zero or negative query resolution step widths are not accepted. Try a positive integer'],
    ['labels?limit=1.5', 400, 'cannot parse "1.5" to a valid limit'],
    ['label//values', 404, undefined],
    ['series?match[]=up&limit=-1', 400, 'limit must be non-negative'],
    ['format_query?query=a{', 400, 'invalid parameter "query": 1:3: parse error: unexpected end of input inside braces'],
    ['parse_query', 400, 'invalid parameter "query": unknown position: parse error: no expression found in input'],
    ['query_exemplars?query=up&start=x', 400, `Invalid time value for 'start': cannot parse "x" to a valid timestamp`],
    ['query?query=sort_by_label(up, "a")', 400, '1:1: parse error: function "sort_by_label" is not enabled'],
  ])('%s', async (path, status, error) => {
    const response = await fetch(`${full.url}/api/v1/${path}`);
    const text = await response.text();
    expect(response.status).toBe(status);
    if (error === undefined) return;
    expect((JSON.parse(text) as { error: string }).error).toBe(error);
    expect(response.headers.get('cache-control')).toBe('no-store');
  });

  test('a query that is too long to be formatted', async () => {
    const response = await fetch(`${full.url}/api/v1/format_query`, { method: 'POST', body: new URLSearchParams({ query: `"${'x'.repeat(200_000)}"` }) });
    expect(await response.json()).toEqual({ status: 'error', errorType: 'bad_data', error: 'invalid parameter "query": 200002 characters, at most 131072 are formatted' });
  });

  test('a form that is too large', async () => {
    const response = await fetch(`${full.url}/api/v1/query`, { method: 'POST', body: new URLSearchParams({ query: 'x'.repeat(11 << 20) }) });
    expect(await response.json()).toEqual({ status: 'error', errorType: 'bad_data', error: 'http: POST too large' });
  });
});

describe('data', () => {
  const get = async (path: string): Promise<string> => (await fetch(`${full.url}/api/v1/${path}`)).text();
  test.each([
    [
      'query?query=up&time=60',
      '{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"up","instance":"a","job":"x"},"value":[60,"1"]},{"metric":{"__name__":"up","instance":"b","job":"x"},"value":[60,"0"]}],"analysis":{}}}',
    ],
    ['query?query=sum(up)', '{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[120,"1"]}],"analysis":{}}}'],
    [
      'query_range?query=sum(up)&start=0&end=120&step=1m',
      '{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[0,"2"],[60,"1"],[120,"1"]]}],"analysis":{}}}',
    ],
    [
      'query?query=quantile(2, up)',
      '{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[120,"+Inf"]}],"analysis":{}},"warnings":["PromQL warning: quantile value should be between 0 and 1, got 2"]}',
    ],
    ['series?match[]=requests_total', '{"status":"success","data":[{"__name__":"requests_total","code":"<5>","job":"y"}]}'],
    [
      'series?match[]=up&match[]={instance="b"}',
      '{"status":"success","data":[{"__name__":"up","instance":"a","job":"x"},{"__name__":"up","instance":"b","job":"x"}]}',
    ],
    ['series?match[]=up&limit=1', '{"status":"success","data":[{"__name__":"up","instance":"a","job":"x"}],"warnings":["results truncated due to limit"]}'],
    ['labels', '{"status":"success","data":["__name__","code","instance","job","l 1"]}'],
    ['labels?limit=2', '{"status":"success","data":["__name__","code"],"warnings":["results truncated due to limit"]}'],
    ['labels?match[]=up&match[]=requests_total', '{"status":"success","data":["__name__","code","instance","job"]}'],
    ['labels?start=500', '{"status":"success","data":["__name__","code","job"]}'],
    ['label/job/values', '{"status":"success","data":["x","y"]}'],
    ['label/code/values', '{"status":"success","data":["\\u003c5\\u003e"]}'],
    ['label/U__l_20_1/values', '{"status":"success","data":["v"]}'],
    ['label/l%201/values', '{"status":"success","data":["v"]}'],
    ['format_query?query=sum by(a)(b)', '{"status":"success","data":"sum by (a) (b)"}'],
    ['parse_query?query=1', '{"status":"success","data":{"type":"numberLiteral","val":"1"}}'],
    [
      'stores',
      '{"status":"success","data":{"sidecar":[{"name":"sc:1","lastCheck":"2023-11-14T22:13:20Z","lastError":"gone","labelSets":[],"minTime":0,"maxTime":5}],"store":[{"name":"gw:1","lastCheck":"2023-11-14T22:13:20.5Z","lastError":null,"labelSets":[{"a":"b"}],"minTime":0,"maxTime":5}]}}',
    ],
    ['status/flags', '{"status":"success","data":{"storage.tsdb.path":"/data","web.enable-lifecycle":"true"}}'],
  ])('%s', async (path, text) => {
    expect(await get(path)).toBe(text);
  });

  test('stats and analysis are there when asked for', async () => {
    const { data } = JSON.parse(await get('query?query=up&stats=all&analyze=1')) as { data: Record<string, unknown> };
    expect(Object.keys(data)).toEqual(['resultType', 'result', 'stats', 'analysis']);
    expect(data['stats']).toMatchObject({ timings: { resultSortTime: 0, execQueueTime: 0 }, samples: { totalQueryableSamples: 2 } });
    expect(data['analysis']).toMatchObject({ name: '[vectorSelector] {[__name__="up"]} 0 mod 1', peakSamples: 2, totalSamples: 2, series: 2, samplesIn: 6, samplesOut: 2 });
    expect((data['analysis'] as { executionTime: string }).executionTime).toMatch(/µs$/);
  });

  test('read options follow the parameters', async () => {
    reads = [];
    await get('query?query=up');
    await get('query_range?query=up&start=0&end=1000&step=100&max_source_resolution=auto&dedup=false&replicaLabels[]=a&replicaLabels[]=b&storeMatch[]={x="y"}&partial_response=0');
    await get('query?query=up&max_source_resolution=1h&shard_info={"shard_index":1,"total_shards":2,"by":true,"labels":["code"]}');
    await get('labels');
    expect(reads[0]).toEqual({ dedup: true, replicaLabels: [], storeMatchers: [], maxResolutionMs: 0, partialResponse: true, skipChunks: false, shardInfo: undefined });
    expect(reads[1]).toMatchObject({ dedup: false, replicaLabels: ['a', 'b'], storeMatchers: ['{x="y"}'], maxResolutionMs: 20_000, partialResponse: false });
    expect(reads[2]).toMatchObject({ maxResolutionMs: 3_600_000, shardInfo: { shardIndex: 1, totalShards: 2, by: true, labels: ['code'] } });
    expect(reads[3]).toMatchObject({ dedup: true, skipChunks: true });
  });

  test('errors of storage are answers; warnings of storage are shown and keep the answer out of caches', async () => {
    const broken: Queryable = {
      select: () => ({
        [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(new Error('disk gone')) }),
        warnings: () => [],
      }),
      labelNames: () => Promise.resolve({ values: ['a'], warnings: ['store s1 did not answer'] }),
      labelValues: () => Promise.reject(new Error('disk gone')),
    };
    const server = await startApiServer({ queryable: broken });
    try {
      const query = await fetch(`${server.url}/api/v1/query?query=up`);
      expect(query.status).toBe(422);
      expect(((await query.json()) as { error: string }).error).toMatch(/disk gone$/);
      const values = await fetch(`${server.url}/api/v1/label/a/values`);
      expect([values.status, await values.json()]).toEqual([422, { status: 'error', errorType: 'execution', error: 'disk gone' }]);
      const names = await fetch(`${server.url}/api/v1/labels`);
      expect([names.headers.get('cache-control'), await names.json()]).toEqual(['no-store', { status: 'success', data: ['a'], warnings: ['store s1 did not answer'] }]);
    } finally {
      await server.close();
    }
  });

  test('series are listed without their chunks where that is offered', async () => {
    const asked: boolean[] = [];
    async function* chunkless(skipChunks = false): AsyncGenerator<readonly ChunkSeries[]> {
      asked.push(skipChunks);
      yield [{ labels: ['a', '1'], chunks: [] }, { labels: ['a', '2'], chunks: [] }];
      yield [{ labels: ['a', '3'], chunks: [] }];
    }
    const server = await startApiServer({ queryable: { ...createMemoryQueryable([]), selectChunks: ({ skipChunks }) => chunkless(skipChunks) } });
    try {
      const all = await fetch(`${server.url}/api/v1/series?match[]=x`);
      expect(await all.json()).toEqual({ status: 'success', data: [{ a: '1' }, { a: '2' }, { a: '3' }] });
      const some = await fetch(`${server.url}/api/v1/series?match[]=x&limit=1`);
      expect(await some.json()).toEqual({ status: 'success', data: [{ a: '1' }], warnings: ['results truncated due to limit'] });
      expect(asked).toEqual([true, true]);
    } finally {
      await server.close();
    }
  });

  test('a query that waits for ever ends at its timeout', async () => {
    const silent: Queryable = {
      select: ({ signal }) => ({
        [Symbol.asyncIterator]: () => ({ next: () => new Promise((_resolve, reject) => signal!.addEventListener('abort', () => reject(signal!.reason as Error))) }),
        warnings: () => [],
      }),
      labelNames: () => Promise.resolve({ values: [], warnings: [] }),
      labelValues: () => Promise.resolve({ values: [], warnings: [] }),
    };
    const server = await startApiServer({ queryable: silent });
    try {
      const response = await fetch(`${server.url}/api/v1/query?query=up&timeout=0.001`);
      expect(response.status).toBe(503);
      expect(((await response.json()) as { errorType: string }).errorType).toMatch(/timeout|canceled/);
    } finally {
      await server.close();
    }
  });
});

describe('transport', () => {
  const raw = (path: string, headers: Record<string, string>): Promise<{ headers: NodeJS.Dict<string | string[]>; body: Buffer }> =>
    new Promise((resolve, reject) => {
      httpRequest(`${full.url}${path}`, { headers }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => resolve({ headers: response.headers, body: Buffer.concat(chunks) }));
      })
        .on('error', reject)
        .end();
    });
  const long = `/api/v1/query_range?query=${encodeURIComponent('requests_total + on() group_left() vector(0.123)')}&start=0&end=1800&step=1`;

  test('large answers are compressed for those who take it', async () => {
    const zipped = await raw(long, { 'accept-encoding': 'gzip, deflate' });
    const plain = await raw(long, { 'accept-encoding': 'gzip;q=0' });
    expect(zipped.headers['content-encoding']).toBe('gzip');
    expect(plain.headers['content-encoding']).toBeUndefined();
    expect(gunzipSync(zipped.body).toString()).toBe(plain.body.toString());
    expect(zipped.body.length).toBeLessThan(plain.body.length / 2);
    const small = await raw('/api/v1/query?query=1', { 'accept-encoding': 'gzip' });
    expect(small.headers['content-encoding']).toBeUndefined();
    expect(small.headers['content-length']).toBe(String(small.body.length));
  });

  test('form and query string are merged, the form first', async () => {
    const response = await fetch(`${full.url}/api/v1/query?query=2&time=5`, { method: 'POST', body: new URLSearchParams({ query: '1' }) });
    expect(await response.text()).toBe('{"status":"success","data":{"resultType":"scalar","result":[5,"1"],"analysis":{}}}');
  });

  test('preflight requests are answered everywhere', async () => {
    for (const path of ['/api/v1/query', '/api/v1/anything']) {
      const response = await fetch(`${full.url}${path}`, { method: 'OPTIONS' });
      expect([response.status, response.headers.get('access-control-allow-origin'), await response.text()]).toEqual([204, '*', '']);
    }
  });

  test('HEAD and DELETE are not offered', async () => {
    expect((await fetch(`${full.url}/api/v1/query?query=1`, { method: 'HEAD' })).status).toBe(405);
    expect((await fetch(`${full.url}/api/v1/query?query=1`, { method: 'DELETE' })).status).toBe(405);
  });
});

describe('client', () => {
  test('asks everything a sidecar needs', async () => {
    const client = createPrometheusClient({ baseUrl: `${full.url}/` });
    expect(await client.externalLabels()).toEqual(['cluster', 'eu', 'replica', 'a']);
    expect((await client.buildInfo()).version).toBe('3.14.0');
    expect((await client.flags())['storage.tsdb.path']).toBe('/data');
    expect(await client.isReady()).toBe(true);
    const up = [[createMatcher('=', '__name__', 'up'), createMatcher('!~', 'instance', 'c"|d')]];
    expect(await client.series({ matcherSets: up, startMs: 0, endMs: 60_500 })).toEqual({
      data: [labelsFromPairs([['__name__', 'up'], ['instance', 'a'], ['job', 'x']]), labelsFromPairs([['__name__', 'up'], ['instance', 'b'], ['job', 'x']])],
      warnings: [],
    });
    expect(await client.labelNames({ matcherSets: up, limit: 1 })).toEqual({ data: ['__name__'], warnings: ['results truncated due to limit'] });
    expect(await client.labelValues('instance', { matcherSets: up })).toEqual({ data: ['a', 'b'], warnings: [] });
    expect(await client.labelValues('l 1', {})).toEqual({ data: ['v'], warnings: [] });
    expect((await client.query({ query: 'sum(up)', timeMs: 60_000 })).data).toMatchObject({ resultType: 'vector', result: [{ metric: {}, value: [60, '1'] }] });
    expect((await client.queryRange({ query: 'up{instance="a"}', startMs: 0, endMs: 60_000, stepMs: 60_000 })).data.result).toHaveLength(1);
    expect(full.requests).toContain('GET /api/v1/label/U__l_20_1/values');
  });

  const codeOf = async (run: Promise<unknown>): Promise<string> => {
    const error = await run.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(HttpApiError);
    return `${(error as HttpApiError).code} ${(error as HttpApiError).message}`;
  };

  test('says what went wrong', async () => {
    const client = createPrometheusClient({ baseUrl: full.url });
    expect(await codeOf(client.query({ query: 'sum(', timeMs: 0 }))).toBe(`ERR_UPSTREAM_ANSWER request ${full.url}/api/v1/query: status 400: 1:5: parse error: unclosed left parenthesis`);
    expect(await codeOf(createPrometheusClient({ baseUrl: `${full.url}/nowhere` }).flags())).toMatch(/^ERR_UPSTREAM request .*status 404, wanted JSON, got /);
    expect(await codeOf(createPrometheusClient({ baseUrl: empty.url }).externalLabels())).toMatch(/^ERR_UPSTREAM request .*status 404/);
    expect(await codeOf(createPrometheusClient({ baseUrl: 'http://127.0.0.1:9' }).flags())).toMatch(/^ERR_UPSTREAM request http:\/\/127.0.0.1:9\/api/);
    expect(await codeOf(client.flags(AbortSignal.abort()))).toMatch(/^ERR_CANCELED /);
    const never: typeof fetch = (_url, init) => new Promise((_resolve, reject) => init!.signal!.addEventListener('abort', () => reject(init!.signal!.reason as Error)));
    expect(await codeOf(createPrometheusClient({ baseUrl: 'http://x', fetch: never, timeoutMs: 1 }).flags())).toBe('ERR_UPSTREAM request http://x/api/v1/status/flags: no answer within 1 ms');
  });

  test('external labels in a configuration', () => {
    expect(externalLabelsOf('')).toEqual([]);
    expect(externalLabelsOf('global:\n  scrape_interval: 1m\n')).toEqual([]);
    expect(externalLabelsOf('global: {external_labels: {a: 1, b: "x y", c: }}')).toEqual(['a', '1', 'b', 'x y']);
    expect(() => externalLabelsOf('global: {external_labels: [a]}')).toThrow(HttpApiError);
    expect(() => externalLabelsOf('a: [')).toThrow(HttpApiError);
  });

  test('escaped label names', () => {
    expect(escapeLabelName('plain_1')).toBe('plain_1');
    expect(escapeLabelName('a.b_c:d😀')).toBe('U__a_2e_b__c:d_1f600_');
  });
});
