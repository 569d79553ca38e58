/**
 * The index-headers of the process: built by a worker, kept on disk, held in memory that all threads share, dropped when idle.
 *
 *   absent ──build (worker)──► <data-dir>/<ulid>/index-header ──read, check (worker)──► SharedArrayBuffer ──idle──► on disk
 *
 * One copy in memory serves all workers, and no thread but a worker ever looks into it.
 */
import { mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { INDEX_HEADER_FILE } from '@gauntlet/block';
import { type Logger, type Metrics, errorText, systemErrorCode } from '@gauntlet/service-kit';
import type { TaskRunner } from './task-runner.ts';

const DOWNLOAD_BUCKETS = [0.1, 0.2, 0.5, 1, 2, 5, 15, 30, 60, 90, 120, 300];
const LOAD_BUCKETS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 15, 30, 60, 90, 120, 300];

/** What a store needs. */
export interface HeaderStoreDeps {
  readonly runner: Pick<TaskRunner, 'run'>;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Milliseconds. */
  readonly clock: () => number;
}

/** How it keeps headers. */
export interface HeaderStoreOptions {
  /** Data directory; undefined: nothing is kept on disk. */
  readonly dir: string | undefined;
  /** Load when first used, drop when idle. */
  readonly isLazy: boolean;
  readonly idleTimeoutMs: number;
  /** Build when first used too. */
  readonly isLazyDownload: boolean;
}

/** The index-header of one block. */
export interface BlockHeader {
  /**
   * Its bytes, checked. Concurrent calls load them once; a failure is not remembered.
   * @throws BlockError ERR_INDEX_HEADER_CORRUPT, ObjstoreError, by code
   */
  open(): Promise<SharedArrayBuffer>;
}

/** See the head of this file. */
export class HeaderStore {
  readonly #deps: HeaderStoreDeps;
  readonly #options: HeaderStoreOptions;
  readonly #held: Map<string, StoredHeader> = new Map();
  readonly #metrics: ReturnType<typeof declareMetrics>;

  constructor(deps: HeaderStoreDeps, options: HeaderStoreOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#metrics = declareMetrics(deps.metrics);
  }

  /**
   * The header of a block, as far as the options want it now: loaded, or on disk, or neither.
   * @param indexBytes size of the index, from meta.json
   */
  async add(block: string, indexBytes: number, signal: AbortSignal): Promise<BlockHeader> {
    const { isLazy, isLazyDownload } = this.#options;
    const header = new StoredHeader(this.#deps.clock, (isFirst) => this.#load(block, indexBytes, isFirst), isLazy ? this.#metrics : undefined);
    if (!isLazy) await header.open();
    else if (!isLazyDownload) await this.#ensureFile(block, indexBytes, signal);
    this.#held.set(block, header);
    return header;
  }

  /** Forgets a block and its files. */
  async remove(block: string): Promise<void> {
    this.#held.delete(block);
    if (this.#options.dir !== undefined) await rm(join(this.#options.dir, block), { recursive: true, force: true });
  }

  /** Drops lazy headers that have been idle too long. @returns how many */
  dropIdle(): number {
    const { isLazy, idleTimeoutMs } = this.#options;
    if (!isLazy || idleTimeoutMs <= 0) return 0;
    let dropped = 0;
    for (const header of this.#held.values()) if (header.dropIfIdleSince(this.#deps.clock() - idleTimeoutMs)) dropped++;
    return dropped;
  }

  /** Bytes held in memory. */
  heldBytes(): number {
    let bytes = 0;
    for (const header of this.#held.values()) bytes += header.heldBytes;
    return bytes;
  }

  #path(block: string): string | undefined {
    return this.#options.dir === undefined ? undefined : join(this.#options.dir, block, INDEX_HEADER_FILE);
  }

  async #load(block: string, indexBytes: number, isFirst: boolean): Promise<SharedArrayBuffer> {
    const startMs = this.#deps.clock();
    const bytes = await this.#read(block, indexBytes, isFirst);
    this.#metrics.loadSeconds.observe((this.#deps.clock() - startMs) / 1000);
    return bytes;
  }

  async #read(block: string, indexBytes: number, isFirst: boolean): Promise<SharedArrayBuffer> {
    const signal = new AbortController().signal;
    const path = this.#path(block);
    if (path === undefined) return shared(await this.#build(block, indexBytes, signal));
    try {
      const bytes = await readShared(path);
      // Checksums once per process: the file is ours, what can be wrong with it is wrong at the start.
      if (isFirst) await this.#check(block, bytes, signal);
      return bytes;
    } catch (error) {
      const isDamaged = (error as { code?: unknown }).code === 'ERR_INDEX_HEADER_CORRUPT';
      if (!isDamaged && systemErrorCode(error) !== 'ENOENT') throw error;
      if (isDamaged) this.#deps.log.warn('index-header on disk is damaged; building it again', { block, path, err: errorText(error) });
    }
    await this.#download(block, path, indexBytes, signal);
    const bytes = await readShared(path);
    await this.#check(block, bytes, signal);
    return bytes;
  }

  async #check(block: string, header: SharedArrayBuffer, signal: AbortSignal): Promise<void> {
    await this.#deps.runner.run({ kind: 'checkHeader', block, header }, () => Promise.resolve(false), signal);
  }

  async #build(block: string, indexBytes: number, signal: AbortSignal): Promise<Uint8Array> {
    const startMs = this.#deps.clock();
    const { value } = await this.#deps.runner.run({ kind: 'buildHeader', block, indexBytes }, () => Promise.resolve(false), signal);
    this.#metrics.downloadSeconds.observe((this.#deps.clock() - startMs) / 1000);
    return value as Uint8Array;
  }

  async #ensureFile(block: string, indexBytes: number, signal: AbortSignal): Promise<void> {
    const path = this.#path(block);
    if (path === undefined) return;
    const isThere = await stat(path).then(() => true, () => false);
    if (!isThere) await this.#download(block, path, indexBytes, signal);
  }

  async #download(block: string, path: string, indexBytes: number, signal: AbortSignal): Promise<void> {
    const bytes = await this.#build(block, indexBytes, signal);
    await mkdir(dirname(path), { recursive: true });
    const temporary = `${path}.tmp`;
    const file = await open(temporary, 'w');
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    this.#deps.log.debug('built index-header file', { block, path, bytes: bytes.length });
  }
}

class StoredHeader implements BlockHeader {
  readonly #clock: () => number;
  readonly #load: (isFirst: boolean) => Promise<SharedArrayBuffer>;
  readonly #lazy: ReturnType<typeof declareMetrics> | undefined;
  #bytes: SharedArrayBuffer | undefined;
  #loading: Promise<SharedArrayBuffer> | undefined;
  #wasLoaded = false;
  #usedMs = 0;

  constructor(clock: () => number, load: (isFirst: boolean) => Promise<SharedArrayBuffer>, lazy: ReturnType<typeof declareMetrics> | undefined) {
    this.#clock = clock;
    this.#load = load;
    this.#lazy = lazy;
  }

  get heldBytes(): number {
    return this.#bytes?.byteLength ?? 0;
  }

  async open(): Promise<SharedArrayBuffer> {
    this.#usedMs = this.#clock();
    if (this.#bytes !== undefined) return this.#bytes;
    this.#loading ??= this.#open().finally(() => {
      this.#loading = undefined;
    });
    return this.#loading;
  }

  async #open(): Promise<SharedArrayBuffer> {
    const startMs = this.#clock();
    this.#lazy?.lazyLoads.inc();
    try {
      this.#bytes = await this.#load(!this.#wasLoaded);
      this.#wasLoaded = true;
      this.#lazy?.lazyLoadSeconds.observe((this.#clock() - startMs) / 1000);
      return this.#bytes;
    } catch (error) {
      this.#lazy?.lazyLoadsFailed.inc();
      throw error;
    }
  }

  dropIfIdleSince(ms: number): boolean {
    if (this.#bytes === undefined || this.#usedMs > ms) return false;
    this.#bytes = undefined;
    this.#lazy?.lazyUnloads.inc();
    return true;
  }
}

function shared(bytes: Uint8Array): SharedArrayBuffer {
  const buffer = new SharedArrayBuffer(bytes.length);
  new Uint8Array(buffer).set(bytes);
  return buffer;
}

/** Reads a file straight into shared memory. */
async function readShared(path: string): Promise<SharedArrayBuffer> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    const buffer = new SharedArrayBuffer(size);
    const view = new Uint8Array(buffer);
    for (let at = 0; at < size;) {
      const { bytesRead } = await file.read(view, at, size - at, at);
      if (bytesRead === 0) break;
      at += bytesRead;
    }
    return buffer;
  } finally {
    await file.close();
  }
}

function declareMetrics(metrics: Metrics): {
  readonly downloadSeconds: ReturnType<Metrics['histogram']>;
  readonly loadSeconds: ReturnType<Metrics['histogram']>;
  readonly lazyLoads: ReturnType<Metrics['counter']>;
  readonly lazyLoadsFailed: ReturnType<Metrics['counter']>;
  readonly lazyUnloads: ReturnType<Metrics['counter']>;
  readonly lazyLoadSeconds: ReturnType<Metrics['histogram']>;
} {
  const scope = metrics.withPrefix('thanos_bucket_store_indexheader_');
  scope.counter({ name: 'lazy_unload_failed_total', help: 'Total number of failed index-header lazy unload operations.' }).inc(0);
  return {
    downloadSeconds: scope.histogram({ name: 'download_duration_seconds', help: 'Duration of the index-header download from objstore in seconds.', buckets: DOWNLOAD_BUCKETS }),
    loadSeconds: scope.histogram({ name: 'load_duration_seconds', help: 'Duration of the index-header loading in seconds.', buckets: LOAD_BUCKETS }),
    lazyLoads: scope.counter({ name: 'lazy_load_total', help: 'Total number of index-header lazy load operations.' }),
    lazyLoadsFailed: scope.counter({ name: 'lazy_load_failed_total', help: 'Total number of failed index-header lazy load operations.' }),
    lazyUnloads: scope.counter({ name: 'lazy_unload_total', help: 'Total number of index-header lazy unload operations.' }),
    lazyLoadSeconds: scope.histogram({ name: 'lazy_load_duration_seconds', help: 'Duration of the index-header lazy loading in seconds.', buckets: LOAD_BUCKETS }),
  };
}
