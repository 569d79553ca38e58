/**
 * Keeps the set of loaded blocks as the bucket has them.
 *
 *   fetch metas ─► new ones: load the index-header, add      failed: metric, log with the block's id; tried again next time
 *               └► gone ones: remove, but only if the view of the bucket is complete
 */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { blockIdOf, fileBytes, INDEX_FILE, type MetaFetcher, type ThanosMeta } from '@gauntlet/block';
import type { Bucket } from '@gauntlet/objstore';
import { createGate, errorText, type Logger } from '@gauntlet/service-kit';
import { type BlockSet, describeBlock, type LoadedBlock } from './block-set.ts';
import type { BlockHeader, HeaderStore } from './header-store.ts';
import type { StoreMetrics } from './metrics.ts';

/** A block that can be asked. */
export interface ServedBlock extends LoadedBlock {
  readonly header: BlockHeader;
  /** Bytes of its index. */
  readonly indexBytes: number;
}

/** What syncing works with. */
export interface SyncDeps {
  readonly fetcher: MetaFetcher;
  readonly bucket: Bucket;
  readonly blocks: BlockSet<ServedBlock>;
  readonly headers: HeaderStore;
  readonly metrics: StoreMetrics;
  readonly log: Logger;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  /** Blocks loaded at once. */
  readonly concurrency: number;
}

/** What a sync did. */
export interface SyncOutcome {
  readonly added: number;
  readonly removed: number;
  /** Blocks that could not be loaded, and why. */
  readonly failed: ReadonlyMap<string, unknown>;
}

/**
 * Looks at the bucket once.
 * @throws ObjstoreError or BlockError when the bucket could not be listed
 */
export async function syncBlocks(deps: SyncDeps, signal: AbortSignal): Promise<SyncOutcome> {
  const { blocks, fetcher, metrics, log, headers, clock } = deps;
  const fetched = await fetcher.fetch(signal);
  for (const [block, error] of fetched.partial) log.warn('skipping block that is partial', { block, err: errorText(error) });
  const gate = createGate({ max: deps.concurrency });
  const failed = new Map<string, unknown>();
  let added = 0;
  await Promise.all([...fetched.metas.values()].filter((meta) => blocks.get(meta.ulid) === undefined).map((meta) => gate.run(async () => {
    signal.throwIfAborted();
    metrics.blockLoads.inc();
    const startMs = clock();
    try {
      const block = await loadBlock(deps, meta, signal);
      blocks.add(block);
      added++;
      metrics.blockLoadSeconds.observe((clock() - startMs) / 1000);
      metrics.lastLoaded.set(clock() / 1000);
      log.info('loaded new block', { ...describeBlock(block), elapsedMs: Math.round(clock() - startMs) });
    } catch (error) {
      signal.throwIfAborted();
      failed.set(meta.ulid, error);
      metrics.blockLoadFailures.inc();
      log.warn('loading block failed; it is not served', { block: meta.ulid, elapsedMs: Math.round(clock() - startMs), err: errorText(error) });
    }
  }, signal)));

  let removed = 0;
  if (fetched.isComplete) {
    for (const { id } of blocks.values()) {
      if (fetched.metas.has(id)) continue;
      // Calls under way keep what they need of it: the header is only forgotten here.
      blocks.remove(id);
      removed++;
      metrics.blockDrops.inc();
      try {
        await headers.remove(id);
        log.info('dropped outdated block', { block: id });
      } catch (error) {
        metrics.blockDropFailures.inc();
        log.warn('dropping files of outdated block failed', { block: id, err: errorText(error) });
      }
    }
  }
  metrics.blocksLoaded.set(blocks.size);
  return { added, removed, failed };
}

async function loadBlock({ bucket, headers }: SyncDeps, meta: ThanosMeta, signal: AbortSignal): Promise<ServedBlock> {
  const id = meta.ulid;
  const indexBytes = fileBytes(meta, INDEX_FILE) ?? (await bucket.attributes(`${id}/${INDEX_FILE}`, { signal })).size;
  const header = await headers.add(id, indexBytes, signal);
  return { id, meta, header, indexBytes };
}

/** Removes local files of blocks that are not loaded: what is left of an earlier run. */
export async function cleanDataDir(dir: string, blocks: BlockSet<ServedBlock>, log: Logger): Promise<void> {
  const names = await readdir(dir).catch(() => []);
  for (const name of names) {
    const id = blockIdOf(`${name}/`);
    if (id === undefined || blocks.get(id) !== undefined) continue;
    await rm(join(dir, name), { recursive: true, force: true }).catch((error: unknown) => log.warn('removing local files of a block that is not served failed', { block: id, err: errorText(error) }));
  }
}
