/**
 * A server with the whole API over any Queryable, on an ephemeral port of the loopback interface: a Thanos querier for tests, and (with a configuration
 * to show) a stand-in for the Prometheus beside a sidecar.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { createKernels } from '@gauntlet/kernels';
import { createEngine, type ParserOptions } from '@gauntlet/promql';
import type { MetadataQueryable } from '../label-calls.ts';
import { answerExplain } from '../explain-query.ts';
import { createQuerierRoutes } from '../querier-routes.ts';
import { API_DEFAULTS, type ApiDefaults, type ReadOptions } from '../query-call.ts';
import { runQuery } from '../run-query.ts';
import { type ApiRoute, serveApi } from '../serve-api.ts';
import { answerConfig } from '../status.ts';
import type { StoreStatus } from '../stores.ts';

export interface ApiServerOptions {
  readonly queryable: MetadataQueryable | ((read: ReadOptions) => MetadataQueryable);
  /** Time of day, ms; default a fixed time. */
  readonly nowMs?: number;
  readonly defaults?: Partial<ApiDefaults>;
  readonly parser?: ParserOptions;
  readonly stores?: readonly StoreStatus[];
  /** YAML at `/api/v1/status/config`; without it the path does not exist. */
  readonly configYaml?: string;
  readonly flags?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
}

export interface ApiServer {
  /** `http://127.0.0.1:PORT`. */
  readonly url: string;
  /** Every request line so far: `GET /api/v1/query?query=up`. */
  readonly requests: readonly string[];
  close(): Promise<void>;
}

/** Starts a server; close it. */
export async function startApiServer(options: ApiServerOptions): Promise<ApiServer> {
  const { queryable } = options;
  const read = typeof queryable === 'function' ? queryable : (): MetadataQueryable => queryable;
  const parser = options.parser ?? {};
  const kernels = createKernels({ backend: 'js' });
  const engine = createEngine({ kernels, parser });
  let ticks = 0;
  const routes: ApiRoute[] = [
    ...createQuerierRoutes({
      defaults: { ...API_DEFAULTS, ...options.defaults },
      parser,
      now: () => options.nowMs ?? 1_700_000_000_000,
      runQuery: (call, { signal }) =>
        // A clock that advances by a microsecond per look: stats are then the same in every run.
        runQuery(call, { engine, kernels, queryable: read, signal, now: () => ++ticks / 1000, ...(options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs }) }),
      explainQuery: (call) => answerExplain(call, { engine }),
      queryable: read,
      stores: () => options.stores ?? [],
      buildInfo: { version: '3.14.0', revision: 'abc', branch: 'main', buildUser: '', buildDate: '', goVersion: 'go1.26.8' },
      runtimeInfo: () => ({ startTime: '2026-01-01T00:00:00Z', CWD: '/', goroutineCount: 1, GOMAXPROCS: 2, GOGC: '', GODEBUG: '', GOMEMLIMIT: 0 }),
      flags: options.flags ?? {},
    }),
  ];
  const { configYaml } = options;
  if (configYaml !== undefined) routes.push({ path: '/status/config', methods: ['GET'], handler: 'status_config', answer: () => answerConfig(configYaml) });
  const app = express();
  app.disable('x-powered-by');
  const requests: string[] = [];
  app.use((request, _response, next) => {
    requests.push(`${request.method} ${request.url}`);
    next();
  });
  app.get('/-/ready', (_request, response) => {
    response.end('Ready');
  });
  serveApi(app, routes);
  const server = createServer(app);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
