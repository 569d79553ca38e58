import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client, type ServerUnaryCall, type ServerWritableStream, credentials, status } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { protoPath } from 'grpc-health-check';
import { type GrpcChannel, type GrpcChannelOptions, openGrpcChannel } from './grpc-channel.ts';
import { createGrpcMetrics } from './grpc-metrics.ts';
import { type GrpcServer, type GrpcServerOptions, createGrpcServer, metadataText } from './grpc-server.ts';
import { loadProtos, longToNumber, numberToLong, withCodec, type GrpcService } from './load-protos.ts';
import { createLogger, createNopLogger } from './log.ts';
import { renderMetrics } from './metrics-exposition.ts';
import { createMetrics } from './metrics.ts';
import { createProbe } from './probe.ts';
import { parseRequestLogging } from './request-logging.ts';
import type { ClientTlsOptions } from './tls.ts';

const testdata = join(fileURLToPath(import.meta.url), '../../testdata');
const folder = mkdtempSync(join(tmpdir(), 'grpc-'));
afterAll(() => rmSync(folder, { recursive: true }));
const open: { stop(): Promise<void> | void }[] = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.stop();
});

type Text = { text: string; time_ms: string; kind: number };
const protos = loadProtos(['echo'], testdata);
const echo = protos.service('echo.Echo');
const say = echo['Say']!;
const repeat = echo['Repeat']!;

const handlers = {
  Say(call: ServerUnaryCall<Text, Text>, callback: (error: unknown, answer?: Text) => void) {
    if (call.request.text === 'throw') throw new Error('handler broke');
    if (call.request.text === 'reject') return Promise.reject(new Error('handler rejected'));
    if (call.request.text === 'refuse') callback({ code: status.RESOURCE_EXHAUSTED, details: 'too many series' });
    else callback(null, { ...call.request, text: `${call.request.text}|${metadataText(call.metadata, 'thanos-tenant') ?? ''}|${metadataText(call.metadata, 'request-id')!.length}` });
    return undefined;
  },
  Repeat(call: ServerWritableStream<Text, Text>) {
    if (call.request.text === 'throw') throw new Error('stream broke');
    for (let i = 0; i < Number(call.request.time_ms); i++) call.write({ text: call.request.text, time_ms: String(i), kind: 0 });
    if (call.request.text !== 'endless') call.end();
  },
};

async function serve(more: Partial<GrpcServerOptions> = {}, service: GrpcService = echo): Promise<{ server: GrpcServer; metrics: GrpcServerOptions['metrics'] }> {
  const metrics = more.metrics ?? createMetrics();
  const server = createGrpcServer({ address: '127.0.0.1:0', gracePeriodMs: 0, component: 'test', log: createNopLogger(), metrics, protos, ...more });
  server.addService(service, handlers as never);
  open.push(server);
  await server.start();
  return { server, metrics };
}

function dial(server: GrpcServer, more: Partial<GrpcChannelOptions> = {}): GrpcChannel {
  const channel = openGrpcChannel({ address: `127.0.0.1:${server.port}`, ...more });
  open.push({ stop: () => channel.close() });
  return channel;
}

test('calls, metadata, int64 limits, enums as numbers', async () => {
  const { server } = await serve();
  const answer = await dial(server).call(say, { text: 'a', time_ms: '-9223372036854775808', kind: 1 }, { metadata: { 'thanos-tenant': 't1' }, timeoutMs: 10_000 });
  expect(answer).toEqual({ text: 'a|t1|26', time_ms: '-9223372036854775808', kind: 1 });
});

test('errors keep their code; what a handler throws is INTERNAL and counted', async () => {
  const { server, metrics } = await serve();
  const client = createGrpcMetrics('client', metrics);
  const channel = dial(server, { metrics: client });
  await expect(channel.call(say, { text: 'refuse' })).rejects.toMatchObject({ code: status.RESOURCE_EXHAUSTED, details: 'too many series' });
  await expect(channel.call(say, { text: 'throw' })).rejects.toMatchObject({ code: status.INTERNAL, details: 'handler broke' });
  await expect(channel.call(say, { text: 'reject' })).rejects.toMatchObject({ code: status.INTERNAL, details: 'handler rejected' });
  await expect((async () => { for await (const each of channel.stream(repeat, { text: 'throw' })) expect(each).toBeUndefined(); })()).rejects.toMatchObject({ code: status.INTERNAL, details: 'stream broke' });
  const { body } = await renderMetrics(metrics.registry, '');
  expect(body).toContain('grpc_req_panics_recovered_total 3');
  const labels = 'grpc_method="Say",grpc_service="echo.Echo",grpc_type="unary"';
  expect(body).toContain(`grpc_server_handled_total{grpc_code="ResourceExhausted",${labels}} 1`);
  expect(body).toContain(`grpc_client_handled_total{grpc_code="Internal",${labels}} 2`);
  expect(body).toContain(`grpc_server_started_total{${labels}} 3`);
  expect(body).toContain(`grpc_server_handling_seconds_count{${labels}} 3`);
});

test('streams: all messages, early end cancels, abort and deadline end', async () => {
  const { server, metrics } = await serve();
  const channel = dial(server);
  const times: number[] = [];
  for await (const each of channel.stream(repeat, { text: 'a', time_ms: '100' })) times.push(Number((each as Text).time_ms));
  expect(times).toEqual(Array.from({ length: 100 }, (_, i) => i));
  for await (const each of channel.stream(repeat, { text: 'endless', time_ms: '5' })) if ((each as Text).time_ms === '2') break;
  const controller = new AbortController();
  await expect(
    (async () => {
      for await (const each of channel.stream(repeat, { text: 'endless', time_ms: '1' }, { signal: controller.signal })) controller.abort(new Error(`enough ${(each as Text).text}`));
    })(),
  ).rejects.toThrow('enough endless');
  await expect(
    (async () => {
      for await (const each of channel.stream(repeat, { text: 'endless', time_ms: '1' }, { timeoutMs: 20 })) expect(each).toBeDefined();
    })(),
  ).rejects.toMatchObject({ code: status.DEADLINE_EXCEEDED });
  await expect(channel.call(say, { text: 'a' }, { signal: AbortSignal.abort(new Error('before')) })).rejects.toThrow('before');
  const { body } = await renderMetrics(metrics.registry, '');
  expect(body).toContain('grpc_server_handled_total{grpc_code="OK",grpc_method="Repeat",grpc_service="echo.Echo",grpc_type="server_stream"} 1');
  expect(body).toMatch(/grpc_server_msg_sent_total\{grpc_method="Repeat".*\} 1\d\d/);
});

test('hand-written codecs go in place of proto-loader', async () => {
  const service = withCodec(echo, { Say: { responseSerialize: () => Buffer.from([0x0a, 1, 0x78]) } });
  const { server } = await serve({}, service);
  const raw = withCodec(echo, { Say: { responseDeserialize: (bytes) => bytes.toString('hex') } });
  expect(await dial(server).call(raw['Say']!, { text: 'a' })).toBe('0a0178');
  expect(() => withCodec(echo, { None: {} })).toThrow('set codec of method None: the service has Say, Repeat');
  expect(() => protos.service('echo.None')).toThrow('find service echo.None: not in protos echo');
  expect(() => protos.service('echo.Text')).toThrow('find service echo.Text');
  expect(() => loadProtos(['none'], testdata)).toThrow('load protos none from');
});

test('the project\'s own protos load and have their services', () => {
  const all = loadProtos(['store', 'info', 'rules', 'targets', 'metadata', 'exemplars', 'query', 'status']);
  for (const name of ['thanos.Store', 'thanos.WriteableStore', 'thanos.info.Info', 'thanos.Rules', 'thanos.Targets', 'thanos.Metadata', 'thanos.Exemplars', 'thanos.Query', 'thanos.Status']) {
    expect(Object.keys(all.service(name)).length).toBeGreaterThan(0);
  }
  expect(all.service('thanos.Store')['Series']!.path).toBe('/thanos.Store/Series');
});

test('int64 texts and numbers', () => {
  expect(['9223372036854775807', '-9223372036854775808', '5', '-1'].map(longToNumber)).toEqual([Number.MAX_SAFE_INTEGER, -Number.MAX_SAFE_INTEGER, 5, -1]);
  expect([Number.MAX_SAFE_INTEGER, -Infinity, 5.7, -1].map(numberToLong)).toEqual(['9223372036854775807', '-9223372036854775808', '5', '-1']);
});

test('health follows readiness; reflection lists the services', async () => {
  const metrics = createMetrics();
  const probe = createProbe({ component: 'test', log: createNopLogger(), metrics });
  const { server } = await serve({ metrics, probe });
  const channel = dial(server);
  const check = (loadSync(protoPath, { enums: String })['grpc.health.v1.Health'] as unknown as GrpcService)['Check']!;
  expect(await channel.call(check, { service: '' })).toEqual({ status: 'NOT_SERVING' });
  probe.ready();
  expect(await channel.call(check, { service: '' })).toEqual({ status: 'SERVING' });
  // A ServerReflectionInfo request {list_services: ""} by hand: field 7, empty text.
  const client = new Client(`127.0.0.1:${server.port}`, credentials.createInsecure());
  const answer = await new Promise<Buffer>((resolve, reject) => {
    const call = client.makeBidiStreamRequest('/grpc.reflection.v1.ServerReflection/ServerReflectionInfo', (bytes: Buffer) => bytes, (bytes: Buffer) => bytes);
    call.on('data', (bytes: Buffer) => {
      resolve(bytes);
      call.end();
    });
    call.on('error', reject);
    call.write(Buffer.from([0x3a, 0x00]));
  });
  client.close();
  expect(answer.toString('latin1')).toContain('echo.Echo');
});

describe('TLS', () => {
  const at = (name: string): string => join(testdata, name);
  const client = (more: Partial<ClientTlsOptions> = {}): ClientTlsOptions => ({ caFile: at('ca.crt'), certFile: at('client.crt'), keyFile: at('client.key'), serverName: '', skipVerify: false, minVersion: '1.3', ...more });

  test('mutual TLS, a server name of its own, and new certificates without a restart', async () => {
    const [certFile, keyFile] = [join(folder, 'server.crt'), join(folder, 'server.key')];
    copyFileSync(at('server.crt'), certFile);
    copyFileSync(at('server.key'), keyFile);
    const { server } = await serve({ tls: { certFile, keyFile, clientCaFile: at('ca.crt'), minVersion: '1.3' }, reloadIntervalMs: 3_600_000 });
    expect(await dial(server, { tls: client() }).call(say, { text: 'a' }, { timeoutMs: 10_000 })).toMatchObject({ text: 'a||26' });
    expect(await dial(server, { tls: client({ serverName: 'server.test' }) }).call(say, { text: 'a' }, { timeoutMs: 10_000 })).toMatchObject({ text: 'a||26' });
    await expect(dial(server, { tls: client({ certFile: '', keyFile: '' }) }).call(say, { text: 'a' }, { timeoutMs: 10_000 })).rejects.toMatchObject({ code: status.UNAVAILABLE });
    await expect(dial(server, { tls: client({ serverName: 'elsewhere.test' }) }).call(say, { text: 'a' }, { timeoutMs: 10_000 })).rejects.toMatchObject({ code: status.UNAVAILABLE });
    expect(await dial(server, { tls: client({ serverName: 'elsewhere.test', skipVerify: true }) }).call(say, { text: 'a' }, { timeoutMs: 10_000 })).toMatchObject({ text: 'a||26' });
    copyFileSync(at('other-server.crt'), certFile);
    copyFileSync(at('other-server.key'), keyFile);
    expect(await server.reload()).toBe(true);
    expect(await dial(server, { tls: client({ serverName: 'other-server.test' }) }).call(say, { text: 'a' }, { timeoutMs: 10_000 })).toMatchObject({ text: 'a||26' });
    writeFileSync(certFile, 'broken');
    await server.reload();
    expect(await dial(server, { tls: client({ serverName: 'other-server.test' }) }).call(say, { text: 'a' }, { timeoutMs: 10_000 })).toMatchObject({ text: 'a||26' });
  });

  test.each([
    [{ certFile: '', keyFile: 'x', clientCaFile: '' }, 'both server key and certificate must be provided'],
    [{ certFile: '', keyFile: '', clientCaFile: 'x' }, 'when a client CA is used a server key and certificate must also be provided'],
    [{ certFile: '/none', keyFile: '/none', clientCaFile: '' }, 'read server certificate /none: ENOENT'],
    [{ certFile: at('server.crt'), keyFile: at('client.key'), clientCaFile: '' }, `load TLS material of ${at('server.crt')}:`],
  ])('refuses %j', (files, message) => {
    expect(() => createGrpcServer({ address: '127.0.0.1:0', gracePeriodMs: 0, component: 'test', log: createNopLogger(), metrics: createMetrics(), tls: { ...files, minVersion: '1.3' } })).toThrow(message);
  });
});

test('a group of equal peers shares the calls', async () => {
  const [first, second] = [await serve(), await serve()];
  const channel = openGrpcChannel({ address: [`127.0.0.1:${first.server.port}`, `127.0.0.1:${second.server.port}`] });
  open.push({ stop: () => channel.close() });
  const started = async (metrics: GrpcServerOptions['metrics']): Promise<number> => Number(/grpc_server_started_total\{grpc_method="Say".*\} (\d+)/.exec((await renderMetrics(metrics.registry, '')).body)![1]);
  for (let i = 0; i < 200 && ((await started(first.metrics)) === 0 || (await started(second.metrics)) === 0); i++) await channel.call(say, { text: 'a' }, { timeoutMs: 10_000 });
  expect([await started(first.metrics), await started(second.metrics)].every((calls) => calls > 0)).toBe(true);
  expect(channel.state()).toBe('ready');
});

describe('a peer that accepts and says nothing', () => {
  const silent = async (more: Partial<GrpcChannelOptions>): Promise<GrpcChannel> => {
    const sockets = new Set<Socket>();
    const server = createServer((socket) => sockets.add(socket.on('error', () => undefined)));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const channel = openGrpcChannel({ address: `127.0.0.1:${(server.address() as AddressInfo).port}`, ...more });
    open.push({ stop: () => channel.close() }, { stop: () => { for (const socket of sockets) socket.destroy(); server.close(); } });
    return channel;
  };
  const late = { code: 14, details: expect.stringMatching(/^connect to 127\.0\.0\.1:\d+: no answer within 50 ms$/) };

  test('calls and streams give up on the connection after its own time, without a deadline of their own', async () => {
    const channel = await silent({ connectTimeoutMs: 50 });
    await expect(channel.call(say, { text: 'a' })).rejects.toMatchObject(late);
    await expect(channel.stream(repeat, { text: 'a', time_ms: '1' })[Symbol.asyncIterator]().next()).rejects.toMatchObject(late);
  });

  test('an earlier deadline of the call, and its signal, come first', async () => {
    const channel = await silent({ connectTimeoutMs: 60_000 });
    await expect(channel.call(say, { text: 'a' }, { timeoutMs: 20 })).rejects.toMatchObject({ code: 4 });
    const abort = new AbortController();
    const calling = channel.call(say, { text: 'a' }, { signal: abort.signal });
    abort.abort(new Error('enough'));
    await expect(calling).rejects.toThrow('enough');
  });
});

test('a port where nobody listens is refused at once', async () => {
  const { server } = await serve();
  const { port } = server;
  await server.stop();
  const channel = openGrpcChannel({ address: `127.0.0.1:${port}`, connectTimeoutMs: 60_000 });
  open.push({ stop: () => channel.close() });
  await expect(channel.call(say, { text: 'a' })).rejects.toMatchObject({ code: 14 });
});

test('a port in use is named, snappy is refused, request log lines', async () => {
  const lines: string[] = [];
  const log = createLogger({ level: 'debug', caller: false, sink: { write: (line) => void lines.push(line), flush() {} } });
  const { server } = await serve({ log, requestLogging: parseRequestLogging('grpc: {options: {level: DEBUG, decision: {log_start: true, log_end: true}}, config: [{service: echo.Echo, method: Say}]}', 'r') });
  const second = createGrpcServer({ address: `127.0.0.1:${server.port}`, gracePeriodMs: 0, component: 'test', log: createNopLogger(), metrics: createMetrics() });
  await expect(second.start()).rejects.toMatchObject({ code: 'ERR_LISTEN', message: `listen on 127.0.0.1:${server.port}: port in use` });
  await second.stop();
  expect(() => openGrpcChannel({ address: 'a:1', compression: 'snappy' })).toThrow('gRPC compression snappy');
  const channel = dial(server);
  await channel.call(say, { text: 'a' });
  await expect(channel.call(say, { text: 'throw' })).rejects.toThrow();
  const calls = lines.filter((line) => line.includes(' call"')).map((line) => `${/level=(\w+)/.exec(line)![1]!} ${/msg="([^"]+)"/.exec(line)![1]!} ${/grpc\.code=(\w+)/.exec(line)?.[1] ?? ''}`);
  expect(calls).toEqual(['debug started call ', 'debug finished call OK', 'debug started call ', 'error finished call Internal']);
});

test('stop waits for a running call and cancels it after the grace period', async () => {
  const { server } = await serve({ gracePeriodMs: 5 });
  const stream = dial(server).readable(repeat, { text: 'endless', time_ms: '1' });
  const failed = new Promise((resolve) => stream.on('error', resolve));
  await new Promise((resolve) => stream.once('data', resolve));
  await server.stop();
  expect(await failed).toMatchObject({ code: expect.any(Number) });
});
