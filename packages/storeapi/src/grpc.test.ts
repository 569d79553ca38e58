/** The gRPC edge: statuses both ways, back-pressure, cancellation, a dead address, recorded answers. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Server, ServerCredentials, type ServiceDefinition } from '@grpc/grpc-js';
import { afterEach, describe, expect, test } from '@jest/globals';
import { openGrpcChannel } from '@gauntlet/service-kit';
import { EMPTY_LABEL_NAMES_REQUEST, infoResponse, seriesRequest } from '@gauntlet/proto';
import {
  createInfoService,
  createProxyStore,
  createStoreService,
  errorText,
  GrpcStoreClient,
  infoFromMessage,
  infoToMessage,
  type Store,
  StoreError,
} from './index.ts';
import { dialText } from './grpc-status.ts';
import { readSeries, seriesOf } from './testing/index.ts';

// oxlint-disable-next-line typescript/no-explicit-any -- JSON of many shapes
type Json = any;

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

async function serve(store: Store, isReady = true): Promise<GrpcStoreClient> {
  const server = new Server();
  for (const service of [createStoreService(store), createInfoService(() => (isReady ? infoToMessage(store.info()) : undefined))]) server.addService(service.methods as ServiceDefinition, service.handlers);
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => (error === null ? resolve(bound) : reject(error))),
  );
  const client = new GrpcStoreClient(openGrpcChannel({ address: `127.0.0.1:${port}` }));
  closers.push(() => client.channel.close(), () => server.forceShutdown());
  return client;
}

const INFO = { labelSets: [['a', 'b']], mint: Number.MIN_SAFE_INTEGER, maxt: 5, storeType: 'store', supportsSharding: true, supportsWithoutReplicaLabels: false, tsdbInfos: [{ labels: ['a', 'b'], mint: 1, maxt: 2 }] };

function storeOf(series: Store['series']): Store {
  const refuse = async (): Promise<never> => {
    throw new StoreError('ERR_STORE_NOT_FOUND', 'nothing hére');
  };
  return { series, labelNames: refuse, labelValues: refuse, info: () => INFO };
}

test('info travels unchanged, and is refused before readiness', async () => {
  const client = await serve(storeOf(async function* () {}));
  expect(infoFromMessage(await client.fetchInfo())).toEqual(INFO);
  expect(client.info()).toEqual(INFO);
  const early = await serve(storeOf(async function* () {}), false);
  await expect(early.fetchInfo()).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE', message: 'not ready' });
  expect(() => early.info()).toThrow(/not known yet/);
});

test('statuses and texts survive the way', async () => {
  const client = await serve(
    storeOf(async function* () {
      yield Uint8Array.of(0x12, 1, 65);
      throw new StoreError('ERR_STORE_RESOURCE_EXHAUSTED', 'exceeded series limit: limit 1 violated (got 2)');
    }),
  );
  const error = await readSeries(client.series(seriesOf(['a=b']))).catch((e: unknown) => e);
  expect(error).toMatchObject({ code: 'ERR_STORE_RESOURCE_EXHAUSTED' });
  expect(errorText(error)).toBe('rpc error: code = ResourceExhausted desc = exceeded series limit: limit 1 violated (got 2)');
  await expect(client.labelNames(EMPTY_LABEL_NAMES_REQUEST)).rejects.toMatchObject({ code: 'ERR_STORE_NOT_FOUND', message: 'nothing hére' });
});

test('an address where nothing listens is Unavailable', async () => {
  const client = await serve(storeOf(async function* () {}));
  const dead = new GrpcStoreClient(openGrpcChannel({ address: '127.0.0.1:9' }));
  closers.push(() => dead.channel.close());
  const error = await readSeries(dead.series(seriesOf(['a=b']))).catch((e: unknown) => e);
  const refused = 'rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing: dial tcp 127.0.0.1:9: connect: connection refused"';
  expect(errorText(error)).toBe(refused);
  await client.fetchInfo();
  const endpoints = [{ address: dead.address, info: INFO, store: dead }];
  const { warnings } = await readSeries(createProxyStore({ endpoints: () => endpoints }).series(seriesOf(['x=y'], { minTime: 0, maxTime: 1, partialResponseStrategy: 0 })));
  expect(warnings).toEqual([`fetch series for {a="b"} Addr: 127.0.0.1:9 MinTime: -9223372036854775808 MaxTime: 5: ${refused}`]);
});

test.each([
  ['No connection established. Last error: Error: connect EHOSTUNREACH 10.0.0.1:10901. Resolution note: ', 'connection error: desc = "transport: Error while dialing: dial tcp 10.0.0.1:10901: connect: no route to host"'],
  ['No connection established. Last error: connect ETIMEDOUT [::1]:10901. Resolution note: x', 'connection error: desc = "transport: Error while dialing: dial tcp [::1]:10901: connect: connection timed out"'],
  ['No connection established. Last error: certificate has expired. Resolution note: ', undefined],
  ['Received RST_STREAM with code 0', undefined],
])('a connection that cannot be made: %s', (details, text) => {
  expect(dialText(details)).toBe(text ?? details);
});

test('a deadline ends a call', async () => {
  const client = await serve(storeOf(async function* (_, options) { await new Promise((resolve) => options!.signal!.addEventListener('abort', resolve)); }));
  await expect(readSeries(client.series(seriesOf(['a=b']), { timeoutMs: 1 }))).rejects.toMatchObject({ code: 'ERR_STORE_DEADLINE' });
});

test('a reader that stops holds the writer, one that leaves ends it', async () => {
  const frame = new Uint8Array(1 << 20);
  frame.set([0x12, 0xfc, 0xff, 0x3f]);
  let produced = 0;
  let isReleased: (value: boolean) => void;
  const released = new Promise<boolean>((resolve) => (isReleased = resolve));
  const client = await serve(
    storeOf(async function* (_, options) {
      try {
        for (; produced < 2000 && options!.signal!.aborted === false; produced++) yield frame;
      } finally {
        isReleased(true);
      }
    }),
  );
  let seen = 0;
  for await (const got of client.series(seriesOf(['a=b']))) {
    expect(got.length).toBe(1 << 20);
    if (++seen === 3) break;
  }
  expect(await released).toBe(true);
  // Windows and stream buffers on both sides hold some, not two gigabytes.
  expect(produced).toBeLessThan(200);
});

test('the tenant reaches the store', async () => {
  let tenant: string | undefined;
  const client = await serve(storeOf(async function* (_, options) { tenant = options!.tenant; }));
  await readSeries(client.series(seriesOf(['a=b']), { tenant: 'team-a' }));
  expect(tenant).toBe('team-a');
});

const golden = join(process.env['GAUNTLET_SHARED'] ?? join(dirname(fileURLToPath(import.meta.url)), '../../../../shared'), 'golden/storeapi');

/** Plays recorded calls of one folder as a store. */
function recorded(folder: string): { store: Store; calls: Json[] } {
  const calls = readdirSync(join(golden, folder)).map((name) => ({ name, ...JSON.parse(readFileSync(join(golden, folder, name), 'utf8')) }));
  const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'base64'));
  const info = infoFromMessage(infoResponse.decode(bytes(calls.find((c) => c.name === 'info.json').frames[0])))!;
  const find = (request: Uint8Array): Json => {
    const wanted = JSON.stringify(seriesRequest.decode(request));
    return calls.find((c) => c.method.endsWith('/Series') && JSON.stringify(seriesRequest.decode(bytes(c.requestBase64))) === wanted);
  };
  const store: Store = {
    async *series(request) {
      const call = find(seriesRequest.encode(request));
      if (call === undefined) throw new StoreError('ERR_STORE_INTERNAL', 'not recorded');
      if (call.status.code !== 0) throw new StoreError('ERR_STORE_INTERNAL', call.status.message);
      for (const text of call.frames) yield bytes(text);
    },
    labelNames: async () => ({ names: [], warnings: [], hints: undefined }),
    labelValues: async () => ({ values: [], warnings: [], hints: undefined }),
    info: () => info,
  };
  return { store, calls };
}

if (!existsSync(golden)) test.skip('recordings are not on this machine (GAUNTLET_SHARED)', () => {});
else {
  describe('a proxy over the recorded gateway answers as the recorded querier over it', () => {
    const { store } = recorded('store');
    const endpoints = [{ address: 'store', info: store.info(), store }];
    const proxy = createProxyStore({ endpoints: () => endpoints });
    const calls = JSON.parse(JSON.stringify(recorded('query').calls)) as Json[];

    test('series', async () => {
      let compared = 0;
      for (const call of calls) {
        if (call.method !== 'thanos.Store/Series' || call.status.code !== 0) continue;
        const request = seriesRequest.decode(new Uint8Array(Buffer.from(call.requestBase64, 'base64')));
        async function* frames(): AsyncGenerator<Uint8Array> {
          for (const text of call.frames) yield new Uint8Array(Buffer.from(text, 'base64'));
        }
        const wanted = await readSeries(frames());
        const got = await readSeries(proxy.series(request)).catch((error: Error) => error.message);
        if (typeof got === 'string' ? got.endsWith('not recorded') : got.warnings.some((w) => w.endsWith('not recorded'))) continue;
        const plain = (text: string): string => text.replace(/Addr: \S+/, 'Addr: X').replace(/rpc error: code = \w+ desc = /, '').replace(/[0-9A-Z]{26}/, 'ULID');
        const normal = (answer: typeof wanted | string): unknown => (typeof answer === 'string' ? answer : { ...answer, warnings: answer.warnings.map(plain) });
        expect({ name: call.name, got: normal(got) }).toEqual({ name: call.name, got: normal(wanted) });
        compared++;
      }
      expect(compared).toBeGreaterThan(30);
    });
  });
}
