/** Byte caches behind one interface. See README.md. */
export type { ByteCache } from './byte-cache.ts';
export { CACHE_TYPES, createCacheFromConfig, memoryLruSchema } from './cache-config.ts';
export { CacheError } from './errors.ts';
export type { CacheErrorCode } from './errors.ts';
export { DEFAULT_CACHE_BYTES, DEFAULT_ITEM_BYTES, ENTRY_OVERHEAD_BYTES, createMemoryLru } from './memory-lru.ts';
export type { MemoryLruDeps, MemoryLruOptions } from './memory-lru.ts';
