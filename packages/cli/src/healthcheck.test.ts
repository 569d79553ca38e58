import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, test } from '@jest/globals';
import { askHealth, parseHealthcheck } from './healthcheck.ts';

describe('the arguments', () => {
  test('have defaults', () => expect(parseHealthcheck([])).toEqual({ kind: 'ask', url: new URL('http://127.0.0.1:10902/-/healthy'), timeoutMs: 2000 }));
  test('are taken', () => expect(parseHealthcheck(['--url=https://h:1/-/ready', '--timeout=250ms'])).toMatchObject({ url: new URL('https://h:1/-/ready'), timeoutMs: 250 }));
  test.each([
    [['--urk=x'], "unknown argument '--urk=x'"],
    [['--timeout=2'], "--timeout: wanted a number with ms or s, got '2'"],
    [['--timeout=0s'], "--timeout: wanted a number with ms or s, got '0s'"],
    [['--url=ftp://h'], "--url: wanted an http or https URL, got 'ftp://h'"],
    [['--url=127.0.0.1'], "--url: wanted an http or https URL, got '127.0.0.1'"],
  ])('%j are refused', (argv, text) => expect(parseHealthcheck(argv)).toMatchObject({ kind: 'exit', exitCode: 1, stderr: expect.stringContaining(text) }));
});

describe('the answer', () => {
  const withServer = async (status: number | undefined, body: (url: URL) => Promise<void>): Promise<void> => {
    const server = createServer((_request, response) => void (status === undefined ? undefined : response.writeHead(status).end('x')));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      await body(new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/-/healthy`));
    } finally {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  };

  test.each([[200, undefined], [204, undefined], [503, /\/-\/healthy: HTTP 503$/], [302, /HTTP 302$/]] as const)('%i', (status, want) =>
    withServer(status, async (url) => {
      const problem = await askHealth(url, 5000);
      if (want === undefined) expect(problem).toBeUndefined();
      else expect(problem).toMatch(want);
    }));
  test('none at all', () => withServer(undefined, async (url) => expect(await askHealth(url, 20)).toMatch(/no answer in 20 ms$/)));
  test('nobody there', async () => {
    let gone = new URL('http://127.0.0.1');
    await withServer(200, async (url) => void (gone = url));
    expect(await askHealth(gone, 5000)).toMatch(/ECONNREFUSED/);
  });
});
