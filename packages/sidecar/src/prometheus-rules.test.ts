/** Rules of the Prometheus beside the sidecar: recorded calls played again, whole over gRPC, and answers that are wrong. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { readRuleGroups } from '@gauntlet/http-api';
import { EMPTY_RULES_REQUEST, RULE_TYPE, type RulesResponse, rulesRequest, rulesResponse } from '@gauntlet/proto';
import { createRulesClient } from '@gauntlet/storeapi';
import { prometheusRules } from './prometheus-rules.ts';
import { type AnsweringSidecar, startAnsweringSidecar } from './testing/answering-sidecar.ts';

interface Call {
  readonly requestBase64: string;
  readonly frames: readonly string[];
  readonly upstream: readonly { readonly request: { readonly url: string }; readonly response: { readonly status: number; readonly text: string } }[];
}

const folders = [join(import.meta.dirname, '../testdata'), join(process.env['GAUNTLET_SHARED'] ?? join(import.meta.dirname, '../../../../shared'), 'golden/storeapi/live-sidecar')];
const recorded = folders.flatMap((folder) => (existsSync(folder) ? readdirSync(folder).filter((name) => name.startsWith('rules-')).map((name) => [name, join(folder, name)] as const) : []));
const EXTERNAL_LABELS = ['cluster', 'live', 'replica', '0'];

const bytesOf = (base64: string): Uint8Array => new Uint8Array(Buffer.from(base64, 'base64'));

async function collect(frames: AsyncIterable<Uint8Array>): Promise<RulesResponse[]> {
  const all: RulesResponse[] = [];
  for await (const frame of frames) all.push(rulesResponse.decode(frame));
  return all;
}

test.each(recorded)('%s', async (_, path) => {
  const call = JSON.parse(readFileSync(path, 'utf8')) as Call;
  const exchange = call.upstream.find(({ request }) => request.url.startsWith('/api/v1/rules'))!;
  const asked: string[] = [];
  const client = {
    async get(at: string, query: readonly (readonly [string, string])[]) {
      const search = new URLSearchParams(query.map(([name, value]): [string, string] => [name, value])).toString();
      asked.push(search === '' ? at : `${at}?${search}`);
      return (JSON.parse(exchange.response.text) as { data: unknown }).data;
    },
  };
  const answer = await collect(prometheusRules({ client, externalLabels: EXTERNAL_LABELS, readRuleGroups }, rulesRequest.decode(bytesOf(call.requestBase64))));
  expect(asked).toEqual([exchange.request.url]);
  expect(answer).toEqual(call.frames.map((frame) => rulesResponse.decode(bytesOf(frame))));
  expect(answer.length).toBeGreaterThan(0);
});

const closers: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const startSidecar = (answer: { status: number; text: string }): Promise<AnsweringSidecar> => startAnsweringSidecar({ path: '/api/v1/rules', ...answer }, closers);

describe('over gRPC', () => {
  test('rules are announced, asked for by type, and come with external labels', async () => {
    const call = JSON.parse(readFileSync(join(folders[0]!, 'rules-alert.json'), 'utf8')) as Call;
    const { fake, client } = await startSidecar({ status: 200, text: call.upstream[0]!.response.text });
    expect((await client.fetchInfo()).rules).toEqual({});
    const answer = await collect(createRulesClient(client).rules({ ...EMPTY_RULES_REQUEST, type: RULE_TYPE.alerting }));
    expect(answer).toEqual(call.frames.map((frame) => rulesResponse.decode(bytesOf(frame))));
    expect(fake.requests.filter((request) => request.includes('/rules'))).toEqual(['GET /api/v1/rules?type=alert']);
  });

  test.each([
    { name: 'an error of Prometheus', status: 503, text: 'starting', code: 'ERR_STORE_UNAVAILABLE', message: 'expected 2xx response, got 503. Body: starting' },
    { name: 'no JSON', status: 200, text: '<html>', code: 'ERR_STORE_INTERNAL', message: 'read /api/v1/rules of Prometheus: not JSON: <html>' },
    { name: 'JSON of another kind', status: 200, text: '{"status":"success","data":{"groups":[{"name":1}]}}', code: 'ERR_STORE_INTERNAL', message: 'read /api/v1/rules of Prometheus: read rules: groups[0].name: want text, got a number' },
  ])('$name is the status of the call', async ({ status, text, code, message }) => {
    const { client } = await startSidecar({ status, text });
    await expect(collect(createRulesClient(client).rules(EMPTY_RULES_REQUEST))).rejects.toMatchObject({ code, message });
  });
});
