/** Rules and alerts through a whole querier and one on top of it: rulers behind real gRPC, the built worker in between; recorded rulers too. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { type RuleGroupState, type RuleState, labelsFromMap } from '@gauntlet/model';
import { EMPTY_RULES_REQUEST, type InfoResponse, type RulesResponse, rulesResponse } from '@gauntlet/proto';
import { type RunPart, createGrpcServer, createMetrics, createNopLogger, openGrpcChannel, parseFlags, renderMetrics } from '@gauntlet/service-kit';
import { type RulesSource, type StoreInfo, GrpcStoreClient, StoreError, createInfoService, createRulesClient, createRulesFrameService, createRulesService, infoToMessage } from '@gauntlet/storeapi';
import { querierFlags } from './flags.ts';
import { createQuerier } from './querier.ts';

const WORKER = join(import.meta.dirname, '..', 'dist', 'query-worker.js');
if (!existsSync(WORKER)) throw new Error('the query worker is not built: run `npm run build`');

const stops: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

interface Served {
  readonly address: string;
  stop(): Promise<void>;
}

const NO_STORE: InfoResponse = { ...infoToMessage({ labelSets: [], mint: 0, maxt: 0, storeType: 'rule', supportsSharding: false, supportsWithoutReplicaLabels: false, tsdbInfos: [] } satisfies StoreInfo), store: undefined, rules: {} };

/** A ruler without a Store API. Its info can be taken away. */
async function startRuler(source: RulesSource | readonly Uint8Array[], info: () => InfoResponse | undefined = () => NO_STORE): Promise<Served> {
  const server = createGrpcServer({ address: '127.0.0.1:0', gracePeriodMs: 0, component: 'rule', log: createNopLogger(), metrics: createMetrics() });
  const rules = typeof source === 'function' ? createRulesService(source) : createRulesFrameService(() => streamOf(source));
  for (const service of [rules, createInfoService(info)]) server.addService(service.methods, service.handlers);
  await server.start();
  const stop = (): Promise<void> => server.stop();
  stops.push(stop);
  return { address: `127.0.0.1:${server.port}`, stop };
}

async function* streamOf(frames: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* frames;
}

async function startQuerier(endpoints: readonly Served[], ...argv: string[]): Promise<{ readonly url: string; readonly address: string; metrics(): Promise<string>; update(): Promise<void> }> {
  const flags = [...endpoints.map(({ address }) => `--endpoint=${address}`), '--query.replica-label=replica', '--http-address=127.0.0.1:0', '--grpc-address=127.0.0.1:0', '--http-grace-period=0s', '--grpc-grace-period=0s', ...argv];
  const outcome = parseFlags({ name: 'query', help: '', flags: querierFlags }, flags);
  if (outcome.kind !== 'run') throw new Error(outcome.stderr);
  const metrics = createMetrics();
  const querier = await createQuerier(outcome.values, { log: createNopLogger(), metrics, clock: Date.now, shownFlags: {}, uiDir: '/nowhere', workerModule: new URL(`file://${WORKER}`) });
  const started: RunPart[] = [];
  stops.push(async () => {
    for (const part of started) await part.stop?.('test ends');
  });
  for (const part of querier.parts) {
    await part.start?.();
    started.unshift(part);
  }
  return { url: `http://${querier.httpAddress()}/api/v1`, address: querier.grpcAddress(), metrics: async () => String((await renderMetrics(metrics.registry, undefined)).body), update: () => querier.endpoints.update() };
}

interface RulesAnswer {
  readonly status: string;
  readonly errorType?: string;
  readonly error?: string;
  readonly warnings?: readonly string[];
  readonly data?: { readonly groups: readonly { readonly name: string; readonly rules: readonly { readonly name: string; readonly type: string; readonly state?: string; readonly labels: Record<string, string> }[] }[]; readonly alerts?: readonly { readonly labels: Record<string, string> }[] | null };
}

async function get(url: string): Promise<{ readonly code: number; readonly answer: RulesAnswer }> {
  const response = await fetch(url);
  return { code: response.status, answer: (await response.json()) as RulesAnswer };
}

const rule = (name: string, replica: string, state?: 'pending' | 'firing'): RuleState => {
  const status = { name, query: 'up', labels: labelsFromMap({ replica, team: 'core' }), health: 'ok', lastError: '', evaluationSeconds: 0, lastEvaluationMs: 1000 } as const;
  if (state === undefined) return { kind: 'recording', ...status };
  const alert = { labels: ['alertname', name], annotations: [], state, activeAtMs: 500, value: '1e+00', strategy: 'abort' } as const;
  return { kind: 'alerting', ...status, state, forSeconds: 60, keepFiringForSeconds: 0, annotations: [], alerts: [alert] };
};
const group = (name: string, ...rules: RuleState[]): RuleGroupState => ({ name, file: '/rules.yml', intervalSeconds: 30, limit: 0, strategy: 'abort', rules, evaluationSeconds: 0, lastEvaluationMs: 1000 });
const replica = (name: string, state: 'pending' | 'firing'): readonly RuleGroupState[] => [group('g', rule('r', name), rule('Down', name, state)), group('only-' + name, rule('s', name))];
const shape = ({ data }: RulesAnswer): unknown => data?.groups.map(({ name, rules }) => [name, ...rules.map((one) => [one.name, one.state ?? one.type, one.labels])]);

describe('two rulers, one a replica of the other', () => {
  test('rules of replicas are one, the firing one; alerts follow; both are chosen by parameters', async () => {
    const [a, b] = [await startRuler(async () => replica('a', 'pending')), await startRuler(async () => replica('b', 'firing'))];
    const { url } = await startQuerier([a, b]);
    const core = { team: 'core' };
    expect(shape((await get(`${url}/rules`)).answer)).toEqual([['g', ['Down', 'firing', core], ['r', 'recording', core]], ['only-a', ['s', 'recording', core]], ['only-b', ['s', 'recording', core]]]);
    expect((await get(`${url}/alerts`)).answer.data).toEqual({ alerts: [expect.objectContaining({ labels: { alertname: 'Down' }, state: 'firing', activeAt: '1970-01-01T00:00:00.5Z', value: '1e+00' })] });
    expect(shape((await get(`${url}/rules?type=record&rule_group[]=g`)).answer)).toEqual([['g', ['r', 'recording', core]]]);
    expect(shape((await get(`${url}/rules?type=alert`)).answer)).toEqual([['g', ['Down', 'firing', core]], ['only-a'], ['only-b']]);
    expect(shape((await get(`${url}/rules?match[]={team="core"}&rule_name[]=s&file[]=/rules.yml`)).answer)).toEqual([['only-a', ['s', 'recording', core]], ['only-b', ['s', 'recording', core]]]);
    expect((await get(`${url}/rules?dedup=false&rule_group[]=g`)).answer.data!.groups[0]!.rules.map(({ labels }) => labels['replica'])).toEqual(['a', 'b', 'a', 'b']);
    expect((await get(`${url}/alerts?dedup=false`)).answer.data!.alerts).toHaveLength(2);
  });

  test('a querier over it: the same answer, replicas are told apart until the top', async () => {
    const [a, b] = [await startRuler(async () => replica('a', 'pending')), await startRuler(async () => replica('b', 'firing'))];
    const leaf = await startQuerier([a, b]);
    const top = await startQuerier([{ address: leaf.address, stop: async () => {} }]);
    for (const path of ['rules', 'rules?type=alert', 'rules?dedup=false', 'alerts']) {
      const [below, above] = [await get(`${leaf.url}/${path}`), await get(`${top.url}/${path}`)];
      expect(above).toEqual(below);
      expect(above.code).toBe(200);
    }
    const client = new GrpcStoreClient(openGrpcChannel({ address: leaf.address }));
    stops.push(() => client.channel.close());
    expect((await client.fetchInfo()).rules).toEqual({});
    const messages: RulesResponse[] = [];
    for await (const frame of createRulesClient(client).rules(EMPTY_RULES_REQUEST)) messages.push(rulesResponse.decode(frame));
    expect(messages.map((message) => message.group)).toEqual([...replica('a', 'pending'), ...replica('b', 'firing')]);
    expect(await leaf.metrics()).toContain('gauntlet_query_encoded_bytes_total{thread="main"} 0\n');
  });
});

describe('failures', () => {
  const broken = (): Promise<never> => Promise.reject(new StoreError('ERR_STORE_INTERNAL', 'rules on fire'));
  const texts = (address: string): string => `fetching rules from rules client ${address}: rpc error: code = Internal desc = rules on fire`;

  test('are a warning, or an error where partial answers are not wanted', async () => {
    const [good, bad] = [await startRuler(async () => replica('a', 'firing')), await startRuler(broken)];
    const { url, address } = await startQuerier([good, bad]);
    const warned = await get(`${url}/rules`);
    expect(warned.answer.warnings).toEqual([texts(bad.address)]);
    expect(warned.answer.data!.groups).toHaveLength(2);
    expect((await fetch(`${url}/alerts`)).headers.get('cache-control')).toBe('no-store');
    expect((await get(`${url}/alerts`)).answer.warnings).toEqual([texts(bad.address)]);
    const wanted = { status: 'error', errorType: 'internal', error: `error retrieving rules: proxy Rules: ${texts(bad.address)}` };
    expect(await get(`${url}/rules?partial_response=false`)).toEqual({ code: 500, answer: wanted });
    expect(await get(`${url}/alerts?partial_response=false`)).toEqual({ code: 500, answer: wanted });
    // Over gRPC the caller's strategy decides.
    const top = await startQuerier([{ address, stop: async () => {} }], '--no-rule.partial-response');
    expect((await get(`${top.url}/rules?partial_response=true`)).answer.warnings).toEqual([texts(bad.address)]);
    const refused = await get(`${top.url}/rules`);
    expect(refused.code).toBe(500);
    expect(refused.answer.error).toContain(texts(bad.address));
  });

  test('an endpoint that is down is a warning until it is forgotten; one without rules is not asked', async () => {
    let isUp = true;
    const flapping = await startRuler(async () => replica('a', 'firing'), () => (isUp ? NO_STORE : undefined));
    const without = await startRuler(broken, () => ({ ...NO_STORE, rules: undefined }));
    const querier = await startQuerier([flapping, without]);
    expect((await get(`${querier.url}/rules`)).answer).toMatchObject({ status: 'success', data: { groups: [{ name: 'g' }, { name: 'only-a' }] } });
    isUp = false;
    await querier.update();
    const down = await get(`${querier.url}/rules`);
    expect(down.answer.data!.groups).toEqual([]);
    expect(down.answer.warnings).toEqual([expect.stringMatching(`^fetching rules from rules client ${flapping.address}: .*not ready`)]);
  });

  test('wrong parameters are refused', async () => {
    const { url } = await startQuerier([]);
    expect(await get(`${url}/rules?type=x`)).toEqual({ code: 400, answer: { status: 'error', errorType: 'bad_data', error: "invalid rules parameter type='x'" } });
    expect(await get(`${url}/rules?match[]={`)).toEqual({ code: 500, answer: { status: 'error', errorType: 'internal', error: 'error retrieving rules: parser ParseMetricSelector: 1:2: parse error: unexpected end of input inside braces' } });
    expect((await get(`${url}/rules`)).answer).toEqual({ status: 'success', data: { groups: [] } });
    expect((await get(`${url}/alerts`)).answer).toEqual({ status: 'success', data: { alerts: null } });
  });
});

const golden = join(process.env['GAUNTLET_SHARED'] ?? join(import.meta.dirname, '../../../../shared'), 'golden');

(existsSync(golden) ? describe : describe.skip)('over recorded rulers (skipped without the shared data folder)', () => {
  const readJson = <T>(path: string): T => JSON.parse(readFileSync(join(golden, path), 'utf8')) as T;
  const frames = (server: string): Uint8Array[] => readJson<{ frames: string[] }>(`storeapi/${server}/rules-all.json`).frames.map((text) => new Uint8Array(Buffer.from(text, 'base64')));
  /** Evaluations went on between the recordings. */
  const lasting = (answer: RulesAnswer): unknown => JSON.parse(JSON.stringify(answer, (key, value: unknown) => (['lastEvaluation', 'evaluationTime', 'activeAt', 'alerts'].includes(key) ? undefined : value)));

  test('the recorded querier chose and merged the same', async () => {
    const [ruler, sidecar] = [await startRuler(frames('live-rule')), await startRuler(frames('live-sidecar'))];
    const { url } = await startQuerier([ruler, sidecar], '--query.replica-label=rule_replica');
    for (const name of ['rules', 'rules-alert', 'rules-group', 'rules-match', 'rules-name']) {
      const recorded = readJson<{ request: { params: [string, string][] }; json: RulesAnswer }>(`http-api/live-query/${name}.json`);
      const { answer } = await get(`${url}/rules?${new URLSearchParams(recorded.request.params)}`);
      expect([name, lasting(answer)]).toEqual([name, lasting(recorded.json)]);
      expect(answer.data!.groups.length).toBeGreaterThan(0);
    }
  });
});
