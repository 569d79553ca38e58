import { labelsFromMap, type PartialResponseStrategy } from '@gauntlet/model';
import { createHttpClient, createMetrics, createNopLogger, DEFAULT_HTTP_CLIENT, type HttpClient } from '@gauntlet/service-kit';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createQueryClients, type QueryClientsOptions, readQueryAnswer } from './query-clients.ts';
import { type FakeQuerier, type FakeServer, sendJson, startFakeQuerier, startFakeServer } from './testing/fake-servers.ts';

const AT_MS = Date.UTC(2026, 10, 21, 7, 0, 0, 120);
let querier: FakeQuerier;
let http: HttpClient;
beforeAll(() => void (http = createHttpClient(DEFAULT_HTTP_CLIENT, { userAgent: 'Gauntlet/test', clock: Date.now })));
afterAll(() => http.close());
beforeEach(async () => void (querier = await startFakeQuerier()));
afterEach(() => querier.close());

function clientsOf(endpoints: readonly (readonly string[])[], options: Partial<QueryClientsOptions> = {}, random = () => 0.999, metrics = createMetrics()) {
  return createQueryClients({ groups: endpoints.map((list) => ({ http, endpoints: () => list })), random, log: createNopLogger(), metrics }, { method: 'POST', onlyPrometheusParams: false, ...options });
}
const options = (strategy: PartialResponseStrategy = 'abort', signal = AbortSignal.timeout(5000)) => ({ strategy, signal });

describe('a query', () => {
  test('asks as Thanos does and gives samples and warnings, without remarks of PromQL', async () => {
    querier.answers.set('up', [{ metric: { job: 'b', __name__: 'up', __proto__x: 'y' }, value: 1.5 }, { metric: {}, value: -0 }]);
    querier.warnings = ['a store is away', 'PromQL info: metric might not be a counter', 'PromQL warning: x'];
    const answer = await clientsOf([[querier.url]]).query('up', AT_MS, options('warn'));
    expect(answer).toEqual({ samples: [{ labels: labelsFromMap({ __name__: 'up', __proto__x: 'y', job: 'b' }), value: 1.5 }, { labels: [], value: 0 }], warnings: ['a store is away'] });
    expect(querier.queries).toEqual([{ method: 'POST', query: 'up', time: '2026-11-21T07:00:00.12Z', dedup: 'true', partial_response: 'true', engine: '', explain: 'false', analyze: 'false' }]);
  });

  test('abort asks without partial responses; GET and plain Prometheus parameters by option', async () => {
    await clientsOf([[querier.url]]).query('up', AT_MS, options());
    await clientsOf([[querier.url]], { method: 'GET', onlyPrometheusParams: true }).query('a+b "ü"', 1000, options());
    expect(querier.queries[0]).toMatchObject({ partial_response: 'false' });
    expect(querier.queries[1]).toEqual({ method: 'GET', query: 'a+b "ü"', time: '1970-01-01T00:00:01Z' });
  });

  test('goes on to the next endpoint and the next group; an address known twice is asked once', async () => {
    const metrics = createMetrics();
    const dead = 'http://127.0.0.1:1';
    querier.answers.set('up', [{ metric: {}, value: 1 }]);
    const { query } = clientsOf([[dead, dead], [dead, querier.url]], {}, () => 0.999, metrics);
    expect((await query('up', AT_MS, options())).samples).toHaveLength(1);
    expect((await metrics.registry.snapshot()).find(({ name }) => name === 'thanos_rule_duplicated_query_addresses_total')!.samples[0]!.value).toBe(1);
  });

  test('takes endpoints in random order', async () => {
    const second = await startFakeQuerier();
    try {
      await clientsOf([[querier.url, second.url]], {}, () => 0).query('up', AT_MS, options());
      await clientsOf([[querier.url, second.url]], {}, () => 0.999).query('up', AT_MS, options());
      expect([querier.queries.length, second.queries.length]).toEqual([1, 1]);
    } finally {
      await second.close();
    }
  });

  test('says why it failed: the reason of the server, or of each', async () => {
    querier.answers.set('bad', new Error('many-to-many matching not allowed'));
    await expect(clientsOf([[querier.url]]).query('bad', AT_MS, options())).rejects.toThrow(/^execution: many-to-many matching not allowed$/);
    await expect(clientsOf([[querier.url, 'http://127.0.0.1:1']]).query('bad', AT_MS, options())).rejects.toThrow(/no query API server gave an answer: http.*: execution: many-to-many.*; http:\/\/127.0.0.1:1: .*ECONNREFUSED/);
    await expect(clientsOf([[]]).query('up', AT_MS, options())).rejects.toThrow('no query API server is known');
  });

  test('ends with its signal', async () => {
    const silent: FakeServer = await startFakeServer(() => {});
    const stop = new AbortController();
    const asked = clientsOf([[silent.url]]).query('up', AT_MS, options('abort', stop.signal));
    stop.abort(new Error('the group is gone'));
    await expect(asked).rejects.toThrow('the group is gone');
    await silent.close();
  });
});

describe('an answer', () => {
  const read = (data: unknown) => readQueryAnswer(200, JSON.stringify({ status: 'success', data }));
  test.each([
    ['scalar', { resultType: 'scalar', result: [1.5, '42'] }, [{ labels: [], value: 42 }]],
    ['NaN', { resultType: 'vector', result: [{ metric: {}, value: [1, 'NaN'] }] }, [{ labels: [], value: Number.NaN }]],
    ['infinities', { resultType: 'vector', result: [{ metric: { a: '1' }, value: [1, '+Inf'] }, { metric: { a: '2' }, value: [1, '-Inf'] }] }, [{ labels: ['a', '1'], value: Infinity }, { labels: ['a', '2'], value: -Infinity }]],
    ['empty', { resultType: 'vector', result: [] }, []],
  ])('%s', (_name, data, samples) => expect(read(data).samples).toEqual(samples));

  test.each([
    ['matrix', 200, '{"status":"success","data":{"resultType":"matrix","result":[]}}', 'expected an instant vector or a scalar, got matrix'],
    ['no JSON', 200, '<html>', 'the answer is not JSON: <html>'],
    ['no JSON and a bad status', 502, 'Bad Gateway\n', 'status 502: Bad Gateway'],
    ['null', 200, 'null', 'the answer is no object'],
    ['an error of another status', 400, '{"status":"error","errorType":"bad_data","error":"parse error"}', 'bad_data: parse error'],
    ['nothing known', 500, '{}', 'status 500: {}'],
    ['a bad value', 200, '{"data":{"resultType":"vector","result":[{"metric":{},"value":[1,"x"]}]}}', 'an element of the answer has no value: [1,"x"]'],
    ['no value', 200, '{"data":{"resultType":"vector","result":[{"metric":{}}]}}', 'has no value'],
    ['a native histogram', 200, '{"data":{"resultType":"vector","result":[{"metric":{},"histogram":[1,{}]}]}}', 'native histograms'],
    ['no labels', 200, '{"data":{"resultType":"vector","result":[null]}}', 'has no labels'],
  ])('%s is refused', (_name, status, text, message) => expect(() => readQueryAnswer(status, text)).toThrow(message));
});

test('stores of all queriers; one without that page has none', async () => {
  const prometheus = await startFakeServer((_request, _body, response) => sendJson(response, 404, {}));
  querier.stores = { rule: [{ name: 'a:1', lastError: null, labelSets: [{ replica: '0' }] }, { name: 'b:2', lastError: 'down', labelSets: [] }], sidecar: [{ name: 's:1', lastError: null, labelSets: [{ x: 'y' }] }] };
  expect(await clientsOf([[prometheus.url, querier.url]]).stores(AbortSignal.timeout(5000))).toEqual([
    [
      { name: 'a:1', component: 'rule', isUp: true, labelSets: [['replica', '0']] },
      { name: 'b:2', component: 'rule', isUp: false, labelSets: [] },
      { name: 's:1', component: 'sidecar', isUp: true, labelSets: [['x', 'y']] },
    ],
  ]);
  await prometheus.close();
});
