/**
 * Every exchange recorded with Prometheus 3.14, asked again of this API over the same blocks in one process. Each is equal (status, headers, JSON, values
 * to the digit) or stands in NOT_OURS or DIFFERENT with the reason; an exchange that differs and is in neither fails.
 */
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createServer, request as httpRequest, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import express from 'express';
import { createKernels } from '@gauntlet/kernels';
import { createEngine, type ParserOptions } from '@gauntlet/promql';
import { createNodeFileSystem } from '@gauntlet/service-kit';
import { type Block, createBlockQueryable, openBlock } from '@gauntlet/tsdb';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createPrometheusRoutes } from './prometheus-routes.ts';
import { runQuery } from './run-query.ts';
import { serveApi } from './serve-api.ts';

const golden = join(process.env['GAUNTLET_SHARED'] ?? resolve(import.meta.dirname, '../../../../shared'), 'golden');
const folder = join(golden, 'http-api/prometheus');
const isThere = existsSync(folder);

/** What a Prometheus tells of itself, not of its data. */
const NOT_OURS: ReadonlyMap<RegExp, string> = new Map([
  [/^\/api\/v1\/(alertmanagers|alerts|rules)$/, 'rules and alerts: rules.test.ts'],
  [/^\/api\/v1\/(targets|targets\/metadata|scrape_pools|metadata)$/, 'targets and their metadata'],
  [/^\/api\/v1\/(features|notifications|status\/\w+(\/\w+)?)$/, 'state of the server'],
]);

/** Answers that are known to differ, and why. */
const DIFFERENT: ReadonlyMap<string, string> = new Map();

interface Recording {
  readonly request: { readonly method: string; readonly path: string; readonly params: readonly (readonly [string, string | number])[]; readonly form?: boolean };
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
}

const recordings: ReadonlyMap<string, Recording> = new Map(
  isThere ? readdirSync(folder).sort().map((file) => [file.replace('.json', ''), JSON.parse(readFileSync(join(folder, file), 'utf8')) as Recording]) : [],
);

function openGoldenBlocks(set: string): Block[] {
  const fs = createNodeFileSystem();
  const root = join(golden, 'tsdb', set);
  return readdirSync(root).filter((name) => existsSync(join(root, name, 'index'))).map((name) => openBlock(fs, join(root, name)));
}

const COMPARED_HEADERS = ['content-type', 'vary', 'access-control-allow-origin', 'access-control-allow-methods', 'access-control-allow-headers', 'access-control-expose-headers'] as const;

/** What is compared. Instant vectors have no order, and timings belong to the machine. */
function comparable(text: string): unknown {
  if (!text.startsWith('{')) return text;
  const body = JSON.parse(text) as { data?: { resultType?: string; result?: { metric: unknown }[]; stats?: { timings?: unknown } }; warnings?: string[]; infos?: string[] };
  if (body.data?.resultType === 'vector') body.data.result!.sort((a, b) => (JSON.stringify(a.metric) < JSON.stringify(b.metric) ? -1 : 1));
  if (body.data?.stats !== undefined) body.data.stats.timings = Object.keys(body.data.stats.timings ?? {});
  return body;
}

(isThere ? describe : describe.skip)('recorded answers of Prometheus 3.14 (needs ../shared/golden)', () => {
  let server: Server;
  let port: number;
  const blocks: Block[] = [];
  const seen = { equal: 0, different: 0, notOurs: 0 };

  beforeAll(async () => {
    blocks.push(...openGoldenBlocks('leveled'), ...openGoldenBlocks('many-series'));
    const kernels = createKernels({ backend: 'js' });
    const queryable = createBlockQueryable(blocks, kernels);
    const parser: ParserOptions = { experimentalFunctions: true };
    const engine = createEngine({ kernels, parser });
    const app = express();
    app.disable('x-powered-by');
    serveApi(
      app,
      createPrometheusRoutes({
        parser,
        now: () => 1_772_423_999_000,
        runQuery: (call, { signal }) => runQuery(call, { engine, kernels, queryable: () => queryable, signal, now: () => performance.now(), style: 'prometheus' }),
        queryable: () => queryable,
      }),
      { style: 'prometheus' },
    );
    server = createServer(app);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    port = (server.address() as AddressInfo).port;
  });

  afterAll(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
    process.stdout.write(`recorded answers of Prometheus: ${seen.equal} equal, ${seen.different} different with a reason, ${seen.notOurs} of other endpoints\n`);
    expect(seen.equal + seen.different + seen.notOurs).toBe(recordings.size);
  });

  const ask = ({ method, path, params, form }: Recording['request'], headers: Record<string, string>): Promise<{ status: number; headers: Record<string, unknown>; text: string }> =>
    new Promise((done, fail) => {
      const query = new URLSearchParams(params.map(([name, value]) => [name, String(value)])).toString();
      const target = form === true || query === '' ? path : `${path}?${query}`;
      const sent = httpRequest({ host: '127.0.0.1', port, method, path: target, headers: { ...headers, ...(form === true ? { 'content-type': 'application/x-www-form-urlencoded' } : {}) } }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => done({ status: response.statusCode!, headers: response.headers, text: Buffer.concat(chunks).toString() }));
      }).on('error', fail);
      sent.end(form === true ? query : undefined);
    });

  test.each([...recordings])('%s', async (name, { request, status, headers, text }) => {
    if ([...NOT_OURS.keys()].some((pattern) => pattern.test(request.path))) {
      seen.notOurs++;
      return;
    }
    const answer = await ask(request, name.endsWith('-origin') ? { origin: 'http://example.test' } : {});
    const ours = { status: answer.status, headers: COMPARED_HEADERS.map((header) => [header, answer.headers[header]]), body: comparable(answer.text) };
    const theirs = { status, headers: COMPARED_HEADERS.map((header) => [header, headers[header]]), body: comparable(text) };
    if (DIFFERENT.has(name) && !isDeepStrictEqual(ours, theirs)) {
      seen.different++;
      return;
    }
    expect(ours).toEqual(theirs);
    seen.equal++;
  });
});
