/**
 * The HTTP API: computed answers come from workers and are moved to the socket here; status and stores are answered here.
 *
 *   request ─ instrument ─► task ─► worker ─► head, pieces ─► (gzip) ─► socket, at the pace of its reader
 */
import { type Gzip, constants, createGzip } from 'node:zlib';
import { once } from 'node:events';
import express, { type Express, type Request, type Response } from 'express';
import {
  type ApiAnswer,
  ApiParams,
  answerBuildInfo,
  answerError,
  answerFlags,
  answerNoAlerts,
  answerNoExemplars,
  answerNoMetadata,
  answerNoRules,
  answerNoTargets,
  answerRuntimeInfo,
  answerStores,
} from '@gauntlet/http-api';
import { type HttpServer, WorkerTaskError, requestFacts } from '@gauntlet/service-kit';
import type { EndpointSet } from './endpoint-set.ts';
import type { QueryRunner } from './query-runner.ts';
import type { AnswerHead, ApiRoute } from './query-task.ts';

export interface HttpRoutesOptions {
  readonly server: HttpServer;
  readonly runner: QueryRunner;
  readonly endpoints: EndpointSet;
  readonly prefix: string;
  readonly disableCors: boolean;
  readonly tenantHeader: string;
  readonly defaultTenant: string;
  readonly buildInfo: Parameters<typeof answerBuildInfo>[0];
  readonly runtimeInfo: () => Parameters<typeof answerRuntimeInfo>[0];
  readonly flags: Readonly<Record<string, string>>;
}

/** Largest form in a POST body; Go's limit is 10 MB too. */
const FORM_BYTES_MAX = '10mb';

/** Adds all API routes below the prefix. */
export function addApiRoutes(options: HttpRoutesOptions): void {
  const { server, runner, endpoints, prefix, flags } = options;
  const { app } = server;
  const api = `${prefix}/api/v1`;
  const form = express.text({ type: 'application/x-www-form-urlencoded', limit: FORM_BYTES_MAX });
  let number = 0;

  const computed = (route: ApiRoute) => async (request: Request, response: Response): Promise<void> => {
    const { signal } = requestFacts(request);
    const tenant = request.get(options.tenantHeader) ?? options.defaultTenant;
    const writer = new AnswerWriter(request, response);
    try {
      await runner.run(
        { kind: 'api', route, name: `${route} ${++number}`, endpoints: endpoints.snapshot(), tenant, url: queryOf(request), form: formOf(request), label: String(request.params['name'] ?? '') },
        (piece) => writer.take(piece),
        signal,
      );
      await writer.end();
    } catch (error) {
      if (signal.aborted) return;
      const cause = error instanceof WorkerTaskError ? new Error(error.task.message) : error;
      // With the head gone nothing but a cut connection tells the reader that the answer is not whole.
      if (response.headersSent) response.destroy();
      else await writer.send(answerError(cause));
    }
  };
  const plain = (answer: (params: ApiParams) => ApiAnswer) => async (request: Request, response: Response): Promise<void> => {
    let result: ApiAnswer;
    try {
      result = answer(new ApiParams(new URLSearchParams(queryOf(request)), formOf(request) === undefined ? undefined : new URLSearchParams(formOf(request))));
    } catch (error) {
      result = answerError(error);
    }
    await new AnswerWriter(request, response).send(result);
  };

  if (!options.disableCors) addCors(app, prefix);
  const both = (path: string, handler: string, run: (request: Request, response: Response) => Promise<void>): void => {
    app.get(`${api}${path}`, server.instrument(handler), run);
    app.post(`${api}${path}`, server.instrument(handler), form, run);
  };
  both('/query', 'query', computed('query'));
  both('/query_range', 'query_range', computed('query_range'));
  both('/series', 'series', computed('series'));
  both('/labels', 'label_names', computed('labels'));
  both('/format_query', 'format_query', computed('format_query'));
  both('/parse_query', 'parse_query', computed('parse_query'));
  app.get(`${api}/label/:name/values`, server.instrument('label_values'), computed('label_values'));
  app.get(`${api}/stores`, server.instrument('stores'), plain(() => answerStores(endpoints.status().map((status) => ({
    component: status.componentType,
    name: status.name,
    lastCheckMs: status.lastCheckMs,
    lastError: status.lastError ?? undefined,
    labelSets: status.labelSets,
    minTimeMs: status.mint,
    maxTimeMs: status.maxt,
  })))));
  app.get(`${api}/status/buildinfo`, server.instrument('status_buildinfo'), plain(() => answerBuildInfo(options.buildInfo)));
  app.get(`${api}/status/runtimeinfo`, server.instrument('status_runtimeinfo'), plain(() => answerRuntimeInfo(options.runtimeInfo())));
  app.get(`${api}/status/flags`, server.instrument('status_flags'), plain(() => answerFlags(flags)));
  app.get(`${api}/rules`, server.instrument('rules'), plain(answerNoRules));
  app.get(`${api}/alerts`, server.instrument('alerts'), plain(() => answerNoAlerts()));
  app.get(`${api}/targets`, server.instrument('targets'), plain(answerNoTargets));
  app.get(`${api}/metadata`, server.instrument('metadata'), plain(answerNoMetadata));
  both('/query_exemplars', 'exemplars', plain((params) => answerNoExemplars(params, {})));
}

const queryOf = (request: Request): string => request.originalUrl.split('?').slice(1).join('?');
const formOf = (request: Request): string | undefined => (typeof request.body === 'string' ? request.body : undefined);

function addCors(app: Express, prefix: string): void {
  app.use(`${prefix}/api`, (request, response, next) => {
    response.setHeader('Access-Control-Allow-Headers', 'Accept, Accept-Encoding, Authorization, Content-Type, Origin');
    response.setHeader('Access-Control-Allow-Methods', 'GET, POST, OPTIONS');
    response.setHeader('Access-Control-Allow-Origin', '*');
    response.setHeader('Access-Control-Expose-Headers', 'Date');
    if (request.method === 'OPTIONS') response.status(204).end();
    else next();
  });
}

/** Writes one answer to a socket, compressed where the reader takes it, and waits for room before it takes more. */
class AnswerWriter {
  readonly #request: Request;
  readonly #response: Response;
  #gzip: Gzip | undefined;

  constructor(request: Request, response: Response) {
    this.#request = request;
    this.#response = response;
  }

  /** A piece from a worker: the head first, then bytes. */
  take(piece: unknown): Promise<void> {
    if (piece instanceof Uint8Array) return this.#write(piece);
    this.#begin(piece as AnswerHead);
    return Promise.resolve();
  }

  /** A whole answer made in this thread. */
  async send(answer: ApiAnswer): Promise<void> {
    this.#begin(answer);
    for await (const bytes of answer.body) await this.#write(bytes);
    await this.end();
  }

  async end(): Promise<void> {
    const out = this.#gzip ?? this.#response;
    if (this.#response.destroyed) return;
    out.end();
    if (!this.#response.writableFinished) await Promise.race([once(this.#response, 'finish'), once(this.#response, 'close')]);
  }

  #begin(head: AnswerHead): void {
    const response = this.#response;
    response.status(head.status);
    response.setHeader('Content-Type', 'application/json');
    if (head.noStore) response.setHeader('Cache-Control', 'no-store');
    response.setHeader('Vary', 'Accept-Encoding');
    if (/\bgzip\b/.test(this.#request.get('accept-encoding') ?? '')) {
      response.setHeader('Content-Encoding', 'gzip');
      // zlib works in libuv's threads; level 1 keeps up with the writer.
      this.#gzip = createGzip({ level: constants.Z_BEST_SPEED, chunkSize: 64 << 10 });
      this.#gzip.pipe(response);
    }
  }

  async #write(bytes: Uint8Array): Promise<void> {
    const out = this.#gzip ?? this.#response;
    if (this.#response.destroyed) return;
    if (!out.write(bytes)) await Promise.race([once(out, 'drain'), once(this.#response, 'close')]);
  }
}
