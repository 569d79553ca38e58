/** Rules over gRPC and from many endpoints: what a server sends, what a proxy makes of failures, that nothing is left running. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Server, ServerCredentials, type ServiceDefinition } from '@grpc/grpc-js';
import { afterEach, describe, expect, test } from '@jest/globals';
import type { RuleGroupState, RuleState } from '@gauntlet/model';
import { EMPTY_RULES_REQUEST, PARTIAL_RESPONSE, RULE_TYPE, type RulesRequest, rulesRequest, type RulesResponse, rulesResponse } from '@gauntlet/proto';
import { openGrpcChannel } from '@gauntlet/service-kit';
import { createRulesClient, createRulesFrameService, createRulesService, fanOutRules, type GrpcService, GrpcStoreClient, proxyRules, type RulesEndpoint, StoreError } from './index.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** An endpoint over gRPC on loopback. */
async function serve(service: GrpcService): Promise<RulesEndpoint> {
  const server = new Server();
  server.addService(service.methods as ServiceDefinition, service.handlers);
  const port = await new Promise<number>((resolve, reject) => server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => (error === null ? resolve(bound) : reject(error))));
  const client = new GrpcStoreClient(openGrpcChannel({ address: `127.0.0.1:${port}` }));
  closers.push(() => client.channel.close(), () => server.forceShutdown());
  return { address: 'ruler:10901', ...createRulesClient(client) };
}

const rule = (kind: RuleState['kind'], name: string): RuleState => {
  const status = { name, query: 'up', labels: ['cluster', 'eu'], health: 'ok', lastError: '', evaluationSeconds: 0.5, lastEvaluationMs: 1000.25 } as const;
  return kind === 'recording' ? { kind, ...status } : { kind, ...status, state: 'firing', forSeconds: 60, keepFiringForSeconds: 0, annotations: [], alerts: [] };
};
const group = (name: string, ...rules: RuleState[]): RuleGroupState => ({ name, file: 'f.yml', intervalSeconds: 60, limit: 0, strategy: 'abort', rules, evaluationSeconds: 1, lastEvaluationMs: 1000.25 });
const mixed = group('mixed', rule('recording', 'r'), rule('alerting', 'A'));
const plain = group('plain', rule('recording', 's'));
const ABORT: RulesRequest = { ...EMPTY_RULES_REQUEST, partialResponseStrategy: PARTIAL_RESPONSE.abort };

const frameOf = (message: Partial<RulesResponse>): Uint8Array => rulesResponse.encode({ group: undefined, warning: '', ...message });
const endpoint = (address: string, ...messages: (Uint8Array | Error)[]): RulesEndpoint => ({
  address,
  async *rules() {
    for (const message of messages) {
      if (message instanceof Error) throw message;
      yield message;
    }
  },
});

describe('service', () => {
  test.each([
    { name: 'everything', type: RULE_TYPE.all, wanted: [['mixed', 'r', 'A'], ['plain', 's']] },
    { name: 'alerts, with groups that have none', type: RULE_TYPE.alerting, wanted: [['mixed', 'A'], ['plain']] },
    { name: 'recording rules', type: RULE_TYPE.recording, wanted: [['mixed', 'r'], ['plain', 's']] },
    { name: 'an unknown type: everything', type: 7, wanted: [['mixed', 'r', 'A'], ['plain', 's']] },
  ])('$name', async ({ type, wanted }) => {
    const asked: RulesRequest[] = [];
    const ruler = await serve(
      createRulesService(async (request) => {
        asked.push(request);
        return [mixed, plain];
      }),
    );
    const request = { ...EMPTY_RULES_REQUEST, type, ruleName: ['s'], matcherString: ['{'] };
    const { groups, warnings } = await fanOutRules([ruler], request);
    expect(asked).toEqual([request]);
    expect(groups.map(({ name, rules }) => [name, ...rules.map((one) => one.name)])).toEqual(wanted);
    expect(warnings).toEqual([]);
  });

  test('groups come as they were, from a stream too', async () => {
    const ruler = await serve(
      createRulesService(async function* () {
        yield mixed;
        yield plain;
      }),
    );
    expect((await fanOutRules([ruler], EMPTY_RULES_REQUEST)).groups).toEqual([mixed, plain]);
  });

  test('an error is the status of the call', async () => {
    const ruler = await serve(createRulesService(() => Promise.reject(new StoreError('ERR_STORE_RESOURCE_EXHAUSTED', 'too many rules'))));
    expect(await fanOutRules([ruler], EMPTY_RULES_REQUEST)).toEqual({ groups: [], warnings: ['fetching rules from rules client ruler:10901: rpc error: code = ResourceExhausted desc = too many rules'] });
    await expect(fanOutRules([ruler], ABORT)).rejects.toMatchObject({ code: 'ERR_STORE_RESOURCE_EXHAUSTED', message: 'fetching rules from rules client ruler:10901: rpc error: code = ResourceExhausted desc = too many rules' });
  });

  test('a stacked proxy passes messages on: warnings first, groups unmerged', async () => {
    const below = [endpoint('a', frameOf({ group: mixed }), frameOf({ warning: 'from below' })), endpoint('b', frameOf({ group: mixed }), new StoreError('ERR_STORE_UNAVAILABLE', 'gone'))];
    const querier = await serve(createRulesFrameService((request, options) => proxyRules(below, request, options)));
    const messages: RulesResponse[] = [];
    for await (const frame of querier.rules(EMPTY_RULES_REQUEST)) messages.push(rulesResponse.decode(frame));
    // A warning in a message is passed on with its endpoint's messages.
    expect(messages.map(({ group: one, warning }) => one?.name ?? warning)).toEqual(['receiving rules from rules client b: gone', 'mixed', 'from below', 'mixed']);
  });

  test('a caller that goes away ends the calls below', async () => {
    let below: AbortSignal | undefined;
    let onAsked = (): void => {};
    const asked = new Promise<void>((resolve) => {
      onAsked = resolve;
    });
    const ruler = await serve(
      createRulesFrameService(async function* (_, { signal }) {
        below = signal!;
        onAsked();
        yield await new Promise<never>((_resolve, reject) => signal!.addEventListener('abort', () => reject(new DOMException('gone', 'AbortError'))));
      }),
    );
    const stop = new AbortController();
    const answer = fanOutRules([ruler], EMPTY_RULES_REQUEST, { signal: stop.signal });
    await asked;
    stop.abort(new Error('caller left'));
    await expect(answer).rejects.toThrow('caller left');
    await new Promise<void>((resolve) => (below!.aborted ? resolve() : below!.addEventListener('abort', () => resolve())));
  });
});

describe('failures', () => {
  const dead = endpoint('dead', new StoreError('ERR_STORE_UNAVAILABLE', 'refused'));

  test('WARN: what came stays, each warning once', async () => {
    const half = endpoint('half', frameOf({ group: plain }), frameOf({ warning: 'w' }), frameOf({ warning: 'w' }), new StoreError('ERR_STORE_INTERNAL', 'cut'));
    const { groups, warnings } = await fanOutRules([dead, half, endpoint('good', frameOf({ group: mixed }))], EMPTY_RULES_REQUEST);
    expect(groups.map(({ name }) => name)).toEqual(['plain', 'mixed']);
    expect(warnings.toSorted()).toEqual(['fetching rules from rules client dead: refused', 'receiving rules from rules client half: cut', 'w']);
  });

  test('ABORT: the first failure ends the other calls', async () => {
    let ended = false;
    const silent: RulesEndpoint = {
      address: 'silent',
      async *rules(_, { signal } = {}) {
        try {
          yield await new Promise<never>((_resolve, reject) => signal!.addEventListener('abort', () => reject(signal!.reason as Error)));
        } finally {
          ended = true;
        }
      },
    };
    await expect(fanOutRules([silent, dead], ABORT)).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE', message: 'fetching rules from rules client dead: refused' });
    expect(ended).toBe(true);
  });

  test('a message that cannot be read is the failure of its endpoint', async () => {
    const { groups, warnings } = await fanOutRules([endpoint('odd', Uint8Array.of(0x0a, 5, 1)), endpoint('good', frameOf({ group: plain }))], EMPTY_RULES_REQUEST);
    expect(groups).toEqual([plain]);
    expect(warnings).toEqual([expect.stringMatching(/^receiving rules from rules client odd: /)]);
  });

  test('a budget that is refused ends the call, whatever the strategy', async () => {
    const charge = { reserve: (): never => { throw new Error('over budget'); }, release: () => {} };
    await expect(fanOutRules([endpoint('good', frameOf({ group: plain }))], EMPTY_RULES_REQUEST, { charge })).rejects.toThrow('over budget');
  });

  test('nobody to ask: nothing', async () => {
    expect(await fanOutRules([], ABORT)).toEqual({ groups: [], warnings: [] });
  });
});

const here = dirname(fileURLToPath(import.meta.url));
const recorded = join(process.env['GAUNTLET_SHARED'] ?? join(here, '../../../../shared'), 'golden/storeapi');

(existsSync(recorded) ? describe : describe.skip)('recorded calls (skipped without the shared data folder)', () => {
  interface Call {
    readonly requestBase64: string;
    readonly frames: readonly string[];
  }
  const readCall = (server: string, name: string): Call => JSON.parse(readFileSync(join(recorded, server, name), 'utf8')) as Call;
  const decode = (frames: readonly string[]): RuleGroupState[] => frames.map((text) => rulesResponse.decode(new Uint8Array(Buffer.from(text, 'base64'))).group!);
  const calls = readdirSync(join(recorded, 'live-rule')).filter((name) => name.startsWith('rules-'));
  /** Files are kept in a map there: only the order inside a group is fixed. */
  const sorted = (groups: readonly RuleGroupState[]): unknown => groups.map(({ name, file, rules }) => ({ key: `${file};${name}`, rules: rules.map((one) => one.name) })).toSorted((a, b) => (a.key < b.key ? -1 : 1));

  test.each(calls)('%s: our service over the ruler\'s groups answers as the ruler', async (name) => {
    const all = decode(readCall('live-rule', 'rules-all.json').frames);
    const call = readCall('live-rule', name);
    const request = rulesRequest.decode(new Uint8Array(Buffer.from(call.requestBase64, 'base64')));
    const ruler = await serve(createRulesService(async () => all));
    expect(sorted((await fanOutRules([ruler], request)).groups)).toEqual(sorted(decode(call.frames)));
  });
});
