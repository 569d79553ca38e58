/**
 * The HTTP server of a component: an express application over node:http(s) with what every component serves.
 *
 *   request ─► TLS ─► headers, basic auth (web-config.ts) ─► /-/healthy /-/ready /metrics /debug/pprof ─► app routes, each `instrument`ed by its handler name
 *
 * `instrument` measures (`http_requests_total{code,handler,method}` and its family), traces, gives every request an id and logs it where the request-logging rules say so.
 * Source: Thanos pkg/server/http, pkg/extprom/http, pkg/logging/http.go.
 */
import { once } from 'node:events';
import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Server as TlsServer } from 'node:tls';
import express, { type Express, type NextFunction, type Request, type RequestHandler, type Response } from 'express';
import { createBasicAuth, createPasswordWorker } from './basic-auth.ts';
import { ServiceKitError, errorText, systemErrorCode } from './errors.ts';
import { watchFiles } from './file-watch.ts';
import type { Logger } from './log.ts';
import { renderMetrics } from './metrics-exposition.ts';
import type { Metrics } from './metrics.ts';
import type { Probe } from './probe.ts';
import { registerProfiling } from './profiling.ts';
import { createRequestId } from './request-id.ts';
import { NO_REQUEST_LOGGING, type RequestLogging, ruleAllows, ruleMatches } from './request-logging.ts';
import { joinHostPort } from './dns.ts';
import { readServerTls, tlsFiles } from './tls.ts';
import { contextFromHeader } from './trace-context.ts';
import { FORCE_TRACING_HEADER, TRACE_ID_HEADER, type TraceSpan, type Tracing } from './tracing.ts';
import { type WebConfig, readWebConfig } from './web-config.ts';

/** Buckets of request durations, seconds. */
const DURATION_BUCKETS = [0.001, 0.01, 0.1, 0.3, 0.6, 1, 3, 6, 9, 20, 30, 60, 90, 120, 240, 360, 720];
/** Buckets of request and response sizes, bytes. */
const SIZE_BUCKETS = [64, 128, 256, 512, 1024, 2048, 4096, 8192, 16_384, 32_768];
/** Go's limit; Node's 16 KiB would refuse long queries in URLs. */
const HEADER_BYTES_MAX = 1_048_576;
/** Longer than the idle time of proxies, so that they close first. */
const KEEP_ALIVE_MS = 300_000;

/** What {@link createHttpServer} needs. */
export interface HttpServerOptions {
  /** `host:port`; port 0 takes a free one; an empty host listens everywhere. */
  readonly address: string;
  /** Time for running requests after `stop`; 0 cuts them off. */
  readonly gracePeriodMs: number;
  /** Path of `--http.config`; empty for none. */
  readonly webConfigPath?: string;
  readonly component: string;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Without it there are no probe endpoints. */
  readonly probe?: Probe;
  readonly requestLogging?: RequestLogging;
  readonly tracing?: Tracing;
  /** Serve /debug/pprof; default false. */
  readonly profiling?: boolean;
  /** Further labels of the http_* metrics (`tenant` on query) and their value per request. */
  readonly extraLabels?: Readonly<Record<string, (request: Request) => string>>;
  /** Unix milliseconds. */
  readonly clock?: () => number;
  /** Time between looks at certificates and the web configuration; default 5 s. */
  readonly reloadIntervalMs?: number;
}

/** Makes a server that does not listen yet. Reads the web configuration. @throws ConfigError, ServiceKitError ERR_TLS */
export function createHttpServer(options: HttpServerOptions): HttpServer {
  return new HttpServer(options);
}

/** Per-request facts set by {@link HttpServer.instrument}. */
export interface RequestFacts {
  readonly requestId: string;
  readonly span: TraceSpan | undefined;
  /** Aborted when the client goes away before the answer is finished. */
  readonly signal: AbortSignal;
}

const factsOf = new WeakMap<IncomingMessage, RequestFacts>();

/** Facts of a request inside an instrumented handler. @throws ServiceKitError outside of one */
export function requestFacts(request: IncomingMessage): RequestFacts {
  const facts = factsOf.get(request);
  if (facts === undefined) throw new ServiceKitError('ERR_CONFIG', 'request facts: the handler is not instrumented');
  return facts;
}

/** A part for the run group: name, start, stop. */
export class HttpServer {
  readonly name: string = 'http server';
  /** Routes are added here, after those every component has. */
  readonly app: Express;
  readonly #options: HttpServerOptions;
  readonly #log: Logger;
  readonly #clock: () => number;
  readonly #server: Server;
  readonly #metrics: ReturnType<typeof declareMetrics>;
  readonly #cleanups: (() => Promise<void> | void)[] = [];
  #webConfig: WebConfig;

  constructor(options: HttpServerOptions) {
    this.#options = options;
    this.#log = options.log.child({ service: 'http/server', component: options.component });
    this.#clock = options.clock ?? Date.now;
    this.#webConfig = readWebConfig(options.webConfigPath ?? '');
    this.#metrics = declareMetrics(options.metrics, Object.keys(options.extraLabels ?? {}));
    this.app = express();
    this.app.disable('x-powered-by');
    this.app.disable('etag');
    this.#server = this.#createServer((request, response) => {
      this.app(request as Request, response as Response, (error?: unknown) => this.#finish(request, response, error));
    });
    this.#server.keepAliveTimeout = KEEP_ALIVE_MS;
    this.#registerCommonRoutes();
  }

  /** Starts listening; then the probe is healthy. @throws ServiceKitError ERR_LISTEN such as `listen on 127.0.0.1:80: port in use` */
  async start(): Promise<void> {
    const { address } = this.#options;
    await listen(this.#server, address);
    this.#options.probe?.healthy();
    this.#log.info('listening for requests and metrics', { address: joinHostPort(this.address().host, this.address().port), tls: this.#webConfig.tls !== undefined });
  }

  /** Where it listens. @throws ServiceKitError ERR_LISTEN before start */
  address(): { readonly host: string; readonly port: number } {
    const bound = this.#server.address() as AddressInfo | null;
    if (bound === null) throw new ServiceKitError('ERR_LISTEN', `address of HTTP server ${this.#options.address}: it is not listening`);
    return { host: bound.address, port: bound.port };
  }

  /** Stops taking connections, waits for running requests up to the grace period, then cuts the rest off. */
  async stop(reason = 'stopped'): Promise<void> {
    this.#log.info('internal server is shutting down', { reason });
    for (const cleanup of this.#cleanups.splice(0)) await cleanup();
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeIdleConnections();
    const cutOff = (): void => {
      this.#log.warn('grace period exceeded, closing connections', { gracePeriodMs: this.#options.gracePeriodMs });
      this.#server.closeAllConnections();
    };
    const timer = this.#options.gracePeriodMs > 0 ? setTimeout(cutOff, this.#options.gracePeriodMs) : undefined;
    if (timer === undefined) this.#server.closeAllConnections();
    await closed;
    clearTimeout(timer);
    this.#log.info('internal server is shutdown gracefully', { reason });
  }

  /** Middleware before a route's handler: id, span, metrics and log of requests under this handler name (`query_range`). */
  instrument(handler: string): RequestHandler {
    return (request, response, next) => {
      const startMs = this.#clock();
      const method = request.method.toLowerCase();
      const extra = Object.fromEntries(Object.entries(this.#options.extraLabels ?? {}).map(([label, read]) => [label, read(request)]));
      const inFlight = this.#metrics.inFlight.with({ handler, method, ...extra });
      const requestId = request.get('x-request-id') ?? createRequestId(startMs);
      const span = this.#startSpan(request, handler);
      const traceId = span?.traceId;
      response.setHeader('X-Request-ID', requestId);
      if (traceId !== undefined) response.setHeader(TRACE_ID_HEADER, traceId);
      const gone = new AbortController();
      factsOf.set(request, { requestId, span, signal: gone.signal });
      inFlight.inc();
      const sent = countSent(response);
      this.#logStart(request, handler, requestId);
      response.once('close', () => {
        inFlight.dec();
        if (!response.writableFinished) gone.abort(new ServiceKitError('ERR_CANCELLED', 'the client went away'));
        const seconds = (this.#clock() - startMs) / 1000;
        const labels = { code: String(response.statusCode), handler, method, ...extra };
        const exemplar = traceId === undefined ? undefined : { traceID: traceId };
        this.#metrics.requests.with(labels).inc();
        this.#metrics.duration.with(labels).observe(seconds, exemplar);
        this.#metrics.requestSize.with(labels).observe(requestBytes(request), exemplar);
        this.#metrics.responseSize.with(labels).observe(sent(), exemplar);
        span?.setAttribute('http.status_code', response.statusCode);
        span?.end(response.statusCode >= 500 ? `status ${response.statusCode}` : undefined);
        this.#logEnd(request, response, handler, requestId, seconds * 1000);
      });
      next();
    };
  }

  #createServer(app: (request: IncomingMessage, response: ServerResponse) => void): Server {
    const { tls, clientAuth } = this.#webConfig;
    const path = this.#options.webConfigPath ?? '';
    if (tls === undefined) {
      if (path !== '') this.#watch(path, undefined);
      return createServer({ maxHeaderSize: HEADER_BYTES_MAX }, app);
    }
    const verify = clientAuth === 'VerifyClientCertIfGiven' || clientAuth === 'RequireAndVerifyClientCert';
    const server = createTlsServer(
      {
        ...readServerTls(tls),
        maxHeaderSize: HEADER_BYTES_MAX,
        requestCert: clientAuth !== 'NoClientCert',
        rejectUnauthorized: clientAuth === 'RequireAndVerifyClientCert',
      },
      app,
    );
    server.on('secureConnection', (socket) => {
      const hasCert = Object.keys(socket.getPeerCertificate() ?? {}).length > 0;
      const required = clientAuth.startsWith('Require');
      if ((required && !hasCert) || (verify && hasCert && !socket.authorized)) socket.destroy();
    });
    this.#watch(path, server);
    return server;
  }

  /** Users and headers take effect with the next request, certificates with the next connection. */
  #watch(path: string, server: TlsServer | undefined): void {
    const watch = watchFiles({
      paths: () => [path, ...(this.#webConfig.tls === undefined ? [] : tlsFiles(this.#webConfig.tls))],
      onChange: () => {
        const next = readWebConfig(path);
        if ((next.tls === undefined) !== (this.#webConfig.tls === undefined)) throw new ServiceKitError('ERR_TLS', `${path}: turning TLS on or off needs a restart`);
        const material = next.tls === undefined ? undefined : readServerTls(next.tls);
        if (material !== undefined) server?.setSecureContext(material);
        this.#webConfig = next;
        this.#log.info('web configuration reloaded', { file: path });
      },
      log: this.#log,
      ...(this.#options.reloadIntervalMs === undefined ? {} : { intervalMs: this.#options.reloadIntervalMs }),
    });
    this.#cleanups.push(() => watch.stop());
    this.reload = () => watch.check();
  }

  /** Looks at the web configuration and certificates now. */
  reload: () => Promise<boolean> = () => Promise.resolve(false);

  #registerCommonRoutes(): void {
    const { app } = this;
    const { probe, metrics } = this.#options;
    this.#registerAccess(app);
    if (probe !== undefined) {
      const answer = (state: () => boolean): RequestHandler => (_request, response) => {
        const isOk = state();
        response.status(isOk ? 200 : 503).type('text/plain').end(isOk ? 'OK' : 'NOT OK');
      };
      app.get('/-/healthy', answer(() => probe.isHealthy));
      app.get('/-/ready', answer(() => probe.isReady));
    }
    app.get('/metrics', async (request, response) => {
      const page = await renderMetrics(metrics.registry, request.get('accept'));
      response.setHeader('Content-Type', page.contentType);
      response.end(page.body);
    });
    registerProfiling(app, this.#options.profiling ?? false);
  }

  #registerAccess(app: Express): void {
    if ((this.#options.webConfigPath ?? '') === '') return;
    const passwords = createPasswordWorker(this.#log);
    const auth = createBasicAuth((password, hash) => passwords.compare(password, hash));
    this.#cleanups.push(() => passwords.close());
    app.use(async (request: Request, response: Response, next: NextFunction) => {
      for (const [name, value] of this.#webConfig.headers) response.setHeader(name, value);
      const { users } = this.#webConfig;
      if (users.size === 0 || (await auth.check(request.get('authorization'), users))) {
        next();
        return;
      }
      response.setHeader('WWW-Authenticate', 'Basic');
      response.status(401).type('text/plain').end('Unauthorized\n');
    });
  }

  /** Ends what no route has answered: 404, or 500 for a handler that threw; the reason goes to the log, not to the client. */
  #finish(request: IncomingMessage, response: ServerResponse, error: unknown): void {
    if (error !== undefined && error !== null) this.#log.error('HTTP handler failed', { method: request.method, path: request.url, err: error });
    if (response.headersSent) {
      response.destroy();
      return;
    }
    const badRequest = error instanceof URIError;
    response.statusCode = error === undefined || error === null ? 404 : badRequest ? 400 : 500;
    response.setHeader('Content-Type', 'text/plain; charset=utf-8');
    response.end(response.statusCode === 404 ? '404 page not found\n' : badRequest ? 'bad request\n' : 'internal server error\n');
  }

  #startSpan(request: Request, handler: string): TraceSpan | undefined {
    const { tracing } = this.#options;
    if (tracing === undefined || !tracing.isEnabled) return undefined;
    return tracing.startSpan(`/${handler} HTTP[server]`, {
      kind: 'server',
      parent: contextFromHeader(request.get('traceparent')),
      attributes: { 'http.method': request.method, 'http.target': request.path, ...(request.get(FORCE_TRACING_HEADER) === undefined ? {} : { 'thanos.force_tracing': true }) },
    });
  }

  #logStart(request: Request, handler: string, requestId: string): void {
    const rule = (this.#options.requestLogging ?? NO_REQUEST_LOGGING).http;
    if (!rule.logStart || !this.#isLogged(request) || !ruleAllows(rule, 'debug')) return;
    this.#log.debug('started call', { ...requestFields(request, requestId), 'thanos.method_name': handler });
  }

  #logEnd(request: Request, response: Response, handler: string, requestId: string, tookMs: number): void {
    const rule = (this.#options.requestLogging ?? NO_REQUEST_LOGGING).http;
    if (!this.#isLogged(request)) return;
    const level = response.statusCode >= 200 && response.statusCode < 500 ? 'debug' : 'error';
    if (!ruleAllows(rule, level)) return;
    this.#log[level]('finished call', {
      ...requestFields(request, requestId),
      'http.status_code': String(response.statusCode),
      'http.time_ms': String(tookMs),
      'http.remote_addr': request.get('x-forwarded-for') ?? joinHostPort(request.socket.remoteAddress ?? '', request.socket.remotePort ?? 0),
      'thanos.method_name': handler,
    });
  }

  #isLogged(request: Request): boolean {
    return ruleMatches((this.#options.requestLogging ?? NO_REQUEST_LOGGING).http, `${request.baseUrl}${request.path}:${request.socket.localPort ?? 0}`);
  }
}

/** Listens on `host:port`. @throws ServiceKitError ERR_LISTEN in words */
export async function listen(server: Server, address: string): Promise<void> {
  const { host, port } = parseListenAddress(address);
  try {
    server.listen(host === '' ? { port } : { port, host });
    await once(server, 'listening');
  } catch (error) {
    throw listenError(address, error);
  }
}

/** Splits a listen address. @throws ServiceKitError ERR_LISTEN when the port is missing or not a number */
export function parseListenAddress(address: string): { readonly host: string; readonly port: number } {
  const [, bracketed, plain, portText] = /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})$/.exec(address) ?? [];
  const port = Number(portText);
  if (portText === undefined || port > 65_535) throw new ServiceKitError('ERR_LISTEN', `listen on ${address}: wanted host:port`);
  return { host: bracketed ?? plain ?? '', port };
}

/** A listen failure in words; the cause is kept. */
export function listenError(address: string, error: unknown): ServiceKitError {
  const code = systemErrorCode(error) ?? '';
  const text = `${code} ${errorText(error)}`;
  const reason = text.includes('EADDRINUSE')
    ? 'port in use'
    : text.includes('EACCES')
      ? 'permission denied (ports below 1024 need a capability)'
      : text.includes('EADDRNOTAVAIL')
        ? 'this machine has no such address'
        : text.includes('ENOTFOUND') || text.includes('EAI_')
          ? 'no such host'
          : errorText(error);
  return new ServiceKitError('ERR_LISTEN', `listen on ${address}: ${reason}`, error);
}

function declareMetrics(metrics: Metrics, extra: readonly string[]) {
  const labels = ['code', 'handler', 'method', ...extra];
  return {
    requests: metrics.counter({ name: 'http_requests_total', help: 'Tracks the number of HTTP requests.', labels }),
    duration: metrics.histogram({ name: 'http_request_duration_seconds', help: 'Tracks the latencies for HTTP requests.', labels, buckets: DURATION_BUCKETS }),
    requestSize: metrics.histogram({ name: 'http_request_size_bytes', help: 'Tracks the size of HTTP requests.', labels, buckets: SIZE_BUCKETS }),
    responseSize: metrics.histogram({ name: 'http_response_size_bytes', help: 'Tracks the size of HTTP responses.', labels, buckets: SIZE_BUCKETS }),
    inFlight: metrics.gauge({ name: 'http_inflight_requests', help: 'Current number of HTTP requests the handler is responding to.', labels: ['handler', 'method', ...extra] }),
  };
}

/** Counts body bytes of an answer by looking over the shoulder of write and end. */
function countSent(response: ServerResponse): () => number {
  let bytes = 0;
  const count = (chunk: unknown, encoding: unknown): void => {
    if (typeof chunk === 'string') bytes += Buffer.byteLength(chunk, typeof encoding === 'string' ? (encoding as BufferEncoding) : 'utf8');
    else if (chunk instanceof Uint8Array) bytes += chunk.byteLength;
  };
  const write = response.write.bind(response) as (...args: unknown[]) => boolean;
  const end = response.end.bind(response) as (...args: unknown[]) => ServerResponse;
  response.write = ((...args: unknown[]) => (count(args[0], args[1]), write(...args))) as typeof response.write;
  response.end = ((...args: unknown[]) => (count(args[0], args[1]), end(...args))) as typeof response.end;
  return () => bytes;
}

function requestBytes(request: IncomingMessage): number {
  let bytes = (request.url ?? '').length + (request.method ?? '').length;
  for (const text of request.rawHeaders) bytes += text.length;
  return bytes + Number(request.headers['content-length'] ?? 0);
}

function requestFields(request: Request, requestId: string): Record<string, unknown> {
  return { 'http.method': `${request.method} ${request.originalUrl}`, 'http.request_id': requestId, 'http.user_agent': request.get('user-agent') ?? '' };
}
