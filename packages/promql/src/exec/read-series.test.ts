/** Reading selectors whose columns lie in kernel memory, while other selectors of the same query make that memory grow. */
import { describe, expect, test } from '@jest/globals';
import { createKernels } from '@gauntlet/kernels';
import { type Queryable, type SeriesBatch, labelsFromPairs } from '@gauntlet/model';
import { createEngine } from '../engine.ts';

const GROW_BYTES = 4 << 20;

describe.each(['wasm', 'js'] as const)('two selectors of one query on %s kernels', (backend) => {
  test('a batch stays readable when the other selector grows the memory under it', async () => {
    const kernels = createKernels({ backend, initialBytes: 64 << 10 });
    const { memory } = kernels;
    const allocated: number[] = [];
    let detached = 0;
    // As storage does it: columns in kernel memory, handed out as views together with where they are.
    async function* batches(value: number): AsyncGenerator<SeriesBatch, void> {
      const timestampsPtr = memory.alloc(8);
      const valuesPtr = memory.alloc(8);
      const growth = memory.alloc(GROW_BYTES);
      allocated.push(timestampsPtr, valuesPtr, growth);
      const timestampsMs = memory.f64(timestampsPtr, 1);
      const values = memory.f64(valuesPtr, 1);
      timestampsMs[0] = 60_000;
      values[0] = value;
      yield { labels: [labelsFromPairs([['i', 'x']])], offsets: Int32Array.of(0, 1), timestampsMs, values, kernelColumns: { timestampsPtr, valuesPtr } };
      if (values.length === 0) detached++;
    }
    const queryable: Queryable = {
      select: ({ matchers }) => {
        const iterator = batches(matchers.some(({ value }) => value === 'left') ? 40 : 2);
        return { [Symbol.asyncIterator]: () => iterator, warnings: () => [] };
      },
      labelNames: async () => ({ values: [], warnings: [] }),
      labelValues: async () => ({ values: [], warnings: [] }),
    };
    const result = await createEngine({ kernels }).instant({ expr: 'left + right', queryable, timeMs: 60_000 });
    expect([...result.values]).toEqual([42]);
    // The story is real only if the memory was taken from under a batch (the twin's memory grows by moving, too).
    expect(detached + (backend === 'js' ? 1 : 0)).toBeGreaterThan(0);
    result.dispose();
    for (const ptr of allocated) memory.free(ptr);
    expect(memory.usedBytes).toBe(0);
  });
});
