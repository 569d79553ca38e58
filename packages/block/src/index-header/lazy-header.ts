/**
 * The index-headers of a process: built or found on disk, opened on first use or at once, dropped from memory when idle.
 *
 *   absent ──build──► on disk ──open──► in memory ──idle──► on disk
 *
 * `<dir>/<ulid>/index-header`, as Thanos has it. A file that is damaged is built again. Whoever holds an opened header may go on using
 * it after it was dropped here; its memory goes when the last user does. Metrics are Thanos' `…indexheader_*`.
 */
import { readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

import type { Bucket } from '@gauntlet/objstore';
import { errorText, systemErrorCode } from '@gauntlet/service-kit';
import type { Logger, Metrics } from '@gauntlet/service-kit';

import { INDEX_HEADER_FILE } from '../block-id.ts';
import { BlockError } from '../errors.ts';
import { openIndexHeader } from './header-reader.ts';
import type { IndexHeader } from './header-reader.ts';
import { buildIndexHeader, writeIndexHeader } from './header-writer.ts';

const DOWNLOAD_BUCKETS = [0.1, 0.2, 0.5, 1, 2, 5, 15, 30, 60, 90, 120, 300];
const LOAD_BUCKETS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 15, 30, 60, 90, 120, 300];

/** What a pool works with. */
export interface HeaderPoolDeps {
  readonly bucket: Bucket;
  readonly log: Logger;
  /** Metrics with Thanos' prefix `thanos_bucket_store_` for a store gateway. */
  readonly metrics: Metrics;
  /** Milliseconds. */
  readonly clock: () => number;
}

/** How it works; flags of the store gateway in brackets. */
export interface HeaderPoolOptions {
  /** Data directory; absent (`--no-cache-index-header`): headers are built in memory and built again after they were dropped. */
  readonly dir?: string;
  /** Open on first use and drop when idle (`--store.enable-index-header-lazy-reader`); default false: open with the block, keep. */
  readonly isLazy?: boolean;
  /** Idle time after which a lazy header is dropped (`--store.index-header-lazy-reader-idle-timeout`), default 5 min; 0 keeps it. */
  readonly idleTimeoutMs?: number;
  /** Build on first use too (`--store.index-header-lazy-download-strategy=lazy`); default false. */
  readonly isLazyDownload?: boolean;
}

/** The header of one block. */
export interface LazyIndexHeader {
  /**
   * The header, opened if need be; concurrent calls open it once. A failure is not remembered.
   * @throws BlockError ERR_INDEX_HEADER_CORRUPT; ObjstoreError; the signal's reason
   */
  open(signal?: AbortSignal): Promise<IndexHeader>;
  readonly isOpen: boolean;
}

/** All headers of a process. */
export interface HeaderPool {
  /**
   * The header of a block, there until `remove`. Not lazy: opened when this returns; lazy: on disk when this returns, unless downloads are lazy too.
   * @param indexBytes size of the index, from meta.json
   */
  add(id: string, indexBytes: number | undefined, signal?: AbortSignal): Promise<LazyIndexHeader>;
  /** Forgets a block and its file. */
  remove(id: string): Promise<void>;
  /** Drops what has been idle too long; to be called every tenth of the idle time. @returns how many */
  dropIdle(): number;
  /** Bytes held in memory. */
  heldBytes(): number;
}

/** Creates an empty pool. */
export function createHeaderPool(deps: HeaderPoolDeps, options: HeaderPoolOptions = {}): HeaderPool {
  const { bucket, log, clock } = deps;
  const isLazy = options.isLazy ?? false;
  const idleTimeoutMs = options.idleTimeoutMs ?? 5 * 60_000;
  const scope = deps.metrics.withPrefix('indexheader_');
  const downloadDuration = scope.histogram({ name: 'download_duration_seconds', help: 'Duration of the index-header download from objstore in seconds.', buckets: DOWNLOAD_BUCKETS });
  const loadDuration = scope.histogram({ name: 'load_duration_seconds', help: 'Duration of the index-header loading in seconds.', buckets: LOAD_BUCKETS });
  const lazyLoads = scope.counter({ name: 'lazy_load_total', help: 'Total number of index-header lazy load operations.' });
  const lazyLoadsFailed = scope.counter({ name: 'lazy_load_failed_total', help: 'Total number of failed index-header lazy load operations.' });
  const lazyUnloads = scope.counter({ name: 'lazy_unload_total', help: 'Total number of index-header lazy unload operations.' });
  scope.counter({ name: 'lazy_unload_failed_total', help: 'Total number of failed index-header lazy unload operations.' });
  const lazyLoadDuration = scope.histogram({ name: 'lazy_load_duration_seconds', help: 'Duration of the index-header lazy loading in seconds.', buckets: LOAD_BUCKETS });
  const held = new Map<string, PooledHeader>();

  const pathOf = (id: string): string | undefined => (options.dir === undefined ? undefined : join(options.dir, id, INDEX_HEADER_FILE));

  async function timed<T>(observe: { observe(seconds: number): void }, work: () => Promise<T> | T): Promise<T> {
    const startMs = clock();
    const value = await work();
    observe.observe((clock() - startMs) / 1000);
    return value;
  }

  async function download(id: string, path: string, indexBytes: number | undefined, signal: AbortSignal | undefined): Promise<void> {
    await timed(downloadDuration, () => writeIndexHeader(bucket, id, path, { ...(indexBytes === undefined ? {} : { indexBytes }), ...(signal === undefined ? {} : { signal }) }));
    log.debug('built index-header file', { block: id, path });
  }

  async function read(id: string, indexBytes: number | undefined, signal: AbortSignal | undefined): Promise<IndexHeader> {
    const path = pathOf(id);
    if (path === undefined) {
      const bytes = await timed(downloadDuration, () => buildIndexHeader(bucket, id, { ...(indexBytes === undefined ? {} : { indexBytes }), ...(signal === undefined ? {} : { signal }) }));
      return timed(loadDuration, () => openIndexHeader(bytes, id));
    }
    try {
      return await timed(loadDuration, async () => openIndexHeader(await readFile(path), id));
    } catch (error) {
      if (!(error instanceof BlockError) && systemErrorCode(error) !== 'ENOENT') throw error;
      log.debug('index-header on disk cannot be used; recreating', { block: id, path, err: errorText(error) });
    }
    await download(id, path, indexBytes, signal);
    return timed(loadDuration, async () => openIndexHeader(await readFile(path), id));
  }

  class PooledHeader implements LazyIndexHeader {
    readonly #id: string;
    readonly #indexBytes: number | undefined;
    #header: IndexHeader | undefined;
    #opening: Promise<IndexHeader> | undefined;
    #usedMs: number = clock();

    constructor(id: string, indexBytes: number | undefined) {
      this.#id = id;
      this.#indexBytes = indexBytes;
    }

    get isOpen(): boolean {
      return this.#header !== undefined;
    }

    get heldBytes(): number {
      return this.#header?.heldBytes ?? 0;
    }

    async open(signal?: AbortSignal): Promise<IndexHeader> {
      signal?.throwIfAborted();
      this.#usedMs = clock();
      if (this.#header !== undefined) return this.#header;
      // Not under the caller's signal: others may wait for the same header.
      this.#opening ??= this.#load().finally(() => { this.#opening = undefined; });
      return this.#opening;
    }

    async #load(): Promise<IndexHeader> {
      if (!isLazy) return (this.#header = await read(this.#id, this.#indexBytes, undefined));
      lazyLoads.inc();
      try {
        this.#header = await timed(lazyLoadDuration, () => read(this.#id, this.#indexBytes, undefined));
        return this.#header;
      } catch (error) {
        lazyLoadsFailed.inc();
        throw error;
      }
    }

    dropIfIdleSince(ms: number): boolean {
      if (this.#header === undefined || this.#usedMs > ms) return false;
      this.#header = undefined;
      lazyUnloads.inc();
      return true;
    }
  }

  return {
    add: async (id, indexBytes, signal) => {
      const known = held.get(id);
      if (known !== undefined) return known;
      const header = new PooledHeader(id, indexBytes);
      const path = pathOf(id);
      if (!isLazy) await header.open(signal);
      else if (path !== undefined && options.isLazyDownload !== true && (await stat(path).catch(() => undefined)) === undefined) await download(id, path, indexBytes, signal);
      held.set(id, header);
      return header;
    },
    remove: async (id) => {
      held.delete(id);
      if (options.dir !== undefined) await rm(join(options.dir, id), { recursive: true, force: true });
    },
    dropIdle: () => {
      if (!isLazy || idleTimeoutMs <= 0) return 0;
      let dropped = 0;
      for (const header of held.values()) if (header.dropIfIdleSince(clock() - idleTimeoutMs)) dropped++;
      return dropped;
    },
    heldBytes: () => {
      let bytes = 0;
      for (const header of held.values()) bytes += header.heldBytes;
      return bytes;
    },
  };
}
