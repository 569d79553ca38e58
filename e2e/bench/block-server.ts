/** Serves query_range over a folder of blocks: engine, block reader and http-api in one process. Arguments: folder, host:port. */
import { readdirSync } from 'node:fs';
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import { join } from 'node:path';
import { API_DEFAULTS, ApiParams, answerError, parseRangeQuery, runQuery } from '@gauntlet/http-api';
import { createKernels } from '@gauntlet/kernels';
import { createEngine } from '@gauntlet/promql';
import { createNodeFileSystem } from '@gauntlet/service-kit';
import { createBlockQueryable, openBlock } from '@gauntlet/tsdb';

const [dir, address] = process.argv.slice(2) as [string, string];
const fs = createNodeFileSystem();
const kernels = createKernels({ maxMemoryBytes: 1 << 30 });
const queryable = createBlockQueryable(readdirSync(dir).map((name) => openBlock(fs, join(dir, name))), kernels);
const engine = createEngine({ kernels });

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://localhost');
  if (url.pathname === '/-/ready') {
    response.end('ready');
    return;
  }
  let answer;
  try {
    answer = await runQuery(parseRangeQuery(new ApiParams(url.searchParams), API_DEFAULTS), { engine, kernels, queryable: () => queryable, now: () => performance.now() });
  } catch (error) {
    answer = answerError(error);
  }
  response.writeHead(answer.status, { 'Content-Type': 'application/json' });
  for await (const bytes of answer.body) response.write(bytes);
  response.end();
}

const server = createServer((request, response) => void serve(request, response));
server.listen(Number(address.split(':')[1]), address.split(':')[0]);
