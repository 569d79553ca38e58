/** Exemplars over gRPC and from many endpoints: who is asked for what, and what becomes of failures. */
import { Server, ServerCredentials, type ServiceDefinition } from '@grpc/grpc-js';
import { afterEach, describe, expect, test } from '@jest/globals';
import { createMatcher, type Labels, type Matcher } from '@gauntlet/model';
import { encodeExemplarsResponse, type ExemplarSeries, type ExemplarsRequest } from '@gauntlet/proto';
import { openGrpcChannel } from '@gauntlet/service-kit';
import { createExemplarsClient, createExemplarsService, type ExemplarsEndpoint, fanOutExemplars, GrpcStoreClient, StoreError } from './index.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

const series = (name: string, ...times: number[]): ExemplarSeries => ({ labels: ['__name__', name], exemplars: times.map((timeMs) => ({ labels: ['trace_id', 'x'], value: timeMs / 2, timeMs })) });
const asked: [string, ExemplarsRequest][] = [];
const endpoint = (address: string, labelSets: readonly Labels[], answer: ExemplarSeries | Error | Uint8Array, takesExternalLabels = false): ExemplarsEndpoint => ({
  address,
  labelSets,
  takesExternalLabels,
  async *exemplars(request) {
    asked.push([address, request]);
    if (answer instanceof Error) throw answer;
    yield answer instanceof Uint8Array ? answer : encodeExemplarsResponse({ series: answer, warning: '' });
  },
});
const eq = (name: string, value: string): Matcher => createMatcher('=', name, value);
const question = (selectors: readonly (readonly Matcher[])[], partialResponse = true) => ({ selectors, startMs: 1000, endMs: 2000, partialResponse });

test('what a server has comes over the wire as it is; any time is asked for as times that a Prometheus knows', async () => {
  const server = new Server();
  const requests: ExemplarsRequest[] = [];
  const given: ExemplarSeries[] = [series('a', 1_763_712_000_123, -5), { labels: ['__name__', 'b', 'é', '"\n'], exemplars: [{ labels: [], value: Number.NaN, timeMs: 0 }] }];
  const service = createExemplarsService(async (request) => {
    requests.push(request);
    return given;
  });
  server.addService(service.methods as ServiceDefinition, service.handlers);
  const port = await new Promise<number>((resolve, reject) => server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => (error === null ? resolve(bound) : reject(error))));
  const client = new GrpcStoreClient(openGrpcChannel({ address: `127.0.0.1:${port}` }));
  closers.push(() => client.channel.close(), () => server.forceShutdown());
  const answer = await fanOutExemplars([{ address: 'a', labelSets: [], takesExternalLabels: false, ...createExemplarsClient(client) }], { ...question([[eq('__name__', 'a')]]), startMs: Number.MIN_SAFE_INTEGER, endMs: Number.MAX_SAFE_INTEGER });
  expect(answer).toEqual({ series: given, warnings: [] });
  expect(requests).toEqual([{ query: '{__name__="a"}', start: -8.64e15, end: 8.64e15, partialResponseStrategy: 0 }]);
});

test('each endpoint gets the selectors that concern it, without matchers on its external labels; queriers get them whole', async () => {
  asked.length = 0;
  const a = [['replica', 'a']];
  await fanOutExemplars(
    [endpoint('sidecar-a', a, series('m')), endpoint('sidecar-b', [['replica', 'b']], series('m')), endpoint('querier', a, series('m'), true), endpoint('plain', [], series('m'))],
    question([[eq('__name__', 'm'), eq('replica', 'a')], [eq('replica', 'a')], [createMatcher('=~', 'odd.name', 'x"y')]]),
  );
  expect(asked.map(([address, { query }]) => [address, query])).toEqual([
    ['sidecar-a', '{__name__="m"} + {__name__=~".+"} + {"odd.name"=~"x\\"y"}'],
    ['sidecar-b', '{"odd.name"=~"x\\"y"}'],
    ['querier', '{__name__="m",replica="a"} + {replica="a"} + {"odd.name"=~"x\\"y"}'],
    ['plain', '{__name__="m",replica="a"} + {replica="a"} + {"odd.name"=~"x\\"y"}'],
  ]);
});

describe('one endpoint fails', () => {
  const down = new StoreError('ERR_STORE_UNAVAILABLE', 'no connection');
  const selectors = [[eq('__name__', 'm')]];
  test('a warning, the others answer', async () => {
    const answer = await fanOutExemplars([endpoint('up:1', [], series('m', 5)), endpoint('down:1', [], down), endpoint('damaged:1', [], Uint8Array.of(0x0a, 0x05, 0x01))], question(selectors));
    expect(answer.series).toEqual([series('m', 5)]);
    expect(answer.warnings).toEqual([
      'fetching exemplars from exemplars client down:1: no connection',
      expect.stringMatching(/^receiving exemplars from exemplars client damaged:1: read protobuf: message ends inside a field/),
    ]);
  });
  test('the end, where that was asked for', async () => {
    await expect(fanOutExemplars([endpoint('up:1', [], series('m', 5)), endpoint('down:1', [], down)], question(selectors, false))).rejects.toThrow('fetching exemplars from exemplars client down:1: no connection');
  });
});
