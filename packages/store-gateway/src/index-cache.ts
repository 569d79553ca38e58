/**
 * The index cache: postings lists, expanded postings and ranges of series entries, by block. Values are the bytes as they lie in the
 * index (checksums included, so that a read checks them again), or references as little-endian u32 for expanded postings.
 *
 *   P:<block>:<offset of the list>     EP:<block>:<matchers>     S:<block>:<start>-<end>
 */
import type { ByteCache } from '@gauntlet/cache';
import type { Counter, Metrics } from '@gauntlet/service-kit';

/** Kinds of entries, as Thanos' `enabled_items` and metrics have them. */
export const INDEX_ITEMS = ['Postings', 'ExpandedPostings', 'Series'] as const;
/** One of {@link INDEX_ITEMS}. */
export type IndexItem = (typeof INDEX_ITEMS)[number];

/** See the head of this file. Best effort: errors are misses. */
export interface IndexCache {
  get(item: IndexItem, keys: readonly string[]): Promise<readonly (Uint8Array | undefined)[]>;
  put(item: IndexItem, entries: readonly (readonly [key: string, value: Uint8Array])[]): void;
}

/** A cache that holds nothing. */
export const NO_INDEX_CACHE: IndexCache = {
  get: (_item, keys) => Promise.resolve(keys.map(() => undefined)),
  put: () => {},
};

/**
 * Counts what goes through, under Thanos' `thanos_store_index_cache_*`.
 * @param enabled kinds that are kept; none given: all
 * @param ttlMs life of an entry
 */
export function createIndexCache(cache: ByteCache, metrics: Metrics, enabled: readonly IndexItem[] = INDEX_ITEMS, ttlMs: number = Number.POSITIVE_INFINITY): IndexCache {
  const scope = metrics.withPrefix('thanos_store_index_cache_');
  const counter = (name: string, help: string): Record<IndexItem, Counter> => {
    const family = scope.counter({ name, help, labels: ['item_type'] });
    const by = Object.fromEntries(INDEX_ITEMS.map((item) => [item, family.with({ item_type: item })])) as Record<IndexItem, Counter>;
    for (const child of Object.values(by)) child.inc(0);
    return by;
  };
  const requests = counter('requests_total', 'Total number of items requests to the cache.');
  const hits = counter('hits_total', 'Total number of items requests to the cache that were a hit.');
  const added = counter('items_added_total', 'Total number of items that were added to the index cache.');
  const isEnabled = new Set<IndexItem>(enabled);
  return {
    async get(item, keys) {
      requests[item].inc(keys.length);
      if (!isEnabled.has(item)) return keys.map(() => undefined);
      const found = await cache.getMany(keys);
      hits[item].inc(found.size);
      return keys.map((key) => found.get(key));
    },
    put(item, entries) {
      if (!isEnabled.has(item) || entries.length === 0) return;
      added[item].inc(entries.length);
      void cache.setMany(entries, ttlMs);
    },
  };
}
