/**
 * `--index-cache.config`:
 *
 *   type: IN-MEMORY
 *   config: { max_size: 250MB, max_item_size: 125MB }
 *   enabled_items: [Postings, Series, ExpandedPostings]
 *   ttl: 24h
 */
import { type ByteCache, CACHE_TYPES, createMemoryLru, DEFAULT_ITEM_BYTES, type MemoryLruDeps, memoryLruSchema } from '@gauntlet/cache';
import { decodeYaml, schema } from '@gauntlet/service-kit';
import { StoreGatewayError } from './errors.ts';
import { INDEX_ITEMS, type IndexItem } from './index-cache.ts';

/** A cache and what goes into it. */
export interface ConfiguredCache {
  readonly cache: ByteCache;
  readonly enabled: readonly IndexItem[];
  readonly ttlMs: number;
}

const top = schema.object({
  type: schema.oneOf(CACHE_TYPES, { ignoreCase: true }),
  config: schema.optional(schema.deferred()),
  enabled_items: schema.withDefault(schema.list(schema.oneOf(INDEX_ITEMS)), []),
  ttl: schema.optional(schema.duration()),
});

/**
 * Creates the index cache.
 * @param text of the configuration; empty: in memory with `sizeBytes`
 * @throws ConfigError; StoreGatewayError ERR_GATEWAY_CONFIG for types that are not supported
 */
export function createConfiguredCache(text: string, source: string, sizeBytes: number, deps: MemoryLruDeps): ConfiguredCache {
  if (text.trim() === '') {
    return { cache: createMemoryLru(deps, { bytesMax: sizeBytes, itemBytesMax: Math.min(sizeBytes, DEFAULT_ITEM_BYTES) }), enabled: INDEX_ITEMS, ttlMs: Number.POSITIVE_INFINITY };
  }
  const decoded = decodeYaml(text, top, source);
  if (decoded.type !== 'IN-MEMORY') throw new StoreGatewayError('ERR_GATEWAY_CONFIG', `${source}: index cache type ${decoded.type} is not supported yet, supported is IN-MEMORY`);
  const options = decoded.config === undefined ? {} : decoded.config.decode(memoryLruSchema);
  return {
    cache: createMemoryLru(deps, options),
    enabled: decoded.enabled_items.length === 0 ? INDEX_ITEMS : decoded.enabled_items,
    ttlMs: decoded.ttl ?? Number.POSITIVE_INFINITY,
  };
}
