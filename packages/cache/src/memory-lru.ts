/**
 * An LRU in memory, bounded by bytes. What counts is what an entry costs: its value, its key, and an estimate of the bookkeeping,
 * so that a million tiny entries do not outgrow the bound. Metrics are those of Thanos' in-memory cache.
 */
import type { Logger, Metrics } from '@gauntlet/service-kit';
import { LRUCache } from 'lru-cache';

import type { ByteCache } from './byte-cache.ts';
import { CacheError } from './errors.ts';

/** Bytes an entry costs besides key and value. */
export const ENTRY_OVERHEAD_BYTES = 160;

/** Bounds, with the names and defaults of Thanos' `max_size` and `max_item_size`. */
export interface MemoryLruOptions {
  /** Bytes in all; default 250 MiB. */
  readonly bytesMax?: number;
  /** Largest value kept; default 125 MiB, or `bytesMax` if that is less. */
  readonly itemBytesMax?: number;
}

/** What the cache is made with. */
export interface MemoryLruDeps {
  readonly name: string;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Milliseconds since 1970, for expiry. */
  readonly clock: () => number;
}

/** Bounds unless configured. */
export const DEFAULT_CACHE_BYTES: number = 250 * 1024 * 1024;
/** Bound of one value unless configured. */
export const DEFAULT_ITEM_BYTES: number = 125 * 1024 * 1024;

interface Item {
  readonly bytes: Uint8Array;
  readonly expiresMs: number;
}

/**
 * Creates a cache.
 * @throws CacheError ERR_CACHE_CONFIG if one item could be larger than the whole
 */
export function createMemoryLru(deps: MemoryLruDeps, options: MemoryLruOptions = {}): ByteCache {
  const bytesMax = options.bytesMax ?? DEFAULT_CACHE_BYTES;
  const itemBytesMax = options.itemBytesMax ?? Math.min(DEFAULT_ITEM_BYTES, bytesMax);
  if (!(bytesMax > 0) || itemBytesMax > bytesMax) {
    throw new CacheError('ERR_CACHE_CONFIG', `create cache ${deps.name}: max item size (${itemBytesMax}) cannot be bigger than overall cache size (${bytesMax})`);
  }
  const scope = deps.metrics.withPrefix('thanos_cache_inmemory_').withLabels({ name: deps.name });
  const evicted = scope.counter({ name: 'items_evicted_total', help: 'Total number of items that were evicted from the inmemory cache.' });
  const added = scope.counter({ name: 'items_added_total', help: 'Total number of items that were added to the inmemory cache.' });
  const requests = scope.counter({ name: 'requests_total', help: 'Total number of requests to the inmemory cache.' });
  const hits = scope.counter({ name: 'hits_total', help: 'Total number of requests to the inmemory cache that were a hit.' });
  const expired = scope.counter({ name: 'hits_on_expired_data_total', help: 'Total number of requests to the inmemory cache that were a hit but needed to be evicted due to TTL.' });
  const overflowed = scope.counter({ name: 'items_overflowed_total', help: 'Total number of items that could not be added to the inmemory cache due to being too big.' });
  const items = scope.gauge({ name: 'items', help: 'Current number of items in the inmemory cache.' });
  const itemBytes = scope.gauge({ name: 'items_size_bytes', help: 'Current byte size of items in the inmemory cache.' });
  const totalBytes = scope.gauge({ name: 'total_size_bytes', help: 'Current byte size of items (both value and key) in the inmemory cache.' });
  scope.gauge({ name: 'max_size_bytes', help: 'Maximum number of bytes to be held in the inmemory cache.' }).set(bytesMax);
  scope.gauge({ name: 'max_item_size_bytes', help: 'Maximum number of bytes for single entry to be held in the inmemory cache.' }).set(itemBytesMax);

  const cost = (item: Item, key: string): number => item.bytes.length + 2 * key.length + ENTRY_OVERHEAD_BYTES;
  const lru = new LRUCache<string, Item>({
    maxSize: bytesMax,
    sizeCalculation: cost,
    dispose: (item, key, reason) => {
      if (reason !== 'set') evicted.inc();
      items.dec();
      itemBytes.dec(item.bytes.length);
      totalBytes.dec(item.bytes.length + key.length);
    },
  });

  function get(key: string, nowMs: number): Uint8Array | undefined {
    requests.inc();
    const item = lru.get(key);
    if (item === undefined) return undefined;
    if (nowMs > item.expiresMs) {
      expired.inc();
      lru.delete(key);
      return undefined;
    }
    hits.inc();
    return item.bytes;
  }

  function set(key: string, value: Uint8Array, expiresMs: number): void {
    // A view would keep the whole buffer it looks at alive.
    const item: Item = { bytes: Uint8Array.from(value), expiresMs };
    if (value.length > itemBytesMax || cost(item, key) > bytesMax) {
      overflowed.inc();
      lru.delete(key);
      return;
    }
    lru.set(key, item);
    added.inc();
    items.inc();
    itemBytes.inc(value.length);
    totalBytes.inc(value.length + key.length);
  }

  deps.log.info('created in-memory cache', { name: deps.name, maxItemSizeBytes: itemBytesMax, maxSizeBytes: bytesMax });
  return {
    name: deps.name,
    getMany: (keys) => {
      const nowMs = deps.clock();
      const found = new Map<string, Uint8Array>();
      for (const key of keys) {
        const bytes = get(key, nowMs);
        if (bytes !== undefined) found.set(key, bytes);
      }
      return Promise.resolve(found);
    },
    setMany: (entries, ttlMs) => {
      const expiresMs = deps.clock() + ttlMs;
      for (const [key, value] of entries) set(key, value, expiresMs);
      return Promise.resolve();
    },
    close: () => {
      lru.clear();
      return Promise.resolve();
    },
  };
}
