import { expect, test } from '@jest/globals';
import { ApiParams } from '@gauntlet/http-api/worker';
import { encodeExemplarsResponse } from '@gauntlet/proto';
import { type ExemplarsEndpoint, type GrpcStoreClient, StoreError } from '@gauntlet/storeapi';
import type { EndpointSnapshot } from './endpoint-set.ts';
import { answerExemplarsOf, type ExemplarsDefaults, exemplarsEndpoints } from './exemplars-answer.ts';

const DEFAULTS: ExemplarsDefaults = { replicaLabels: ['replica'], partialResponse: true, selectorLabels: ['region', 'eu'], parser: {} };
const info = { labelSets: [['replica', 'a']], mint: 0, maxt: 1, storeType: 'sidecar', supportsSharding: true, supportsWithoutReplicaLabels: true, tsdbInfos: [] };
const asked: string[] = [];

function endpointsOf(...snapshots: Partial<EndpointSnapshot>[]): ExemplarsEndpoint[] {
  const client = {
    async *stream(_method: unknown, request: { readonly query: string }) {
      asked.push(request.query);
      yield encodeExemplarsResponse({ series: { labels: ['__name__', 'm', 'replica', 'a'], exemplars: [{ labels: ['t', '1'], value: 1, timeMs: 1000 }] }, warning: '' });
    },
  } as unknown as GrpcStoreClient;
  return exemplarsEndpoints(snapshots.map((snapshot, i) => ({ target: { address: `e${i}:1`, members: [], tls: undefined }, info, ...snapshot })) as EndpointSnapshot[], () => client);
}

async function answer(endpoints: readonly ExemplarsEndpoint[], query: string, defaults: Partial<ExemplarsDefaults> = {}): Promise<unknown> {
  asked.length = 0;
  const found = await answerExemplarsOf(endpoints, new ApiParams(new URLSearchParams({ query }), undefined), { ...DEFAULTS, ...defaults }, {});
  const pieces: Uint8Array[] = [];
  for await (const piece of found.body) pieces.push(piece);
  return JSON.parse(Buffer.concat(pieces).toString());
}

const ONE = [{ seriesLabels: { __name__: 'm' }, exemplars: [{ labels: { t: '1' }, timestamp: 1, value: '1' }] }];

test('replicas become one; labels that the querier stands for are decided here, those of a querier behind it there', async () => {
  const endpoints = endpointsOf({}, { info: { ...info, storeType: 'query' } });
  expect(await answer(endpoints, 'm{region="eu",replica="a"}')).toEqual({ status: 'success', data: ONE });
  expect(asked).toEqual(['{__name__="m"}', '{replica="a",__name__="m"}']);
  expect(await answer(endpoints, 'm{region="us"}')).toEqual({ status: 'success', data: [] });
  expect(asked).toEqual([]);
});

test('an endpoint that is down is not called: a warning, or the end', async () => {
  const endpoints = endpointsOf({ unavailable: 'no connection' }, {});
  expect(await answer(endpoints, 'm')).toEqual({ status: 'success', data: ONE, warnings: ['fetching exemplars from exemplars client e0:1: no connection'] });
  expect(asked).toHaveLength(1);
  await expect(answer(endpoints, 'm', { partialResponse: false })).rejects.toMatchObject({ code: 'ERR_INTERNAL', message: 'retrieving exemplars: proxy Exemplars: fetching exemplars from exemplars client e0:1: no connection', cause: expect.any(StoreError) });
});
