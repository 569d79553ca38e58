/** Limits of one call, over all its blocks. Texts are those of Thanos, since people grep for them. */
import { StoreError } from '@gauntlet/storeapi';

/** 0 is no limit. */
export interface QueryLimitOptions {
  /** Series selected (`--store.limits.request-series`). */
  readonly seriesMax: number;
  /** Chunks selected: `--store.limits.request-samples` / 120. */
  readonly chunksMax: number;
  /** Bytes of index and chunks taken from bucket or cache (`--store.grpc.downloaded-bytes-limit`). */
  readonly bytesMax: number;
}

/** What was refused, for `thanos_bucket_store_queries_dropped_total{reason}`. */
export type LimitReason = 'series' | 'chunks' | 'bytes';

/** Counts what a call has used; throws once it is more than allowed. */
export class QueryLimits {
  readonly #options: QueryLimitOptions;
  #series = 0;
  #chunks = 0;
  #bytes = 0;
  /** The limit that ended the call. */
  dropped: LimitReason | undefined;

  constructor(options: QueryLimitOptions) {
    this.#options = options;
  }

  /** @throws StoreError ERR_STORE_RESOURCE_EXHAUSTED */
  reserveSeries(count: number): void {
    this.#series += count;
    this.#check('series', 'exceeded series limit', this.#options.seriesMax, this.#series);
  }

  /** @throws StoreError ERR_STORE_RESOURCE_EXHAUSTED */
  reserveChunks(count: number): void {
    this.#chunks += count;
    this.#check('chunks', 'exceeded chunks limit', this.#options.chunksMax, this.#chunks);
  }

  /** @param doing e.g. `while fetching postings` @throws StoreError ERR_STORE_RESOURCE_EXHAUSTED */
  reserveBytes(bytes: number, doing: string): void {
    this.#bytes += bytes;
    this.#check('bytes', `exceeded bytes limit ${doing}`, this.#options.bytesMax, this.#bytes);
  }

  #check(reason: LimitReason, text: string, limit: number, got: number): void {
    if (limit === 0 || got <= limit) return;
    this.dropped ??= reason;
    throw new StoreError('ERR_STORE_RESOURCE_EXHAUSTED', `${text}: limit ${limit} violated (got ${got})`);
  }
}

/**
 * An error with what was being done before its text. Refusals for a limit keep their status and are written as Go prints them.
 * @param code status for everything else
 */
export function wrapError(error: unknown, doing: string, code: 'ERR_STORE_ABORTED' | 'ERR_STORE_UNKNOWN' | 'ERR_STORE_INTERNAL'): Error {
  if (error instanceof Error && error.name === 'AbortError') return error;
  const text = error instanceof Error ? error.message : String(error);
  const given = (error as { code?: unknown }).code;
  if (given === 'ERR_STORE_RESOURCE_EXHAUSTED' || given === 'ERR_MEMORY_LIMIT') {
    const prefix = text.includes('rpc error: code = ') ? '' : 'rpc error: code = ResourceExhausted desc = ';
    return new StoreError('ERR_STORE_RESOURCE_EXHAUSTED', `${doing}: ${prefix}${text}`, { cause: error });
  }
  if (given === 'ERR_STORE_CANCELED' || given === 'ERR_CANCELLED') return new StoreError('ERR_STORE_CANCELED', text, { cause: error });
  return new StoreError(code, `${doing}: ${text}`, { cause: error });
}
