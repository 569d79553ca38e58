import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, test } from '@jest/globals';
import { systemClock } from './clock.ts';
import { formatOfContentType } from './content-type.ts';
import { type Exposition, fetchTarget } from './fetch-target.ts';
import { createScrapeConfig, type ScrapeConfig } from './scrape-config.ts';
import { createTargets } from './target.ts';

const servers: Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

async function get(listener: RequestListener, config: Partial<ScrapeConfig> = {}, signal: AbortSignal = new AbortController().signal): Promise<Exposition> {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const [target] = createTargets(createScrapeConfig({ jobName: 'j', staticConfigs: [{ targets: [address], labels: [] }], ...config })).active;
  return fetchTarget(target!, { fetch: (url, init) => fetch(url, init), clock: systemClock, userAgent: 'Test' }, signal);
}

const text = (exposition: Exposition): string => new TextDecoder().decode(exposition.body);

describe('over HTTP', () => {
  test('gzip is asked for and read', async () => {
    let asked: unknown;
    const exposition = await get((request, response) => {
      asked = request.headers['accept-encoding'];
      response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8', 'content-encoding': 'gzip' }).end(gzipSync('a 1\n'));
    });
    expect([asked, text(exposition), exposition.format]).toEqual(['gzip', 'a 1\n', 'text']);
  });

  test('or not asked for', async () => {
    let asked: unknown;
    await get(
      (request, response) => {
        asked = request.headers['accept-encoding'];
        response.writeHead(200, { 'content-type': 'application/openmetrics-text' }).end('# EOF\n');
      },
      { enableCompression: false },
    );
    expect(asked).toBe('identity');
  });

  test('a small body that unpacks to a large one stops at the limit', async () => {
    const bomb = gzipSync(Buffer.alloc(20_000_000));
    const bytes = get((_, response) => void response.writeHead(200, { 'content-type': 'text/plain', 'content-encoding': 'gzip' }).end(bomb), { bodySizeLimitBytes: 1_000_000 });
    await expect(bytes).rejects.toMatchObject({ code: 'ERR_SCRAPE_BODY_SIZE', message: 'body size limit exceeded (limit: 1000000 bytes)' });
  });

  test('an answer that never ends is cut by the timeout', async () => {
    const endless = get(
      (_, response) => {
        response.writeHead(200, { 'content-type': 'text/plain' });
        response.write('a 1\n');
      },
      { scrapeTimeoutMs: 50 },
    );
    await expect(endless).rejects.toMatchObject({ code: 'ERR_SCRAPE_TIMEOUT', message: expect.stringContaining('context deadline exceeded (no complete answer within 50ms)') });
  });

  test('giving up is heard at once', async () => {
    const abort = new AbortController();
    const never = get(() => abort.abort(), {}, abort.signal);
    await expect(never).rejects.toMatchObject({ code: 'ERR_SCRAPE_REQUEST' });
  });

  test.each<[string, RequestListener, Partial<ScrapeConfig>, string, string]>([
    ['status', (_, response) => response.writeHead(404).end('no'), {}, 'ERR_SCRAPE_STATUS', 'server returned HTTP status 404 Not Found'],
    ['no type', (_, response) => response.writeHead(200).end('a 1\n'), {}, 'ERR_SCRAPE_CONTENT_TYPE', 'non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol specified for target'],
    ['HTML', (_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<a>'), {}, 'ERR_SCRAPE_CONTENT_TYPE', 'received unsupported Content-Type "text/html" and no fallback_scrape_protocol specified for target'],
    ['a redirect, when not wanted', (_, response) => response.writeHead(302, { location: '/x' }).end(), { followRedirects: false }, 'ERR_SCRAPE_STATUS', 'server returned HTTP status 302 Found'],
    ['a connection cut', (request) => request.socket.destroy(), {}, 'ERR_SCRAPE_REQUEST', 'Get "http://127.0.0.1:'],
  ])('refuses %s', async (_, listener, config, code, message) => {
    await expect(get(listener, config)).rejects.toMatchObject({ code, message: expect.stringContaining(message) });
  });

  test('an empty body needs no type', async () => {
    const exposition = await get((_, response) => response.writeHead(200).end());
    expect(exposition).toEqual({ body: new Uint8Array(0), format: 'text' });
  });
});

test('content types', () => {
  expect(formatOfContentType('application/OpenMetrics-text; version=1.0.0', undefined)).toBe('openmetrics');
  expect(formatOfContentType('text/plain', undefined)).toBe('text');
  expect(formatOfContentType('application/vnd.google.protobuf', 'PrometheusText0.0.4')).toBe('protobuf');
  expect(formatOfContentType('application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding="delimited"; escaping=underscores', undefined)).toBe('protobuf');
  expect(formatOfContentType('application/json', 'PrometheusProto')).toBe('protobuf');
  const shape = 'application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=text';
  expect(() => formatOfContentType(shape, undefined)).toThrow('protobuf with encoding "text" is not read, wanted delimited');
});
