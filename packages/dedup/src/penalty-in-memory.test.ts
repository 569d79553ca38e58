/** Replicas in kernel memory merge as replicas in views do, by module and twin. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createKernels } from '@gauntlet/kernels';
import { isStaleNaN, wordsOf, writeStaleNaN } from '@gauntlet/model';
import { mergePenalty } from './merge-penalty.ts';
import { type MemoryColumns, mergePenaltyInMemory, penaltyRoomBytes } from './penalty-in-memory.ts';
import { DedupBuffer, type ReplicaColumns } from './replica-columns.ts';

const gap = fc.oneof({ weight: 12, arbitrary: fc.constant(15_000) }, { weight: 3, arbitrary: fc.integer({ min: 1, max: 20_000 }) }, { weight: 1, arbitrary: fc.integer({ min: 30_000, max: 300_000 }) });
const replica = fc.tuple(fc.nat(20_000), fc.array(fc.tuple(gap, fc.nat(50), fc.nat(20).map((n) => n === 0)), { maxLength: 80 })).map(([first, steps]): ReplicaColumns => {
  let ms = first;
  const timestampsMs = Float64Array.from(steps, ([distance]) => (ms += distance));
  const values = Float64Array.from(steps, ([, value]) => value);
  steps.forEach(([, , isStale], i) => isStale && writeStaleNaN(wordsOf(values), i));
  return { timestampsMs, values };
});

describe.each(['wasm', 'js'] as const)('mergePenaltyInMemory, %s', (backend) => {
  const kernels = createKernels({ backend });
  const { memory } = kernels;

  test('equals mergePenalty bit for bit', () => {
    fc.assert(
      fc.property(fc.array(replica, { minLength: 1, maxLength: 5 }), fc.boolean(), (replicas, wantsCounter) => {
        const isCounter = wantsCounter && replicas.length <= 2;
        const out = new DedupBuffer();
        // What goes in as a counter has no stale markers.
        const own = isCounter ? replicas.map(({ timestampsMs, values }) => ({ timestampsMs, values: values.map((v, i) => (Number.isNaN(v) ? i : v)) })) : replicas;
        mergePenalty(own, { isCounter }, out);
        const samples = own.reduce((sum, { timestampsMs }) => sum + timestampsMs.length, 0);
        const owned: number[] = [];
        const alloc = (bytes: number): number => owned[owned.push(memory.alloc(bytes)) - 1]!;
        const columns = own.map(({ timestampsMs, values }): MemoryColumns => {
          const count = timestampsMs.length;
          const placed = { timestampsPtr: alloc(8 * count), valuesPtr: alloc(8 * count), count };
          memory.f64(placed.timestampsPtr, count).set(timestampsMs);
          wordsOf(memory.f64(placed.valuesPtr, count)).set(wordsOf(values));
          return placed;
        });
        const merged = mergePenaltyInMemory(kernels, columns, { isCounter }, alloc(penaltyRoomBytes(samples, own.length)))!;
        expect([...memory.f64(merged.timestampsPtr, merged.count)]).toEqual([...out.timestampsMs.subarray(0, out.length)]);
        expect([...memory.i32(merged.valuesPtr, 2 * merged.count)]).toEqual([...out.valueWords.subarray(0, 2 * out.length)]);
        for (const ptr of owned) memory.free(ptr);
      }),
      { numRuns: 400 },
    );
  });

  test('a stale marker stays one; what it does not do is said', () => {
    const times = memory.alloc(16);
    const values = memory.alloc(16);
    memory.f64(times, 2).set([1000, 2000]);
    memory.f64(values, 2).set([1, 0]);
    writeStaleNaN(wordsOf(memory.f64(values, 2)), 1);
    const side = { timestampsPtr: times, valuesPtr: values, count: 2 };
    const room = memory.alloc(penaltyRoomBytes(6, 3));
    for (const replicas of [[side], [side, side], [side, side, side]]) {
      const merged = mergePenaltyInMemory(kernels, replicas, { isCounter: false }, room)!;
      expect([merged.count, isStaleNaN(wordsOf(memory.f64(merged.valuesPtr, 2)), 0), isStaleNaN(wordsOf(memory.f64(merged.valuesPtr, 2)), 1)]).toEqual([2, false, true]);
    }
    expect(mergePenaltyInMemory(kernels, [side, side, side], { isCounter: true }, room)).toBeUndefined();
    expect(() => mergePenaltyInMemory(kernels, [], { isCounter: false }, room)).toThrow('merge replicas: none given');
  });
});
