/**
 * All metas of a bucket, with as few requests as can be: metas are immutable, so one that was read is kept in memory and on disk
 * (`<cacheDir>/meta-syncer/<ulid>/meta.json`, as Thanos has it) and only names are listed again.
 *
 *   concurrent   list the root, then one existence check per block      few listed names, one request per block
 *   recursive    list everything                                        one request per thousand objects; notices replaced metas
 *
 * A directory without meta.json, or with a corrupted one, is partial. Any other failure to read a meta makes the view incomplete:
 * what was found is right, but something is missing, and nobody may clean up because of what is missing.
 */
import { readFile, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

import type { Bucket } from '@gauntlet/objstore';
import { errorText, systemErrorCode } from '@gauntlet/service-kit';
import type { Counter, Logger, Metrics } from '@gauntlet/service-kit';

import { META_FILE, blockIdOf } from './block-id.ts';
import { readBucketMeta } from './download.ts';
import { BlockError } from './errors.ts';
import { forEachLimited, writeFileAtomically } from './local-file.ts';
import type { BlockMetas } from './meta-filter.ts';
import { formatThanosMeta, parseThanosMeta } from './thanos-meta.ts';
import type { ThanosMeta } from './thanos-meta.ts';

/** Values of `--block-discovery-strategy`. */
export const DISCOVERY_STRATEGIES = ['concurrent', 'recursive'] as const;
/** One of {@link DISCOVERY_STRATEGIES}. */
export type DiscoveryStrategy = (typeof DISCOVERY_STRATEGIES)[number];

/** What a loader works with. */
export interface MetaLoaderDeps {
  readonly bucket: Bucket;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** How it loads. */
export interface MetaLoaderOptions {
  /** Default concurrent. */
  readonly strategy?: DiscoveryStrategy;
  /** Metas read at once (`--block-meta-fetch-concurrency`); default 32. */
  readonly concurrency?: number;
  /** Data directory; absent: nothing is kept on disk. */
  readonly cacheDir?: string;
}

/** What is in a bucket. */
export interface BucketView {
  readonly metas: BlockMetas;
  /** Blocks without or with a corrupted meta.json: ERR_META_NOT_FOUND, ERR_META_CORRUPT. */
  readonly partial: ReadonlyMap<string, BlockError>;
  /** Metas that could not be read. Not empty: the view is incomplete. */
  readonly failures: readonly unknown[];
}

/** Loads views; concurrent calls share one. */
export interface MetaLoader {
  /** @throws ObjstoreError if the bucket could not be listed; the signal's reason */
  load(signal?: AbortSignal): Promise<BucketView>;
  /** Metas held in memory. */
  readonly cachedCount: number;
}

const EXISTS_CONCURRENCY = 64;

interface Listing {
  /** Blocks with meta.json, and when it was written (undefined: not known). */
  readonly complete: Map<string, number | undefined>;
  readonly without: Set<string>;
}

async function listRecursive(bucket: Bucket, signal: AbortSignal | undefined): Promise<Listing> {
  const complete = new Map<string, number | undefined>();
  const without = new Set<string>();
  for await (const entry of bucket.iterEntries('', { recursive: true, ...(signal === undefined ? {} : { signal }) })) {
    const slash = entry.name.indexOf('/');
    const id = slash < 0 ? undefined : blockIdOf(entry.name.slice(0, slash));
    if (id === undefined) continue;
    if (entry.name === `${id}/${META_FILE}`) {
      complete.set(id, entry.lastModifiedMs);
      without.delete(id);
    } else if (!complete.has(id)) without.add(id);
  }
  return { complete, without };
}

async function listConcurrent(bucket: Bucket, signal: AbortSignal | undefined): Promise<Listing> {
  const complete = new Map<string, number | undefined>();
  const without = new Set<string>();
  const withSignal = signal === undefined ? {} : { signal };
  async function* ids(): AsyncGenerator<string> {
    for await (const name of bucket.iter('', withSignal)) {
      const id = name.endsWith('/') ? blockIdOf(name) : undefined;
      if (id !== undefined) yield id;
    }
  }
  await forEachLimited(ids(), EXISTS_CONCURRENCY, async (id) => {
    if (await bucket.exists(`${id}/${META_FILE}`, withSignal)) complete.set(id, undefined);
    else without.add(id);
  });
  return { complete, without };
}

/** Creates a loader. */
export function createMetaLoader(deps: MetaLoaderDeps, options: MetaLoaderOptions = {}): MetaLoader {
  return new CachingMetaLoader(deps, options);
}

class CachingMetaLoader implements MetaLoader {
  readonly #bucket: Bucket;
  readonly #log: Logger;
  readonly #options: MetaLoaderOptions;
  readonly #cachePath: string | undefined;
  readonly #syncs: Counter;
  readonly #cacheBusts: Counter;
  #cached: ReadonlyMap<string, ThanosMeta> = new Map();
  #modifiedMs: ReadonlyMap<string, number | undefined> = new Map();
  #running: Promise<BucketView> | undefined;

  constructor(deps: MetaLoaderDeps, options: MetaLoaderOptions) {
    this.#bucket = deps.bucket;
    this.#log = deps.log.child({ component: 'block.MetaLoader' });
    this.#options = options;
    this.#cachePath = options.cacheDir === undefined ? undefined : join(options.cacheDir, 'meta-syncer');
    const scope = deps.metrics.withPrefix('thanos_blocks_meta_');
    this.#syncs = scope.counter({ name: 'base_syncs_total', help: 'Total blocks metadata synchronization attempts by base Fetcher' });
    this.#cacheBusts = scope.counter({ name: 'base_cache_busts_total', help: 'Total blocks metadata cache busts by base Fetcher' });
  }

  get cachedCount(): number {
    return this.#cached.size;
  }

  load(signal?: AbortSignal): Promise<BucketView> {
    this.#running ??= this.#load(signal).finally(() => { this.#running = undefined; });
    return this.#running;
  }

  async #load(signal: AbortSignal | undefined): Promise<BucketView> {
    this.#syncs.inc();
    const { complete, without } = await (this.#options.strategy === 'recursive' ? listRecursive(this.#bucket, signal) : listConcurrent(this.#bucket, signal));
    const metas: BlockMetas = new Map();
    const partial = new Map<string, BlockError>();
    const failures: unknown[] = [];
    for (const id of without) partial.set(id, new BlockError('ERR_META_NOT_FOUND', `load block ${id}: has no meta file`));
    await forEachLimited(complete.keys(), this.#options.concurrency ?? 32, async (id) => {
      const before = this.#modifiedMs.get(id);
      const isReplaced = before !== undefined && before !== complete.get(id);
      if (isReplaced) await this.#forget(id);
      try {
        metas.set(id, await this.#loadMeta(id, isReplaced, signal));
      } catch (error) {
        signal?.throwIfAborted();
        if (error instanceof BlockError && (error.code === 'ERR_META_NOT_FOUND' || error.code === 'ERR_META_CORRUPT')) partial.set(id, error);
        else failures.push(error);
      }
    });
    if (failures.length === 0) {
      this.#cached = new Map(metas);
      this.#modifiedMs = complete;
      await this.#removeVanished(metas);
    }
    return { metas, partial, failures };
  }

  async #forget(id: string): Promise<void> {
    this.#cacheBusts.inc();
    if (this.#cachePath !== undefined) await rm(join(this.#cachePath, id), { recursive: true, force: true });
  }

  async #loadMeta(id: string, isReplaced: boolean, signal: AbortSignal | undefined): Promise<ThanosMeta> {
    const held = isReplaced ? undefined : (this.#cached.get(id) ?? (await this.#readCached(id)));
    if (held !== undefined) return held;
    const meta = await readBucketMeta(this.#bucket, id, signal);
    if (this.#cachePath !== undefined) {
      await writeFileAtomically(join(this.#cachePath, id, META_FILE), [formatThanosMeta(meta)])
        .catch((error: unknown) => { this.#log.warn('best effort save of the meta.json to local dir failed; ignoring', { block: id, err: errorText(error) }); });
    }
    return meta;
  }

  async #readCached(id: string): Promise<ThanosMeta | undefined> {
    if (this.#cachePath === undefined) return undefined;
    const directory = join(this.#cachePath, id);
    try {
      return { ...parseThanosMeta(await readFile(join(directory, META_FILE)), id), ulid: id };
    } catch (error) {
      if (systemErrorCode(error) !== 'ENOENT') {
        this.#log.warn('best effort read of the local meta.json failed; removing cached block dir', { block: id, err: errorText(error) });
        await rm(directory, { recursive: true, force: true });
      }
      return undefined;
    }
  }

  async #removeVanished(metas: ReadonlyMap<string, ThanosMeta>): Promise<void> {
    if (this.#cachePath === undefined) return;
    for (const name of await readdir(this.#cachePath).catch(() => [])) {
      const id = blockIdOf(name);
      if (id !== undefined && !metas.has(id)) await rm(join(this.#cachePath, name), { recursive: true, force: true });
    }
  }
}
