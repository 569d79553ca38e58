/**
 * The HTTP API: what has to be computed comes from workers and is moved to the socket by http-api's `serveApi`; status and stores
 * are answered here.
 *
 *   request ─► parameters as texts ─► worker ─► head, pieces ─► ApiAnswer ─► (gzip) ─► socket, at the pace of its reader
 */
import { type ApiAnswer, type ApiRequest, type ApiRoute as HttpRoute, HttpApiError, answerError, createQuerierRoutes, serveApi } from '@gauntlet/http-api';
import { type HttpServer, WorkerTaskError } from '@gauntlet/service-kit';
import { streamPieces } from '@gauntlet/storeapi';
import type { EndpointSet } from './endpoint-set.ts';
import type { QueryRunner } from './query-runner.ts';
import type { AnswerHead, ApiRoute, WorkerSettings } from './query-task.ts';

type RoutesDeps = Parameters<typeof createQuerierRoutes>[0];

export interface HttpRoutesOptions {
  readonly server: HttpServer;
  readonly runner: QueryRunner;
  readonly endpoints: EndpointSet;
  readonly settings: WorkerSettings;
  readonly prefix: string;
  readonly disableCors: boolean;
  readonly tenantHeader: string;
  readonly defaultTenant: string;
  readonly clock: () => number;
  readonly buildInfo: RoutesDeps['buildInfo'];
  readonly runtimeInfo: RoutesDeps['runtimeInfo'];
  readonly flags: RoutesDeps['flags'];
}

/** Paths whose answers are computed, and what the worker calls them. */
const COMPUTED: ReadonlyMap<string, ApiRoute> = new Map<string, ApiRoute>([
  ['/query', 'query'],
  ['/query_range', 'query_range'],
  ['/query_explain', 'query_explain'],
  ['/query_range_explain', 'query_range_explain'],
  ['/series', 'series'],
  ['/labels', 'labels'],
  ['/label/:name/values', 'label_values'],
  ['/format_query', 'format_query'],
  ['/parse_query', 'parse_query'],
  ['/rules', 'rules'],
  ['/alerts', 'alerts'],
  ['/query_exemplars', 'query_exemplars'],
]);

/** Adds all API routes below the prefix. */
export function addApiRoutes(options: HttpRoutesOptions): void {
  const { server, runner, endpoints, settings, clock } = options;
  const notHere = (): never => {
    throw new HttpApiError('ERR_INTERNAL', 'queries are not run in this thread');
  };
  const routes = createQuerierRoutes({
    defaults: settings.defaults,
    parser: {},
    now: clock,
    runQuery: notHere,
    explainQuery: notHere,
    queryable: notHere,
    stores: () =>
      endpoints.status().map((status) => ({
        component: status.componentType,
        name: status.name,
        lastCheckMs: status.lastCheckMs,
        lastError: status.lastError ?? undefined,
        labelSets: status.labelSets,
        minTimeMs: status.mint,
        maxTimeMs: status.maxt,
      })),
    buildInfo: options.buildInfo,
    runtimeInfo: options.runtimeInfo,
    flags: options.flags,
  });
  let number = 0;
  const inWorker = (route: ApiRoute) => (request: ApiRequest): Promise<ApiAnswer> => {
    const tenant = request.header(options.tenantHeader) ?? options.defaultTenant;
    const asked = route === 'rules' || route === 'alerts' ? endpoints.rulesSnapshot() : route === 'query_exemplars' ? endpoints.exemplarsSnapshot() : endpoints.snapshot();
    const task = { kind: 'api', route, name: `${route} ${++number}`, endpoints: asked, tenant, ...request.params.toTexts(), label: request.path['name'] ?? '' } as const;
    return answerOf(streamPieces(({ onPiece, signal }) => runner.run(task, onPiece, signal), request.signal));
  };
  serveApi(
    server.app,
    routes.map((route): HttpRoute => {
      const computed = COMPUTED.get(route.path);
      return computed === undefined ? route : { ...route, answer: inWorker(computed) };
    }),
    { prefix: `${options.prefix}/api/v1`, disableCors: options.disableCors, instrument: (handler) => server.instrument(handler) },
  );
}

/** The answer a worker streams: its head first, then bytes. What fails before the head is an error answer. */
async function answerOf(pieces: AsyncGenerator<unknown, void>): Promise<ApiAnswer> {
  try {
    const first = await pieces.next();
    if (first.done === true) throw new HttpApiError('ERR_INTERNAL', 'the query worker sent no answer');
    return { ...(first.value as AnswerHead), body: pieces as AsyncGenerator<Uint8Array<ArrayBuffer>, void> };
  } catch (error) {
    return answerError(error instanceof WorkerTaskError ? new Error(error.task.message) : error);
  }
}
