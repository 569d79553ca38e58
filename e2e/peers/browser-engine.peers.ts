/** The engine, the reader of blocks and the kernels in a real Chromium: no bundler, no Node, and the same answers to the bit as here. */
import { type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createKernels } from '@gauntlet/kernels';
import { createEngine } from '@gauntlet/promql';
import { createNodeFileSystem } from '@gauntlet/service-kit';
import { createBlockQueryable, openBlock } from '@gauntlet/tsdb';
import { type BrowserPage, openBrowser } from '../harness/browser.ts';
import { describeWithPeers } from '../harness/describe-peers.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const PACKAGES = ['bytes', 'model', 'kernels', 'tsdb', 'promql'];
const BLOCKS = 'packages/tsdb/testdata/tsdb/openmetrics-import';
const TYPES: Readonly<Record<string, string>> = { js: 'text/javascript', html: 'text/html' };

const PAGE = `<!doctype html><title>engine</title><script type="importmap">${JSON.stringify({
  imports: Object.fromEntries(PACKAGES.map((name) => [`@gauntlet/${name}`, `/packages/${name}/dist/index.js`])),
})}</script><script type="module" src="/e2e/harness/engine-page.js"></script>`;

const QUERIES = ['{__name__=~".+"}', 'sum by (job) (rate({__name__=~".+"}[1h]))', 'topk(2, last_over_time({__name__=~".+"}[10m]))', 'stddev({__name__=~".+"}) or absent(nothing)'];

describeWithPeers('the engine in a browser', ['chromium'], () => {
  let server: Server;
  let browser: BrowserPage;
  let origin: string;

  beforeAll(async () => {
    // Built packages, the block and the page's module; nothing above them.
    server = createServer((request, response) => {
      const path = new URL(request.url!, 'http://page').pathname;
      const file = join(ROOT, path);
      if (path === '/favicon.ico') return void response.writeHead(204).end();
      if (path === '/') return void response.setHeader('content-type', TYPES['html']!).end(PAGE);
      if (!/^\/(packages|e2e)\/[\w./@-]+$/.test(path) || path.includes('..') || !existsSync(file)) return void response.writeHead(404).end();
      response.setHeader('content-type', TYPES[path.split('.').pop()!] ?? 'application/octet-stream').end(readFileSync(file));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    browser = await openBrowser();
    await browser.page.goto(`${origin}/`);
    await browser.page.waitForFunction('globalThis.run !== undefined', undefined, { timeout: 30_000 });
  }, 60_000);

  afterAll(async () => {
    await browser?.close();
    server?.close();
  });

  test.each(['wasm', 'js'] as const)('%s kernels', async (backend) => {
    const id = readdirSync(join(ROOT, BLOCKS)).find((name) => /^[0-9A-Z]{26}$/.test(name))!;
    const dir = `${BLOCKS}/${id}`;
    const block = openBlock(createNodeFileSystem(), join(ROOT, dir));
    const { minTime, maxTime } = block.meta;
    const times = { startMs: minTime, endMs: maxTime, stepMs: Math.ceil((maxTime - minTime) / 60) };
    const paths = ['meta.json', 'index', 'tombstones', ...readdirSync(join(ROOT, dir, 'chunks')).map((name) => `chunks/${name}`)].map((name) => `${dir}/${name}`);

    const kernels = createKernels({ backend });
    const engine = createEngine({ kernels, delayedNameRemoval: true });
    const wanted: string[][] = [];
    for (const expr of QUERIES) {
      const { labels, offsets, timestampsMs, values, dispose } = await engine.range({ expr, queryable: createBlockQueryable([block], kernels), ...times });
      wanted.push(labels.map((one, i) => `${one.join(' ')} ${Array.from(timestampsMs.subarray(offsets[i]!, offsets[i + 1]!), (t, k) => `${t}:${Object.is(values[offsets[i]! + k], -0) ? '-0' : values[offsets[i]! + k]}`).join(' ')}`));
      dispose();
    }
    expect(wanted.map((series) => series.length > 0)).toEqual(QUERIES.map(() => true));
    const asked = { paths, dir, backend, queries: QUERIES, ...times };
    const found = await browser.page.evaluate(`globalThis.run(${JSON.stringify(asked)})`);
    expect(found).toEqual({ backend, answers: wanted });
    expect(browser.complaints).toEqual([]);
  }, 60_000);
});
