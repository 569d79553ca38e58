/** Exemplars of the Prometheus beside the sidecar: recorded calls played again, whole over gRPC, and answers that are wrong. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { readExemplars } from '@gauntlet/http-api';
import { decodeExemplarsResponse, exemplarsRequest, type ExemplarsResponse } from '@gauntlet/proto';
import { createExemplarsClient } from '@gauntlet/storeapi';
import { prometheusExemplars } from './prometheus-exemplars.ts';
import { type AnsweringSidecar, startAnsweringSidecar } from './testing/answering-sidecar.ts';

interface Call {
  readonly requestBase64: string;
  readonly status: { readonly code: number; readonly message: string };
  readonly frames: readonly string[];
  readonly upstream: readonly { readonly request: { readonly url: string }; readonly response: { readonly status: number; readonly text: string } }[];
}

const folders = [join(import.meta.dirname, '../testdata'), join(process.env['GAUNTLET_SHARED'] ?? join(import.meta.dirname, '../../../../shared'), 'golden/storeapi/live-sidecar')];
const recorded = folders.flatMap((folder) => (existsSync(folder) ? readdirSync(folder).filter((name) => name.startsWith('exemplars-')).map((name) => [name, join(folder, name)] as const) : []));
const EXTERNAL_LABELS = ['cluster', 'live', 'replica', '0'];
const bytesOf = (base64: string): Uint8Array => new Uint8Array(Buffer.from(base64, 'base64'));
const REQUEST = { query: 'a', start: 0, end: 1000, partialResponseStrategy: 0 };

async function collect(frames: AsyncIterable<Uint8Array>): Promise<ExemplarsResponse[]> {
  const all: ExemplarsResponse[] = [];
  for await (const frame of frames) all.push(decodeExemplarsResponse(frame));
  return all;
}

test.each(recorded.filter(([, path]) => (JSON.parse(readFileSync(path, 'utf8')) as Call).status.code === 0))('%s', async (_, path) => {
  const call = JSON.parse(readFileSync(path, 'utf8')) as Call;
  const exchange = call.upstream.find(({ request }) => request.url.startsWith('/api/v1/query_exemplars'))!;
  const asked: string[] = [];
  const client = {
    async get(at: string, query: readonly (readonly [string, string])[]) {
      asked.push(`${at}?${new URLSearchParams(query.map(([name, value]): [string, string] => [name, value])).toString()}`);
      return (JSON.parse(exchange.response.text) as { data: unknown }).data;
    },
  };
  const answer = await collect(prometheusExemplars({ client, externalLabels: EXTERNAL_LABELS, readExemplars }, exemplarsRequest.decode(bytesOf(call.requestBase64))));
  expect(asked).toEqual([exchange.request.url]);
  expect(answer).toEqual(call.frames.map((frame) => decodeExemplarsResponse(bytesOf(frame))));
});

const closers: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const startSidecar = (answer: { status: number; text: string }): Promise<AnsweringSidecar> => startAnsweringSidecar({ path: '/api/v1/query_exemplars', ...answer }, closers);

describe('over gRPC', () => {
  test('exemplars come with external labels; any time is asked for as times that a Prometheus knows', async () => {
    const { fake, client } = await startSidecar({ status: 200, text: '{"status":"success","data":[{"seriesLabels":{"__name__":"a"},"exemplars":[{"labels":{"t":"1"},"value":"+Inf","timestamp":1.001}]}]}' });
    const answer = await collect(createExemplarsClient(client).exemplars({ ...REQUEST, start: Number.MIN_SAFE_INTEGER, end: Number.MAX_SAFE_INTEGER }));
    expect(answer).toEqual([{ series: { labels: ['__name__', 'a', 'cluster', 'live', 'replica', '0'], exemplars: [{ labels: ['t', '1'], value: Number.POSITIVE_INFINITY, timeMs: 1001 }] }, warning: '' }]);
    expect(fake.requests.filter((request) => request.includes('exemplars'))).toEqual(['GET /api/v1/query_exemplars?end=8640000000000&query=a&start=-8640000000000']);
  });

  const data = (json: string): string => `{"status":"success","data":${json}}`;
  const READ = 'read /api/v1/query_exemplars of Prometheus: ';
  test.each([
    { name: 'an error of Prometheus', status: 503, text: 'starting', code: 'ERR_STORE_UNAVAILABLE', message: 'expected 2xx response, got 503. Body: starting' },
    { name: 'no list', status: 200, text: data('{}'), code: 'ERR_STORE_INTERNAL', message: `${READ}data is {}, want a list` },
    { name: 'a value that is none', status: 200, text: data('[{"seriesLabels":{},"exemplars":[{"value":"x","timestamp":1}]}]'), code: 'ERR_STORE_INTERNAL', message: `${READ}data[0].exemplars[0].value is "x", want a number as text` },
    { name: 'a time that is none', status: 200, text: data('[{"exemplars":[{"value":"1"}],"seriesLabels":{}}]'), code: 'ERR_STORE_INTERNAL', message: `${READ}data[0].exemplars[0].timestamp is not there, want a number of seconds` },
    { name: 'a label that is none', status: 200, text: data('[{"seriesLabels":{"a":1}}]'), code: 'ERR_STORE_INTERNAL', message: `${READ}data[0].seriesLabels.a is 1, want text` },
  ])('$name is the status of the call', async ({ status, text, code, message }) => {
    const { client } = await startSidecar({ status, text });
    await expect(collect(createExemplarsClient(client).exemplars(REQUEST))).rejects.toMatchObject({ code, message });
  });
});
