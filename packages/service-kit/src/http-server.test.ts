import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type RequestOptions, get as httpGet } from 'node:http';
import { get as httpsGet } from 'node:https';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { PeerCertificate, TLSSocket } from 'node:tls';
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { hashSync } from 'bcryptjs';
import { createBasicAuth, parseBasicHeader } from './basic-auth.ts';
import { type HttpServer, type HttpServerOptions, createHttpServer, listenError, parseListenAddress, requestFacts } from './http-server.ts';
import { createLogger, createNopLogger } from './log.ts';
import { renderMetrics } from './metrics-exposition.ts';
import { createMetrics } from './metrics.ts';
import { createProbe } from './probe.ts';
import { parseRequestLogging } from './request-logging.ts';
import { Secret } from './secret.ts';
import { tracingOver } from './tracing.ts';
import { parseWebConfig } from './web-config.ts';
import { NodeTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node';

const testdata = join(fileURLToPath(import.meta.url), '../../testdata');
const folder = mkdtempSync(join(tmpdir(), 'http-'));
afterAll(() => rmSync(folder, { recursive: true }));
const servers: HttpServer[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop();
});

async function start(more: Partial<HttpServerOptions> = {}): Promise<{ server: HttpServer; base: string; metrics: HttpServerOptions['metrics'] }> {
  const metrics = more.metrics ?? createMetrics();
  const server = createHttpServer({ address: '127.0.0.1:0', gracePeriodMs: 0, component: 'test', log: createNopLogger(), metrics, ...more });
  servers.push(server);
  return { server, metrics, base: '' };
}

async function started(more: Partial<HttpServerOptions> = {}): Promise<{ server: HttpServer; base: string; metrics: HttpServerOptions['metrics'] }> {
  const made = await start(more);
  await made.server.start();
  return { ...made, base: `http://127.0.0.1:${made.server.address().port}` };
}

interface Answer {
  status: number;
  body: string;
  headers: Record<string, string | string[] | undefined>;
  certificate: PeerCertificate | undefined;
}

function fetchWith(url: string, options: RequestOptions & { ca?: Buffer; cert?: Buffer; key?: Buffer } = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const get = url.startsWith('https') ? httpsGet : httpGet;
    const request = get(url, { agent: false, ...options }, (response) => {
      const certificate = 'getPeerCertificate' in response.socket ? (response.socket as TLSSocket).getPeerCertificate() : undefined;
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => resolve({ status: response.statusCode!, body: Buffer.concat(chunks).toString(), headers: response.headers, certificate }));
    });
    request.on('error', reject);
  });
}

test('probes answer by state', async () => {
  const metrics = createMetrics();
  const probe = createProbe({ component: 'test', log: createNopLogger(), metrics });
  const { base, server } = await started({ metrics, probe });
  expect(await fetchWith(`${base}/-/ready`)).toMatchObject({ status: 503, body: 'NOT OK' });
  expect(await fetchWith(`${base}/-/healthy`)).toMatchObject({ status: 200, body: 'OK' });
  probe.ready();
  expect(await fetchWith(`${base}/-/ready`)).toMatchObject({ status: 200, body: 'OK' });
  expect((await fetchWith(`${base}/none`)).status).toBe(404);
  await server.stop();
});

test('an instrumented request is measured, traced, logged and has an id', async () => {
  const lines: string[] = [];
  const log = createLogger({ level: 'debug', caller: false, sink: { write: (line) => void lines.push(line), flush() {} } });
  const exporter = new InMemorySpanExporter();
  const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
  const tracing = tracingOver(provider.getTracer('test'), true, () => provider.shutdown());
  const requestLogging = parseRequestLogging('options: {level: DEBUG, decision: {log_start: true, log_end: true}}', 'r');
  const { base, server, metrics } = await started({ log, tracing, requestLogging, extraLabels: { tenant: (request) => request.get('thanos-tenant') ?? 'default' } });
  server.app.get('/x', server.instrument('query'), (request, response) => void response.status(422).end(`id ${requestFacts(request).requestId}`));
  const answer = await fetchWith(`${base}/x?a=1`, { headers: { 'thanos-tenant': 't1', 'user-agent': 'u', traceparent: '00-0123456789abcdef0123456789abcdef-0123456789abcdef-01' } });
  expect(answer.body).toMatch(/^id [0-9A-HJKMNP-TV-Z]{26}$/);
  expect(answer.headers['x-request-id']).toBe(answer.body.slice(3));
  expect(answer.headers['x-thanos-trace-id']).toBe('0123456789abcdef0123456789abcdef');
  const again = await fetchWith(`${base}/x`, { headers: { 'x-request-id': 'mine' } });
  expect(again.headers['x-request-id']).toBe('mine');
  const { body } = await renderMetrics(metrics.registry, 'application/openmetrics-text');
  expect(body).toContain('http_requests_total{code="422",handler="query",method="get",tenant="t1"} 1');
  expect(body).toContain('http_inflight_requests{handler="query",method="get",tenant="t1"} 0');
  expect(body).toContain('http_response_size_bytes_sum{code="422",handler="query",method="get",tenant="t1"} 29');
  expect(body).toMatch(/http_request_duration_seconds_bucket\{.*\} 1 # \{traceID="0123456789abcdef0123456789abcdef"\}/);
  expect(lines.some((line) => line.includes('level=debug service=http/server component=test msg="started call" http.method="GET /x?a=1"') && line.includes('thanos.method_name=query'))).toBe(true);
  expect(lines.some((line) => line.includes('msg="finished call"') && line.includes('http.status_code=422') && line.includes('http.remote_addr=127.0.0.1:'))).toBe(true);
  expect(exporter.getFinishedSpans()[0]).toMatchObject({ name: '/query HTTP[server]', attributes: { 'http.method': 'GET', 'http.status_code': 422 } });
});

test('request logging keeps to its list of paths', async () => {
  const lines: string[] = [];
  const log = createLogger({ level: 'debug', caller: false, sink: { write: (line) => void lines.push(line), flush() {} } });
  const made = await started({ log, requestLogging: parseRequestLogging('http: {options: {level: DEBUG, decision: {log_end: true}}, config: [{path: /a, port: 1}]}', 'r') });
  made.server.app.get('/a', made.server.instrument('a'), (_request, response) => void response.end());
  await fetchWith(`${made.base}/a`);
  expect(lines.filter((line) => line.includes('call'))).toEqual([]);
});

test('the handler hears that the client went away', async () => {
  const { server, base } = await started();
  const gone = new Promise<string>((resolve) => {
    server.app.get('/slow', server.instrument('slow'), (request) => {
      const { signal } = requestFacts(request);
      signal.addEventListener('abort', () => resolve(String((signal.reason as Error).message)), { once: true });
      client.destroy();
    });
  });
  const client = connect(Number(new URL(base).port), '127.0.0.1', () => client.write('GET /slow HTTP/1.1\r\nHost: x\r\n\r\n'));
  expect(await gone).toBe('the client went away');
});

test('a handler that throws answers 500 without telling why, and says why in the log', async () => {
  const lines: string[] = [];
  const log = createLogger({ caller: false, sink: { write: (line) => void lines.push(line), flush() {} } });
  const { server, base, metrics } = await started({ log });
  server.app.get('/sync', server.instrument('sync'), () => {
    throw new Error('hush');
  });
  server.app.get('/async', server.instrument('async'), () => Promise.reject(new Error('hush')));
  server.app.get('/late', server.instrument('late'), (_request, response) => {
    response.write('x');
    throw new Error('hush');
  });
  expect(await fetchWith(`${base}/sync`)).toMatchObject({ status: 500, body: 'internal server error\n' });
  expect(await fetchWith(`${base}/async`)).toMatchObject({ status: 500, body: 'internal server error\n' });
  await expect(fetchWith(`${base}/late`)).rejects.toThrow();
  expect(await fetchWith(`${base}/none`)).toMatchObject({ status: 404, body: '404 page not found\n' });
  expect((await fetchWith(`${base}/%zz`)).status).toBe(404);
  expect(lines.filter((line) => line.includes('err=hush'))).toHaveLength(3);
  expect((await renderMetrics(metrics.registry, '')).body).toContain('http_requests_total{code="500",handler="async",method="get"} 1');
});

test('long URLs pass, as Go servers let them', async () => {
  const { server, base } = await started();
  server.app.get('/q', (request, response) => void response.end(String(request.url.length)));
  expect((await fetchWith(`${base}/q?query=${'x'.repeat(200_000)}`)).body).toBe('200009');
});

describe('listening', () => {
  test('a port in use is named', async () => {
    const { server } = await started();
    const { port } = server.address();
    const second = await start({ address: `127.0.0.1:${port}` });
    await expect(second.server.start()).rejects.toMatchObject({ code: 'ERR_LISTEN', message: `listen on 127.0.0.1:${port}: port in use` });
  });

  test('addresses', () => {
    expect(parseListenAddress('0.0.0.0:10902')).toEqual({ host: '0.0.0.0', port: 10_902 });
    expect(parseListenAddress(':80')).toEqual({ host: '', port: 80 });
    expect(parseListenAddress('[::1]:0')).toEqual({ host: '::1', port: 0 });
    for (const bad of ['', '80', 'a:', 'a:b', 'a:99999', '::1:80']) expect(() => parseListenAddress(bad)).toThrow(`listen on ${bad}: wanted host:port`);
    expect(listenError('a:1', Object.assign(new Error('x'), { code: 'EACCES' })).message).toContain('permission denied');
    expect(listenError('a:1', Object.assign(new Error('x'), { code: 'EADDRNOTAVAIL' })).message).toContain('this machine has no such address');
    expect(listenError('a:1', Object.assign(new Error('x'), { code: 'ENOTFOUND' })).message).toContain('no such host');
  });

  test('stop waits for running requests within the grace period, and cuts them off after it', async () => {
    const { server, base } = await started({ gracePeriodMs: 60_000 });
    let finish: (() => void) | undefined;
    const arrived = new Promise<void>((resolve) => {
      server.app.get('/slow', (_request, response) => {
        finish = () => void response.end('done');
        resolve();
      });
    });
    const answer = fetchWith(`${base}/slow`);
    await arrived;
    const stopped = server.stop();
    finish!();
    expect((await answer).body).toBe('done');
    await stopped;

    const hasty = await started({ gracePeriodMs: 5 });
    const there = new Promise<void>((resolve) => hasty.server.app.get('/slow', () => resolve()));
    const cut = fetchWith(`${hasty.base}/slow`);
    cut.catch(() => undefined);
    await there;
    await hasty.server.stop();
    await expect(cut).rejects.toThrow('socket hang up');
  });
});

describe('web configuration', () => {
  const path = join(folder, 'web.yml');

  test('TLS from files, headers, client certificates, and new certificates without a restart', async () => {
    for (const name of ['server.crt', 'server.key']) copyFileSync(join(testdata, name), join(folder, name));
    copyFileSync(join(testdata, 'ca.crt'), join(folder, 'ca.crt'));
    writeFileSync(path, 'tls_server_config: {cert_file: server.crt, key_file: server.key, client_ca_file: ca.crt, min_version: TLS13}\nhttp_server_config: {headers: {X-Frame-Options: deny}}\n');
    const { server, base } = await started({ webConfigPath: path, reloadIntervalMs: 3_600_000 });
    const url = `${base.replace('http:', 'https:')}/metrics`;
    const ca = readFileSync(join(testdata, 'ca.crt'));
    const client = { ca, cert: readFileSync(join(testdata, 'client.crt')), key: readFileSync(join(testdata, 'client.key')) };
    const answer = await fetchWith(url, client);
    expect(answer).toMatchObject({ status: 200, headers: { 'x-frame-options': 'deny' }, certificate: { subject: { CN: 'server' } } });
    await expect(fetchWith(url, { ca })).rejects.toThrow();
    copyFileSync(join(testdata, 'other-server.crt'), join(folder, 'server.crt'));
    copyFileSync(join(testdata, 'other-server.key'), join(folder, 'server.key'));
    expect(await server.reload()).toBe(true);
    expect((await fetchWith(url, client)).certificate!.subject.CN).toBe('other-server');
    writeFileSync(join(folder, 'server.key'), 'broken');
    expect(await server.reload()).toBe(true);
    expect((await fetchWith(url, client)).certificate!.subject.CN).toBe('other-server');
  });

  const isBuilt = existsSync(new URL('../dist/basic-auth-worker.js', import.meta.url));
  (isBuilt ? test : test.skip)('users with bcrypt passwords, checked in a worker (needs the built package)', async () => {
    writeFileSync(path, `basic_auth_users:\n  alice: ${hashSync('right', 4)}\n`);
    const { base } = await started({ webConfigPath: path });
    const as = (credentials?: string): Promise<Answer> => fetchWith(`${base}/metrics`, credentials === undefined ? {} : { auth: credentials });
    expect(await as()).toMatchObject({ status: 401, headers: { 'www-authenticate': 'Basic' } });
    expect((await as('alice:wrong')).status).toBe(401);
    expect((await as('bob:right')).status).toBe(401);
    expect((await as('alice:right')).status).toBe(200);
    expect((await as('alice:right')).status).toBe(200);
  });

  test.each([
    ['tls_server_config: {cert_file: a, key: b, certfile: c}', "w.yml:1:43: unknown key 'certfile' in tls_server_config, did you mean 'cert_file'?"],
    ['tls_server_config: {min_version: TLS14}', "TLS version: got 'TLS14', wanted one of 1.0, 1.1, 1.2, 1.3"],
    ['tls_server_config: {cipher_suites: [TLS_NONE]}', "TLS cipher suite: 'TLS_NONE' is not known here"],
    ['tls_server_config: {client_ca_file: a, client_auth_type: NoClientCert}', 'w.yml: a client CA is given, but client_auth_type is NoClientCert'],
    ['tls_server_config: {client_allowed_sans: [a]}', 'client_allowed_sans is not supported'],
    ['basic_auth_users: {a: plain}', 'w.yml: basic_auth_users: password of "a" is not a bcrypt hash'],
    ['http_server_config: {headers: {Server: x}}', 'w.yml: HTTP header "Server" cannot be configured'],
  ])('refuses %s', (content, message) => {
    expect(() => parseWebConfig(content, 'w.yml')).toThrow(message);
  });

  test('a missing file and a half-given pair are named', () => {
    const options = { address: '127.0.0.1:0', gracePeriodMs: 0, component: 'test', log: createNopLogger(), metrics: createMetrics() };
    expect(() => createHttpServer({ ...options, webConfigPath: '/does/not/exist' })).toThrow('load web configuration /does/not/exist: ENOENT');
    writeFileSync(path, 'tls_server_config: {cert_file: server.crt}\n');
    expect(() => createHttpServer({ ...options, webConfigPath: path })).toThrow('both server key and certificate must be provided');
    writeFileSync(path, '');
    expect(parseWebConfig('', 'w.yml').tls).toBeUndefined();
  });
});

test('outcomes of password comparisons are remembered, per password and hash', async () => {
  let comparisons = 0;
  const auth = createBasicAuth(async (password, hash) => {
    comparisons++;
    return hash === `hash of ${password}`;
  });
  const users = new Map([['alice', new Secret('hash of right')]]);
  const header = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`;
  for (let i = 0; i < 3; i++) expect(await auth.check(header('alice:right'), users)).toBe(true);
  expect(comparisons).toBe(1);
  expect(await auth.check(header('alice:wrong'), users)).toBe(false);
  expect(await auth.check(header('alice:right'), new Map([['alice', new Secret('hash of other')]]))).toBe(false);
  expect(await auth.check(header('bob:right'), users)).toBe(false);
  expect(comparisons).toBe(4);
  expect(await auth.check(undefined, users)).toBe(false);
  expect(parseBasicHeader('Basic !!')).toBeUndefined();
  expect(parseBasicHeader(header('no colon'))).toBeUndefined();
  expect(parseBasicHeader(header('a:b:c'))).toEqual({ user: 'a', password: 'b:c' });
});

test('profiles are off unless asked for', async () => {
  const off = await started();
  expect((await fetchWith(`${off.base}/debug/pprof/profile`)).status).toBe(404);
  const on = await started({ profiling: true });
  expect((await fetchWith(`${on.base}/debug/pprof/profile?seconds=x`)).status).toBe(400);
  const profile = await fetchWith(`${on.base}/debug/pprof/profile?seconds=0`);
  expect(JSON.parse(profile.body)).toHaveProperty('nodes');
  expect(JSON.parse((await fetchWith(`${on.base}/debug/pprof/heap?seconds=0`)).body)).toHaveProperty('head');
});

describe('request logging configuration', () => {
  test.each([
    ['options: {level: LOUD}', "options.level: wanted one of \"\", DEBUG, INFO, WARNING, ERROR, got 'LOUD'"],
    ['options: {decision: {log_end: true}}', 'level field is empty'],
    ['options: {level: INFO, decision: {log_start: true}}', 'log_start without log_end is not supported'],
    ['http: {config: [{path: /a, ports: 1}]}', "unknown key 'ports' in http.config[0], did you mean 'port'?"],
  ])('refuses %s', (content, message) => {
    expect(() => parseRequestLogging(content, 'r.yml')).toThrow(message);
  });

  test('the options of a protocol go before those of both', () => {
    const rules = parseRequestLogging('options: {level: ERROR, decision: {log_end: true}}\ngrpc: {options: {level: WARNING, decision: {log_end: true, log_start: true}}, config: [{service: thanos.Store, method: Series}]}', 'r');
    expect(rules.http).toEqual({ logStart: false, logEnd: true, level: 'error', only: undefined });
    expect(rules.grpc).toEqual({ logStart: true, logEnd: true, level: 'warn', only: new Set(['/thanos.Store/Series']) });
  });
});
