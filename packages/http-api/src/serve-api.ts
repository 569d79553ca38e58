/**
 * The routes of the API on an Express app. What stands behind an endpoint is given as a function from parameters to an answer; whatever it throws
 * becomes an error answer.
 */
import type { IncomingMessage } from 'node:http';
import type { Express, Request, RequestHandler, Response } from 'express';
import { type ApiAnswer, answerError } from './api-answer.ts';
import { ApiParams } from './api-params.ts';
import type { ApiStyle } from './error-type.ts';
import { HttpApiError } from './errors.ts';
import { sendAnswer, sendText, setCors, setCorsForOrigin } from './send-answer.ts';

/** What an endpoint gets to know. */
export interface ApiRequest {
  readonly params: ApiParams;
  /** Parts of the path by their names in the route: `name` in `/label/:name/values`. */
  readonly path: Readonly<Record<string, string>>;
  /** Aborted when the client goes away. */
  readonly signal: AbortSignal;
  header(name: string): string | undefined;
}

export type ApiEndpoint = (request: ApiRequest) => Promise<ApiAnswer> | ApiAnswer;

export interface ApiRoute {
  /** Below the prefix: `/query`, `/label/:name/values`. */
  readonly path: string;
  readonly methods: readonly ('GET' | 'POST')[];
  /** Name of the handler in metrics and logs. */
  readonly handler: string;
  readonly answer: ApiEndpoint;
}

export interface ServeApiOptions {
  /** Default `/api/v1`. */
  readonly prefix?: string;
  /** `--web.disable-cors`. */
  readonly disableCors?: boolean;
  /** Default `thanos`. Prometheus repeats the caller's origin, and says nothing of sharing to those who name none. */
  readonly style?: ApiStyle;
  /** Middleware before each endpoint, by handler name: metrics, logs, traces. */
  instrument?(handler: string): RequestHandler;
}

/** Largest form in a body, bytes. */
const FORM_BYTES_MAX = 10 << 20;
/** A longer body is read to its end before it is refused, so that the client sees the refusal; past this the connection is cut, bytes. */
const BODY_BYTES_MAX = 100 << 20;

/** Reads a form body; undefined if the request has none. @throws HttpApiError ERR_BAD_DATA if it is too large */
function readForm(request: IncomingMessage): Promise<URLSearchParams | undefined> {
  const type = (request.headers['content-type'] ?? '').split(';')[0]!.trim().toLowerCase();
  if (request.method !== 'POST' || type !== 'application/x-www-form-urlencoded') return Promise.resolve(undefined);
  return new Promise((resolve, reject) => {
    let chunks: Buffer[] = [];
    let bytes = 0;
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= FORM_BYTES_MAX) chunks.push(chunk);
      else chunks = [];
      if (bytes > BODY_BYTES_MAX) request.destroy();
    });
    request.once('end', () => {
      if (bytes > FORM_BYTES_MAX) reject(new HttpApiError('ERR_BAD_DATA', 'http: POST too large'));
      else resolve(new URLSearchParams(Buffer.concat(chunks).toString('utf8')));
    });
    request.once('close', () => reject(new HttpApiError('ERR_CANCELED', 'the request ended early')));
  });
}

/** Adds the routes, the answer to preflight requests below the prefix, and 404 for everything else there. */
export function serveApi(app: Express, routes: readonly ApiRoute[], options: ServeApiOptions = {}): void {
  const prefix = options.prefix ?? '/api/v1';
  const style = options.style ?? 'thanos';
  const withCors = (request: Request, response: Response): void => {
    if (options.disableCors === true) return;
    if (style === 'prometheus') setCorsForOrigin(response, request.get('origin'));
    else setCors(response);
  };
  for (const route of routes) {
    const before = options.instrument === undefined ? [] : [options.instrument(route.handler)];
    app.all(`${prefix}${route.path}`, ...before, async (request: Request, response: Response) => {
      if (request.method === 'OPTIONS') {
        withCors(request, response);
        sendPreflight(response);
      } else if (route.methods.includes(request.method as 'GET')) {
        withCors(request, response);
        await handle(route, request, response, style);
      } else {
        response.setHeader('Allow', [...route.methods, 'OPTIONS'].join(', '));
        sendText(response, 405, 'Method Not Allowed');
      }
    });
  }
  app.use(prefix, (request: Request, response: Response) => {
    if (request.method === 'OPTIONS') {
      withCors(request, response);
      sendPreflight(response);
    } else sendText(response, 404, '404 page not found');
  });
}

function sendPreflight(response: Response): void {
  response.setHeader('Vary', 'Accept-Encoding');
  response.statusCode = 204;
  response.end();
}

async function handle(route: ApiRoute, request: Request, response: Response, style: ApiStyle): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => {
    if (!response.writableFinished) gone.abort();
  });
  let answer: ApiAnswer;
  try {
    const url = new URLSearchParams(request.url.split('?').slice(1).join('?'));
    const params = new ApiParams(url, await readForm(request));
    answer = await route.answer({ params, path: request.params as Record<string, string>, signal: gone.signal, header: (name) => request.get(name) });
  } catch (error) {
    answer = answerError(error, style);
  }
  try {
    await sendAnswer(request, response, answer, style);
  } catch (error) {
    if (response.headersSent) response.destroy();
    else await sendAnswer(request, response, answerError(error, style), style);
  }
}
