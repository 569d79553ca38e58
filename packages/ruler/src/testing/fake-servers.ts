/** HTTP servers on loopback for tests: a querier that answers instant queries from a function, an Alertmanager that keeps what it is sent. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A running server. */
export interface FakeServer {
  /** `host:port`. */
  readonly address: string;
  readonly url: string;
  close(): Promise<void>;
}

/** Serves with a function that gets the whole body. */
export async function startFakeServer(handle: (request: IncomingMessage, body: string, response: ServerResponse) => void, port = 0): Promise<FakeServer> {
  const server: Server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () => handle(request, Buffer.concat(pieces).toString('utf8'), response));
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    address,
    url: `http://${address}`,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** One element of a vector. */
export interface FakeSample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Sends JSON. */
export function sendJson(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(value));
}

/** A query API. */
export interface FakeQuerier extends FakeServer {
  /** Parameters of each query so far. */
  readonly queries: Record<string, string>[];
  /** Answer per expression; what is not here is an empty vector. An Error is an execution error. */
  readonly answers: Map<string, readonly FakeSample[] | Error>;
  warnings: readonly string[];
  /** Answer of /api/v1/stores; undefined: 404. */
  stores: unknown;
}

/** Starts a query API that answers from its map. */
export async function startFakeQuerier(): Promise<FakeQuerier> {
  const queries: Record<string, string>[] = [];
  const answers: FakeQuerier['answers'] = new Map();
  const state = { queries, answers, warnings: [] as readonly string[], stores: undefined as unknown };
  const server = await startFakeServer((request, body, response) => {
    const url = new URL(request.url ?? '/', 'http://x');
    if (url.pathname === '/api/v1/stores' && state.stores !== undefined) {
      sendJson(response, 200, { status: 'success', data: state.stores });
      return;
    }
    if (url.pathname !== '/api/v1/query') {
      sendJson(response, 404, { status: 'error', errorType: 'not_found', error: 'no such path' });
      return;
    }
    const params = Object.fromEntries(new URLSearchParams(request.method === 'POST' ? body : url.search));
    queries.push({ method: request.method ?? '', ...params });
    const answer = answers.get(params['query'] ?? '') ?? [];
    if (answer instanceof Error) {
      sendJson(response, 422, { status: 'error', errorType: 'execution', error: answer.message });
      return;
    }
    const at = Date.parse(params['time'] ?? '') / 1000;
    sendJson(response, 200, {
      status: 'success',
      data: { resultType: 'vector', result: answer.map(({ metric, value }) => ({ metric, value: [at, String(value)] })) },
      ...(state.warnings.length > 0 ? { warnings: state.warnings } : {}),
    });
  });
  // The handler reads the object that tests change.
  return Object.assign(state, server);
}

/** An alert as Alertmanager gets it. */
export interface PostedAlert {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly startsAt: string;
  readonly endsAt: string;
  readonly generatorURL: string;
}

/** An Alertmanager. */
export interface FakeAlertmanager extends FakeServer {
  readonly posts: { readonly path: string; readonly atMs: number; readonly alerts: readonly PostedAlert[] }[];
  /** Status of answers. */
  status: number;
}

/** Starts one. */
export async function startFakeAlertmanager(port = 0): Promise<FakeAlertmanager> {
  const posts: FakeAlertmanager['posts'] = [];
  const manager = { posts, status: 200 };
  const server = await startFakeServer((request, body, response) => {
    posts.push({ path: request.url ?? '', atMs: Date.now(), alerts: JSON.parse(body) as PostedAlert[] });
    response.writeHead(manager.status).end();
  }, port);
  return Object.assign(manager, server);
}
