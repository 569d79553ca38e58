/**
 * Serves query and query_range over a folder of blocks: engine, block reader and http-api in one process. Arguments: folder, host:port.
 * Plain JavaScript over the built packages, so that neither start nor memory hold a compiler; and of service-kit what a query worker loads, not the
 * servers, traces and configuration of a whole service, which take 22 MB more.
 */
import { readdirSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { API_DEFAULTS, ApiParams, answerError, parseInstantQuery, parseRangeQuery, runQuery, sendAnswer } from '@gauntlet/http-api/worker';
import { createKernels } from '@gauntlet/kernels';
import { createEngine } from '@gauntlet/promql';
import { createNodeFileSystem } from '@gauntlet/service-kit/worker';
import { createBlockQueryable, openBlock } from '@gauntlet/tsdb';

const [dir, address] = process.argv.slice(2);
const fs = createNodeFileSystem();
const kernels = createKernels({ maxMemoryBytes: 1 << 30 });
const queryable = createBlockQueryable(readdirSync(dir).map((name) => openBlock(fs, join(dir, name))), kernels);
const engine = createEngine({ kernels, parser: { experimentalFunctions: true } });
const deps = { engine, kernels, queryable: () => queryable, now: () => performance.now() };

async function serve(request, response) {
  const url = new URL(request.url, 'http://localhost');
  if (url.pathname === '/-/ready') {
    response.end('ready');
    return;
  }
  let answer;
  try {
    const params = new ApiParams(url.searchParams);
    answer = await runQuery(url.pathname.endsWith('/query') ? parseInstantQuery(params, API_DEFAULTS, Date.now()) : parseRangeQuery(params, API_DEFAULTS), deps);
  } catch (error) {
    answer = answerError(error);
  }
  await sendAnswer(request, response, answer);
}

const server = createServer((request, response) => void serve(request, response));
const [host, port] = address.split(':');
// A slow answer of the other side is no reason to lose the connection.
server.keepAliveTimeout = 600_000;
server.listen(Number(port), host);
