/** The contract of a ByteCache, run over every implementation. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import type { ByteCache } from '../byte-cache.ts';

/** Declares the suite. @param create makes an empty cache and a clock that the suite moves */
export function describeCacheContract(name: string, create: (clock: () => number) => Promise<ByteCache>): void {
  describe(`cache contract: ${name}`, () => {
    let nowMs = 1_000_000;
    let cache: ByteCache;
    beforeAll(async () => { cache = await create(() => nowMs); });
    afterAll(async () => { await cache.close(); });

    test('what was stored comes back, and nothing else', async () => {
      await cache.setMany([['a', Buffer.from('1')], ['b', Buffer.from('')], ['ü key with spaces', Buffer.from([0, 255])]], 60_000);
      const got = await cache.getMany(['a', 'b', 'c', 'ü key with spaces', 'a']);
      expect([...got].map(([k, v]) => [k, [...v]])).toEqual([['a', [49]], ['b', []], ['ü key with spaces', [0, 255]]]);
      expect((await cache.getMany([])).size).toBe(0);
    });
    test('a later value replaces an earlier one', async () => {
      await cache.setMany([['r', Buffer.from('old')]], 60_000);
      await cache.setMany([['r', Buffer.from('newer')]], 60_000);
      expect(Buffer.from((await cache.getMany(['r'])).get('r')!).toString()).toBe('newer');
    });
    test('the caller keeps its arrays', async () => {
      const mine = Buffer.from('mine');
      await cache.setMany([['own', mine]], 60_000);
      mine.fill(0);
      expect(Buffer.from((await cache.getMany(['own'])).get('own')!).toString()).toBe('mine');
    });
    test('entries expire', async () => {
      await cache.setMany([['short', Buffer.from('x')]], 1000);
      await cache.setMany([['long', Buffer.from('x')]], Infinity);
      nowMs += 1000;
      expect([...(await cache.getMany(['short', 'long'])).keys()]).toEqual(['short', 'long']);
      nowMs += 1;
      expect([...(await cache.getMany(['short', 'long'])).keys()]).toEqual(['long']);
    });
    test('names of object properties are ordinary keys', async () => {
      expect((await cache.getMany(['__proto__', 'constructor'])).size).toBe(0);
      await cache.setMany([['__proto__', Buffer.from('x')]], 60_000);
      expect((await cache.getMany(['__proto__'])).size).toBe(1);
    });
  });
}
