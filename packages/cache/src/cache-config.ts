/**
 * From a cache configuration to a cache:
 *
 *   type: IN-MEMORY
 *   config: { max_size: 250MB, max_item_size: 125MB }
 */
import { decodeYaml, schema } from '@gauntlet/service-kit';
import type { Schema } from '@gauntlet/service-kit';

import type { ByteCache } from './byte-cache.ts';
import { CacheError } from './errors.ts';
import { DEFAULT_CACHE_BYTES, DEFAULT_ITEM_BYTES, createMemoryLru } from './memory-lru.ts';
import type { MemoryLruDeps, MemoryLruOptions } from './memory-lru.ts';

/** Types Thanos knows; others than IN-MEMORY are refused by name. */
export const CACHE_TYPES = ['IN-MEMORY', 'MEMCACHED', 'REDIS', 'GROUPCACHE'] as const;

/** Schema of the `config` of an in-memory cache; sizes as `250MB`, powers of 1024. */
export const memoryLruSchema: Schema<Required<MemoryLruOptions>> = schema.mapped(
  schema.orEmpty({ max_size: schema.withDefault(schema.bytes(), DEFAULT_CACHE_BYTES), max_item_size: schema.withDefault(schema.bytes(), DEFAULT_ITEM_BYTES) }),
  (raw) => {
    if (raw.max_item_size > raw.max_size) throw new Error(`max item size (${raw.max_item_size}) cannot be bigger than overall cache size (${raw.max_size})`);
    return { bytesMax: raw.max_size, itemBytesMax: raw.max_item_size };
  },
);

const top = schema.object({ type: schema.oneOf(CACHE_TYPES, { ignoreCase: true }), config: schema.deferred() });

/**
 * Creates the cache a configuration describes.
 * @param source file or flag the text came from
 * @throws ConfigError with positions; CacheError ERR_CACHE_CONFIG for a type that is not supported
 */
export function createCacheFromConfig(text: string, source: string, deps: MemoryLruDeps): ByteCache {
  const { type, config } = decodeYaml(text, top, source);
  if (type !== 'IN-MEMORY') throw new CacheError('ERR_CACHE_CONFIG', `${source}: cache type ${type} is not supported yet, supported is IN-MEMORY`);
  return createMemoryLru(deps, config.decode(memoryLruSchema));
}
