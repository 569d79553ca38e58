/**
 * Fetches one exposition over HTTP: asks for what we read, gives up at the timeout, stops reading at the size limit (after decompression).
 * Source: Prometheus scrape/scrape.go, targetScraper.
 */
import { formatGoDuration, quoteGo } from '@gauntlet/model';
import type { ScrapeClock } from './clock.ts';
import { acceptHeader, formatOfContentType } from './content-type.ts';
import { ScrapeError } from './errors.ts';
import type { ExpositionFormat } from './exposition.ts';
import type { Target } from './target.ts';

/** Largest body where the configuration has no limit, so that an endless answer ends. */
export const BODY_BYTES_MAX: number = 256 * 1024 * 1024;

/** What is needed of the platform's fetch. */
export type Fetch = (url: string, init: { headers: Record<string, string>; redirect: 'follow' | 'manual'; signal: AbortSignal }) => Promise<Response>;

/** A fetched exposition. */
export interface Exposition {
  readonly body: Uint8Array;
  readonly format: ExpositionFormat;
}

/**
 * Fetches a target's metrics.
 * @param signal gives up at once, without a word about a timeout
 * @throws ScrapeError ERR_SCRAPE_REQUEST, ERR_SCRAPE_TIMEOUT, ERR_SCRAPE_STATUS, ERR_SCRAPE_BODY_SIZE, ERR_SCRAPE_CONTENT_TYPE
 */
export async function fetchTarget(target: Target, deps: { readonly fetch: Fetch; readonly clock: ScrapeClock; readonly userAgent: string }, signal: AbortSignal): Promise<Exposition> {
  const { config } = target;
  const abort = new AbortController();
  let timedOut = false;
  const cancel = deps.clock.setTimer(target.timeoutMs, () => {
    timedOut = true;
    abort.abort();
  });
  const forward = (): void => abort.abort();
  signal.addEventListener('abort', forward);
  if (signal.aborted) abort.abort();
  try {
    const response = await deps.fetch(target.url, {
      headers: {
        accept: acceptHeader(config.scrapeProtocols),
        'accept-encoding': config.enableCompression ? 'gzip' : 'identity',
        'user-agent': deps.userAgent,
        'x-prometheus-scrape-timeout-seconds': String(target.timeoutMs / 1000),
      },
      redirect: config.followRedirects ? 'follow' : 'manual',
      signal: abort.signal,
    });
    if (response.status !== 200) {
      await response.body?.cancel();
      throw new ScrapeError('ERR_SCRAPE_STATUS', `server returned HTTP status ${response.status} ${response.statusText}`.trimEnd());
    }
    const body = await readBody(response, config.bodySizeLimitBytes);
    // An empty body is an empty scrape in whatever format.
    return { body, format: body.length === 0 ? 'text' : formatOfContentType(response.headers.get('content-type') ?? '', config.fallbackScrapeProtocol) };
  } catch (error) {
    if (error instanceof ScrapeError) throw error;
    const get = `Get ${quoteGo(target.url)}`;
    if (timedOut) throw new ScrapeError('ERR_SCRAPE_TIMEOUT', `${get}: context deadline exceeded (no complete answer within ${formatGoDuration(target.timeoutMs)})`, { cause: error });
    throw new ScrapeError('ERR_SCRAPE_REQUEST', `${get}: ${innermost(error)}`, { cause: error });
  } finally {
    cancel();
    signal.removeEventListener('abort', forward);
  }
}

async function readBody(response: Response, limitBytes: number): Promise<Uint8Array> {
  const maxBytes = limitBytes > 0 ? Math.min(limitBytes, BODY_BYTES_MAX) : BODY_BYTES_MAX;
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  const reader = response.body?.getReader();
  if (reader === undefined) return new Uint8Array(0);
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    bytes += value.length;
    if (bytes >= maxBytes) {
      await reader.cancel();
      throw new ScrapeError('ERR_SCRAPE_BODY_SIZE', `body size limit exceeded (limit: ${maxBytes} bytes)`);
    }
    pieces.push(value);
  }
  if (pieces.length === 1) return pieces[0]!;
  const body = new Uint8Array(bytes);
  let at = 0;
  for (const piece of pieces) {
    body.set(piece, at);
    at += piece.length;
  }
  return body;
}

/** Node's fetch says "fetch failed" and keeps what happened in a chain of causes. */
function innermost(error: unknown): string {
  let at = error;
  while (at instanceof Error && at.cause instanceof Error) at = at.cause;
  if (at instanceof AggregateError && at.errors.length > 0) at = at.errors[0];
  return at instanceof Error ? at.message || at.name : String(at);
}
