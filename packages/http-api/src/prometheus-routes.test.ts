/** The API in Prometheus' manners: parameters and their errors, remarks with places, `limit`, error types, headers. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { createKernels } from '@gauntlet/kernels';
import type { Queryable } from '@gauntlet/model';
import { createEngine, PromqlError } from '@gauntlet/promql';
import { createMemoryQueryable, type MemorySeries, parseSeries } from '@gauntlet/promql/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createPrometheusRoutes } from './prometheus-routes.ts';
import { runQuery } from './run-query.ts';
import { serveApi } from './serve-api.ts';

function series(text: string): MemorySeries {
  const { labels, values } = parseSeries(text);
  return {
    labels,
    timestampsMs: Float64Array.from(values, (_value, i) => i * 60_000),
    values: Float64Array.from(values, (value) => (value.kind === 'float' ? value.value : Number.NaN)),
  };
}

const DATA = createMemoryQueryable([
  series('up{instance="a"} 1 1 0'),
  series('up{instance="b"} 1 0 1'),
  series('temperature{room="x"} 1 5 9'),
  ...Array.from({ length: 12 }, (_none, i) => series(`gauge_${String(i).padStart(2, '0')} 1 2 3`)),
]);
const broken = (error: Error): Queryable => ({
  select: () => ({ [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(error) }), warnings: () => [] }),
  labelNames: () => Promise.reject(error),
  labelValues: () => Promise.reject(error),
});

let server: Server;
let url: string;
let queryable: Queryable = DATA;

beforeAll(async () => {
  const kernels = createKernels({ backend: 'js' });
  const engine = createEngine({ kernels });
  const app = express();
  serveApi(
    app,
    createPrometheusRoutes({
      parser: {},
      now: () => 120_000,
      runQuery: (call, { signal }) => runQuery(call, { engine, kernels, queryable: () => queryable, signal, now: () => 0, style: 'prometheus' }),
      queryable: () => queryable,
    }),
    { style: 'prometheus' },
  );
  server = createServer(app);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/v1/`;
});

afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
});

interface Answer {
  readonly status: string;
  readonly errorType?: string;
  readonly error?: string;
  readonly data?: { readonly result: readonly { readonly metric: unknown; readonly value?: unknown }[] };
  readonly warnings?: readonly string[];
  readonly infos?: readonly string[];
}

async function get(path: string): Promise<{ code: number; body: Answer }> {
  const response = await fetch(`${url}${path}`);
  return { code: response.status, body: (await response.json()) as Answer };
}

describe('refused', () => {
  test.each([
    ['query?query=up&limit=x', 'invalid parameter "limit": strconv.Atoi: parsing "x": invalid syntax'],
    ['query?query=up&limit=-1', 'invalid parameter "limit": limit must be non-negative'],
    ['query?query=up&limit=99999999999999999999', 'invalid parameter "limit": strconv.Atoi: parsing "99999999999999999999": value out of range'],
    ['query?query=up&time=x&limit=x', 'invalid parameter "limit": strconv.Atoi: parsing "x": invalid syntax'],
    ['query?query=up&time=x', `invalid parameter "time": invalid time value for 'time': cannot parse "x" to a valid timestamp`],
    ['query?query=up&timeout=x', 'invalid parameter "timeout": cannot parse "x" to a valid duration'],
    ['query?query=up&timeout=1e300', 'invalid parameter "timeout": cannot parse "1e300" to a valid duration. It overflows int64'],
    ['query?query=up&lookback_delta=x', 'error parsing lookback delta duration: cannot parse "x" to a valid duration'],
    ['query?query=up%5B', 'invalid parameter "query": 1:4: parse error: unexpected end of input in duration expression'],
    ['query', 'invalid parameter "query": unknown position: parse error: no expression found in input'],
    ['query_range?query=up&end=1&step=1', 'invalid parameter "start": cannot parse "" to a valid timestamp'],
    ['query_range?query=up&start=1&step=1', 'invalid parameter "end": cannot parse "" to a valid timestamp'],
    ['query_range?query=up&start=2&end=1&step=x', 'invalid parameter "end": end timestamp must not be before start time'],
    ['query_range?query=up&start=1&end=2', 'invalid parameter "step": cannot parse "" to a valid duration'],
    ['query_range?query=up&start=1&end=2&step=0', 'invalid parameter "step": zero or negative query resolution step widths are not accepted. Try a positive integer'],
    ['query_range?query=up&start=0&end=11001&step=1', 'exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)'],
    ['query_range?query="s"&start=0&end=1&step=1', 'invalid parameter "query": invalid expression type "string" for range query, must be Scalar or instant Vector'],
    ['labels?start=x', `invalid parameter "start": invalid time value for 'start': cannot parse "x" to a valid timestamp`],
    ['labels?match[]={a=""}', 'match[] must contain at least one non-empty matcher'],
    ['series', 'no match[] parameter provided'],
    ['series?match[]={a=""}', 'invalid parameter "match[]": match[] must contain at least one non-empty matcher'],
    ['series?match[]=up{', 'invalid parameter "match[]": 1:4: parse error: unexpected end of input inside braces'],
    ['label/U__a_110000_/values?limit=x', 'invalid parameter "limit": strconv.Atoi: parsing "x": invalid syntax'],
  ])('%s', async (path, error) => {
    expect(await get(path)).toEqual({ code: 400, body: { status: 'error', errorType: 'bad_data', error } });
  });
});

describe('answers', () => {
  test('11,001 points are allowed', async () => {
    expect((await get('query_range?query=1&start=0&end=11000&step=1')).code).toBe(200);
  });

  test('warnings and infos apart, each with its place, ten of a kind', async () => {
    const { body } = await get('query?query=quantile(2, rate(temperature[2m]))');
    expect(body.warnings).toEqual(['PromQL warning: quantile value should be between 0 and 1, got 2 (1:10)']);
    expect(body.infos).toEqual(['PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "temperature" (1:18)']);
    const many = await get(`query?query=${encodeURIComponent('rate({__name__=~"gauge_.*"}[2m]) * 0')}`);
    expect(many.body.error).toBe('vector cannot contain metrics with the same labelset');
    const texts = (await get(`query?query=${encodeURIComponent(Array.from({ length: 12 }, (_none, i) => `rate(gauge_${String(i).padStart(2, '0')}[2m])`).join(' + '))}`)).body;
    expect(texts.infos).toHaveLength(11);
    expect(texts.infos!.at(-1)).toBe('2 more info annotations omitted');
    expect(texts.warnings).toBeUndefined();
  });

  test('limit cuts series and says so', async () => {
    const { body } = await get('query?query=up&limit=1');
    expect(body.data!.result).toEqual([{ metric: { __name__: 'up', instance: 'a' }, value: [120, '0'] }]);
    expect(body.warnings).toEqual(['results truncated due to limit']);
    expect((await get('query?query=up&limit=2')).body.warnings).toBeUndefined();
    expect((await get('query_range?query=up&start=0&end=60&step=60&limit=1')).body.data!.result).toHaveLength(1);
    expect((await get('query?query=1&limit=1')).body.warnings).toBeUndefined();
  });

  test('a value of stats that will be refused one day', async () => {
    const { body } = await get('query?query=1&stats=yes');
    expect(body.warnings).toEqual(['value "yes" for parameter "stats" is deprecated and will be rejected in the next major release, use "true" or "all"']);
    expect(body.data).toHaveProperty('stats.samples');
    expect((await get('query?query=1')).body.data).not.toHaveProperty('analysis');
  });

  test.each([
    ['storage', new Error('disk gone'), 500, 'internal', 'expanding series: disk gone'],
    ['canceled', new PromqlError('ERR_CANCELED', 'query was canceled in expression evaluation'), 499, 'canceled', 'query was canceled in expression evaluation'],
    ['limit', new PromqlError('ERR_TOO_MANY_SAMPLES', 'too many'), 422, 'execution', 'too many, at 1:1: up'],
  ])('error of %s', async (_name, thrown, code, errorType, error) => {
    queryable = broken(thrown);
    try {
      expect(await get('query?query=up')).toEqual({ code, body: { status: 'error', errorType, error } });
    } finally {
      queryable = DATA;
    }
  });

  test('an origin is repeated, and only then shared', async () => {
    const asked = await fetch(`${url}query?query=1`, { headers: { origin: 'http://x.test' } });
    expect(asked.headers.get('access-control-allow-origin')).toBe('http://x.test');
    expect(asked.headers.get('vary')).toBe('Accept-Encoding, Origin');
    await asked.text();
    const plain = await fetch(`${url}query?query=1`);
    expect(plain.headers.get('access-control-allow-origin')).toBeNull();
    expect(plain.headers.get('cache-control')).toBeNull();
    await plain.text();
  });
});
