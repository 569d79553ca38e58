import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, test } from '@jest/globals';
import { createHttpClient, decodeYaml, DEFAULT_HTTP_CLIENT, type HttpClient, httpClientSchema, type HttpClientSettings, schema } from './index.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0).reverse()) close();
});

async function serve(handle: (request: IncomingMessage, response: ServerResponse, body: string) => void): Promise<string> {
  const server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () => handle(request, response, Buffer.concat(pieces).toString()));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function client(settings: Partial<HttpClientSettings> = {}): HttpClient {
  const made = createHttpClient({ ...DEFAULT_HTTP_CLIENT, ...settings }, { userAgent: 'Gauntlet/test', clock: Date.now });
  closers.push(() => made.close());
  return made;
}

const GET = { method: 'GET', timeoutMs: 5000, bytesMax: 1 << 20 } as const;

describe('requests', () => {
  test('body, headers, status and a compressed answer', async () => {
    const url = await serve((request, response, body) => {
      response.writeHead(418, { 'Content-Encoding': 'gzip', 'Content-Type': 'text/x' }).end(gzipSync(`${request.method} ${request.url} ${request.headers['user-agent']} ${String(request.headers['x-a'])} ${body}`));
    });
    const answer = await client().request(`${url}/p?q=1`, { ...GET, method: 'POST', headers: { 'X-A': 'b' }, body: 'ü' });
    expect(answer).toEqual({ status: 418, statusText: "418 I'm a Teapot", contentType: 'text/x', text: 'POST /p?q=1 Gauntlet/test b ü' });
  });

  test('connections are kept', async () => {
    const ports = new Set<number | undefined>();
    const url = await serve((request, response) => {
      ports.add(request.socket.remotePort);
      response.end('x');
    });
    const one = client();
    for (let i = 0; i < 3; i++) await one.request(url, GET);
    expect(ports.size).toBe(1);
  });

  test('credentials, read anew from files', async () => {
    const url = await serve((request, response) => void response.end(request.headers.authorization ?? 'none'));
    const dir = mkdtempSync(join(tmpdir(), 'gauntlet-http-'));
    closers.push(() => rmSync(dir, { recursive: true, force: true }));
    const file = join(dir, 'secret');
    writeFileSync(file, 'one\n');
    const ask = async (made: HttpClient): Promise<string> => (await made.request(url, GET)).text;
    expect(await ask(client())).toBe('none');
    expect(await ask(client({ credentials: { kind: 'basic', username: 'ü', password: 'p:w' } }))).toBe(`Basic ${Buffer.from('ü:p:w').toString('base64')}`);
    expect(await ask(client({ credentials: { kind: 'bearer', token: 't' } }))).toBe('Bearer t');
    const fromFile = client({ credentials: { kind: 'bearerFile', tokenFile: file } });
    expect(await ask(fromFile)).toBe('Bearer one');
    writeFileSync(file, 'two');
    expect(await ask(fromFile)).toBe('Bearer two');
    rmSync(file);
    await expect(ask(fromFile)).rejects.toMatchObject({ code: 'ERR_HTTP', message: expect.stringContaining(`read credentials file ${file}`) });
  });

  test.each([
    { name: 'nobody listens', handle: undefined, request: {}, message: /^GET http:\/\/127\.0\.0\.1:1\/x: .*ECONNREFUSED/ },
    { name: 'no answer in time', handle: () => {}, request: { timeoutMs: 30 }, message: /no answer within 30 ms$/ },
    { name: 'no end in time', handle: (_: IncomingMessage, response: ServerResponse) => void response.write('x'), request: { timeoutMs: 30 }, message: /no answer within 30 ms$/ },
    { name: 'too large', handle: (_: IncomingMessage, response: ServerResponse) => void response.end('x'.repeat(2000)), request: { bytesMax: 1000 }, message: /more than 1000 bytes$/ },
    { name: 'a bomb', handle: (_: IncomingMessage, response: ServerResponse) => void response.writeHead(200, { 'Content-Encoding': 'gzip' }).end(gzipSync(Buffer.alloc(1 << 20))), request: { bytesMax: 1000 }, message: /more than 1000 bytes$/ },
    { name: 'cut off', handle: (_: IncomingMessage, response: ServerResponse) => void response.writeHead(200, { 'Content-Length': '10' }).write('x', () => response.destroy()), request: {}, message: /GET http:.*: (aborted|the connection ended)/ },
    { name: 'broken compression', handle: (_: IncomingMessage, response: ServerResponse) => void response.writeHead(200, { 'Content-Encoding': 'gzip' }).end('no gzip'), request: {}, message: /incorrect header check$/ },
  ])('$name', async ({ handle, request, message }) => {
    const url = handle === undefined ? 'http://127.0.0.1:1' : await serve(handle);
    await expect(client().request(`${url}/x?secret=1`, { ...GET, ...request })).rejects.toMatchObject({ code: 'ERR_HTTP', message: expect.stringMatching(message) });
  });

  test('the head of an answer has a limit of its own', async () => {
    const url = await serve(() => {});
    await expect(client({ headerTimeoutMs: 20 }).request(url, GET)).rejects.toThrow('no head of an answer within 20 ms');
  });

  test('ends with its signal, with its reason', async () => {
    const stop = new AbortController();
    const url = await serve(() => stop.abort(new Error('enough')));
    await expect(client().request(url, { ...GET, signal: stop.signal })).rejects.toThrow(/^enough$/);
    await expect(client().request(url, { ...GET, signal: AbortSignal.abort(new Error('before')) })).rejects.toThrow(/^before$/);
  });

  test('TLS files that are not there are named', () => expect(() => client({ tls: { ...DEFAULT_HTTP_CLIENT.tls, caFile: '/none/ca.pem' } })).toThrow('read TLS file /none/ca.pem'));
});

describe('TLS', () => {
  const DATA = join(import.meta.dirname, '..', 'testdata');
  const files = { ...DEFAULT_HTTP_CLIENT.tls, serverName: 'localhost' };

  async function serveTls(): Promise<string> {
    const server = createTlsServer({ cert: readFileSync(join(DATA, 'server.crt')), key: readFileSync(join(DATA, 'server.key')), ca: readFileSync(join(DATA, 'ca.crt')), requestCert: true, rejectUnauthorized: false }, (request, response) => {
      response.end((request.socket as unknown as { readonly authorized: boolean }).authorized ? 'known' : 'unknown');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closers.push(() => {
      server.close();
      server.closeAllConnections();
    });
    return `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  test('a CA of our own, no check at all, a client certificate', async () => {
    const url = await serveTls();
    const ask = async (tls: HttpClientSettings['tls']): Promise<string> => (await client({ tls }).request(url, GET)).text;
    await expect(ask(files)).rejects.toMatchObject({ code: 'ERR_HTTP', message: expect.stringMatching(/certificate/) });
    expect(await ask({ ...files, caFile: join(DATA, 'ca.crt') })).toBe('unknown');
    expect(await ask({ ...files, skipVerify: true })).toBe('unknown');
    expect(await ask({ ...files, caFile: join(DATA, 'ca.crt'), certFile: join(DATA, 'client.crt'), keyFile: join(DATA, 'client.key') })).toBe('known');
  });

  test('files that change are taken up', async () => {
    const url = await serveTls();
    const dir = mkdtempSync(join(tmpdir(), 'gauntlet-tls-'));
    closers.push(() => rmSync(dir, { recursive: true, force: true }));
    const caFile = join(dir, 'ca.crt');
    copyFileSync(join(DATA, 'other-server.crt'), caFile);
    let nowMs = 0;
    const made = createHttpClient({ ...DEFAULT_HTTP_CLIENT, tls: { ...files, caFile } }, { userAgent: 'x', clock: () => nowMs });
    closers.push(() => made.close());
    await expect(made.request(url, GET)).rejects.toThrow(/certificate/);
    copyFileSync(join(DATA, 'ca.crt'), caFile);
    await expect(made.request(url, GET)).rejects.toThrow(/certificate/);
    nowMs += 5000;
    expect((await made.request(url, GET)).text).toBe('unknown');
  });
});

describe('http_config', () => {
  const read = (text: string): HttpClientSettings => decodeYaml(text, schema.object({ http_config: httpClientSchema() }), 'f.yml').http_config;

  test('nothing given', () => expect(read('{}')).toEqual(DEFAULT_HTTP_CLIENT));
  test('everything', () => {
    expect(read('http_config:\n  basic_auth: {username: u, password_file: /p}\n  tls_config: {ca_file: a, cert_file: b, key_file: c, server_name: d, insecure_skip_verify: true}\n  transport_config: {max_idle_conns_per_host: 7, max_conns_per_host: 8, idle_conn_timeout: 9s, response_header_timeout: 10s, disable_compression: true}')).toEqual({
      credentials: { kind: 'basicFile', username: 'u', passwordFile: '/p' },
      tls: { caFile: 'a', certFile: 'b', keyFile: 'c', serverName: 'd', skipVerify: true },
      freeSocketsMax: 7,
      socketsMax: 8,
      idleTimeoutMs: 9000,
      headerTimeoutMs: 10_000,
      compression: false,
    });
  });
  test.each([
    ['http_config: {bearer_token: a, basic_auth: {username: u}}', 'f.yml:1:14: http_config: at most one of basic_auth'],
    ['http_config: {basic_auth: {username: u, password: hunter2, password_file: b}}', 'at most one of password and password_file'],
    ['http_config: {tls_config: {cert_file: a}}', 'cert_file and key_file of tls_config go together'],
    ['http_config: {proxy_url: http://p}', 'proxy_url is not supported yet'],
    ['http_config: {bearer_tokn: a}', "unknown key 'bearer_tokn' in http_config, did you mean 'bearer_token'?"],
  ])('%s is refused, without the secret', (text, message) => {
    expect(() => read(text)).toThrow(message);
    expect(() => read(text)).not.toThrow('hunter2');
  });
});
