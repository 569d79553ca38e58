/**
 * HTTP of the compactor besides probes and metrics:
 *
 *   /                               the status page; /loaded, /global and /blocks, where Thanos has its viewer, lead there
 *   /api/v1/compact                 the same as JSON
 *   /api/v1/blocks?view=…           metas: `loaded` those this compactor works with, else all of the bucket
 *   /api/v1/blocks/mark             POST id, action (DELETION, NO_COMPACTION), detail
 *   /api/v1/status/{flags,buildinfo}
 *
 * Paths and JSON of blocks as Thanos' pkg/api/blocks. The list of all blocks is fetched when it is asked for and old: nobody looking
 * costs no requests.
 */
import { blockIdOf, createMetaLoader, type DiscoveryStrategy, formatThanosMeta, markBlock, type ThanosMeta } from '@gauntlet/block';
import { answerBuildInfo, answerData, answerDataText, answerFlags, type ApiParams, formatRfc3339, HttpApiError, serveApi } from '@gauntlet/http-api';
import type { Bucket } from '@gauntlet/objstore';
import { BUILD_INFO, createMetrics, errorText, type HttpServer, type Logger } from '@gauntlet/service-kit';
import type { CompactorStatus } from './compactor-status.ts';
import { renderStatusPage } from './status-page.ts';

/** What the routes show. */
export interface CompactorRoutesOptions {
  readonly server: HttpServer;
  readonly status: CompactorStatus;
  readonly bucket: Bucket;
  readonly log: Logger;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  /** `--bucket-web-label` */
  readonly label: string;
  /** Before all paths: `/x` or empty. */
  readonly prefix: string;
  /** Before redirects, as the browser sees it. */
  readonly externalPrefix: string;
  readonly disableCors: boolean;
  readonly disableAdminOperations: boolean;
  readonly flags: Readonly<Record<string, string>>;
  readonly globalView: { readonly strategy: DiscoveryStrategy; readonly concurrency: number; readonly maxAgeMs: number; readonly timeoutMs: number };
}

const utf8 = new TextDecoder();

interface BlocksView {
  readonly metas: readonly ThanosMeta[];
  readonly refreshedMs: number;
  readonly error: string | undefined;
}

/** Adds the routes. */
export function addCompactorRoutes(options: CompactorRoutesOptions): void {
  const { server, status, prefix, externalPrefix } = options;
  const global = createGlobalView(options);
  serveApi(
    server.app,
    [
      { path: '/compact', methods: ['GET'], handler: 'compact', answer: () => answerData(status.overview()) },
      { path: '/blocks', methods: ['GET'], handler: 'blocks', answer: async ({ params }) => answerBlocks(params.fromUrl('view') === 'loaded' ? loadedView(status) : await global(), options.label) },
      {
        path: '/blocks/mark', methods: ['POST'], handler: 'blocks_mark',
        answer: async ({ params }) => {
          await markFromForm(options, params);
          return answerData(null);
        },
      },
      { path: '/status/flags', methods: ['GET'], handler: 'status_flags', answer: () => answerFlags(options.flags) },
      {
        path: '/status/buildinfo', methods: ['GET'], handler: 'status_build',
        answer: () => answerBuildInfo({ version: BUILD_INFO.version, revision: BUILD_INFO.revision, branch: BUILD_INFO.branch, buildUser: '', buildDate: '', goVersion: `node${process.version}` }),
      },
    ],
    { prefix: `${prefix}/api/v1`, disableCors: options.disableCors, instrument: (handler) => server.instrument(handler) },
  );
  server.app.get(`${prefix}/`, server.instrument('status_page'), (request, response) => {
    // Links of the page are relative to a directory.
    if (prefix !== '' && !request.path.endsWith('/')) response.redirect(302, `${externalPrefix}/`);
    else response.setHeader('Cache-Control', 'no-store').setHeader('Content-Security-Policy', "default-src 'none'; style-src 'unsafe-inline'").type('html').send(renderStatusPage(status.overview()));
  });
  for (const path of ['/loaded', '/global', '/blocks']) server.app.get(`${prefix}${path}`, (_request, response) => response.redirect(302, `${externalPrefix}/`));
}

function loadedView(status: CompactorStatus): BlocksView {
  return { metas: status.view?.metas ?? [], refreshedMs: status.syncedMs ?? 0, error: undefined };
}

/** All blocks of the bucket, fetched again when what is there is too old; a failure is told along with the last list. */
function createGlobalView({ bucket, log, clock, globalView }: CompactorRoutesOptions): () => Promise<BlocksView> {
  // Metrics of its own that nobody sees: those of the same names count what the compactor works with.
  const loader = createMetaLoader({ bucket, log, metrics: createMetrics() }, { strategy: globalView.strategy, concurrency: globalView.concurrency });
  let view: BlocksView | undefined;
  let running: Promise<BlocksView> | undefined;
  const load = async (): Promise<BlocksView> => {
    try {
      const found = await loader.load(AbortSignal.timeout(globalView.timeoutMs));
      view = { metas: [...found.metas.values()], refreshedMs: clock(), error: found.failures.length === 0 ? undefined : errorText(found.failures[0]) };
    } catch (error) {
      view = { metas: view?.metas ?? [], refreshedMs: clock(), error: errorText(error) };
    }
    return view;
  };
  return () => {
    if (view !== undefined && clock() - view.refreshedMs < globalView.maxAgeMs) return Promise.resolve(view);
    running ??= load().finally(() => { running = undefined; });
    return running;
  };
}

function answerBlocks(view: BlocksView, label: string): ReturnType<typeof answerDataText> {
  const blocks = view.metas.toSorted((a, b) => a.minTime - b.minTime || (a.ulid < b.ulid ? -1 : 1)).map((meta) => utf8.decode(formatThanosMeta(meta)).trim());
  return answerDataText(`{"label":${JSON.stringify(label)},"blocks":[${blocks.join(',')}],"refreshedAt":${JSON.stringify(formatRfc3339(view.refreshedMs))},"err":${JSON.stringify(view.error ?? null)}}`);
}

async function markFromForm({ disableAdminOperations, bucket, log, clock }: CompactorRoutesOptions, params: ApiParams): Promise<void> {
  const bad = (text: string): HttpApiError => new HttpApiError('ERR_BAD_DATA', text);
  if (disableAdminOperations) throw bad('Admin operations are disabled');
  const id = params.get('id');
  const action = params.get('action');
  if (id === '') throw bad('ID cannot be empty');
  if (action === '') throw bad('Action cannot be empty');
  if (blockIdOf(`${id}/`) !== id) throw bad(`ULID ${JSON.stringify(id)} is not valid`);
  const kind = action === 'DELETION' ? 'deletion' : action === 'NO_COMPACTION' ? 'no-compact' : undefined;
  if (kind === undefined) throw bad(`not supported marker ${action}`);
  await markBlock({ bucket, log, clock }, id, kind, params.get('detail'));
}
