/**
 * Routes of the ruler: `/api/v1`, pages, `/-/reload`. What has to be computed is computed in the thread of the rules; here bytes are moved.
 * Source: Thanos pkg/api/rule/v1.go, pkg/ui/rule.go, cmd/thanos/rule.go.
 */
import { type ApiAnswer, type ApiRequest, answerBuildInfo, answerError, answerFlags, answerRuntimeInfo, type BuildInfoJson, type FlagsJson, HttpApiError, type RuntimeInfoJson, serveApi } from '@gauntlet/http-api';
import { errorText, type HttpServer } from '@gauntlet/service-kit';
import { streamPieces } from '@gauntlet/storeapi';
import type { AnswerHead, PageName, ReloadAnswer } from './rules-protocol.ts';
import type { RulesThread } from './rules-thread.ts';

/** What {@link addRoutes} needs. */
export interface RoutesDeps {
  readonly server: HttpServer;
  readonly rules: RulesThread;
  /** Reads the rule files; one at a time. */
  readonly reload: () => Promise<ReloadAnswer>;
  /** `''` or `/prefix`. */
  readonly prefix: string;
  /** Prefix of links, `''` or `/prefix`. */
  readonly externalPrefix: string;
  /** Header with that prefix; `''` for none. */
  readonly prefixHeader: string;
  readonly disableCors: boolean;
  readonly buildInfo: BuildInfoJson;
  readonly runtimeInfo: () => RuntimeInfoJson;
  readonly flags: FlagsJson;
}

/** Adds all routes. */
export function addRoutes(deps: RoutesDeps): void {
  const { server, rules, prefix } = deps;
  const { app } = server;
  const computed = (route: 'rules' | 'alerts') => (request: ApiRequest): Promise<ApiAnswer> =>
    answerOf(streamPieces((transport) => rules.call({ kind: 'api', route, ...request.params.toTexts() }, transport), request.signal));
  serveApi(
    app,
    [
      { path: '/rules', methods: ['GET'], handler: 'rules', answer: computed('rules') },
      { path: '/alerts', methods: ['GET'], handler: 'alerts', answer: computed('alerts') },
      { path: '/status/buildinfo', methods: ['GET'], handler: 'status_build', answer: () => answerBuildInfo(deps.buildInfo) },
      { path: '/status/runtimeinfo', methods: ['GET'], handler: 'status_runtime', answer: () => answerRuntimeInfo(deps.runtimeInfo()) },
      { path: '/status/flags', methods: ['GET'], handler: 'status_flags', answer: () => answerFlags(deps.flags) },
    ],
    { prefix: `${prefix}/api/v1`, disableCors: deps.disableCors, instrument: (handler) => server.instrument(handler) },
  );

  app.all(`${prefix}/-/reload`, server.instrument('reload'), (request, response) => {
    if (request.method !== 'POST') {
      response.setHeader('Allow', 'OPTIONS, POST').status(405).type('text/plain').end('Method Not Allowed\n');
      return;
    }
    deps.reload().then(
      ({ problems }) => {
        if (problems.length === 0) response.status(200).end();
        else response.status(500).type('text/plain').end(`${problems.join('\n')}\n`);
      },
      (error: unknown) => response.status(500).type('text/plain').end(`${errorText(error)}\n`),
    );
  });

  const linkPrefix = (header: string | undefined): string => (deps.externalPrefix === '' && deps.prefixHeader !== '' ? sanitizePrefix(header ?? '') : deps.externalPrefix);
  const headerOf = (request: { get(name: string): string | undefined }): string | undefined => (deps.prefixHeader === '' ? undefined : request.get(deps.prefixHeader));
  for (const page of ['rules', 'alerts'] satisfies PageName[]) {
    app.get(`${prefix}/${page}`, server.instrument(page), (request, response) => {
      const gone = new AbortController();
      response.once('close', () => gone.abort());
      const call = { kind: 'page', page, prefix: linkPrefix(headerOf(request)), url: request.url.split('?').slice(1).join('?') } as const;
      rules.call(call, { onPiece: () => {}, signal: gone.signal }).then(
        (html) => response.status(200).type('text/html').setHeader('Cache-Control', 'no-store').end(html),
        (error: unknown) => {
          if (!response.headersSent) response.status(503).type('text/plain').end(`${errorText(error)}\n`);
        },
      );
    });
  }
  app.get(prefix === '' ? '/' : [prefix, `${prefix}/`], (request, response) => response.redirect(302, `${linkPrefix(headerOf(request))}/alerts`));
  if (prefix !== '') app.get('/', (_request, response) => response.redirect(302, prefix));
}

/** A prefix from a header: a path, or nothing. */
function sanitizePrefix(text: string): string {
  const path = text.trim().replace(/\/+$/, '');
  return /^(\/[A-Za-z0-9._~%-]+)+$/.test(path) ? path : '';
}

/** The answer the thread streams: its head first, then bytes. What fails before the head is an error answer. */
async function answerOf(pieces: AsyncGenerator<unknown, void>): Promise<ApiAnswer> {
  try {
    const first = await pieces.next();
    if (first.done === true) throw new HttpApiError('ERR_INTERNAL', 'the thread of the rules sent no answer');
    return { ...(first.value as AnswerHead), body: pieces as AsyncGenerator<Uint8Array<ArrayBuffer>, void> };
  } catch (error) {
    return answerError(error);
  }
}
