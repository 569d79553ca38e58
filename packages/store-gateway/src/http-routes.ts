/** HTTP of the gateway besides probes and metrics: which blocks are loaded, marking them, status. Paths and JSON as Thanos' pkg/api/blocks. */
import express, { type Request, type Response } from 'express';
import { blockIdOf, formatThanosMeta, markBlock, type ThanosMeta } from '@gauntlet/block';
import { type ApiAnswer, answerBuildInfo, answerData, answerDataText, answerError, answerFlags, formatRfc3339, HttpApiError, sendAnswer, setCors } from '@gauntlet/http-api';
import type { Bucket } from '@gauntlet/objstore';
import { BUILD_INFO, type HttpServer, type Logger } from '@gauntlet/service-kit';

/** What the routes show. */
export interface GatewayRoutesOptions {
  readonly server: HttpServer;
  /** Metas of loaded blocks. */
  readonly loaded: () => Iterable<ThanosMeta>;
  /** When they were last synced, ms since 1970. */
  readonly refreshedMs: () => number;
  /** `--bucket-web-label` */
  readonly label: string;
  readonly disableCors: boolean;
  readonly disableAdminOperations: boolean;
  readonly flags: Readonly<Record<string, string>>;
  readonly bucket: Bucket;
  readonly log: Logger;
  readonly clock: () => number;
}

const FORM_BYTES_MAX = '64kb';
const utf8 = new TextDecoder();

/** Adds the routes below /api/v1. */
export function addGatewayRoutes(options: GatewayRoutesOptions): void {
  const { server } = options;
  const { app } = server;
  const route = (method: 'get' | 'post', path: string, handler: string, answer: (request: Request) => Promise<ApiAnswer> | ApiAnswer): void => {
    const run = async (request: Request, response: Response): Promise<void> => {
      if (!options.disableCors) setCors(response);
      let result: ApiAnswer;
      try {
        result = await answer(request);
      } catch (error) {
        result = answerError(error);
      }
      await sendAnswer(request, response, result);
    };
    app[method](`/api/v1${path}`, server.instrument(handler), express.urlencoded({ extended: false, limit: FORM_BYTES_MAX }), run);
  };
  // The gateway sees no other blocks than those it has loaded: both views are one.
  route('get', '/blocks', 'blocks', () => answerBlocks(options));
  route('post', '/blocks/mark', 'blocks_mark', async (request) => {
    await markFromForm(options, request);
    return answerData(null);
  });
  route('get', '/status/flags', 'status_flags', () => answerFlags(options.flags));
  route('get', '/status/buildinfo', 'status_build', () => answerBuildInfo({ version: BUILD_INFO.version, revision: BUILD_INFO.revision, branch: BUILD_INFO.branch, buildUser: '', buildDate: '', goVersion: `node${process.version}` }));
}

function answerBlocks({ loaded, refreshedMs, label }: GatewayRoutesOptions): ApiAnswer {
  const blocks = [...loaded()].toSorted((a, b) => a.minTime - b.minTime || (a.ulid < b.ulid ? -1 : 1)).map((meta) => utf8.decode(formatThanosMeta(meta)).trim());
  return answerDataText(`{"label":${JSON.stringify(label)},"blocks":[${blocks.join(',')}],"refreshedAt":${JSON.stringify(formatRfc3339(refreshedMs()))},"err":null}`);
}

async function markFromForm({ disableAdminOperations, bucket, log, clock }: GatewayRoutesOptions, request: Request): Promise<void> {
  const bad = (text: string): HttpApiError => new HttpApiError('ERR_BAD_DATA', text);
  if (disableAdminOperations) throw bad('Admin operations are disabled');
  const field = (name: string): string => {
    const value: unknown = (request.body as Record<string, unknown> | undefined)?.[name] ?? request.query[name];
    return typeof value === 'string' ? value : '';
  };
  const id = field('id');
  const action = field('action');
  if (id === '') throw bad('ID cannot be empty');
  if (action === '') throw bad('Action cannot be empty');
  if (blockIdOf(`${id}/`) !== id) throw bad(`ULID ${JSON.stringify(id)} is not valid`);
  const kind = action === 'DELETION' ? 'deletion' : action === 'NO_COMPACTION' ? 'no-compact' : undefined;
  if (kind === undefined) throw bad(`not supported marker ${action}`);
  await markBlock({ bucket, log, clock }, id, kind, field('detail'));
}
