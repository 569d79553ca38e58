/** The in-memory cache: contract, bounds, metrics, configuration. */
import { createMetrics, createNopLogger, renderMetrics } from '@gauntlet/service-kit';
import type { Metrics } from '@gauntlet/service-kit';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { createCacheFromConfig } from './cache-config.ts';
import { ENTRY_OVERHEAD_BYTES, createMemoryLru } from './memory-lru.ts';
import { describeCacheContract } from './testing/index.ts';

const deps = (metrics: Metrics = createMetrics()) => ({ name: 'test', log: createNopLogger(), metrics, clock: () => 0 });

describeCacheContract('in memory', (clock) => Promise.resolve(createMemoryLru({ ...deps(), clock })));

test('the least recently used goes first, by bytes', async () => {
  const each = 100 + 2 + ENTRY_OVERHEAD_BYTES;
  const cache = createMemoryLru(deps(), { bytesMax: 3 * each });
  for (const key of ['a', 'b', 'c']) await cache.setMany([[key, Buffer.alloc(100)]], Infinity);
  await cache.getMany(['a']);
  await cache.setMany([['d', Buffer.alloc(100)]], Infinity);
  expect([...(await cache.getMany(['a', 'b', 'c', 'd'])).keys()]).toEqual(['a', 'c', 'd']);
});

test('an item past its bound is dropped, and what it would replace too', async () => {
  const cache = createMemoryLru(deps(), { bytesMax: 1000, itemBytesMax: 10 });
  await cache.setMany([['k', Buffer.alloc(10)]], Infinity);
  await cache.setMany([['k', Buffer.alloc(11)]], Infinity);
  expect((await cache.getMany(['k'])).size).toBe(0);
});

test('a view does not keep its buffer', async () => {
  const cache = createMemoryLru(deps());
  await cache.setMany([['k', Buffer.alloc(1_000_000).subarray(0, 3)]], Infinity);
  expect((await cache.getMany(['k'])).get('k')!.buffer.byteLength).toBe(3);
});

test('any sequence stays within the bound and agrees with its metrics', async () => {
  await fc.assert(fc.asyncProperty(fc.array(fc.record({ key: fc.constantFrom('a', 'b', 'c', 'd', 'e'), size: fc.nat(400) }), { maxLength: 40 }), async (sets) => {
    const metrics = createMetrics();
    const cache = createMemoryLru(deps(metrics), { bytesMax: 1000, itemBytesMax: 300 });
    for (const { key, size } of sets) await cache.setMany([[key, Buffer.alloc(size)]], Infinity);
    const held = await cache.getMany(['a', 'b', 'c', 'd', 'e']);
    const bytes = [...held.values()].reduce((sum, v) => sum + v.length, 0);
    expect(bytes + held.size * (2 + ENTRY_OVERHEAD_BYTES)).toBeLessThanOrEqual(1000);
    const { body } = await renderMetrics(metrics.registry, undefined);
    expect(body).toContain(`thanos_cache_inmemory_items{name="test"} ${held.size}\n`);
    expect(body).toContain(`thanos_cache_inmemory_items_size_bytes{name="test"} ${bytes}\n`);
    expect(body).toContain(`thanos_cache_inmemory_total_size_bytes{name="test"} ${bytes + held.size}\n`);
    expect(body).toContain(`thanos_cache_inmemory_items_overflowed_total{name="test"} ${sets.filter((s) => s.size > 300).length}\n`);
    expect(body).toContain(`thanos_cache_inmemory_hits_total{name="test"} ${held.size}\n`);
    expect(body).toContain('thanos_cache_inmemory_requests_total{name="test"} 5\n');
  }));
});

describe('configuration', () => {
  test('sizes and defaults', async () => {
    const metrics = createMetrics();
    createCacheFromConfig('type: in-memory\nconfig:\n  max_size: 1MB\n  max_item_size: 100KB\n', 'cache.yml', deps(metrics));
    expect((await renderMetrics(metrics.registry, undefined)).body).toMatch(/max_size_bytes\{name="test"\} 1048576\n/);
    const plain = createMetrics();
    createCacheFromConfig('type: IN-MEMORY', 'cache.yml', deps(plain));
    expect((await renderMetrics(plain.registry, undefined)).body).toMatch(/max_item_size_bytes\{name="test"\} 131072000\n/);
  });
  test.each([
    ['an unknown key', 'type: IN-MEMORY\nconfig: {max_sizes: 1}', "cache.yml:2:10: unknown key 'max_sizes' in config, did you mean 'max_size'?"],
    ['an item larger than the whole', 'type: IN-MEMORY\nconfig: {max_size: 10, max_item_size: 11}', 'max item size (11) cannot be bigger than overall cache size (10)'],
    ['a type of later', 'type: REDIS\nconfig: {addr: x}', 'cache.yml: cache type REDIS is not supported yet, supported is IN-MEMORY'],
    ['an unknown type', 'type: DISK', 'wanted one of IN-MEMORY'],
  ])('refused: %s', (_name, text, message) => {
    expect(() => createCacheFromConfig(text, 'cache.yml', deps())).toThrow(message);
  });
});
