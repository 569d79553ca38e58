import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createRefMap } from './ref-map.ts';

test('a map from references to slots, whatever is set, replaced and dropped', () => {
  const ref = fc.oneof(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 60 }).map((low) => low + 4294967296 * 3), fc.maxSafeInteger().map((any) => Math.abs(any) + 1));
  const step = fc.oneof({ weight: 10, arbitrary: fc.record({ ref, slot: fc.nat(1_000_000) }) }, { weight: 1, arbitrary: fc.record({ dropped: fc.nat(2) }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const map = createRefMap();
      let model = new Map<number, number>();
      for (const one of steps) {
        if ('ref' in one) {
          map.set(one.ref, one.slot);
          model.set(one.ref, one.slot);
        } else {
          map.retain((_ref, slot) => slot % 3 !== one.dropped);
          model = new Map([...model].filter(([, slot]) => slot % 3 !== one.dropped));
        }
      }
      expect(map.count).toBe(model.size);
      for (const one of steps) if ('ref' in one) expect(map.get(one.ref)).toBe(model.get(one.ref) ?? -1);
      const seen = new Map<number, number>();
      map.forEach((one, slot) => seen.set(one, slot));
      expect(seen).toEqual(model);
      expect([map.get(61), map.get(61 + 4294967296), map.get(Number.MAX_SAFE_INTEGER - 1)]).toEqual([61, 61 + 4294967296, Number.MAX_SAFE_INTEGER - 1].map((one) => model.get(one) ?? -1));
    }),
  );
});
